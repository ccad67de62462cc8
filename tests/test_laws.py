"""Laws of one's own on the point mass, integrated by Runge-Kutta steps."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from test_point_mass import OPEN, curl_law, random_state

from ndbmi_gym.perturbations import forces_of, make_perturbation
from ndbmi_gym.plants.point_mass import PointMass


@pytest.mark.parametrize("viscosity", [0.0, 1.0])
def test_runge_kutta_with_the_curl_as_law_equals_the_exact_step(viscosity):
    exact = PointMass(viscosity=viscosity, wall_cm=15.0)
    state, force = random_state(exact, 40, seed=6)
    state.curl[:] = 0.9
    # one mass in two descriptions: built-in curl, or half of it built in and the rest as a law
    for built_in in (0.0, 0.4):
        law = PointMass(viscosity=viscosity, wall_cm=15.0, law=curl_law(0.9 - built_in))
        other = law.place(state.position, state.velocity, forces_of(built_in, state.push))
        moved, expected = law.advance(other, force), exact.advance(state, force)
        np.testing.assert_allclose(moved.values[:, :4], expected.values[:, :4], atol=1e-6)
        np.testing.assert_allclose(moved.perturbing_force, expected.perturbing_force, atol=1e-6)


def test_runge_kutta_is_of_fourth_order():
    state, force = random_state(PointMass(), 10, seed=7, curl=0.0)
    exact = PointMass(wall_cm=OPEN).advance(
        PointMass().place(state.position, state.velocity, forces_of(2.0, state.push)), force
    )
    errors = []
    for substeps in (4, 8, 16):
        plant = PointMass(wall_cm=OPEN, law=curl_law(2.0), substeps=substeps)
        start = plant.place(state.position, state.velocity, forces_of(0.0, state.push))
        errors.append(np.abs(plant.advance(start, force).values - exact.values)[:, :4].max())
    assert 13 < errors[0] / errors[1] < 20
    assert 13 < errors[1] / errors[2] < 20


def test_law_of_position_is_a_spring():
    """m·x'' = −k·x: x = x₀·cos(ωt)."""
    plant = PointMass(mass=0.5, viscosity=0.0, wall_cm=OPEN, law=lambda x, v: -2.0 * x)
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
        PointMass(law=law)


def test_a_law_may_know_the_time_of_the_trial():
    """Without drag, m·x'' = A·cos(ωt): x = A/(m·ω²)·(1 − cos(ωt)), through the steps of a trial."""
    size, omega = 2.0, 3.0

    def swing(position, velocity, time):
        return size * np.stack((np.cos(omega * time), 0 * time), axis=1)

    plant = PointMass(mass=0.5, viscosity=0.0, wall_cm=OPEN, law=swing)
    state = plant.place([[0.0, 0.0], [1.0, -1.0]])
    np.testing.assert_array_equal(state.perturbing_force, [[size, 0]] * 2)
    for step in range(1, 9):
        state = plant.advance(state, np.zeros((2, 2)))
        t = step * plant.step_s
        way = size / (0.5 * omega**2) * (1 - math.cos(omega * t))
        np.testing.assert_allclose(state.position, [[way, 0], [1 + way, -1]], atol=1e-6)
        np.testing.assert_allclose(state.time_s, t)
        expected = size * math.cos(omega * t)
        np.testing.assert_allclose(state.perturbing_force[:, 0], expected, atol=1e-9)


def test_trials_of_a_batch_have_a_time_of_their_own():
    def late(position, velocity, time):
        return np.where(time[:, None] >= 1.0, 1.0, 0.0) * np.ones((1, 2))

    plant = PointMass(law=late)
    state = plant.place(np.zeros((2, 2)))
    state.time_s[1] = 1.0
    moved = plant.advance(state, np.zeros((2, 2)))
    assert (moved.position[0] == 0).all()
    assert (moved.position[1] > 0.01).all()


@pytest.mark.parametrize(
    ("law", "stiffness", "damping"),
    [
        (lambda x, v: -6000.0 * x, 6000.0, 1.0),
        (lambda x, v: -250.0 * v, 0.0, 251.0),
        (lambda x, v: -6000.0 * x - 250.0 * v, 6000.0, 251.0),
    ],
    ids=["spring", "damper", "both"],
)
def test_a_stiff_law_follows_its_closed_form(law, stiffness, damping):
    """Linear laws have a matrix exponential; the mass must not be pinned to the wall."""
    mass, h = 0.5, 0.5
    plant = PointMass(mass=mass, viscosity=1.0, step_s=h, wall_cm=OPEN).within(10.0, law)
    assert plant.substeps > 50
    generator = np.zeros((3, 3))
    generator[0, 1] = 1.0
    generator[1] = -stiffness / mass, -damping / mass, 2.0 / mass
    state = plant.place([[3.0, 0.0]], [[-5.0, 0.0]])
    exact = np.array([3.0, -5.0, 1.0])
    for _ in range(4):
        state = plant.advance(state, np.array([[2.0, 0.0]]))
        exact = expm(generator * h) @ exact
        # half a time constant for each sub-step: a few percent of what is left of the motion
        np.testing.assert_allclose(state.position[0, 0], exact[0], atol=0.05)


def test_a_law_that_is_stiff_only_somewhere_is_followed_there():
    """A wall of springs beyond 5 cm, against a high-order integrator."""

    def wall(position, velocity):
        return -800.0 * np.sign(position) * np.maximum(np.abs(position) - 5.0, 0.0)

    plant = PointMass(wall_cm=OPEN).within(10.0, wall)
    state = plant.advance(plant.place([[4.0, 0.0]], [[3.0, 0.0]]), np.array([[3.0, 0.0]]))

    def motion(t, y):
        force = 3.0 + wall(np.array([[y[0], 0.0]]), None)[0, 0]
        return [y[1], (force - y[1]) / 0.5]

    path = solve_ivp(motion, (0, 0.5), [4.0, 3.0], "DOP853", rtol=1e-11, atol=1e-11, max_step=1e-3)
    np.testing.assert_allclose(state.position[0, 0], path.y[0, -1], atol=1e-3)


def test_a_law_too_stiff_to_follow_is_refused_with_the_remedy():
    with pytest.raises(
        ValueError,
        match=r"changes within .* s, which would take \d+ sub-steps .*at most 5000",
    ):
        PointMass().within(10.0, lambda x, v: -1e9 * x)
    with pytest.raises(ValueError, match="soften it, raise the mass or shorten step_s"):
        PointMass().within(10.0, lambda x, v: -1e6 * v)


def test_in_a_workspace_the_wall_stands_at_twice_its_half_side():
    assert PointMass().reach_cm == math.inf
    assert PointMass().within(7.0, None).reach_cm == 14.0
    assert PointMass(wall_cm=3.0).within(7.0, None).reach_cm == 3.0
    assert PointMass(wall_cm=math.inf).within(7.0, None).reach_cm == math.inf
    assert PointMass().within(7.0, curl_law(1.0)).reach_cm == 14.0


def test_an_easy_law_takes_no_more_steps_than_asked_for():
    assert PointMass(substeps=70).within(10.0, curl_law(0.6)).substeps == 70
    assert PointMass().within(10.0, curl_law(0.6)).substeps == 50


def test_the_bound_of_speed_is_force_over_drag():
    assert PointMass(viscosity=2.0).max_speed(3.0) == 1.5
    assert PointMass(viscosity=0.0).max_speed(3.0) == math.inf


def late_spring(position, velocity, time_s):
    """Stiff from the second second of a trial on."""
    return -3e4 * position * (time_s > 1)[:, None]


def test_a_law_that_stiffens_later_is_followed_or_refused():
    plant = PointMass().within(10.0, late_spring)
    assert plant.substeps > 100
    state = plant.place([[6.8, 0.0]])
    for _ in range(4):
        state = plant.advance(state, np.zeros((1, 2)))
    # it swings by then: a free oscillation under drag b loses half of its size in m·ln 2/(b/2)
    assert abs(state.position[0, 0]) + abs(state.velocity[0, 0]) / 245 > 1.0
    with pytest.raises(ValueError, match="sub-steps for a step"):
        PointMass().within(10.0, lambda x, v, t: -1e9 * x * (t > 1)[:, None])


def test_a_time_with_a_default_would_never_be_given():
    with pytest.raises(ValueError, match="its argument 't' has a default"):
        make_perturbation({"law": lambda position, velocity, t=0.0: 0 * position})
