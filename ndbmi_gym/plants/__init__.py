"""The device that the interface moves: what a plant is, and the state of B of them.

A plant is anything that satisfies `Plant`. The paper's is `ndbmi_gym.plants.point_mass`. All plants
share the columns of `Column`: where the end point is, how it moves, what perturbs it, and how long
the trial has lasted. A plant with a state of its own appends columns.
"""

from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.parts import Registry
from ndbmi_gym.perturbations import ForceLaw

FloatArray = npt.NDArray[np.float64]


class Column(IntEnum):
    """Columns of a device's state."""

    X = 0  #: cm
    Y = 1
    VX = 2  #: cm/s
    VY = 3
    CURL = 4  #: kg/s
    PUSH_X = 5  #: kg·cm/s²
    PUSH_Y = 6
    FORCE_X = 7  #: all perturbing force, kg·cm/s²
    FORCE_Y = 8
    TIME = 9  #: since the trial began, s


POSITION = slice(Column.X, Column.Y + 1)
VELOCITY = slice(Column.VX, Column.VY + 1)
PUSH = slice(Column.PUSH_X, Column.PUSH_Y + 1)
PERTURBING_FORCE = slice(Column.FORCE_X, Column.FORCE_Y + 1)


_N_COLUMNS, _CURL = len(Column), int(Column.CURL)  # looking them up takes longer


class Device(NamedTuple):
    """State of B devices and of what perturbs them.

    Attributes
    ----------
    values : ndarray (B, 10 or more)
        The columns of `Column`, and those that a plant appends.
    """

    values: FloatArray

    @property
    def position(self) -> FloatArray:
        """Position of the end point, (B, 2), cm."""
        return self.values[:, POSITION]

    @property
    def velocity(self) -> FloatArray:
        """Velocity of the end point, (B, 2), cm/s."""
        return self.values[:, VELOCITY]

    @property
    def curl(self) -> FloatArray:
        """Strength of the curl field, (B,), kg/s."""
        return self.values[:, Column.CURL]

    @property
    def push(self) -> FloatArray:
        """Constant perturbing force, (B, 2), kg·cm/s²."""
        return self.values[:, PUSH]

    @property
    def perturbing_force(self) -> FloatArray:
        """All that acts on the devices beside command and drag, (B, 2), kg·cm/s²."""
        return self.values[:, PERTURBING_FORCE]

    @property
    def time_s(self) -> FloatArray:
        """Time since the trial began, (B,), s."""
        return self.values[:, Column.TIME]

    def select(self, trials: Any) -> "Device":
        """Some of the devices, copied."""
        return Device(np.array(self.values[trials]))


def placed(
    position: npt.ArrayLike,
    velocity: npt.ArrayLike = (0.0, 0.0),
    curl: npt.ArrayLike = 0.0,
    push: npt.ArrayLike = (0.0, 0.0),
    appended: int = 0,
) -> Device:
    """Devices at positions (B, 2) at time 0; the other quantities are broadcast to them.

    Parameters
    ----------
    position, velocity : array_like (B, 2)
        cm, cm/s.
    curl : array_like (B,)
        kg/s.
    push : array_like (B, 2)
        kg·cm/s².
    appended : int
        Columns that a plant appends; they are 0.
    """
    positions = np.atleast_2d(np.asarray(position, dtype=float))
    values = np.zeros((len(positions), _N_COLUMNS + appended))
    values[:, POSITION], values[:, VELOCITY] = positions, velocity
    values[:, _CURL], values[:, PUSH] = curl, push
    return Device(values)


class Plant(Protocol):
    """A device that forces move, and which perturbations act on."""

    @property
    def step_s(self) -> float:
        """Duration of one step of the loop, s."""

    @property
    def reach_cm(self) -> float:
        """Bound of either coordinate of the end point, cm."""

    def max_speed(self, force: float) -> float:
        """Bound of the end point's speed under commands and pushes of a magnitude, cm/s.

        Infinite if there is none. A law is not part of it.
        """

    def within(self, half_side_cm: float, law: ForceLaw | None) -> "Plant":
        """The plant in a workspace of half side L, with a further force on it."""

    def place(
        self,
        position: npt.ArrayLike,
        velocity: npt.ArrayLike = (0.0, 0.0),
        curl: npt.ArrayLike = 0.0,
        push: npt.ArrayLike = (0.0, 0.0),
    ) -> Device:
        """Put devices at positions (B, 2); the other quantities are broadcast to them."""

    def advance(self, state: Device, force: FloatArray) -> Device:
        """Move B devices for one step under constant forces (B, 2)."""


PLANTS: Registry[Plant] = Registry(
    "plant",
    ("step_s", "reach_cm", "max_speed", "within", "place", "advance"),
    {"point_mass": "ndbmi_gym.plants.point_mass:PointMass"},
)
"""Devices by name."""
