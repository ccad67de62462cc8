"""
A session: learning a hidden force, and the after-effect
========================================================

Forty reaches in one episode. A curl field comes, is left out in two trials without notice, and
goes. Three controllers play the session side by side: one that knows of no field, one that learns
from trial to trial, and one that is told.
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.policies import make_policy

BLOCKS: list[dict[str, Any]] = [
    {"name": "baseline", "trials": 8},
    {"name": "adaptation", "trials": 24, "curl": 1.5, "catch": [15, 20]},
    {"name": "washout", "trials": 8},
]
SESSIONS, TRIALS = 20, sum(block["trials"] for block in BLOCKS)


def errors(policy: str) -> npt.NDArray[np.float64]:
    """Largest deviation from the straight line in every trial, leftwards positive, cm."""
    env = gymnasium.make_vec(
        "ndbmi/Adaptation-v0",
        num_envs=SESSIONS,
        observe="state",
        session_trials=TRIALS,
        perturbation={"kind": "blocks", "blocks": BLOCKS},
    )
    actor, state = make_policy(policy, env), None
    observation, info = env.reset(seed=0)
    begun, running = np.ones((2, SESSIONS), bool)
    found = np.zeros((SESSIONS, TRIALS))
    while running.any():
        action, state = actor.predict(observation, state, begun)
        begun = np.zeros(SESSIONS, bool)
        observation, _, ended, _, info = env.step(action)
        along = info["target"] / np.linalg.norm(info["target"], axis=1, keepdims=True)
        beside = along[:, 0] * info["position"][:, 1] - along[:, 1] * info["position"][:, 0]
        where = np.flatnonzero(running), info["trial"][running]
        larger = np.abs(beside[running]) > np.abs(found[where])
        found[where] = np.where(larger, beside[running], found[where])
        running &= ~ended
    return found


# %%
# Blocks are shaded. In the catch trials (dots) and when the field has gone, who has learned swerves
# to the other side.

first, last = BLOCKS[0]["trials"], BLOCKS[0]["trials"] + BLOCKS[1]["trials"]
caught = first + np.array(BLOCKS[1]["catch"])
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name in ("ignorant", "trial_by_trial", "knowing"):
    mean = errors(name).mean(axis=0)
    plain = np.delete(np.arange(TRIALS), caught)
    (line,) = ax.plot(plain, mean[plain], label=name.replace("_", " "))
    ax.plot(caught, mean[caught], "o", color=line.get_color())
    learned, after = mean[last - 3 : last].mean(), mean[[*caught, last]].mean()
    print(f"{name}: {mean[first]:.2f} cm at first, {learned:.2f} at last, {after:.2f} without")
ax.axvspan(first - 0.5, last - 0.5, color="0.92", zorder=0)
ax.axhline(0, color="0.5", lw=0.8)
ax.set(xlabel="trial", ylabel="largest deviation, cm")
ax.legend(frameon=False)
plt.show()
