"""What a trial asks for: where it starts, what it aims at, what it pays and when it ends.

A task sees positions and efforts only. A task with obstacles would score the segment from the
previous position to the new one here; blocks of trials with a schedule would draw their
perturbations (`ndbmi_gym.perturbations`) by block.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

REWARDS = ("dense", "sparse")
"""Reward schemes; see `Task`."""


@dataclass(frozen=True)
class Task:
    """Reach, or stay in, a disc around a target.

    Attributes
    ----------
    target : {"calibration", "field"}
        Targets are drawn from the MDS points of the calibration responses, or are the equilibrium
        of the desired field.
    radius_cm : float
        Radius of the target disc.
    dwell : int
        Consecutive step ends inside the disc that count as arrival and end the trial; 0: a trial
        never ends by itself.
    target_range_cm : (float, float)
        Distances from the centre at which calibration points qualify as targets.
    min_start_distance_cm : float
        Distance that a drawn target keeps from the start.
    start_side : float
        Side of the square on which trials start, in units of the workspace's side.
    bonus : float
        Reward on arrival.
    inside_reward : float
        Reward per step that ends inside.
    reward : {"dense", "sparse"}
        Dense: −distance/L − `effort_weight`·mean|action| + bonus + inside reward. Sparse: the last
        two only.
    effort_weight : float
        Price of volition.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    target: str = "calibration"
    radius_cm: float = 1.0
    dwell: int = 2
    target_range_cm: tuple[float, float] = (3.0, 7.0)
    min_start_distance_cm: float = 5.0
    start_side: float = 0.8
    bonus: float = 1.0
    inside_reward: float = 0.0
    reward: str = "dense"
    effort_weight: float = 0.3

    def __post_init__(self) -> None:
        if self.target not in ("calibration", "field"):
            raise ValueError(f"target = {self.target!r}: choose 'calibration' or 'field'")
        if self.reward not in REWARDS:
            raise ValueError(f"reward = {self.reward!r}: choose one of {', '.join(REWARDS)}")
        if not 0 < self.radius_cm < np.inf:
            raise ValueError(f"radius_cm = {self.radius_cm!r}: give a radius > 0 cm")
        if not (isinstance(self.dwell, int) and self.dwell >= 0):
            raise ValueError(
                f"dwell = {self.dwell!r}: give a whole number of steps >= 0 (0: no end)"
            )
        try:
            low, high = self.target_range_cm
            ordered = 0 <= low <= high
        except TypeError:
            ordered = False
        if not ordered:
            raise ValueError(f"target_range_cm = {self.target_range_cm!r}: give 0 <= low <= high")
        for name in ("min_start_distance_cm", "bonus", "inside_reward"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} = {value!r}: give a finite value >= 0")
        if not 0 < self.start_side <= 1:
            raise ValueError(f"start_side = {self.start_side!r}: give a share in (0, 1]")
        if not 0 <= self.effort_weight < np.inf:
            raise ValueError(f"effort_weight = {self.effort_weight!r}: give a finite weight >= 0")

    def starts(self, rng: np.random.Generator, n_trials: int, half_side_cm: float) -> FloatArray:
        """Draw start positions, uniform on the start square's perimeter, (B, 2)."""
        return self.on_square(rng.random(n_trials), half_side_cm)

    def on_square(self, along: FloatArray, half_side_cm: float) -> FloatArray:
        """Points of the start square's perimeter, by their place along it in [0, 1), (B, 2)."""
        return _on_square(along, self.start_side * half_side_cm)

    def eligible(self, points: FloatArray) -> FloatArray:
        """Those of the calibration points (M, 2) that qualify as targets.

        Raises
        ------
        ValueError
            If there is none.
        """
        low, high = self.target_range_cm
        distance = np.hypot(*points.T)
        chosen = points[(low <= distance) & (distance <= high)]
        if not len(chosen):
            raise ValueError(
                f"no calibration point lies {low} to {high} cm from the centre "
                f"(they lie {distance.min():.1f} to {distance.max():.1f}): widen target_range_cm"
            )
        return chosen

    def draw_targets(
        self, rng: np.random.Generator, starts: FloatArray, eligible: FloatArray
    ) -> FloatArray:
        """Draw a target for each start (B, 2), uniformly from those far enough away, (B, 2).

        Raises
        ------
        ValueError
            If a start has none far enough.
        """
        chosen, stranded = _choose(
            rng.random(len(starts)), starts, eligible, self.min_start_distance_cm
        )
        if stranded >= 0:
            raise ValueError(
                f"no target lies {self.min_start_distance_cm} cm away from the start "
                f"{starts[stranded]}: lower min_start_distance_cm or widen target_range_cm"
            )
        return chosen

    def assess(
        self,
        position: FloatArray,
        target: FloatArray,
        action: FloatArray,
        streak: FloatArray,
        half_side_cm: float,
    ) -> "Outcome":
        """Judge the end of a step.

        Parameters
        ----------
        position, target : ndarray (B, 2)
        action : ndarray (B, n)
            Its mean magnitude is the effort.
        streak : ndarray (B,)
            Consecutive step ends inside so far.
        half_side_cm : float
            Half side L of the workspace.
        """
        dense = 1.0 if self.reward == "dense" else 0.0
        judged = _assess(
            position,
            target,
            action,
            streak,
            self.radius_cm,
            self.dwell,
            dense / half_side_cm,
            dense * self.effort_weight,
            self.bonus,
            self.inside_reward,
        )
        return Outcome(judged)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Judgement of one step in B trials.

    Attributes
    ----------
    values : ndarray (B, 10)
        The columns that are named below.
    """

    values: FloatArray

    REWARD: ClassVar = 0
    DISTANCE: ClassVar = 1  # to the target, cm
    EFFORT: ClassVar = 2  # mean absolute action
    INSIDE: ClassVar = 3  # whether the step ended in the target disc
    ARRIVED: ClassVar = 4  # whether it was the last of `Task.dwell` consecutive ones
    STREAK: ClassVar = 5  # how many consecutive ones there were
    REWARD_DISTANCE: ClassVar = 6
    REWARD_EFFORT: ClassVar = 7
    REWARD_BONUS: ClassVar = 8
    REWARD_INSIDE: ClassVar = 9
    COLUMNS: ClassVar = 10


TASKS: dict[str, Task] = {
    "fixed": Task(target="field", radius_cm=1.5, dwell=1, min_start_distance_cm=0.0),
    "shift": Task(),
    "hold": Task(
        radius_cm=1.5,
        dwell=0,
        target_range_cm=(2.0, 6.0),
        min_start_distance_cm=0.0,
        bonus=0.0,
        inside_reward=0.5,
    ),
}
"""Named tasks: the field's own target under the paper's stop rule; a shifted target; staying."""


def make_task(spec: str | Mapping[str, Any] | Task) -> Task:
    """Build a task from its JSON form.

    Parameters
    ----------
    spec : str, mapping or Task
        A name of `TASKS`; or a mapping with that name under ``"kind"`` and any fields of `Task`
        to change, e.g. ``{"kind": "hold", "radius_cm": 1.0}``.

    Raises
    ------
    ValueError
        If the name or a field is unknown, or a value out of range.
    """
    if isinstance(spec, Task):
        return spec
    changes: dict[str, Any] = dict(spec) if isinstance(spec, Mapping) else {"kind": spec}
    kind = changes.pop("kind", None)
    if kind not in TASKS:
        raise ValueError(f"unknown task {kind!r}: choose one of {', '.join(TASKS)}")
    known = {field.name: getattr(TASKS[kind], field.name) for field in fields(Task)}
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise ValueError(f"unknown task parameter {unknown[0]!r}: tasks have {', '.join(known)}")
    if isinstance(changes.get("target_range_cm"), list):
        changes["target_range_cm"] = tuple(changes["target_range_cm"])
    return Task(**(known | changes))


@numba.njit(cache=True)
def _assess(  # type: ignore[no-untyped-def]
    position, target, action, streak, radius, dwell, per_cm, per_effort, bonus, inside_reward
):
    n_trials, n_electrodes = action.shape
    judged = np.empty((n_trials, 10))
    for b in range(n_trials):
        x, y = position[b, 0] - target[b, 0], position[b, 1] - target[b, 1]
        distance = np.sqrt(x * x + y * y)
        effort = 0.0
        for u in range(n_electrodes):
            effort += abs(action[b, u])
        effort /= n_electrodes
        inside = distance <= radius
        longer = streak[b] + 1.0 if inside else 0.0
        arrived = 0 < dwell <= longer
        row = judged[b]
        row[1], row[2], row[3], row[4], row[5] = distance, effort, inside, arrived, longer
        row[6] = -per_cm * distance
        row[7] = -per_effort * effort
        row[8] = bonus if arrived else 0.0
        row[9] = inside_reward if inside else 0.0
        row[0] = row[6] + row[7] + row[8] + row[9]
    return judged


@numba.njit(cache=True)
def _on_square(along, half):  # type: ignore[no-untyped-def]
    """Points of a square's perimeter, by their place along it in [0, 1)."""
    points = np.empty((along.size, 2))
    for b in range(along.size):
        side = int(4 * along[b])
        place = half * (2 * (4 * along[b] - side) - 1)
        edge = half if side < 2 else -half
        points[b, side % 2] = edge
        points[b, 1 - side % 2] = place
    return points


@numba.njit(cache=True)
def _choose(quantile, starts, eligible, min_distance):  # type: ignore[no-untyped-def]
    """For each start the eligible point of a given quantile among those far enough away.

    Also returns the index of a start that has none, or -1.
    """
    chosen = np.empty(starts.shape)
    far = np.empty(eligible.shape[0], np.int64)
    for b in range(starts.shape[0]):
        count = 0
        for m in range(eligible.shape[0]):
            x, y = eligible[m, 0] - starts[b, 0], eligible[m, 1] - starts[b, 1]
            if x * x + y * y >= min_distance * min_distance:
                far[count] = m
                count += 1
        if count == 0:
            return chosen, b
        m = far[int(quantile[b] * count)]
        chosen[b, 0], chosen[b, 1] = eligible[m, 0], eligible[m, 1]
    return chosen, -1
