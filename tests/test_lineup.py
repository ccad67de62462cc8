from pathlib import Path

import numpy as np
import pytest
from quick_runs import like, quick

from agents import lineup, train
from agents.runs import make_env


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = quick(tmp_path_factory.mktemp("lineup"), steps=256)
    train.train(settings)
    return settings.out


class TestLineup:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"hyper": {"gamma": 0.5}}, "gamma as 0.95, where it is 0.5 in"),
            ({"hyper": {"ent_coef": 0.1}}, "ent_coef as not set, where it is 0.1 in"),
            ({"env": "ndbmi/HoldTarget-v1"}, "env as 'ndbmi/ShiftTargetCurl-v1', where"),
            ({"option": {"dataset": 5}}, "option as {}, where"),
        ],
    )
    def test_only_repetitions_are_pooled(self, run, tmp_path, changes, text):
        other = like(tmp_path / "other", run, **changes)
        with pytest.raises(ValueError, match="label 'quick'.*" + text):
            lineup.line_up([run, other])
        apart = like(tmp_path / "apart", other, label="other")
        assert list(lineup.line_up([run, apart]))[2:4] == ["quick", "other"]

    def test_repetitions_may_differ_in_how_they_were_run(self, run, tmp_path):
        changes = {"seed": 7, "minutes": 1.0, "steps": None, "threads": 2, "tensorboard": True}
        other = like(tmp_path / "other", run, **changes)
        assert len(lineup.line_up([run, other])["quick"]) == 2

    def place(self, *policies, env=None, **changes):
        env_id, options, _ = lineup.place(env, changes, lineup.line_up(policies))
        return env_id, options

    def test_options_are_those_of_the_training_on_that_environment(self, run, tmp_path):
        option = {"max_rate_hz": 50.0, "animal": 2}
        other = like(tmp_path / "other", run, option=option)
        curl, hold = "ndbmi/ShiftTargetCurl-v1", "ndbmi/HoldTarget-v1"
        assert self.place() == (lineup.DEFAULT_ENV, {})
        assert self.place(other) == (curl, option)
        assert self.place(other, env=curl) == (curl, option)
        assert self.place(other, env=hold) == (hold, option)
        assert self.place(other, animal=3) == (curl, option | {"animal": 3})

    def test_an_agent_is_found_by_its_weights(self, run):
        label, member = lineup.find(f"{run}/agent.npz", trust=False)
        assert (label, member.about["algo"]) == ("agent", "ppo")
        env = make_env(lineup.DEFAULT_ENV, 2, {})
        assert lineup.actor(label, member, env).frames == 2

    def test_runs_of_several_places_leave_the_place_open(self, run, tmp_path):
        hold = "ndbmi/HoldTarget-v1"
        elsewhere = like(tmp_path / "elsewhere", run, label="elsewhere", env=hold)
        with pytest.raises(ValueError, match=f"on several environments.*{hold}.*--env"):
            self.place(run, elsewhere)
        assert self.place(run, elsewhere, env=hold) == (hold, {})
        otherwise = like(tmp_path / "otherwise", run, label="otherwise", option={"animal": 1})
        with pytest.raises(ValueError, match=r"animal as not set, where it is 1 .*--option"):
            self.place(run, otherwise)
        assert self.place(run, otherwise, animal=1)[1] == {"animal": 1}

    def test_options_that_an_id_sets_are_told(self, run, tmp_path):
        task = {"kind": "shift", "radius_cm": 2.0}
        other = like(tmp_path / "other", run, option={"task": task, "animal": 3})
        hold = "ndbmi/HoldTarget-v1"
        env_id, options, notes = lineup.place(hold, {}, lineup.line_up([other]))
        assert (env_id, options) == (hold, {"animal": 3})
        assert len(notes) == 1
        assert f"trained with task = {task!r}, and {hold} sets its own" in notes[0]
        _, options, notes = lineup.place(hold, {"task": "hold"}, lineup.line_up([other]))
        assert (options, notes) == ({"task": "hold", "animal": 3}, [])


def still(observation):
    return np.zeros((len(observation), 9))


class TestOwnPolicies:
    def test_they_are_named_by_file_module_or_object(self, run):
        model = f"{run}/model.zip"
        found = lineup.line_up(
            [model, "test_lineup:still"], {"mine": still, "again": "test_lineup:still"}
        )
        assert list(found) == ["zero", "eq24", "model", "still", "mine", "again", "ceiling"]
        assert not lineup.trained(found["model"])
        assert lineup.trained(lineup.line_up([run])["quick"])

    def test_models_of_one_name_are_told_apart(self, run, tmp_path):
        (tmp_path / "model.zip").write_bytes(Path(run, "model.zip").read_bytes())
        second = str(tmp_path / "model.zip")
        found = lineup.line_up([f"{run}/model.zip", second])
        assert list(found) == ["zero", "eq24", "model", second, "ceiling"]

    def test_a_label_is_one_policys(self):
        with pytest.raises(ValueError, match="two policies have the label 'still'"):
            lineup.line_up(["test_lineup:still"], {"still": still})
        with pytest.raises(ValueError, match="'eq24', the name of a baseline"):
            lineup.line_up([], {"eq24": still})
        with pytest.raises(FileNotFoundError, match=r"'nope' is neither a baseline .*model.zip"):
            lineup.line_up(["nope"])
        with pytest.raises(FileNotFoundError, match=r"there is no model nope.zip"):
            lineup.line_up(["nope.zip"])
