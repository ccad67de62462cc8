"""Variability over trials against what must hold of it."""

import numpy as np
import pytest

from ndbmi_gym.cortex.soc.circuit import Circuit, noise_covariance, random_circuit, stabilise
from ndbmi_gym.cortex.soc.transients import Gain, tonic
from ndbmi_gym.experiments.bench.tables import where
from ndbmi_gym.experiments.circuit import quench, reaching
from ndbmi_gym.experiments.circuit.quench import (
    LINEAR,
    NONLINEAR,
    QUENCHED,
    held_abscissa,
    mean_matched,
    noisy_trials,
    variability,
)
from ndbmi_gym.experiments.circuit.specimen import STABILISED, Specimen


@pytest.fixture(scope="module")
def circuit():
    return stabilise(random_circuit(np.random.default_rng(0), 50))


@pytest.fixture
def states(circuit):
    """Two prepared states, and none."""
    return np.concatenate((80 * circuit.modes[1][:, :2].T, np.zeros((1, 50))))


def test_the_mean_of_the_linear_core_follows_the_tonic_input(circuit, states):
    """It is what the exact solution says, and the noise of a trial is the same everywhere."""
    x = noisy_trials(circuit, LINEAR, states, 5.0, 3, np.random.default_rng(1), (0.1, 0.4, 0.3))
    mean = x[:, :2] - x[:, 2:]
    times = np.arange(len(x)) * quench.SEEN_S - 0.1
    exact = tonic(circuit.weights, states[:2], 0.4, times[10:], np.arange(50))
    assert not mean[:11].any()
    np.testing.assert_allclose(mean[10:, :, 0], exact, atol=0.02 * np.abs(exact).max())
    np.testing.assert_allclose(mean[:, :, 0], mean[:, :, 1], atol=1e-9)


def test_the_linear_core_cannot_quench_states(circuit, states):
    x = noisy_trials(circuit, LINEAR, states, 5.0, 4, np.random.default_rng(2))
    found = variability(x[..., :25], Gain())
    np.testing.assert_allclose(found["state"], 1, rtol=1e-10)
    assert found["rate"].min() < 0.95  # that of rates falls, by the saturation of output


def test_noise_has_the_size_and_covariance_of_the_lyapunov_equation(circuit):
    """After 0.5 s it is still the covariance that it began with: it is stationary.

    Of 4,000 trials an entry has a relative deviation of sqrt(2/4000) = 0.022 on the diagonal; six
    of these are exceeded once in 5e8 cases.
    """
    rest = np.zeros((1, 50))
    x = noisy_trials(circuit, LINEAR, rest, 5.0, 4000, np.random.default_rng(3), (0.5, 0.0, 0.0))
    covariance = noise_covariance(circuit.weights)
    covariance *= 25 / np.diag(covariance)[:25].mean()
    found = x[-1, 0].T @ x[-1, 0] / 4000
    power = np.diag(covariance)
    deviation = np.sqrt((np.outer(power, power) + covariance**2) / 4000)
    assert np.abs((found - covariance) / deviation).max() < 6.5  # Heun's method adds a little


@pytest.mark.slow
def test_little_noise_in_the_nonlinear_core_is_that_of_its_linearisation(circuit, states):
    """Held at x₀ for long, its covariance is that of the weights W·diag(g'(x₀))."""
    held = states[[0]] / 2
    x = noisy_trials(
        circuit, NONLINEAR, held, 0.01, 2000, np.random.default_rng(4), (0.0, 4.0, 0.0)
    )
    slope = 1 - (Gain()(held[0]) / np.where(held[0] < 0, 20, 80)) ** 2
    size = 0.01**2 / np.diag(noise_covariance(circuit.weights))[:25].mean()
    expected = size * np.diag(noise_covariance(circuit.weights * slope))
    np.testing.assert_allclose(x[-1, 0].mean(axis=0), held[0], atol=0.01 * np.abs(held).max())
    assert x[-1, 0].var(axis=0).sum() == pytest.approx(expected.sum(), rel=0.1)
    assert held_abscissa(circuit, held[0]) == pytest.approx(
        np.linalg.eigvals(circuit.weights * slope).real.max()
    )


def test_without_weights_nothing_saturates_in_the_circuit():
    none = np.zeros((4, 4))
    lonely = Circuit(none, 2, none, np.zeros(1))
    states = np.array([[50.0, -50, 50, 50], [0, 0, 0, 0]])
    both = [
        noisy_trials(lonely, core, states, 10.0, 5, np.random.default_rng(5))
        for core in (LINEAR, NONLINEAR)
    ]
    np.testing.assert_allclose(*both, atol=1e-12)


def test_fano_factors_of_known_rates():
    """Rates that do not vary over trials leave a Poisson process, 1; those that do add theirs."""
    rng = np.random.default_rng(6)
    varied = 2 * rng.standard_normal((2000, 1))
    states = np.zeros((30, 2, 2000, 1))
    states[:, 1] = varied
    found = variability(states, Gain())
    rate = Gain().rate(varied[:, 0])
    expected = 1 + quench.COUNT_S * rate.var(ddof=1) / rate.mean()
    for kind, value in (("fano", 1), ("fano_matched", 1), ("fano_unprepared", expected)):
        assert np.isnan(found[kind][:4]).all()  # the window does not fit
        np.testing.assert_allclose(found[kind][4:], value, rtol=1e-9)
    assert not found["state"].any()


def test_matching_compares_like_means_only():
    """Variance is the mean's square: what rises with the mean alone is no change of variability."""
    means = np.array([[0.55, 1.55, 1.55], [0.55, 0.55, 1.55], [1.55, 0.55, 9.55]])
    found = mean_matched(means, means**2, 1.0)
    like = (0.55**2 + 1.55**2) / (0.55 + 1.55)
    np.testing.assert_allclose(found, like)
    raw = (means**2).sum(axis=1) / means.sum(axis=1)
    assert np.ptp(raw) > 1
    assert np.isnan(mean_matched(np.array([[0.5], [5.5]]), np.ones((2, 1)), 1.0)).all()


def test_numbers_are_means_of_the_courses(circuit, tmp_path, monkeypatch):
    monkeypatch.setattr(reaching, "REPEATS", 2)
    monkeypatch.setattr(quench, "TRIALS", 3)
    tables = quench.measure_quench(Specimen(str(circuit.save(tmp_path / "small.npz")), 0))
    table = tables["quench"]
    assert set(table["circuit"]) == set(QUENCHED)
    course = where(tables["variability"], circuit=STABILISED, core=NONLINEAR)
    for phase, low, high in (("prepared", -0.1, 0.0), ("moving", 0.0, 0.1)):
        then = (course["time_s"] > low - 1e-9) & (course["time_s"] < high - 1e-9)
        row = where(table, circuit=STABILISED, core=NONLINEAR, phase=phase)
        for kind in ("state", "rate", "fano"):
            assert row[kind][0] == pytest.approx(course[kind][then].mean())
    line = quench.quench_table(table).splitlines()[2]
    first = where(table, phase="prepared")
    assert line.startswith(f"| SOC, linear core | 1.00 ± {first['state_spread'][0]:.2f} | 1.00 ")
    before = course["time_s"] < -quench.PREPARE_S - 1e-9
    np.testing.assert_allclose(course["state"][before], 1)
    assert course["fano"][before][-1] == pytest.approx(course["fano_unprepared"][before][-1])
