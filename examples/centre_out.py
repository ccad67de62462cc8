"""
Train on a batch: eight targets around the centre
=================================================

Train PPO on 128 trials side by side, for half a minute.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from torch import nn

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.sb3 import NativeVecEnv

OPTIONS: Mapping[str, Any] = {
    "targets": {"centre_out": 8, "radius_cm": 5},  # they survive each autoreset
    "starts": "centre",
    "observe": "full",
}

batch = gymnasium.make_vec(
    "ndbmi/ShiftTarget-v1", num_envs=128, autoreset_mode="SameStep", **OPTIONS
)
venv = NativeVecEnv(batch)
model = PPO(
    "MlpPolicy",
    venv,
    n_steps=32,
    batch_size=1024,
    n_epochs=6,
    learning_rate=1e-3,
    gamma=0.95,
    policy_kwargs={"activation_fn": nn.Tanh, "log_std_init": -1.0},
    seed=0,
    device="cpu",
)
for steps in (0, 50_000, 100_000):
    model.learn(steps - model.num_timesteps, reset_num_timesteps=False)
    played: Any = evaluate_policy(model, venv, 256, return_episode_rewards=True)
    returns, lengths = np.array(played)
    print(
        f"{model.num_timesteps:7,} steps: return {returns.mean():6.2f}, "
        f"{(lengths < 25).mean():.2f} of the trials arrive before the last step"
    )
