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
every claim with fewer than ten animals. Where the text gives no number, its adjectives are those of
one scale (`ndbmi_gym.experiments.vato2014.checks`). Where it can be read in two ways and only one
holds, the claim depends on the reading. Decoding is by multiple points, unless the claim compares
decoders. Intervals are not corrected for the number of checks.
"""

from collections.abc import Iterable

import numpy as np

from ndbmi_gym.experiments.bench.statistics import mean_interval, shares_interval
from ndbmi_gym.experiments.protocol.conditions import (
    ALPHAS,
    DECODERS,
    REFERENCE,
    SHAPES,
    Setting,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)
from ndbmi_gym.experiments.protocol.volition import N_STARTS
from ndbmi_gym.experiments.vato2014.checks import (
    LARGE,
    NEARLY,
    SMALL,
    Check,
    Claim,
    Finding,
    ratio_check,
    share_check,
)
from ndbmi_gym.experiments.vato2014.evidence import Evidence
from ndbmi_gym.stimuli import stimulus_set


def judge(evidence: Evidence) -> list[Finding]:
    """Judge all claims."""
    return [Finding(claim, claim.checks(evidence), evidence.animals) for claim in CLAIMS]


# groups of the text's analyses of variance
_STIMULI = ("set 5", REFERENCE, "set 7")
_FLATTEN = (REFERENCE, *(f"flatten {a}" for a in ALPHAS))
_SHAPE = (REFERENCE, *(f"shape {k}" for k in SHAPES))
_BROKEN = (REFERENCE, "misplaced electrode", "lost site")
_MODERATE = ALPHAS[:3]


def _all_converge(e: Evidence, condition: str, field: str) -> Check:
    of = e.measured[Setting(condition, field, DECODERS[0])].wtpe.shape[1]
    shares = shares_interval(e.convergent(condition, field), of)
    return Check(f"{condition}: share of runs that converge", shares, 0.9, True, 0.1)


def _significant(
    e: Evidence, c: str, ref: str, group: tuple[str, ...], field: str, up: bool
) -> list[Check]:
    tests = e.tests(c, ref, group, field)
    agree = [t and (t.rises if up else t.falls) for t in tests]
    return [
        ratio_check(f"{c} / {ref}", e.ratios(c, ref, field), 1.0, up),
        share_check("animals with p < 0.01", agree),
    ]


def _insignificant(
    e: Evidence, c: str, ref: str, group: tuple[str, ...], field: str
) -> list[Check]:
    tests = e.tests(c, ref, group, field)
    return [
        ratio_check(f"{c} / {ref}", e.ratios(c, ref, field), NEARLY, False),
        share_check("animals without a significant rise", [t and not t.rises for t in tests]),
        _all_converge(e, c, field),
    ]


def _within(what: str, ratios: FloatArray, factor: float) -> list[Check]:
    """No further from 1 than a factor, on either side."""
    return [ratio_check(what, ratios, factor, False), ratio_check(what, ratios, 1 / factor, True)]


def _no_gain_to_32(e: Evidence) -> list[Check]:
    return _insignificant(e, "set 5", REFERENCE, _STIMULI, "gaussian")


def _decoders_alike(e: Evidence) -> list[Check]:
    checks = []
    for field in ("gaussian", "dipole"):
        for condition in _STIMULI:
            ratios = e.means(condition, field, DECODERS[1]) / e.means(condition, field)
            name = f"{field}, {condition}: single / multiple"
            checks += _within(name, ratios, NEARLY)
    return checks


def _stable(e: Evidence) -> list[Check]:
    return [
        *(
            ratio_check(
                f"α = {a} / 0", e.ratios(f"flatten {a}", REFERENCE, "gaussian"), SMALL, False
            )
            for a in _MODERATE
        ),
        _all_converge(e, f"flatten {_MODERATE[-1]}", "gaussian"),
    ]


def _collapse(e: Evidence, field: str) -> Check:
    return ratio_check("α = 0.9 / 0", e.ratios("flatten 0.9", REFERENCE, field), LARGE, True)


def _collapse_at_last(e: Evidence) -> list[Check]:
    return [
        _collapse(e, "gaussian"),
        ratio_check("α = 0.7 / 0", e.ratios("flatten 0.7", REFERENCE, "gaussian"), LARGE, False),
        ratio_check(
            "α = 0.9 / 0.7", e.ratios("flatten 0.9", "flatten 0.7", "gaussian"), SMALL, True
        ),
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
        share_check("animals with p < 0.01 from α = 0.7 or lower on", early),
        share_check("animals in which it begins at a lower α than the Gaussian's", earlier),
    ]


def _gaussian_shapes(e: Evidence) -> list[Check]:
    *others, regular = SHAPES
    checks = []
    for k in others:
        tests = e.tests(f"shape {k}", REFERENCE, _SHAPE, "gaussian")
        alike = [t and not (t.rises or t.falls) for t in tests]
        checks += [
            *_within(f"k = {k:g} / 1", e.ratios(f"shape {k}", REFERENCE, "gaussian"), SMALL),
            share_check(f"animals in which k = {k:g} does not deviate, p < 0.01", alike),
        ]
    tests = e.tests(_SHAPE[-1], REFERENCE, _SHAPE, "gaussian")
    deviates = [[t and getattr(t, direction) for t in tests] for direction in ("falls", "rises")]
    return [
        *checks,
        *_within(f"k = {regular:g} / 1", e.ratios(_SHAPE[-1], REFERENCE, "gaussian"), LARGE),
        share_check(
            f"animals in which k = {regular:g} deviates, p < 0.01", max(deviates, key=_hits)
        ),
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
        worse._replace(bound=LARGE),
        significant,
        Check("trend of log error per step in k", mean_interval(trend), 0.0, False, 0.05),
    ]


def _robust_to_100(e: Evidence) -> list[Check]:
    return [
        ratio_check("100 / 0", e.ratios("spontaneous 100", REFERENCE, "gaussian"), 1.2, False),
        _all_converge(e, "spontaneous 100", "gaussian"),
    ]


def _dipole_spontaneous(e: Evidence) -> list[Check]:
    dipole = e.ratios("spontaneous 100", REFERENCE, "dipole")
    gaussian = e.ratios("spontaneous 100", REFERENCE, "gaussian")
    return [
        ratio_check("40 / 0", e.ratios("spontaneous 40", REFERENCE, "dipole"), SMALL, False),
        _all_converge(e, "spontaneous 40", "dipole"),
        ratio_check("100 / 0, dipole / Gaussian", dipole / gaussian, 1.0, True),
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
        checks += [ratio_check(name, mean, 1.0, True), ratio_check(name, mean, LARGE, False)]
    return checks


def _better_at_extreme(e: Evidence) -> list[Check]:
    return [
        ratio_check(
            f"{field}, α = 0.9: test only / both",
            e.ratios("test flatten 0.9", "flatten 0.9", field),
            1.0,
            False,
        )
        for field in ("gaussian", "dipole")
    ]


def _shifts(e: Evidence, curl: str) -> list[Check]:
    """Of Fig 12, without a curl field or (``"curl "``) with it."""
    arrived, shifted = e.volition[f"{curl}arrived"], e.volition[f"{curl}shifted"]
    gained = (arrived - e.volition[f"{curl}unmoved"]).mean(axis=1)
    return [
        Check(
            "share of runs to the hardest target that enter its region",
            shares_interval(arrived.min(axis=1), N_STARTS),
            0.9,
            True,
            0.1,
        ),
        Check("less the share without volition", mean_interval(gained), 0.0, True, 0.5),
        share_check(
            "animals whose runs settle nearer to each target than to the field's own",
            [bool(animal.all()) for animal in shifted],
        ),
    ]


def _curl(e: Evidence) -> list[Check]:
    turned = (e.volition["curl turn"] - e.volition["turn"]).mean(axis=1)
    return [
        *_shifts(e, "curl "),
        Check(
            "turn to the left (as with any such curl), rad:", mean_interval(turned), 0.0, True, 0.1
        ),
    ]


_WINDOW_READINGS = {
    "spikes per window kept (Eq 17)": "window 50 ms",
    "rates kept": "truncated to 50 ms",
}


def _short_windows(e: Evidence) -> list[Check]:
    checks = []
    for reading, condition in _WINDOW_READINGS.items():
        for field in ("gaussian", "dipole"):
            ratios = e.ratios(condition, REFERENCE, field)
            found = [
                ratio_check(f"{field}, 50 / 600 ms", ratios, NEARLY, False),
                _all_converge(e, condition, field),
            ]
            checks += [check._replace(reading=reading) for check in found]
    return checks


def _maps(e: Evidence) -> list[Check]:
    missing = np.full(e.animals, np.nan)
    checks = [
        Check(name, shares_interval(e.geometry.get(name, missing), _places(name)), 0.9, True, 0.1)
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


def _places(name: str) -> int:
    """How many stimuli of a set such a share is of; of the shares of responses, all of them."""
    measure, _, number = name.partition(" set ")
    patterns = stimulus_set(int(number)).patterns
    highest = max(height for _, height in patterns)
    of = {
        "angle_kept": sum(len(places) == 1 for places, _ in patterns),
        "pair_between": sum(len(places) == 2 for places, _ in patterns),
        "radius_rises": sum(height < highest for _, height in patterns),
    }
    return of.get(measure, len(patterns))


_RUNS = 240
"""Of the comparison with the linear interface."""


def _linear(e: Evidence) -> list[Check]:
    errors = e.linear["forced_error"] / e.linear["dipole_error"]
    return [
        ratio_check("error of the dipole's forces, linear / this one", errors, LARGE, True),
        Check(
            "the linear one converges on a linear field in",
            shares_interval(e.linear["linear"], _RUNS),
            0.9,
            True,
            0.1,
        ),
        Check(
            "this one on the dipole in", shares_interval(e.linear["dipole"], _RUNS), 0.9, True, 0.1
        ),
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
        lambda e: _significant(e, "lost site", REFERENCE, _BROKEN, "dipole", True),
    ),
    Claim(
        "C18",
        "Fig 11",
        "flattening in test only is mildly worse than in both at α 0.3–0.7",
        _mildly_worse,
    ),
    Claim("C19", "Fig 11", "at extreme α flattening in test only is better", _better_at_extreme),
    Claim(
        "C20",
        "Fig 12A",
        "volition (Eq 24) moves the equilibrium to each of four targets",
        lambda e: _shifts(e, ""),
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
        "windows as short as 50 ms perform nearly as well",
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
