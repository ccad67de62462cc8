"""A point mass in a viscous plane, moved exactly over one step (Eqs 13 and 25).

Within a step the commanded force is constant, so with drag −b·v, a curl field c·J·v and a constant
push the motion m·dv/dt = F + (c·J − b)·v + push is linear. In complex numbers, x + i·y, J is
multiplication by i and the whole step is scalar: with λ = (−b + i·c)/m,

    v(t) = v₀·e^{λt} + a·φ₁(t),   x(t) = x₀ + v₀·φ₁(t) + a·φ₂(t),

φ₁ = (e^{λt} − 1)/λ, φ₂ = (φ₁ − t)/λ and a the constant acceleration. Real and imaginary parts are
written out below: numba takes five times as long to compile complex numbers.

Under any other linear law (`ndbmi_gym.perturbations`) state and force go linearly into the state at
the end, too: x and v are mapped by E = e^{At}, the force by G = ∫e^{As}ds·(0, 1/m), where
A = [[0, 1], [K/m, (B + c·J − b)/m]]. Both are series over a short time, doubled as often as it
takes. A law that begins or ends within a step holds in its part of the step.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import declare, internal, number, real, settle, shown, whole
from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.perturbations import Force, ForceLaw, beyond, beyond_curl_and_push, takes_time
from ndbmi_gym.plants import POSITION, VELOCITY, Column, Device, FloatArray, placed

# plain numbers: members of an enumeration take longer to compile
_X, _Y, _VX, _VY, _FORCE_X, _FORCE_Y, _TIME = map(int, Column)
_CURL, _PUSH_X, _PUSH_Y, _K, _K_XY, _K_YX, _K_YY, _CX, _CY, _B, _B_XY, _B_YX, _B_YY = range(13)
_FROM, _UNTIL = int(Force.FROM), int(Force.UNTIL)

_FINE = 0.5  # Runge-Kutta steps are at most this many time constants of the law
_MOST_SUBSTEPS = 5000
_PROBED_STEPS = 64  # of a law of time
_MOST_GROWTH = 300.0  # time constants by which a law may drive a mass away within a step
_PROBE_CM, _PROBE_CM_S = 1e-3, 1e-3  # steps of the finite differences that tell how stiff a law is


class Motion(NamedTuple):
    """What one exact step depends on beside the state and the force.

    Attributes
    ----------
    mass : float
        m, kg.
    viscosity : float
        Drag coefficient b, kg/s.
    step_s : float
        Duration of the step, s.
    wall_cm : float
        Half side of the box; infinite for an open plane.
    """

    mass: float
    viscosity: float
    step_s: float
    wall_cm: float


def _wall(value: object) -> float:
    if value == float("inf"):
        return float("inf")
    given = real(value)
    if not given > 0:
        raise ValueError
    return given


@dataclass(frozen=True)
class PointMass:
    """A point mass in a viscous plane.

    Attributes
    ----------
    mass : float
        m, kg.
    viscosity : float
        Drag coefficient b, kg/s.
    step_s : float
        Duration Δt of one step of the loop, s.
    wall_cm : float or None
        Half side of an inelastic box: a mass found beyond it at the end of a step is put on it and
        loses the velocity component across it. Infinite for an open plane. None: twice the
        workspace's half side, and open without a workspace.
    law : callable, optional
        A further force ``(position, velocity[, time]) -> force``; motion is then integrated by
        fixed-step fourth-order Runge-Kutta.
    substeps : int
        Least Runge-Kutta steps per step of the loop; there are more where the law is stiff.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the law returns another shape, a force that is not
        finite, or is stiffer than can be followed.
    """

    mass: float = number(0.5, "mass m", "kg", least=1e-6, most=1e6)
    viscosity: float = number(1.0, "drag b", "kg/s", least=0, most=1e6)
    step_s: float = number(0.5, "duration of a step of the loop", "s", least=1e-6, most=1e3)
    wall_cm: float | None = declare(
        None,
        "half side of the box that holds the mass; None: twice the workspace's",
        "give a number > 0 cm, infinity or None",
        lambda value: None if value is None else _wall(value),
        "cm",
    )
    law: ForceLaw | None = internal(None)  # the perturbation's
    substeps: int = whole(50, "least Runge-Kutta steps under a law", least=1, most=_MOST_SUBSTEPS)

    def __post_init__(self) -> None:
        settle(self)
        if self.law is not None:
            still = np.zeros((3, 2))
            self._outer_force(self.law, still, still, np.zeros(3))

    @cached_property
    def reach_cm(self) -> float:
        """Bound of either coordinate, cm."""
        return float("inf") if self.wall_cm is None else self.wall_cm

    def native(self, general: bool) -> tuple[Any, Motion] | None:
        """How compiled code moves masses, and what it is to be told.

        None under a law, or where a class of one's own advances in another way.

        Parameters
        ----------
        general : bool
            Whether forces go beyond curl and push.
        """
        if self.law is not None or type(self).advance is not PointMass.advance:
            return None
        return (move_under_any if general else move), self._motion

    @cached_property
    def _motion(self) -> Motion:
        return Motion(self.mass, self.viscosity, self.step_s, self.reach_cm)

    def max_speed(self, force: float) -> float:
        """Bound of the speed: drag and force balance there, and curl does no work."""
        return force / self.viscosity if self.viscosity > 0 else float("inf")

    def within(self, half_side_cm: float, law: ForceLaw | None) -> "PointMass":
        """The mass in a workspace of half side L, with a further force on it.

        Raises
        ------
        ValueError
            If the law is so stiff that it cannot be followed.
        """
        wall = 2 * half_side_cm if self.wall_cm is None else self.wall_cm
        if law is None:
            return replace(self, wall_cm=wall)
        needed = self._needed(law, half_side_cm)
        return replace(self, wall_cm=wall, law=law, substeps=max(self.substeps, needed))

    def place(
        self,
        position: npt.ArrayLike,
        velocity: npt.ArrayLike = (0.0, 0.0),
        forces: npt.ArrayLike | None = None,
    ) -> Device:
        """Put masses at positions (B, 2); the other quantities are broadcast to them.

        Raises
        ------
        ValueError
            If a force drives the mass away faster than numbers can tell.
        """
        device = placed(position, velocity, forces)
        if beyond_curl_and_push(device.forces):
            self._check_growth(device.forces)
        self._feel(device)
        return device

    def advance(self, state: Device, force: FloatArray) -> Device:
        """Move B masses for one step under constant forces (B, 2)."""
        if self.law is None:
            values, forces = state.values.copy(), state.forces
            moving = move_under_any if beyond_curl_and_push(forces) else move
            moving(state.values, values, forces, force, self._motion, 0, len(values))
            return Device(values, forces)
        moved = Device(self._runge_kutta(state, force, self.law), state.forces)
        moved.time_s[:] = state.time_s + self.step_s
        _stop_all(moved.values, self.reach_cm)
        self._feel(moved)
        return moved

    def _check_growth(self, forces: FloatArray) -> None:
        """Raise ValueError if a linear law drives the mass away too fast."""
        for row in np.unique(forces, axis=0):
            slopes = np.zeros((4, 4))
            slopes[:2, 2:] = np.eye(2)
            slopes[2:, :2] = row[_K:_CX].reshape(2, 2)
            slopes[2:, 2:] = row[_B:_FROM].reshape(2, 2) - self.viscosity * np.eye(2)
            slopes[2, 3] -= row[_CURL]
            slopes[3, 2] += row[_CURL]
            slopes[2:] /= self.mass
            growth = float(np.linalg.eigvals(slopes).real.max())
            if growth * self.step_s > _MOST_GROWTH:
                raise ValueError(
                    f"the perturbation drives the mass away {growth * self.step_s:.3g} time "
                    f"constants within a step (at most {_MOST_GROWTH:g}): lower spring or viscous, "
                    "raise the mass or shorten step_s"
                )

    def _feel(self, device: Device) -> None:
        """Note all perturbing force."""
        feel(device.values, device.forces, 0, len(device.values))
        if self.law is not None:
            device.perturbing_force[:] += self._outer_force(
                self.law, device.position, device.velocity, device.time_s
            )

    @cached_property
    def _timed(self) -> bool:
        return self.law is not None and takes_time(self.law)

    def _outer_force(
        self, law: ForceLaw, position: FloatArray, velocity: FloatArray, time_s: FloatArray
    ) -> FloatArray:
        timed = self._timed if law is self.law else takes_time(law)
        try:
            made = law(position, velocity, time_s) if timed else law(position, velocity)
            force = np.asarray(made, dtype=float)
        except TypeError as error:
            raise ValueError(
                f"law = {shown(law)}: {error}; give a callable (position, velocity[, time]) -> "
                f"force on arrays, here of shape {position.shape}"
            ) from error
        if force.shape != position.shape or not np.isfinite(force).all():
            raise ValueError(
                f"the perturbation returned shape {force.shape} for {len(position)} trials, or NaN "
                f"or infinity: return one finite force per trial, shape {position.shape}"
            )
        return force

    def _needed(self, law: ForceLaw, half_side_cm: float) -> int:
        """Runge-Kutta steps that follow a law, by its slopes throughout the workspace.

        Of a law of time, at the beginnings of the first 64 steps of a trial, too.

        Raises
        ------
        ValueError
            If there would be too many.
        """
        if takes_time(law):  # it may stiffen later
            return max(
                self._needed_at(law, half_side_cm, k * self.step_s) for k in range(_PROBED_STEPS)
            )
        return self._needed_at(law, half_side_cm, 0.0)

    def _needed_at(self, law: ForceLaw, half_side_cm: float, time_s: float) -> int:
        """The same at a time in the trial."""
        axis = np.linspace(-half_side_cm, half_side_cm, 5)
        places = np.stack(np.meshgrid(axis, axis, axis, axis), axis=-1).reshape(-1, 4)
        position, velocity = (
            np.ascontiguousarray(places[:, POSITION]),
            places[:, VELOCITY] / self.step_s,
        )
        still = np.full(len(places), time_s)
        base = self._outer_force(law, position, velocity, still)
        slopes = np.zeros((len(places), 4, 4))
        slopes[:, :2, 2:] = np.eye(2)
        for d, nudge in enumerate(np.eye(2)):
            by_place = self._outer_force(law, position + _PROBE_CM * nudge, velocity, still) - base
            by_speed = (
                self._outer_force(law, position, velocity + _PROBE_CM_S * nudge, still) - base
            )
            slopes[:, 2:, d] = by_place / (_PROBE_CM * self.mass)
            slopes[:, 2:, 2 + d] = by_speed / (_PROBE_CM_S * self.mass)
        slopes[:, 2:, 2:] -= self.viscosity / self.mass * np.eye(2)
        fastest = float(np.abs(np.linalg.eigvals(slopes)).max())
        needed = int(np.ceil(min(self.step_s * fastest / _FINE, 1e9)))
        if needed > _MOST_SUBSTEPS:
            raise ValueError(
                f"the perturbation's law changes within {1 / fastest:.2g} s, which would take "
                f"{needed} sub-steps for a step of {self.step_s} s (at most {_MOST_SUBSTEPS}): "
                "soften it, raise the mass or shorten step_s"
            )
        return needed

    def _runge_kutta(self, state: Device, force: FloatArray, law: ForceLaw) -> FloatArray:
        def slope(values: FloatArray) -> FloatArray:
            now = Device(values.copy(), state.forces)
            feel(now.values, now.forces, 0, len(values))
            outer = self._outer_force(law, now.position, now.velocity, now.time_s)
            total = force + now.perturbing_force + outer - self.viscosity * now.velocity
            change = Device(np.zeros_like(values), state.forces)
            change.position[:], change.velocity[:] = now.velocity, total / self.mass
            change.time_s[:] = 1.0
            return change.values

        h = self.step_s / self.substeps
        values = state.values
        for _ in range(self.substeps):
            k1 = slope(values)
            k2 = slope(values + h / 2 * k1)
            k3 = slope(values + h / 2 * k2)
            k4 = slope(values + h * k3)
            values = values + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return values


@inlined
def stopped(place, speed, wall_cm):  # type: ignore[no-untyped-def]
    """Place and speed along one axis: beyond the wall a mass is put on it, at rest."""
    if abs(place) > wall_cm:
        return math.copysign(wall_cm, place), 0.0
    return place, speed


@inlined
def propagator(curl, motion):  # type: ignore[no-untyped-def]
    """Real and imaginary parts of e^{λt}, φ₁ and φ₂ at the end of a step."""
    step = motion.step_s
    rate_x, rate_y = -motion.viscosity / motion.mass, curl / motion.mass  # λ
    zx, zy = rate_x * step, rate_y * step
    size = math.exp(zx)
    growth_x, growth_y = size * math.cos(zy), size * math.sin(zy)
    if zx * zx + zy * zy < 1e-6:
        # the closed forms cancel near zero; these series err by less than 1e-15 there:
        # φ₁ = t·(1 + z/2·(1 + z/3·...)), φ₂ = t²/2·(1 + z/3·(1 + z/4·...))
        x, y = 1.0, 0.0
        for k in range(5, 2, -1):
            x, y = 1.0 + (zx * x - zy * y) / k, (zx * y + zy * x) / k
        half = step * step / 2
        phi2_x, phi2_y = half * x, half * y
        x, y = 1.0 + (zx * x - zy * y) / 2, (zx * y + zy * x) / 2
        return growth_x, growth_y, step * x, step * y, phi2_x, phi2_y
    squared = rate_x * rate_x + rate_y * rate_y
    over_x, over_y = rate_x / squared, -rate_y / squared  # 1/λ
    x, y = growth_x - 1.0, growth_y
    phi1_x, phi1_y = x * over_x - y * over_y, x * over_y + y * over_x
    x, y = phi1_x - step, phi1_y
    return growth_x, growth_y, phi1_x, phi1_y, x * over_x - y * over_y, x * over_y + y * over_x


@compiled
def move(before, after, forces, force, motion, first, last):  # type: ignore[no-untyped-def]
    """Write the states of trials after a step; columns that a plant has appended stay as they are.

    Parameters
    ----------
    before, after : ndarray (B, 7 or more)
        The columns of `Column`.
    forces : ndarray (B, 17)
        The columns of `ndbmi_gym.perturbations.Force`, of which this looks at curl and push.
    force : ndarray (B, 2)
        Commanded force, kg·cm/s².
    motion : Motion
    first, last : int
        Trials from `first` to before `last`.
    """
    known = 0.0
    parts = propagator(known, motion)
    for b in range(first, last):
        if forces[b, _CURL] != known:  # trials mostly share it
            known = forces[b, _CURL]
            parts = propagator(known, motion)
        drift(before[b], after[b], forces[b], force[b], motion, parts)
    feel(after, forces, first, last)


@inlined
def drift(before, after, forces, force, motion, parts):  # type: ignore[no-untyped-def]
    """Move one mass under curl and push, by its `propagator`."""
    growth_x, growth_y, phi1_x, phi1_y, phi2_x, phi2_y = parts
    vx, vy = before[_VX], before[_VY]
    ax, ay = (force[0] + forces[_PUSH_X]) / motion.mass, (force[1] + forces[_PUSH_Y]) / motion.mass
    x = before[_X] + (vx * phi1_x - vy * phi1_y) + (ax * phi2_x - ay * phi2_y)
    y = before[_Y] + (vx * phi1_y + vy * phi1_x) + (ax * phi2_y + ay * phi2_x)
    vx, vy = (
        (vx * growth_x - vy * growth_y) + (ax * phi1_x - ay * phi1_y),
        (vx * growth_y + vy * growth_x) + (ax * phi1_y + ay * phi1_x),
    )
    after[_X], after[_VX] = stopped(x, vx, motion.wall_cm)
    after[_Y], after[_VY] = stopped(y, vy, motion.wall_cm)
    after[_TIME] = before[_TIME] + motion.step_s


@compiled
def move_under_any(before, after, forces, force, motion, first, last):  # type: ignore[no-untyped-def]
    """The same under every linear law."""
    whole = propagator(0.0, motion)
    for b in range(first, last):
        if not beyond(forces[b]):
            parts = whole if forces[b, _CURL] == 0.0 else propagator(forces[b, _CURL], motion)
            drift(before[b], after[b], forces[b], force[b], motion, parts)
            continue
        begin, end = before[b, _TIME], before[b, _TIME] + motion.step_s
        for c in range(_TIME):
            after[b, c] = before[b, c]
        now = begin
        while now < end:  # the parts of the step before onset, with the law, and after its end
            acts = forces[b, _FROM] <= now < forces[b, _UNTIL]
            until = end
            if now < forces[b, _FROM] < until:
                until = forces[b, _FROM]
            if now < forces[b, _UNTIL] < until:
                until = forces[b, _UNTIL]
            pass_under(after[b], forces[b], force[b], motion, until - now, acts)
            now = until
        after[b, _X], after[b, _VX] = stopped(after[b, _X], after[b, _VX], motion.wall_cm)
        after[b, _Y], after[b, _VY] = stopped(after[b, _Y], after[b, _VY], motion.wall_cm)
        after[b, _TIME] = end
    feel(after, forces, first, last)


@compiled
def pass_under(state, forces, force, motion, time_s, acts):  # type: ignore[no-untyped-def]
    """Move one mass for a time under a linear law, or without it if it does not act."""
    mass, drag = motion.mass, motion.viscosity
    a, e, g = np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 2))
    a[0, 2] = a[1, 3] = 1.0
    a[2, 2] = a[3, 3] = -drag / mass
    px, py, cx, cy = force[0], force[1], 0.0, 0.0
    if acts:
        for i in range(2):
            for j in range(2):
                a[2 + i, j] = forces[_K + 2 * i + j] / mass
                a[2 + i, 2 + j] += forces[_B + 2 * i + j] / mass
        a[2, 3] -= forces[_CURL] / mass
        a[3, 2] += forces[_CURL] / mass
        px, py = px + forces[_PUSH_X], py + forces[_PUSH_Y]
        cx, cy = forces[_CX], forces[_CY]
    x, y, vx, vy = state[_X] - cx, state[_Y] - cy, state[_VX], state[_VY]
    linear_map(a, time_s, e, g)
    px, py = px / mass, py / mass
    state[_X] = cx + e[0, 0] * x + e[0, 1] * y + e[0, 2] * vx + e[0, 3] * vy
    state[_Y] = cy + e[1, 0] * x + e[1, 1] * y + e[1, 2] * vx + e[1, 3] * vy
    state[_VX] = e[2, 0] * x + e[2, 1] * y + e[2, 2] * vx + e[2, 3] * vy
    state[_VY] = e[3, 0] * x + e[3, 1] * y + e[3, 2] * vx + e[3, 3] * vy
    for i in range(4):
        state[i] += g[i, 0] * px + g[i, 1] * py


_TERMS = 14  # of the series: with a norm of at most 1/2, the rest is below 1e-17


@compiled
def linear_map(a, time_s, e, g):  # type: ignore[no-untyped-def]
    """Write E = e^{At}, (4, 4), and G = ∫e^{As}ds·(0, 1), of accelerations, (4, 2)."""
    size = 0.0
    for i in range(4):
        row = 0.0
        for j in range(4):
            row += abs(a[i, j])
        size = max(size, row)
    doublings = 0
    while size * time_s > 0.5:
        time_s *= 0.5
        doublings += 1
    for i in range(4):
        for j in range(4):
            e[i, j] = 1.0 if i == j else 0.0
        for j in range(2):
            g[i, j] = 1.0 if i == j + 2 else 0.0
    new, other, space = np.empty((4, 4)), np.empty((4, 2)), np.empty((4, 2))
    for k in range(_TERMS, 0, -1):  # E = 1 + At(1 + At/2(1 + ...)), G = t(1 + At/2(1 + At/3(...)))
        product(a, e, new, time_s / k, e)
        product(a, g, other, time_s / (k + 1), g)
        for i in range(4):
            e[i, i] += 1.0
            if i >= 2:
                g[i, i - 2] += 1.0
    for i in range(4):
        for j in range(2):
            g[i, j] *= time_s
    for _ in range(doublings):  # G(2t) = G + E·G
        for i in range(4):
            for j in range(2):
                other[i, j] = g[i, j]
        product(e, g, space, 1.0, g)
        for i in range(4):
            for j in range(2):
                g[i, j] += other[i, j]
        product(e, e, new, 1.0, e)


@inlined
def product(left, right, space, factor, into):  # type: ignore[no-untyped-def]
    """Write a product of matrices (4, 4) and (4, N) times a factor into one that may be either."""
    for i in range(4):
        for j in range(right.shape[1]):
            total = 0.0
            for k in range(4):
                total += left[i, k] * right[k, j]
            space[i, j] = factor * total
    for i in range(4):
        for j in range(right.shape[1]):
            into[i, j] = space[i, j]


@inlined
def feel(values, forces, first, last):  # type: ignore[no-untyped-def]
    """Note the perturbing force in the states of trials."""
    for b in range(first, last):
        fx = fy = 0.0
        if forces[b, _FROM] <= values[b, _TIME] < forces[b, _UNTIL]:
            vx, vy = values[b, _VX], values[b, _VY]
            fx = forces[b, _PUSH_X] - forces[b, _CURL] * vy
            fy = forces[b, _PUSH_Y] + forces[b, _CURL] * vx
            x, y = values[b, _X] - forces[b, _CX], values[b, _Y] - forces[b, _CY]
            fx += forces[b, _K] * x + forces[b, _K_XY] * y
            fx += forces[b, _B] * vx + forces[b, _B_XY] * vy
            fy += forces[b, _K_YX] * x + forces[b, _K_YY] * y
            fy += forces[b, _B_YX] * vx + forces[b, _B_YY] * vy
        values[b, _FORCE_X], values[b, _FORCE_Y] = fx, fy


@compiled
def _stop_all(values, wall_cm):  # type: ignore[no-untyped-def]
    for b in range(values.shape[0]):
        values[b, _X], values[b, _VX] = stopped(values[b, _X], values[b, _VX], wall_cm)
        values[b, _Y], values[b, _VY] = stopped(values[b, _Y], values[b, _VY], wall_cm)
