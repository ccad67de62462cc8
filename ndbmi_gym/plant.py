"""The device: a point mass in a viscous plane, moved exactly over one step (Eqs 13 and 25).

Within a step the commanded force is constant, so with drag −b·v, a curl field c·J·v and a constant
push the motion m·dv/dt = F + (c·J − b)·v + push is linear. In complex numbers, x + i·y, J is
multiplication by i and the whole step is scalar: with λ = (−b + i·c)/m,

    v(t) = v₀·e^{λt} + a·φ₁(t),   x(t) = x₀ + v₀·φ₁(t) + a·φ₂(t),

φ₁ = (e^{λt} − 1)/λ, φ₂ = (φ₁ − t)/λ and a the constant acceleration.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from ndbmi_gym.perturbations import ForceLaw

FloatArray = npt.NDArray[np.float64]


class Device(NamedTuple):
    """State of B point masses and of what perturbs them.

    Attributes
    ----------
    values : ndarray (B, 9)
        Position (cm), velocity (cm/s), curl strength (kg/s), push (kg·cm/s²), and the perturbing
        force (kg·cm/s²) that all this makes.
    """

    values: FloatArray

    @property
    def position(self) -> FloatArray:
        """Position, (B, 2), cm."""
        return self.values[:, 0:2]

    @property
    def velocity(self) -> FloatArray:
        """Velocity, (B, 2), cm/s."""
        return self.values[:, 2:4]

    @property
    def curl(self) -> FloatArray:
        """Strength of the curl field, (B,), kg/s."""
        return self.values[:, 4]

    @property
    def push(self) -> FloatArray:
        """Constant perturbing force, (B, 2), kg·cm/s²."""
        return self.values[:, 5:7]

    @property
    def perturbing_force(self) -> FloatArray:
        """All that acts on the masses beside the command and the drag, (B, 2), kg·cm/s²."""
        return self.values[:, 7:9]

    def select(self, trials: npt.NDArray[Any]) -> "Device":
        """Some of the masses, copied."""
        return Device(self.values[trials])


@dataclass(frozen=True)
class Plant:
    """A point mass in a viscous plane.

    Attributes
    ----------
    mass : float
        m, kg.
    viscosity : float
        Drag coefficient b, kg/s.
    step_s : float
        Duration Δt of one step of the loop, s.
    wall_cm : float
        Half side of an inelastic box: a mass found beyond it at the end of a step is put on it and
        loses the velocity component across it. Infinite for an open plane.
    law : callable, optional
        A further force ``(position, velocity) -> force``; motion is then integrated by fixed-step
        fourth-order Runge-Kutta.
    substeps : int
        Runge-Kutta steps per step of the loop.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the law returns another shape or a force that is not
        finite.
    """

    mass: float = 0.5
    viscosity: float = 1.0
    step_s: float = 0.5
    wall_cm: float = 20.0
    law: ForceLaw | None = None
    substeps: int = 50

    def __post_init__(self) -> None:
        for name in ("mass", "step_s", "substeps"):
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise ValueError(f"{name} = {value!r}: give a finite value > 0")
        if not self.wall_cm > 0:
            raise ValueError(f"wall_cm = {self.wall_cm!r}: give a value > 0 cm, or infinity")
        if self.law is not None:
            self._outer_force(np.zeros((3, 2)), np.zeros((3, 2)), self.law)
        if not (np.isfinite(self.viscosity) and self.viscosity >= 0):
            raise ValueError(f"viscosity = {self.viscosity!r}: give a finite value >= 0 kg/s")

    def place(
        self,
        position: npt.ArrayLike,
        velocity: npt.ArrayLike = (0.0, 0.0),
        curl: npt.ArrayLike = 0.0,
        push: npt.ArrayLike = (0.0, 0.0),
    ) -> Device:
        """Put masses at positions (B, 2); the other quantities are broadcast to them."""
        positions = np.atleast_2d(np.asarray(position, dtype=float))
        values = np.empty((len(positions), 9))
        values[:, 0:2], values[:, 2:4] = positions, velocity
        values[:, 4], values[:, 5:7] = curl, push
        return self._with_perturbing_force(values)

    def advance(self, state: Device, force: FloatArray) -> Device:
        """Move B masses for one step under constant forces (B, 2)."""
        if self.law is None:
            return Device(
                _exact_step(
                    state.values, force, self.mass, self.viscosity, self.step_s, self.wall_cm
                )
            )
        moved = self._runge_kutta(state, force, self.law)
        _stop_at_wall(moved, self.wall_cm)
        return self._with_perturbing_force(moved)

    def _with_perturbing_force(self, values: FloatArray) -> Device:
        values[:, 7:9] = _curl_and_push(values)
        if self.law is not None:
            values[:, 7:9] += self._outer_force(values[:, 0:2], values[:, 2:4], self.law)
        return Device(values)

    @staticmethod
    def _outer_force(position: FloatArray, velocity: FloatArray, law: ForceLaw) -> FloatArray:
        force = np.asarray(law(position, velocity), dtype=float)
        if force.shape != position.shape or not np.isfinite(force).all():
            raise ValueError(
                f"the perturbation returned shape {force.shape} for {len(position)} trials, or NaN "
                f"or infinity: return one finite force per trial, shape {position.shape}"
            )
        return force

    def _runge_kutta(self, state: Device, force: FloatArray, law: ForceLaw) -> FloatArray:
        def slope(values: FloatArray) -> FloatArray:
            now = Device(values)
            outer = self._outer_force(now.position, now.velocity, law)
            total = force + _curl_and_push(values) + outer - self.viscosity * now.velocity
            change = np.zeros_like(values)
            change[:, 0:2], change[:, 2:4] = now.velocity, total / self.mass
            return change

        h = self.step_s / self.substeps
        values = state.values
        for _ in range(self.substeps):
            k1 = slope(values)
            k2 = slope(values + h / 2 * k1)
            k3 = slope(values + h / 2 * k2)
            k4 = slope(values + h * k3)
            values = values + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return values


@numba.njit(cache=True)
def _curl_and_push(values):  # type: ignore[no-untyped-def]
    force = np.empty((values.shape[0], 2))
    for b in range(values.shape[0]):
        force[b, 0] = values[b, 5] - values[b, 4] * values[b, 3]
        force[b, 1] = values[b, 6] + values[b, 4] * values[b, 2]
    return force


@numba.njit(cache=True)
def _stop_at_wall(values, wall_cm):  # type: ignore[no-untyped-def]
    for b in range(values.shape[0]):
        for d in range(2):
            if abs(values[b, d]) > wall_cm:
                values[b, d] = wall_cm if values[b, d] > 0 else -wall_cm
                values[b, 2 + d] = 0.0


@numba.njit(cache=True)
def _exact_step(values, force, mass, viscosity, step_s, wall_cm):  # type: ignore[no-untyped-def]
    moved = values.copy()
    growth = phi1 = phi2 = complex(0.0, 0.0)
    for b in range(values.shape[0]):
        if b == 0 or values[b, 4] != values[b - 1, 4]:  # trials mostly share their curl
            rate = complex(-viscosity, values[b, 4]) / mass
            z = rate * step_s
            growth = np.exp(z)
            if abs(z) < 1e-3:
                # the closed forms cancel near zero; these series err by less than 1e-15 there
                phi1 = step_s * (1 + z / 2 * (1 + z / 3 * (1 + z / 4 * (1 + z / 5))))
                phi2 = step_s**2 / 2 * (1 + z / 3 * (1 + z / 4 * (1 + z / 5)))
            else:
                phi1 = (growth - 1) / rate
                phi2 = (phi1 - step_s) / rate
        v = complex(values[b, 2], values[b, 3])
        a = complex(force[b, 0] + values[b, 5], force[b, 1] + values[b, 6]) / mass
        x = complex(values[b, 0], values[b, 1]) + v * phi1 + a * phi2
        v = v * growth + a * phi1
        moved[b, 0], moved[b, 1], moved[b, 2], moved[b, 3] = x.real, x.imag, v.real, v.imag
    _stop_at_wall(moved, wall_cm)
    moved[:, 7:9] = _curl_and_push(moved)
    return moved
