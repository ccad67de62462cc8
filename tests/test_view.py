"""What an environment hands to the drawing: its id, its size, its obstacle, its trials."""

import copy
import json

import gymnasium
import numpy as np
import pytest

import ndbmi_gym  # noqa: F401
from ndbmi_gym.envs import view
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.fields import DipoleField, GaussianField, SumField, obstacles_of

pytest.importorskip("matplotlib")

FIXED = "ndbmi/FixedField-v1"


def scene_of(env, monkeypatch):
    """What stays in the pictures of an environment."""
    scenes, made = [], view.Renderer

    def keep(scene, size):
        scenes.append(scene)
        return made(scene, size)

    monkeypatch.setattr(view, "Renderer", keep)
    env.reset(seed=0)
    env.render()
    return scenes[0]


def test_the_title_is_the_id_or_the_class_where_there_is_none(monkeypatch):
    for make in (gymnasium.make, gymnasium.make_vec):
        env = make(FIXED, render_mode="rgb_array")
        assert scene_of(env, monkeypatch).title == FIXED
    for own in (BMIEnv, BMIVectorEnv):
        assert scene_of(own(render_mode="rgb_array"), monkeypatch).title == own.__name__


@pytest.mark.parametrize(
    ("field", "obstacles"),
    [
        ("gaussian", ()),
        ("dipole", (((4.0, 0.0), 2.0),)),
        ({"kind": "divergent", "obstacle": (0, 5), "sigma": 1}, (((0.0, 5.0), 1.0),)),
        ({"kind": "divergent", "amplitude": 0}, ()),
        ("tests.test_view:OWN", (((1.0, 2.0), 3.0),)),
    ],
)
def test_obstacles_of_the_field_are_shown(monkeypatch, field, obstacles):
    env = gymnasium.make(FIXED, render_mode="rgb_array", field=field)
    assert scene_of(env, monkeypatch).obstacles == obstacles


class Own:
    """A field with an obstacle of its own."""

    target = (0.0, 0.0)
    obstacles = (((1.0, 2.0), 3.0),)

    def __call__(self, position):
        return -0.3 * position


OWN = Own()


def test_a_sum_has_the_obstacles_of_what_it_adds():
    hill = GaussianField((3.0, 1.0), -1.0, 2.0)
    parts = (GaussianField(), hill, DipoleField())
    assert obstacles_of(SumField(parts)) == (((3.0, 1.0), 2.0), ((4.0, 0.0), 2.0))
    assert obstacles_of(SumField(parts, (1.0, -1.0, 0.0))) == ()
    assert obstacles_of(np.zeros_like) == ()


@pytest.mark.parametrize("size", [(600, 400), np.array([128, 64]), [np.int64(300), 300]])
def test_render_size_is_the_size_of_pictures(size):
    env = gymnasium.make(FIXED, render_mode="rgb_array", render_size=size)
    env.reset(seed=0)
    assert env.render().shape == (size[1], size[0], 3)
    batch = gymnasium.make_vec(FIXED, num_envs=2, render_mode="rgb_array", render_size=size)
    batch.reset(seed=0)
    assert [each.shape for each in batch.render()] == 2 * [(size[1], size[0], 3)]
    for made in (env, batch):
        assert json.loads(made.spec.to_json())["kwargs"]["render_size"] == [*map(int, size)]


@pytest.mark.parametrize(
    "size", [(63, 64), (64, 65), (4098, 64), (600,), (64.0, 64), (True, 64), "ab", 600, None]
)
@pytest.mark.parametrize("make", [BMIEnv, BMIVectorEnv])
def test_a_size_that_cannot_be_is_refused(make, size):
    rule = r"give width and height, two even whole numbers from 64 to 4096 px$"
    with pytest.raises(ValueError, match=rf"^render_size = .*: {rule}"):
        make(render_size=size)


def test_a_picture_depends_on_the_trial_alone():
    def trial(before):
        env = gymnasium.make("ndbmi/ShiftTarget-v1", render_mode="rgb_array")
        for seed in before:
            env.reset(seed=seed)
            env.step(env.action_space.high)
            env.render()
        env.reset(seed=5)
        env.step(env.action_space.high / 2)
        return env

    fresh, used = trial([]), trial([1, 2, 3])
    np.testing.assert_array_equal(used.render(), fresh.render())
    np.testing.assert_array_equal(copy.deepcopy(used).render(), fresh.render())
    batch = BMIVectorEnv(2, render_mode="rgb_array")
    batch.reset(seed=5)
    first, second = batch.render()
    assert (first != second).any()
    np.testing.assert_array_equal(batch.picture(1), second)


def test_few_renderers_are_kept_those_used_last(monkeypatch):
    made, make = [], view.View._make

    def count(self, animal, *rest):
        made.append(animal)
        return make(self, animal, *rest)

    monkeypatch.setattr(view.View, "_make", count)
    env = gymnasium.make(FIXED, render_mode="rgb_array", animal=None, n_animals=10)
    for animal in (*range(8), 0, 8, 0, 9, 0, 1):
        env.reset(seed=0, options={"animal": animal})
        env.render()
    assert made == [*range(8), 8, 9, 1]
    assert len(env.unwrapped._view._renderers) == 8
