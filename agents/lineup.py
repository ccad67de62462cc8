"""Who is compared: policies by label, and where they are at home."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from agents.models import load_policy
from agents.options import JSON
from agents.runs import CONFIG, Agent, brought
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.policies import POLICIES
from ndbmi_gym.policies.network import load_network
from ndbmi_gym.rollout import Actor, as_actor, named

FLOOR, COMMAND, CEILING = "zero", "eq24", "ceiling"
DEFAULT_ENV = "ndbmi/ShiftTargetCurl-v1"

Lineup = dict[str, list[Any]]
"""By label: one policy (see `ndbmi_gym.rollout.as_actor`), or agents from runs of that label."""


def line_up(
    policies: Sequence[str], own: Mapping[str, Any] | None = None, trust: bool = False
) -> Lineup:
    """Floor and command first, then what was named in that order, the ceiling last.

    Parameters
    ----------
    policies : sequence of str
        Each the name of a baseline, the folder of a run, the file of a saved model of SB3
        (``model.zip``) or of an agent's weights (``agent.npz``), or ``"module:attribute"``.
    own : mapping, optional
        Further policies by label, named in the same way or given as they are.
    trust : bool
        Whether code in folders and files may run.

    Raises
    ------
    FileNotFoundError
        If a policy is none of these.
    ValueError
        If a label is taken, or runs of one label are no repetitions of each other.
    """
    lineup: Lineup = {FLOOR: [FLOOR], COMMAND: [COMMAND]}
    given = [(None, policy) for policy in dict.fromkeys(policies)]
    for label, policy in [*given, *(own or {}).items()]:
        if label is None and policy in POLICIES:
            lineup[policy] = [policy]
            continue
        called, member = find(policy, trust)
        if label is None:  # as it was named, where another one is called so, too
            label = policy if called in lineup and not isinstance(member, Agent) else called
        if label in POLICIES:
            raise ValueError(f"{policy} is labelled {label!r}, the name of a baseline")
        members = lineup.setdefault(label, [])
        if members and not (isinstance(member, Agent) and isinstance(members[0], Agent)):
            raise ValueError(f"two policies have the label {label!r}: name one of them otherwise")
        members.append(member)
        _check_repetition(members[0], member)
    lineup.pop(CEILING, None)
    return lineup | {CEILING: [CEILING]}


def find(policy: Any, trust: bool) -> tuple[str, Any]:
    """A label and a member of a line-up for what a policy is named by.

    Parameters
    ----------
    policy : str or object
        See `line_up`.
    trust : bool
        Whether code in folders and files may run.

    Returns
    -------
    label : str
    member : Agent, str or object

    Raises
    ------
    FileNotFoundError
        If there is no such policy.
    """
    if not isinstance(policy, str):
        return type(policy).__name__, policy
    if policy in POLICIES:
        return policy, policy
    path = Path(policy)
    if path.is_dir():
        agent = Agent(path, trust)
        return agent.label, agent
    if path.suffix == ".npz":
        return path.stem, load_network(path)
    if path.is_file() or path.suffix == ".zip":
        return path.stem, load_policy(path, trust)
    if ":" in policy and not path.exists():
        return policy.rpartition(":")[2], named(policy)
    raise FileNotFoundError(
        f"policy {policy!r} is neither a baseline ({', '.join(POLICIES)}) nor a folder of a run, a "
        "model.zip, an agent.npz or module:attribute"
    )


def actor(label: str, member: Any, env: BMIVectorEnv) -> Actor:
    """One of a line-up as it acts on an environment.

    Parameters
    ----------
    label : str
        For messages.
    member : Agent, str or object
        From `line_up`.
    env : BMIVectorEnv

    Returns
    -------
    Actor

    Raises
    ------
    ValueError
        If it does not fit.
    """
    if isinstance(member, Agent):
        member.check(env)
        return member
    try:
        return as_actor(member, env)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error


def trained(members: Sequence[Any]) -> bool:
    """Whether they are a sample of what training leads to."""
    return isinstance(members[0], Agent)


def place(
    env_id: str | None, changes: Mapping[str, Any], lineup: Lineup
) -> tuple[str, JSON, list[str]]:
    """Environment and options: those that are set, else those of the runs; and what is left out.

    On another environment than that of its training, a run brings all options along but those that
    the environment's id itself sets.

    Parameters
    ----------
    env_id : str or None
        None: that of the runs, or `DEFAULT_ENV`.
    changes : mapping
        Options in place of those of the runs.
    lineup : Lineup

    Returns
    -------
    env_id : str
    options : dict
    notes : list of str
        What of the runs' options is left out, in words.

    Raises
    ------
    ValueError
        If runs leave open which environment or option is meant.
    """
    agents = [each for each in chain.from_iterable(lineup.values()) if isinstance(each, Agent)]
    homes = {agent.config["settings"]["env"]: agent for agent in reversed(agents)}
    if env_id is None and len(homes) > 1:
        where = ", ".join(f"{agent.folder} on {home}" for home, agent in homes.items())
        raise ValueError(f"runs were trained on several environments, {where}: choose one by --env")
    chosen = env_id or next(iter(homes), DEFAULT_ENV)
    options, first, notes = dict(changes), None, []
    for agent in agents:
        kept, dropped = brought(agent.config["settings"], chosen)
        for name in dropped.keys() - changes.keys():
            notes.append(
                f"{agent.folder} was trained with {name} = {dropped[name]!r}, and {chosen} sets "
                f"its own: to take it along, give --option {name}=..."
            )
        own = kept | dict(changes)
        if first is not None and own != options:
            raise ValueError(
                f"{first.folder} was trained with {_difference(options, own)} in {agent.folder}: "
                "choose by --option, or evaluate them one by one"
            )
        options, first = own, agent
    return chosen, options, notes


def _check_repetition(one: Any, other: Any) -> None:
    """Raise ValueError unless two runs of the same label differ by chance alone."""
    if isinstance(one, Agent) and one.recipe != other.recipe:
        raise ValueError(
            f"runs of the label {other.label!r} are pooled, but {one.folder} has "
            f"{_difference(one.recipe, other.recipe)} in {other.folder}: name one of them only, or "
            f"give one another label in its {CONFIG}"
        )


def _difference(one: JSON, other: JSON) -> str:
    """The first entry in which two mappings differ, in words."""
    common = {name for name in one.keys() & other.keys() if one[name] == other[name]}
    name = min((one.keys() | other.keys()) - common)
    mine, theirs = (repr(each[name]) if name in each else "not set" for each in (one, other))
    return f"{name} as {mine}, where it is {theirs}"
