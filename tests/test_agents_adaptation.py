from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from quick_runs import like, quick

from agents import adaptation, train
from ndbmi_gym.experiments.adaptation.protocols import PROTOCOLS, Protocol
from ndbmi_gym.experiments.bench.tables import read_csv, where

SHORT = Protocol(
    "adaptation",
    (
        {"name": "baseline", "trials": 2},
        {"name": "adaptation", "trials": 12, "curl": 1.5, "catch": [9]},
        {"name": "washout", "trials": 2},
    ),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = quick(tmp_path_factory.mktemp("adaptation"), steps=256)
    train.train(settings)
    return settings.out


def test_runs_of_one_label_are_pooled_in_the_study(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(PROTOCOLS, "adaptation", SHORT)
    other = like(tmp_path / "other", run, seed=7)
    out = tmp_path / "study"
    words = ["--policy", str(run), str(other), "--out", str(out), "--sessions", "2"]
    words += ["--protocol", "adaptation"]
    for _ in range(2):  # the second time in place of the first
        adaptation.main(words)
    assert "| quick | point mass | 3 | 2 | 1 × 2 |" in capsys.readouterr().out
    effects = read_csv(out / "effects.csv")
    late = where(effects, effect="late", policy="quick")
    assert late["run"].tolist() == [0, 1]
    assert (out / "curves.png").exists()


def test_what_cannot_be_played_is_refused(run):
    with pytest.raises(ValueError, match=r"protocol 'forgetting': choose from adaptation, "):
        adaptation.Settings(policy=(str(run),), protocol=("forgetting",))
    with pytest.raises(ValueError, match="no policy"):
        adaptation.Settings()


def test_an_agent_that_forgets_is_told_of_every_trial(run):
    class Remembers:
        """Tells what it is told, and when."""

        told: ClassVar[list] = []

        def predict(self, observation, state, begun, deterministic):
            self.told.append(begun.copy())
            return np.zeros((len(observation), 9), np.float32), None

    agent = Remembers()
    env = gymnasium.make_vec("ndbmi/Adaptation-v0", num_envs=3, session_trials=3, trial_steps=5)
    policy, _ = adaptation.forgetting(agent)(env), env.reset(seed=0)
    begins = []
    for step in range(17):
        begins.append(env.episodes.trial_step == 0)
        action, _ = policy.predict(np.zeros((3, 2)), None, np.full(3, step == 0), True)
        env.step(action)
    np.testing.assert_array_equal(agent.told, begins)
    assert np.sum(begins) > 3
