"""The metric against a sum over all spike pairs, its closed forms and its axioms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndbmi_gym.metric import Metric, distances, gram, influence, squared_norms
from ndbmi_gym.spikes import SpikeTrains, from_times, sample
from ndbmi_gym.stimuli import evoked_counts, stimulus_set

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
N_BINS = 30
TAUS = [1e-3, 0.02, 0.1, 10.0]
THETAS = [0.0, math.pi / 4, 1.2, math.pi / 2]
ANY_METRIC = pytest.mark.parametrize("metric", [Metric(t, a) for t in TAUS for a in THETAS])

spikes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, N_BINS - 1)), max_size=12)
metrics = st.builds(Metric, st.sampled_from(TAUS), st.floats(0, math.pi / 2))


def trains_of(responses, n_electrodes=3, n_bins=N_BINS):
    """Responses from lists of (unit, bin)."""
    rows = [unit * n_bins + tick for response in responses for unit, tick in response]
    offsets = np.cumsum([0, *map(len, responses)])
    return SpikeTrains(
        np.array(rows, dtype=np.int32), offsets.astype(np.int64), n_electrodes, n_bins
    )


def random_trains(seed, n_responses, n_electrodes=3, n_bins=N_BINS, max_spikes=40):
    """Ragged, unsorted responses; with so few bins most hold duplicate spikes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, max_spikes + 1, n_responses)
    sizes[0] = 0
    rows = rng.integers(0, n_electrodes * n_bins, sizes.sum()).astype(np.int32)
    return SpikeTrains(rows, np.cumsum([0, *sizes]).astype(np.int64), n_electrodes, n_bins)


def cortical_trains(seed, n_per_stimulus):
    """Responses of the paper's cortex to set 6."""
    counts = np.repeat(evoked_counts(stimulus_set(6)), n_per_stimulus, axis=0)
    return sample(np.random.default_rng(seed), counts, 600)[0]


def brute_kernel(metric, x, y, n_bins):
    """Every spike of x against every spike of y, (spikes of x, spikes of y)."""
    unit_x, tick_x = np.divmod(x[:, None], n_bins)
    unit_y, tick_y = np.divmod(y[None, :], n_bins)
    weight = np.where(unit_x == unit_y, 1.0, math.cos(metric.theta))
    lag = metric.clock_s * np.abs(tick_x - tick_y)
    return weight * np.exp(-lag / metric.tau_s)


def brute_gram(metric, first, second):
    return np.array(
        [[brute_kernel(metric, x, y, first.n_bins).sum() for y in second] for x in first]
    ).reshape(len(first), len(second))


def brute_squared(metric, first, second):
    """Squared distances, as kernel sums over all pairs."""
    own = [brute_kernel(metric, x, x, first.n_bins).sum() for x in first]
    other = [brute_kernel(metric, y, y, first.n_bins).sum() for y in second]
    return np.add.outer(own, other) - 2 * brute_gram(metric, first, second)


def distance(metric, x, y):
    """Distance between two responses given as lists of (unit, time)."""
    n_electrodes = 1 + max((unit for unit, _ in [*x, *y]), default=0)
    responses = [[[t for u, t in z if u == unit] for unit in range(n_electrodes)] for z in (x, y)]
    return float(distances(gram(metric, from_times(responses, 0.6)))[0, 1])


# Gram matrix, norms and distances


@ANY_METRIC
@pytest.mark.parametrize(("seed", "n_electrodes"), [(0, 3), (1, 1), (2, 9)])
def test_gram_norms_and_distances_by_brute_force(metric, seed, n_electrodes):
    trains = random_trains(seed, 25, n_electrodes)
    expected = brute_gram(metric, trains, trains)
    result = gram(metric, trains)
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(result, result.T)
    np.testing.assert_allclose(squared_norms(metric, trains), np.diag(expected), rtol=1e-9)
    squared = brute_squared(metric, trains, trains)
    between = distances(result)
    np.testing.assert_allclose(between**2, squared, atol=1e-9)
    apart = squared > 1e-3
    np.testing.assert_allclose(between[apart], np.sqrt(squared[apart]), rtol=1e-9)
    np.testing.assert_array_equal(np.diag(between), 0.0)


@PROPERTY
@given(metric=metrics, responses=st.lists(spikes, min_size=1, max_size=5))
def test_gram_by_brute_force_on_any_spikes(metric, responses):
    trains = trains_of(responses)
    expected = brute_gram(metric, trains, trains)
    np.testing.assert_allclose(gram(metric, trains), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(squared_norms(metric, trains), np.diag(expected), rtol=1e-9)


@PROPERTY
@given(metric=metrics, response=spikes, seed=st.integers(0, 99))
def test_order_of_spikes_is_of_no_account(metric, response, seed):
    shuffled = [response[i] for i in np.random.default_rng(seed).permutation(len(response))]
    x, y = trains_of([response]), trains_of([shuffled])
    np.testing.assert_allclose(squared_norms(metric, x), squared_norms(metric, y), rtol=1e-12)
    together = trains_of([response, shuffled])
    # D² of 144 unit terms cancels to rounding, D to its root
    np.testing.assert_allclose(distances(gram(metric, together)), 0, atol=1e-5)


@pytest.mark.parametrize("metric", [Metric(0.1), Metric(0.02, 0.7)])
def test_long_responses_by_brute_force(metric):
    """The real sizes: 9 electrodes, 600 ticks, about 90 spikes."""
    trains = cortical_trains(0, 1)
    expected = brute_gram(metric, trains, trains)
    np.testing.assert_allclose(gram(metric, trains), expected, rtol=1e-11)
    np.testing.assert_allclose(squared_norms(metric, trains), np.diag(expected), rtol=1e-11)


# Closed forms


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("theta", THETAS)
def test_closed_forms(tau, theta):
    metric = Metric(tau, theta)
    one, other = [(0, 0.2)], [(1, 0.2)]
    assert distance(metric, one, []) == pytest.approx(1, rel=1e-12)
    assert distance(metric, one, other) == pytest.approx(
        math.sqrt(2 * (1 - math.cos(theta))), abs=1e-12
    )
    assert distance(metric, one + other, []) == pytest.approx(
        math.sqrt(2 * (1 + math.cos(theta))), rel=1e-12
    )
    assert distance(metric, one + one, []) == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("theta", THETAS)
def test_shift_by_tau(theta):
    shifted = distance(Metric(0.1, theta), [(0, 0.2)], [(0, 0.3)])
    assert shifted == pytest.approx(math.sqrt(2 * (1 - math.exp(-1))), rel=1e-12)


@PROPERTY
@given(st.integers(0, 400), st.sampled_from(TAUS))
def test_shift_by_any_lag(lag, tau):
    shifted = distance(Metric(tau), [(0, 0.1)], [(0, 0.1 + lag * 1e-3)])
    expected = -math.expm1(-lag * 1e-3 / tau) * 2
    assert shifted**2 == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_small_tau_counts_spikes_without_a_partner():
    metric = Metric(1e-6)
    x = [(0, 0.1), (0, 0.2), (0, 0.3), (1, 0.1)]
    y = [(0, 0.2), (0, 0.301), (1, 0.1), (1, 0.4)]
    assert distance(metric, x, y) == pytest.approx(math.sqrt(4), rel=1e-9)
    trains = random_trains(5, 12)
    counts = np.array([np.bincount(r, minlength=3 * N_BINS) for r in trains])
    expected = ((counts[:, None] - counts) ** 2).sum(axis=-1)  # coincidences cancel, bin by bin
    np.testing.assert_allclose(distances(gram(metric, trains)) ** 2, expected, atol=1e-9)


@pytest.mark.parametrize("theta", THETAS)
def test_large_tau_compares_counts(theta):
    trains = random_trains(6, 12)
    coupling = np.full((3, 3), math.cos(theta)) + (1 - math.cos(theta)) * np.eye(3)
    difference = trains.counts()[:, None] - trains.counts()
    expected = np.einsum("abp,pq,abq->ab", difference, coupling, difference)
    between = distances(gram(Metric(1e9, theta), trains))
    np.testing.assert_allclose(between**2, expected, atol=1e-6)


# Axioms


@PROPERTY
@given(metric=metrics, x=spikes, y=spikes, z=spikes)
def test_axioms_of_a_metric(metric, x, y, z):
    between = distances(gram(metric, trains_of([x, y, z])))
    assert (between >= 0).all()
    np.testing.assert_array_equal(between, between.T)
    np.testing.assert_array_equal(np.diag(between), 0)
    slack = 1e-5  # the root of the rounding of D²
    assert between[0, 2] <= between[0, 1] + between[1, 2] + slack
    assert between[0, 1] <= between[0, 2] + between[2, 1] + slack
    assert between[1, 2] <= between[1, 0] + between[0, 2] + slack


@PROPERTY
@given(
    tau=st.sampled_from([1e-3, 0.02, 0.1]), theta=st.floats(0.1, math.pi / 2), x=spikes, y=spikes
)
def test_different_responses_are_apart(tau, theta, x, y):
    between = distances(gram(Metric(tau, theta), trains_of([x, y])))[0, 1]
    if sorted(x) == sorted(y):
        assert between < 1e-5
    else:
        # the kernel is at least (1 − e^-lag)-definite on the clock: 1e-2·sin(θ/2) and more
        assert between > 1e-4


@PROPERTY
@given(x=spikes, units=st.lists(st.integers(0, 2), min_size=12, max_size=12))
def test_pooled_metric_ignores_the_electrode(x, units):
    relabelled = [(unit, tick) for unit, (_, tick) in zip(units, x, strict=False)]
    between = distances(gram(Metric(0.05, 0.0), trains_of([x, relabelled])))
    np.testing.assert_allclose(between, 0, atol=1e-5)


def test_right_angle_separates_electrodes_exactly():
    assert Metric(0.1, math.pi / 2).coupling == 0.0
    assert Metric(0.1, 0.0).coupling == 1.0
    assert Metric(0.1, math.pi / 3).coupling == pytest.approx(0.5)


# Influence


@ANY_METRIC
def test_influence_is_the_inner_product_of_a_single_spike(metric):
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(3, N_BINS, 2)) * (rng.random((3, N_BINS, 1)) < 0.3)
    result = influence(metric, weights)
    ticks = np.arange(N_BINS)
    kernel = np.exp(-metric.clock_s * np.abs(ticks[:, None] - ticks) / metric.tau_s)
    expected = np.zeros_like(weights)
    for p in range(3):
        for q in range(3):
            factor = 1.0 if p == q else math.cos(metric.theta)
            expected[p] += factor * kernel @ weights[q]
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-11)


def test_influence_leaves_its_weights():
    weights = np.random.default_rng(0).random((2, 10, 1))
    before = weights.copy()
    influence(Metric(0.1, 0.5), weights)
    np.testing.assert_array_equal(weights, before)


# Errors


@pytest.mark.parametrize("tau", [0.0, -0.1, math.nan, math.inf])
def test_bad_tau_is_refused(tau):
    with pytest.raises(ValueError, match=r"tau_s = .* > 0 s \(default 0.1\)"):
        Metric(tau)


@pytest.mark.parametrize("theta", [-1e-9, 1.6, math.pi, math.nan, math.inf])
def test_bad_theta_is_refused(theta):
    with pytest.raises(ValueError, match=r"theta = .*\[0, pi/2\]"):
        Metric(0.1, theta)


@pytest.mark.parametrize("clock", [0.0, -1e-3, math.nan, math.inf])
def test_bad_clock_is_refused(clock):
    with pytest.raises(ValueError, match=r"clock_s = .* > 0 s"):
        Metric(0.1, 1.0, clock)
