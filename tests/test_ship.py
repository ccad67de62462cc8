import json

import gymnasium
import numpy as np
import pytest

from agents import ship
from agents.runs import AGENT
from ndbmi_gym.files import digest
from ndbmi_gym.policies import POLICIES, Eq24
from ndbmi_gym.policies.network import Layer, Network, load_network, save_network

IDS = ("ndbmi/FixedField-v1", "ndbmi/HoldTarget-v1")
BEST = {IDS[0]: 0.0, IDS[1]: 1.0}
"""The field alone takes the fewest steps to its target; it never comes to rest in another."""


def constant(env_id, rate, **options):
    """An agent that drives all electrodes alike."""
    env = gymnasium.make_vec(env_id, num_envs=1, **options)
    sees, acts = env.single_observation_space, env.single_action_space
    n = acts.shape[0]
    weights = {
        "weight": np.zeros((n, sees.shape[0]), np.float32),
        "bias": np.full(n, rate, np.float32),
    }
    return Network((Layer("linear", weights),), sees, acts, about={"env": env_id, "rate": rate})


@pytest.fixture
def runs(tmp_path):
    """Folders of agents, which differ in what they do on `IDS`."""
    folders = []
    for env_id in IDS:
        for rate in (1.0, 0.0):
            folders.append(tmp_path / f"{env_id[6:]} {rate}")
            save_network(folders[-1] / AGENT, constant(env_id, rate))
    return folders


def test_the_best_of_each_id_is_written_with_what_it_scored(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(POLICIES._parts, "ceiling", Eq24)  # the true one takes its time
    data = tmp_path / "data"
    written = ship.ship(runs, trials=30, selection=20, data=data)
    table = json.loads((data / "agents.json").read_text())
    assert list(table) == list(IDS)
    assert written == [*(data / table[env_id]["file"] for env_id in IDS), data / "agents.json"]
    for env_id in IDS:
        entry = table[env_id]
        found = load_network(data / entry["file"])
        assert entry["sha256"] == digest(data / entry["file"])
        assert entry["about"] == found.about == {"env": env_id, "rate": BEST[env_id]}
        assert entry["selected"] == {"agents": 2, "trials": 20, "seed": ship.SELECTION_SEED}
        assert entry["scored"]["trials"] == 30
        mean, low, high = entry["score"]
        assert low <= mean <= high
        assert entry["effort"][0] == BEST[env_id]
    assert table[IDS[0]]["normalised"] is None
    assert table[IDS[1]]["normalised"][0] < 1
    before = (data / table[IDS[0]]["file"]).read_bytes()
    ship.ship(runs[3:], trials=20, selection=20, data=data)  # the worse one of holding
    again = json.loads((data / "agents.json").read_text())
    assert again[IDS[0]] == table[IDS[0]]
    assert again[IDS[1]]["about"]["rate"] == 1.0
    assert again[IDS[1]]["selected"]["agents"] == 3  # with those it was the best of
    assert (data / table[IDS[0]]["file"]).read_bytes() == before


def test_an_agent_of_other_options_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    save_network(path, constant(IDS[1], 0.0, observe="state"))
    with pytest.raises(ValueError, match=r"mine.npz on ndbmi/HoldTarget-v1: the policy sees"):
        ship.ship([path], data=tmp_path)
    assert not (tmp_path / "agents.json").exists()


def test_an_agent_that_says_nothing_of_itself_is_refused(tmp_path):
    save_network(tmp_path / "mine.npz", constant(IDS[1], 0.0), about={})
    with pytest.raises(SystemExit, match=r"error: .*mine.npz does not say what it was trained on"):
        ship.main([str(tmp_path / "mine.npz")])
