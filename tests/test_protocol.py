import numpy as np
import pytest

from ndbmi_gym.config import Config
from ndbmi_gym.experiments.protocol import (
    Runs,
    protocol_starts,
    run_ideal,
    run_protocol,
    wtpe,
)


def test_starts_are_repeated_on_the_square():
    starts = protocol_starts(np.random.default_rng(0), 10.0)
    assert starts.shape == (240, 2)
    np.testing.assert_allclose(np.abs(starts).max(axis=1), 8.0)
    assert len(np.unique(starts, axis=0)) == 24


def test_wtpe_by_hand():
    ideal = Runs(np.zeros((4, 3, 2)), np.array([3, 3, 3]))
    path = np.zeros((4, 3, 2))
    path[1:, 0] = (3.0, 4.0), (0.0, 1.0), (9.0, 0.0)
    path[1:, 1] = (0.0, 2.0), (0.0, 9.0), (0.0, 9.0)
    error = wtpe(Runs(path, np.array([2, 1, -1])), ideal)
    np.testing.assert_allclose(error[:2], [(5 + 1) / 2, 2.0])
    assert np.isnan(error[2])


def test_the_ideal_device_converges_in_about_eight_steps():
    loop = Config().make_loop(0)
    starts = protocol_starts(np.random.default_rng(0), 10.0)
    runs = run_ideal(loop.field, loop.plant, starts)
    assert runs.convergent.all()
    assert 6 <= runs.entered.mean() <= 10


@pytest.mark.parametrize("decoder", ["multiple-points", "single-point", "projection"])
@pytest.mark.parametrize("field", ["gaussian", "dipole"])
@pytest.mark.parametrize("dataset", [5, 6, 7])
def test_the_interface_drives_the_device_to_the_target(dataset, field, decoder):
    # 240 runs; at a true rate of 99.9 % fewer than 97 % converge with probability below 1e-6
    loop = Config(dataset=dataset, field=field, decoder=decoder).make_loop(0)
    rng = np.random.default_rng(1)
    starts = protocol_starts(rng, 10.0)
    runs = run_protocol(loop, rng, starts)
    assert runs.convergent.mean() >= 0.97
    error = np.nanmean(wtpe(runs, run_ideal(loop.field, loop.plant, starts)))
    assert error < {5: 2.5, 6: 1.2, 7: 0.7}[dataset]


def counter_clockwise(runs):
    """How much the paths of the first steps turn to the left, cm²."""
    moved = np.diff(runs.path, axis=0)[:4]
    cross = moved[:-1, :, 0] * moved[1:, :, 1] - moved[:-1, :, 1] * moved[1:, :, 0]
    return cross.sum()


@pytest.mark.parametrize("curl", [0.0, 0.6])
def test_eq24_reaches_four_targets(curl):
    # Fig 12: four targets among the calibration points, 16 starts each, the paper's stop rule
    loop = Config().make_loop(0)
    rng = np.random.default_rng(2)
    turns = []
    for angle in np.radians([45, 135, 225, 315]):
        wanted = 5 * np.array([np.cos(angle), np.sin(angle)])
        points = loop.interface.points
        target = points[np.linalg.norm(points - wanted, axis=1).argmin()]
        command = loop.cortex.evoked[loop.interface.sense(-target[None])[0]]
        starts = protocol_starts(rng, 10.0, 16, 1)
        runs = run_protocol(loop, rng, starts, target, volition=command, curl=curl)
        # at a true rate of 99 %, fewer than 14 of 16 arrive with probability 5e-4
        assert runs.convergent.sum() >= 14
        other = run_protocol(loop, rng, starts, target, volition=command, curl=-curl)
        turns.append((counter_clockwise(runs), counter_clockwise(other)))
    if curl:
        left, right = np.mean(turns, axis=0)
        assert right < -1 < 1 < left  # c > 0 deflects counter-clockwise, c < 0 clockwise
