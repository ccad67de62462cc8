"""
A hidden force that begins at trial 40
======================================

Switch a force on in the middle of a session: as a schedule, and by hand between trials.
"""

from typing import Any

import gymnasium
import numpy as np
from matplotlib import pyplot as plt

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.policies import make_policy

SWITCH, TRIALS, HIDDEN = 40, 80, {"push": (1.5, 0.0)}


def successes(switched_by_hand: bool, **options: Any) -> list[bool]:
    """Whether each trial arrives under the paper's command (Eq 24), which knows of no force."""
    env = gymnasium.make("ndbmi/ShiftTarget-v1", **options)
    policy, arrived = make_policy("eq24", env), []
    for trial in range(TRIALS):
        if switched_by_hand and trial == SWITCH:
            env.get_wrapper_attr("change")(**HIDDEN)
        observation, info = env.reset(seed=0 if trial == 0 else None)
        terminated = truncated = False
        while not (terminated or truncated):
            action, _ = policy.predict(observation)
            observation, _, terminated, truncated, info = env.step(action)
        arrived.append(bool(info["is_success"]))
    return arrived


# %%
# Both ways give the same trials up to the switch, and the same force after it.

blocks = {"kind": "blocks", "blocks": [{"trials": SWITCH}, HIDDEN]}
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, arrived in (
    ("blocks", successes(False, perturbation=blocks)),
    ("change", successes(True)),
):
    before, after = np.mean(arrived[:SWITCH]), np.mean(arrived[SWITCH:])
    print(f"{name}: success {before:.2f} before trial {SWITCH}, {after:.2f} from then on")
    of_ten = np.reshape(arrived, (-1, 10)).mean(1)
    ax.plot(np.arange(5, TRIALS, 10), of_ten, "o-", label=name)
ax.axvline(SWITCH, color="0.5", ls="--")
ax.set(xlabel="trial", ylabel="success, of ten trials", ylim=(0, 1))
ax.legend()
plt.show()
