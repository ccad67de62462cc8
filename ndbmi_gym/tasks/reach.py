"""Reach a target, or stay in it: the family of tasks of most ids."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import (
    RuleError,
    choice,
    declare,
    integer,
    nested,
    number,
    real,
    settle,
    shown,
    span,
    whole,
)
from ndbmi_gym.compiled import compiled
from ndbmi_gym.fields import Field, target_of
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.plants import Column, Device
from ndbmi_gym.streams import Source
from ndbmi_gym.tasks import N_JUDGED, Judged, Outcome, assessed

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Point = tuple[float, float]

REWARDS = ("dense", "sparse")
"""Reward schemes; see `Reach`."""

STARTS = ("square", "centre")
"""Places where trials start; see `Reach`."""


_MOST_ON_CIRCLE, _MOST_POINTS = 1_000, 10_000  # each is checked, and written into specs


# plain numbers: looking a member of an enumeration up takes as long as indexing an array
_REWARD, _DISTANCE, _EFFORT, _INSIDE, _ARRIVED, _FAILED, _SUCCESS, _STREAK = range(8)
_REWARD_DISTANCE, _REWARD_EFFORT, _REWARD_BONUS, _REWARD_INSIDE, _REWARD_PENALTY = range(8, 13)
assert _REWARD_PENALTY == Judged.REWARD_PENALTY == N_JUDGED - 1
_X, _Y = int(Column.X), int(Column.Y)


class Rules(NamedTuple):
    """What a step's judgement by `Reach` depends on beside the step.

    Attributes
    ----------
    radius_cm : float
        Radius of the target disc.
    dwell : float
        Consecutive step ends inside that are arrival; 0: there is none.
    per_cm : float
        Price of a cm from the target.
    per_effort : float
        Price of the mean absolute action.
    bonus, inside_reward : float
        Rewards of arrival, and of a step that ends inside.
    """

    radius_cm: float
    dwell: float
    per_cm: float
    per_effort: float
    bonus: float
    inside_reward: float


def _points(value: Any) -> tuple[Point, ...]:
    items = list(islice(value, _MOST_POINTS + 1))
    if not items:
        raise RuleError("there is no point")
    if len(items) > _MOST_POINTS:
        raise RuleError(f"there are more than {_MOST_POINTS:,} points")
    points: tuple[Point, ...] = nested(items, (len(items), 2))
    return points


def _targets(value: Any) -> str | tuple[Point, ...]:
    if isinstance(value, str):
        if value not in ("calibration", "field"):
            raise RuleError("no such targets")
        return value
    if isinstance(value, Mapping):
        given = dict(value)
        count, radius = given.pop("centre_out", 0), given.pop("radius_cm", 5.0)
        if given:
            raise RuleError(f"unknown {min(map(str, given))!r}")
        try:
            count = integer(count)
        except TypeError:
            count = 0
        if not 1 <= count <= _MOST_ON_CIRCLE:
            wrong = shown(value.get("centre_out"))
            raise RuleError(f"centre_out = {wrong} is no whole number from 1 to {_MOST_ON_CIRCLE}")
        angle = 2 * np.pi * np.arange(count) / count
        if not real(radius) > 0:
            raise RuleError(f"radius_cm = {radius!r} is no radius > 0 cm")
        return _points(np.round(real(radius) * np.array([np.cos(angle), np.sin(angle)]).T, 12))
    return _points(value)


def _starts(value: Any) -> str | tuple[Point, ...]:
    if isinstance(value, str):
        if value not in STARTS:
            raise RuleError("no such starts")
        return value
    return _points(value)


# options that tell how something is drawn: by which choice; defaults, beside a task's own
_OF_DRAWS: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "start_side": ("starts", "square", (0.8,)),
    "target_range_cm": ("targets", "calibration", ((3.0, 7.0), (2.0, 6.0))),
    "min_start_distance_cm": ("targets", "calibration", (5.0, 0.0)),
}


@dataclass(frozen=True)
class Reach:
    """Reach, or stay in, a disc around a target.

    Attributes
    ----------
    targets : str, mapping or sequence of points
        Where targets are drawn from: ``"calibration"``, the MDS points of the calibration
        responses (those that `target_range_cm` and `min_start_distance_cm` admit); ``"field"``, the
        equilibrium of the desired field; ``{"centre_out": 8, "radius_cm": 5}``, points on a circle;
        or a list of points in cm.
    starts : str or sequence of points
        Where trials start: ``"square"``, uniformly on the perimeter of the start square;
        ``"centre"``; or a list of points in cm to draw from.
    radius_cm : float
        Radius of the target disc.
    dwell : int
        Consecutive step ends inside the disc that count as arrival and end the trial; 0: a trial
        never ends by itself.
    target_range_cm : (float, float)
        Distances from the centre at which calibration points qualify as targets.
    min_start_distance_cm : float
        Distance that a calibration point keeps from the start to be drawn as its target.
    start_side : float
        Side of the start square, in units of the workspace's side.
    bonus : float
        Reward on arrival; nothing arrives with ``dwell=0``.
    inside_reward : float
        Reward per step that ends inside.
    reward : {"dense", "sparse"}
        Dense: −distance/L − `effort_weight`·mean|action| + bonus + inside reward. Sparse: the last
        two only.
    effort_weight : float
        Price of volition in the dense reward.

    Raises
    ------
    ValueError
        If a parameter is out of range, or tells how to draw what is not drawn.
    """

    targets: str | tuple[Point, ...] = declare(
        "calibration",
        "where targets are drawn from",
        "choose 'calibration' or 'field', or give {'centre_out': 8, 'radius_cm': 5} or a list of "
        "points (x, y) in cm",
        _targets,
        "cm",
    )
    starts: str | tuple[Point, ...] = declare(
        "square",
        "where trials start",
        "choose 'square' or 'centre', or give a list of points (x, y) in cm",
        _starts,
        "cm",
    )
    radius_cm: float = number(1.0, "radius of the target disc", "cm", above=0, most=1e6)
    dwell: int = whole(
        2, "step ends inside that end the trial; 0: it does not end", least=0, most=10**9
    )
    target_range_cm: tuple[float, float] = span(
        (3.0, 7.0),
        "distances of calibration points that qualify as targets, if such are drawn",
        "cm",
    )
    min_start_distance_cm: float = number(
        5.0, "distance of a drawn calibration point from the start", "cm", least=0, most=1e6
    )
    start_side: float = number(
        0.8, "side of the start square, in workspace sides, if starts are on it", above=0, most=1
    )
    bonus: float = number(
        1.0, "reward on arrival; with dwell = 0 nothing arrives", least=0, most=1e6
    )
    inside_reward: float = number(0.0, "reward per step that ends inside", least=0, most=1e6)
    reward: str = choice("dense", REWARDS, "whether distance and effort are priced")
    effort_weight: float = number(0.3, "price of volition in the dense reward", least=0, most=1e6)

    def __post_init__(self) -> None:
        settle(self)
        for name, (by, chosen, defaults) in _OF_DRAWS.items():
            value = getattr(self, name)
            if getattr(self, by) != chosen and value not in (*defaults, getattr(type(self), name)):
                raise ValueError(
                    f"{name} = {value}: it has no meaning unless {by} = {chosen!r}; drop {name}, "
                    f"or leave {by} as it is by default"
                )

    @property
    def holds(self) -> bool:
        """Whether the target is to be held to the end."""
        return self.dwell == 0

    @property
    def scored(self) -> bool:
        """Whether zero volition is a floor: not where the field itself leads to the target."""
        return self.targets != "field"

    def check(self, field: Field, half_side_cm: float) -> None:
        """Raise ValueError if a point is out of the workspace, or there is no equilibrium."""
        for name in ("targets", "starts"):
            points = getattr(self, name)
            if isinstance(points, str):
                continue
            for point in points:
                if max(map(abs, point)) > half_side_cm:
                    raise ValueError(
                        f"{name} holds {point}: give points within "
                        f"[-{half_side_cm:g}, {half_side_cm:g}] cm"
                    )
        if self.targets == "field" and target_of(field) is None:
            raise ValueError(
                "the task aims at the field's own equilibrium, and this field declares none: "
                "give the field a 'target' attribute, or set targets='calibration'"
            )

    def pool(self, loop: ClosedLoop) -> FloatArray:
        """Targets that may be drawn with an animal's loop, (M, 2), cm.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.targets == "calibration":
            eligible = self.eligible(loop.interface.points)
            self.check_starts(eligible, loop.interface.half_side_cm)
            return eligible
        if self.targets == "field":
            return np.array([target_of(loop.field)])
        return np.array(self.targets)

    def check_starts(self, eligible: FloatArray, half_side_cm: float) -> None:
        """Raise ValueError unless every place where trials start is far enough from a target.

        To be overridden along with `draw_starts`.

        Parameters
        ----------
        eligible : ndarray (M, 2)
            Calibration points that qualify as targets, cm.
        half_side_cm : float
            Half side L of the workspace.
        """
        if self.starts == "square":
            nearest, place = _least_reach(eligible, self.start_side * half_side_cm)
        else:
            places = np.zeros((1, 2)) if self.starts == "centre" else np.array(self.starts)
            reach = ((places[:, None] - eligible) ** 2).sum(axis=-1).max(axis=1)
            nearest, place = reach.min(), places[reach.argmin()]
        if nearest < self.min_start_distance_cm**2:
            raise self._stranded(place, f"; at most {math.sqrt(nearest):.4g} cm leaves one to all")

    def draw_starts(self, rng: Source, trial: IntArray, half_side_cm: float) -> FloatArray:
        """Draw start positions of trials (B,), whatever their numbers, (B, 2), cm."""
        along = rng.random(len(trial))
        if self.starts == "square":
            return self.on_square(along, half_side_cm)
        if self.starts == "centre":
            return np.zeros((len(trial), 2))
        places = np.array(self.starts)
        return places[(along * len(places)).astype(np.int64)]

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
        self, rng: Source, starts: FloatArray, pool: FloatArray, trial: IntArray
    ) -> FloatArray:
        """Draw a target for each start (B, 2), uniformly from those far enough away, (B, 2).

        Parameters
        ----------
        rng : numpy.random.Generator or Streams
        starts : ndarray (B, 2)
            cm.
        pool : ndarray (M, 2)
            Targets to draw from (`pool`), cm.
        trial : ndarray of int (B,)
            Numbers of the trials, which make no difference here.

        Raises
        ------
        ValueError
            If a start has none far enough.
        """
        apart = self.min_start_distance_cm if self.targets == "calibration" else 0.0
        chosen = np.array(starts, dtype=float, order="C")  # each gives way to its target
        far = np.empty(len(pool), np.int64)
        stranded = _choose(chosen, rng.random(len(starts)), pool, apart, far)
        if stranded >= 0:
            raise self._stranded(starts[stranded])
        return chosen

    def _stranded(self, start: FloatArray, more: str = "") -> ValueError:
        x, y = start
        return ValueError(
            f"no target lies {self.min_start_distance_cm} cm away from the start ({x:.4g}, "
            f"{y:.4g}): lower min_start_distance_cm or widen target_range_cm{more}"
        )

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
            States of B devices at the beginning and the end of the step. This task looks at the
            latter only.
        target : ndarray (B, 2)
        action : ndarray (B, n)
            Its mean magnitude is the effort.
        last : Outcome
            Judgement of the last step, whose streak goes on.
        half_side_cm : float
            Half side L of the workspace.
        """
        judging = self._judging(half_side_cm)
        return assessed(self, *judging, before, after, target, action, last)

    def native(self, half_side_cm: float) -> tuple[Any, Any] | None:
        """How compiled code judges, and what it is to be told in a workspace of half side L.

        None where a class of one's own assesses in another way.
        """
        return self._judging(half_side_cm) if type(self).assess is Reach.assess else None

    def _judging(self, half_side_cm: float) -> tuple[Any, Any]:
        """The compiled function that judges, and what it is to be told."""
        return judge, self._rules(half_side_cm)

    def _rules(self, half_side_cm: float) -> Rules:
        dense = 1.0 if self.reward == "dense" else 0.0
        return Rules(
            float(self.radius_cm),
            float(self.dwell),
            dense / half_side_cm,
            dense * self.effort_weight,
            float(self.bonus),
            float(self.inside_reward),
        )


Fixed = partial(Reach, targets="field", radius_cm=1.5, dwell=1, min_start_distance_cm=0.0)
Hold = partial(
    Reach,
    radius_cm=1.5,
    dwell=0,
    target_range_cm=(2.0, 6.0),
    min_start_distance_cm=0.0,
    bonus=0.0,
    inside_reward=0.5,
)


@compiled
def judge(last_judged, judged, before, after, target, action, rules, first, last):  # type: ignore[no-untyped-def]
    """Write the judgements of trials.

    Parameters
    ----------
    last_judged, judged : ndarray (B, 13 or more)
        Judgement of the last step, whose streak goes on, and of this one, the columns of `Judged`.
    before, after : ndarray (B, 7 or more)
        States at the beginning and the end of the step, columns of `ndbmi_gym.plants.Column`.
    target : ndarray (B, 2)
        cm.
    action : ndarray (B, n)
    rules : Rules
    first, last : int
        Trials from `first` to before `last`.
    """
    n_electrodes = action.shape[1]
    for b in range(first, last):
        x, y = after[b, _X] - target[b, 0], after[b, _Y] - target[b, 1]
        distance = math.sqrt(x * x + y * y)
        effort = 0.0
        for u in range(n_electrodes):
            effort += abs(action[b, u])
        effort /= n_electrodes
        for_distance, for_effort = -rules.per_cm * distance, -rules.per_effort * effort
        inside = arrived = streak = bonus = for_inside = 0.0
        if distance <= rules.radius_cm:
            inside, streak = 1.0, last_judged[b, _STREAK] + 1.0
            for_inside = rules.inside_reward
            if 0.0 < rules.dwell <= streak:
                arrived, bonus = 1.0, rules.bonus
        success = inside
        if rules.dwell > 0.0:
            success = arrived
        judged[b, _REWARD] = for_distance + for_effort + bonus + for_inside
        judged[b, _DISTANCE], judged[b, _EFFORT] = distance, effort
        judged[b, _INSIDE], judged[b, _ARRIVED], judged[b, _FAILED] = inside, arrived, 0.0
        judged[b, _SUCCESS], judged[b, _STREAK] = success, streak
        judged[b, _REWARD_DISTANCE], judged[b, _REWARD_EFFORT] = for_distance, for_effort
        judged[b, _REWARD_BONUS], judged[b, _REWARD_INSIDE] = bonus, for_inside
        judged[b, _REWARD_PENALTY] = 0.0


def _least_reach(points: FloatArray, half: float) -> tuple[float, FloatArray]:
    """Least squared distance of a square's perimeter from the farthest of points, and where.

    Along a side the squared distance from the farthest point is convex.
    """
    fixed, axis = half * np.array([1, 1, -1, -1])[:, None], np.array([0, 1, 0, 1])
    across = (fixed - points.T[axis]) ** 2  # (4, M)

    def reach(along: FloatArray) -> FloatArray:
        return ((along[:, None] - points.T[1 - axis]) ** 2 + across).max(axis=1)

    low, high = np.full(4, -half), np.full(4, half)
    for _ in range(50):
        third = (high - low) / 3
        left = reach(low + third) < reach(high - third)
        low, high = np.where(left, low, low + third), np.where(left, high - third, high)
    side = int(reach(low).argmin())
    place = np.empty(2)
    place[axis[side]], place[1 - axis[side]] = fixed[side, 0], low[side]
    return float(reach(low)[side]), place


@compiled
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


@compiled
def _choose(places, quantile, pool, apart, far):  # type: ignore[no-untyped-def]
    """Put in each start's place the point of a given quantile among those far enough away.

    Returns the index of a start that has none, or -1.
    """
    for b in range(places.shape[0]):
        count = 0
        for m in range(pool.shape[0]):
            x, y = pool[m, 0] - places[b, 0], pool[m, 1] - places[b, 1]
            if x * x + y * y >= apart * apart:
                far[count] = m
                count += 1
        if count == 0:
            return b
        m = far[int(quantile[b] * count)]
        places[b, 0], places[b, 1] = pool[m, 0], pool[m, 1]
    return -1
