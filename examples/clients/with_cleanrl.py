"""PPO in one file, in the manner of CleanRL, on the native batch; trials that are cut go on."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["ndbmi-gym", "torch==2.13.0"]
#
# [tool.ndbmi-gym]
# library = "CleanRL's manner, torch 2.13.0"
# entry = "make_vec(...)"
# autoreset = "SameStep"
# ///

import time

import gymnasium
import numpy as np
import torch
from torch import nn

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.rollout import score

torch.set_num_threads(1)
torch.manual_seed(0)
STEPS, N_ENVS, N_STEPS, N_EPOCHS, BATCH = 100_000, 64, 32, 6, 512
GAMMA, LAMBDA, CLIP, RATE = 0.95, 0.95, 0.2, 1e-3

envs = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=N_ENVS, autoreset_mode="SameStep")
d, n = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
actor = nn.Sequential(nn.Linear(d, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n))
critic = nn.Sequential(nn.Linear(d, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
log_std = nn.Parameter(torch.full((n,), -1.0))
weights = [*actor.parameters(), *critic.parameters(), log_std]
optimizer = torch.optim.Adam(weights, RATE, eps=1e-5)


def policy(seen: torch.Tensor) -> torch.distributions.Independent:
    return torch.distributions.Independent(
        torch.distributions.Normal(actor(seen), log_std.exp()), 1
    )


begun, total = time.process_time(), 0
seen = torch.as_tensor(envs.reset(seed=0)[0])
while total < STEPS:
    kept: dict[str, list[torch.Tensor]] = {name: [] for name in ("seen", "act", "logp", "value")}
    rewards, ends = np.zeros((2, N_STEPS, N_ENVS), np.float32)
    for t in range(N_STEPS):
        with torch.no_grad():
            chosen = policy(seen)
            act = chosen.sample()
            entry = (seen, act, chosen.log_prob(act), critic(seen).squeeze(1))
        for name, value in zip(kept, entry, strict=True):
            kept[name].append(value)
        after, rewards[t], terminated, truncated, info = envs.step(act.numpy())
        ends[t] = terminated | truncated
        cut = truncated & ~terminated
        if cut.any():  # what would have come counts; `after` shows the next trial there
            with torch.no_grad():
                final = critic(torch.as_tensor(info["final_obs"][cut])).squeeze(1)
            rewards[t, cut] += GAMMA * final.numpy()
        seen = torch.as_tensor(after)
    with torch.no_grad():
        values = torch.stack([*kept["value"], critic(seen).squeeze(1)]).numpy()
    advantage, ahead = np.zeros_like(rewards), np.zeros(N_ENVS, np.float32)
    for t in reversed(range(N_STEPS)):
        goes_on = GAMMA * (1 - ends[t])
        ahead = rewards[t] + goes_on * values[t + 1] - values[t] + LAMBDA * goes_on * ahead
        advantage[t] = ahead
    s, a, logp = (torch.cat(kept[name]) for name in ("seen", "act", "logp"))
    gain = torch.as_tensor(advantage.ravel())
    target = torch.as_tensor((advantage + values[:-1]).ravel())
    for _ in range(N_EPOCHS):
        for rows in torch.randperm(len(s)).split(BATCH):
            g = gain[rows]
            g = (g - g.mean()) / (g.std() + 1e-8)
            ratio = (policy(s[rows]).log_prob(a[rows]) - logp[rows]).exp()
            loss = -torch.min(ratio * g, ratio.clamp(1 - CLIP, 1 + CLIP) * g).mean()
            loss = loss + 0.5 * (critic(s[rows]).squeeze(1) - target[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 0.5)
            optimizer.step()
    total += N_STEPS * N_ENVS
speed = total / (time.process_time() - begun)


def mean_action(seen: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return actor(torch.as_tensor(seen)).numpy()


found = score("ndbmi/ShiftTarget-v1", mean_action, trials=500)
print(
    f"{speed:,.0f} steps/s, return {found['return'].mean():.2f}, "
    f"success {found['success'].mean():.2f}"
)
