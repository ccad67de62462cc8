import numpy as np
import pytest
from test_feedforward import session

from ndbmi_gym.policies import Bayes, TrialByTrial
from ndbmi_gym.policies.feedforward import Memory, ahead

CURL = 1.0


@pytest.fixture(scope="module")
def env():
    made = session(n=4)
    made.reset(seed=0)
    return made


@pytest.fixture(scope="module")
def tables(env):
    return Bayes(env).tables


def reach(policy, belief, n_steps, scatter=0.0):
    """Steps of four devices in a field that are seen as they are, and what is learned of them."""
    rng, plant = np.random.default_rng(0), policy.episodes.loops[0].plant
    here, n, moved = np.zeros((4, 4)), policy._delay + 1, np.ones(4, bool)
    for _ in range(n_steps):
        force = rng.normal(0, 2, (4, 2))
        felt = force + scatter * rng.normal(size=(4, 2))
        then = ahead(plant, here, felt, np.full(4, CURL))
        line, variance = np.repeat(force[:, None], n, 1), np.full((4, n), 2 * scatter**2)
        memory = Memory(here[:, :2], here, line, variance, belief)
        belief, here = policy._learn(memory, then, moved), then
    return belief


def believed(policy, belief):
    nothing = np.zeros((4, 2))
    return policy._believed(Memory(nothing, nothing, nothing, nothing, belief))


def test_a_share_of_the_error_is_corrected_after_a_trial(env, tables):
    policy = TrialByTrial(env, rate=0.25, tables=tables)
    belief = reach(policy, policy._prior(4), 40)
    np.testing.assert_array_equal(believed(policy, belief), 0.0)  # not before the trial has ended
    ended = np.array([True, True, True, False])
    now = believed(policy, policy._between(belief, ended))
    np.testing.assert_allclose(now[:3], 0.25 * CURL, rtol=0.2)  # linear around 0
    assert now[3] == 0.0
    # at the truth nothing is left to correct, and from near it the slope is right
    for start, rest in ((CURL, 0.0), (CURL - 0.05, 0.05)):
        known = np.zeros((4, 3))
        known[:, 0] = start
        after = policy._between(reach(policy, (known,), 40), np.ones(4, bool))
        np.testing.assert_allclose(believed(policy, after), start + 0.25 * rest, atol=2e-3)


def test_bayes_comes_to_the_truth_and_knows_how_sure_it_is(env, tables):
    policy = Bayes(env, tables=tables)
    prior = policy._prior(4)
    np.testing.assert_allclose(believed(policy, prior), 0.0, atol=1e-12)
    sure = []
    for n_steps in (3, 30):
        share = reach(policy, prior, n_steps, scatter=1.0)[0]
        np.testing.assert_allclose(share.sum(axis=1), 1.0)
        mean = (share * policy._grid).sum(axis=1)
        spread = np.sqrt((share * (policy._grid - mean[:, None]) ** 2).sum(axis=1))
        assert (np.abs(mean - CURL) < 4 * spread + 0.05).all()
        sure.append(spread.mean())
    assert sure[1] < 0.5 * sure[0] < 0.5 * 1.5


def test_one_step_of_bayes_is_bayes_rule(env, tables):
    policy = Bayes(env, tables=tables)
    plant, prior = env.episodes.loops[0].plant, policy._prior(4)
    here = np.tile([0.0, 0.0, 2.0, 1.0], (4, 1))
    line = np.full((4, policy._delay + 1, 2), 0.5)
    seen = ahead(plant, here, np.zeros((4, 2)), np.full(4, CURL))
    variance = np.full(line.shape[:2], 0.8)
    after = policy._learn(Memory(here[:, :2], here, line, variance, prior), seen, np.ones(4, bool))
    for g in (20, 30, 35):
        expected = ahead(plant, here[:1], line[:1, 0], policy._grid[[g]])[0, 2:]
        ratio = after[0][0, g] / after[0][0, 30] * prior[0][0, 30] / prior[0][0, g]
        at_zero = ahead(plant, here[:1], line[:1, 0], policy._grid[[30]])[0, 2:]
        off = ((seen[0, 2:] - expected) ** 2).sum() - ((seen[0, 2:] - at_zero) ** 2).sum()
        np.testing.assert_allclose(ratio, np.exp(-off / (0.8 * policy._per_force**2)), rtol=1e-6)


def test_between_trials_a_share_of_the_prior_is_mixed_in(env, tables):
    policy = Bayes(env, forgetting=0.2, drift=0.1, tables=tables)
    certain = np.zeros((4, len(policy._grid)))
    certain[:, 40] = 1.0
    ended = np.array([True, False, True, True])
    (share,) = policy._between((certain,), ended)
    np.testing.assert_array_equal(share[1], certain[1])
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    np.testing.assert_allclose(share[0, 0], 0.2 * policy._start[0])  # too far to drift there
    assert 0.4 < share[0, 40] < 0.8  # most of it is nearer than a place of the grid


@pytest.mark.parametrize("learner", [TrialByTrial, Bayes])
def test_a_field_is_learned_within_a_session_and_forgotten_with_it(tables, learner):
    env = session(trials=12, n=4, curl=CURL)
    policy = learner(env, tables=tables)
    seen, _ = env.reset(seed=1)
    state, begun = None, np.ones(4, bool)
    for _ in range(150):
        action, state = policy.predict(seen, state, begun)
        begun[:] = False
        seen, *_ = env.step(action)
    assert (policy._believed(state) > 0.5 * CURL).all()
    begun[0] = True  # another session
    _, state = policy.predict(seen, state, begun)
    now = policy._believed(state)
    assert abs(now[0]) < 0.1
    assert (now[1:] > 0.5 * CURL).all()


def test_what_is_learned_does_not_depend_on_what_runs_beside_it(tables):
    seen = {}
    for n in (1, 3):
        env = session(trials=2, n=n, curl=CURL)
        policy = Bayes(env, tables=tables)
        observation, _ = env.reset(seed=5)
        state = None
        for _ in range(30):
            action, state = policy.predict(observation, state)
            observation, *_ = env.step(action)
        seen[n] = action[0], state.belief[0][0]
    np.testing.assert_array_equal(seen[1][0], seen[3][0])
    np.testing.assert_array_equal(seen[1][1], seen[3][1])
