"""Desired fields that depend on more than where the virtual point is (`ndbmi_gym.fields.TAKEN`)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import declare, integer, number, numbers, settle
from ndbmi_gym.compiled import compiled
from ndbmi_gym.fields import LEAST_CM, MOST, GaussianField, Point

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DampedField:
    """A Gaussian field that brakes: F = G(y) − b·ẏ, where the brake pulls at most so much.

    The velocity ẏ is that of successive virtual points, with all their noise: the bound keeps a
    single point far off from kicking the device.

    Attributes
    ----------
    center, amplitude, sigma
        Of the `ndbmi_gym.fields.GaussianField` G.
    damping : float
        b, kg/s. Negative: it drives the device on.
    most_braking : float
        Largest magnitude of the braking force, kg·cm/s².
    """

    center: Point = numbers((0.0, 0.0), (2,), "place of the equilibrium", "cm")
    amplitude: float = number(3.0, "peak force A", "kg·cm/s²", least=-MOST, most=MOST)
    sigma: float = number(
        7.0, "distance σ of the peak from the centre", "cm", least=LEAST_CM, most=MOST
    )
    damping: float = number(
        0.2, "braking force per speed of the virtual point b", "kg/s", least=-MOST, most=MOST
    )
    most_braking: float = number(3.0, "largest braking force", "kg·cm/s²", least=0, most=MOST)

    takes: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        settle(self)

    @property
    def _still(self) -> GaussianField:
        return GaussianField(self.center, self.amplitude, self.sigma)

    @property
    def target(self) -> Point | None:
        """The equilibrium, where the field attracts."""
        return self._still.target

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude (everywhere)."""
        return abs(self.amplitude) + self.most_braking

    def __call__(self, position: FloatArray, velocity: FloatArray | None = None) -> FloatArray:
        """Force (..., 2) at positions (..., 2) under velocities (..., 2); at rest without."""
        force = self._still(position)
        if velocity is None:
            return force
        brake = -self.damping * np.asarray(velocity, float)
        size = np.sqrt(brake[..., :1] ** 2 + brake[..., 1:] ** 2)
        return force + brake * np.minimum(1.0, self.most_braking / np.maximum(size, _TINY))


_TINY = 1e-300


def _electrodes(value: Any) -> tuple[int, ...]:
    """Numbers of electrodes; raises TypeError or ValueError."""
    found = tuple(map(integer, value))
    if not 1 <= len(found) == len(set(found)):
        raise ValueError
    return found


_RULE = "give different whole numbers, from -N to N - 1 with N electrodes"


@dataclass(frozen=True)
class ChoiceField:
    """Two Gaussian fields of which volition chooses: F = w·F₁(y) + (1 − w)·F₂(y).

    w = 1/(1 + exp(−slope·z)), with the difference z of the spikes on two groups of electrodes: the
    text's Discussion has the brain combine fields. Electrodes that the decoder hears, too, may be
    in a group; they then drag the virtual point along.

    Attributes
    ----------
    first, second : (float, float)
        Centres of F₁ and F₂, cm.
    amplitude : float
        Peak force of either, kg·cm/s².
    sigma : float
        Distance of the peak from the centre, cm.
    slope : float
        Per spike; the default is 10 over the 40 spikes of full volition on set 6.
    favouring, opposing : tuple of int
        Electrodes whose spikes favour F₁, and F₂. Negative numbers count from the last one.
    """

    first: Point = numbers((5.0, 0.0), (2,), "centre of the first field", "cm")
    second: Point = numbers((-5.0, 0.0), (2,), "centre of the second field", "cm")
    amplitude: float = number(3.0, "peak force of either", "kg·cm/s²", least=-MOST, most=MOST)
    sigma: float = number(
        7.0, "distance σ of the peak from the centre", "cm", least=LEAST_CM, most=MOST
    )
    slope: float = number(0.25, "of the weight by spikes", "1/spike", least=-MOST, most=MOST)
    favouring: tuple[int, ...] = declare(
        (-2,), "electrodes that favour the first field", _RULE, _electrodes
    )
    opposing: tuple[int, ...] = declare(
        (-1,), "electrodes that favour the second field", _RULE, _electrodes
    )

    takes: ClassVar[tuple[str, ...]] = ("counts",)
    target = None

    def __post_init__(self) -> None:
        settle(self)

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude (everywhere)."""
        return abs(self.amplitude)

    def weight(self, counts: IntArray) -> FloatArray:
        """Weight w of the first field, (...), by spikes on all electrodes (..., N).

        Raises
        ------
        ValueError
            If there are fewer electrodes than a group names.
        """
        n = counts.shape[-1]
        sums = []
        for name in ("favouring", "opposing"):
            group = getattr(self, name)
            if not all(-n <= electrode < n for electrode in group):
                raise ValueError(
                    f"{name} = {group}: there are {n} electrodes; give numbers from {-n} to {n - 1}"
                )
            sums.append(counts[..., list(group)].sum(axis=-1))
        weight = np.array(self.slope * (sums[0] - sums[1]), float, ndmin=1)
        _logistic(weight.reshape(-1))
        return weight.reshape(counts.shape[:-1])

    def __call__(self, position: FloatArray, counts: IntArray | None = None) -> FloatArray:
        """Force (..., 2) at positions (..., 2) under counts (..., N); of equal weights without."""
        weight = np.full(np.shape(position)[:-1], 0.5) if counts is None else self.weight(counts)
        first, second = (
            GaussianField(center, self.amplitude, self.sigma)(position)
            for center in (self.first, self.second)
        )
        return weight[..., None] * first + (1 - weight[..., None]) * second


@compiled
def _logistic(values):  # type: ignore[no-untyped-def]
    """Replace values (M,), one by one: a value's function is the same whatever lies beside it."""
    for i in range(values.size):
        values[i] = 1.0 / (1.0 + math.exp(min(-values[i], 700.0)))
