"""Write what was learned as weights alone: ``python -m agents.convert runs/mine --out mine.npz``.

`ndbmi_gym.policies.network` plays such a file in numpy, wherever the package is, and reading it
executes nothing. Runs of `agents.train` write one at every checkpoint, beside their model.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Box, Dict, flatten_space
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from agents.models import load_policy
from agents.options import JSON, plain_errors
from agents.runs import AGENT, DISTILL, MODEL, read_config
from ndbmi_gym.policies.network import Layer, Network, save_network

_ACTIVATIONS: dict[str, str] = {
    repr(kind()): name
    for name, kind in {
        "identity": nn.Identity,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "elu": nn.ELU,
        "leaky_relu": nn.LeakyReLU,
        "sigmoid": nn.Sigmoid,
        "silu": nn.SiLU,
    }.items()
}
"""Names of `ndbmi_gym.policies.network`, by what torch prints, constants included."""


def network_of(policy: BasePolicy, about: Mapping[str, Any] | None = None) -> Network:
    """A policy of SB3 or sb3-contrib as layers of weights.

    Parameters
    ----------
    policy : BasePolicy
        Of PPO or A2C, recurrent or not, SAC or TD3, with linear layers on flat observations, or
        mappings of such.
    about : mapping, optional
        What is to be known of it, in JSON types.

    Returns
    -------
    Network
        It acts as the policy does when it takes its mean.

    Raises
    ------
    ValueError
        If it is another policy, or has other layers or spaces.
    """
    if isinstance(policy, RecurrentActorCriticPolicy):
        seer = policy.pi_features_extractor
        layers = [
            *recurrent(policy.lstm_actor),
            *linear(policy.mlp_extractor.policy_net),
            *linear([policy.action_net]),
        ]
    elif isinstance(policy, ActorCriticPolicy):
        seer = policy.pi_features_extractor
        layers = linear([*policy.mlp_extractor.policy_net, policy.action_net])
    elif isinstance(policy, SACPolicy):
        seer = policy.actor.features_extractor
        layers = linear([*policy.actor.latent_pi, policy.actor.mu])
    elif isinstance(policy, TD3Policy):
        seer = policy.actor.features_extractor
        layers = linear(list(policy.actor.mu)[:-1])  # the last one squashes
    else:
        raise ValueError(
            f"policy {type(policy).__name__}: give one of PPO, A2C, recurrent PPO, SAC or TD3"
        )
    sees, acts = policy.observation_space, policy.action_space
    keys: tuple[str, ...] = ()
    if isinstance(sees, Dict) and _is_flat(seer, sees):
        keys, sees = tuple(sees), flatten_space(sees)
    elif type(seer) is not FlattenExtractor:
        raise ValueError(
            f"the policy sees through {type(seer).__name__}: only flat observations are known "
            "here, and mappings of such"
        )
    if not (isinstance(sees, Box) and isinstance(acts, Box)):
        raise ValueError(f"the policy sees {sees} and acts in {acts}: only boxes are known here")
    return Network(tuple(layers), sees, acts, bool(policy.squash_output), about or {}, keys)


def _is_flat(seer: nn.Module, space: Dict) -> bool:
    """Whether a mapping has entries of numbers, and they are put behind one another in order."""
    return type(seer) is CombinedExtractor and all(
        type(seer.extractors[name]) is nn.Flatten and isinstance(each, Box) and len(each.shape) == 1
        for name, each in space.items()
    )


def linear(modules: Iterable[nn.Module]) -> list[Layer]:
    """Linear layers, each with the activation that follows it, as those of a network.

    Parameters
    ----------
    modules : iterable of Module
        In their order.

    Raises
    ------
    ValueError
        If there is any other module.
    """
    layers: list[Layer] = []
    for module in modules:
        after = layers and layers[-1].activation == "identity"
        if type(module) is nn.Linear and module.bias is not None:
            layers.append(
                Layer("linear", {"weight": _values(module.weight), "bias": _values(module.bias)})
            )
        elif after and repr(module) in _ACTIVATIONS:
            last = layers.pop()
            layers.append(replace(last, activation=_ACTIVATIONS[repr(module)]))
        else:
            raise ValueError(
                f"module {module}: a policy is made of linear layers with bias, and after one may "
                f"come {', '.join(_ACTIVATIONS)}"
            )
    return layers


def recurrent(module: nn.GRU | nn.LSTM) -> list[Layer]:
    """The layers of a GRU or LSTM of torch, one way and without projection.

    Parameters
    ----------
    module : GRU or LSTM

    Raises
    ------
    ValueError
        If it is another module.
    """
    kinds = {nn.GRU: "gru", nn.LSTM: "lstm"}
    plain = type(module) in kinds and module.bias and not module.bidirectional
    if not plain or module.proj_size:
        raise ValueError(f"module {module}: a recurrent one is a GRU or LSTM with bias, one way")
    return [
        Layer(
            kinds[type(module)],
            {
                name: _values(getattr(module, f"{name}_l{i}"))
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            },
        )
        for i in range(module.num_layers)
    ]


def _values(weights: torch.Tensor) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = weights.detach().cpu().numpy()
    return values


def about_run(config: Mapping[str, Any]) -> JSON:
    """What a file tells of the run that its agent comes from.

    Parameters
    ----------
    config : mapping
        Of the run.
    """
    settings = {name: config["settings"][name] for name in ("algo", "env", "option", "seed")}
    others = ("steps", "seconds", "hyperparams", "versions")
    return settings | {name: config[name] for name in others}


def convert(source: Path, out: Path | None = None, trust: bool = False) -> Path:
    """Write the agent of a run, or of a saved model of SB3, as weights.

    Parameters
    ----------
    source : Path
        The run's folder, or the file.
    out : Path, optional
        By default the run's own, or the model's name with ``.npz``.
    trust : bool
        Whether code in them may run.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such run or model.
    ValueError
        If it cannot be read, or cannot be had as a network.
    """
    if source.is_dir():
        config = read_config(source)
        if config["settings"]["algo"] == DISTILL:
            raise ValueError(
                f"{source} was trained by distill, and keeps weights itself: take {source / AGENT}"
            )
        path, told, target = source / MODEL, about_run(config), source / AGENT
    else:
        path, told, target = source, {}, source.with_suffix(".npz")
    try:
        network = network_of(load_policy(path, trust), told)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    save_network(out or target, network)
    return out or target


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder of a run, or a model.zip of SB3")
    parser.add_argument("--out", type=Path, help=f"file; by default {AGENT} in the run's folder")
    parser.add_argument("--trust", action="store_true", help="let code in the model run")
    asked = parser.parse_args(arguments)
    with plain_errors():
        print(convert(asked.source, asked.out, asked.trust))


if __name__ == "__main__":
    main()
