"""Sessions of a policy, and the table of their trials."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.adaptation.measures import Paths, measured
from ndbmi_gym.experiments.adaptation.protocols import (
    CURL,
    DELAY_STEPS,
    DEVICES,
    N_TARGETS,
    PROTOCOLS,
    STEP_S,
    TRIAL_STEPS,
    Protocol,
    environment,
)
from ndbmi_gym.experiments.bench.tables import Table, Tables
from ndbmi_gym.perturbations import Force
from ndbmi_gym.rollout import as_actor

KINDS = ("plain", "catch", "channel")
"""What a trial is: with the forces of its block, without any, or in a channel."""


def study_of(
    policy: Any,
    protocols: tuple[str, ...] = tuple(PROTOCOLS),
    device: str = "point mass",
    animals: int = 10,
    sessions: int = 1,
    observe: str = "state",
    delay_steps: int = DELAY_STEPS,
    seed: int = 0,
) -> Tables:
    """Play a policy through the protocols of the study, and measure every trial.

    Parameters
    ----------
    policy : object
        Whatever `ndbmi_gym.rollout.as_actor` takes: a name, an object with SB3's `predict`, a class
        or a function.
    protocols : tuple of str
        Of `PROTOCOLS`.
    device : str
        One of `ndbmi_gym.experiments.adaptation.protocols.DEVICES`.
    animals, sessions : int
        Animals 0, 1, ..., and sessions of each.
    observe : {"state", "neural", "full"}
    delay_steps : int
        Of the senses.
    seed : int
        Of the sessions.

    Returns
    -------
    Tables
        For each protocol a table with a row for each trial (`trials_of`).

    Raises
    ------
    ValueError
        If there is no such protocol or device.
    """
    for names, known in ((protocols, PROTOCOLS), ((device,), DEVICES)):
        for name in names:
            if name not in known:
                raise ValueError(f"{name!r}: choose from {', '.join(known)}")
    tables = {}
    for name in protocols:
        protocol = PROTOCOLS[name]
        env = environment(protocol, device, animals, sessions, observe, delay_steps)
        tables[name] = trials_of(env, protocol, as_actor(policy, env), sessions, seed)
    return tables


def trials_of(
    env: BMIVectorEnv,
    protocol: Protocol,
    actor: Any,
    sessions: int,
    seed: int,
    shown: Callable[[int], None] | None = None,
) -> Table:
    """A row for each trial of a session in each place of a batch.

    Parameters
    ----------
    env : BMIVectorEnv
        Of `environment`.
    protocol : Protocol
    actor : Actor
    sessions : int
        Of each animal.
    seed : int
    shown : callable, optional
        Called after every step with the number of trials that have ended in it.

    Returns
    -------
    Table
        ``animal``, ``session``, ``trial``, ``block``, ``kind``, ``curl`` (signed by the animal's
        field, kg/s), ``direction`` of the target, and
        `ndbmi_gym.experiments.adaptation.measures.MEASURES`.
    """
    n, trials = env.num_envs, protocol.trials
    animal = np.repeat(np.arange(n // sessions), sessions)
    shape = n, trials
    position, velocity = np.full((2, *shape, TRIAL_STEPS + 1, 2), np.nan)
    pressed = np.full((*shape, TRIAL_STEPS + 1), np.nan)
    target = np.full((*shape, 2), np.nan)
    curl, success = np.zeros((2, *shape))
    block, kind = np.zeros((2, *shape), int)

    seen, info = env.reset(seed=seed, options={"animal": animal})
    state: Any = None
    begun, running = np.ones((2, n), np.bool_)
    while True:
        which = np.flatnonzero(running)
        at = which, info["trial"][which], info["trial_step"][which]
        position[at], velocity[at] = info["position"][which], info["velocity"][which]
        pressed[at] = info["channel_force"][which] if "channel_force" in info else 0.0
        target[at[:2]], curl[at[:2]] = info["target"][which], info["curl"][which]
        success[at[:2]], block[at[:2]] = info["is_success"][which], info["block"][which]
        clamped = env.episodes.state.forces[which, Force.CHANNEL_K] > 0
        kind[at[:2]] = np.where(clamped, KINDS.index("channel"), 0)
        if shown is not None:
            shown(int((info["trial_end"] & running).sum()))
        running = running & ~(info["trial_end"] & (info["trial"] == trials - 1))
        if not running.any():
            break
        action, state = actor.predict(seen, state, begun, deterministic=True)
        begun = np.zeros(n, np.bool_)
        seen, _, _, _, info = env.step(action)

    sign = np.where(animal % 2, -1.0, 1.0)[:, None] * np.ones(shape)
    names = np.array([each["name"] for each in protocol.blocks])
    in_force = np.array([each.get("curl", 0.0) != 0 for each in protocol.blocks])[block]
    kind[in_force & (curl == 0) & (kind == 0)] = KINDS.index("catch")
    turn = np.arctan2(target[..., 1], target[..., 0]) * N_TARGETS / (2 * np.pi)
    paths = Paths(position, velocity, pressed, target)
    columns = {
        "animal": np.broadcast_to(animal[:, None], shape),
        "session": np.broadcast_to(np.arange(n)[:, None] % sessions, shape),
        "trial": np.broadcast_to(np.arange(trials), shape),
        "block": names[block],
        "kind": np.array(KINDS)[kind],
        "curl": curl * sign,
        "direction": np.rint(turn).astype(int) % N_TARGETS,
        **measured(paths, sign, CURL, STEP_S),
        "success": success,
    }
    return {name: np.array(values).reshape(-1) for name, values in columns.items()}
