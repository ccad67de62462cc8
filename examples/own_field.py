"""
A field of one's own
====================

Make the interface pull the device into a corridor, and test the paper's command there.
"""

import tempfile
from pathlib import Path

import gymnasium
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.patches import Circle

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.config import Config
from ndbmi_gym.policies import make_policy

# %%
# A field is a function of positions. It is named as ``"module:attribute"``, so that it is found
# again in worker processes and on the command line (``own_field:corridor``).


def corridor(position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Strong attraction to the horizontal axis, a weak one along it: (..., 2) to (..., 2)."""
    return np.tanh(-position * np.array([0.15, 0.8])) * 3.0


# %%
# An animal's calibrated interface can be kept on file, and serve in any field.

with tempfile.TemporaryDirectory() as folder:
    path = Config.of(dataset=7).make_loop(0).interface.save(Path(folder) / "animal0.npz")
    env = gymnasium.make_vec(
        "ndbmi/HoldTarget-v1",
        num_envs=256,
        dataset=7,
        interface=str(path),
        field=f"{__name__}:corridor",
    )

# %%
# Without volition the device ends in the middle of the corridor. Eq 24 holds many targets.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), sharey=True, layout="constrained")
for name, ax in zip(("zero", "eq24"), axes, strict=True):
    policy = make_policy(name, env)
    observation, info = env.reset(seed=1)
    inside, path_cm = [], [info["position"]]
    for _ in range(49):
        action, _ = policy.predict(observation)
        observation, _, _, _, info = env.step(action)
        inside.append(info["inside"].mean())
        path_cm.append(info["position"])
    print(f"{name:5s} inside the target disc in the last 25 steps: {np.mean(inside[-25:]):.2f}")
    for each, target in zip(np.swapaxes(path_cm, 0, 1)[:8], info["target"], strict=False):
        (line,) = ax.plot(*each.T, lw=1)
        ax.add_patch(Circle(target, 1.5, fill=False, color=line.get_color(), lw=1, ls="--"))
    ax.set(title=f"{name}: paths and targets", xlabel="x (cm)", aspect="equal")
axes[0].set_ylabel("y (cm)")
plt.show()
