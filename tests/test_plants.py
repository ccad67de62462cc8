"""What every device has: columns by name, and a protocol."""

from dataclasses import dataclass

import numpy as np
import pytest

from ndbmi_gym.config import Config
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.perturbations import N_FORCES, forces_of
from ndbmi_gym.plants import PLANTS, Column, Device, placed
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.streams import Streams


def test_device_names_its_columns():
    values = np.arange(14.0).reshape(2, 7)
    forces = np.arange(34.0).reshape(2, 17)
    device = Device(values, forces)
    np.testing.assert_array_equal(device.position, [[0, 1], [7, 8]])
    np.testing.assert_array_equal(device.velocity, [[2, 3], [9, 10]])
    np.testing.assert_array_equal(device.curl, [0, 17])
    np.testing.assert_array_equal(device.push, [[1, 2], [18, 19]])
    np.testing.assert_array_equal(device.perturbing_force, [[4, 5], [11, 12]])
    np.testing.assert_array_equal(device.time_s, [6, 13])
    assert [column.value for column in Column] == list(range(7))


def test_named_columns_can_be_written_through():
    device = Device(np.zeros((2, 7)), np.zeros((2, N_FORCES)))
    device.position[1], device.time_s[:] = (3.0, 4.0), 0.5
    expected = np.zeros((2, 7))
    expected[1, :2], expected[:, Column.TIME] = (3.0, 4.0), 0.5
    np.testing.assert_array_equal(device.values, expected)


def test_selection_is_a_copy():
    device = Device(np.arange(21.0).reshape(3, 7), np.arange(51.0).reshape(3, N_FORCES))
    for some in (np.array([2, 0]), np.array([True, False, True])):
        chosen = device.select(some)
        np.testing.assert_array_equal(chosen.values, device.values[some])
        np.testing.assert_array_equal(chosen.forces, device.forces[some])
        chosen.values[:] = chosen.forces[:] = -1
        assert device.values.min() == device.forces.min() == 0


def test_each_is_repeated_in_a_row():
    device = placed([[1, 2], [3, 4]], forces=forces_of([0.5, -0.5]))
    twice = device.repeat(2)
    np.testing.assert_array_equal(twice.position, [[1, 2], [1, 2], [3, 4], [3, 4]])
    np.testing.assert_array_equal(twice.curl, [0.5, 0.5, -0.5, -0.5])


def test_devices_are_placed_at_time_zero_with_columns_of_a_plants_own():
    device = placed([[1, 2], [3, 4]], (1.0, 0.0), forces_of([0.5, -0.5], (0.0, 2.0)), appended=3)
    assert device.values.shape == (2, 10)
    np.testing.assert_array_equal(device.position, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(device.velocity, [[1, 0], [1, 0]])
    np.testing.assert_array_equal(device.curl, [0.5, -0.5])
    np.testing.assert_array_equal(device.push, [[0, 2], [0, 2]])
    assert not device.values[:, Column.FORCE_X :].any()
    free = placed([[1, 2]])
    np.testing.assert_array_equal(free.forces, forces_of())


def test_plants_are_chosen_by_name():
    assert PLANTS.make("point_mass") == PointMass()
    assert PLANTS.make({"kind": "point_mass", "mass": 2}) == PointMass(mass=2.0)
    heavy = PointMass(mass=3.0)
    assert PLANTS.make(heavy) is heavy
    with pytest.raises(ValueError, match=r"unknown plant 'leg': choose one of point_mass, arm"):
        PLANTS.make("leg")
    with pytest.raises(
        ValueError, match="the plant 'point_mass' has no option 'weight': its options are mass, "
    ):
        PLANTS.make({"kind": "point_mass", "weight": 2})


@pytest.mark.parametrize("missing", ["step_s", "reach_cm", "max_speed", "within", "place"])
def test_what_is_no_plant_is_refused(missing):
    class Odd:
        """Has all but one."""

    for name in {"step_s", "reach_cm", "max_speed", "within", "place", "advance"} - {missing}:
        setattr(Odd, name, None)
    with pytest.raises(ValueError, match=f"an object with .*{missing}"):
        PLANTS.make(Odd())


@dataclass(frozen=True)
class Marked(PointMass):
    """A point mass with a column of its own."""

    def place(self, position, velocity=(0.0, 0.0), forces=None):
        device = placed(position, velocity, forces, appended=1)
        device.values[:, -1] = 7.0 + np.arange(len(device.values))
        self._feel(device)
        return device


def test_a_point_mass_with_a_column_of_its_own_keeps_it():
    """The compiled step knows the paper's columns only."""
    few = {"repetitions": 3, "target_range_cm": (0.0, 20.0), "min_start_distance_cm": 0.0}
    marked, plain = (
        Episodes(Config.of(**few, curl=[-1, 1], **more), 5) for more in ({"plant": Marked()}, {})
    )
    assert plain.compiled
    assert not marked.compiled
    for each in (marked, plain):
        each.begin(Streams.of(np.random.default_rng(0), 5))
        for size in (0.2, 1.0, 0.5):
            each.step(np.full((5, 9), size))
    np.testing.assert_array_equal(marked.state.values[:, -1], 7.0 + np.arange(5))
    np.testing.assert_array_equal(marked.state.values[:, :-1], plain.state.values)
    np.testing.assert_array_equal(marked.observe(), plain.observe())
