"""ChooseField: its field, its controller and its id."""

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.fields import GaussianField, make_field, max_force, takes_of, target_of, terms_of
from ndbmi_gym.policies import Choosing
from ndbmi_gym.rollout import score
from ndbmi_gym.steered import ChoiceField

ID = "ndbmi/ChooseField-v0"
CHOOSING = "ndbmi_gym.policies.choosing:Choosing"
PLACES = np.random.default_rng(0).uniform(-9, 9, (40, 2))
COUNTS = np.random.default_rng(1).integers(0, 40, (40, 11))


# The field


def test_counts_weight_two_fields():
    field = ChoiceField(slope=0.1)
    first, second = GaussianField((5.0, 0.0)), GaussianField((-5.0, 0.0))
    difference = COUNTS[:, 9] - COUNTS[:, 10]
    weight = 1 / (1 + np.exp(-0.1 * difference))
    np.testing.assert_allclose(field.weight(COUNTS), weight, rtol=1e-14)
    expected = weight[:, None] * first(PLACES) + (1 - weight)[:, None] * second(PLACES)
    np.testing.assert_allclose(field(PLACES, COUNTS), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(field(PLACES), (first(PLACES) + second(PLACES)) / 2, rtol=1e-12)
    alone = [field(x[None], c[None])[0] for x, c in zip(PLACES, COUNTS, strict=True)]
    np.testing.assert_array_equal(field(PLACES, COUNTS), alone)
    assert takes_of(field) == ("counts",)
    assert target_of(field) is terms_of(field) is None


def test_groups_are_summed():
    field = ChoiceField(favouring=[0, 3], opposing=(2, -1, 5), slope=1e-3)
    difference = COUNTS[:, [0, 3]].sum(axis=1) - COUNTS[:, [2, 10, 5]].sum(axis=1)
    np.testing.assert_allclose(field.weight(COUNTS), 1 / (1 + np.exp(-1e-3 * difference)))


@pytest.mark.parametrize("slope", [1e6, -1e6])
def test_no_difference_is_too_large(slope):
    counts = np.zeros((2, 2), np.int64)
    counts[[0, 1], [0, 1]] = 10**6
    with np.errstate(all="raise"):
        weight = ChoiceField(slope=slope).weight(counts)
    np.testing.assert_allclose(weight, [slope > 0, slope < 0], atol=1e-300)


def test_the_bound_holds():
    field = ChoiceField(amplitude=-4.0, sigma=2.0)
    force = field(PLACES, COUNTS)
    assert (np.linalg.norm(force, axis=1) <= max_force(field, 10.0)).all()
    assert max_force(field, 10.0) == 4.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"favouring": []}, "favouring = .*give different whole numbers"),
        ({"favouring": [1, 1]}, r"favouring = \[1, 1\]"),
        ({"opposing": 3}, "opposing = 3: give different whole numbers, from -N to N - 1"),
        ({"opposing": [0.5]}, r"opposing = \[0.5\]"),
        ({"slope": float("inf")}, "slope = inf: give a finite number"),
        ({"sigma": 0}, "sigma = 0"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        make_field({"kind": "choice", **options})


def test_electrodes_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"opposing = \(11,\): there are 11 electrodes; give num"):
        BMIVectorEnv(
            2, cortex="dedicated", repetitions=2, field={"kind": "choice", "opposing": [11]}
        )
    with pytest.raises(ValueError, match=r"favouring = \(-10,\): there are 9 electrodes"):
        BMIVectorEnv(2, repetitions=2, field={"kind": "choice", "favouring": [-10]})


# The id


def test_forces_are_those_of_the_counts_that_info_tells():
    env = gymnasium.make_vec(ID, num_envs=6, repetitions=3)
    env.reset(seed=0)
    field, rng = ChoiceField(), np.random.default_rng(0)
    for _ in range(4):
        action = rng.random((6, 11)).astype(np.float32)
        info = env.step(action)[4]
        counts = info["evoked_counts"] + info["volitional_counts"]
        expected = field(info["virtual_point"], counts)
        np.testing.assert_array_equal(info["commanded_force"], expected)
    assert not env.unwrapped.episodes.compiled


def test_targets_are_the_two_centres():
    env = gymnasium.make_vec(ID, num_envs=200, repetitions=3)
    _, info = env.reset(seed=0)
    found, times = np.unique(info["target"], axis=0, return_counts=True)
    np.testing.assert_array_equal(found, [[-5, 0], [5, 0]])
    assert times.min() > 60


def test_scalar_and_vector_are_the_same():
    batch = BMIVectorEnv(3, **gymnasium.spec(ID).kwargs, repetitions=3)
    one = gymnasium.make(ID, repetitions=3)
    batch.reset(seed=[5, 6, 7])
    one.reset(seed=6)
    action = np.random.default_rng(0).random((3, 11)).astype(np.float32)
    for _ in range(5):
        seen, reward = batch.step(action)[:2]
        alone, own = one.step(action[1])[:2]
        np.testing.assert_array_equal(seen[1], alone)
        assert reward[1] == own
    other = gymnasium.make(EnvSpec.from_json(one.spec.to_json()))
    assert other.unwrapped.episodes.config == one.unwrapped.episodes.config


def test_choosing_reaches_what_no_volition_does_not():
    shares = {
        name: score(ID, name, 100, 0, observe="state")["success"].mean()
        for name in ("zero", CHOOSING)
    }
    assert shares["zero"] < 0.15
    assert shares[CHOOSING] > 0.6


def test_the_controller_favours_the_field_of_the_target():
    env = gymnasium.make_vec(ID, num_envs=40, repetitions=3)
    seen, info = env.reset(seed=0)
    action, _ = Choosing(env).predict(seen)
    right = info["target"][:, 0] > 0
    np.testing.assert_array_equal(action[:, 9], right)
    np.testing.assert_array_equal(action[:, 10], ~right)
    assert not action[:, :9].any()
    turned = gymnasium.make_vec(
        ID, num_envs=40, repetitions=3, field={"kind": "choice", "slope": -0.25}
    )
    seen, info = turned.reset(seed=0)
    action, _ = Choosing(turned).predict(seen)
    np.testing.assert_array_equal(action[:, 10], info["target"][:, 0] > 0)


def test_the_controller_needs_something_to_choose():
    env = BMIVectorEnv(1, repetitions=2)
    with pytest.raises(ValueError, match="the field GaussianField is none to choose from: make"):
        Choosing(env)


def test_the_filter_takes_the_counts_into_account():
    shares = score(ID, "filter", 12, 0)["success"]
    assert shares.mean() > 0.7
