from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ndbmi_gym.config import Config
from ndbmi_gym.experiments.protocol.runs import (
    Runs,
    protocol_starts,
    run_ideal,
    run_protocol,
    wtpe,
)
from ndbmi_gym.streams import Streams


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


def test_wtpe_to_the_nearest_point_by_hand():
    """The ideal path goes right, then up, and stays at its end."""
    corners = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (4.0, 4.0)]
    ideal = Runs(np.repeat(np.array(corners)[:, None], 3, axis=1), np.full(3, 2))
    path = np.zeros((4, 3, 2))
    path[1:, 0] = (2.0, 1.0), (7.0, 8.0), (9.0, 9.0)  # above a segment; beyond the end, 3-4-5
    path[1:, 1] = (-3.0, 0.0), (4.0, 1.5), (1.0, 2.0)  # before the start; on a segment; inside
    error = wtpe(Runs(path, np.array([2, 3, -1])), ideal, nearest=True)
    np.testing.assert_allclose(error[:2], [(1 + 5) / 2, (3 + 0 + 2) / 3])
    assert np.isnan(error[2])


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_point_is_that_of_a_brute_force_search(seed):
    rng = np.random.default_rng(seed)
    path, line = rng.normal(0, 4, (2, 6, 10, 2))
    line[3:, 0] = line[3, 0]  # one that has ended
    runs, ideal = Runs(path, rng.integers(1, 6, 10)), Runs(line, np.full(10, 3))
    share = np.linspace(0, 1, 2001)[:, None]
    expected = []
    for b, entered in enumerate(runs.entered):
        fine = np.concatenate([(1 - share) * line[i, b] + share * line[i + 1, b] for i in range(5)])
        away = np.linalg.norm(path[1 : entered + 1, b, None] - fine, axis=-1)
        expected.append(away.min(axis=1).mean())
    found = wtpe(runs, ideal, nearest=True)
    assert (found <= np.add(expected, 1e-12)).all()
    np.testing.assert_allclose(found, expected, atol=2e-3)  # points are up to 0.01 cm apart
    assert (found <= wtpe(runs, ideal) + 1e-12).all()
    # a run along its ideal path makes no error, however far it is ahead
    ahead = Runs(np.concatenate((line[:1], line[2:], line[-1:])), runs.entered)
    np.testing.assert_allclose(wtpe(ahead, ideal, nearest=True), 0.0, atol=1e-12)


# Runs that end on entry


def assert_ended(ended, whole):
    """The same runs up to entry, then at rest there."""
    np.testing.assert_array_equal(ended.entered, whole.entered)
    for b, entered in enumerate(whole.entered):
        last = entered if entered >= 0 else len(whole.path) - 1
        np.testing.assert_array_equal(ended.path[: last + 1, b], whole.path[: last + 1, b])
        assert (ended.path[last:, b] == whole.path[last, b]).all()


@pytest.fixture(params=["noiseless", "noisy"])
def cortex(request, noiseless):
    """The option ``cortex=`` of cortices without noise, and with noise from each run's stream."""
    return noiseless if request.param == "noiseless" else "topographic"


@pytest.mark.parametrize("field", ["gaussian", "dipole"])
@pytest.mark.parametrize("max_steps", [50, 7])
def test_stopping_changes_no_run_before_it_enters(cortex, field, max_steps):
    loop = Config.of(cortex=cortex, field=field).make_loop(0)
    starts = protocol_starts(np.random.default_rng(3), 10.0, 40, 1)
    options = {"max_steps": max_steps, "curl": 0.2}
    whole, ended = (
        run_protocol(loop, np.random.default_rng(0), starts, **options, stop=stop)
        for stop in (False, True)
    )
    assert_ended(ended, whole)
    assert ended.path.shape == (max_steps + 1, 40, 2)
    if max_steps == 7:
        assert set(whole.convergent) == {True, False}
    ideal = run_ideal(loop.field, loop.plant, starts, max_steps=max_steps)
    np.testing.assert_array_equal(wtpe(ended, ideal), wtpe(whole, ideal))


def test_stopping_keeps_volition_and_targets(cortex):
    loop = Config.of(cortex=cortex).make_loop(0)
    target = np.array([3.0, 3.0])
    command = loop.cortex.evoked[loop.interface.sense(-target[None])[0]]
    starts = protocol_starts(np.random.default_rng(4), 10.0, 30, 1)
    options = {"volition": command}
    whole, ended = (
        run_protocol(loop, np.random.default_rng(0), starts, target, 1.0, **options, stop=stop)
        for stop in (False, True)
    )
    assert whole.convergent.any()
    assert_ended(ended, whole)


def test_runs_of_the_protocol_enter_and_end_there():
    loop = Config.of().make_loop(0)
    starts = protocol_starts(np.random.default_rng(0), 10.0)
    runs = run_protocol(loop, np.random.default_rng(1), starts, stop=True)
    assert runs.convergent.mean() >= 0.97
    distance = np.linalg.norm(runs.path, axis=-1)
    for b in np.flatnonzero(runs.convergent):
        assert distance[runs.entered[b], b] <= 1.5
        assert (distance[1 : runs.entered[b], b] > 1.5).all()


def test_a_run_is_the_same_whatever_runs_beside_it():
    loop = Config.of(decoder="projection").make_loop(0)
    starts = protocol_starts(np.random.default_rng(2), 10.0, 10, 1)
    many = run_protocol(loop, np.random.default_rng(3), starts, curl=0.5)
    few = run_protocol(loop, np.random.default_rng(3), starts[:4], curl=0.5)
    np.testing.assert_array_equal(many.path[:, :4], few.path)
    np.testing.assert_array_equal(many.entered[:4], few.entered)


# What a cortex carries


class Recording:
    """A loop that pulls every device to the left, the faster the higher it started, and listens."""

    def __init__(self, plant):
        self.plant = plant
        self.calls = []

    def step(self, state, volition, rng, activity=None):
        height = state.position[:, 1]
        self.calls.append((height.copy(), None if activity is None else activity.copy()))
        carried = 0 if activity is None else activity[:, 1]
        force = np.column_stack((-0.3 * height, np.zeros(len(height))))
        moved = self.plant.advance(state, force)
        heard = np.column_stack((height, carried + np.ones(len(height))))
        return moved, SimpleNamespace(activity=heard)


@pytest.mark.parametrize("stop", [False, True])
def test_activity_is_handed_on_with_the_runs_that_go_on(stop):
    loop = Recording(Config.of(repetitions=2).make_loop(0).plant)
    height = np.array([3.0, 1.0, 4.0, 2.0, 8.0])
    starts = np.column_stack((np.full(5, 6.0), height))
    runs = run_protocol(loop, np.random.default_rng(0), starts, (0.0, 3.0), 2.2, 40, stop=stop)
    assert len(set(runs.entered)) == 5
    assert (runs.entered == -1).sum() == 1
    assert len(loop.calls) == 40
    assert loop.calls[0][1] is None
    sizes = []
    for step, (seen, activity) in enumerate(loop.calls[1:], start=1):
        np.testing.assert_array_equal(activity[:, 0], seen)
        np.testing.assert_array_equal(activity[:, 1], step)
        going_on = (runs.entered == -1) | (runs.entered > step) if stop else np.ones(5, bool)
        np.testing.assert_array_equal(seen, height[going_on])
        sizes.append(len(seen))
    assert (sizes[0], sizes[-1]) == (5, 1 if stop else 5)


@pytest.mark.parametrize("carry", [False, True])
def test_a_circuit_that_carries_is_run_like_any_loop(carry):
    """The protocol is the loop stepped by hand with what it returned."""
    cortex = {"kind": "soc", "stimuli": 4, "carry": carry}
    loop = Config.of(cortex=cortex, repetitions=5).make_loop(0)
    starts = protocol_starts(np.random.default_rng(0), 10.0, 6, 1)
    volition = np.linspace(-10, 20, 25)
    runs = run_protocol(loop, np.random.default_rng(1), starts, max_steps=8, volition=volition)
    rng, other = (Streams.of(np.random.default_rng(1), 6) for _ in range(2))
    state, forgetful, activity = loop.plant.place(starts), loop.plant.place(starts), None
    for step in range(1, 9):
        state, heard = loop.step(state, np.tile(volition, (6, 1)), rng, activity)
        activity = heard.activity
        assert activity.shape == (6, 200 if carry else 0)
        np.testing.assert_array_equal(runs.path[step], state.position)
        forgetful, _ = loop.step(forgetful, np.tile(volition, (6, 1)), other)
    assert np.array_equal(runs.path[-1], forgetful.position) != carry


# Ideal runs


def continuous(loop, start, steps):
    """The device under the field at every moment, by an adaptive integrator, (steps + 1, 2)."""

    def slope(_, state):
        force = loop.field(state[None, :2])[0] - loop.plant.viscosity * state[2:]
        return np.concatenate((state[2:], force / loop.plant.mass))

    times = loop.plant.step_s * np.arange(steps + 1)
    begin = np.concatenate((start, [0.0, 0.0]))
    solved = solve_ivp(slope, (0, times[-1]), begin, t_eval=times, rtol=1e-10, atol=1e-12)
    return solved.y[:2].T


@pytest.mark.parametrize("field", ["gaussian", "dipole"])
def test_many_substeps_are_a_continuous_field(field):
    loop = Config.of(field=field, repetitions=2).make_loop(0)
    starts = np.array([(8.0, 3.0), (-8.0, -5.0), (1.0, 8.0)])
    exact = np.stack([continuous(loop, start, 20) for start in starts], axis=1)
    off = {}
    for substeps in (1, 50, 100, 400):
        runs = run_ideal(loop.field, loop.plant, starts, max_steps=20, substeps=substeps)
        assert runs.path.shape == (21, 3, 2)
        off[substeps] = np.abs(runs.path - exact).max()
    # a force held over an interval h makes an error of the order of h
    assert off[50] < 0.1
    assert off[50] / off[100] == pytest.approx(2, rel=0.1)
    assert off[100] / off[400] == pytest.approx(4, rel=0.1)
    assert off[1] > 10 * off[50]


def test_a_constant_force_does_not_feel_substeps():
    plant = Config.of(repetitions=2).make_loop(0).plant
    starts = np.array([(-8.0, 0.0), (-3.0, 8.0)])

    def push(position):
        return np.tile([0.2, -0.3], (len(position), 1))

    held = run_ideal(push, plant, starts, max_steps=20)
    fine = run_ideal(push, plant, starts, max_steps=20, substeps=17)
    np.testing.assert_allclose(fine.path, held.path, atol=1e-9)
    # m·a = F − b·v from rest: x = F/b·(t − (1 − e^(−b·t/m))·m/b)
    t = plant.step_s * np.arange(21)[:, None, None]
    rate = plant.viscosity / plant.mass
    moved = np.array([0.2, -0.3]) / plant.viscosity * (t - (1 - np.exp(-rate * t)) / rate)
    np.testing.assert_allclose(held.path, starts + moved, atol=1e-9)


@pytest.mark.parametrize("substeps", [1, 10])
def test_ideal_runs_can_end_on_entry(substeps):
    loop = Config.of(repetitions=2).make_loop(0)
    starts = protocol_starts(np.random.default_rng(5), 10.0, 20, 1)
    for max_steps in (50, 7):
        whole, ended = (
            run_ideal(
                *(loop.field, loop.plant, starts, (1.0, 0.0), 2.0),
                max_steps=max_steps,
                substeps=substeps,
                stop=stop,
            )
            for stop in (False, True)
        )
        assert_ended(ended, whole)


def test_substeps_keep_the_plant():
    """Viscosity, mass and wall are those of the plant; only its step is divided."""
    plant = replace(Config.of(repetitions=2).make_loop(0).plant, wall_cm=9.0)

    def outwards(position):
        return 4.0 * np.sign(position)

    runs = run_ideal(outwards, plant, np.array([(8.0, -8.0)]), substeps=5)
    assert np.abs(runs.path).max() == 9.0


def test_the_ideal_device_converges_in_about_eight_steps():
    loop = Config.of().make_loop(0)
    starts = protocol_starts(np.random.default_rng(0), 10.0)
    runs = run_ideal(loop.field, loop.plant, starts)
    assert runs.convergent.all()
    assert 6 <= runs.entered.mean() <= 10


@pytest.mark.parametrize("decoder", ["multiple-points", "single-point", "projection"])
@pytest.mark.parametrize("field", ["gaussian", "dipole"])
@pytest.mark.parametrize("dataset", [5, 6, 7])
def test_the_interface_drives_the_device_to_the_target(dataset, field, decoder):
    # 240 runs; at a true rate of 99.9 % fewer than 97 % converge with probability below 1e-6
    loop = Config.of(dataset=dataset, field=field, decoder=decoder).make_loop(0)
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
    loop = Config.of().make_loop(0)
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
