"""PPO of SBX (Stable-Baselines3 in JAX) on the native batch, through the adapter for SB3."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "sbx-rl==0.28.0", "torch==2.13.0"]
#
# [tool.ndbmi-gym]
# entry = "NativeVecEnv(make_vec(...))"
# autoreset = "SameStep"
# ///

import time

import gymnasium
from sbx import PPO

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

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
)
begun = time.process_time()
model.learn(STEPS)
speed = model.num_timesteps / (time.process_time() - begun)  # with compilation

found = score("ndbmi/ShiftTarget-v1", model, trials=500)
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
