"""Recurrent PPO of sb3-contrib on the native batch: one observation does not tell where one is."""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ndbmi-gym", "sb3-contrib==2.9.2", "stable-baselines3==2.9.2", "torch==2.13.0",
# ]
#
# [tool.ndbmi-gym]
# entry = "NativeVecEnv(make_vec(...))"
# autoreset = "SameStep"
# ///

import time

import gymnasium
import torch
from sb3_contrib import RecurrentPPO

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

torch.set_num_threads(1)
STEPS = 50_000
batch = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=64, autoreset_mode="SameStep")
model = RecurrentPPO(
    "MlpLstmPolicy",
    NativeVecEnv(batch),
    n_steps=32,
    batch_size=512,
    n_epochs=4,
    learning_rate=1e-3,
    gamma=0.95,
    policy_kwargs={"log_std_init": -1.0, "lstm_hidden_size": 32},
    seed=0,
    device="cpu",
)
begun = time.process_time()
model.learn(STEPS)
speed = model.num_timesteps / (time.process_time() - begun)

found = score("ndbmi/ShiftTarget-v1", model, trials=500)  # the memory goes with each trial
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
