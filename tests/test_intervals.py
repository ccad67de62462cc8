import numpy as np
import pytest

from agents.intervals import NONE, around, interval

N_TRIALS = 100


def spread_of_runs(rng, kind, n):
    """Deviations of runs from their mean, of unit variance."""
    if kind == "normal":
        return rng.normal(size=n)
    skewed = (rng.gamma(4, size=n) - 4) / 2
    return skewed if kind == "some far above" else -skewed


def coverage(kind, n_runs, ratio, n_repetitions=1500):
    """How often the mean, 0, is covered; `ratio` of spreads over runs and over sets of trials."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(n_repetitions):
        own = spread_of_runs(rng, kind, n_runs)[:, None, None] * ratio / N_TRIALS**0.5
        common = rng.exponential(size=(1, 1, N_TRIALS)) - 1
        values = own + common + rng.normal(size=(n_runs, 1, N_TRIALS))
        low, high = interval(values, trained=True)
        hits += low <= 0 <= high
    return hits / n_repetitions


class TestIntervals:
    @pytest.mark.parametrize("kind", ["normal", "some far above", "some far below"])
    @pytest.mark.parametrize("n_runs", [3, 5, 10])
    @pytest.mark.parametrize("ratio", [0.5, 8.0])
    def test_they_cover_the_mean_over_runs_and_trials(self, kind, n_runs, ratio):
        assert 0.93 <= coverage(kind, n_runs, ratio) <= 0.997

    def test_they_cover_a_fixed_policys_mean(self):
        rng = np.random.default_rng(0)
        hits = []
        for _ in range(1500):
            low, high = interval(rng.exponential(size=(1, 1, 200)), trained=False)
            hits.append(low <= 1 <= high)
        assert 0.93 <= np.mean(hits) <= 0.97

    def test_they_cover_ratios_of_runs(self):
        rng = np.random.default_rng(0)
        hits = []
        for _ in range(1500):
            hard = rng.normal(size=(1, 1, N_TRIALS))
            x = 2 + hard + rng.normal(size=(1, 1, N_TRIALS))
            y = 1 + rng.normal(size=(3, 1, 1)) + hard + rng.normal(size=(3, 1, N_TRIALS))
            ratio = y.mean() / x.mean()
            low, high = around(ratio, (y - ratio * x) / x.mean(), trained=True)
            hits.append(low <= 0.5 <= high)
        assert 0.93 <= np.mean(hits) <= 0.98

    def test_they_are_not_needlessly_wide(self):
        rng = np.random.default_rng(0)
        means = rng.normal(size=(10, 1, 1))
        low, high = interval(means + np.zeros((1, 1, N_TRIALS)), trained=True)
        # Student's own where trials do not differ: t of 9 degrees of freedom is 2.262
        half = 2.262 * means.std(ddof=1) / 10**0.5
        assert (low, high) == pytest.approx((means.mean() - half, means.mean() + half), rel=1e-3)

    def test_one_run_says_nothing_of_others(self):
        values = np.random.default_rng(0).normal(size=(1, 1, N_TRIALS))
        assert interval(values, trained=True) == NONE == (None, None)
        assert interval(values, trained=False).low < values.mean()
        assert interval(values[..., :1], trained=False) == NONE

    def test_animals_are_no_sample(self):
        values = np.broadcast_to([[[0.0], [10.0]]], (1, 2, 50))
        assert interval(values, trained=False) == (5.0, 5.0)
