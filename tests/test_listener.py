import numpy as np
import pytest
from test_feedforward import session

from ndbmi_gym.perturbations import Force
from ndbmi_gym.policies import Listener, LookAhead

PARTICLES = 60


@pytest.fixture(scope="module")
def tables():
    return LookAhead(session(n=1)).tables


def listen(env, policy, n_steps, spoil=None):
    """Play; returns actions, the last state, and mean curls at each step."""
    seen, _ = env.reset(seed=3)
    state, begun, actions, curls = None, np.ones(env.num_envs, bool), [], []
    for step in range(n_steps):
        action, state = policy.predict(seen, state, begun)
        begun[:] = False
        actions.append(action)
        curls.append(state[0].forces[..., Force.CURL].mean(axis=1))
        seen, *_ = env.step(action)
        if step == spoil:
            env.episodes.state.forces[:, Force.CURL] *= -1
            env.episodes.signals.force[:] = 9.0
    return np.array(actions), state, np.array(curls)


def make(tables, n=4, trials=8, curl=1.5, **options):
    env = session(trials=trials, n=n, curl=curl, observe="neural")
    return env, Listener(env, particles=PARTICLES, tables=tables, **options)


def test_a_field_is_heard_from_spikes(tables):
    env, policy = make(tables)
    _, _, curls = listen(env, policy, 120)
    assert (np.abs(curls[0]) < 0.8).all()  # of a prior with SD 1.5, 60 particles
    assert (curls[-20:].mean(axis=0) > 0.5).all()


def test_what_is_not_carried_is_forgotten_at_the_next_trial(tables):
    for carries in (True, False):
        env, policy = make(tables, n=1, carries=carries, forgetting=0.0, drift=0.0)
        seen, _ = env.reset(seed=3)
        state, before = None, None
        while True:
            action, state = policy.predict(seen, state)
            curl = state[0].forces[..., Force.CURL]
            if env.episodes.trial[0] == 1:
                break
            before = curl
            seen, *_ = env.step(action)
        assert carries == np.array_equal(curl, before)


def test_a_new_session_begins_from_the_prior(tables):
    env, policy = make(tables, n=2)
    _, state, _ = listen(env, policy, 60)
    seen, _ = env.reset(seed=9)
    _, after = policy.predict(seen, state, np.array([True, False]))
    spread = after[0].forces[..., Force.CURL].std(axis=1)
    assert spread[0] > 1.0 > spread[1]


def test_nothing_is_read_but_the_observation(tables):
    # the field and the force are changed behind its back, in the last step that is played
    found = []
    for spoil in (None, 9):
        env, policy = make(tables, n=2)
        actions, state, _ = listen(env, policy, 10, spoil)
        seen = env.episodes.layout.observe(
            env.episodes.signals,
            env.episodes.state,
            env.episodes.action,
            env.episodes.target,
        )
        found.append((actions, policy.predict(seen, state, np.zeros(2, bool))[0]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_counts_have_to_be_heard(tables):
    with pytest.raises(ValueError, match=r"Listener acts on the counts, .* observe='neural'"):
        Listener(session(observe="state"), tables=tables)
