"""Desired fields that depend on more than where the virtual point is (`ndbmi_gym.fields.TAKEN`)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import number, numbers, settle
from ndbmi_gym.fields import LEAST_CM, MOST, GaussianField, Point

FloatArray = npt.NDArray[np.float64]


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
