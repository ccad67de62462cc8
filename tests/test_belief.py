import json

import numpy as np
import pytest
from test_distill import SHIFT, settings

from agents import belief
from agents.runs import make_env
from agents.train import train


def test_who_knows_is_not_wrong():
    env = make_env(SHIFT, 6, {})

    def act(seen):
        state = env.episodes.state
        return np.zeros((6, 9), np.float32), np.hstack((state.position, state.velocity))

    assert np.array_equal(belief.errors(env, act, 0), np.zeros((2, 6)))


def test_errors_are_mean_distances():
    env = make_env(SHIFT, 4, {})

    def act(seen):
        state = env.episodes.state
        astray = np.array([3.0, 4.0, 0.6, -0.8])
        return np.zeros((4, 9), np.float32), np.hstack((state.position, state.velocity)) + astray

    assert np.allclose(belief.errors(env, act, 0), [[5.0] * 4, [1.0] * 4])


def test_the_filter_believes_what_is_nearly_true():
    env = make_env(SHIFT, 20, {})
    position, _ = belief.errors(env, belief._filter(env), 0)
    still = np.full((20, 4), 0.0)
    ignorant, _ = belief.errors(env, lambda seen: (np.zeros((20, 9), np.float32), still), 0)
    assert position.mean() < 1.5
    assert position.mean() < 0.5 * ignorant.mean()


def test_the_command_tells_of_runs_and_filter(tmp_path, capsys):
    ours = settings(tmp_path, steps=2_000)
    assert train(ours)
    out = tmp_path / "belief.json"
    assert belief.main(["--policy", str(ours.folder), "--trials", "5", "--out", str(out)]) == 0
    assert "distill" in capsys.readouterr().out
    found = json.loads(out.read_text())["errors"]
    assert set(found) == {"distill", "filter"}
    assert found["distill"]["position_cm"][0] > 0
    assert found["distill"]["position_cm"][1] is None  # a single run


def test_what_has_no_belief_is_refused(tmp_path):
    run = settings(
        tmp_path, algo="ppo", steps=64, hyper={"n_envs": 4, "n_steps": 8, "batch_size": 32}
    )
    assert train(run)
    with pytest.raises(SystemExit, match="has no belief: name runs of --algo distill"):
        belief.main(["--policy", str(run.folder)])
    config = json.loads((run.folder / "config.json").read_text())
    config["settings"]["option"] = {"perturbation": "elsewhere:Law"}
    (run.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit, match="give --trust"):
        belief.main(["--policy", str(run.folder)])
    with pytest.raises(SystemExit, match="name the folder"):
        belief.main([])
