import csv
import dataclasses
import json
import time
from itertools import pairwise

import numpy as np
import pytest
from quick_runs import QUICK, QUICK_SAC, interrupt_after, native, quick

from agents import evaluate, progress, recorder, runs, train
from agents.runs import Agent, make_venv
from ndbmi_gym.files import write_json


class TestHyperparams:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "hyper.json"
        sections = {
            "default": {"gamma": 0.9, "n_envs": 2, "policy_kwargs": {"a": 1, "b": 2}},
            "state": {"gamma": 0.8, "policy_kwargs": {"b": 3}},
            "ndbmi/HoldTarget-v1": {"n_envs": 4},
            "ndbmi/HoldTarget-v1 state": {"n_envs": 8},
        }
        path.write_text(json.dumps(sections))
        return str(path)

    def test_later_sections_change_earlier_ones(self, file):
        def read(**given):
            return train.read_hyperparams(train.Settings(hyperparams=file, **given))

        plain = {"gamma": 0.9, "n_envs": 2, "policy_kwargs": {"a": 1, "b": 2}}
        assert read() == plain
        assert read(hyper={"n_envs": 3}) == plain | {"n_envs": 3}
        assert read(env="ndbmi/HoldTarget-v1")["n_envs"] == 4
        state = read(env="ndbmi/HoldTarget-v1", option={"observe": "state"})
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
            recorder.schedules({"gamma": {"linear": [1, 0]}})


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
        monkeypatch.setattr(recorder, "_ROW_STEPS", 200)
        # 64 steps or more in each place, so that the first trials have ended, of at most 50
        settings = quick(tmp_path, algo=algo, hyper=hyper, steps=1024)
        assert train.train(settings)
        config = runs.read_config(settings.folder)
        assert config["finished"]
        assert config["steps"] >= 1024
        assert config["seconds"] > 0
        assert config["settings"] == dataclasses.asdict(settings)
        assert config["hyperparams"]["n_envs"] == hyper["n_envs"]
        assert config["versions"]["stable-baselines3"]
        with (settings.folder / runs.PROGRESS).open() as file:
            header, *rows = csv.reader(file)
        assert tuple(header) == progress.COLUMNS
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

        class Watched(recorder.Recorder):
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
        monkeypatch.setattr(recorder, "_ROW_STEPS", 200)
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
        line = ["--resume", "--out", settings.out]
        with pytest.raises(SystemExit, match=r"--minutes 2\.0 contradicts"):
            train.main([*line, "--minutes", "2"])
        # as if the first session had taken almost all of the minute
        write_json(settings.folder / runs.CONFIG, halfway | {"seconds": 59.5})
        begun = time.monotonic()
        assert train.main([*line, "--minutes", "1"]) == 0
        assert time.monotonic() - begun < 30
        config = runs.read_config(settings.folder)
        assert config["finished"]
        assert config["seconds"] >= 60
        assert config["steps"] > halfway["steps"]

    def test_a_run_goes_on_only_as_it_was_set(self, tmp_path):
        settings = quick(tmp_path, steps=256)
        train.train(settings)
        config = runs.read_config(settings.folder)
        write_json(settings.folder / runs.CONFIG, config | {"finished": False})
        given = {"resume": True, "out": settings.out}
        assert train.resumed(given | {"threads": 2, "steps": 256}).threads == 2
        with pytest.raises(ValueError, match=r"--steps 512 contradicts .*to be added"):
            train.resumed(given | {"steps": 512})
        with pytest.raises(SystemExit, match="--seed 1 contradicts"):
            train.main(["--resume", "--out", settings.out, "--seed", "1"])
        with pytest.raises(SystemExit, match="holds no run"):
            train.main(["--resume", "--out", str(tmp_path / "none")])
        assert not (tmp_path / "none").exists()
        with pytest.raises(SystemExit, match="--out"):
            train.main(["--resume"])
        config["settings"]["nonsense"] = 1
        write_json(settings.folder / runs.CONFIG, config)
        with pytest.raises(SystemExit, match=r"of another version .*nonsense.*--warm-start"):
            train.main(["--resume", "--out", settings.out])

    def test_a_finished_run_goes_on_if_there_is_more_to_spend(self, tmp_path, monkeypatch):
        rates = []

        class Watched(recorder.Recorder):
            def _on_rollout_end(self):
                super()._on_rollout_end()
                rates.append(self.model.lr_schedule(1.0))

        monkeypatch.setattr(train, "Recorder", Watched)
        linear = QUICK | {"learning_rate": {"linear": [1e-3, 1e-4]}}
        settings = quick(tmp_path, steps=512, hyper=linear)
        train.train(settings)
        line = ["--resume", "--out", settings.out]
        assert train.main([*line, "--steps", "512"]) == 0
        config = runs.read_config(settings.folder)
        assert config["finished"]
        assert config["steps"] == config["settings"]["steps"] == 1024
        # what has come down over the first budget stays down
        np.testing.assert_allclose(rates, [5.5e-4, 1e-4, 1e-4, 1e-4])
        assert train.main([*line, "--minutes", "0.01"]) == 0
        config = runs.read_config(settings.folder)
        assert config["steps"] > 1024
        assert config["settings"]["steps"] is None
        with pytest.raises(SystemExit, match="steps = -1"):
            train.main([*line, "--steps", "-1"])

    def test_what_came_after_the_last_checkpoint_is_dropped(self, tmp_path):
        path = tmp_path / runs.PROGRESS
        assert progress._rows_until(10, path) == []
        path.write_text("steps,success\n5,0.1\n10,0.2\n15,0.3\n")
        assert progress._rows_until(10, path) == [["5", "0.1"], ["10", "0.2"]]

    def test_a_run_is_not_replaced_by_accident(self, tmp_path):
        settings = quick(tmp_path, steps=256)
        train.train(settings)
        with pytest.raises(FileExistsError, match="--overwrite"):
            train.train(settings)
        assert train.train(quick(tmp_path, steps=256, overwrite=True, seed=7))
        assert runs.read_config(settings.folder)["settings"]["seed"] == 7

    def test_trainings_meet_other_trials_than_each_other_and_evaluation(self, tmp_path):
        def seeds(settings, config):
            _, venv = train._model(settings, config)
            venv.reset()
            found = venv.unwrapped.env.unwrapped.np_random_seed
            assert len(set(found)) == venv.num_envs == QUICK["n_envs"]
            return set(found)

        evaluation = set(range(1000, 2000))  # of agents.evaluate by default
        met = evaluation.copy()
        for seed in range(3):
            settings = quick(tmp_path, seed=seed, out=str(tmp_path / f"{seed}"), steps=256)
            new = {"hyperparams": train.read_hyperparams(settings)}
            own = seeds(settings, new)
            assert own == seeds(settings, new)  # a seed fixes them
            assert train.train(settings)
            again = seeds(dataclasses.replace(settings, resume=True), new)
            assert not own & met
            assert not again & (met | own)
            met |= own | again
        assert len(met) == len(evaluation) + 6 * QUICK["n_envs"]

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
        model = agent._actor.actor
        predict = model.predict
        model.predict = lambda seen, *rest: (shown.append(seen), predict(seen, *rest))[1]

        stacked = make_venv("ndbmi/FixedField-v1", {}, n, frames, max_episode_steps=3)
        plain = make_venv("ndbmi/FixedField-v1", {}, n, max_episode_steps=3)
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
        rows = self.learn(tmp_path, env="ndbmi/HoldTarget-v1", option={"observe": "state"})
        assert rows["agent"]["normalised"][0] >= 0.95

    def test_an_agent_that_sees_spikes_beats_the_papers_command(self, tmp_path):
        rows = self.learn(tmp_path, env="ndbmi/ShiftTargetCurl-v1")
        assert rows["agent"]["score"][0] < rows["eq24"]["score"][1]
