"""Desired force fields: positions (..., 2) in cm to forces (..., 2) in kg·cm/s².

A field is any callable of that form. Those below also know the equilibrium that they pull to
(`target`) and a bound on their magnitude (`max_force`), which the environments need for their
targets and observation bounds. One's own field is named as ``"module:attribute"``, or registered
in `FIELDS` (`ndbmi_gym.parts`).

Each of those here is a sum of elementary terms, rows of numbers whose forces `pull` tells,
which compiled code can call (`terms_of`).

A field may take more than a position, where it says so by an attribute ``takes`` (`takes_of`)::

    def mine(position, velocity=0.0):
        return -0.4 * position - 0.2 * velocity

    mine.takes = ("velocity",)
    mine.max_force = lambda reach_cm: ...

What it takes comes by name, for every trial of a batch: ``velocity`` (..., 2), cm/s, of successive
virtual points; ``counts`` (..., N), spikes on every electrode. Without, at a position alone, it
gives its force at rest. `ndbmi_gym.steered` has examples.

References
----------
Vato et al. 2014, Eqs 14-16.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import Declaration, declare, nested, number, numbers, settle, shown, taking
from ndbmi_gym.compiled import compiled
from ndbmi_gym.parts import Registry

FloatArray = npt.NDArray[np.float64]
Field = Callable[..., FloatArray]
Point = tuple[float, float]
Obstacles = tuple[tuple[Point, float], ...]

TAKEN = ("velocity", "counts")
"""What a field may take beside positions."""

MOST = 1e6
"""Largest strength of a force, kg·cm/s²: beyond, nothing that a device does means anything."""
LEAST_CM = 1e-6
"""Least width, cm: it is divided by."""


class Term(IntEnum):
    """Columns of an elementary term."""

    KIND = 0  #: Gaussian, linear or limit cycle
    SIZE = 1  #: factor on the force, kg·cm/s²
    X = 2  #: centre, cm
    Y = 3
    A = 4  #: σ; or M₁₁; or R
    B = 5  #: M₁₂; or spin
    C = 6  #: M₂₁
    D = 7  #: M₂₂


_GAUSSIAN, _LINEAR, _CYCLE = 0.0, 1.0, 2.0
_KIND, _SIZE, _X, _Y, _A, _B, _C, _D = map(int, Term)  # plain numbers compile faster


def _term(kind: float, size: float, center: Point = (0.0, 0.0), *shape: float) -> FloatArray:
    return np.array([[kind, size, *center, *shape, *(4 - len(shape)) * [0.0]]])


class Elementary(ABC):
    """A field that is the sum of its `terms`."""

    @property
    @abstractmethod
    def terms(self) -> FloatArray | None:
        """Columns of `Term`, (T, 8); None if a field of one's own is added, too."""

    def __call__(self, position: FloatArray) -> FloatArray:
        """Force (..., 2) at positions (..., 2)."""
        force = np.array(position, dtype=float, order="C")
        if force.shape[-1:] != (2,):
            raise ValueError(f"positions of shape {force.shape}: give points (..., 2), in cm")
        points = force.reshape(-1, 2)
        pull(self.terms, points, points, 0, len(points))
        return force


@compiled
def pull(terms, points, force, first, last):  # type: ignore[no-untyped-def]
    """Write the forces of elementary terms at points.

    Parameters
    ----------
    terms : ndarray (T, 8)
        Columns of `Term`.
    points : ndarray (B, 2)
        cm.
    force : ndarray (B, 2)
        kg·cm/s². May be the points, which are then replaced.
    first, last : int
        Points from `first` to before `last`.
    """
    for b in range(first, last):
        x, y = points[b, 0], points[b, 1]
        force[b, 0], force[b, 1] = 0.0, 0.0
        for i in range(terms.shape[0]):
            kind, size = terms[i, _KIND], terms[i, _SIZE]
            dx, dy = x - terms[i, _X], y - terms[i, _Y]
            if kind == _GAUSSIAN:
                dx, dy = dx / terms[i, _A], dy / terms[i, _A]
                weight = -size * math.exp(0.5 - (dx * dx + dy * dy) / 2)
                force_x, force_y = weight * dx, weight * dy
            elif kind == _LINEAR:
                force_x = size * (terms[i, _A] * dx + terms[i, _B] * dy)
                force_y = size * (terms[i, _C] * dx + terms[i, _D] * dy)
            else:
                distance = math.sqrt(dx * dx + dy * dy)
                radial = 1.0 - distance / terms[i, _A]
                if radial < -1.0:
                    radial = -1.0
                if distance < 1e-12:
                    distance = 1e-12
                dx, dy, spin = dx / distance, dy / distance, terms[i, _B]
                force_x, force_y = (
                    size * (radial * dx - spin * dy),
                    size * (radial * dy + spin * dx),
                )
            force[b, 0] += force_x
            force[b, 1] += force_y


@dataclass(frozen=True)
class GaussianField(Elementary):
    """Attraction to a centre (Eq 14): F = −A·√e·((x − c)/σ)·exp(−|x − c|²/(2σ²)).

    The magnitude peaks at A, at distance σ from the centre. A negative amplitude repels.

    Attributes
    ----------
    center : (float, float)
        cm.
    amplitude : float
        Peak force A, kg·cm/s².
    sigma : float
        Distance σ of the peak, cm.
    """

    center: Point = numbers((0.0, 0.0), (2,), "place of the equilibrium", "cm")
    amplitude: float = number(3.0, "peak force A", "kg·cm/s²", least=-MOST, most=MOST)
    sigma: float = number(
        7.0, "distance σ of the peak from the centre", "cm", least=LEAST_CM, most=MOST
    )

    def __post_init__(self) -> None:
        settle(self)

    @property
    def target(self) -> Point | None:
        """The equilibrium, where the field attracts."""
        return self.center if self.amplitude > 0 else None

    @property
    def obstacles(self) -> Obstacles:
        """The centre, where the field repels."""
        return ((self.center, self.sigma),) if self.amplitude < 0 else ()

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude (everywhere)."""
        return abs(self.amplitude)

    @cached_property
    def terms(self) -> FloatArray:
        """The field as an elementary term, (1, 8)."""
        return _term(_GAUSSIAN, self.amplitude, self.center, self.sigma)


@dataclass(frozen=True)
class LinearField(Elementary):
    """Linear force F = M·(x − c).

    Attributes
    ----------
    matrix : 2 x 2 nested tuple
        Stiffness M, kg/s²; the default pulls towards the centre.
    center : (float, float)
        cm.
    """

    matrix: tuple[Point, Point] = numbers(
        ((-0.4, 0.0), (0.0, -0.4)), (2, 2), "stiffness M", "kg/s²"
    )
    center: Point = numbers((0.0, 0.0), (2,), "place of the equilibrium", "cm")

    def __post_init__(self) -> None:
        settle(self)

    @property
    def target(self) -> Point | None:
        """The equilibrium, if the field converges there."""
        stable = np.linalg.eigvals(np.asarray(self.matrix)).real.max() < 0
        return self.center if stable else None

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude within `reach_cm` of the origin."""
        reach = reach_cm + float(np.hypot(*self.center))
        return float(np.linalg.norm(np.asarray(self.matrix), 2)) * reach

    @cached_property
    def terms(self) -> FloatArray:
        """The field as an elementary term, (1, 8)."""
        return _term(_LINEAR, 1.0, self.center, *self.matrix[0], *self.matrix[1])


@dataclass(frozen=True)
class LimitCycleField(Elementary):
    """A circular attractor: F = A·((1 − r/R)·u_r + spin·u_θ), saturating at r = 2R.

    Attributes
    ----------
    radius : float
        R, cm.
    amplitude : float
        A, kg·cm/s².
    spin : float
        Tangential force in units of A, counter-clockwise if positive.
    """

    radius: float = number(5.0, "radius R of the cycle", "cm", least=LEAST_CM, most=MOST)
    amplitude: float = number(3.0, "force A at the centre", "kg·cm/s²", least=-MOST, most=MOST)
    spin: float = number(0.5, "tangential force in units of A", least=-1e3, most=1e3)

    def __post_init__(self) -> None:
        settle(self)

    target = None

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude (everywhere)."""
        return abs(self.amplitude) * float(np.hypot(1.0, self.spin))

    @cached_property
    def terms(self) -> FloatArray:
        """The field as an elementary term, (1, 8)."""
        return _term(_CYCLE, self.amplitude, (0.0, 0.0), self.radius, self.spin)


@dataclass(frozen=True)
class SumField(Elementary):
    """Weighted sum of fields ("modularity" in the text's Discussion).

    Attributes
    ----------
    fields : tuple of fields
    weights : tuple of float, optional
        One per field; 1 by default.
    target : (float, float), optional
        The equilibrium that the sum is meant to have.
    """

    # taken in __post_init__: the errors are those of the fields, and weights go by their number
    fields: tuple[Field, ...] = declare(
        MISSING, "fields that are added up", "give a sequence of fields", lambda value: value
    )
    weights: tuple[float, ...] | None = declare(
        None,
        "factor on each field; None: 1",
        "give a finite number for each field, or None",
        lambda value: value,
    )
    target: Point | None = numbers(None, (2,), "equilibrium of the sum", "cm", optional=True)

    def __post_init__(self) -> None:
        settle(self)
        if not isinstance(self.fields, Sequence) or isinstance(self.fields, str):
            raise ValueError(f"fields = {shown(self.fields)}: give a sequence of fields")
        object.__setattr__(self, "fields", tuple(map(make_field, self.fields)))
        if self.weights is not None:
            count = len(self.fields)
            one_each = f"give {count} finite numbers, one for each field"
            rule = Declaration("", "", one_each, lambda value: nested(value, (count,)))
            object.__setattr__(self, "weights", taking("weights", self.weights, rule))

    def _weights(self) -> tuple[float, ...]:
        return (1.0,) * len(self.fields) if self.weights is None else self.weights

    @property
    def obstacles(self) -> Obstacles:
        """Those of the fields that are added."""
        pairs = zip(self._weights(), self.fields, strict=True)
        return tuple(each for w, f in pairs if w > 0 for each in obstacles_of(f))

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude within `reach_cm` of the origin."""
        pairs = zip(self._weights(), self.fields, strict=True)
        return sum(abs(w) * max_force(f, reach_cm) for w, f in pairs)

    @cached_property
    def terms(self) -> FloatArray | None:
        """Terms of all fields, (T, 8); None if one of them is a field of one's own."""
        terms = [np.zeros((0, len(Term)))]
        for weight, field in zip(self._weights(), self.fields, strict=True):
            given = terms_of(field)
            if given is None:
                return None
            terms.append(given.copy())
            terms[-1][:, Term.SIZE] *= weight
        return np.concatenate(terms)

    @property
    def takes(self) -> tuple[str, ...]:
        """What the fields take that are added."""
        return tuple(name for name in TAKEN if any(name in takes_of(f) for f in self.fields))

    def __call__(self, position: FloatArray, **taken: npt.NDArray[Any]) -> FloatArray:
        """Force (..., 2) at positions (..., 2), and what else the fields take."""
        if self.terms is not None:
            return super().__call__(position)
        total = np.zeros_like(position, dtype=float)
        for weight, field in zip(self._weights(), self.fields, strict=True):
            own = {name: taken[name] for name in takes_of(field) if name in taken}
            total += weight * field(position, **own)
        return total


class _Composed(Elementary):
    """A field whose options say what it is the sum of."""

    _sum: SumField

    def __post_init__(self) -> None:
        settle(self)

    @property
    def obstacles(self) -> Obstacles:
        """Places that the field repels from."""
        return self._sum.obstacles

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude within `reach_cm` of the origin."""
        return self._sum.max_force(reach_cm)

    @property
    def terms(self) -> FloatArray | None:
        """Those of the sum, (T, 8)."""
        return self._sum.terms


@dataclass(frozen=True)
class DivergentField(_Composed):
    """Repulsion from an obstacle plus attraction to a pole, both Gaussian (Eq 16).

    Attributes
    ----------
    obstacle : (float, float)
        Centre of repulsion, cm.
    sigma : float
        Width of both, cm.
    amplitude : float
        Peak repulsion, kg·cm/s².
    pole : (float, float)
        Centre of attraction, cm.
    pole_amplitude : float or None
        Peak attraction; None: half the repulsion.
    """

    obstacle: Point = numbers((4.0, 0.0), (2,), "centre of repulsion", "cm")
    sigma: float = number(2.0, "width of repulsion and attraction", "cm", least=LEAST_CM, most=MOST)
    amplitude: float = number(3.0, "peak repulsion", "kg·cm/s²", least=-MOST, most=MOST)
    pole: Point = numbers((0.0, 0.0), (2,), "centre of attraction", "cm")
    pole_amplitude: float | None = number(
        None,
        "peak attraction; None: half the repulsion",
        "kg·cm/s²",
        least=-MOST,
        most=MOST,
        optional=True,
    )

    @property
    def target(self) -> Point:
        """The pole."""
        return self.pole

    @cached_property
    def _sum(self) -> SumField:  # type: ignore[override]
        given = self.pole_amplitude
        attraction = self.amplitude / 2 if given is None else given
        return SumField(
            (
                GaussianField(self.obstacle, -self.amplitude, self.sigma),
                GaussianField(self.pole, attraction, self.sigma),
            )
        )


@dataclass(frozen=True)
class DipoleField(_Composed):
    """Gaussian field plus divergent field (Eq 15): reach the centre, avoid the obstacle.

    Attributes
    ----------
    center, amplitude, sigma
        Of the `GaussianField`.
    obstacle, obstacle_amplitude, obstacle_sigma, pole_amplitude
        Of the `DivergentField`, whose pole is the centre.
    """

    center: Point = numbers((0.0, 0.0), (2,), "place of the equilibrium", "cm")
    amplitude: float = number(3.0, "peak force A", "kg·cm/s²", least=-MOST, most=MOST)
    sigma: float = number(
        7.0, "distance σ of the peak from the centre", "cm", least=LEAST_CM, most=MOST
    )
    obstacle: Point = numbers((4.0, 0.0), (2,), "centre of repulsion", "cm")
    obstacle_amplitude: float = number(3.0, "peak repulsion", "kg·cm/s²", least=-MOST, most=MOST)
    obstacle_sigma: float = number(2.0, "width of repulsion", "cm", least=LEAST_CM, most=MOST)
    pole_amplitude: float | None = number(
        None,
        "peak attraction beside the Gaussian's; None: half the repulsion",
        "kg·cm/s²",
        least=-MOST,
        most=MOST,
        optional=True,
    )

    @property
    def target(self) -> Point:
        """The centre."""
        return self.center

    @cached_property
    def _sum(self) -> SumField:  # type: ignore[override]
        return SumField(
            (
                GaussianField(self.center, self.amplitude, self.sigma),
                DivergentField(
                    self.obstacle,
                    self.obstacle_sigma,
                    self.obstacle_amplitude,
                    self.center,
                    self.pole_amplitude,
                ),
            )
        )


FIELDS: Registry[Field] = Registry(
    "field",
    ("__call__",),
    {
        "gaussian": GaussianField,
        "dipole": DipoleField,
        "divergent": DivergentField,
        "linear": LinearField,
        "limit_cycle": LimitCycleField,
        "sum": SumField,
        "damped": "ndbmi_gym.steered:DampedField",
        "choice": "ndbmi_gym.steered:ChoiceField",
    },
)
"""Desired force fields by name."""


def make_field(spec: str | Mapping[str, Any] | Field) -> Field:
    """Build a field from a name of `FIELDS`, a mapping, ``"module:attribute"`` or a callable.

    Raises
    ------
    ValueError
        If the name is unknown or a parameter does not fit the field.
    """
    return FIELDS.make(spec)


def takes_of(field: Field) -> tuple[str, ...]:
    """What a field takes beside positions, of `TAKEN`: nothing, unless it says so.

    Raises
    ------
    ValueError
        If it says that it takes something else.
    """
    takes = getattr(field, "takes", ())
    if not isinstance(takes, Sequence) or isinstance(takes, str) or not set(takes) <= set(TAKEN):
        raise ValueError(
            f"the field takes {shown(takes)}: give names out of {', '.join(TAKEN)}, in a tuple"
        )
    return tuple(takes)


def terms_of(field: Field) -> FloatArray | None:
    """Elementary terms that a field is the sum of, columns of `Term`, (T, 8).

    None for one's own, which only its own code can tell, be it a class that inherits from one of
    those above and overrides what it is called with.
    """
    ours = (Elementary.__call__, SumField.__call__)
    if takes_of(field) or not isinstance(field, Elementary) or type(field).__call__ not in ours:
        return None
    return field.terms


def target_of(field: Field) -> FloatArray | None:
    """The field's equilibrium, (2,), where it declares one."""
    target = getattr(field, "target", None)
    return None if target is None else np.asarray(target, dtype=float)


def obstacles_of(part: Any) -> Obstacles:
    """Places that a field or a task keeps away from, each with its radius, cm.

    They may declare them, to be drawn, as their `obstacles`. Those of the fields above are the
    centres of repulsion; at the radius the repulsion is strongest.
    """
    return tuple(getattr(part, "obstacles", ()))


def max_force(field: Field, reach_cm: float) -> float:
    """Bound of a field's magnitude within `reach_cm` of the origin.

    A field that declares none (a bare callable) is bounded by its largest value on a fine grid,
    with a margin of 2.
    """
    declared = getattr(field, "max_force", None)
    if declared is not None:
        return float(declared(reach_cm))
    if takes_of(field):
        raise ValueError(
            f"the field takes {', '.join(takes_of(field))}, and tells no bound of its force: give "
            "it max_force(reach_cm)"
        )
    axis = np.linspace(-reach_cm, reach_cm, 201)
    values = check_field(field, np.stack(np.meshgrid(axis, axis), axis=-1))
    return 2 * float(np.linalg.norm(values, axis=-1).max())


def check_field(field: Field, position: FloatArray, **taken: npt.NDArray[Any]) -> FloatArray:
    """Evaluate a field, of what it takes, and check what it returns.

    Raises
    ------
    ValueError
        If the forces have another shape than the positions, or are not finite.
    """
    try:
        own = {name: taken[name] for name in takes_of(field) if name in taken}
        force = np.asarray(field(position, **own), dtype=float)
    except (TypeError, IndexError) as error:
        raise ValueError(
            f"field = {shown(field)}: {error}; give a callable from (..., 2) positions to (..., 2) "
            "forces"
        ) from error
    if force.shape != position.shape:
        raise ValueError(
            f"the field returned shape {force.shape} for positions of shape {position.shape}: "
            "a field maps (..., 2) positions to (..., 2) forces"
        )
    if not np.isfinite(force).all():
        raise ValueError("the field returned NaN or infinity: it must be finite everywhere")
    return force
