"""The circuit in the closed loop, beside the paper's cortex and controls: cases, measurements."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from ndbmi_gym.cortex.soc.cortex import SOC, WINDOW_S
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    from_rows,
    where,
)
from ndbmi_gym.experiments.protocol.conditions import (
    FIELDS,
    loop_with,
    path_errors,
    run_loop,
    starts_of,
)
from ndbmi_gym.experiments.protocol.runs import Runs
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.presets import Preset
from ndbmi_gym.streams import experiment_rng

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
    electrodes: int = SOC.electrodes

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
        if self.electrodes != SOC.electrodes:
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
"""With the single units of ``ShiftTargetSOC-v1``."""


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
        counts = (
            loop.rates("decoding").profile(np.arange(loop.cortex.n_stimuli), None).sum(axis=(1, 2))
        )
        decoding.append(
            asdict(case)
            | {
                "animal": animal,
                "identified": identified(
                    loop, experiment_rng(seed, animal, repr(case), "decoding")
                ),
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
        rng = experiment_rng(seed, animal, repr(case), field, decoder)
        own = {"field": field, "decoder": decoder, "animal": animal}
        rows.append(asdict(case) | own | outcome(preset, *run_loop(preset, loop, rng, starts)))
    return from_rows(rows)


def outcome(preset: Preset, runs: Runs, ideal: Runs) -> dict[str, float]:
    """Share of convergent runs; mean wtpe (cm) and steps of these, NaN if there are none."""
    error, arrived = path_errors(preset, runs, ideal), runs.convergent
    return {
        "convergent": float(arrived.mean()),
        "wtpe": float(error[arrived].mean()) if arrived.any() else np.nan,
        "steps": float(runs.entered[arrived].mean()) if arrived.any() else np.nan,
    }


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
