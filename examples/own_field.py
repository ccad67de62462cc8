"""A desired field of one's own, an animal's interface on file, and Eq 24 against no volition."""

import tempfile
from pathlib import Path

import gymnasium
import numpy as np
import numpy.typing as npt

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.config import Config
from ndbmi_gym.policies import make_policy


def corridor(position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Strong attraction to the horizontal axis, a weak one along it: (..., 2) to (..., 2)."""
    return np.tanh(-position * np.array([0.15, 0.8])) * 3.0


with tempfile.TemporaryDirectory() as folder:
    path = Config.of(dataset=7).make_loop(0).interface.save(Path(folder) / "animal0.npz")
    env = gymnasium.make_vec(
        "ndbmi/HoldTarget-v0",
        num_envs=256,
        dataset=7,
        interface=str(path),
        field=f"{__name__}:corridor",  # on the command line own_field:corridor, in any process
    )
for name in ("zero", "eq24"):
    policy = make_policy(name, env)
    observation, info = env.reset(seed=1)
    inside = []
    for _ in range(50):
        action, _ = policy.predict(observation)
        observation, _, _, _, info = env.step(action)
        inside.append(info["inside"].mean())
    print(f"{name:5s} inside the target disc in the last 25 steps: {np.mean(inside[-25:]):.2f}")
