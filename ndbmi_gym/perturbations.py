"""Forces on the device that the interface does not know of (Eq 25), one set per trial.

A perturbation that is drawn for a trial is plain data, a row of the device's state: the strength c
of a curl field F = c·[[0, −1], [1, 0]]·v in kg/s (Eq 25; c > 0 deflects counter-clockwise) and a
constant push in kg·cm/s². The plant moves exactly under both. Any other force is a callable
``(position, velocity) -> force`` on (B, 2) arrays, which the plant integrates numerically.

A hidden schedule over episodes (blocks, catch trials, washout) belongs here, as another way of
drawing those rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
ForceLaw = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Draw:
    """Ranges from which the perturbation of a trial is drawn, uniformly and independently.

    Attributes
    ----------
    curl : (float, float)
        Range of the curl strength, kg/s. Equal ends fix it.
    push : ((float, float), (float, float))
        Range of each component of the constant force, kg·cm/s².
    """

    curl: tuple[float, float] = (0.0, 0.0)
    push: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))

    def __post_init__(self) -> None:
        for name, (low, high) in zip(("curl", "push", "push"), self.ranges(), strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ValueError(f"{name} range ({low}, {high}): give two finite ends, low <= high")

    def ranges(self) -> FloatArray:
        """Low and high of curl and both components of push, (3, 2)."""
        return np.array([self.curl, *self.push], dtype=float)

    def sample(self, rng: np.random.Generator, n_trials: int) -> FloatArray:
        """Curl strength and both components of push for each of `n_trials` trials, (B, 3)."""
        return self._low + self._span * rng.random((n_trials, 3))

    @cached_property
    def _low(self) -> FloatArray:
        return self.ranges()[:, 0]

    @cached_property
    def _span(self) -> FloatArray:
        return np.diff(self.ranges(), axis=1)[:, 0]


def make_draw(spec: Mapping[str, Any] | None) -> Draw:
    """Build a `Draw` from its JSON form.

    Parameters
    ----------
    spec : mapping or None
        ``"curl"``: a strength or a ``[low, high]`` range; ``"push"``: two forces, each a number or
        a range. None is no perturbation.

    Raises
    ------
    ValueError
        If a key is unknown or a value is not a number or a range.
    """
    if spec is None:
        return Draw()
    if not isinstance(spec, Mapping) or not set(spec) <= {"curl", "push"}:
        raise ValueError(
            f"perturbation {spec!r}: give a mapping with 'curl' (strength or [low, high]) and/or "
            "'push' (two forces), a callable (position, velocity) -> force, or None"
        )
    try:
        curl = _interval(spec.get("curl", 0.0))
        first, second = (_interval(component) for component in spec.get("push", (0.0, 0.0)))
    except (TypeError, ValueError):
        raise ValueError(
            f"perturbation {spec!r}: curl takes a number or [low, high], push two of them"
        ) from None
    return Draw(curl, (first, second))


def _interval(value: Any) -> tuple[float, float]:
    low, high = value if isinstance(value, list | tuple) else (value, value)
    return float(low), float(high)
