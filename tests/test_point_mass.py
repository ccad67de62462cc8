"""The exact step against closed forms, the matrix exponential and an ODE solver."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from ndbmi_gym.perturbations import forces_of
from ndbmi_gym.plants import Device
from ndbmi_gym.plants.point_mass import PointMass, move, move_under_any

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
OPEN = math.inf
ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])  # J of Eq 25


def random_state(plant, n, seed=0, curl=1.5, push=1.0):
    rng = np.random.default_rng(seed)
    return plant.place(
        rng.uniform(-10, 10, (n, 2)),
        rng.uniform(-5, 5, (n, 2)),
        forces_of(rng.uniform(-curl, curl, n), rng.uniform(-push, push, (n, 2))),
    ), rng.uniform(-4, 4, (n, 2))


def by_matrix_exponential(plant, state, force):
    """(x, v, 1) under its generator, one mass at a time."""
    result = np.empty((len(force), 4))
    for b in range(len(force)):
        generator = np.zeros((5, 5))
        generator[:2, 2:4] = np.eye(2)
        generator[2:4, 2:4] = (state.curl[b] * ROTATION - plant.viscosity * np.eye(2)) / plant.mass
        generator[2:4, 4] = (force[b] + state.push[b]) / plant.mass
        start = np.concatenate((state.position[b], state.velocity[b], [1.0]))
        result[b] = (expm(generator * plant.step_s) @ start)[:4]
    return result


def curl_law(strength):
    return lambda position, velocity: strength * velocity @ ROTATION.T


# The exact step


def test_free_decay():
    """v = v₀·e^(−bt/m), x = x₀ + v₀·(m/b)·(1 − e^(−bt/m))."""
    plant = PointMass(mass=0.8, viscosity=1.3, step_s=0.37, wall_cm=OPEN)
    state = plant.place([[1.0, -2.0]], [[3.0, 4.0]])
    for step in range(1, 6):
        state = plant.advance(state, np.zeros((1, 2)))
        decay = math.exp(-1.3 * 0.37 * step / 0.8)
        np.testing.assert_allclose(state.velocity, [[3 * decay, 4 * decay]], rtol=1e-12)
        way = 0.8 / 1.3 * (1 - decay)
        np.testing.assert_allclose(state.position, [[1 + 3 * way, -2 + 4 * way]], rtol=1e-12)


def test_terminal_velocity():
    plant = PointMass(step_s=60.0, wall_cm=OPEN)
    state = plant.advance(plant.place([[0.0, 0.0]]), np.array([[3.0, -1.0]]))
    np.testing.assert_allclose(state.velocity, [[3.0, -1.0]], rtol=1e-12)  # F/b


def test_vacuum_without_curl():
    """b = 0, c = 0: x₀ + v₀·t + F·t²/(2m)."""
    plant = PointMass(mass=0.5, viscosity=0.0, step_s=0.7, wall_cm=OPEN)
    state = plant.place([[1.0, 2.0]], [[-1.0, 0.5]], forces=forces_of(push=(0.25, 0.0)))
    moved = plant.advance(state, np.array([[2.0, -3.0]]))
    np.testing.assert_allclose(moved.velocity, [[-1 + 2.25 / 0.5 * 0.7, 0.5 - 3 / 0.5 * 0.7]])
    expected = [[1 - 0.7 + 2.25 * 0.49, 2 + 0.35 - 3 * 0.49]]
    np.testing.assert_allclose(moved.position, expected, rtol=1e-14)


def test_vacuum_with_curl_moves_in_circles():
    """b = 0: cyclotron motion, radius m·v/c and period 2π·m/c."""
    mass, curl, speed = 0.5, 0.8, 2.0
    period = 2 * math.pi * mass / curl
    plant = PointMass(mass=mass, viscosity=0.0, step_s=period / 4, wall_cm=OPEN)
    radius = mass * speed / curl
    state = plant.place([[0.0, 0.0]], [[speed, 0.0]], forces_of(curl))
    quarters = [[radius, radius], [0.0, 2 * radius], [-radius, radius], [0.0, 0.0]]
    for expected in quarters:
        state = plant.advance(state, np.zeros((1, 2)))
        np.testing.assert_allclose(state.position, [expected], atol=1e-12)


@pytest.mark.parametrize("viscosity", [0.0, 0.3, 1.0, 20.0])
def test_step_by_matrix_exponential(viscosity):
    plant = PointMass(mass=0.7, viscosity=viscosity, step_s=0.45, wall_cm=OPEN)
    state, force = random_state(plant, 40)
    moved = plant.advance(state, force)
    expected = by_matrix_exponential(plant, state, force)
    np.testing.assert_allclose(moved.values[:, :4], expected, rtol=1e-11, atol=1e-12)


def test_step_by_integration():
    plant = PointMass(mass=0.7, viscosity=0.9, step_s=0.6, wall_cm=OPEN)
    state, force = random_state(plant, 6, seed=1)
    moved = plant.advance(state, force)
    for b in range(6):

        def motion(t, y, b=b):
            outer = force[b] + state.push[b] + state.curl[b] * ROTATION @ y[2:]
            return [*y[2:], *((outer - plant.viscosity * y[2:]) / plant.mass)]

        start = np.concatenate((state.position[b], state.velocity[b]))
        path = solve_ivp(motion, (0, plant.step_s), start, "DOP853", rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(moved.values[b, :4], path.y[:, -1], atol=1e-9)


@pytest.mark.parametrize("size", [*np.geomspace(1e-9, 0.3, 30), 0.999e-3, 1.001e-3])
@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2])
def test_step_is_accurate_near_the_series(size, angle):
    """Where |λΔt| passes 1e-3 the closed forms give way to a series."""
    mass, step_s = 0.5, 0.5
    viscosity = size * math.cos(angle) * mass / step_s
    curl = size * math.sin(angle) * mass / step_s
    plant = PointMass(mass=mass, viscosity=viscosity, step_s=step_s, wall_cm=OPEN)
    state = plant.place([[1.0, 2.0]], [[3.0, -4.0]], forces_of(curl, (0.5, 0.1)))
    force = np.array([[2.0, 3.0]])
    moved = plant.advance(state, force)
    # the closed form of φ₂ cancels to eps/|z|², 2e-10 at the seam
    np.testing.assert_allclose(
        moved.values[:, :4], by_matrix_exponential(plant, state, force), rtol=2e-9
    )


@pytest.mark.parametrize("curl", [0.0, 0.9])
def test_two_half_steps_are_one(curl):
    whole = PointMass(step_s=0.5, wall_cm=OPEN)
    half = PointMass(step_s=0.25, wall_cm=OPEN)
    state, force = random_state(whole, 20, seed=2, curl=curl)
    twice = half.advance(half.advance(state, force), force)
    np.testing.assert_allclose(whole.advance(state, force).values, twice.values, atol=1e-12)


def test_batch_equals_its_rows():
    """Also where neighbours share their curl, and where they do not."""
    plant = PointMass(wall_cm=6.0)
    state, force = random_state(plant, 30, seed=3)
    state.curl[:] = np.repeat([0.0, 0.7, -0.7, 0.0, 0.7, 1.0], 5)
    batch = plant.advance(state, force).values
    for b in range(30):
        alone = plant.advance(state.select(np.array([b])), force[b : b + 1])
        np.testing.assert_array_equal(alone.values[0], batch[b])


def test_a_range_of_masses_moves_and_the_others_do_not():
    plant = PointMass(wall_cm=6.0)
    state, force = random_state(plant, 8, seed=3)
    wide = np.column_stack((state.values, np.arange(8.0)))  # a plant of one's own has columns more
    moved = np.full_like(wide, -1.0)
    moving, motion = plant.native(general=False)
    moving(wide, moved, state.forces, force, motion, 2, 7)
    np.testing.assert_array_equal(moved[2:7, :7], plant.advance(state, force).values[2:7])
    assert (moved[[0, 1, 7]] == -1).all()
    assert (moved[:, 7] == -1).all()
    advanced = plant.advance(Device(wide, state.forces), force)
    np.testing.assert_array_equal(advanced.values[:, 7], np.arange(8.0))


def test_only_the_exact_step_is_native():
    for general, kernel in ((False, move), (True, move_under_any)):
        native = PointMass(2.0, 0.5, 0.1, 7.0).native(general)
        assert native == (kernel, (2.0, 0.5, 0.1, 7.0))
        assert PointMass().native(general)[1].wall_cm == math.inf
        assert PointMass(law=curl_law(1.0)).native(general) is None

    class Stuck(PointMass):
        def advance(self, state, force):
            return state

    assert Stuck().native(general=False) is None


def test_advance_leaves_its_arguments():
    for law in (None, curl_law(0.5)):
        plant = PointMass(law=law)
        state, force = random_state(plant, 5, seed=4)
        before = state.values.copy(), force.copy()
        plant.advance(state, force)
        np.testing.assert_array_equal(state.values, before[0])
        np.testing.assert_array_equal(force, before[1])


# The curl field


def test_curl_force_is_orthogonal_proportional_and_counter_clockwise():
    plant = PointMass()
    state, _ = random_state(plant, 100, push=0.0)
    force = state.perturbing_force
    np.testing.assert_allclose((force * state.velocity).sum(axis=1), 0, atol=1e-12)
    speed = np.linalg.norm(state.velocity, axis=1)
    np.testing.assert_allclose(np.linalg.norm(force, axis=1), np.abs(state.curl) * speed)
    v = state.velocity
    turn = v[:, 0] * force[:, 1] - v[:, 1] * force[:, 0]
    np.testing.assert_array_equal(np.sign(turn), np.sign(state.curl))


def test_curl_deflects_counter_clockwise():
    plant = PointMass(wall_cm=OPEN)
    for curl, side in ((0.6, 1), (-0.6, -1)):
        state = plant.place([[0.0, 0.0]], forces=forces_of(curl))
        moved = plant.advance(state, np.array([[3.0, 0.0]]))
        assert side * moved.position[0, 1] > 0.01


def test_curl_does_no_work():
    with_curl = PointMass(wall_cm=OPEN)
    state, _ = random_state(with_curl, 50, seed=5, curl=5.0, push=0.0)
    start = np.linalg.norm(state.velocity, axis=1)
    force = np.zeros((50, 2))
    for viscosity in (0.0, 1.0):
        plant = PointMass(viscosity=viscosity, wall_cm=OPEN)
        now = state
        for step in range(1, 8):
            now = plant.advance(now, force)
            speed = np.linalg.norm(now.velocity, axis=1)
            # exactly the speed of the unperturbed mass, whatever the curl
            expected = start * math.exp(-viscosity * step * plant.step_s / plant.mass)
            np.testing.assert_allclose(speed, expected, rtol=1e-11)


@PROPERTY
@given(
    st.floats(-3, 3),
    st.floats(0.1, 4),
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    st.integers(0, 1000),
)
def test_speed_from_rest_is_bounded_by_force_over_drag(curl, viscosity, push, seed):
    plant = PointMass(viscosity=viscosity, wall_cm=OPEN)
    state = plant.place(np.zeros((8, 2)), forces=forces_of(curl, push))
    rng = np.random.default_rng(seed)
    for _ in range(15):
        angle = rng.uniform(0, 2 * math.pi, 8)
        force = 4.0 * np.stack((np.cos(angle), np.sin(angle)), axis=-1)
        state = plant.advance(state, force)
        speed = np.linalg.norm(state.velocity, axis=1).max()
        assert speed <= (4.0 + math.hypot(*push)) / viscosity * (1 + 1e-9)


# The wall


@pytest.mark.parametrize("law", [None, curl_law(0.0)])
def test_wall_is_inelastic(law):
    plant = PointMass(viscosity=0.0, step_s=1.0, wall_cm=5.0, law=law)
    state = plant.place(
        [[4.0, 0.0], [0.0, -4.0], [-4.0, 4.0], [4.0, 0.0]],
        [[3.0, 1.0], [1.0, -3.0], [-9.0, 9.0], [0.5, 0.5]],
    )
    moved = plant.advance(state, np.zeros((4, 2)))
    expected = [[5, 1, 0, 1], [1, -5, 1, 0], [-5, 5, 0, 0], [4.5, 0.5, 0.5, 0.5]]
    np.testing.assert_allclose(moved.values[:, :4], expected, rtol=1e-12)


def test_perturbing_force_is_that_after_the_wall():
    plant = PointMass(viscosity=0.0, step_s=1.0, wall_cm=5.0)
    state = plant.place([[4.9, 0.0]], [[3.0, 0.0]], forces_of(0.1, (0.2, 0.3)))
    moved = plant.advance(state, np.zeros((1, 2)))
    assert moved.position[0, 0] == 5.0
    assert moved.velocity[0, 0] == 0.0
    assert moved.velocity[0, 1] > 0
    expected = 0.1 * ROTATION @ moved.velocity[0] + [0.2, 0.3]
    np.testing.assert_allclose(moved.perturbing_force[0], expected, rtol=1e-12)


@PROPERTY
@given(st.floats(-3, 3), st.integers(0, 1000))
def test_nothing_leaves_the_box(curl, seed):
    plant = PointMass(wall_cm=4.0)
    rng = np.random.default_rng(seed)
    state = plant.place(rng.uniform(-4, 4, (6, 2)), forces=forces_of(curl))
    for _ in range(10):
        state = plant.advance(state, rng.uniform(-30, 30, (6, 2)))
        assert np.abs(state.position).max() <= 4.0


# Placing


def test_place_broadcasts():
    law = curl_law(1.0)
    state = PointMass(law=law).place(
        [[1, 2], [3, 4]], (1.0, 0.0), forces_of([0.5, -0.5], (0.0, 2.0))
    )
    np.testing.assert_array_equal(state.position, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(state.velocity, [[1, 0], [1, 0]])
    np.testing.assert_array_equal(state.curl, [0.5, -0.5])
    np.testing.assert_array_equal(state.push, [[0, 2], [0, 2]])
    np.testing.assert_allclose(state.perturbing_force, [[0, 2 + 1.5], [0, 2 + 0.5]])
    np.testing.assert_array_equal(PointMass().place((3.0, 4.0)).values, [[3, 4, *5 * [0]]])


# Refusals

NUMBER = {
    "mass": "give a finite number >= 1e-06 and <= 1e\\+06 kg",
    "step_s": "give a finite number >= 1e-06 and <= 1000 s",
    "viscosity": "give a finite number >= 0 and <= 1e\\+06 kg/s",
    "wall_cm": "give a number > 0 cm, infinity or None",
    "substeps": "give a whole number >= 1 and <= 5000",
}


@pytest.mark.parametrize("name", NUMBER)
@pytest.mark.parametrize("value", [-1.0, math.nan, "1", True, [1.0], 1j])
def test_what_is_no_number_of_its_kind_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} = {re.escape(repr(value))}: {NUMBER[name]}"):
        PointMass(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mass", 0),
        ("mass", 5e-324),
        ("mass", math.inf),
        ("mass", 1e300),
        ("step_s", 0),
        ("step_s", 1e-9),
        ("step_s", math.inf),
        ("viscosity", -0.1),
        ("viscosity", math.inf),
        ("wall_cm", 0),
        ("substeps", 0),
        ("substeps", 2.5),
        ("substeps", 10**6),
    ],
)
def test_what_is_out_of_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} = {re.escape(repr(value))}: {NUMBER[name]}"):
        PointMass(**{name: value})


@pytest.mark.parametrize("mass", [1e-6, 1e6])
@pytest.mark.parametrize("viscosity", [0.0, 1e6])
@pytest.mark.parametrize("step_s", [1e-6, 1e3])
@pytest.mark.parametrize("curl", [-1e3, 0.0, 1e3])
def test_at_the_ends_of_their_ranges_a_step_is_finite(mass, viscosity, step_s, curl):
    plant = PointMass(mass, viscosity, step_s, wall_cm=20.0)
    state = plant.place([[1.0, 2.0]], [[3.0, 4.0]], forces_of(curl, (1e6, -1e6)))
    for _ in range(3):
        state = plant.advance(state, np.array([[3.0, -1.0]]))
        assert np.isfinite(state.values).all()
        assert np.abs(state.position).max() <= 20.0
