"""Fields against their potentials, their bounds and their JSON forms."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndbmi_gym.fields import (
    FIELDS,
    DipoleField,
    DivergentField,
    GaussianField,
    LimitCycleField,
    LinearField,
    SumField,
    check_field,
    make_field,
    max_force,
    target_of,
)

PROPERTY = settings(deadline=None, derandomize=True, max_examples=80)
EVERY_FIELD = [
    GaussianField(),
    GaussianField((2.0, -3.0), -1.5, 0.7),
    LinearField(),
    LinearField(((-0.3, 1.0), (-1.0, 0.2)), (1.0, 2.0)),
    LimitCycleField(),
    LimitCycleField(3.0, 2.0, -1.5),
    DivergentField(),
    DipoleField(),
    SumField((GaussianField(), LinearField()), (0.5, -2.0)),
]
ANY_FIELD = pytest.mark.parametrize("field", EVERY_FIELD, ids=repr)

points = st.tuples(st.floats(-30, 30), st.floats(-30, 30))


def random_positions(n: int, reach: float = 15.0) -> np.ndarray:
    return np.random.default_rng(0).uniform(-reach, reach, (n, 2))


def gaussian_force(x, centre, amplitude, sigma):
    """Eq 14, one position at a time."""
    dx, dy = x[0] - centre[0], x[1] - centre[1]
    size = amplitude * math.sqrt(math.e) * math.exp(-(dx**2 + dy**2) / (2 * sigma**2)) / sigma
    return [-size * dx, -size * dy]


@pytest.mark.parametrize("amplitude", [3.0, -2.0])
def test_gaussian_is_minus_the_gradient_of_its_potential(amplitude):
    centre, sigma, h = np.array([1.0, -2.0]), 4.0, 1e-4

    def potential(x):
        squared = ((x - centre) ** 2).sum(axis=-1)
        return -amplitude * math.sqrt(math.e) * sigma * np.exp(-squared / (2 * sigma**2))

    x = random_positions(200)
    steps = h * np.eye(2)
    gradient = [(potential(x + step) - potential(x - step)) / (2 * h) for step in steps]
    force = GaussianField(tuple(centre), amplitude, sigma)(x)
    # central differences: h² and rounding/h are both about 1e-9
    np.testing.assert_allclose(force, -np.stack(gradient, axis=-1), atol=1e-7)


@PROPERTY
@given(
    st.floats(-math.pi, math.pi),
    st.floats(0.1, 10),
    st.floats(-5, 5).filter(lambda a: abs(a) > 1e-3),
)
def test_gaussian_peaks_at_sigma_with_its_amplitude(angle, sigma, amplitude):
    centre = np.array([1.0, 2.0])
    field = GaussianField(tuple(centre), amplitude, sigma)
    direction = np.array([math.cos(angle), math.sin(angle)])
    at_sigma = field(centre + sigma * direction)
    np.testing.assert_allclose(at_sigma, -amplitude * direction, rtol=1e-9, atol=1e-9)
    radii = sigma * np.linspace(0, 6, 200)[:, None]
    sizes = np.linalg.norm(field(centre + radii * direction), axis=-1)
    assert sizes.max() <= abs(amplitude) * (1 + 1e-12)


@ANY_FIELD
@pytest.mark.parametrize("shape", [(2,), (1, 2), (5, 2), (3, 4, 2), (0, 2)])
def test_field_maps_positions_one_by_one(field, shape):
    x = np.random.default_rng(1).uniform(-12, 12, shape)
    force = field(x)
    assert force.shape == shape
    one_by_one = np.array([field(row) for row in x.reshape(-1, 2)]).reshape(shape)
    np.testing.assert_allclose(force, one_by_one, rtol=1e-12, atol=1e-12)


@ANY_FIELD
def test_field_takes_whole_number_positions_and_leaves_them(field):
    x = np.array([[3, -2], [0, 0]])
    np.testing.assert_array_equal(field(x), field(x.astype(float)))
    np.testing.assert_array_equal(x, [[3, -2], [0, 0]])


@ANY_FIELD
@pytest.mark.parametrize("reach", [0.5, 10.0, 40.0])
def test_declared_bound_holds(field, reach):
    rng = np.random.default_rng(2)
    angle = rng.uniform(-math.pi, math.pi, 4000)
    radius = reach * np.sqrt(rng.random(4000))
    x = radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=-1)
    assert np.linalg.norm(field(x), axis=-1).max() <= max_force(field, reach) * (1 + 1e-12)


def test_bounds_are_reached_where_they_can_be():
    assert max_force(GaussianField(amplitude=-2.5), 10) == 2.5
    assert max_force(LinearField(), 10) == pytest.approx(4.0)
    assert max_force(LinearField(center=(3.0, 4.0)), 10) == pytest.approx(0.4 * 15)
    assert max_force(LimitCycleField(5, 2, 0.75), 10) == pytest.approx(2.5)
    assert np.linalg.norm(LimitCycleField(5, 2, 0.75)(np.array([0.0, 30.0]))) == pytest.approx(2.5)
    assert max_force(SumField((GaussianField(), GaussianField()), (2, -3)), 10) == 15


@PROPERTY
@given(st.floats(0.1, 5), st.floats(0.1, 2), st.floats(-3, 3))
def test_bound_of_a_bare_callable_holds(amplitude, wavenumber, phase):
    def ripples(x):
        return amplitude * np.sin(wavenumber * x[..., ::-1] + phase)

    x = random_positions(500, 10.0)
    assert np.linalg.norm(ripples(x), axis=-1).max() <= max_force(ripples, 10.0)
    assert max_force(ripples, 10.0) <= 2 * math.sqrt(2) * amplitude * (1 + 1e-12)


def test_linear_field_is_its_matrix():
    matrix = ((-1.0, 2.0), (0.5, -3.0))
    force = LinearField(matrix, (1.0, 1.0))(np.array([3.0, -1.0]))  # offset (2, -2)
    np.testing.assert_allclose(force, [-1 * 2 + 2 * -2, 0.5 * 2 + -3 * -2])


@pytest.mark.parametrize(
    ("matrix", "converges"),
    [
        (((-0.4, 0.0), (0.0, -0.4)), True),
        (((-0.1, 5.0), (-5.0, -0.1)), True),  # a stable focus
        (((0.0, 1.0), (-1.0, 0.0)), False),
        (((-1.0, 0.0), (0.0, 0.1)), False),
        (((-1.0, 9.0), (9.0, -1.0)), False),
    ],
)
def test_linear_field_has_a_target_where_it_is_stable(matrix, converges):
    target = target_of(LinearField(matrix, (1.0, 2.0)))
    if converges:
        np.testing.assert_array_equal(target, [1.0, 2.0])
    else:
        assert target is None


@pytest.mark.parametrize("spin", [0.5, -2.0, 0.0])
def test_limit_cycle_balances_on_its_circle(spin):
    radius, amplitude = 4.0, 3.0
    field = LimitCycleField(radius, amplitude, spin)
    angle = np.linspace(-3, 3, 13)
    outward = np.stack((np.cos(angle), np.sin(angle)), axis=-1)
    around = np.stack((-np.sin(angle), np.cos(angle)), axis=-1)

    def parts(r):
        force = field(r * outward)
        return (force * outward).sum(axis=-1), (force * around).sum(axis=-1)

    for r, pull in ((4.0, 0.0), (2.0, 0.5), (6.0, -0.5), (8.0, -1.0), (30.0, -1.0)):
        radial, tangential = parts(r)
        np.testing.assert_allclose(radial, amplitude * pull, atol=1e-12)
        np.testing.assert_allclose(tangential, amplitude * spin, atol=1e-12)
    np.testing.assert_array_equal(field(np.zeros((1, 2))), 0.0)
    assert target_of(field) is None


def test_limit_cycle_attracts_from_inside_and_outside():
    field = LimitCycleField(radius=4.0)
    x = np.array([[0.1, 0.0], [10.0, 3.0]])
    angle = 0.0
    for _ in range(4000):
        moved = x + 0.01 * field(x)
        angle += np.arctan2(x[0, 0] * moved[0, 1] - x[0, 1] * moved[0, 0], (x * moved)[0].sum())
        x = moved
    # the explicit Euler step leaves the circle by about step·A·spin²/2
    np.testing.assert_allclose(np.linalg.norm(x, axis=-1), 4.0, atol=0.05)
    assert angle > 2 * math.pi  # counter-clockwise for a positive spin


def test_dipole_is_gaussian_plus_repulsion_plus_attraction():
    """Eqs 15 and 16, term by term."""
    field = DipoleField((1.0, 0.5), 2.0, 6.0, (4.0, -1.0), 5.0, 1.5)
    for x in random_positions(100):
        expected = np.sum(
            [
                gaussian_force(x, (1.0, 0.5), 2.0, 6.0),
                gaussian_force(x, (4.0, -1.0), -5.0, 1.5),
                gaussian_force(x, (1.0, 0.5), 2.5, 1.5),
            ],
            axis=0,
        )
        np.testing.assert_allclose(field(x), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(target_of(field), [1.0, 0.5])


def test_divergent_field_repels_and_attracts():
    field = DivergentField((4.0, 0.0), 2.0, 3.0, (0.0, 0.0), 1.0)
    for x in random_positions(50):
        repulsion = gaussian_force(x, (4.0, 0.0), -3.0, 2.0)
        attraction = gaussian_force(x, (0.0, 0.0), 1.0, 2.0)
        np.testing.assert_allclose(field(x), np.add(repulsion, attraction), atol=1e-14)
    beyond, between = field(np.array([[5.0, 0.0], [3.0, 0.0]]))
    assert beyond[0] > 0 > between[0]  # away from the obstacle on either side


@PROPERTY
@given(points, st.floats(-3, 3), st.floats(-3, 3))
def test_sum_is_weighted(x, first, second):
    parts = (GaussianField(), LimitCycleField())
    x = np.array(x)
    expected = first * parts[0](x) + second * parts[1](x)
    np.testing.assert_allclose(SumField(parts, (first, second))(x), expected, atol=1e-12)
    np.testing.assert_allclose(SumField(parts)(x), parts[0](x) + parts[1](x), atol=1e-12)


def test_sum_wants_a_weight_per_field():
    with pytest.raises(
        ValueError, match=r"weights = \(1.0,\): give 2 finite numbers, one for each field"
    ):
        SumField((GaussianField(), GaussianField()), (1.0,))


def test_target_is_where_the_field_attracts():
    np.testing.assert_array_equal(target_of(GaussianField((1, 2))), [1.0, 2.0])
    assert target_of(GaussianField((1, 2), -3.0)) is None
    np.testing.assert_array_equal(target_of(SumField((), target=(1, 2))), [1.0, 2.0])
    assert target_of(SumField((GaussianField(),))) is None
    assert target_of(np.negative) is None


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("gaussian", GaussianField()),
        ("dipole", DipoleField()),
        ("linear", LinearField()),
        ("limit_cycle", LimitCycleField()),
        ("divergent", DivergentField()),
        ({"kind": "gaussian", "center": [1, 2], "sigma": 3}, GaussianField((1, 2), 3.0, 3)),
        ({"kind": "linear", "matrix": [[0, 1], [-1, 0]]}, LinearField(((0, 1), (-1, 0)))),
        ({"kind": "dipole", "obstacle": [2, 2]}, DipoleField(obstacle=(2, 2))),
        (
            {"kind": "sum", "fields": ["gaussian", {"kind": "limit_cycle"}], "weights": [1, 0.5]},
            SumField((GaussianField(), LimitCycleField()), (1, 0.5)),
        ),
        (
            {"kind": "sum", "fields": [{"kind": "sum", "fields": ["linear"]}], "target": [0, 1]},
            SumField((SumField((LinearField(),)),), target=(0, 1)),
        ),
    ],
)
def test_json_forms(spec, field):
    assert make_field(spec) == field


def test_every_named_field_is_made_from_its_name():
    for name in set(FIELDS) - {"sum"}:
        assert check_field(make_field(name), random_positions(5)).shape == (5, 2)


def test_callable_is_taken_as_it_is_and_mapping_is_left_alone():
    assert make_field(np.negative) is np.negative
    spec = {"kind": "gaussian", "sigma": 2.0}
    make_field(spec)
    assert spec == {"kind": "gaussian", "sigma": 2.0}


@pytest.mark.parametrize(
    "spec", ["gausian", "", {}, {"kind": None}, {"kind": ["sum"]}, {"sigma": 1}]
)
def test_unknown_field_is_named_with_the_choice(spec):
    with pytest.raises(ValueError, match="gaussian, dipole, divergent, linear, limit_cycle") as e:
        make_field(spec)
    assert repr(spec) in str(e.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "sum"},
        None,
        3,
        [1],
        {"kind": "gaussian", "sigm": 1},
        {"kind": "gaussian", "sigma": 0},
        {"kind": "gaussian", "sigma": math.nan},
        {"kind": "gaussian", "sigma": "wide"},
        {"kind": "gaussian", "amplitude": "x"},
        {"kind": "gaussian", "amplitude": math.inf},
        {"kind": "gaussian", "center": 5},
        {"kind": "gaussian", "center": [1]},
        {"kind": "gaussian", "center": [1, 2, 3]},
        {"kind": "linear", "matrix": [1, 2]},
        {"kind": "linear", "center": [math.nan, 0]},
        {"kind": "limit_cycle", "radius": -1},
        {"kind": "limit_cycle", "spin": [1, 2]},
        {"kind": "dipole", "obstacle_sigma": 0},
        {"kind": "sum", "fields": 3},
        {"kind": "sum", "fields": ["gaussian"], "weights": [1, 2]},
        {"kind": "sum", "fields": ["gaussian"], "weights": 1},
        {"kind": "sum", "fields": ["nothing"]},
    ],
    ids=repr,
)
def test_parameter_that_does_not_fit_is_refused(spec):
    with pytest.raises(ValueError, match=r".{10}"):
        make_field(spec)


class Listing(Sequence):
    """A sequence of another library."""

    def __init__(self, *items):
        self.items = items

    def __getitem__(self, index):
        return self.items[index]

    def __len__(self):
        return len(self.items)


class Settings(Mapping):
    """A mapping of another library."""

    def __init__(self, **items):
        self.items_ = items

    def __getitem__(self, name):
        return self.items_[name]

    def __iter__(self):
        return iter(self.items_)

    def __len__(self):
        return len(self.items_)


@pytest.mark.parametrize(
    ("spec", "plain"),
    [
        (
            Settings(kind="gaussian", center=Listing(1, np.int8(2)), sigma=np.float32(2.5)),
            {"kind": "gaussian", "center": [1, 2], "sigma": 2.5},
        ),
        (
            {"kind": np.str_("dipole"), "obstacle": np.array([4, 0]), "amplitude": Fraction(5, 2)},
            {"kind": "dipole", "obstacle": [4.0, 0.0], "amplitude": 2.5},
        ),
        (
            {
                "kind": "linear",
                "matrix": np.array([[0, 1], [-1, 0]]),
                "center": (Fraction(1, 2), 0),
            },
            {"kind": "linear", "matrix": [[0, 1], [-1, 0]], "center": [0.5, 0]},
        ),
        (
            {"kind": "linear", "matrix": Listing(np.array([0, 1]), (-1, np.float16(0)))},
            {"kind": "linear", "matrix": [[0, 1], [-1, 0]]},
        ),
        (
            {"kind": "limit_cycle", "radius": np.longdouble(4), "spin": np.array(0.25)},
            {"kind": "limit_cycle", "radius": 4, "spin": 0.25},
        ),
        (
            Settings(
                kind="sum", fields=Listing(Settings(kind="linear"), "gaussian"), weights=np.ones(2)
            ),
            {"kind": "sum", "fields": [{"kind": "linear"}, "gaussian"], "weights": [1, 1]},
        ),
    ],
)
def test_sequences_and_numbers_of_any_library_become_plain_python(spec, plain):
    field = make_field(spec)
    assert field == make_field(plain)
    assert repr(field) == repr(make_field(plain))  # which would tell np.float64(1.0) from 1.0
    x = random_positions(20)
    assert field(x).tobytes() == make_field(plain)(x).tobytes()


NO_NUMBERS = [True, np.True_, "3", b"3", None, 1j, math.nan, math.inf, -math.inf, 10**400, 1e10]


@pytest.mark.parametrize("bad", [*NO_NUMBERS, np.array([1.0]), np.float32(math.nan)], ids=repr)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("gaussian", "amplitude"),
        ("gaussian", "sigma"),
        ("limit_cycle", "radius"),
        ("limit_cycle", "spin"),
        *(("divergent", name) for name in ("sigma", "amplitude", "pole_amplitude")),
        *(("dipole", name) for name in ("obstacle_sigma", "obstacle_amplitude", "pole_amplitude")),
    ],
)
def test_what_is_no_number_is_refused_by_name(kind, name, bad):
    if name == "pole_amplitude" and bad is None:
        return
    with pytest.raises(ValueError, match=rf"^{name} = .*: give a finite number .*and <= 1"):
        make_field({"kind": kind, name: bad})


@pytest.mark.parametrize("bad", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    ("kind", "name"), [("gaussian", "center"), ("divergent", "obstacle"), ("dipole", "obstacle")]
)
def test_what_is_no_point_is_refused_by_name(kind, name, bad):
    if bad != 1e10:
        with pytest.raises(ValueError, match=rf"^{name} = \[0.0, .*: give 2 finite numbers in cm"):
            make_field({"kind": kind, name: [0.0, bad]})
    with pytest.raises(ValueError, match=rf"^{name} = .*: give 2 finite numbers in cm"):
        make_field({"kind": kind, name: bad})


@pytest.mark.parametrize("bad", [0, -1, 5e-324, 1e-200, -0.0])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("gaussian", "sigma"), ("limit_cycle", "radius"), ("dipole", "obstacle_sigma")],
)
def test_widths_that_would_divide_to_infinity_are_refused(kind, name, bad):
    with pytest.raises(
        ValueError, match=rf"^{name} = .*: give a finite number >= 1e-06 and <= 1e\+06 cm"
    ):
        make_field({"kind": kind, name: bad})


def test_parts_of_a_sum_are_fields():
    with pytest.raises(ValueError, match="field = 3: choose one of gaussian"):
        SumField((GaussianField(), 3))
    with pytest.raises(ValueError, match="fields = 'gaussian': give a sequence"):
        make_field({"kind": "sum", "fields": "gaussian"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@PROPERTY
@given(
    st.sampled_from([*FIELDS, "sum", "other"]),
    st.dictionaries(
        st.sampled_from(
            ["center", "amplitude", "sigma", "matrix", "radius", "spin", "fields", "weights"]
        ),
        json_values,
        max_size=3,
    ),
)
def test_any_json_makes_a_working_field_or_a_value_error(kind, parameters):
    try:
        field = make_field({"kind": kind, **parameters})
        check_field(field, np.ones((3, 2)))
    except ValueError:
        return
    assert field(np.ones((3, 2))).shape == (3, 2)


@pytest.mark.parametrize(
    "field",
    [
        lambda x: x[..., 0],
        lambda x: x.T,
        lambda x: np.concatenate((x, x), axis=-1),
        lambda x: np.zeros(2),
        lambda x: 1.0,
    ],
)
def test_field_of_another_shape_is_refused(field):
    with pytest.raises(ValueError, match=r"positions of shape \(5, 2\).*\(\.\.\., 2\) forces"):
        check_field(field, np.zeros((5, 2)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_field_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="NaN or infinity"):
        check_field(lambda x: np.where(x > 0.5, value, x), np.eye(2))
