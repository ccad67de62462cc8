"""jPCA against laws whose answer is known."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import minimize

from ndbmi_gym.cortex.soc.circuit import random_circuit, stabilise
from ndbmi_gym.experiments.bench.tables import where
from ndbmi_gym.experiments.circuit import reaching, rotations
from ndbmi_gym.experiments.circuit.rotations import ALL, EXCITATORY, fit_law, fit_skew, rotation
from ndbmi_gym.experiments.circuit.specimen import MATCHED, SAME, STABILISED, Specimen

STEP_S = 0.005


def follow(law, begins, steps=60):
    """States (K, S, n) of ẋ = law·x from begins (S, n)."""
    step = expm(law * STEP_S)
    x = [begins]
    for _ in range(steps):
        x.append(x[-1] @ step.T)
    return np.array(x)


def skew(*frequencies_hz):
    law = np.zeros((2 * len(frequencies_hz),) * 2)
    for k, frequency in enumerate(frequencies_hz):
        law[2 * k, 2 * k + 1] = -2 * np.pi * frequency
        law[2 * k + 1, 2 * k] = 2 * np.pi * frequency
    return law


@pytest.fixture
def begins():
    """Eight states of mean zero."""
    drawn = np.random.default_rng(0).standard_normal((8, 6))
    return drawn - drawn.mean(axis=0)


def test_a_pure_rotation_has_ratio_one_and_its_frequency(begins):
    """Whatever the axes; between two times an arc is taken for its chord: tan(ωh/2) for ωh/2."""
    turned = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    found = rotation(follow(turned @ skew(2.0, 1.1, 0.4) @ turned.T, begins), STEP_S)
    assert found.ratio == pytest.approx(1, abs=1e-12)
    assert found.frequency_hz == pytest.approx(2.0, rel=2 * (2 * np.pi * 2 * STEP_S) ** 2 / 12)
    assert found.share == pytest.approx(1)


def test_pure_decay_does_not_rotate(begins):
    found = rotation(follow(-np.diag([1.0, 2, 3, 5, 5, 8]), begins), STEP_S)
    assert found.r2 == pytest.approx(1, abs=1e-3)
    assert found.ratio < 0.12  # unequal decay is not wholly free of turning about the mean state
    alike = rotation(follow(-4 * np.eye(6), begins), STEP_S)
    assert (alike.r2, alike.r2_skew) == (pytest.approx(1), pytest.approx(0, abs=1e-20))


def test_a_spiral_is_part_rotation(begins):
    """Of ẋ = (−a + ω·J)·x the turning part has the share ω²/(a² + ω²) of the power of ẋ."""
    rate, turn = 5.0, 2 * np.pi * 1.5
    law = skew(1.5, 1.5, 1.5) - rate * np.eye(6)
    found = rotation(follow(law, begins), STEP_S)
    assert found.r2 == pytest.approx(1)
    assert found.ratio == pytest.approx(turn**2 / (rate**2 + turn**2), rel=1e-3)
    assert found.frequency_hz == pytest.approx(1.5, rel=1e-2)


def test_laws_are_those_of_brute_force_least_squares():
    rng = np.random.default_rng(2)
    states, slopes = rng.standard_normal((2, 40, 4)) * [1.0, 2, 0.5, 3]
    rows, columns = np.tril_indices(4, -1)

    def filled(entries):
        law = np.zeros((4, 4))
        law[rows, columns] = entries
        return law - law.T

    best = minimize(
        lambda entries: ((slopes - states @ filled(entries).T) ** 2).sum(), np.zeros(6), tol=1e-12
    )
    np.testing.assert_allclose(fit_skew(states, slopes), filled(best.x), atol=1e-6)
    design = np.kron(np.eye(4), states)
    brute = np.linalg.lstsq(design, slopes.T.ravel())[0].reshape(4, 4)
    np.testing.assert_allclose(fit_law(states, slopes), brute, atol=1e-10)


def test_a_direction_without_variance_has_no_part():
    states, slopes = np.random.default_rng(3).standard_normal((2, 20, 3))
    states[:, 2] = 0
    law = fit_skew(states, slopes)
    assert np.isfinite(law).all()
    np.testing.assert_allclose(law[:2, :2], fit_skew(states[:, :2], slopes[:, :2]))


def test_the_plane_turns_counterclockwise_with_its_states_spread_along_the_first_axis(begins):
    plane = rotation(follow(skew(2.0, 0.3, 0.1), begins), STEP_S).plane
    x, y = np.moveaxis(plane, -1, 0)
    assert (x[:-1] * y[1:] - y[:-1] * x[1:]).sum() > 0
    spread = np.cov(plane[0].T)
    assert abs(spread[0, 1]) < 1e-10
    assert spread[0, 0] > spread[1, 1]
    # an orthogonal projection: of the first plane, lengths are kept
    np.testing.assert_allclose(
        np.linalg.norm(plane[0], axis=1), np.linalg.norm(begins[:, :2], axis=1), rtol=1e-3
    )


def test_soft_normalisation():
    rates = np.random.default_rng(4).uniform(0, 50, (10, 3, 5))
    rates[..., 4] = 20  # silent about its mean
    found = rotations.soft_normalised(rates)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-12)
    assert not found[..., 4].any()
    one = rates[..., 0] / (rates[..., 0].max() - rates[..., 0].min() + 5)
    np.testing.assert_allclose(found[..., 0], one - one.mean(axis=1, keepdims=True))


def test_circuits_turn_more_than_weak_controls(tmp_path, monkeypatch):
    circuit = stabilise(random_circuit(np.random.default_rng(0), 50))
    path = str(circuit.save(tmp_path / "small.npz"))
    monkeypatch.setattr(reaching, "REPEATS", 2)
    specimen = Specimen(path, 0, (MATCHED,))
    tables = rotations.measure_rotations(specimen)
    table = tables["rotations"]
    assert set(table["neurons"]) == {EXCITATORY, ALL}
    assert set(table["conditions"]) == {8, 16}
    own = where(table, circuit=STABILISED, neurons=ALL, conditions=8)
    weak = where(table, circuit="symmetric 0.15", neurons=ALL, conditions=8)
    assert own["ratio"] > 0.3
    assert weak["ratio"] < 0.05  # real eigenvalues
    assert np.isnan(where(table, conditions=16)["ratio_spread"]).all()
    assert (table["r2_skew"] <= table["r2"] + 1e-12).all()
    first = where(tables["planes"], circuit=STABILISED, amplitude=SAME)
    assert len(first["x"]) == 8 * 61
