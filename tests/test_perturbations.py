"""Perturbations are drawn from the ranges that were asked for."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ndbmi_gym.perturbations import Draw, make_draw

PROPERTY = settings(deadline=None, derandomize=True, max_examples=100)


def test_no_perturbation_draws_zeros():
    drawn = make_draw(None).sample(np.random.default_rng(0), 7)
    np.testing.assert_array_equal(drawn, np.zeros((7, 3)))


def test_fixed_perturbation_is_exact():
    draw = Draw((0.6, 0.6), ((-0.1, -0.1), (0.3, 0.3)))
    drawn = draw.sample(np.random.default_rng(0), 50)
    np.testing.assert_array_equal(drawn, np.tile([0.6, -0.1, 0.3], (50, 1)))


def test_columns_are_uniform_and_independent():
    ranges = [(-1.0, 2.0), (0.0, 5.0), (-3.0, -1.0)]
    n = 20_000
    drawn = Draw(ranges[0], (ranges[1], ranges[2])).sample(np.random.default_rng(3), n)
    assert drawn.shape == (n, 3)
    for column, (low, high) in zip(drawn.T, ranges, strict=True):
        assert low <= column.min()
        assert column.max() <= high
        # false alarms: 1e-6 each, three columns
        assert stats.kstest(column, stats.uniform(low, high - low).cdf).pvalue > 1e-6
    correlation = np.corrcoef(drawn.T)[np.triu_indices(3, 1)]
    # z of three correlations beyond 5: 2e-6
    assert np.abs(correlation).max() * math.sqrt(n) < 5


def test_same_seed_same_draw():
    draw = make_draw({"curl": [-1, 1], "push": [[-1, 1], 0]})
    first = draw.sample(np.random.default_rng(5), 9)
    np.testing.assert_array_equal(first, draw.sample(np.random.default_rng(5), 9))
    assert not np.array_equal(first, draw.sample(np.random.default_rng(6), 9))


@pytest.mark.parametrize(
    ("spec", "draw"),
    [
        (None, Draw()),
        ({}, Draw()),
        ({"curl": 0.6}, Draw((0.6, 0.6))),
        ({"curl": [-1, 1]}, Draw((-1, 1))),
        ({"push": [0.5, -2]}, Draw(push=((0.5, 0.5), (-2, -2)))),
        ({"push": [[0, 1], -2]}, Draw(push=((0, 1), (-2, -2)))),
        ({"curl": (0, 1), "push": ((0, 1), (2, 3))}, Draw((0, 1), ((0, 1), (2, 3)))),
    ],
)
def test_json_forms(spec, draw):
    assert make_draw(spec) == draw
    np.testing.assert_array_equal(make_draw(spec).ranges(), [draw.curl, *draw.push])


@pytest.mark.parametrize(
    "spec",
    [
        "curl",
        3,
        [1, 2],
        {"curls": 1},
        {"curl": 1, "mass": 2},
        {"curl": None},
        {"curl": "strong"},
        {"curl": [1, 2, 3]},
        {"curl": []},
        {"curl": [[0, 1], 2]},
        {"push": 1},
        {"push": [1]},
        {"push": [1, 2, 3]},
        {"push": None},
    ],
    ids=repr,
)
def test_bad_specification_is_named_with_the_remedy(spec):
    with pytest.raises(ValueError, match=r"curl.*push") as caught:
        make_draw(spec)
    assert repr(spec) in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"curl": [1, 0]}, "curl"),
        ({"curl": math.nan}, "curl"),
        ({"curl": [0, math.inf]}, "curl"),
        ({"push": [[3, 2], 0]}, "push"),
        ({"push": [0, -math.inf]}, "push"),
    ],
)
def test_bad_range_is_named_with_the_remedy(spec, name):
    with pytest.raises(ValueError, match=rf"{name} range \(.*two finite ends, low <= high"):
        make_draw(spec)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@PROPERTY
@given(
    json_values.filter(lambda value: not isinstance(value, dict))
    | st.dictionaries(st.sampled_from(["curl", "push", "other"]), json_values)
)
def test_any_json_makes_a_draw_or_a_value_error(spec):
    try:
        draw = make_draw(spec)
    except ValueError:
        return
    low, high = draw.ranges().T
    drawn = draw.sample(np.random.default_rng(0), 20)
    assert np.isfinite(drawn).all()
    # low + span·u may exceed the end by rounding
    slack = 1e-12 * np.maximum(np.abs(low), np.abs(high))
    assert (drawn >= low - slack).all()
    assert (drawn <= high + slack).all()
