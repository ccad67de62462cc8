"""Scores over a suite, against what is known by hand."""

import numpy as np
import pytest

from agents.benchmark_scores import Normalised, improvement, iqm, normalise, profile


def still(*runs):
    """Runs without errors of trials."""
    return Normalised(np.array(runs, float), np.zeros((len(runs), 1, 10)))


def test_normalised_values_and_their_errors():
    rng = np.random.default_rng(0)
    values = rng.normal(5, 1, (3, 2, 50))
    floor, ceiling = rng.normal(0, 1, (2, 50)), rng.normal(10, 1, (2, 50))
    found = normalise(values, floor, ceiling)
    expected = [(run.mean() - floor.mean()) / (ceiling.mean() - floor.mean()) for run in values]
    np.testing.assert_allclose(found.runs, expected)
    np.testing.assert_allclose(found.errors.mean(axis=(1, 2)), 0, atol=1e-12)
    np.testing.assert_array_equal(normalise(floor[None], floor, ceiling).runs, [0])
    np.testing.assert_allclose(normalise(ceiling[None], floor, ceiling).runs, [1])


def test_the_middle_half():
    assert iqm([still(9, 2, 3, -9)], True).estimate == pytest.approx(2.5)
    # quartiles go through values, which count in part
    assert iqm([still(0, 1, 5)], True).estimate == pytest.approx((0.25 * 0 + 1 + 0.25 * 5) / 1.5)


def test_tasks_count_alike_whatever_their_runs():
    few, many = still(0.2, 0.9), still(*[0.2, 0.9] * 5)
    other = still(0.5, 0.6)
    assert iqm([few, other], True).estimate == pytest.approx(iqm([many, other], True).estimate)


def test_a_single_run_of_a_sample_tells_no_interval():
    found = iqm([still(0.5, 0.6), still(0.7)], True)
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert not np.isnan(iqm([still(0.5), still(0.7)], False).low)


def test_improvement_is_by_trial_and_in_the_right_direction():
    mine, other = np.array([[[1, 2, 3, 4]]]), np.array([[1, 3, 2, 1]])
    assert improvement([(mine, other)], [True], False).estimate == pytest.approx(2.5 / 4)
    assert improvement([(mine, other)], [False], False).estimate == pytest.approx(1.5 / 4)


def test_profiles():
    found = profile([np.array([0.1, 0.9]), np.array([0.5])], np.array([0.0, 0.4, 0.95]), True)
    np.testing.assert_allclose(found[:, 0], [1, 0.75, 0])
    assert (found[:, 1] <= found[:, 0]).all()
    assert (found[:, 2] >= found[:, 0]).all()
    assert np.isnan(profile([np.array([0.1])], np.array([0.0]), False)[0, 1:]).all()
