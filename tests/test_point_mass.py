"""The exact step against closed forms, the matrix exponential and an ODE solver."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from ndbmi_gym.plant import Device, Plant

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
OPEN = math.inf
ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])  # J of Eq 25


def random_state(plant, n, seed=0, curl=1.5, push=1.0):
    rng = np.random.default_rng(seed)
    return plant.place(
        rng.uniform(-10, 10, (n, 2)),
        rng.uniform(-5, 5, (n, 2)),
        rng.uniform(-curl, curl, n),
        rng.uniform(-push, push, (n, 2)),
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
    plant = Plant(mass=0.8, viscosity=1.3, step_s=0.37, wall_cm=OPEN)
    state = plant.place([[1.0, -2.0]], [[3.0, 4.0]])
    for step in range(1, 6):
        state = plant.advance(state, np.zeros((1, 2)))
        decay = math.exp(-1.3 * 0.37 * step / 0.8)
        np.testing.assert_allclose(state.velocity, [[3 * decay, 4 * decay]], rtol=1e-12)
        way = 0.8 / 1.3 * (1 - decay)
        np.testing.assert_allclose(state.position, [[1 + 3 * way, -2 + 4 * way]], rtol=1e-12)


def test_terminal_velocity():
    plant = Plant(step_s=60.0, wall_cm=OPEN)
    state = plant.advance(plant.place([[0.0, 0.0]]), np.array([[3.0, -1.0]]))
    np.testing.assert_allclose(state.velocity, [[3.0, -1.0]], rtol=1e-12)  # F/b


def test_vacuum_without_curl():
    """b = 0, c = 0: x₀ + v₀·t + F·t²/(2m)."""
    plant = Plant(mass=0.5, viscosity=0.0, step_s=0.7, wall_cm=OPEN)
    state = plant.place([[1.0, 2.0]], [[-1.0, 0.5]], push=(0.25, 0.0))
    moved = plant.advance(state, np.array([[2.0, -3.0]]))
    np.testing.assert_allclose(moved.velocity, [[-1 + 2.25 / 0.5 * 0.7, 0.5 - 3 / 0.5 * 0.7]])
    expected = [[1 - 0.7 + 2.25 * 0.49, 2 + 0.35 - 3 * 0.49]]
    np.testing.assert_allclose(moved.position, expected, rtol=1e-14)


def test_vacuum_with_curl_moves_in_circles():
    """b = 0: cyclotron motion, radius m·v/c and period 2π·m/c."""
    mass, curl, speed = 0.5, 0.8, 2.0
    period = 2 * math.pi * mass / curl
    plant = Plant(mass=mass, viscosity=0.0, step_s=period / 4, wall_cm=OPEN)
    radius = mass * speed / curl
    state = plant.place([[0.0, 0.0]], [[speed, 0.0]], curl)
    quarters = [[radius, radius], [0.0, 2 * radius], [-radius, radius], [0.0, 0.0]]
    for expected in quarters:
        state = plant.advance(state, np.zeros((1, 2)))
        np.testing.assert_allclose(state.position, [expected], atol=1e-12)


@pytest.mark.parametrize("viscosity", [0.0, 0.3, 1.0, 20.0])
def test_step_by_matrix_exponential(viscosity):
    plant = Plant(mass=0.7, viscosity=viscosity, step_s=0.45, wall_cm=OPEN)
    state, force = random_state(plant, 40)
    moved = plant.advance(state, force)
    expected = by_matrix_exponential(plant, state, force)
    np.testing.assert_allclose(moved.values[:, :4], expected, rtol=1e-11, atol=1e-12)


def test_step_by_integration():
    plant = Plant(mass=0.7, viscosity=0.9, step_s=0.6, wall_cm=OPEN)
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
    plant = Plant(mass=mass, viscosity=viscosity, step_s=step_s, wall_cm=OPEN)
    state = plant.place([[1.0, 2.0]], [[3.0, -4.0]], curl, (0.5, 0.1))
    force = np.array([[2.0, 3.0]])
    moved = plant.advance(state, force)
    # the closed form of φ₂ cancels to eps/|z|², 2e-10 at the seam
    np.testing.assert_allclose(
        moved.values[:, :4], by_matrix_exponential(plant, state, force), rtol=2e-9
    )


@pytest.mark.parametrize("curl", [0.0, 0.9])
def test_two_half_steps_are_one(curl):
    whole = Plant(step_s=0.5, wall_cm=OPEN)
    half = Plant(step_s=0.25, wall_cm=OPEN)
    state, force = random_state(whole, 20, seed=2, curl=curl)
    twice = half.advance(half.advance(state, force), force)
    np.testing.assert_allclose(whole.advance(state, force).values, twice.values, atol=1e-12)


def test_batch_equals_its_rows():
    """Also where neighbours share their curl, and where they do not."""
    plant = Plant(wall_cm=6.0)
    state, force = random_state(plant, 30, seed=3)
    state.values[:, 4] = np.repeat([0.0, 0.7, -0.7, 0.0, 0.7, 1.0], 5)
    batch = plant.advance(state, force).values
    for b in range(30):
        alone = plant.advance(state.select(np.array([b])), force[b : b + 1])
        np.testing.assert_array_equal(alone.values[0], batch[b])


def test_advance_leaves_its_arguments():
    for law in (None, curl_law(0.5)):
        plant = Plant(law=law)
        state, force = random_state(plant, 5, seed=4)
        before = state.values.copy(), force.copy()
        plant.advance(state, force)
        np.testing.assert_array_equal(state.values, before[0])
        np.testing.assert_array_equal(force, before[1])


# The curl field


def test_curl_force_is_orthogonal_proportional_and_counter_clockwise():
    plant = Plant()
    state, _ = random_state(plant, 100, push=0.0)
    force = state.perturbing_force
    np.testing.assert_allclose((force * state.velocity).sum(axis=1), 0, atol=1e-12)
    speed = np.linalg.norm(state.velocity, axis=1)
    np.testing.assert_allclose(np.linalg.norm(force, axis=1), np.abs(state.curl) * speed)
    v = state.velocity
    turn = v[:, 0] * force[:, 1] - v[:, 1] * force[:, 0]
    np.testing.assert_array_equal(np.sign(turn), np.sign(state.curl))


def test_curl_deflects_counter_clockwise():
    plant = Plant(wall_cm=OPEN)
    for curl, side in ((0.6, 1), (-0.6, -1)):
        state = plant.place([[0.0, 0.0]], curl=curl)
        moved = plant.advance(state, np.array([[3.0, 0.0]]))
        assert side * moved.position[0, 1] > 0.01


def test_curl_does_no_work():
    with_curl = Plant(wall_cm=OPEN)
    state, _ = random_state(with_curl, 50, seed=5, curl=5.0, push=0.0)
    start = np.linalg.norm(state.velocity, axis=1)
    force = np.zeros((50, 2))
    for viscosity in (0.0, 1.0):
        plant = Plant(viscosity=viscosity, wall_cm=OPEN)
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
    plant = Plant(viscosity=viscosity, wall_cm=OPEN)
    state = plant.place(np.zeros((8, 2)), curl=curl, push=push)
    rng = np.random.default_rng(seed)
    for _ in range(15):
        angle = rng.uniform(0, 2 * math.pi, 8)
        force = 4.0 * np.stack((np.cos(angle), np.sin(angle)), axis=-1)
        state = plant.advance(state, force)
        speed = np.linalg.norm(state.velocity, axis=1).max()
        assert speed <= (4.0 + math.hypot(*push)) / viscosity * (1 + 1e-9)


# Other laws


@pytest.mark.parametrize("viscosity", [0.0, 1.0])
def test_runge_kutta_with_the_curl_as_law_equals_the_exact_step(viscosity):
    exact = Plant(viscosity=viscosity, wall_cm=15.0)
    state, force = random_state(exact, 40, seed=6)
    state.values[:, 4] = 0.9
    # one mass in two descriptions: built-in curl, or half of it built in and the rest as a law
    for built_in in (0.0, 0.4):
        law = Plant(viscosity=viscosity, wall_cm=15.0, law=curl_law(0.9 - built_in))
        other = law.place(state.position, state.velocity, built_in, state.push)
        moved, expected = law.advance(other, force), exact.advance(state, force)
        np.testing.assert_allclose(moved.values[:, :4], expected.values[:, :4], atol=1e-6)
        np.testing.assert_allclose(moved.perturbing_force, expected.perturbing_force, atol=1e-6)


def test_runge_kutta_is_of_fourth_order():
    state, force = random_state(Plant(), 10, seed=7, curl=0.0)
    exact = Plant(wall_cm=OPEN).advance(
        Plant().place(state.position, state.velocity, 2.0, state.push), force
    )
    errors = []
    for substeps in (4, 8, 16):
        plant = Plant(wall_cm=OPEN, law=curl_law(2.0), substeps=substeps)
        start = plant.place(state.position, state.velocity, 0.0, state.push)
        errors.append(np.abs(plant.advance(start, force).values - exact.values)[:, :4].max())
    assert 13 < errors[0] / errors[1] < 20
    assert 13 < errors[1] / errors[2] < 20


def test_law_of_position_is_a_spring():
    """m·x'' = −k·x: x = x₀·cos(ωt)."""
    plant = Plant(mass=0.5, viscosity=0.0, wall_cm=OPEN, law=lambda x, v: -2.0 * x)
    state = plant.place([[3.0, 0.0], [0.0, -1.0]])
    for step in range(1, 9):
        state = plant.advance(state, np.zeros((2, 2)))
        swing = math.cos(2.0 * step * plant.step_s)
        np.testing.assert_allclose(state.position, [[3 * swing, 0], [0, -swing]], atol=1e-6)


@pytest.mark.parametrize(
    "law", [lambda x, v: v[:, 0], lambda x, v: np.zeros(2), lambda x, v: np.zeros((1, 2))]
)
def test_law_of_another_shape_is_refused(law):
    with pytest.raises(ValueError, match=r"returned shape .* for 3 trials.*\(3, 2\)"):
        Plant(law=law)


# The wall


@pytest.mark.parametrize("law", [None, curl_law(0.0)])
def test_wall_is_inelastic(law):
    plant = Plant(viscosity=0.0, step_s=1.0, wall_cm=5.0, law=law)
    state = plant.place(
        [[4.0, 0.0], [0.0, -4.0], [-4.0, 4.0], [4.0, 0.0]],
        [[3.0, 1.0], [1.0, -3.0], [-9.0, 9.0], [0.5, 0.5]],
    )
    moved = plant.advance(state, np.zeros((4, 2)))
    expected = [[5, 1, 0, 1], [1, -5, 1, 0], [-5, 5, 0, 0], [4.5, 0.5, 0.5, 0.5]]
    np.testing.assert_allclose(moved.values[:, :4], expected, rtol=1e-12)


def test_perturbing_force_is_that_after_the_wall():
    plant = Plant(viscosity=0.0, step_s=1.0, wall_cm=5.0)
    state = plant.place([[4.9, 0.0]], [[3.0, 0.0]], curl=0.1, push=(0.2, 0.3))
    moved = plant.advance(state, np.zeros((1, 2)))
    assert moved.position[0, 0] == 5.0
    assert moved.velocity[0, 0] == 0.0
    assert moved.velocity[0, 1] > 0
    expected = 0.1 * ROTATION @ moved.velocity[0] + [0.2, 0.3]
    np.testing.assert_allclose(moved.perturbing_force[0], expected, rtol=1e-12)


@PROPERTY
@given(st.floats(-3, 3), st.integers(0, 1000))
def test_nothing_leaves_the_box(curl, seed):
    plant = Plant(wall_cm=4.0)
    rng = np.random.default_rng(seed)
    state = plant.place(rng.uniform(-4, 4, (6, 2)), curl=curl)
    for _ in range(10):
        state = plant.advance(state, rng.uniform(-30, 30, (6, 2)))
        assert np.abs(state.position).max() <= 4.0


# Devices


def test_device_names_its_columns():
    values = np.arange(18.0).reshape(2, 9)
    device = Device(values)
    np.testing.assert_array_equal(device.position, [[0, 1], [9, 10]])
    np.testing.assert_array_equal(device.velocity, [[2, 3], [11, 12]])
    np.testing.assert_array_equal(device.curl, [4, 13])
    np.testing.assert_array_equal(device.push, [[5, 6], [14, 15]])
    np.testing.assert_array_equal(device.perturbing_force, [[7, 8], [16, 17]])


def test_selection_is_a_copy():
    device = Device(np.arange(27.0).reshape(3, 9))
    for some in (np.array([2, 0]), np.array([True, False, True])):
        chosen = device.select(some)
        np.testing.assert_array_equal(chosen.values, device.values[some])
        chosen.values[:] = -1
        assert device.values.min() == 0


def test_place_broadcasts():
    law = curl_law(1.0)
    state = Plant(law=law).place([[1, 2], [3, 4]], (1.0, 0.0), [0.5, -0.5], (0.0, 2.0))
    np.testing.assert_array_equal(state.position, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(state.velocity, [[1, 0], [1, 0]])
    np.testing.assert_array_equal(state.curl, [0.5, -0.5])
    np.testing.assert_array_equal(state.push, [[0, 2], [0, 2]])
    np.testing.assert_allclose(state.perturbing_force, [[0, 2 + 1.5], [0, 2 + 0.5]])
    np.testing.assert_array_equal(Plant().place((3.0, 4.0)).values, [[3, 4, 0, 0, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize("name", ["mass", "step_s", "wall_cm", "substeps"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan])
def test_parameter_that_is_not_positive_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} = {value!r}: give a .*value > 0"):
        Plant(**{name: value})


@pytest.mark.parametrize("name", ["mass", "step_s"])
def test_infinite_parameter_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} = inf: give a finite value > 0"):
        Plant(**{name: math.inf})


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_bad_viscosity_is_refused(value):
    with pytest.raises(ValueError, match=r"viscosity = .*finite value >= 0"):
        Plant(viscosity=value)
