"""Every claim on evidence made to support or to contradict it."""

from dataclasses import replace

import numpy as np
import pytest
from published import BY_ID, NAN, PUBLISHED, N, evidence, judged, verdict, verdicts

from ndbmi_gym.experiments.protocol.conditions import (
    ALPHAS,
    DECODERS,
    FIELDS,
    SHAPES,
)
from ndbmi_gym.experiments.vato2014.checks import (
    DEPENDS,
    FAILS,
    HOLDS,
    MIN_ANIMALS,
    UNDECIDED,
)
from ndbmi_gym.experiments.vato2014.claims import judge


@pytest.fixture(scope="module")
def published():
    return evidence()


def test_there_are_24_claims_in_order(published):
    findings = judge(published)
    assert [f.claim.id for f in findings] == [f"C{n}" for n in range(1, 25)]
    for finding in findings:
        assert finding.animals == N
        assert finding.checks
        assert finding.claim.statement
        assert finding.claim.where
        assert np.isfinite([c.interval.estimate for c in finding.checks]).all()


@pytest.mark.parametrize("claim", BY_ID)
def test_what_was_published_holds(claim, published):
    finding = judged(claim, published)
    assert finding.verdict == HOLDS, [str(c) for c in finding.checks]
    assert finding.margin > 0


@pytest.mark.parametrize("n_animals", [1, MIN_ANIMALS - 1])
def test_few_animals_decide_nothing(n_animals):
    assert MIN_ANIMALS == N
    findings = judge(evidence(n_animals=n_animals))
    assert {f.animals for f in findings} == {n_animals}
    assert {f.verdict for f in findings} == {UNDECIDED}


def all_of(prefix, field, factor):
    return {(f"{prefix} {a}", field): factor for a in ALPHAS}


def geometry(**values):
    return {"geometry": {key.replace("__", " set "): np.full(N, v) for key, v in values.items()}}


def volition(name, *by_target):
    """A measure of Fig 12 in every animal, for all targets or for each."""
    return {"volition": {name: np.tile(by_target, (N, 4 // len(by_target)))}}


CONTRADICTIONS = [
    ("C1", {("set 5", "gaussian"): 1.5}, {}),
    ("C2", {("set 7", "gaussian"): 1.0}, {}),
    ("C2", {("set 7", "gaussian"): 1.4}, {}),
    ("C3", {("set 5", "dipole"): 1.0}, {}),
    ("C3", {("set 5", "dipole"): 0.6}, {}),
    ("C4", {("set 7", "dipole"): 1.0}, {}),
    ("C4", {("set 7", "dipole"): 1.4}, {}),
    *(
        ("C5", {(s, field, DECODERS[1]): PUBLISHED[field].get(s, 1.0) * factor}, {})
        for s in ("set 5", "set 6", "set 7")
        for field in FIELDS
        for factor in (0.85, 1.2)
    ),
    ("C6", {("flatten 0.3", "gaussian"): 1.4}, {}),
    ("C6", {("flatten 0.5", "gaussian"): 1.4}, {}),
    ("C6", {("flatten 0.7", "gaussian"): 1.4}, {}),
    ("C7", {("flatten 0.9", "gaussian"): 1.3}, {}),
    ("C7", {("flatten 0.7", "gaussian"): 1.4, ("flatten 0.9", "gaussian"): 1.6}, {}),
    # twice as bad at 0.7 already, however much worse still at 0.9
    ("C7", {("flatten 0.7", "gaussian"): 2.0, ("flatten 0.9", "gaussian"): 4.0}, {}),
    ("C8", all_of("flatten", "dipole", 1.0), {}),
    # at 0.9 only, be it never for the Gaussian
    ("C8", {("flatten 0.7", "dipole"): 1.0, ("flatten 0.9", "gaussian"): 1.0}, {}),
    ("C8", all_of("flatten", "gaussian", 2.0), {}),
    # from the same α on
    ("C8", {(f"flatten {a}", "gaussian"): PUBLISHED["dipole"][f"flatten {a}"] for a in ALPHAS}, {}),
    ("C9", {("flatten 0.9", "dipole"): 1.3}, {}),
    ("C10", {("shape 0.2", "gaussian"): 1.4}, {}),
    # small, and yet significant where only very regular firing should be
    *(("C10", {(f"shape {k}", "gaussian"): 1.15}, {}) for k in SHAPES[:-1]),
    ("C10", {("shape 0.2", "gaussian"): 0.5}, {}),
    ("C10", {("shape 0.5", "gaussian"): 1.5}, {}),
    ("C10", {("shape 0.5", "gaussian"): 0.6}, {}),
    ("C10", {("shape 2.0", "gaussian"): 3.0}, {}),
    ("C10", {("shape 2.0", "gaussian"): 0.6}, {}),
    ("C10", {("shape 10.0", "gaussian"): 1.8}, {}),
    ("C10", {("shape 10.0", "gaussian"): 0.5}, {}),
    ("C10", {("shape 10.0", "gaussian"): 1.0}, {}),
    ("C11", {("shape 0.2", "dipole"): 1.0}, {}),
    ("C11", {("shape 0.2", "dipole"): 1.4}, {}),
    ("C11", {("shape 2.0", "dipole"): 4.0, ("shape 10.0", "dipole"): 4.0}, {}),
    ("C12", {("spontaneous 100", "gaussian"): 1.4}, {}),
    ("C13", {("spontaneous 40", "dipole"): 1.5}, {}),
    ("C13", {("spontaneous 100", "dipole"): 1.0}, {}),
    ("C14", {("misplaced electrode", "gaussian"): 1.5}, {}),
    ("C15", {("lost site", "gaussian"): 1.5}, {}),
    ("C16", {("misplaced electrode", "dipole"): 1.0}, {}),
    ("C16", {("misplaced electrode", "dipole"): 1.15}, {}),
    ("C16", {("misplaced electrode", "dipole"): 1.8}, {}),
    ("C17", {("lost site", "dipole"): 0.9}, {}),
    ("C17", {("lost site", "dipole"): 1.03}, {}),  # too little for the text's test
    *(
        ("C18", {(f"test flatten {a}", field): factor for a in ALPHAS[:3]}, {})
        for field in FIELDS
        for factor in (0.7, 4.0)
    ),
    ("C19", {("test flatten 0.9", "gaussian"): 3.0}, {}),
    ("C19", {("test flatten 0.9", "dipole"): 4.0}, {}),
    # one target of four, though on average nearly all is well
    ("C20", {}, volition("arrived", 1.0, 1.0, 0.75, 1.0)),
    ("C20", {}, volition("shifted", 1.0, 1.0, 1.0, 0.0)),
    ("C21", {}, volition("curl arrived", 0.75, 1.0, 1.0, 1.0)),
    ("C21", {}, volition("curl turn", -0.3)),
    # they pass through the region, and settle elsewhere
    ("C21", {}, volition("curl shifted", 1.0, 1.0, 1.0, 0.0)),
    # no more arrive than without volition
    ("C20", {}, {"volition": {"unmoved": np.ones((N, 4))}}),
    ("C21", {}, {"volition": {"curl unmoved": np.ones((N, 4))}}),
    *(
        ("C22", {(f"{how} 50 ms", field): 1.3 for how in ("window", "truncated to")}, {})
        for field in FIELDS
    ),
    ("C23", {}, geometry(clustered__1=0.6)),
    *(("C23", {}, geometry(**{f"angle_kept__{n}": 0.5})) for n in (1, 2, 4)),
    *(("C23", {}, geometry(**{f"radius_rises__{n}": 0.5})) for n in (2, 4)),
    *(("C23", {}, geometry(**{f"pair_between__{n}": 0.5})) for n in (3, 4)),
    ("C23", {}, geometry(skew__1=25.0)),
    ("C24", {}, {"linear": {"forced_error": np.full(N, 0.4)}}),
    ("C24", {}, {"linear": {"linear": np.full(N, 0.5)}}),
    ("C24", {}, {"linear": {"dipole": np.full(N, 0.5)}}),
]


@pytest.mark.parametrize(("claim", "changes", "others"), CONTRADICTIONS)
def test_what_contradicts_a_claim_is_found(claim, changes, others):
    finding = judged(claim, evidence(changes, **others))
    assert finding.verdict == FAILS, [str(c) for c in finding.checks]
    assert finding.margin < 0


def test_every_claim_is_contradicted_above():
    assert {claim for claim, _, _ in CONTRADICTIONS} == set(BY_ID)


ELSEWHERE = [
    ("C23", {}, geometry(clustered__4=0.1, radius_rises__7=0.1, skew__2=60.0)),
    ("C8", {("flatten 0.3", "dipole"): 1.0}, {}),
    ("C8", {("flatten 0.5", "dipole"): 1.0, ("flatten 0.7", "gaussian"): 1.0}, {}),
    ("C9", {("flatten 0.7", "dipole"): 3.0}, {}),
    ("C10", {("shape 10.0", "gaussian"): 1.4}, {}),  # a deviation either way
    ("C1", {("set 5", "gaussian"): 0.7}, {}),
    ("C20", {}, volition("curl arrived", 0.0)),
    ("C21", {}, volition("arrived", 0.0)),
]


@pytest.mark.parametrize(("claim", "changes", "others"), ELSEWHERE)
def test_what_a_claim_says_nothing_of_does_not_contradict_it(claim, changes, others):
    assert verdict(claim, evidence(changes, **others)) == HOLDS


SPLIT = np.array([0.9, 1.1] * (N // 2))


@pytest.mark.parametrize(
    ("claim", "setting", "bound"),
    [
        ("C1", ("set 5", "gaussian"), 1.1),
        ("C2", ("set 7", "gaussian"), 1.0),
        ("C3", ("set 5", "dipole"), 1.0),
        ("C4", ("set 7", "dipole"), 1.0),
        ("C5", ("set 6", "gaussian", DECODERS[1]), 1.1),
        ("C6", ("flatten 0.5", "gaussian"), 1.25),
        ("C7", ("flatten 0.9", "gaussian"), 1.5),
        ("C8", ("flatten 0.7", "dipole"), 1.1),
        ("C9", ("flatten 0.9", "dipole"), 1.5),
        ("C10", ("shape 10.0", "gaussian"), 1.5),
        ("C11", ("shape 0.2", "dipole"), 1.5),
        ("C12", ("spontaneous 100", "gaussian"), 1.2),
        ("C13", ("spontaneous 40", "dipole"), 1.25),
        ("C14", ("misplaced electrode", "gaussian"), 1.1),
        ("C15", ("lost site", "gaussian"), 1.1),
        ("C16", ("misplaced electrode", "dipole"), 1.2),
        ("C17", ("lost site", "dipole"), 1.0),
        ("C19", ("test flatten 0.9", "gaussian"), 2.5),
        ("C22", ("window 50 ms", "dipole"), 1.1),
    ],
)
def test_animals_on_both_sides_of_a_bound_decide_nothing(claim, setting, bound):
    assert verdict(claim, evidence({setting: bound * SPLIT})) == UNDECIDED


@pytest.mark.parametrize(
    ("claim", "others"),
    [
        ("C20", {"volition": {"arrived": np.tile(SPLIT[:, None] - 0.1, 4)}}),
        ("C20", {"volition": {"shifted": np.tile(SPLIT[:, None] > 1, 4)}}),
        ("C20", {"volition": {"unmoved": np.tile(SPLIT[:, None] - 0.01, 4)}}),
        ("C21", {"volition": {"curl shifted": np.tile(SPLIT[:, None] > 1, 4)}}),
        ("C21", {"volition": {"curl arrived": np.tile(SPLIT[:, None] - 0.1, 4)}}),
        ("C21", {"volition": {"curl turn": np.tile(SPLIT[:, None] - 1, 4)}}),
        ("C23", {"geometry": {"clustered set 1": SPLIT - 0.1}}),
        ("C23", {"geometry": {"skew set 1": 15 * SPLIT}}),
        ("C24", {"linear": {"forced_error": 0.45 * SPLIT}}),
        ("C24", {"linear": {"linear": SPLIT - 0.1}}),
        ("C24", {"linear": {"dipole": SPLIT - 0.1}}),
    ],
)
def test_shares_on_both_sides_of_a_bound_decide_nothing(claim, others):
    assert verdict(claim, evidence(**others)) == UNDECIDED


def test_very_regular_firing_must_deviate_the_same_way_in_most_animals():
    either = {("shape 10.0", "gaussian"): [0.75, 1.3] * (N // 2)}
    found = evidence(either)
    assert all(
        t.rises or t.falls
        for t in found.tests(
            "shape 10.0", "set 6", ("set 6", *(f"shape {k}" for k in SHAPES)), "gaussian"
        )
    )
    assert verdict("C10", found) == UNDECIDED


# What cannot be compared

TESTED = [
    ("C1", "set 5", "gaussian"),
    ("C2", "set 7", "gaussian"),
    ("C3", "set 5", "dipole"),
    ("C4", "set 7", "dipole"),
    ("C5", "set 7", "dipole"),
    *(("C6", f"flatten {a}", "gaussian") for a in ALPHAS[:3]),
    ("C7", "flatten 0.7", "gaussian"),
    ("C7", "flatten 0.9", "gaussian"),
    *(("C8", f"flatten {a}", field) for a in ALPHAS for field in FIELDS),
    ("C9", "flatten 0.9", "dipole"),
    *(("C10", f"shape {k}", "gaussian") for k in SHAPES),
    *(("C11", f"shape {k}", "dipole") for k in SHAPES),
    ("C12", "spontaneous 100", "gaussian"),
    ("C13", "spontaneous 40", "dipole"),
    ("C13", "spontaneous 100", "dipole"),
    ("C13", "spontaneous 100", "gaussian"),
    ("C14", "misplaced electrode", "gaussian"),
    ("C15", "lost site", "gaussian"),
    ("C16", "misplaced electrode", "dipole"),
    ("C17", "lost site", "dipole"),
    *(("C18", f"test flatten {a}", field) for a in ALPHAS[:3] for field in FIELDS),
    *(("C19", "test flatten 0.9", field) for field in FIELDS),
    *(("C22", f"{how} 50 ms", f) for how in ("window", "truncated to") for f in FIELDS),
]


@pytest.mark.parametrize(("claim", "condition", "field"), TESTED)
def test_an_animal_that_cannot_be_tested_leaves_a_claim_open(claim, condition, field):
    mean = PUBLISHED[field].get(condition, 1.0)
    found = evidence({(condition, field): [mean] * (N - 1) + [NAN]})
    assert verdict(claim, found) == UNDECIDED


@pytest.mark.parametrize(
    ("claim", "condition", "field"),
    [t for t in TESTED if t[0] in ("C1", "C2", "C3", "C4", "C12", "C14", "C15", "C16", "C17")],
)
def test_every_check_that_misses_an_animal_is_undecided(claim, condition, field):
    """Nine of ten would be a share above one half, and have a ratio."""
    mean = PUBLISHED[field].get(condition, 1.0)
    found = evidence({(condition, field): [mean] * (N - 1) + [NAN]})
    assert set(verdicts(claim, found)) == {UNDECIDED}
    for check in judged(claim, found).checks:
        assert np.isnan(check.interval.estimate) != ("converge" in check.what)


@pytest.mark.parametrize(
    ("claim", "condition", "field", "n_checks"),
    [
        ("C8", "flatten 0.3", "dipole", 2),
        ("C8", "flatten 0.3", "gaussian", 1),
        ("C10", "shape 10.0", "gaussian", 3),  # both ratios, and the deviation
        ("C10", "shape 2.0", "gaussian", 3),
        ("C11", "shape 0.2", "dipole", 3),
        ("C11", "shape 2.0", "dipole", 1),
    ],
)
def test_only_checks_that_miss_an_animal_are_undecided(claim, condition, field, n_checks):
    mean = PUBLISHED[field].get(condition, 1.0)
    found = evidence({(condition, field): [mean] * (N - 1) + [NAN]})
    assert verdicts(claim, found).count(UNDECIDED) == n_checks
    assert FAILS not in verdicts(claim, found)


def test_a_loop_that_never_converges_is_neither_robust_nor_significantly_worse():
    never = {("spontaneous 100", "gaussian"): NAN, ("misplaced electrode", "dipole"): NAN}
    found = evidence(never)
    assert verdict("C12", found) == FAILS
    assert verdict("C16", found) == UNDECIDED
    assert min(c.margin for c in judged("C12", found).checks) <= -1.0


def test_a_dipole_is_not_first_because_the_gaussian_never_converges():
    assert verdict("C8", evidence({("flatten 0.9", "gaussian"): NAN})) == UNDECIDED
    early, earlier = verdicts("C8", evidence({("flatten 0.9", "gaussian"): NAN}))
    assert (early, earlier) == (HOLDS, UNDECIDED)


@pytest.mark.parametrize(
    "name",
    [
        "clustered set 1",
        "angle_kept set 1",
        "angle_kept set 2",
        "radius_rises set 2",
        "pair_between set 3",
        "angle_kept set 4",
        "radius_rises set 4",
        "pair_between set 4",
        "skew set 1",
    ],
)
def test_a_map_of_which_a_measure_is_missing_decides_nothing(name, published):
    rest = {key: value for key, value in published.geometry.items() if key != name}
    assert verdict("C23", replace(published, geometry=rest)) == UNDECIDED
    one = {"geometry": {name: [NAN] + [published.geometry[name][0]] * (N - 1)}}
    assert verdict("C23", evidence(**one)) == UNDECIDED


@pytest.mark.parametrize("how", ["window", "truncated to"])
def test_windows_that_are_as_good_in_one_reading_only_depend_on_it(how):
    found = evidence({(f"{how} 50 ms", field): 1.3 for field in FIELDS})
    assert verdict("C22", found) == DEPENDS
    failing = [c for c in judged("C22", found).checks if c.verdict == FAILS]
    assert {check.reading.startswith("rates") for check in failing} == {how != "window"}
    assert all(str(check).startswith(check.reading) for check in failing)


# Robustness that is none: a condition that loses the hard runs leaves the easy ones

ROBUST = [
    ("C1", "set 5", "gaussian"),
    ("C6", "flatten 0.7", "gaussian"),
    ("C10", "shape 0.2", "gaussian"),
    ("C12", "spontaneous 100", "gaussian"),
    ("C13", "spontaneous 40", "dipole"),
    ("C14", "misplaced electrode", "gaussian"),
    ("C15", "lost site", "gaussian"),
]


@pytest.mark.parametrize(("claim", "condition", "field"), ROBUST)
@pytest.mark.parametrize("lost", [0.15, 0.25])
def test_a_robust_condition_does_not_lose_runs(claim, condition, field, lost):
    finding = judged(claim, evidence(lost={(condition, field): lost}))
    assert finding.verdict == FAILS
    # it is only by convergence that it can be told
    failing = [check for check in finding.checks if check.verdict != HOLDS]
    assert [c.what for c in failing] == [f"{condition}: share of runs that converge"]
    assert failing[0].interval.estimate == pytest.approx(1 - lost)
    assert failing[0].interval.high < 0.9


@pytest.mark.parametrize(("claim", "condition", "field"), ROBUST)
def test_a_few_runs_may_be_lost(claim, condition, field):
    assert verdict(claim, evidence(lost={(condition, field): 0.05})) == HOLDS
    split = evidence(lost={(condition, field): [0.0, 0.2] * (N // 2)})
    assert verdict(claim, split) == UNDECIDED


@pytest.mark.parametrize(("claim", "condition"), [t[:2] for t in ROBUST if t[0] in ("C12", "C14")])
def test_a_handful_of_lucky_runs_is_not_robust(claim, condition):
    easy = {(condition, "gaussian"): 0.9}
    assert verdict(claim, evidence(easy)) == HOLDS
    assert verdict(claim, evidence(easy, lost={(condition, "gaussian"): 0.925})) == FAILS
