"""Trained agents that come with the package, at most one for each environment id.

``ndbmi_gym/data/agents.json`` says of each how it was trained and what it scored; the weights are
beside it (`ndbmi_gym.policies.network`). ``python -m agents.ship`` writes both.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy.typing as npt

from ndbmi_gym.policies.baselines import Actions, HasEpisodes, Policy
from ndbmi_gym.policies.network import Network, load_network
from ndbmi_gym.policies.stacked import Actor, Stacked, frames_of

_DATA = files("ndbmi_gym") / "data"


@cache
def shipped() -> dict[str, dict[str, Any]]:
    """What is known of each agent, by the id of its environment.

    Returns
    -------
    dict of str to dict
        ``file`` (under ``ndbmi_gym/data``) and its ``sha256``; ``about``, how it was trained;
        ``selected``, among how many runs, on how many trials, from which seed on; ``scored``, on
        which trials then; and what it came to there, ``[mean, low, high]`` with 95 % intervals over
        trials: ``score``, ``success``, ``return``, ``effort``, ``normalised`` and
        ``normalised_return``, None where the task has no such scale.
    """
    table: dict[str, dict[str, Any]] = json.loads((_DATA / "agents.json").read_text("utf-8"))
    return table


@cache
def network(env_id: str) -> Network:
    """The agent of an environment id.

    Parameters
    ----------
    env_id : str

    Raises
    ------
    ValueError
        If none comes with the package.
    """
    if env_id not in shipped():
        raise ValueError(
            f"there is no trained agent for {env_id!r}, only for {', '.join(shipped())}: train one "
            "(python -m agents.train) and give its file, or take a baseline"
        )
    with as_file(_DATA / shipped()[env_id]["file"]) as path:
        return load_network(path)


class Pretrained(Policy):
    """The trained agent of an environment's id.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
        Wrapped or not, made by its id.

    Attributes
    ----------
    network : Network
        Its weights, and what is known of it.

    Raises
    ------
    ValueError
        If there is no agent for the id, or options of the environment make it show or take other
        numbers than those that the agent was trained on.
    """

    def __init__(self, env: HasEpisodes) -> None:
        super().__init__(env)
        inner = env.unwrapped
        if inner.spec is None:
            raise ValueError(
                f"{inner!r} has no id to look an agent up by: make it by gymnasium.make or make_vec"
            )
        self.network = network(inner.spec.id)
        try:
            frames = frames_of(self.network, inner)
        except ValueError as error:
            raise ValueError(
                f"the trained agent of {inner.spec.id!r} {error}: leave out observe, volition and "
                "the like, or train one with them"
            ) from error
        self._actor: Actor = self.network if frames == 1 else Stacked(self.network, frames)

    def predict(
        self,
        observation: npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]],
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[Actions, Any]:
        """Actions for observations (B, d), or for a single one (d,): see `Policy.predict`."""
        return self._actor.predict(observation, state, episode_start, deterministic)
