import os
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import registry
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from quick_runs import native
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)

import ndbmi_gym  # noqa: F401
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

IDS = [name for name in registry if name.startswith("ndbmi/")]

# zero volition arrives in 6 to 10 steps: staggered ends of both kinds, some of them at once
STAGGERED = {"observe": "state"}
LIMIT = 8


def test_without_sb3_the_extra_is_named():
    code = "import sys; sys.modules['stable_baselines3'] = None; import ndbmi_gym.sb3"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'run `pip install "ndbmi-gym[sb3]"`' in done.stderr.splitlines()[-1]


def scalar(**options):
    return gymnasium.make("ndbmi/FixedField-v1", max_episode_steps=LIMIT, **options)


class Composed(gymnasium.Env):
    """Shows its action; ends after two steps."""

    def __init__(self, space):
        self.observation_space = self.action_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 2
        return self.observation_space.sample(), {}

    def step(self, action):
        self.left -= 1
        return action, 0.0, self.left == 0, False, {}


class TestAdapter:
    def rollout(self, venv, n_steps=40):
        """Zero volition from a seeded reset: observations, rewards, ends, infos."""
        venv.seed(3)
        yield venv.reset(), None, None, None
        nothing = np.zeros((venv.num_envs, *venv.action_space.shape), np.float32)
        for _ in range(n_steps):
            yield venv.step(nothing)

    @pytest.mark.parametrize("n", [1, 4])
    def test_it_agrees_with_sb3s_own_vector_environment(self, n):
        makers = [lambda: scalar(**STAGGERED)] * n
        mine = NativeVecEnv(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP))
        lengths, kinds = set(), set()
        for ours, theirs in zip(self.rollout(mine), self.rollout(DummyVecEnv(makers)), strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            if ours[1] is None:
                continue
            np.testing.assert_array_equal(ours[1], theirs[1])
            np.testing.assert_array_equal(ours[2], theirs[2])
            for ended, our, their in zip(ours[2], ours[3], theirs[3], strict=True):
                if not ended:
                    assert our == {}
                    continue
                for key in their.keys() - {"episode"}:
                    np.testing.assert_array_equal(our[key], their[key])
                lengths.add(our["episode"]["l"])
                kinds.add(our["TimeLimit.truncated"])
        assert len(lengths) > 1 or n == 1
        assert kinds == {True, False} or n == 1

    def test_a_native_batch_of_one_agrees_with_the_scalar_environment(self):
        mine = NativeVecEnv(native(1, max_episode_steps=LIMIT, **STAGGERED))
        theirs = DummyVecEnv([lambda: scalar(**STAGGERED)])
        for ours, expected in zip(self.rollout(mine), self.rollout(theirs), strict=True):
            for a, b in zip(ours[:3], expected[:3], strict=True):
                np.testing.assert_array_equal(a, b)
            if ours[2] is not None and ours[2][0]:
                a, b = ours[3][0], expected[3][0]
                np.testing.assert_array_equal(a["terminal_observation"], b["terminal_observation"])
                assert a["TimeLimit.truncated"] == b["TimeLimit.truncated"]

    def test_a_native_batch_reports_staggered_ends(self):
        n = 8
        mine = NativeVecEnv(native(n, max_episode_steps=LIMIT, **STAGGERED))
        bare = native(n, max_episode_steps=LIMIT, **STAGGERED)
        seen, _ = bare.reset(seed=3)
        nothing = np.zeros(bare.action_space.shape, np.float32)
        earned, length, lengths, partial = np.zeros(n), np.zeros(n, int), set(), False
        half_side = mine.env.episodes.half_side_cm
        position = mine.env.episodes.layout.columns["position"]
        for i, (ours, rewards, dones, infos) in enumerate(self.rollout(mine)):
            if i == 0:
                np.testing.assert_array_equal(ours, seen)
                continue
            seen, reward, terminated, truncated, info = bare.step(nothing)
            earned, length = earned + reward, length + 1
            np.testing.assert_array_equal(ours, seen)
            np.testing.assert_array_equal(rewards, reward.astype(np.float32))
            np.testing.assert_array_equal(dones, terminated | truncated)
            partial |= 0 < dones.sum() < n
            for j in range(n):
                if not dones[j]:
                    assert infos[j] == {}
                    continue
                final = infos[j]["terminal_observation"]
                np.testing.assert_array_equal(final, info["final_obs"][j])
                np.testing.assert_allclose(
                    final[position] * half_side, infos[j]["position"], rtol=1e-6
                )
                assert infos[j]["TimeLimit.truncated"] == (truncated[j] and not terminated[j])
                assert infos[j]["is_success"] == terminated[j]
                assert infos[j]["episode"]["l"] == length[j]
                assert infos[j]["episode"]["r"] == pytest.approx(earned[j])
                lengths.add(length[j])
                earned[j] = length[j] = 0
        assert partial
        assert LIMIT in lengths
        assert len(lengths) > 2

    def test_other_ways_to_begin_anew_are_refused(self):
        with pytest.raises(ValueError, match=r"is no vector environment.*make_vec"):
            NativeVecEnv(scalar())
        with pytest.raises(ValueError, match="SameStep"):
            NativeVecEnv(native(2, mode="NextStep"))

    def test_it_serves_sb3s_wrappers(self):
        n = 3
        stacked = VecFrameStack(NativeVecEnv(native(n, max_episode_steps=4)), 2)
        with pytest.warns(UserWarning, match="already wrapped"):  # `episode` is there without it
            monitored = VecMonitor(stacked, info_keywords=("is_success", "distance"))
        venv = VecNormalize(monitored)
        assert venv.reset().shape == (n, *venv.observation_space.shape)
        for _ in range(4):
            seen, _, dones, infos = venv.step(np.zeros((n, *venv.action_space.shape)))
        assert seen.shape == (n, *venv.observation_space.shape)
        assert dones.all()
        assert infos[0]["episode"].keys() == {"r", "l", "t", "is_success", "distance"}
        assert infos[0]["terminal_observation"].shape == venv.observation_space.shape

    def test_a_seed_is_used_once(self):
        venv = NativeVecEnv(native(2))
        firsts = []
        for seed in (5, None, 5):
            if seed is not None:
                assert venv.seed(seed) == [5, 6]
            firsts.append(venv.reset())
        np.testing.assert_array_equal(firsts[0], firsts[2])
        assert (firsts[0] != firsts[1]).any()

    def test_options_reach_the_environment_once(self):
        venv = NativeVecEnv(native(3, observe="state"))
        venv.set_options({"start": [7.0, 2.0]})
        venv.reset()
        position = [info["position"] for info in venv.reset_infos]
        np.testing.assert_array_equal(position, [[7.0, 2.0]] * 3)
        venv.reset()
        assert (venv.reset_infos[0]["position"] != [7.0, 2.0]).any()

    def test_options_may_differ_among_separate_environments(self):
        same = AutoresetMode.SAME_STEP
        venv = NativeVecEnv(SyncVectorEnv([lambda: scalar()] * 3, autoreset_mode=same))
        for _ in range(2):
            venv.seed(1)
            here, there = {"start": [7.0, 2.0]}, {"start": np.array([-7.0, 0.0])}
            venv.set_options([here, {}, there])
            seen = venv.reset()
            positions = [info["position"].tolist() for info in venv.reset_infos]
            assert positions[0] == [7.0, 2.0]
            assert positions[1] not in (positions[0], positions[2])
            assert positions[2] == [-7.0, 0.0]
            assert [info["trial"] for info in venv.reset_infos] == [0, 0, 0]
            assert venv.observation_space.contains(seen[0])
        venv.reset()
        assert venv.reset_infos[0]["position"].tolist() != [7.0, 2.0]
        venv.set_options([here, {}, there])
        venv.reset()
        assert [info["trial"] for info in venv.reset_infos] == [2, 2, 2]  # each begins once

    @pytest.mark.parametrize("backwards", [True, False])  # the order in which memory was lent
    def test_options_of_the_trials_of_a_batch_are_one_reset(self, backwards):
        batch = native(3)
        curl = {"curl": 0.6}
        starts, trials = [[7.0, 2.0], [3.0, 4.0], [-7.0, 0.0]], [4, 0, 2]
        wanted, _ = batch.reset(
            seed=1, options={"start": starts, "trial": trials, "perturbation": curl}
        )
        venv = NativeVecEnv(native(3))
        venv.seed(1)
        given = sorted([{}, {}, {}], key=id, reverse=backwards)
        for each, start, trial in zip(given, starts, trials, strict=True):
            each |= {"start": start, "trial": trial, "perturbation": dict(curl)}
        venv._options = given  # `set_options` copies, wherever memory is free
        np.testing.assert_array_equal(venv.reset(), wanted)
        assert [info["trial"] for info in venv.reset_infos] == trials
        for _ in range(5):
            action = np.full(batch.action_space.shape, 0.2, np.float32)
            np.testing.assert_array_equal(venv.step(action)[0], batch.step(action)[0])
        venv.reset()
        assert venv.reset_infos[0]["position"].tolist() != starts[0]

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ([{"start": [7.0, 2.0]}, {"start": [700.0, 0.0]}], "start = .*give two coordinates"),
            ([{"start": [7.0, 2.0]}, {}], "'start' is there for some trials, and not for trial 1"),
            ([{"start": [7.0, 2.0]}, {"start": [7.0]}], "'start' has other shapes"),
            (
                [{"perturbation": {"curl": 0.1}}, {"perturbation": {"curl": 0.2}}],
                "'perturbation' differs: give the same",
            ),
        ],
    )
    def test_a_reset_that_is_refused_has_changed_nothing(self, options, why):
        venv, other = NativeVecEnv(native(2)), NativeVecEnv(native(2))
        for each in (venv, other):
            each.seed(1)
            each.reset()
        venv.set_options(options)
        with pytest.raises(ValueError, match=why):
            venv.reset()
        for _ in range(3):
            action = np.full((2, 9), 0.2, np.float32)
            np.testing.assert_array_equal(venv.step(action)[0], other.step(action)[0])

    def test_attributes_and_methods_are_those_of_the_batch(self):
        venv = NativeVecEnv(native(3))
        assert venv.get_attr("max_episode_steps") == [50] * 3
        assert venv.get_attr("max_episode_steps", 1) == [50]
        venv.set_attr("max_episode_steps", 4)
        assert venv.env.max_episode_steps == 4
        with pytest.raises(ValueError, match="all trials"):
            venv.set_attr("max_episode_steps", 5, indices=[0])
        assert venv.env_method("render", indices=[0, 2]) == [None, None]
        assert venv.env_is_wrapped(gymnasium.wrappers.TimeLimit) == [False] * 3
        assert venv.has_attr("episodes")
        assert not venv.has_attr("nonsense")

    def test_a_method_of_the_batch_is_called_once(self):
        venv = VecFrameStack(NativeVecEnv(native(3)), 2)
        asked = []
        venv.unwrapped.env.change = lambda **options: asked.append(options)
        assert venv.env_method("change", effort_weight=0.1) == [None] * 3
        assert asked == [{"effort_weight": 0.1}]

    def test_attributes_can_be_set_as_through_wrappers(self):
        venv = NativeVecEnv(native(3))
        assert venv.env_method("set_wrapper_attr", "mine", 2) == [True] * 3
        assert venv.get_attr("mine") == [2] * 3
        assert venv.env_method("get_wrapper_attr", "mine", indices=1) == [2]
        assert venv.env_method("has_wrapper_attr", "mine") == [True] * 3

    def test_separate_environments_keep_theirs_apart(self):
        makers = [lambda: scalar()] * 3
        venv = NativeVecEnv(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP))
        for i in range(3):
            venv.set_attr("mine", i, indices=i)
        assert venv.get_attr("mine") == [0, 1, 2]
        venv.env_method("set_wrapper_attr", "mine", 7, indices=[0, -1])
        assert venv.get_attr("mine") == [7, 1, 7]
        assert venv.env_is_wrapped(gymnasium.wrappers.TimeLimit) == [True] * 3
        assert venv.env_is_wrapped(gymnasium.wrappers.ClipAction) == [False] * 3

    def test_whether_there_is_a_monitor(self):
        makers = [scalar, lambda: Monitor(scalar())]
        apart = NativeVecEnv(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP))
        assert apart.env_is_wrapped(Monitor) == [False, True]
        assert apart.env_is_wrapped(Monitor, indices=1) == [True]
        assert NativeVecEnv(native(2)).env_is_wrapped(Monitor) == [True, True]

    def test_evaluation_does_not_miss_a_monitor(self):
        venv = NativeVecEnv(native(4, max_episode_steps=LIMIT, **STAGGERED))
        model = PPO("MlpPolicy", venv, n_steps=8, batch_size=32, device="cpu")
        mean, _ = evaluate_policy(model, venv, n_eval_episodes=8)  # warnings are errors here
        assert np.isfinite(mean)

    def test_callbacks_and_normalisation_are_served(self):
        short = {"max_episode_steps": LIMIT, **STAGGERED}
        seen_by_others = VecCheckNan(
            VecNormalize(NativeVecEnv(native(2, **short)), training=False), raise_exception=True
        )
        evaluation = EvalCallback(seen_by_others, n_eval_episodes=2, eval_freq=8, verbose=0)
        venv = VecCheckNan(VecNormalize(NativeVecEnv(native(4, **short))), raise_exception=True)
        model = PPO("MlpPolicy", venv, n_steps=8, batch_size=32, n_epochs=1, device="cpu")
        model.learn(64, callback=evaluation)
        assert np.isfinite(evaluation.last_mean_reward)
        assert venv.venv.obs_rms.count > 64

    @pytest.mark.parametrize("kind", [gymnasium.spaces.Dict, gymnasium.spaces.Tuple])
    def test_composed_spaces(self, kind):
        parts = gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(0, 1, (3,))
        named = kind is gymnasium.spaces.Dict
        composed = kind(dict(zip("ab", parts, strict=True)) if named else parts)
        makers = [lambda: Composed(composed)] * 3
        venv = NativeVecEnv(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP))
        keys = list("ab") if named else [0, 1]
        assert venv.reset()[keys[1]].shape == (3, 3)
        for _ in range(2):
            actions = [composed.sample() for _ in range(3)]
            seen, _, dones, infos = venv.step(actions)
            # each shows its action
            for i, action in enumerate(actions):
                shown = infos[i]["terminal_observation"] if dones[i] else None
                for key in keys:
                    own = shown[key] if dones[i] else seen[key][i]
                    np.testing.assert_allclose(own, action[key])
        assert dones.all()

    def test_pictures_are_tiled(self):
        venv = NativeVecEnv(native(2, render_mode="rgb_array"))
        venv.reset()
        one, two = venv.get_images()
        assert venv.render().shape == (2 * one.shape[0], one.shape[1], 3)
        assert (one != two).any()
        venv.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ARS", "CrossQ", "TQC", "TRPO"])
def test_algorithms_of_sb3_contrib_take_the_adapter(name):
    algorithm = getattr(pytest.importorskip("sb3_contrib"), name)
    venv = NativeVecEnv(native(4, max_episode_steps=LIMIT, **STAGGERED))
    policy = "LinearPolicy" if name == "ARS" else "MlpPolicy"
    brief = {"TRPO": {"n_steps": 32}, "ARS": {"n_delta": 4}}.get(name, {"learning_starts": 50})
    model = algorithm(policy, venv, device="cpu", seed=0, **brief)
    model.learn(200)
    assert model.num_timesteps >= 200
    found = score("ndbmi/FixedField-v1", model, trials=4, max_episode_steps=LIMIT, **STAGGERED)
    assert np.isfinite(found["return"]).all()


class TestScalarEnvironmentsInSB3:
    @pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric:UserWarning")
    @pytest.mark.parametrize("env_id", IDS)
    def test_sb3s_checker_accepts_every_id(self, env_id):
        check_env(gymnasium.make(env_id).unwrapped)

    def test_they_run_in_processes(self):
        venv = SubprocVecEnv([lambda: gymnasium.make("ndbmi_gym:ndbmi/ShiftTarget-v1")] * 2)
        venv.seed(0)
        first = venv.reset()
        seen, _, _, _ = venv.step(np.zeros((2, *venv.action_space.shape), np.float32))
        venv.close()
        assert first.shape == seen.shape == (2, *venv.observation_space.shape)
        assert (first[0] != first[1]).any()

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_each_process_keeps_one_core_busy_at_most(self):
        venv = SubprocVecEnv([lambda: gymnasium.make("ndbmi_gym:ndbmi/ShiftTarget-v1")] * 2)
        venv.reset()
        actions = np.full((2, *venv.action_space.shape), 0.5, np.float32)
        for _ in range(50):
            venv.step(actions)
        before, begun = [cpu_seconds(each.pid) for each in venv.processes], time.monotonic()
        n_steps = 0
        while n_steps < 200 or time.monotonic() - begun < 1:
            venv.step(actions)
            n_steps += 1
        wall = time.monotonic() - begun
        used = [cpu_seconds(each.pid) for each in venv.processes]
        venv.close()
        for (main_0, all_0), (main, all_) in zip(before, used, strict=True):
            assert all_ - all_0 <= 1.3 * wall
            # on a busy machine as well: nothing worth mentioning beside the thread that steps
            assert all_ - all_0 <= 1.3 * (main - main_0) + 0.05


def cpu_seconds(pid):
    """CPU time so far of a process: of its main thread, and of all threads."""

    def read(path):
        user, system = Path(path).read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    return read(f"/proc/{pid}/task/{pid}/stat"), read(f"/proc/{pid}/stat")
