"""A desired field of one's own, an animal's interface on file, and Eq 24 against no volition."""

import tempfile
from pathlib import Path

import numpy as np

from ndbmi_gym.config import Config
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.policies import make_policy


def corridor(position: np.ndarray) -> np.ndarray:
    """Strong attraction to the horizontal axis, a weak one along it: (..., 2) to (..., 2)."""
    return np.tanh(-position * np.array([0.15, 0.8])) * 3.0


with tempfile.TemporaryDirectory() as folder:
    path = Config(dataset=7).make_loop(0).interface.save(Path(folder) / "animal0.npz")
    env = BMIVectorEnv(256, task="hold", dataset=7, interface=str(path), field=corridor)
for name in ("zero", "eq24"):
    policy = make_policy(name, env)
    observation, info = env.reset(seed=1)
    inside = []
    for _step in range(50):
        action, state = policy.predict(observation)
        observation, reward, terminated, truncated, info = env.step(action)
        inside.append(info["inside"].mean())
    print(f"{name:5s} inside the target disc in the last 25 steps: {np.mean(inside[-25:]):.2f}")
