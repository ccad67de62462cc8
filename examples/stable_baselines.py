"""
Train with Stable-Baselines3
============================

Train PPO on a single environment, and score the agent beside the references.

Takes a minute or two; the native vector environment is far faster
(:doc:`centre_out`, and ``agents/`` in the checkout).
"""

import gymnasium
from stable_baselines3 import PPO

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score

ENV = "ndbmi/ShiftTargetCurl-v0"

env = gymnasium.make(ENV)
agent = PPO("MlpPolicy", env, gamma=0.95, policy_kwargs={"log_std_init": -1}, seed=0)
agent.learn(50_000)
for name, policy in {"zero": "zero", "Eq 24": "eq24", "agent": agent, "ceiling": "ceiling"}.items():
    found = score(ENV, policy, trials=1000)
    print(
        f"{name:>8}: success {found['success'].mean():.2f}, {found['steps'].mean():.1f} steps, "
        f"return {found['return'].mean():.1f}"
    )
