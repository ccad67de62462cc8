"""How late and how truly the interface knows where the device is.

A stimulus is that of the region of x(t − d) + σξ, where d is a number of steps of the loop and ξ is
standard normal; before d steps have passed in a trial, x is the start. What an agent observes of
the device's state is as late, with the same noise on the position.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import number, settle, whole
from ndbmi_gym.compiled import compiled
from ndbmi_gym.plants import POSITION, Device
from ndbmi_gym.streams import Streams

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Senses:
    """Delay and noise of what the interface senses.

    Attributes
    ----------
    delay_steps : int
        Steps d of the loop by which the device's state is known late.
    noise_cm : float
        Standard deviation σ of either coordinate of the sensed position.
    """

    delay_steps: int = whole(
        0, "steps by which the device's state is sensed late", least=0, most=1000
    )
    noise_cm: float = number(
        0.0, "standard deviation of the sensed position's noise", "cm", least=0, most=1e6
    )

    def __post_init__(self) -> None:
        settle(self)

    @property
    def most_noise_cm(self) -> float:
        """Bound of the noise of either coordinate, cm: no uniform number is nearer to 1."""
        return self.noise_cm * (2 * 53 * math.log(2)) ** 0.5

    @property
    def active(self) -> bool:
        """Whether what is sensed differs from what is."""
        return self.delay_steps > 0 or self.noise_cm > 0

    def begun(self, device: Device) -> FloatArray:
        """What there is to be sensed of devices that have just been placed, (B, d + 1, columns)."""
        return np.repeat(device.values[:, None], self.delay_steps + 1, axis=1)

    def after(self, past: FloatArray, device: Device) -> FloatArray:
        """The same after a step."""
        return np.concatenate((past[:, 1:], device.values[:, None]), axis=1)

    def sense(self, past: FloatArray, forces: FloatArray, streams: Streams) -> Device:
        """States of devices as they are sensed, with noise from their streams."""
        values = past[:, 0].copy()
        if self.noise_cm > 0:
            values[:, POSITION] += self.noise_cm * standard_normal(streams.random((len(past), 2)))
        return Device(values, forces)


def standard_normal(share: FloatArray) -> FloatArray:
    """Pairs of standard normal numbers from pairs of uniform ones in [0, 1), (B, 2).

    References
    ----------
    Box, Muller 1958, Ann. Math. Statist. 29:610.
    """
    drawn = np.empty_like(share)
    _box_muller(share, drawn)
    return drawn


@compiled
def _box_muller(share, drawn):  # type: ignore[no-untyped-def]
    for b in range(share.shape[0]):
        size = math.sqrt(-2.0 * math.log(1.0 - share[b, 0]))
        angle = 2.0 * math.pi * share[b, 1]
        drawn[b, 0], drawn[b, 1] = size * math.cos(angle), size * math.sin(angle)
