"""Volition that evokes a point, against the closed form where rates are linear, and by search."""

from functools import cache

import numpy as np
import pytest

from ndbmi_gym.calibration import calibrate
from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.cortex import DRIVE_HZ, METRIC_TAU_S, SOC, soc_cortex
from ndbmi_gym.inversion import command, displacing, expected_projection

RIDGE_CM = 0.3


@cache
def circuit(**options):
    """A cortex and its interface."""
    cortex = soc_cortex(SOC(**options))
    return cortex, calibrate(cortex, np.random.default_rng(0), 20, tau_s=METRIC_TAU_S)


def slope_at_rest(cortex, interface):
    """Displacement of the projected response per full action entry, (2, n), from the linear core.

    Gains have slope 1 at rest: an input's expected spikes are the integral of the state it adds.
    """
    added = cortex.impulses.held * DRIVE_HZ * cortex.units  # (K, n, n), Hz
    gaps = np.diff(cortex.nodes)
    spikes = (added[1:] + added[:-1]) / 2 * (gaps * cortex.clock_s)[:, None, None]
    worth = interface.readout.reshape(cortex.n_electrodes, cortex.n_bins, 2)
    total = np.zeros((2, cortex.n_electrodes))
    for k, (begin, end) in enumerate(zip(cortex.nodes, cortex.nodes[1:], strict=False)):
        for unit in range(cortex.n_electrodes):
            mean = worth[unit, begin:end].mean(axis=0)
            total += np.outer(mean, spikes[k, unit])
    return total


@pytest.mark.parametrize("options", [{}, {"stimuli": 32}])
def test_small_displacements_are_the_closed_form_of_ridge_regression(options):
    cortex, interface = circuit(**options)
    high = cortex.max_count
    slope = slope_at_rest(cortex, interface)
    for angle in (0.3, 2.0, 4.0):
        point = 0.01 * np.array([np.cos(angle), np.sin(angle)])
        volition = displacing(cortex, interface, point, -high, high)
        expected = slope.T @ np.linalg.solve(slope @ slope.T + RIDGE_CM**2 * np.eye(2), point)
        np.testing.assert_allclose(volition / high, expected, atol=0.01 * np.abs(expected).max())


def objective(cortex, interface, point, action):
    """What ridge regression makes small, of actions (B, n)."""
    action = np.atleast_2d(action)
    rest = expected_projection(cortex, interface, None, np.zeros((1, cortex.n_electrodes)))
    places = expected_projection(cortex, interface, None, action * cortex.max_count) - rest
    return ((places - point) ** 2).sum(axis=1) + RIDGE_CM**2 * (action**2).sum(axis=1)


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("point", [(3.0, 0.0), (-2.0, 4.0), (6.0, -6.0)])
def test_nothing_within_the_bounds_does_better(low, point):
    cortex, interface = circuit()
    point, high = np.array(point), cortex.max_count
    volition = displacing(cortex, interface, point, low * high, high)
    action = volition / high
    assert volition.shape == (25,)
    assert (action >= low - 1e-12).all()
    assert (action <= 1 + 1e-12).all()
    reached = objective(cortex, interface, point, action)[0]
    rng = np.random.default_rng(0)
    anywhere = rng.uniform(low, 1, (300, 25)) * rng.random((300, 1))
    near = np.clip(action + 0.05 * rng.normal(size=(300, 25)), low, 1)
    others = objective(cortex, interface, point, np.concatenate((anywhere, near)))
    # a few rounds of linearisation leave a little
    assert reached <= others.min() * 1.02
    assert reached < 0.5 * objective(cortex, interface, point, np.zeros(25))[0]


def test_bounds_bind_when_a_point_is_far_away():
    cortex, interface = circuit()
    high = cortex.max_count
    bounded = displacing(cortex, interface, np.array([8.0, 8.0]), 0.0, 0.2 * high)
    assert (bounded >= 0).all()
    assert bounded.max() == pytest.approx(0.2 * high)
    assert (bounded == 0).any()


def test_no_displacement_takes_no_volition():
    cortex, interface = circuit()
    nothing = displacing(cortex, interface, np.zeros(2), -cortex.max_count, cortex.max_count)
    np.testing.assert_allclose(nothing, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "n"), [({}, 3000), ({"units": 3}, 1000), ({"core": "nonlinear"}, 200)]
)
def test_the_expected_projection_is_the_mean_of_many(options, n):
    cortex, interface = circuit(**options)
    rng = np.random.default_rng(1)
    volition = rng.uniform(-1, 1, (3, 25)) * cortex.max_count
    stimulus = np.array([0, 3, 6])
    expected = expected_projection(cortex, interface, stimulus, volition)
    assert np.ptp(expected, axis=0).min() > 1
    for s, added, place in zip(stimulus, volition, expected, strict=True):
        response = cortex.respond(np.full(n, s), np.tile(added, (n, 1)), rng)
        sampled = interface.project(response.trains)
        error = sampled.std(axis=0) / np.sqrt(n)
        # six z beyond 5.2: 1.2e-6
        assert (np.abs(sampled.mean(axis=0) - place) < 5.2 * error).all()


def test_without_stimulus_the_expected_projection_is_that_of_volition_alone():
    cortex, interface = circuit()
    volition = np.random.default_rng(0).uniform(-1, 1, (2, 25)) * cortex.max_count
    alone = expected_projection(cortex, interface, None, volition)
    spikes = cortex.profile(None, volition)
    by_hand = np.tile(interface.readout_offset, (2, 1))
    for b in range(2):
        for unit in range(25):
            for tick in range(cortex.n_bins):
                worth = interface.readout[unit * cortex.n_bins + tick]
                by_hand[b] += spikes[b, unit, tick // 5] / 5 * worth
    np.testing.assert_allclose(alone, by_hand, atol=1e-9)


def test_the_command_through_a_circuit_displaces_by_minus_the_target():
    loop = Config.of(cortex="soc").make_loop(0)
    high = loop.cortex.max_count
    targets = np.array([(2.0, 1.0), (-3.0, 0.5)])
    volition = command(loop, targets, -high, high)
    assert volition.shape == (2, 25)
    for target, one in zip(targets, volition, strict=True):
        alone = displacing(loop.cortex, loop.interface, -target, -high, high)
        np.testing.assert_array_equal(one, alone)
    rest = expected_projection(loop.cortex, loop.interface, None, np.zeros((1, 25)))
    moved = expected_projection(loop.cortex, loop.interface, None, volition) - rest
    np.testing.assert_allclose(moved, -targets, atol=0.6)


def test_the_command_of_the_papers_cortex_is_eq_24():
    loop = Config.of().make_loop(0)
    targets = np.random.default_rng(0).uniform(-9, 9, (40, 2))
    volition = command(loop, targets, 0.0, 1.0)  # not limited
    assert volition.max() > 20
    nearest = [np.hypot(*(loop.interface.sites + target).T).argmin() for target in targets]
    np.testing.assert_allclose(volition, loop.cortex.evoked[nearest])
    assert len(set(nearest)) > 15
