"""Recorded spikes on the recording clock, against exact rational arithmetic."""

import math
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndbmi_gym.spikes import SpikeTrains, from_samples, from_times

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)


def counted(bins, n_bins):
    """What a single response of a single electrode must hold."""
    return SpikeTrains(np.array(bins, np.int32), np.array([0, len(bins)]), 1, n_bins)


def assert_trains(trains, expected):
    np.testing.assert_array_equal(trains.rows, expected.rows)
    np.testing.assert_array_equal(trains.offsets, expected.offsets)
    assert (trains.n_electrodes, trains.n_bins) == (expected.n_electrodes, expected.n_bins)


RATES = [1000, 30_000, 24_414.0625, 20_000, 44_100]


@PROPERTY
@given(
    rate=st.sampled_from(RATES),
    dtype=st.sampled_from([np.float16, np.float32, np.float64, np.longdouble]),
    ticks=st.lists(st.integers(0, 599), min_size=1),
)
def test_a_tick_in_any_float_type_keeps_its_bin(rate, dtype, ticks):
    clock = 1 / rate
    times = np.array([float(k / Fraction(rate)) for k in ticks]).astype(dtype)
    if dtype == np.float16 and max(ticks) > 200:  # half of a tick is lost to rounding from there on
        with pytest.raises(ValueError, match=r"are float16 about .*: give float64, or sam"):
            from_times([[times]], 600 * clock, clock)
    else:
        assert_trains(from_times([[times]], 600 * clock, clock), counted(ticks, 600))


@PROPERTY
@given(
    rate=st.sampled_from(RATES[1:]),
    dtype=st.sampled_from([np.float32, np.float64]),
    samples=st.lists(st.integers(0, 18_000), min_size=1),
)
def test_every_sample_lands_in_the_millisecond_that_it_is_in(rate, dtype, samples):
    """In exact arithmetic: sample s at s/rate, tick k from k/1000 on."""
    samples = [s for s in samples if Fraction(s) / Fraction(rate) < Fraction(6, 10)]
    exact = [floor(Fraction(s) / Fraction(rate) * 1000) for s in samples]
    times = np.array([float(s / Fraction(rate)) for s in samples]).astype(dtype)
    assert_trains(from_times([[times]], 0.6), counted(exact, 600))
    assert_trains(from_samples([samples], [0], rate, 0.6), counted(sorted(exact), 600))


@PROPERTY
@given(
    rate=st.sampled_from(RATES),
    onset=st.integers(0, 10**10),
    ticks=st.lists(st.integers(0, 599), min_size=1),
)
def test_session_times_keep_their_bins_however_late(rate, onset, ticks):
    """Up to 10^10 samples: four days at 30 kHz, four months at 1 kHz."""
    times = [float((onset + k) / Fraction(rate)) for k in ticks]
    onset_s = float(onset / Fraction(rate))
    trains = from_times([[times]], 600 / rate, 1 / rate, [onset_s])
    assert_trains(trains, counted(ticks, 600))
    samples = [onset + k for k in ticks]
    trains = from_samples([samples], [onset], rate, 600 / rate, 1 / rate)
    assert_trains(trains, counted(sorted(ticks), 600))


def test_a_session_window_is_open_at_its_end():
    for onset in (12.3, 3600.1, 86_400.7):
        inside = from_times([[[onset, onset + 0.5999]]], 0.6, onsets_s=[onset])
        assert inside.rows.tolist() == [0, 599]
        for bad in (onset - 1e-3, onset + 0.6):
            with pytest.raises(ValueError, match=f"electrode 0 .* {onset} s: drop it or lengthen"):
                from_times([[[bad]]], 0.6, onsets_s=[onset])


def test_a_type_that_cannot_tell_ticks_apart_is_refused():
    late = np.array([3600.1], np.float32)
    with pytest.raises(ValueError, match=r"are float32 about 3600\.1.*: give float64, or samples"):
        from_times([[late]], 0.6, onsets_s=late)
    from_times([[late.astype(float)]], 0.6, onsets_s=late.astype(float))


@pytest.mark.parametrize("times", [["0.1"], [True], [0.1j], [None], [[0.1], ["x"]]])
def test_times_are_real_numbers(times):
    with pytest.raises(ValueError, match=r"electrode 1 in response 0 are of type .*: give re"):
        from_times([[[], times]], 0.6)


@pytest.mark.parametrize("onsets", [[0.0], [0.0, math.nan], [[0.0, 1.0]], 0.0])
def test_every_response_has_an_onset(onsets):
    with pytest.raises(ValueError, match="for 2 responses: give each a finite time of stim"):
        from_times([[[]], [[]]], 0.6, onsets_s=onsets)


@PROPERTY
@given(
    trains=st.lists(st.lists(st.integers(-50, 500)), min_size=1, max_size=3),
    onsets=st.lists(st.integers(-20, 400), min_size=1, max_size=4),
    rate=st.sampled_from([1000, 300, 2500.5, Fraction(10_000, 7)]),
    dtype=st.sampled_from([np.int16, np.int32, np.int64]),
)
def test_samples_are_cut_and_counted_exactly(trains, onsets, rate, dtype):
    made = from_samples([np.array(each, dtype) for each in trains], onsets, rate, 0.05)
    for b, onset in enumerate(onsets):
        late = [[Fraction(s - onset) / Fraction(rate) for s in each] for each in trains]
        exact = [
            unit * 50 + floor(1000 * t)
            for unit, each in enumerate(late)
            for t in sorted(each)
            if 0 <= t < Fraction(1, 20)
        ]
        assert made[b].tolist() == exact
    assert (made.n_electrodes, made.n_bins, len(made)) == (len(trains), 50, len(onsets))


def test_unsigned_samples_before_the_onset_are_left_out():
    trains = from_samples(
        [np.array([2, 100, 130], np.uint64)], np.array([100], np.uint32), 1000, 0.05
    )
    assert trains.rows.tolist() == [0, 30]


@pytest.mark.parametrize("bad", [[0.5], [1.0], ["3"], [True], [2**62], [2**64], [math.nan]])
def test_samples_and_onsets_are_whole_numbers(bad):
    for samples, onsets in (([[1], bad], [0]), ([[1], []], bad)):
        with pytest.raises(ValueError, match=r"samples of (electrode 1|onsets) are .*: give whole"):
            from_samples(samples, onsets, 1000, 0.05)


@pytest.mark.parametrize("rate", [0, -1.0, math.nan, math.inf, "1000", None, True])
def test_a_rate_is_a_positive_number(rate):
    with pytest.raises(ValueError, match=r"rate_hz = .*: give a sampling rate > 0 Hz"):
        from_samples([[1]], [0], rate, 0.05)


@pytest.mark.parametrize(("samples", "onsets"), [([], [0]), ([[1]], [])])
def test_a_session_without_electrodes_or_stimuli_is_refused(samples, onsets):
    with pytest.raises(ValueError, match=r"electrodes and . onsets: give at least one of ei"):
        from_samples(samples, onsets, 1000, 0.05)
