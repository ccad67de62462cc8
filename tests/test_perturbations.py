"""Perturbations are drawn from the ranges that were asked for."""

import math
import re
from collections import UserList
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered import which
from scipy import stats

from ndbmi_gym.perturbations import (
    N_FORCES,
    N_SIMPLE,
    PERTURBATIONS,
    Draw,
    Force,
    forces_of,
    make_perturbation,
    takes_time,
)

PROPERTY = settings(deadline=None, derandomize=True, max_examples=100)


def test_no_perturbation_draws_zeros():
    drawn = make_perturbation(None).sample(np.random.default_rng(0), which(range(7)))
    np.testing.assert_array_equal(drawn, forces_of(n_trials=7))


def test_fixed_perturbation_is_exact():
    draw = Draw((0.6, 0.6), ((-0.1, -0.1), (0.3, 0.3)))
    drawn = draw.sample(np.random.default_rng(0), which(range(50)))
    np.testing.assert_array_equal(drawn, forces_of(0.6, (-0.1, 0.3), n_trials=50))


def test_columns_are_uniform_and_independent():
    ranges = [(-1.0, 2.0), (0.0, 5.0), (-3.0, -1.0)]
    n = 20_000
    drawn = Draw(ranges[0], (ranges[1], ranges[2])).sample(
        np.random.default_rng(3), which(range(n))
    )
    assert drawn.shape == (n, N_FORCES)
    np.testing.assert_array_equal(drawn[:, N_SIMPLE:], forces_of(n_trials=n)[:, N_SIMPLE:])
    drawn = drawn[:, :N_SIMPLE]
    for column, (low, high) in zip(drawn.T, ranges, strict=True):
        assert low <= column.min()
        assert column.max() <= high
        # false alarms: 1e-6 each, three columns
        assert stats.kstest(column, stats.uniform(low, high - low).cdf).pvalue > 1e-6
    correlation = np.corrcoef(drawn.T)[np.triu_indices(3, 1)]
    # z of three correlations beyond 5: 2e-6
    assert np.abs(correlation).max() * math.sqrt(n) < 5


def test_same_seed_same_draw():
    draw = make_perturbation({"curl": [-1, 1], "push": [[-1, 1], 0]})
    first = draw.sample(np.random.default_rng(5), which(range(9)))
    np.testing.assert_array_equal(first, draw.sample(np.random.default_rng(5), which(range(9))))
    assert not np.array_equal(first, draw.sample(np.random.default_rng(6), which(range(9))))


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
    assert make_perturbation(spec) == draw
    np.testing.assert_array_equal(make_perturbation(spec).ranges(), [draw.curl, *draw.push])


@pytest.mark.parametrize("curl", [np.float32(0.5), np.float16(0.5), Fraction(1, 2), np.array(0.5)])
def test_numbers_of_other_libraries_become_plain(curl):
    if isinstance(curl, np.ndarray):
        curl = curl[()]
    made = Draw(curl=curl, push=(np.int8(1), np.array([0, 2])))
    assert made == Draw(0.5, (1, (0, 2)))
    assert [type(end) for end in (*made.curl, *made.push[0], *made.push[1])] == [float] * 6


@pytest.mark.parametrize(
    ("curl", "pair"),
    [(np.array([-1, 1]), (-1.0, 1.0)), (UserList([0, 1]), (0.0, 1.0)), ((0, 1), (0.0, 1.0))],
)
def test_sequences_of_other_libraries_become_tuples(curl, pair):
    assert Draw(curl=curl).curl == pair
    assert make_perturbation(MappingProxyType({"curl": curl})).curl == pair


@pytest.mark.parametrize("spec", [3, [1, 2], ("curl", 1), object(), Draw])
def test_what_is_no_perturbation_is_named_with_the_remedy(spec):
    with pytest.raises(ValueError, match=r"choose one of draw, blocks.*ranges, sample, law") as e:
        make_perturbation(spec)
    assert repr(spec) in str(e.value)


def test_unknown_names_and_options_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"unknown perturbation 'curl': choose one of draw, bl"):
        make_perturbation("curl")
    with pytest.raises(ValueError, match=r"no option 'curls': its options are curl, push, spring,"):
        make_perturbation({"curls": 1})
    with pytest.raises(ValueError, match=r"no option 'mass': its options are curl, push, spring,"):
        make_perturbation({"curl": 1, "mass": 2})


CURL = r"give a strength or \[low, high\], at most 1000 kg/s"
PUSH = r"give two forces, each a number or \[low, high\], at most 1e\+06 kg·cm/s²"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("curl", None),
        ("curl", "strong"),
        ("curl", True),
        ("curl", [1, 2, 3]),
        ("curl", []),
        ("curl", [[0, 1], 2]),
        ("curl", [1, 0]),
        ("curl", math.nan),
        ("curl", [0, math.inf]),
        ("curl", 1e308),
        ("curl", [-1001, 0]),
        ("push", 1),
        ("push", [1]),
        ("push", [1, 2, 3]),
        ("push", None),
        ("push", "ab"),
        ("push", [[3, 2], 0]),
        ("push", [0, -math.inf]),
        ("push", [0, 1e7]),
    ],
)
def test_bad_ranges_are_refused_with_value_and_rule(name, value):
    rule = {"curl": CURL, "push": PUSH}[name]
    with pytest.raises(ValueError, match=f"^{name} = {re.escape(repr(value))}.*: {rule}"):
        make_perturbation({name: value})


# Laws


def two(position, velocity):
    return -position


def three(position, velocity, time):
    return -position


class Spring:
    """A law that is a class: made without options."""

    def __call__(self, position, velocity):
        return -position


@dataclass(frozen=True)
class Damper:
    """A law with options."""

    strength: float = 1.0

    def __call__(self, position, velocity):
        return -self.strength * velocity


@pytest.mark.parametrize("law", [two, three, np.add])
def test_a_callable_is_a_law(law):
    made = make_perturbation(law)
    assert made == Draw(law=law)
    np.testing.assert_array_equal(made.ranges(), np.zeros((3, 2)))
    assert make_perturbation({"law": law, "curl": 0.5}) == Draw(0.5, law=law)


def test_a_law_can_be_named():
    name = "ndbmi_gym.perturbations:takes_time"  # any function will do
    assert make_perturbation(name).law is takes_time
    assert make_perturbation({"law": name, "curl": 1}) == Draw(1, law=takes_time)
    assert make_perturbation({"kind": name, "curl": 1}) == Draw(1, law=takes_time)
    spring = make_perturbation(f"{__name__}:Spring").law
    assert isinstance(spring, Spring)
    assert make_perturbation(f"{__name__}:Spring").law is spring  # the same, as often as it is made
    assert make_perturbation({"kind": f"{__name__}:Damper", "strength": 2}).law == Damper(2)
    assert Draw(law={"kind": f"{__name__}:Damper", "strength": 3}).law == Damper(3)
    with pytest.raises(ValueError, match="has no option 'size': its options are strength"):
        make_perturbation({"kind": f"{__name__}:Damper", "size": 2})
    with pytest.raises(ValueError, match=r"'nowhere:law': No module.*give 'module:attribute'"):
        make_perturbation("nowhere:law")
    with pytest.raises(ValueError, match=r"law = 3: give a callable \(position, velocity\[, time"):
        make_perturbation({"law": 3})


def test_a_law_says_by_its_parameters_whether_it_takes_time():
    assert takes_time(three)
    assert not takes_time(two)
    assert not takes_time(lambda x, v, scale=1.0: x)
    assert not takes_time(lambda *places: places[0])
    assert takes_time(partial(lambda k, x, v, t: x, 2.0))
    assert not takes_time(np.add)


# Schedules of one's own


class Catch:
    """Every third trial is pushed."""

    law = None

    def ranges(self):
        return np.array([[0, 0], [0, 1], [0, 0.0]])

    def sample(self, rng, trials):
        third = trials.number % 3 == 2
        return forces_of(push=np.where(third[:, None], [1.0, 0.0], 0.0))


def test_a_schedule_of_ones_own_is_an_object_or_a_name():
    mine = Catch()
    assert make_perturbation(mine) is mine
    assert isinstance(make_perturbation(f"{__name__}:Catch"), Catch)
    assert isinstance(make_perturbation({"kind": f"{__name__}:Catch"}), Catch)
    with pytest.raises(ValueError, match="has no option 'curl': its options are none"):
        make_perturbation({"kind": f"{__name__}:Catch", "curl": 1})


def test_a_registered_schedule_has_a_name(monkeypatch):
    monkeypatch.setattr(PERTURBATIONS, "_parts", dict(PERTURBATIONS._parts))
    PERTURBATIONS.register("catch", Catch)
    assert isinstance(make_perturbation("catch"), Catch)
    assert isinstance(make_perturbation({"kind": "catch"}), Catch)


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({"spring": "stiff"}, "spring = 'stiff'.*: give a number or a 2 x 2 matrix"),
        ({"spring": 1e7}, r"spring = 10000000.0 \(an entry is beyond 1e\+06\): give a number"),
        ({"spring": [1, 2]}, r"spring = \[1, 2\].*: give a number or a 2 x 2 matrix"),
        ({"spring": math.nan}, "spring = nan.*: give a number or a 2 x 2 matrix"),
        ({"viscous": -1001}, r"viscous = -1001 \(an entry is beyond 1000\): give a number or a"),
        ({"spring_centre_cm": 3}, "spring_centre_cm = 3: give 2 "),
        ({"spring_centre_cm": [1, 0]}, r"spring_centre_cm = \(1.0, 0.0\): there is no spring"),
        ({"channel": 7}, "channel = 7.*: give two numbers from 0 to 1e[+]06"),
        ({"channel": (-1, 0)}, r"channel = \(-1, 0\) \(out of range\): give two numbers from 0"),
        ({"from_s": -1}, "from_s = -1: give a finite number >= 0"),
        ({"until_s": 0}, r"until_s = 0 \(no time > 0\): give a time > from_s, or infinity"),
        ({"from_s": 2, "until_s": 1}, "until_s = 1: give a time after from_s = 2 s"),
        ({"law": "math:sin", "spring": 1.0}, "a law of your own is integrated alone.*or drop it"),
        ({"law": "math:sin", "until_s": 1.0}, "a law of your own is integrated alone.*or drop it"),
    ],
)
def test_forces_out_of_range_are_refused_with_the_rule(options, because):
    with pytest.raises(ValueError, match=because):
        Draw(**options)


def test_a_number_is_that_times_the_identity_and_a_channel_has_a_usual_size():
    draw = Draw(spring=-2, viscous=0.5, channel=True, spring_centre_cm=[1, 2], from_s=1, until_s=2)
    made = draw.sample(np.random.default_rng(0), which([3]))
    expected = forces_of(
        spring=-2.0, viscous=0.5, centre=(1, 2), from_s=1, until_s=2, channel=(6000, 250)
    )
    np.testing.assert_array_equal(made, expected)
    assert draw == Draw(
        spring=[[-2, 0], [0, -2]],
        viscous=[[0.5, 0], [0, 0.5]],
        channel=[6000, 250],
        spring_centre_cm=(1, 2),
        from_s=1,
        until_s=2,
    )
    assert Draw(channel=False) == Draw()
    assert draw.channels
    assert draw.unbounded
    assert not Draw(curl=3, push=(1, 1)).unbounded


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
        draw = make_perturbation(spec)
    except ValueError:
        return
    low, high = draw.ranges().T
    drawn = draw.sample(np.random.default_rng(0), which(range(20)))
    assert np.isfinite(np.delete(drawn, Force.UNTIL, axis=1)).all()
    drawn = drawn[:, :N_SIMPLE]
    # low + span·u may exceed the end by rounding
    slack = 1e-12 * np.maximum(np.abs(low), np.abs(high))
    assert (drawn >= low - slack).all()
    assert (drawn <= high + slack).all()
