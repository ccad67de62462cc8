"""A two-joint arm that moves in a plane, and whose hand is the end point.

Shoulder and elbow turn by q = (q₁, q₂) under

    M(q)·q″ + C(q, q′) + B·q′ = Jᵀ(q)·(F + perturbing force),

M the inertia, C the Coriolis and centrifugal torques, J the Jacobian of the hand's position. The
joint drag is B = b·J₀ᵀJ₀ with the Jacobian J₀ of the home posture: there it slows the hand as the
paper's drag b slows the point mass, alike in all directions. Elsewhere it does not, and nowhere is
the hand's inertia the same in all directions.

Lengths are in cm, so that forces in kg·cm/s² (0.01 N) make torques in kg·cm²/s². The workspace is
centred on where the hand is at home. A state is kept as position and velocity of the hand: the
elbow bends one way only, so these tell the joints. Steps are Runge-Kutta's of fourth order.
"""

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import declare, internal, nested, number, settle, whole
from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.perturbations import Force, ForceLaw
from ndbmi_gym.plants import Column, Device, FloatArray, placed
from ndbmi_gym.plants.point_mass import PointMass, feel

# plain numbers: members of an enumeration take longer to compile
_X, _Y, _VX, _VY, _, _, _TIME = map(int, Column)
_CURL, _PUSH_X, _PUSH_Y, _K, _K_XY, _K_YX, _K_YY, _CX, _CY, _B, _B_XY, _B_YX, _B_YY = range(13)
_FROM, _UNTIL = int(Force.FROM), int(Force.UNTIL)

_FINE = 0.5  # time constants of drag and law that a Runge-Kutta step takes at most
_STRIDE_CM = 2.0  # and the way of the hand: less than where it is stopped is from where arms end
_MOST_SUBSTEPS = 5000
_STRAIGHTEST, _MOST_BENT = math.radians(20), math.radians(160)  # elbow, beyond which J is singular


class ArmMotion(NamedTuple):
    """What a step depends on beside the state and the forces.

    Attributes
    ----------
    upper, fore : float
        Lengths of upper arm and forearm, cm.
    shoulder_x, shoulder_y : float
        Where the shoulder is, cm.
    inertia, fore_inertia, coupling : float
        M(q) = [[inertia + 2·g, fore_inertia + g], [fore_inertia + g, fore_inertia]], kg·cm², where
        g is `coupling`, kg, times the scalar product of the links.
    drag_11, drag_12, drag_22 : float
        B, kg·cm²/s.
    step_s : float
        Duration of the step, s.
    substeps : int
        Least Runge-Kutta steps in it.
    wall_cm : float
        Half side of the box that holds the hand.
    lightest : float
        Smallest inertia of the hand within the box, kg.
    slowing : float
        Fastest rate of the drag within the box, 1/s.
    """

    upper: float
    fore: float
    shoulder_x: float
    shoulder_y: float
    inertia: float
    fore_inertia: float
    coupling: float
    drag_11: float
    drag_12: float
    drag_22: float
    step_s: float
    substeps: int
    wall_cm: float
    lightest: float
    slowing: float


def _pair(default: tuple[float, float], meaning: str, unit: str, most: float = 1e3) -> Any:
    def take(value: Any) -> tuple[float, float]:
        first, second = nested(value, (2,))
        if not (1e-3 <= first <= most and 1e-3 <= second <= most):
            raise ValueError
        return first, second

    rule = f"give two numbers >= 0.001 and <= {most:g} {unit}"
    return declare(default, meaning, rule, take, unit)


@dataclass(frozen=True)
class Arm:
    """A two-joint arm in a plane.

    Attributes
    ----------
    lengths_cm : (float, float)
        Of upper arm and forearm.
    masses : (float, float)
        Of both, kg.
    centres_cm : (float, float)
        From shoulder and elbow to their centres of mass.
    inertias : (float, float)
        About these, kg·cm².
    home_deg : (float, float)
        Shoulder and elbow with the hand in the centre of the workspace. A shoulder of 0 points
        along x.
    viscosity : float
        Drag coefficient b of the hand at home, kg/s.
    step_s : float
        Duration Δt of one step of the loop, s.
    wall_cm : float
        Half side of an inelastic box: a hand found beyond it after a Runge-Kutta step is put on
        it, and an impulse across the wall takes its velocity there.
    substeps : int
        Least Runge-Kutta steps per step of the loop; there are more where the perturbation is
        stiff or the hand is fast.
    light : PointMass, optional
        As heavy as the hand is where it is lightest, and under a law: this tells what force the
        law exerts, and by how many Runge-Kutta steps it can be followed.

    Raises
    ------
    ValueError
        If a parameter is out of range, the arm does not reach the box with an elbow between 20°
        and 160°, or the drag is stiffer than can be followed.

    Notes
    -----
    By default an arm as in studies of reaching through force fields. No hand is faster than
    `speed_limit`, which is what the shortest Runge-Kutta steps can follow: with the default step
    200 m/s.
    """

    lengths_cm: tuple[float, float] = _pair((33.0, 34.0), "upper arm and forearm", "cm")
    masses: tuple[float, float] = _pair((1.93, 1.52), "their masses", "kg")
    centres_cm: tuple[float, float] = _pair(
        (16.5, 19.0), "from shoulder and elbow to their centres of mass", "cm"
    )
    inertias: tuple[float, float] = _pair(
        (141.0, 188.0), "their moments of inertia about these", "kg·cm²", 1e6
    )
    home_deg: tuple[float, float] = declare(
        (45.0, 90.0),
        "shoulder and elbow with the hand in the workspace's centre",
        "give two angles, the elbow's > 20 and < 160°",
        lambda value: _home(value),
        "°",
    )
    viscosity: float = number(1.0, "drag b of the hand at home", "kg/s", least=0, most=1e6)
    step_s: float = number(0.5, "duration of a step of the loop", "s", least=1e-6, most=1e3)
    wall_cm: float = number(15.0, "half side of the box that holds the hand", "cm", least=1e-3)
    substeps: int = whole(5, "least Runge-Kutta steps", least=1, most=_MOST_SUBSTEPS)
    light: PointMass | None = internal(None)

    def __post_init__(self) -> None:
        settle(self)
        self._reached("wall_cm", self.wall_cm)
        self._followed(self._motion.slowing, "the drag", "lower viscosity")

    def _reached(self, name: str, half_side_cm: float) -> None:
        """Refuse a box that the arm does not reach."""
        nearest, farthest = _distances(self._shoulder, half_side_cm)
        low, high = self._annulus
        if nearest < low or farthest > high:
            raise ValueError(
                f"{name} = {half_side_cm:g}: an arm of {self.lengths_cm[0]:g} and "
                f"{self.lengths_cm[1]:g} cm reaches boxes of half side "
                f"{self.most_half_side_cm:.4g} cm at most around its home (elbow between 20° and "
                "160°): make the box smaller or the arm longer"
            )

    def _followed(self, rate: float, what: str, remedy: str) -> None:
        """Refuse what changes at a rate that would take too many Runge-Kutta steps."""
        needed = math.ceil(self.step_s * rate / _FINE)
        if needed > _MOST_SUBSTEPS:
            raise ValueError(
                f"{what} changes within {1 / rate:.2g} s, which would take {needed} sub-steps for "
                f"a step of {self.step_s} s (at most {_MOST_SUBSTEPS}): {remedy}, raise the masses "
                "or shorten step_s"
            )

    @cached_property
    def reach_cm(self) -> float:
        """Bound of either coordinate, cm."""
        return self.wall_cm

    @cached_property
    def speed_limit(self) -> float:
        """What no hand is faster than, cm/s."""
        return _STRIDE_CM * _MOST_SUBSTEPS / self.step_s

    @cached_property
    def most_half_side_cm(self) -> float:
        """Half side of the largest box around its home that the arm reaches, cm."""
        low, high = 0.0, sum(self.lengths_cm)
        least, most = self._annulus
        for _ in range(60):
            middle = (low + high) / 2
            nearest, farthest = _distances(self._shoulder, middle)
            low, high = (low, middle) if nearest < least or farthest > most else (middle, high)
        return low

    @cached_property
    def _annulus(self) -> tuple[float, float]:
        """Distances of the hand from the shoulder with the elbow most bent, and straightest."""
        upper, fore = self.lengths_cm
        bent, straight = (
            math.sqrt(upper**2 + fore**2 + 2 * upper * fore * math.cos(elbow))
            for elbow in (_MOST_BENT, _STRAIGHTEST)
        )
        return bent, straight

    @cached_property
    def _shoulder(self) -> tuple[float, float]:
        (upper, fore), (q1, q2) = self.lengths_cm, map(math.radians, self.home_deg)
        x = upper * math.cos(q1) + fore * math.cos(q1 + q2)
        y = upper * math.sin(q1) + fore * math.sin(q1 + q2)
        return -x, -y

    @cached_property
    def _motion(self) -> ArmMotion:
        (upper, fore), (x, y) = self.lengths_cm, self._shoulder
        (m1, m2), (c1, c2), (i1, i2) = self.masses, self.centres_cm, self.inertias
        fore_x = fore * math.cos(math.radians(sum(self.home_deg)))
        fore_y = fore * math.sin(math.radians(sum(self.home_deg)))
        motion = ArmMotion(
            upper,
            fore,
            x,
            y,
            i1 + i2 + m1 * c1**2 + m2 * (upper**2 + c2**2),
            i2 + m2 * c2**2,
            m2 * c2 / fore,
            self.viscosity * (x * x + y * y),  # J₀ = [[y, −fore_y], [−x, fore_x]]
            self.viscosity * -(x * fore_x + y * fore_y),
            self.viscosity * (fore_x**2 + fore_y**2),
            self.step_s,
            self.substeps,
            self.wall_cm,
            0.0,
            0.0,
        )
        lightest, slowing, _ = _extremes(motion)
        return motion._replace(lightest=lightest, slowing=slowing)

    def native(self, general: bool) -> tuple[Any, ArmMotion] | None:
        """How compiled code moves arms, and what it is to be told.

        None under a law, or where a class of one's own advances in another way.

        Parameters
        ----------
        general : bool
            Whether forces go beyond curl and push: no matter here.
        """
        if self.light is not None or type(self).advance is not Arm.advance:
            return None
        return move_arm, self._motion

    def max_speed(self, force: float) -> float:
        """Bound of the hand's speed under commands and pushes of a magnitude, from rest, cm/s.

        The kinetic energy grows only where the force does more work than the drag takes; what it
        may be there, with the hand where it is lightest, bounds the speed everywhere. A wall's
        impulse takes energy, and curl does no work.
        """
        return force * _extremes(self._motion)[2]

    def within(self, half_side_cm: float, law: ForceLaw | None) -> "Arm":
        """The arm in a workspace of half side L, with a further force on it.

        Raises
        ------
        ValueError
            If the arm does not reach the workspace, or the law is so stiff that it cannot be
            followed.
        """
        self._reached("half_side_cm", half_side_cm)
        if law is None:
            return self
        mass, rate = self._motion.lightest, self._motion.slowing
        light = PointMass(mass=mass, viscosity=mass * rate, step_s=self.step_s)
        return replace(self, light=light.within(half_side_cm, law))

    def place(
        self,
        position: npt.ArrayLike,
        velocity: npt.ArrayLike = (0.0, 0.0),
        forces: npt.ArrayLike | None = None,
    ) -> Device:
        """Put hands at positions (B, 2); the other quantities are broadcast to them.

        Raises
        ------
        ValueError
            If a position is out of the arm's reach, or forces are so stiff that they cannot be
            followed.
        """
        device = placed(position, velocity, forces)
        self._followed(fastest(device.forces, self._motion), "the perturbation", "soften it")
        distance = np.hypot(*(device.position - self._shoulder).T)
        nearest, farthest = self._annulus
        out = ~((distance >= nearest) & (distance <= farthest))
        if out.any():
            raise ValueError(
                f"position = {device.position[out][0].tolist()}: {distance[out][0]:.4g} cm from "
                f"the shoulder, and the arm reaches from {nearest:.4g} to {farthest:.4g} cm: give "
                f"positions within the box of half side {self.most_half_side_cm:.4g} cm"
            )
        self._feel(device)
        return device

    def advance(self, state: Device, force: FloatArray) -> Device:
        """Move B arms for one step under constant forces (B, 2) at their hands."""
        moved = Device(state.values.copy(), state.forces)
        if self.light is None:
            arrays = state.values, moved.values, state.forces, force
            move_arm(*arrays, self._motion, 0, len(force))
        else:
            self._advance_under_law(moved, force, self.light.substeps)
        return moved

    def _feel(self, device: Device) -> None:
        """Note all perturbing force."""
        if self.light is None:
            feel(device.values, device.forces, 0, len(device.values))
        else:
            self.light._feel(device)

    def _advance_under_law(self, device: Device, force: FloatArray, substeps: int) -> None:
        """Move arms, in place, with the law asked at every stage of every Runge-Kutta step."""
        motion, began = self._motion, device.time_s.copy()

        def slope(joints: FloatArray, time_s: float) -> FloatArray:
            straighten(joints, device.values, motion)
            device.time_s[:] = began + time_s
            self._feel(device)
            made = np.empty_like(joints)
            accelerate(joints, made, force + device.perturbing_force, motion)
            return made

        joints, h = np.empty((len(force), 4)), self.step_s / substeps
        bend(device.values, joints, motion)
        for k in range(substeps):
            k1 = slope(joints, k * h)
            k2 = slope(joints + h / 2 * k1, (k + 0.5) * h)
            k3 = slope(joints + h / 2 * k2, (k + 0.5) * h)
            k4 = slope(joints + h * k3, (k + 1) * h)
            joints = joints + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            keep(joints, motion)
        straighten(joints, device.values, motion)
        device.time_s[:] = began + self.step_s
        self._feel(device)


def _home(value: Any) -> tuple[float, float]:
    shoulder, elbow = nested(value, (2,))
    if not (abs(shoulder) <= 360 and _STRAIGHTEST < math.radians(elbow) < _MOST_BENT):
        raise ValueError
    return shoulder, elbow


def _distances(shoulder: tuple[float, float], half_side_cm: float) -> tuple[float, float]:
    """The nearest and the farthest point of a box from the shoulder, cm."""
    x, y = map(abs, shoulder)
    outside = max(x - half_side_cm, 0.0), max(y - half_side_cm, 0.0)
    return math.hypot(*outside), math.hypot(x + half_side_cm, y + half_side_cm)


@cache
def _extremes(motion: ArmMotion) -> tuple[float, float, float]:
    """Least inertia of the hand, kg, fastest rate of the drag, 1/s, and speed per force, s/kg.

    Over a grid of places that takes in edges and corners of the box, and of directions.
    """
    axis = np.linspace(-motion.wall_cm, motion.wall_cm, 31)
    x, y = (each.ravel() for each in np.meshgrid(axis, axis))
    x, y = x - motion.shoulder_x, y - motion.shoulder_y
    upper, fore = motion.upper, motion.fore
    cos2 = (x * x + y * y - upper**2 - fore**2) / (2 * upper * fore)
    along, across = upper + fore * cos2, fore * np.sqrt(1 - cos2**2)
    fore_x, fore_y = (  # the vector from elbow to hand
        x - upper * (x * along + y * across) / (x * x + y * y),
        y - upper * (y * along - x * across) / (x * x + y * y),
    )
    turned = motion.coupling * upper * fore * cos2
    m11, m12, m22 = motion.inertia + 2 * turned, motion.fore_inertia + turned, motion.fore_inertia
    d11, d12, d22 = motion.drag_11, motion.drag_12, motion.drag_22
    # joint velocities of a hand that moves at 1 cm/s in each direction, q′ = J⁻¹·v
    angle = np.linspace(0, np.pi, 181)[:, None]
    vx, vy = np.cos(angle), np.sin(angle)
    det = x * fore_y - y * fore_x
    w1, w2 = (fore_x * vx + fore_y * vy) / det, -(x * vx + y * vy) / det
    inertia = m11 * w1 * w1 + 2 * m12 * w1 * w2 + m22 * w2 * w2
    drag = d11 * w1 * w1 + 2 * d12 * w1 * w2 + d22 * w2 * w2
    lightest = float(inertia.min())
    # |v| <= force/drag where energy is gained, so energy <= inertia/2·(force/drag)²
    most = float((inertia / drag**2).max()) if d11 > 0 else math.inf
    return lightest, float((drag / inertia).max()), math.sqrt(most / lightest)


@inlined
def bent(x, y, motion):  # type: ignore[no-untyped-def]
    """The joints q₁, q₂ of a hand at a place, cm."""
    upper, fore = motion.upper, motion.fore
    x, y = x - motion.shoulder_x, y - motion.shoulder_y
    cos2 = (x * x + y * y - upper * upper - fore * fore) / (2.0 * upper * fore)
    q2 = math.acos(min(max(cos2, -1.0), 1.0))
    return math.atan2(y, x) - math.atan2(fore * math.sin(q2), upper + fore * math.cos(q2)), q2


@inlined
def links(q1, q2, motion):  # type: ignore[no-untyped-def]
    """The vectors from shoulder to elbow and from elbow to hand, cm."""
    upper, fore = motion.upper, motion.fore
    return (
        upper * math.cos(q1),
        upper * math.sin(q1),
        fore * math.cos(q1 + q2),
        fore * math.sin(q1 + q2),
    )


@inlined
def speeds(ux, uy, fx, fy, w1, w2):  # type: ignore[no-untyped-def]
    """The hand's velocity J·q′, with J = [[−uy − fy, −fy], [ux + fx, fx]] of the links."""
    return -(uy + fy) * w1 - fy * w2, (ux + fx) * w1 + fx * w2


@inlined
def accelerations(ux, uy, fx, fy, w1, w2, t1, t2, motion):  # type: ignore[no-untyped-def]
    """M⁻¹·(torque − C(q, q′)), by the links."""
    along, across = motion.coupling * (ux * fx + uy * fy), motion.coupling * (ux * fy - uy * fx)
    m11, m12, m22 = motion.inertia + 2.0 * along, motion.fore_inertia + along, motion.fore_inertia
    t1 += across * (2.0 * w1 + w2) * w2
    t2 -= across * w1 * w1
    det = m11 * m22 - m12 * m12
    return (m22 * t1 - m12 * t2) / det, (m11 * t2 - m12 * t1) / det


@compiled
def kept(q1, q2, w1, w2, motion):  # type: ignore[no-untyped-def]
    """Joints and their velocities, back within wall and limit of speed.

    A hand beyond the wall is put on it, and stopped by an impulse across it, which takes energy
    and may turn the hand along the wall. An elbow that went through is put back on its side.
    """
    wall = motion.wall_cm
    ux, uy, fx, fy = links(q1, q2, motion)
    x, y = ux + fx + motion.shoulder_x, uy + fy + motion.shoulder_y
    q1, q2 = bent(min(max(x, -wall), wall), min(max(y, -wall), wall), motion)
    if abs(x) > wall and abs(y) > wall:
        return q1, q2, 0.0, 0.0
    ux, uy, fx, fy = links(q1, q2, motion)
    if abs(x) > wall or abs(y) > wall:
        j1, j2 = (-uy - fy, -fy) if abs(x) > wall else (ux + fx, fx)
        i1, i2 = accelerations(ux, uy, fx, fy, 0.0, 0.0, j1, j2, motion)  # of a unit of impulse
        impulse = (j1 * w1 + j2 * w2) / (j1 * i1 + j2 * i2)
        w1, w2 = w1 - impulse * i1, w2 - impulse * i2
    vx, vy = speeds(ux, uy, fx, fy, w1, w2)
    share = min(1.0, _limit(motion) / max(math.sqrt(vx * vx + vy * vy), 1e-300))
    return q1, q2, share * w1, share * w2


@inlined
def astray(ux, uy, fx, fy, w1, w2, motion):  # type: ignore[no-untyped-def]
    """Whether `kept` has something to do."""
    x, y = ux + fx + motion.shoulder_x, uy + fy + motion.shoulder_y
    vx, vy = speeds(ux, uy, fx, fy, w1, w2)
    return (
        max(abs(x), abs(y)) > motion.wall_cm
        or math.sqrt(vx * vx + vy * vy) > _limit(motion)
        or ux * fy < uy * fx
    )


@inlined
def _limit(motion):  # type: ignore[no-untyped-def]
    """The speed of a stride in each of the most substeps, cm/s."""
    return _STRIDE_CM * _MOST_SUBSTEPS / motion.step_s


_AHEAD = (0.5, 0.5, 1.0)  # from each of Runge-Kutta's stages to the next
_WEIGHTS = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


@compiled
def turn(q1, q2, w1, w2, left, law, rate, motion):  # type: ignore[no-untyped-def]
    """Joints and their velocities after a time under a linear law.

    Parameters
    ----------
    q1, q2, w1, w2 : float
    left : float
        The time, s.
    law : tuple of 10 numbers
        Force on a hand at rest at the shoulder, force by its place, by its velocity.
    rate : float
        Of what changes fastest, 1/s.
    motion : ArmMotion
    """
    still_x, still_y, k_xx, k_xy, k_yx, k_yy, b_xx, b_xy, b_yx, b_yy = law
    turns = math.ceil(left * max(motion.substeps / motion.step_s, rate / _FINE) - 1e-9)
    ux, uy, fx, fy = links(q1, q2, motion)
    while turns > 0:
        # no further than a stride: speed·h + acceleration·h²/2
        x, y = ux + fx, uy + fy
        vx, vy = speeds(ux, uy, fx, fy, w1, w2)
        speed = math.sqrt(vx * vx + vy * vy)
        ax, ay = still_x + k_xx * x + k_xy * y, still_y + k_yx * x + k_yy * y
        gain = math.sqrt(math.sqrt(ax * ax + ay * ay) / (2.0 * _STRIDE_CM * motion.lightest))
        needed = left * min(speed / _STRIDE_CM + gain, _MOST_SUBSTEPS / motion.step_s)
        if needed > turns:
            turns = math.ceil(needed)
        h = left / turns
        p1, p2, o1, o2 = q1, q2, w1, w2
        way1, way2, more1, more2 = 0.0, 0.0, 0.0, 0.0
        for stage in range(4):
            x, y = ux + fx, uy + fy
            vx, vy = speeds(ux, uy, fx, fy, o1, o2)
            ax = still_x + k_xx * x + k_xy * y + b_xx * vx + b_xy * vy
            ay = still_y + k_yx * x + k_yy * y + b_yx * vx + b_yy * vy
            t1 = x * ay - y * ax - motion.drag_11 * o1 - motion.drag_12 * o2
            t2 = fx * ay - fy * ax - motion.drag_12 * o1 - motion.drag_22 * o2
            g1, g2 = accelerations(ux, uy, fx, fy, o1, o2, t1, t2, motion)
            weight = h * _WEIGHTS[stage]
            way1, way2, more1, more2 = (
                way1 + weight * o1,
                way2 + weight * o2,
                more1 + weight * g1,
                more2 + weight * g2,
            )
            if stage < 3:
                ahead = h * _AHEAD[stage]
                p1, p2 = q1 + ahead * o1, q2 + ahead * o2
                o1, o2 = w1 + ahead * g1, w2 + ahead * g2
            else:
                p1, p2 = q1 + way1, q2 + way2
            ux, uy, fx, fy = links(p1, p2, motion)
        q1, q2, w1, w2 = p1, p2, w1 + more1, w2 + more2
        if astray(ux, uy, fx, fy, w1, w2, motion):
            q1, q2, w1, w2 = kept(q1, q2, w1, w2, motion)
            ux, uy, fx, fy = links(q1, q2, motion)
        left -= h
        turns -= 1
    return q1, q2, w1, w2


@inlined
def rate_of(forces, motion):  # type: ignore[no-untyped-def]
    """How fast an arm changes under one trial's forces (17,) at most, 1/s.

    That of an oscillator with all of the drag and stiffness where the hand is lightest.
    """
    stiff, viscous = 0.0, 0.0
    for c in range(4):
        stiff += forces[_K + c] * forces[_K + c]
        viscous += forces[_B + c] * forces[_B + c]
    slow = motion.slowing + (math.sqrt(viscous) + abs(forces[_CURL])) / motion.lightest
    return (slow + math.sqrt(slow * slow + 4.0 * math.sqrt(stiff) / motion.lightest)) / 2.0


@compiled
def fastest(forces, motion):  # type: ignore[no-untyped-def]
    """The largest `rate_of` trials (B, 17), 1/s."""
    most = 0.0
    for b in range(forces.shape[0]):
        most = max(most, rate_of(forces[b], motion))
    return most


@inlined
def joints_of(hand, motion):  # type: ignore[no-untyped-def]
    """The joints of one hand (7 or more,) and their velocities."""
    q1, q2 = bent(hand[_X], hand[_Y], motion)
    ux, uy, fx, fy = links(q1, q2, motion)
    vx, vy, det = hand[_VX], hand[_VY], ux * fy - uy * fx
    return q1, q2, (fx * vx + fy * vy) / det, -((ux + fx) * vx + (uy + fy) * vy) / det


@inlined
def put(hand, q1, q2, w1, w2, motion):  # type: ignore[no-untyped-def]
    """Write place and velocity of one hand (7 or more,) by its joints."""
    wall = motion.wall_cm
    ux, uy, fx, fy = links(q1, q2, motion)
    hand[_X] = min(max(ux + fx + motion.shoulder_x, -wall), wall)
    hand[_Y] = min(max(uy + fy + motion.shoulder_y, -wall), wall)
    hand[_VX], hand[_VY] = speeds(ux, uy, fx, fy, w1, w2)


@compiled
def move_arm(before, after, forces, force, motion, first, last):  # type: ignore[no-untyped-def]
    """Write the states of trials after a step; columns that a plant has appended stay as they are.

    Parameters
    ----------
    before, after : ndarray (B, 7 or more)
        The columns of `ndbmi_gym.plants.Column`.
    forces : ndarray (B, 17)
        Perturbations, the columns of `ndbmi_gym.perturbations.Force`.
    force : ndarray (B, 2)
        Commanded force, kg·cm/s².
    motion : ArmMotion
    first, last : int
        Trials from `first` to before `last`.
    """
    for b in range(first, last):
        given, px, py = forces[b], force[b, 0], force[b, 1]
        k_xx, k_xy, k_yx, k_yy = given[_K], given[_K_XY], given[_K_YX], given[_K_YY]
        b_xy, b_yx = given[_B_XY] - given[_CURL], given[_B_YX] + given[_CURL]
        x, y = motion.shoulder_x - given[_CX], motion.shoulder_y - given[_CY]
        still_x = px + given[_PUSH_X] + k_xx * x + k_xy * y
        still_y = py + given[_PUSH_Y] + k_yx * x + k_yy * y
        law = (still_x, still_y, k_xx, k_xy, k_yx, k_yy, given[_B], b_xy, b_yx, given[_B_YY])
        command = (px, py, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

        start = before[b, _TIME]
        end = start + motion.step_s
        onset = min(max(given[_FROM], start), end)
        offset = min(max(given[_UNTIL], onset), end)
        q1, q2, w1, w2 = joints_of(before[b], motion)
        for part in range(3):  # before the law, under it, and after it
            acting, rate, left = command, motion.slowing, onset - start
            if part == 1:
                acting, rate, left = law, rate_of(given, motion), offset - onset
            if part == 2:
                left = end - offset
            q1, q2, w1, w2 = turn(q1, q2, w1, w2, left, acting, rate, motion)
        put(after[b], q1, q2, w1, w2, motion)
        after[b, _TIME] = end
    feel(after, forces, first, last)


@compiled
def bend(hands, joints, motion):  # type: ignore[no-untyped-def]
    """Write joints and their velocities, (B, 4), by states of hands (B, 7 or more)."""
    for b in range(len(hands)):
        joints[b, 0], joints[b, 1], joints[b, 2], joints[b, 3] = joints_of(hands[b], motion)


@compiled
def straighten(joints, hands, motion):  # type: ignore[no-untyped-def]
    """Write places and velocities of hands (B, 7 or more), by their joints (B, 4)."""
    for b in range(len(hands)):
        put(hands[b], joints[b, 0], joints[b, 1], joints[b, 2], joints[b, 3], motion)


@compiled
def accelerate(joints, slopes, force, motion):  # type: ignore[no-untyped-def]
    """Write how joints (B, 4) change under forces (B, 2) on their hands and under the drag."""
    for b in range(len(joints)):
        w1, w2 = joints[b, 2], joints[b, 3]
        ux, uy, fx, fy = links(joints[b, 0], joints[b, 1], motion)
        t1 = (ux + fx) * force[b, 1] - (uy + fy) * force[b, 0]
        t2 = fx * force[b, 1] - fy * force[b, 0]
        t1 -= motion.drag_11 * w1 + motion.drag_12 * w2
        t2 -= motion.drag_12 * w1 + motion.drag_22 * w2
        slopes[b, 0], slopes[b, 1] = w1, w2
        slopes[b, 2], slopes[b, 3] = accelerations(ux, uy, fx, fy, w1, w2, t1, t2, motion)


@compiled
def keep(joints, motion):  # type: ignore[no-untyped-def]
    """Put joints (B, 4) back within wall and limit of speed."""
    for b in range(len(joints)):
        q1, q2, w1, w2 = joints[b]
        ux, uy, fx, fy = links(q1, q2, motion)
        if astray(ux, uy, fx, fy, w1, w2, motion):
            joints[b, 0], joints[b, 1], joints[b, 2], joints[b, 3] = kept(q1, q2, w1, w2, motion)
