"""Several trials in an episode: where they begin and end, what is told, alone and in batches."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from test_vector_alone import check_reset, check_run, pair

from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.rollout import score
from ndbmi_gym.sessions import Session

FEW = {"dataset": 5, "repetitions": 3}
EASY = FEW | {"radius_cm": 4.0, "target_range_cm": (0.0, 20.0), "min_start_distance_cm": 0.0}
BLOCKS = {
    "kind": "blocks",
    "sign": "session",
    "blocks": [
        {"name": "before", "trials": 1},
        {"name": "curl", "trials": 3, "curl": [0.5, 1.5], "catch": {"each": 2}},
        {"name": "clamped", "trials": 1, "channel": True},
        {"name": "after", "push": [0.2, 0.0]},
    ],
}
SESSION = EASY | {"session_trials": 6, "trial_steps": 5, "perturbation": BLOCKS}
FORCED = {
    "nothing more": {},
    "delay": {"delay_steps": 2},
    "delay and noise": {"delay_steps": 1, "noise_cm": 0.7},
    "perturbation": {"curl": [-1.5, 1.5], "push": [[-1, 1], 0]},
    "a law": {"perturbation": "third_party:gust"},
    "animals": {"animal": None, "n_animals": 3},
}


@pytest.mark.parametrize("options", FORCED.values(), ids=FORCED)
def test_a_session_of_one_trial_is_the_trial(options):
    options = options | EASY | {"observe": "full"}
    plain = BMIEnv(**options)
    session = BMIEnv(**options, session_trials=1, trial_steps=7)
    rng = np.random.default_rng(0)
    for seed in (3, None, None):
        (seen, told), (other, info) = plain.reset(seed=seed), session.reset(seed=seed)
        for step in range(1, 8):
            np.testing.assert_array_equal(seen, other)
            assert set(info) - set(told) == {"block", "trial_step", "trial_end"}
            for name in set(told) - {"trial"}:  # plain trials go on counting
                np.testing.assert_array_equal(told[name], info[name], err_msg=name)
            action = rng.random(plain.action_space.shape).astype(np.float32)
            seen, reward, terminated, _, told = plain.step(action)
            other, earned, over, truncated, info = session.step(action)
            assert reward == earned
            assert over == (terminated or step == 7)
            assert info["trial_end"] == over
            assert info["trial_step"] == step
            assert not truncated
            if over:
                break


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(
    "more",
    [{}, {"delay_steps": 2, "noise_cm": 0.3}, {"animal": None, "n_animals": 3}],
    ids=["plain", "late senses", "animals"],
)
def test_a_batch_of_sessions_is_its_single_ones(mode, more):
    """With trials that end apart, and sessions, too."""
    native, apart = pair(
        "ndbmi/ShiftTarget-v1", 4, mode, max_episode_steps=100, observe="full", **SESSION, **more
    )
    check_reset(native, apart, seed=7)
    ends = check_run(native, apart, 90, np.random.default_rng(0))
    assert len(set(ends)) >= 4


def played(env, seed=0, steps=None, value=0.6):
    """What is told after the reset and after every step of a session, with its rewards."""
    told, rewards = [env.reset(seed=seed)[1]], [0.0]
    action = np.full(env.action_space.shape, value, np.float32)
    over = False
    while not over and (steps is None or len(told) <= steps):
        _, reward, over, truncated, info = env.step(action)
        assert not truncated
        told.append(info)
        rewards.append(reward)
    return told, rewards


def test_trials_follow_each_other_in_an_episode_and_it_terminates_after_the_last():
    env = BMIEnv(**SESSION)
    told, rewards = played(env)
    begun = [i for i, info in enumerate(told) if info["trial_step"] == 0]
    assert [told[i]["trial"] for i in begun] == list(range(6))
    assert [told[i]["block"] for i in begun] == [0, 1, 1, 1, 2, 3]
    ends = [i for i, info in enumerate(told) if info["trial_end"]]
    assert ends == [*(i - 1 for i in begun[1:]), len(told) - 1]
    for first, last in zip(begun, ends, strict=True):
        trial = told[first : last + 1]
        assert [info["trial_step"] for info in trial] == list(range(len(trial)))
        assert trial[-1]["is_success"] or len(trial) == 6
        assert not any(info["is_success"] for info in trial[:-1])
        assert (trial[0]["time_s"], rewards[first]) == (0.0, 0.0)
        assert not trial[0]["velocity"].any()
        for name in ("target", "curl", "push", "trial", "block", "animal"):
            assert len({str(info[name]) for info in trial}) == 1, name
        # the stimulus that is told at first is that of the start, and then of where it was
        sense = env.episodes.loops[0].interface.sense
        places = np.array([info["position"] for info in [trial[0], *trial[:-1]]])
        assert [info["stimulus"] for info in trial] == sense(places).tolist()
    assert {len(told[a : b + 1]) for a, b in zip(begun, ends, strict=True)} != {6}
    assert len({tuple(told[i]["position"]) for i in begun}) == 6


def test_a_channel_s_force_is_told_where_there_may_be_one():
    told, _ = played(BMIEnv(**SESSION))
    clamped = [info for info in told if info["block"] == 2]
    assert any(info["channel_force"] for info in clamped)
    assert not any(info["channel_force"] for info in told if info["block"] != 2)
    for info in clamped:  # there is nothing but the channel, which answers
        size = np.linalg.norm(info["perturbing_force"])
        assert size == pytest.approx(abs(info["channel_force"]), rel=1e-9, abs=1e-9)
    assert "channel_force" not in played(BMIEnv(**SESSION | {"perturbation": None}))[0][0]


@pytest.mark.parametrize("odd", [1.0, np.nan, np.inf])
def test_the_action_of_the_step_that_begins_a_trial_is_ignored(odd):
    env, same = BMIEnv(**SESSION), BMIEnv(**SESSION)
    for each in (env, same):
        each.reset(seed=4)
    action, begins, n_begun = np.full(env.action_space.shape, 0.5, np.float32), False, 0
    for _ in range(25):
        one = env.step(np.full_like(action, odd) if begins else action)
        other = same.step(np.zeros_like(action) if begins else action)
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1:3] == other[1:3]
        n_begun += begins
        begins = one[4]["trial_end"]
        if one[2]:
            break
    assert n_begun >= 3


def test_trials_are_numbered_anew_in_every_session():
    env = BMIEnv(**SESSION)
    for seed in (0, None, None):
        told, _ = played(env, seed)
        assert (told[0]["trial"], told[-1]["trial"]) == (0, 5)
    assert env.reset(options={"trial": 4})[1]["trial"] == 4
    env.reset(seed=1)
    played(env, None, steps=3)
    assert env.reset()[1]["trial"] == 0  # in the midst of a session, too


def test_the_sign_of_a_session_holds_throughout_it_and_turns_between_them():
    env = BMIVectorEnv(40, **SESSION)
    env.reset(seed=0)
    curls = []
    for _ in range(35):
        info = env.step(np.zeros(env.action_space.shape, np.float32))[4]
        curls.append(np.where(info["trial"] < 6, info["curl"], 0.0))
        if len(curls) == 20:
            first = np.sign(curls).T
    for row in first:
        assert len(set(row[row != 0])) == 1
    signs = [row[row != 0][0] for row in first]
    # 40 fair signs are all the same in one of 5e11 such tests
    assert set(signs) == {-1.0, 1.0}


@pytest.mark.parametrize("again", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_in_the_midst_of_a_session_goes_on_alike(again):
    env = BMIVectorEnv(3, **SESSION, delay_steps=2, noise_cm=0.2)
    env.reset(seed=2)
    rng = np.random.default_rng(0)
    for step in range(22):
        if step == 8:
            other = again(env)
        action = rng.random(env.action_space.shape).astype(np.float32)
        one = env.step(action)
        if step >= 8:
            two = other.step(action)
            for mine, its in zip(one[:4], two[:4], strict=True):
                np.testing.assert_array_equal(mine, its)
            np.testing.assert_array_equal(one[4]["trial_step"], two[4]["trial_step"])


def test_the_longest_session_is_as_long_as_it_says():
    env = BMIEnv(**FEW, radius_cm=1e-6, session_trials=3, trial_steps=4)
    told, _ = played(env, value=0.0)
    assert len(told) - 1 == Session(3, 4).most_steps == 14


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({"session_trials": 5}, "session_trials = 5, trial_steps = None: give both"),
        ({"trial_steps": 5}, "session_trials = None, trial_steps = 5: give both"),
        ({"session_trials": 0, "trial_steps": 5}, "session_trials = 0: give a whole number >= 1"),
        ({"session_trials": 2, "trial_steps": 1.5}, "trial_steps = 1.5: give a whole number"),
    ],
)
def test_what_is_no_session_is_refused(options, because):
    with pytest.raises(ValueError, match=because):
        Session(**options)
    with pytest.raises(ValueError, match=because):
        gymnasium.make("ndbmi/ShiftTarget-v1", **options)


# Refusals


def test_a_step_limit_that_would_cut_sessions_is_refused_or_told():
    shift, options = "ndbmi/ShiftTarget-v1", {"session_trials": 3, "trial_steps": 25}
    rule = r"max_episode_steps = 25: a session of 3 trials takes up to 77 steps"
    with pytest.raises(ValueError, match=rule):
        gymnasium.make_vec(shift, num_envs=2, **options)
    with pytest.raises(ValueError, match="up to 77 steps, and the step limit is 25"):
        score(gymnasium.make(shift, **options), "zero", trials=3)
    found = score(shift, "zero", trials=5, max_episode_steps=-1, **options)
    assert (found["steps"] >= 1).all()
    env = gymnasium.make(shift, **options)  # what wraps it cannot be known
    env.reset(seed=0)
    for _ in range(25):
        truncated = env.step(np.zeros(9, np.float32))[3]
    assert truncated
    with pytest.warns(UserWarning, match="max_episode_steps=-1"):
        env.reset()


def test_a_session_has_no_trial_beyond_its_last():
    env = gymnasium.make("ndbmi/Adaptation-v0")
    assert env.reset(options={"trial": 111})[1]["trial"] == 111
    with pytest.raises(ValueError, match="trial = 112: a session here has 112 trials"):
        env.reset(options={"trial": 112})
