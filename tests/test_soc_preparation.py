"""Preparation by a tonic input, go cue and window, against an adaptive integrator."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from ndbmi_gym.animals import Calibration, interface_of
from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.circuit import random_circuit, stabilise
from ndbmi_gym.cortex.soc.cortex import SOC, SOCCortex, planar_code, soc_cortex
from ndbmi_gym.cortex.soc.transients import CORES, TAU_S, Gain, integrate, tonic
from ndbmi_gym.streams import Streams

N, S, UNITS = 20, 3, 6
ANY_CORE = pytest.mark.parametrize("core", CORES)
TIMES = [
    *((0.05, 0.0), (0.4, 0.0), (0.4, 0.03), (0.0, 0.07)),
    # the cue comes in the window: at a node, between two, at the end; and after the window
    *((0.2, -0.05), (0.2, -0.0333), (0.1, -0.1), (0.3, -0.2)),
]
"""Preparation and offset, s, of windows of 100 ms."""


@cache
def small_circuit():
    return stabilise(random_circuit(np.random.default_rng(0), N))


def make(prepare_s=0.0, window_offset_s=0.0, window_s=0.1, **options):
    """A cortex of 20 neurons with arbitrary prepared states."""
    prepared = 60 * np.random.default_rng(7).normal(size=(S, N))
    times = {"window_s": window_s, "prepare_s": prepare_s, "window_offset_s": window_offset_s}
    options = {"n_electrodes": UNITS, "units": 2, **times, **options}
    return SOCCortex(small_circuit(), prepared, planar_code("ring", S), **options)


def asked(cortex, n_trials=5):
    """Stimuli, signed volition and carried states; in some trials some of it is zero."""
    rng = np.random.default_rng(3)
    volition = rng.uniform(-1, 1, (n_trials, cortex.n_electrodes)) * cortex.max_count
    volition[::4] = 0.0
    left = 30 * rng.normal(size=(n_trials, cortex.n_states))
    left[::3] = 0.0
    return rng.integers(cortex.n_stimuli, size=n_trials), volition, left


# The tonic input


@pytest.mark.parametrize("held_s", [0.05, 0.4])
def test_the_tonic_input_leads_towards_the_state_and_its_end_lets_it_fade(held_s):
    weights, recorded = small_circuit().weights, np.array([3, 0, 11])
    state = np.random.default_rng(0).normal(size=N)
    pushed = (np.eye(N) - weights) @ state
    times = np.array([0.0, 0.01, 0.05, 0.0512, 0.4, 0.9])

    def run(begin, push, spans):
        def slope(_, x):
            return (weights @ x - x + push) / TAU_S

        return solve_ivp(slope, (0, spans[-1]), begin, "DOP853", spans, rtol=1e-11, atol=1e-12).y.T

    on = times < held_s
    rising = run(np.zeros(N), pushed, np.append(times[on], held_s))
    falling = run(rising[-1], 0.0, times[~on] - held_s)
    expected = np.concatenate((rising[:-1], falling))
    found = tonic(weights, np.array([state, 2 * state]), held_s, times, recorded)
    np.testing.assert_allclose(found[:, 0], expected[:, recorded], atol=1e-9)
    np.testing.assert_allclose(found[:, 1], 2 * found[:, 0], atol=1e-12)
    # the closed form
    flow = expm((weights - np.eye(N)) * 0.01 / TAU_S)
    np.testing.assert_allclose(found[1, 0], (state - flow @ state)[recorded], atol=1e-12)


def test_a_lasting_tonic_input_holds_the_state():
    weights, states = small_circuit().weights, np.random.default_rng(1).normal(size=(4, N))
    found = tonic(weights, states, 30.0, np.array([0.0, 30.0]), np.arange(N))
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1], states, atol=1e-9)


def test_no_time_to_prepare_means_that_the_states_are_there():
    weights, states = small_circuit().weights, np.random.default_rng(1).normal(size=(4, N))
    found = tonic(weights, states, 0.0, np.array([0.0, 0.07]), np.arange(N))
    np.testing.assert_array_equal(found[0], states)
    flow = expm((weights - np.eye(N)) * 0.07 / TAU_S)
    np.testing.assert_allclose(found[1], states @ flow.T, atol=1e-12)


def test_the_packaged_circuit_leads_away_from_its_state_first():
    cortex = soc_cortex(SOC(stimuli=32))
    times = np.arange(0.0, 0.81, 0.01)
    course = tonic(cortex.circuit.weights, cortex.prepared, 1.0, times, np.arange(200))
    off = np.linalg.norm(course - cortex.prepared, axis=2) / np.linalg.norm(cortex.prepared, axis=1)
    mean = off.mean(axis=1)
    assert mean[0] == 1
    assert 2.3 < mean.max() < 3.4
    assert 0.08 <= times[mean.argmax()] <= 0.13
    assert 0.3 < mean[times.searchsorted(0.4)] < 0.6
    assert mean[-1] < 0.15


# Windows


def expected_of(cortex, stimulus, volition, left):
    """Spikes between nodes, and states at the end, of one trial by an adaptive integrator."""
    weights, gain = cortex.circuit.weights, cortex.gain
    hear = gain if cortex.core == "nonlinear" else np.asarray
    state, volitional = cortex.prepared[stimulus], np.zeros(N)
    volitional[:UNITS] = volition / cortex.window_s
    pushed = state - weights @ hear(state)
    opening = cortex.prepare_s + cortex.window_offset_s
    end = opening + cortex.window_s
    # what is on changes at these times
    cuts = sorted({0.0, min(cortex.prepare_s, end), opening, end})
    times, seen = [0.0], [left + (state if cortex.prepare_s == 0 else 0)]
    for low, high in pairwise(cuts):
        drive = (pushed if high <= cortex.prepare_s else 0) + (volitional if low >= opening else 0)

        def slope(_, x, drive=drive):
            return (weights @ hear(x) - x + drive) / TAU_S

        nodes = opening + cortex.nodes * 1e-3
        at = np.append(nodes[(nodes > low + 1e-12) & (nodes < high - 1e-12)], high)
        found = solve_ivp(slope, (low, high), seen[-1], "DOP853", at, rtol=1e-11, atol=1e-11).y.T
        times, seen = [*times, *at], [*seen, *found]
    where = np.abs(np.array(times)[:, None] - (opening + cortex.nodes * 1e-3)).argmin(axis=0)
    rate = gain.rate(np.array(seen)[where][:, :UNITS])
    gaps = np.diff(cortex.nodes * 1e-3)[:, None]
    return (cortex.units * (rate[1:] + rate[:-1]) / 2 * gaps).T, seen[-1]


@ANY_CORE
@pytest.mark.parametrize(("prepare_s", "offset_s"), TIMES)
def test_windows_see_what_an_integrator_sees(core, prepare_s, offset_s):
    cortex = make(prepare_s, offset_s, core=core, carry=True)
    stimulus, volition, left = asked(cortex)
    profile = cortex.profile(stimulus, volition, left)
    after = cortex.respond(stimulus, volition, np.random.default_rng(0), left).activity
    # the steps of the Runge-Kutta integration, and the table of rates
    of_rates, of_states = (1e-4, 2e-4) if core == "nonlinear" else (2e-6, 1e-8)
    for b, s in enumerate(stimulus):
        spikes, end = expected_of(cortex, s, volition[b], left[b])
        np.testing.assert_allclose(profile[b], spikes, atol=of_rates)
        np.testing.assert_allclose(after[b], end, atol=of_states * np.abs(end).max())
    resting = cortex.profile(stimulus, volition)
    assert np.abs(resting - profile)[left.any(axis=1)].max() > 0.01


@ANY_CORE
def test_a_window_that_opens_late_or_early_sees_another_part_of_one_course(core):
    whole = make(0.2, -0.05, 0.2, core=core)
    late, early = make(0.2, 0.03, 0.1, core=core), make(0.2, -0.05, 0.1, core=core)
    stimulus = np.arange(S)
    course = whole.profile(stimulus, None)
    np.testing.assert_allclose(late.profile(stimulus, None), course[..., 16:36], atol=1e-5)
    np.testing.assert_allclose(early.profile(stimulus, None), course[..., :20], rtol=1e-12)
    assert np.abs(course[..., 16:36] - course[..., :20]).max() > 0.01


@ANY_CORE
def test_long_preparation_is_as_good_as_the_state_itself(core):
    stimulus, volition, _ = asked(make())
    at_once = make(core=core).profile(stimulus, volition)
    long = make(8.0, core=core).profile(stimulus, volition)
    short = make(0.1, core=core).profile(stimulus, volition)
    np.testing.assert_allclose(long, at_once, atol=1e-6)
    assert np.abs(short - at_once).max() > 0.01


@ANY_CORE
def test_without_stimulus_there_is_nothing_to_prepare(core):
    prepared, at_once = make(0.2, -0.05, core=core), make(core=core)
    _, volition, _ = asked(prepared)
    np.testing.assert_array_equal(prepared.profile(None, volition), at_once.profile(None, volition))


@pytest.mark.parametrize("carry", [False, True])
@ANY_CORE
def test_a_trial_is_the_same_alone_and_in_a_batch(core, carry):
    cortex = make(0.2, -0.03, core=core, carry=carry)
    n_trials = 21
    stimulus, volition, left = asked(cortex, n_trials)
    streams = Streams.of(np.random.default_rng(3), n_trials)
    together = cortex.respond(stimulus, volition, streams.select(np.arange(n_trials)), left)
    for b in range(n_trials):
        own = slice(b, b + 1)
        alone = cortex.respond(stimulus[own], volition[own], streams.select(own), left[own])
        np.testing.assert_array_equal(alone.trains.rows, together.trains[b])
        np.testing.assert_array_equal(alone.activity, together.activity[own])


def test_times_of_no_length_take_no_step():
    weights, state = small_circuit().weights, np.ones((1, N))
    times = np.array([0.0, 5e-324, 1e-17, 0.01])
    x, last = integrate(weights, Gain(), state, 0 * state, times, np.arange(N))
    np.testing.assert_array_equal(x[..., 0], x[..., 1])
    one = integrate(weights, Gain(), state, 0 * state, times[[0, 3]], np.arange(N))
    np.testing.assert_allclose(last, one[1], rtol=1e-12)


# Options


def test_calibration_is_of_whole_preparations_in_time():
    model = SOC(stimuli=5, prepare_s=0.4, window_offset_s=-0.1, carry=True)
    assert model.calibrated() == SOC(stimuli=5)
    kept = interface_of(SOC(stimuli=5), Calibration(repetitions=2), 0)
    assert interface_of(model, Calibration(repetitions=2), 0) is kept
    cortex = Config.of(
        cortex={"kind": "soc", "stimuli": 5, "prepare_s": 0.4, "window_offset_s": -0.1}
    ).make_cortex()
    assert (cortex.prepare_s, cortex.window_offset_s) == (0.4, -0.1)


def test_controls_match_the_signal_of_calibration():
    options = {"control": "shuffled", "match_signal": True}
    here, elsewhere = soc_cortex(SOC(**options)), soc_cortex(SOC(**options, window_offset_s=0.1))
    np.testing.assert_array_equal(here.prepared, elsewhere.prepared)
    assert elsewhere.signal() < 0.7 * here.signal()


@pytest.mark.parametrize(("prepare_s", "offset_s"), [(0.0, -1e-9), (0.2, -0.2001), (0.1, -1.0)])
def test_a_window_before_the_preparation_is_refused(prepare_s, offset_s):
    message = rf"window_offset_s = {offset_s!r}, prepare_s = {prepare_s!r}: .* give an offset >= "
    with pytest.raises(ValueError, match=message):
        SOC(prepare_s=prepare_s, window_offset_s=offset_s)
    with pytest.raises(ValueError, match=message):
        make(prepare_s, offset_s)
    assert replace(make(0.2, -0.2)).window_offset_s == -0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prepare_s": -0.1}, r"prepare_s = -0.1: give a finite number >= 0"),
        ({"prepare_s": 10.5}, r"prepare_s = 10.5: give a finite number >= 0 and <= 10"),
        ({"prepare_s": None}, r"prepare_s = None"),
        ({"window_offset_s": 1.5}, r"window_offset_s = 1.5: give a finite number >= -1 and <= 1"),
    ],
)
def test_bad_times_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        Config.of(cortex={"kind": "soc", **options})
