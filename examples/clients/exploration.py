"""Where exploration should begin in a box from 0 to 1: PPO of SB3, three seeds each.

A Gaussian policy begins at a mean of 0, a corner of the box. With SB3's standard deviation of 1,
half of what it tries is clipped to 0, and a good part of the rest to 1. Writes
docs/clients/exploration.csv, of which the page on Stable-Baselines3 has its table.
"""

import csv
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymnasium.wrappers.vector import RescaleAction
from stable_baselines3 import PPO

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

torch.set_num_threads(1)
TABLE = Path(__file__).parents[2] / "docs" / "clients" / "exploration.csv"
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


rows = []
for log_std, rescaled in ((0.0, False), (-1.0, False), (0.0, True), (-1.0, True)):
    for seed in (0, 10_000, 20_000):  # the trials of a batch take successive seeds
        found = train(log_std, rescaled, seed)
        row = {"log_std_init": f"{log_std:g}", "rescaled": int(rescaled), "seed": seed}
        row |= {name: f"{found[name].mean():.4g}" for name in ("return", "success")}
        print(row, flush=True)
        rows.append(row)
with TABLE.open("w", encoding="utf-8", newline="") as file:
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
