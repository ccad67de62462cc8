"""Means that the study's pictures show."""

import numpy as np
import pytest

from ndbmi_gym.experiments.bench.statistics import mean_interval
from ndbmi_gym.experiments.bench.tables import where
from ndbmi_gym.experiments.circuit.study_drawing import over_animals


def test_means_are_over_the_animals_that_have_a_value():
    values = {"animal": np.array([0, 0, 1, 2, 3]), "x": np.array([1.0, 3.0, np.nan, 5.0, 6.0])}
    assert over_animals(values, "x") == pytest.approx(tuple(mean_interval([2.0, 5.0, 6.0])))
    one = over_animals(where(values, animal=0), "x")
    assert one.estimate == 2
    assert np.isnan([one.low, one.high]).all()
    assert np.isnan(over_animals(where(values, animal=1), "x")).all()
