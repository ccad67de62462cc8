"""Speed beside MuJoCo's Reacher, in one run on one core: ``python tests/benchmark_speed.py``.

Every round measures every entry once, Reacher among them; what is printed is the median of the
ratios within a round (lowest-highest). Rates are per second of the processor, with resets; 2
threads and 1 are compared by the clock, on two cores. ``--keep`` writes all of it to
``docs/speed/history``, under the name of the commit; ``--compare COMMIT`` sets ratios to Reacher,
which machines share, beside those of an earlier record. Peers in other libraries:
``python tests/benchmark_peers.py``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import gymnasium
import numpy as np
from benchmark_rounds import (
    Spent,
    cores,
    enough,
    interleaved,
    machine,
    ratios,
    scalar_steps,
    spent,
    told,
    versions,
    written,
)
from benchmark_stages import SIGNED, stages, volition

import ndbmi_gym
from ndbmi_gym.calibration import calibrate
from ndbmi_gym.cortex.topographic import Topographic, TopographicCortex, topographic_cortex
from ndbmi_gym.stimuli import stimulus_set

HISTORY = Path(__file__).parents[1] / "docs" / "speed" / "history"
IDS = {name.partition("-")[0]: f"ndbmi/{name}" for name in ndbmi_gym._IDS}
SHIFT, SOC, CURL = IDS["ShiftTarget"], IDS["ShiftTargetSOC"], IDS["ShiftTargetCurl"]
REFERENCE = ("MuJoCo Reacher-v5", "scalar")
CARTPOLE = "CartPole-v1 (600 x 400)"

Batch = int | None
"""Size of a native vector environment; None: the scalar one."""


class OwnCortex(TopographicCortex):
    """The paper's cortex with a `respond` of its own, as a user would write one."""

    def respond(self, *given: Any) -> Any:
        """The package's responses, which the compiled step cannot know to be these."""
        return super().respond(*given)


@dataclass(frozen=True)
class Own(Topographic):
    """The model of it."""

    def for_animal(self, animal: int) -> OwnCortex:
        """The same in all animals."""
        return OwnCortex(**vars(super().for_animal(animal)))


def own_field(position: Any) -> Any:
    """A field written in Python."""
    return np.tanh(-0.5 * position)


@dataclass(frozen=True)
class Row:
    """An environment, and the batches in which it is measured."""

    name: str
    env_id: str
    batches: tuple[Batch, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    effort: float = 0.1
    threads: tuple[Batch, ...] = ()
    """Batches that two threads share, too."""
    whole: bool = True
    """Whether whole trials are measured, from their beginnings to their ends."""
    beside: str = ""
    """The row that it is set beside, batch by batch."""


LARGE = (4096, 32768)
EVERY = (None, 1, 16, 256, *LARGE)
PROJECTION = {"decoder": "projection"}
CIRCUIT = "circuit, 32 stimuli, single units"
ROWS = (
    Row(REFERENCE[0], "Reacher-v5", (None,)),
    Row("Pendulum-v1", "Pendulum-v1", (None,)),
    Row("CartPole-v1", "CartPole-v1", (None, 1, 16, 256, 32768)),
    Row("ShiftTarget, multiple-points", SHIFT, EVERY, threads=LARGE),
    Row("ShiftTarget, multiple-points, no volition", SHIFT, (None, 256), effort=0.0),
    Row("ShiftTarget, projection", SHIFT, EVERY, PROJECTION, threads=LARGE),
    Row("ShiftTarget, single-point", SHIFT, (None, 256), {"decoder": "single-point"}),
    Row("ShiftTarget, arm", SHIFT, (None, 256), {"plant": "arm"}, 0.0),
    Row("ShiftTarget, sensed late", SHIFT, (None, 256), {"delay_steps": 3}),
    Row("Adaptation, sessions", IDS["Adaptation"], (256,)),
    Row("HoldTarget, multiple-points", IDS["HoldTarget"], (256,)),
    Row("HoldTarget, projection", IDS["HoldTarget"], (256,), PROJECTION),
    Row("ShiftTarget, set 7", SHIFT, (1, 256, 4096), {"dataset": 7}),
    Row(
        "ShiftTarget, 64 animals",
        SHIFT,
        (256, 4096),
        {"animal": None, "n_animals": 64},
        beside="ShiftTarget, multiple-points",
    ),
    Row(
        "ShiftTarget, a cortex in Python",
        SHIFT,
        (256,),
        {"cortex": Own()},
        beside="ShiftTarget, multiple-points",
    ),
    Row(
        "ShiftTarget, projection, a field in Python",
        SHIFT,
        (256,),
        PROJECTION | {"field": own_field},
        beside="ShiftTarget, projection",
    ),
    Row(CIRCUIT, SOC, (None, 1, 64, 256, *LARGE), threads=LARGE, effort=SIGNED),
    Row(f"{CIRCUIT}, projection", SOC, (None, 256), PROJECTION, SIGNED),
    Row("circuit, 8 stimuli (cortex='soc')", SHIFT, (None, 256), {"cortex": "soc"}, SIGNED),
    *(
        Row(
            name,
            SOC,
            (None, 256),
            {"cortex": {"kind": "soc", "stimuli": 32, **options}},
            SIGNED,
            whole="core" not in options,  # a second for a step
        )
        for name, options in {
            "circuit, 32 stimuli, four units": {},
            f"{CIRCUIT}, state carried": {"units": 1, "carry": True},
            f"{CIRCUIT}, nonlinear core": {"units": 1, "core": "nonlinear"},
        }.items()
    ),
)


def stepping(row: Row, batch: Batch, threads: int = 1, seconds: float = 0.3) -> Callable[[], Spent]:
    """A measure of the steps of an environment, which begins its trials anew where they end."""
    ours, options = row.env_id.startswith("ndbmi/"), dict(row.options)
    if threads > 1:
        options["threads"] = threads
    env: Any
    if batch is None:
        env = gymnasium.make(row.env_id, **options)
    else:
        env = gymnasium.make_vec(row.env_id, num_envs=batch, **options)
    with cores(threads):
        env.reset(seed=0)
        env.action_space.seed(0)
        action = volition(env.action_space, row.effort) if ours else env.action_space.sample()
        if batch is None:
            times = enough(lambda: scalar_steps(env, action, 100), seconds)
            return lambda: spent(100 * times, lambda: scalar_steps(env, action, 100 * times))
        # trials that began together end together, and a batch in which none does is cheaper
        cycle = env.spec.max_episode_steps + 1 if ours and row.whole else 1
        times = enough(lambda: env.step(action), seconds, cycle)

    def measure() -> Spent:
        with cores(threads):
            env.step(action)  # fetches what others have driven out of the caches
            return spent(batch * times, lambda: [env.step(action) for _ in range(times)])

    return measure


def drawing(env_id: str, pictures: int = 100, **options: Any) -> Callable[[], Spent]:
    """A measure of pictures, each of another step."""
    env: Any = gymnasium.make(env_id, render_mode="rgb_array", **options)
    env.reset(seed=0)
    env.action_space.seed(0)
    env.render()

    def measure() -> Spent:
        cpu = wall = 0.0
        for _ in range(pictures):
            scalar_steps(env, env.action_space.sample(), 1)
            _, cpu_s, wall_s = spent(1, env.render)
            cpu, wall = cpu + cpu_s, wall + wall_s
        return Spent(pictures, cpu, wall)

    return measure


def size(batch: Batch) -> str:
    """How a record calls a batch."""
    return "scalar" if batch is None else str(batch)


class Rates(NamedTuple):
    """What all rounds found, by row and batch.

    Steps per second; and ratios of one row's rate to another's, or of two threads to one.
    """

    steps_per_s: dict[str, dict[str, list[float]]]
    beside: dict[str, dict[str, list[float]]]


def rates(rows: Sequence[Row], rounds: int, seconds: float = 0.3) -> Rates:
    """Measure rows, interleaved."""
    measures: dict[Any, Callable[[], Spent]] = {}
    for row in rows:
        for batch in row.batches:
            measures[row.name, batch, 1] = stepping(row, batch, 1, seconds)
        for batch in row.threads:
            measures[row.name, batch, 2] = stepping(row, batch, 2, seconds)
    found, made = interleaved(measures, rounds), Rates({}, {})
    for row in rows:
        made.steps_per_s[row.name] = {
            size(b): [each.rate for each in found[row.name, b, 1]] for b in row.batches
        }
        if row.threads:
            made.beside[f"{row.name}: two threads to one"] = {
                size(b): ratios(
                    *([each.done / each.wall_s for each in found[row.name, b, n]] for n in (2, 1))
                )
                for b in row.threads
            }
        if row.beside in made.steps_per_s:
            made.beside[f"{row.name}, to {row.beside}"] = {
                b: ratios(rate, made.steps_per_s[row.beside][b])
                for b, rate in made.steps_per_s[row.name].items()
            }
    return made


def to_reference(steps_per_s: Mapping[str, Any]) -> dict[tuple[str, str], list[float]]:
    """Ratios to Reacher in every round, by row and batch."""
    rates = flat(steps_per_s)
    return {key: ratios(values, rates[REFERENCE]) for key, values in rates.items()}


def compared(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Lines of ratios to the reference: now, before, and the one over the other."""
    lines = [f"{'now':>10} {'before':>10} {'change':>8}"]
    new, old = to_reference(now), to_reference(before)
    for key in [key for key in new if key in old]:
        here, there = median(new[key]), median(old[key])
        lines.append(f"{here:10.2f} {there:10.2f} {here / there:8.2f}  {', '.join(key)}")
    return lines


def calibration_seconds(dataset: int) -> float:
    """Seconds of the processor to calibrate an animal, its responses drawn included."""
    cortex = topographic_cortex(stimulus_set(dataset))

    def work() -> None:
        calibrate(cortex, np.random.default_rng(0))

    work()
    return min(spent(1, work).cpu_s for _ in range(3))


IMPORT = "import {}"
BEGIN = """
import gymnasium, ndbmi_gym
begin()
env = gymnasium.{}
made()
env.reset(seed=0)
env.step(env.action_space.sample())
"""
_TIMED = """
import time, resource
def now():
    return time.process_time(), time.perf_counter()
start = middle = now()
def begin():
    global start, middle
    start = middle = now()
def made():
    global middle
    middle = now()
{}
end = now()
peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(end[0] - start[0], end[1] - start[1], middle[0] - start[0], int(peak[0].split()[1]) / 1024)
"""


HERE = {"PYTHONPATH": str(Path(ndbmi_gym.__file__).parents[1])}
"""The package of this process, in another."""


class Fresh(NamedTuple):
    """What code took in a fresh process: all of it, and what it calls the making, MiB at most."""

    cpu_s: float
    wall_s: float
    made_s: float
    memory_mib: float


def fresh(code: str, times: int = 3, cold: bool = False) -> Fresh:
    """Run code in a fresh interpreter, and take the quickest of some; `cold`: nothing compiled."""
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as empty:
            printed = subprocess.run(
                [sys.executable, "-c", _TIMED.format(code)],
                env=os.environ | HERE | ({"NUMBA_CACHE_DIR": empty} if cold else {}),
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        found.append(Fresh(*map(float, printed.split())))
    return min(found)


def beginnings() -> dict[str, float]:
    """What it takes to begin: seconds of the processor, and MiB."""
    found: dict[str, float] = {}
    for name, env_id in (("ShiftTarget", SHIFT), ("ShiftTargetSOC", SOC)):
        code = BEGIN.format(f"make({env_id!r})")
        cold, warm = fresh(code, 1, cold=True), fresh(code)
        found |= {
            f"first make, reset and step of {name}, nothing compiled, s": cold.cpu_s,
            f"the same by the clock, s, {name}": cold.wall_s,
            f"make, reset and step of {name} in a fresh process, s": warm.cpu_s,
        }
    batch = BEGIN.format("make_vec({!r}, num_envs=256{})")
    one = fresh(batch.format(SHIFT, ""))
    many = fresh(batch.format(SHIFT, ", animal=None, n_animals=64"), 1)
    own, base = fresh(IMPORT.format("ndbmi_gym")), fresh(IMPORT.format("gymnasium"))
    return found | {
        "make of 64 animals, s": many.made_s,
        "make of 64 animals, reset and step of 256 trials, s": many.cpu_s,
        "largest resident memory of a process with 256 trials, MiB": one.memory_mib,
        "the same with 64 animals, MiB": many.memory_mib,
        "calibration of set 6, s": calibration_seconds(6),
        "calibration of set 7, s": calibration_seconds(7),
        "import ndbmi_gym, s": own.cpu_s,
        "import gymnasium, s": base.cpu_s,
    }


def pictures(rounds: int) -> dict[str, list[float]]:
    """Pictures per second of the processor, in each round."""
    measures = {
        CARTPOLE: drawing("CartPole-v1"),
        "ShiftTarget, 9 electrodes": drawing(SHIFT),
        "ShiftTargetCurl, set 7, 25 electrodes": drawing(CURL, dataset=7),
        "ShiftTargetSOC, 25 electrodes": drawing(SOC),
        "ShiftTargetSOC at 600 x 400": drawing(SOC, render_size=(600, 400)),
    }
    found = interleaved(measures, rounds)
    return {name: [each.rate for each in spans] for name, spans in found.items()}


def profiles() -> dict[str, dict[str, float]]:
    """Where the time of a step goes, microseconds per trial."""
    return {
        "multiple-points, 256": stages(SHIFT),
        "multiple-points, 1": stages(SHIFT, 1),
        "projection, 256": stages(SHIFT, decoder="projection"),
        "set 7, 256": stages(SHIFT, dataset=7),
        "circuit, 32 stimuli, 256": stages(SOC, effort=SIGNED),
        "circuit, 8 stimuli, 256": stages(SHIFT, effort=SIGNED, cortex="soc"),
    }


def commit() -> str:
    """The short name of the commit that is checked out."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        asked, cwd=HISTORY.parent, capture_output=True, text=True, check=True
    ).stdout.strip()


def shown(head: str, rows: Mapping[Any, Sequence[float]]) -> None:
    """Print what rounds found, a line each."""
    print(f"\n{head}")
    for name, values in rows.items():
        print(f"{told(values):>24}  {name if isinstance(name, str) else ', '.join(name)}")


def flat(nested: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[tuple[str, str], Any]:
    """By row and batch."""
    return {(n, b): values for n, of in nested.items() for b, values in of.items()}


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--only", help="nothing but the steps of rows with this in their name")
    parser.add_argument("--keep", action="store_true", help=f"write the numbers to {HISTORY}")
    parser.add_argument(
        "--compare",
        choices=sorted(each.stem for each in HISTORY.glob("*.json")),
        help="an earlier commit",
    )
    arguments = parser.parse_args()
    if arguments.only and arguments.keep:
        parser.error("--only: what is kept is everything")
    rows = [row for row in ROWS if (arguments.only or "") in row.name or row is ROWS[0]]
    begun = time.perf_counter()
    with cores(1):
        made = rates(rows, arguments.rounds)
        shown("x Reacher: median of rounds (lowest-highest)", to_reference(made.steps_per_s))
        shown("one beside another", flat(made.beside))
        if arguments.compare:
            earlier = json.loads((HISTORY / f"{arguments.compare}.json").read_text())
            print(f"\nx Reacher, beside commit {arguments.compare} of {earlier['date']}")
            print("\n".join(compared(made.steps_per_s, earlier["steps_per_s"])))
        if arguments.only:
            return
        drawn = pictures(arguments.rounds)
        shown("pictures/s (900 x 600 where nothing else is said)", drawn)
        others = beginnings()
        shown("to begin", {name: [value] for name, value in others.items()})
        profiled = profiles()
        for what, stage in profiled.items():
            shown(f"us per trial and step, {what}", {name: [us] for name, us in stage.items()})
    print(f"\n{time.perf_counter() - begun:.0f} s in all")
    if arguments.keep:
        record = {
            "commit": commit(),
            "date": datetime.now().isoformat(timespec="minutes"),
            "machine": machine(),
            "versions": versions(("ndbmi-gym", "gymnasium", "numpy", "numba", "mujoco")),
            "steps_per_s": made.steps_per_s,
            "beside": made.beside,
            "pictures_per_s": drawn,
            "others": others,
            "microseconds": profiled,
        }
        file = HISTORY / f"{record['commit']}.json"
        file.write_text(written(record))
        print(f"kept in {file}")


if __name__ == "__main__":
    main()
