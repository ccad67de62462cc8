"""Table 1 written out a second time, Eq 17 by a double loop, and the degradations as maps."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ndbmi_gym.stimuli import (
    STIMULUS_SETS,
    electrode_grid,
    evoked_counts,
    flatten,
    lose_site,
    misplace_electrode,
    perimeter,
    stimulus_set,
)

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)

# number: (patterns, grid side, sigma, heights, single sites, pairs, printed f factors)
TABLE_1 = {
    1: (4, 2, 0.5, {5}, 4, 0, (35.24, 37.85)),
    2: (12, 2, 0.5, {2, 5, 8}, 4, 0, (21.61, 27.54)),
    3: (8, 2, 0.5, {5}, 4, 4, (23.08, 21.66)),
    4: (24, 2, 0.5, {2, 5, 8}, 4, 4, (15.79, 19.70)),
    5: (8, 2, 0.5, {5, 10}, 4, 0, (8.27, 6.85)),
    6: (32, 3, 1.0, {10, 20, 30, 40}, 8, 0, (2.94, 2.85)),
    7: (128, 5, 1.0, {10, 20, 30, 40, 50, 60, 70, 80}, 16, 0, (1.25, 1.31)),
}
NUMBERS = pytest.mark.parametrize("number", TABLE_1)

tables = hnp.arrays(
    float,
    st.tuples(st.integers(1, 6), st.integers(1, 5)),
    elements=st.floats(0, 100, allow_subnormal=False),
)


def coordinates(electrode: int, side: int) -> tuple[int, int]:
    return divmod(electrode, side)


def test_table_1_has_seven_sets():
    assert set(STIMULUS_SETS) == set(TABLE_1)


@NUMBERS
def test_set_is_as_printed_in_table_1(number):
    n_patterns, side, sigma, heights, n_single, n_pairs, printed = TABLE_1[number]
    stimuli = stimulus_set(number)
    assert stimuli.number == number
    assert stimuli.n_stimuli == len(stimuli.patterns) == n_patterns
    assert (stimuli.grid_side, stimuli.sigma) == (side, sigma)
    assert {height for _, height in stimuli.patterns} == heights
    assert stimuli.max_height == max(heights)
    assert stimuli.printed_f_factors == printed
    places = Counter(frozenset(sites) for sites, _ in stimuli.patterns)
    # every place is stimulated at every height, and no pattern occurs twice
    assert len({(frozenset(sites), h) for sites, h in stimuli.patterns}) == n_patterns
    assert set(places.values()) == {len(heights)}
    assert sum(len(place) == 1 for place in places) == n_single
    assert sum(len(place) == 2 for place in places) == n_pairs
    assert {len(place) for place in places} <= {1, 2}


@NUMBERS
def test_only_the_perimeter_is_stimulated(number):
    stimuli = stimulus_set(number)
    side = stimuli.grid_side
    edge = {e for e in range(side**2) if {*coordinates(e, side)} & {0, side - 1}}
    assert {site for sites, _ in stimuli.patterns for site in sites} == edge


@pytest.mark.parametrize("number", [3, 4])
def test_pairs_are_of_neighbours(number):
    stimuli = stimulus_set(number)
    pairs = [sites for sites, _ in stimuli.patterns if len(sites) == 2]
    for first, second in pairs:
        a, b = coordinates(first, 2), coordinates(second, 2)
        assert math.dist(a, b) == 1
    assert len({frozenset(pair) for pair in pairs}) == 4


@pytest.mark.parametrize("side", [2, 3, 4, 5])
def test_perimeter_runs_once_around_the_grid(side):
    ring = perimeter(side)
    assert len(ring) == len(set(ring)) == 4 * (side - 1)
    place = [coordinates(e, side) for e in ring]
    steps = [math.dist(a, b) for a, b in zip(place, place[1:] + place[:1], strict=True)]
    assert steps == [1.0] * len(ring)


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_grid_coordinates_follow_the_index(side):
    expected = [coordinates(e, side) for e in range(side**2)]
    np.testing.assert_array_equal(electrode_grid(side), expected)


@NUMBERS
@pytest.mark.parametrize("spontaneous", [0.0, 3.5])
def test_evoked_counts_are_equation_17(number, spontaneous):
    stimuli = stimulus_set(number)
    side = stimuli.grid_side
    expected = np.zeros((stimuli.n_stimuli, side**2))
    for s, (sites, height) in enumerate(stimuli.patterns):
        for electrode in range(side**2):
            i, j = coordinates(electrode, side)
            for site in sites:
                a, b = coordinates(site, side)
                exponent = -((i - a) ** 2 + (j - b) ** 2) / (2 * stimuli.sigma**2)
                expected[s, electrode] += height * math.exp(exponent)
            expected[s, electrode] += spontaneous  # once, however many sites
    np.testing.assert_allclose(evoked_counts(stimuli, spontaneous), expected, rtol=1e-13)


def test_evoked_counts_by_hand():
    """Set 5, corner (0, 0) at height 10: 10 there, 10·e^-2 beside it, 10·e^-4 across."""
    stimuli = stimulus_set(5)
    row = evoked_counts(stimuli)[stimuli.patterns.index(((0,), 10))]
    np.testing.assert_allclose(row, [10.0, 1.3533528, 1.3533528, 0.1831564], atol=1e-6)


@pytest.mark.parametrize("number", [3, 4])
def test_pairs_evoke_the_sum_of_their_singles(number):
    stimuli = stimulus_set(number)
    counts = evoked_counts(stimuli)
    index = {pattern: s for s, pattern in enumerate(stimuli.patterns)}
    pairs = [pattern for pattern in stimuli.patterns if len(pattern[0]) == 2]
    for (first, second), height in pairs:
        singles = counts[index[(first,), height]] + counts[index[(second,), height]]
        np.testing.assert_allclose(counts[index[(first, second), height]], singles, rtol=1e-13)


@NUMBERS
def test_layout_is_offset_times_height(number):
    stimuli = stimulus_set(number)
    side = stimuli.grid_side
    layout = stimuli.layout()
    assert layout.shape == (stimuli.n_stimuli, 2)
    for place, (sites, height) in zip(layout, stimuli.patterns, strict=True):
        for axis in (0, 1):
            mean = sum(coordinates(e, side)[axis] for e in sites) / len(sites)
            assert place[axis] == pytest.approx(height * (mean - (side - 1) / 2), abs=1e-12)


@pytest.mark.parametrize("bad", [-1e-9, -3, math.nan, math.inf])
def test_bad_spontaneous_count_is_refused(bad):
    with pytest.raises(ValueError, match=r"spontaneous = .*: give a finite count >= 0"):
        evoked_counts(stimulus_set(1), bad)


@PROPERTY
@given(
    st.one_of(
        st.integers().filter(lambda n: n not in TABLE_1),
        st.floats().filter(lambda x: x not in TABLE_1),
        st.text(),
        st.none(),
        st.lists(st.integers()),
    )
)
def test_unknown_dataset_is_named_with_the_remedy(number):
    with pytest.raises(ValueError, match="1, 2, 3, 4, 5, 6, 7") as caught:
        stimulus_set(number)
    assert repr(number) in str(caught.value)


@pytest.mark.parametrize("number", [True, np.True_, 6.0, np.float64(6), "6", np.array(6), [6]])
def test_only_whole_numbers_name_a_set(number):
    with pytest.raises(ValueError, match=r"unknown dataset .*; pass one of these integers"):
        stimulus_set(number)


@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.intp])
def test_whole_numbers_of_any_type_name_a_set(kind):
    assert stimulus_set(kind(6)) is stimulus_set(6)


@pytest.mark.parametrize("index", [True, 1.0, "1", None])
def test_electrodes_and_sites_are_whole_numbers(index):
    stimuli = stimulus_set(6)
    counts = evoked_counts(stimuli)
    with pytest.raises(ValueError, match=r"electrode .*: this table has the electrodes 0 to 8"):
        misplace_electrode(counts, index)
    with pytest.raises(ValueError, match=r"site .* is stimulated by no pattern"):
        lose_site(counts, stimuli, index)
    np.testing.assert_array_equal(
        lose_site(counts, stimuli, np.int16(1)), lose_site(counts, stimuli, 1)
    )


@PROPERTY
@given(tables)
def test_flatten_by_nothing_and_in_full(counts):
    np.testing.assert_array_equal(flatten(counts, 0.0), counts)
    flat = np.broadcast_to(counts.mean(axis=0), counts.shape)
    np.testing.assert_array_equal(flatten(counts, 1.0), flat)


@PROPERTY
@given(tables, st.floats(0, 1))
def test_flatten_keeps_the_mean_and_shrinks_deviations(counts, alpha):
    before = counts.copy()
    flat = flatten(counts, alpha)
    mean = counts.mean(axis=0)
    np.testing.assert_allclose(flat.mean(axis=0), mean, atol=1e-11)
    np.testing.assert_allclose(flat - mean, (1 - alpha) * (counts - mean), atol=1e-11)
    np.testing.assert_array_equal(counts, before)


def test_flatten_by_hand():
    np.testing.assert_allclose(flatten(np.array([[0.0, 4.0], [8.0, 4.0]]), 0.25), [[1, 4], [7, 4]])


@pytest.mark.parametrize("alpha", [-0.01, 1.01, math.nan, math.inf, -math.inf])
def test_flatten_refuses_a_share_outside_its_range(alpha):
    with pytest.raises(ValueError, match=r"alpha = .* \[0, 1\]"):
        flatten(np.ones((2, 2)), alpha)


@PROPERTY
@given(tables, st.data())
def test_misplaced_electrode_records_the_grand_mean(counts, data):
    """Eq 20: column e becomes the grand mean for every stimulus, all else stays."""
    electrode = data.draw(st.integers(0, counts.shape[1] - 1))
    before = counts.copy()
    degraded = misplace_electrode(counts, electrode)
    grand_mean = sum(counts.flat) / counts.size
    others = np.arange(counts.shape[1]) != electrode
    np.testing.assert_allclose(degraded[:, electrode], grand_mean, rtol=1e-12)
    np.testing.assert_array_equal(degraded[:, others], counts[:, others])
    np.testing.assert_array_equal(counts, before)


@pytest.mark.parametrize("electrode", [-1, 9, 1000, math.nan])
def test_missing_electrode_is_refused(electrode):
    with pytest.raises(ValueError, match=r"electrode .* has the electrodes 0 to 8"):
        misplace_electrode(evoked_counts(stimulus_set(6)), electrode)


@NUMBERS
def test_lost_site_silences_every_pattern_that_uses_it(number):
    """Eq 21: those stimuli get the grand mean on all electrodes, all else stays."""
    stimuli = stimulus_set(number)
    counts = evoked_counts(stimuli)
    grand_mean = sum(counts.flat) / counts.size
    site = stimuli.patterns[1][0][0]
    degraded = lose_site(counts, stimuli, site)
    hit = 0
    for s, (sites, _) in enumerate(stimuli.patterns):
        if site in sites:
            hit += 1
            np.testing.assert_allclose(degraded[s], grand_mean, rtol=1e-12)
        else:
            np.testing.assert_array_equal(degraded[s], counts[s])
    n_heights = len(TABLE_1[number][3])
    n_pairs = TABLE_1[number][5]
    assert hit == n_heights * (3 if n_pairs else 1)  # a corner is in two of the pairs
    np.testing.assert_array_equal(counts, evoked_counts(stimuli))


@pytest.mark.parametrize("site", [4, -1, 9, None])
def test_site_that_is_not_stimulated_cannot_be_lost(site):
    stimuli = stimulus_set(6)
    with pytest.raises(ValueError, match=r"site .* in use are \[0, 1, 2, 3, 5, 6, 7, 8\]"):
        lose_site(evoked_counts(stimuli), stimuli, site)
