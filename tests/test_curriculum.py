import json

import pytest
from quick_runs import interrupt_after, quick

from agents import curriculum, runs, train
from ndbmi_gym.envs.vector import BMIVectorEnv

STAGES = [
    {"from": 0, "option": {"effort_weight": 0.1}},
    {"from": 0.5, "option": {"effort_weight": 0.3, "perturbation": {"curl": 0.6}}},
    {"from": 1900, "option": {"radius_cm": 1.0}},
]


@pytest.fixture
def changes(monkeypatch):
    """What a batch is asked to change, with the number of its trials."""
    asked = []

    def change(self, **options):
        if "nonsense" in options:
            raise TypeError("unknown option 'nonsense'")
        if self.num_envs > 1:
            asked.append(options)

    monkeypatch.setattr(BMIVectorEnv, "change", change, raising=False)
    return asked


class TestStages:
    def test_later_ones_add_to_earlier_ones(self):
        assert curriculum.options_at(STAGES, 0.0, 0) == {"effort_weight": 0.1}
        assert curriculum.options_at(STAGES, 0.49, 100) == {"effort_weight": 0.1}
        both = {"effort_weight": 0.3, "perturbation": {"curl": 0.6}}
        assert curriculum.options_at(STAGES, 0.5, 1899) == both
        assert curriculum.options_at(STAGES, 0.9, 1900) == both | {"radius_cm": 1.0}

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


class TestTraining:
    def test_stages_are_taken_between_rollouts(self, tmp_path, changes):
        train.train(quick(tmp_path, steps=2048, curriculum=STAGES))
        # 256 steps a rollout: the last stage is reached by the end of the run alone
        assert changes == [STAGES[0]["option"], STAGES[1]["option"]]
        assert runs.read_config(tmp_path / "run")["settings"]["curriculum"] == STAGES

    def test_a_resumed_run_is_where_it_was(self, tmp_path, changes, monkeypatch):
        settings = quick(tmp_path, steps=2048, curriculum=STAGES)
        with monkeypatch.context() as patch:
            interrupt_after(patch, 1280)
            train.train(settings)
        changes.clear()
        assert train.main(["--resume", "--out", settings.out, "--steps", "2048"]) == 0
        assert changes == [STAGES[1]["option"]]

    def test_the_command_line_names_a_file(self, tmp_path, changes, capsys):
        path, out = tmp_path / "stages.json", str(tmp_path / "run")
        path.write_text(json.dumps([{"from": 0, "option": {"nonsense": 1}}]))
        with pytest.raises(SystemExit, match="curriculum, from 0: unknown option 'nonsense'"):
            train.main(["--curriculum", str(path), "--out", out])
        assert not (tmp_path / "run").exists()
        path.write_text("[1]")
        with pytest.raises(SystemExit):
            train.main(["--curriculum", str(path), "--out", out])
        assert "stages.json: stage 1 has not" in capsys.readouterr().err
