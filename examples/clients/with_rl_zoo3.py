"""PPO of RL Baselines3 Zoo, hyper-parameters from a file, on the native batch.

The Zoo's own command works, too, on scalar environments side by side::

    python -m rl_zoo3.train --algo ppo --env ndbmi/ShiftTarget-v1 --gym-packages ndbmi_gym \
        --conf-file with_rl_zoo3.yml
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "rl_zoo3==2.9.2", "torch==2.13.0"]
#
# [tool.ndbmi-gym]
# entry = "ExperimentManager.default_vec_env_cls"
# autoreset = "SameStep"
# ///

import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import gymnasium
import torch
from rl_zoo3.exp_manager import ExperimentManager

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score
from ndbmi_gym.sb3 import NativeVecEnv

torch.set_num_threads(1)


class Native(NativeVecEnv):
    """As many trials as the Zoo would make environments."""

    def __init__(self, env_fns: list[Any], **options: Any) -> None:
        super().__init__(
            gymnasium.make_vec(
                "ndbmi/ShiftTarget-v1", num_envs=len(env_fns), autoreset_mode="SameStep", **options
            )
        )


ExperimentManager.default_vec_env_cls = Native
with tempfile.TemporaryDirectory() as folder:
    manager = ExperimentManager(
        Namespace(),
        "ppo",
        "ndbmi/ShiftTarget-v1",
        folder,
        config=str(Path(__file__).with_suffix(".yml")),
        eval_freq=-1,
        log_interval=-1,
        verbose=0,
        device="cpu",
    )
    prepared = manager.setup_experiment()
    assert prepared is not None
    model, _ = prepared
    begun = time.process_time()
    manager.learn(model)
    speed = model.num_timesteps / (time.process_time() - begun)

found = score("ndbmi/ShiftTarget-v1", model, trials=500)
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
