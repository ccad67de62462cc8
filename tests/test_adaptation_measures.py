import numpy as np
import pytest

from ndbmi_gym.experiments.adaptation.measures import Paths, measured

K = 9


def bowed(angle, height, steps=K - 1):
    """A trial towards a target at 5 cm in some direction that bows to the left by a height."""
    share = np.linspace(0, 1, K)
    forth, aside = 5 * share, height * 4 * share * (1 - share)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    position = np.stack([forth, aside], axis=1) @ turn.T
    velocity = np.gradient(position, axis=0)
    pressed = 2.0 * (turn.T @ velocity.T)[0]
    for each in (position, velocity, pressed):
        each[steps + 1 :] = np.nan
    return Paths(position, velocity, pressed, 5 * turn[:, 0])


def of(path, sign=1.0, curl=1.5, step_s=0.5):
    every = Paths(*(np.asarray(part)[None] for part in path))
    found = measured(every, np.array([sign]), curl, step_s)
    return {name: values[0] for name, values in found.items()}


@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5, -2.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_errors_are_across_the_line_and_signed_by_the_animal(angle, sign):
    found = of(bowed(angle, 0.8), sign)
    assert found["mpe"] == pytest.approx(sign * 0.8)
    after = np.degrees(np.arctan2(0.8 * 4 * 0.375 * 0.625, 5 * 0.375))  # 1.5 s: three of eight
    assert found["angle"] == pytest.approx(sign * after)
    assert found["steps"] == K - 1
    assert of(bowed(angle, -0.8), sign)["mpe"] == pytest.approx(sign * -0.8)


def test_the_deviation_is_that_where_speed_is_largest():
    path = bowed(0.0, 0.8)
    path.velocity[:] = 0.1
    path.velocity[2] = [3.0, 0.0]
    assert of(path)["deviation"] == pytest.approx(0.8 * 4 * 0.25 * 0.75)


def test_a_trial_that_ended_is_measured_to_its_end():
    found = of(bowed(0.5, 0.8, steps=2))
    assert found["mpe"] == pytest.approx(0.8 * 4 * 0.25 * 0.75)
    assert found["steps"] == 2
    assert np.isnan(found["angle"])  # it did not last so long


def test_what_opposes_the_field_compensates_it():
    # 2 kg/s of force to the left per speed forth; a field of 1.5 that deflects to the right
    found = of(bowed(0.7, 0.0), sign=-1.0)
    assert found["compensation"] == pytest.approx(2.0 / 1.5)
    assert found["force"] == pytest.approx(2.0 * 5 / 8)
    assert of(bowed(0.7, 0.0), sign=1.0)["compensation"] == pytest.approx(-2.0 / 1.5)
