"""Ways round obstacles: where to steer when the straight way is blocked, and what nearness costs.

Both are pure functions on positions; `ndbmi_gym.policies.LookAhead` asks them where a task names
obstacles and it is told to go round them.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ndbmi_gym.fields import Obstacles

FloatArray = npt.NDArray[np.float64]

WIDE_CM, NEAR_CM = 1.1, 0.8
"""Distances from an obstacle's edge: of the tangent that is steered along, and below which a way
is blocked and a place costs something."""

_LEAST_CM = 3.0  # how far along the tangent to aim at least: from nearer, it would be no direction
_STEEPNESS = 40.0  # cost of the squared intrusion, in squared distances from the target


def detour(position: FloatArray, target: FloatArray, obstacles: Obstacles) -> FloatArray:
    """Where to steer from positions (B, 2) on the way to targets (B, 2), (B, 2), cm.

    The target itself, unless the straight way to it passes an obstacle by less than `NEAR_CM`; then
    a point ahead on the tangent to the circle `WIDE_CM` around the obstacle, on the target's side
    of it. From within that circle the way goes along it. Of several obstacles in the way the
    nearest counts.

    Parameters
    ----------
    position, target : ndarray (B, 2)
        cm.
    obstacles : sequence of ((float, float), float)
        Centres and radii, cm.
    """
    aim = np.array(target, dtype=float)
    nearest = np.full(len(aim), np.inf)
    for centre, radius in obstacles:
        to_centre, way = np.asarray(centre) - position, target - position
        distance = np.maximum(np.hypot(*to_centre.T), 1e-9)
        blocked = passing(position, target, centre) < radius + NEAR_CM
        sine = np.minimum((radius + WIDE_CM) / distance, 1.0)
        left = _cross(to_centre, way) >= 0
        turn = np.where(left, sine, -sine)[:, None]
        ahead = to_centre / distance[:, None]
        aside = np.column_stack((-ahead[:, 1], ahead[:, 0]))
        along = np.sqrt(1 - sine**2)[:, None] * ahead + turn * aside
        length = np.sqrt(np.maximum(distance**2 - (radius + WIDE_CM) ** 2, 0.0))
        chosen = blocked & (distance < nearest)
        nearest[chosen] = distance[chosen]
        reach = np.maximum(length, _LEAST_CM)[:, None]
        aim[chosen] = (position + reach * along)[chosen]
    return aim


def intrusion(place: FloatArray, obstacles: Obstacles) -> FloatArray:
    """Cost of places (..., 2) nearer than `NEAR_CM` to obstacles, in cm² of a miss, (...)."""
    cost = np.zeros(place.shape[:-1])
    for (x, y), radius in obstacles:
        distance = np.hypot(place[..., 0] - x, place[..., 1] - y)
        cost += _STEEPNESS * np.maximum(radius + NEAR_CM - distance, 0.0) ** 2
    return cost


def passing(start: FloatArray, end: FloatArray, centre: Sequence[float]) -> FloatArray:
    """Least distance of straight ways from starts to ends (B, 2) from a point, (B,), cm."""
    way, to_centre = end - start, np.asarray(centre) - start
    squared = (way**2).sum(axis=-1)
    share = (way * to_centre).sum(axis=-1) / np.where(squared > 0, squared, 1.0)
    nearest = start + np.clip(share, 0.0, 1.0)[:, None] * way
    return np.asarray(np.hypot(*(nearest - centre).T))


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
