"""
Train with Stable-Baselines3
============================

Train PPO on 256 trials side by side, a million steps in some minutes, and score the agent
beside the references: with three training seeds.

Give another id to train there: ``python examples/stable_baselines.py ndbmi/ShiftTargetCurl-v1``.
"""

import sys
import time
from typing import Any

import gymnasium
import torch
from stable_baselines3 import PPO

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

torch.set_num_threads(1)  # small networks gain nothing by more, and lose much on busy cores
ENV = sys.argv[1] if len(sys.argv) > 1 else "ndbmi/ShiftTarget-v1"


def tell(name: str, policy: Any) -> None:
    """Print what a policy reaches in 1,000 trials."""
    found = score(ENV, policy, trials=1000)
    print(
        f"{name:>14}: success {found['success'].mean():.3f}, {found['steps'].mean():.1f} steps, "
        f"return {found['return'].mean():.1f}",
        flush=True,
    )


for name in ("zero", "eq24", "filter", "ceiling"):
    tell(name, name)
for seed in (0, 10_000, 20_000):  # the trials of a batch take successive seeds
    began = time.monotonic()
    env = gymnasium.make_vec(ENV, num_envs=256, autoreset_mode="SameStep")
    agent = PPO(
        "MlpPolicy",
        NativeVecEnv(env),
        n_steps=32,
        batch_size=1024,
        gamma=0.95,
        learning_rate=1e-3,
        policy_kwargs={"log_std_init": -1},
        seed=seed,
    ).learn(1_000_000)
    tell(f"PPO, {time.monotonic() - began:.0f} s", agent)
