"""Responses in compiled loops: the same whatever runs beside a trial, and sums by hand."""

from dataclasses import replace
from functools import cache
from inspect import signature

import numpy as np
import pytest

from ndbmi_gym.cortex.soc.circuit import random_circuit, stabilise
from ndbmi_gym.cortex.soc.cortex import SOC, SOCCortex, planar_code, soc_cortex
from ndbmi_gym.cortex.soc.responses import time_courses
from ndbmi_gym.cortex.soc.transients import CORES, superpose
from ndbmi_gym.spikes import sample_profile
from ndbmi_gym.streams import Streams

N, S, UNITS, TRIALS = 20, 3, 6, 21


@cache
def make(core="linear", carry=False):
    """A cortex of 20 neurons with arbitrary prepared states."""
    circuit = stabilise(random_circuit(np.random.default_rng(0), N))
    prepared = 60 * np.random.default_rng(7).normal(size=(S, N))
    options = {"n_electrodes": UNITS, "units": 2, "window_s": 0.1, "core": core, "carry": carry}
    return SOCCortex(circuit, prepared, planar_code("ring", S), **options)


def asked(cortex, n_trials=TRIALS):
    """Stimuli, volition, streams and carried states; in some trials some of it is zero."""
    rng = np.random.default_rng(3)
    volition = rng.uniform(-1, 1, (n_trials, cortex.n_electrodes)) * cortex.max_count
    volition[rng.random(volition.shape) < 0.3] = 0.0
    volition[::5] = 0.0
    left = 30 * rng.normal(size=(n_trials, cortex.n_states))
    left[::4] = 0.0
    stimulus = rng.integers(cortex.n_stimuli, size=n_trials)
    return stimulus, volition, Streams.of(rng, n_trials), left


def assert_same(response, other):
    """Two responses agree bit for bit."""
    np.testing.assert_array_equal(response.trains.rows, other.trains.rows)
    np.testing.assert_array_equal(response.trains.offsets, other.trains.offsets)
    np.testing.assert_array_equal(response.counts, other.counts)
    np.testing.assert_array_equal(response.activity, other.activity)


@pytest.mark.parametrize("carry", [False, True])
@pytest.mark.parametrize("core", CORES)
def test_a_trial_is_the_same_alone_and_in_a_batch(core, carry):
    cortex = make(core, carry)
    stimulus, volition, streams, left = asked(cortex)
    profile = cortex.profile(stimulus, volition, left)
    together = cortex.respond(stimulus, volition, streams.select(np.arange(TRIALS)), left)
    for b in range(TRIALS):
        own = slice(b, b + 1)
        np.testing.assert_array_equal(
            profile[own], cortex.profile(stimulus[own], volition[own], left[own])
        )
        alone = cortex.respond(stimulus[own], volition[own], streams.select(own), left[own])
        np.testing.assert_array_equal(alone.trains.rows, together.trains[b])
        np.testing.assert_array_equal(alone.counts, together.counts[own])
        np.testing.assert_array_equal(alone.activity, together.activity[own])


@pytest.mark.parametrize("carry", [False, True])
@pytest.mark.parametrize("core", CORES)
def test_spikes_are_drawn_from_the_profile_by_the_trials_streams(core, carry):
    cortex = make(core, carry)
    stimulus, volition, streams, left = asked(cortex)
    response = cortex.respond(stimulus, volition, streams.select(np.arange(TRIALS)), left)
    profile = cortex.profile(stimulus, volition, left)
    trains, counts = sample_profile(streams.select(np.arange(TRIALS)), profile, cortex.nodes)
    np.testing.assert_array_equal(response.trains.rows, trains.rows)
    np.testing.assert_array_equal(response.counts[:, :UNITS], counts)
    np.testing.assert_array_equal(response.counts[:, UNITS:], 0)
    # a second response is drawn anew
    drawn = [cortex.respond(stimulus, volition, streams, left) for _ in range(2)]
    assert_same(drawn[0], response)
    assert not np.array_equal(drawn[1].trains.rows, response.trains.rows)


def test_a_range_of_trials_is_filled_and_nothing_else():
    cortex = make(carry=True)
    stimulus, volition, streams, left = asked(cortex)
    respond, tables = cortex.native
    expected = cortex.respond(stimulus, volition, streams.select(np.arange(TRIALS)), left)

    def run(first, last, room):
        rows, offsets = np.full(room, -1, np.int32), np.full(last - first + 1, -1)
        counts, after = np.full((TRIALS, 2 * UNITS), -1), np.full((TRIALS, N), np.nan)
        done = respond(
            *(tables, stimulus, volition, left, streams.keys, streams.draws),
            *(first, last, rows, offsets, counts, after),
        )
        return done, rows, offsets, counts, after

    done, rows, offsets, counts, after = run(4, 17, 10_000)
    assert done
    for b in range(4, 17):
        np.testing.assert_array_equal(rows[offsets[b - 4] : offsets[b - 3]], expected.trains[b])
    np.testing.assert_array_equal(counts[4:17], expected.counts[4:17])
    np.testing.assert_array_equal(after[4:17], expected.activity[4:17])
    assert (np.delete(counts, np.s_[4:17], 0) == -1).all()
    assert np.isnan(np.delete(after, np.s_[4:17], 0)).all()
    assert (rows[offsets[-1] :] == -1).all()
    # room for all spikes and not one more
    assert run(4, 17, offsets[-1])[0]
    assert not run(4, 17, offsets[-1] - 1)[0]


def test_responses_longer_than_was_thought_are_drawn_all_the_same():
    cortex = make()
    flooded = np.full((TRIALS, UNITS), 50 * cortex.max_count)
    stimulus, _, streams, _ = asked(cortex)
    response = cortex.respond(stimulus, flooded, streams)
    assert len(response.trains.rows) > 2 * TRIALS * cortex.spikes_per_response
    np.testing.assert_array_equal(response.counts[:, :UNITS], response.trains.counts())


def test_without_volition_expected_spikes_are_those_of_the_table_to_the_last_bit():
    """So that calibration, hence every animal, does not depend on how sums are taken."""
    cortex = soc_cortex(SOC(stimuli=8))
    rates, (low, high) = cortex._rates[:-1], cortex._range
    place = (cortex._evoked.clip(low, high) - low) * ((rates.size - 1) / (high - low))
    i = place.astype(int).clip(max=rates.size - 2)
    rate = rates[i] + (place - i) * (rates[i + 1] - rates[i])
    expected = 0.5 * (rate[..., :-1] + rate[..., 1:]) * cortex._weights
    every = np.arange(8)
    np.testing.assert_array_equal(cortex.profile(every, None), expected)
    np.testing.assert_array_equal(cortex.profile(every, np.zeros((8, 25))), expected)


def test_rates_end_at_the_ends_of_the_table():
    cortex = make()
    x = np.array([[-1e300, -np.inf, cortex._range[0]], [1e300, np.inf, cortex._range[1]]])
    silent, peak = cortex._profile(np.tile(x[..., None], 2))[..., 0]
    np.testing.assert_allclose(silent, 0, atol=1e-7)
    assert (silent == silent[0]).all()
    assert (peak == peak[0]).all()
    np.testing.assert_allclose(peak, 100 * cortex._weights[0], rtol=1e-7)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 7, 12])
def test_sums_are_taken_in_the_order_of_the_list(n):
    rng = np.random.default_rng(n)
    added, sizes, begin = rng.normal(size=(12, 37)), rng.normal(size=12), rng.normal(size=37)
    sources = rng.permutation(12)
    expected = begin.copy()
    for source, size in zip(sources[:n], sizes, strict=False):
        expected += size * added[source]
    x = begin.copy()
    superpose(x, added, sources, sizes, n)
    np.testing.assert_array_equal(x, expected)


def test_few_time_courses_make_all_impulse_responses():
    cortex = soc_cortex(SOC(carry=True))
    free = cortex.impulses.free  # (61, 25, 200)
    courses, weights = time_courses(free)
    assert len(courses) < 25
    np.testing.assert_allclose(courses @ courses.T, np.eye(len(courses)), atol=1e-12)
    made = np.einsum("nur,rk->kun", weights.reshape(200, 25, -1), courses)
    np.testing.assert_allclose(made, free, rtol=0, atol=1e-11)
    for none in time_courses(free[..., :0]):
        assert none.size == 0


def test_only_its_own_way_of_responding_is_offered_to_compiled_loops():
    class Silent(SOCCortex):
        def respond(self, stimulus, volition, rng, activity=None):
            raise AssertionError

    own = {name: getattr(make(), name) for name in signature(SOCCortex).parameters}
    assert make().native is not None
    assert make("nonlinear").native is None
    assert Silent(**own).native is None
    assert replace(make(), units=3).native is not None
