import numpy as np
import pytest

from ndbmi_gym.experiments.adaptation import runs
from ndbmi_gym.experiments.adaptation.measures import MEASURES
from ndbmi_gym.experiments.adaptation.protocols import Protocol, environment
from ndbmi_gym.experiments.adaptation.runs import study_of, trials_of
from ndbmi_gym.experiments.bench.tables import where

SHORT = Protocol(
    "short",
    (
        {"name": "baseline", "trials": 2},
        {"name": "adaptation", "trials": 3, "curl": 1.5, "catch": [1], "channels": [2]},
        {"name": "washout", "trials": 2},
    ),
)


class Pushing:
    """Random volition; notes what it is given."""

    def __init__(self, env):
        self.env, self.begun = env, []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic
        self.begun.append(episode_start.copy())
        count = 0 if state is None else state
        rng = np.random.default_rng(count)
        action = rng.random((len(observation), self.env.episodes.n_electrodes), np.float32)
        return action, count + 1


@pytest.fixture(scope="module")
def played():
    env = environment(SHORT, "point mass", 2, 2, "state")
    policy, ended = Pushing(env), []
    return trials_of(env, SHORT, policy, 2, 3, ended.append), policy, ended


def test_there_is_a_row_for_each_trial_of_each_session(played):
    trials, _, ended = played
    assert len(trials["mpe"]) == 4 * 7 == sum(ended)
    assert set(MEASURES) <= set(trials)
    for animal in range(2):
        for session in range(2):
            own = where(trials, animal=animal, session=session)
            assert own["trial"].tolist() == list(range(7))
            assert own["block"].tolist() == ["baseline"] * 2 + ["adaptation"] * 3 + ["washout"] * 2
            kinds = ["plain"] * 3 + ["catch", "channel"] + ["plain"] * 2
            assert own["kind"].tolist() == kinds
            assert own["curl"].tolist() == [0, 0, 1.5, 0, 0, 0, 0]  # whichever its sign was


def test_rows_are_what_happened(played):
    trials, _, _ = played
    assert ((trials["steps"] >= 1) & (trials["steps"] <= 24)).all()
    # a trial that stopped before its last step had arrived
    assert (trials["success"][trials["steps"] < 24] == 1).all()
    held = trials["kind"] == "channel"
    assert (np.abs(trials["mpe"][held]) < 0.1).all()
    assert (np.abs(trials["mpe"][~held]) > 0.1).any()
    assert (trials["force"][held] != 0).all()
    assert (trials["force"][~held] == 0).all()


def test_memory_is_kept_throughout_a_session(played):
    _, policy, _ = played
    begun = np.array(policy.begun)
    assert begun[0].all()
    assert not begun[1:].any()


def test_a_session_is_the_same_beside_others():
    one, two = (
        trials_of(env, SHORT, Pushing(env), n, 3)
        for n in (1, 2)
        for env in [environment(SHORT, "point mass", 1, n, "state")]
    )
    first = where(two, session=0)
    for name in ("mpe", "steps", "direction"):
        np.testing.assert_array_equal(one[name], first[name])


def test_a_study_takes_any_policy(monkeypatch):
    monkeypatch.setitem(runs.PROTOCOLS, "short", SHORT)

    def act(observation):
        return np.zeros((len(observation), 9))

    for policy in ("zero", act):
        tables = study_of(policy, ("short",), animals=2)
        assert list(tables) == ["short"]
        assert len(tables["short"]["mpe"]) == 14
