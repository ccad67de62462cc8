"""PPO of Stable-Baselines3 on the native batch, through the adapter of this package."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "stable-baselines3==2.9.2", "torch==2.13.0"]
#
# [tool.ndbmi-gym]
# entry = "NativeVecEnv(make_vec(...))"
# autoreset = "SameStep"
# ///

import time

import gymnasium
import torch
from stable_baselines3 import PPO

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

torch.set_num_threads(1)
STEPS = 100_000
batch = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=64, autoreset_mode="SameStep")
model = PPO(
    "MlpPolicy",
    NativeVecEnv(batch),
    n_steps=32,
    batch_size=512,
    n_epochs=6,
    learning_rate=1e-3,
    gamma=0.95,
    policy_kwargs={"log_std_init": -1.0},
    seed=0,
    device="cpu",
)
begun = time.process_time()
model.learn(STEPS)
speed = model.num_timesteps / (time.process_time() - begun)

found = score("ndbmi/ShiftTarget-v1", model, trials=500)
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
