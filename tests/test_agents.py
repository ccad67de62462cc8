import csv
import dataclasses
import json
import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import registry
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)

import ndbmi_gym  # noqa: F401
from agents import demo, evaluate, runs, train
from agents.intervals import Bootstrap, interval
from agents.options import parse
from agents.runs import Agent, make_venv
from agents.sb3 import NativeVecEnv
from ndbmi_gym.files import write_json

IDS = [name for name in registry if name.startswith("ndbmi/")]

# zero volition arrives in 6 to 10 steps: staggered ends of both kinds, some of them at once
STAGGERED = {"observe": "state"}
LIMIT = 8
QUICK = {"n_envs": 16, "frame_stack": 2, "n_steps": 16, "batch_size": 64, "n_epochs": 1}
QUICK_SAC = {
    "n_envs": 4,
    "frame_stack": 2,
    "learning_starts": 100,
    "gradient_steps": 1,
    "buffer_size": 1000,
    "batch_size": 32,
}


def native(n, env_id="ndbmi/FixedField-v0", mode="SameStep", **options):
    return gymnasium.make_vec(env_id, num_envs=n, autoreset_mode=mode, **options)


def scalar(**options):
    return gymnasium.make("ndbmi/FixedField-v0", max_episode_steps=LIMIT, **options)


class TestAdapter:
    def rollout(self, venv, n_steps=40):
        """Zero volition from a seeded reset: observations, rewards, ends, infos."""
        venv.seed(3)
        yield venv.reset(), None, None, None
        nothing = np.zeros((venv.num_envs, *venv.action_space.shape), np.float32)
        for _ in range(n_steps):
            yield venv.step(nothing)

    @pytest.mark.parametrize("n", [1, 4])
    def test_it_agrees_with_sb3s_own_vector_environment(self, n):
        makers = [lambda: scalar(**STAGGERED)] * n
        mine = NativeVecEnv(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP))
        lengths, kinds = set(), set()
        for ours, theirs in zip(self.rollout(mine), self.rollout(DummyVecEnv(makers)), strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            if ours[1] is None:
                continue
            np.testing.assert_array_equal(ours[1], theirs[1])
            np.testing.assert_array_equal(ours[2], theirs[2])
            for ended, our, their in zip(ours[2], ours[3], theirs[3], strict=True):
                if not ended:
                    assert our == {}
                    continue
                for key in their.keys() - {"episode"}:
                    np.testing.assert_array_equal(our[key], their[key])
                lengths.add(our["episode"]["l"])
                kinds.add(our["TimeLimit.truncated"])
        assert len(lengths) > 1 or n == 1
        assert kinds == {True, False} or n == 1

    def test_a_native_batch_of_one_agrees_with_the_scalar_environment(self):
        mine = NativeVecEnv(native(1, max_episode_steps=LIMIT, **STAGGERED))
        theirs = DummyVecEnv([lambda: scalar(**STAGGERED)])
        for ours, expected in zip(self.rollout(mine), self.rollout(theirs), strict=True):
            for a, b in zip(ours[:3], expected[:3], strict=True):
                np.testing.assert_array_equal(a, b)
            if ours[2] is not None and ours[2][0]:
                a, b = ours[3][0], expected[3][0]
                np.testing.assert_array_equal(a["terminal_observation"], b["terminal_observation"])
                assert a["TimeLimit.truncated"] == b["TimeLimit.truncated"]

    def test_a_native_batch_reports_staggered_ends(self):
        n = 8
        mine = NativeVecEnv(native(n, max_episode_steps=LIMIT, **STAGGERED))
        bare = native(n, max_episode_steps=LIMIT, **STAGGERED)
        seen, _ = bare.reset(seed=3)
        nothing = np.zeros(bare.action_space.shape, np.float32)
        earned, length, lengths, partial = np.zeros(n), np.zeros(n, int), set(), False
        half_side = mine.env.episodes.half_side_cm
        position = mine.env.episodes.columns["position"]
        for i, (ours, rewards, dones, infos) in enumerate(self.rollout(mine)):
            if i == 0:
                np.testing.assert_array_equal(ours, seen)
                continue
            seen, reward, terminated, truncated, info = bare.step(nothing)
            earned, length = earned + reward, length + 1
            np.testing.assert_array_equal(ours, seen)
            np.testing.assert_array_equal(rewards, reward.astype(np.float32))
            np.testing.assert_array_equal(dones, terminated | truncated)
            partial |= 0 < dones.sum() < n
            for j in range(n):
                if not dones[j]:
                    assert infos[j] == {}
                    continue
                final = infos[j]["terminal_observation"]
                np.testing.assert_array_equal(final, info["final_obs"][j])
                np.testing.assert_allclose(
                    final[position] * half_side, infos[j]["position"], rtol=1e-6
                )
                assert infos[j]["TimeLimit.truncated"] == (truncated[j] and not terminated[j])
                assert infos[j]["is_success"] == terminated[j]
                assert infos[j]["episode"]["l"] == length[j]
                assert infos[j]["episode"]["r"] == pytest.approx(earned[j])
                lengths.add(length[j])
                earned[j] = length[j] = 0
        assert partial
        assert LIMIT in lengths
        assert len(lengths) > 2

    def test_other_ways_to_begin_anew_are_refused(self):
        with pytest.raises(ValueError, match="SameStep"):
            NativeVecEnv(native(2, mode="NextStep"))

    def test_it_serves_sb3s_wrappers(self):
        n = 3
        venv = VecNormalize(
            VecMonitor(
                VecFrameStack(NativeVecEnv(native(n, max_episode_steps=4)), 2),
                info_keywords=("is_success", "distance"),
            )
        )
        assert venv.reset().shape == (n, *venv.observation_space.shape)
        for _ in range(4):
            seen, _, dones, infos = venv.step(np.zeros((n, *venv.action_space.shape)))
        assert seen.shape == (n, *venv.observation_space.shape)
        assert dones.all()
        assert infos[0]["episode"].keys() == {"r", "l", "t", "is_success", "distance"}
        assert infos[0]["terminal_observation"].shape == venv.observation_space.shape

    def test_a_seed_is_used_once(self):
        venv = NativeVecEnv(native(2))
        firsts = []
        for seed in (5, None, 5):
            if seed is not None:
                assert venv.seed(seed) == [5, 6]
            firsts.append(venv.reset())
        np.testing.assert_array_equal(firsts[0], firsts[2])
        assert (firsts[0] != firsts[1]).any()

    def test_options_reach_the_environment_once(self):
        venv = NativeVecEnv(native(3, observe="state"))
        venv.set_options({"start": [7.0, 2.0]})
        venv.reset()
        position = [info["position"] for info in venv.reset_infos]
        np.testing.assert_array_equal(position, [[7.0, 2.0]] * 3)
        venv.reset()
        assert (venv.reset_infos[0]["position"] != [7.0, 2.0]).any()
        venv.set_options([{"start": [7.0, 2.0]}, {}, {}])
        with pytest.raises(ValueError, match="share"):
            venv.reset()

    def test_attributes_and_methods_are_those_of_the_batch(self):
        venv = NativeVecEnv(native(3))
        assert venv.get_attr("max_episode_steps") == [50] * 3
        assert venv.get_attr("max_episode_steps", 1) == [50]
        venv.set_attr("max_episode_steps", 4)
        assert venv.env.max_episode_steps == 4
        with pytest.raises(ValueError, match="all trials"):
            venv.set_attr("max_episode_steps", 5, indices=[0])
        assert venv.env_method("render", indices=[0, 2]) == [None, None]
        assert venv.env_is_wrapped(gymnasium.wrappers.TimeLimit) == [False] * 3
        assert venv.has_attr("episodes")
        assert not venv.has_attr("nonsense")

    def test_pictures_are_tiled(self):
        venv = NativeVecEnv(native(2, render_mode="rgb_array"))
        venv.reset()
        one, two = venv.get_images()
        assert venv.render().shape == (2 * one.shape[0], one.shape[1], 3)
        assert (one != two).any()
        venv.close()


class TestScalarEnvironmentsInSB3:
    @pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric:UserWarning")
    @pytest.mark.parametrize("env_id", IDS)
    def test_sb3s_checker_accepts_every_id(self, env_id):
        check_env(gymnasium.make(env_id).unwrapped)

    def test_they_run_in_processes(self):
        venv = SubprocVecEnv([lambda: gymnasium.make("ndbmi_gym:ndbmi/ShiftTarget-v0")] * 2)
        venv.seed(0)
        first = venv.reset()
        seen, _, _, _ = venv.step(np.zeros((2, *venv.action_space.shape), np.float32))
        venv.close()
        assert first.shape == seen.shape == (2, *venv.observation_space.shape)
        assert (first[0] != first[1]).any()

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_each_process_keeps_one_core_busy_at_most(self):
        venv = SubprocVecEnv([lambda: gymnasium.make("ndbmi_gym:ndbmi/ShiftTarget-v0")] * 2)
        venv.reset()
        actions = np.full((2, *venv.action_space.shape), 0.5, np.float32)
        for _ in range(50):
            venv.step(actions)
        before, begun = [cpu_seconds(each.pid) for each in venv.processes], time.monotonic()
        n_steps = 0
        while n_steps < 200 or time.monotonic() - begun < 1:
            venv.step(actions)
            n_steps += 1
        wall = time.monotonic() - begun
        used = [cpu_seconds(each.pid) for each in venv.processes]
        venv.close()
        for (main_0, all_0), (main, all_) in zip(before, used, strict=True):
            assert all_ - all_0 <= 1.3 * wall
            # on a busy machine as well: nothing worth mentioning beside the thread that steps
            assert all_ - all_0 <= 1.3 * (main - main_0) + 0.05


def cpu_seconds(pid):
    """CPU time so far of a process: of its main thread, and of all threads."""

    def read(path):
        user, system = Path(path).read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    return read(f"/proc/{pid}/task/{pid}/stat"), read(f"/proc/{pid}/stat")


class TestCommandLine:
    def test_only_what_is_given_comes_back(self):
        assert parse(train.Settings, []) == {}
        line = "--algo sac --steps 5 --option observe=state --option animal=3 --resume"
        given = parse(train.Settings, line.split())
        assert given == {
            "algo": "sac",
            "steps": 5,
            "option": {"observe": "state", "animal": 3},
            "resume": True,
        }
        assert train.Settings(**given).minutes is None

    def test_several_values(self):
        line = "--policy a b --policy c --animals 0 1"
        given = parse(evaluate.Settings, line.split())
        assert given == {"policy": ("a", "b", "c"), "animals": (0, 1)}

    @pytest.mark.parametrize("line", ["--algo dqn", "--option observe", "--steps x", "--nonsense"])
    def test_nonsense_is_refused(self, line, capsys):
        with pytest.raises(SystemExit):
            parse(train.Settings, line.split())
        assert line.split()[0].removeprefix("--") in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("program", "line", "text"),
        [
            (train, "--env ndbmi/Nope-v0", "Nope"),
            (train, "--env CartPole-v1", "CartPole-v1"),
            (train, "--option datset=6", "unknown option 'datset'"),
            (train, "--option num_envs=6", "num_envs"),
            (train, "--hyper gama=0.9", "'gama': choose from gamma"),
            (train, "--hyper seed=1", "'seed'"),
            (train, "--hyper n_epochs=1 --algo sac", "sac has no hyper-parameter 'n_epochs'"),
            (train, '--hyper policy_kwargs={"net":[1]}', "hyper-parameters of ppo: .*'net'"),
            (train, '--hyper policy_kwargs={"activation_fn":"Tan"}', "'Tan'"),
            (train, "--minutes 0", "minutes = 0.0"),
            (evaluate, "--env ndbmi/Nope-v0", "Nope"),
            (evaluate, "--option datset=6", "unknown option 'datset'"),
            (evaluate, "--episodes 0", "episodes = 0"),
            (evaluate, "--threads 0", "threads = 0"),
            (demo, "--minutes 0", "minutes = 0.0"),
            (demo, "--episodes 0", "episodes = 0"),
        ],
    )
    def test_what_cannot_be_done_is_said_in_one_line(self, program, line, text, tmp_path):
        out = tmp_path / "out"
        with pytest.raises(SystemExit, match=f"^error: .*{text}"):
            program.main([*line.split(), "--out", str(out)])
        assert not out.exists()

    @pytest.mark.parametrize("program", [train.Settings, evaluate.Settings, demo.Settings])
    def test_help_describes_every_setting(self, program, capsys):
        with pytest.raises(SystemExit):
            parse(program, ["--help"])
        text = capsys.readouterr().out
        for each in dataclasses.fields(program):
            assert "--" + each.name.replace("_", "-") in text


class TestHyperparams:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "hyper.json"
        sections = {
            "default": {"gamma": 0.9, "n_envs": 2, "policy_kwargs": {"a": 1, "b": 2}},
            "state": {"gamma": 0.8, "policy_kwargs": {"b": 3}},
            "ndbmi/HoldTarget-v0": {"n_envs": 4},
            "ndbmi/HoldTarget-v0 state": {"n_envs": 8},
        }
        path.write_text(json.dumps(sections))
        return str(path)

    def test_later_sections_change_earlier_ones(self, file):
        def read(**given):
            return train.read_hyperparams(train.Settings(hyperparams=file, **given))

        plain = {"gamma": 0.9, "n_envs": 2, "policy_kwargs": {"a": 1, "b": 2}}
        assert read() == plain
        assert read(hyper={"n_envs": 3}) == plain | {"n_envs": 3}
        assert read(env="ndbmi/HoldTarget-v0")["n_envs"] == 4
        state = read(env="ndbmi/HoldTarget-v0", option={"observe": "state"})
        assert state == {"gamma": 0.8, "n_envs": 8, "policy_kwargs": {"a": 1, "b": 3}}

    @pytest.mark.parametrize("algo", runs.ALGORITHMS)
    def test_the_files_make_models(self, algo):
        settings = train.Settings(algo=algo)
        hyper = train.read_hyperparams(settings)
        model, venv = train._model(settings, {"hyperparams": hyper})
        assert model.gamma == hyper["gamma"]
        assert venv.num_envs == hyper["n_envs"]

    def test_only_what_can_change_over_a_run_may(self):
        with pytest.raises(ValueError, match="gamma"):
            train._schedules({"gamma": {"linear": [1, 0]}})


def quick(tmp_path, **changes):
    """Settings of a run that takes seconds."""
    given = {"steps": 512, "hyper": QUICK, "out": str(tmp_path / "run"), "label": "quick"}
    return train.Settings(**(given | changes))


def interrupt_after(monkeypatch, steps):
    """Press Ctrl-C once a run has come so far."""
    original = train.Recorder._on_step

    def on_step(self):
        if self.num_timesteps >= steps:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(train.Recorder, "_on_step", on_step)


class TestTraining:
    @pytest.mark.parametrize(
        ("algo", "hyper"),
        [
            ("ppo", QUICK),
            ("sac", QUICK_SAC),
            ("recurrent_ppo", QUICK | {"policy_kwargs": {"lstm_hidden_size": 8}}),
        ],
    )
    def test_a_run_leaves_a_model_that_acts(self, algo, hyper, tmp_path, monkeypatch):
        monkeypatch.setattr(train, "_ROW_STEPS", 200)
        settings = quick(tmp_path, algo=algo, hyper=hyper)
        assert train.train(settings)
        config = runs.read_config(settings.folder)
        assert config["finished"]
        assert config["steps"] >= 512
        assert config["seconds"] > 0
        assert config["settings"] == dataclasses.asdict(settings)
        assert config["hyperparams"]["n_envs"] == hyper["n_envs"]
        assert config["versions"]["stable-baselines3"]
        with (settings.folder / runs.PROGRESS).open() as file:
            header, *rows = csv.reader(file)
        assert tuple(header) == train.COLUMNS
        assert rows
        assert not list(settings.folder.glob(".*"))

        env = native(5, settings.env, mode="NextStep")
        agent = Agent(settings.folder)
        agent.check(env)
        action, state = agent.predict(env.reset(seed=0)[0], deterministic=True)
        assert env.action_space.contains(action)
        action, _ = agent.predict(env.step(action)[0], state, np.zeros(5, bool))
        assert env.action_space.contains(action)
        blind = native(5, settings.env, mode="NextStep", observe="state")
        with pytest.raises(ValueError, match=r"sees 20 .* shows 15: .*--env ndbmi/ShiftTargetCurl"):
            agent.check(blind)
        signed = native(5, settings.env, mode="NextStep", volition="signed")
        with pytest.raises(ValueError, match=r"from 0 to 1, .* takes 9 numbers from -1 to 1: "):
            agent.check(signed)
        agent.check(native(5, settings.env, mode="NextStep", animal=3))
        with pytest.raises(ValueError, match=r"sees entry 0 from 0 to .*, the environment shows"):
            agent.check(native(5, settings.env, mode="NextStep", max_rate_hz=20.0))

    def test_a_wall_clock_budget_ends_a_run(self, tmp_path):
        linear = QUICK | {"learning_rate": {"linear": [1e-3, 1e-4]}}
        settings = quick(tmp_path, steps=None, minutes=0.02, hyper=linear)
        assert train.train(settings)
        assert runs.read_config(settings.folder)["finished"]

    def test_schedules_follow_the_budget(self, tmp_path, monkeypatch):
        rates = []

        class Watched(train.Recorder):
            def _on_rollout_end(self):
                super()._on_rollout_end()
                rates.append(self.model.lr_schedule(1.0))

        monkeypatch.setattr(train, "Recorder", Watched)
        linear = QUICK | {"learning_rate": {"linear": [1e-3, 2e-4]}}
        train.train(quick(tmp_path, hyper=linear))
        np.testing.assert_allclose(rates, [6e-4, 2e-4])

    @pytest.mark.parametrize("algo", ["ppo", "sac"])
    def test_an_interrupted_run_goes_on(self, algo, tmp_path, monkeypatch, capsys):
        hyper = QUICK_SAC if algo == "sac" else QUICK
        settings = quick(tmp_path, algo=algo, hyper=hyper, steps=2048)
        monkeypatch.setattr(train, "_ROW_STEPS", 200)
        with monkeypatch.context() as patch:
            interrupt_after(patch, 1024)
            assert not train.train(settings)
        assert f"--resume --out {settings.out}" in capsys.readouterr().out
        halfway = runs.read_config(settings.folder)
        assert not halfway["finished"]
        assert 0 < halfway["steps"] < 2048
        if algo == "sac":
            model, _ = train._model(dataclasses.replace(settings, resume=True), halfway)
            assert model.replay_buffer.size() > 0

        assert train.main(["--resume", "--out", settings.out]) == 0
        config = runs.read_config(settings.folder)
        assert config["finished"]
        assert config["steps"] >= 2048
        assert config["seconds"] > halfway["seconds"]
        with (settings.folder / runs.PROGRESS).open() as file:
            steps = [int(row[0]) for row in list(csv.reader(file))[1:]]
        assert all(a < b for a, b in pairwise(steps))
        assert train.main(["--resume", "--out", settings.out]) == 0
        assert "finished" in capsys.readouterr().out

    def test_the_minutes_of_earlier_sessions_count(self, tmp_path, monkeypatch):
        settings = quick(tmp_path, steps=None, minutes=1.0)
        with monkeypatch.context() as patch:
            interrupt_after(patch, 512)
            assert not train.train(settings)
        halfway = runs.read_config(settings.folder)
        assert halfway["seconds"] < 60
        # as if the first session had taken almost all of the minute
        write_json(settings.folder / runs.CONFIG, halfway | {"seconds": 59.5})
        begun = time.monotonic()
        line = ["--resume", "--out", settings.out]
        assert train.main([*line, "--minutes", "1"]) == 0
        assert time.monotonic() - begun < 30
        config = runs.read_config(settings.folder)
        assert config["finished"]
        assert config["seconds"] >= 60
        assert config["steps"] > halfway["steps"]
        with pytest.raises(SystemExit, match=r"--minutes 2\.0 contradicts"):
            train.main([*line, "--minutes", "2"])

    def test_a_run_goes_on_only_as_it_was_set(self, tmp_path):
        settings = quick(tmp_path)
        train._clear(settings.folder, overwrite=False)
        write_json(settings.folder / runs.CONFIG, {"settings": dataclasses.asdict(settings)})
        given = {"resume": True, "out": settings.out}
        assert train.resumed(given | {"threads": 2, "steps": 512}).threads == 2
        with pytest.raises(ValueError, match="contradicts"):
            train.resumed(given | {"seed": 1})
        with pytest.raises(SystemExit, match="--seed 1 contradicts"):
            train.main(["--resume", "--out", settings.out, "--seed", "1"])
        with pytest.raises(SystemExit, match="holds no run"):
            train.main(["--resume", "--out", str(tmp_path / "none")])
        with pytest.raises(SystemExit, match="--out"):
            train.main(["--resume"])

    def test_what_came_after_the_last_checkpoint_is_dropped(self, tmp_path):
        path = tmp_path / runs.PROGRESS
        assert train._rows_until(10, path) == []
        path.write_text("steps,success\n5,0.1\n10,0.2\n15,0.3\n")
        assert train._rows_until(10, path) == [["5", "0.1"], ["10", "0.2"]]

    def test_a_run_is_not_replaced_by_accident(self, tmp_path):
        settings = quick(tmp_path)
        train._clear(settings.folder, overwrite=False)
        write_json(settings.folder / runs.CONFIG, {})
        with pytest.raises(FileExistsError, match="--overwrite"):
            train.train(settings)
        train._clear(settings.folder, overwrite=True)
        assert not (settings.folder / runs.CONFIG).exists()

    @pytest.mark.parametrize(
        "given", [{"algo": "dqn"}, {"steps": 1, "minutes": 1.0}, {"steps": 0}, {"threads": 0}]
    )
    def test_bad_settings_are_refused(self, given):
        with pytest.raises(ValueError, match=next(iter(given))):
            train.Settings(**given)

    def test_a_policy_and_training_stack_frames_alike(self, tmp_path):
        n, frames = 4, 3
        settings = quick(tmp_path, hyper=QUICK | {"frame_stack": frames}, steps=256)
        train.train(settings)
        agent = Agent(settings.folder)
        shown = []
        predict = agent._model.predict
        agent._model.predict = lambda seen, *rest: (shown.append(seen), predict(seen, *rest))[1]

        stacked = make_venv("ndbmi/FixedField-v0", {}, n, frames, max_episode_steps=3)
        plain = make_venv("ndbmi/FixedField-v0", {}, n, max_episode_steps=3)
        state, dones = None, np.ones(n, bool)
        for venv in (stacked, plain):
            venv.seed(0)
        both = stacked.reset(), plain.reset()
        for _ in range(8):
            action, state = agent.predict(both[1], state, dones)
            np.testing.assert_array_equal(shown[-1], both[0])
            both = stacked.step(action)[0], None
            seen, _, dones, _ = plain.step(action)
            both = both[0], seen


class Durations:
    """An environment whose trial i lasts i + 1 steps, then 1 step each; it earns 1 per step."""

    def __init__(self, n, dwell=1):
        self.num_envs = n
        self.episodes = SimpleNamespace(task=SimpleNamespace(dwell=dwell))

    def reset(self, seed=None):
        self.left = np.arange(1, self.num_envs + 1)
        self.fresh = np.zeros(self.num_envs, bool)
        self.starts = [np.ones(self.num_envs, bool)]
        return np.zeros((self.num_envs, 1)), {}

    def step(self, action):
        self.left = np.where(self.fresh, 1, self.left - 1)
        self.starts.append(self.fresh)
        ended = (self.left == 0) & ~self.fresh
        self.fresh = ended
        nothing = np.zeros(self.num_envs, bool)
        odd = np.arange(self.num_envs) % 2 == 1
        info = {"inside": ended, "effort": action[:, 0], "is_success": ended & odd}
        return np.zeros((self.num_envs, 1)), np.ones(self.num_envs), ended, nothing, info


class Watcher:
    def __init__(self):
        self.begun = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.begun.append(episode_start)
        return np.full((len(observation), 1), 0.5), state


class TestMeasures:
    def test_every_trial_counts_once_however_long_it_takes(self):
        n = 7
        env, watcher = Durations(n), Watcher()
        found = evaluate.measure(env, watcher, seed=0)
        score, success, earned, effort, steps = found
        expected = np.arange(1, n + 1)
        np.testing.assert_array_equal(steps, expected)
        np.testing.assert_array_equal(score, expected)
        np.testing.assert_array_equal(earned, expected)
        np.testing.assert_array_equal(effort, 0.5)
        np.testing.assert_array_equal(success, np.arange(n) % 2)

    def test_policies_are_told_when_trials_begin(self):
        env, watcher = Durations(5), Watcher()
        evaluate.measure(env, watcher, seed=0)
        np.testing.assert_array_equal(watcher.begun, env.starts[:-1])

    def test_holding_is_judged_by_the_last_steps(self):
        n = 30
        score, *_ = evaluate.measure(Durations(n, dwell=0), Watcher(), seed=0)
        # the longest trial is inside in its very last step only
        assert score[-1] == pytest.approx(1 / 25)

    def test_all_policies_meet_the_same_trials(self):
        env = native(16, "ndbmi/ShiftTarget-v0", mode="NextStep")
        places = []
        for name in ("zero", "eq24"):
            evaluate.measure(env, evaluate.make_policy(name, env), seed=4)
            env.reset(seed=4)
            places.append((env.episodes.state.position, env.episodes.target))
        np.testing.assert_array_equal(*[place[0] for place in places])
        np.testing.assert_array_equal(*[place[1] for place in places])

    def test_a_miss_takes_all_steps(self):
        env = native(64, "ndbmi/ShiftTarget-v0", mode="NextStep")
        score, success, _, effort, _ = evaluate.measure(env, evaluate.make_policy("eq24", env), 0)
        assert (score[success == 0] == 25).all()
        assert (score[success == 1] >= 2).all()
        assert 0 < success.mean() < 1
        assert ((effort > 0) & (effort < 1)).all()


class TestIntervals:
    def test_they_cover_the_mean_as_often_as_they_say(self):
        rng = np.random.default_rng(0)
        hits = []
        for seed in range(300):
            sample = rng.exponential(size=(1, 1, 100))
            low, high = interval(Bootstrap(1, 100, n_resamples=500, seed=seed).means(sample))
            hits.append(low <= 1 <= high)
        assert 0.90 <= np.mean(hits) <= 0.98

    def test_they_cover_the_mean_over_runs_and_episodes(self):
        rng = np.random.default_rng(1)
        hits = []
        for seed in range(300):
            sample = rng.normal(size=(10, 1, 1)) + rng.normal(size=(1, 1, 30))
            sample = sample + rng.normal(size=(10, 1, 30))
            low, high = interval(Bootstrap(1, 30, n_resamples=500, seed=seed).means(sample))
            hits.append(low <= 0 <= high)
        assert 0.88 <= np.mean(hits) <= 0.99

    def test_subjects_are_not_resampled(self):
        sample = np.broadcast_to([[[0.0], [10.0]]], (1, 2, 50))
        np.testing.assert_allclose(Bootstrap(2, 50).means(sample), 5.0)

    def test_policies_are_compared_on_common_trials(self):
        hard = np.random.default_rng(2).normal(size=(1, 1, 200))
        bootstrap = Bootstrap(1, 200)
        np.testing.assert_allclose(bootstrap.means(hard + 1) - bootstrap.means(hard), 1.0)


class TestTable:
    def trials(self, **scores):
        rng = np.random.default_rng(0)
        noise = rng.normal(size=(1, 1, 400))
        found = {}
        for label, score in scores.items():
            runs_of_it = np.reshape(score, (-1, 1, 1)) + noise
            names = ("score", "success", "return", "effort")
            found[label] = dict.fromkeys(names, runs_of_it)
        return found

    def test_scores_are_normalised_from_floor_to_ceiling(self):
        rows = evaluate.tabulate(self.trials(zero=25, eq24=20, mine=[15, 17], ceiling=5))
        by_name = {row["policy"]: row for row in rows}
        assert list(by_name) == ["zero", "eq24", "mine", "ceiling"]
        assert by_name["zero"]["normalised"] == pytest.approx([0, 0, 0])
        assert by_name["ceiling"]["normalised"] == pytest.approx([1, 1, 1])
        assert by_name["eq24"]["normalised"] == pytest.approx([0.25] * 3)  # common noise cancels
        mean, low, high = by_name["mine"]["normalised"]
        assert mean == pytest.approx(9 / 20)
        assert (low, high) == pytest.approx((0.40, 0.50))
        assert by_name["mine"]["runs"] == 2
        assert by_name["zero"]["score"][1] < 25 < by_name["zero"]["score"][2]

    def test_above_the_ceiling_is_above_one(self):
        rows = evaluate.tabulate(self.trials(zero=0.0, mine=1.2, ceiling=1.0))
        assert rows[1]["normalised"][0] == pytest.approx(1.2)

    def test_there_is_no_scale_where_floor_and_ceiling_agree(self):
        rows = evaluate.tabulate(self.trials(zero=1.0, ceiling=1.0))
        assert all(row["normalised"] is None for row in rows)
        unscored = evaluate.tabulate(self.trials(zero=2.0, ceiling=1.0), scored=False)
        assert all(row["normalised"] is None for row in unscored)
        text = evaluate.format_table({"score": "steps to arrival", "table": rows})
        assert "–" in text
        assert len({len(line) for line in text.splitlines()}) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two runs that differ in their seed, and an evaluation of both."""
    folder = tmp_path_factory.mktemp("evaluation")
    named = []
    for seed in range(2):
        settings = quick(folder, steps=256, seed=seed, out=str(folder / f"run{seed}"))
        train.train(settings)
        named.append(settings.out)
    settings = evaluate.Settings(
        policy=("random", *named),
        episodes=20,
        animals=(0, 1),
        figure=True,
        video=True,
        out=str(folder / "results"),
    )
    data = evaluate.evaluate(settings)
    return settings, data, evaluate.save(data, settings)


class TestEvaluation:
    def test_floor_command_and_ceiling_are_always_there(self, finished):
        _, data, _ = finished
        assert [row["policy"] for row in data["table"]] == [
            "zero",
            "eq24",
            "random",
            "quick",
            "ceiling",
        ]

    def test_runs_of_one_label_are_pooled(self, finished):
        _, data, _ = finished
        row = data["table"][3]
        trials = np.array(data["trials"]["quick"]["score"])
        assert row["runs"] == 2
        assert trials.shape == (2, 2, 20)
        assert row["score"][0] == pytest.approx(trials.mean(), abs=1e-3)

    def test_the_saved_file_is_what_was_found(self, finished):
        _, data, files = finished
        loaded = json.loads(files[0].read_text())
        assert loaded["table"] == data["table"]
        assert loaded["trials"] == data["trials"]
        assert loaded["env"] == "ndbmi/ShiftTargetCurl-v0"
        assert loaded["settings"]["episodes"] == 20
        assert loaded["versions"]["numpy"]

    def test_trajectories_share_starts_and_targets(self, finished):
        _, data, _ = finished
        trials = data["scene"]["trials"]
        assert len({tuple(trial["target"]) for trial in trials}) == 2
        for walked in data["paths"].values():
            for path, trial in zip(walked, trials, strict=True):
                assert path["path"][0] == trial["start"]
                assert 2 < len(path["path"]) <= 26

    def test_table_figure_and_film_are_written(self, finished):
        _, data, files = finished
        assert [path.name for path in files] == [
            "evaluation.json",
            "table.md",
            "trajectories.png",
            "agent.mp4",
        ]
        assert all(path.stat().st_size > 500 for path in files)
        assert evaluate.format_table(data) in files[1].read_text()

    def test_the_same_seed_gives_the_same_results(self):
        settings = evaluate.Settings(episodes=10, seed=5)
        first, second = evaluate.evaluate(settings), evaluate.evaluate(settings)
        assert first == second

    def test_what_is_no_policy_is_refused(self, tmp_path):
        with pytest.raises(SystemExit, match="holds no run"):
            evaluate.main(["--policy", str(tmp_path)])

    def test_an_agent_must_not_pose_as_a_baseline(self, finished, tmp_path):
        settings, _, _ = finished
        source = runs.Path(settings.policy[1])
        config = runs.read_config(source)
        config["settings"]["label"] = "ceiling"
        (tmp_path / runs.MODEL).write_bytes((source / runs.MODEL).read_bytes())
        write_json(tmp_path / runs.CONFIG, config)
        with pytest.raises(ValueError, match="baseline"):
            evaluate.line_up([str(tmp_path)])


def like(folder, original, hyper=(), **changes):
    """A run as another one, but for some settings and hyper-parameters."""
    config = runs.read_config(Path(original))
    config["settings"] |= changes
    config["hyperparams"] |= dict(hyper)
    folder.mkdir()
    (folder / runs.MODEL).write_bytes((Path(original) / runs.MODEL).read_bytes())
    write_json(folder / runs.CONFIG, config)
    return str(folder)


class TestLineup:
    @pytest.fixture
    def run(self, finished):
        settings, _, _ = finished
        return settings.policy[1]

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"hyper": {"gamma": 0.5}}, "gamma as 0.95, where it is 0.5 in"),
            ({"hyper": {"ent_coef": 0.1}}, "ent_coef as not set, where it is 0.1 in"),
            ({"env": "ndbmi/HoldTarget-v0"}, "env as 'ndbmi/ShiftTargetCurl-v0', where"),
            ({"option": {"dataset": 5}}, "option as {}, where"),
        ],
    )
    def test_only_repetitions_are_pooled(self, run, tmp_path, changes, text):
        other = like(tmp_path / "other", run, **changes)
        with pytest.raises(ValueError, match="label 'quick'.*" + text):
            evaluate.line_up([run, other])
        apart = like(tmp_path / "apart", other, label="other")
        assert list(evaluate.line_up([run, apart]))[2:4] == ["quick", "other"]

    def test_repetitions_may_differ_in_how_they_were_run(self, run, tmp_path):
        changes = {"seed": 7, "minutes": 1.0, "steps": None, "threads": 2, "tensorboard": True}
        other = like(tmp_path / "other", run, **changes)
        assert len(evaluate.line_up([run, other])["quick"]) == 2

    def place(self, *policies, **changes):
        settings = evaluate.Settings(policy=policies, **changes)
        return evaluate._place(settings, evaluate.line_up(policies))

    def test_options_are_those_of_the_training_on_that_environment(self, run, tmp_path):
        option = {"max_rate_hz": 50.0, "animal": 2}
        other = like(tmp_path / "other", run, option=option)
        curl, hold = "ndbmi/ShiftTargetCurl-v0", "ndbmi/HoldTarget-v0"
        assert self.place() == (evaluate.DEFAULT_ENV, {})
        assert self.place(other) == (curl, option)
        assert self.place(other, env=curl) == (curl, option)
        assert self.place(other, env=hold) == (hold, {})
        assert self.place(other, option={"animal": 3}) == (curl, option | {"animal": 3})
        assert self.place(other, animals=(4, 5)) == (curl, option | {"animal": 4})

    def test_runs_of_several_places_leave_the_place_open(self, run, tmp_path):
        hold = "ndbmi/HoldTarget-v0"
        elsewhere = like(tmp_path / "elsewhere", run, label="elsewhere", env=hold)
        with pytest.raises(ValueError, match=f"on several environments.*{hold}.*--env"):
            self.place(run, elsewhere)
        assert self.place(run, elsewhere, env=hold) == (hold, {})
        otherwise = like(tmp_path / "otherwise", run, label="otherwise", option={"animal": 1})
        with pytest.raises(ValueError, match=r"animal as not set, where it is 1 .*--option"):
            self.place(run, otherwise)
        for changes in ({"option": {"animal": 1}}, {"animals": (1,)}):
            assert self.place(run, otherwise, **changes)[1] == {"animal": 1}


class TestDemo:
    def test_it_leaves_everything_in_one_folder(self, tmp_path, capsys):
        out = str(tmp_path / "demo")
        assert demo.main(["--minutes", "0.02", "--episodes", "10", "--out", out]) == 0
        names = {path.name for path in (tmp_path / "demo").iterdir()}
        assert {runs.MODEL, evaluate.DATA, evaluate.FIGURE, evaluate.VIDEO} <= names
        assert "| ceiling" in capsys.readouterr().out


@pytest.mark.slow
class TestLearning:
    """What a minute of training is good for, by steps so that the machine does not matter."""

    def learn(self, tmp_path, **changes):
        """Rows of the table by label, after training."""
        out = str(tmp_path / "run")
        assert train.train(train.Settings(steps=1_200_000, out=out, label="agent", **changes))
        data = evaluate.evaluate(evaluate.Settings(policy=(out,), episodes=1000))
        return {row["policy"]: row for row in data["table"]}

    def test_an_agent_that_sees_the_state_comes_close_to_the_ceiling(self, tmp_path):
        rows = self.learn(tmp_path, env="ndbmi/HoldTarget-v0", option={"observe": "state"})
        assert rows["agent"]["normalised"][0] >= 0.95

    def test_an_agent_that_sees_spikes_beats_the_papers_command(self, tmp_path):
        rows = self.learn(tmp_path, env="ndbmi/ShiftTargetCurl-v0")
        assert rows["agent"]["score"][2] < rows["eq24"]["score"][1]
