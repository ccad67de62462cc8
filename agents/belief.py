"""How far off is what an agent believes: ``python -m agents.belief --policy runs/mine``.

A distilled agent has to remember where the device is, and a head of its own tells what it believes
(`agents.distill`); the filter has its particles. Both are compared with the truth, each along its
own trials of the same seeds.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from agents.distill import restored
from agents.options import JSON, check_positive, parse, plain_errors, setting
from agents.runs import CONFIG, DISTILL, check_trust, make_env, read_config, versions
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.bench.crossed import crossed_interval
from ndbmi_gym.files import check_folder, write_json
from ndbmi_gym.plants import POSITION, VELOCITY
from ndbmi_gym.policies import make_policy

FloatArray = npt.NDArray[np.float64]

QUANTITIES = ("position_cm", "velocity_cm_s")


@dataclass(frozen=True)
class Settings:
    """Whose belief is tested, and on what; its fields are the command line."""

    policy: tuple[str, ...] = setting((), "folders of distilled runs, on one environment")
    trials: int = setting(500, "trials of each, or sessions if it learned on sessions")
    seed: int = setting(1000, "of the trials")
    out: str | None = setting(None, "JSON file for the results")
    trust: bool = setting(False, "let code that the runs' settings name run")

    def __post_init__(self) -> None:
        check_positive(self, "trials")
        if not self.policy:
            raise ValueError("policy: name the folder of a run by agents.train --algo distill")


Acting = Callable[[npt.NDArray[Any]], tuple[npt.NDArray[Any], FloatArray]]


def errors(env: BMIVectorEnv, act: Acting, seed: int, label: str = "") -> FloatArray:
    """Mean distances between belief and truth in each trial of a batch.

    Parameters
    ----------
    env : BMIVectorEnv
        B trials.
    act : callable
        From observations (B, d) to actions (B, n) and beliefs (B, 4): position, cm, and velocity,
        cm/s, at the time of the observation.
    seed : int
        Of the first trial.
    label : str
        Of a bar that shows how far it is; without, there is none.

    Returns
    -------
    ndarray (2, B)
        Of position, cm, and of velocity, cm/s.
    """
    seen, _ = env.reset(seed=seed)
    running = np.ones(env.num_envs, np.bool_)
    total, steps = np.zeros((2, env.num_envs)), np.zeros(env.num_envs)
    bar = tqdm(total=env.max_episode_steps, desc=label, unit="step", disable=not label)
    while running.any():
        action, belief = act(seen)
        state = env.episodes.state
        missed = belief - np.hstack((state.position, state.velocity))
        total += running * np.hypot(*missed.reshape(-1, 2, 2).transpose(2, 1, 0))
        steps += running
        seen, _, terminated, truncated, _ = env.step(action)
        running = running & ~(terminated | truncated)
        bar.update()
    bar.close()
    return total / steps


def measured(settings: Settings) -> JSON:
    """Belief errors of the runs, pooled, and of the filter, with 95 % intervals.

    Raises
    ------
    ValueError
        If a folder holds no distilled run, or runs are of several environments.
    """
    configs = [read_config(Path(folder)) for folder in settings.policy]
    places = [(each["settings"]["env"], each["settings"]["option"]) for each in configs]
    for folder, config, place in zip(settings.policy, configs, places, strict=True):
        check_trust(config["settings"], Path(folder) / CONFIG, settings.trust)
        if config["settings"]["algo"] != DISTILL:
            raise ValueError(
                f"{folder} is of {config['settings']['algo']}, which has no belief: name runs of "
                f"--algo {DISTILL}"
            )
        if place != places[0]:
            raise ValueError(f"{folder} is of {place}, another of {places[0]}: name one kind")
    env_id, option = places[0]
    env = make_env(env_id, settings.trials, option)
    found = []
    for folder, config in zip(settings.policy, configs, strict=True):
        found.append(errors(env, _student(Path(folder), config), settings.seed, folder))
    table = {"distill": np.array(found)}
    if "counts" in env.episodes.layout.columns:
        table["filter"] = errors(env, _filter(env), settings.seed, "filter")[None]
    return {
        "env": env_id,
        "option": option,
        "settings": {name: kept for name, kept in asdict(settings).items() if name != "out"},
        "versions": versions(),
        "errors": {
            label: {
                name: list(crossed_interval(values[:, i], sampled=label == "distill"))
                for i, name in enumerate(QUANTITIES)
            }
            for label, values in table.items()
        },
    }


def _student(folder: Path, config: JSON) -> Acting:
    run = restored(folder, config)
    memory: Any = None

    def act(seen: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], FloatArray]:
        nonlocal memory
        with torch.no_grad():
            action, belief, memory = run.student(torch.as_tensor(seen)[None], memory)
        clipped = action[0].clamp(run.env.episodes.low, 1.0).numpy()
        return clipped, run.believed(belief[0]).astype(float)

    return act


def _filter(env: BMIVectorEnv) -> Acting:
    policy = make_policy("filter", env)
    cloud: Any = None

    def act(seen: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], FloatArray]:
        nonlocal cloud
        action, cloud = policy.predict(seen, cloud)
        mean = cloud.values.mean(axis=1)[:, -1]
        return action, np.hstack((mean[:, POSITION], mean[:, VELOCITY]))

    return act


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    with plain_errors():
        settings = Settings(**parse(Settings, arguments, __doc__))
        if settings.out:
            check_folder(Path(settings.out).parent)
        found = measured(settings)
        for label, quantities in found["errors"].items():
            for name, (mean, low, high) in quantities.items():
                ends = "one run" if low is None or np.isnan(low) else f"{low:.3f}, {high:.3f}"
                print(f"{label:8} {name:14} {mean:.3f} ({ends})")
        if settings.out:
            write_json(Path(settings.out), found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
