"""The price of a deflected reach."""

import gymnasium
import numpy as np
import pytest

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.tasks import make_task
from ndbmi_gym.tasks.straight import Straight

ID = "ndbmi/Adaptation-v0"


def beside(info):
    """Distance from the line between centre and target, by a projection of its own."""
    along = info["target"] / np.linalg.norm(info["target"], axis=-1, keepdims=True)
    forth = (info["position"] * along).sum(axis=-1, keepdims=True) * along
    return np.linalg.norm(info["position"] - forth, axis=-1)


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.7])
def test_every_step_pays_for_its_distance_from_the_line(weight):
    env = gymnasium.make_vec(ID, num_envs=6, deviation_weight=weight, session_trials=3)
    plain = gymnasium.make_vec(ID, num_envs=6, task="shift", session_trials=3)
    rng, far = np.random.default_rng(0), []
    env.reset(seed=4)
    plain.reset(seed=4)
    for _ in range(70):
        action = rng.random(env.action_space.shape).astype(np.float32)
        _, reward, *_, info = env.step(action)
        _, other, *_, told = plain.step(action)
        np.testing.assert_array_equal(info["position"], told["position"])
        moving = info["trial_step"] > 0
        np.testing.assert_allclose(
            info["reward_penalty"], -weight * beside(info) * moving, atol=1e-12
        )
        np.testing.assert_allclose(reward, other + info["reward_penalty"], atol=1e-12)
        far += beside(info)[moving].tolist()
    assert max(far) > 1.0


def test_trials_start_anywhere():
    env = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=4, task="straight")
    _, begun = env.reset(seed=1)
    for _ in range(3):
        *_, info = env.step(env.action_space.sample() * 0.3)
        way, gone = (info[name] - begun["position"] for name in ("target", "position"))
        across = np.abs(way[:, 0] * gone[:, 1] - way[:, 1] * gone[:, 0])
        expected = -0.1 * across / np.linalg.norm(way, axis=1)
        np.testing.assert_allclose(info["reward_penalty"], expected, atol=1e-12)


def test_compiled_or_part_by_part_it_is_the_same():
    class Own(Straight):
        def assess(self, *given):
            return super().assess(*given)

    whole, parts = (
        BMIVectorEnv(3, max_episode_steps=25, task=task) for task in ("straight", Own())
    )
    assert whole.episodes.compiled
    assert not parts.episodes.compiled
    rng = np.random.default_rng(2)
    for env in (whole, parts):
        env.reset(seed=0)
    for _ in range(40):
        action = rng.random(whole.action_space.shape).astype(np.float32)
        np.testing.assert_array_equal(whole.step(action)[1], parts.step(action)[1])


def test_a_sparse_reward_has_no_price_and_a_negative_one_is_refused():
    env = gymnasium.make(ID, reward="sparse")
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[4]["reward_penalty"] == 0
    with pytest.raises(ValueError, match="deviation_weight = -1: give a finite number >= 0"):
        make_task({"kind": "straight", "deviation_weight": -1})
