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
and more animals without a significant rise than with one. A comparison that cannot be made, since
too few runs converge, supports no claim. Where the text gives no number, the bounds are chosen and
stated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.experiments.conditions import (
    ALPHAS,
    DECODERS,
    REFERENCE,
    SHAPES,
    SPONTANEOUS,
    Measurements,
    Setting,
    subject_means,
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
        return subject_means(self.measured[Setting(condition, field, decoder)])

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

    @property
    def verdict(self) -> str:
        """Holds, does not hold or undecided."""
        verdicts = [check.verdict for check in self.checks] or [UNDECIDED]
        if FAILS in verdicts:
            return FAILS
        return UNDECIDED if UNDECIDED in verdicts else HOLDS

    @property
    def margin(self) -> float:
        """The least margin of the checks."""
        return min((check.margin for check in self.checks), default=-2.0)


def judge(evidence: Evidence) -> list[Finding]:
    """Judge all claims."""
    return [Finding(claim, claim.checks(evidence)) for claim in CLAIMS]


# groups of the text's analyses of variance
_STIMULI = ("set 5", REFERENCE, "set 7")
_FLATTEN = (REFERENCE, *(f"flatten {a}" for a in ALPHAS))
_TEST_FLATTEN = (REFERENCE, *(f"test flatten {a}" for a in ALPHAS))
_SHAPE = (REFERENCE, *(f"shape {k}" for k in SHAPES))
_SPONTANEOUS = (REFERENCE, *(f"spontaneous {r:g}" for r in SPONTANEOUS))
_BROKEN = (REFERENCE, "misplaced electrode", "lost site")
_LONG = REFERENCE
_MODERATE = ALPHAS[:3]

_RATIO = 0.3  # a margin of 1: 30 % in a ratio
_SHARE = 0.5


def _ratio(what: str, ratios: FloatArray, bound: float, above: bool) -> Check:
    return Check(what, ratio_interval(ratios), bound, above, _RATIO * bound)


def _share(what: str, hits: npt.ArrayLike, bound: float = 0.5) -> Check:
    hits = np.asarray(hits, dtype=bool)
    return Check(what, share_interval(int(hits.sum()), hits.size), bound, True, _SHARE)


def _significant(
    e: Evidence, c: str, ref: str, group: tuple[str, ...], field: str, up: bool
) -> list[Check]:
    tests = e.tests(c, ref, group, field)
    agree = [t is not None and (t.rises if up else t.falls) for t in tests]
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
        _share(
            "animals without a significant rise", [t is not None and not t.rises for t in tests]
        ),
    ]


def _no_gain_to_32(e: Evidence) -> list[Check]:
    tests = e.tests("set 5", REFERENCE, _STIMULI, "gaussian")
    return [
        _ratio("8 / 32 regions", e.ratios("set 5", REFERENCE, "gaussian"), 1.1, False),
        _share(
            "animals without a significant gain", [t is not None and not t.rises for t in tests]
        ),
    ]


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
        _ratio(f"α = {a} / 0", e.ratios(f"flatten {a}", REFERENCE, "gaussian"), bound, False)
        for a, bound in zip(_MODERATE, (1.25, 1.25, 1.5), strict=True)
    ]


def _collapse(e: Evidence, field: str) -> list[Check]:
    last = e.ratios("flatten 0.9", REFERENCE, field)
    return [
        _ratio("α = 0.9 / 0", last, 1.5, True),
        _ratio("α = 0.9 / 0.7", e.ratios("flatten 0.9", "flatten 0.7", field), 1.25, True),
    ]


def _onset(e: Evidence, field: str) -> FloatArray:
    """Index of the lowest α from which on all deteriorations are significant, by animal."""
    onset = np.full(len(e.means(REFERENCE, field)), len(ALPHAS))
    for i in range(len(ALPHAS) - 1, -1, -1):
        tests = e.tests(_FLATTEN[i + 1], REFERENCE, _FLATTEN, field)
        rises = np.array([t is not None and t.rises for t in tests])
        onset = np.where(rises & (onset == i + 1), i, onset)
    return onset


def _dipole_first(e: Evidence) -> list[Check]:
    dipole, gaussian = _onset(e, "dipole"), _onset(e, "gaussian")
    return [
        _share("animals with p < 0.01 from α = 0.7 or lower on", dipole <= 2),
        _share("animals whose onset is not later than the Gaussian's", dipole <= gaussian),
    ]


def _gaussian_shapes(e: Evidence) -> list[Check]:
    checks = []
    for k in SHAPES[:-1]:
        ratios = e.ratios(f"shape {k}", REFERENCE, "gaussian")
        if k < 1:
            bound = 1.5 if k < 0.5 else 1.25
            checks.append(_ratio(f"k = {k} / 1", ratios, bound, False))
        else:
            checks.append(_ratio(f"k = {k} / 1", ratios, 0.8, True))
    tests = e.tests(_SHAPE[-1], REFERENCE, _SHAPE, "gaussian")
    deviates = [t is not None and (t.rises or t.falls) for t in tests]
    return [*checks, _share(f"animals in which k = {SHAPES[-1]:g} deviates, p < 0.01", deviates)]


def _dipole_shapes(e: Evidence) -> list[Check]:
    tests = e.tests(_SHAPE[1], REFERENCE, _SHAPE, "dipole")
    order = [f"shape {k}" for k in SHAPES if k < 1]
    order += [REFERENCE, *(f"shape {k}" for k in SHAPES if k > 1)]
    trend = [
        np.polyfit(np.arange(len(order)), np.log(line), 1)[0] if np.isfinite(line).all() else np.nan
        for line in zip(*(e.means(c, "dipole") for c in order), strict=True)
    ]
    worst = e.ratios(_SHAPE[1], REFERENCE, "dipole")
    return [
        _ratio(f"k = {SHAPES[0]} / 1", worst, 1.25, True),
        _share("animals with p < 0.01", [t is not None and t.rises for t in tests]),
        Check("trend of log error per step in k", mean_interval(trend), 0.0, False, 0.05),
    ]


def _robust_to_100(e: Evidence) -> list[Check]:
    return [_ratio("100 / 0", e.ratios("spontaneous 100", REFERENCE, "gaussian"), 1.2, False)]


def _dipole_spontaneous(e: Evidence) -> list[Check]:
    dipole = e.ratios("spontaneous 100", REFERENCE, "dipole")
    gaussian = e.ratios("spontaneous 100", REFERENCE, "gaussian")
    return [
        _ratio("40 / 0", e.ratios("spontaneous 40", REFERENCE, "dipole"), 1.25, False),
        _ratio("100 / 0, dipole / Gaussian", dipole / gaussian, 1.0, True),
    ]


def _forty_percent(e: Evidence) -> list[Check]:
    ratios = e.ratios("misplaced electrode", REFERENCE, "dipole")
    return [
        *_significant(e, "misplaced electrode", REFERENCE, _BROKEN, "dipole", True),
        _ratio("the rise is 20 % or more:", ratios, 1.2, True),
        _ratio("and 60 % or less:", ratios, 1.6, False),
    ]


def _mildly_worse(e: Evidence) -> list[Check]:
    checks = []
    for field in ("gaussian", "dipole"):
        ratios = [e.ratios(f"test flatten {a}", f"flatten {a}", field) for a in _MODERATE]
        mean = np.exp(np.mean(np.log(ratios), axis=0))
        checks += [
            _ratio(f"{field}, α 0.3–0.7: test only / both", mean, 1.0, True),
            _ratio(f"{field}, mildly:", mean, 1.5, False),
        ]
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


def _targets(e: Evidence) -> list[Check]:
    arrived = mean_interval(e.volition["arrived"].mean(axis=1))
    return [
        Check("share of runs that enter the target region", arrived, 0.9, True, 0.1),
        _share("targets where runs settle nearer than to the field's own", e.volition["shifted"]),
    ]


def _curl(e: Evidence) -> list[Check]:
    arrived = mean_interval(e.volition["curl arrived"].mean(axis=1))
    turned = (e.volition["curl turn"] - e.volition["turn"]).mean(axis=1)
    return [
        Check("share of runs that enter the target region", arrived, 0.9, True, 0.1),
        Check("turn to the left by the curl field, rad:", mean_interval(turned), 0.0, True, 0.2),
    ]


def _short_windows(e: Evidence) -> list[Check]:
    return [
        _ratio(f"{field}, 50 / 600 ms", e.ratios("window 50 ms", REFERENCE, field), 1.1, False)
        for field in ("gaussian", "dipole")
    ]


def _maps(e: Evidence) -> list[Check]:
    return [
        Check(name, mean_interval(shares), bound, True, 0.1)
        for name, shares in e.geometry.items()
        if (bound := _GEOMETRY.get(name)) is not None
    ]


_GEOMETRY = {
    "clustered set 1": 0.9,
    "angle_kept set 1": 0.9,
    "angle_kept set 2": 0.9,
    "radius_rises set 2": 0.9,
    "pair_between set 3": 0.9,
    "angle_kept set 4": 0.9,
    "radius_rises set 4": 0.9,
    "pair_between set 4": 0.9,
}
"""Shares that should be nearly 1."""


def _linear(e: Evidence) -> list[Check]:
    return [
        _share("animals whose linear interface refuses the dipole", e.linear["refused"]),
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
        lambda e: _collapse(e, "gaussian"),
    ),
    Claim("C8", "Fig 7D", "dipole: significant deterioration from a lower α on", _dipole_first),
    Claim(
        "C9",
        "Fig 7D",
        "dipole: large deterioration at the highest α",
        lambda e: _collapse(e, "dipole")[:1],
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
    Claim("C22", "Methods", "windows as short as 50 ms perform nearly as well", _short_windows),
    Claim("C23", "Fig 4", "geometry of the maps of sets 1–4", _maps),
    Claim(
        "C24",
        "Introduction",
        "the earlier linear interface cannot represent a non-invertible field; this one can",
        _linear,
    ),
)
"""The claims, in the text's order."""
