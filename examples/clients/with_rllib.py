"""PPO of RLlib on the native batch, all in one process."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "ray[rllib]==2.60.0", "torch==2.13.0"]
#
# [tool.ndbmi-gym]
# entry = "VectorizeMode.VECTOR_ENTRY_POINT"
# autoreset = "NextStep"
# ///

import time

import gymnasium
import numpy as np
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

from ndbmi_gym.rollout import score

torch.set_num_threads(1)
N_ENVS, N_STEPS, ITERATIONS = 64, 32, 49

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
config = (
    PPOConfig()
    .environment(  # options of the id go into env_config=
        "ndbmi_gym:ndbmi/ShiftTarget-v1",
        normalize_actions=False,  # exploration begins in the corner of the box, as it should
        clip_actions=True,
    )
    .env_runners(
        num_env_runners=0,
        num_envs_per_env_runner=N_ENVS,
        rollout_fragment_length=N_STEPS,
        gym_env_vectorize_mode=gymnasium.VectorizeMode.VECTOR_ENTRY_POINT,
    )
    .learners(num_learners=0)
    .rl_module(
        model_config=DefaultModelConfig(
            fcnet_hiddens=[64, 64],
            fcnet_activation="tanh",
            head_fcnet_hiddens=[],
            vf_share_layers=False,
            free_log_std=True,
        )
    )
    .training(
        train_batch_size_per_learner=N_ENVS * N_STEPS,
        minibatch_size=512,
        num_epochs=6,
        lr=1e-3,
        gamma=0.95,
        lambda_=0.95,
        grad_clip=0.5,
        clip_param=0.2,
        use_kl_loss=False,
        vf_clip_param=float("inf"),
        vf_loss_coeff=0.5,
    )
    .debugging(seed=0, log_level="ERROR")
)
algorithm = config.build_algo()
begun, steps = time.process_time(), 0
for _ in range(ITERATIONS):
    result = algorithm.train()
    steps = int(result["num_env_steps_sampled_lifetime"])
speed = steps / (time.process_time() - begun)
module = algorithm.get_module(DEFAULT_MODULE_ID)


def mean_action(seen: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        out = module.forward_inference({"obs": torch.as_tensor(seen)})["action_dist_inputs"]
    return out[:, : out.shape[1] // 2].numpy()


found = score("ndbmi/ShiftTarget-v1", mean_action, trials=500)
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
