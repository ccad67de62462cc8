import subprocess
import sys
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from quick_runs import native

from ndbmi_gym import rollout
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.policies import make_policy
from ndbmi_gym.sessions import Session


class Durations:
    """An environment whose trial i lasts i + 1 steps, then 1 step each; it earns 1 per step.

    Steps lead 0.75 and 0.25 cm to the right in turn. Trials whose number is odd succeed, of the
    others every second one fails.
    """

    def __init__(self, n, **task):
        self.num_envs, self.first = n, 0
        asked = SimpleNamespace(**{"holds": False, "radius_cm": 1.0} | task)
        told = SimpleNamespace(session=Session())
        self.unwrapped = SimpleNamespace(
            episodes=SimpleNamespace(task=asked, config=told), max_episode_steps=100
        )

    def reset(self, seed=None, options=None):
        self.left = np.arange(1, self.num_envs + 1)
        self.fresh = np.zeros(self.num_envs, bool)
        self.starts = [np.ones(self.num_envs, bool)]
        self.steps, nowhere = 0, np.zeros((self.num_envs, 2))
        return np.zeros((self.num_envs, 1)), {"position": nowhere, "target": nowhere + (3, 4)}

    def step(self, action):
        self.left = np.where(self.fresh, 1, self.left - 1)
        self.starts.append(self.fresh)
        ended = (self.left == 0) & ~self.fresh
        self.fresh = ended
        nothing = np.zeros(self.num_envs, bool)
        number = np.arange(self.num_envs)
        self.steps += 1
        x = (self.steps + self.steps % 2 / 2) / 2
        info = {
            "inside": ended,
            "effort": action[:, 0],
            "is_success": ended & (number % 2 == 1),
            "failed": ended & (number % 4 == 2),
            "position": np.tile((x, 0.0), (self.num_envs, 1)),
            "time_s": np.full(self.num_envs, 0.5 * self.steps),
        }
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
        score, success, earned, effort, steps = found[:5]
        expected = np.arange(1, n + 1)
        np.testing.assert_array_equal(steps, expected)
        # who fails takes all steps there are
        np.testing.assert_array_equal(score, [1, 2, 100, 4, 5, 6, 100])
        np.testing.assert_array_equal(earned, expected)
        np.testing.assert_array_equal(effort, 0.5)
        np.testing.assert_array_equal(success, np.arange(n) % 2)

    def test_policies_are_told_when_trials_begin(self):
        env, watcher = Durations(5), Watcher()
        rollout.measure(env, watcher, seed=0)
        np.testing.assert_array_equal(watcher.begun, env.starts[:-1])

    def test_holding_is_judged_by_the_last_steps(self):
        n = 30
        score, *_ = rollout.measure(Durations(n, holds=True), Watcher(), seed=0)
        # the longest trial is inside in its very last step only
        assert score[-1] == pytest.approx(1 / 25)
        score, *_ = rollout.measure(Durations(n, holds=True, scored_steps=10), Watcher(), seed=0)
        assert score[-1] == pytest.approx(1 / 10)

    def test_reaches_that_arrive_are_told_of_by_time_and_path(self):
        env = Durations(4)
        *_, time_s, efficiency, throughput, _ = rollout.measure(env, Watcher(), seed=0)
        np.testing.assert_array_equal(time_s, [np.nan, 1.0, np.nan, 2.0])
        # 0, 0.75, 1, 1.75, 2 cm: straight; the target is 5 cm away and 2 cm wide
        np.testing.assert_allclose(efficiency, [np.nan, 1.0, np.nan, 1.0])
        np.testing.assert_allclose(throughput, np.log2(3.5) / time_s)
        held = rollout.measure(Durations(4, holds=True), Watcher(), seed=0)
        assert np.isnan(held[-4:-1]).all()

    def test_the_deviation_is_the_largest_and_leftwards_positive(self):
        options = {"session_trials": 2, "trial_steps": 10, "max_episode_steps": -1}
        for curl in (1.5, -1.5):  # the field bends the way to one side
            found = rollout.score(
                "ndbmi/Adaptation-v0", "eq24", 16, **options | {"perturbation": {"curl": curl}}
            )
            assert np.sign(curl) * found["deviation"].mean() > 1
        env = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=3)
        _, info = env.reset(seed=0)
        start, way = info["position"], info["target"] - info["position"]
        largest, still = np.zeros(3), np.zeros((3, 9), np.float32)
        for _ in range(25):
            gone = env.step(still)[4]["position"] - start
            across = (way[:, 0] * gone[:, 1] - way[:, 1] * gone[:, 0]) / np.hypot(*way.T)
            largest = np.where(np.abs(across) > np.abs(largest), across, largest)
        found = rollout.score("ndbmi/ShiftTarget-v1", "zero", 3, seed=0)
        np.testing.assert_allclose(found["deviation"], largest, atol=1e-12)

    def test_statistics_of_reaches_by_hand(self):
        start, end = np.zeros((3, 2)), np.array([[3.0, 4.0], [0.0, 5.0], [0.0, 0.0]])
        target, path = np.array([[6.0, 0.0], [0.0, 6.0], [0.0, 0.0]]), np.array([10.0, 5.0, 0.0])
        found = rollout.reaching(start, end, target, 1.0, path, np.array([4.0, 2.0, 1.0]))
        np.testing.assert_allclose(found[0], [4.0, 2.0, 1.0])
        np.testing.assert_allclose(found[1], [0.5, 1.0, np.nan])  # it has not moved
        np.testing.assert_allclose(found[2], [0.5, 1.0, 0.0])

    def test_a_reach_is_measured_along_its_path(self):
        batch = native(30, "ndbmi/ShiftTarget-v1", mode="NextStep", radius_cm=3.0)
        found = dict(zip(rollout.QUANTITIES, rollout.measure(batch, Half(batch), 0), strict=True))
        alone = gymnasium.make("ndbmi/ShiftTarget-v1", radius_cm=3.0)
        arrived = np.flatnonzero(found["success"])
        assert 3 <= len(arrived) < 30
        assert np.isnan(np.delete(found["throughput"], arrived)).all()
        for i in arrived:
            _, info = alone.reset(seed=int(i))
            path, target, ended = [info["position"]], info["target"], False
            while not ended:
                _, _, ended, _, info = alone.step(np.full(9, 0.5))
                path.append(info["position"])
            walked = np.hypot(*np.diff(path, axis=0).T).sum()
            straight, far = (np.hypot(*(to - path[0])) for to in (path[-1], target))
            assert found["time_s"][i] == info["time_s"] == 0.5 * found["steps"][i]
            assert found["efficiency"][i] == pytest.approx(straight / walked)
            expected = np.log2(far / 6 + 1) / info["time_s"]
            assert found["throughput"][i] == pytest.approx(expected)

    def test_all_policies_meet_the_same_trials(self):
        env = native(16, "ndbmi/ShiftTarget-v1", mode="NextStep")
        places = []
        for name in ("zero", "eq24"):
            rollout.measure(env, make_policy(name, env), seed=4)
            env.reset(seed=4)
            places.append((env.episodes.state.position, env.episodes.target))
        np.testing.assert_array_equal(*[place[0] for place in places])
        np.testing.assert_array_equal(*[place[1] for place in places])

    def test_a_miss_takes_all_steps(self):
        env = native(64, "ndbmi/ShiftTarget-v1", mode="NextStep")
        score, success, _, effort, *_ = rollout.measure(env, make_policy("eq24", env), 0)
        assert (score[success == 0] == 25).all()
        assert (score[success == 1] >= 2).all()
        assert 0 < success.mean() < 1
        assert ((effort > 0) & (effort < 1)).all()


ENV = "ndbmi/ShiftTargetCurl-v1"


class Half:
    """Acts at half strength; made with the environment."""

    def __init__(self, env):
        self.shape = env.unwrapped.episodes.n_electrodes

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.full((len(observation), self.shape), 0.5, np.float32), state


def half(observation):
    return np.full((len(observation), 9), 0.5)


class TestScore:
    @pytest.mark.parametrize("batch", [30, 7, 1])
    def test_blocks_of_trials_are_met_whatever_the_batch(self, batch, monkeypatch):
        monkeypatch.setattr(rollout, "BATCH", batch)
        blocks = {"kind": "blocks", "blocks": [{"trials": 12}, {"push": [50.0, 0.0]}]}
        options = {"repetitions": 3, "max_episode_steps": 20}
        found = rollout.score("ndbmi/FixedField-v1", "zero", 30, perturbation=blocks, **options)
        assert found["success"][:12].all()  # the field leads there
        assert not found["success"][12:].any()  # and cannot against such a push

    def test_a_class_an_object_a_function_and_a_name_score_alike(self):
        batch = native(20, ENV, mode="NextStep")
        expected = rollout.measure(batch, Half(batch), seed=1000)
        for policy in (Half, Half(batch), half, "test_rollout:Half", "test_rollout:half"):
            found = rollout.score(ENV, policy, trials=20)
            assert list(found) == list(rollout.QUANTITIES)
            np.testing.assert_array_equal(np.stack(list(found.values())), expected)
        assert found["effort"] == pytest.approx(0.5)

    def test_baselines_score_as_in_tables(self):
        found = rollout.score(ENV, "eq24", trials=300)
        first = rollout.score(native(250, ENV, mode="NextStep"), "eq24", trials=250)
        np.testing.assert_array_equal(found["return"][:250], first["return"])
        assert found["success"].shape == (300,)
        assert rollout.score(ENV, "eq24", 10, observe="state")["steps"].max() <= 25

    def test_every_trial_has_a_seed_of_its_own(self):
        """Trial k of whatever batch is the environment of seed + k."""
        options = {"repetitions": 3, "observe": "state"}
        found = rollout.score(ENV, half, trials=500, seed=7, **options)
        first, second = found["return"].reshape(2, -1)
        assert (first != second).all()
        assert len(np.unique(found["return"])) == 500
        alone = gymnasium.make(ENV, **options)
        for k in (0, 1, 249, 250, 251, 499):
            alone.reset(seed=7 + k)
            total, steps, ended = 0.0, 0, False
            while not ended:
                _, reward, terminated, truncated, info = alone.step(np.full(9, 0.5))
                total, steps, ended = total + reward, steps + 1, terminated or truncated
            assert found["return"][k] == pytest.approx(total, rel=1e-12)
            assert (found["steps"][k], found["success"][k]) == (steps, info["is_success"])

    def test_a_wrapped_environment_is_played_as_it_is(self):
        shown = []

        def watch(observation):
            shown.append(observation.shape)
            return np.zeros((1, 9))

        env = gymnasium.wrappers.FrameStackObservation(gymnasium.make(ENV), 2)
        found = rollout.score(env, watch, trials=3)
        assert set(shown) == {(1, 2, 20)}
        assert len(shown) == found["steps"].sum()
        ceiling = rollout.score(gymnasium.make(ENV), "ceiling", trials=3)
        assert ceiling["success"].all()

    def test_models_on_stacked_frames_get_them(self):
        batch, width = native(4, ENV, mode="NextStep"), 20
        shows = batch.single_observation_space
        stacked = gymnasium.spaces.Box(*(np.repeat(b, 3) for b in (shows.low, shows.high)))
        seen = []

        def predict(observation, state=None, begun=None, deterministic=False):
            seen.append(observation)
            return half(observation), state

        policy = SimpleNamespace(
            observation_space=stacked, action_space=batch.single_action_space, predict=predict
        )
        rollout.score(batch, policy, trials=4)
        assert seen[0].shape == (4, 3 * width)
        assert not seen[0][:, : 2 * width].any()
        np.testing.assert_array_equal(seen[1][:, width : 2 * width], seen[0][:, 2 * width :])
        policy.action_space = gymnasium.spaces.Box(-1, 1, (9,))
        with pytest.raises(ValueError, match="acts in 9 numbers from -1 to 1, the environment"):
            rollout.score(batch, policy, trials=4)

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ((ENV, "nope"), "'nope' is no baseline .*module:attribute"),
            ((ENV, "."), r"'\.' is a folder: name the agent.npz in it"),
            ((ENV, "nope:Policy"), "'nope:Policy': No module named 'nope': give"),
            ((ENV, "test_rollout:Nope"), "'test_rollout:Nope': .*Nope.*: give"),
            ((ENV, 7), "policy 7 does not act"),
            ((ENV, "zero", 0), "trials = 0"),
            ((ENV, "zero", 2.5), "trials = 2.5: give a whole number"),
            ((ENV, "zero", True), "trials = True: give a whole number"),
            (("CartPole-v1", half, 2), "'CartPole-v1' is no environment of ndbmi_gym"),
        ],
    )
    def test_what_cannot_be_played_is_refused(self, arguments, text):
        with pytest.raises(ValueError, match=text):
            rollout.score(*arguments)

    def test_trials_have_to_end(self):
        batch = BMIVectorEnv(2, task="hold")
        with pytest.raises(ValueError, match="max_episode_steps"):
            rollout.score(batch, "zero", trials=2)
        with pytest.raises(ValueError, match="TimeLimit"):
            rollout.score(gymnasium.make(ENV).unwrapped, "zero", trials=2)
        with pytest.raises(ValueError, match="'observe' is an option of an id"):
            rollout.score(native(2, ENV), "zero", trials=2, observe="state")

    @pytest.mark.parametrize("made", ["native", "sync"])
    @pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
    def test_ended_trials_begin_anew_in_the_next_step(self, mode, made):
        more = {"autoreset_mode": mode}
        if made == "sync":
            more = {"vectorization_mode": "sync", "vector_kwargs": more}
        batch = gymnasium.make_vec(ENV, num_envs=2, **more)
        with pytest.raises(ValueError, match=f"autoreset_mode = '{mode}': .*'NextStep'"):
            rollout.score(batch, "zero", trials=2)

    def test_separate_environments_are_scored_side_by_side(self):
        batch = gymnasium.make_vec(ENV, num_envs=3, vectorization_mode="sync")
        found = rollout.score(batch, half, trials=3, seed=5)
        alone = gymnasium.make(ENV)
        for i in range(3):
            expected = rollout.score(alone, half, trials=1, seed=5 + i)
            for name, values in found.items():
                np.testing.assert_allclose(values[i], expected[name][0], rtol=1e-12)
        with pytest.raises(ValueError, match=r"'eq24' knows the model of one .* 3 apart"):
            rollout.score(batch, "eq24", trials=3)
        with pytest.raises(ValueError, match="no environment of ndbmi_gym"):
            rollout.score(gymnasium.make("CartPole-v1"), "zero", trials=2)

    def test_torch_is_not_needed(self):
        line = "import sys, ndbmi_gym.rollout; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", line]).returncode == 0
