"""The earlier linear interface set against this one."""

import numpy as np
import pytest

from ndbmi_gym.experiments.vato2014 import both_interfaces
from ndbmi_gym.experiments.vato2014.both_interfaces import (
    _RESPONSES,
    force_error,
    linear_measures,
    run_both,
)
from ndbmi_gym.fields import LinearField
from ndbmi_gym.presets import Preset


@pytest.fixture(scope="module")
def found():
    return run_both(Preset(), animal=0, seed=0)


def test_either_drives_its_own_field(found):
    # 240 runs each; at a true rate of 99 % fewer than 95 % converge with probability 1e-6
    assert found.refused
    assert found.linear.convergent.mean() >= 0.95
    assert found.dipole.convergent.mean() >= 0.95
    again = run_both(Preset(), animal=0, seed=0)
    for name in ("linear", "forced", "dipole"):
        np.testing.assert_array_equal(getattr(found, name).path, getattr(again, name).path)
    assert found.errors == again.errors


def test_the_linear_interface_makes_poorer_forces_of_a_field_without_an_inverse(found):
    # four animals: 0.46 to 0.51 on the dipole, 0.24 on a linear field; this one 0.33 to 0.34
    linear, forced, dipole = found.errors
    assert linear < 0.3 < dipole < 0.4 < forced
    told = linear_measures(Preset(), found)
    assert [told[f"{n}_error"] for n in ("linear", "forced", "dipole")] == list(found.errors)
    assert told["dipole"] == found.dipole.convergent.mean()


FIELD = LinearField(((-1.0, 0.0), (0.0, -1.0)))


def forces(*means):
    """Responses' forces whose means are given: they scatter, but not in the mean."""
    scatter = np.linspace(-1, 1, _RESPONSES)[:, None] * [1.0, -2.0]
    return (np.array(means)[:, None] + scatter).reshape(-1, 2)


def test_forces_that_are_right_everywhere_have_no_error(monkeypatch):
    # on a grid of 2 x 2 nodes, with a stimulus for each of them
    monkeypatch.setattr(both_interfaces, "_NODES", 2)
    made = forces((1, 1), (-1, 1), (1, -1), (-1, -1))

    def sense(places):
        return np.arange(4)

    assert force_error(sense, made, FIELD, 1.0) == pytest.approx(0.0, abs=1e-12)
    # forces twice as strong are off by the field itself, in another unit of length as well
    assert force_error(sense, 2 * made, FIELD, 1.0) == pytest.approx(1.0)
    assert force_error(sense, 10 * made, FIELD, 5.0) == pytest.approx(1.0)


def test_no_force_at_all_is_off_by_the_whole_field():
    nothing = forces((0, 0))
    error = force_error(lambda places: np.zeros(len(places), int), nothing, FIELD, 3.0)
    assert error == pytest.approx(1.0)
