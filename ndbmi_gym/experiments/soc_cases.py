"""The circuit in the closed loop, beside the paper's cortex and controls: cases, measurements."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.linalg import expm

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc import WINDOW_S, SOCCortex, SOCOptions
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments import conditions
from ndbmi_gym.experiments.conditions import (
    FIELDS,
    loop_with,
    run_loop,
    starts_of,
    stream,
)
from ndbmi_gym.experiments.protocol import FloatArray, wtpe
from ndbmi_gym.experiments.records import JSON, Table, Tables, from_rows, where
from ndbmi_gym.experiments.volition import N_TARGETS, command_runs
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.inversion import expected_projection
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.policies import make_policy
from ndbmi_gym.presets import Preset
from ndbmi_gym.transients import TAU_S

STIMULI = (8, 32)
_SETS = {8: 5, 32: 6}  # the paper's sets of as many stimuli

CORTICES = (
    "topographic",
    "soc",
    "shuffled",
    "shuffled, matched",
    "scaled",
    "scaled, matched",
    "symmetric",
    "symmetric, matched",
)
"""The paper's cortex, the circuit, and its controls at the circuit's amplitude or its signal."""

WINDOWS_S = (0.05, 0.1, 0.2, 0.3, 0.6)
N_STARTS, REPETITIONS = 24, 5

_PAPERS_WINDOW_S = Preset.window_s
_TESTED = 50  # responses per stimulus that decoding is tested with
_TRIALS = 100  # of the shift task, per policy
_SHIFT_STEPS = 25  # its limit
DIRECTIONS = 16
"""In which reach is measured, from +x on."""


@dataclass(frozen=True)
class Case:
    """A cortex in the loop.

    Attributes
    ----------
    cortex : str
        One of `CORTICES`.
    stimuli : int
        8 or 32; for the paper's cortex its sets 5 and 6.
    window_s : float
        Recording window, s. The paper's cortex keeps its rates: shorter windows hold fewer spikes.
    carry : bool
        Whether the circuit's state is carried from step to step.
    core : {"linear", "nonlinear"}
    units : int
        Units per electrode of the circuit; 0: the default, 1 with 8 stimuli and 4 with 32.
    electrodes : int
        Of the circuit.
    """

    cortex: str = "soc"
    stimuli: int = 8
    window_s: float = WINDOW_S
    carry: bool = False
    core: str = "linear"
    units: int = 0
    electrodes: int = SOCOptions.electrodes

    def options(self) -> dict[str, Any]:
        """Options of `ndbmi_gym.config.Config`."""
        if self.cortex == "topographic":
            gain = self.window_s / _PAPERS_WINDOW_S
            return {"dataset": _SETS[self.stimuli], "window_s": self.window_s, "gain": gain}
        control, _, matched = self.cortex.partition(", ")
        cortex = {
            "kind": "soc",
            "stimuli": self.stimuli,
            "control": "none" if control == "soc" else control,
            "match_signal": bool(matched),
            "carry": self.carry,
            "core": self.core,
            "units": self.units or None,
            "electrodes": self.electrodes,
        }
        return {"cortex": cortex, "window_s": self.window_s}

    def make_loop(
        self, preset: Preset, animal: int, field: str = FIELDS[0], decoder: str = DECODERS[0]
    ) -> ClosedLoop:
        """The closed loop of an animal."""
        return loop_with(preset, self.options(), field, decoder, animal)

    @property
    def name(self) -> str:
        """The cortex, and in what it is unusual."""
        extra = [self.core] if self.core != "linear" else []
        if self.electrodes != SOCOptions.electrodes:
            extra.append(f"{self.electrodes} electrodes")
        return ", ".join([self.cortex, *extra, *(["carried"] if self.carry else [])])

    @property
    def lows(self) -> tuple[float, ...]:
        """Least volition to try, in units of full volition; the paper's is positive."""
        return (0.0,) if self.cortex == "topographic" else (0.0, -1.0)

    def rows(self, table: Table, **values: Any) -> Table:
        """The case's rows of a table, of those with the given values."""
        return where(table, **asdict(self), **values)


def _usual(cortex: str, stimuli: int) -> Case:
    return Case(cortex, stimuli, _PAPERS_WINDOW_S if cortex == "topographic" else WINDOW_S)


STRUCTURE = (
    *(_usual(cortex, stimuli) for stimuli in STIMULI for cortex in CORTICES),
    *(Case("soc", stimuli, core="nonlinear") for stimuli in STIMULI),
    # as many electrodes as the paper's sets 5 and 6 have, and somewhat more spikes
    Case("soc", 8, electrodes=4),
    Case("soc", 32, electrodes=9, units=2),
)
WINDOWS = tuple(
    Case(cortex, stimuli, window_s)
    for stimuli in STIMULI
    for cortex in ("topographic", "soc", "shuffled, matched", "scaled, matched")
    for window_s in WINDOWS_S
)
CARRY = tuple(
    Case("soc", stimuli, window_s, carry)
    for stimuli in STIMULI
    for carry in (False, True)
    for window_s in WINDOWS_S
)
VOLITION = (
    _usual("topographic", 32),
    *(Case(cortex, 32, units=1) for cortex in CORTICES[1:] if "symmetric" not in cortex),
    Case("soc", 32, carry=True, units=1),
    Case("soc", 8),
)
"""With the single units of ``ShiftTargetSOC-v0``."""


def run_cases(
    cases: Sequence[Case],
    preset: Preset,
    animal: int,
    seed: int,
    decoders: Sequence[str] = DECODERS,
) -> Tables:
    """Run the protocol in one animal for cases, both fields and some decoders.

    Returns
    -------
    Tables
        ``loops``: share of convergent runs, mean wtpe (cm) and steps of these, by case, field and
        decoder. ``decoding``: how well single responses tell their stimulus, on how many electrodes
        and by how many spikes, by case.
    """
    loops = run_loops(cases, preset, animal, seed, decoders)
    decoding = []
    for case in cases:
        loop = case.make_loop(preset, animal)
        counts = loop.cortex.profile(np.arange(loop.cortex.n_stimuli), None).sum(axis=(1, 2))
        decoding.append(
            asdict(case)
            | {
                "animal": animal,
                "accuracy": identified(loop, stream(seed, animal, repr(case), "decoding")),
                "recorded": loop.cortex.n_electrodes,
                "spikes": float(counts.mean()),
            }
        )
    return {"loops": loops, "decoding": from_rows(decoding)}


def run_loops(
    cases: Sequence[Case], preset: Preset, animal: int, seed: int, decoders: Sequence[str]
) -> Table:
    """The ``loops`` of `run_cases`."""
    starts = starts_of(animal, seed, N_STARTS, REPETITIONS)
    rows = []
    for case, field, decoder in product(cases, FIELDS, decoders):
        loop = case.make_loop(preset, animal, field, decoder)
        rng = stream(seed, animal, repr(case), field, decoder)
        runs, ideal = run_loop(preset, loop, rng, starts)
        error, arrived = wtpe(runs, ideal), runs.convergent
        own = {"field": field, "decoder": decoder, "animal": animal}
        rows.append(
            asdict(case)
            | own
            | {
                "convergent": float(arrived.mean()),
                "wtpe": float(error[arrived].mean()) if arrived.any() else np.nan,
                "steps": float(runs.entered[arrived].mean()) if arrived.any() else np.nan,
            }
        )
    return from_rows(rows)


def identified(loop: ClosedLoop, rng: np.random.Generator, trials: int | None = None) -> float:
    """Share of fresh single responses whose place in the MDS plane is nearest to their own site.

    Parameters
    ----------
    loop : ClosedLoop
    rng : numpy.random.Generator
    trials : int, optional
        Per stimulus; by default 50.
    """
    stimulus = np.repeat(np.arange(loop.cortex.n_stimuli), trials or _TESTED)
    trains = loop.cortex.respond(stimulus, None, rng).trains
    places = loop.interface.decode(trains, "projection")
    return float((loop.interface.sense(places) == stimulus).mean())


def carried_sizes(case: Case, preset: Preset) -> tuple[float, float]:
    """Size of the state that is carried under a lasting stimulus, in units of the prepared one.

    As it is, when one window follows the other; and if the circuit ran on until the end of the
    loop's step. Means over stimuli, of the linear core without volition.
    """
    cortex = Config.from_options({"preset": preset, **case.options()}).make_cortex()
    assert isinstance(cortex, SOCCortex)
    identity = np.eye(cortex.circuit.n_neurons)
    sizes = []
    for time_s in (case.window_s, max(case.window_s, preset.step_s)):
        decay = expm((cortex.circuit.weights - identity) * time_s / TAU_S)
        left = np.linalg.solve(identity - decay, decay @ cortex.prepared.T)
        ratio = np.linalg.norm(left, axis=0) / np.linalg.norm(cortex.prepared, axis=1)
        sizes.append(float(ratio.mean()))
    return sizes[0], sizes[1]


def run_carry(cases: Sequence[Case], preset: Preset, animal: int, seed: int) -> Tables:
    """`run_loops` with the paper's decoders, and the ``sizes`` of what is carried, by case."""
    loops = run_loops(cases, preset, animal, seed, conditions.DECODERS)
    sizes = []
    for case in cases:
        if case.carry:
            size, later = carried_sizes(case, preset)
            sizes.append(asdict(case) | {"size": size, "size_at_step": later})
    return {"loops": loops, "sizes": from_rows(sizes)}


def run_volition(cases: Sequence[Case], preset: Preset, animal: int, seed: int) -> Tables:
    """What volition reaches in one animal.

    Returns
    -------
    Tables
        ``reach``: how far volition within its bounds displaces the expected projected response,
        cm, by direction. ``commands``: share of runs that enter a target's region under the
        constant command towards it, and without volition; and how far from it they settle, cm;
        without and with a curl field. ``policies``: success and steps in the shift task with the
        state in view.
    """
    reached, commands, policies = [], [], []
    for case in cases:
        loop = case.make_loop(preset, animal)
        for low in case.lows:
            key = asdict(case) | {"low": low, "animal": animal}
            for direction, distance in enumerate(reach(loop, low)):
                reached.append(key | {"direction": direction, "reach": distance})
            for curl in (0.0, preset.curl):
                places = stream(seed, animal, "volition starts")
                rng = stream(seed, animal, repr(case), f"{low} {curl}")
                runs = command_runs(preset, loop, rng, places, curl, low)
                places = stream(seed, animal, "volition starts")
                still = command_runs(preset, loop, rng, places, curl, low, moved=False)
                off = np.linalg.norm(runs.settled - runs.targets, axis=1)
                for target in range(N_TARGETS):
                    row = {
                        "curl": curl,
                        "target": target,
                        "arrived": runs.arrived[target],
                        "by_itself": still.arrived[target],
                        "settled_off": off[target],
                    }
                    commands.append(key | row)
            policies += [key | row for row in play(case, preset, animal, seed, low)]
    return {
        "reach": from_rows(reached),
        "commands": from_rows(commands),
        "policies": from_rows(policies),
    }


def reach(loop: ClosedLoop, low: float) -> FloatArray:
    """How far volition displaces the expected projected response in each of 16 directions, cm.

    It says what the map shows of volition at rest, not that nearest responses decode it: a weak
    evoked response is stretched to the workspace (Eq 5), and volition with it. The volition is
    sought among the corners of its box: from the one that the linearised effect favours, single
    entries are flipped as long as that leads farther. Where rates saturate it is a lower bound.

    Parameters
    ----------
    loop : ClosedLoop
    low : float
        Least volition in units of full volition, 0 or −1.
    """
    n_electrodes, small = loop.cortex.n_electrodes, 1e-3
    angle = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    slopes = _displacement(loop, small * np.eye(n_electrodes)) / small
    return np.array([_farthest(loop, low, slopes, np.array([np.cos(a), np.sin(a)])) for a in angle])


def _farthest(loop: ClosedLoop, low: float, slopes: FloatArray, direction: FloatArray) -> float:
    corner = np.where(slopes @ direction > 0, 1.0, low)
    best = float((_displacement(loop, corner[None]) @ direction)[0])
    while True:
        flipped = np.where(np.eye(len(corner), dtype=bool), 1.0 + low - corner, corner)
        found = _displacement(loop, flipped) @ direction
        if found.max() <= best + 1e-9:
            return best
        best, corner = float(found.max()), flipped[found.argmax()]


def _displacement(loop: ClosedLoop, action: FloatArray) -> FloatArray:
    cortex, interface = loop.cortex, loop.interface
    rest = expected_projection(cortex, interface, None, np.zeros((1, cortex.n_electrodes)))
    return expected_projection(cortex, interface, None, action * cortex.max_count) - rest


def play(case: Case, preset: Preset, animal: int, seed: int, low: float) -> list[JSON]:
    """Success and mean steps of floor, Eq 24 and ceiling in the shift task, state in view."""
    trials = int(stream(seed, animal, "shift task").integers(2**31))  # the same for all policies
    rows = []
    for name in ("zero", "eq24", "ceiling"):
        env = BMIVectorEnv(
            _TRIALS,
            max_episode_steps=_SHIFT_STEPS,
            task="shift",
            observe="state",
            animal=animal,
            preset=preset,
            volition="signed" if low < 0 else "positive",
            **case.options(),
        )
        seen, _ = env.reset(seed=trials)
        policy = make_policy(name, env)
        steps = np.full(_TRIALS, _SHIFT_STEPS)
        running, arrived = np.ones(_TRIALS, bool), np.zeros(_TRIALS, bool)
        for step in range(1, _SHIFT_STEPS + 1):
            action, _ = policy.predict(seen)
            seen, _, ended, _, _ = env.step(action)
            now = ended & running
            steps[now], arrived[now] = step, True
            running &= ~ended
        rows.append(
            {"policy": name, "success": float(arrived.mean()), "steps": float(steps.mean())}
        )
    return rows
