import pytest
from published import NAN

from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.experiments.vato2014.checks import (
    FAILS,
    HOLDS,
    MIN_ANIMALS,
    UNDECIDED,
    Check,
    Claim,
    Finding,
)


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
    finding = Finding(Claim("X", "", "", lambda evidence: checks), checks, MIN_ANIMALS)
    assert finding.verdict == expected
    assert finding.margin == min(c.margin for c in checks)
    # fewer animals decide nothing, but a search may ask for their margin
    few = finding._replace(animals=MIN_ANIMALS - 1)
    assert few.verdict == UNDECIDED
    assert few.margin == finding.margin


def test_without_checks_nothing_is_decided():
    finding = Finding(Claim("X", "", "", lambda evidence: []), [], 100)
    assert finding.verdict == UNDECIDED
    assert finding.margin <= -1.0
