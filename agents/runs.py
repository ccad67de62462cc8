"""A training run on disk: a folder with what it was asked for and what it learned.

``config.json`` holds settings, hyper-parameters, versions and progress; ``model.zip`` the last
model, ``agent.npz`` its policy as weights alone (`agents.convert`); ``replay_buffer.pkl`` what an
off-policy one learns from; ``state.pt`` what a distilled one, which has no model.zip, goes on from;
``progress.csv`` the curve; ``lock`` belongs to the process that trains.

To use what was learned (`Agent`, ``agents.train --warm-start``), JSON and weights are read, and no
code of the folder runs. To go on with a run (``agents.train --resume``) loads optimiser and replay
buffer by pickle, which can run code: resume only runs of people you trust.
"""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy.typing as npt
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

import ndbmi_gym  # noqa: F401  (registers the environments)
from agents.models import load_policy
from agents.options import JSON
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.policies.network import load_network
from ndbmi_gym.provenance import versions as package_versions
from ndbmi_gym.rollout import Actor, Stacked, frames_of
from ndbmi_gym.sb3 import NativeVecEnv

try:
    import fcntl
except ImportError:  # Windows: two runs in one folder go unnoticed
    fcntl = None  # type: ignore[assignment]

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "ppo": PPO,
    "sac": SAC,
    "recurrent_ppo": RecurrentPPO,
}

DISTILL = "distill"
"""The one algorithm that is our own (`agents.distill`)."""

CONFIG = "config.json"
MODEL = "model.zip"
AGENT = "agent.npz"
REPLAY = "replay_buffer.pkl"
STATE = "state.pt"
PROGRESS = "progress.csv"
LOCK = "lock"

OF_THE_SESSION = frozenset({"out", "resume", "overwrite", "threads", "checkpoint_s", "trust"})
"""Settings that may change when a run goes on."""

# hyper-parameters are compared as they were used, whatever file or words they came from
_OF_THE_RUN = OF_THE_SESSION | {"seed", "steps", "minutes", "label", "tensorboard"}
_OF_THE_RUN |= {"hyperparams", "hyper", "warm_start"}

REMEDY = "restore the file, or train anew with --overwrite"


class Agent:
    """A trained model, with the `predict` that it and the baselines of `ndbmi_gym` share.

    ::

        from agents.runs import Agent

        agent, state = Agent("runs/hold-0"), None
        action, state = agent.predict(observation, state)

    Parameters
    ----------
    folder : path
        Of the run.
    trust : bool
        Whether code in the folder may run: a pickled model, or environments and parts that its
        settings name outside this package.

    Attributes
    ----------
    label : str
        What its results are listed under.
    config : dict
        As the run wrote it.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run, or no model.
    ValueError
        If its files are damaged, or want trust.
    """

    def __init__(self, folder: str | Path, trust: bool = False) -> None:
        self.folder = Path(folder)
        self.config = read_config(self.folder)
        settings = self.config["settings"]
        check_trust(settings, self.folder / CONFIG, trust)
        self.label: str = settings["label"] or settings["algo"]
        self._policy: Any
        if settings["algo"] == DISTILL:
            self._policy = load_network(self.folder / AGENT)
        else:
            try:
                self._policy = load_policy(self.folder / MODEL, trust)
            except ValueError as error:
                if not (self.folder / AGENT).is_file():
                    raise
                weights = self.folder / AGENT
                raise ValueError(f"{error}, or play {weights}, which holds no code") from error
        self._frames: int = self.config["hyperparams"]["frame_stack"]
        stacked = self._frames > 1  # mappings are not stacked
        self._actor: Actor = Stacked(self._policy, self._frames) if stacked else self._policy

    @property
    def recipe(self) -> JSON:
        """What it shares with runs that repeat it: hyper-parameters and settings, by name."""
        settings = self.config["settings"].items()
        shared = {name: value for name, value in settings if name not in _OF_THE_RUN}
        return shared | self.config["hyperparams"]

    def check(self, env: BMIVectorEnv) -> None:
        """Raise ValueError unless the agent acts and sees within an environment's bounds."""
        try:
            frames_of(self._policy, env, self._frames)
        except ValueError as error:
            trained = self.config["settings"]
            words = ["--env", trained["env"]]
            for key, value in trained["option"].items():
                text = value if isinstance(value, str) else json.dumps(value)
                words += ["--option", f"{key}={text}"]
            raise ValueError(
                f"{self.folder} {error}: set observe, volition and the like as in its training, "
                f"{shlex.join(words)}"
            ) from None

    def predict(
        self,
        observation: npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]],
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], Any]:
        """Actions for observations (B, d) or (d,).

        Parameters
        ----------
        observation : ndarray (B, d) or (d,), or mapping of such
        state : object
            What the last call returned: earlier frames and recurrent state. None at first.
        episode_start : ndarray of bool (B,), optional
            Trials that have just begun, of which nothing is remembered.
        deterministic : bool
            Take the mean, rather than explore.

        Returns
        -------
        action : ndarray (B, n) or (n,)
        state : object
        """
        return self._actor.predict(observation, state, episode_start, deterministic)


def make_env(env_id: str, num_envs: int, options: Mapping[str, Any], **more: Any) -> BMIVectorEnv:
    """A batch of trials.

    Parameters
    ----------
    env_id : str
        Of `ndbmi_gym`.
    num_envs : int
        How many.
    options : mapping
        Of the environment (`ndbmi_gym.config.Config`).
    **more
        Further arguments of `gymnasium.make_vec`, such as ``render_mode``.

    Returns
    -------
    BMIVectorEnv

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
    """A batch of trials to train on, each observation joined to those before it.

    Parameters
    ----------
    env_id : str
    options : mapping
        Of the environment.
    n_envs : int
        Trials side by side.
    frame_stack : int
        Observations that are joined.
    **more
        As of `make_env`.

    Returns
    -------
    VecEnv

    Raises
    ------
    ValueError
        If observations are mappings, and more than one is to be joined.
    """
    venv: VecEnv = NativeVecEnv(
        make_env(env_id, n_envs, options, autoreset_mode="SameStep", **more)
    )
    if frame_stack > 1 and isinstance(venv.observation_space, gymnasium.spaces.Dict):
        venv.close()
        raise ValueError(
            f"frame_stack = {frame_stack}: observations of {env_id} are mappings, which are not "
            "stacked: --hyper frame_stack=1"
        )
    return VecFrameStack(venv, frame_stack) if frame_stack > 1 else venv


def read_config(folder: Path) -> JSON:
    """What a run was asked for, and how far it came.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    ValueError
        If the file is not as a run wrote it.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no run (there is no {path}): name the folder of an agents.train run"
        )
    try:
        config: JSON = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}): {REMEDY}") from error
    kinds: dict[str, type | tuple[type, ...]] = {
        "settings": dict,
        "hyperparams": dict,
        "versions": dict,
        "steps": int,
        "seconds": (int, float),
        "finished": bool,
    }
    _check_entries(path, "it", config, kinds)
    own: dict[str, type | tuple[type, ...]]
    own = {"algo": str, "env": str, "option": dict, "label": (str, type(None))}
    _check_entries(path, "settings", config["settings"], own)
    _check_entries(path, "hyperparams", config["hyperparams"], {"frame_stack": int})
    algo = config["settings"]["algo"]
    if algo not in (*ALGORITHMS, DISTILL):
        known = ", ".join((*ALGORITHMS, DISTILL))
        raise ValueError(f"{path} names the algorithm {algo!r}, none of {known}: {REMEDY}")
    return config


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a folder to oneself; the lock dies with the process, whatever ends it.

    A folder that holds no run in the end, and did not exist before, is removed.

    Raises
    ------
    FileExistsError
        If another process has it.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with path.open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # not one that its owner has just thrown away with the folder
                ours = path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
            except BlockingIOError:
                ours = False
            if not ours:
                raise FileExistsError(
                    f"another process trains in {folder}: wait for it, or name another folder by "
                    "--out"
                )
        try:
            yield
        finally:
            if made and not (folder / CONFIG).exists():
                clear(folder)
                (folder / LOCK).unlink(missing_ok=True)
                if not any(folder.iterdir()):
                    folder.rmdir()


def clear(folder: Path) -> None:
    """Make room for a run; the configuration, without which there is none, goes first."""
    for name in (CONFIG, MODEL, AGENT, REPLAY, STATE, PROGRESS):
        (folder / name).unlink(missing_ok=True)


def _check_entries(
    path: Path, whole: str, found: Any, kinds: Mapping[str, type | tuple[type, ...]]
) -> None:
    """Raise ValueError unless a mapping has entries of these types."""
    if not isinstance(found, dict):
        raise ValueError(f"{path}: {whole} is {found!r:.40}, no mapping: {REMEDY}")
    for name, kind in kinds.items():
        if name not in found:
            raise ValueError(f"{path}: {whole} has no {name!r}: {REMEDY}")
        if not isinstance(found[name], kind):
            raise ValueError(f"{path}: {name} is {found[name]!r:.40}: {REMEDY}")


def check_trust(settings: JSON, path: Path, trust: bool) -> None:
    """Look whether settings name code outside this package, before any of it is imported.

    Parameters
    ----------
    settings : dict
        Of a run.
    path : Path
        Where they come from, for the message.
    trust : bool
        Whether they may.

    Raises
    ------
    ValueError
        If they do, and may not.
    """
    named = [] if is_own(settings["env"]) else [settings["env"]]
    named += _modules(settings["option"])
    if named and not trust:
        raise ValueError(
            f"{path} names {named[0]!r}, which is code outside ndbmi_gym: give --trust "
            "(trust=True) if you know it"
        )


def is_own(env_id: str) -> bool:
    """Whether making an environment of this id imports no code from elsewhere."""
    return bool(_OWN_ID.fullmatch(env_id))


_OWN_ID = re.compile(r"(ndbmi_gym:)?ndbmi/[\w-]+")


def _modules(value: Any) -> list[str]:
    """Texts with a colon, as in ``"module:attribute"``, wherever they are."""
    if isinstance(value, str):
        return [value] if ":" in value else []
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return [text for each in value for text in _modules(each)] if isinstance(value, list) else []


def brought(settings: JSON, env_id: str) -> tuple[JSON, JSON]:
    """Options of a run's settings that hold on an environment, and those that do not.

    On another environment than its own, a run brings all along but what the id itself sets.

    Parameters
    ----------
    settings : dict
        Of the run.
    env_id : str

    Returns
    -------
    kept, dropped : dict
        Options by name.
    """
    option = settings["option"]
    if settings["env"] == env_id:
        return dict(option), {}
    fixed = gymnasium.spec(env_id).kwargs
    kept = {name: value for name, value in option.items() if name not in fixed}
    return kept, {name: value for name, value in option.items() if name in fixed}


def short_name(env_id: str) -> str:
    """An id without its namespace."""
    return env_id.rpartition("/")[2]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return package_versions("gymnasium", "torch", "stable-baselines3", "sb3-contrib")
