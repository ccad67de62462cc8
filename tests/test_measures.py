from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import expm

from ndbmi_gym.cortex.soc.circuit import energy_matrix, noise_covariance, random_circuit, stabilise
from ndbmi_gym.cortex.soc.cortex import SOC, soc_cortex
from ndbmi_gym.experiments.bench.tables import where
from ndbmi_gym.experiments.circuit import (
    balance,
    exact,
    measures,
    reaching,
    reliability,
    report,
    transients,
)
from ndbmi_gym.experiments.circuit import specimen as specimens
from ndbmi_gym.experiments.circuit.specimen import MATCHED, SAME, STABILISED, Specimen


@pytest.fixture(scope="module")
def circuit():
    return stabilise(random_circuit(np.random.default_rng(0), 50))


@pytest.fixture(scope="module")
def path(circuit, tmp_path_factory):
    return str(circuit.save(tmp_path_factory.mktemp("soc") / "small.npz"))


def test_courses_follow_the_equation(circuit):
    states = np.random.default_rng(1).standard_normal((50, 2))
    x = measures.course(circuit.weights, states, 1e-4, 20)
    np.testing.assert_array_equal(x[0], states)
    slope = (x[11] - x[9]) / 2e-4
    np.testing.assert_allclose(slope, (circuit.weights - np.eye(50)) @ x[10] / 0.2, atol=1e-3)


def test_the_share_of_energy_is_that_of_the_integral(circuit):
    state = circuit.modes[1][:, 0]
    norm = np.linalg.norm(measures.course(circuit.weights, state[:, None], 1e-3, 100), axis=1)
    spent = 2 / 0.2 * np.trapezoid(norm[:, 0] ** 2, dx=1e-3)
    share = spent / (state @ energy_matrix(circuit.weights) @ state)
    assert measures.energy_share(circuit, state, 0.1) == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("trials", [5, 200])
def test_explained_share_does_not_depend_on_the_number_of_trials(trials):
    """Variance 1 of stimuli and 3 of trials: a quarter is explained."""
    rng = np.random.default_rng(2)
    stimuli = rng.standard_normal((400, 1, 50))
    responses = stimuli + 3**0.5 * rng.standard_normal((400, trials, 50))
    assert measures.explained_share(responses) == pytest.approx(0.25, abs=0.01)
    assert measures.explained_share(responses - stimuli) == pytest.approx(0, abs=0.01)
    assert measures.explained_share(np.repeat(stimuli, 2, axis=1)) == 1


def test_dimensions():
    assert measures.participation(np.array([2.0, 2, 2, 0])) == pytest.approx(3)
    assert measures.participation(np.array([5.0, 0])) == 1
    assert measures.n_components(np.ones(10)) == 9
    assert measures.n_components(np.array([1.0, 92, 7])) == 1
    samples = np.random.default_rng(3).standard_normal((30, 4))
    expected = np.linalg.eigvalsh(np.cov(samples.T, bias=True))[::-1]
    np.testing.assert_allclose(measures.component_variances(samples), expected)


def test_power_outside_the_prepared_span():
    x = np.zeros((2, 3, 1))
    x[0, 0], x[1, 1] = 3, 4  # first along one axis, then along another
    assert measures.power_outside(x) == pytest.approx(16 / 25)
    assert measures.power_outside(x[[0, 0]]) == 0


def test_the_layout_may_be_turned_and_stretched():
    layout = np.array([[0.0, 0], [2, 0], [0, 2], [2, 2]])
    turned = layout @ np.array([[0, 3], [-1, 1]]) + 7
    assert measures.affine_r2(turned, layout) == pytest.approx(1)
    assert measures.affine_r2(np.zeros((4, 2)), layout) == pytest.approx(0)


def test_white_noise_has_the_circuits_covariance(circuit):
    """At the same time and one step later, where it is P·C.

    In independent runs the mean of x_i·x_j has variance (C_ii·C_jj + C_ij²)/runs. A standard
    normal variable exceeds 6 in one of 5e8 cases, and there are 2 · 50²: a correct program fails
    for one seed in 100,000.
    """
    runs, step_s = 20_000, 0.1
    noise = measures.white_noise(circuit, np.random.default_rng(6), runs, 3, step_s)
    same_time = noise_covariance(circuit.weights)
    power = np.diag(same_time)
    propagator = expm((circuit.weights - np.eye(50)) * step_s / 0.2)
    for lag, expected in ((0, same_time), (1, propagator @ same_time)):
        measured = noise[:, 2].T @ noise[:, 2 - lag] / runs
        deviation = np.sqrt((np.outer(power, power) + expected**2) / runs)
        assert np.abs((measured - expected) / deviation).max() < 6


def test_received_inputs_add_up(circuit):
    activity = np.random.default_rng(7).standard_normal((5, 50))
    excitation, inhibition = measures.received(circuit, activity)
    np.testing.assert_allclose(excitation - inhibition, activity @ circuit.weights.T)


def test_transients_superpose_and_the_gradient_is_that_of_differences(circuit):
    assert exact.superposition_error(circuit, np.random.default_rng(8)) < 1e-10
    assert exact.gradient_error(circuit, np.random.default_rng(9)) < 1e-8


def test_circuits_that_cannot_be_measured(tmp_path):
    random = random_circuit(np.random.default_rng(0), 50)
    with pytest.raises(ValueError, match="unfinished"):
        Specimen(str(random.save(tmp_path / "random.npz")), 0)
    small = stabilise(random_circuit(np.random.default_rng(0), 10))
    with pytest.raises(ValueError, match="10 neurons"):
        Specimen(str(small.save(tmp_path / "small.npz")), 0)
    with pytest.raises(ValueError, match="seed -1"):
        Specimen(None, -1)


@pytest.mark.parametrize("name", ["scaled 0.15", "scaled 0.99", "shuffled 0.15", "symmetric 0.15"])
def test_matched_states_have_the_same_signal(name, path):
    """Of what is recorded; at the same amplitude it is smaller, and the states keep their shape."""
    specimen = Specimen(path, 0)
    coefficients = np.random.default_rng(10).standard_normal((8, specimens.MODES)) / 3

    def stimuli(name, amplitude):
        return soc_cortex(SOC(**specimen.options(name, amplitude)))

    def movements(name, amplitude):
        return reaching.preparing(specimen, name, amplitude, coefficients)

    for make in (stimuli, movements):
        wanted, same, matched = make(STABILISED, SAME), make(name, SAME), make(name, MATCHED)
        signal = [
            np.var(cortex.profile(np.arange(8), None), axis=0).sum()
            for cortex in (wanted, same, matched)
        ]
        assert signal[2] == pytest.approx(signal[0], rel=1e-4)
        assert signal[1] < 0.5 * signal[0] or name == "scaled 0.99"
        factor = matched.prepared / same.prepared
        np.testing.assert_allclose(factor, factor[0, 0])
    assert movements(STABILISED, SAME).n_electrodes == 25


def test_sizes_and_penalties_are_kept(path, monkeypatch):
    monkeypatch.setattr(reaching, "REPEATS", 2)
    monkeypatch.setattr(reaching, "UNITS", (4,))
    monkeypatch.setattr(reaching, "DRAWN_TRIALS", {})
    table = reaching.measure_reaching(Specimen(path, 0))["reaching"]
    assert (where(table, amplitude=SAME)["factor"] == 1).all()
    assert (where(table, amplitude=MATCHED)["factor"] > 1.5).all()
    assert not table["at_end"].any()
    monkeypatch.setattr(reaching, "PENALTIES", np.array([1e-6, 1e-5]))
    assert (reaching.measure_reaching(Specimen(path, 0))["reaching"]["at_end"] == 2).all()


def test_what_results_depend_on_is_listed():
    listed = report.parameters()
    for name in ("UNITS", "COMPARED_UNITS", "PENALTIES", "REPEATS"):
        assert np.array_equal(listed[name.lower()], getattr(reaching, name))
    for name in ("SHORT_S", "NOISE"):
        assert np.array_equal(listed[name.lower()], getattr(reliability, name))


def test_energy_spent_after_a_ring_of_stimuli(path, circuit):
    numbers = transients.measure_transients(Specimen(path, 0))["circuits"]
    cortex = soc_cortex(SOC(circuit=path))
    shares = [measures.energy_share(circuit, state, 0.1) for state in cortex.prepared]
    assert where(numbers, circuit=STABILISED)["spent_100ms_stimuli"] == pytest.approx(
        np.mean(shares)
    )


def test_stages_repeat(path):
    for stage in (balance.measure_balance, transients.measure_transients):
        first, again = (stage(Specimen(path, 1)) for _ in range(2))
        for name, table in first.items():
            for column, values in table.items():
                np.testing.assert_array_equal(values, again[name][column])
    other = balance.measure_balance(Specimen(path, 2))["balance"]
    first = balance.measure_balance(Specimen(path, 1))["balance"]
    assert (other["exact"] == first["exact"]).all()
    assert (other["simulated"] != first["simulated"]).all()


def test_simulation_agrees_with_the_exact_balance(path):
    table = balance.measure_balance(Specimen(path, 1))["balance"]
    np.testing.assert_allclose(table["simulated"], table["exact"], atol=0.03)


def test_courses_of_controls_fall(path):
    courses = transients.measure_transients(Specimen(path, 0))["courses"]
    norm = where(courses, circuit="symmetric 0.15", state="v1")["norm"]
    assert all(later < earlier for earlier, later in pairwise(norm))
    assert where(courses, circuit=STABILISED, state="v1")["norm"].max() > 1.3
