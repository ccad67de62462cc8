"""
A task of one's own
===================

Let a trial fail where the device enters a disc around the centre.
"""

from dataclasses import dataclass

import gymnasium
import numpy as np
from matplotlib import pyplot as plt

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.checks import number
from ndbmi_gym.plants import Device
from ndbmi_gym.policies import make_policy
from ndbmi_gym.tasks import FloatArray, Judged, Outcome
from ndbmi_gym.tasks.reach import Reach

# %%
# A task inherits from ``Reach`` and overrides what differs, here the judgement of a step. Its
# option is declared once, with a default, a unit and a bound, and becomes a keyword argument.


@dataclass(frozen=True)
class KeepOut(Reach):
    """Reach the target without a step that ends in a disc around the centre."""

    keep_out_cm: float = number(1.0, "radius of the disc", "cm", above=0)

    def assess(
        self,
        before: Device,
        after: Device,
        target: FloatArray,
        action: FloatArray,
        last: Outcome,
        half_side_cm: float,
    ) -> Outcome:
        """Judge a step, which ends the trial if it ends in the disc."""
        outcome = super().assess(before, after, target, action, last, half_side_cm)
        failed = np.hypot(*after.position.T) < self.keep_out_cm
        outcome.values[failed, Judged.FAILED] = 1
        return outcome


# %%
# The paper's command knows nothing of the disc: it leads 200 trials at a time, straight on.

figure, axes = plt.subplots(1, 3, figsize=(11, 4), sharey=True, layout="constrained")
for radius, ax in zip((0.1, 1.0, 2.0), axes, strict=True):
    env = gymnasium.make_vec(
        "ndbmi/ShiftTarget-v1", num_envs=200, task=f"{__name__}:KeepOut", keep_out_cm=radius
    )
    policy = make_policy("eq24", env)
    observation, info = env.reset(seed=0)
    ends, places = [], []
    for _ in range(60):
        observation, _, terminated, truncated, info = env.step(policy.predict(observation)[0])
        over = terminated | truncated
        ends += np.stack((info["is_success"], info["failed"]), 1)[over].tolist()
        places += info["position"][over].tolist()
    arrived, failed = np.mean(ends, axis=0)
    print(f"disc of {radius:.1f} cm: {arrived:.2f} of the trials arrive, {failed:.2f} fail")
    ax.scatter(*np.transpose(places), s=4, c=[("#9aa5b1", "#c44536")[int(end[1])] for end in ends])
    ax.set(title=f"where trials end, disc of {radius} cm", xlabel="x (cm)")
    ax.set(xlim=(-8, 8), ylim=(-8, 8), aspect="equal")
axes[0].set_ylabel("y (cm)")
plt.show()
