"""Golden trajectories: a change of any of them is a new version of the environment.

``python tests/test_golden.py`` writes them anew.
"""

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import ndbmi_gym

FILE = Path(__file__).parent / "golden.json"


def trajectory(env_id):
    env = gymnasium.make(env_id)
    actions = np.random.default_rng(6)
    env.reset(seed=2026)
    path = []
    for _ in range(12):
        _, reward, _, _, info = env.step(0.4 * actions.random(env.action_space.shape, np.float32))
        counts = info["evoked_counts"] + info["volitional_counts"]
        path.append([*info["position"], *info["virtual_point"], reward, float(counts.sum())])
    return path


@pytest.mark.parametrize("env_id", [f"ndbmi/{name}" for name in ndbmi_gym._IDS])
def test_trajectories_are_those_of_this_version(env_id):
    golden = json.loads(FILE.read_text())
    np.testing.assert_allclose(trajectory(env_id), golden[env_id], rtol=1e-7, atol=1e-7)


if __name__ == "__main__":
    written = {f"ndbmi/{name}": trajectory(f"ndbmi/{name}") for name in ndbmi_gym._IDS}
    FILE.write_text(json.dumps(written, indent=1) + "\n")
