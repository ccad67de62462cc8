from types import SimpleNamespace

import numpy as np
import pytest
from quick_runs import native

from ndbmi_gym import rollout
from ndbmi_gym.policies import make_policy


class Durations:
    """An environment whose trial i lasts i + 1 steps, then 1 step each; it earns 1 per step."""

    def __init__(self, n, dwell=1):
        self.num_envs = n
        self.unwrapped = SimpleNamespace(
            episodes=SimpleNamespace(task=SimpleNamespace(dwell=dwell))
        )

    def reset(self, seed=None):
        self.left = np.arange(1, self.num_envs + 1)
        self.fresh = np.zeros(self.num_envs, bool)
        self.starts = [np.ones(self.num_envs, bool)]
        return np.zeros((self.num_envs, 1)), {}

    def step(self, action):
        self.left = np.where(self.fresh, 1, self.left - 1)
        self.starts.append(self.fresh)
        ended = (self.left == 0) & ~self.fresh
        self.fresh = ended
        nothing = np.zeros(self.num_envs, bool)
        odd = np.arange(self.num_envs) % 2 == 1
        info = {"inside": ended, "effort": action[:, 0], "is_success": ended & odd}
        return np.zeros((self.num_envs, 1)), np.ones(self.num_envs), ended, nothing, info


class Watcher:
    def __init__(self):
        self.begun = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.begun.append(episode_start)
        return np.full((len(observation), 1), 0.5), state


class TestMeasures:
    def test_every_trial_counts_once_however_long_it_takes(self):
        n = 7
        env, watcher = Durations(n), Watcher()
        found = rollout.measure(env, watcher, seed=0)
        score, success, earned, effort, steps = found
        expected = np.arange(1, n + 1)
        np.testing.assert_array_equal(steps, expected)
        np.testing.assert_array_equal(score, expected)
        np.testing.assert_array_equal(earned, expected)
        np.testing.assert_array_equal(effort, 0.5)
        np.testing.assert_array_equal(success, np.arange(n) % 2)

    def test_policies_are_told_when_trials_begin(self):
        env, watcher = Durations(5), Watcher()
        rollout.measure(env, watcher, seed=0)
        np.testing.assert_array_equal(watcher.begun, env.starts[:-1])

    def test_holding_is_judged_by_the_last_steps(self):
        n = 30
        score, *_ = rollout.measure(Durations(n, dwell=0), Watcher(), seed=0)
        # the longest trial is inside in its very last step only
        assert score[-1] == pytest.approx(1 / 25)

    def test_all_policies_meet_the_same_trials(self):
        env = native(16, "ndbmi/ShiftTarget-v0", mode="NextStep")
        places = []
        for name in ("zero", "eq24"):
            rollout.measure(env, make_policy(name, env), seed=4)
            env.reset(seed=4)
            places.append((env.episodes.state.position, env.episodes.target))
        np.testing.assert_array_equal(*[place[0] for place in places])
        np.testing.assert_array_equal(*[place[1] for place in places])

    def test_a_miss_takes_all_steps(self):
        env = native(64, "ndbmi/ShiftTarget-v0", mode="NextStep")
        score, success, _, effort, _ = rollout.measure(env, make_policy("eq24", env), 0)
        assert (score[success == 0] == 25).all()
        assert (score[success == 1] >= 2).all()
        assert 0 < success.mean() < 1
        assert ((effort > 0) & (effort < 1)).all()
