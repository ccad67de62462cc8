from dataclasses import replace

import numpy as np
import pytest
from published import NAN, N, evidence, verdict

from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    Measured,
    Setting,
    animal_means,
)
from ndbmi_gym.experiments.vato2014.checks import (
    FAILS,
    HOLDS,
)


@pytest.fixture(scope="module")
def published():
    return evidence()


def test_means_and_ratios_by_animal(published):
    means = published.means("set 7", "dipole", DECODERS[1])
    measured = published.measured[Setting("set 7", "dipole", DECODERS[1])]
    np.testing.assert_array_equal(means, animal_means(measured))
    ratios = published.ratios("set 7", "set 6", "dipole")
    np.testing.assert_allclose(ratios, 0.6, rtol=0.1)
    np.testing.assert_allclose(ratios * published.ratios("set 6", "set 7", "dipole"), 1.0)


def test_animals_and_convergent_runs_are_counted():
    found = evidence(lost={("set 5", "dipole"): [0.0, 0.25] * (N // 2)})
    assert found.animals == N
    np.testing.assert_allclose(found.convergent("set 5", "dipole"), [1.0, 0.75] * (N // 2))
    np.testing.assert_array_equal(found.convergent("set 5", "gaussian"), 1.0)
    setting = Setting("set 5", "dipole", DECODERS[0])
    shorter = {setting: Measured(*(array[:4] for array in found.measured[setting]))}
    assert replace(found, measured=found.measured | shorter).animals == 4


def test_the_texts_test_is_made_within_each_animal(published):
    group = ("set 5", "set 6", "set 7")
    rising = published.tests("set 5", "set 6", group, "dipole")
    assert len(rising) == N
    assert all(t.rises for t in rising)
    assert all(t.falls for t in published.tests("set 6", "set 5", group, "dipole"))
    assert not any(t.rises or t.falls for t in published.tests("set 5", "set 6", group, "gaussian"))
    broken = evidence({("set 5", "dipole"): [NAN] + [1.6] * (N - 1)})
    found = broken.tests("set 5", "set 6", group, "dipole")
    assert found[0] is None
    assert all(t.rises for t in found[1:])
    # the set without convergent runs does not disturb the others' test
    assert broken.tests("set 7", "set 6", group, "dipole")[0].falls


def test_evidence_can_be_replaced_in_part(published):
    other = replace(published, linear=published.linear | {"linear": np.zeros(N)})
    assert verdict("C24", other) == FAILS
    assert verdict("C1", other) == HOLDS
