import json
from dataclasses import asdict

import numpy as np
import pytest

from ndbmi_gym import cli
from ndbmi_gym.experiments.bench.tables import read_csv
from ndbmi_gym.experiments.recovery import identifiability, identifiability_drawing, search
from ndbmi_gym.experiments.recovery.search import (
    ANIMALS,
    FINAL_ANIMALS,
    FINALISTS,
    SEARCHED,
    SPACE,
    Trial,
)
from ndbmi_gym.presets import PRESETS, Preset, load_preset


@pytest.fixture
def invented(monkeypatch):
    """Trials that cost nothing: margins are a known function of two parameters.

    In full the best are the worst. Yields what was measured: preset, animals, seed and whether
    fast.
    """
    calls = []

    def evaluate(preset, animals=ANIMALS, seed=0, fast=True):
        calls.append((preset, animals, seed, fast))
        margins = dict.fromkeys(SEARCHED, 0.5)
        margins["C1"] = (preset.radius_cm - 2.0) * (1 if fast else -1)
        margins["C12"] = 1.0 if preset.scaling == "box" else -1.0
        return Trial(margins, 0.1, 1.0, 1.0)

    monkeypatch.setattr(search, "evaluate", evaluate)
    monkeypatch.setattr(search, "DESIGN", 45)
    return calls


def states(folder):
    return [trial.state.name for trial in search._study(folder, 0).trials]


def test_every_searched_parameter_is_one_of_a_preset():
    # units, what only matters relative to others, and what the text speaks against, stay out
    fixed = {"theta", "window_s", "viscosity", "curl", "spontaneous", "error", "set_5"}
    assert set(asdict(Preset())) - set(SPACE) == fixed
    assert set(SPACE) <= set(asdict(Preset()))
    for name, values in SPACE.items():
        default = getattr(Preset(), name)
        if values.choices:
            assert all(isinstance(choice, type(default)) for choice in values.choices)
            made = [Preset(**{name: choice}) for choice in values.choices]
        else:
            assert values.low < values.high
            made = [Preset(**{name: end}) for end in (values.low, values.high)]
        assert len(set(made)) == len(made)


def test_animals_are_used_for_one_thing_only():
    judged_on, tried_on = range(100, 130), range(2000, 2010)
    everyone = [*ANIMALS, *FINAL_ANIMALS, *judged_on, *tried_on]
    assert len(set(everyone)) == len(everyone)


def test_the_score_counts_claims_first():
    none = Trial(dict.fromkeys(SEARCHED, -0.1), 0.0, 1.0, 1.0)
    one = none._replace(margins=none.margins | {"C5": 0.1})
    assert 0.9 < one.score - none.score < 1.2
    assert one._replace(misfit=0.3).score == pytest.approx(one.score - 0.5)
    # bouncing about the target is no robustness, and a dipole has an obstacle
    assert one._replace(convergent=0.75).score == pytest.approx(one.score - 4.0)
    assert one._replace(avoidance=0.15).score == pytest.approx(one.score - 12.0)


def test_an_obstacle_is_one_if_runs_go_around_it():
    strong = search.obstacle_avoidance(Preset())
    weak = search.obstacle_avoidance(Preset(obstacle_ratio=0.1))
    assert search.obstacle_avoidance(Preset(obstacle_ratio=1e-9, pole_ratio=0.0)) == 0.0
    assert 0.0 <= weak < 0.3 < 0.9 < strong <= 1.0
    # nothing comes near an obstacle that the target region hides
    assert search.obstacle_avoidance(Preset(obstacle_cm=2.0, radius_cm=4.0)) == 0.0
    # around a strong pole runs swing, and meet an obstacle more often than without both
    swinging = {"mass": 4.0, "step_s": 0.2, "sigma": 3.0, "radius_cm": 0.75, "pole_ratio": 2.0}
    unseen = {"obstacle_ratio": 0.02, "obstacle_cm": 3.0, "obstacle_sigma": 4.0}
    assert search.obstacle_avoidance(Preset(**swinging, **unseen)) == 0.0


# The search


def test_a_search_is_continued_and_keeps_its_trials(invented, tmp_path):
    search.search(tmp_path, 4)
    first = search.read_trials(tmp_path)
    assert len(first["trial"]) == 4
    search.search(tmp_path, 7)
    trials = search.read_trials(tmp_path)
    assert trials["trial"].tolist() == list(range(7))
    for name in ("tau_s", "score"):
        np.testing.assert_array_equal(trials[name][:4], first[name])
    np.testing.assert_allclose(read_csv(tmp_path / "trials.csv")["score"], trials["score"], 1e-5)
    for name, values in SPACE.items():
        if values.choices:
            assert set(trials[name].tolist()) <= set(values.choices)
        else:
            assert (trials[name] >= values.low).all()
            assert (trials[name] <= values.high).all()
    # in few animals, and in less time
    assert [call[1:] for call in invented] == [(ANIMALS, 0, True)] * 7
    assert [preset for preset, *_ in invented] == [
        search.preset_of(trials, row) for row in range(7)
    ]


def test_random_trials_depend_on_their_number_only(invented, tmp_path):
    search.search(tmp_path / "a", 4)
    search.search(tmp_path / "b", 2)
    search.search(tmp_path / "b", 4)
    a, b = search.read_trials(tmp_path / "a"), search.read_trials(tmp_path / "b")
    np.testing.assert_array_equal(a["tau_s"], b["tau_s"])
    assert len(set(a["tau_s"].tolist())) == 4


def test_later_trials_depend_on_what_was_found(invented, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "DESIGN", 3)
    evaluate = search.evaluate
    search.search(tmp_path / "a", 5)
    monkeypatch.setattr(search, "evaluate", lambda preset: evaluate(preset, fast=False))
    search.search(tmp_path / "b", 5)
    a, b = (search.read_trials(tmp_path / name)["tau_s"] for name in "ab")
    np.testing.assert_array_equal(a[:3], b[:3])
    assert (a[3:] != b[3:]).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANIMALS", (1000, 1002)),
        ("DESIGN", 44),
        ("SPACE", SPACE | {"mass": search.Range(0.05, 3.0, log=True)}),
        ("SPACE", {name: values for name, values in SPACE.items() if name != "mass"}),
        ("versions", lambda stage: {"source": "of another day"}),
    ],
)
def test_a_folder_of_another_search_is_refused(invented, tmp_path, monkeypatch, name, value):
    search.search(tmp_path, 2)
    with monkeypatch.context() as patch:
        patch.setattr(search, name, value)
        with pytest.raises(ValueError, match=r"another version of the search.*another folder"):
            search.search(tmp_path, 3)
    assert states(tmp_path) == ["COMPLETE"] * 2
    search.search(tmp_path, 3)
    assert states(tmp_path) == ["COMPLETE"] * 3


def test_an_interrupted_trial_is_closed_and_the_search_goes_on(invented, tmp_path, monkeypatch):
    evaluate = search.evaluate

    def interrupt(preset):
        if len(invented) == 2:
            raise KeyboardInterrupt
        return evaluate(preset)

    with monkeypatch.context() as patch:
        patch.setattr(search, "evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search.search(tmp_path, 5)
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "RUNNING"]
    assert read_csv(tmp_path / "trials.csv")["trial"].tolist() == [0, 1]
    search.search(tmp_path, 5)
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert search.read_trials(tmp_path)["trial"].tolist() == [0, 1, 3, 4]


def test_a_set_that_cannot_be_calibrated_is_passed_over(invented, tmp_path, monkeypatch):
    evaluate = search.evaluate

    def refuse(preset):
        if len(invented) % 2:
            invented.append(None)
            raise ValueError("responses span no plane")
        return evaluate(preset)

    monkeypatch.setattr(search, "evaluate", refuse)
    search.search(tmp_path, 4)
    assert states(tmp_path) == ["COMPLETE", "FAIL"] * 2
    failed = search._study(tmp_path, 0).trials[1]
    assert failed.user_attrs["error"] == "responses span no plane"
    assert failed.value is None
    trials = search.read_trials(tmp_path)
    assert trials["trial"].tolist() == [0, 2]
    assert {len(column) for column in trials.values()} == {2}
    # it counts as tried: nothing is left to do
    search.search(tmp_path, 4)
    assert len(invented) == 4


def test_a_search_goes_on_from_given_sets(invented, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "DESIGN", 3)
    starts = [Preset(), Preset(mass=0.7, scaling="box")]
    with pytest.raises(ValueError, match="0 trials so far: the first 3 are drawn at random"):
        search.search(tmp_path, 6, starts=starts)
    search.search(tmp_path, 3)
    search.search(tmp_path, 6, starts=starts)
    trials = search.read_trials(tmp_path)
    assert trials["trial"].tolist() == list(range(6))
    assert [search.preset_of(trials, row) for row in (3, 4)] == starts
    assert search.preset_of(trials, 5) not in starts


# The choice


@pytest.fixture
def trials():
    """Random trials, more than come into the last round."""
    n, rng = FINALISTS + 4, np.random.default_rng(0)
    table = {"trial": np.arange(n) + 100}
    for name, values in SPACE.items():
        if values.choices:
            table[name] = np.array(values.choices)[rng.integers(len(values.choices), size=n)]
        else:
            table[name] = rng.uniform(values.low, values.high, n)
    table["scaling"][:] = "axis"
    return table | {"score": 10 * table["radius_cm"]}


def test_the_best_trials_are_compared_in_full_in_other_animals(invented, trials, tmp_path):
    best = search.choose(tmp_path, trials)
    order = np.argsort(trials["score"])[::-1][:FINALISTS]
    finalists = [search.preset_of(trials, row) for row in order]
    assert invented == [(preset, FINAL_ANIMALS, 0, False) for preset in finalists]
    # there the last of them is the first
    assert best == finalists[-1]
    table = read_csv(tmp_path / "finalists.csv")
    assert table["trial"].tolist() == trials["trial"][order].tolist()
    margins = 2.0 - trials["radius_cm"][order]
    np.testing.assert_allclose(table["C1"], margins, atol=1e-5)
    assert set(table) == {"trial", "score", *SEARCHED}
    scores = [search.evaluate(p, FINAL_ANIMALS, 0, False).score for p in finalists]
    np.testing.assert_allclose(table["score"], scores, rtol=1e-5)
    assert table["score"].argmax() == FINALISTS - 1


def test_the_chosen_set_is_a_preset(invented, trials, tmp_path):
    best = search.choose(tmp_path, trials)
    assert load_preset(str(tmp_path / "best.json")) == best
    saved = json.loads((tmp_path / "best.json").read_text())
    row = trials["trial"].tolist().index(saved["trial"])
    assert search.preset_of(trials, row) == best
    found = search.evaluate(best, FINAL_ANIMALS, 0, False)
    assert saved["score"] == pytest.approx(found.score)
    held = sum(margin > 0 for margin in found.margins.values())
    assert saved["claims with a margin above 0"] == held
    assert saved["settings"]["animals"] == list(ANIMALS)
    assert saved["settings"]["space"]["tau_s"] == [0.01, 3.0, True, []]


def test_few_trials_are_all_finalists(invented, trials, tmp_path):
    few = {name: column[:3] for name, column in trials.items()}
    assert search.choose(tmp_path, few) == search.preset_of(few, int(few["radius_cm"].argmin()))
    assert len(read_csv(tmp_path / "finalists.csv")["trial"]) == 3


# The command


def test_the_command_finds_identifies_and_chooses(invented, tmp_path, monkeypatch, capsys):
    for part in (identifiability, identifiability_drawing):  # a forest for each takes long
        monkeypatch.setattr(part, "SEARCHED", ("C1", "C12"))
    assert cli.main(["recover", "--trials", "47", "--jobs", "1", "--out", str(tmp_path)]) == 0
    assert [call[1:] for call in invented[:47]] == [(ANIMALS, 0, True)] * 47
    assert [call[0] for call in invented[47:49]] == list(PRESETS.values())  # for comparison
    assert [call[1:] for call in invented[47:49]] == [(ANIMALS, 0, True)] * 2
    assert [call[1:] for call in invented[49:]] == [(FINAL_ANIMALS, 0, False)] * FINALISTS
    trials, best = search.read_trials(tmp_path), load_preset(str(tmp_path / "best.json"))
    assert best in [preset for preset, *_ in invented[49:]]
    assert (best.scaling, best.radius_cm > trials["radius_cm"].min()) == ("box", True)
    found = json.loads((tmp_path / "identifiability.json").read_text())
    # the two parameters that decide are recognised, and nothing else decides C1
    assert max(found["importance"]["C1"], key=found["importance"]["C1"].get) == "radius_cm"
    assert max(found["importance"]["C12"], key=found["importance"]["C12"].get) == "scaling"
    assert found["explained"]["C1"] > 0.8
    assert found["choices"]["scaling"]["box"] == 1.0
    base = json.loads((tmp_path / "baselines.json").read_text())
    assert (base["sets"], base["presets"]) == (45, {"default": 22, "paper": 23})
    assert base["passed"]["C1"] == np.mean(trials["C1"][:45] > 0)
    picture = tmp_path / "identifiability.png"
    picture.unlink()
    calls = len(invented)
    assert cli.main(["recover", "--redraw", "--out", str(tmp_path)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(invented) == calls  # nothing is measured
    out = capsys.readouterr().out
    assert "47 trials; at most 24 of 24 claims have a margin above 0 in one" in out
    assert f"reproduce claims --preset {tmp_path / 'best.json'}" in out


@pytest.mark.parametrize("count", ["29", "0", "-1"])
def test_too_few_trials_are_refused(tmp_path, monkeypatch, capsys, count):
    monkeypatch.setattr(search, "search", lambda *asked: pytest.fail("it searches"))
    assert cli.main(["recover", "--trials", count, "--out", str(tmp_path)]) == 2
    assert f"--trials {count}: at least 30" in capsys.readouterr().err


def test_a_real_trial_scores_the_default_preset():
    found = search.evaluate(Preset(), (1000,))
    assert set(found.margins) == set(SEARCHED)
    assert found.convergent > 0.95  # as in every animal that was ever measured
    assert 0.05 < found.misfit < 0.5
