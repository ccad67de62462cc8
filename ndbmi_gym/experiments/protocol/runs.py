"""The paper's test protocol: starts on a square, repeated runs, convergence, and wtpe (Eq 22)."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ndbmi_gym.fields import Field, takes_of
from ndbmi_gym.perturbations import forces_of
from ndbmi_gym.plants import Device, Plant
from ndbmi_gym.streams import Source, Streams
from ndbmi_gym.tasks.reach import Reach

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


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
    def convergent(self) -> BoolArray:
        """Whether each run entered the target region."""
        return self.entered >= 0


def protocol_starts(
    rng: np.random.Generator, half_side_cm: float, n_starts: int = 24, repetitions: int = 10
) -> FloatArray:
    """Random starts on the square of 0.8 times the workspace's side, each repeated, (B, 2)."""
    starts = Reach().draw_starts(rng, np.arange(n_starts), half_side_cm)
    return np.repeat(starts, repetitions, axis=0)


class Heard(Protocol):
    """What passed through a loop."""

    @property
    def activity(self) -> FloatArray:
        """What the cortex carries to the next step, (B, n_states)."""


class Loop(Protocol):
    """What the protocol runs: a `ndbmi_gym.loop.ClosedLoop`, or one of another interface."""

    @property
    def plant(self) -> Plant:
        """The device."""

    def step(
        self,
        state: Device,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
    ) -> tuple[Device, Heard]:
        """Run the loop once in each trial."""


def run_protocol(
    loop: Loop,
    rng: np.random.Generator,
    starts: FloatArray,
    target: npt.ArrayLike = (0.0, 0.0),
    radius_cm: float = 1.5,
    max_steps: int = 50,
    volition: FloatArray | None = None,
    curl: float = 0.0,
    stop: bool = False,
) -> Runs:
    """Run the loop from rest at each start, without learning.

    Parameters
    ----------
    loop : Loop
    rng : numpy.random.Generator
        Keys of the runs' streams are drawn from it: a run is the same whatever runs beside it.
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
    stop : bool
        End a run when it enters the target region, as the text does; its path stays there. That
        is all that wtpe looks at, and several times as fast.

    Raises
    ------
    ValueError
        If the loop's field takes more than a position: its ideal runs know nothing else.
    """
    takes = takes_of(getattr(loop, "field", np.zeros_like))
    if takes:
        raise ValueError(
            f"the field takes {', '.join(takes)}: give one of positions to the protocol, or play "
            "trials of an environment"
        )
    state, streams = loop.plant.place(starts, forces=forces_of(curl)), Streams.of(rng, len(starts))
    added = None if volition is None else np.tile(volition, (len(starts), 1))
    running, activity = np.arange(len(starts)), None
    path = np.repeat(state.position[None], max_steps + 1, axis=0)
    for step in range(1, max_steps + 1):
        volitional = None if added is None else added[running]
        state, heard = loop.step(state, volitional, streams, activity)
        activity = heard.activity
        path[step:, running] = state.position
        if stop:
            outside = ~_inside(state.position, target, radius_cm)
            running, state = running[outside], state.select(outside)
            activity, streams = activity[outside], streams.select(outside)
            if not running.size:
                break
    return _judge(path, target, radius_cm)


def run_ideal(
    field: Field,
    plant: Plant,
    starts: FloatArray,
    target: npt.ArrayLike = (0.0, 0.0),
    radius_cm: float = 1.5,
    max_steps: int = 50,
    substeps: int = 1,
    stop: bool = False,
) -> Runs:
    """Run without interface or noise: the force is the desired field at the position itself.

    With one substep the force is held over a step, as the interface holds it; with many the field
    acts continuously. With `stop` the path ends where a step enters the target region, and stays
    there. The text allows each reading.
    """
    state = plant.place(starts)
    fine: Plant = replace(cast(Any, plant), step_s=plant.step_s / substeps)
    path = [state.position]
    for _ in range(max_steps):
        for _ in range(substeps):
            state = fine.advance(state, field(state.position))
        path.append(state.position)
    runs = _judge(np.array(path), target, radius_cm)
    if stop:
        for run in np.flatnonzero(runs.convergent):
            runs.path[runs.entered[run] :, run] = runs.path[runs.entered[run], run]
    return runs


def wtpe(runs: Runs, ideal: Runs, nearest: bool = False) -> FloatArray:
    """Within-trajectory position error (Eq 22), (B,), cm.

    The mean distance to the ideal path, from the first step to the one that enters the target
    region; NaN for runs that do not converge.

    Parameters
    ----------
    runs, ideal : Runs
        From the same starts.
    nearest : bool
        Whether the distance is to the nearest point of the ideal path, whose positions are joined
        by straight lines; by default it is to the position at the same step. The text allows
        either.
    """
    if nearest:
        distance = _distance_to_line(runs.path[1:], ideal.path)
    else:
        distance = np.linalg.norm(runs.path[1:] - ideal.path[1:], axis=-1)
    counted = np.arange(1, len(runs.path))[:, None] <= runs.entered
    with np.errstate(invalid="ignore"):
        return np.asarray((distance * counted).sum(axis=0) / counted.sum(axis=0))


def _distance_to_line(places: FloatArray, line: FloatArray) -> FloatArray:
    """Distance of places (P, B, 2) to B lines through the corners (C, B, 2), (P, B)."""
    least = np.full(places.shape[:2], np.inf)
    for begin, end in pairwise(line):
        along, away = end - begin, places - begin
        squared = (along**2).sum(axis=-1)
        # a segment without length is its one point
        share = (away * along).sum(axis=-1) / np.where(squared > 0, squared, 1.0)
        off = away - np.clip(share, 0.0, 1.0)[..., None] * along
        least = np.minimum(least, np.linalg.norm(off, axis=-1))
    return least


def _inside(position: FloatArray, target: npt.ArrayLike, radius_cm: float) -> BoolArray:
    return np.asarray(np.linalg.norm(position - np.asarray(target), axis=-1) <= radius_cm)


def _judge(path: FloatArray, target: npt.ArrayLike, radius_cm: float) -> Runs:
    inside = _inside(path[1:], target, radius_cm)
    return Runs(path, np.where(inside.any(axis=0), inside.argmax(axis=0) + 1, -1))
