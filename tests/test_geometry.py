"""Measures of a map, on maps constructed to have them."""

import math

import numpy as np
import pytest

from ndbmi_gym.experiments.protocol.geometry import f_factor_misfit, make_interface, map_geometry
from ndbmi_gym.interface import Interface
from ndbmi_gym.metric import Metric
from ndbmi_gym.presets import Preset
from ndbmi_gym.spikes import SpikeTrains
from ndbmi_gym.stimuli import stimulus_set

K = 4


def interface_at(sites, points=None):
    """An interface with given sites, (S, 2), and points, all at their sites by default."""
    sites = np.array(sites, dtype=float)
    points = np.repeat(sites, K, axis=0) if points is None else points
    silent = SpikeTrains(np.zeros(0, np.int32), np.zeros(len(points) + 1, np.int64), 4, 600)
    return Interface(
        metric=Metric(),
        trains=silent,
        points=points,
        sites=sites,
        half_side_cm=10.0,
        f_factors=np.array([2.0, 3.0]),
        readout=np.zeros((2400, 2)),
        readout_offset=np.zeros(2),
    )


def layout(number):
    return stimulus_set(number).layout()


def turned(places, degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray(places) @ [[c, s], [-s, c]]


def shares(sites, number, points=None):
    return map_geometry(interface_at(sites, points), number)[:4]


def skew(sites, number):
    return map_geometry(interface_at(sites), number).skew


@pytest.mark.parametrize("number", range(1, 8))
def test_the_layout_itself_has_all(number):
    sites = 1.7 * layout(number)
    assert shares(sites, number) == (1.0, 1.0, 1.0, 1.0)
    found = map_geometry(interface_at(sites), number)
    assert found.skew == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_array_equal(found.f_factors, [2.0, 3.0])


@pytest.mark.parametrize(
    ("degrees", "kept"), [(0, 1.0), (44, 1.0), (-44, 1.0), (46, 0.0), (-46, 0.0), (180, 0.0)]
)
def test_an_angle_is_kept_up_to_half_way_to_the_next_electrode(degrees, kept):
    assert shares(turned(layout(1), degrees), 1)[1] == kept
    # the pairs of set 3 do not count
    sites = layout(3)
    sites[:4] = turned(sites[:4], degrees)
    assert shares(sites, 3)[1] == kept


@pytest.mark.parametrize(("degrees", "kept"), [(22, 1.0), (-22, 1.0), (23, 0.0), (-23, 0.0)])
def test_among_more_electrodes_half_way_is_nearer(degrees, kept):
    """Eight on the perimeter of set 6, 45 degrees apart."""
    assert shares(turned(layout(6), degrees), 6)[1] == kept


def test_angles_are_counted_by_site():
    sites = layout(2)
    sites[[1, 6, 11]] = turned(sites[[1, 6, 11]], 90)
    assert shares(sites, 2)[1] == 0.75


@pytest.mark.parametrize(
    ("radii", "rises"),
    [((1, 2, 3), 1.0), ((3, 2, 1), 0.0), ((2, 1, 3), 0.5), ((1, 3, 2), 0.5), ((1, 1, 2), 0.5)],
)
@pytest.mark.parametrize("number", [2, 4])
def test_radii_are_compared_between_neighbouring_intensities(number, radii, rises):
    layer = layout(number).reshape(3, -1, 2)[0]
    sites = np.concatenate([radius * layer for radius in radii])
    assert shares(sites, number)[2] == rises


def test_radii_are_compared_at_each_place():
    sites = layout(2).reshape(3, 4, 2)
    sites[2, 0] *= 0.1  # one of eight steps
    assert shares(sites.reshape(-1, 2), 2)[2] == 7 / 8


@pytest.mark.parametrize("number", [3, 4])
def test_pairs_must_lie_between_their_electrodes(number):
    n = len(layout(number))
    pairs = [s for s, (places, _) in enumerate(stimulus_set(number).patterns) if len(places) == 2]
    sites = layout(number)
    sites[pairs] = turned(sites[pairs], 44)
    assert shares(sites, number)[3] == 1.0
    sites = layout(number)
    sites[pairs] = turned(sites[pairs], 46)
    assert shares(sites, number)[3] == 0.0
    sites = layout(number)
    sites[pairs[0]] = turned(sites[pairs[0]], -90)
    assert shares(sites, number)[3] == pytest.approx(1 - 1 / len(pairs))
    assert len(pairs) == n // 2


@pytest.mark.parametrize("degrees", [170, 180, -170])
def test_a_pair_on_the_far_side_is_not_between(degrees):
    sites = layout(3)
    sites[4:] = turned(sites[4:], degrees)
    assert shares(sites, 3)[3] == 0.0


def test_a_pair_between_electrodes_far_apart_lies_on_the_short_side():
    sites = layout(3)
    pair = next(places for places, _ in stimulus_set(3).patterns if len(places) == 2)
    index = {places: s for s, (places, _) in enumerate(stimulus_set(3).patterns)}
    first, second = (index[place,] for place in pair)
    middle = sites[index[pair]].copy()
    sites[first], sites[second] = turned(middle, 89), turned(middle, -89)
    with_it = shares(sites, 3)[3]
    sites[first], sites[second] = turned(middle, 91), turned(middle, -91)
    assert shares(sites, 3)[3] == with_it - 1 / 4


# Skew


@pytest.mark.parametrize("degrees", [0, 30, 90, 179])
@pytest.mark.parametrize("number", [1, 2, 6])
def test_skew_is_the_lack_of_orthogonality_however_the_map_is_turned(number, degrees):
    sites = turned(layout(number), degrees)
    assert skew(sites, number) == pytest.approx(0.0, abs=1e-9)
    assert skew(sites * [1, -1], number) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("off", [-90, -50, -10, 10, 35, 90])
def test_skew_of_two_lines_by_hand(off):
    """Electrodes of set 1 in order of their angle lie at -135, -45, 45 and 135 degrees."""
    angles = np.radians([0, 90 + off, 180, 270 + off])
    ring = [s for s, _ in sorted(enumerate(layout(1)), key=lambda at: np.arctan2(*at[1][::-1]))]
    sites = np.empty((4, 2))
    sites[ring] = np.column_stack((np.cos(angles), np.sin(angles)))
    assert skew(sites, 1) == pytest.approx(abs(off))
    # where the lines cross, and how long they are, does not matter
    sites[ring[::2]] = 3.0 * sites[ring[::2]] + [0.4, -0.2]
    assert skew(sites, 1) == pytest.approx(abs(off))


def test_skew_is_of_single_electrodes_at_the_highest_intensity():
    sites = layout(4)
    others = [
        s
        for s, (places, height) in enumerate(stimulus_set(4).patterns)
        if len(places) == 2 or height < 8
    ]
    sites[others] = np.random.default_rng(0).normal(size=(len(others), 2))
    assert skew(sites, 4) == pytest.approx(0.0, abs=1e-9)
    sheared = layout(4) @ [[1.0, 0.0], [1.0, 1.0]]
    # the diagonals (1, 1) and (1, -1) become (2, 1) and (0, -1): 26.57 + 90 degrees apart
    assert skew(sheared, 4) == pytest.approx(math.degrees(math.atan(0.5)))


def test_clusters_are_counted_by_response():
    sites = layout(1)
    points = np.repeat(sites, K, axis=0)
    points += np.random.default_rng(0).normal(0, 0.01, points.shape)
    assert shares(sites, 1, points)[0] == 1.0
    points = points.copy()  # the interface has frozen its own
    points[[0, 1, 5]] = sites[2]
    assert shares(sites, 1, points)[0] == 13 / 16


def test_sets_without_pairs_or_intensities_have_nothing_to_miss():
    anywhere = np.random.default_rng(0).normal(size=(4, 2))
    assert shares(anywhere, 1)[2:] == (1.0, 1.0)


def test_an_animals_map_is_measured_as_calibrated():
    preset = Preset(repetitions=5)
    interface = make_interface(preset, 1, 3)
    assert (interface.n_stimuli, interface.n_repetitions) == (4, 5)
    assert map_geometry(interface, 1).f_factors is interface.f_factors
    other = make_interface(preset, 1, 4)
    assert not np.array_equal(interface.points, other.points)


def test_set_5_is_calibrated_in_the_presets_reading():
    """Twice the spikes lie about twice as far apart, so that less fills the workspace."""
    stated, doubled = (
        [make_interface(Preset(repetitions=5, set_5=reading), n, 3) for n in (5, 6)]
        for reading in ("stated", "doubled")
    )
    assert doubled[0].f_factors.mean() < 0.75 * stated[0].f_factors.mean()
    assert doubled[1] is stated[1]


# f factors


def printed(number, scale=1.0):
    return np.array(stimulus_set(number).printed_f_factors) * scale


@pytest.mark.parametrize("first", [1.0, 0.02, 40.0])
@pytest.mark.parametrize("second", [1.0, 7.0])
def test_printed_factors_fit_in_any_two_units(first, second):
    factors = {n: printed(n, first if n <= 4 else second) for n in range(1, 8)}
    assert f_factor_misfit(factors) == pytest.approx(0.0, abs=1e-12)


def test_misfit_by_hand():
    # off by 0.2 within a family of two: ±0.1
    assert f_factor_misfit({5: printed(5, np.exp(0.2)), 6: printed(6)}) == pytest.approx(0.1)
    # residuals ±0.15 and ±0.05
    factors = {
        1: printed(1),
        2: printed(2, np.exp(0.3)),
        6: printed(6, np.exp(0.1)),
        7: printed(7),
    }
    assert f_factor_misfit(factors) == pytest.approx(math.sqrt((0.15**2 + 0.05**2) / 2))
    # residuals 0.2, −0.1, −0.1
    factors = {5: printed(5, np.exp(0.3)), 6: printed(6), 7: printed(7)}
    assert f_factor_misfit(factors) == pytest.approx(math.sqrt((0.2**2 + 2 * 0.1**2) / 3))


def test_the_two_factors_of_a_set_are_averaged():
    tilted = {5: printed(5), 6: printed(6) * np.exp([0.4, -0.4]), 7: printed(7)}
    assert f_factor_misfit(tilted) == pytest.approx(0.0, abs=1e-12)


def test_a_set_alone_in_its_family_has_nothing_to_miss():
    assert f_factor_misfit({4: printed(4, 3.0), 7: printed(7, 0.2)}) == pytest.approx(0.0)
