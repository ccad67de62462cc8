"""Where runs stop in the target region, and how near they come."""

import numpy as np
import pytest

from ndbmi_gym.experiments.protocol import conditions as cond
from ndbmi_gym.experiments.protocol.conditions import DECODERS, FIELDS, REFERENCE, Setting
from ndbmi_gym.experiments.protocol.runs import Runs
from ndbmi_gym.experiments.vato2014 import region
from ndbmi_gym.presets import Preset

PRESET = Preset(repetitions=5, radius_cm=3.0)


@pytest.fixture(scope="module")
def tables():
    return region.data(PRESET, 1, 2)


def rows(table, **values):
    chosen = np.logical_and.reduce([table[name] == value for name, value in values.items()])
    return {name: column[chosen] for name, column in table.items()}


@pytest.mark.parametrize("field", FIELDS)
def test_runs_stop_where_those_of_the_reference_do(tables, field):
    """Runs that end on entry are those of the figures; they are followed on, not run anew."""
    setting, starts = Setting(REFERENCE, field, DECODERS[0]), cond.starts_of(1, 2)
    runs, _ = cond.run_setting(PRESET, setting, 1, 2, starts)
    own = rows(tables["arrivals"], field=field)
    assert len(own["run"]) == 240
    np.testing.assert_array_equal(np.isfinite(own["stopped_cm"]), runs.convergent)
    away = np.linalg.norm(runs.path[-1], axis=-1)  # where they ended, their paths stay
    arrived = runs.convergent
    np.testing.assert_allclose(own["stopped_cm"][arrived], away[arrived])
    assert (own["stopped_cm"][arrived] <= 3.0).all()
    gone = np.linalg.norm(np.diff(runs.path, axis=0), axis=-1).sum(axis=0)
    np.testing.assert_allclose(own["length_cm"][arrived], gone[arrived])
    assert (own["length_cm"] >= np.linalg.norm(starts, axis=1) - own["stopped_cm"] - 1e-9).all()
    assert (own["least_cm"] <= own["stopped_cm"] + 1e-12)[arrived].all()
    assert own["least_cm"].mean() < 1.0 < own["stopped_cm"].mean()


def test_a_run_by_hand():
    """One passes the centre on its way, one never enters."""
    path = np.zeros((4, 2, 2))
    path[:, 0] = (8.0, 0.0), (3.0, 0.0), (0.0, 0.5), (0.0, 4.5)
    path[:, 1] = (8.0, 8.0), (8.0, 5.0), (8.0, 3.0), (8.0, 6.0)
    found = region._arrivals(Runs(path, np.array([1, -1])))
    np.testing.assert_allclose(found["stopped_cm"], [3.0, np.nan])
    np.testing.assert_allclose(found["length_cm"], [5.0, np.nan])
    np.testing.assert_allclose(found["least_cm"], [0.5, np.hypot(8, 3)])


def test_the_remark_says_what_the_tables_do():
    arrivals = {
        "field": np.repeat(["gaussian", "dipole"], 4),
        "stopped_cm": np.array([3.0, 3.2, 3.4, np.nan, 2.0, 2.0, 2.0, 2.0]),
        "length_cm": np.array([5.0, 6.0, 7.0, np.nan, 8.0, 8.0, 8.0, 9.0]),
        "least_cm": np.array([0.1, 0.2, 1.0, 5.0, 0.1, 0.1, 0.1, 0.1]),
    }
    said = region.remark(arrivals, PRESET)
    for part in (
        "a radius of 3 cm",
        "stop 3.20 and 2.00 cm from its centre after 6.00 and 8.25 cm of path",
        "75.0 % and 100.0 % of them come within 1 cm",
    ):
        assert part in said
