"""The interface against naive formulas."""

from dataclasses import replace

import numpy as np
import pytest

from ndbmi_gym.bank import ResponseBank
from ndbmi_gym.calibration import calibrate
from ndbmi_gym.cortex.topographic import topographic_cortex
from ndbmi_gym.interface import DECODERS, project, sense
from ndbmi_gym.spikes import SpikeTrains
from ndbmi_gym.stimuli import stimulus_set


@pytest.fixture(scope="module", params=[np.pi / 2, 0.9], ids=["labelled", "coupled"])
def interface(request):
    return make(5, repetitions=6, theta=request.param)


@pytest.fixture(scope="module")
def small():
    return make(1, repetitions=3, window_s=0.05)


def make(number, seed=0, repetitions=5, window_s=0.6, **options):
    cortex = topographic_cortex(stimulus_set(number), window_s)
    return calibrate(cortex, np.random.default_rng(seed), repetitions, **options)


def new_responses(number, n, seed=1, window_s=0.6):
    cortex = topographic_cortex(stimulus_set(number), window_s)
    rng = np.random.default_rng(seed)
    return cortex.respond(rng.integers(0, cortex.n_stimuli, n), None, rng).trains


def brute_distances(interface, trains):
    """Eq 7, over all pairs of spikes, (B, M)."""
    metric, n_bins = interface.metric, interface.trains.n_bins

    def inner(x, y):
        (unit_x, tick_x), (unit_y, tick_y) = np.divmod(x, n_bins), np.divmod(y, n_bins)
        weight = np.where(np.equal.outer(unit_x, unit_y), 1, np.cos(metric.theta))
        lag = np.abs(np.subtract.outer(tick_x, tick_y)) * metric.clock_s
        return (weight * np.exp(-lag / metric.tau_s)).sum()

    own = [inner(c, c) for c in interface.trains]
    squared = [
        [inner(x, x) + own[m] - 2 * inner(x, c) for m, c in enumerate(interface.trains)]
        for x in trains
    ]
    return np.sqrt(np.maximum(squared, 0))


# Sensing and decoding


def test_sense_finds_the_nearest_site(interface):
    """Eq 1."""
    position = np.random.default_rng(0).uniform(-20, 20, (500, 2))
    expected = [np.hypot(*(interface.sites - x).T).argmin() for x in position]
    np.testing.assert_array_equal(interface.sense(position), expected)
    np.testing.assert_array_equal(interface.sense(interface.sites), np.arange(8))
    assert len(set(expected)) == 8  # all regions were visited


def test_sense_takes_the_first_of_equals(small):
    square = replace(small, sites=np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]))
    np.testing.assert_array_equal(square.sense(np.array([[0.0, 0], [0, 5], [5, 0]])), [0, 1, 2])


def test_a_range_of_trials_is_sensed_each_by_its_own_animal():
    animals = [make(1, seed, 3, 0.05) for seed in range(2)]
    rng = np.random.default_rng(0)
    position, animal = rng.uniform(-15, 15, (40, 2)), rng.integers(0, 2, 40)
    stimulus = np.full(40, -1)
    sense(np.array([each.sites for each in animals]), animal, position, stimulus, 5, 30)
    each = np.array([interface.sense(position) for interface in animals])
    assert (each[0] != each[1]).any()
    np.testing.assert_array_equal(stimulus[5:30], each[animal, np.arange(40)][5:30])
    assert (stimulus[:5] == -1).all()
    assert (stimulus[30:] == -1).all()


def test_a_range_of_responses_is_projected_each_by_its_own_animal():
    animals = [make(1, seed, 3, 0.05) for seed in range(2)]
    trains, animal = new_responses(1, 30, window_s=0.05), np.arange(30) % 2
    readout = np.array([each.readout for each in animals])
    offset = np.array([each.readout_offset for each in animals])
    each = np.array([interface.project(trains) for interface in animals])
    assert (each[0] != each[1]).any()
    first, last = 4, 20
    spikes = trains.rows[trains.offsets[first] : trains.offsets[last]]
    offsets = trains.offsets[first : last + 1] - trains.offsets[first]
    point = np.full((30, 2), np.nan)
    project(readout, offset, animal, spikes, offsets, point, first, last)
    np.testing.assert_array_equal(point[4:20], each[animal, np.arange(30)][4:20])
    assert np.isnan(point[:4]).all()
    assert np.isnan(point[20:]).all()


def test_multiple_points_decodes_the_nearest_response(interface):
    """Eqs 11 and 12."""
    trains = new_responses(5, 150)
    nearest = brute_distances(interface, trains).argmin(axis=1)
    decoded = interface.decode(trains)
    np.testing.assert_array_equal(decoded, interface.decode(trains, "multiple-points"))
    same = (decoded == interface.points[nearest]).all(axis=1)
    assert same.mean() >= 0.98  # a tie within the quantisation may fall either way
    assert all(any((y == p).all() for p in interface.points) for y in decoded)


@pytest.mark.parametrize("exponent", [-2.0, -8.0, 1.0])
def test_single_point_decodes_the_nearest_stimulus(interface, exponent):
    """Eqs 8 to 10."""
    tuned = replace(interface, exponent=exponent)
    trains = new_responses(5, 150)
    between = brute_distances(interface, trains).reshape(150, 8, 6)
    mean = (between**exponent).mean(axis=-1) ** (1 / exponent)
    decoded = tuned.decode(trains, "single-point")
    same = (decoded == interface.sites[mean.argmin(axis=1)]).all(axis=1)
    assert same.mean() >= 0.98
    if exponent == -2.0:
        arithmetic = between.mean(axis=-1).argmin(axis=1)
        assert (mean.argmin(axis=1) != arithmetic).any()  # so the exponent is put to the test


def test_projection_is_gower_s_formula_on_distances(interface):
    """A point added to a classical MDS from its distances alone (Gower 1968)."""
    between = brute_distances(interface, interface.trains)
    size = len(between)
    centring = np.eye(size) - 1 / size
    inner = -0.5 * centring @ between**2 @ centring
    values, vectors = np.linalg.eigh(inner)
    values, plane = values[-2:], vectors[:, -2:] * np.sqrt(values[-2:])
    trains = new_responses(5, 60)
    squared = brute_distances(interface, trains) ** 2
    # the mean of the new row drops out: the columns of the plane sum to 0
    added = 0.5 * (np.diag(inner) - squared) @ plane / values
    # MDS leaves turn and scale open: take the interface's from the calibration points
    known = np.column_stack((plane, np.ones(size)))
    affine, residual, _, _ = np.linalg.lstsq(known, interface.points, rcond=None)
    assert residual.max() < 1e-18
    expected = np.column_stack((added, np.ones(60))) @ affine
    np.testing.assert_allclose(interface.project(trains), expected, atol=1e-9)
    np.testing.assert_array_equal(interface.decode(trains, "projection"), interface.project(trains))


def test_calibration_responses_return_to_their_points(interface):
    np.testing.assert_allclose(interface.project(interface.trains), interface.points, atol=1e-9)
    decoded = interface.decode(interface.trains, "multiple-points")
    np.testing.assert_array_equal(decoded, interface.points)
    site = np.repeat(interface.sites, 6, axis=0)
    np.testing.assert_array_equal(interface.decode(interface.trains, "single-point"), site)


def test_projection_is_affine_in_the_spikes(interface):
    a, b = new_responses(5, 10, seed=3), new_responses(5, 10, seed=4)
    both = SpikeTrains(
        np.concatenate([part for i in range(10) for part in (a[i], b[i])]),
        a.offsets + b.offsets,
        a.n_electrodes,
        a.n_bins,
    )
    silent = SpikeTrains(np.zeros(0, np.int32), np.zeros(2, np.int64), a.n_electrodes, a.n_bins)
    np.testing.assert_array_equal(interface.project(silent), [interface.readout_offset])
    total = interface.project(a) + interface.project(b) - interface.readout_offset
    np.testing.assert_allclose(interface.project(both), total, atol=1e-10)


def test_interface_counts_itself(interface):
    assert (interface.n_stimuli, interface.n_repetitions) == (8, 6)
    assert isinstance(interface.bank, ResponseBank)
    assert interface.bank is interface.bank


@pytest.mark.parametrize("decoder", ["", "nearest", "Multiple-Points", None])
def test_unknown_decoder_is_named_with_the_choice(small, decoder):
    with pytest.raises(ValueError, match="multiple-points, single-point, projection") as caught:
        small.decode(small.trains, decoder)
    assert repr(decoder) in str(caught.value)


@pytest.mark.parametrize("decoder", DECODERS)
def test_responses_of_another_set_up_are_refused(small, decoder):
    for other in (new_responses(6, 2, window_s=0.05), new_responses(1, 2)):
        with pytest.raises(ValueError, match="cannot be compared with calibration responses of 4"):
            small.decode(other, decoder)
