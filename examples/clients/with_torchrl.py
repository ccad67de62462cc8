"""PPO of TorchRL on the native batch."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "torchrl==0.14.1", "torch==2.13.0"]
#
# [tool.ndbmi-gym]
# entry = "GymWrapper(make_vec(...))"
# autoreset = "SameStep"
# ///

import time

import gymnasium
import numpy as np
import torch
from tensordict.nn import AddStateIndependentNormalScale, TensorDictModule
from torch import nn
from torch.distributions import Independent, Normal
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper
from torchrl.envs.utils import check_env_specs
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score

torch.set_num_threads(1)
torch.manual_seed(0)
STEPS, N_ENVS, N_STEPS, N_EPOCHS, BATCH = 49 * 2048, 64, 32, 6, 512

env = GymWrapper(
    gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=N_ENVS, autoreset_mode="SameStep")
)
check_env_specs(env)
d, n = env.observation_spec["observation"].shape[-1], env.action_spec.shape[-1]


def net(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(d, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, width)
    )


means = net(n)
scale = AddStateIndependentNormalScale(n, scale_lb=1e-3, init_value=float(np.exp(-1)))
actor = ProbabilisticActor(
    TensorDictModule(nn.Sequential(means, scale), ["observation"], ["loc", "scale"]),
    in_keys=["loc", "scale"],
    distribution_class=lambda loc, scale: Independent(Normal(loc, scale), 1),
    return_log_prob=True,
)
critic = ValueOperator(net(1), in_keys=["observation"])
advantage = GAE(gamma=0.95, lmbda=0.95, value_network=critic)
loss = ClipPPOLoss(
    actor,
    critic,
    clip_epsilon=0.2,
    entropy_bonus=False,
    normalize_advantage=True,
    critic_coeff=0.5,
    loss_critic_type="l2",
)
optimizer = torch.optim.Adam(loss.parameters(), 1e-3)
collector = Collector(
    env,
    actor,
    frames_per_batch=N_ENVS * N_STEPS,
    total_frames=STEPS,
    auto_register_policy_transforms=False,  # nothing here has a memory
)
begun = time.process_time()
for data in collector:
    with torch.no_grad():
        advantage(data)
    flat = data.reshape(-1)
    for _ in range(N_EPOCHS):
        for rows in torch.randperm(len(flat)).split(BATCH):
            terms = loss(flat[rows])
            optimizer.zero_grad()
            (terms["loss_objective"] + terms["loss_critic"]).backward()
            nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
            optimizer.step()
speed = STEPS / (time.process_time() - begun)
collector.shutdown()


def mean_action(seen: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return means(torch.as_tensor(seen)).numpy()


found = score("ndbmi/ShiftTarget-v1", mean_action, trials=500)
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
