import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from quick_runs import QUICK
from tiny_suite import SEEING, TINY, results, tiny

from agents import benchmark, benchmark_runs, train
from agents.benchmark_runs import is_done, played, trained_by
from agents.benchmark_suite import Place, Training, read_suite
from agents.runs import MODEL, read_config
from ndbmi_gym.rollout import score

ROOT = Path(__file__).parents[1]
ONLY = ("shift", "ppo", "sac", "eq24")

KILLED_IN_TRAINING = """
import os, signal
from agents import recorder
original = recorder.Recorder._on_step
def on_step(self):
    if self.num_timesteps > %d:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self)
recorder.Recorder._on_step = on_step
"""
KILLED_IN_WRITING = """
import os, signal
from pathlib import Path
original = Path.write_text
def write_text(self, text, *more, **named):
    if '"agent":"sac"' in text:
        original(self, text[:100], *more, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, text, *more, **named)
Path.write_text = write_text
"""


def settings(suite, folder, **more):
    places = {"out": str(folder / "out"), "training": str(folder / "training")}
    return benchmark.Settings(**{"suite": (suite,), "only": ONLY, "seeds": 1, **places, **more})


def killed(how, suite, folder):
    """Run the command line with something that kills it by SIGKILL."""
    code = (
        f"{how}\nfrom agents.benchmark import main\nmain(['--suite', {suite!r}, '--seeds', '1', "
        f"'--only', *{ONLY!r}, '--out', {str(folder / 'out')!r}, "
        f"'--training', {str(folder / 'training')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Results of the tiny suite in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert not any(each.error for each in benchmark.benchmark(settings(tiny(folder), folder)))
    return results(folder / "out")


def test_a_benchmark_that_was_killed_comes_to_the_same(undisturbed, tmp_path):
    suite, disturbed = tiny(tmp_path), tmp_path / "b"
    killed(KILLED_IN_TRAINING % 600, suite, disturbed)
    left = sorted(path.name for path in (disturbed / "training").glob("*ppo*/*"))
    assert "2" in left  # two segments of 256 steps
    assert "part" in left
    killed(KILLED_IN_WRITING, suite, disturbed)
    assert len(list((disturbed / "out").rglob(".*-0.json"))) == 1  # half of a result
    assert not any(each.error for each in benchmark.benchmark(settings(suite, disturbed)))

    assert len(undisturbed) == 5
    assert results(disturbed / "out") == undisturbed


def test_two_processes_come_to_the_same(undisturbed, tmp_path):
    shared = settings(tiny(tmp_path), tmp_path, jobs=2)
    assert not any(each.error for each in benchmark.benchmark(shared))
    assert results(tmp_path / "out") == undisturbed


DRAWING = """
import random
import numpy as np
import torch

def act(observation):
    n = len(observation)
    return np.random.rand(n, 9) + random.random() + torch.rand(n, 9).numpy()
"""


def test_an_agent_that_draws_does_so_from_the_seed_of_the_trials(tmp_path, monkeypatch):
    (tmp_path / "drawing.py").write_text(DRAWING)
    monkeypatch.syspath_prepend(tmp_path)
    place = Place("ndbmi/ShiftTarget-v1", SEEING, trials=4)
    first, second = (played(place, "mine", "drawing:act", False)["trials"] for _ in range(2))
    assert first == second


def training(**changes):
    given = {"algo": "ppo", "env": "ndbmi/ShiftTarget-v1", "option": SEEING, "seed": 3}
    hyperparams = train.read_hyperparams(train.Settings(hyper=QUICK, **given))
    curve = Place("ndbmi/ShiftTarget-v1", SEEING, trials=10)
    given |= {"hyperparams": hyperparams, "steps": 768, "segments": 3, "curve": curve}
    return Training(**(given | changes))


def test_training_is_done_once(tmp_path, monkeypatch):
    folder, about = trained_by(training(), tmp_path, "abc")
    assert about["steps"] == about["curve"]["steps"][-1] == 768
    assert about["curve"]["steps"] == [256, 512, 768]
    assert about["revisions"] == ["abc"]
    assert read_config(folder)["finished"]
    monkeypatch.setattr(train, "_learn", None)
    assert trained_by(training(), tmp_path, "abc") == (folder, about)


def test_what_decides_the_learning_has_a_folder_of_its_own():
    names = {
        training().name,
        training(seed=4).name,
        training(steps=769).name,
        training(segments=4).name,
        training(option={}).name,
        training(curve=Place("ndbmi/ShiftTarget-v1", SEEING, trials=11)).name,
    }
    assert len(names) == 6


def test_the_first_segment_is_the_beginning_of_a_run(tmp_path):
    short = training(segments=1, steps=256)
    folder, _ = trained_by(short, tmp_path, "abc")
    plain = train.Settings(
        env=short.env, option=SEEING, hyper=QUICK, seed=3, steps=256, out=str(tmp_path / "plain")
    )
    assert train.train(plain)
    mine, other = (
        train.ALGORITHMS["ppo"].load(each / MODEL).policy.state_dict()
        for each in (folder, plain.folder)
    )
    for name, weights in mine.items():
        torch.testing.assert_close(weights, other[name], rtol=0, atol=0)


def test_a_run_that_fails_ends_no_other_of_its_training(tmp_path, monkeypatch):
    where = {"env": "ndbmi/ShiftTarget-v1", "option": SEEING, "trained": "shift"}
    tasks = {"shift": TINY["tasks"]["shift"]} | dict.fromkeys(("b", "c"), where)
    suite = read_suite(tiny(tmp_path, tasks=tasks)).chosen(["ppo"], 1)
    runs = [run for run in suite.runs() if run.agent == "ppo"]
    monkeypatch.setattr(benchmark_runs, "trained_by", lambda *_: (Path("eq24"), {"steps": 1}))
    original = benchmark_runs.played

    def play(place, label, policy, trust):
        calls.append(label)
        if len(calls) == 2:
            raise RuntimeError("dark")
        return original(place, label, policy, trust)

    calls = []
    monkeypatch.setattr(benchmark_runs, "played", play)
    work = benchmark_runs.Work(tuple(runs), tmp_path, tmp_path, "", False, os.getpid())
    assert benchmark_runs.do(work).error == "RuntimeError: dark"
    assert [is_done(run, tmp_path) for run in runs] == [True, False, True]
    assert not benchmark_runs.do(work).error
    assert all(is_done(run, tmp_path) for run in runs)
    assert not list(tmp_path.rglob("failed-*"))


def test_values_are_those_of_the_rollout():
    found = played(Place("ndbmi/HoldTarget-v1", SEEING, (1, 2), 10, 7), "eq24", "eq24", False)
    for animal, row in zip((1, 2), found["trials"]["return"], strict=True):
        expected = score("ndbmi/HoldTarget-v1", "eq24", 10, 7, animal=animal, **SEEING)["return"]
        np.testing.assert_allclose(row, expected, atol=6e-4)
    assert found["measure"] == "share of last 25 steps"
    assert found["scored"]


def test_fewer_trials_are_the_first_ones():
    few, more = (
        played(Place("ndbmi/ShiftTarget-v1", SEEING, trials=n), "eq24", "eq24", False)["trials"]
        for n in (10, 30)
    )
    assert few["return"][0] == more["return"][0][:10]


class TestDone:
    @pytest.fixture
    def run(self, tmp_path):
        return read_suite(tiny(tmp_path)).runs()[0]

    @pytest.fixture
    def file(self, run, tmp_path):
        path = tmp_path / run.file
        path.parent.mkdir(parents=True)
        return path

    def test_what_is_there_is_done(self, run, file, tmp_path):
        assert not is_done(run, tmp_path)
        file.write_text(json.dumps({"asked": run.asked}))
        assert is_done(run, tmp_path)

    def test_what_was_not_apart_is_not_done_where_it_is_to_be(self, run, file, tmp_path):
        file.write_text(json.dumps({"asked": run.asked, "apart": True}))
        assert not is_done(run, tmp_path)
        assert is_done(replace(run, apart=True), tmp_path)

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"asked": {}}'])
    def test_what_is_damaged_or_another_is_not(self, run, file, tmp_path, text):
        file.write_text(text)
        assert not is_done(run, tmp_path)
