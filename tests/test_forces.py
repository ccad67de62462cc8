"""Every linear force against the matrix exponential, an ODE solver and balances of forces."""

import math
from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from ndbmi_gym.config import Config
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.perturbations import (
    CHANNEL,
    N_FORCES,
    Force,
    channel_force,
    channelled,
    forces_of,
    lateral,
)
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.streams import Streams

J = np.array([[0.0, -1.0], [1.0, 0.0]])
FEW = {"dataset": 5, "repetitions": 3}

LAWS = {
    "curl": {"curl": -1.7},
    "push": {"push": (0.7, -1.3)},
    "spring": {"spring": -3.0, "centre": (1.0, -2.0)},
    "hill": {"spring": ((0.6, 0.2), (-0.4, 0.9)), "centre": (-4.0, 0.5)},
    "damping": {"viscous": -2.5},
    "assistance": {"viscous": 1.9},
    "shear": {"viscous": ((0.0, 1.2), (0.0, -0.5))},
    "all": {
        "curl": 1.2,
        "push": (0.4, -0.9),
        "spring": ((-2.0, 0.7), (0.1, -5.0)),
        "viscous": ((-0.3, 1.1), (0.2, 0.6)),
        "centre": (2.0, -1.0),
    },
    "channel": {"channel": CHANNEL},
    "channel and curl": {"channel": CHANNEL, "curl": 1.5, "push": (3.0, -2.0)},
    "soft channel and spring": {"channel": (40.0, 2.0), "spring": -2.0, "centre": (3.0, 4.0)},
}
TIMES = {
    "throughout": {},
    "onset within a step": {"from_s": 0.33},
    "end within a step": {"until_s": 0.71},
    "both within one step": {"from_s": 0.55, "until_s": 0.62},
    "both at steps": {"from_s": 0.5, "until_s": 1.0},
}
STARTS = np.array([[-6.0, 1.0], [2.0, -3.0], [0.5, 7.0]])
TARGETS = np.array([[4.0, -2.0], [2.0, 5.0], [-6.0, 7.0]])


def placed(law, times=None, **plant):
    """Three open masses on their way under a law, and its forces."""
    moving = PointMass(**{"mass": 0.8, "viscosity": 1.3, "wall_cm": math.inf} | plant)
    forces = channelled(forces_of(n_trials=3, **law, **(times or {})), STARTS, TARGETS)
    velocity = [[3.0, 4.0], [-2.0, 1.0], [0.0, -5.0]]
    return moving, moving.place(STARTS + [[0.3, -0.2]], velocity, forces)


def matrices(forces):
    """K, B with curl, push and centre of one row of forces."""
    damping = forces[Force.B_XX : Force.FROM].reshape(2, 2) + forces[Force.CURL] * J
    stiffness = forces[Force.K_XX : Force.CENTRE_X].reshape(2, 2)
    push = forces[Force.PUSH_X : Force.K_XX]
    return stiffness, damping, push, forces[Force.CENTRE_X : Force.B_XX]


def defined(forces, position, velocity, time_s):
    """The perturbing force on one mass, as the module says it is."""
    if not forces[Force.FROM] <= time_s < forces[Force.UNTIL]:
        return np.zeros(2)
    stiffness, damping, push, centre = matrices(forces)
    return push + stiffness @ (position - centre) + damping @ velocity


def by_exponentials(plant, start, forces, force, begin, end):
    """(x, v) under its generator, by the intervals in which the law does and does not act."""
    stiffness, damping, push, centre = matrices(forces)
    edges = {begin, end} | {t for t in forces[[Force.FROM, Force.UNTIL]] if begin < t < end}
    edges, state = sorted(edges), np.append(start, 1.0)
    for now, until in pairwise(edges):
        acts = forces[Force.FROM] <= (now + until) / 2 < forces[Force.UNTIL]
        generator = np.zeros((5, 5))
        generator[:2, 2:4] = np.eye(2)
        generator[2:4, 2:4] = (acts * damping - plant.viscosity * np.eye(2)) / plant.mass
        generator[2:4, :2] = acts * stiffness / plant.mass
        generator[2:4, 4] = (force + acts * (push - stiffness @ centre)) / plant.mass
        state = expm(generator * (until - now)) @ state
    return state[:4]


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_steps_are_exact(law, times):
    plant, state = placed(law, times)
    force, expected = np.array([[1.0, -2.0], [0.0, 3.0], [-4.0, 0.5]]), state.values[:, :4].copy()
    for step in range(4):
        begin, end = step * plant.step_s, (step + 1) * plant.step_s
        for b in range(3):
            expected[b] = by_exponentials(plant, expected[b], state.forces[b], force[b], begin, end)
        state = plant.advance(state, force)
        np.testing.assert_allclose(state.values[:, :4], expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(state.time_s, end)
        felt = [
            defined(state.forces[b], state.position[b], state.velocity[b], end) for b in range(3)
        ]
        # of a stiff channel what is left are differences of numbers as large as 6000·x
        size = 1e-13 * np.abs(state.forces[:, :-4]).max()
        np.testing.assert_allclose(state.perturbing_force, felt, rtol=1e-9, atol=1e-11 + size)


@pytest.mark.parametrize("law", ["all", "soft channel and spring", "hill"])
def test_steps_are_those_of_an_ode_solver(law):
    """Which knows the definition of the force only, and nothing of maps and exponentials."""
    plant, state = placed(LAWS[law], {"from_s": 0.2, "until_s": 0.41})
    force = np.array([1.0, -2.0])
    moved = plant.advance(state, np.tile(force, (3, 1)))
    for b in range(3):

        def slope(t, y, forces=state.forces[b], acts=True):
            outer = defined(forces, y[:2], y[2:], 0.3) if acts else 0.0
            return [*y[2:], *((force + outer - plant.viscosity * y[2:]) / plant.mass)]

        y = state.values[b, :4]
        for begin, end, acts in ((0, 0.2, False), (0.2, 0.41, True), (0.41, 0.5, False)):
            solved = solve_ivp(
                slope,
                (begin, end),
                y,
                "DOP853",
                args=(state.forces[b], acts),
                rtol=1e-12,
                atol=1e-12,
            )
            y = solved.y[:, -1]
        np.testing.assert_allclose(moved.values[b, :4], y, rtol=1e-9, atol=1e-9)


def test_a_spring_without_drag_is_an_oscillation():
    """x = c + (x₀ − c)·cos ωt, with the energy that it began with."""
    plant = PointMass(mass=0.5, viscosity=0.0, wall_cm=math.inf)
    state = plant.place([[3.0, 1.0]], forces=forces_of(spring=-8.0, centre=(1.0, 0.0)))
    for step in range(1, 200):
        state = plant.advance(state, np.zeros((1, 2)))
        swing = math.cos(4.0 * 0.5 * step)
        np.testing.assert_allclose(state.position, [[1 + 2 * swing, swing]], atol=1e-9)
        energy = 0.25 * (state.velocity**2).sum() + 4.0 * ((state.position - [1, 0]) ** 2).sum()
        assert energy == pytest.approx(4.0 * 5.0, rel=1e-9)


def test_trials_of_curl_and_push_are_moved_the_same_beside_any_other():
    rng = np.random.default_rng(0)
    plant, n = PointMass(wall_cm=6.0), 40
    simple = np.arange(n) % 3 > 0
    forces = forces_of(rng.choice([0.0, 0.7, -1.5], n), rng.uniform(-1, 1, (n, 2)))
    forces[~simple] = forces_of(**LAWS["all"])
    state = plant.place(rng.uniform(-5, 5, (n, 2)), rng.uniform(-9, 9, (n, 2)), forces)
    force = rng.uniform(-4, 4, (n, 2))
    mixed = plant.advance(state, force)
    alone = plant.advance(state.select(simple), force[simple])  # by the kernel of curl and push
    np.testing.assert_array_equal(mixed.values[simple], alone.values)
    for b in range(n):
        one = plant.advance(state.select([b]), force[[b]])
        np.testing.assert_array_equal(one.values[0], mixed.values[b])


def test_a_law_before_its_onset_and_after_its_end_is_none():
    law = LAWS["all"]
    plant, state = placed(law, {"from_s": 1.0, "until_s": 2.0})
    free = plant.place(state.position, state.velocity)
    force = np.ones((3, 2))
    for step in range(6):
        state, free = plant.advance(state, force), plant.advance(free, force)
        same = np.allclose(state.values[:, :4], free.values[:, :4], rtol=1e-12, atol=1e-12)
        assert same == (step < 2)
        assert state.perturbing_force.any() == (1.0 <= state.time_s[0] < 2.0)


# Channels


def test_channels_are_springs_and_dampers_across_the_line():
    rng = np.random.default_rng(1)
    n = 30
    start, target = rng.uniform(-9, 9, (2, n, 2))
    own = {"spring": rng.normal(size=(n, 2, 2)), "viscous": rng.normal(size=(n, 2, 2))}
    own |= {"centre": rng.uniform(-9, 9, (n, 2)), "push": rng.normal(size=(n, 2))}
    k, d = rng.uniform(0, 6000, n), rng.uniform(0, 250, n)
    k[:5] = d[5:10] = 0.0
    free = forces_of(n_trials=n, **own)
    made = channelled(forces_of(n_trials=n, **own, channel=np.stack((k, d), 1)), start, target)
    across = (target - start) @ J.T / np.linalg.norm(target - start, axis=1, keepdims=True)
    np.testing.assert_allclose(lateral(start, target), across, rtol=1e-12)
    x, v = rng.uniform(-9, 9, (2, n, 2))
    pressed = channel_force(made, x, v, lateral(start, target), 0.0)
    for b in range(n):
        beside, drift = across[b] @ (x[b] - start[b]), across[b] @ v[b]
        wall = -(k[b] * beside + d[b] * drift) * across[b]
        felt = defined(made[b], x[b], v[b], 0.0)
        np.testing.assert_allclose(felt, defined(free[b], x[b], v[b], 0.0) + wall, atol=1e-8)
        np.testing.assert_allclose(pressed[b] * across[b], -wall, atol=1e-8)


def test_forces_without_channel_are_left_as_they_are():
    forces = forces_of([1.0, 2.0], spring=-1.0)
    assert channelled(forces, np.zeros((2, 2)), np.ones((2, 2))) is forces
    mixed = forces_of([1.0, 2.0], spring=-1.0, channel=[[0.0, 0.0], [9.0, 1.0]])
    made = channelled(mixed, np.zeros((2, 2)), np.ones((2, 2)))
    np.testing.assert_array_equal(made[0], forces[0])
    assert made.shape == (2, N_FORCES)


def test_a_channel_with_no_line_is_across_the_vertical():
    np.testing.assert_array_equal(lateral(np.ones((1, 2)), np.ones((1, 2))), [[0.0, 1.0]])


def test_a_mass_at_rest_presses_as_hard_as_it_is_pushed():
    """In a channel along x a command (f, g) ends as a drift along x, and g on the wall."""
    plant = PointMass(wall_cm=math.inf)
    start, target = np.zeros((2, 2)), np.array([[5.0, 0.0], [0.0, 5.0]])
    forces = channelled(forces_of(n_trials=2, channel=CHANNEL), start, target)
    state, across = plant.place(start, forces=forces), lateral(start, target)
    for _ in range(40):
        state = plant.advance(state, np.array([[1.5, 2.0], [1.5, 2.0]]))
    pressed = channel_force(forces, state.position, state.velocity, across, state.time_s)
    np.testing.assert_allclose(pressed, [2.0, -1.5], rtol=1e-9)  # left of +y is −x
    np.testing.assert_allclose(state.velocity, [[1.5, 0.0], [0.0, 2.0]], atol=1e-9)
    assert np.abs(state.position[[0, 1], [1, 0]]).max() < 2.0 / CHANNEL[0] * (1 + 1e-9)


def test_what_presses_on_a_channel_is_what_momentum_misses():
    """m·Δv − ∫(command − drag)dt across the line is minus the integral of the channel's force."""
    plant = PointMass(step_s=0.002, wall_cm=math.inf)
    start, target = np.zeros((1, 2)), np.array([[4.0, 3.0]])
    forces = channelled(forces_of(curl=1.5, channel=(200.0, 10.0)), start, target)
    state, across = plant.place(start, [[1.0, 2.0]], forces), lateral(start, target)
    pressed, others = [], []
    force = np.array([[2.0, 1.0]])
    begun = (state.velocity * across).sum()
    for step in range(1001):
        rest = force + (1.5 * J - np.eye(2)) @ state.velocity[0]
        pressing = channel_force(forces, state.position, state.velocity, across, state.time_s)
        pressed.append(pressing[0])
        others.append((rest * across).sum())
        if step < 1000:
            state = plant.advance(state, force)
    gained = plant.mass * ((state.velocity * across).sum() - begun)
    integral = np.trapezoid(np.subtract(others, pressed), dx=plant.step_s)
    # the trapezoidal rule errs by T·h²/12·f'', here below 1e-3
    assert gained == pytest.approx(integral, abs=1e-3)
    assert abs(np.trapezoid(pressed, dx=plant.step_s)) > 0.1


# In the loop


def test_steps_with_all_forces_are_the_same_compiled_and_part_by_part():
    """And each trial is the same alone."""
    law = {"curl": [-1, 1], "push": [[-1, 1], 0.5], "spring": [[-1, 0.2], [0, -2]]}
    law |= {"viscous": [[0.1, 0.4], [0, -1]], "spring_centre_cm": [1, 2], "from_s": 0.7}
    law |= {"until_s": 2.3, "channel": [500, 20]}

    class Slow(PointMass):
        """Moves in Python."""

        def advance(self, state, force):
            return super().advance(state, force)

    fast, slow = (
        Episodes(Config.of(perturbation=law, plant=plant, **FEW), 6)
        for plant in (PointMass(), Slow())
    )
    one = Episodes(Config.of(perturbation=law, **FEW), 1)
    streams = Streams.of(np.random.default_rng(0), 6)
    for each in (fast, slow):
        each.begin(streams.select(slice(None)))
    one.begin(streams.select([4]))
    assert fast.compiled
    assert not slow.compiled
    rng = np.random.default_rng(1)
    for _ in range(7):
        action = rng.random((6, fast.n_electrodes))
        for each in (fast, slow):
            each.step(action)
        one.step(action[[4]])
        np.testing.assert_array_equal(fast.state.values, slow.state.values)
        np.testing.assert_array_equal(fast.observe(), slow.observe())
        np.testing.assert_array_equal(fast.state.values[4], one.state.values[0])
        told = fast.info()["channel_force"]
        assert told.any() == (0.7 <= fast.state.time_s[0] < 2.3)
        np.testing.assert_array_equal(told[4], one.info(0)["channel_force"])


@pytest.mark.parametrize(
    "options",
    [{"viscous": 720}, {"viscous": 200, "step_s": 2}, {"spring": 1e6, "step_s": 1}],
    ids=str,
)
def test_forces_beyond_what_numbers_can_tell_are_refused_when_an_environment_is_made(options):
    with pytest.raises(ValueError, match=r"drives the mass away .* time constants within a step"):
        gymnasium.make("ndbmi/HoldTarget-v1", **options)
    env = gymnasium.make("ndbmi/HoldTarget-v1", step_s=options.get("step_s", 0.5))
    law = {name: value for name, value in options.items() if name != "step_s"}
    with pytest.raises(ValueError, match="drives the mass away"):
        env.reset(options={"perturbation": law})
    late = {"kind": "blocks", "blocks": [{"trials": 5}, {"trials": 9, "ramp": True} | law]}
    with pytest.raises(ValueError, match="drives the mass away"):
        gymnasium.make("ndbmi/HoldTarget-v1", perturbation=late, step_s=options.get("step_s", 0.5))
