"""Every wrapper that Gymnasium has: around every id, those of pictures around two.

A wrapper that is in neither table fails here, so that new ones are noticed.
"""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import wrappers
from gymnasium.vector import SyncVectorEnv

import ndbmi_gym

IDS = [f"ndbmi/{name}" for name in ndbmi_gym._IDS]  # for goal environments see test_goal.py
LIMIT = 4
pytestmark = pytest.mark.filterwarnings(  # of Gymnasium's own, whenever a Box is widened
    "ignore:overflow encountered in cast:RuntimeWarning"
)
vector = wrappers.vector


def turned(space):
    """Bounds of a space, and 2 minus what is in it."""
    return gymnasium.spaces.Box(2 - space.high, 2 - space.low, dtype=space.dtype)


def half(action):
    return action / 2


def image(env):
    return wrappers.AddRenderObservation(env)


def both(env):
    return wrappers.AddRenderObservation(env, render_only=False)


SCALAR = {
    "AddRenderObservation": image,
    "AddWhiteNoise": lambda env: wrappers.AddWhiteNoise(env, 0.1),
    "ArrayConversion": lambda env: wrappers.ArrayConversion(env, np, torch),
    "Autoreset": wrappers.Autoreset,
    "ClipAction": wrappers.ClipAction,
    "ClipReward": lambda env: wrappers.ClipReward(env, -1, 1),
    "DelayObservation": lambda env: wrappers.DelayObservation(env, 2),
    "DiscretizeAction": lambda env: wrappers.DiscretizeAction(env, 3, multidiscrete=True),
    "DiscretizeObservation": lambda env: wrappers.DiscretizeObservation(env, 5, multidiscrete=True),
    "DtypeObservation": lambda env: wrappers.DtypeObservation(env, np.float64),
    "FilterObservation": lambda env: wrappers.FilterObservation(both(env), ["state"]),
    "FlattenObservation": wrappers.FlattenObservation,
    "FrameStackObservation": lambda env: wrappers.FrameStackObservation(env, 3),
    "GrayscaleObservation": lambda env: wrappers.GrayscaleObservation(image(env)),
    "HumanRendering": wrappers.HumanRendering,
    "MaxAndSkipObservation": lambda env: wrappers.MaxAndSkipObservation(env, 2),
    "NormalizeObservation": wrappers.NormalizeObservation,
    "NormalizeReward": wrappers.NormalizeReward,
    "NumpyToTorch": wrappers.NumpyToTorch,
    "ObstructView": lambda env: wrappers.ObstructView(env, 0.1, 3),
    "OrderEnforcing": wrappers.OrderEnforcing,
    "PassiveEnvChecker": wrappers.PassiveEnvChecker,
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "RecordVideo": lambda env: wrappers.RecordVideo(env, "film", lambda trial: True),
    "RenderCollection": wrappers.RenderCollection,
    "RepeatAction": lambda env: wrappers.RepeatAction(env, 2),
    "RescaleAction": lambda env: wrappers.RescaleAction(env, -1, 1),
    "RescaleObservation": lambda env: wrappers.RescaleObservation(env, 0, 1),
    "ReshapeObservation": lambda env: wrappers.ReshapeObservation(
        env, (1, *env.observation_space.shape)
    ),
    "ResizeObservation": lambda env: wrappers.ResizeObservation(image(env), (30, 20)),
    "StickyAction": lambda env: wrappers.StickyAction(env, 0.25),
    "TimeAwareObservation": wrappers.TimeAwareObservation,
    "TimeLimit": lambda env: wrappers.TimeLimit(env, 3),
    "TransformAction": lambda env: wrappers.TransformAction(env, half, env.action_space),
    "TransformObservation": lambda env: wrappers.TransformObservation(
        env, lambda seen: 2 - seen, turned(env.observation_space)
    ),
    "TransformReward": lambda env: wrappers.TransformReward(env, lambda reward: 2 * reward),
}
"""How each wrapper is put around an environment."""

VECTOR = {
    "ArrayConversion": lambda env: vector.ArrayConversion(env, np, torch),
    "ClipAction": vector.ClipAction,
    "ClipReward": lambda env: vector.ClipReward(env, -1, 1),
    "DictInfoToList": vector.DictInfoToList,
    "DtypeObservation": lambda env: vector.DtypeObservation(env, np.float64),
    "FlattenObservation": vector.FlattenObservation,
    "HumanRendering": vector.HumanRendering,
    "NormalizeObservation": vector.NormalizeObservation,
    "NormalizeReward": vector.NormalizeReward,
    "NumpyToTorch": vector.NumpyToTorch,
    "RecordEpisodeStatistics": vector.RecordEpisodeStatistics,
    "RecordVideo": lambda env: vector.RecordVideo(env, "film", episode_trigger=lambda trial: True),
    "RescaleAction": lambda env: vector.RescaleAction(env, -1, 1),
    "RescaleObservation": lambda env: vector.RescaleObservation(env, 0, 1),
    "ReshapeObservation": lambda env: vector.ReshapeObservation(
        env, (1, *env.single_observation_space.shape)
    ),
    "TransformAction": lambda env: vector.TransformAction(env, half, env.action_space),
    "TransformObservation": lambda env: vector.TransformObservation(
        env,
        lambda seen: 2 - seen,
        turned(env.observation_space),
        turned(env.single_observation_space),
    ),
    "TransformReward": lambda env: vector.TransformReward(env, lambda reward: 2 * reward),
    "VectorizeTransformAction": lambda env: vector.VectorizeTransformAction(
        env, wrappers.RescaleAction, min_action=-1, max_action=1
    ),
    "VectorizeTransformObservation": lambda env: vector.VectorizeTransformObservation(
        env, wrappers.RescaleObservation, min_obs=0, max_obs=1
    ),
    "VectorizeTransformReward": lambda env: vector.VectorizeTransformReward(
        env, wrappers.ClipReward, min_reward=-1, max_reward=1
    ),
}
"""How each wrapper is put around a vector environment."""

ELSEWHERE = {
    "AtariPreprocessing": "Atari games",
    "FilterObservation": "observations that are dictionaries (vector)",
    "GrayscaleObservation": "observations that are images (vector)",
    "JaxToNumpy": "environments that compute in JAX",
    "JaxToTorch": "environments that compute in JAX",
    "ResizeObservation": "observations that are images (vector)",
    "vector": "is the module of the vector wrappers",
}
"""Wrappers of what our environments are not."""

DRAWN = {
    "AddRenderObservation",
    "FilterObservation",
    "GrayscaleObservation",
    "HumanRendering",
    "RecordVideo",
    "RenderCollection",
    "ResizeObservation",
}
"""Wrappers of pictures, which are slow: what is in them is the business of test_rendering.py."""

DRAWN_IDS = ["ndbmi/AvoidObstacle-v0", "ndbmi/Adaptation-v0"]
"""Of trials by themselves, and of sessions."""

ALIKE = sorted((SCALAR.keys() & VECTOR.keys()) - {"HumanRendering", "RecordVideo"})
ALIKE = [name for name in ALIKE if not name.startswith("Normalize")]  # of the batch's statistics


def play(env, steps=2 * LIMIT):
    """Reset and step; whatever comes out lies in the spaces, and trials end."""
    env.action_space.seed(0)
    seen, _ = env.reset(seed=3)
    ends = 0
    for _ in range(steps):
        assert inside(env, seen)
        seen, _, terminated, truncated, _ = env.step(given(env))
        ended = bool(np.any(np.asarray(terminated) | np.asarray(truncated)))
        ends += ended
        assert inside(env, seen)
        if ended and not hasattr(env, "num_envs"):
            seen, _ = env.reset()
    assert ends


def inside(env, seen):
    if isinstance(seen, torch.Tensor):
        seen = seen.numpy()
    return env.observation_space.contains(seen)


def given(env):
    """An action, of the kind that the outermost wrapper wants."""
    action = env.action_space.sample()
    torches = (wrappers.ArrayConversion, wrappers.NumpyToTorch, vector.ArrayConversion)
    return torch.as_tensor(action) if isinstance(env, (*torches, vector.NumpyToTorch)) else action


def test_every_wrapper_is_tried():
    assert SCALAR.keys() | ELSEWHERE.keys() >= set(wrappers.__all__)
    assert VECTOR.keys() | ELSEWHERE.keys() >= set(vector.__all__)
    assert SCALAR.keys() <= set(wrappers.__all__)
    assert SCALAR.keys() | VECTOR.keys() >= DRAWN
    assert VECTOR.keys() <= set(vector.__all__)


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    """No window, and a folder for films."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.chdir(tmp_path)


def short(env_id):
    """Options with which episodes are soon over, sessions too."""
    session = {"session_trials": 1, "trial_steps": LIMIT} if "Adaptation" in env_id else {}
    return {"max_episode_steps": LIMIT} | session


def pairs(family):
    """Ids with the wrappers of a family that are tried on them."""
    return [(i, name) for i in IDS for name in family if i in DRAWN_IDS or name not in DRAWN]


@pytest.mark.parametrize(("env_id", "name"), pairs(SCALAR))
def test_scalar(env_id, name, quiet):
    env = gymnasium.make(env_id, render_mode="rgb_array", **short(env_id))
    wrapped = SCALAR[name](env)
    assert isinstance(wrapped, getattr(wrappers, name))
    play(wrapped)
    wrapped.close()


@pytest.mark.parametrize(("env_id", "name"), pairs(VECTOR))
def test_vector(env_id, name, quiet):
    env = gymnasium.make_vec(env_id, num_envs=2, render_mode="rgb_array", **short(env_id))
    wrapped = VECTOR[name](env)
    assert isinstance(wrapped, getattr(vector, name))
    play(wrapped)
    wrapped.close()


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("env_id", IDS)
def test_both_families_do_the_same(env_id, name):
    options = short(env_id)
    one = VECTOR[name](gymnasium.make_vec(env_id, num_envs=1, **options))
    other = SyncVectorEnv([lambda: SCALAR[name](gymnasium.make(env_id, **options))])
    assert one.single_observation_space == other.single_observation_space
    assert one.single_action_space == other.single_action_space
    one.action_space.seed(0)
    np.testing.assert_array_equal(one.reset(seed=7)[0], other.reset(seed=7)[0])
    for _ in range(LIMIT):  # the trial after it is drawn from another stream
        action = given(one)
        for mine, theirs in zip(one.step(action)[:4], other.step(action)[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
