"""PPO of Tianshou on the native batch, in the shape that Tianshou takes from EnvPool."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "tianshou==2.0.1", "torch==2.13.0"]
#
# [tool.ndbmi-gym]
# entry = "an object with reset(env_id) and step(action, id)"
# autoreset = "Disabled"
# ///

import time
from typing import Any

import gymnasium
import numpy as np
import torch
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic
from torch import nn
from torch.distributions import Independent, Normal

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score

torch.set_num_threads(1)
torch.manual_seed(0)
STEPS, N_ENVS, N_STEPS = 49 * 2048, 64, 32


class Batch:
    """A vector environment of Gymnasium for Tianshou's collector, which begins trials anew."""

    is_async = False

    def __init__(self, env: gymnasium.vector.VectorEnv[Any, Any, Any]) -> None:
        self.env, self.env_num = env, env.num_envs
        self.action_space = [env.single_action_space] * env.num_envs
        self.observation_space = [env.single_observation_space] * env.num_envs

    def __len__(self) -> int:
        return self.env_num

    def reset(self, env_id: Any = None, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.arange(self.env_num) if env_id is None else np.atleast_1d(env_id)
        mask = np.isin(np.arange(self.env_num), chosen)
        seen, _ = self.env.reset(options={"reset_mask": mask}, **options)
        return seen[chosen], np.array([{} for _ in chosen])

    def step(self, action: np.ndarray, id: Any = None) -> tuple[np.ndarray, ...]:  # noqa: A002
        if id is not None and len(id) < self.env_num:
            raise ValueError("all trials are stepped at once: collect by n_step")
        seen, reward, terminated, truncated, _ = self.env.step(action)
        return seen, reward, terminated, truncated, np.array([{} for _ in reward])

    def close(self) -> None:
        self.env.close()


env = Batch(gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=N_ENVS, autoreset_mode="Disabled"))
shapes = {"state_shape": env.observation_space[0].shape}
hidden = {"hidden_sizes": [64, 64], "activation": nn.Tanh}
actor = ContinuousActorProbabilistic(
    preprocess_net=Net(**shapes, **hidden), action_shape=env.action_space[0].shape, unbounded=True
)
nn.init.constant_(actor.sigma_param, -1.0)
policy = ProbabilisticActorPolicy(
    actor=actor,
    dist_fn=lambda both: Independent(Normal(*both), 1),
    deterministic_eval=True,
    action_space=env.action_space[0],
    action_scaling=False,  # else the network's [-1, 1] is the box, as with RescaleAction
)
algorithm = PPO(
    policy=policy,
    critic=ContinuousCritic(preprocess_net=Net(**shapes, **hidden)),
    optim=AdamOptimizerFactory(lr=1e-3),
    gamma=0.95,
    ent_coef=0.0,
    max_grad_norm=0.5,
    max_batchsize=2048,
)
collector = Collector(algorithm, env, VectorReplayBuffer(N_STEPS * N_ENVS, N_ENVS))
begun = time.process_time()
algorithm.run_training(
    OnPolicyTrainerParams(
        training_collector=collector,
        max_epochs=1,
        epoch_num_steps=STEPS,
        collection_step_num_env_steps=N_STEPS * N_ENVS,
        update_step_num_repetitions=6,
        batch_size=512,
        verbose=False,
        show_progress=False,
    )
)
speed = collector.collect_step / (time.process_time() - begun)


def mean_action(seen: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return actor(seen)[0][0].numpy()


found = score("ndbmi/ShiftTarget-v1", mean_action, trials=500)
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
