"""PPO of skrl on the native batch."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "skrl[torch]==2.1.1", "torch==2.13.0"]
#
# [tool.ndbmi-gym]
# entry = "wrap_env(make_vec(...))"
# autoreset = "NextStep"
# ///

import time

import gymnasium
import numpy as np
import torch
from skrl.agents.torch.ppo import PPO
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from skrl.utils.model_instantiators.torch import deterministic_model, gaussian_model

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score

torch.set_num_threads(1)
set_seed(0)
N_ENVS, N_STEPS, ITERATIONS = 64, 32, 49

batch = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=N_ENVS, autoreset_mode="NextStep")
env = wrap_env(batch)
spaces = {
    "observation_space": env.observation_space,
    "action_space": env.action_space,
    "device": "cpu",
}
layers = [{"name": "net", "input": "OBSERVATIONS", "layers": [64, 64], "activations": "tanh"}]
models = {
    "policy": gaussian_model(**spaces, network=layers, output="ACTIONS", initial_log_std=-1.0),
    "value": deterministic_model(**spaces, network=layers, output="ONE"),
}
agent = PPO(
    models=models,
    memory=RandomMemory(memory_size=N_STEPS, num_envs=N_ENVS, device="cpu"),
    cfg={
        "rollouts": N_STEPS,
        "learning_epochs": 6,
        "mini_batches": 4,
        "discount_factor": 0.95,
        "value_loss_scale": 0.5,
        "value_clip": 0.0,
        # trials that are cut end in the advantages, too; NextStep shows their last observation
        "time_limit_bootstrap": True,
        "experiment": {"write_interval": 0, "checkpoint_interval": 0},
    },
    **spaces,
)
trainer = SequentialTrainer(
    env=env,
    agents=agent,
    cfg={"timesteps": ITERATIONS * N_STEPS, "headless": True, "disable_progressbar": True},
)
begun = time.process_time()
trainer.train()
speed = ITERATIONS * N_STEPS * N_ENVS / (time.process_time() - begun)


def mean_action(seen: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        _, more = agent.policy.act({"observations": torch.as_tensor(seen)}, role="policy")
    return more["mean_actions"].numpy()


found = score("ndbmi/ShiftTarget-v1", mean_action, trials=500)
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
