"""The arm against rigid-body mechanics, an ODE solver, and itself."""

import math
import re
from functools import partial

import numpy as np
import pytest
from two_links import TURN, christoffel, followed, home, jacobian, joints, lagrange, mass_matrix

from ndbmi_gym.config import Config
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.experiments.protocol.conditions import loop_with, run_loop, starts_of
from ndbmi_gym.experiments.protocol.runs import wtpe
from ndbmi_gym.perturbations import forces_of
from ndbmi_gym.plants import PLANTS
from ndbmi_gym.plants.arm import Arm, accelerations, bent, links, move_arm, speeds
from ndbmi_gym.presets import load_preset
from ndbmi_gym.streams import Streams

ARM = Arm()
MOTION = ARM._motion
POSTURES = [(q1, q2) for q1 in (-0.4, 0.8, 1.9) for q2 in (0.6, 1.5, 2.1)]


def random_state(n, seed=0, arm=ARM, half_side=7.0, speed=3.0, **given):
    rng = np.random.default_rng(seed)
    place, velocity = rng.uniform(-half_side, half_side, (n, 2)), rng.uniform(-speed, speed, (n, 2))
    return arm.place(place, velocity, forces_of(n_trials=n, **given)), rng.uniform(-4, 4, (n, 2))


def assert_followed(arm, state, force, atol, atol_velocity=None):
    moved = arm.advance(state, force)
    for b in range(len(force)):
        expected = followed(
            arm,
            state.position[b],
            state.velocity[b],
            force[b],
            state.forces[b],
            float(state.time_s[b]),
        )
        np.testing.assert_allclose(moved.position[b], expected[:2], rtol=0, atol=atol)
        np.testing.assert_allclose(
            moved.velocity[b], expected[2:], rtol=0, atol=atol_velocity or 10 * atol
        )


# Mechanics


def inverse_mass(q):
    return np.array(
        [accelerations(*links(*q, MOTION), 0.0, 0.0, *torque, MOTION) for torque in np.eye(2)]
    ).T


@pytest.mark.parametrize("q", POSTURES)
def test_inertia_is_that_of_two_rigid_links(q):
    mine = np.linalg.inv(inverse_mass(q))
    np.testing.assert_allclose(mine, mass_matrix(ARM, q), rtol=1e-12)
    np.testing.assert_allclose(mine, mine.T, rtol=1e-12)
    assert (np.linalg.eigvalsh(mine) > 0).all()


@pytest.mark.parametrize("q", POSTURES)
@pytest.mark.parametrize("w", [(0.7, -0.4), (-0.3, -1.1)])
def test_coriolis_torques_by_christoffel_symbols_and_by_lagrange(q, w):
    torque = -np.linalg.inv(inverse_mass(q)) @ accelerations(
        *links(*q, MOTION), *w, 0.0, 0.0, MOTION
    )
    np.testing.assert_allclose(torque, christoffel(ARM, q, w), rtol=1e-8)
    np.testing.assert_allclose(torque, lagrange(ARM, q, w), rtol=1e-8)


@pytest.mark.parametrize("q", POSTURES)
def test_jacobian_is_the_slope_of_the_hands_place(q):
    def at(q):
        ux, uy, fx, fy = links(*q, MOTION)
        return np.array([ux + fx, uy + fy])

    step = 1e-3
    for d, nudge in enumerate(step * np.eye(2)):
        near, far = at(q + nudge) - at(q - nudge), at(q + 2 * nudge) - at(q - 2 * nudge)
        slope = (8 * near - far) / (12 * step)
        np.testing.assert_allclose(speeds(*links(*q, MOTION), *np.eye(2)[d]), slope, atol=4e-11)


def test_joints_and_places_of_the_hand_are_one_to_one():
    axis = np.linspace(-15, 15, 13)
    for x, y in np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2):
        q = bent(x, y, MOTION)
        assert 0 < q[1] < math.pi
        ux, uy, fx, fy = links(*q, MOTION)
        np.testing.assert_allclose(
            [ux + fx + MOTION.shoulder_x, uy + fy + MOTION.shoulder_y], [x, y], atol=1e-12
        )


def test_a_hand_is_lightest_across_the_forearm():
    state = ARM.place(np.zeros((2, 2)))
    along, across = np.array([-1.0, 1.0]) / math.sqrt(2), np.array([1.0, 1.0]) / math.sqrt(2)
    short = Arm(step_s=0.01, viscosity=0.0)
    gained = short.advance(state, np.array([along, across])).velocity
    np.testing.assert_allclose(gained, np.array([along / 2.13, across / 0.637]) * 0.01, rtol=5e-3)


def test_at_home_the_drag_of_the_hand_is_that_of_the_point_mass():
    np.testing.assert_allclose(np.degrees(bent(0.0, 0.0, MOTION)), (45, 90), rtol=1e-12)
    drag = np.array([[MOTION.drag_11, MOTION.drag_12], [MOTION.drag_12, MOTION.drag_22]])
    # .2245, .1156, .1156 N·m·s/rad
    np.testing.assert_allclose(drag, [[2245, 1156], [1156, 1156]], rtol=1e-12)
    inverse = np.linalg.inv(jacobian(ARM, home(ARM)))
    np.testing.assert_allclose(inverse.T @ drag @ inverse, np.eye(2), atol=1e-12)
    thick = Arm(viscosity=3.0)._motion
    np.testing.assert_allclose([thick.drag_11, thick.drag_12], [3 * 2245, 3 * 1156], rtol=1e-12)


def energy(arm, state):
    """Kinetic, kg·cm²/s²."""
    total = []
    for position, velocity in zip(state.position, state.velocity, strict=True):
        q = joints(arm, position)
        w = np.linalg.solve(jacobian(arm, q), velocity)
        total.append(w @ mass_matrix(arm, q) @ w / 2)
    return np.array(total)


def test_energy_is_kept_without_drag_and_errs_by_the_fourth_power_of_the_step():
    """Free arms, and arms on springs with a curl field, which does no work; for 10 s."""
    stiffness = 1.5
    drifts = []
    for substeps in (5, 10):
        arm = Arm(viscosity=0.0, substeps=substeps)
        velocity = [[1.0, 0.4], [-0.7, 0.9], [3.0, -4.0], [5.0, 1.0]]
        forces = forces_of(n_trials=4)
        forces[2:] = forces_of(0.5, spring=-stiffness)
        state = arm.place([[-5, -2], [4, -5], [2, 1], [-3, 2]], velocity, forces)

        def all_energy(state, arm=arm):
            spring = np.array([0.0, 0.0, stiffness, stiffness]) / 2
            return energy(arm, state) + spring * (state.position**2).sum(axis=1)

        before = all_energy(state)
        for _ in range(20):
            state = arm.advance(state, np.zeros((4, 2)))
            assert np.abs(state.position).max() < 14.9  # no wall was met
        drifts.append(np.abs(all_energy(state) / before - 1))
    assert max(drifts[0]) < 1e-5
    assert drifts[0].max() > 13 * drifts[1].max()


def test_work_of_the_force_and_the_drag_is_the_change_of_energy():
    """dT/dt = v·F − q′·B·q′, over a step that is short."""
    arm = Arm(step_s=1e-4)
    state, force = random_state(20, seed=3, arm=arm, curl=2.0, push=(0.5, -0.3))
    moved = arm.advance(state, force)
    gained = (energy(arm, moved) - energy(arm, state)) / arm.step_s
    j0 = jacobian(arm, home(arm))
    for b in range(20):
        q = joints(arm, (state.position[b] + moved.position[b]) / 2)
        v = (state.velocity[b] + moved.velocity[b]) / 2
        w = np.linalg.solve(jacobian(arm, q), v)
        taken = ((j0 @ w) ** 2).sum()
        np.testing.assert_allclose(gained[b], v @ (force[b] + [0.5, -0.3]) - taken, atol=1e-5)


# The step


def test_five_substeps_are_exact_to_a_hundred_thousandth_of_a_centimetre():
    assert_followed(ARM, *random_state(20, seed=4), atol=1e-5)


def test_the_error_of_a_step_is_of_fourth_order():
    state, force = random_state(10, seed=5)
    ends = [Arm(substeps=n).advance(state, force).values[:, :4] for n in (5, 10, 20, 160)]
    errors = [np.abs(end - ends[-1]).max() for end in ends[:3]]
    assert 13 < errors[0] / errors[1] < 24
    assert 13 < errors[1] / errors[2] < 24


def test_an_arm_under_a_curl_field_a_push_a_spring_and_viscous_forces():
    given = {
        "curl": np.linspace(-1.5, 1.5, 12),
        "push": (0.5, -1.0),
        "spring": [[-2.0, 0.3], [-0.4, -1.0]],
        "centre": (1.0, -2.0),
        "viscous": [[-0.6, 0.2], [0.5, 0.4]],
    }
    assert_followed(ARM, *random_state(12, seed=6, **given), atol=3e-5)
    assert_followed(ARM, *random_state(6, seed=7, curl=1.5), atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_a_force_channel_holds_the_hand_on_its_line(angle):
    """K = 6,000 kg/s² and B = 250 kg/s across it, as in studies of adaptation."""
    across = np.array([-math.sin(angle), math.cos(angle)])
    wall = np.outer(across, across)
    given = {"spring": -6000 * wall, "viscous": -250 * wall, "centre": (1.0, 0.5)}
    line = np.array([1.0, 0.5]) + np.array([[-3.0], [2.0]]) * (-TURN @ across)
    state = ARM.place(line, (0.0, 0.0), forces_of(**given))
    force = np.array([[3.0, 1.0], [-1.0, 3.0]])
    assert_followed(ARM, state, force, atol=1e-5, atol_velocity=1e-4)
    for _ in range(4):
        state = ARM.advance(state, force)
    assert np.abs((state.position - [1.0, 0.5]) @ across).max() < 2e-3
    # what the channel does is what an arm without it would do across it, as is measured there
    assert (np.abs(state.perturbing_force @ across) > 0.05).any()


@pytest.mark.parametrize(
    ("since", "until"), [(0.2, 0.31), (-1.0, 0.13), (0.4, math.inf), (0.6, 0.7)]
)
def test_onset_and_end_within_a_step_are_exact(since, until):
    given = {"curl": 1.0, "push": (2.0, -1.0), "spring": -3.0}
    state, force = random_state(4, seed=9, from_s=since, until_s=until, **given)
    assert_followed(ARM, state, force, atol=1e-5)
    never, _ = random_state(4, seed=9)
    same = ARM.advance(state, force).values == ARM.advance(never, force).values
    assert same[:, :4].all() == (since > 0.5)


def test_the_perturbing_force_is_that_at_the_end_of_the_step():
    given = {"curl": 2.0, "push": (1.0, 2.0), "spring": [[0, 1.0], [2.0, 0]], "centre": (3, 4)}
    state, force = random_state(5, seed=10, **given)
    moved = ARM.advance(state, force)
    x, v = moved.position - [3, 4], moved.velocity
    expected = [1, 2] + x @ np.array([[0, 2.0], [1.0, 0]]) + 2 * v @ TURN.T
    np.testing.assert_allclose(moved.perturbing_force, expected, rtol=1e-12)
    np.testing.assert_array_equal(moved.time_s, np.full(5, 0.5))
    ended = random_state(5, seed=10, until_s=0.5, **given)[0]
    assert ended.perturbing_force.all()
    assert not ARM.advance(ended, force).perturbing_force.any()


def test_a_batch_is_its_arms_alone_bit_for_bit():
    rng = np.random.default_rng(11)
    n = 40
    row = {
        "curl": rng.uniform(-2, 2, n),
        "push": rng.uniform(-1, 1, (n, 2)),
        "spring": rng.uniform(-20, 5, (n, 2, 2)),
        "from_s": rng.uniform(-0.2, 0.5, n),
        "until_s": rng.uniform(0.2, 1.0, n),
    }
    state, force = random_state(n, seed=12, half_side=14.0, **row)
    state.time_s[:] = rng.uniform(0, 0.4, n)
    moved = ARM.advance(state, force).values
    for b in range(n):
        alone = ARM.advance(state.select([b]), force[b : b + 1])
        np.testing.assert_array_equal(alone.values[0], moved[b])
    half = np.zeros_like(moved)
    move_arm(state.values, half, state.forces, force, MOTION, 10, 20)
    np.testing.assert_array_equal(half[10:20], moved[10:20])
    assert not half[:10].any()
    assert not half[20:].any()


# Walls and bounds


def test_a_wall_takes_energy_and_no_impulse_along_it():
    arm = Arm(viscosity=0.0, step_s=0.1, substeps=1)
    place = np.array([[14.9, 3.0], [-14.9, -6.0], [2.0, 14.9], [5.0, -14.9]])
    velocity = np.array([[4.0, 1.0], [-4.0, 2.0], [-2.0, 4.0], [1.0, -4.0]])
    state = arm.place(place, velocity)
    moved = arm.advance(state, np.zeros((4, 2)))
    free = Arm(viscosity=0.0, step_s=0.1, substeps=1, wall_cm=16.0).advance(state, np.zeros((4, 2)))
    assert (energy(arm, moved) < energy(arm, state)).all()
    for b, axis in enumerate((0, 0, 1, 1)):
        np.testing.assert_allclose(moved.position[b, axis], math.copysign(15.0, place[b, axis]))
        np.testing.assert_allclose(moved.velocity[b, axis], 0.0, atol=1e-12)
        # momentum of the hand, M in its coordinates times v, has not changed along the wall
        q = joints(arm, moved.position[b])
        inverse = np.linalg.inv(jacobian(arm, q))
        momentum = inverse.T @ mass_matrix(arm, q) @ inverse
        before = np.linalg.solve(jacobian(arm, joints(arm, free.position[b])), free.velocity[b])
        change = momentum @ (moved.velocity[b] - jacobian(arm, q) @ before)
        assert abs(change[1 - axis]) < 1e-9 * abs(change[axis])


def test_a_hand_pushed_into_a_corner_rests_there():
    state = ARM.place([[12.0, 12.0]])
    for _ in range(20):
        state = ARM.advance(state, np.array([[30.0, 30.0]]))
    np.testing.assert_array_equal(state.values[0, :4], [15, 15, 0, 0])


@pytest.mark.parametrize("size", [3.0, 100.0, 1e4, 1e6, 1e9])
def test_hands_stay_within_the_box_and_below_the_limit_of_speed(size):
    rng = np.random.default_rng(13)
    n = 8
    state = ARM.place(rng.uniform(-15, 15, (n, 2)), forces=forces_of(rng.uniform(-5, 5, n)))
    for _ in range(6):
        state = ARM.advance(state, rng.uniform(-size, size, (n, 2)))
        assert np.isfinite(state.values).all()
        assert np.abs(state.position).max() <= 15.0
        assert np.hypot(*state.velocity.T).max() <= ARM.speed_limit * (1 + 1e-9)


@pytest.mark.parametrize("size", [30.0, 300.0])
def test_a_strong_force_is_followed_by_more_substeps(size):
    state, _ = random_state(6, seed=14, half_side=3.0)
    force = size * np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [0.6, 0.8], [-0.8, 0.6]])
    short = partial(Arm, step_s=0.5 * math.sqrt(30 / size) / 4)
    assert_followed(short(), state, force, atol=1e-5, atol_velocity=1e-2)


def test_the_bound_of_speed_holds_and_is_not_idle():
    """Hands driven to and fro."""
    rng = np.random.default_rng(15)
    n, curl = 200, 1.0
    state = ARM.place(rng.uniform(-15, 15, (n, 2)), forces=forces_of(rng.uniform(-curl, curl, n)))
    fastest = 0.0
    for _ in range(10):
        angle = rng.uniform(0, 2 * math.pi, n)
        force = 3.0 * np.stack((np.cos(angle), np.sin(angle)), axis=1)
        for _ in range(6):
            state = ARM.advance(state, force)
            fastest = max(fastest, float(np.hypot(*state.velocity.T).max()))
    assert 0.4 * ARM.max_speed(3.0) < fastest <= ARM.max_speed(3.0)
    assert Arm(viscosity=2.0).max_speed(3.0) == pytest.approx(ARM.max_speed(1.5))
    assert Arm(viscosity=0.0).max_speed(3.0) == math.inf


# Other laws


def test_a_law_moves_the_arm_as_the_same_force_that_is_built_in():
    built_in = {"curl": 0.5, "push": (0.3, 0.1)}
    law = ARM.within(10.0, lambda x, v: -2.0 * (x - [1.0, 2.0]) + 0.7 * v @ TURN.T)
    assert law.native(False) is None
    given = {"curl": 1.2, "push": (0.3, 0.1), "spring": -2.0, "centre": (1.0, 2.0)}
    exact, force = random_state(10, seed=16, **given)
    state = law.place(exact.position, exact.velocity, forces_of(n_trials=10, **built_in))
    np.testing.assert_allclose(state.perturbing_force, exact.perturbing_force, rtol=1e-12)
    fine = Arm(substeps=50)
    for _ in range(3):
        state, exact = law.advance(state, force), fine.advance(exact, force)
    np.testing.assert_allclose(state.values, exact.values, atol=1e-8)


def test_a_law_may_know_the_time_of_the_trial():
    def swing(position, velocity, time):
        return 3.0 * np.stack((np.cos(4 * time), np.sin(4 * time)), axis=1)

    arm = ARM.within(10.0, swing)
    state, force = random_state(3, seed=17)
    state = arm.place(state.position, state.velocity)
    state.time_s[:] = 0.0, 0.4, 1.0
    moved = arm.advance(state, force)
    np.testing.assert_array_equal(moved.time_s, [0.5, 0.9, 1.5])
    for b, start in enumerate(state.time_s):

        def acting(t, b=b):
            return force[b] + swing(None, None, np.array([t]))[0]

        expected = followed(ARM, state.position[b], state.velocity[b], acting, start=float(start))
        np.testing.assert_allclose(moved.values[b, :4], expected, atol=1e-8)


def test_under_a_law_a_batch_is_its_arms_alone_and_walls_hold():
    law = ARM.within(10.0, lambda x, v: 3.0 * x)
    state, force = random_state(12, seed=18, half_side=14.0)
    state = law.place(state.position, state.velocity, forces_of(np.linspace(-1, 1, 12)))
    for _ in range(3):
        moved = law.advance(state, force)
        for b in range(12):
            alone = law.advance(state.select([b]), force[b : b + 1])
            np.testing.assert_array_equal(alone.values[0], moved.values[b])
        state = moved
    assert np.abs(state.position).max() == 15.0


# Refusals


def test_an_arm_that_does_not_reach_the_box_is_refused_with_the_bound():
    reach = ARM.most_half_side_cm
    assert Arm(wall_cm=reach - 1e-6).reach_cm == reach - 1e-6
    for refused in (reach + 1e-6, 20.0):
        with pytest.raises(
            ValueError,
            match=f"^wall_cm = {refused:g}: .* boxes of half side 16.36 cm at most .* smaller or",
        ):
            Arm(wall_cm=refused)
    with pytest.raises(ValueError, match=r"^half_side_cm = 17: .* 16.36 cm at most"):
        ARM.within(17.0, None)
    assert ARM.within(16.0, None) is ARM
    assert Arm(lengths_cm=(66.0, 68.0), wall_cm=30.0).within(20.0, None).reach_cm == 30.0


def test_a_place_out_of_reach_is_refused():
    for position in ((0.0, 25.0), (1.0, -47.0), (math.nan, 0.0)):
        with pytest.raises(ValueError, match=re.escape(f"position = {list(position)}: ")):
            ARM.place([(1.0, 1.0), position])


def test_what_is_too_stiff_to_follow_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"^the drag changes within .* lower viscosity, raise the"):
        Arm(viscosity=1e5)
    with pytest.raises(
        ValueError, match=r"^the perturbation changes within .* s, which would take .* soften it"
    ):
        ARM.place([[0.0, 0.0]], forces=forces_of(viscous=-1e4))
    with pytest.raises(ValueError, match=r"^the perturbation's law changes within"):
        ARM.within(10.0, lambda x, v: -1e9 * x)
    channel = forces_of(spring=[[0, 0], [0, -6000]], viscous=[[0, 0], [0, -250]])
    assert ARM.place([[0.0, 0.0]], forces=channel).values.any() == np.False_


RULES = {
    "lengths_cm": "give two numbers >= 0.001 and <= 1000 cm",
    "masses": "give two numbers >= 0.001 and <= 1000 kg",
    "centres_cm": "give two numbers >= 0.001 and <= 1000 cm",
    "inertias": "give two numbers >= 0.001 and <= 1e\\+06 kg·cm²",
    "home_deg": "give two angles, the elbow's > 20 and < 160°",
    "viscosity": "give a finite number >= 0 and <= 1e\\+06 kg/s",
    "step_s": "give a finite number >= 1e-06 and <= 1000 s",
    "wall_cm": "give a finite number >= 0.001 cm",
    "substeps": "give a whole number >= 1 and <= 5000",
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("value", [-1.0, math.nan, "1", True, [1.0], (-1.0, 2.0), (1.0, 0.0), 1j])
def test_what_breaks_a_rule_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} = {re.escape(repr(value))}: {RULES[name]}"):
        Arm(**{name: value})


def test_the_plant_is_chosen_by_name():
    assert PLANTS.make("arm") == ARM
    assert PLANTS.make({"kind": "arm", "step_s": 0.25}) == Arm(step_s=0.25)


# In the loop


@pytest.mark.parametrize("preset", ["default", "paper"])
@pytest.mark.parametrize("field", ["gaussian", "dipole"])
def test_an_arm_in_the_loop_reaches_the_fields_target(preset, field):
    values = load_preset(preset)
    for animal in range(2):
        loop = loop_with(values, {"plant": "arm"}, field, "multiple-points", animal)
        starts = starts_of(animal, 0, 24, 1)
        runs, ideal = run_loop(values, loop, np.random.default_rng(animal), starts)
        assert runs.convergent.all()
        assert ideal.convergent.all()
        assert wtpe(runs, ideal).mean() < 1.0  # 0.44 to 0.75 in six animals


class Told(Arm):
    """An arm that is no part of the compiled step."""

    def advance(self, state, force):
        return super().advance(state, force)


@pytest.mark.parametrize("perturbation", [{"curl": [-1, 1]}, {"channel": True, "from_s": 0.7}])
def test_the_compiled_step_moves_arms_as_arms_move(perturbation):
    few = {"repetitions": 3, "target_range_cm": (0.0, 20.0), "min_start_distance_cm": 0.0}
    compiled, told = (
        Episodes(Config.of(**few, plant=plant, perturbation=perturbation), 5)
        for plant in ("arm", Told())
    )
    assert compiled.compiled
    assert not told.compiled
    for each in (compiled, told):
        each.begin(Streams.of(np.random.default_rng(0), 5))
        for size in (0.2, 1.0, 0.5):
            each.step(np.full((5, 9), size))
    np.testing.assert_array_equal(compiled.state.values, told.state.values)
    np.testing.assert_array_equal(compiled.observe(), told.observe())
    assert np.abs(compiled.state.position).max() > 0.5
