import json
from dataclasses import asdict

import numpy as np
import pytest

from ndbmi_gym import cli
from ndbmi_gym.experiments import recovery
from ndbmi_gym.experiments.recovery import SEARCHED, SPACE, Trial
from ndbmi_gym.presets import Preset, load_preset


@pytest.fixture
def invented(monkeypatch):
    """Trials that cost nothing: margins are a known function of two parameters."""

    def evaluate(preset):
        margins = dict.fromkeys(SEARCHED, 0.5)
        margins["C1"] = preset.radius_cm - 2.0
        margins["C12"] = 1.0 if preset.spontaneous == "array" else -1.0
        return Trial(margins, 0.1, 1.0, 1.0)

    monkeypatch.setattr(recovery, "evaluate", evaluate)
    monkeypatch.setattr(recovery, "DESIGN", 30)


def test_every_searched_parameter_is_one_of_a_preset():
    assert set(SPACE) <= set(asdict(Preset()))
    for name, values in SPACE.items():
        default = getattr(Preset(), name)
        if values.choices:
            assert all(isinstance(choice, type(default)) for choice in values.choices)
        else:
            assert values.low < values.high


def test_the_score_counts_claims_first():
    none = Trial(dict.fromkeys(SEARCHED, -0.1), 0.0, 1.0, 1.0)
    one = none._replace(margins=none.margins | {"C5": 0.1})
    assert 0.9 < one.score - none.score < 1.2
    assert one._replace(misfit=0.3).score == pytest.approx(one.score - 0.5)
    # bouncing about the target is no robustness, and a dipole has an obstacle
    assert one._replace(convergent=0.75).score == pytest.approx(one.score - 4.0)
    assert one._replace(avoidance=0.15).score == pytest.approx(one.score - 12.0)


def test_an_obstacle_is_one_if_runs_go_around_it():
    strong = recovery.obstacle_avoidance(Preset())
    weak = recovery.obstacle_avoidance(Preset(obstacle_ratio=0.1))
    assert recovery.obstacle_avoidance(Preset(obstacle_ratio=1e-9, pole_ratio=0.0)) == 0.0
    assert 0.0 <= weak < 0.3 < 0.9 < strong <= 1.0
    # nothing comes near an obstacle that the target region hides
    assert recovery.obstacle_avoidance(Preset(obstacle_cm=2.0, radius_cm=4.0)) == 0.0


def test_a_search_is_continued_and_keeps_its_trials(invented, tmp_path):
    recovery.search(tmp_path, 6)
    first = recovery.read_trials(tmp_path)
    assert len(first["trial"]) == 6
    recovery.search(tmp_path, 10)
    trials = recovery.read_trials(tmp_path)
    assert trials["trial"].tolist() == list(range(10))
    for name in ("tau_s", "score"):
        np.testing.assert_array_equal(trials[name][:6], first[name])
    assert (tmp_path / "trials.csv").exists()
    settings = json.loads((tmp_path / "search.json").read_text())
    assert settings["space"]["tau_s"]["low"] == SPACE["tau_s"].low
    for name, values in SPACE.items():
        if values.choices:
            assert set(trials[name].tolist()) <= set(values.choices)
        else:
            assert (trials[name] >= values.low).all()
            assert (trials[name] <= values.high).all()


def test_random_trials_depend_on_their_number_only(invented, tmp_path):
    recovery.search(tmp_path / "a", 4)
    recovery.search(tmp_path / "b", 2)
    recovery.search(tmp_path / "b", 4)
    a, b = recovery.read_trials(tmp_path / "a"), recovery.read_trials(tmp_path / "b")
    np.testing.assert_array_equal(a["tau_s"], b["tau_s"])


def test_a_set_that_cannot_be_calibrated_is_passed_over(tmp_path, monkeypatch):
    def evaluate(preset):
        raise ValueError("responses span no plane")

    monkeypatch.setattr(recovery, "evaluate", evaluate)
    recovery.search(tmp_path, 2)
    assert len(recovery.read_trials(tmp_path)["trial"]) == 0


def test_the_command_finds_identifies_and_writes_the_best(invented, tmp_path, capsys):
    assert cli.main(["recover", "--trials", "90", "--jobs", "1", "--out", str(tmp_path)]) == 0
    best = load_preset(str(tmp_path / "best.json"))
    trials = recovery.read_trials(tmp_path)
    assert best == recovery.preset_of(trials, int(trials["score"].argmax()))
    assert (best.spontaneous, best.radius_cm > 2) == ("array", True)
    found = json.loads((tmp_path / "identifiability.json").read_text())
    # the two parameters that decide are recognised, and nothing else decides C1
    assert max(found["importance"]["C1"], key=found["importance"]["C1"].get) == "radius_cm"
    assert max(found["importance"]["C12"], key=found["importance"]["C12"].get) == "spontaneous"
    assert found["explained"]["C1"] > 0.8
    assert found["choices"]["spontaneous"]["array"] == 1.0
    assert (tmp_path / "identifiability.png").read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert "90 trials; at most 23 of 23 claims hold" in out


def test_a_real_trial_scores_the_default_preset():
    found = recovery.evaluate(Preset(), (1000,))
    assert set(found.margins) == set(SEARCHED)
    assert found.convergent > 0.95  # as in every animal that was ever measured
    assert 0.05 < found.misfit < 0.5
