"""Speed against peers, in one run on one core: ``python tests/benchmark_speed.py``.

Prints steps per second and ratios, and where the time of the native vector environment goes.
``--keep`` writes the numbers to ``docs/speed/history``, under the name of the commit; ``--compare
COMMIT`` sets the ratios to MuJoCo's Reacher, which machines share, beside those of an earlier one.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import gymnasium
import numpy as np

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.calibration import calibrate
from ndbmi_gym.cortex.topographic import topographic_cortex
from ndbmi_gym.stimuli import stimulus_set

HISTORY = Path(__file__).parents[1] / "docs" / "speed" / "history"
REFERENCE = "MuJoCo Reacher-v5, scalar"


def best(measure, repeats=5):
    """Largest of several measurements: the least disturbed one."""
    return max(measure() for _ in range(repeats))


def scalar_rate(env_id, action=None, steps=8000, **options):
    """Steps per second of a scalar environment, resets included."""
    env = gymnasium.make(env_id, **options)
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample() if action is None else action

    def measure():
        begin = time.perf_counter()
        for _ in range(steps):
            *_, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return steps / (time.perf_counter() - begin)

    measure()
    rate = best(measure)
    env.close()
    return rate


def vector_rate(env_id, effort=0.0, num_envs=256, steps=200, **options):
    """Steps per second of a native vector environment, autoresets included."""
    env = gymnasium.make_vec(env_id, num_envs=num_envs, **options)
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()
    if env_id.startswith("ndbmi"):
        action = np.full_like(action, effort)

    def measure():
        begin = time.perf_counter()
        for _ in range(steps):
            env.step(action)
        return steps * num_envs / (time.perf_counter() - begin)

    measure()
    return best(measure)


def frame_rate(env_id, frames=150, **options):
    """Pictures per second of processor time, each of another step."""
    env = gymnasium.make(env_id, render_mode="rgb_array", **options)
    env.reset(seed=0)
    env.action_space.seed(0)

    def measure():
        spent = 0.0
        for _ in range(frames):
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()
            begin = time.process_time()
            env.render()
            spent += time.process_time() - begin
        return frames / spent

    measure()
    rate = best(measure)
    env.close()
    return rate


def calibration_seconds(dataset):
    """Time to calibrate an animal, its responses drawn included."""
    cortex = topographic_cortex(stimulus_set(dataset))
    calibrate(cortex, np.random.default_rng(0))

    def measure():
        begin = time.perf_counter()
        calibrate(cortex, np.random.default_rng(0))
        return -(time.perf_counter() - begin)

    return -best(measure, 3)


def in_process(code):
    """What a fresh interpreter prints for a piece of code; the least of three."""
    run = [sys.executable, "-c", code]
    return min(
        float(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )


IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
MAKE = (
    "import time, gymnasium, ndbmi_gym; t = time.perf_counter(); "
    "e = gymnasium.make('ndbmi/ShiftTarget-v0'); e.reset(seed=0); "
    "e.step(e.action_space.sample()); print(time.perf_counter() - t)"
)
MEMORY = (
    "import gymnasium, ndbmi_gym; "
    "e = gymnasium.make_vec('ndbmi/ShiftTarget-v0', num_envs=256); e.reset(seed=0); "
    "[e.step(e.action_space.sample()) for _ in range(30)]; "
    "peak = [x for x in open('/proc/self/status') if x.startswith('VmHWM')]; "
    "print(int(peak[0].split()[1]) / 1024)"
)


def floor(env_id, num_envs=256, calls=200, **options):
    """What a step of one trial is made of, in microseconds; each part timed alone on a batch."""
    env = gymnasium.make_vec(env_id, num_envs=num_envs, **options)
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    for _ in range(20):
        env.step(action)
    episodes, rng = env.unwrapped.episodes, np.random.default_rng(0)
    loop, state = episodes.loops[0], episodes.state
    interface, force = loop.interface, episodes.signals.force
    stimulus = interface.sense(state.position)
    volition = np.zeros(action.shape)
    trains = loop.cortex.respond(stimulus, volition, rng).trains
    parts = {
        "spikes: exponential intervals (numpy)": lambda: rng.standard_exponential(
            len(trains.rows) + num_envs
        ),
        "spikes: expected, between nodes": lambda: loop.cortex.profile(stimulus, volition),
        "spikes: all of cortex.respond": lambda: loop.cortex.respond(stimulus, volition, rng),
        "decoding": lambda: interface.decode(trains, loop.decoder),
        "desired field (numpy)": lambda: loop.field(force),
        "motion": lambda: loop.plant.advance(state, force),
        "stimulus": lambda: interface.sense(state.position),
        "reward": lambda: episodes.task.assess(
            state,
            state,
            episodes.target,
            episodes.action,
            episodes.outcome.streak,
            episodes.half_side_cm,
        ),
        "observation and info": lambda: (episodes.observe(), episodes.info()),
        "whole step, autoresets included": lambda: env.step(action),
    }
    spent = {}
    for name, part in parts.items():
        part()

        def measure(part=part):
            begin = time.perf_counter()
            for _ in range(calls):
                part()
            return -(time.perf_counter() - begin)

        spent[name] = -best(measure) / calls / num_envs * 1e6
    return spent


SHIFT_SOC = "ndbmi/ShiftTargetSOC-v0"
CIRCUITS = (
    ("circuit, 32 stimuli, single units", SHIFT_SOC, {}, 200),
    ("the same, projection", SHIFT_SOC, {"decoder": "projection"}, 200),
    ("circuit, 8 stimuli (cortex='soc')", "ndbmi/ShiftTarget-v0", {"cortex": "soc"}, 200),
    (
        "circuit, 32 stimuli, four units",
        SHIFT_SOC,
        {"cortex": {"kind": "soc", "stimuli": 32}},
        100,
    ),
    (
        "circuit, 32 stimuli, single units, state carried",
        SHIFT_SOC,
        {"cortex": {"kind": "soc", "stimuli": 32, "units": 1, "carry": True}},
        100,
    ),
    (
        "circuit, 32 stimuli, single units, nonlinear core",
        SHIFT_SOC,
        {"cortex": {"kind": "soc", "stimuli": 32, "units": 1, "core": "nonlinear"}},
        4,
    ),
)
"""Name, id, options, and steps of the vector environment to time."""


def compared(now, before):
    """Lines of ratios to the reference: now, before, and the one over the other."""
    lines = [f"{'now':>10} {'before':>10} {'change':>8}"]
    for name in [name for name in now if name in before]:
        new, old = (rates[name] / rates[REFERENCE] for rates in (now, before))
        lines.append(f"{new:10.2f} {old:10.2f} {new / old:8.2f}  {name}")
    return lines


def commit():
    """The short name of the commit that is checked out."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        asked, cwd=HISTORY.parent, capture_output=True, text=True, check=True
    ).stdout.strip()


def main():
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help=f"write the numbers to {HISTORY}")
    parser.add_argument(
        "--compare",
        choices=[each.stem for each in HISTORY.glob("*.json")],
        help="an earlier commit",
    )
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    rest = np.zeros(9, np.float32)
    shift, hold = "ndbmi/ShiftTarget-v0", "ndbmi/HoldTarget-v0"
    rates = {
        REFERENCE: scalar_rate("Reacher-v5"),
        "Pendulum-v1, scalar": scalar_rate("Pendulum-v1"),
        "ShiftTarget-v0, scalar, multiple-points, no volition": scalar_rate(shift, rest),
        "ShiftTarget-v0, scalar, multiple-points, effort 0.1": scalar_rate(shift, rest + 0.1),
        "ShiftTarget-v0, scalar, projection, no volition": scalar_rate(
            shift, rest, decoder="projection"
        ),
        "CartPole-v1, native vector 256": vector_rate("CartPole-v1"),
    }
    for decoder in ("multiple-points", "single-point", "projection"):
        for env_id in (shift, hold):
            for effort in (0.0, 0.1):
                name = f"{env_id[6:]}, native vector 256, {decoder}, effort {effort:g}"
                rates[name] = vector_rate(env_id, effort, decoder=decoder)
    rng = np.random.default_rng(0)
    signed = 0.3 * rng.uniform(-1, 1, (256, 25)).astype(np.float32)
    for name, env_id, options, steps in CIRCUITS:
        volition = signed if env_id == SHIFT_SOC else np.abs(signed)
        rates[f"{name}, scalar, mean effort 0.15"] = scalar_rate(
            env_id, volition[0], 20 * steps, **options
        )
        rates[f"{name}, native vector 256, mean effort 0.15"] = vector_rate(
            env_id, volition, steps=steps, **options
        )
    print(f"{'steps/s':>12} {'x Reacher':>10}")
    reference = rates[REFERENCE]
    for name, rate in rates.items():
        print(f"{rate:12,.0f} {rate / reference:10.2f}  {name}")

    drawn = {
        "CartPole-v1 (600 x 400)": frame_rate("CartPole-v1"),
        "ShiftTarget-v0, 9 electrodes": frame_rate(shift),
        "ShiftTargetCurl-v0, set 7, 25 electrodes": frame_rate(
            "ndbmi/ShiftTargetCurl-v0", dataset=7
        ),
        "ShiftTargetSOC-v0, 25 electrodes": frame_rate(SHIFT_SOC),
        "ShiftTargetSOC-v0 at 600 x 400": frame_rate(SHIFT_SOC, render_size=(600, 400)),
    }
    print(f"\n{'pictures/s':>12} {'x CartPole':>10}  (900 x 600 where nothing else is said)")
    reference = drawn["CartPole-v1 (600 x 400)"]
    for name, rate in drawn.items():
        print(f"{rate:12,.0f} {rate / reference:10.2f}  {name}")

    own, base = in_process(IMPORT.format("ndbmi_gym")), in_process(IMPORT.format("gymnasium"))
    others = {
        "calibration of set 6, s": calibration_seconds(6),
        "calibration of set 7, s": calibration_seconds(7),
        "import ndbmi_gym, s": own,
        "import gymnasium, s": base,
        "import ratio": own / base,
        "first make, reset and step in a fresh process, s": in_process(MAKE),
        "largest resident memory of a process with vector(256), MiB": in_process(MEMORY),
    }
    print()
    for name, value in others.items():
        print(f"{value:12.3f}  {name}")
    profiles = {
        decoder: floor(shift, decoder=decoder) for decoder in ("multiple-points", "projection")
    }
    profiles["circuit, 32 stimuli, single units, multiple-points"] = floor(SHIFT_SOC)
    profiles["circuit, 8 stimuli, multiple-points"] = floor(shift, cortex="soc")
    for what, spent in profiles.items():
        print(f"\nmicroseconds per trial and step, {what}, native vector 256")
        for name, value in spent.items():
            print(f"{value:12.3f}  {name}")
    if arguments.compare:
        earlier = json.loads((HISTORY / f"{arguments.compare}.json").read_text())
        print(f"\nx Reacher, beside commit {arguments.compare} of {earlier['date']}")
        print("\n".join(compared(rates, earlier["steps_per_s"])))
    if arguments.keep:
        packages = ("ndbmi-gym", "gymnasium", "numpy", "numba", "mujoco")
        record = {
            "commit": commit(),
            "date": date.today().isoformat(),
            "steps_per_s": rates,
            "pictures_per_s": drawn,
            "others": others,
            "microseconds": profiles,
            "machine": {"python": platform.python_version(), "processor": platform.machine()},
            "versions": {name: version(name) for name in packages},
        }
        file = HISTORY / f"{record['commit']}.json"
        file.write_text(json.dumps(record, indent=1) + "\n")
        print(f"\nkept in {file}")


if __name__ == "__main__":
    main()
