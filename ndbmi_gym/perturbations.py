"""Forces on the device that the interface does not know of (Eq 25), one set per trial.

A perturbation that is drawn for a trial is plain data: the strength c of a curl field
F = c·[[0, −1], [1, 0]]·v in kg/s (Eq 25; c > 0 deflects counter-clockwise) and a constant push in
kg·cm/s². A plant moves exactly under both. Any other force is a *law*: a callable
``(position, velocity) -> force``, or ``(position, velocity, time) -> force`` with the time since
the trial began, on (B, 2) arrays, which the plant integrates numerically.

Which perturbation belongs to which trial is what a *schedule* says: `Draw` gives every trial the
same distribution, `ndbmi_gym.schedules.Blocks` depends on the trial's number. One's own is an
object with `ranges`, `sample` and `law`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, cached_property
from inspect import Parameter, signature
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import RuleError, declare, nested, real, settle
from ndbmi_gym.parts import Registry, attribute
from ndbmi_gym.streams import Source

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ForceLaw = Callable[..., FloatArray]
Range = tuple[float, float]

MOST_CURL, MOST_PUSH = 1e3, 1e6
"""Largest strength of a curl field, kg/s, and of a push, kg·cm/s²."""


class Force(IntEnum):
    """Columns of a perturbation as data, (B, 3)."""

    CURL = 0
    PUSH_X = 1
    PUSH_Y = 2


_N_FORCES = len(Force)


class Perturbation(Protocol):
    """A schedule: which force acts in which trial."""

    @property
    def law(self) -> ForceLaw | None:
        """A further force, the same in every trial."""

    def ranges(self) -> FloatArray:
        """Low and high over all trials of the columns of `Force`, (3, 2)."""

    def sample(self, rng: Source, trial: IntArray) -> FloatArray:
        """Forces of trials with these numbers (B,), columns of `Force`, (B, 3)."""


def _range(value: Any, most: float) -> Range:
    """A number, or a pair low <= high of them, as a pair."""
    try:
        low = high = real(value)
    except TypeError:
        low, high = nested(value, (2,))
    if not -most <= low <= high <= most:
        raise RuleError(f"low <= high, and neither beyond {most:g}")
    return low, high


def _pair(value: Any) -> tuple[Range, Range]:
    first, second = list(value)
    return _range(first, MOST_PUSH), _range(second, MOST_PUSH)


def _law(value: Any) -> ForceLaw | None:
    if isinstance(value, Mapping):
        options = dict(value)
        return _law(attribute(options.pop("kind", ""))(**options))
    found = attribute(value) if isinstance(value, str) else value
    if isinstance(found, type):
        found = _only(found)
    if not (found is None or callable(found)):
        raise TypeError
    return found


@cache
def _only(law: type) -> Any:
    """The one law of a class, so that what is made again has the same."""
    return law()


@dataclass(frozen=True)
class Draw:
    """Ranges from which the perturbation of every trial is drawn, uniformly and independently.

    Attributes
    ----------
    curl : (float, float)
        Range of the curl strength, kg/s. A number fixes it.
    push : ((float, float), (float, float))
        Range of each component of the constant force, kg·cm/s².
    law : callable, str or None
        A further force, or its ``"module:attribute"``.

    Raises
    ------
    ValueError
        If a range is none.
    """

    curl: Range = declare(
        (0.0, 0.0),
        "strength of the curl field, or the range that it is drawn from",
        f"give a strength or [low, high], at most {MOST_CURL:g} kg/s",
        lambda value: _range(value, MOST_CURL),
        "kg/s",
    )
    push: tuple[Range, Range] = declare(
        ((0.0, 0.0), (0.0, 0.0)),
        "constant force, each component a number or a range",
        f"give two forces, each a number or [low, high], at most {MOST_PUSH:g} kg·cm/s²",
        _pair,
        "kg·cm/s²",
    )
    law: ForceLaw | None = declare(
        None,
        "a further force (position, velocity[, time]) -> force",
        "give a callable (position, velocity[, time]) -> force, or its 'module:attribute'",
        _law,
    )

    def __post_init__(self) -> None:
        settle(self)

    def ranges(self) -> FloatArray:
        """Low and high of curl and both components of push, (3, 2)."""
        return np.array([self.curl, *self.push], dtype=float)

    def sample(self, rng: Source, trial: IntArray) -> FloatArray:
        """Forces of trials with these numbers (B,), whatever they are, (B, 3)."""
        return self._low + self._span * rng.random((len(trial), _N_FORCES))

    @cached_property
    def _low(self) -> FloatArray:
        return self.ranges()[:, 0]

    @cached_property
    def _span(self) -> FloatArray:
        return np.diff(self.ranges(), axis=1)[:, 0]


def takes_time(law: ForceLaw) -> bool:
    """Whether a law is of (position, velocity, time)."""
    try:
        known = signature(law).parameters.values()
    except (TypeError, ValueError):  # a compiled function may not tell
        return False
    places = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in places and each.default is each.empty for each in known) == 3


PERTURBATIONS: Registry[Perturbation] = Registry(
    "perturbation",
    ("ranges", "sample", "law"),
    {"draw": Draw, "blocks": "ndbmi_gym.schedules:Blocks"},
)
"""Schedules of perturbations by name."""


def make_perturbation(spec: Mapping[str, Any] | str | Perturbation | ForceLaw | None) -> Any:
    """Build a perturbation.

    Parameters
    ----------
    spec : mapping, str, Perturbation, callable or None
        ``{"curl": ..., "push": ..., "law": ...}``, the options of `Draw`; a name or mapping of
        `PERTURBATIONS`; ``"module:attribute"`` of a schedule or a law; or either as an object.
        None is no perturbation.

    Raises
    ------
    ValueError
        If it is none of these, or a value is out of range.
    """
    return PERTURBATIONS.checked(choose_perturbation(spec).part())


def choose_perturbation(spec: Any) -> Any:
    """The choice (`ndbmi_gym.parts.Choice`) that a specification means, a law as a `Draw` of it."""
    if spec is None:
        spec = {}
    if not isinstance(spec, str | Mapping) and callable(spec) and not PERTURBATIONS.fits(spec):
        spec = {"law": spec}
    chosen = PERTURBATIONS.choose(spec, "draw")
    if not (chosen.made or ":" not in chosen.kind):
        made = chosen.part()
        if PERTURBATIONS.fits(made):
            return chosen
        law = made if chosen.options else chosen.kind  # a name can be written down
        return PERTURBATIONS.choose({"law": law}, "draw")
    if chosen.made and not PERTURBATIONS.fits(chosen.make):
        return PERTURBATIONS.choose({"law": chosen.kind} | chosen.options, "draw")
    return chosen
