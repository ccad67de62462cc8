"""What a trial asks for: where it starts, what it aims at, what it pays and when it ends.

A task judges the end of a step from the states before and after it, and from the judgement before.
`ndbmi_gym.tasks.reach.Reach` is the family of most ids; one's own task inherits from it, overrides
what differs (`assess` for what a step is worth, `draw_starts`, `pool`), and is named as
``"module:attribute"`` or registered in `TASKS` (`ndbmi_gym.parts`).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.compiled import compiled
from ndbmi_gym.fields import Field
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.parts import Registry
from ndbmi_gym.plants import Device
from ndbmi_gym.streams import Source

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Judged(IntEnum):
    """Columns of a judgement."""

    REWARD = 0
    DISTANCE = 1  #: to the target, cm
    EFFORT = 2  #: mean absolute action
    INSIDE = 3  #: whether the step ended in the target disc
    ARRIVED = 4  #: whether the trial ends as it should
    FAILED = 5  #: whether the trial ends as it should not
    SUCCESS = 6  #: whether the task is fulfilled at this step
    STREAK = 7  #: consecutive step ends inside
    REWARD_DISTANCE = 8  #: the terms that REWARD is the sum of
    REWARD_EFFORT = 9
    REWARD_BONUS = 10
    REWARD_INSIDE = 11
    REWARD_PENALTY = 12


N_JUDGED = len(Judged)

KNOWN_AT_START = np.isin(
    np.arange(N_JUDGED), (Judged.DISTANCE, Judged.INSIDE, Judged.SUCCESS)
).astype(float)
"""Which columns tell something before the first step; the others are 0 there."""


# plain numbers: looking a member of an enumeration up takes as long as indexing an array
_REWARD, _ARRIVED, _FAILED, _STREAK = map(
    int, (Judged.REWARD, Judged.ARRIVED, Judged.FAILED, Judged.STREAK)
)


class Outcome(NamedTuple):
    """Judgement of one step in B trials.

    Attributes
    ----------
    values : ndarray (B, 13 or more)
        The columns of `Judged`, and those that the task remembers things in.
    """

    values: FloatArray

    @property
    def reward(self) -> FloatArray:
        """What the step earned, (B,)."""
        return self.values[:, _REWARD]

    @property
    def terminated(self) -> npt.NDArray[np.bool_]:
        """Trials that have arrived or failed, (B,)."""
        return _ended(self.values)

    def alone(self) -> tuple[float, bool]:
        """Reward of a single trial, and whether it has arrived or failed."""
        item = self.values.item
        return item(_REWARD), item(_ARRIVED) != 0 or item(_FAILED) != 0

    @property
    def streak(self) -> FloatArray:
        """Consecutive step ends inside the target, (B,)."""
        return self.values[:, _STREAK]


class Task(Protocol):
    """What trials of an environment ask for.

    A task that has to remember more of a trial than `Judged` holds tells as `n_memory` how many
    further columns its outcomes have. One that `native(half_side_cm)` tells how compiled code
    judges (`ndbmi_gym.tasks.reach.judge`), and by which numbers, is stepped as a whole.
    """

    @property
    def radius_cm(self) -> float:
        """Radius of the target disc, for drawing."""

    @property
    def holds(self) -> bool:
        """Whether the target is to be held to the end, so that arrival does not end a trial."""

    @property
    def scored(self) -> bool:
        """Whether zero volition is a floor: not where the field itself leads to the target."""

    def check(self, field: Field, half_side_cm: float) -> None:
        """Raise ValueError if the task does not fit a field and a workspace of half side L.

        Asked before anything is calibrated.
        """

    def pool(self, loop: ClosedLoop) -> FloatArray:
        """Targets that may be drawn with an animal's loop, (M, 2), cm."""

    def draw_starts(self, rng: Source, trial: IntArray, half_side_cm: float) -> FloatArray:
        """Draw start positions of trials with these numbers (B,), (B, 2), cm."""

    def draw_targets(
        self, rng: Source, starts: FloatArray, pool: FloatArray, trial: IntArray
    ) -> FloatArray:
        """Draw a target for each start of trials with these numbers (B,), (B, 2), cm."""

    def assess(
        self,
        before: Device,
        after: Device,
        target: FloatArray,
        action: FloatArray,
        last: Outcome,
        half_side_cm: float,
    ) -> Outcome:
        """Judge a step from the states before and after it, and from the last judgement.

        Before the first step of a trial the streak is −1, and all else 0.
        """


TASKS: Registry[Task] = Registry(
    "task",
    ("check", "pool", "draw_starts", "draw_targets", "assess", "radius_cm", "holds", "scored"),
    {
        "fixed": "ndbmi_gym.tasks.reach:Fixed",
        "shift": "ndbmi_gym.tasks.reach:Reach",
        "hold": "ndbmi_gym.tasks.reach:Hold",
        "straight": "ndbmi_gym.tasks.straight:Straight",
        "avoid": "ndbmi_gym.tasks.avoid:AvoidObstacle",
        "rhythm": "ndbmi_gym.tasks.rhythm:Rhythm",
    },
)
"""Named tasks: the field's own target under the paper's stop rule; a shifted target; staying; a
target behind an obstacle; a circle at a demanded speed."""


def make_task(spec: str | Mapping[str, Any] | Task) -> Task:
    """Build a task from a name of `TASKS`, a mapping, ``"module:attribute"`` or a task.

    ``{"kind": "hold", "radius_cm": 1.0}`` is the named task with other options.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or a value out of range.
    """
    return TASKS.make(spec)


def assessed(
    task: Task,
    judge: Any,
    rules: Any,
    before: Device,
    after: Device,
    target: FloatArray,
    action: FloatArray,
    last: Outcome,
) -> Outcome:
    """The judgement of steps by a compiled function (`ndbmi_gym.tasks.reach.judge`).

    Parameters
    ----------
    task : Task
        Whose judgement it is.
    judge : compiled function
    rules : NamedTuple
        What it judges by.
    before, after : Device
        States of B devices at the beginning and the end of the steps.
    target : ndarray (B, 2)
    action : ndarray (B, n)
    last : Outcome
        Judgement of the steps before.

    Raises
    ------
    ValueError
        If the last judgement has no room for what the task remembers.
    """
    width = N_JUDGED + memory_of(task)
    if last.values.shape != (len(action), width):
        raise ValueError(
            f"last judgement of shape {last.values.shape}: the task {type(task).__name__} has "
            f"{width} columns, give shape ({len(action)}, {width})"
        )
    values, states = np.empty_like(last.values), (before.values, after.values)
    judge(last.values, values, *states, target, action, rules, 0, len(values))
    return Outcome(values)


def memory_of(task: Task) -> int:
    """Number of columns that a task remembers things in."""
    return int(getattr(task, "n_memory", 0))


@compiled
def _ended(judged):  # type: ignore[no-untyped-def]
    ended = np.empty(judged.shape[0], np.bool_)
    for b in range(judged.shape[0]):
        ended[b] = judged[b, _ARRIVED] != 0 or judged[b, _FAILED] != 0
    return ended
