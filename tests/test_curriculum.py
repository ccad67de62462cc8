import json
import signal
import subprocess
import sys
import time

import pytest
from quick_runs import interrupt_after, quick

from agents import curriculum, runs, train
from agents.recorder import Recorder
from ndbmi_gym.config import Config

STAGES = [
    {"from": 0, "option": {"effort_weight": 0.1, "radius_cm": 2.5}},
    {"from": 0.5, "option": {"task": "hold", "perturbation": {"curl": 0.3}}},
    {"from": 1900, "option": {"push": [-1.0, 1.0]}},
]


@pytest.fixture
def taken(monkeypatch):
    """Configuration of the batch that learns, by the number of steps so far."""
    found, follow = {}, Recorder.follow_curriculum

    def watched(self):
        follow(self)
        found[self.model.num_timesteps] = self.training_env.get_attr("episodes")[0].config

    monkeypatch.setattr(Recorder, "follow_curriculum", watched)
    return found


class TestStages:
    def test_later_ones_add_to_earlier_ones(self):
        first = STAGES[0]["option"]
        assert curriculum.options_at(STAGES, 0.0, 0) == first
        assert curriculum.options_at(STAGES, 0.49, 100) == first
        both = first | STAGES[1]["option"]
        assert curriculum.options_at(STAGES, 0.5, 1899) == both
        assert curriculum.options_at(STAGES, 0.9, 1900) == both | {"push": [-1.0, 1.0]}

    def test_all_that_may_be_reached_is_known(self):
        first, second, third = (stage["option"] for stage in STAGES)
        together = [first, first | third, first | second, first | second | third]
        assert curriculum.reachable(STAGES) == together
        assert curriculum.reachable([]) == []

    @pytest.mark.parametrize(
        ("stages", "text"),
        [
            ({}, "no list of stages"),
            ([{"from": 0}], "not just 'from' and 'option'"),
            ([{"from": 0, "option": {"a": 1}, "to": 1}], "not just 'from' and 'option'"),
            ([{"from": "half", "option": {"a": 1}}], "'half': give a share"),
            ([{"from": -1, "option": {"a": 1}}], "-1: give a share"),
            ([{"from": True, "option": {"a": 1}}], "True: give a share"),
            ([{"from": 0, "option": {}}], "option = {}"),
        ],
    )
    def test_nonsense_is_refused(self, stages, text):
        with pytest.raises(ValueError, match=text):
            curriculum.checked(stages)

    @pytest.mark.parametrize(
        "options",
        [
            {"preset": "paper", "task": "fixed"},
            {"effort_weight": 0.2, "perturbation": {"curl": [-0.5, 0.5]}},
            {"perturbation": {"law": "test_curriculum:breeze"}},
        ],
    )
    def test_the_original_can_be_had_again(self, options):
        config = Config.of(**options)
        changed = config.change(task={"kind": "shift", "radius_cm": 0.7})
        assert changed.change(**curriculum.original(config)) == config


def breeze(position, velocity):
    return 0.01 * position


class TestTraining:
    def test_stages_are_taken_between_rollouts(self, tmp_path, taken):
        train.train(quick(tmp_path, steps=2048, curriculum=STAGES))
        # 256 steps a rollout: the last stage is reached by the end of the run alone
        assert list(taken) == list(range(0, 2048, 256))
        first, second = taken[0], taken[1024]
        assert [taken[steps] for steps in range(0, 1024, 256)] == [first] * 4
        assert [taken[steps] for steps in range(1024, 2048, 256)] == [second] * 4
        options = STAGES[0]["option"]
        assert first.task == Config.of(task="shift", **options).task
        assert second.task == Config.of(task="hold", **options).task
        assert second.perturbation == Config.of(perturbation={"curl": 0.3}).perturbation
        assert first.perturbation != second.perturbation
        assert runs.read_config(tmp_path / "run")["settings"]["curriculum"] == STAGES

    @pytest.mark.parametrize("halt", [512, 1280, 2048])
    def test_a_resumed_run_is_where_a_continuous_one_is(self, halt, tmp_path, taken, monkeypatch):
        settings = quick(tmp_path, steps=2304, curriculum=STAGES)
        train.train(settings)
        continuous = taken.copy()
        assert len({str(config.plain()) for config in continuous.values()}) == 3
        halved = quick(tmp_path, steps=2304, curriculum=STAGES, out=str(tmp_path / "halved"))
        with monkeypatch.context() as patch:
            interrupt_after(patch, halt)
            assert not train.train(halved)
        taken.clear()
        assert train.main(["--resume", "--out", halved.out]) == 0
        assert taken == {steps: continuous[steps] for steps in range(halt, 2304, 256)}

    @pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM")
    @pytest.mark.slow
    def test_a_killed_run_goes_on(self, tmp_path, taken):
        path, out = tmp_path / "stages.json", tmp_path / "run"
        path.write_text(json.dumps([STAGES[0], STAGES[1] | {"from": 20_000}]))
        line = ["-m", "agents.train", "--curriculum", str(path), "--out", str(out)]
        process = subprocess.Popen(
            [sys.executable, *line, "--steps", "2000000", "--checkpoint-s", "0.1"],
            stderr=subprocess.DEVNULL,
        )
        try:
            begun = time.monotonic()
            while not (out / runs.CONFIG).exists() or runs.read_config(out)["steps"] < 20_000:
                assert time.monotonic() - begun < 120
                time.sleep(0.1)
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        finally:
            process.kill()
        config = runs.read_config(out)
        config["settings"]["steps"] = config["steps"] + 5000
        (out / runs.CONFIG).write_text(json.dumps(config))
        assert train.main(["--resume", "--out", str(out)]) == 0
        assert runs.read_config(out)["finished"]
        wanted = Config.of(task="hold", **STAGES[0]["option"]).task
        assert [config.task == wanted for config in taken.values()] == [True] * len(taken)

    @pytest.mark.parametrize(
        ("stages", "text"),
        [
            ([{"from": 0, "option": {"nonsense": 1}}], "keyword argument 'nonsense'"),
            ([STAGES[0], {"from": 0.9, "option": {"field": "dipole"}}], "the field is fixed while"),
            ([STAGES[0], {"from": 5000, "option": {"radius_cm": -1}}], "radius_cm = -1"),
        ],
    )
    def test_what_change_refuses_is_refused_before_training(self, stages, text, tmp_path):
        path, out = tmp_path / "stages.json", tmp_path / "run"
        path.write_text(json.dumps(stages))
        with pytest.raises(SystemExit, match=f"^error: curriculum, with .*{text}"):
            train.main(["--curriculum", str(path), "--out", str(out)])
        assert not out.exists()

    def test_the_command_line_names_a_file(self, tmp_path, capsys):
        path = tmp_path / "stages.json"
        path.write_text("[1]")
        with pytest.raises(SystemExit):
            train.main(["--curriculum", str(path), "--out", str(tmp_path / "run")])
        assert "stages.json: stage 1 has not" in capsys.readouterr().err
