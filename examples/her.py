"""
Learn from goals that were missed
=================================

Hold a target of half a centimetre, where the reward says no more than whether a step ended inside:
by chance hardly any does. Hindsight experience replay (HER) asks of every step what it would have
earned had the target been where the device came to be later, which SAC can learn from at once.
"""

from collections.abc import Iterator
from typing import Any

import gymnasium
import torch
from matplotlib import pyplot as plt
from stable_baselines3 import SAC, HerReplayBuffer

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

torch.set_num_threads(1)  # small networks gain nothing by more, and lose much on busy cores
ENV = "ndbmi/HoldTargetGoal-v0"
TASK: dict[str, Any] = {"reward": "sparse", "radius_cm": 0.5}


def held(policy: Any) -> float:
    """Share of the last 25 steps that a policy spends in the target, in 100 trials."""
    return float(score(ENV, policy, trials=100, **TASK)["score"].mean())


def learn(
    hindsight: bool, seed: int = 0, steps: int = 10_000, every: int = 2_500
) -> Iterator[tuple[int, float]]:
    """Train SAC: steps so far, and the share of them `held`, time and again."""
    agent = SAC(
        "MultiInputPolicy",
        NativeVecEnv(gymnasium.make_vec(ENV, num_envs=8, autoreset_mode="SameStep", **TASK)),
        learning_rate=1e-3,
        learning_starts=1000,
        batch_size=128,
        gamma=0.95,
        gradient_steps=4,  # for each of 8 steps, one in each trial
        policy_kwargs={"net_arch": [64, 64]},
        replay_buffer_class=HerReplayBuffer if hindsight else None,
        seed=10_000 * seed,  # the trials of a batch take successive seeds
    )
    while agent.num_timesteps < steps:
        agent.learn(every, reset_num_timesteps=False)
        yield agent.num_timesteps, held(agent)


# %%
# References first, from zero volition to look-ahead through a model of the loop.
# `docs/hindsight.py` repeats what follows with three seeds.

if __name__ == "__main__":
    for name in ("zero", "random", "eq24", "ceiling"):
        print(f"{name:>14}: {held(name):.3f}")
    figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
    for name, hindsight in (("SAC with HER", True), ("SAC", False)):
        curve = []
        for steps, share in learn(hindsight):
            print(f"{name:>14}: {share:.3f} after {steps:,} steps", flush=True)
            curve.append((steps, share))
        ax.plot(*zip(*curve, strict=True), "o-", label=name)
    ax.set(xlabel="steps of training", ylabel="share of steps inside", ylim=(0, 1))
    ax.legend()
    plt.show()
