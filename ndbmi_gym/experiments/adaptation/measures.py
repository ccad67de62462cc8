"""What is measured of a trial: how it was deflected, and what force was made against a channel.

All are signed by the animal's field: positive is where an unopposed field deflects to, and for
forces, what opposes it.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.experiments.bench.statistics import FloatArray

MEASURES = ("mpe", "deviation", "angle", "force", "compensation", "success", "steps")
"""Maximum perpendicular error, cm; lateral deviation at peak speed, cm; angle of the way that was
gone after 1.5 s, degrees; largest force against the channel, kg·cm/s²; that force in units of what
would compensate the field; whether the target was reached; steps of the trial."""

ANGLE_AT_S = 1.5


class Paths(NamedTuple):
    """Trials, in any arrangement (..., ) of them.

    Attributes
    ----------
    position, velocity : ndarray (..., K + 1, 2)
        At the beginning and at the ends of steps, cm and cm/s; NaN after a trial's end.
    pressed : ndarray (..., K + 1)
        Force against a channel, to the left positive, kg·cm/s².
    target : ndarray (..., 2)
        cm.
    """

    position: FloatArray
    velocity: FloatArray
    pressed: FloatArray
    target: FloatArray


def measured(
    paths: Paths, sign: FloatArray, curl: float, step_s: float
) -> dict[str, npt.NDArray[Any]]:
    """The measures of trials but for success, each (...,).

    Parameters
    ----------
    paths : Paths
    sign : ndarray (...,)
        Of the animal's field.
    curl : float
        Strength of the field that would be compensated, kg/s.
    step_s : float
        Duration of a step.
    """
    start = paths.position[..., :1, :]
    way = paths.target[..., None, :] - start
    along = way / np.sqrt((way**2).sum(axis=-1, keepdims=True))
    gone = paths.position - start
    aside, forth = (_across(along, gone) * sign[..., None], (along * gone).sum(axis=-1))
    speed = np.sqrt((paths.velocity**2).sum(axis=-1))
    towards = (along * paths.velocity).sum(axis=-1)
    opposed = -paths.pressed * sign[..., None]
    needed = curl * towards
    at = min(round(ANGLE_AT_S / step_s), aside.shape[-1] - 1)
    return {
        "mpe": _at(aside, np.abs(aside)),
        "deviation": _at(aside, speed),
        "angle": np.degrees(np.arctan2(aside[..., at], forth[..., at])),
        "force": _at(opposed, np.abs(opposed)),
        "compensation": np.nansum(opposed * needed, axis=-1)
        / np.maximum(np.nansum(needed**2, axis=-1), 1e-12),
        "steps": np.isfinite(aside).sum(axis=-1) - 1,
    }


def _across(along: FloatArray, vector: FloatArray) -> FloatArray:
    """Component to the left of a direction."""
    return np.asarray(along[..., 0] * vector[..., 1] - along[..., 1] * vector[..., 0])


def _at(values: FloatArray, size: FloatArray) -> FloatArray:
    """The values where something is largest along the last axis; NaN is smallest."""
    place = np.where(np.isnan(size), -1.0, size).argmax(axis=-1)
    return np.take_along_axis(values, place[..., None], axis=-1)[..., 0]
