"""The renewal processes against their theory, and the recording clock.

Statistical tests run on fixed seeds; the rate stated beside each threshold is the share of seeds
on which correct code would fail.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ndbmi_gym.spikes import (
    SpikeTrains,
    from_times,
    sample,
    window_bins,
)
from ndbmi_gym.streams import Streams

PROPERTY = settings(deadline=None, derandomize=True, max_examples=80)
N_BINS = 600


SOURCES = ("one generator", "streams")
EITHER = pytest.mark.parametrize("source", SOURCES)
"""Responses are drawn from one generator for all, or each from a stream of its own."""


def made(source, seed, n_trials):
    """What so many responses are drawn from."""
    rng = np.random.default_rng(seed)
    return rng if source == "one generator" else Streams.of(rng, n_trials)


def draw(source, mean, n_trials, seed=0, added=None, shape=1.0, n_bins=N_BINS):
    """Responses of electrodes with the given mean counts, the same in every trial."""
    tile = (n_trials, 1)
    extra = None if added is None else np.tile(np.asarray(added, dtype=float), tile)
    rng = made(source, seed, n_trials)
    return sample(rng, np.tile(np.asarray(mean, dtype=float), tile), n_bins, extra, shape)


def assert_poisson(counts, mean):
    """Mean, variance and law of counts; false alarms 1e-6 each, by z beyond 4.9 or by p."""
    n = counts.size
    assert abs(counts.mean() - mean) < 4.9 * math.sqrt(mean / n)
    # the sample variance of Poisson counts has the variance (m + 2m²)/n
    assert abs(counts.var() - mean) < 4.9 * math.sqrt((mean + 2 * mean**2) / n)
    top = int(stats.poisson(mean).ppf(1 - 20 / n))  # at least 20 expected in the open last class
    observed = np.bincount(np.minimum(counts, top), minlength=top + 1)
    expected = stats.poisson(mean).pmf(np.arange(top + 1))
    expected[-1] = stats.poisson(mean).sf(top - 1)
    seen = expected * n >= 5
    observed = np.append(observed[seen], observed[~seen].sum())
    expected = np.append(expected[seen], expected[~seen].sum()) * n
    kept = expected > 0
    statistic = ((observed[kept] - expected[kept]) ** 2 / expected[kept]).sum()
    assert stats.chi2(kept.sum() - 1).sf(statistic) > 1e-6


# Poisson


@EITHER
def test_poisson_counts(source):
    means = [0.0, 0.3, 2.5, 40.0]
    _, counts = draw(source, means, 20_000)
    np.testing.assert_array_equal(counts[:, 0], 0)
    for column, mean in zip(counts.T[1:4], means[1:], strict=True):
        assert_poisson(column, mean)
    np.testing.assert_array_equal(counts[:, 4:], 0)


@EITHER
def test_added_counts_are_poisson(source):
    _, counts = draw(source, [5.0, 0.0, 8.0], 20_000, added=[3.0, 7.0, -2.0])
    for column, mean in ((0, 5.0), (2, 6.0), (3, 3.0), (4, 7.0)):
        assert_poisson(counts[:, column], mean)
    np.testing.assert_array_equal(counts[:, [1, 5]], 0)


@EITHER
def test_poisson_means_differ_between_trials(source):
    rng = made(source, 1, 30_000)
    means = np.tile(np.array([[1.0, 30.0], [0.0, 4.0], [12.0, 0.5]]), (10_000, 1))
    _, counts = sample(rng, means, N_BINS)
    averages = counts[:, :2].reshape(-1, 3, 2).mean(axis=0)
    spread = np.sqrt(means[:3] / 10_000)
    # six z beyond 5: 3e-6
    assert (np.abs(averages - means[:3]) <= 5 * spread).all()


@EITHER
@pytest.mark.parametrize("added", [False, True])
def test_poisson_times_are_uniform(source, added):
    level = [6.0, 20.0]
    trains, _ = draw(source, [0.0, 0.0] if added else level, 8000, added=level if added else None)
    for unit in (0, 1):
        bins = trains.rows[trains.rows // N_BINS == unit] - unit * N_BINS
        observed = np.bincount(bins, minlength=N_BINS)
        # false alarms 1e-6 each
        assert stats.chisquare(observed).pvalue > 1e-6


@EITHER
def test_electrodes_are_independent(source):
    """One unit-rate process runs through all electrodes: its pieces must not know each other."""
    n_trials = 30_000
    _, counts = draw(source, [4.0, 0.5, 9.0, 2.0], n_trials, added=[1.0, 3.0, 0.2, 6.0])
    correlation = np.corrcoef(counts.T)
    pairs = correlation[np.triu_indices(8, 1)]
    # 28 z beyond 5.5: 1e-6
    assert np.abs(pairs).max() * math.sqrt(n_trials) < 5.5
    # and one trial tells nothing of the next (64 z beyond 5.5: 2e-6)
    centred = (counts - counts.mean(axis=0)) / counts.std(axis=0)
    following = centred[:-1].T @ centred[1:] / n_trials
    assert np.abs(following).max() * math.sqrt(n_trials) < 5.5


@EITHER
def test_times_are_independent_across_the_seam_of_two_electrodes(source):
    """The last spike of one electrode and the first of the next share one drawn interval."""
    n_bins = 100_000
    trains, counts = draw(source, [3.0, 3.0], 20_000, n_bins=n_bins)
    both = np.flatnonzero((counts[:, 0] > 0) & (counts[:, 1] > 0))
    last = [trains[b][trains[b] < n_bins].max() for b in both]
    first = [trains[b][trains[b] >= n_bins].min() for b in both]
    # false alarms 1e-6
    assert stats.spearmanr(last, first).pvalue > 1e-6


@EITHER
def test_poisson_intervals_are_exponential(source):
    mean, n_bins = 60.0, 10_000_000  # so fine that the clock does not show
    trains, _ = draw(source, [mean], 4000, n_bins=n_bins)
    first = np.array([np.sort(trains[b])[:4] for b in range(len(trains))])
    intervals = np.diff(first, axis=1, prepend=0) / n_bins
    for column in intervals.T:
        # false alarms 1e-6 each; the window cuts the first four off with probability 1e-21
        assert stats.kstest(column, stats.expon(scale=1 / mean).cdf).pvalue > 1e-6
    successive = stats.spearmanr(intervals[:, 1], intervals[:, 2]).pvalue
    assert successive > 1e-6


class Sparing:
    """A generator of the same exponential stream that hands out less than is asked for."""

    def __init__(self, seed, share):
        self.rng = np.random.default_rng(seed)
        self.share = share
        self.calls = 0

    def standard_exponential(self, size):
        self.calls += 1
        return self.rng.standard_exponential(max(1, size // self.share))


@pytest.mark.parametrize("share", [2, 7, 1000])
def test_too_few_intervals_are_topped_up_without_a_trace(share):
    rng = np.random.default_rng(2)
    means = rng.uniform(0, 9, (12, 4))
    added = rng.uniform(-9, 9, (12, 4))
    sparing = Sparing(3, share)
    topped_up, counts = sample(sparing, means, N_BINS, added)
    assert sparing.calls > 1
    trains, expected = sample(np.random.default_rng(3), means, N_BINS, added)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(topped_up.rows, trains.rows)
    np.testing.assert_array_equal(topped_up.offsets, trains.offsets)


def test_intervals_almost_always_suffice():
    """5 standard deviations of margin: a second draw would double the cost of a step."""
    for n_trials in (1, 64):
        counting = Sparing(0, 1)
        for _ in range(500):
            sample(counting, np.full((n_trials, 9), 10.0), N_BINS)
        # a 5-sigma event in 500 draws: 1e-3, on a fixed seed
        assert counting.calls == 500


# Gamma renewal


def ordinary_renewal_counts(mean, shape, n_trials, seed):
    """Spikes before the end of the window when the first interval starts at stimulation."""
    rng = np.random.default_rng(seed)
    n_intervals = int(3 * mean + 10 / shape + 20)
    times = rng.gamma(shape, 1 / (shape * mean), (n_trials, n_intervals)).cumsum(axis=1)
    assert times[:, -1].min() > 1  # the simulation itself reaches beyond the window
    return (times < 1).sum(axis=1)


@EITHER
@pytest.mark.parametrize("shape", [0.3, 2.0, 20.0])
@pytest.mark.parametrize("mean", [0.7, 9.0])
def test_gamma_counts_follow_a_brute_force_renewal_process(source, shape, mean):
    n_trials = 20_000
    _, counts = draw(source, [mean], n_trials, shape=shape)
    brute = ordinary_renewal_counts(mean, shape, n_trials, 11)
    ours = counts[:, 0]
    error = math.sqrt((ours.var() + brute.var()) / n_trials)
    # false alarms 1e-6 each
    assert abs(ours.mean() - brute.mean()) < 4.9 * error
    top = int(np.quantile(brute, 0.998)) + 1
    table = [np.bincount(np.minimum(c, top), minlength=top + 1) for c in (ours, brute)]
    table = np.array(table)[:, np.sum(table, axis=0) >= 10]
    assert stats.chi2_contingency(table).pvalue > 1e-6


@EITHER
@pytest.mark.parametrize("shape", [0.5, 1.0, 4.0, 50.0])
def test_gamma_counts_have_the_asymptotic_moments(source, shape):
    """Cox (1962), ordinary renewal: mean N + (1−k)/(2k), variance N/k + (1 − 1/k²)/12."""
    mean, n_trials = 60.0, 30_000
    _, counts = draw(source, [mean], n_trials, shape=shape)
    offset = (1 - shape) / (2 * shape)
    variance = mean / shape + (1 - shape**-2) / 12
    # false alarms 1e-6 each; for the variance, the kurtosis is estimated from the sample
    assert abs(counts[:, 0].mean() - mean - offset) < 4.9 * math.sqrt(variance / n_trials)
    squares = (counts[:, 0] - mean - offset) ** 2
    assert abs(squares.mean() - variance) < 4.9 * squares.std() / math.sqrt(n_trials)


@EITHER
@pytest.mark.parametrize("shape", [0.4, 5.0])
def test_gamma_intervals(source, shape):
    mean, n_bins = 60.0, 10_000_000
    trains, _ = draw(source, [mean], 3000, shape=shape, n_bins=n_bins)
    first = np.array([np.sort(trains[b])[:3] for b in range(len(trains)) if len(trains[b]) > 2])
    assert len(first) == len(trains)
    for column in np.diff(first, axis=1, prepend=0).T / n_bins:
        # false alarms 1e-6 each. The clock rounds intervals of 1e-2 by 1e-7: no effect
        law = stats.gamma(shape, scale=1 / (shape * mean))
        assert stats.kstest(column, law.cdf).pvalue > 1e-6


@EITHER
def test_very_regular_firing_is_a_clock(source):
    trains, counts = draw(source, [10.5], 50, shape=1e5)
    np.testing.assert_array_equal(counts[:, 0], 10)  # the 11th is 47 deviations away
    expected = np.arange(1, 11) / 10.5 * N_BINS
    assert np.abs(trains.rows.reshape(50, 10) - expected).max() < 0.06 * N_BINS / 10.5 + 1


@EITHER
def test_gamma_electrodes_are_independent(source):
    n_trials = 20_000
    _, counts = draw(source, [4.0, 2.0, 9.0], n_trials, added=[1.0, -0.5, 3.0], shape=3.0)
    kept = counts[:, [0, 1, 2, 3, 5]]
    pairs = np.corrcoef(kept.T)[np.triu_indices(5, 1)]
    # 10 z beyond 5.3: 1e-6
    assert np.abs(pairs).max() * math.sqrt(n_trials) < 5.3


@EITHER
def test_added_counts_are_poisson_beside_gamma_firing(source):
    _, counts = draw(source, [5.0, 0.0], 20_000, added=[3.0, 7.0], shape=20.0)
    assert_poisson(counts[:, 2], 3.0)
    assert_poisson(counts[:, 3], 7.0)
    # the evoked part keeps its own, smaller variance: 5/20 + 1/12 = 0.33 (bound 40 sd away)
    assert counts[:, 0].var() < 0.5
    np.testing.assert_array_equal(counts[:, 1], 0)


# Both


@EITHER
@pytest.mark.parametrize("shape", [1.0, 4.0])
def test_negative_added_counts_suppress_down_to_silence(source, shape):
    mean, added = [10.0, 10.0, 10.0, 0.0], [-4.0, -10.0, -50.0, -3.0]
    trains, counts = draw(source, mean, 10_000, added=added, shape=shape)
    np.testing.assert_array_equal(counts[:, 1:], 0)
    np.testing.assert_array_equal(trains.counts()[:, 1:], 0)
    expected = 6.0 + (1 - shape) / (2 * shape)
    variance = 6.0 / shape + 0.1
    # false alarms 1e-6
    assert abs(counts[:, 0].mean() - expected) < 4.9 * math.sqrt(variance / 10_000)


@EITHER
def test_suppression_equals_a_lower_rate(source):
    direct, _ = draw(source, [6.0, 2.0], 40, seed=4)
    suppressed, _ = draw(source, [10.0, 7.0], 40, seed=4, added=[-4.0, -5.0])
    np.testing.assert_array_equal(direct.counts(), suppressed.counts())


@PROPERTY
@given(
    seed=st.integers(0, 10_000),
    n_trials=st.integers(0, 6),
    n_electrodes=st.integers(1, 5),
    n_bins=st.sampled_from([1, 7, 600]),
    shape=st.sampled_from([1.0, 0.5, 3.0]),
    scale=st.sampled_from([0.0, 0.5, 30.0]),
    with_added=st.booleans(),
    source=st.sampled_from(SOURCES),
)
def test_counts_add_up_and_spikes_stay_in_the_window(
    seed, n_trials, n_electrodes, n_bins, shape, scale, with_added, source
):
    rng = np.random.default_rng(seed)
    means = rng.uniform(0, scale, (n_trials, n_electrodes)) * rng.integers(
        0, 2, (n_trials, n_electrodes)
    )
    added = rng.uniform(-scale, scale, (n_trials, n_electrodes)) if with_added else None
    before = means.copy(), None if added is None else added.copy()
    trains, counts = sample(made(source, seed, n_trials), means, n_bins, added, shape)
    assert (trains.n_electrodes, trains.n_bins, len(trains)) == (n_electrodes, n_bins, n_trials)
    assert counts.shape == (n_trials, 2 * n_electrodes)
    assert counts.dtype == np.int64
    assert trains.rows.dtype == np.int32
    assert trains.offsets.dtype == np.int64
    assert trains.offsets[0] == 0
    assert trains.offsets[-1] == trains.rows.size == counts.sum()
    np.testing.assert_array_equal(
        counts[:, :n_electrodes] + counts[:, n_electrodes:], trains.counts()
    )
    assert ((trains.rows >= 0) & (trains.rows < n_electrodes * n_bins)).all()
    silent = means + np.minimum(0 if added is None else added, 0) <= 0
    np.testing.assert_array_equal(counts[:, :n_electrodes][silent], 0)
    quiet = silent if added is None else added <= 0
    np.testing.assert_array_equal(counts[:, n_electrodes:][quiet], 0)
    np.testing.assert_array_equal(means, before[0])
    if added is not None:
        np.testing.assert_array_equal(added, before[1])


@EITHER
@pytest.mark.parametrize("shape", [1.0, 0.5, 4.0])
def test_one_seed_one_draw(source, shape):
    first, counts = draw(source, [5.0, 3.0], 20, seed=8, added=[1.0, -1.0], shape=shape)
    again, same = draw(source, [5.0, 3.0], 20, seed=8, added=[1.0, -1.0], shape=shape)
    other, _ = draw(source, [5.0, 3.0], 20, seed=9, added=[1.0, -1.0], shape=shape)
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.offsets, again.offsets)
    np.testing.assert_array_equal(counts, same)
    assert not np.array_equal(first.rows, other.rows)


@pytest.mark.parametrize("shape", [0.0, -1.0, math.nan, math.inf])
def test_bad_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape = .*need a shape > 0"):
        draw("streams", [1.0], 1, shape=shape)
    with pytest.raises(ValueError, match=r"shape = .*need a shape > 0"):
        draw("one generator", [1.0], 1, shape=shape)


# Trains


def test_trains_are_counted_and_indexed_response_by_response():
    responses = [[[0.001, 0.001, 0.5], []], [[], []], [[0.2], [0.599, 0.0]]]
    trains = from_times(responses, 0.6)
    assert len(trains) == 3
    np.testing.assert_array_equal(trains.counts(), [[3, 0], [0, 0], [1, 2]])
    assert [trains[b].tolist() for b in range(3)] == [[1, 1, 500], [], [200, 1199, 600]]
    assert trains[-1].tolist() == trains[2].tolist()
    assert [len(response) for response in trains] == [3, 0, 3]
    with pytest.raises(IndexError):
        trains[3]


@pytest.mark.parametrize(
    ("n_bins", "clock_s"), [(600, 1e-3), (18_000, 1 / 30_000), (7, 0.1), (1000, 3e-4)]
)
def test_time_on_a_tick_keeps_its_bin(n_bins, clock_s):
    ticks = np.arange(n_bins)
    trains = from_times([[ticks * clock_s]], n_bins * clock_s, clock_s)
    np.testing.assert_array_equal(trains.rows, ticks)
    # and a time between two ticks belongs to the earlier one
    trains = from_times([[(ticks + 0.999) * clock_s]], n_bins * clock_s, clock_s)
    np.testing.assert_array_equal(trains.rows, ticks)


def test_duplicates_within_a_bin_are_kept():
    trains = from_times([[[0.0101, 0.0102, 0.0101], [0.0103]]], 0.6)
    assert trains.rows.tolist() == [10, 10, 10, 610]


def test_all_silent_responses_are_responses():
    trains = from_times([[[], []], [(), np.array([])]], 0.6)
    np.testing.assert_array_equal(trains.counts(), np.zeros((2, 2)))


@PROPERTY
@given(
    st.lists(
        st.lists(st.lists(st.floats(0, 0.0499)), min_size=2, max_size=2), min_size=1, max_size=4
    )
)
def test_valid_times_land_within_a_tick(responses):
    trains = from_times(responses, 0.05)
    assert len(trains) == len(responses)
    for b, response in enumerate(responses):
        bins = [row - unit * 50 for unit in (0, 1) for row in trains[b] if row // 50 == unit]
        times = np.array([t for train in response for t in train])
        late = times - 1e-3 * np.array(bins)
        assert ((late > -1e-9) & (late < 1e-3)).all()
        np.testing.assert_array_equal(trains.counts()[b], [len(train) for train in response])


@PROPERTY
@given(
    bad=st.floats().filter(lambda t: not 0 <= t < 0.6),
    response=st.integers(0, 2),
    unit=st.integers(0, 3),
    position=st.integers(0, 2),
)
def test_time_outside_the_window_is_named_with_its_place(bad, response, unit, position):
    responses = [[[0.1, 0.2] for _ in range(4)] for _ in range(3)]
    responses[response][unit].insert(position, bad)
    with pytest.raises(ValueError, match="drop it or lengthen the window") as caught:
        from_times(responses, 0.6)
    assert f"spike time {np.float64(bad)} s of electrode {unit} in response {response}" in str(
        caught.value
    )


def test_window_is_closed_at_its_start_and_open_at_its_end():
    assert from_times([[[0.0, -0.0, np.nextafter(0.6, 0)]]], 0.6).rows.tolist() == [0, 0, 599]
    for bad in (0.6, np.nextafter(0.0, -1)):
        with pytest.raises(ValueError, match=r"spike time .* is outside \[0, 0\.6\) s"):
            from_times([[[bad]]], 0.6)


@pytest.mark.parametrize("responses", [[], [[]], [[], [[0.1]]]])
def test_empty_batches_are_refused(responses):
    with pytest.raises(ValueError, match="at least one response of at least one electrode"):
        from_times(responses, 0.6)


def test_responses_of_different_electrodes_are_refused():
    with pytest.raises(ValueError, match=r"response 1 has 1 electrodes, response 0 has 2.*silent"):
        from_times([[[0.1], []], [[0.1]]], 0.6)


@PROPERTY
@given(st.integers(1, 100_000), st.sampled_from([1e-3, 1e-4, 0.1, 1 / 30_000, 0.7]))
def test_window_of_whole_ticks(ticks, clock_s):
    assert window_bins(ticks * clock_s, clock_s) == ticks


def test_default_windows():
    assert window_bins(0.6) == 600
    assert window_bins(0.05) == 50


@pytest.mark.parametrize(
    ("window_s", "clock_s", "message"),
    [
        (0.6005, 1e-3, r"window_s = 0.6005 is not a whole number .* use 0\.6"),
        (0.0, 1e-3, "window_s = 0.0: give at least one tick"),
        (-1.0, 1e-3, "window_s = -1.0"),
        (math.nan, 1e-3, "window_s = nan"),
        (math.inf, 1e-3, "window_s = inf"),
        (5e-4, 1e-3, "window_s = 0.0005"),
        (0.6, 0.0, r"clock_s = 0.0: give a tick > 0 s"),
        (0.6, -1e-3, "clock_s = -0.001"),
        (0.6, math.nan, "clock_s = nan"),
        (0.6, math.inf, "clock_s = inf"),
    ],
)
def test_bad_window_is_named_with_the_remedy(window_s, clock_s, message):
    with pytest.raises(ValueError, match=message):
        window_bins(window_s, clock_s)
    with pytest.raises(ValueError, match=message):
        from_times([[[]]], window_s, clock_s)


def test_trains_are_immutable():
    trains = SpikeTrains(np.zeros(0, np.int32), np.zeros(2, np.int64), 1, 5)
    with pytest.raises(AttributeError):
        trains.n_bins = 7
