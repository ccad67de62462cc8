"""The 24 published findings as statistical criteria on measurements.

Every claim is a list of checks: a quantity with its 95 % interval over animals, and a bound. A
check holds if the interval lies on the right side of the bound, does not hold if it lies on the
wrong side, and is undecided otherwise; a claim holds if all its checks do, and does not if one does
not.

Two kinds of quantity serve: ratios of mean wtpe (geometric mean over animals, Student's interval
on logarithms), and the share of animals in which something is so (Clopper-Pearson), for instance
that the text's own test, one-way ANOVA and Tukey's HSD at p < 0.01 on the 240 runs of one animal,
comes out as published. "Significantly" asks for both: a ratio on the right side of 1, and more
animals with a significant difference than without. "Not significantly" asks for a rise below 10 %
and more animals without a significant rise than with one. wtpe is of convergent runs, which would
make a condition that loses the hard runs look robust: claims of robustness ask for convergence too.
A comparison that cannot be made in every animal, since too few runs converge, is undecided; so is
every claim with fewer than ten animals. Where the text gives no number, the bounds are chosen and
stated. Decoding is by multiple points, unless the claim compares decoders. Intervals are not
corrected for the number of checks.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.experiments.conditions import (
    ALPHAS,
    DECODERS,
    REFERENCE,
    SHAPES,
    Measurements,
    Setting,
    animal_means,
)
from ndbmi_gym.experiments.statistics import (
    Interval,
    Tukey,
    mean_interval,
    ratio_interval,
    share_interval,
    tukey,
)

FloatArray = npt.NDArray[np.float64]

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"

MIN_ANIMALS = 10
"""Fewer decide nothing: one lucky calibration could."""


@dataclass(frozen=True)
class Evidence:
    """What the claims are judged on; the first axis of every array is the animal.

    Attributes
    ----------
    measured : dict of Setting to Measured
        Figs 6 to 11 and the short windows.
    volition : dict of str to ndarray (A, 4)
        Fig 12: ``"arrived"`` and ``"shifted"`` by target, ``"curl arrived"``, and the mean turn
        without and with a curl field, ``"turn"`` and ``"curl turn"``.
    geometry : dict of str to ndarray (A,)
        Fig 4, the shares of `ndbmi_gym.experiments.geometry.Geometry` by "name set".
    linear : dict of str to ndarray (A,)
        Section "earlier interface": share of convergent runs of the linear interface on a linear
        field, ``"linear"``; of this one on the dipole, ``"dipole"``; and whether the linear one
        refused the dipole, ``"refused"``.
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


class Check(NamedTuple):
    """A quantity and its bound.

    Attributes
    ----------
    what : str
    interval : Interval
    bound : float
    above : bool
        Whether the quantity should lie above the bound, or below.
    scale : float
        What counts as a margin of 1 in a search.
    """

    what: str
    interval: Interval
    bound: float
    above: bool
    scale: float

    @property
    def verdict(self) -> str:
        """Holds, does not hold or undecided."""
        low, high = self.interval.low, self.interval.high
        if not (np.isfinite(low) and np.isfinite(high)):
            return UNDECIDED
        if (low > self.bound) if self.above else (high < self.bound):
            return HOLDS
        if (high < self.bound) if self.above else (low > self.bound):
            return FAILS
        return UNDECIDED

    @property
    def margin(self) -> float:
        """Signed distance of the estimate to the bound, within [−2, 1]; −2 without estimate."""
        if not np.isfinite(self.interval.estimate):
            return -2.0
        distance = (self.interval.estimate - self.bound) / self.scale
        return float(np.clip(distance if self.above else -distance, -2.0, 1.0))

    def __str__(self) -> str:
        return f"{self.what} {self.interval} {'>' if self.above else '<'} {self.bound:.2f}"


@dataclass(frozen=True)
class Claim:
    """A published finding.

    Attributes
    ----------
    id : str
    where : str
        Figure or section of the text.
    statement : str
        What the text says.
    checks : callable
        Evidence to list of `Check`.
    """

    id: str
    where: str
    statement: str
    checks: Callable[[Evidence], list[Check]]


class Finding(NamedTuple):
    """A claim, judged."""

    claim: Claim
    checks: list[Check]
    animals: int

    @property
    def verdict(self) -> str:
        """Holds, does not hold or undecided."""
        if self.animals < MIN_ANIMALS or not self.checks:
            return UNDECIDED
        verdicts = [check.verdict for check in self.checks]
        if FAILS in verdicts:
            return FAILS
        return UNDECIDED if UNDECIDED in verdicts else HOLDS

    @property
    def margin(self) -> float:
        """The least margin of the checks."""
        return min((check.margin for check in self.checks), default=-2.0)


def judge(evidence: Evidence) -> list[Finding]:
    """Judge all claims."""
    return [Finding(claim, claim.checks(evidence), evidence.animals) for claim in CLAIMS]


# groups of the text's analyses of variance
_STIMULI = ("set 5", REFERENCE, "set 7")
_FLATTEN = (REFERENCE, *(f"flatten {a}" for a in ALPHAS))
_SHAPE = (REFERENCE, *(f"shape {k}" for k in SHAPES))
_BROKEN = (REFERENCE, "misplaced electrode", "lost site")
_MODERATE = ALPHAS[:3]

_RATIO = 0.3  # a margin of 1: 30 % in a ratio
_SHARE = 0.5


def _ratio(what: str, ratios: FloatArray, bound: float, above: bool) -> Check:
    return Check(what, ratio_interval(ratios), bound, above, _RATIO * bound)


def _share(what: str, hits: Iterable[bool | None]) -> Check:
    """More animals than not; undecided if one could not be tested."""
    hits = list(hits)
    tested = None not in hits
    interval = share_interval(sum(map(bool, hits)), len(hits) if tested else 0)
    return Check(what, interval, 0.5, True, _SHARE)


def _all_converge(e: Evidence, condition: str, field: str) -> Check:
    shares = mean_interval(e.convergent(condition, field))
    return Check(f"{condition}: share of runs that converge", shares, 0.9, True, 0.1)


def _significant(
    e: Evidence, c: str, ref: str, group: tuple[str, ...], field: str, up: bool
) -> list[Check]:
    tests = e.tests(c, ref, group, field)
    agree = [t and (t.rises if up else t.falls) for t in tests]
    return [
        _ratio(f"{c} / {ref}", e.ratios(c, ref, field), 1.0, up),
        _share("animals with p < 0.01", agree),
    ]


def _insignificant(
    e: Evidence, c: str, ref: str, group: tuple[str, ...], field: str
) -> list[Check]:
    tests = e.tests(c, ref, group, field)
    return [
        _ratio(f"{c} / {ref}", e.ratios(c, ref, field), 1.1, False),
        _share("animals without a significant rise", [t and not t.rises for t in tests]),
        _all_converge(e, c, field),
    ]


def _no_gain_to_32(e: Evidence) -> list[Check]:
    return _insignificant(e, "set 5", REFERENCE, _STIMULI, "gaussian")


def _decoders_alike(e: Evidence) -> list[Check]:
    checks = []
    for field in ("gaussian", "dipole"):
        for condition in _STIMULI:
            ratios = e.means(condition, field, DECODERS[1]) / e.means(condition, field)
            name = f"{field}, {condition}: single / multiple"
            checks += [_ratio(name, ratios, 0.8, True), _ratio(name, ratios, 1.25, False)]
    return checks


def _stable(e: Evidence) -> list[Check]:
    return [
        *(
            _ratio(f"α = {a} / 0", e.ratios(f"flatten {a}", REFERENCE, "gaussian"), bound, False)
            for a, bound in zip(_MODERATE, (1.25, 1.25, 1.5), strict=True)
        ),
        _all_converge(e, f"flatten {_MODERATE[-1]}", "gaussian"),
    ]


def _collapse(e: Evidence, field: str) -> Check:
    return _ratio("α = 0.9 / 0", e.ratios("flatten 0.9", REFERENCE, field), 1.5, True)


def _collapse_at_last(e: Evidence) -> list[Check]:
    return [
        _collapse(e, "gaussian"),
        _ratio("α = 0.7 / 0", e.ratios("flatten 0.7", REFERENCE, "gaussian"), 1.5, False),
        _ratio("α = 0.9 / 0.7", e.ratios("flatten 0.9", "flatten 0.7", "gaussian"), 1.25, True),
    ]


def _onset(e: Evidence, field: str) -> list[int | None]:
    """Index of the lowest α from which on all deteriorations are significant, by animal.

    None where runs are too few to tell.
    """
    onsets: list[int | None] = [len(ALPHAS)] * e.animals
    for i in range(len(ALPHAS) - 1, -1, -1):
        tests = e.tests(_FLATTEN[i + 1], REFERENCE, _FLATTEN, field)
        for animal, test in enumerate(tests):
            if test is None:
                onsets[animal] = None
            elif test.rises and onsets[animal] == i + 1:
                onsets[animal] = i
    return onsets


def _dipole_first(e: Evidence) -> list[Check]:
    pairs = list(zip(_onset(e, "dipole"), _onset(e, "gaussian"), strict=True))
    earlier = [None if d is None or g is None else d < g for d, g in pairs]
    early = [None if d is None else d <= 2 for d, _ in pairs]
    return [
        _share("animals with p < 0.01 from α = 0.7 or lower on", early),
        _share("animals in which it begins at a lower α than the Gaussian's", earlier),
    ]


def _gaussian_shapes(e: Evidence) -> list[Check]:
    checks = []
    for k in SHAPES:
        ratios = e.ratios(f"shape {k}", REFERENCE, "gaussian")
        high, low = (1.5, 1 / 1.5) if k < 0.5 or k > 2 else (1.25, 0.8)
        checks += [
            _ratio(f"k = {k:g} / 1", ratios, high, False),
            _ratio(f"k = {k:g} / 1", ratios, low, True),
        ]
    tests = e.tests(_SHAPE[-1], REFERENCE, _SHAPE, "gaussian")
    deviates = [[t and getattr(t, direction) for t in tests] for direction in ("falls", "rises")]
    return [
        *checks,
        _share(f"animals in which k = {SHAPES[-1]:g} deviates, p < 0.01", max(deviates, key=_hits)),
        _all_converge(e, _SHAPE[1], "gaussian"),
    ]


def _hits(hits: Iterable[bool | None]) -> int:
    return sum(map(bool, hits))


def _dipole_shapes(e: Evidence) -> list[Check]:
    order = [f"shape {k}" for k in SHAPES if k < 1]
    order += [REFERENCE, *(f"shape {k}" for k in SHAPES if k > 1)]
    trend = [
        np.polyfit(np.arange(len(order)), np.log(line), 1)[0] if np.isfinite(line).all() else np.nan
        for line in zip(*(e.means(c, "dipole") for c in order), strict=True)
    ]
    worse, significant = _significant(e, _SHAPE[1], REFERENCE, _SHAPE, "dipole", True)
    return [
        worse._replace(bound=1.25),
        significant,
        Check("trend of log error per step in k", mean_interval(trend), 0.0, False, 0.05),
    ]


def _robust_to_100(e: Evidence) -> list[Check]:
    return [
        _ratio("100 / 0", e.ratios("spontaneous 100", REFERENCE, "gaussian"), 1.2, False),
        _all_converge(e, "spontaneous 100", "gaussian"),
    ]


def _dipole_spontaneous(e: Evidence) -> list[Check]:
    dipole = e.ratios("spontaneous 100", REFERENCE, "dipole")
    gaussian = e.ratios("spontaneous 100", REFERENCE, "gaussian")
    return [
        _ratio("40 / 0", e.ratios("spontaneous 40", REFERENCE, "dipole"), 1.25, False),
        _all_converge(e, "spontaneous 40", "dipole"),
        _ratio("100 / 0, dipole / Gaussian", dipole / gaussian, 1.0, True),
    ]


def _forty_percent(e: Evidence) -> list[Check]:
    rises, significant = _significant(e, "misplaced electrode", REFERENCE, _BROKEN, "dipole", True)
    return [
        rises._replace(bound=1.2),
        rises._replace(bound=1.6, above=False),
        significant,
    ]


def _mildly_worse(e: Evidence) -> list[Check]:
    checks = []
    for field in ("gaussian", "dipole"):
        ratios = [e.ratios(f"test flatten {a}", f"flatten {a}", field) for a in _MODERATE]
        mean = np.exp(np.mean(np.log(ratios), axis=0))
        name = f"{field}, α 0.3–0.7: test only / both"
        checks += [_ratio(name, mean, 1.0, True), _ratio(name, mean, 1.5, False)]
    return checks


def _better_at_extreme(e: Evidence) -> list[Check]:
    return [
        _ratio(
            f"{field}, α = 0.9: test only / both",
            e.ratios("test flatten 0.9", "flatten 0.9", field),
            1.0,
            False,
        )
        for field in ("gaussian", "dipole")
    ]


def _arrive(shares: FloatArray) -> Check:
    worst = mean_interval(shares.min(axis=1))
    return Check("share of runs to the hardest target that enter its region", worst, 0.9, True, 0.1)


def _targets(e: Evidence) -> list[Check]:
    shifted = [bool(animal.all()) for animal in e.volition["shifted"]]
    return [
        _arrive(e.volition["arrived"]),
        _share("animals whose runs settle nearer to each target than to the field's own", shifted),
    ]


def _curl(e: Evidence) -> list[Check]:
    turned = (e.volition["curl turn"] - e.volition["turn"]).mean(axis=1)
    return [
        _arrive(e.volition["curl arrived"]),
        Check("turn to the left by the curl field, rad:", mean_interval(turned), 0.0, True, 0.2),
    ]


def _short_windows(e: Evidence) -> list[Check]:
    checks = []
    for field in ("gaussian", "dipole"):
        ratios = e.ratios("window 50 ms", REFERENCE, field)
        checks += [
            _ratio(f"{field}, 50 / 600 ms", ratios, 1.1, False),
            _all_converge(e, "window 50 ms", field),
        ]
    return checks


def _maps(e: Evidence) -> list[Check]:
    missing = np.full(e.animals, np.nan)
    checks = [
        Check(name, mean_interval(e.geometry.get(name, missing)), 0.9, True, 0.1)
        for name in _GEOMETRY
    ]
    skew = e.geometry.get("skew set 1", missing)
    return [
        *checks,
        Check("skew of the two lines of set 1, degrees:", mean_interval(skew), 15.0, False, 10.0),
    ]


_GEOMETRY = (
    "clustered set 1",
    "angle_kept set 1",
    "angle_kept set 2",
    "radius_rises set 2",
    "pair_between set 3",
    "angle_kept set 4",
    "radius_rises set 4",
    "pair_between set 4",
)
"""Shares that should be nearly 1."""


def _linear(e: Evidence) -> list[Check]:
    refused = float(e.linear["refused"].mean())  # a matter of the field, not of the animal
    return [
        Check("the linear interface refuses the dipole", Interval(*[refused] * 3), 0.5, True, 0.5),
        Check(
            "it converges on a linear field in", mean_interval(e.linear["linear"]), 0.9, True, 0.1
        ),
        Check("this one on the dipole in", mean_interval(e.linear["dipole"]), 0.9, True, 0.1),
    ]


CLAIMS: tuple[Claim, ...] = (
    Claim("C1", "Fig 6C", "Gaussian: no gain from 8 to 32 regions", _no_gain_to_32),
    Claim(
        "C2",
        "Fig 6C",
        "Gaussian: error falls significantly from 32 to 128 regions",
        lambda e: _significant(e, "set 7", REFERENCE, _STIMULI, "gaussian", False),
    ),
    Claim(
        "C3",
        "Fig 6E",
        "dipole: error falls significantly from 8 to 32 regions",
        lambda e: _significant(e, "set 5", REFERENCE, _STIMULI, "dipole", True),
    ),
    Claim(
        "C4",
        "Fig 6E",
        "dipole: error falls significantly from 32 to 128 regions",
        lambda e: _significant(e, "set 7", REFERENCE, _STIMULI, "dipole", False),
    ),
    Claim("C5", "Fig 6", "both decoders perform nearly the same", _decoders_alike),
    Claim("C6", "Fig 7B", "Gaussian: stable as α rises, small effects at middling α", _stable),
    Claim(
        "C7",
        "Fig 7B",
        "Gaussian: large deterioration only at α = 0.9",
        _collapse_at_last,
    ),
    Claim("C8", "Fig 7D", "dipole: significant deterioration from a lower α on", _dipole_first),
    Claim(
        "C9",
        "Fig 7D",
        "dipole: large deterioration at the highest α",
        lambda e: [_collapse(e, "dipole")],
    ),
    Claim(
        "C10",
        "Fig 8B",
        "Gaussian: relatively insensitive to k; significant deviation for very regular firing",
        _gaussian_shapes,
    ),
    Claim(
        "C11",
        "Fig 8D",
        "dipole: markedly worse for k below 0.5; error falls as firing gets more regular",
        _dipole_shapes,
    ),
    Claim("C12", "Fig 9B", "Gaussian: less than 20 % worse at spont = 100", _robust_to_100),
    Claim(
        "C13",
        "Fig 9D",
        "dipole: robust at spont = 40, less than the Gaussian at 100",
        _dipole_spontaneous,
    ),
    Claim(
        "C14",
        "Fig 10D",
        "Gaussian: no significant loss with a misplaced recording electrode",
        lambda e: _insignificant(e, "misplaced electrode", REFERENCE, _BROKEN, "gaussian"),
    ),
    Claim(
        "C15",
        "Fig 10D",
        "Gaussian: no significant loss with an ineffective stimulation site",
        lambda e: _insignificant(e, "lost site", REFERENCE, _BROKEN, "gaussian"),
    ),
    Claim(
        "C16",
        "Fig 10H",
        "dipole: a misplaced recording electrode raises the error by 40 %",
        _forty_percent,
    ),
    Claim(
        "C17",
        "Fig 10H",
        "dipole: an ineffective stimulation site raises the error",
        lambda e: [
            _ratio("lost site / set 6", e.ratios("lost site", REFERENCE, "dipole"), 1.0, True)
        ],
    ),
    Claim(
        "C18",
        "Fig 11",
        "flattening in test only is mildly worse than in both at α 0.3–0.7",
        _mildly_worse,
    ),
    Claim("C19", "Fig 11", "at extreme α flattening in test only is better", _better_at_extreme),
    Claim(
        "C20", "Fig 12A", "volition (Eq 24) moves the equilibrium to each of four targets", _targets
    ),
    Claim(
        "C21",
        "Fig 12B",
        "the same under a curl field: paths bend counter-clockwise and still converge",
        _curl,
    ),
    Claim(
        "C22",
        "Methods",
        "windows as short as 50 ms perform nearly as well (Eq 17's h spikes per window)",
        _short_windows,
    ),
    Claim("C23", "Fig 4", "geometry of the maps of sets 1–4", _maps),
    Claim(
        "C24",
        "Introduction",
        "the earlier linear interface cannot represent a non-invertible field; this one can",
        _linear,
    ),
)
"""The claims, in the text's order."""
