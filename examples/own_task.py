"""A task of one's own: a trial fails where the device enters a disc around the centre."""

from dataclasses import dataclass

import gymnasium
import numpy as np

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.checks import number
from ndbmi_gym.plants import Device
from ndbmi_gym.policies import make_policy
from ndbmi_gym.tasks import FloatArray, Judged, Outcome, Reach


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
        streak: FloatArray,
        half_side_cm: float,
    ) -> Outcome:
        """Judge a step, which ends the trial if it ends in the disc."""
        outcome = super().assess(before, after, target, action, streak, half_side_cm)
        failed = np.hypot(*after.position.T) < self.keep_out_cm
        outcome.values[failed, Judged.FAILED] = 1
        return outcome


for radius in (0.1, 1.0, 2.0):
    env = gymnasium.make_vec(
        "ndbmi/ShiftTarget-v0", num_envs=200, task=f"{__name__}:KeepOut", keep_out_cm=radius
    )
    policy = make_policy("eq24", env)
    observation, info = env.reset(seed=0)
    ends = []
    for _ in range(60):
        observation, _, terminated, truncated, info = env.step(policy.predict(observation)[0])
        ends += np.stack((info["is_success"], info["failed"]), 1)[terminated | truncated].tolist()
    arrived, failed = np.mean(ends, axis=0)
    print(f"disc of {radius:.1f} cm: {arrived:.2f} of the trials arrive, {failed:.2f} fail")
