"""Reach a target on the straight line from the start: who is deflected, pays."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import number
from ndbmi_gym.compiled import compiled
from ndbmi_gym.plants import Column
from ndbmi_gym.tasks import N_JUDGED, Judged
from ndbmi_gym.tasks.reach import Reach
from ndbmi_gym.tasks.reach import judge as judge_reach

FloatArray = npt.NDArray[np.float64]

# plain numbers: members of an enumeration take longer to compile
_REWARD, _STREAK, _PENALTY = map(int, (Judged.REWARD, Judged.STREAK, Judged.REWARD_PENALTY))
_X, _Y = int(Column.X), int(Column.Y)
_START_X, _START_Y = N_JUDGED, N_JUDGED + 1


class StraightRules(NamedTuple):
    """What a step's judgement depends on beside the step: those of `Reach`, and a price.

    Attributes
    ----------
    radius_cm, dwell, per_cm, per_effort, bonus, inside_reward : float
        Of `ndbmi_gym.tasks.reach.Rules`.
    per_deviation : float
        Price of a cm beside the line.
    """

    radius_cm: float
    dwell: float
    per_cm: float
    per_effort: float
    bonus: float
    inside_reward: float
    per_deviation: float


@dataclass(frozen=True)
class Straight(Reach):
    """`Reach`, at a price for the distance from the straight line between start and target.

    Without it, a bent reach costs hardly more than a straight one, and little is gained by learning
    what bends it.

    Attributes
    ----------
    deviation_weight : float
        Price of a cm beside the line at the end of a step, in the dense reward. It is told as
        ``reward_penalty``.
    """

    deviation_weight: float = number(
        0.1, "price of a cm beside the line from start to target, at each step", least=0, most=1e6
    )

    n_memory: ClassVar[int] = 2  # where the trial started

    def _judging(self, half_side_cm: float) -> tuple[Any, Any]:
        price = self.deviation_weight if self.reward == "dense" else 0.0
        return judge, StraightRules(*self._rules(half_side_cm), price)


@compiled
def judge(last_judged, judged, before, after, target, action, rules, first, last):  # type: ignore[no-untyped-def]
    """Write the judgements of trials: those of `Reach`, less the price of deviation.

    Parameters
    ----------
    last_judged, judged : ndarray (B, 15)
        Judgement of the last step and of this one: the columns of `ndbmi_gym.tasks.Judged`, and
        where the trial started, cm.
    before, after : ndarray (B, 7 or more)
        States at the beginning and the end of the step, columns of `ndbmi_gym.plants.Column`.
    target : ndarray (B, 2)
        cm.
    action : ndarray (B, n)
    rules : StraightRules
    first, last : int
        Trials from `first` to before `last`.
    """
    judge_reach(last_judged, judged, before, after, target, action, rules, first, last)
    for b in range(first, last):
        start_x, start_y = last_judged[b, _START_X], last_judged[b, _START_Y]
        if last_judged[b, _STREAK] < 0.0:  # the trial begins
            start_x, start_y = before[b, _X], before[b, _Y]
        judged[b, _START_X], judged[b, _START_Y] = start_x, start_y
        way_x, way_y = target[b, 0] - start_x, target[b, 1] - start_y
        x, y = after[b, _X] - start_x, after[b, _Y] - start_y
        length = math.sqrt(way_x * way_x + way_y * way_y)
        deviation = math.sqrt(x * x + y * y)  # from the point that both are
        if length > 0.0:
            deviation = abs(way_x * y - way_y * x) / length
        judged[b, _PENALTY] = -rules.per_deviation * deviation
        judged[b, _REWARD] += judged[b, _PENALTY]
