"""Goal environments are the plain ones, and their rewards can be computed for any goal."""

import copy
import pickle
from functools import partial

import gymnasium
import numpy as np
import pytest
import third_party
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import ndbmi_gym
from ndbmi_gym.envs.goal import MOST_DWELL
from ndbmi_gym.film import film
from ndbmi_gym.recording import record
from ndbmi_gym.rollout import as_actor, score
from ndbmi_gym.sb3 import NativeVecEnv
from ndbmi_gym.tasks.reach import Reach

SHIFT, HOLD = IDS = [f"ndbmi/{name}" for name in ndbmi_gym._GOAL_IDS]
PLAIN = {SHIFT: "ndbmi/ShiftTarget-v1", HOLD: "ndbmi/HoldTarget-v1"}
# trials that arrive, miss, start inside the disc, leave it and come back
TASKS = {
    "shift": (SHIFT, {"radius_cm": 4.0}),
    "sparse shift": (SHIFT, {"radius_cm": 4.0, "reward": "sparse"}),
    "at once": (SHIFT, {"radius_cm": 3.0, "dwell": 1, "inside_reward": 0.25}),
    "four in a row": (SHIFT, {"radius_cm": 5.0, "dwell": 4, "starts": "centre"}),
    "start inside": (SHIFT, {"radius_cm": 9.0, "dwell": 2}),
    "hold": (HOLD, {"radius_cm": 4.0}),
    "sparse hold": (HOLD, {"radius_cm": 4.0, "reward": "sparse"}),
    "field": (SHIFT, {"task": "fixed", "observe": "full"}),
}
tasks = pytest.mark.parametrize(("env_id", "options"), TASKS.values(), ids=TASKS)


def actions(env, n_steps, seed=0):
    """Eq 24's command with noise, so that trials arrive, but not all of them and not at once."""
    rng = np.random.default_rng(seed)
    shape = n_steps, *env.action_space.shape
    return (rng.random(shape) * (rng.random(shape) < 0.5)).astype(np.float32)


def steps(env, n_steps=120, seed=5):
    """Steps of a single environment, trial after trial."""
    env.reset(seed=seed)
    for action in actions(env, n_steps):
        step = env.step(action)
        yield step
        if step[2] or step[3]:
            env.reset()


def goals(seen):
    return seen["achieved_goal"], seen["desired_goal"]


def assert_same(one, other):
    """Nested dictionaries and tuples of arrays are equal to the last bit."""
    if isinstance(one, tuple):
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    else:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("options", [{}, {"reward": "sparse"}, {"observe": "full", "dwell": 3}])
@pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric:UserWarning")
def test_the_checkers_accept_them(env_id, options):
    env = gymnasium.make(env_id, **options, render_mode="rgb_array").unwrapped
    check_env(env)
    sb3_check_env(env)
    env.close()


@tasks
def test_a_trial_is_that_of_the_plain_id(env_id, options):
    options = {"observe": "state"} | options
    env, plain = gymnasium.make(env_id, **options), gymnasium.make(PLAIN[env_id], **options)
    join = env.unwrapped.episodes.layout.with_target
    ends = 0
    for mine, theirs in zip(steps(env), steps(plain), strict=True):
        seen, *others, info = mine
        np.testing.assert_array_equal(join(seen["observation"], seen["desired_goal"]), theirs[0])
        assert tuple(others) == theirs[1:4]
        recent = info.pop("recent_goals")
        assert recent.shape == (max(env.unwrapped.episodes.task.dwell - 1, 0), 2)
        assert_same(info, theirs[4])
        np.testing.assert_array_equal(seen["achieved_goal"], info["position"])
        np.testing.assert_array_equal(seen["desired_goal"], info["target"])
        assert env.observation_space.contains(seen)
        ends += others[1] or others[2]
    assert ends


@tasks
def test_rewards_and_ends_follow_from_goals_and_info_to_the_last_bit(env_id, options):
    env = gymnasium.make(env_id, **options)
    one = env.unwrapped
    found = list(steps(env))
    for seen, reward, terminated, _, info in found:
        assert one.compute_reward(*goals(seen), info) == reward
        assert one.compute_terminated(*goals(seen), info) is terminated
        assert one.compute_truncated(*goals(seen), info) is False
    seen, reward, terminated, _, infos = zip(*found, strict=True)
    achieved, desired = map(np.array, zip(*map(goals, seen), strict=True))
    joined = {key: np.array([info[key] for info in infos]) for key in infos[0]}
    kept = copy.deepcopy((achieved, desired, joined))
    for form in (infos, list(infos), np.array(infos), joined):
        np.testing.assert_array_equal(one.compute_reward(achieved, desired, form), reward)
        np.testing.assert_array_equal(one.compute_terminated(achieved, desired, form), terminated)
        assert not one.compute_truncated(achieved, desired, form).any()
    assert len(set(reward)) > 1
    assert any(terminated) or one.episodes.task.holds
    for before, after in zip(kept, (achieved, desired, joined), strict=True):
        assert_same(before, after)


@tasks
def test_rewards_of_another_goal_are_those_that_it_would_have_had(env_id, options):
    """The same start and actions lead the same way, whatever the target is."""
    if options.get("task") == "fixed":
        options = {**options, "targets": "calibration"}
    made = gymnasium.make(env_id, **options)
    env, other = made.unwrapped, gymnasium.make(env_id, **options)
    compared = arrivals = 0
    for seed in range(12):
        given = actions(env, 25, seed)
        start, target, far = {"start": (2.0, -3.0)}, {"target": (9.0, 9.0)}, []
        env.reset(seed=seed, options=start | target)
        for action in given:
            far.append(env.step(action))
        goal = np.clip(far[8 + seed][0]["achieved_goal"], -10, 10)
        other.reset(seed=seed, options=start | {"target": goal})
        for action, (seen, _, _, _, info) in zip(given, far, strict=True):
            _, reward, terminated, truncated, _ = other.step(action)
            assert env.compute_reward(seen["achieved_goal"], goal, info) == reward
            assert env.compute_terminated(seen["achieved_goal"], goal, info) is terminated
            compared += 1
            arrivals += terminated
            if terminated or truncated:
                break
    assert compared > 12
    assert arrivals or env.episodes.task.holds


def test_a_start_inside_is_no_step_end_inside():
    env = gymnasium.make(SHIFT, radius_cm=9.0, dwell=2).unwrapped
    seen, info = env.reset(seed=0, options={"start": (5.0, 0.0), "target": (5.0, 0.0)})
    assert info["inside"]
    assert np.isinf(info["recent_goals"]).all()
    idle = np.zeros(9, np.float32)
    for arrived in (False, True):
        seen, _, terminated, _, info = env.step(idle)
        assert terminated is arrived
        assert info["reward_bonus"] == arrived
        assert env.compute_terminated(*goals(seen), info) is arrived


@pytest.mark.parametrize("mode", list(AutoresetMode))
@tasks
def test_a_batch_is_its_single_environments(env_id, options, mode):
    native = gymnasium.make_vec(env_id, num_envs=4, autoreset_mode=mode, **options)
    apart = SyncVectorEnv([partial(gymnasium.make, env_id, **options)] * 4, autoreset_mode=mode)
    assert native.single_observation_space == apart.single_observation_space
    assert native.observation_space == apart.observation_space
    mine, theirs = native.reset(seed=3), apart.reset(seed=3)
    assert_same(mine, theirs)
    ends = 0
    for action in actions(native, 60):
        mine, theirs = native.step(action), apart.step(action)
        assert native.observation_space.contains(mine[0])
        ended = mine[2] | mine[3]
        ends += ended.sum()
        final, info = mine[4].pop("final_obs", None), mine[4]
        seen = theirs[4].pop("final_obs", None)
        assert (final is None) == (seen is None)
        if final is not None:
            last = info["final_info"]
            for i in np.flatnonzero(ended):
                assert_same({key: values[i] for key, values in final.items()}, seen[i])
                told = {key: last[key][i] for key in ("effort", "recent_goals")}
                goal = final["achieved_goal"][i], final["desired_goal"][i]
                assert native.compute_reward(*goal, told) == mine[1][i]
                theirs_last = theirs[4]["final_info"]["recent_goals"][i]
                np.testing.assert_array_equal(told["recent_goals"], theirs_last)
            del info["final_info"], info["_final_info"]
            del theirs[4]["final_info"], theirs[4]["_final_info"]
        assert_same(mine[:4], theirs[:4])
        assert_same(info, theirs[4])
        begun = info["time_s"] == 0
        assert np.isinf(info["recent_goals"][begun]).all()
        rewards = native.compute_reward(*goals(mine[0]), info)
        np.testing.assert_array_equal(rewards[~begun], mine[1][~begun])
        if mode == AutoresetMode.DISABLED and ended.any():
            mask = {"options": {"reset_mask": ended}}
            mine, theirs = native.reset(**copy.deepcopy(mask)), apart.reset(**mask)
            assert_same(mine[0], theirs[0])
            np.testing.assert_array_equal(
                mine[1]["recent_goals"][ended], theirs[1]["recent_goals"][ended]
            )
    assert ends >= 4


FILTERED = ("achieved_goal", "desired_goal")
SCALAR_WRAPPERS = {
    "flat": wrappers.FlattenObservation,
    "filtered": lambda env: wrappers.FilterObservation(env, FILTERED),
    "stacked": lambda env: wrappers.FrameStackObservation(env, 3),
    "timed": wrappers.TimeAwareObservation,
    "rescaled": lambda env: wrappers.RescaleAction(env, -1, 1),
    "counted": wrappers.RecordEpisodeStatistics,
    "paid twice": lambda env: wrappers.TransformReward(env, lambda reward: 2 * reward),
}
VECTOR_WRAPPERS = {
    "flat": wrappers.vector.FlattenObservation,
    "rescaled": lambda env: wrappers.vector.RescaleAction(env, -1, 1),
    "counted": wrappers.vector.RecordEpisodeStatistics,
    "listed": wrappers.vector.DictInfoToList,
}


@pytest.mark.parametrize("name", VECTOR_WRAPPERS)
def test_vector_wrappers_that_take_dictionaries(name):
    made = gymnasium.make_vec(SHIFT, num_envs=2, max_episode_steps=3)
    env = VECTOR_WRAPPERS[name](made)
    seen, _ = env.reset(seed=0)
    for _ in range(5):
        assert env.observation_space.contains(seen)
        seen = env.step(env.action_space.sample())[0]


@pytest.mark.parametrize("name", SCALAR_WRAPPERS)
def test_wrappers_that_take_dictionaries(name):
    env = SCALAR_WRAPPERS[name](gymnasium.make(SHIFT, max_episode_steps=3))
    seen, _ = env.reset(seed=0)
    for _ in range(3):
        assert env.observation_space.contains(seen)
        seen, _, terminated, truncated, info = env.step(env.action_space.sample())
    assert terminated or truncated
    assert "recent_goals" in info


@pytest.mark.parametrize("env_id", IDS)
def test_specs_and_copies_make_the_same_environment(env_id):
    env = gymnasium.make(env_id, reward="sparse", radius_cm=3.0)
    written = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    taken = next(iter(steps(env, 1)))
    assert_same(taken[0], next(iter(steps(written, 1)))[0])
    for again in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        idle = np.zeros(9, np.float32)
        mine, theirs = copy.deepcopy(env).step(idle), again.step(idle)
        assert_same(mine[0], theirs[0])
        assert_same(mine[4], theirs[4])


def test_bounds_hold_at_the_wall():
    env = gymnasium.make(HOLD, perturbation={"push": (400.0, 300.0)})
    far = 0.0
    for seen, *_ in steps(env, 100):
        assert env.observation_space.contains(seen)
        far = max(far, np.abs(seen["achieved_goal"]).max())
    assert far == env.observation_space["achieved_goal"].high[0] == 20.0


class Costly(Reach):
    """Judges by more than where a step ends."""

    def assess(self, *args, **kwargs):
        return super().assess(*args, **kwargs)


@pytest.mark.parametrize("task", [Costly(), "avoid", "rhythm", "straight", "third_party:Obstacle"])
@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_a_task_that_judges_otherwise_is_refused(make, task):
    assert third_party.Obstacle
    with pytest.raises(ValueError, match=r"task = .*where its end says all; choose 'shift'"):
        make(SHIFT, task=task)
    env = gymnasium.make(SHIFT)
    with pytest.raises(ValueError, match="where its end says all"):
        env.unwrapped.change(task=task)
    assert env.unwrapped.episodes.task == Reach()


def test_sessions_are_refused():
    with pytest.raises(ValueError, match="session_trials = 3: hindsight goes to the end"):
        gymnasium.make(SHIFT, session_trials=3, trial_steps=10)


def test_senses_may_be_late_but_goals_are_not():
    env = gymnasium.make(SHIFT, delay_steps=2, noise_cm=0.5, radius_cm=4.0)
    for seen, reward, terminated, _, info in steps(env, 60):
        np.testing.assert_array_equal(seen["achieved_goal"], info["position"])
        assert not np.allclose(10 * seen["observation"][:2], info["position"])
        assert env.observation_space.contains(seen)
        assert env.unwrapped.compute_reward(*goals(seen), info) == reward
        assert env.unwrapped.compute_terminated(*goals(seen), info) is terminated


def test_what_infos_can_hold():
    with pytest.raises(ValueError, match=rf"dwell = {MOST_DWELL + 1}: .*up to {MOST_DWELL}"):
        gymnasium.make(SHIFT, dwell=MOST_DWELL + 1)
    for make in (gymnasium.make, gymnasium.make_vec):
        env = make(SHIFT, dwell=3).unwrapped
        with pytest.raises(ValueError, match=r"dwell = 4: infos hold 3 step ends; make"):
            env.change(dwell=4)
        assert env.episodes.task.dwell == 3


def test_after_a_change_rewards_are_those_of_trials_that_begin():
    env = gymnasium.make(SHIFT, dwell=3, radius_cm=4.0)
    env.unwrapped.change(dwell=2, radius_cm=5.0, effort_weight=0.1)
    ends = 0
    for seen, reward, terminated, _, info in steps(env, 60):
        assert env.unwrapped.compute_reward(*goals(seen), info) == reward
        assert info["recent_goals"].shape == (2, 2)
        ends += terminated
    assert ends


def test_infos_may_be_empty_where_nothing_depends_on_them():
    env = gymnasium.make(HOLD, reward="sparse").unwrapped
    ends = np.array([[1.0, 2.0], [5.0, 5.0], [1.0, 2.0]])
    rewards = env.compute_reward(ends, ends[[0, 0, 2]], [{}] * 3)
    np.testing.assert_array_equal(rewards, [0.5, 0.0, 0.5])
    assert env.compute_reward(ends[0], ends[0], {}) == 0.5
    assert isinstance(env.compute_reward(ends[0], ends[0], {}), float)
    assert gymnasium.make(HOLD, effort_weight=0.0).unwrapped.compute_reward(ends, ends, {}).all()
    assert env.compute_reward(np.empty((0, 2)), np.empty((0, 2)), []).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros(2), {}), r"achieved_goal of shape \(3,\): give \(2,\) or \(B, 2\)"),
        ((np.zeros(2), np.zeros((1, 1, 2)), {}), r"desired_goal of shape \(1, 1, 2\)"),
        ((np.zeros((2, 2)), np.zeros((3, 2)), {}), r"\(2, 2\) and \(3, 2\): give as many"),
        ((np.zeros(2), np.zeros(2), {}), "info has no 'effort'.*copy_info_dict=True"),
        ((np.zeros(2), np.zeros(2), {"effort": 0.1}), "info has no 'recent_goals'"),
        ((np.zeros((3, 2)), np.zeros((3, 2)), [{"effort": 0.1}] * 2), r"infos of as many steps"),
        ((np.zeros((3, 2)), np.zeros((3, 2)), [{}] * 3), "info has no 'effort'"),
    ],
)
def test_what_no_reward_follows_from_is_refused(arguments, message):
    env = gymnasium.make(SHIFT).unwrapped
    for compute in (env.compute_reward, env.compute_terminated):
        with pytest.raises(ValueError, match=message):
            compute(*arguments)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("policy", ["zero", "eq24", "random", "ceiling"])
def test_baselines_score_as_on_the_plain_id(env_id, policy):
    mine = score(env_id, policy, trials=8)
    assert_same(mine, score(PLAIN[env_id], policy, trials=8, observe="state"))


def test_other_policies_see_what_is_shown():
    shown = []

    def idle(seen):
        shown.append(seen)
        return np.zeros((len(seen["desired_goal"]), 9))

    assert_same(score(HOLD, idle, trials=3), score(HOLD, "zero", trials=3))
    assert shown[0].keys() == {"observation", "achieved_goal", "desired_goal"}
    single = gymnasium.make(HOLD)
    assert score(single, idle, trials=1)["steps"] == 50
    seen, _ = single.reset(seed=0)
    assert as_actor("eq24", single).predict(seen)[0].shape == (9,)


def test_policies_of_other_spaces_are_refused():
    env, plain = gymnasium.make(HOLD), gymnasium.make(PLAIN[HOLD])
    agent = partial(SAC, buffer_size=100, policy_kwargs={"net_arch": [4]})
    mine, theirs = agent("MultiInputPolicy", env), agent("MlpPolicy", plain)
    assert as_actor(mine, env) is mine
    assert score(HOLD, mine, trials=2)["steps"].tolist() == [50, 50]
    for policy, other in ((theirs, env), (mine, plain)):
        with pytest.raises(ValueError, match=r"the policy sees .*the environment shows .*training"):
            as_actor(policy, other)
    with pytest.raises(ValueError, match=r"sees observation, 22 .*shows observation, 13 "):
        as_actor(agent("MultiInputPolicy", gymnasium.make(HOLD, observe="full")), env)


def test_films_but_no_records(tmp_path):
    film(SHIFT, "eq24", tmp_path / "film.gif", trials=1, render_size=(300, 200))
    assert (tmp_path / "film.gif").stat().st_size > 1000
    with pytest.raises(ValueError, match="Box"):
        record(SHIFT, "zero", 1)


def batch(options, **more):
    made = gymnasium.make_vec(
        SHIFT, num_envs=4, autoreset_mode="SameStep", radius_cm=4.0, **options
    )
    return NativeVecEnv(made, **more)


@pytest.mark.parametrize(
    ("env", "kept"),
    [
        (lambda: batch({"reward": "sparse", "dwell": 1}), False),
        (lambda: batch({}, keep=("effort", "recent_goals")), True),
        (lambda: gymnasium.make(SHIFT, radius_cm=4.0), True),
    ],
    ids=["sparse batch", "dense batch", "single"],
)
def test_hindsight_replay_by_sb3(env, kept):
    agent = SAC(
        "MultiInputPolicy",
        env(),
        buffer_size=1000,
        learning_starts=200,
        batch_size=32,
        policy_kwargs={"net_arch": [8]},
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"copy_info_dict": kept},
        seed=0,
    ).learn(260)
    replay = agent.replay_buffer
    replay.her_ratio = 0.0
    for _ in range(5):
        real = replay.sample(64)
        assert real.observations["desired_goal"].dtype.itemsize == 8
    every = np.flatnonzero(replay.ep_length.ravel() > 0)
    rows, places = np.unravel_index(every, replay.ep_length.shape)
    infos = list(replay.infos[rows, places]) if kept else [{}] * len(rows)
    again = agent.env.env_method(
        "compute_reward",
        replay.next_observations["achieved_goal"][rows, places],
        replay.observations["desired_goal"][rows, places],
        infos,
        indices=[0],
    )[0]
    np.testing.assert_array_equal(again.astype(np.float32), replay.rewards[rows, places])
    assert replay.dones[rows, places].any()
    replay.her_ratio = 0.8
    virtual = replay.sample(256)
    moved = virtual.observations["desired_goal"] == virtual.next_observations["achieved_goal"]
    assert moved.all(dim=1).sum() > 20
    assert virtual.rewards.max() > 0.5
