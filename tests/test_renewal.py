"""Expected counts and bounds of renewal processes, against closed forms and simulation."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammainc
from scipy.stats import poisson
from test_spikes import EITHER, made

from ndbmi_gym.spikes import count_bound, mean_renewal_count, sample

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
MEANS = [0.01, 0.5, 5.0, 40.0, 300.0]
SHAPES = [1e-6, 1e-4, 0.003, 0.05, 0.2, 0.5, 0.9, 2.0, 7.0, 100.0]


@pytest.mark.parametrize("mean", [0.0, *MEANS, 1e6])
def test_poisson_counts_have_their_mean(mean):
    assert mean_renewal_count(mean, 1.0) == mean
    # the sum itself, from a shape that only rounding tells from 1
    assert mean_renewal_count(mean, 1 + 1e-15) == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize("mean", MEANS)
def test_every_second_spike_of_a_poisson_process(mean):
    """Shape 2: the renewal function is t/2 − (1 − exp(−2t))/4 in units of the shape."""
    closed = mean - (1 - np.exp(-4 * mean)) / 4
    assert mean_renewal_count(mean, 2.0) == pytest.approx(closed, rel=1e-6)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("shape", [k for k in SHAPES if k >= 0.003])
def test_mean_count_is_the_sum_over_spikes(mean, shape):
    m = np.arange(1, int(3 * mean + 400 / shape) + 1)
    direct = gammainc(m * shape, mean * shape).sum()
    assert mean_renewal_count(mean, shape) == pytest.approx(direct, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("mean", [0.01, 5.0, 300.0])
def test_small_shapes_are_summed_as_an_integral(mean):
    """A million terms, one by one."""
    m = np.arange(1, 5_000_001)
    direct = gammainc(m * 1e-4, mean * 1e-4)
    assert direct[-1] < 1e-20
    assert mean_renewal_count(mean, 1e-4) == pytest.approx(direct.sum(), rel=1e-4)


@pytest.mark.parametrize("shape", [0.003, 0.05, 0.5, 3.0])
@pytest.mark.parametrize("mean", [2.0, 40.0])
@EITHER
def test_mean_count_is_that_of_the_spikes_that_are_drawn(source, shape, mean):
    rng = made(source, 0, 20_000)
    counts = sample(rng, np.full((20_000, 1), mean), 600, shape=shape)[1][:, 0]
    error = counts.std() / len(counts) ** 0.5
    assert counts.mean() == pytest.approx(mean_renewal_count(mean, shape), abs=5 * error)
    assert counts.max() <= count_bound(mean, shape)


@PROPERTY
@given(mean=st.floats(0, 1e5), added=st.floats(0, 1e3), shape=st.floats(1, 1e3))
def test_regular_firing_has_poisson_s_bound(mean, added, shape):
    everything = mean + added
    assert count_bound(mean, shape, added) == everything + 40 * everything**0.5 + 200


@pytest.mark.parametrize("mean", [*MEANS, 1e4])
def test_bound_of_a_poisson_process(mean):
    assert poisson.logsf(count_bound(mean), mean) < np.log(1e-300)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("shape", [k for k in SHAPES if k < 1])
def test_bound_of_irregular_firing(mean, shape):
    """P(count > m) is P(Gamma((m + 1)·k) ≤ k·mean), which 1e-300 leaves just above underflow."""
    bound = count_bound(mean, shape)
    sums, window = shape * (np.floor(bound) + 1), shape * mean
    assert gammainc(sums, window) < 1e-300
    if bound > count_bound(mean):  # and it is no larger than need be
        assert gammainc(0.95 * sums, window) > 1e-300


def test_bound_grows_as_firing_becomes_irregular():
    bounds = [count_bound(40.0, shape) for shape in (1.0, 0.5, 0.2, 0.05, 0.003, 1e-6)]
    assert (np.diff(bounds) > 0).all()
    assert count_bound(0.0, 0.003) == 200
    assert count_bound(40.0, 0.003, 80.0) > count_bound(40.0, 0.003) + 80


@pytest.mark.parametrize("shape", [5e-324, 1e-300, 1e-6, 0.003, 0.5, 3.0, 1e6])
@pytest.mark.parametrize("mean", [1e-300, 1e-3, 40.0, 1e6])
def test_either_is_quick_and_never_fails(mean, shape):
    begin = time.perf_counter()
    count, bound = mean_renewal_count(mean, shape), count_bound(mean, shape)
    assert 0 <= count <= bound
    assert time.perf_counter() - begin < 0.5
