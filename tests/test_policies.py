import gymnasium
import numpy as np
import pytest

from ndbmi_gym.inversion import displacing, expected_projection
from ndbmi_gym.policies import (
    POLICIES,
    Eq24,
    LookAhead,
    ParticleFilter,
    Random,
    make_policy,
)
from ndbmi_gym.policies.filter import Cloud
from ndbmi_gym.streams import Streams


def play(env, policy, steps, seed=0):
    """Undiscounted return, success and final distance of one episode per trial."""
    n = env.num_envs
    observation, _ = env.reset(seed=seed)
    state, start = None, np.ones(n, bool)
    total, over, success = np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)
    inside = []
    for _ in range(steps):
        action, state = policy.predict(observation, state, start)
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward * ~over
        success |= terminated & ~over
        over |= terminated | truncated
        start = terminated | truncated
        inside.append(info["inside"])
    return total, success, np.array(inside)


SEEING = ("ignorant", "knowing", "trial_by_trial", "bayes")
"""Policies that act on the state, and are refused where it is not shown."""

ALIKE = ("knowing", "trial_by_trial", "forgetful")
ANYWHERE = tuple(name for name in POLICIES if name not in ("choosing", "pretrained", *ALIKE))
"""Policies for any environment, without those that act as others do; choosing wants a field that
leaves a choice, and not every id has a trained agent."""


def make(env_id, n=64, **options):
    return gymnasium.make_vec(env_id, num_envs=n, **options)


@pytest.mark.parametrize(
    ("name", "observe"),
    [(name, "full") for name in ANYWHERE] + [(n, "neural") for n in ANYWHERE if n not in SEEING],
)
def test_policies_speak_the_language_of_sb3(name, observe):
    options = {"observe": observe, "repetitions": 3}  # tables are made in no time
    for env in (
        make("ndbmi/ShiftTarget-v1", 3, volition="signed", **options),
        gymnasium.make("ndbmi/ShiftTarget-v1", **options).unwrapped,
    ):
        policy = make_policy(name, env)
        observation, _ = env.reset(seed=0)
        action, state = policy.predict(observation, deterministic=True)
        assert action.dtype == np.float32
        assert env.action_space.contains(action)
        again, _ = policy.predict(observation, state, np.zeros(np.atleast_2d(observation).shape[0]))
        assert again.shape == action.shape


def test_unknown_policies_are_refused():
    with pytest.raises(ValueError, match=r"unknown policy 'best': choose one of zero, eq24"):
        make_policy("best", make("ndbmi/ShiftTarget-v1", 1))


def test_eq24_is_the_mean_response_of_the_site_opposite_the_target():
    env = make("ndbmi/ShiftTarget-v1", 8, observe="full")
    observation, _ = env.reset(seed=2)
    action, _ = Eq24(env).predict(observation)
    loop = env.episodes.loops[0]
    for target, one in zip(env.episodes.target, action, strict=True):
        site = np.linalg.norm(loop.interface.sites + target, axis=1).argmin()
        np.testing.assert_allclose(one, loop.cortex.evoked[site] / 40, rtol=1e-6)


def test_eq24_follows_each_trials_animal():
    env = make("ndbmi/ShiftTarget-v1", 32, animal=None, n_animals=3)
    observation, _ = env.reset(seed=2)
    action, _ = Eq24(env).predict(observation)
    for target, animal, one in zip(env.episodes.target, env.episodes.animal, action, strict=True):
        loop = env.episodes.loops[animal]
        site = np.linalg.norm(loop.interface.sites + target, axis=1).argmin()
        np.testing.assert_allclose(one, loop.cortex.evoked[site] / 40, rtol=1e-6)


def test_look_ahead_takes_the_candidate_that_brute_force_prefers():
    env = make("ndbmi/ShiftTargetCurl-v1", 4, observe="state")
    observation, _ = env.reset(seed=3)
    policy = LookAhead(env, gains=(1.0,), samples=64)
    action, _ = policy.predict(observation)
    episodes = env.episodes
    loop = episodes.loops[0]
    rng = np.random.default_rng(9)

    def cost(trial, volition):
        here = episodes.state.select(np.repeat(trial, 400))
        moved, _ = loop.step(here, np.tile(volition, (400, 1)), rng)
        ahead = moved.position + 0.25 * moved.velocity
        return ((ahead - episodes.target[trial]) ** 2).sum(axis=1).mean()

    for trial in range(4):
        chosen = cost(trial, 40.0 * action[trial])
        others = [cost(trial, evoked) for evoked in [np.zeros(9), *loop.cortex.evoked]]
        # the table knows 64 samples, the check 400: allow their sampling error
        assert chosen <= min(others) * 1.1 + 0.1


@pytest.mark.parametrize("knows_force", [True, False])
def test_the_filter_finds_the_device(knows_force):
    env = make("ndbmi/ShiftTargetCurl-v1", 128)
    observation, _ = env.reset(seed=4)
    policy = ParticleFilter(env, knows_force)
    state, start, errors = None, np.ones(128, bool), []
    for _ in range(6):
        action, state = policy.predict(observation, state, start)
        error = state.values[:, :, -1].mean(axis=1)[:, 0:2] - env.episodes.state.position
        errors.append(np.median(np.linalg.norm(error, axis=1)))
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated
    assert errors[0] > errors[-1]
    assert errors[-1] < (0.5 if knows_force else 1.0)  # regions are about 3 cm wide


def test_the_filter_forgets_at_an_episodes_start():
    env = make("ndbmi/ShiftTarget-v1", 4, repetitions=3)
    observation, _ = env.reset(seed=5)
    fresh = ParticleFilter(env).predict(observation)[1]
    old = Cloud(np.full_like(fresh.values, 3.0), fresh.forces)
    stale = old.select(slice(None))
    again = ParticleFilter(env).predict(observation, old, np.ones(4, bool))[1]
    for one, other in zip(fresh, again, strict=True):
        np.testing.assert_array_equal(one, other)
    kept = ParticleFilter(env).predict(observation, old, np.array([1, 0, 1, 0], bool))[1]
    assert (np.abs(kept.values[1, :, -1, 0:2] - 3.0) < 5).all()
    np.testing.assert_allclose(np.abs(kept.values[0, :, -1, 0:2]).max(axis=1), 8.0)
    for one, other in zip(old, stale, strict=True):  # what is handed on is left as it was
        np.testing.assert_array_equal(one, other)


def test_the_unprivileged_filter_reads_nothing_but_the_observation():
    # the true device is moved away behind its back: what it does must not change
    env = make("ndbmi/ShiftTargetCurl-v1", 8, perturbation={"curl": [-1, 1]}, repetitions=3)
    observation, _ = env.reset(seed=6)
    actions = []
    for spoilt in (False, True):
        policy = make_policy("filter", env)
        action, state = policy.predict(observation)
        if spoilt:
            env.episodes.state.values[:] = -3.0
            env.episodes.signals.force[:] = 9.0
        actions.append((action, policy.predict(observation, state, np.zeros(8))[0]))
    np.testing.assert_array_equal(actions[0], actions[1])


def test_no_policy_draws_from_the_trials_stream():
    # else the filter would begin at the true starts
    env = make("ndbmi/ShiftTarget-v1", 64, animal=1)
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        streams = env.episodes.streams
        before = streams.draws.copy()
        policy = ParticleFilter(env, False, seed=seed, gains=(1.0,))
        own = policy._streams(seed, "filter")
        cloud = policy._prior(np.ones(64, bool), env.episodes.target, own).values
        assert not np.isin(cloud[..., 0:2], env.episodes.state.position[np.newaxis]).all(-1).any()
        policy.predict(observation)
        action, _ = Random(env, seed).predict(observation)
        np.testing.assert_array_equal(streams.draws, before)
        drawn = np.float32(Streams.keyed(streams.keys).random((64, 300)))
        # one number of single precision may be met by chance, two of a trial once in a million
        assert max(np.isin(*rows).sum() for rows in zip(action, drawn, strict=True)) < 2


@pytest.mark.parametrize("name", ["random", "filter"])
def test_a_policy_acts_in_each_trial_as_it_would_alone(name):
    # through autoresets: the trials last three steps
    options = {"perturbation": {"curl": [-1, 1]}, "max_episode_steps": 3, "repetitions": 3}
    many = make("ndbmi/ShiftTarget-v1", 4, **options)
    seen, _ = many.reset(seed=8)
    policy, state, begun = make_policy(name, many), None, np.ones(4, bool)
    alone = [make("ndbmi/ShiftTarget-v1", 1, **options) for _ in range(4)]
    others = [
        [make_policy(name, env), None, env.reset(seed=8 + i)[0]] for i, env in enumerate(alone)
    ]
    ended = np.zeros(4, bool)
    for _ in range(9):
        action, state = policy.predict(seen, state, begun)
        for b, (env, other) in enumerate(zip(alone, others, strict=True)):
            own, other[1] = other[0].predict(other[2], other[1], begun[b : b + 1])
            np.testing.assert_array_equal(own[0], action[b])
            other[2] = env.step(own)[0]
        begun = ended
        seen, _, terminated, truncated, _ = many.step(action)
        ended = terminated | truncated
        np.testing.assert_array_equal(np.concatenate([other[2] for other in others]), seen)


def test_random_volition_is_drawn_anew_at_every_step_though_no_state_is_handed_on():
    options = {"max_episode_steps": 4, "repetitions": 3}
    many = make("ndbmi/ShiftTarget-v1", 4, **options)
    alone = make("ndbmi/ShiftTarget-v1", 1, **options)
    seen, other = many.reset(seed=8)[0], alone.reset(seed=10)[0]
    policy, same, actions = Random(many, 3), Random(alone, 3), []
    for _ in range(9):
        action, own = policy.predict(seen)[0], same.predict(other)[0]
        np.testing.assert_array_equal(action[2:3], own)
        seen, other = many.step(action)[0], alone.step(own)[0]
        actions.append(action)
    drawn = np.array(actions)
    # two of 324 numbers of single precision are equal by chance once in 300 such tests
    assert len(np.unique(drawn)) >= drawn.size - 1


def test_policies_of_any_seed_act_apart():
    env = make("ndbmi/ShiftTarget-v1", 3, repetitions=3)
    observation, _ = env.reset(seed=0)
    seeds = (0, 1, 256, 2**56, 2**60, 2**60 + 1)
    drawn = np.array([Random(env, seed).predict(observation)[0] for seed in seeds])
    assert len(np.unique(drawn)) >= drawn.size - 1
    assert len(np.unique(drawn[:, 0, 0])) == len(seeds)
    for policy in (Random, ParticleFilter):
        with pytest.raises(ValueError, match=r"seed|non-negative"):
            policy(env, seed=-1).predict(observation)


def test_policies_take_wrapped_environments():
    env = gymnasium.make("ndbmi/ShiftTarget-v1")
    observation, _ = env.reset(seed=0)
    assert env.action_space.contains(make_policy("eq24", env).predict(observation)[0])


def test_the_filter_needs_counts():
    with pytest.raises(ValueError, match="observe='neural' or 'full'"):
        make_policy("filter", make("ndbmi/ShiftTarget-v1", 2, observe="state"))
    make_policy("ceiling", make("ndbmi/ShiftTarget-v1", 2, observe="state"))


def test_floor_command_and_ceiling_are_in_order():
    # success is about .02, .7 and 1.0: many standard errors of 64 trials apart
    env = make("ndbmi/ShiftTarget-v1")
    names = ("zero", "eq24", "filter", "ceiling")
    success = {name: play(env, make_policy(name, env), 25)[1].mean() for name in names}
    assert success["zero"] < 0.15
    assert 0.4 < success["eq24"] < 0.9
    assert success["filter"] > 0.9
    assert success["ceiling"] > 0.95


def test_holding_is_floor_command_ceiling_too():
    env = make("ndbmi/HoldTarget-v1")
    inside = {
        name: play(env, make_policy(name, env), 50)[2][-25:].mean()
        for name in ("zero", "eq24", "ceiling")
    }
    assert inside["zero"] < 0.05
    assert 0.3 < inside["eq24"] < 0.75
    assert inside["ceiling"] > 0.97


# Through a circuit

FAST = {"kind": "soc", "stimuli": 4, "electrodes": 8}
CIRCUIT = {"cortex": FAST, "volition": "signed"}


@pytest.mark.parametrize("name", ANYWHERE)
@pytest.mark.parametrize(
    "options", [{}, {"volition": "positive", "cortex": FAST | {"carry": True}}]
)
def test_policies_speak_to_a_circuit(name, options):
    env = make("ndbmi/ShiftTarget-v1", 3, observe="full", **{**CIRCUIT, **options})
    policy = make_policy(name, env)
    observation, _ = env.reset(seed=0)
    state, start = None, np.ones(3, bool)
    for _ in range(3):
        action, state = policy.predict(observation, state, start)
        assert action.dtype == np.float32
        assert env.action_space.contains(action)
        assert action.any() == (name != "zero")
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated


@pytest.mark.parametrize("animals", [{}, {"animal": None, "n_animals": 3}])
def test_eq24_through_a_circuit_displaces_the_device_s_point_from_the_target(animals):
    env = make("ndbmi/ShiftTarget-v1", 6, **CIRCUIT, **animals)
    # animals share a target: what is remembered of it must be each animal's own
    observation, _ = env.reset(seed=2, options={"target": (3.0, 2.0)} if animals else None)
    policy = Eq24(env)
    action, _ = policy.predict(observation)
    episodes = env.episodes
    assert len(set(episodes.animal)) == (3 if animals else 1)
    for target, animal, one in zip(episodes.target, episodes.animal, action, strict=True):
        loop = episodes.loops[animal]
        high = loop.cortex.max_count
        # a target is seen in single precision
        expected = displacing(loop.cortex, loop.interface, -target, -high, high) / high
        np.testing.assert_allclose(one, expected, atol=1e-4)
        both = np.stack((np.zeros(8), expected * high))
        rest, moved = expected_projection(loop.cortex, loop.interface, None, both)
        assert (moved - rest) @ -target > 0.3 * target @ target
    # and the same again, from memory
    np.testing.assert_array_equal(policy.predict(observation)[0], action)


def test_look_ahead_through_a_circuit_takes_what_brute_force_prefers():
    env = make("ndbmi/ShiftTargetCurl-v1", 4, observe="state", **CIRCUIT)
    observation, _ = env.reset(seed=3)
    policy = LookAhead(env, samples=64)
    action, _ = policy.predict(observation)
    episodes, loop = env.episodes, env.episodes.loops[0]
    high = loop.cortex.max_count
    rng = np.random.default_rng(9)
    candidates = policy.tables[0][0]
    assert candidates.shape == (4, 1 + 16 * 7, 8)
    assert np.abs(candidates).max() <= high * (1 + 1e-12)
    assert (candidates[:, 0] == 0).all()

    def cost(trial, volition):
        here = episodes.state.select(np.repeat(trial, 400))
        moved, _ = loop.step(here, np.tile(volition, (400, 1)), rng)
        ahead = moved.position + 0.25 * moved.velocity
        return ((ahead - episodes.target[trial]) ** 2).sum(axis=1).mean()

    for trial in range(4):
        chosen = cost(trial, high * action[trial])
        others = [cost(trial, each) for each in candidates[0, ::4]]
        # the table knows 64 samples, the check 400: allow their sampling error
        assert chosen <= min(others) * 1.1 + 0.1
        assert chosen < others[0]


def test_floor_and_ceiling_through_a_circuit():
    # successes of 64 trials are about .02 and .92: .15 and .75 are 5 standard errors away
    env = make("ndbmi/ShiftTarget-v1", cortex="soc", volition="signed")
    success = {
        name: play(env, make_policy(name, env), 25)[1].mean() for name in ("zero", "ceiling")
    }
    assert success["zero"] < 0.15
    assert success["ceiling"] > 0.75


def test_eq24_through_a_circuit_brings_devices_nearer_than_nothing_does():
    # a task without arrival, so that no trial begins anew
    options = {"cortex": "soc", "volition": "signed", "observe": "state"}
    env = make("ndbmi/HoldTarget-v1", 200, **options)
    left = {}
    for name in ("zero", "eq24"):
        policy = make_policy(name, env)
        observation, _ = env.reset(seed=0)
        for _ in range(20):
            observation, _, terminated, _, info = env.step(policy.predict(observation)[0])
            assert not terminated.any()
        left[name] = info["distance"]
    # about 8.5 standard errors
    error = np.sqrt(sum(each.var() for each in left.values()) / 200)
    assert left["zero"].mean() - left["eq24"].mean() > 4 * error
