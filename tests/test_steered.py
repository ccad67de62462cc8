"""Fields of more than a position: what they take, in the loop and in trials."""

import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from ndbmi_gym.config import Config
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.protocol.runs import run_protocol
from ndbmi_gym.fields import (
    GaussianField,
    LinearField,
    SumField,
    make_field,
    max_force,
    takes_of,
    target_of,
    terms_of,
)
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.rollout import score
from ndbmi_gym.steered import DampedField

PLACES = np.random.default_rng(0).uniform(-9, 9, (50, 2))
SPEEDS = np.random.default_rng(1).normal(0, 8, (50, 2))


def test_a_damped_field_brakes_up_to_its_bound():
    field = DampedField((1.0, 2.0), 2.0, 5.0, damping=0.5, most_braking=4.0)
    still = GaussianField((1.0, 2.0), 2.0, 5.0)
    np.testing.assert_array_equal(field(PLACES), still(PLACES))
    brake = field(PLACES, SPEEDS) - still(PLACES)
    speed = np.linalg.norm(SPEEDS, axis=1, keepdims=True)
    expected = -np.minimum(0.5 * speed, 4.0) * SPEEDS / speed
    np.testing.assert_allclose(brake, expected, atol=1e-12)
    assert (speed > 8).any()
    assert (speed < 8).any()
    np.testing.assert_array_equal(field(PLACES, 0 * SPEEDS), still(PLACES))
    alone = [field(x[None], v[None])[0] for x, v in zip(PLACES, SPEEDS, strict=True)]
    np.testing.assert_array_equal(field(PLACES, SPEEDS), alone)
    np.testing.assert_array_equal(target_of(field), (1.0, 2.0))


@pytest.mark.parametrize("damping", [0.3, -0.3, 50.0])
def test_the_bound_of_a_damped_field_holds(damping):
    field = make_field({"kind": "damped", "damping": damping, "most_braking": 1.5})
    fast = np.concatenate((SPEEDS, 1e6 * SPEEDS))
    force = field(np.concatenate((PLACES, PLACES)), fast)
    assert (np.linalg.norm(force, axis=1) <= max_force(field, 10.0) + 1e-12).all()
    assert max_force(field, 10.0) == 4.5


def test_a_sum_takes_what_its_fields_take():
    damped = DampedField()
    both = SumField((LinearField(), damped), (2.0, 0.5))
    assert takes_of(both) == ("velocity",)
    assert takes_of(SumField((LinearField(),))) == ()
    assert terms_of(both) is terms_of(damped) is None
    expected = 2 * LinearField()(PLACES) + 0.5 * damped(PLACES, SPEEDS)
    np.testing.assert_allclose(both(PLACES, velocity=SPEEDS), expected)
    np.testing.assert_allclose(
        both(PLACES), 2 * LinearField()(PLACES) + 0.5 * GaussianField()(PLACES)
    )


def own(position, velocity=0.0):
    """A field of one's own."""
    return -0.3 * position - 0.1 * velocity


own.takes = ("velocity",)


def test_a_field_that_takes_more_tells_its_bound():
    with pytest.raises(ValueError, match=r"takes velocity, and tells no bound .* give it max_for"):
        max_force(own, 10.0)
    with pytest.raises(ValueError, match="takes velocity, and tells no bound"):
        BMIEnv(field=own, repetitions=2)


@pytest.mark.parametrize("takes", ["velocity", ("speed",), 3, ("velocity", "force")])
def test_a_field_takes_what_there_is(takes):
    class Odd(DampedField):
        pass

    Odd.takes = takes
    with pytest.raises(ValueError, match="give names out of velocity, counts, in a tuple"):
        takes_of(Odd())


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_velocity_is_that_of_successive_virtual_points(decoder):
    seen = []

    class Noted(DampedField):
        def __call__(self, position, velocity=None):
            if velocity is not None:
                seen.append((position.copy(), velocity.copy()))
            return super().__call__(position, velocity)

    field = Noted(damping=0.4)
    loop = replace(Config.of(repetitions=3, decoder=decoder).make_loop(0), field=field)
    rng, state = np.random.default_rng(0), loop.plant.place(PLACES[:6])
    seen.clear()
    points, activity, last = [], None, None
    for _ in range(4):
        state, heard = loop.step(state, None, rng, activity, last)
        activity, last = heard.activity, heard.virtual_point
        points.append(last)
        velocity = seen[-1][1]
        np.testing.assert_array_equal(seen[-1][0], last)
        moved = points[-1] - points[-2] if len(points) > 1 else 0 * last
        np.testing.assert_allclose(velocity, moved / 0.5, atol=1e-12)
        np.testing.assert_array_equal(heard.force, DampedField(damping=0.4)(last, velocity))
    nothing = np.full((6, 2), np.nan)
    one = loop.step(state, None, np.random.default_rng(1), activity, nothing)[1]
    other = loop.step(state, None, np.random.default_rng(1), activity)[1]
    np.testing.assert_array_equal(one.force, other.force)
    np.testing.assert_array_equal(one.force, GaussianField()(one.virtual_point))


FIELD = {"kind": "damped", "damping": 0.5}


def test_a_trial_s_first_step_has_no_velocity_and_the_others_have():
    env = BMIVectorEnv(5, field=FIELD, repetitions=3, task="hold", max_episode_steps=3)
    still, damped = GaussianField(), make_field(FIELD)
    _, info = env.reset(seed=0)
    np.testing.assert_array_equal(info["commanded_force"], still(info["virtual_point"]))
    last, steps = None, 0
    for _ in range(9):  # over the ends of trials
        info = env.step(np.zeros((5, 9), np.float32))[4]
        point, time_s = info["virtual_point"], info["time_s"][0]
        # at the start, and in a trial's first step, the device has not moved yet
        first = time_s <= 0.5
        velocity = None if first else (point - last) / 0.5
        np.testing.assert_array_equal(info["commanded_force"], damped(point, velocity))
        last, steps = point, steps + (not first)
    assert steps >= 4
    assert not env.episodes.compiled


def test_a_trial_is_the_same_alone_and_in_a_batch():
    options = {"field": FIELD, "repetitions": 3, "task": "shift"}
    batch = BMIVectorEnv(4, **options)
    batch.reset(seed=[3, 4, 5, 6])
    alone = BMIVectorEnv(1, **options)
    alone.reset(seed=[5])
    action = np.random.default_rng(0).random((4, 9)).astype(np.float32)
    for _ in range(6):
        many, one = batch.step(action)[4], alone.step(action[2:3])[4]
        np.testing.assert_array_equal(many["position"][2], one["position"][0])
        np.testing.assert_array_equal(many["commanded_force"][2], one["commanded_force"][0])


def test_the_loop_converges_slower_and_as_surely():
    options = {"trials": 150, "seed": 0, "observe": "state"}
    free = score("ndbmi/FixedField-v1", "zero", **options)
    braked = score("ndbmi/FixedField-v1", "zero", field=FIELD, **options)
    assert braked["success"].mean() == 1.0
    assert braked["steps"].mean() > free["steps"].mean() + 1


def test_it_is_made_from_its_spec():
    env = gymnasium.make("ndbmi/HoldTarget-v1", field=FIELD, repetitions=3)
    other = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert other.unwrapped.episodes.config == env.unwrapped.episodes.config
    assert json.loads(env.spec.to_json())["kwargs"]["field"]["damping"] == 0.5


def test_the_protocol_of_positions_refuses_it():
    loop = Config.of(repetitions=2, field="damped").make_loop(0)
    with pytest.raises(ValueError, match="takes velocity: give one of positions"):
        run_protocol(loop, np.random.default_rng(0), PLACES[:2])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"damping": float("nan")}, "damping = nan: give a finite number"),
        ({"most_braking": -1}, r"most_braking = -1: give a finite number >= 0"),
        ({"brake": 1}, "the field 'damped' has no option 'brake'"),
    ],
)
def test_bad_options_are_refused_by_name(option, message):
    with pytest.raises(ValueError, match=message):
        make_field({"kind": "damped", **option})
