"""Checks, verdicts, and every claim on evidence made to support or to contradict it."""

from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest

from ndbmi_gym.experiments.claims import (
    CLAIMS,
    FAILS,
    HOLDS,
    UNDECIDED,
    Check,
    Claim,
    Evidence,
    Finding,
    judge,
)
from ndbmi_gym.experiments.conditions import (
    ALPHAS,
    DECODERS,
    FIELDS,
    Measured,
    Setting,
    conditions,
    subject_means,
)
from ndbmi_gym.experiments.statistics import Interval
from ndbmi_gym.presets import Preset

NAN = float("nan")
BY_ID = {claim.id: claim for claim in CLAIMS}

# Mean wtpe in units of the reference's, as the text has it; 1 where nothing is said.
PUBLISHED = {
    "gaussian": {
        "set 7": 0.6,
        "flatten 0.7": 1.2,
        "flatten 0.9": 2.5,
        "shape 0.2": 1.2,
        "shape 10.0": 0.7,
        "spontaneous 100": 1.1,
        "test flatten 0.3": 1.2,
        "test flatten 0.5": 1.2,
        "test flatten 0.7": 1.4,
        "test flatten 0.9": 1.8,
    },
    "dipole": {
        "set 5": 1.6,
        "set 7": 0.6,
        "flatten 0.3": 1.1,
        "flatten 0.5": 1.5,
        "flatten 0.7": 2.0,
        "flatten 0.9": 3.0,
        "shape 0.2": 2.0,
        "shape 0.5": 1.4,
        "shape 2.0": 0.9,
        "shape 10.0": 0.7,
        "spontaneous 40": 1.1,
        "spontaneous 100": 1.6,
        "misplaced electrode": 1.4,
        "lost site": 1.2,
        "test flatten 0.3": 1.3,
        "test flatten 0.5": 1.8,
        "test flatten 0.7": 2.4,
        "test flatten 0.9": 2.2,
    },
}


def evidence(changes=(), n_animals=8, **others):
    """The published findings as measurements, with some of them changed.

    Parameters
    ----------
    changes : dict of (condition, field) or (condition, field, decoder) to float or list
        Mean wtpe that departs from the published one, for all animals or for each; NaN: no run of
        the animal converges.
    others : dict
        Changes of volition, geometry and linear.
    """
    changes = dict(changes)
    measured = {}
    for condition in conditions(Preset()):
        for field in FIELDS:
            for decoder in DECODERS:
                setting = Setting(condition, field, decoder)
                mean = PUBLISHED[field].get(condition, 1.0)
                mean = changes.get(setting[:2], changes.get(tuple(setting), mean))
                measured[setting] = runs(setting, mean, n_animals)
    made = {
        "volition": {
            "arrived": np.full((n_animals, 4), 0.99),
            "shifted": np.ones((n_animals, 4)),
            "curl arrived": np.full((n_animals, 4), 0.98),
            "turn": np.tile([0.1, -0.1, 0.2, -0.2], (n_animals, 1)),
            "curl turn": np.tile([0.3, 0.1, 0.4, 0.2], (n_animals, 1)),
        },
        "geometry": {
            f"{name} set {number}": np.full(n_animals, 0.97)
            for name in ("clustered", "angle_kept", "radius_rises", "pair_between")
            for number in range(1, 8)
        },
        "linear": {name: np.ones(n_animals) for name in ("refused", "linear", "dipole")},
    }
    for name, values in others.items():
        made[name] = made[name] | values
    return Evidence(measured, **made)


def runs(setting, mean, n_animals):
    """40 runs per animal with a deviation of 12 % and animals that differ in all alike."""
    rng = np.random.default_rng(crc32(repr(tuple(setting)).encode()))
    animal = 1 + 0.2 * np.arange(n_animals)
    own = np.broadcast_to(mean, n_animals) * animal * np.exp(0.01 * rng.normal(size=n_animals))
    wtpe = own[:, None] * rng.permutation(np.linspace(0.8, 1.2, 40))
    return Measured(wtpe, np.where(np.isnan(wtpe), -1, 9))


def verdict(claim, found):
    return Finding(BY_ID[claim], BY_ID[claim].checks(found)).verdict


# Checks


def check(low, high, above, bound=1.0, scale=0.2):
    return Check("ratio", Interval((low + high) / 2, low, high), bound, above, scale)


@pytest.mark.parametrize(
    ("low", "high", "above", "expected"),
    [
        (1.1, 1.3, True, HOLDS),
        (0.7, 0.9, True, FAILS),
        (0.9, 1.3, True, UNDECIDED),
        (1.1, 1.3, False, FAILS),
        (0.7, 0.9, False, HOLDS),
        (0.9, 1.3, False, UNDECIDED),
        (1.0, 1.3, True, UNDECIDED),  # a bound itself is on neither side
        (0.7, 1.0, True, UNDECIDED),
        (1.0, 1.0, False, UNDECIDED),
        (NAN, NAN, True, UNDECIDED),
        (NAN, NAN, False, UNDECIDED),
    ],
)
def test_a_check_asks_for_the_whole_interval(low, high, above, expected):
    assert check(low, high, above).verdict == expected


def test_margin_is_the_distance_in_the_right_direction():
    assert check(1.0, 1.2, True).margin == pytest.approx(0.5)
    assert check(1.0, 1.2, False).margin == pytest.approx(-0.5)
    assert check(0.8, 1.0, True).margin == pytest.approx(-0.5)
    assert check(0.8, 1.0, False).margin == pytest.approx(0.5)
    assert check(5.0, 7.0, True).margin == 1.0
    # nothing is worse than no estimate
    assert check(NAN, NAN, True).margin == check(5.0, 7.0, False).margin
    assert check(NAN, NAN, False).margin <= -1.0


def test_a_check_reads_well():
    assert str(check(1.1, 1.3, True)) == "ratio 1.20 (1.10 to 1.30) > 1.00"
    assert str(check(1.1, 1.3, False)) == "ratio 1.20 (1.10 to 1.30) < 1.00"


GOOD, BAD, OPEN = check(1.1, 1.3, True), check(1.1, 1.3, False), check(0.9, 1.3, True)


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([GOOD], HOLDS),
        ([GOOD, GOOD], HOLDS),
        ([GOOD, OPEN], UNDECIDED),
        ([BAD, GOOD], FAILS),
        ([OPEN, BAD], FAILS),
        ([OPEN, OPEN], UNDECIDED),
    ],
)
def test_a_claim_holds_if_all_checks_do_and_fails_if_one_does(checks, expected):
    finding = Finding(Claim("X", "", "", lambda evidence: checks), checks)
    assert finding.verdict == expected
    assert finding.margin == min(c.margin for c in checks)


# Claims


@pytest.fixture(scope="module")
def published():
    return evidence()


def test_there_are_24_claims_in_order(published):
    findings = judge(published)
    assert [f.claim.id for f in findings] == [f"C{n}" for n in range(1, 25)]
    for finding in findings:
        assert finding.checks
        assert finding.claim.statement
        assert finding.claim.where
        assert np.isfinite([c.interval.estimate for c in finding.checks]).all()


@pytest.mark.parametrize("claim", BY_ID)
def test_what_was_published_holds(claim, published):
    finding = Finding(BY_ID[claim], BY_ID[claim].checks(published))
    assert finding.verdict == HOLDS, [str(c) for c in finding.checks]
    assert finding.margin > 0


@pytest.mark.parametrize("claim", BY_ID)
def test_one_animal_decides_nothing(claim):
    assert verdict(claim, evidence(n_animals=1)) == UNDECIDED


def all_of(prefix, field, factor):
    return {(f"{prefix} {a}", field): factor for a in ALPHAS}


def geometry(**values):
    return {"geometry": {key.replace("__", " set "): np.full(8, v) for key, v in values.items()}}


def volition(name, value):
    return {"volition": {name: np.full((8, 4), value)}}


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
        for factor in (0.7, 1.4)
    ),
    ("C6", {("flatten 0.3", "gaussian"): 1.4}, {}),
    ("C6", {("flatten 0.5", "gaussian"): 1.4}, {}),
    ("C6", {("flatten 0.7", "gaussian"): 1.7}, {}),
    ("C7", {("flatten 0.9", "gaussian"): 1.3}, {}),
    ("C7", {("flatten 0.7", "gaussian"): 2.4}, {}),
    ("C8", all_of("flatten", "dipole", 1.0), {}),
    ("C8", {("flatten 0.7", "dipole"): 1.0}, {}),
    ("C8", all_of("flatten", "gaussian", 2.0), {}),
    ("C9", {("flatten 0.9", "dipole"): 1.3}, {}),
    ("C10", {("shape 0.2", "gaussian"): 1.8}, {}),
    ("C10", {("shape 0.5", "gaussian"): 1.5}, {}),
    ("C10", {("shape 2.0", "gaussian"): 0.6}, {}),
    ("C10", {("shape 10.0", "gaussian"): 1.0}, {}),
    ("C11", {("shape 0.2", "dipole"): 1.0}, {}),
    ("C11", {("shape 2.0", "dipole"): 4.0, ("shape 10.0", "dipole"): 4.0}, {}),
    ("C12", {("spontaneous 100", "gaussian"): 1.4}, {}),
    ("C13", {("spontaneous 40", "dipole"): 1.5}, {}),
    ("C13", {("spontaneous 100", "dipole"): 1.0}, {}),
    ("C14", {("misplaced electrode", "gaussian"): 1.5}, {}),
    ("C15", {("lost site", "gaussian"): 1.5}, {}),
    ("C16", {("misplaced electrode", "dipole"): 1.0}, {}),
    ("C16", {("misplaced electrode", "dipole"): 1.8}, {}),
    ("C17", {("lost site", "dipole"): 0.9}, {}),
    *(
        ("C18", {(f"test flatten {a}", field): factor for a in ALPHAS[:3]}, {})
        for field in FIELDS
        for factor in (0.7, 4.0)
    ),
    ("C19", {("test flatten 0.9", "gaussian"): 3.0}, {}),
    ("C19", {("test flatten 0.9", "dipole"): 4.0}, {}),
    ("C20", {}, volition("arrived", 0.5)),
    ("C20", {}, volition("shifted", 0.0)),
    ("C21", {}, volition("curl arrived", 0.5)),
    ("C21", {}, volition("curl turn", -0.3)),
    ("C22", {("window 50 ms", "gaussian"): 1.3}, {}),
    ("C22", {("window 50 ms", "dipole"): 1.3}, {}),
    ("C23", {}, geometry(clustered__1=0.6)),
    *(("C23", {}, geometry(**{f"angle_kept__{n}": 0.5})) for n in (1, 2, 4)),
    *(("C23", {}, geometry(**{f"radius_rises__{n}": 0.5})) for n in (2, 4)),
    *(("C23", {}, geometry(**{f"pair_between__{n}": 0.5})) for n in (3, 4)),
    ("C24", {}, {"linear": {"refused": np.zeros(8)}}),
    ("C24", {}, {"linear": {"linear": np.full(8, 0.5)}}),
    ("C24", {}, {"linear": {"dipole": np.full(8, 0.5)}}),
]


@pytest.mark.parametrize(("claim", "changes", "others"), CONTRADICTIONS)
def test_what_contradicts_a_claim_is_found(claim, changes, others):
    finding = Finding(BY_ID[claim], BY_ID[claim].checks(evidence(changes, **others)))
    assert finding.verdict == FAILS, [str(c) for c in finding.checks]
    assert finding.margin < 0


def test_every_claim_is_contradicted_above():
    assert {claim for claim, _, _ in CONTRADICTIONS} == set(BY_ID)


ELSEWHERE = [
    ("C23", {}, geometry(clustered__4=0.1, radius_rises__7=0.1)),
    ("C8", {("flatten 0.3", "dipole"): 1.0}, {}),
    ("C9", {("flatten 0.7", "dipole"): 3.0}, {}),
    ("C17", {("lost site", "dipole"): 1.05}, {}),  # it need not be significant
    ("C10", {("shape 10.0", "gaussian"): 1.4}, {}),  # a deviation either way
    ("C1", {("set 5", "gaussian"): 0.7}, {}),
]


@pytest.mark.parametrize(("claim", "changes", "others"), ELSEWHERE)
def test_what_a_claim_says_nothing_of_does_not_contradict_it(claim, changes, others):
    assert verdict(claim, evidence(changes, **others)) == HOLDS


@pytest.mark.parametrize(
    ("claim", "setting", "bound"),
    [
        ("C1", ("set 5", "gaussian"), 1.1),
        ("C6", ("flatten 0.5", "gaussian"), 1.25),
        ("C12", ("spontaneous 100", "gaussian"), 1.2),
        ("C13", ("spontaneous 40", "dipole"), 1.25),
        ("C17", ("lost site", "dipole"), 1.0),
        ("C22", ("window 50 ms", "dipole"), 1.1),
    ],
)
def test_animals_on_both_sides_of_a_bound_decide_nothing(claim, setting, bound):
    split = {setting: bound * np.array([0.9, 1.1] * 4)}
    assert verdict(claim, evidence(split)) == UNDECIDED


def test_animals_that_never_converge_leave_a_ratio_open():
    """And count against a significant difference that is claimed."""
    never = {("spontaneous 100", "gaussian"): NAN, ("misplaced electrode", "dipole"): NAN}
    found = evidence(never)
    assert verdict("C12", found) == UNDECIDED
    assert verdict("C16", found) == FAILS
    assert min(c.margin for c in BY_ID["C12"].checks(found)) <= -1.0
    # one of eight: the other seven decide
    one = {("spontaneous 100", "gaussian"): [1.1] * 7 + [NAN]}
    assert verdict("C12", evidence(one)) == HOLDS


# Evidence


def test_means_and_ratios_by_animal(published):
    means = published.means("set 7", "dipole", DECODERS[1])
    measured = published.measured[Setting("set 7", "dipole", DECODERS[1])]
    np.testing.assert_array_equal(means, subject_means(measured))
    ratios = published.ratios("set 7", "set 6", "dipole")
    np.testing.assert_allclose(ratios, 0.6, rtol=0.1)
    np.testing.assert_allclose(ratios * published.ratios("set 6", "set 7", "dipole"), 1.0)


def test_the_texts_test_is_made_within_each_animal(published):
    group = ("set 5", "set 6", "set 7")
    rising = published.tests("set 5", "set 6", group, "dipole")
    assert len(rising) == 8
    assert all(t.rises for t in rising)
    assert all(t.falls for t in published.tests("set 6", "set 5", group, "dipole"))
    assert not any(t.rises or t.falls for t in published.tests("set 5", "set 6", group, "gaussian"))
    broken = evidence({("set 5", "dipole"): [NAN] + [1.6] * 7})
    found = broken.tests("set 5", "set 6", group, "dipole")
    assert found[0] is None
    assert all(t.rises for t in found[1:])
    # the set without convergent runs does not disturb the others' test
    assert broken.tests("set 7", "set 6", group, "dipole")[0].falls


def test_evidence_can_be_replaced_in_part(published):
    other = replace(published, linear={n: np.zeros(8) for n in ("refused", "linear", "dipole")})
    assert verdict("C24", other) == FAILS
    assert verdict("C1", other) == HOLDS
