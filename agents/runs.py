"""A training run on disk: a folder with what it was asked for and what it learned.

``config.json`` holds settings, hyper-parameters, versions and progress; ``model.zip`` the last
model; ``replay_buffer.pkl`` what an off-policy one learns from; ``progress.csv`` the curve.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

import ndbmi_gym  # noqa: F401  (registers the environments)
from agents.options import JSON
from agents.sb3 import NativeVecEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.provenance import versions as package_versions

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "ppo": PPO,
    "sac": SAC,
    "recurrent_ppo": RecurrentPPO,
}

CONFIG = "config.json"
MODEL = "model.zip"
REPLAY = "replay_buffer.pkl"
PROGRESS = "progress.csv"

OF_THE_SESSION = frozenset({"out", "resume", "overwrite", "threads", "checkpoint_s"})
"""Settings that may change when a run goes on."""

# hyper-parameters are compared as they were used, whatever file or words they came from
_OF_THE_RUN = OF_THE_SESSION | {"seed", "steps", "minutes", "label", "tensorboard"}
_OF_THE_RUN |= {"hyperparams", "hyper"}


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

    @property
    def recipe(self) -> JSON:
        """What it shares with runs that repeat it: hyper-parameters and settings, by name."""
        settings = self.config["settings"].items()
        shared = {name: value for name, value in settings if name not in _OF_THE_RUN}
        return shared | self.config["hyperparams"]

    def check(self, env: BMIVectorEnv) -> None:
        """Raise ValueError unless the agent acts and sees within an environment's bounds."""
        acts: Any = self._model.action_space
        sees: Any = self._model.observation_space
        takes: Any = env.single_action_space
        shows: Any = env.single_observation_space
        # SB3 stacks frames one after another, but their bounds entry by entry
        mine = np.column_stack([sees.low, sees.high])[:: self._frames]
        theirs = np.column_stack([shows.low, shows.high])
        if acts != takes:
            differ = f"acts in {_box(acts)}, the environment takes {_box(takes)}"
        elif len(mine) != len(theirs):
            differ = f"sees {len(mine)} numbers, the environment shows {len(theirs)}"
        elif not np.allclose(mine, theirs):
            i = int(np.isclose(mine, theirs).all(axis=1).argmin())
            (low, high), (their_low, their_high) = mine[i], theirs[i]
            differ = (
                f"sees entry {i} from {low:g} to {high:g}, the environment shows it from "
                f"{their_low:g} to {their_high:g}"
            )
        else:
            return
        trained = self.config["settings"]
        words = ["--env", trained["env"]]
        for key, value in trained["option"].items():
            text = value if isinstance(value, str) else json.dumps(value)
            words += ["--option", f"{key}={text}"]
        raise ValueError(
            f"{self.folder} {differ}: set observe, volition and the like as in its training, "
            f"{shlex.join(words)}"
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


def make_env(env_id: str, num_envs: int, options: Mapping[str, Any], **more: Any) -> BMIVectorEnv:
    """A batch of trials.

    Raises
    ------
    gymnasium.error.Error
        If there is no such id.
    ValueError
        If it is none of `ndbmi_gym`, or an option is unknown or out of range.
    """
    try:
        env = gymnasium.make_vec(env_id, num_envs=num_envs, **options, **more)
    except TypeError as error:
        raise ValueError(f"{env_id}: {error}") from error
    if not isinstance(env, BMIVectorEnv):
        raise ValueError(f"{env_id!r} is no environment of ndbmi_gym")
    return env


def make_venv(
    env_id: str, options: Mapping[str, Any], n_envs: int, frame_stack: int = 1, **more: Any
) -> VecEnv:
    """A batch of trials to train on, each observation joined to those before it."""
    venv: VecEnv = NativeVecEnv(
        make_env(env_id, n_envs, options, autoreset_mode="SameStep", **more)
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
        raise FileNotFoundError(
            f"{folder} holds no run (there is no {path}): name the folder of an agents.train run"
        )
    config: JSON = json.loads(path.read_text())
    return config


def _box(space: Any) -> str:
    return f"{space.low.size} numbers from {space.low.min():g} to {space.high.max():g}"


def short_name(env_id: str) -> str:
    """An id without its namespace."""
    return env_id.rpartition("/")[2]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return package_versions("gymnasium", "torch", "stable-baselines3", "sb3-contrib")
