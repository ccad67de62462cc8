import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import t as student

from agents import evaluate, runs, sweep, train
from agents.train import Settings as Run

CURRENT = train.read_hyperparams(Run())


def worth(hyper):
    """What a stand-in for an agent scores in the end, from 0 to 1."""
    rate = hyper["learning_rate"]["linear"][0]
    return 1 / (1 + abs(np.log(rate / 2e-3)) + 0.1 * hyper["frame_stack"])


@pytest.fixture
def quick(monkeypatch):
    """Trainings that take no time: agents that are what they score, between floor and ceiling."""
    asked = SimpleNamespace(interrupt=None, runs=[])

    def fake_train(run, callbacks=()):
        asked.runs.append(run)
        if len(asked.runs) == asked.interrupt:
            return False
        hyper = train.read_hyperparams(run)
        for quarter in (1, 2, 3):
            for callback in callbacks:
                callback.model = worth(hyper) * quarter / 4
                callback.num_timesteps = run.steps * quarter // 4
                if not callback._on_step():
                    return True
        asked.last = worth(hyper)
        return True

    def fake_score(env_id, policy, episodes, seed, **options):
        assert seed == sweep.SELECTION
        place = {"zero": 0.0, "ceiling": 1.0}.get(policy, policy) if policy != 1 else 1.0
        return {"score": 20 - 8 * np.full(episodes, place)}

    monkeypatch.setattr(sweep, "train", fake_train)
    monkeypatch.setattr(sweep, "score", fake_score)
    monkeypatch.setattr(sweep, "Agent", lambda folder: asked.last)
    monkeypatch.setattr(sweep.sweep_drawing, "draw", lambda data, picture: None)
    return asked


def settings(folder, **changes):
    return sweep.Settings(**{"trials": 9, "steps": 1000, "out": str(folder)} | changes)


def compared(data):
    """What two sweeps of the same settings share."""
    return [{k: v for k, v in each.items() if k != "seconds"} for each in data["trials"]]


class TestSpace:
    def test_the_present_values_are_a_point_of_it(self):
        there = sweep.hyperparams(sweep.params("ppo", CURRENT))
        merged = train.read_hyperparams(Run(hyper=there))
        added = {"gae_lambda": 0.95, "clip_range": 0.2, "ent_coef": 0.0}  # SB3's own
        assert merged == CURRENT | added

    def test_what_lies_outside_is_named(self):
        with pytest.raises(ValueError, match=r"gamma = 0\.5 .* not in"):
            sweep.params("ppo", CURRENT | {"gamma": 0.5})

    def test_a_batch_is_no_larger_than_a_rollout(self):
        point = sweep.params("ppo", CURRENT) | {"batch_size": 8192, "n_envs": 64, "n_steps": 32}
        assert sweep.hyperparams(point)["batch_size"] == 2048

    def test_a_point_is_written_with_two_digits(self):
        point = {"n_envs": 128, "gamma": 0.95173, "learning_rate": 0.0026579, "clip_range": 0.2}
        short = {"n_envs": 128, "gamma": 0.95, "learning_rate": 0.0027, "clip_range": 0.2}
        assert sweep.rounded(point) == short

    def test_only_what_has_a_space_is_searched(self):
        with pytest.raises(ValueError, match="choose one of ppo"):
            sweep.Settings(algo="sac")


class TestSweep:
    def test_it_begins_with_the_present_values_and_finds_better_ones(self, tmp_path, quick):
        data = sweep.sweep(settings(tmp_path))
        assert len(data["trials"]) == 9
        first, best = data["trials"][0], sweep.best_of(data)
        assert first["params"] == sweep.params("ppo", CURRENT)
        assert first["score"] == pytest.approx(worth(CURRENT), abs=1e-4)
        assert best["score"] > first["score"]
        assert best["score"] == pytest.approx(worth(sweep.hyperparams(best["params"])), abs=1e-4)
        assert json.loads((tmp_path / sweep.DATA).read_text()) == data

    def test_bad_trials_are_given_up(self, tmp_path, quick):
        data = sweep.sweep(settings(tmp_path))
        pruned = [trial for trial in data["trials"] if trial["pruned"]]
        whole = [trial for trial in data["trials"] if not trial["pruned"]]
        assert len(pruned) > 1
        assert len(whole) > 3
        for trial in pruned:
            assert trial["score"] is None
            assert worth(sweep.hyperparams(trial["params"])) < sweep.best_of(data)["score"]
            assert sum(map(len, trial["curve"].values())) < 2 * sweep.QUARTERS
        assert all(list(map(len, trial["curve"].values())) == [4, 4] for trial in whole)

    def test_every_training_has_a_seed_of_its_own_and_none_of_those_that_confirm(
        self, tmp_path, quick
    ):
        sweep.sweep(settings(tmp_path))
        seeds = {(run.env, run.seed) for run in quick.runs}
        assert len(seeds) == len(quick.runs)
        assert max(seed for _, seed in seeds) < sweep.FRESH

    def test_one_that_is_interrupted_and_goes_on_equals_one_that_is_not(self, tmp_path, quick):
        undisturbed = sweep.sweep(settings(tmp_path / "whole"))
        quick.runs.clear()
        quick.interrupt = 6
        assert len(sweep.sweep(settings(tmp_path / "cut"))["trials"]) < 6
        quick.interrupt = None
        assert len(sweep.sweep(settings(tmp_path / "cut", trials=7))["trials"]) == 7
        assert compared(sweep.sweep(settings(tmp_path / "cut"))) == compared(undisturbed)

    def test_a_trial_that_was_killed_is_tried_again(self, tmp_path, quick):
        undisturbed = sweep.sweep(settings(tmp_path / "whole"))
        sweep.sweep(settings(tmp_path / "cut", trials=4))
        study = sweep._study(tmp_path / "cut")
        study.sampler = sweep._sampler(settings(tmp_path), 4)
        study.ask(sweep.SPACES["ppo"])  # and the process is gone
        assert compared(sweep.sweep(settings(tmp_path / "cut"))) == compared(undisturbed)

    def test_a_folder_holds_one_sweep(self, tmp_path, quick):
        sweep.sweep(settings(tmp_path, trials=1))
        with pytest.raises(ValueError, match="other settings"):
            sweep.sweep(settings(tmp_path, trials=1, steps=2000))

    def test_time_ends_it(self, tmp_path, quick):
        assert sweep.sweep(settings(tmp_path, minutes=1e-9))["trials"] == []


class TestConfirmation:
    def test_the_gain_and_its_interval(self):
        rng = np.random.default_rng(0)
        trials = rng.normal(size=(1, 1, 50))
        means = {
            "zero": np.array([0.0]),
            "ceiling": np.array([2.0]),
            sweep.CURRENT: np.array([1.0, 1.2, 1.4]),
            sweep.SWEPT: np.array([1.5, 1.7, 1.9]),
        }
        centred = trials - trials.mean()
        found = sweep.gain({k: v[:, None, None] + centred for k, v in means.items()})
        assert found["runs"][sweep.CURRENT] == pytest.approx([0.5, 0.6, 0.7])
        middle, low, high = found["gain"]
        assert middle == pytest.approx(0.25)
        half = student.ppf(0.975, 4) * np.sqrt(2 * 0.1**2 / 3)  # equal spreads: 4 degrees
        assert (low, high) == pytest.approx((middle - half, middle + half))

    def test_both_are_trained_anew_and_met_on_trials_that_did_not_choose(
        self, tmp_path, quick, monkeypatch
    ):
        data = sweep.sweep(settings(tmp_path))
        quick.runs.clear()
        asked = []

        def fake_evaluate(given):
            asked.append(given)
            values = {"zero": 0, "ceiling": 1, sweep.CURRENT: 0.5, sweep.SWEPT: 0.6}
            noise = np.arange(3)[:, None, None] / 100
            return {
                "table": [{"policy": label} for label in (*values, "eq24")],
                "trials": {k: {"score": (v + noise).tolist()} for k, v in values.items()},
            }

        monkeypatch.setattr(evaluate, "evaluate", fake_evaluate)
        monkeypatch.setattr(sweep, "read_config", lambda folder: {"seconds": 1.0})
        found = sweep.confirm(settings(tmp_path, confirm=3, steps=5000), data)
        assert [run.steps for run in quick.runs] == [5000] * 12
        assert {run.seed for run in quick.runs} == {2000, 2001, 2002}
        best = sweep.hyperparams(sweep.rounded(sweep.best_of(data)["params"]))
        assert found["swept"] == best
        assert [run.hyper for run in quick.runs] == [best] * 6 + [{}] * 6
        assert {given.seed for given in asked} == {sweep.CONFIRMATION}
        assert sweep.CONFIRMATION > sweep.SELECTION + 10_000 > evaluate.Settings().seed + 10_000
        for result in found["results"].values():
            assert result["gain"][0] == pytest.approx(0.1)
            assert len(result["table"]) == 4
        quick.runs.clear()
        sweep.confirm(settings(tmp_path, confirm=2, trial=0), data)
        first = sweep.hyperparams(sweep.rounded(data["trials"][0]["params"]))
        assert [run.hyper for run in quick.runs] == [first] * 4 + [{}] * 4
        quick.runs.clear()
        with pytest.raises(ValueError, match="trial = 99: choose one that came to its end, 0"):
            sweep.confirm(settings(tmp_path, confirm=2, trial=99), data)
        with pytest.raises(ValueError, match=r"option = .*: the sweep was of {}, give the same"):
            sweep.confirm(settings(tmp_path, confirm=2, option={"observe": "state"}), data)
        assert not quick.runs

    def test_more_trials_leave_a_confirmation_as_it_is(self, tmp_path, quick):
        data = sweep.sweep(settings(tmp_path))
        sweep._save(settings(tmp_path), data | {"confirmation": {"trial": 0}})
        sweep.sweep(settings(tmp_path, trials=len(data["trials"]) + 1))
        kept = json.loads((tmp_path / sweep.DATA).read_text())
        assert len(kept["trials"]) == len(data["trials"]) + 1
        assert kept["confirmation"] == {"trial": 0}


@pytest.mark.parametrize(
    ("changes", "begun"),
    [
        ({}, True),
        ({"hyper": {"gamma": 0.5}}, False),
        ({"steps": 9}, False),
        ({"seed": 9}, False),
        ({"option": {"observe": "state"}}, False),
        ({"out": "x"}, False),
    ],
)
def test_only_a_part_of_the_very_training_is_gone_on_with(tmp_path, monkeypatch, changes, begun):
    monkeypatch.chdir(tmp_path)
    run = Run(steps=7, out="run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / runs.CONFIG).touch()
    config = {"hyperparams": train.read_hyperparams(run), "settings": asdict(run)}
    kept = json.loads(json.dumps(config))
    monkeypatch.setattr(sweep, "read_config", lambda folder: kept)
    assert sweep._is_begun(replace(run, **changes)) == begun


def test_a_callback_can_end_a_training(tmp_path):
    hyper = {"n_envs": 16, "n_steps": 16, "batch_size": 64, "n_epochs": 1, "frame_stack": 2}
    run = Run(steps=2048, hyper=hyper, out=str(tmp_path / "run"), env="ndbmi/FixedField-v1")
    seen = []

    def judge(model):
        seen.append(model.num_timesteps)
        return len(seen) < 2

    quarters = sweep._Quarters(2048, judge)
    assert train.train(run, callbacks=[quarters])
    assert quarters.given_up
    assert seen == [512, 1024]
    assert runs.read_config(run.folder)["steps"] == 1024


@pytest.mark.parametrize(
    ("given", "words"),
    [({"confirm": 1}, "confirm = 1: one training shows no spread"), ({"trial": 3}, "trial = 3")],
)
def test_what_confirms_nothing_is_refused(tmp_path, given, words):
    with pytest.raises(ValueError, match=words):
        settings(tmp_path, **given)
