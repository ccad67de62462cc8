"""The compiled step against the same parts one after the other, bit for bit."""

import copy
import itertools
import os
import pickle
import signal

import gymnasium
import numpy as np
import pytest

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.config import Config
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.fields import FIELDS
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.streams import Streams

FEW = {"repetitions": 3, "target_range_cm": (0.0, 20.0), "min_start_distance_cm": 0.0}
"""Options that make an animal in no time."""

OBSERVED = [
    {"observe": "full", "observe_perturbation": True},
    {"observe": "neural"},
    {"observe": "state"},
]
FORCES = [
    {"curl": [-1.0, 1.0], "push": [[-0.5, 0.5], [0.0, 0.3]]},
    {"perturbation": {"kind": "blocks", "blocks": [{"trials": 1}, {"curl": 0.7}]}},
    {"viscosity": 0.0, "push": [0.5, 0.0], "mass": 2.0},
    {"curl": [5.0, 50.0], "wall_cm": 9.0},
]
TASKS = [
    {"task": "hold", "radius_cm": 4.0, "effort_weight": 1.0},
    {"task": "shift", "reward": "sparse", "dwell": 3, "radius_cm": 5.0, "target_range_cm": (0, 20)},
    {"starts": "centre", "targets": [[1, 1], [0, -3]]},
]
CORTICES = [
    {"gamma_shape": 0.3},
    {"gamma_shape": 4.0, "volition": "signed"},
    {"volition": "signed", "max_rate_hz": 200.0},
    {"spontaneous": 3.0, "window_s": 0.05},
    {"dataset": 1},
    {"dataset": 5, "gamma_shape": 1.5, "window_s": 0.2},
    {"volition": "signed", "max_rate_hz": 1500.0, "gamma_shape": 0.5},
]
CIRCUITS = [
    {"cortex": {"kind": "soc", "stimuli": 8}, "volition": "signed"},
    {"cortex": {"kind": "soc", "stimuli": 5, "carry": True, "units": 1}, "volition": "signed"},
]
ANIMALS = [{"animal": None, "n_animals": n} for n in (2, 7)]
NATIVE = [
    *({"field": name} for name in FIELDS if name not in ("sum", "damped", "choice")),
    {"field": {"kind": "sum", "fields": ["dipole", "limit_cycle"], "weights": [1.0, -0.3]}},
    *FORCES,
    *TASKS,
    *CORTICES,
    *ANIMALS,
    *CIRCUITS,
    ANIMALS[0] | CIRCUITS[1],
]
CASES = [
    {**({"repetitions": 3} if "targets" in options else FEW), "decoder": decoder}
    | observed
    | options
    for (decoder, options), observed in zip(
        itertools.product(DECODERS, NATIVE), itertools.cycle(OBSERVED), strict=False
    )
]
IN_ORDER = [f"{i}" for i in range(len(CASES))]


def staged(options, n):
    """Episodes that step part by part."""
    episodes = Episodes(Config.of(**options), n)
    episodes._compile = lambda: None
    episodes._compiled = None
    return episodes


def twins(options, n):
    one, other = Episodes(Config.of(**options), n), staged(options, n)
    assert one.compiled
    assert not other.compiled
    return one, other


def parts_of(episodes):
    """All that a step changes, by name."""
    signals = episodes.signals._asdict()
    return signals | {
        "state": episodes.state.values,
        "outcome": episodes.outcome.values,
        "target": episodes.target,
        "action": episodes.action,
        "animal": episodes.animal,
        "trial": episodes.trial,
        "keys": episodes.streams.keys,
        "draws": episodes.streams.draws,
    }


def copied(episodes):
    return {name: values.copy() for name, values in parts_of(episodes).items()}


def check_same(parts, others):
    assert parts.keys() == others.keys()
    for name, values in parts.items():
        np.testing.assert_array_equal(values, others[name], err_msg=name)
        assert values.dtype == others[name].dtype, name


def check_steps(one, other, steps=9, seed=0):
    """Step both under the same actions, while trials begin now and then."""
    n, rng = one.n_trials, np.random.default_rng(seed)
    for step in range(steps):
        begins = rng.random(n) < 0.3 if step else np.ones(n, bool)
        if begins.any():
            keys = rng.integers(0, 2**64, (begins.sum(), 2), np.uint64)
            for each in (one, other):
                each.begin(Streams.keyed(keys.copy()), begins)
            check_same(parts_of(one), parts_of(other))
            np.testing.assert_array_equal(one.observe(), other.observe())
        if step == steps // 2:
            for each in (one, other):
                each.change(radius_cm=6.0, effort_weight=0.3)
        # beyond the box now and then, and silent on some electrodes
        action = rng.uniform(1.2 * one.low - 0.1, 1.2, one.action.shape)
        action *= rng.random(one.action.shape) < 0.7
        for each in (one, other):
            each.step(action)
        check_same(parts_of(one), parts_of(other))
        np.testing.assert_array_equal(one.observe(), other.observe())


@pytest.mark.parametrize("options", CASES, ids=IN_ORDER)
def test_the_compiled_step_is_the_staged_one(options):
    check_steps(*twins(options, 6))


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("decoder", DECODERS)
def test_at_any_batch_size(decoder, n):
    """Trials go through in chunks of 64."""
    options = {**FEW, "decoder": decoder, "animal": None, "n_animals": 3, "observe": "full"}
    check_steps(*twins(options, n), steps=5)


def test_a_curriculum_is_compiled_again_when_no_trial_of_before_runs():
    one, other = twins(FEW, 4)
    check_steps(one, other)
    keys = np.arange(8, dtype=np.uint64).reshape(4, 2)
    for each in (one, other):
        each.begin(Streams.keyed(keys.copy()))
    assert one.compiled
    assert one._tasks == [one.task]
    action = np.full(one.action.shape, 0.5)
    for each in (one, other):
        each.step(action)
    check_same(parts_of(one), parts_of(other))
    np.testing.assert_allclose(one.info()["reward_effort"], -0.15)


# Any trial of a batch is what it is alone


@pytest.mark.parametrize("options", CASES[::5], ids=IN_ORDER[::5])
def test_a_trial_of_a_batch_is_what_it_is_alone(options):
    n, rng = 9, np.random.default_rng(1)
    many = Episodes(Config.of(**options), n)
    keys = rng.integers(0, 2**64, (n, 2), np.uint64)
    actions = rng.uniform(many.low, 1, (6, *many.action.shape))
    many.begin(Streams.keyed(keys.copy()))
    seen = [copied(many)]
    for action in actions:
        many.step(action)
        seen.append(copied(many))
    alone = Episodes(Config.of(**options), 1)
    for b in range(n):
        alone.begin(Streams.keyed(keys[b : b + 1].copy()), anew=True)
        check_same(copied(alone), {name: values[b : b + 1] for name, values in seen[0].items()})
        for action, then in zip(actions, seen[1:], strict=True):
            alone.step(action[b : b + 1])
            check_same(copied(alone), {name: values[b : b + 1] for name, values in then.items()})


# Threads


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("gamma_shape", [1.0, 1.5])
def test_any_number_of_threads_steps_the_same(decoder, gamma_shape):
    options = {**FEW, "decoder": decoder, "gamma_shape": gamma_shape, "observe": "full"}
    options |= {"animal": None, "n_animals": 2, "radius_cm": 4.0}
    paths = []
    for threads in (1, 2, 3, 7):
        env = BMIVectorEnv(150, max_episode_steps=5, threads=threads, **options)
        rng, seen = np.random.default_rng(0), [env.reset(seed=4)[0]]
        for _ in range(12):
            observation, reward, terminated, *_ = env.step(rng.random(env.action_space.shape))
            seen += [observation, reward, terminated]
        paths.append(np.concatenate([np.ravel(each) for each in seen]))
    for path in paths[1:]:
        np.testing.assert_array_equal(path, paths[0])


def test_any_number_of_threads_steps_a_circuit_the_same():
    paths = []
    for threads in (1, 2, 3):
        env = gymnasium.make_vec("ndbmi/ShiftTargetSOC-v1", num_envs=70, threads=threads)
        rng, seen = np.random.default_rng(0), [env.reset(seed=4)[0]]
        for _ in range(6):
            observation, reward, terminated, *_ = env.step(rng.random(env.action_space.shape))
            seen += [observation, reward, terminated]
        paths.append(np.concatenate([np.ravel(each) for each in seen]))
    for path in paths[1:]:
        np.testing.assert_array_equal(path, paths[0])


def test_a_bad_action_is_found_by_any_thread():
    for bad in (0, 40, 79):
        env = BMIVectorEnv(80, threads=4, **FEW)
        env.reset(seed=0)
        before = copied(env.episodes)
        action = np.zeros((80, 9))
        action[bad, 3] = np.nan
        with pytest.raises(ValueError, match="action holds nan"):
            env.step(action)
        check_same(copied(env.episodes), before)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_threads_step_in_a_process_that_was_forked():
    env = BMIVectorEnv(64, threads=2, **FEW)
    env.reset(seed=0)
    action = np.full(env.action_space.shape, 0.2, np.float32)
    env.step(action)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)  # of a pool without its threads it would wait for ever
        env.step(action)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# Copies


def pickled(env):
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize("copied_by", [copy.deepcopy, pickled])
@pytest.mark.parametrize("vector", [False, True], ids=["scalar", "vector"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_copy_goes_on_as_the_original_does(decoder, vector, copied_by):
    """Without a reset, which would fill the tables of its animals."""
    options = {**FEW, "decoder": decoder, "animal": None, "n_animals": 3, "observe": "full"}
    env = BMIVectorEnv(8, **options) if vector else BMIEnv(**options)
    env.reset(seed=2)
    action = np.random.default_rng(0).random((6, *env.action_space.shape))
    env.step(action[0])
    other = copied_by(env)
    for each in action[1:]:
        for one, same in zip(env.step(each)[:4], other.step(each)[:4], strict=True):
            np.testing.assert_array_equal(one, same)
        check_same(parts_of(env.episodes), parts_of(other.episodes))


# Responses of more spikes than can be decoded


@pytest.mark.parametrize("decoder", ["multiple-points", "single-point"])
@pytest.mark.parametrize(("compiled", "threads"), [(False, 1), (True, 1), (True, 2)])
def test_a_response_of_too_many_spikes_is_refused_and_nothing_moves(decoder, compiled, threads):
    env = BMIVectorEnv(80, threads=threads, decoder=decoder, **FEW)
    episodes = env.episodes
    # no configuration asks for so many
    episodes.max_count = 8000.0
    episodes._compiled = episodes._compile() if compiled else None
    env.reset(seed=0)
    before = copied(episodes)
    action = np.zeros((80, 9))
    action[70] = 1.0  # 72,000 spikes are expected of this one, 65,537 with certainty
    with pytest.raises(ValueError, match=r"a response of .+ spikes: at most 65536 can be comp"):
        env.step(action)
    check_same(copied(episodes), before)
    action[70] = 0.5
    seen = env.step(action)[0]
    undisturbed = BMIVectorEnv(80, decoder=decoder, **FEW)
    undisturbed.episodes.max_count = 8000.0
    undisturbed.episodes._compiled = undisturbed.episodes._compile()
    undisturbed.reset(seed=0)
    np.testing.assert_array_equal(undisturbed.step(action)[0], seen)


# Actions of any kind


@pytest.mark.parametrize("threads", [1, 2])
def test_actions_of_any_layout_are_the_same(threads):
    rng = np.random.default_rng(2)
    action = rng.random((8, 9)).astype(np.float32)
    wide = np.zeros((16, 18), np.float32)
    wide[::2, ::2] = action
    frozen = action.copy()
    frozen.setflags(write=False)
    kinds = {
        "float64": action.astype(float),
        "list": action.tolist(),
        "strided": wide[::2, ::2],
        "backwards": action[::-1, ::-1].copy()[::-1, ::-1],
        "columns": np.asfortranarray(action),
        "read-only": frozen,
        "swapped": action.astype(">f4"),
    }
    seen = {}
    for name, given in {"float32": action, **kinds}.items():
        env = BMIVectorEnv(8, threads=threads, **FEW)
        env.reset(seed=1)
        before = np.array(given)
        seen[name] = env.step(given)[0]
        np.testing.assert_array_equal(given, before)
    for name in kinds:
        np.testing.assert_array_equal(seen[name], seen["float32"], err_msg=name)


def test_rounded_actions_act_as_rounded():
    """What is float32 is taken as it is, not as the number it was made from."""
    env = BMIEnv(**FEW)
    action = np.full(9, 0.1)
    efforts = []
    for given in (action, action.astype(np.float32)):
        env.reset(seed=0)
        efforts.append(env.step(given)[4]["effort"])
    assert efforts == [pytest.approx(0.1, abs=1e-16), pytest.approx(np.float32(0.1), abs=1e-16)]
    assert efforts[0] != efforts[1]
