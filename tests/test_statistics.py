"""The text's tests against SciPy's, and intervals against closed forms and by coverage."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from ndbmi_gym.experiments.bench.statistics import (
    LEVEL,
    Interval,
    Tukey,
    mean_interval,
    ratio_interval,
    share_interval,
    tukey,
)


def draw(seed, sizes, spread=1.0):
    """Groups whose means differ by about the honestly significant difference."""
    rng = np.random.default_rng(seed)
    return [rng.normal(rng.normal(0, spread), 1.0, size) for size in sizes]


def with_nan(groups, seed):
    """The same groups with NaN put in between."""
    rng = np.random.default_rng(seed)
    return [
        np.insert(g, rng.integers(0, len(g), extra), math.nan)
        for extra, g in enumerate(groups, start=1)
    ]


# Tukey's HSD


@pytest.mark.parametrize("sizes", [(20, 20, 20), (30, 30), (5, 40, 11, 23)])
def test_significance_agrees_with_scipy(sizes):
    outcomes = set()
    for seed in range(4):
        groups = draw(seed, sizes, 0.5)
        theirs = stats.tukey_hsd(*groups)
        anova = stats.f_oneway(*groups).pvalue
        for i, j in permutations(range(len(sizes)), 2):
            ours = tukey(with_nan(groups, seed), i, j)
            significant = bool(anova < LEVEL and theirs.pvalue[i, j] < LEVEL)
            assert (ours.rises or ours.falls) == significant
            assert ours.rises == (significant and theirs.statistic[i, j] > 0)
            assert ours.falls == (significant and theirs.statistic[i, j] < 0)
            assert (abs(ours.score) > 1) == (theirs.pvalue[i, j] < LEVEL)
            outcomes.add(significant)
    assert outcomes == {True, False}


@pytest.mark.parametrize("sizes", [(10, 10, 10), (4, 30, 9)])
def test_numbers_agree_with_scipy(sizes):
    groups = draw(7, sizes)
    theirs = stats.tukey_hsd(*groups)
    interval = theirs.confidence_interval(1 - LEVEL)
    for i, j in permutations(range(3), 2):
        ours = tukey(with_nan(groups, 3), i, j)
        assert ours.anova_p == pytest.approx(stats.f_oneway(*groups).pvalue, rel=1e-12)
        assert ours.difference == pytest.approx(theirs.statistic[i, j], rel=1e-12)
        half = (interval.high[i, j] - interval.low[i, j]) / 2
        assert ours.critical == pytest.approx(half, rel=1e-6)
        assert ours.score == ours.difference / ours.critical


@pytest.mark.parametrize("size", [200, 240])
def test_in_many_runs_the_critical_difference_is_nearly_exact(size):
    groups = draw(5, (size,) * 5)
    interval = stats.tukey_hsd(*groups).confidence_interval(1 - LEVEL)
    half = (interval.high[0, 1] - interval.low[0, 1]) / 2
    assert tukey(groups, 0, 1).critical == pytest.approx(half, rel=1e-3)


def test_anova_must_agree():
    """Tukey's HSD alone does not make a difference significant."""
    assert Tukey(0.001, 2.0, 1.0).rises
    assert not Tukey(0.02, 2.0, 1.0).rises
    assert Tukey(0.001, -2.0, 1.0).falls
    assert not Tukey(0.02, -2.0, 1.0).falls
    assert not Tukey(0.001, 0.9, 1.0).rises
    assert not Tukey(0.001, -2.0, 1.0).rises
    assert not Tukey(0.001, 2.0, 1.0).falls
    # the strict level
    assert not Tukey(LEVEL, 2.0, 1.0).rises
    assert not Tukey(0.001, 1.0, 1.0).rises


@pytest.mark.parametrize(
    "few", [np.array([]), np.array([5.0]), np.full(8, np.nan), np.array([np.nan, 5.0, np.nan])]
)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_groups_with_too_few_runs_are_left_out(few, place):
    groups = draw(3, (12, 15, 9))
    longer = [*groups[:place], few, *groups[place:]]
    index = [i + (i >= place) for i in range(3)]
    for i, j in permutations(range(3), 2):
        assert tukey(longer, index[i], index[j]) == tukey(groups, i, j)
    for i in range(3):
        assert tukey(longer, place, index[i]) is None
        assert tukey(longer, index[i], place) is None


def test_without_variance_any_difference_is_significant():
    assert Tukey(0.0, 0.3, 0.0).score == math.inf
    assert Tukey(0.0, -0.3, 0.0).score == -math.inf
    assert Tukey(0.0, 0.3, 0.0).rises
    assert Tukey(0.0, -0.3, 0.0).falls
    # and none is not
    same = Tukey(0.0, 0.0, 0.0)
    assert same.score == 0.0
    assert not same.rises
    assert not same.falls


@pytest.mark.filterwarnings("ignore:Each of the input arrays is constant")
def test_constant_runs_can_be_compared():
    low, high = np.full(5, 1.0), np.full(4, 2.0)
    assert tukey([low, high], 1, 0).rises
    assert tukey([low, high], 0, 1).falls
    same = tukey([low, low, low], 1, 0)
    assert not same.rises
    assert not same.falls


def test_two_runs_suffice():
    found = tukey([np.array([1.0, 2.0, np.nan]), np.array([1.5, 2.5])], 1, 0)
    assert found.difference == 0.5
    assert not found.rises


# Intervals


@pytest.mark.parametrize("of", [1, 2, 7, 8, 30])
def test_shares_have_the_exact_interval(of):
    for hits in range(of + 1):
        ours = share_interval(hits, of)
        theirs = stats.binomtest(hits, of).proportion_ci(0.95, method="exact")
        assert ours.estimate == hits / of
        assert ours.low == pytest.approx(theirs.low, abs=1e-12)
        assert ours.high == pytest.approx(theirs.high, abs=1e-12)


def test_a_share_of_none_is_unknown():
    assert np.isnan(share_interval(0, 0)).all()


def test_share_of_all_by_hand():
    """With all of n hit the bound is the p at which pⁿ = 2.5 %."""
    assert share_interval(8, 8) == (1.0, pytest.approx(0.025 ** (1 / 8)), 1.0)
    assert share_interval(0, 8) == (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 8)))


def test_mean_by_hand():
    # mean 2, standard error 1/√3, Student's t(97.5 %, 2) = 4.30265
    half = 4.302652729911275 / math.sqrt(3)
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - half, 2 + half))
    assert mean_interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_mean_agrees_with_scipy():
    values = np.random.default_rng(0).normal(3.0, 2.0, 11)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((values.mean(), theirs.low, theirs.high))


def test_ratio_by_hand():
    # logarithms −ln 2, 0, ln 2
    half = 4.302652729911275 * math.log(2) / math.sqrt(3)
    expected = (1.0, math.exp(-half), math.exp(half))
    assert ratio_interval([0.5, 1.0, 2.0]) == pytest.approx(expected)
    assert ratio_interval([4.0, 9.0]).estimate == pytest.approx(6.0)


def test_a_ratio_the_other_way_round_is_the_inverse():
    ratios = np.random.default_rng(1).lognormal(0.3, 0.4, 6)
    there, back = ratio_interval(ratios), ratio_interval(1 / ratios)
    assert back == pytest.approx((1 / there.estimate, 1 / there.high, 1 / there.low))


@pytest.mark.parametrize("interval", [mean_interval, ratio_interval])
@pytest.mark.parametrize(
    "values",
    [
        [],
        [1.0],
        [np.nan, np.nan],
        [1.0, np.nan],
        [1.0, np.nan, 2.0, 3.0],
        [1.0, 2.0, np.inf],
        [*np.ones(9), np.nan],
    ],
)
def test_no_interval_without_two_values_or_if_one_is_missing(interval, values):
    assert np.isnan(interval(values)).all()


@pytest.mark.parametrize("size", [2, 5, 8])
def test_intervals_cover_the_truth_in_95_percent(size):
    # 2000 samples: a share beyond 4 standard errors (0.49 %) has probability 6e-5 each
    rng = np.random.default_rng(size)
    covered = np.zeros(2)
    for sample in rng.normal(0.7, 0.3, (2000, size)):
        _, low, high = mean_interval(sample)
        covered[0] += low <= 0.7 <= high
        _, low, high = ratio_interval(np.exp(sample))
        covered[1] += low <= math.exp(0.7) <= high
    assert (np.abs(covered / 2000 - 0.95) < 0.0195).all()


def test_an_interval_reads_well():
    assert str(Interval(1.234, 1.0, 1.5)) == "1.23 (1.00 to 1.50)"
