"""The paper's test protocol: starts on a square, repeated runs, convergence, and wtpe (Eq 22)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndbmi_gym.fields import Field
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.plant import Plant
from ndbmi_gym.tasks import Task

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """Runs of the loop from B starts.

    Attributes
    ----------
    path : ndarray (steps + 1, B, 2)
        Positions, cm.
    entered : ndarray of int (B,)
        Step whose end was the first in the target region; −1 if none was.
    """

    path: FloatArray
    entered: IntArray

    @property
    def convergent(self) -> npt.NDArray[np.bool_]:
        """Whether each run entered the target region."""
        return self.entered >= 0


def protocol_starts(
    rng: np.random.Generator, half_side_cm: float, n_starts: int = 24, repetitions: int = 10
) -> FloatArray:
    """Random starts on the square of 0.8 times the workspace's side, each repeated, (B, 2)."""
    return np.repeat(Task().starts(rng, n_starts, half_side_cm), repetitions, axis=0)


def run_protocol(
    loop: ClosedLoop,
    rng: np.random.Generator,
    starts: FloatArray,
    target: npt.ArrayLike = (0.0, 0.0),
    radius_cm: float = 1.5,
    max_steps: int = 50,
    volition: FloatArray | None = None,
    curl: float = 0.0,
) -> Runs:
    """Run the loop from rest at each start, without learning or stopping.

    Parameters
    ----------
    loop : ClosedLoop
    rng : numpy.random.Generator
        Source of the test responses.
    starts : ndarray (B, 2)
        cm.
    target : array_like (2,)
        Centre of the target region, cm.
    radius_cm : float
        Its radius.
    max_steps : int
    volition : ndarray (n,), optional
        Constant volitional spikes per window (Eq 23).
    curl : float
        Strength of a curl field (Eq 25), kg/s.
    """
    state = loop.plant.place(starts, curl=curl)
    added = None if volition is None else np.tile(volition, (len(starts), 1))
    path = [state.position]
    for _ in range(max_steps):
        state, _ = loop.step(state, added, rng)
        path.append(state.position)
    return _judge(np.array(path), target, radius_cm)


def run_ideal(
    field: Field,
    plant: Plant,
    starts: FloatArray,
    target: npt.ArrayLike = (0.0, 0.0),
    radius_cm: float = 1.5,
    max_steps: int = 50,
) -> Runs:
    """Run without interface or noise: the force is the desired field at the position itself."""
    state = plant.place(starts)
    path = [state.position]
    for _ in range(max_steps):
        state = plant.advance(state, field(state.position))
        path.append(state.position)
    return _judge(np.array(path), target, radius_cm)


def wtpe(runs: Runs, ideal: Runs) -> FloatArray:
    """Within-trajectory position error (Eq 22), (B,), cm.

    The mean distance to the ideal path at the same step, from the first step to the one that enters
    the target region; NaN for runs that do not converge.
    """
    distance = np.linalg.norm(runs.path[1:] - ideal.path[1:], axis=-1)
    counted = np.arange(1, len(runs.path))[:, None] <= runs.entered
    with np.errstate(invalid="ignore"):
        return np.asarray((distance * counted).sum(axis=0) / counted.sum(axis=0))


def _judge(path: FloatArray, target: npt.ArrayLike, radius_cm: float) -> Runs:
    inside = np.linalg.norm(path[1:] - np.asarray(target), axis=-1) <= radius_cm
    return Runs(path, np.where(inside.any(axis=0), inside.argmax(axis=0) + 1, -1))
