"""Models of Stable-Baselines3 from their files, without running what is in them.

A ``model.zip`` holds weights as tensors, and a JSON text in which whatever is no JSON type is
pickled, with a readable copy of its parts beside it. Pickle runs code. `load_policy` reads weights
and the readable parts only, which is enough for the usual policies on boxes; the weights have to
fit the network that is built. All else wants `trust`.
"""

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

_READABLE: dict[str, type[BasePolicy]] = {
    "stable_baselines3.common.policies": ActorCriticPolicy,
    "sb3_contrib.common.recurrent.policies": RecurrentActorCriticPolicy,
    "stable_baselines3.sac.policies": SACPolicy,
    "stable_baselines3.td3.policies": TD3Policy,
}
"""Policies that are rebuilt without pickle, by the module that a file names."""

_PLAIN = {
    "net_arch",
    "log_std_init",
    "ortho_init",
    "n_critics",
    "share_features_extractor",
    "lstm_hidden_size",
    "n_lstm_layers",
    "shared_lstm",
    "enable_critic_lstm",
}
"""Their arguments that are JSON types; and these make no difference to what a policy does."""
_OF_TRAINING = {"optimizer_class", "optimizer_kwargs", "use_sde"}

_WEIGHTS = "policy.pth"


class UnreadableError(ValueError):
    """A model that cannot be had without running code of its file."""


def load_policy(path: str | Path, trust: bool = False) -> BasePolicy:
    """The policy of a saved model of SB3 or sb3-contrib, on the CPU.

    Parameters
    ----------
    path : path
        The zip file that ``model.save`` wrote.
    trust : bool
        Whether code in the file may run, as in SB3's own ``load``.

    Returns
    -------
    BasePolicy
        With the `predict` of the model, `observation_space` and `action_space`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such model, or needs trust.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no model {path}: name a zip file that model.save wrote")
    try:
        with ZipFile(path) as archive:
            data, weights = json.loads(archive.read("data")), archive.read(_WEIGHTS)
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} is no intact model of Stable-Baselines3 ({error}): take another copy, or "
            "train anew"
        ) from error
    try:
        kind, arguments = _unpickled(path) if trust else _read(data)
        policy = kind(lr_schedule=lambda _: 0.0, **arguments)
        # tensors and nothing else, trusted or not
        state = torch.load(BytesIO(weights), map_location="cpu", weights_only=True)
        policy.load_state_dict(state)
    except UnreadableError as error:
        raise ValueError(
            f"{path}: {error}, which cannot be read without running code of the file: give "
            "--trust (trust=True) if you know where it comes from"
        ) from error
    except Exception as error:  # of torch, of SB3: damage, or weights of another network
        words = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{path} does not hold the network that it describes ({words}): take another copy"
        ) from error
    policy.set_training_mode(False)
    return policy


def _read(data: dict[str, Any]) -> tuple[type[BasePolicy], dict[str, Any]]:
    """Class and arguments of a policy from what is readable of a model's JSON text."""
    module = _part(data, "policy_class").get("__module__")
    if module not in _READABLE:
        raise UnreadableError(f"its policy is of {module!r}")
    arguments: dict[str, Any] = {
        "observation_space": _box(_part(data, "observation_space")),
        "action_space": _box(_part(data, "action_space")),
    }
    if data.get("use_sde"):
        arguments["use_sde"] = True
    for name, value in _part(data, "policy_kwargs").items():
        if name in _PLAIN:
            arguments[name] = value
        elif name == "activation_fn":
            arguments[name] = _activation(str(value))
        elif name not in _OF_TRAINING and not name.startswith(":"):
            raise UnreadableError(f"its policy has {name} = {value!r}")
    return _READABLE[module], arguments


def _part(data: dict[str, Any], name: str) -> dict[str, Any]:
    part = data.get(name)
    if not isinstance(part, dict):
        raise UnreadableError(f"its {name} is {part!r}")
    return part


def _activation(text: str) -> type[torch.nn.Module]:
    named = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", text)
    found = getattr(torch.nn, named[1], None) if named else None
    if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
        raise UnreadableError(f"its activation is {text}")
    return found


def _box(part: dict[str, Any]) -> spaces.Box:
    """A box from its readable bounds; infinite ones where they were too long to be written."""
    shape = part.get("_shape")
    if "box.Box" not in str(part.get(":type:")) or not isinstance(shape, list):
        raise UnreadableError(f"it has a space of {part.get(':type:')}")
    bounds = []
    for name, unknown in (("low", -np.inf), ("high", np.inf)):
        text = str(part.get(name))
        numbers = re.sub(r"[\[\]]", " ", text).split()
        if "..." in numbers:
            bounds.append(np.full(shape, unknown, np.float32))
        else:
            bounds.append(np.array(numbers, np.float32).reshape(shape))
    return spaces.Box(bounds[0], bounds[1], dtype=np.float32)


def _unpickled(path: Path) -> tuple[type[BasePolicy], dict[str, Any]]:
    """Class and arguments of a policy as SB3 loads them: code of the file may run."""
    data, _, _ = load_from_zip_file(path, device="cpu")
    assert data is not None
    arguments = {
        "observation_space": data["observation_space"],
        "action_space": data["action_space"],
    } | data["policy_kwargs"]
    if data.get("use_sde"):
        arguments["use_sde"] = True
    return data["policy_class"], arguments
