import numpy as np
import pytest

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.plants.arm import Arm
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.policies import Feedforward, Knowing, Plan
from ndbmi_gym.policies.feedforward import Candidates, ahead, inverse

STILL = np.zeros((1, 4))


def session(trials=1, n=16, curl=0.0, **options):
    """Reaches from the centre, as in Adaptation-v0."""
    return BMIVectorEnv(
        n,
        task="shift",
        targets={"centre_out": 8, "radius_cm": 5},
        starts="centre",
        radius_cm=1.5,
        dwell=1,
        step_s=0.25,
        session_trials=trials,
        trial_steps=24,
        perturbation={"curl": curl},
        **({"observe": "state", "delay_steps": 3} | options),
    )


def success(env, policy):
    seen, _ = env.reset(seed=0)
    state, begun, reached = None, np.ones(env.num_envs, bool), np.zeros(env.num_envs, bool)
    for _ in range(24):
        action, state = policy.predict(seen, state, begun)
        seen, _, _, _, info = env.step(action)
        begun[:] = False
        reached |= info["is_success"] & (info["trial"] == 0)
    return reached.mean()


def test_a_planned_reach_begins_and_ends_at_rest_and_is_fastest_in_the_middle():
    plan, start, target = Plan(duration_s=4.0), np.array([[1.0, 2.0]]), np.array([[4.0, -2.0]])
    places = {t: plan.at(start, target, np.array([t]))[0] for t in (0.0, 2.0, 4.0, 9.0)}
    np.testing.assert_allclose(places[0.0], [1, 2, 0, 0])
    np.testing.assert_allclose(places[4.0], [4, -2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(places[9.0], [4, -2, 0, 0], atol=1e-12)
    # Flash and Hogan: the peak speed of a minimum-jerk reach is 1.875 of its mean
    np.testing.assert_allclose(places[2.0], [2.5, 0, 1.875 * 3 / 4, -1.875 * 4 / 4])


@pytest.mark.parametrize("curl", [0.0, 1.5])
def test_the_inverse_of_the_point_mass_is_exact(curl):
    plant = PointMass(step_s=0.25).within(8.0, None)
    here = np.array([[1.0, -2.0, 0.5, 0.25], [0.0, 0.0, 0.0, 0.0]])
    wanted, curls = np.array([[1.0, 2.0], [-0.5, 0.3]]), np.full(2, curl)
    force = inverse(plant, here, wanted, curls)
    np.testing.assert_allclose(ahead(plant, here, force, curls)[:, 2:], wanted, atol=1e-12)


def test_the_inverse_of_the_arm_is_near():
    plant = Arm(step_s=0.25).within(8.0, None)
    here, wanted, curls = np.array([[2.0, 1.0, 1.0, 0.0]]), np.array([[1.2, 0.4]]), np.array([1.5])
    force = inverse(plant, here, wanted, curls)
    np.testing.assert_allclose(ahead(plant, here, force, curls)[:, 2:], wanted, atol=5e-3)


def test_a_plan_asks_for_nothing_where_it_is_followed_at_its_end():
    plant, target = PointMass(step_s=0.25).within(8.0, None), np.array([[3.0, 0.0]])
    there = np.array([[3.0, 0.0, 0.0, 0.0]])
    force = Plan().force(plant, np.zeros((1, 2)), target, np.array([40]), there, np.array([1.5]))
    np.testing.assert_allclose(force, 0.0, atol=1e-12)
    # and beside it, for the errors alone: half of 2 cm back
    beside = there + [2.0, 0.0, 0.0, 0.0]
    force = Plan().force(plant, np.zeros((1, 2)), target, np.array([40]), beside, np.array([0.0]))
    np.testing.assert_allclose(force, [[-1.0, 0.0]], atol=1e-12)


def test_the_candidate_is_the_one_that_brute_force_finds():
    env = session(animal=None, n_animals=2)
    env.reset(seed=0, options={"animal": np.arange(16) % 2})
    policy = Feedforward(env)
    rng = np.random.default_rng(0)
    sensed, wanted = rng.uniform(-6, 6, (16, 2)), rng.normal(0, 2, (16, 2))
    chosen = Candidates(env.episodes, policy.tables).nearest(sensed, wanted)
    for b in range(16):
        volition, mean, variance = policy.tables[b % 2]
        stimulus = env.episodes.loops[b % 2].interface.sense(sensed[b : b + 1])[0]
        off = np.linalg.norm(mean[stimulus] - wanted[b], axis=1)
        best = off.argmin()
        np.testing.assert_array_equal(chosen.force[b], mean[stimulus, best])
        assert chosen.variance[b] == variance[stimulus, best]
        action = volition[stimulus, best] / env.episodes.max_count
        np.testing.assert_array_equal(chosen.action[b], action)


def test_a_delay_is_bridged_and_a_field_is_not():
    env = session()
    policy = Feedforward(env)
    assert success(env, policy) > 0.9
    curled = session(curl=1.5)
    assert success(curled, Feedforward(curled, tables=policy.tables)) < 0.4
    assert success(curled, Knowing(curled, tables=policy.tables)) > 0.9


def test_the_state_has_to_be_seen():
    env = session(observe="neural")
    with pytest.raises(ValueError, match=r"Feedforward acts on the position, .* observe='state'"):
        Feedforward(env)
