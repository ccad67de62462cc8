"""Blocks of trials: by the trial's number, in each place of a batch."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from numbered import which

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.perturbations import Draw, Force, make_perturbation
from ndbmi_gym.schedules import Blocks

SWITCH = {"kind": "blocks", "blocks": [{"trials": 40}, {"curl": 1.5}]}
SHORT = {"kind": "blocks", "blocks": [{"trials": 2}, {"trials": 1, "curl": 0.5}, {"curl": [1, 2]}]}


def curls(schedule, trials, seed=0):
    sampled = schedule.sample(np.random.default_rng(seed), which(trials))
    return sampled[:, Force.CURL]


def test_a_curl_field_is_switched_on_at_trial_forty():
    blocks = make_perturbation(SWITCH)
    trials = np.arange(100)
    np.testing.assert_array_equal(curls(blocks, trials), np.where(trials < 40, 0.0, 1.5))
    # each trial by its own number, in whatever order
    np.testing.assert_array_equal(curls(blocks, [41, 0, 39, 40]), [1.5, 0, 0, 1.5])
    np.testing.assert_array_equal(blocks.ranges(), [[0, 1.5], [0, 0], [0, 0]])
    assert blocks.law is None


def test_the_last_block_goes_on_whatever_its_number():
    for last in ({"curl": 1.0}, {"curl": 1.0, "trials": 3}):
        blocks = Blocks([{"trials": 2, "push": [0.5, [-1, 0]]}, last])
        np.testing.assert_array_equal(curls(blocks, [0, 1, 2, 5, 10**9]), [0, 0, 1, 1, 1])
        np.testing.assert_array_equal(blocks.ranges(), [[0, 1], [0, 0.5], [-1, 0]])


def test_a_block_draws_from_its_ranges_as_a_draw_does():
    alone, wide = Blocks([{"curl": [-1, 2], "push": [0.3, [0, 1]]}]), Draw((-1, 2), (0.3, (0, 1)))
    trials = np.arange(50)
    np.testing.assert_allclose(
        alone.sample(np.random.default_rng(4), which(trials)),
        wide.sample(np.random.default_rng(4), which(trials)),
    )
    drawn = curls(make_perturbation(SHORT), np.tile([0, 2, 3], 300))
    assert (drawn[0::3] == 0).all()
    assert (drawn[1::3] == 0.5).all()
    assert 1 <= drawn[2::3].min() < 1.05
    assert 1.95 < drawn[2::3].max() <= 2


@pytest.mark.parametrize(
    ("blocks", "because"),
    [
        ([], ""),
        ("curl", ""),
        (3, ""),
        (None, ""),
        ([3], r" \(3 is no block\)"),
        ([{"curls": 1}], r" \(\{'curls': 1\} is no block\)"),
        ([{"law": 1}], "is no block"),
        ([{"curl": 1}, {"curl": 2}], r"\{'curl': 1\} is not the last block and has no number"),
        ([{"trials": 0}, {}], r" \(0 trials are not from 1 to 1,000,000,000\)"),
        ([{"trials": 10**25}, {}], r" \(1000.* trials are not from 1 to 1,000,000,000\)"),
        ([{"trials": -3}, {}], r" \(-3 trials are not"),
        ([{"trials": 2.5}, {}], ""),
        ([{"trials": True}, {}], ""),
        ([{"trials": "many"}, {}], ""),
        ([{"trials": 1, "curl": "strong"}, {}], ""),
        ([{"trials": 1, "curl": 1e308}, {}], ""),
    ],
)
def test_what_is_no_block_is_refused_with_the_rule(blocks, because):
    with pytest.raises(ValueError, match=f"blocks = .*{because}.*: give a list of mappings with"):
        Blocks(blocks)


# In environments


def test_in_the_scalar_environment_trials_count():
    env = gymnasium.make("ndbmi/ShiftTarget-v1", perturbation=SWITCH)
    env.reset(seed=3)
    for trial in range(45):
        _, info = env.reset() if trial else env.reset(seed=3)
        assert info["trial"] == trial
        assert info["curl"] == (0.0 if trial < 40 else 1.5)
        info = env.step(np.zeros(9, np.float32))[4]
        assert (info["trial"], info["curl"]) == (trial, 0.0 if trial < 40 else 1.5)
    assert env.reset(seed=0)[1]["trial"] == 0


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_each_place_of_a_batch_counts_its_own_trials(mode):
    n, options = 3, {"task": "fixed", "perturbation": SHORT}
    env = BMIVectorEnv(n, max_episode_steps=15, autoreset_mode=mode, **options)
    env.reset(seed=1)
    rng = np.random.default_rng(0)
    numbers, ended = np.zeros(n, int), np.zeros(n, bool)
    seen = set()
    for _ in range(90):
        began = ended
        *_, terminated, truncated, info = env.step(0.2 * rng.random((n, 9), np.float32))
        ended = terminated | truncated
        if mode == AutoresetMode.SAME_STEP:
            began = ended
        elif mode == AutoresetMode.DISABLED:
            if ended.any():
                _, info = env.reset(options={"reset_mask": ended})
            began, ended = ended, np.zeros(n, bool)
        numbers += began
        np.testing.assert_array_equal(info["trial"], numbers)
        expected = np.select([numbers < 2, numbers == 2], [0.0, 0.5], -1)
        late = expected < 0
        np.testing.assert_array_equal(info["curl"][~late], expected[~late])
        assert (info["curl"][late] >= 1).all()
        seen.add(tuple(numbers))
    assert numbers.min() > 4
    assert any(len(set(each)) > 1 for each in seen)  # they count apart
    env.reset(options={"reset_mask": np.array([True, False, False])}, seed=5)
    np.testing.assert_array_equal(env.episodes.trial, [0, *numbers[1:]])


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_blocks_reach_worker_processes():
    env = AsyncVectorEnv(
        [lambda: gymnasium.make("ndbmi/ShiftTarget-v1", perturbation=SHORT) for _ in range(2)]
    )
    try:
        found = [env.reset(**({} if trial else {"seed": 1}))[1]["curl"] for trial in range(4)]
    finally:
        env.close()
    np.testing.assert_array_equal(found[:3], [[0, 0], [0, 0], [0.5, 0.5]])
    assert (found[3] >= 1).all()


def test_the_observation_has_room_for_every_block():
    env = gymnasium.make("ndbmi/ShiftTarget-v1", perturbation=SHORT, observe_perturbation=True)
    column = env.unwrapped.episodes.layout.columns["curl"]
    seen = []
    for trial in range(5):
        observation, info = env.reset(seed=0) if not trial else env.reset()
        assert observation in env.observation_space
        np.testing.assert_allclose(observation[column] * 2, info["curl"], rtol=1e-6)
        seen.append(info["curl"])
    assert max(seen) > 1
