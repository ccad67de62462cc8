"""Fields as elementary terms: what compiled code can evaluate, and what only its own code can."""

from dataclasses import dataclass

import numpy as np
import pytest

from ndbmi_gym.fields import (
    DipoleField,
    DivergentField,
    GaussianField,
    LimitCycleField,
    LinearField,
    SumField,
    Term,
    pull,
    terms_of,
)

GAUSSIAN = GaussianField((2.0, -3.0), -1.5, 0.7)
LINEAR = LinearField(((-0.3, 1.0), (-1.0, 0.2)), (1.0, 2.0))
CYCLE = LimitCycleField(3.0, 2.0, -1.5)
WEIGHTED = SumField((GAUSSIAN, LINEAR, CYCLE), (0.5, -2.0, 0.0))
NATIVE = {
    "gaussian": (GAUSSIAN, 1),
    "linear": (LINEAR, 1),
    "limit cycle": (CYCLE, 1),
    "divergent": (DivergentField(), 2),
    "dipole": (DipoleField(), 3),
    "sum": (WEIGHTED, 3),
    "sum of sums": (SumField((WEIGHTED, DipoleField()), (-0.7, 1.3)), 6),
    "empty sum": (SumField(()), 0),
}
ANY_NATIVE = pytest.mark.parametrize(("field", "count"), NATIVE.values(), ids=list(NATIVE))


@dataclass(frozen=True)
class Halved(GaussianField):
    """Inherits, and is called in another way."""

    def __call__(self, position):
        return 0.5 * super().__call__(position)


@dataclass(frozen=True)
class Renamed(GaussianField):
    """Inherits, and is called in the same way."""

    name: str = "mine"


class Wrapped:
    """Passes on whatever it is asked for."""

    def __init__(self, field):
        self.field = field

    def __getattr__(self, name):
        return getattr(self.field, name)

    def __call__(self, position):
        return -self.field(position)


def shear(position):
    return np.stack((position[..., 1], 0 * position[..., 0]), axis=-1)


OWN = [shear, Halved(), Wrapped(GAUSSIAN), SumField((shear,)), SumField((GAUSSIAN, Halved()))]


def places(n=200):
    return np.random.default_rng(3).uniform(-12, 12, (n, 2))


@ANY_NATIVE
def test_compiled_code_finds_the_force_of_a_field_in_its_terms(field, count):
    terms, x = terms_of(field), places()
    assert terms.shape == (count, len(Term))
    force = np.full_like(x, np.nan)
    pull(terms, x, force, 20, 150)
    np.testing.assert_array_equal(force[20:150], field(x)[20:150])
    assert np.isnan(force[:20]).all()
    assert np.isnan(force[150:]).all()


@ANY_NATIVE
def test_a_point_s_force_is_the_same_alone(field, count):
    x = places(40)
    np.testing.assert_array_equal(field(x), [field(each) for each in x])
    turned = np.asfortranarray(x)
    turned.setflags(write=False)
    np.testing.assert_array_equal(field(turned), field(x))


@ANY_NATIVE
def test_terms_may_be_pulled_at_points_that_they_replace(field, count):
    x = places()
    force = field(x)
    pull(terms_of(field), x, x, 0, len(x))
    np.testing.assert_array_equal(x, force)


def test_a_sum_is_that_of_its_weighted_fields():
    x = places()
    inner = 0.5 * GAUSSIAN(x) - 2.0 * LINEAR(x)
    np.testing.assert_allclose(WEIGHTED(x), inner, rtol=1e-13, atol=1e-13)
    expected = -0.7 * inner + 1.3 * DipoleField()(x)
    nested, _ = NATIVE["sum of sums"]
    np.testing.assert_allclose(nested(x), expected, rtol=1e-12, atol=1e-13)


def test_terms_of_a_part_are_not_weighted_in_its_place():
    before = terms_of(GAUSSIAN).copy()
    terms_of(SumField((GAUSSIAN,), (4.0,)))
    np.testing.assert_array_equal(terms_of(GAUSSIAN), before)


@pytest.mark.parametrize("field", OWN, ids=["function", "class", "wrapper", "sum", "sum of both"])
def test_what_only_its_own_code_can_tell_has_no_terms(field):
    assert terms_of(field) is None


def test_own_code_is_called():
    x, force = places(), GaussianField()(places())
    np.testing.assert_array_equal(Halved()(x), 0.5 * force)
    np.testing.assert_array_equal(SumField((Halved(), shear), (2.0, -1.0))(x), force - shear(x))


def test_a_class_that_only_inherits_keeps_its_terms():
    np.testing.assert_array_equal(terms_of(Renamed()), terms_of(GaussianField()))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1)])
def test_what_is_no_array_of_points_is_refused(shape):
    with pytest.raises(
        ValueError, match=r"positions of shape .*: give points \(\.\.\., 2\), in cm"
    ):
        GAUSSIAN(np.zeros(shape))
