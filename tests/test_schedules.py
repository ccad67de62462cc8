"""Blocks of trials: by the trial's number, in each place of a batch."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from numbered import which
from scipy import stats

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.perturbations import (
    CHANNEL,
    N_FORCES,
    N_SIMPLE,
    Draw,
    Force,
    Which,
    forces_of,
    make_perturbation,
)
from ndbmi_gym.schedules import Blocks
from ndbmi_gym.streams import Streams

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
        ([{"trials": 8, "catch": [3, 8]}], "catch: the block has no trial 8"),
        ([{"trials": 8, "channels": {"each": 8, "from": 50}}], "channels: the block has no tri"),
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


# What is drawn by session

N = 4000
ADAPTATION = {
    "kind": "blocks",
    "sign": "animal",
    "blocks": [
        {"name": "baseline", "trials": 24, "channels": [5, 20]},
        {
            "name": "adaptation",
            "trials": 64,
            "curl": 1.5,
            "catch": {"each": 8, "from": 8, "until": 60},
        },
        {"name": "washout", "trials": 24},
    ],
}


def sessions(schedule, trials, n=N, animal=0, seed=0):
    """Forces of trials (T) in n sessions, (n, T, 17), asked for in an order of their own."""
    trials = np.asarray(trials)
    drawn_from = Streams.of(np.random.default_rng(seed), n)
    made = np.empty((n, len(trials), N_FORCES))
    for t in np.random.default_rng(1).permutation(len(trials)):
        asked = Which(np.full(n, trials[t]), np.full(n, animal), drawn_from)
        made[:, t] = schedule.sample(np.random.default_rng(t), asked)
    assert not drawn_from.draws.any()  # sessions are not drawn from: their branches are
    return made


def test_each_group_of_trials_has_one_catch_at_a_place_that_is_uniform():
    made = sessions(make_perturbation(ADAPTATION), np.arange(24, 24 + 64))
    caught = made[:, :, Force.CURL] == 0
    assert not caught[:, :8].any()  # "from"
    assert not caught[:, 60:].any()  # "until"
    p_values = []
    for begin in range(8, 60, 8):
        group = caught[:, begin : min(begin + 8, 60)]
        np.testing.assert_array_equal(group.sum(axis=1), 1)
        p_values.append(stats.chisquare(group.sum(axis=0)).pvalue)
    assert len(p_values) == 7
    assert min(p_values) > 1e-6  # seven tests: a false alarm in one of 1.4e5
    # and in each group apart from the others: correlations of two places of groups, six of them
    place = np.array([caught[:, b : b + 8].argmax(axis=1) for b in range(8, 56, 8)])
    apart = np.corrcoef(place)[np.triu_indices(6, 1)]
    assert np.abs(apart).max() * N**0.5 < 5.5  # fifteen: false alarms below 1e-6


def test_listed_trials_are_special_and_no_others():
    made = sessions(make_perturbation(ADAPTATION), np.arange(24), n=2)
    clamped = (made[:, :, Force.CHANNEL_K] == CHANNEL[0]).all(axis=0)
    np.testing.assert_array_equal(np.flatnonzero(clamped), [5, 20])
    caught = Blocks([{"curl": 1.0, "push": (1, 2), "spring": -1.0, "catch": [0, 3]}])
    made = sessions(caught, np.arange(6), n=1)[0]
    np.testing.assert_array_equal(np.flatnonzero(made[:, Force.CURL] == 0), [0, 3])
    np.testing.assert_array_equal(made[[0, 3]], forces_of(n_trials=2))


def test_a_schedule_tells_the_same_whenever_it_is_asked():
    """And whatever else it is asked for: of a batch, or of a single trial."""
    blocks = Blocks(
        [
            {"trials": 12, "laws": [{"curl": 1.0}, {"curl": -1.0}, {}], "switch": 0.4},
            {"curl": 2.0, "catch": {"each": 3}},
        ],
        "session",
    )
    trials = np.arange(30)
    made = sessions(blocks, trials, n=5, seed=3)
    drawn_from = Streams.of(np.random.default_rng(3), 5)
    for s in range(5):
        for t in trials[::-1]:
            asked = Which(np.array([t]), np.zeros(1, int), drawn_from.select([s]))
            np.testing.assert_array_equal(
                blocks.sample(np.random.default_rng(9), asked)[0], made[s, t]
            )
    assert len({made[s, :, Force.CURL].tobytes() for s in range(5)}) == 5


def test_laws_switch_as_often_as_they_are_to():
    laws = [{"curl": 1.0}, {"curl": -1.0}, {"curl": 0.0}]
    blocks = Blocks([{"trials": 12, "laws": laws, "switch": 0.3}])
    held = sessions(blocks, np.arange(12))[:, :, Force.CURL]
    first = [np.count_nonzero(held[:, 0] == law["curl"]) for law in laws]
    assert stats.chisquare(first).pvalue > 1e-6
    moved = held[:, 1:] != held[:, :-1]
    # each trial by itself, z beyond 5.5: eleven tests, a false alarm in one of 2e6
    spread = (N * 0.3 * 0.7) ** 0.5
    assert np.abs(moved.sum(axis=0) - 0.3 * N).max() < 5.5 * spread
    # to either of the other laws alike
    to = held[:, 1:][moved] - held[:, :-1][moved]
    up = np.count_nonzero(np.isin(to, [-1.0, 2.0]))  # one way round the three laws
    assert stats.binomtest(up, to.size).pvalue > 1e-6
    always = sessions(Blocks([{"trials": 6, "laws": laws[:2], "switch": 1}]), np.arange(6), n=20)
    np.testing.assert_array_equal(always[:, 1:, Force.CURL], -always[:, :-1, Force.CURL])
    never = sessions(Blocks([{"trials": 6, "laws": laws}]), np.arange(6), n=20)
    assert (never[:, :, Force.CURL] == never[:, :1, Force.CURL]).all()


def test_signs_are_of_animals_or_of_sessions():
    law = {"curl": [0.5, 1.0], "push": (0.3, -0.2), "spring": -2.0}
    fixed, animal, session = (Blocks([law], sign) for sign in ("fixed", "animal", "session"))
    for number in range(4):
        made = sessions(animal, np.arange(3), n=5, animal=number)
        sign = -1 if number % 2 else 1
        assert (np.sign(made[..., Force.CURL]) == sign).all()
        np.testing.assert_array_equal(made[..., Force.PUSH_X], sign * 0.3)
        np.testing.assert_array_equal(made[..., Force.K_XX], -2.0)  # a spring stays one
    assert (sessions(fixed, np.arange(3), n=5, animal=1)[..., Force.CURL] > 0).all()
    signs = np.sign(sessions(session, np.arange(6))[..., Force.CURL])
    assert (signs == signs[:, :1]).all()
    positive = np.count_nonzero(signs[:, 0] > 0)
    assert stats.binomtest(positive, N).pvalue > 1e-6
    np.testing.assert_array_equal(fixed.ranges(), [[0.5, 1.0], [0.3, 0.3], [-0.2, -0.2]])
    for turned in (animal, session):
        np.testing.assert_array_equal(turned.ranges(), [[-1, 1], [-0.3, 0.3], [-0.2, 0.2]])


def test_forces_grow_evenly_in_a_ramp():
    law = {"curl": 2.0, "push": (0.0, 1.0), "viscous": -0.4, "from_s": 0.5}
    blocks = Blocks([{"trials": 5, "ramp": True} | law, law])
    made = sessions(blocks, np.arange(7), n=2)
    size = np.array([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])
    for column, full in ((Force.CURL, 2.0), (Force.PUSH_Y, 1.0), (Force.B_XX, -0.4)):
        np.testing.assert_allclose(made[..., column], np.tile(full * size, (2, 1)), rtol=1e-15)
    np.testing.assert_array_equal(made[..., Force.FROM], 0.5)
    np.testing.assert_array_equal(blocks.ranges(), [[0, 2], [0, 0], [0, 1]])


def test_ranges_hold_whatever_is_drawn():
    blocks = Blocks(
        [
            {"trials": 9, "curl": [1, 2], "push": ([1, 2], -3), "catch": {"each": 3}},
            {"trials": 4, "curl": 5, "ramp": True},
            {"trials": 6, "laws": [{"curl": [-1, 2]}, {"push": (9, 0)}], "switch": 0.5},
            {"channels": [1], "curl": 3},
        ],
        "session",
    )
    made = sessions(blocks, np.arange(24), n=200)
    low, high = blocks.ranges().T
    assert (made[..., :N_SIMPLE] >= low).all()
    assert (made[..., :N_SIMPLE] <= high).all()
    assert made[..., Force.CURL].max() == high[0] == 5.0


def test_blocks_are_told_by_the_number_of_a_trial():
    blocks = make_perturbation(ADAPTATION)
    assert blocks.names == ("baseline", "adaptation", "washout")
    np.testing.assert_array_equal(
        blocks.block(np.array([0, 23, 24, 87, 88, 999])), [0, 0, 1, 1, 2, 2]
    )
    assert blocks.channels
    assert blocks.unbounded
    plain = make_perturbation(SWITCH)
    assert not plain.channels
    assert not plain.unbounded


def test_a_schedule_survives_json():
    env = gymnasium.make(
        "ndbmi/ShiftTarget-v1", perturbation=ADAPTATION, session_trials=112, trial_steps=20
    )
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    one, other = (each.unwrapped.episodes.config for each in (env, again))
    assert one == other
    assert other.session.session_trials == 112
    made = [sessions(each.perturbation, np.arange(30, 80), n=3) for each in (one, other)]
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize(
    ("block", "because"),
    [
        ({"catch": {"each": 0}}, "is no {'each': 8, 'from': 8, 'until': 60}"),
        ({"catch": {"every": 8}}, "is no {'each': 8, 'from': 8, 'until': 60}"),
        ({"catch": {"each": 2, "from": -1}}, "is no {'each': 8, 'from': 8, 'until': 60}"),
        ({"catch": {"each": 2, "from": 5, "until": 5}}, "ends before it begins"),
        ({"channels": [2, -1]}, "has a negative number"),
        ({"laws": []}, "has laws, and forces beside them or none in them"),
        ({"laws": [{}], "curl": 1}, "has laws, and forces beside them or none in them"),
        ({"laws": [{}, {}]}, "a block of several laws has at most 10,000 trials"),
        ({"laws": [{}, {}], "trials": 10_001}, "a block of several laws has at most 10,000"),
        ({"switch": 1.5}, "switch = 1.5 is no probability"),
        ({"ramp": True}, "ramp = True: it is true or false, and wants 'trials'"),
        ({"ramp": 1, "trials": 3}, "ramp = 1: it is true or false"),
        ({"name": 3}, "name 3 is no text"),
    ],
)
def test_what_a_block_cannot_hold_is_refused_with_the_rule(block, because):
    with pytest.raises(ValueError, match=f"blocks = .*{re.escape(because)}.*: give a list of"):
        Blocks([block])


def test_signs_are_chosen_among_three():
    with pytest.raises(ValueError, match="sign = 'odd': choose one of fixed, animal, session"):
        Blocks([{}], "odd")


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
