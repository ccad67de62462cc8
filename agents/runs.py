"""A training run on disk: a folder with what it was asked for and what it learned.

``config.json`` holds settings, hyper-parameters, versions and progress; ``model.zip`` the last
model; ``replay_buffer.pkl`` what an off-policy one learns from; ``progress.csv`` the curve.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

import ndbmi_gym  # noqa: F401  (registers the environments)
from agents.options import JSON
from agents.sb3 import NativeVecEnv

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "ppo": PPO,
    "sac": SAC,
    "recurrent_ppo": RecurrentPPO,
}

CONFIG = "config.json"
MODEL = "model.zip"
REPLAY = "replay_buffer.pkl"
PROGRESS = "progress.csv"

_PACKAGES = ("ndbmi-gym", "gymnasium", "numpy", "torch", "stable-baselines3", "sb3-contrib")


class Agent:
    """A trained model, with the `predict` that it and the baselines of `ndbmi_gym` share.

    Parameters
    ----------
    folder : path
        Of the run.

    Attributes
    ----------
    label : str
        What its results are listed under.
    config : dict
        As the run wrote it.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = read_config(self.folder)
        settings = self.config["settings"]
        self.label: str = settings["label"] or settings["algo"]
        self._frames: int = self.config["hyperparams"]["frame_stack"]
        self._model = ALGORITHMS[settings["algo"]].load(self.folder / MODEL, device="cpu")

    def check(self, space: spaces.Space[Any]) -> None:
        """Raise ValueError unless the agent can act on observations of a space."""
        mine = spaces.flatdim(self._model.observation_space) // self._frames
        shown = spaces.flatdim(space)
        if shown != mine:
            raise ValueError(
                f"{self.folder} sees {mine} numbers, the environment shows {shown}: set 'observe' "
                f"and other options as in its training, {self.config['settings']['option']}"
            )

    def predict(
        self,
        observation: npt.NDArray[Any],
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], Any]:
        """Actions for observations (B, d); `state` carries earlier frames and recurrent state."""
        n_trials, width = observation.shape
        begun = np.full(n_trials, state is None) if episode_start is None else episode_start
        frames, memory = state or (np.zeros((n_trials, self._frames, width), np.float32), None)
        frames = np.where(begun[:, None, None], np.float32(0), frames)
        frames = np.concatenate([frames[:, 1:], observation[:, None]], axis=1)
        stacked = frames.reshape(n_trials, -1)  # oldest first, as in SB3's VecFrameStack
        action, memory = self._model.predict(stacked, memory, begun, deterministic)
        return action, (frames, memory)


def make_venv(
    env_id: str, options: Mapping[str, Any], n_envs: int, frame_stack: int = 1, **more: Any
) -> VecEnv:
    """A batch of trials to train on, each observation joined to those before it."""
    venv: VecEnv = NativeVecEnv(
        gymnasium.make_vec(env_id, num_envs=n_envs, autoreset_mode="SameStep", **options, **more)
    )
    return VecFrameStack(venv, frame_stack) if frame_stack > 1 else venv


def read_config(folder: Path) -> JSON:
    """What a run was asked for, and how far it came.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no run (there is no {path})")
    config: JSON = json.loads(path.read_text())
    return config


def write_json(path: Path, content: Any) -> None:
    """Write JSON; a reader finds the old file or the new one."""
    write_whole(path, lambda part: part.write_text(json.dumps(content, indent=1) + "\n"))


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name, then put it in place of the old one in a single step."""
    part = path.with_name("part-" + path.name)
    write(part)
    os.replace(part, path)


def short_name(env_id: str) -> str:
    """An id without its namespace."""
    return env_id.rpartition("/")[2]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
