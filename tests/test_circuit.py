"""The circuit against closed forms and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm, solve_continuous_lyapunov
from scipy.optimize import brentq

from ndbmi_gym.cortex.soc.circuit import (
    CONTROLS,
    Circuit,
    abscissa_gradient,
    balance,
    control,
    energy_matrix,
    noise_covariance,
    random_circuit,
    shuffle_inhibition,
    stabilise,
)

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)


def tangle(seed, n, abscissa=0.5):
    """Dense random weights of a given spectral abscissa."""
    weights = np.random.default_rng(seed).normal(size=(n, n))
    return weights + (abscissa - top(weights)) * np.eye(n)


def top(weights):
    return np.linalg.eigvals(weights).real.max()


def by_blocks(weights, half):
    """The inhibitory weights onto either population."""
    return weights[:half, half:], weights[half:, half:]


# Random circuits


@pytest.mark.parametrize(
    ("n", "density", "radius"), [(4, 0.5, 1.0), (50, 0.1, 10.0), (90, 0.31, 2)]
)
def test_random_weights_are_sparse_and_obey_dale(n, density, radius):
    made = random_circuit(np.random.default_rng(2), n, density, radius, seed=2)
    weights, half = made.weights, n // 2
    assert (made.n_excitatory, made.n_neurons, made.seed) == (half, n, 2)
    assert np.count_nonzero(weights) == round(density * n * (n - 1))
    assert not np.diag(weights).any()
    w0 = np.sqrt(2) * radius / np.sqrt(density * (1 - density) * (1 + 3**2))
    excitatory, inhibitory = weights[:, :half], weights[:, half:]
    np.testing.assert_allclose(excitatory[excitatory != 0], w0 / np.sqrt(n))
    np.testing.assert_allclose(inhibitory[inhibitory != 0], -3 * w0 / np.sqrt(n))
    assert excitatory.any()
    assert inhibitory.any()
    np.testing.assert_array_equal(made.initial, weights)
    assert made.trace.tolist() == [pytest.approx(top(weights))]


def test_every_connection_is_equally_likely():
    rng = np.random.default_rng(0)
    exists = np.mean([random_circuit(rng, 6, 0.3).weights != 0 for _ in range(2000)], axis=0)
    # 9 of 30 places; thirty z beyond 5.5: 1e-6
    error = np.sqrt(0.3 * 0.7 / 2000)
    assert (np.abs(exists - 0.3)[~np.eye(6, dtype=bool)] < 5.5 * error).all()


def test_random_circuits_are_as_unstable_as_their_radius_says():
    abscissas = [random_circuit(np.random.default_rng(seed)).abscissa for seed in range(10)]
    assert all(8.5 < each < 11.5 for each in abscissas)
    half = [random_circuit(np.random.default_rng(s), radius=5.0).abscissa for s in range(10)]
    np.testing.assert_allclose(half, np.array(abscissas) / 2)


def test_one_seed_one_circuit():
    first, again, other = (random_circuit(np.random.default_rng(s), 20) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_neurons": 2}, "n_neurons = 2: give an even number >= 4"),
        ({"n_neurons": 7}, "n_neurons = 7"),
        ({"density": 0.0}, r"density = 0.0.*density within \(0, 1\)"),
        ({"density": 1.0}, "density = 1.0"),
        ({"density": np.nan}, "density = nan"),
        ({"radius": 0.0}, "radius = 0.0.*a radius > 0"),
    ],
)
def test_bad_random_circuits_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        random_circuit(np.random.default_rng(0), **options)


# Energies and covariances


def test_neurons_without_connections_have_energy_one():
    alone = Circuit(np.zeros((6, 6)), 3, np.zeros((6, 6)), np.zeros(1))
    energies, states = alone.modes
    np.testing.assert_allclose(energies, 1.0, rtol=1e-14)
    np.testing.assert_allclose(states.T @ states, np.eye(6), atol=1e-14)


def test_a_symmetric_network_amplifies_no_more_than_its_slowest_mode():
    weights = tangle(0, 12)
    weights += weights.T
    weights *= 0.15 / top(weights)
    energies, _ = Circuit(weights, 6, weights, np.zeros(1)).modes
    assert energies[0] == pytest.approx(1 / 0.85, rel=1e-12)
    np.testing.assert_allclose(energies, 1 / (1 - np.linalg.eigvalsh(weights)[::-1]), rtol=1e-12)


@PROPERTY
@given(seed=st.integers(0, 10**6), n=st.integers(2, 12), abscissa=st.floats(-3, 0.9))
def test_energy_and_covariance_solve_their_lyapunov_equations(seed, n, abscissa):
    weights = tangle(seed, n, abscissa)
    system = weights - np.eye(n)
    right = -2 * np.eye(n)
    observed, reached = energy_matrix(weights), noise_covariance(weights)
    expected = solve_continuous_lyapunov(system.T, right)
    np.testing.assert_allclose(observed, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
    expected = solve_continuous_lyapunov(system, right)
    np.testing.assert_allclose(reached, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_array_equal(observed, observed.T)
    np.testing.assert_array_equal(reached, reached.T)


def test_energy_and_covariance_are_integrals_over_the_transient():
    weights, tau = tangle(4, 10), 0.2
    step = 5e-4
    across = expm((weights - np.eye(10)) * step / tau)
    flow = [np.eye(10)]
    for _ in range(12_000):
        flow.append(across @ flow[-1])
    flow = np.array(flow)
    weight = np.full(len(flow), step)
    weight[[0, -1]] = step / 2
    # (2/τ)·∫|x|²dt, by trapezoid
    energy = 2 / tau * np.einsum("k,kij,kil->jl", weight, flow, flow)
    np.testing.assert_allclose(energy_matrix(weights), energy, rtol=1e-3, atol=1e-3)
    covariance = 2 / tau * np.einsum("k,kij,klj->il", weight, flow, flow)
    np.testing.assert_allclose(noise_covariance(weights), covariance, rtol=1e-3, atol=1e-3)
    assert np.abs(energy - covariance).max() > 0.1  # or one could stand for the other


def test_modes_are_the_energies_own_states():
    weights = tangle(7, 14)
    energies, states = Circuit(weights, 7, weights, np.zeros(1)).modes
    assert (np.diff(energies) <= 0).all()
    np.testing.assert_allclose(energy_matrix(weights) @ states, states * energies, atol=1e-9)
    np.testing.assert_allclose(states.T @ states, np.eye(14), atol=1e-12)
    largest = np.abs(states).argmax(axis=0)
    assert (states[largest, np.arange(14)] > 0).all()


@pytest.mark.parametrize("abscissa", [1.0 + 1e-9, 4.0])
def test_an_unstable_circuit_has_no_energies(abscissa):
    weights = tangle(0, 6, abscissa)
    with pytest.raises(ValueError, match=r"spectral abscissa .*stabilise it, or scale it below 1"):
        _ = Circuit(weights, 3, weights, np.zeros(1)).modes


def test_without_decay_there_is_neither_energy_nor_balance():
    unstable = random_circuit(np.random.default_rng(0), 20)
    for solve in (energy_matrix, noise_covariance):
        for weights in (np.eye(3), unstable.weights):
            with pytest.raises(ValueError, match=r"real part .* give a stable circuit"):
                solve(weights)
    with pytest.raises(ValueError, match="nothing decays"):
        balance(unstable)
    with pytest.raises(ValueError, match="or a shift above its abscissa"):
        abscissa_gradient(unstable.weights, 0.9 * unstable.abscissa)


def test_what_a_circuit_is_made_of_cannot_change():
    weights = np.diag([0.1, -0.2, 0.3])
    circuit = Circuit(weights, 2, weights, np.array([0.3]))
    weights[0, 1] = 5.0
    assert circuit.weights[0, 1] == circuit.initial[0, 1] == 0.0
    for array in (circuit.weights, circuit.initial, circuit.trace, *circuit.modes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(ValueError, match="the trace is empty"):
        Circuit(weights, 2, weights, np.array([]))


def test_balance_is_the_correlation_of_the_inputs():
    circuit = control(random_circuit(np.random.default_rng(5), 24, 0.2), "scaled")
    weights, half = circuit.weights, 12
    rng = np.random.default_rng(0)
    # noise whose sample covariance is exactly the stationary one
    noise = rng.normal(size=(24, 500))
    noise -= noise.mean(axis=1, keepdims=True)
    whitened = np.linalg.solve(np.linalg.cholesky(np.cov(noise)), noise)
    x = np.linalg.cholesky(noise_covariance(weights)) @ whitened
    own = []
    for row in weights:
        excitation, inhibition = row[:half] @ x[:half], -row[half:] @ x[half:]
        both = row[:half].any() and row[half:].any()
        own.append(np.corrcoef(excitation, inhibition)[0, 1] if both else np.nan)
    assert np.isnan(own).any()  # so that a neuron without either input is put to the test
    on_e, on_i = balance(circuit)
    assert on_e == pytest.approx(np.nanmean(own[:half]), abs=1e-10)
    assert on_i == pytest.approx(np.nanmean(own[half:]), abs=1e-10)
    assert on_e != pytest.approx(on_i, abs=1e-3)


# Stabilisation


@pytest.mark.parametrize("margin", [0.2, 3.0])
def test_gradient_agrees_with_finite_differences(margin):
    n = 7
    weights = tangle(11, n)
    shift = top(weights) + margin

    def trace(weights, s):
        system = weights - s * np.eye(n)
        return np.trace(solve_continuous_lyapunov(system.T, -2 * np.eye(n)))

    level = trace(weights, shift)

    def smoothed(weights):
        low, high = shift - margin / 4, shift + margin / 4
        return brentq(lambda s: trace(weights, s) - level, low, high, xtol=1e-15, rtol=1e-15)

    h = 1e-3
    numerical = np.empty((n, n))
    for i, j in np.ndindex(n, n):
        nudge = np.zeros((n, n))
        nudge[i, j] = h
        near = smoothed(weights + nudge) - smoothed(weights - nudge)
        far = smoothed(weights + 2 * nudge) - smoothed(weights - 2 * nudge)
        numerical[i, j] = (8 * near - far) / (12 * h)
    gradient = abscissa_gradient(weights, shift)
    assert np.abs(gradient - numerical).max() < 1e-8
    assert np.trace(gradient) == pytest.approx(1)  # W + c·I has an abscissa larger by c
    assert np.abs(gradient - gradient.T).max() > 1e-3  # or the transpose would pass


def test_stabilised_circuit_keeps_the_rules(stabilised):
    finished, shown = stabilised
    weights, initial = finished.weights, finished.initial
    assert finished.abscissa <= 0.15
    assert finished.trace[0] == pytest.approx(top(initial))
    assert finished.trace[-1] == pytest.approx(finished.abscissa, abs=1e-9)
    assert (finished.trace[:-1] > 0.15).all()
    np.testing.assert_array_equal(initial, random_circuit(np.random.default_rng(0), 50).weights)
    np.testing.assert_array_equal(weights[:, :25], initial[:, :25])
    assert (weights[:, 25:] <= 0).all()
    assert not np.diag(weights).any()
    # the strongest 500 of 1250 are kept, and of these not what lies on the diagonal
    assert 500 - 25 <= np.count_nonzero(weights[:, 25:]) <= 500
    for rows in (slice(0, 25), slice(25, 50)):
        ratio = -weights[rows, 25:].mean() / weights[rows, :25].mean()
        # exact before the weakest are dropped (`test_one_iteration_is_what_the_text_says`)
        assert 2.9 < ratio < 3.0
    assert [len(each.trace) for each in shown] == list(range(1, len(finished.trace) + 1, 100))
    assert len(shown) > 2


def one_iteration(weights):
    """Gradient, sign, mean, sparseness and diagonal, step by step, with scipy's solver."""
    n, half = len(weights), len(weights) // 2
    abscissa = top(weights)
    system = weights - max(1.5 * abscissa, abscissa + 0.2) * np.eye(n)
    observed = solve_continuous_lyapunov(system.T, -2 * np.eye(n))
    reached = solve_continuous_lyapunov(system, -2 * np.eye(n))
    gradient = observed @ reached / np.trace(observed @ reached)
    moved = weights.copy()
    for j in range(half, n):
        moved[:, j] = np.minimum(weights[:, j] - 10 * gradient[:, j], 0)
    for rows in (slice(0, half), slice(half, n)):
        mean_e, mean_i = weights[rows, :half].mean(), -moved[rows, half:].mean()
        moved[rows, half:] *= 3 * mean_e / mean_i
    places = np.argwhere(np.ones((n, half), bool))
    order = np.argsort(moved[:, half:].ravel(), kind="stable")  # the strongest first
    for i, j in places[order[round(0.4 * n * half) :]]:
        moved[i, half + j] = 0
    np.fill_diagonal(moved, 0)
    return moved


def test_one_iteration_is_what_the_text_says(stabilised):
    _, shown = stabilised
    late = min(shown, key=lambda each: each.trace[-1])
    assert shown[0].trace[-1] > 0.4 > late.trace[-1]  # either way of choosing the shift
    for before in (shown[0], shown[2], late):
        after = []
        with pytest.raises(RuntimeError):
            stabilise(before, max_iterations=1, progress=after.append, every=1)
        assert len(after) == 2
        np.testing.assert_array_equal(after[0].weights, before.weights)
        expected = one_iteration(before.weights)
        np.testing.assert_allclose(after[1].weights, expected, rtol=1e-7, atol=1e-10)
        assert len(after[1].trace) == len(before.trace) + 1


def test_an_unfinished_circuit_can_be_taken_up_again(stabilised):
    finished, shown = stabilised
    resumed = stabilise(shown[-2])
    np.testing.assert_array_equal(resumed.weights, finished.weights)
    np.testing.assert_array_equal(resumed.trace, finished.trace)
    again = stabilise(finished)
    np.testing.assert_array_equal(again.weights, finished.weights)
    np.testing.assert_array_equal(again.trace, finished.trace)


def test_another_abscissa_can_be_asked_for(stabilised):
    _, shown = stabilised
    early = stabilise(shown[0], abscissa=1.0)
    assert early.trace[-1] <= 1.0 < early.trace[:-1].min()


def test_too_few_iterations_are_named_with_the_remedy():
    initial = random_circuit(np.random.default_rng(0), 50)
    kept = initial.weights.copy()
    with pytest.raises(
        RuntimeError, match=r"after 3 iterations, 0\.15 was .*allow more iterations"
    ):
        stabilise(initial, max_iterations=3)
    np.testing.assert_array_equal(initial.weights, kept)


# Controls


def test_controls_have_the_abscissa_of_the_circuit(stabilised):
    finished, _ = stabilised
    assert control(finished, "none") is finished
    for kind in CONTROLS[1:]:
        assert control(finished, kind).abscissa == pytest.approx(0.15, abs=1e-12)
        again = control(finished, kind)
        np.testing.assert_array_equal(control(finished, kind).weights, again.weights)


def test_controls_have_the_abscissa_that_is_asked_for(stabilised):
    finished, _ = stabilised
    for kind in CONTROLS[1:]:
        strong = control(finished, kind, 0.9)
        assert strong.abscissa == pytest.approx(0.9, abs=1e-9)
        np.testing.assert_allclose(strong.weights, control(finished, kind).weights * 6)


@pytest.mark.parametrize("abscissa", [1, 1.5, 0, -0.1, np.nan, np.inf])
def test_a_control_decays(stabilised, abscissa):
    with pytest.raises(ValueError, match=rf"abscissa = {abscissa}: give a finite number .* < 1"):
        control(stabilised[0], "scaled", abscissa)


def test_the_circuit_itself_has_its_own_abscissa(stabilised):
    with pytest.raises(ValueError, match=r"abscissa = 0\.5 has no meaning without a control"):
        control(stabilised[0], "none", 0.5)


def test_scaled_and_symmetric_controls_are_the_initial_weights(stabilised):
    finished, _ = stabilised
    initial = finished.initial
    np.testing.assert_allclose(
        control(finished, "scaled").weights, initial * (0.15 / top(initial)), rtol=1e-12
    )
    symmetric = control(finished, "symmetric")
    both = initial + initial.T
    np.testing.assert_allclose(symmetric.weights, both * (0.15 / top(both)), rtol=1e-12)
    assert symmetric.modes[0][0] == pytest.approx(1 / 0.85, rel=1e-12)


def test_shuffling_keeps_the_weights_of_either_block(stabilised):
    finished, _ = stabilised
    before = finished.weights.copy()
    shuffled = shuffle_inhibition(finished, np.random.default_rng(3))
    np.testing.assert_array_equal(finished.weights, before)
    np.testing.assert_array_equal(shuffled[:, :25], before[:, :25])
    assert not np.diag(shuffled).any()
    for block, was in zip(by_blocks(shuffled, 25), by_blocks(before, 25), strict=True):
        np.testing.assert_array_equal(np.sort(block, axis=None), np.sort(was, axis=None))
        assert (block != was).mean() > 0.3
    other = shuffle_inhibition(finished, np.random.default_rng(4))
    assert not np.array_equal(other, shuffled)
    # up to one factor, the control is such a circuit
    made = control(finished, "shuffled").weights
    factor = made[:, :25].sum() / before[:, :25].sum()
    np.testing.assert_allclose(made[:, :25], factor * before[:, :25], atol=1e-12)
    for block, was in zip(by_blocks(made, 25), by_blocks(before, 25), strict=True):
        np.testing.assert_allclose(
            np.sort(block, axis=None), factor * np.sort(was, axis=None), atol=1e-12
        )


def test_shuffling_puts_a_weight_in_any_place_but_the_diagonal():
    weights = np.zeros((8, 8))
    weights[1, 6], weights[5, 4] = -1.0, -2.0
    circuit = Circuit(weights, 4, weights, np.zeros(1))
    rng = np.random.default_rng(0)
    seen = np.array([shuffle_inhibition(circuit, rng) for _ in range(3000)])
    onto_e, onto_i = (seen[:, :4, 4:] == -1).mean(axis=0), (seen[:, 4:, 4:] == -2).mean(axis=0)
    free = ~np.eye(4, dtype=bool)
    # 28 z beyond 5.5: 1e-6
    assert (np.abs(onto_e - 1 / 16) < 5.5 * np.sqrt(1 / 16 / 3000)).all()
    assert (np.abs(onto_i[free] - 1 / 12) < 5.5 * np.sqrt(1 / 12 / 3000)).all()
    assert not onto_i[~free].any()


def test_unknown_controls_are_refused(stabilised):
    with pytest.raises(
        ValueError, match=r"unknown control 'random'.*none, scaled, shuffled, symmetric"
    ):
        control(stabilised[0], "random")
