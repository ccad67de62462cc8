"""The circuit in the closed loop, beside the paper's cortex and controls: cases, measurements."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ndbmi_gym.commands import expected_projection
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.conditions import (
    FIELDS,
    circuit,
    loop_with,
    run_loop,
    starts_of,
    stream,
)
from ndbmi_gym.experiments.protocol import FloatArray, wtpe
from ndbmi_gym.experiments.records import JSON, Table, Tables, where
from ndbmi_gym.experiments.volition import command_runs
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.policies import make_policy
from ndbmi_gym.presets import Preset

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
"""The paper's cortex, the circuit, and its controls at the circuit's amplitude or evoked energy."""

WINDOWS_S = (0.05, 0.1, 0.2, 0.3, 0.6)
N_STARTS, REPETITIONS = 24, 5

_PAPERS_WINDOW_S, _WINDOW_S = 0.6, 0.3
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
    """

    cortex: str = "soc"
    stimuli: int = 8
    window_s: float = _WINDOW_S
    carry: bool = False
    core: str = "linear"
    units: int = 0

    def options(self) -> dict[str, Any]:
        """Options of `ndbmi_gym.config.Config`."""
        if self.cortex == "topographic":
            gain = self.window_s / _PAPERS_WINDOW_S
            return {"dataset": _SETS[self.stimuli], "window_s": self.window_s, "gain": gain}
        control, _, matched = self.cortex.partition(", ")
        return circuit(
            self.stimuli,
            self.window_s,
            control="none" if control == "soc" else control,
            match_energy=bool(matched),
            carry=self.carry,
            core=self.core,
            units=self.units or None,
        )

    def make_loop(
        self, preset: Preset, subject: int, field: str = FIELDS[0], decoder: str = DECODERS[0]
    ) -> ClosedLoop:
        """The closed loop of an animal."""
        return loop_with(preset, self.options(), field, decoder, subject)

    @property
    def name(self) -> str:
        """The cortex, and in what it is unusual."""
        extra = [self.core] if self.core != "linear" else []
        return ", ".join([self.cortex, *extra, *(["carried"] if self.carry else [])])

    @property
    def lows(self) -> tuple[float, ...]:
        """Least volition to try, in units of full volition; the paper's is positive."""
        return (0.0,) if self.cortex == "topographic" else (0.0, -1.0)

    def rows(self, table: Table, **values: Any) -> Table:
        """The case's rows of a table, of those with the given values."""
        return where(table, **asdict(self), **values)


def _usual(cortex: str, stimuli: int) -> Case:
    return Case(cortex, stimuli, _PAPERS_WINDOW_S if cortex == "topographic" else _WINDOW_S)


STRUCTURE = (
    *(_usual(cortex, stimuli) for stimuli in STIMULI for cortex in CORTICES),
    *(Case("soc", stimuli, core="nonlinear") for stimuli in STIMULI),
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
    subject: int,
    seed: int,
    decoders: Sequence[str] = DECODERS,
) -> Tables:
    """Run the protocol in one animal for cases, both fields and some decoders.

    Returns
    -------
    Tables
        ``loops``: share of convergent runs, mean wtpe (cm) and steps of these, by case, field and
        decoder. ``decoding``: how well single responses tell their stimulus, by case.
    """
    starts = starts_of(subject, seed, N_STARTS, REPETITIONS)
    rows, decoding = [], []
    for case in cases:
        for field in FIELDS:
            for decoder in decoders:
                loop = case.make_loop(preset, subject, field, decoder)
                rng = stream(seed, subject, repr(case), field, decoder)
                runs, ideal = run_loop(preset, loop, rng, starts)
                error, arrived = wtpe(runs, ideal), runs.convergent
                row = asdict(case) | {"field": field, "decoder": decoder, "subject": subject}
                rows.append(
                    row
                    | {
                        "convergent": float(arrived.mean()),
                        "wtpe": float(error[arrived].mean()) if arrived.any() else np.nan,
                        "steps": float(runs.entered[arrived].mean()) if arrived.any() else np.nan,
                    }
                )
        accuracy = identified(loop, stream(seed, subject, repr(case), "decoding"))
        decoding.append(asdict(case) | {"subject": subject, "accuracy": accuracy})
    return {"loops": _table(rows), "decoding": _table(decoding)}


def identified(loop: ClosedLoop, rng: np.random.Generator) -> float:
    """Share of fresh single responses whose place in the MDS plane is nearest to their own site."""
    stimulus = np.repeat(np.arange(loop.cortex.n_stimuli), _TESTED)
    trains = loop.cortex.respond(stimulus, None, rng).trains
    places = loop.interface.decode(trains, "projection")
    return float((loop.interface.sense(places) == stimulus).mean())


def run_volition(cases: Sequence[Case], preset: Preset, subject: int, seed: int) -> Tables:
    """What volition reaches in one animal.

    Returns
    -------
    Tables
        ``reach``: how far volition within its bounds displaces the expected projected response, cm,
        by direction. ``commands``: under the constant command towards four targets, the share of
        runs that enter a target's region, and how far from it they settle (cm), without and with a
        curl field. ``policies``: success and steps in the shift task with the state in view.
    """
    reached, commands, policies = [], [], []
    for case in cases:
        loop = case.make_loop(preset, subject)
        for low in case.lows:
            key = asdict(case) | {"low": low, "subject": subject}
            for direction, distance in enumerate(reach(loop, low)):
                reached.append(key | {"direction": direction, "reach": distance})
            for curl in (0.0, preset.curl):
                rng = stream(seed, subject, repr(case), f"{low} {curl}")
                places = stream(seed, subject, "volition starts")
                runs = command_runs(preset, loop, rng, places, curl, low)
                off = np.linalg.norm(runs.settled - runs.targets, axis=1)
                for target, (arrived, miss) in enumerate(zip(runs.arrived, off, strict=True)):
                    row = {"curl": curl, "target": target, "arrived": arrived, "settled_off": miss}
                    commands.append(key | row)
            policies += [key | row for row in play(case, subject, seed, low)]
    return {"reach": _table(reached), "commands": _table(commands), "policies": _table(policies)}


def reach(loop: ClosedLoop, low: float) -> FloatArray:
    """How far volition displaces the expected projected response in each of 16 directions, cm.

    It says what the map shows of volition, not that nearest responses decode it: a weak evoked
    response is stretched to the workspace (Eq 5), and volition with it. The volition is, on every
    electrode, the end of its range that the linearised effect favours.

    Parameters
    ----------
    loop : ClosedLoop
    low : float
        Least volition in units of full volition, 0 or −1.
    """
    angle = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    directions = np.column_stack((np.cos(angle), np.sin(angle)))
    small = 1e-3
    slopes = _displacement(loop, small * np.eye(loop.cortex.n_units)) / small
    best = np.where(slopes @ directions.T > 0, 1.0, low).T
    return np.asarray((_displacement(loop, best) * directions).sum(axis=1))


def _displacement(loop: ClosedLoop, action: FloatArray) -> FloatArray:
    cortex, interface = loop.cortex, loop.interface
    rest = expected_projection(cortex, interface, None, np.zeros((1, cortex.n_units)))
    return expected_projection(cortex, interface, None, action * cortex.max_count) - rest


def play(case: Case, subject: int, seed: int, low: float) -> list[JSON]:
    """Success and mean steps of floor, Eq 24 and ceiling in the shift task, state in view.

    Plant and field are the default preset's.
    """
    rows = []
    for name in ("zero", "eq24", "ceiling"):
        env = BMIVectorEnv(
            _TRIALS,
            max_episode_steps=_SHIFT_STEPS,
            task="shift",
            observe="state",
            subject=subject,
            volition="signed" if low < 0 else "positive",
            **case.options(),
        )
        seen, _ = env.reset(seed=seed)
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


def _table(rows: Sequence[JSON]) -> Table:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
