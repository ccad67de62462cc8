import json
from dataclasses import asdict

import numpy as np
import pytest

from ndbmi_gym import cli
from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.experiments.recovery import readings
from ndbmi_gym.experiments.recovery.readings import READINGS, JudgedReading
from ndbmi_gym.experiments.recovery.search import SEARCHED
from ndbmi_gym.experiments.vato2014.checks import (
    FAILS,
    HOLDS,
    MIN_ANIMALS,
    UNDECIDED,
    Check,
    Finding,
)
from ndbmi_gym.experiments.vato2014.claims import CLAIMS
from ndbmi_gym.presets import PRESETS, Preset

PRESET = Preset()
ANIMALS = range(50, 50 + MIN_ANIMALS)


@pytest.fixture
def invented(monkeypatch):
    """Measurements that cost nothing, of few readings; yields what was measured.

    C1 fails where the map fits as a box, C12 with pooled electrodes; from a loop of five trials no
    calibration comes.
    """
    calls = []

    def gather(preset, animals, seed):
        calls.append((preset, tuple(animals), seed))
        if preset.repetitions == 5:
            raise ValueError("responses span no plane")
        return preset, 0.1 if preset.scaling == "axis" else 0.2

    def judge(preset):
        wrong = {"C1": preset.scaling == "box", "C12": preset.theta == 0.0}
        margins = [-0.1 if wrong.get(claim.id) else 0.1 for claim in CLAIMS]
        return [
            Finding(claim, [Check("", Interval(x, x, x), 0.0, True, 1.0)], MIN_ANIMALS)
            for claim, x in zip(CLAIMS, margins, strict=True)
        ]

    monkeypatch.setattr(readings, "gather", gather)
    monkeypatch.setattr(readings, "judge", judge)
    tried = {"scaling": ("axis", "box"), "repetitions": (5, 20), "theta": (np.pi / 2, 1.0, 0.0)}
    few = {field: (field, values) for field, values in tried.items()}
    monkeypatch.setattr(readings, "READINGS", few)
    return calls


def compare(folder, preset=PRESET, animals=ANIMALS, seed=3):
    return readings.compare(folder, preset, animals, seed, 1)


def test_every_reading_is_a_value_of_a_preset():
    for field, (_, values) in READINGS.items():
        assert getattr(PRESETS["paper"], field) in values or field == "tau_s"
        for value in values:
            assert type(value) is type(getattr(Preset(), field))
            assert getattr(Preset(**{field: value}), field) == value


def test_the_table_says_what_is_gained_and_lost():
    base = JudgedReading("", None, dict.fromkeys(SEARCHED, HOLDS) | {"C12": FAILS}, 0.1)
    other = JudgedReading(
        "scaling", "box", base.verdicts | {"C12": HOLDS, "C1": FAILS, "C2": UNDECIDED}, 0.2
    )
    lines = readings.markdown(Preset(), [base, other]).splitlines()
    assert f"| *the preset itself* | | {len(SEARCHED) - 1} | | | 0.10 |" in lines
    assert f"| `theta`: {READINGS['theta'][0]} | **1.571** | {len(SEARCHED) - 1} | | | |" in lines
    assert f"| | box | {len(SEARCHED) - 2} | C12 | C1 C2? | 0.20 |" in lines


def test_a_preset_and_each_of_its_variants_are_judged(invented, tmp_path):
    outcomes = compare(tmp_path)
    assert [o[:2] for o in outcomes] == [
        ("", None),
        ("scaling", "box"),
        ("repetitions", 5),
        ("theta", 1.0),
        ("theta", 0.0),
    ]
    variants = [{}, {"scaling": "box"}, {"repetitions": 5}, {"theta": 1.0}, {"theta": 0.0}]
    variants = [Preset(**changed) for changed in variants]
    assert invented == [(variant, tuple(ANIMALS), 3) for variant in variants]
    base, box, uncalibrated, between, pooled = outcomes
    assert base.verdicts == dict.fromkeys(SEARCHED, HOLDS)
    assert box.verdicts == base.verdicts | {"C1": FAILS}
    assert between.verdicts == base.verdicts
    assert pooled.verdicts == base.verdicts | {"C12": FAILS}
    assert [o.misfit for o in (base, box, between, pooled)] == [0.1, 0.2, 0.1, 0.1]
    # what cannot be calibrated decides nothing
    assert uncalibrated.verdicts == dict.fromkeys(SEARCHED, UNDECIDED)
    assert np.isnan(uncalibrated.misfit)
    assert [o.holds for o in outcomes] == [24, 23, 0, 24, 23]


def test_what_was_measured_is_not_measured_again(invented, tmp_path):
    first = compare(tmp_path)
    assert len(invented) == 5
    second = compare(tmp_path)
    assert len(invented) == 5
    assert repr(second) == repr(first)


@pytest.mark.parametrize(
    "changed", [{"animals": range(60, 70)}, {"seed": 4}, {"preset": Preset(mass=0.7)}]
)
def test_other_animals_seeds_and_presets_are_measured(changed, invented, tmp_path):
    compare(tmp_path)
    compare(tmp_path, **changed)
    assert len(invented) == 10


def test_another_version_measures_anew(invented, tmp_path, monkeypatch):
    compare(tmp_path)
    monkeypatch.setattr(readings, "versions", lambda stage: {"source": "of another day"})
    compare(tmp_path)
    assert len(invented) == 10


def test_an_interrupted_comparison_goes_on(invented, tmp_path, monkeypatch):
    gather = readings.gather

    def interrupt(preset, animals, seed):
        if len(invented) == 2:
            raise KeyboardInterrupt
        return gather(preset, animals, seed)

    with monkeypatch.context() as patch:
        patch.setattr(readings, "gather", interrupt)
        with pytest.raises(KeyboardInterrupt):
            compare(tmp_path)
    assert len(compare(tmp_path)) == 5
    rest = [Preset(repetitions=5), Preset(theta=1.0), Preset(theta=0.0)]
    assert [preset for preset, *_ in invented[2:]] == rest


def test_fewer_animals_than_decide_are_refused(invented, tmp_path):
    with pytest.raises(ValueError, match="9 animals: give at least 10"):
        compare(tmp_path, animals=ANIMALS[:-1])
    assert not invented


def test_outcomes_are_written(invented, tmp_path):
    outcomes = compare(tmp_path)
    readings.write(tmp_path, Preset(), ANIMALS, 3, outcomes)

    def refuse(word):
        raise AssertionError(word)

    saved = json.loads((tmp_path / "readings.json").read_text(), parse_constant=refuse)
    assert saved["parameters"] == asdict(Preset())
    assert (saved["animals"], saved["seed"]) == (list(ANIMALS), 3)
    assert [o["value"] for o in saved["outcomes"]] == [None, "box", 5, 1.0, 0.0]
    assert [o["misfit"] for o in saved["outcomes"]] == [0.1, 0.2, None, 0.1, 0.1]
    assert saved["outcomes"][1]["verdicts"] == outcomes[1].verdicts
    table = readings.markdown(Preset(), outcomes)
    assert (tmp_path / "readings.md").read_text(encoding="utf-8") == table + "\n"


def test_the_command_asks_ten_animals_of_their_own(invented, tmp_path, capsys):
    line = ["readings", "--preset", "default", "--jobs", "1", "--out", str(tmp_path)]
    assert cli.main(line) == 0
    assert {animals for _, animals, _ in invented} == {tuple(range(2000, 2010))}
    assert "| | box | 23 |  | C1 | 0.20 |" in capsys.readouterr().out
    assert (tmp_path / "readings.md").exists()
    assert cli.main([*line, "--animals", "9"]) == 2
    assert "9 animals: give at least 10" in capsys.readouterr().err
    assert cli.main([*line, "--preset", "none"]) == 2
    assert "preset 'none': choose one of default" in capsys.readouterr().err
    assert len(invented) == 5
