"""Reach a target behind an obstacle without touching it."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import choice, number, numbers, settle, span, whole
from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.fields import Field, Obstacles, Point
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.plants import Column, Device
from ndbmi_gym.streams import Source
from ndbmi_gym.tasks import Judged, Outcome, assessed
from ndbmi_gym.tasks.reach import REWARDS, Reach
from ndbmi_gym.tasks.reach import judge as judge_reach

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# plain numbers: members of an enumeration take longer to compile
_REWARD, _ARRIVED, _FAILED, _SUCCESS = map(
    int, (Judged.REWARD, Judged.ARRIVED, Judged.FAILED, Judged.SUCCESS)
)
_DISTANCE_TERM, _EFFORT_TERM, _BONUS, _PENALTY = map(
    int,
    (Judged.REWARD_DISTANCE, Judged.REWARD_EFFORT, Judged.REWARD_BONUS, Judged.REWARD_PENALTY),
)
_X, _Y = int(Column.X), int(Column.Y)


class AvoidRules(NamedTuple):
    """What a step's judgement depends on beside the step: those of `Reach`, and the disc.

    Attributes
    ----------
    radius_cm, dwell, per_cm, per_effort, bonus, inside_reward : float
        Of `ndbmi_gym.tasks.reach.Rules`; the last is 0.
    obstacle_x, obstacle_y, obstacle_radius_cm : float
        Centre and radius of the disc, cm.
    penalty : float
        Price of entering it.
    """

    radius_cm: float
    dwell: float
    per_cm: float
    per_effort: float
    bonus: float
    inside_reward: float
    obstacle_x: float
    obstacle_y: float
    obstacle_radius_cm: float
    penalty: float


@dataclass(frozen=True)
class AvoidObstacle:
    """Reach a target behind a disc that must not be touched.

    Trials start on the half of the start square that is turned away from the disc, and aim at a
    place behind it. A step whose straight way from beginning to end enters the disc fails the
    trial: it costs `penalty`, and ends the trial. Arrival is that of `ndbmi_gym.tasks.reach.Reach`.

    Attributes
    ----------
    obstacle_cm : (float, float)
        Centre of the disc.
    obstacle_radius_cm : float
        Its radius; the centre of the workspace stays outside.
    target_range_cm : (float, float)
        Distances of targets from the centre, all behind the disc.
    sector_deg : float
        Largest angle between the directions of target and disc.
    radius_cm : float
        Radius of the target disc.
    dwell : int
        Consecutive step ends inside the target disc that are arrival and end the trial.
    start_side : float
        Side of the start square, in units of the workspace's side.
    bonus : float
        Reward on arrival.
    penalty : float
        Price of entering the disc, in either reward scheme.
    reward : {"dense", "sparse"}
        Dense: −distance/L − `effort_weight`·mean|action| + bonus − penalty. Sparse: the last two
        only.
    effort_weight : float
        Price of volition in the dense reward.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the disc covers the centre or reaches the targets.
    """

    obstacle_cm: Point = numbers((4.0, 0.0), (2,), "centre of the disc to avoid", "cm")
    obstacle_radius_cm: float = number(1.5, "radius of the disc to avoid", "cm", above=0, most=1e6)
    target_range_cm: tuple[float, float] = span(
        (6.0, 8.5), "distances of targets from the centre", "cm"
    )
    sector_deg: float = number(
        25.0, "largest angle between the directions of target and disc", "°", least=0, most=90
    )
    radius_cm: float = number(1.0, "radius of the target disc", "cm", above=0, most=1e6)
    dwell: int = whole(2, "step ends inside that end the trial", least=1, most=10**9)
    start_side: float = number(0.8, "side of the start square, in workspace sides", above=0, most=1)
    bonus: float = number(1.0, "reward on arrival", least=0, most=1e6)
    penalty: float = number(
        10.0, "price of entering the disc, which ends the trial", least=0, most=1e6
    )
    reward: str = choice("dense", REWARDS, "whether distance and effort are priced")
    effort_weight: float = number(0.3, "price of volition in the dense reward", least=0, most=1e6)

    holds = False
    scored = True

    def __post_init__(self) -> None:
        settle(self)
        away = math.hypot(*self.obstacle_cm)
        if not self.obstacle_radius_cm < away:
            raise ValueError(
                f"obstacle_radius_cm = {self.obstacle_radius_cm:g}: the disc around obstacle_cm = "
                f"{self.obstacle_cm} covers the centre of the workspace, beyond which trials "
                f"start; give less than {away:g} cm, or put it farther out"
            )
        if self.target_range_cm[0] < away + self.obstacle_radius_cm:
            raise ValueError(
                f"target_range_cm = {self.target_range_cm}: targets lie behind the disc, which "
                f"ends {away + self.obstacle_radius_cm:g} cm from the centre; give distances from "
                "there on, or lower obstacle_radius_cm"
            )

    @property
    def obstacles(self) -> Obstacles:
        """The disc, for drawing and for policies that go round it."""
        return ((self.obstacle_cm, self.obstacle_radius_cm),)

    def check(self, field: Field, half_side_cm: float) -> None:
        """Raise ValueError if targets may lie out of the workspace."""
        farthest = float(np.abs(self._outline()).max())
        if farthest > half_side_cm:
            raise ValueError(
                f"target_range_cm = {self.target_range_cm}: a target may have a coordinate of "
                f"{farthest:.2f} cm; give distances that keep them within "
                f"[-{half_side_cm:g}, {half_side_cm:g}] cm"
            )

    def pool(self, loop: ClosedLoop) -> FloatArray:
        """Far edge of the sector that targets are drawn from, (M, 2), cm."""
        return self._outline()

    def _outline(self) -> FloatArray:
        sector = np.radians(np.linspace(-self.sector_deg, self.sector_deg, 181))
        # the axes, too, where coordinates are largest
        angle = math.atan2(self.obstacle_cm[1], self.obstacle_cm[0]) + sector
        axes = np.arange(-4, 5) * np.pi / 2
        within = np.abs(axes - angle[90]) <= np.radians(self.sector_deg)
        return self._places(np.concatenate((angle, axes[within])), self.target_range_cm[1])

    def draw_starts(self, rng: Source, trial: IntArray, half_side_cm: float) -> FloatArray:
        """Draw start positions of trials (B,), whatever their numbers, (B, 2), cm.

        They are uniform on the half of the start square that is turned away from the disc.
        """
        square = Reach(start_side=self.start_side).draw_starts(rng, trial, half_side_cm)
        # the square's other half is the same, turned about its centre
        x, y = self.obstacle_cm
        towards = square[:, 0] * x + square[:, 1] * y > 0
        return np.where(towards[:, None], -square, square)

    def draw_targets(
        self, rng: Source, starts: FloatArray, pool: FloatArray, trial: IntArray
    ) -> FloatArray:
        """Draw a target for each trial, uniformly in the sector behind the disc, (B, 2), cm."""
        drawn = rng.random((len(starts), 2))
        low, high = self.target_range_cm
        distance = np.sqrt(low**2 + (high**2 - low**2) * drawn[:, 0])
        aside = np.radians(self.sector_deg * (2 * drawn[:, 1] - 1))
        return self._places(math.atan2(self.obstacle_cm[1], self.obstacle_cm[0]) + aside, distance)

    def _places(self, angle: FloatArray, distance: FloatArray | float) -> FloatArray:
        return np.column_stack((distance * np.cos(angle), distance * np.sin(angle)))

    def assess(
        self,
        before: Device,
        after: Device,
        target: FloatArray,
        action: FloatArray,
        last: Outcome,
        half_side_cm: float,
    ) -> Outcome:
        """Judge a step.

        Parameters
        ----------
        before, after : Device
            States of B devices at the beginning and the end of the step.
        target : ndarray (B, 2)
        action : ndarray (B, n)
            Its mean magnitude is the effort.
        last : Outcome
            Judgement of the last step, whose streak goes on.
        half_side_cm : float
            Half side L of the workspace.
        """
        rules = self._rules(half_side_cm)
        return assessed(self, judge, rules, before, after, target, action, last)

    def native(self, half_side_cm: float) -> tuple[Any, Any] | None:
        """How compiled code judges, and what it is to be told in a workspace of half side L.

        None where a class of one's own assesses in another way.
        """
        if type(self).assess is not AvoidObstacle.assess:
            return None
        return judge, self._rules(half_side_cm)

    def _rules(self, half_side_cm: float) -> AvoidRules:
        dense = 1.0 if self.reward == "dense" else 0.0
        return AvoidRules(
            float(self.radius_cm),
            float(self.dwell),
            dense / half_side_cm,
            dense * self.effort_weight,
            float(self.bonus),
            0.0,
            *self.obstacle_cm,
            float(self.obstacle_radius_cm),
            float(self.penalty),
        )


@inlined
def entered(x, y, to_x, to_y, radius_cm):  # type: ignore[no-untyped-def]
    """Whether the straight way between two points passes within a disc around 0."""
    dx, dy = to_x - x, to_y - y
    squared = dx * dx + dy * dy
    share = 0.0
    if squared > 0.0:
        share = min(max(-(x * dx + y * dy) / squared, 0.0), 1.0)
    x, y = x + share * dx, y + share * dy
    return x * x + y * y < radius_cm * radius_cm


@compiled
def judge(last_judged, judged, before, after, target, action, rules, first, last):  # type: ignore[no-untyped-def]
    """Write the judgements of trials: those of `Reach`, and failure.

    Parameters
    ----------
    last_judged, judged : ndarray (B, 13 or more)
        Judgement of the last step and of this one, the columns of `ndbmi_gym.tasks.Judged`.
    before, after : ndarray (B, 7 or more)
        States at the beginning and the end of the step, columns of `ndbmi_gym.plants.Column`.
    target : ndarray (B, 2)
        cm.
    action : ndarray (B, n)
    rules : AvoidRules
    first, last : int
        Trials from `first` to before `last`.
    """
    judge_reach(last_judged, judged, before, after, target, action, rules, first, last)
    centre_x, centre_y = rules.obstacle_x, rules.obstacle_y
    for b in range(first, last):
        from_x, from_y = before[b, _X] - centre_x, before[b, _Y] - centre_y
        to_x, to_y = after[b, _X] - centre_x, after[b, _Y] - centre_y
        if entered(from_x, from_y, to_x, to_y, rules.obstacle_radius_cm):
            judged[b, _ARRIVED], judged[b, _SUCCESS], judged[b, _FAILED] = 0.0, 0.0, 1.0
            judged[b, _BONUS], judged[b, _PENALTY] = 0.0, -rules.penalty
            judged[b, _REWARD] = (
                judged[b, _DISTANCE_TERM] + judged[b, _EFFORT_TERM] + judged[b, _PENALTY]
            )
