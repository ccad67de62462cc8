"""The earlier linear interface: field inversion, the fit, and what it can and cannot drive."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from ndbmi_gym.cortex import Response
from ndbmi_gym.cortex.topographic import topographic_cortex
from ndbmi_gym.experiments.protocol.runs import protocol_starts, run_protocol
from ndbmi_gym.experiments.vato2014.linear_interface import (
    LinearLoop,
    _self_contact,
    binned_counts,
    calibrate_linear,
    check_invertible,
    invert_field,
)
from ndbmi_gym.fields import GaussianField, LimitCycleField, LinearField, make_field
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.spikes import SpikeTrains, from_times
from ndbmi_gym.stimuli import stimulus_set
from ndbmi_gym.streams import animal_rng

SPIRAL = LinearField(((-0.4, 0.3), (-0.3, -0.4)), (2.0, -1.0))
STRETCHED = LinearField(((-0.8, 0.1), (0.0, -0.05)))
MIRRORED = LinearField(((0.4, 0.0), (0.0, -0.4)))


def exponential(rate):
    """The complex exponential e^(rate·z): its determinant |rate·e^(rate·z)|² is positive."""

    def field(position):
        radius, angle = np.exp(rate * position[..., 0]), rate * position[..., 1]
        return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=-1)

    return field


def square(position, pole=11.0):
    """(z − pole)², z = x + iy: one-to-one on a convex set that leaves out the pole."""
    x, y = position[..., 0] - pole, position[..., 1]
    return np.stack((x**2 - y**2, 2 * x * y), axis=-1)


# Which fields have an inverse


@pytest.mark.parametrize(
    "field", [LinearField(), SPIRAL, STRETCHED, MIRRORED, exponential(0.2), square, np.cbrt]
)
def test_one_to_one_fields_are_accepted(field):
    check_invertible(field, 10.0)


@pytest.mark.parametrize("half_side", [10.0, 0.3])
@pytest.mark.parametrize(
    "field",
    [
        LinearField(((-0.4, -0.4), (-0.4, -0.4))),
        LinearField(((-0.4, 0.2), (0.8, -0.4))),
        LinearField(((-0.4, 0.0), (0.0, 0.0))),
        LinearField(((0.0, 0.0), (0.0, 0.0)), (1.0, 1.0)),
        LimitCycleField(radius=0.1),
        lambda x: x**2,
        lambda x: np.abs(x - 0.1234),
    ],
)
def test_fields_that_fold_or_flatten_are_refused(field, half_side):
    message = rf"no inverse on the workspace of half side {half_side} cm: its Jacobian determinant"
    with pytest.raises(ValueError, match=message):
        check_invertible(field, half_side)


@pytest.mark.parametrize("name", ["gaussian", "dipole"])
def test_the_texts_own_fields_are_refused(name):
    rng = np.random.default_rng(0)
    cortex = topographic_cortex(stimulus_set(5))
    for refuse in (
        lambda field: check_invertible(field),
        lambda field: invert_field(field, [[0.0, 0.0]]),
        lambda field: calibrate_linear(cortex, field, rng),
    ):
        with pytest.raises(ValueError, match="smaller half_side_cm, or use the non-linear"):
            refuse(make_field(name))


def test_a_gaussian_field_is_one_to_one_within_its_peak():
    """Its force grows up to σ = 7 cm: the square's corner lies at √2·L."""
    check_invertible(GaussianField(), 4.94)
    with pytest.raises(ValueError, match=r"changes sign near \(-?5.0, -?5.0\) cm"):
        check_invertible(GaussianField(), 5.0)


def test_a_fold_is_found_though_the_determinant_keeps_its_sign():
    """e^(rate·z) has the period 2π/rate along y, which must exceed the side of 20 cm."""
    limit = 2 * math.pi / 20
    check_invertible(exponential(0.99 * limit), 10.0)
    check_invertible(exponential(1.01 * limit), 9.8)
    with pytest.raises(ValueError, match=r"the places \(.*\) and \(.*\) cm have the same force"):
        check_invertible(exponential(1.01 * limit), 10.0)


@pytest.mark.parametrize(
    ("outline", "meets"),
    [
        ([(0, 0), (1, 0), (1, 1), (0, 1)], False),
        ([(0, 0), (0, 1), (1, 1), (1, 0)], False),
        ([(0, 0), (1, 0), (0, 1), (1, 1)], True),  # a bow tie
        ([(0, 0), (4, 4), (3, 4.5), (3.5, 5), (6, 3.5), (6, -1)], False),  # lines cross, not sides
        ([(0, 0), (2, 0), (2, 2), (1, 0), (0, 2)], True),  # a corner on a side
        ([(0, 0), (4, 0), (4, 1), (3, 1), (3, 0), (1, 0), (1, 1), (0, 1)], True),  # along a side
        ([(0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (0, 1)], False),  # straight on
    ],
)
def test_contact_of_an_outline_with_itself(outline, meets):
    outline = np.array(outline, dtype=float)
    assert bool(_self_contact(outline, outline)) == meets


@pytest.mark.parametrize("pole", [0.0, 0.03, 5.017])
def test_a_branch_point_is_found(pole):
    """(z − pole)² has no other critical point, yet takes the forces around twice."""
    with pytest.raises(ValueError, match="no inverse"):
        check_invertible(lambda position: square(position, pole))


@pytest.mark.parametrize("half_side", [0.0, -1.0, math.nan, math.inf])
def test_bad_workspace_is_refused(half_side):
    with pytest.raises(ValueError, match=f"half_side_cm = {half_side}: give a half side > 0 cm"):
        check_invertible(LinearField(), half_side)


def test_bad_field_is_refused():
    with pytest.raises(ValueError, match="a field maps"):
        check_invertible(lambda x: x[..., 0])
    with pytest.raises(ValueError, match="must be finite"):
        check_invertible(lambda x: x * np.nan)


# The inverse


@pytest.mark.parametrize("half_side", [10.0, 0.5])
@pytest.mark.parametrize("field", [LinearField(), SPIRAL, STRETCHED, MIRRORED])
def test_inverse_of_a_linear_field_is_exact(field, half_side):
    places = np.random.default_rng(0).uniform(-half_side, half_side, (30, 2))
    forces = field(places)
    by_hand = np.linalg.solve(np.array(field.matrix), forces.T).T + field.center
    found = invert_field(field, forces, half_side)
    np.testing.assert_allclose(found, by_hand, atol=1e-9 * half_side)
    np.testing.assert_allclose(found, places, atol=1e-9 * half_side)


@pytest.mark.parametrize("field", [exponential(0.3), square, np.cbrt, GaussianField(sigma=15.0)])
def test_inverse_of_a_curved_field(field):
    places = np.random.default_rng(1).uniform(-9.9, 9.9, (30, 2))
    np.testing.assert_allclose(invert_field(field, field(places)), places, atol=1e-5)


@pytest.mark.parametrize("field", [LinearField(), exponential(0.3)])
def test_border_belongs_to_the_workspace(field):
    border = np.array([(10.0, 10.0), (-10.0, 3.0), (0.0, -10.0), (10.0, 0.1)])
    found = invert_field(field, field(border))
    np.testing.assert_allclose(found, border, atol=1e-5)
    assert np.abs(found).max() <= 10


@pytest.mark.parametrize("field", [LinearField(), SPIRAL, STRETCHED, exponential(0.1)])
def test_a_force_beyond_the_workspaces_goes_to_the_nearest(field):
    outside = np.array([(14.0, 3.0), (-12.0, 11.0), (2.0, -10.5), (30.0, -30.0)])
    forces = field(outside)
    found = invert_field(field, forces)
    assert np.abs(found).max() <= 10
    axis = np.linspace(-10, 10, 401)
    nodes = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    for place, force in zip(found, forces, strict=True):
        least = np.linalg.norm(field(nodes) - force, axis=-1).min()
        assert np.linalg.norm(field(place) - force) <= least * (1 + 1e-6)


@pytest.mark.parametrize("forces", [[0.0, 0.0], [[math.nan, 0.0]], [[1.0, 2.0, 3.0]]])
def test_bad_forces_are_refused(forces):
    with pytest.raises(ValueError, match=r"give finite forces of shape \(S, 2\)"):
        invert_field(LinearField(), forces)


# Counts


def test_counts_by_hand():
    trains = from_times([[[0.0, 0.299, 0.3], [0.599]], [[], [0.1, 0.1, 0.25]]], 0.6)
    np.testing.assert_array_equal(binned_counts(trains, 1), [[3, 1], [0, 3]])
    np.testing.assert_array_equal(binned_counts(trains, 2), [[2, 1, 0, 1], [0, 0, 3, 0]])
    np.testing.assert_array_equal(
        binned_counts(trains, 3), [[1, 2, 0, 0, 0, 1], [0, 0, 0, 2, 1, 0]]
    )


@pytest.mark.parametrize("n_count_bins", [1, 7, 600])
def test_no_spike_is_lost(n_count_bins):
    cortex = topographic_cortex(stimulus_set(5))
    trains = cortex.respond(np.arange(8), None, np.random.default_rng(0)).trains
    counted = binned_counts(trains, n_count_bins).reshape(8, 4, n_count_bins)
    np.testing.assert_array_equal(counted.sum(axis=-1), trains.counts())


@pytest.mark.parametrize("n_count_bins", [0, -1, 601])
def test_bad_number_of_count_bins_is_refused(n_count_bins):
    trains = from_times([[[0.1]]], 0.6)
    with pytest.raises(ValueError, match=f"n_count_bins = {n_count_bins}: the window has 600"):
        binned_counts(trains, n_count_bins)


# Calibration


class PlanarCortex:
    """Nine stimuli on a square; every response is its mean, which is affine in the square."""

    n_stimuli, n_electrodes, n_bins, clock_s, max_count = 9, 3, 600, 1e-3, 1.0
    layout = np.array([(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)])
    counts = (layout @ [[2, 4, 4], [4, 2, -4]] + 10).astype(np.int64)

    def mean_counts(self, stimulus, volition):
        return self.counts[stimulus] + volition

    def respond(self, stimulus, volition, rng, activity=None):
        counts = self.counts[stimulus]
        unit = np.tile(np.arange(3), len(counts))
        rows = np.repeat(unit * 600, counts.ravel()).astype(np.int32)
        offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=1))])
        trains = SpikeTrains(rows, offsets, 3, 600)
        nothing = np.empty((len(counts), 0))
        return Response(trains, np.hstack((counts, np.zeros_like(counts))), nothing)


@pytest.mark.parametrize("field", [LinearField(), SPIRAL, STRETCHED, exponential(0.2)])
def test_noiseless_responses_decode_to_the_field_at_their_sites(field):
    cortex = PlanarCortex()
    interface = calibrate_linear(cortex, field, np.random.default_rng(0), 2, 10.0, 1)
    stimuli = np.arange(9)
    decoded = interface.force(cortex.respond(stimuli, None, None).trains)
    if isinstance(field, LinearField):  # the affine map nearest to the field is the field
        np.testing.assert_allclose(interface.sites, 10 * cortex.layout, atol=1e-7)
        np.testing.assert_allclose(decoded, field(interface.sites), atol=1e-7)
    inner = np.abs(interface.sites).max(axis=1) < 10 - 1e-6
    assert inner.any()
    np.testing.assert_allclose(decoded[inner], field(interface.sites)[inner], atol=1e-6)
    # a stimulus is sensed at its own site
    np.testing.assert_array_equal(interface.sense(interface.sites), stimuli)


@pytest.mark.parametrize("number", [5, 6])
def test_sites_are_where_the_field_equals_the_mean_decoded_force(number):
    cortex = topographic_cortex(stimulus_set(number))
    n = cortex.n_stimuli
    interface = calibrate_linear(cortex, SPIRAL, np.random.default_rng(4), 20)
    again = cortex.respond(np.repeat(np.arange(n), 20), None, np.random.default_rng(4)).trains
    decoded = interface.force(again)
    means = decoded.reshape(n, 20, 2).mean(axis=1)
    np.testing.assert_allclose(SPIRAL(interface.sites), means, atol=1e-7)
    # least squares: what is left over is orthogonal to what was fitted
    wanted = decoded - decoded.mean(axis=0)
    counts = binned_counts(again, interface.n_count_bins)
    fitted = np.linalg.lstsq(counts - counts.mean(axis=0), wanted)[0]
    np.testing.assert_allclose(fitted, interface.weights, atol=1e-7)


@pytest.mark.parametrize("animal", [0, 1, 2])
def test_new_responses_decode_to_the_same_forces(animal):
    """Means of 200 new responses; 20 calibration responses per stimulus leave the fit biased."""
    cortex = topographic_cortex(stimulus_set(6))
    interface = calibrate_linear(cortex, LinearField(), animal_rng(animal))
    stimulus = np.repeat(np.arange(32), 200)
    trains = cortex.respond(stimulus, None, np.random.default_rng(0)).trains
    means = interface.force(trains).reshape(32, 200, 2).mean(axis=1)
    off = means - LinearField()(interface.sites)
    assert np.sqrt((off**2).mean()) < 0.25  # 0.6 cm of the field's gradient
    # over the layout, forces point back to the centre
    layout = cortex.layout
    assert ((means * layout).sum(axis=1) < 0).all()


def test_one_seed_one_interface():
    cortex = topographic_cortex(stimulus_set(5))
    first, again, other = (
        calibrate_linear(cortex, LinearField(), np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    for name in ("weights", "offset", "sites"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.sites, other.sites)


def test_an_interface_is_frozen_and_scales_with_the_workspace():
    cortex = topographic_cortex(stimulus_set(5))
    small, large = (
        calibrate_linear(cortex, LinearField(), np.random.default_rng(0), half_side_cm=half_side)
        for half_side in (1.0, 10.0)
    )
    np.testing.assert_allclose(10 * small.sites, large.sites, atol=1e-7)
    np.testing.assert_allclose(10 * small.weights, large.weights, atol=1e-9)
    assert (small.half_side_cm, small.n_count_bins, small.n_bins) == (1.0, 6, 600)
    with pytest.raises(FrozenInstanceError):
        small.half_side_cm = 2.0
    with pytest.raises(ValueError, match="read-only"):
        small.sites[0] = 0


def test_nearest_site_is_sensed():
    cortex = topographic_cortex(stimulus_set(6))
    interface = calibrate_linear(cortex, LinearField(), np.random.default_rng(0))
    places = np.random.default_rng(1).uniform(-20, 20, (50, 2))
    by_hand = [np.hypot(*(interface.sites - place).T).argmin() for place in places]
    np.testing.assert_array_equal(interface.sense(places), by_hand)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repetitions": 0}, "repetitions = 0: give a whole number >= 1"),
        ({"repetitions": 2.5}, "repetitions = 2.5"),
        ({"n_count_bins": 0}, "n_count_bins = 0: give a whole number"),
        ({"n_count_bins": 1.0}, "n_count_bins = 1.0"),
        ({"n_count_bins": 601, "repetitions": 400}, "n_count_bins = 601: the window has 600 ticks"),
        (
            {"repetitions": 3},
            "24 calibration responses cannot fix 25 weights.*raise repetitions or lower",
        ),
        ({"half_side_cm": 0.0}, "half_side_cm = 0.0"),
    ],
)
def test_bad_parameter_is_named_with_the_remedy(options, message):
    cortex = topographic_cortex(stimulus_set(5))
    with pytest.raises(ValueError, match=message):
        calibrate_linear(cortex, LinearField(), np.random.default_rng(0), **options)


def test_responses_of_another_set_up_are_refused():
    interface = calibrate_linear(
        topographic_cortex(stimulus_set(5)), LinearField(), np.random.default_rng(0)
    )
    for cortex in (
        topographic_cortex(stimulus_set(6)),
        topographic_cortex(stimulus_set(5), window_s=0.3),
    ):
        trains = cortex.respond(np.zeros(1, int), None, np.random.default_rng(0)).trains
        with pytest.raises(ValueError, match=r"calibrated with 4 and 600: .*calibrate again"):
            interface.force(trains)


# The closed loop


@pytest.mark.parametrize("animal", [0, 1, 2])
@pytest.mark.parametrize("number", [5, 6])
def test_it_drives_the_device_to_the_target_of_a_linear_field(number, animal):
    # 240 runs; at a true rate of 99 % fewer than 95 % converge with probability 1e-6
    cortex = topographic_cortex(stimulus_set(number))
    interface = calibrate_linear(cortex, LinearField(), animal_rng(animal))
    rng = np.random.default_rng(1)
    runs = run_protocol(LinearLoop(cortex, interface, PointMass()), rng, protocol_starts(rng, 10.0))
    assert runs.convergent.mean() >= 0.95
    assert runs.path.shape == (51, 240, 2)
