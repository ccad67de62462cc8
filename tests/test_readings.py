import json

import pytest

from ndbmi_gym.experiments import readings
from ndbmi_gym.experiments.claims import FAILS, HOLDS, UNDECIDED
from ndbmi_gym.experiments.readings import READINGS, Outcome
from ndbmi_gym.experiments.recovery import SEARCHED
from ndbmi_gym.presets import Preset


def test_every_reading_is_a_value_of_a_preset():
    for field, (_, values) in READINGS.items():
        for value in values:
            assert type(value) is type(getattr(Preset(), field))


def test_the_table_says_what_is_gained_and_lost():
    base = Outcome("", None, dict.fromkeys(SEARCHED, HOLDS) | {"C12": FAILS}, 0.1)
    other = Outcome(
        "scaling", "box", base.verdicts | {"C12": HOLDS, "C1": FAILS, "C2": UNDECIDED}, 0.2
    )
    lines = readings.markdown(Preset(), [base, other]).splitlines()
    assert f"| *the preset itself* | | {len(SEARCHED) - 1} | | | 0.10 |" in lines
    assert f"| | box | {len(SEARCHED) - 2} | C12 | C1 C2? | 0.20 |" in lines


@pytest.mark.slow
def test_readings_are_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(readings, "READINGS", {"scaling": ("scaling", ("axis", "box"))})
    outcomes = readings.compare(Preset(), (0, 1), 0, 1)
    assert [(o.field, o.value) for o in outcomes] == [("", None), ("scaling", "box")]
    readings.write(tmp_path, Preset(), (0, 1), 0, outcomes)
    saved = json.loads((tmp_path / "readings.json").read_text())
    assert len(saved["outcomes"]) == 2
    assert set(saved["outcomes"][0]["verdicts"]) == set(SEARCHED)
