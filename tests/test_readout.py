import numpy as np
import pytest

from ndbmi_gym.experiments.circuit.readout import explained, fit_readout, movements, ridge, smoother


def test_smoothing_keeps_the_level_and_has_its_width():
    smooth = smoother(60, 0.005, 0.02)
    np.testing.assert_allclose(np.ones(60) @ smooth, 1)
    pulse = np.eye(60)[30] @ smooth
    offset = (np.arange(60) - 30) * 0.005
    assert np.sqrt((pulse * offset**2).sum() / pulse.sum()) == pytest.approx(0.02, rel=0.01)


def test_movements_begin_and_end_at_rest():
    times = np.linspace(0, 0.3, 301)
    places = movements(times)
    assert places.shape == (8, 301, 2)
    np.testing.assert_array_equal(places[:, 0], 0)
    np.testing.assert_allclose(np.linalg.norm(places[:, -1], axis=1), 10)
    speed = np.linalg.norm(np.diff(places, axis=1), axis=-1) / 1e-3
    assert speed[:, [0, -1]].max() < 0.01 * speed.max()
    opposite = places.reshape(2, 4, 301, 2)
    np.testing.assert_allclose(opposite[0], -opposite[1], atol=1e-12)
    # a loop goes back and crosses itself, the others do not go back
    forward = [(np.diff(p @ p[-1]) >= -1e-9).all() for p in places]
    assert forward == [True, True, True, False] * 2


def test_ridge_solves_its_equations():
    rng = np.random.default_rng(4)
    features, outputs = rng.standard_normal((40, 6)) + 5, rng.standard_normal((40, 2))
    centred = features - features.mean(axis=0)
    square = centred.T @ centred
    for penalty, found in zip((0.1, 10), ridge(features, outputs, (0.1, 10)), strict=True):
        punished = square + penalty * np.trace(square) / 6 * np.eye(6)
        expected = np.linalg.solve(punished, centred.T @ (outputs - outputs.mean(axis=0)))
        np.testing.assert_allclose(found.weights, expected)
        np.testing.assert_allclose(found(features).mean(axis=0), outputs.mean(axis=0))
        assert found.penalty == penalty


def test_the_penalty_suits_the_noise():
    """Features are the outputs with noise of the same size: the best linear map halves them."""
    rng = np.random.default_rng(5)
    outputs = rng.standard_normal((8, 30, 1))
    penalties = np.logspace(-3, 2, 11)
    clean = np.repeat(outputs[:, None], 10, axis=1)
    assert fit_readout(clean, outputs, penalties).penalty == penalties[0]
    noisy = clean + rng.standard_normal((8, 10, 30, 1))
    assert fit_readout(noisy, outputs, penalties).weights == pytest.approx(0.5, abs=0.1)
    pure = rng.standard_normal((8, 10, 30, 20))
    assert fit_readout(pure, outputs, penalties).penalty >= 10


def test_r_squared():
    outputs = np.array([[0.0, 0], [2, 0], [0, 2], [2, 2]])
    assert explained(outputs, outputs) == 1
    assert explained(outputs, np.ones((4, 2))) == 0
