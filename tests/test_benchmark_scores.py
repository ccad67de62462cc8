"""Scores of a suite by brute force, and in cases whose answer is known."""

import numpy as np
import pytest
from scipy.stats import t, trim_mean

from agents.benchmark_scores import Normalised, improvement, iqm, normalise, profile
from ndbmi_gym.experiments.bench.statistics import share_interval


def tasks_of(*runs, n_trials=4, noise=0.0):
    rng = np.random.default_rng(0)
    found = []
    for each in runs:
        errors = noise * rng.normal(size=(len(each), 1, n_trials))
        errors -= errors.mean(axis=2, keepdims=True)
        found.append(Normalised(np.array(each, float), errors))
    return found


class TestNormalise:
    rng = np.random.default_rng(1)
    floor, ceiling = rng.normal(size=(2, 3, 50)) + np.array([0.0, 5.0])[:, None, None]

    def test_floor_is_0_and_ceiling_1(self):
        found = normalise(np.stack([self.floor, self.ceiling]), self.floor, self.ceiling)
        np.testing.assert_allclose(found.runs, [0, 1], atol=1e-12)
        np.testing.assert_allclose(found.errors, 0, atol=1e-12)

    def test_errors_tell_what_other_trials_would_change(self):
        # moving a trial's weight moves the ratio by the trial's error
        values = self.floor + self.rng.random(self.floor.shape) * 4
        found = normalise(values[None], self.floor, self.ceiling)
        weights = np.ones(values.shape)
        weights[1, 7] += 1e-6
        means = [np.average(each, weights=weights) for each in (values, self.floor, self.ceiling)]
        moved = (means[0] - means[1]) / (means[2] - means[1]) - found.runs[0]
        assert moved == pytest.approx(found.errors[0, 1, 7] * 1e-6 / values.size, rel=1e-4)
        np.testing.assert_allclose(found.errors.mean(), 0, atol=1e-12)


class TestInterquartileMean:
    def test_is_that_of_scipy_where_quartiles_lie_between_values(self):
        runs = np.random.default_rng(2).normal(size=(4, 6))
        found = iqm(tasks_of(*runs), sampled=False)
        assert found.estimate == pytest.approx(trim_mean(runs.ravel(), 0.25), abs=1e-12)

    @pytest.mark.parametrize("n_tasks", [1, 3, 6])
    def test_repeating_runs_changes_nothing(self, n_tasks):
        runs = np.random.default_rng(3).normal(size=(n_tasks, 1))
        once, often = (iqm(tasks_of(*np.repeat(runs, n, axis=1)), False)[0] for n in (1, 4))
        assert once == pytest.approx(often, abs=1e-12)
        assert often == pytest.approx(trim_mean(np.repeat(runs, 4), 0.25), abs=1e-12)

    def test_tasks_count_alike(self):
        few = tasks_of([0.0], [0.5] * 3, [1.0])
        assert iqm(few, False).estimate == pytest.approx(0.5)

    def test_interval_of_references_is_over_trials(self):
        quiet, noisy = (iqm(tasks_of([0.2], [0.8], noise=n), False) for n in (0.0, 0.1))
        assert quiet.low == quiet.estimate == quiet.high
        assert noisy.low < noisy.estimate < noisy.high

    def test_interval_of_a_single_trained_run_or_trial_is_unknown(self):
        found = iqm(tasks_of([0.2], [0.8]), True)
        assert np.isnan(found[1:]).all()
        found = iqm(tasks_of([0.2], [0.8], n_trials=1), False)
        assert found.estimate == 0.5
        assert np.isnan(found[1:]).all()

    def test_interval_of_runs_by_hand(self):
        # of 1, 2, 3, 4 with quartiles between values: winsorised 2, 2, 3, 3, half of 3 degrees
        found = iqm(tasks_of([1, 2, 3, 4]), True)
        error = 2 * np.std([2, 2, 3, 3], ddof=1) / 2
        assert found.estimate == pytest.approx(2.5)
        assert found.high - 2.5 == pytest.approx(t.ppf(0.975, 1.5) * error)

    @pytest.mark.parametrize(("sign", "factor"), [(1, 1.0), (-1, 0.0)])
    def test_what_is_of_the_same_trial_adds_up_before_its_spread_is_taken(self, sign, factor):
        errors = np.random.default_rng(5).normal(size=(1, 1, 50))
        errors -= errors.mean()
        one, other = (Normalised(np.array([0.5]), each) for each in (errors, sign * errors))
        alone, both = (iqm(tasks, False) for tasks in ([one], [one, other]))
        assert both.high - 0.5 == pytest.approx(factor * (alone.high - 0.5), abs=1e-12)


class TestImprovement:
    def test_is_the_share_of_trials_ahead_ties_half(self):
        mine = np.array([[[1.0, 2, 3, 4]], [[1, 1, 1, 1]]])
        other = np.array([[1.0, 1, 4, 3]])
        by_hand = np.mean([0.5, 1, 0, 1, 0.5, 0.5, 0, 0])
        assert improvement([(mine, other)], [True], True).estimate == pytest.approx(by_hand)
        assert improvement([(mine, other)], [False], True).estimate == pytest.approx(1 - by_hand)

    def test_over_itself_is_one_half(self):
        mine = np.random.default_rng(4).normal(size=(1, 1, 30))
        found = improvement([(mine, mine[0])] * 2, [True] * 2, False)
        assert found.estimate == 0.5

    def test_never_beyond_0_and_1_but_never_certain(self):
        mine = np.ones((3, 1, 30))
        found = improvement([(mine, np.zeros((1, 30)))], [True], True)
        assert found.estimate == found.high == 1.0
        assert 0.5 < found.low < 1.0

    def test_interval_of_runs_by_hand(self):
        share = np.array([0.5, 0.6, 0.8])  # of ten trials in which all tasks are alike
        mine = np.where(np.arange(10) < 10 * share[:, None], 1.0, -1.0)[:, None]
        tasks = [(mine, np.zeros((1, 10)))] * 2
        found = improvement(tasks, [True] * 2, True, ["abc"] * 2)
        trials = np.concatenate(([0, 0, 1, 1], ((mine + 1) / 2).mean(axis=0)[0]))
        of_trials = t.ppf(0.975, 13) ** 2 * trials.var(ddof=1) / 14
        of_runs = t.ppf(0.975, 2) ** 2 * share.var(ddof=1) / 3
        assert found.estimate == pytest.approx(share.mean())
        assert found.low == pytest.approx(max(share.mean() - np.sqrt(of_trials + of_runs), 0))
        independent = improvement(tasks, [True] * 2, True)
        of_runs = t.ppf(0.975, 4) ** 2 * share.var(ddof=1) / 6
        assert independent.low == pytest.approx(share.mean() - np.sqrt(of_trials + of_runs))

    def test_interval_of_a_single_trained_run_is_unknown(self):
        assert np.isnan(
            improvement([(np.ones((1, 1, 9)), np.zeros((1, 9)))], [True], True)[1:]
        ).all()


class TestAgentsOnSeveralTasks:
    runs = np.array([0.2, 0.5, 0.8])

    def half(self, agents):
        tasks = tasks_of(self.runs, self.runs[::-1])
        found = iqm(tasks, True, agents)
        return found.high - found.estimate

    def test_what_one_gains_here_and_loses_there_cancels(self):
        assert self.half(["abc", "cba"]) > self.half(["abc", "def"]) > 0
        assert self.half(["abc", "abc"]) == pytest.approx(0, abs=1e-12)
        assert self.half(["abc", "def"]) == self.half(None)

    def test_tasks_with_one_agent_in_common_are_no_longer_independent(self):
        # of the agents a, b and c, and c, d and e: c is best here and there, by the same
        parted = self.half(["abc", "cde"])
        assert parted > self.half(["abc", "def"])

    def test_trials_that_some_tasks_lack(self):
        errors = np.random.default_rng(6).normal(size=(1, 1, 80))
        few = errors[..., :20] - errors[..., :20].mean()
        one, other = (Normalised(np.array([0.5]), each) for each in (errors - errors.mean(), few))
        apart = Normalised(np.array([0.5]), few[..., ::-1])
        halves = [iqm([one, each], False).high for each in (other, apart)]
        assert halves[0] > halves[1]

    def test_animals_on_the_same_trials_are_no_more_than_one(self):
        errors = np.random.default_rng(7).normal(size=(1, 1, 50))
        errors -= errors.mean()
        found = [
            iqm([Normalised(np.array([0.5]), np.tile(errors, (1, n, 1)))], False) for n in (1, 9)
        ]
        assert found[0] == pytest.approx(found[1])


class TestProfile:
    def test_agents_on_several_tasks_count_once(self):
        tasks = [np.array([0.2, 0.4, 0.9])] * 4
        own, same = (profile(tasks, np.array([0.3]), True, a)[0] for a in (None, ["abc"] * 4))
        assert own[0] == same[0] == pytest.approx(2 / 3)
        np.testing.assert_allclose(own[1:], share_interval(8, 12)[1:])
        np.testing.assert_allclose(same[1:], share_interval(2, 3)[1:])

    def test_few_runs_on_one_task_tell_less(self):
        tasks = [np.zeros(10), np.zeros(2)]
        found = profile(tasks, np.array([0.3]), True)[0]
        assert found[2] == pytest.approx(share_interval(0, 4 / (1 / 10 + 1 / 2))[2])

    def test_is_the_share_above(self):
        found = profile([np.array([0.2, 0.4]), np.array([0.6])], np.array([0.1, 0.3, 0.9]), True)
        np.testing.assert_allclose(found[:, 0], [1, 0.75, 0])
        assert (found[:, 1] <= found[:, 0]).all()
        assert (found[:, 0] <= found[:, 2]).all()

    def test_of_references_has_no_interval(self):
        found = profile([np.array([0.2])], np.array([0.1]), False)
        assert found[0, 0] == 1
        assert np.isnan(found[0, 1:]).all()
