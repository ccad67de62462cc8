"""Options at work in batches: seeds, given trials, curricula, refusals."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.tasks import Judged, Outcome
from ndbmi_gym.tasks.reach import Reach

MODES = list(AutoresetMode)
SHIFT = "ndbmi/ShiftTarget-v1"
FORK = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def play(env, steps, n=3):
    """Targets of all trials that are seen while they run, through autoresets or resets."""
    disabled = env.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    _, info = env.reset(seed=0)
    seen = [info["target"]]
    for _ in range(steps):
        *_, terminated, truncated, info = env.step(np.zeros((n, 9), np.float32))
        seen.append(info["target"])
        ended = terminated | truncated
        if disabled and ended.any():
            _, info = env.reset(options={"reset_mask": ended})
            seen.append(info["target"])
    return np.concatenate(seen)


TARGETS = pytest.mark.parametrize(
    "targets", [{"centre_out": 4, "radius_cm": 5}, [[5, 0], [0, -3.5]]], ids=["circle", "list"]
)


def check_all_seen(seen, targets):
    pool = np.array(Reach(targets=targets).targets)
    same = (seen[:, None] == pool).all(axis=-1)
    assert (same.sum(axis=1) == 1).all()
    assert same.any(axis=0).all()


@TARGETS
@pytest.mark.parametrize("mode", MODES)
def test_targets_of_ones_own_survive_autoreset(targets, mode):
    env = BMIVectorEnv(3, max_episode_steps=3, autoreset_mode=mode, targets=targets)
    check_all_seen(play(env, 40), targets)


@FORK
@TARGETS
def test_targets_of_ones_own_reach_worker_processes(targets):
    env = AsyncVectorEnv(
        [lambda: gymnasium.make(SHIFT, targets=targets, max_episode_steps=3) for _ in range(3)]
    )
    try:
        check_all_seen(play(env, 40), targets)
    finally:
        env.close()


def test_a_reset_takes_what_every_trial_begins_with():
    env = gymnasium.make_vec(SHIFT, num_envs=3, animal=None, n_animals=4)
    start, target = np.arange(6.0).reshape(3, 2), -np.arange(6.0).reshape(3, 2)
    options = {"start": start, "target": target, "animal": [3, 0, 1], "perturbation": {"curl": 0.5}}
    kept = dict(options)
    _, info = env.reset(seed=0, options=options)
    np.testing.assert_array_equal(info["position"], start)
    np.testing.assert_array_equal(info["target"], target)
    assert info["animal"].tolist() == [3, 0, 1]
    assert (info["curl"] == 0.5).all()
    assert options == kept
    _, info = env.reset(options={"start": (1, 2), "target": (3, 4), "animal": 2})
    assert (info["position"] == [1, 2]).all()
    assert (info["target"] == [3, 4]).all()
    assert (info["animal"] == 2).all()
    assert (info["curl"] == 0).all()


def test_a_partial_reset_takes_the_entries_of_its_trials():
    env = BMIVectorEnv(3, autoreset_mode="Disabled")
    _, before = env.reset(seed=0)
    start = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    mask = np.array([False, True, False])
    _, info = env.reset(options={"reset_mask": mask, "start": start})
    assert info["position"][1].tolist() == [2, 2]
    np.testing.assert_array_equal(info["position"][~mask], before["position"][~mask])
    assert info["trial"].tolist() == [0, 1, 0]


def test_trials_are_numbered_on_where_no_seed_is_given():
    env = BMIVectorEnv(2, dataset=5, repetitions=3)
    env.reset(seed=[3, None])
    _, info = env.reset(seed=[None, None])
    assert info["trial"].tolist() == [1, 1]
    _, info = env.reset(seed=[None, 3])
    assert info["trial"].tolist() == [2, 0]
    # the seed of a trial that does not begin is not asked for
    _, info = env.reset(seed=[3, 3], options={"reset_mask": np.array([False, True])})
    assert info["trial"].tolist() == [2, 0]


@pytest.mark.parametrize("vector", [False, True], ids=["scalar", "vector"])
@pytest.mark.parametrize("seed", [None, 5])
def test_a_start_without_a_target_is_refused_and_nothing_drawn(vector, seed):
    make = gymnasium.make_vec if vector else gymnasium.make
    env, other = (make(SHIFT, target_range_cm=(3, 4), repetitions=5) for _ in range(2))
    near = {"start": env.unwrapped.episodes.loops[0].interface.points.mean(axis=0)}
    with pytest.raises(ValueError, match=r"no target lies 5\.0 cm away"):
        env.reset(options=near)  # before there is a generator
    env.reset(seed=3)
    other.reset(seed=3)
    with pytest.raises(ValueError, match=r"no target lies 5\.0 cm away"):
        env.reset(seed=seed, options=near)
    assert env.unwrapped.np_random_seed == other.unwrapped.np_random_seed
    np.testing.assert_array_equal(env.reset()[0], other.reset()[0])


def test_options_that_are_refused_change_nothing():
    env, other = (BMIVectorEnv(3) for _ in range(2))
    for each in (env, other):
        each.reset(seed=0)
    for bad in (
        {"start": "ab"},
        {"start": np.zeros((2, 2))},
        {"target": (99, 0)},
        {"target": np.full((3, 2), np.nan)},
        {"animal": [0, 0, 5]},
        {"perturbation": {"curl": 1e308}},
        {"goal": (0, 0)},
    ):
        with pytest.raises(ValueError, match=next(iter(bad)) + r"|curl = "):
            env.reset(seed=5, options=bad)
    action = np.full((3, 9), 0.3, np.float32)
    np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ([-1, 2, 3], "seed = -1: give a whole number >= 0, or one .* for each of 3 trials"),
        (1.5, r"seed = 1.5: give a whole number >= 0"),
        (True, "seed = True: give a whole number"),
        (-1, "seed = -1: give a whole number >= 0"),
        ("1", "seed = '1': give a whole number"),
        ([1, 2], r"seed = \[1, 2\]: 2 seeds; give a whole"),
        ([1, 2.5, 3], r"seed = 2.5: give a whole number"),
        ([True, 2, 3], "seed = True: give a whole number"),
    ],
)
def test_what_is_no_seed_is_refused_and_nothing_drawn(seed, message):
    env, other = (BMIVectorEnv(3) for _ in range(2))
    env.reset(seed=4)
    other.reset(seed=4)
    with pytest.raises(ValueError, match=message):
        env.reset(seed=seed)
    np.testing.assert_array_equal(env.reset()[0], other.reset()[0])


def test_seeds_of_any_whole_number_type():
    env = BMIVectorEnv(3)
    first = env.reset(seed=7)[0]
    np.testing.assert_array_equal(env.reset(seed=np.int64(7))[0], first)
    listed = env.reset(seed=[1, 2, 3])[0]
    np.testing.assert_array_equal(env.reset(seed=np.array([1, 2, 3], np.uint8))[0], listed)
    np.testing.assert_array_equal(env.reset(seed=(1, 2, 3))[0], listed)


# Trials that never began


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_that_was_never_reset_is_not_stepped(mode):
    env = gymnasium.make_vec(SHIFT, num_envs=3, autoreset_mode=mode).unwrapped
    action = np.zeros((3, 9), np.float32)
    with pytest.raises(ResetNeeded, match=r"trial 0 has not begun: call reset\(\) first"):
        env.step(action)
    env.reset(options={"reset_mask": np.array([True, False, True])})
    with pytest.raises(ResetNeeded, match="trial 1 has not begun"):
        env.step(action)
    env.reset(options={"reset_mask": np.array([False, True, False])})
    env.step(action)


# Limits


def test_no_limit_means_the_same_in_both():
    action = np.zeros((1, 9), np.float32)
    options = {"max_episode_steps": -1, "task": "hold"}
    vector, scalar = (
        gymnasium.make_vec(SHIFT, num_envs=1, **options),
        gymnasium.make(SHIFT, **options),
    )
    vector.reset(seed=0)
    scalar.reset(seed=0)
    for _ in range(60):
        assert not vector.step(action)[3].any()
        assert not scalar.step(action[0])[3]


@pytest.mark.parametrize("limit", [0, -2, 2.5, "5", True])
def test_what_is_no_limit_is_refused(limit):
    with pytest.raises(ValueError, match=f"max_episode_steps = {limit!r}: give a"):
        BMIVectorEnv(1, max_episode_steps=limit)


@pytest.mark.parametrize("n", [0, -1, 2.0, "2", True, 2**21, None])
def test_what_is_no_number_of_trials_is_refused(n):
    with pytest.raises(ValueError, match=f"num_envs = {n!r}: give a whole number"):
        BMIVectorEnv(n)


# Curricula


def effort(env, action, steps=1):
    """What the effort costs now, and the curl, in each trial."""
    for _ in range(steps):
        info = env.step(action)[4]
    return info["reward_effort"], info["curl"]


@pytest.mark.parametrize("mode", MODES)
def test_a_curriculum_waits_for_each_trials_end(mode):
    env = BMIVectorEnv(2, max_episode_steps=4, autoreset_mode=mode)
    action = np.full((2, 9), 0.5, np.float32)
    env.reset(seed=0)
    env.change(effort_weight=2.0, curl=0.4)
    for _ in range(3):
        price, curl = effort(env, action)
        np.testing.assert_allclose(price, -0.15)
        assert (curl == 0).all()
    env.step(action)
    if mode == AutoresetMode.DISABLED:
        env.reset(options={"reset_mask": np.array([True, False])})
        env.reset(options={"reset_mask": np.array([False, True])})
    elif mode == AutoresetMode.NEXT_STEP:
        env.step(action)
    price, curl = effort(env, action)
    np.testing.assert_allclose(price, -1.0)
    assert (curl == 0.4).all()
    with pytest.raises(ValueError, match="mass belongs to the plant, which is fixed"):
        env.change(mass=1.0)


def test_a_curriculum_reaches_environments_side_by_side():
    env = SyncVectorEnv([lambda: gymnasium.make(SHIFT) for _ in range(2)])
    env.reset(seed=0)
    env.call("change", effort_weight=2.0, curl=0.4)
    action = np.full((2, 9), 0.5, np.float32)
    np.testing.assert_allclose(effort(env, action)[0], -0.15)
    env.reset()
    price, curl = effort(env, action)
    np.testing.assert_allclose(price, -1.0)
    assert (curl == 0.4).all()


@FORK
def test_a_curriculum_reaches_worker_processes():
    env = AsyncVectorEnv([lambda: gymnasium.make(SHIFT) for _ in range(2)])
    try:
        env.reset(seed=0)
        env.call("change", curl=0.4)
        assert (env.reset()[1]["curl"] == 0.4).all()
    finally:
        env.close()


# A task that fails trials


class Far(Reach):
    """Beyond 7 cm of the centre a trial has failed."""

    def assess(self, before, after, target, action, last, half_side_cm):
        values = super().assess(before, after, target, action, last, half_side_cm).values
        values[:, Judged.FAILED] = np.hypot(*after.position.T) > 7.0
        return Outcome(values)


@pytest.mark.parametrize("mode", MODES)
def test_failed_trials_terminate_and_begin_anew(mode):
    env = gymnasium.make_vec(SHIFT, num_envs=2, autoreset_mode=mode, task=f"{__name__}:Far")
    env.reset(seed=0, options={"start": [[9, 0], [1, 1]], "target": (0, 6)})
    *_, terminated, truncated, info = env.step(np.zeros((2, 9), np.float32))
    assert terminated.tolist() == [True, False]
    assert not truncated.any()
    told = info["final_info"] if mode == AutoresetMode.SAME_STEP else info
    assert told["failed"].tolist() == [True, False]
    assert not told["is_success"].any()
    if mode == AutoresetMode.NEXT_STEP:
        *_, terminated, _, info = env.step(np.zeros((2, 9), np.float32))
        assert not terminated[0]
    if mode != AutoresetMode.DISABLED:
        assert info["trial"].tolist() == [1, 0]


@pytest.mark.parametrize(
    "junk",
    [
        np.zeros((2, 9), "datetime64[s]"),
        np.full((2, 9), "0.5"),
        np.zeros((2, 9), [("a", float)]),
        np.full((2, 9), 1j),
        np.zeros((2, 9), object),
    ],
    ids=lambda junk: str(junk.dtype),
)
@pytest.mark.parametrize("steps", [0, 2])
def test_junk_actions_are_refused_while_trials_run_and_while_they_begin_anew(junk, steps):
    env, other = (BMIVectorEnv(2, max_episode_steps=2) for _ in range(2))
    for each in (env, other):
        each.reset(seed=0)
        for _ in range(steps):
            each.step(np.zeros((2, 9), np.float32))
    with pytest.raises(ValueError, match=r"action of type .*: give real numbers"):
        env.step(junk)
    action = np.full((2, 9), 0.1, np.float32)
    np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])


@pytest.mark.parametrize(
    "options",
    [{"max_rate_hz": 1e5}, {"degraded": "test", "gamma_shape": 1e-6}, {"max_rate_hz": 7000.0}],
    ids=repr,
)
def test_more_spikes_than_can_be_decoded_are_refused_when_it_is_made(options):
    with pytest.raises(ValueError, match=r"spikes are expected of a response .*32,768.*: lower"):
        BMIVectorEnv(2, repetitions=2, **options)
    env = BMIVectorEnv(2, repetitions=2, max_rate_hz=6000.0)  # 32,400 at full volition
    env.reset(seed=0)
    env.step(np.ones(env.action_space.shape, np.float32))
