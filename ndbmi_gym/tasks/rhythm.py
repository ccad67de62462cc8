"""Circle around the centre at a demanded radius and angular speed."""

import math
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import RuleError, choice, declare, nested, number, settle, whole
from ndbmi_gym.compiled import compiled
from ndbmi_gym.fields import Field
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.plants import Column, Device
from ndbmi_gym.streams import Source
from ndbmi_gym.tasks import N_JUDGED, Judged, Outcome, assessed
from ndbmi_gym.tasks.reach import REWARDS, Reach

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Demand = tuple[float, float]

_WINDOW = 4  # steps over which the angular speed is taken
_MOST_DEMANDS = 10_000
_LEAST_CM, _MOST_CM, _MOST_SPEED = 1e-3, 1e6, 1.0

# plain numbers: members of an enumeration take longer to compile
_REWARD, _DISTANCE, _EFFORT, _INSIDE, _ARRIVED, _FAILED, _SUCCESS, _STREAK = range(8)
_REWARD_DISTANCE, _REWARD_EFFORT, _REWARD_BONUS, _REWARD_INSIDE, _REWARD_PENALTY = range(8, 13)
assert _REWARD_PENALTY == Judged.REWARD_PENALTY == N_JUDGED - 1
_TURNS, _N_TURNS = N_JUDGED, _WINDOW - 1  # the last turns, the newest first, rad
_X, _Y, _TIME = int(Column.X), int(Column.Y), int(Column.TIME)


class RhythmRules(NamedTuple):
    """What a step's judgement depends on beside the step.

    Attributes
    ----------
    radius_cm, tolerance : float
        How far radius, cm, and angular speed, rad/s, may be from the demanded ones.
    half_side_cm : float
        Half side L of the workspace: the unit of the target's entries.
    per_cm, per_speed, per_effort : float
        Prices of a cm from the demanded radius, of a rad/s from the demanded speed, and of the mean
        absolute action.
    inside_reward : float
        Reward of a step that fulfils both demands.
    """

    radius_cm: float
    tolerance: float
    half_side_cm: float
    per_cm: float
    per_speed: float
    per_effort: float
    inside_reward: float


def _demands(value: Any) -> tuple[Demand, ...]:
    items = list(islice(value, _MOST_DEMANDS + 1))
    if not items:
        raise RuleError("there is no demand")
    if len(items) > _MOST_DEMANDS:
        raise RuleError(f"there are more than {_MOST_DEMANDS:,} demands")
    demands: tuple[Demand, ...] = nested(items, (len(items), 2))
    for radius, speed in demands:
        if not _LEAST_CM <= radius <= _MOST_CM:
            raise RuleError(f"{radius:g} is no radius from {_LEAST_CM:g} to {_MOST_CM:g} cm")
        if not abs(speed) <= _MOST_SPEED:
            raise RuleError(f"{speed:g} is no speed from -{_MOST_SPEED:g} to {_MOST_SPEED:g} rad/s")
    return demands


@dataclass(frozen=True)
class Rhythm:
    """Circle around the centre at a demanded radius and angular speed.

    The target of a trial is its demand: the radius R*, cm, and L times the angular speed ω*, rad/s,
    positive counter-clockwise. Observations show it in units of L, as they do any target: R*/L and
    ω*. A step fulfils it that ends less than `radius_cm` from the demanded radius, with an angular
    speed over the last four steps less than `tolerance` from the demanded one. Before a trial the
    device stands still.

    Attributes
    ----------
    demands : sequence of (float, float)
        Radius, cm, and angular speed, rad/s, one of which each trial draws.
    radius_cm : float
        How far the radius may be from the demanded one.
    tolerance : float
        How far the angular speed may be from the demanded one, rad/s.
    scored_steps : int
        Steps at the end of a trial whose share of fulfilled ones is the score.
    start_side : float
        Side of the start square, on whose perimeter trials start uniformly, in units of the
        workspace's side.
    inside_reward : float
        Reward per step that fulfils the demand.
    reward : {"dense", "sparse"}
        Dense: −e_r/L − `speed_weight`·e_ω − `effort_weight`·mean|action| + inside reward, where e_r
        and e_ω are the errors of radius, cm, and angular speed, rad/s. Sparse: the last only.
    speed_weight : float
        Price of a rad/s from the demanded speed in the dense reward.
    effort_weight : float
        Price of volition in the dense reward.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    demands: tuple[Demand, ...] = declare(
        ((3.0, 0.25), (5.0, 0.45), (3.0, 0.45), (5.0, -0.25), (5.0, 0.1)),
        "radius and angular speed that trials demand, one of these each",
        f"give a list of (radius >= {_LEAST_CM:g} cm, angular speed from -{_MOST_SPEED:g} to "
        f"{_MOST_SPEED:g} rad/s)",
        _demands,
        "cm, rad/s",
    )
    radius_cm: float = number(
        1.0, "how far the radius may be from the demanded one", "cm", above=0, most=1e6
    )
    tolerance: float = number(
        0.1, "how far the angular speed may be from the demanded one", "rad/s", above=0, most=1e3
    )
    scored_steps: int = whole(
        40, "steps at the end of a trial that are scored", least=1, most=10**9
    )
    start_side: float = number(0.8, "side of the start square, in workspace sides", above=0, most=1)
    inside_reward: float = number(0.5, "reward per step that fulfils the demand", least=0, most=1e6)
    reward: str = choice("dense", REWARDS, "whether errors and effort are priced")
    speed_weight: float = number(
        1.0, "price of a rad/s from the demanded speed in the dense reward", least=0, most=1e6
    )
    effort_weight: float = number(0.3, "price of volition in the dense reward", least=0, most=1e6)

    n_memory = _N_TURNS
    holds = True
    scored = True

    def __post_init__(self) -> None:
        settle(self)

    def check(self, field: Field, half_side_cm: float) -> None:
        """Raise ValueError if a demanded circle leaves the workspace."""
        for radius, speed in self.demands:
            if radius > half_side_cm:
                raise ValueError(
                    f"demands holds ({radius:g}, {speed:g}): the circle leaves the workspace; give "
                    f"radii of at most {half_side_cm:g} cm"
                )

    def pool(self, loop: ClosedLoop) -> FloatArray:
        """Demands as targets, (M, 2): radius, cm, and L times the angular speed."""
        return np.array(self.demands) * (1.0, loop.interface.half_side_cm)

    def draw_starts(self, rng: Source, trial: IntArray, half_side_cm: float) -> FloatArray:
        """Draw start positions of trials (B,), whatever their numbers, (B, 2), cm."""
        return Reach(start_side=self.start_side).draw_starts(rng, trial, half_side_cm)

    def draw_targets(
        self, rng: Source, starts: FloatArray, pool: FloatArray, trial: IntArray
    ) -> FloatArray:
        """Draw a demand for each trial, uniformly from those that there are, (B, 2)."""
        return pool[(rng.random(len(starts)) * len(pool)).astype(np.int64)]

    def circle_cm(self, target: FloatArray) -> float:
        """Radius of the circle that a target (2,) demands, for drawing."""
        return float(target[0])

    def place_at(self, target: FloatArray, time_s: FloatArray, half_side_cm: float) -> FloatArray:
        """A place on the demanded circle that runs round it as is demanded, (B, 2), cm.

        Whoever keeps to it meets the demand. At time 0 it is on the positive x axis; the demand
        leaves open where to be when, so that this is one way of many.

        Parameters
        ----------
        target : ndarray (B, 2)
            Demands.
        time_s : ndarray (B,)
            Since the trial began.
        half_side_cm : float
            Half side L of the workspace.
        """
        angle = target[:, 1] / half_side_cm * time_s
        return target[:, :1] * np.column_stack((np.cos(angle), np.sin(angle)))

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
            Demands.
        action : ndarray (B, n)
            Its mean magnitude is the effort.
        last : Outcome
            Judgement of the last step, with the turns before this one.
        half_side_cm : float
            Half side L of the workspace.
        """
        rules = self._rules(half_side_cm)
        return assessed(self, judge, rules, before, after, target, action, last)

    def native(self, half_side_cm: float) -> tuple[Any, Any] | None:
        """How compiled code judges, and what it is to be told in a workspace of half side L.

        None where a class of one's own assesses in another way.
        """
        if type(self).assess is not Rhythm.assess:
            return None
        return judge, self._rules(half_side_cm)

    def _rules(self, half_side_cm: float) -> RhythmRules:
        dense = 1.0 if self.reward == "dense" else 0.0
        return RhythmRules(
            float(self.radius_cm),
            float(self.tolerance),
            float(half_side_cm),
            dense / half_side_cm,
            dense * self.speed_weight,
            dense * self.effort_weight,
            float(self.inside_reward),
        )


@compiled
def judge(last_judged, judged, before, after, target, action, rules, first, last):  # type: ignore[no-untyped-def]
    """Write the judgements of trials.

    Parameters
    ----------
    last_judged, judged : ndarray (B, 16)
        Judgement of the last step and of this one: the columns of `ndbmi_gym.tasks.Judged`, of
        which the distance is that from the demanded circle, and the last turns around the centre,
        rad.
    before, after : ndarray (B, 7 or more)
        States at the beginning and the end of the step, columns of `ndbmi_gym.plants.Column`.
    target : ndarray (B, 2)
        Demands.
    action : ndarray (B, n)
    rules : RhythmRules
    first, last : int
        Trials from `first` to before `last`.
    """
    n_electrodes = action.shape[1]
    for b in range(first, last):
        from_x, from_y, x, y = before[b, _X], before[b, _Y], after[b, _X], after[b, _Y]
        turn = math.atan2(from_x * y - from_y * x, from_x * x + from_y * y)
        turned = turn
        for k in range(_N_TURNS):
            turned += last_judged[b, _TURNS + k]
        step_s, speed = after[b, _TIME] - before[b, _TIME], 0.0
        if step_s > 0.0:  # a trial that begins has not moved
            speed = turned / (_WINDOW * step_s)
        distance = abs(math.sqrt(x * x + y * y) - target[b, 0])
        error = abs(speed - target[b, 1] / rules.half_side_cm)
        effort = 0.0
        for u in range(n_electrodes):
            effort += abs(action[b, u])
        effort /= n_electrodes
        inside = streak = for_inside = 0.0
        if distance < rules.radius_cm and error < rules.tolerance:
            inside, streak = 1.0, last_judged[b, _STREAK] + 1.0
            for_inside = rules.inside_reward
        for_errors = -rules.per_cm * distance - rules.per_speed * error
        for_effort = -rules.per_effort * effort
        judged[b, _REWARD] = for_errors + for_effort + for_inside
        judged[b, _DISTANCE], judged[b, _EFFORT] = distance, effort
        judged[b, _INSIDE], judged[b, _SUCCESS], judged[b, _STREAK] = inside, inside, streak
        judged[b, _ARRIVED], judged[b, _FAILED] = 0.0, 0.0
        judged[b, _REWARD_DISTANCE], judged[b, _REWARD_EFFORT] = for_errors, for_effort
        judged[b, _REWARD_BONUS], judged[b, _REWARD_INSIDE] = 0.0, for_inside
        judged[b, _REWARD_PENALTY] = 0.0
        for k in range(_N_TURNS - 1, 0, -1):
            judged[b, _TURNS + k] = last_judged[b, _TURNS + k - 1]
        judged[b, _TURNS] = turn
