"""Transients against matrix exponentials, quadrature and an adaptive integrator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from ndbmi_gym.cortex.soc.transients import TAU_S, Gain, impulses, integrate

PROPERTY = settings(deadline=None, derandomize=True, max_examples=80)
N = 9
RECORDED, INPUTS = np.array([3, 0, 4]), np.array([1, 4, 2, 6])
NODES_S = np.array([0.0, 0.005, 0.01, 0.015, 0.05, 0.053])


def tangle(seed=0, abscissa=0.3):
    """Dense random weights of a given spectral abscissa."""
    weights = 0.7 * np.random.default_rng(seed).normal(size=(N, N))
    return weights + (abscissa - np.linalg.eigvals(weights).real.max()) * np.eye(N)


# Gain


def test_gain_by_hand():
    gain = Gain(20.0, 100.0)
    x = np.array([-40.0, -5.0, 0.0, 5.0, 160.0])
    expected = [20 * np.tanh(-2), 20 * np.tanh(-0.25), 0.0, 80 * np.tanh(1 / 16), 80 * np.tanh(2)]
    np.testing.assert_allclose(gain(x), expected, rtol=1e-14)
    np.testing.assert_allclose(gain.rate(x), 20 + np.array(expected), rtol=1e-14)
    assert Gain() == gain


@pytest.mark.parametrize("gain", [Gain(), Gain(1.0, 3.0), Gain(50.0, 60.0)])
def test_gain_has_slope_one_at_rest_and_ends_at_silence_and_peak(gain):
    for h in (1e-6, -1e-6):
        assert gain(np.array(h)) / h == pytest.approx(1.0, abs=1e-9)
    low, high = gain.rate(np.array([-1e6, 1e6]))
    assert low == pytest.approx(0.0, abs=1e-12)
    assert high == pytest.approx(gain.max_hz)
    rates = gain.rate(np.linspace(-4 * gain.baseline_hz, 4 * gain.max_hz, 3001))
    assert (np.diff(rates) >= 0).all()
    assert (np.diff(rates[:1000]) > 0).all()


@PROPERTY
@given(
    x=st.floats(-1e9, 1e9),
    baseline=st.floats(1e-3, 1e3),
    reach=st.floats(1e-3, 1e3),
)
def test_rates_are_bounded_and_never_steeper_than_x(x, baseline, reach):
    gain = Gain(baseline, baseline + reach)
    rate = gain.rate(np.array(x))
    assert 0 <= rate <= gain.max_hz * (1 + 1e-12)
    assert abs(gain(np.array(x))) <= abs(x) * (1 + 1e-12)
    assert np.sign(gain(np.array(x))) == np.sign(x)


@pytest.mark.parametrize(
    ("baseline", "peak"),
    [(0.0, 100.0), (-1.0, 5.0), (20.0, 20.0), (20.0, 10.0), (20.0, np.inf)]
    + [(np.nan, 100.0), (20.0, np.nan)],
)
def test_bad_rates_are_refused(baseline, peak):
    with pytest.raises(ValueError, match=r"baseline_hz = .*give finite rates 0 < baseline_hz") as e:
        Gain(baseline, peak)
    assert f"baseline_hz = {baseline!r}, max_hz = {peak!r}" in str(e.value)


# The linear core


@pytest.mark.parametrize("tau_s", [TAU_S, 0.03])
def test_impulses_are_matrix_exponentials(tau_s):
    weights = tangle()
    system = (weights - np.eye(N)) / tau_s
    made = impulses(weights, NODES_S, RECORDED, INPUTS, tau_s)
    assert made.free.shape == (6, 3, N)
    for time, free in zip(NODES_S, made.free, strict=True):
        np.testing.assert_allclose(free, expm(system * time)[RECORDED], atol=1e-12)
    np.testing.assert_allclose(made.last_free, expm(system * NODES_S[-1]), atol=1e-12)


def test_the_default_time_constant_is_200_ms():
    alone = impulses(np.zeros((2, 2)), np.array([0.0, 0.2]), np.array([0]), np.array([1]))
    np.testing.assert_allclose(alone.free[:, 0, 0], [1, np.exp(-1)])


def test_held_input_is_the_integral_of_the_impulse_response():
    weights = tangle(1)
    system = (weights - np.eye(N)) / TAU_S
    made = impulses(weights, NODES_S, RECORDED, INPUTS)
    assert made.held.shape == (6, 3, 4)
    places, share = np.polynomial.legendre.leggauss(20)
    for time, held in zip(NODES_S, made.held, strict=True):
        moments = (places + 1) / 2 * time
        total = sum(w * expm(system * t) for w, t in zip(share / 2 * time, moments, strict=True))
        expected = total[:, INPUTS] / TAU_S
        np.testing.assert_allclose(held, expected[RECORDED], atol=1e-12)
    np.testing.assert_allclose(made.last_held, expected, atol=1e-12)


def test_held_input_settles():
    weights = tangle(2)
    late = impulses(weights, np.array([0.0, 20.0]), np.arange(N), np.arange(N))
    np.testing.assert_allclose(late.held[-1], np.linalg.inv(np.eye(N) - weights), atol=1e-9)
    np.testing.assert_allclose(late.free[-1], 0, atol=1e-9)


def test_states_superpose():
    """Half of a transient, and then the other half, with the input held through both."""
    weights, rng = tangle(3), np.random.default_rng(0)
    everything = np.arange(N)
    half = impulses(weights, np.array([0.0, 0.07]), everything, INPUTS)
    whole = impulses(weights, np.array([0.0, 0.14]), everything, INPUTS)
    x, drive = rng.normal(size=N), rng.normal(size=4)
    between = half.last_free @ x + half.last_held @ drive
    end = half.last_free @ between + half.last_held @ drive
    np.testing.assert_allclose(
        end, whole.last_free @ x + whole.last_held @ drive, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("nodes", [[0.1, 0.2], [0.0, 0.0, 0.1], [0.0, 0.2, 0.1], [0.0, np.nan]])
def test_bad_nodes_are_refused(nodes):
    with pytest.raises(ValueError, match="give increasing times that begin with 0 s"):
        impulses(tangle(), np.array(nodes), RECORDED, INPUTS)


def test_a_neuron_that_holds_its_state_has_no_bounded_response():
    with pytest.raises(ValueError, match="W has the eigenvalue 1"):
        impulses(np.diag([0.5, 1.0]), np.array([0.0, 0.1]), np.array([0]), np.array([1]))


# The nonlinear core


def test_the_nonlinear_core_agrees_with_an_adaptive_integrator():
    weights, gain, rng = tangle(4), Gain(), np.random.default_rng(1)
    prepared, drive = 60 * rng.normal(size=(3, N)), 40 * rng.normal(size=(3, N))
    kept = prepared.copy()
    nodes = np.array([0.0, 0.005, 0.013, 0.1, 0.3])
    x, last = integrate(weights, gain, prepared, drive, nodes, RECORDED)
    np.testing.assert_array_equal(prepared, kept)
    assert x.shape == (3, 3, 5)
    for b in range(3):

        def slope(_, state, held=drive[b]):
            return (weights @ gain(state) - state + held) / TAU_S

        solved = solve_ivp(slope, (0, 0.3), prepared[b], t_eval=nodes, rtol=1e-10, atol=1e-10).y
        np.testing.assert_allclose(x[b], solved[RECORDED], atol=1e-4)
        np.testing.assert_allclose(last[b], solved[:, -1], atol=1e-4)
    # saturation matters here
    made = impulses(weights, nodes, RECORDED, np.arange(N))
    linear = np.einsum("kun,bn->buk", made.free, prepared)
    linear += np.einsum("kun,bn->buk", made.held, drive)
    assert np.abs(linear - x).max() > 1


def test_steps_are_no_longer_than_5_ms_however_far_the_nodes_are_apart():
    weights, gain, rng = tangle(5), Gain(), np.random.default_rng(2)
    prepared, drive = 60 * rng.normal(size=(2, N)), 20 * rng.normal(size=(2, N))
    fine, last = integrate(weights, gain, prepared, drive, np.arange(61) * 0.005, RECORDED)
    coarse, end = integrate(weights, gain, prepared, drive, np.array([0.0, 0.1, 0.3]), RECORDED)
    np.testing.assert_allclose(coarse, fine[..., [0, 20, 60]], atol=1e-9)
    np.testing.assert_allclose(end, last, atol=1e-9)


@pytest.mark.parametrize(("size", "gain"), [(1e-4, Gain()), (50.0, Gain(1e9, 1e10))])
def test_small_states_follow_the_linear_core(size, gain):
    weights, rng = tangle(6), np.random.default_rng(3)
    prepared, drive = size * rng.normal(size=(2, N)), size * rng.normal(size=(2, N))
    x, last = integrate(weights, gain, prepared, drive, NODES_S, RECORDED)
    made = impulses(weights, NODES_S, RECORDED, np.arange(N))
    linear = np.einsum("kun,bn->buk", made.free, prepared)
    linear += np.einsum("kun,bn->buk", made.held, drive)
    np.testing.assert_allclose(x, linear, atol=1e-5 * size)
    everywhere = prepared @ made.last_free.T + drive @ made.last_held.T
    np.testing.assert_allclose(last, everywhere, atol=1e-5 * size)


def test_the_time_constant_is_a_unit_of_time():
    weights, rng = tangle(7), np.random.default_rng(4)
    prepared, drive = 60 * rng.normal(size=(2, N)), 20 * rng.normal(size=(2, N))
    options = weights, Gain(), prepared, drive
    slow, last = integrate(*options, np.arange(11) * 0.005, RECORDED, 0.2)
    fast, end = integrate(*options, np.arange(11) * 0.0025, RECORDED, 0.1)
    np.testing.assert_allclose(fast, slow, atol=1e-9)
    np.testing.assert_allclose(end, last, atol=1e-9)
    default, _ = integrate(*options, np.arange(11) * 0.005, RECORDED)
    np.testing.assert_array_equal(default, slow)


def test_rest_is_a_fixed_point_of_the_nonlinear_core():
    nothing = np.zeros((2, N))
    x, last = integrate(tangle(), Gain(), nothing, nothing, NODES_S, RECORDED)
    assert not x.any()
    assert not last.any()


def test_a_neuron_alone_relaxes_to_its_input():
    drive = np.array([[7.0, -3.0]])
    x, _ = integrate(
        *(np.zeros((2, 2)), Gain(), np.array([[1.0, 2.0]]), drive),
        *(np.array([0.0, 0.2, 0.4]), np.arange(2)),
    )
    decay = np.exp(-np.arange(3))
    expected = drive[0][:, None] * (1 - decay) + np.array([[1.0], [2.0]]) * decay
    np.testing.assert_allclose(x[0], expected, atol=1e-7)


@pytest.mark.parametrize("nodes_s", [[0.0, 0.1, 0.05], [0.01, 0.02], [0.0, 0.1, 0.1]])
def test_the_nonlinear_core_refuses_bad_nodes_too(nodes_s):
    nothing = np.zeros((1, 3))
    with pytest.raises(ValueError, match="give increasing times that begin with 0 s"):
        integrate(np.zeros((3, 3)), Gain(), nothing, nothing, np.array(nodes_s), np.arange(2))
