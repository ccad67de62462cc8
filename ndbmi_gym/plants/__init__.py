"""The device that the interface moves: what a plant is, and the state of B of them.

A plant is anything that satisfies `Plant`. The paper's is `ndbmi_gym.plants.point_mass`. All plants
share the columns of `Column`: where the end point is, how it moves, what force perturbs it, and how
long the trial has lasted. A plant with a state of its own appends columns.
"""

from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.parts import Registry
from ndbmi_gym.perturbations import N_FORCES, Force, ForceLaw, forces_of

FloatArray = npt.NDArray[np.float64]


class Column(IntEnum):
    """Columns of a device's state."""

    X = 0  #: cm
    Y = 1
    VX = 2  #: cm/s
    VY = 3
    FORCE_X = 4  #: all perturbing force, kg·cm/s²
    FORCE_Y = 5
    TIME = 6  #: since the trial began, s


POSITION = slice(Column.X, Column.Y + 1)
VELOCITY = slice(Column.VX, Column.VY + 1)
PERTURBING_FORCE = slice(Column.FORCE_X, Column.FORCE_Y + 1)


_N_COLUMNS = len(Column)  # looking it up takes longer


class Device(NamedTuple):
    """State of B devices and what perturbs them.

    Attributes
    ----------
    values : ndarray (B, 7 or more)
        The columns of `Column`, and those that a plant appends.
    forces : ndarray (B, 17)
        The columns of `ndbmi_gym.perturbations.Force`: the same throughout a trial.
    """

    values: FloatArray
    forces: FloatArray

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
        return self.forces[:, Force.CURL]

    @property
    def push(self) -> FloatArray:
        """Constant perturbing force, (B, 2), kg·cm/s²."""
        return self.forces[:, Force.PUSH_X : Force.K_XX]

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
        return Device(np.array(self.values[trials]), np.array(self.forces[trials]))

    def repeat(self, times: int) -> "Device":
        """Each device so many times in a row."""
        return Device(np.repeat(self.values, times, axis=0), np.repeat(self.forces, times, axis=0))


def placed(
    position: npt.ArrayLike,
    velocity: npt.ArrayLike = (0.0, 0.0),
    forces: npt.ArrayLike | None = None,
    appended: int = 0,
) -> Device:
    """Devices at positions (B, 2) at time 0; the other quantities are broadcast to them.

    Parameters
    ----------
    position, velocity : array_like (B, 2)
        cm, cm/s.
    forces : array_like (B, 17), optional
        Columns of `ndbmi_gym.perturbations.Force`; by default nothing perturbs the devices.
    appended : int
        Columns that a plant appends; they are 0.
    """
    positions = np.atleast_2d(np.asarray(position, dtype=float))
    values = np.zeros((len(positions), _N_COLUMNS + appended))
    values[:, POSITION], values[:, VELOCITY] = positions, velocity
    acting = np.empty((len(positions), N_FORCES))
    acting[:] = forces_of() if forces is None else forces
    return Device(values, acting)


class Plant(Protocol):
    """A device that forces move, and which perturbations act on.

    One whose `native(general)` tells how compiled code moves it, and by which numbers, is stepped
    as a whole (`ndbmi_gym.plants.point_mass.move`); `general` says whether forces go beyond curl
    and push.
    """

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
        forces: npt.ArrayLike | None = None,
    ) -> Device:
        """Put devices at positions (B, 2); the other quantities are broadcast to them."""

    def advance(self, state: Device, force: FloatArray) -> Device:
        """Move B devices for one step under constant forces (B, 2)."""


PLANTS: Registry[Plant] = Registry(
    "plant",
    ("step_s", "reach_cm", "max_speed", "within", "place", "advance"),
    {"point_mass": "ndbmi_gym.plants.point_mass:PointMass", "arm": "ndbmi_gym.plants.arm:Arm"},
)
"""Devices by name."""
