"""Trials of the paper's command for Minari: from a batch, written, loaded, and played on.

What learns from data goes by ``dataset.iterate_episodes()``.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "minari[hdf5]==0.5.4", "pillow"]
#
# [tool.ndbmi-gym]
# entry = "record(...), VectorRecorder(make_vec(...))"
# autoreset = "any"
# ///

import os
import tempfile
import time

import minari
import numpy as np

from ndbmi_gym.recording import record, to_minari

with tempfile.TemporaryDirectory() as folder:
    os.environ["MINARI_DATASETS_PATH"] = folder  # leave it out: then ~/.minari
    begun = time.process_time()
    trials = record("ndbmi/ShiftTarget-v1", "eq24", trials=1000, keys=("position", "is_success"))
    to_minari(
        "ndbmi/shift-target/eq24-v0",
        trials,
        "ndbmi/ShiftTarget-v1",
        algorithm_name="Eq 24, the paper's command",
        author="you",
        author_email="you@example.com",
        code_permalink="https://example.com/your/code",
        description="1,000 trials of the constant command of Vato et al. 2014",
    )
    speed = sum(map(len, trials)) / (time.process_time() - begun)

    dataset = minari.load_dataset("ndbmi/shift-target/eq24-v0")
    episodes = list(dataset.iterate_episodes())
    returns = [episode.rewards.sum() for episode in episodes]
    success = [episode.infos["is_success"][-1] for episode in episodes]
    env = dataset.recover_environment()
    assert env.observation_space == dataset.observation_space

print(f"{speed:,.0f} steps/s, return {np.mean(returns):.2f}, success {np.mean(success):.2f}")
