import sys

import pytest
import torch
from quick_runs import QUICK, like, quick

from agents import runs, train
from agents.models import load_policy


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = quick(
        tmp_path_factory.mktemp("warm"), steps=256, seed=3, option={"animal": 2}, label=None
    )
    train.train(settings)
    return settings.folder


def line(run, out, *more):
    return ["--warm-start", str(run), "--out", str(out), *more]


class TestWarmStart:
    def test_it_begins_with_the_others_weights_and_settings(self, run, tmp_path):
        settings = train.warmed({"warm_start": str(run), "out": str(tmp_path / "new")})
        assert settings.option == {"animal": 2}
        assert settings.seed == 0
        hyper = train.read_hyperparams(settings)
        assert {name: hyper[name] for name in QUICK} == QUICK
        model, _ = train._model(settings, {"hyperparams": hyper})
        learned = load_policy(run / runs.MODEL).state_dict()
        for name, values in model.policy.state_dict().items():
            torch.testing.assert_close(values, learned[name], rtol=0, atol=0)
        assert model.num_timesteps == 0

    def test_it_learns_on_elsewhere_with_a_budget_of_its_own(self, run, tmp_path):
        more = ["--steps", "256", "--env", "ndbmi/HoldTarget-v1", "--option", "effort_weight=0.1"]
        assert train.main(line(run, tmp_path / "new", *more, "--hyper", "gamma=0.9")) == 0
        config = runs.read_config(tmp_path / "new")
        assert config["steps"] == 256
        assert config["settings"]["warm_start"] == str(run)
        assert config["settings"]["option"] == {"animal": 2, "effort_weight": 0.1}
        assert config["hyperparams"]["gamma"] == 0.9

    @pytest.mark.parametrize(
        ("more", "text"),
        [
            (["--algo", "sac"], "was trained by ppo, not sac"),
            (["--option", "observe=state"], "sees 40 numbers, the environment shows 30"),
            (["--option", "volition=signed"], "acts in .* from 0 to 1"),
            (["--hyper", 'policy_kwargs={"net_arch":[8]}'], "has another network"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, more, text, run, tmp_path):
        with pytest.raises(SystemExit, match=f"^error: --warm-start: .*{text}"):
            train.main(line(run, tmp_path / "new", *more))
        assert not (tmp_path / "new").exists()


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A module that a run may name; whether it has been imported is in `sys.modules`."""
    (tmp_path / "stranger.py").write_text("from ndbmi_gym.fields import GaussianField as Field\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "stranger"
    sys.modules.pop("stranger", None)


class TestTrust:
    @pytest.mark.parametrize(
        "changes",
        [{"option": {"field": "stranger:Field"}}, {"env": "stranger:ndbmi/HoldTarget-v1"}],
    )
    def test_code_that_the_other_run_names_wants_trust(self, changes, run, tmp_path, stranger):
        other, new = like(tmp_path / "other", run, **changes), tmp_path / "new"
        with pytest.raises(SystemExit, match=r"^error: .*config.json names 'stranger:.*--trust"):
            train.main(line(other, new, "--steps", "256"))
        assert stranger not in sys.modules
        assert not new.exists()
        assert train.main(line(other, new, "--steps", "256", "--trust")) == 0
        assert stranger in sys.modules
        assert runs.read_config(new)["finished"]
