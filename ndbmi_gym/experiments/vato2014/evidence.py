"""What the claims are judged on: from the figures' tables, or measured at once for a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.experiments.bench.statistics import (
    Tukey,
    tukey,
)
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    where,
)
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    FIELDS,
    Measured,
    Measurements,
    Setting,
    animal_means,
    conditions,
    measure_settings,
)
from ndbmi_gym.experiments.protocol.geometry import (
    f_factor_misfit,
    make_interface,
    map_geometry,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)
from ndbmi_gym.experiments.protocol.volition import SHIFTED, run_volition, shift_shares
from ndbmi_gym.experiments.vato2014.both_interfaces import linear_measures, run_both
from ndbmi_gym.presets import Preset


@dataclass(frozen=True)
class Evidence:
    """What the claims are judged on; the first axis of every array is the animal.

    Attributes
    ----------
    measured : dict of Setting to Measured
        Figs 6 to 11 and the short windows.
    volition : dict of str to ndarray (A, 4)
        Fig 12, by target: share of runs that arrive, ``"arrived"``, and that do without volition,
        ``"unmoved"``; whether runs settle there, ``"shifted"``; their mean ``"turn"``. The same in
        a curl field: ``"curl arrived"`` and so on.
    geometry : dict of str to ndarray (A,)
        Fig 4, the shares of `ndbmi_gym.experiments.protocol.geometry.Geometry` by "name set".
    linear : dict of str to ndarray (A,)
        Section "earlier interface":
        `ndbmi_gym.experiments.vato2014.both_interfaces.linear_measures`.
    """

    measured: Measurements
    volition: dict[str, FloatArray]
    geometry: dict[str, FloatArray]
    linear: dict[str, FloatArray]

    def means(self, condition: str, field: str, decoder: str = DECODERS[0]) -> FloatArray:
        """Mean wtpe by animal, (A,)."""
        return animal_means(self.measured[Setting(condition, field, decoder)])

    @property
    def animals(self) -> int:
        """Number of animals."""
        return min(len(found.wtpe) for found in self.measured.values())

    def convergent(self, condition: str, field: str) -> FloatArray:
        """Share of convergent runs by animal, (A,)."""
        wtpe = self.measured[Setting(condition, field, DECODERS[0])].wtpe
        return np.asarray(np.isfinite(wtpe).mean(axis=1))

    def ratios(self, condition: str, reference: str, field: str) -> FloatArray:
        """Ratio of mean wtpe by animal, (A,)."""
        return self.means(condition, field) / self.means(reference, field)

    def tests(
        self, condition: str, reference: str, group: tuple[str, ...], field: str
    ) -> list[Tukey | None]:
        """The text's test of a condition against a reference in a group, by animal."""
        runs = [self.measured[Setting(c, field, DECODERS[0])].wtpe for c in group]
        i, j = group.index(condition), group.index(reference)
        return [tukey(list(one), i, j) for one in zip(*runs, strict=True)]


def from_tables(figures: Mapping[str, Tables]) -> Evidence:
    """Evidence from the pooled tables of all figures, by figure name."""
    measured: Measurements = {}
    for tables in figures.values():
        if "runs" in tables:
            measured |= _measurements(tables["runs"])
    volition = figures["fig12"]["shares"]
    shape = (len(np.unique(volition["animal"])), -1)
    curls = {"": 0.0, "curl ": volition["curl"][volition["curl"] > 0].min()}
    shares = figures["fig4"]["shares"]
    linear = figures["linear"]["shares"]
    return Evidence(
        measured=measured,
        volition={
            prefix + name: where(volition, curl=curl)[name].reshape(shape)
            for prefix, curl in curls.items()
            for name in SHIFTED
        },
        geometry={
            f"{name} set {number}": where(shares, set=number)[name]
            for number in np.unique(shares["set"])
            for name in shares
            if name not in ("set", "animal", "f_x", "f_y")
        },
        linear={name: linear[name] for name in linear if name != "animal"},
    )


def f_factors(shares: Table) -> dict[int, FloatArray]:
    """Geometric mean over animals of the two f factors of every set, from Fig 4's table."""
    found = {}
    for number in np.unique(shares["set"]):
        rows = where(shares, set=number)
        found[int(number)] = _geometric_mean(np.column_stack((rows["f_x"], rows["f_y"])))
    return found


def gather(
    preset: Preset, animals: Sequence[int], seed: int, fast: bool = False
) -> tuple[Evidence, float]:
    """Measure what the claims need, and the misfit of the f factors.

    Parameters
    ----------
    preset : Preset
    animals : sequence of int
    seed : int
    fast : bool
        For a search. Half of the runs, each counted twice, so that the text's tests see its 240;
        and no second decoder with set 7, whose distances take longest: it is taken to be the first.
    """
    parts = [_gather_one(preset, animal, seed, fast) for animal in animals]
    first = parts[0]
    evidence = Evidence(
        measured={
            setting: Measured(
                np.stack([part.measured[setting].wtpe for part in parts]),
                np.stack([part.measured[setting].steps for part in parts]),
            )
            for setting in first.measured
        },
        volition={n: np.stack([part.volition[n] for part in parts]) for n in first.volition},
        geometry={n: np.array([part.geometry[n] for part in parts]) for n in first.geometry},
        linear={n: np.array([part.linear[n] for part in parts]) for n in first.linear},
    )
    factors = {n: _geometric_mean([part.f_factors[n] for part in parts]) for n in first.f_factors}
    return evidence, f_factor_misfit(factors)


def _geometric_mean(rows: npt.ArrayLike) -> FloatArray:
    """Over the first axis."""
    return np.asarray(np.exp(np.log(rows).mean(axis=0)))


class _Part(NamedTuple):
    """Evidence of one animal."""

    measured: Measurements
    volition: dict[str, FloatArray]
    geometry: dict[str, float]
    linear: dict[str, float]
    f_factors: dict[int, FloatArray]


def _gather_one(preset: Preset, animal: int, seed: int, fast: bool) -> _Part:
    measured: Measurements = {}
    geometry: dict[str, float] = {}
    factors: dict[int, FloatArray] = {}

    def look_at_map(number: int) -> None:
        found = map_geometry(make_interface(preset, number, animal), number)
        factors[number] = found.f_factors
        geometry.update({f"{n} set {number}": getattr(found, n) for n in found._fields[:-1]})

    for number in (1, 2, 3, 4):
        look_at_map(number)
    repetitions = 5 if fast else 10
    for condition, options in conditions(preset).items():
        if condition.startswith(("truncated", "window")) and " 50 ms" not in condition:
            continue
        compared = ("set 5", "set 6") if fast else ("set 5", "set 6", "set 7")
        decoders = DECODERS if condition in compared else DECODERS[:1]
        settings = [Setting(condition, field, decoder) for field in FIELDS for decoder in decoders]
        found = measure_settings(preset, settings, (animal,), seed, repetitions=repetitions)
        for setting, (error, steps) in found.items():
            times = 10 // repetitions
            measured[setting] = Measured(np.tile(error[0], times), np.tile(steps[0], times))
        if "dataset" in options:  # its calibration is still at hand
            look_at_map(options["dataset"])
    if fast:
        for field in FIELDS:
            first, second = (Setting("set 7", field, decoder) for decoder in DECODERS)
            measured[second] = measured[first]

    volition = {
        prefix + name: column
        for prefix, curl in (("", 0.0), ("curl ", preset.curl))
        for name, column in shift_shares(
            *(run_volition(preset, animal, seed, curl, moved=moved) for moved in (True, False))
        ).items()
    }
    linear = linear_measures(preset, run_both(preset, animal, seed))
    return _Part(measured, volition, geometry, linear, factors)


def _measurements(runs: Table) -> Measurements:
    """Runs by setting, (A, B)."""
    measured = {}
    for condition in dict.fromkeys(runs["condition"].tolist()):
        for field in FIELDS:
            for decoder in DECODERS:
                rows = where(runs, condition=condition, field=field, decoder=decoder)
                shape = (len(np.unique(rows["animal"])), -1)
                measured[Setting(condition, field, decoder)] = Measured(
                    rows["wtpe"].reshape(shape), rows["steps"].reshape(shape)
                )
    return measured
