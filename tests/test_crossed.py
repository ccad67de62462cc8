"""Intervals over crossed samples by hand; `test_interval_coverage` asks how often they hold."""

import numpy as np
import pytest
from scipy.stats import binom

from ndbmi_gym.experiments.bench.crossed import crossed_interval
from ndbmi_gym.experiments.bench.statistics import mean_interval

N_TRIALS = 100


def test_where_columns_do_not_differ_it_is_students_over_rows():
    means = np.random.default_rng(0).normal(size=10)
    found = crossed_interval(means[:, None] + np.zeros(N_TRIALS))
    assert found == pytest.approx(mean_interval(means))


def test_where_rows_do_not_differ_it_is_students_over_columns():
    trials = np.random.default_rng(0).normal(size=N_TRIALS)
    found = crossed_interval(np.broadcast_to(trials, (4, N_TRIALS)))
    assert found == pytest.approx(mean_interval(trials))
    assert crossed_interval(trials[None], sampled=False) == pytest.approx(mean_interval(trials))


def test_half_widths_are_sides_of_a_right_angle():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 1)) + rng.normal(size=N_TRIALS)
    middle, low, high = crossed_interval(values)
    sides = [mean_interval(values.mean(axis=axis)) for axis in (0, 1)]
    halves = [side.high - side.estimate for side in sides]
    assert middle == pytest.approx(values.mean())
    assert high - middle == pytest.approx(np.hypot(*halves)) == middle - low


def test_rows_and_columns_may_change_places():
    values = np.random.default_rng(0).normal(size=(5, 6))
    assert crossed_interval(values) == pytest.approx(crossed_interval(values.T))


def test_strata_are_no_sample():
    values = np.broadcast_to([[[0.0], [10.0]]], (1, 2, 50))
    assert crossed_interval(values, sampled=False) == (5.0, 5.0, 5.0)
    # two strata of n columns that have nothing in common are as good as one of 2n
    own = np.random.default_rng(0).normal(size=(1, 2, 5000))
    apart = crossed_interval(own, sampled=False)
    together = crossed_interval(own.reshape(1, -1), sampled=False)
    assert apart == pytest.approx(together, abs=1e-3)


@pytest.mark.parametrize("outcomes", [False, True])
def test_strata_whose_columns_are_alike_are_no_more_than_one(outcomes):
    column = (np.random.default_rng(0).random(5000) < 0.3).astype(float)
    alike = crossed_interval(np.tile(column, (1, 3, 1)), sampled=False, outcomes=outcomes)
    alone = crossed_interval(column[None], sampled=False, outcomes=outcomes)
    assert alike == pytest.approx(alone, abs=1e-5)


def test_added_outcomes_count_alike_in_one_stratum_and_in_many():
    hits = np.random.default_rng(1).random((1, 5, 2000)) < 0.2
    many = crossed_interval(hits, sampled=False, outcomes=True)
    one = crossed_interval(hits.reshape(1, -1), sampled=False, outcomes=True)
    assert many == pytest.approx(one, abs=5e-4)
    certain = crossed_interval(np.ones((1, 5, 20)), sampled=False, outcomes=True)
    together = crossed_interval(np.ones((1, 100)), sampled=False, outcomes=True)
    assert certain.low == pytest.approx(together.low, abs=4e-3)


def test_an_estimate_has_the_width_of_its_errors():
    errors = np.random.default_rng(0).normal(size=(3, N_TRIALS))
    middle, low, high = crossed_interval(errors)
    found = crossed_interval(errors, 7.0)
    assert found == pytest.approx((7.0, 7.0 + low - middle, 7.0 + high - middle))


def test_one_row_of_a_sample_says_nothing_of_others():
    values = np.random.default_rng(0).normal(size=(1, N_TRIALS))
    middle, *ends = crossed_interval(values)
    assert middle == pytest.approx(values.mean())
    assert np.isnan(ends).all()
    assert crossed_interval(values, sampled=False).low < middle
    assert np.isnan(crossed_interval(values[:, :1], sampled=False).low)
    with pytest.raises(ValueError, match="2 rows that are no sample"):
        crossed_interval([[1, 2], [3, 4]], sampled=False)


def test_what_is_missing_is_left_out():
    values = np.random.default_rng(0).normal(size=(4, 6))
    whole = crossed_interval(values)
    longer = np.vstack((np.column_stack((values, np.full(4, np.nan))), np.full(7, np.nan)))
    assert crossed_interval(longer) == whole
    values[0, 0] = np.nan
    rows, columns = np.nanmean(values, axis=1), np.nanmean(values, axis=0)
    found = crossed_interval(values)
    assert found.estimate == pytest.approx(rows.mean())
    halves = [side.high - side.estimate for side in map(mean_interval, (rows, columns))]
    assert found.high - found.estimate == pytest.approx(np.hypot(*halves))
    assert np.isnan(crossed_interval(np.full((2, 2), np.nan))).all()


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.97, 0.99, 0.995, 0.999])
@pytest.mark.parametrize("n", [50, 400])
def test_success_is_covered_at_any_rate(n, rate):
    """Exact: the probabilities of all counts whose interval holds the rate."""
    held = 0.0
    for hits in range(n + 1):
        values = np.arange(n)[None] < hits
        low, high = np.clip(crossed_interval(values, sampled=False, outcomes=True)[1:], 0, 1)
        held += binom.pmf(hits, n, rate) * (low <= rate <= high)
    assert held >= 0.93


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_outcomes_that_are_all_alike_leave_a_width(outcome):
    values = np.full((1, N_TRIALS), outcome)
    assert crossed_interval(values, sampled=False) == (outcome,) * 3
    found = crossed_interval(values, sampled=False, outcomes=True)
    # variance of n alike and two of the other sort, over n
    spread = np.var([*values[0], 0, 0, 1, 1], ddof=1) ** 0.5
    assert found.high - outcome == pytest.approx(1.984 * spread / 10, rel=1e-3)
    # some 3 in n, which is what is not ruled out by n alike (Hanley and Lippman-Hand 1983)
    assert 2.5 < N_TRIALS * (found.high - outcome) < 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0], r"shape \(2,\): give \(rows, columns\)"),
        ([], r"shape \(0,\)"),
        ([[1.0, np.inf]], "infinite"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        crossed_interval(values)
