"""Where exploration should begin in a box from 0 to 1: PPO of SB3, three seeds each.

A Gaussian policy begins at a mean of 0, a corner of the box. With SB3's standard deviation of 1,
half of what it tries is clipped to 0, and a good part of the rest to 1.
"""

import gymnasium
import numpy as np
import torch
from gymnasium.wrappers.vector import RescaleAction
from stable_baselines3 import PPO

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

torch.set_num_threads(1)
STEPS = 100_000
ONES = np.ones(9, np.float32)


def train(log_std: float, rescaled: bool, seed: int) -> dict[str, np.ndarray]:
    """Score an agent whose actions are those of the box, or from -1 to 1."""
    env = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=64, autoreset_mode="SameStep")
    venv = NativeVecEnv(RescaleAction(env, -ONES, ONES) if rescaled else env)
    model = PPO(
        "MlpPolicy",
        venv,
        n_steps=32,
        batch_size=512,
        n_epochs=6,
        learning_rate=1e-3,
        gamma=0.95,
        policy_kwargs={"log_std_init": log_std},
        seed=seed,
        device="cpu",
    ).learn(STEPS)

    def act(seen: np.ndarray) -> np.ndarray:
        action, _ = model.predict(seen, deterministic=True)
        return (action + 1) / 2 if rescaled else action

    return score("ndbmi/ShiftTarget-v1", act, trials=1000)


for log_std, rescaled in ((0.0, False), (-1.0, False), (0.0, True), (-1.0, True)):
    # the trials of a batch take successive seeds, so trainings keep apart
    found = [train(log_std, rescaled, 10_000 * i) for i in range(3)]
    returns = ", ".join(f"{each['return'].mean():.2f}" for each in found)
    success = ", ".join(f"{each['success'].mean():.2f}" for each in found)
    where = "RescaleAction" if rescaled else "the box"
    print(f"log_std_init={log_std:4.1f}, {where:>13}: return {returns}; success {success}")
