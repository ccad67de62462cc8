"""Desired force fields: positions (..., 2) in cm to forces (..., 2) in kg·cm/s².

A field is any callable of that form. Those below also know the equilibrium that they pull to
(`target`) and a bound on their magnitude (`max_force`), which the environments need for their
targets and observation bounds. Fields whose weights volition sets would be evaluated in
`ndbmi_gym.loop.ClosedLoop.listen`, which knows both, in place of its table of forces.

References
----------
Vato et al. 2014, Eqs 14-16.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Field = Callable[[FloatArray], FloatArray]
Point = tuple[float, float]


@dataclass(frozen=True)
class GaussianField:
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

    center: Point = (0.0, 0.0)
    amplitude: float = 3.0
    sigma: float = 7.0

    def __post_init__(self) -> None:
        _fix(
            self,
            center=_point("center", self.center),
            amplitude=_number("amplitude", self.amplitude),
            sigma=_width("sigma", self.sigma),
        )

    @property
    def target(self) -> Point | None:
        """The equilibrium, where the field attracts."""
        return self.center if self.amplitude > 0 else None

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude (everywhere)."""
        return abs(self.amplitude)

    def __call__(self, position: FloatArray) -> FloatArray:
        """Force (..., 2) at positions (..., 2)."""
        offset = (position - np.asarray(self.center)) / self.sigma
        squared = offset[..., :1] ** 2 + offset[..., 1:] ** 2
        return np.asarray((-self.amplitude * np.exp(0.5 - squared / 2)) * offset)


@dataclass(frozen=True)
class LinearField:
    """Linear force F = M·(x − c).

    Attributes
    ----------
    matrix : 2 x 2 nested tuple
        Stiffness M, kg/s²; the default pulls towards the centre.
    center : (float, float)
        cm.
    """

    matrix: tuple[Point, Point] = ((-0.4, 0.0), (0.0, -0.4))
    center: Point = (0.0, 0.0)

    def __post_init__(self) -> None:
        rows = _items("matrix", self.matrix, 2)
        matrix = tuple(_point(f"matrix[{i}]", row) for i, row in enumerate(rows))
        _fix(self, matrix=matrix, center=_point("center", self.center))

    @property
    def target(self) -> Point | None:
        """The equilibrium, if the field converges there."""
        stable = np.linalg.eigvals(np.asarray(self.matrix)).real.max() < 0
        return self.center if stable else None

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude within `reach_cm` of the origin."""
        reach = reach_cm + float(np.hypot(*self.center))
        return float(np.linalg.norm(np.asarray(self.matrix), 2)) * reach

    def __call__(self, position: FloatArray) -> FloatArray:
        """Force (..., 2) at positions (..., 2)."""
        offset = position - np.asarray(self.center)
        return np.asarray(offset @ np.asarray(self.matrix).T)


@dataclass(frozen=True)
class LimitCycleField:
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

    radius: float = 5.0
    amplitude: float = 3.0
    spin: float = 0.5

    def __post_init__(self) -> None:
        _fix(
            self,
            radius=_width("radius", self.radius),
            amplitude=_number("amplitude", self.amplitude),
            spin=_number("spin", self.spin),
        )

    target = None

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude (everywhere)."""
        return abs(self.amplitude) * float(np.hypot(1.0, self.spin))

    def __call__(self, position: FloatArray) -> FloatArray:
        """Force (..., 2) at positions (..., 2)."""
        distance = np.linalg.norm(position, axis=-1, keepdims=True)
        outward = position / np.maximum(distance, 1e-12)
        around = np.stack((-outward[..., 1], outward[..., 0]), axis=-1)
        radial = np.maximum(1 - distance / self.radius, -1.0)
        return np.asarray(self.amplitude * (radial * outward + self.spin * around))


@dataclass(frozen=True)
class SumField:
    """Weighted sum of fields ("modularity" in the text's Discussion).

    Attributes
    ----------
    fields : tuple of fields
    weights : tuple of float, optional
        One per field; 1 by default.
    target : (float, float), optional
        The equilibrium that the sum is meant to have.
    """

    fields: tuple[Field, ...]
    weights: tuple[float, ...] | None = None
    target: Point | None = None

    def __post_init__(self) -> None:
        fields = tuple(_items("fields", self.fields))
        for i, field in enumerate(fields):
            if not callable(field):
                raise ValueError(f"fields[{i}] = {field!r}: give fields, from positions to forces")
        weights, target = self.weights, self.target
        if weights is not None:
            given = _items("weights", weights)
            if len(given) != len(fields):
                raise ValueError(f"{len(given)} weights for {len(fields)} fields: give one each")
            weights = _numbers("weights", given, len(fields))
        _fix(
            self,
            fields=fields,
            weights=weights,
            target=None if target is None else _point("target", target),
        )

    def _weights(self) -> tuple[float, ...]:
        return (1.0,) * len(self.fields) if self.weights is None else self.weights

    def max_force(self, reach_cm: float) -> float:
        """Bound of the magnitude within `reach_cm` of the origin."""
        pairs = zip(self._weights(), self.fields, strict=True)
        return sum(abs(w) * max_force(f, reach_cm) for w, f in pairs)

    def __call__(self, position: FloatArray) -> FloatArray:
        """Force (..., 2) at positions (..., 2)."""
        total = np.zeros_like(position, dtype=float)
        for weight, field in zip(self._weights(), self.fields, strict=True):
            total += weight * field(position)
        return total


def divergent_field(
    obstacle: Point = (4.0, 0.0),
    sigma: float = 2.0,
    amplitude: float = 3.0,
    pole: Point = (0.0, 0.0),
    pole_amplitude: float | None = None,
) -> SumField:
    """Repulsion from an obstacle plus attraction to a pole, both Gaussian (Eq 16).

    Parameters
    ----------
    obstacle : (float, float)
        Centre of repulsion, cm.
    sigma : float
        Width of both, cm.
    amplitude : float
        Peak repulsion, kg·cm/s².
    pole : (float, float)
        Centre of attraction, cm.
    pole_amplitude : float, optional
        Peak attraction; half the repulsion by default.
    """
    obstacle, pole = _point("obstacle", obstacle), _point("pole", pole)
    amplitude, sigma = _number("amplitude", amplitude), _width("sigma", sigma)
    attraction = amplitude / 2
    if pole_amplitude is not None:
        attraction = _number("pole_amplitude", pole_amplitude)
    return SumField(
        (GaussianField(obstacle, -amplitude, sigma), GaussianField(pole, attraction, sigma)),
        target=pole,
    )


def dipole_field(
    center: Point = (0.0, 0.0),
    amplitude: float = 3.0,
    sigma: float = 7.0,
    obstacle: Point = (4.0, 0.0),
    obstacle_amplitude: float = 3.0,
    obstacle_sigma: float = 2.0,
    pole_amplitude: float | None = None,
) -> SumField:
    """Gaussian field plus divergent field (Eq 15): reach the centre, avoid the obstacle."""
    attracting = GaussianField(center, amplitude, sigma)
    avoiding = divergent_field(
        obstacle,
        _width("obstacle_sigma", obstacle_sigma),
        _number("obstacle_amplitude", obstacle_amplitude),
        attracting.center,
        pole_amplitude,
    )
    return SumField((attracting, avoiding), target=attracting.center)


FIELDS: dict[str, Callable[..., Field]] = {
    "gaussian": GaussianField,
    "dipole": dipole_field,
    "divergent": divergent_field,
    "linear": LinearField,
    "limit_cycle": LimitCycleField,
}
"""Fields that can be named in JSON; see `make_field`."""


def make_field(spec: str | Mapping[str, Any] | Field) -> Field:
    """Build a field from its JSON form.

    Parameters
    ----------
    spec : str, mapping or callable
        A name of `FIELDS`; a mapping with that name under ``"kind"`` and the field's parameters; a
        mapping ``{"kind": "sum", "fields": [...], "weights": [...]}``; or a callable, as it is.

    Raises
    ------
    ValueError
        If the name is unknown or a parameter does not fit the field.
    """
    if callable(spec):
        return spec
    if not isinstance(spec, str | Mapping):
        raise ValueError(f"field {spec!r}: give a name, a mapping with its 'kind', or a callable")
    parameters = {"kind": spec} if isinstance(spec, str) else dict(spec)
    kind = parameters.pop("kind", None)
    try:
        if kind == "sum":
            parts = _items("fields", parameters.pop("fields"))
            return SumField(tuple(make_field(part) for part in parts), **parameters)
        return FIELDS[str(kind)](**parameters)
    except KeyError:
        raise ValueError(
            f"unknown field {spec!r}: name one of {', '.join(FIELDS)}, or sum with its 'fields'"
        ) from None
    except TypeError as error:
        known = list(signature(FIELDS.get(str(kind), SumField)).parameters)
        raise ValueError(
            f"field {spec!r}: {error}; its parameters are {', '.join(known)}"
        ) from None


def target_of(field: Field) -> FloatArray | None:
    """The field's equilibrium, (2,), where it declares one."""
    target = getattr(field, "target", None)
    return None if target is None else np.asarray(target, dtype=float)


def max_force(field: Field, reach_cm: float) -> float:
    """Bound of a field's magnitude within `reach_cm` of the origin.

    A field that declares none (a bare callable) is bounded by its largest value on a fine grid,
    with a margin of 2.
    """
    declared = getattr(field, "max_force", None)
    if declared is not None:
        return float(declared(reach_cm))
    axis = np.linspace(-reach_cm, reach_cm, 201)
    values = check_field(field, np.stack(np.meshgrid(axis, axis), axis=-1))
    return 2 * float(np.linalg.norm(values, axis=-1).max())


def check_field(field: Field, position: FloatArray) -> FloatArray:
    """Evaluate a field and check what it returns.

    Raises
    ------
    ValueError
        If the forces have another shape than the positions, or are not finite.
    """
    force = np.asarray(field(position), dtype=float)
    if force.shape != position.shape:
        raise ValueError(
            f"the field returned shape {force.shape} for positions of shape {position.shape}: "
            "a field maps (..., 2) positions to (..., 2) forces"
        )
    if not np.isfinite(force).all():
        raise ValueError("the field returned NaN or infinity: it must be finite everywhere")
    return force


_LARGEST = 1e9  # beyond it, sums and products overflow long before anyone wants the field
_SMALLEST = 1e-6  # width or radius, cm


def _number(name: str, value: Any) -> float:
    """A real number as a Python float.

    Raises
    ------
    ValueError
        If it is not a number (booleans and numerals are none), not finite or out of all reason.
    """
    if hasattr(value, "__array__"):  # numpy's scalars, too
        value = np.asarray(value).tolist()
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not (real and abs(value) <= _LARGEST):
        raise ValueError(f"{name} = {value!r}: give a finite number of size {_LARGEST:.0e} or less")
    return float(value)


def _width(name: str, value: Any) -> float:
    """A number > 0 as a Python float, or ValueError."""
    number = _number(name, value)
    if not number >= _SMALLEST:
        raise ValueError(f"{name} = {value!r}: give a width > 0 cm, {_SMALLEST:.0e} or more")
    return number


def _numbers(name: str, value: Any, length: int) -> tuple[float, ...]:
    """A sequence or array of a given length as a tuple of Python floats, or ValueError."""
    return tuple(_number(f"{name}[{i}]", v) for i, v in enumerate(_items(name, value, length)))


def _point(name: str, value: Any) -> Point:
    x, y = _numbers(name, value, 2)
    return x, y


def _items(name: str, value: Any, length: int | None = None) -> Sequence[Any]:
    """What a sequence or an array holds, or ValueError if that is of another length."""
    items = np.asarray(value).tolist() if hasattr(value, "__array__") else value
    sequence = isinstance(items, Sequence) and not isinstance(items, str | bytes | bytearray)
    if not sequence or (length is not None and len(items) != length):
        what = "a sequence" if length is None else f"a sequence of {length}"
        raise ValueError(f"{name} = {value!r}: give {what}")
    return items


def _fix(field: Any, **values: Any) -> None:
    """Set attributes of a frozen field while it is made."""
    for name, value in values.items():
        object.__setattr__(field, name, value)
