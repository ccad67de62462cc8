"""Spikes of rates that change within the window, against their theory.

Rates of false alarms are stated beside each threshold.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from test_spikes import EITHER, SOURCES, Sparing, assert_poisson, made

from ndbmi_gym.spikes import (
    place,
    sample,
    sample_profile,
)

PROPERTY = settings(deadline=None, derandomize=True, max_examples=80)


EDGES = np.array([0, 5, 7, 8, 20, 23])
PROFILE = np.array([[2.0, 0.5, 0.0, 6.0, 1.5], [0.0, 3.0, 1.0, 0.2, 0.0], [0.0] * 5, [4.0] * 5])


def draw_profile(source, n_trials, seed=0, profile=PROFILE, edges=EDGES):
    """Responses of electrodes with the given profiles, the same in every trial."""
    expected = np.tile(profile, (n_trials, 1, 1))
    return sample_profile(made(source, seed, n_trials), expected, edges)


@EITHER
def test_profile_counts_are_poisson(source):
    _, counts = draw_profile(source, 20_000)
    for unit in (0, 1, 3):
        assert_poisson(counts[:, unit], PROFILE[unit].sum())
    np.testing.assert_array_equal(counts[:, 2], 0)


@EITHER
def test_profile_times_follow_the_profile_and_are_uniform_within_its_pieces(source):
    trains, _ = draw_profile(source, 20_000)
    assert (trains.n_electrodes, trains.n_bins) == (4, 23)
    width = np.diff(EDGES)
    for unit in (0, 1, 3):
        bins = trains.rows[trains.rows // 23 == unit] - unit * 23
        observed = np.bincount(bins, minlength=23)
        expected = np.repeat(PROFILE[unit] / width, width) * 20_000
        np.testing.assert_array_equal(observed[expected == 0], 0)
        seen = expected > 0
        total = expected.sum()
        # false alarms 1e-6 each; the total is tested with the counts
        fitted = expected[seen] * (observed.sum() / total)
        assert stats.chisquare(observed[seen], fitted).pvalue > 1e-6


@EITHER
def test_counts_of_pieces_and_electrodes_are_independent_poisson(source):
    """One unit-rate process runs through all of them: its pieces must not know each other."""
    n_trials = 20_000
    trains, _ = draw_profile(source, n_trials)
    piece = np.searchsorted(EDGES, trains.rows % 23, side="right") - 1
    trial = np.repeat(np.arange(n_trials), np.diff(trains.offsets))
    flat = (trial * 4 + trains.rows // 23) * 5 + piece
    table = np.bincount(flat, minlength=n_trials * 20).reshape(n_trials, 20)
    busy = PROFILE.ravel() > 0
    for column, mean in zip(table.T[busy], PROFILE.ravel()[busy], strict=True):
        assert_poisson(column, mean)
    correlation = np.corrcoef(table.T[busy])
    pairs = correlation[np.triu_indices(busy.sum(), 1)]
    # 66 z beyond 5.6: 1.5e-6
    assert np.abs(pairs).max() * math.sqrt(n_trials) < 5.6
    centred = (table - table.mean(axis=0))[:, busy] / table[:, busy].std(axis=0)
    following = centred[:-1].T @ centred[1:] / n_trials
    # 144 z beyond 5.7: 2e-6
    assert np.abs(following).max() * math.sqrt(n_trials) < 5.7


@EITHER
def test_profiles_differ_between_trials(source):
    rng = np.random.default_rng(5)
    profiles = rng.uniform(0, 4, (3, 2, 5)) * rng.integers(0, 2, (3, 2, 5))
    many = np.tile(profiles, (10_000, 1, 1))
    _, counts = sample_profile(made(source, 6, len(many)), many, EDGES)
    averages = counts.reshape(-1, 3, 2).mean(axis=0)
    means = profiles.sum(axis=-1)
    # six z beyond 5: 3e-6
    assert (np.abs(averages - means) <= 5 * np.sqrt(means / 10_000)).all()


@EITHER
def test_a_profile_of_one_piece_is_a_constant_rate(source):
    """Without anything added the same stream gives the same spikes."""
    means = np.random.default_rng(0).uniform(0, 9, (12, 4))
    flat, counts = sample_profile(made(source, 3, 12), means[..., None], np.array([0, 600]))
    assert counts.sum() > 100
    trains, both = sample(made(source, 3, 12), means, 600)
    np.testing.assert_array_equal(counts, both[:, :4])
    np.testing.assert_array_equal(flat.rows, trains.rows)


@pytest.mark.parametrize("share", [2, 7, 1000])
def test_too_few_intervals_for_a_profile_are_topped_up_without_a_trace(share):
    expected = np.random.default_rng(2).uniform(0, 4, (12, 4, 5))
    sparing = Sparing(3, share)
    topped_up, counts = sample_profile(sparing, expected, EDGES)
    assert sparing.calls > 1
    trains, same = sample_profile(np.random.default_rng(3), expected, EDGES)
    np.testing.assert_array_equal(counts, same)
    np.testing.assert_array_equal(topped_up.rows, trains.rows)
    np.testing.assert_array_equal(topped_up.offsets, trains.offsets)


@PROPERTY
@given(
    seed=st.integers(0, 10_000),
    n_trials=st.integers(0, 6),
    n_electrodes=st.integers(1, 5),
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    scale=st.sampled_from([0.0, 0.5, 30.0]),
    source=st.sampled_from(SOURCES),
)
def test_profile_counts_add_up_and_spikes_stay_in_their_pieces(
    seed, n_trials, n_electrodes, widths, scale, source
):
    rng = np.random.default_rng(seed)
    shape = (n_trials, n_electrodes, len(widths))
    expected = rng.uniform(0, scale, shape) * rng.integers(0, 2, shape)
    kept, edges = expected.copy(), np.concatenate([[0], np.cumsum(widths)])
    trains, counts = sample_profile(made(source, seed, n_trials), expected, edges)
    n_bins = sum(widths)
    assert (trains.n_electrodes, trains.n_bins, len(trains)) == (n_electrodes, n_bins, n_trials)
    assert counts.shape == (n_trials, n_electrodes)
    assert (counts.dtype, trains.rows.dtype, trains.offsets.dtype) == (np.int64, np.int32, np.int64)
    assert trains.offsets[0] == 0
    assert trains.offsets[-1] == trains.rows.size == counts.sum()
    np.testing.assert_array_equal(counts, trains.counts())
    assert ((trains.rows >= 0) & (trains.rows < n_electrodes * n_bins)).all()
    silent = np.repeat(expected == 0, widths, axis=-1).reshape(n_trials, n_electrodes * n_bins)
    for b, rows in enumerate(trains):
        assert not silent[b, rows].any()
    np.testing.assert_array_equal(expected, kept)


def test_times_of_known_counts_follow_the_profile():
    n_trials = 5000
    counts = np.tile([20, 3, 7, 0], (n_trials, 1))
    counts[0] = 0
    expected = np.tile(PROFILE, (n_trials, 1, 1))
    trains = place(np.random.default_rng(0), counts, expected, EDGES)
    np.testing.assert_array_equal(trains.counts(), counts)
    assert (trains.n_electrodes, trains.n_bins) == (4, 23)
    width = np.diff(EDGES)
    # an electrode that is expected to be silent, and is not, fires at any time
    for unit, profile in ((0, PROFILE[0]), (1, PROFILE[1]), (2, width)):
        bins = trains.rows[trains.rows // 23 == unit] - unit * 23
        observed = np.bincount(bins, minlength=23)
        share = np.repeat(profile / width, width)
        np.testing.assert_array_equal(observed[share == 0], 0)
        seen = share > 0
        fitted = share[seen] / share.sum() * observed.sum()
        # false alarms 1e-6 each
        assert stats.chisquare(observed[seen], fitted).pvalue > 1e-6
    # the times of one response are independent of each other (false alarms 1e-6)
    first, second = np.array([trains[b][:2] for b in range(1, n_trials)]).T
    assert stats.spearmanr(first, second).pvalue > 1e-6
