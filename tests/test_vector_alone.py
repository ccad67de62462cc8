"""A batch against single environments side by side, bit for bit, as Gymnasium batches them."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import ndbmi_gym
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.fields import takes_of
from ndbmi_gym.rollout import holds

IDS = [f"ndbmi/{name}" for name in ndbmi_gym._IDS]
SOC = "ndbmi/ShiftTargetSOC-v1"
SHIFT = "ndbmi/ShiftTarget-v1"
MODES = list(AutoresetMode)
FEW = {"repetitions": 3, "target_range_cm": (0.0, 20.0), "min_start_distance_cm": 0.0}
EASY = {
    "ndbmi/AvoidObstacle-v0": {"obstacle_radius_cm": 3.9, "target_range_cm": (8.0, 9.0)},
    "ndbmi/Adaptation-v0": {"session_trials": 2, "radius_cm": 4.0},
}
"""Options with which trials end soon, be it in failure, where a large target is not enough."""
CARRY = {"cortex": {"kind": "soc", "stimuli": 8, "carry": True}}
OWN = {
    "field": {"field": "third_party:Corridor", "decoder": "projection"},
    "field in a table": {"field": "third_party:Corridor"},
    "law": {"perturbation": "third_party:gust"},
    "schedule": {"perturbation": "third_party:EverySecond"},
    "task": {"task": "third_party:Obstacle", "obstacle_radius_cm": 2.0},
    "cortex": {"cortex": "third_party:Latencies"},
    "plant": {"plant": "third_party:Cursor"},
}


def pair(env_id, n, mode, **options):
    """The native batch, and single environments in Gymnasium's own."""
    native = gymnasium.make_vec(env_id, num_envs=n, autoreset_mode=mode, **options)
    apart = SyncVectorEnv(
        [lambda: gymnasium.make(env_id, disable_env_checker=True, **options) for _ in range(n)],
        autoreset_mode=mode,
    )
    return native, apart


def check_infos(native, apart, all_of=True):
    """The same entries for the same trials; what is told of no trial is not compared."""
    if all_of:
        assert set(native) == set(apart)
    for name in apart:
        if name.startswith("_"):
            np.testing.assert_array_equal(native[name], apart[name], err_msg=name)
            continue
        where = apart[f"_{name}"]
        if isinstance(apart[name], dict):
            check_infos(native[name], apart[name])
        else:
            ours, theirs = native[name][where], apart[name][where]
            theirs = np.stack(theirs) if theirs.dtype == object else theirs
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def check_reset(native, apart, **given):
    """Begin trials in both; Gymnasium's takes the mask out of the options that it is given."""
    (seen, info), (other, told) = (
        each.reset(**{k: dict(v) if k == "options" else v for k, v in given.items()})
        for each in (native, apart)
    )
    np.testing.assert_array_equal(seen, other)
    check_infos(info, told)


def check_step(native, apart, action):
    ours, theirs = native.step(action), apart.step(action)
    for mine, other in zip(ours[:4], theirs[:4], strict=True):
        np.testing.assert_array_equal(mine, other)
    assert [each.dtype for each in ours[:4]] == [each.dtype for each in theirs[:4]]
    check_infos(ours[4], theirs[4])
    return ours[2] | ours[3]


def check_run(native, apart, steps, rng):
    """Step both, and begin anew what has ended where that is not done for us."""
    mode, n = native.metadata["autoreset_mode"], native.num_envs
    ends = []
    for step in range(steps):
        # actions of very different success, so that trials end at staggered times
        shape = native.action_space.shape
        action = (rng.random((n, 1)) * rng.random(shape)).astype(np.float32)
        ended = check_step(native, apart, action)
        ends += [step] * ended.sum()
        if mode == AutoresetMode.DISABLED and (ended.any() or step == 4):
            mask = ended | (rng.random(n) < 0.5 if step == 4 else False)
            if mask.any():
                check_reset(native, apart, options={"reset_mask": mask})
    return ends


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("env_id", IDS)
def test_a_batch_is_its_single_environments(env_id, mode):
    easy = {} if holds(gymnasium.make(env_id)) else EASY.get(env_id, {"radius_cm": 4.0})
    native, apart = pair(env_id, 5, mode, observe="full", **easy)
    check_reset(native, apart, seed=7)
    most = gymnasium.spec(env_id).max_episode_steps or 150  # of sessions several
    ends = check_run(native, apart, max(60, most + 5), np.random.default_rng(0))
    assert len(ends) >= 5
    if easy:
        assert len(set(ends)) > 5  # staggered indeed


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "options",
    [
        {"animal": None, "n_animals": 3, "decoder": "projection"},
        {"animal": None, "n_animals": 2, "decoder": "single-point", "observe": "state"},
        {"gamma_shape": 1.5, "volition": "signed", "curl": [-1, 1], "push": [[-0.3, 0.3], 0]},
        {"perturbation": {"kind": "blocks", "blocks": [{"trials": 1}, {"curl": 0.7}]}},
        {"field": "dipole", "decoder": "projection", "starts": "centre"},
        CARRY | {"volition": "signed"},
        CARRY | {"animal": None, "n_animals": 2},
        {"cortex": CARRY["cortex"] | {"core": "nonlinear"}},
    ],
    ids=str,
)
def test_with_options(options, mode):
    native, apart = pair(SHIFT, 4, mode, **FEW, radius_cm=5.0, max_episode_steps=6, **options)
    check_reset(native, apart, seed=[3, 99, 0, 2**40])
    assert len(check_run(native, apart, 16, np.random.default_rng(1))) > 4


@pytest.mark.parametrize("part", OWN)
@pytest.mark.parametrize("mode", MODES)
def test_with_parts_of_ones_own(part, mode):
    native, apart = pair(SHIFT, 4, mode, **FEW, max_episode_steps=4, **OWN[part])
    assert native.unwrapped.episodes.compiled == (part in ("field in a table", "schedule"))
    check_reset(native, apart, seed=5)
    assert len(check_run(native, apart, 11, np.random.default_rng(2))) >= 8


def test_all_ids_are_compiled():
    for env_id in IDS:
        episodes = gymnasium.make(env_id).unwrapped.episodes
        # what is chosen by counts is not looked up
        assert episodes.compiled == (not takes_of(episodes.config.field)), env_id


def test_seeds_in_a_list_and_none_among_them():
    native, apart = pair(SHIFT, 4, AutoresetMode.NEXT_STEP, **FEW)
    check_reset(native, apart, seed=[5, 0, 5, 7])
    rng = np.random.default_rng(0)
    check_run(native, apart, 3, rng)
    check_reset(native, apart, seed=[None, 8, None, 8])
    check_run(native, apart, 3, rng)
    check_reset(native, apart)
    check_run(native, apart, 3, rng)
    # trials of one seed are one trial
    seen, _ = native.reset(seed=[4, 4, 4, 5])
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[3]).any()


def test_masks_of_trials_with_and_without_seeds():
    native, apart = pair(SHIFT, 4, AutoresetMode.DISABLED, **FEW)
    check_reset(native, apart, seed=1)
    rng = np.random.default_rng(0)
    for seed in (None, 20, [None, 3, None, 4]):
        for mask in ([True, False, True, False], [False, False, False, True], [True] * 4):
            options = {"reset_mask": np.array(mask), "start": (1.0, 2.0)}
            check_reset(native, apart, seed=seed, options=options)
            check_run(native, apart, 2, rng)


def test_generators_are_those_of_the_single_environments():
    native, apart = pair(SHIFT, 3, AutoresetMode.SAME_STEP, **FEW, max_episode_steps=2)
    check_reset(native, apart, seed=[9, 2, 6])
    check_run(native, apart, 7, np.random.default_rng(0))
    assert native.unwrapped.np_random_seed == apart.np_random_seed == (9, 2, 6)
    for ours, theirs in zip(native.unwrapped.np_random, apart.np_random, strict=True):
        assert ours.bit_generator.state == theirs.bit_generator.state


@pytest.mark.parametrize("n", [1, 2, 40])
@pytest.mark.parametrize("env_id", IDS)
def test_trial_i_of_seed_s_is_the_environment_of_seed_s_plus_i(env_id, n):
    batch = gymnasium.make_vec(env_id, num_envs=n, autoreset_mode="SameStep")
    rng = np.random.default_rng(3)
    actions = rng.random((30, *batch.action_space.shape)).astype(np.float32)
    seen, found = [batch.reset(seed=11)[0]], []
    for action in actions:
        found.append(batch.step(action))
        seen.append(found[-1][0])
    alone = gymnasium.make(env_id, disable_env_checker=True)
    for i in {0, n // 3, n - 1}:
        np.testing.assert_array_equal(alone.reset(seed=11 + i)[0], seen[0][i])
        ends = 0
        for action, (then, reward, terminated, truncated, _) in zip(actions, found, strict=True):
            observation, *judged, _ = alone.step(action[i])
            assert judged == [reward[i], terminated[i], truncated[i]]
            if terminated[i] or truncated[i]:
                observation, ends = alone.reset()[0], ends + 1
            np.testing.assert_array_equal(observation, then[i])
        assert ends or gymnasium.spec(env_id).max_episode_steps != 25


# What fails changes nothing


def state_of(env):
    """All that an environment's future depends on."""
    episodes, inner = env.unwrapped.episodes, env.unwrapped
    arrays = [
        *(episodes.state.values, *episodes.signals, episodes.outcome.values, episodes.target),
        *(episodes.action, episodes.animal, episodes.trial),
        *(episodes.streams.keys, episodes.streams.draws),
    ]
    sources = inner._sources if isinstance(inner, BMIVectorEnv) else [inner]
    generators = []
    for source in sources:
        known = source is not None and (getattr(source, "rng", None) or inner._np_random)
        generators.append(known and known.bit_generator.state)
    seeds = [getattr(source, "seed", None) for source in sources]
    own = [getattr(inner, name, None) for name in ("_np_random_seed", "_begun")]
    counted = [np.array(getattr(inner, name, 0)) for name in ("_elapsed", "_ended", "_all_begun")]
    return [each.copy() for each in arrays + counted], [
        generators,
        seeds if len(seeds) > 1 else own,
    ]


def check_unchanged(env, before):
    for was, now in zip(before[0], state_of(env)[0], strict=True):
        np.testing.assert_array_equal(was, now)
    assert before[1] == state_of(env)[1]


@pytest.mark.parametrize("vector", [False, True], ids=["scalar", "vector"])
@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("steps", [None, 0, 1, 2])
def test_a_refused_reset_changes_nothing(vector, seed, steps):
    """Before there is a trial, at its beginning, within it, and at its end."""
    options = {"target_range_cm": (3, 4), "repetitions": 3}
    env = BMIVectorEnv(3, max_episode_steps=2, **options) if vector else BMIEnv(**options)
    if steps is not None:
        env.reset(seed=1)
        for _ in range(steps):
            env.step(np.zeros(env.action_space.shape, np.float32))
    before = state_of(env)
    for bad in (
        {"start": env.episodes.loops[0].interface.points.mean(axis=0)},  # no target is far enough
        {"start": "ab"},
        {"goal": 1},
        {"animal": 9},
        {"trial": -1},
        {"perturbation": {"curl": 1e308}},
    ):
        with pytest.raises(
            ValueError, match=r"no target lies|start = |goal|animal = |trial = |curl"
        ):
            env.reset(seed=seed, options=bad)
        check_unchanged(env, before)
    if steps is None:
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(np.zeros(env.action_space.shape, np.float32))


@pytest.mark.parametrize("vector", [False, True], ids=["scalar", "vector"])
def test_a_refused_reset_keeps_the_half_word_that_a_user_has_left(vector):
    env = BMIVectorEnv(3, **FEW) if vector else BMIEnv(**FEW)
    env.reset(seed=1)
    generators = env.np_random if vector else (env.np_random,)
    generators[-1].integers(5, dtype=np.uint32)  # 32 bits of 64
    before = [each.bit_generator.state for each in generators]
    assert before[-1]["has_uint32"] == 1
    env.episodes.task = replace(env.episodes.task, min_start_distance_cm=1e3)
    with pytest.raises(ValueError, match="no target lies"):
        env.reset()
    generators = env.np_random if vector else (env.np_random,)
    assert [each.bit_generator.state for each in generators] == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_refused_step_changes_nothing(mode, steps):
    env = BMIVectorEnv(3, max_episode_steps=2, autoreset_mode=mode, **FEW)
    env.reset(seed=1)
    for _ in range(steps):
        env.step(np.zeros((3, 9), np.float32))
    before = state_of(env)
    ended = mode == AutoresetMode.DISABLED and steps == 2
    for bad in (np.nan, np.inf, "a", 1j, None):
        action = np.zeros((3, 9), np.float32).astype(np.array(bad).dtype)
        action[1, 2] = bad
        if mode == AutoresetMode.NEXT_STEP and steps == 2 and action.dtype.kind == "f":
            continue  # trials that begin anew ignore what numbers they are given
        with pytest.raises(ValueError, match="has ended" if ended else r"action (holds|of type)"):
            env.step(action)
        check_unchanged(env, before)
    with pytest.raises(ValueError, match="has ended" if ended else "action of shape"):
        env.step(np.zeros((3, 8), np.float32))
    check_unchanged(env, before)
