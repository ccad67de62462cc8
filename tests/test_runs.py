import json
import multiprocessing
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from quick_runs import QUICK, QUICK_SAC, like, native, quick

from agents import recorder, runs, train
from agents.runs import Agent
from ndbmi_gym.files import write_json


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on stacked frames."""
    settings = quick(tmp_path_factory.mktemp("runs"), steps=256)
    train.train(settings)
    return settings.folder


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    hyper = QUICK | {"policy_kwargs": {"lstm_hidden_size": 8}}
    settings = quick(tmp_path_factory.mktemp("r"), algo="recurrent_ppo", hyper=hyper, steps=256)
    train.train(settings)
    return settings.folder


class TestAgent:
    @pytest.mark.parametrize("kind", ["run", "recurrent"])
    def test_it_takes_one_observation_or_many(self, kind, request):
        agent = Agent(request.getfixturevalue(kind))
        env = native(3, "ndbmi/ShiftTargetCurl-v1", mode="NextStep")
        seen, _ = env.reset(seed=0)
        state, alone, begun = None, [None] * 3, True
        for _ in range(4):
            action, state = agent.predict(seen, state, deterministic=True)
            for i in range(3):
                own, alone[i] = agent.predict(seen[i], alone[i], begun, deterministic=True)
                assert own.shape == (9,)
                np.testing.assert_allclose(own, action[i], rtol=1e-5, atol=1e-6)
            seen, *_ = env.step(action)
            begun = False

    def test_what_is_remembered_ends_with_a_trial(self, run):
        agent = Agent(run)
        env = native(3, "ndbmi/ShiftTargetCurl-v1", mode="NextStep")
        seen, _ = env.reset(seed=0)
        fresh, state = agent.predict(seen, deterministic=True)
        later, _ = agent.predict(seen, state, deterministic=True)
        again, _ = agent.predict(seen, state, np.ones(3, bool), deterministic=True)
        assert (later != fresh).any()
        np.testing.assert_array_equal(again, fresh)


class TestTrust:
    @pytest.mark.parametrize(
        "changes",
        [
            {"env": "os:ndbmi/ShiftTarget-v1"},
            {"env": "CartPole-v1"},
            {"option": {"field": "mine:corridor"}},
            {"option": {"task": {"kind": "shift", "starts": ["mine:starts"]}}},
        ],
    )
    def test_code_outside_the_package_is_not_imported(self, changes, run, tmp_path):
        other = like(tmp_path / "other", run, **changes)
        with pytest.raises(ValueError, match=r"config.json names '.*--trust"):
            Agent(other)
        assert Agent(other, trust=True).label == "quick"

    def test_the_packages_own_name_is_no_stranger(self, run, tmp_path):
        other = like(tmp_path / "other", run, env="ndbmi_gym:ndbmi/ShiftTarget-v1")
        assert Agent(other).label == "quick"


class TestEditedFolders:
    @pytest.mark.parametrize(
        ("edit", "text"),
        [
            (lambda config: [], "config.json: it is .*no mapping"),
            (lambda config: config.pop("settings") and config, "config.json: it has no 'settings'"),
            (lambda config: config | {"settings": 3}, "config.json: settings is 3"),
            (lambda config: config | {"hyperparams": {}}, "hyperparams has no 'frame_stack'"),
            (lambda config: config | {"steps": "many"}, "config.json: steps is 'many'"),
        ],
    )
    def test_they_are_told_in_one_line(self, edit, text, run, tmp_path):
        other = tmp_path / "other"
        like(other, run)
        write_json(other / runs.CONFIG, edit(runs.read_config(other)))
        with pytest.raises(ValueError, match=text + ".*restore the file, or train anew"):
            Agent(other)
        with pytest.raises(SystemExit, match="^error: .*" + text):
            train.main(["--resume", "--out", str(other)])

    def test_other_algorithms_and_no_json(self, run, tmp_path):
        other = tmp_path / "other"
        like(other, run, algo="dqn")
        with pytest.raises(ValueError, match=r"names the algorithm 'dqn', none of ppo"):
            Agent(other)
        (other / runs.CONFIG).write_text("{")
        with pytest.raises(ValueError, match=r"config.json is no JSON"):
            Agent(other)

    def test_a_missing_or_broken_model(self, run, tmp_path):
        other = tmp_path / "other"
        like(other, run)
        line = ["--resume", "--out", str(other), "--steps", "100"]
        (other / runs.MODEL).write_bytes((run / runs.MODEL).read_bytes()[:500])
        with pytest.raises(ValueError, match=r"model.zip is no intact model"):
            Agent(other)
        with pytest.raises(SystemExit, match=r"^error: .*model.zip .*: restore the file"):
            train.main(line)
        with zipfile.ZipFile(other / runs.MODEL, "w") as archive:
            archive.writestr("data", "{}")
        with pytest.raises(SystemExit, match=r"^error: .* not hold a model .*: restore the file"):
            train.main(line)
        (other / runs.MODEL).unlink()
        with pytest.raises(FileNotFoundError, match=r"there is no model .*model.zip"):
            Agent(other)
        with pytest.raises(SystemExit, match=r"^error: there is no .*other/model.zip to go on"):
            train.main(line)

    def test_a_missing_or_broken_replay_buffer(self, tmp_path):
        settings = quick(tmp_path, algo="sac", hyper=QUICK_SAC, steps=128)
        train.train(settings)
        line = ["--resume", "--out", settings.out, "--steps", "100"]
        (settings.folder / runs.REPLAY).write_bytes(b"")
        with pytest.raises(SystemExit, match=r"^error: .*not hold a model to go on from .*restore"):
            train.main(line)
        (settings.folder / runs.REPLAY).unlink()
        with pytest.raises(SystemExit, match=r"^error: there is no .*replay_buffer.pkl to go on"):
            train.main(line)


def hold(folder, ready, done):
    with runs.locked(folder):
        ready.set()
        done.wait(60)


class TestLock:
    def test_a_folder_belongs_to_one_process(self, tmp_path):
        context = multiprocessing.get_context("fork")
        ready, done = context.Event(), context.Event()
        folder = tmp_path / "run"
        other = context.Process(target=hold, args=(folder, ready, done))
        other.start()
        assert ready.wait(60)
        with pytest.raises(SystemExit, match=r"^error: another process trains in .*run: .*--out"):
            train.main(["--out", str(folder), "--steps", "100"])
        other.kill()  # the lock dies with its process
        other.join()
        with runs.locked(folder):
            pass

    def test_a_folder_without_a_run_does_not_stay(self, tmp_path):
        with runs.locked(tmp_path / "run"):
            (tmp_path / "run" / runs.PROGRESS).write_text("steps")
        assert not (tmp_path / "run").exists()
        (tmp_path / "mine").mkdir()
        with runs.locked(tmp_path / "mine"):
            pass
        assert (tmp_path / "mine").exists()


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


class TestInterrupts:
    @pytest.mark.parametrize(
        "moment", ["make_venv", "_model", "clear", "Recorder", "read_hyperparams"]
    )
    def test_before_anything_is_saved_no_folder_stays(self, moment, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(train, moment, interrupt)
        settings = quick(tmp_path)
        assert not train.train(settings)
        assert not settings.folder.exists()
        assert "no run is left" in capsys.readouterr().out

    @pytest.mark.parametrize(
        "moment", ["follow_curriculum", "_on_step", "_on_rollout_start", "_on_rollout_end"]
    )
    def test_afterwards_there_is_a_run_to_go_on_with(self, moment, tmp_path, monkeypatch):
        settings = quick(tmp_path, steps=256)
        with monkeypatch.context() as patch:
            patch.setattr(recorder.Recorder, moment, interrupt)
            assert not train.train(settings)
        assert not runs.read_config(settings.folder)["finished"]
        assert train.main(["--resume", "--out", settings.out]) == 0
        assert runs.read_config(settings.folder)["finished"]

    def test_an_impatient_second_one_leaves_the_last_checkpoint(self, tmp_path, monkeypatch):
        settings, saved = quick(tmp_path, steps=256), []
        original = recorder.Recorder.checkpoint

        def checkpoint(self):
            if saved:
                raise KeyboardInterrupt
            saved.append(original(self))

        with monkeypatch.context() as patch:
            patch.setattr(recorder.Recorder, "checkpoint", checkpoint)
            patch.setattr(recorder.Recorder, "_on_step", interrupt)
            assert not train.train(settings)
        assert train.main(["--resume", "--out", settings.out]) == 0

    @pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM")
    def test_sigterm_saves_at_once(self, tmp_path):
        out = tmp_path / "run"
        line = ["-m", "agents.train", "--out", str(out), "--minutes", "5", "--checkpoint-s", "600"]
        process = subprocess.Popen([sys.executable, *line], stderr=subprocess.DEVNULL)
        try:
            begun = time.monotonic()
            while (
                not (out / runs.PROGRESS).exists()
                or b"\n" not in ((out / runs.PROGRESS).read_bytes().partition(b"\n")[2])
            ):
                assert time.monotonic() - begun < 120
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 130
        finally:
            process.kill()
        config = json.loads((out / runs.CONFIG).read_text())
        assert not config["finished"]
        assert config["steps"] > 0


def test_mappings_are_not_stacked():
    with pytest.raises(ValueError, match=r"frame_stack = 4: .*--hyper frame_stack=1"):
        runs.make_venv("ndbmi/HoldTargetGoal-v0", {}, 2, 4)
