"""Choose the agents that come with the package: ``python -m agents.ship runs/hold-* runs/curl-*``.

For maintainers. Of each environment id what does best on some trials, of the runs and the agent
that is there, is taken, scored on others beside floor and ceiling, and written into
``ndbmi_gym/data`` with what is known of it. The agents of other ids stay.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from agents.evaluate import tabulate
from agents.lineup import CEILING, FLOOR
from agents.options import JSON, plain_errors
from agents.runs import AGENT, is_own, make_env, short_name, versions
from ndbmi_gym.files import digest, write_json
from ndbmi_gym.policies.network import Network, load_network, save_network
from ndbmi_gym.rollout import holds, score, task_of

DATA = Path(__file__).parents[1] / "ndbmi_gym" / "data"
TABLE = "agents.json"
SELECTION_SEED, SEED = 500_000, 900_000
"""Of the trials that agents are chosen on, and of those that they are scored on."""

_FIGURES = ("score", "success", "return", "effort", "normalised", "normalised_return")


def ship(
    sources: Sequence[Path], trials: int = 1000, selection: int = 1000, data: Path = DATA
) -> list[Path]:
    """Write the best agent of each id, and the table of them.

    Parameters
    ----------
    sources : sequence of Path
        Folders of runs, or files of agents that say what they were trained on.
    trials : int
        To score each on.
    selection : int
        To choose on.
    data : Path
        Folder of the package's data.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    FileNotFoundError
        If one has no agent.
    ValueError
        If one is no agent, or none of an environment as its id makes it.
    """
    by_id: dict[str, dict[Path, Network]] = {}
    for source in sources:
        path = source / AGENT if source.is_dir() else source
        agent = load_network(path)
        if "env" not in agent.about:
            raise ValueError(f"{path} does not say what it was trained on: name a run's folder")
        env_id, option = agent.about["env"], agent.about.get("option")
        if not is_own(env_id) or option:
            raise ValueError(
                f"{path} was trained on {env_id} with the options {option}: only agents of an id "
                "as it is are shipped"
            )
        by_id.setdefault(env_id, {})[path] = agent
    table: JSON = {}
    if (data / TABLE).exists():
        table = json.loads((data / TABLE).read_text("utf-8"))
    candidates = {env_id: len(agents) for env_id, agents in by_id.items()}
    for env_id, agents in by_id.items():
        if env_id in table:
            present = data / table[env_id]["file"]
            agents[present] = load_network(present)
            candidates[env_id] += table[env_id]["selected"]["agents"]  # it is the best of these
    best = {env_id: choose(env_id, agents, selection) for env_id, agents in by_id.items()}
    rows = {env_id: scored(env_id, agent, trials) for env_id, agent in best.items()}
    for env_id, agent in best.items():
        file = _file(env_id)
        save_network(data / file, agent)
        table[env_id] = {
            "file": file,
            "sha256": digest(data / file),
            "about": agent.about,
            "selected": {
                "agents": candidates[env_id],
                "trials": selection,
                "seed": SELECTION_SEED,
            },
            "scored": {"trials": trials, "seed": SEED, "versions": versions()},
        } | {name: rows[env_id][name] for name in _FIGURES}
        told = rows[env_id]["score"][0], rows[env_id]["normalised"]
        print(f"{env_id}: {told[0]:.3f}, normalised {told[1]}", flush=True)
    write_json(data / TABLE, dict(sorted(table.items())))
    return [*(data / table[env_id]["file"] for env_id in best), data / TABLE]


def _file(env_id: str) -> str:
    return f"agents/{short_name(env_id)}.npz"


def scored(env_id: str, agent: Network, trials: int) -> JSON:
    """The agent's row of a table with floor and ceiling (`agents.evaluate.tabulate`).

    Parameters
    ----------
    env_id : str
    agent : Network
    trials : int
    """
    found = {}
    for label, policy in {FLOOR: FLOOR, "agent": agent, CEILING: CEILING}.items():
        each = score(env_id, policy, trials, SEED)
        found[label] = {name: values[None, None] for name, values in each.items()}
    env = make_env(env_id, 1, {})
    rows = tabulate(found, scored=task_of(env).scored)
    env.close()
    return rows[1]


def choose(env_id: str, agents: Mapping[Path, Network], trials: int) -> Network:
    """The agent with the best mean score.

    Parameters
    ----------
    env_id : str
    agents : mapping
        By their file, for messages.
    trials : int
        All play the same.

    Raises
    ------
    ValueError
        If one does not fit the environment as its id makes it.
    """
    env = make_env(env_id, 1, {})
    better = 1 if holds(env) else -1  # steps to arrival are to be few
    env.close()
    reached = {}
    for path, agent in agents.items():
        try:
            found = score(env_id, agent, trials, SELECTION_SEED)
        except ValueError as error:
            raise ValueError(f"{path} on {env_id}: {error}") from error
        reached[path] = float(np.mean(found["score"]))
        print(f"{path}: {reached[path]:.3f}", flush=True)
    return agents[max(reached, key=lambda path: better * reached[path])]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="+", help="folder of a run, or an agent.npz of one")
    parser.add_argument("--trials", type=int, default=1000, help="to score each agent on")
    parser.add_argument("--selection", type=int, default=1000, help="trials to choose on")
    asked = parser.parse_args(arguments)
    with plain_errors():
        print(*ship(asked.run, asked.trials, asked.selection), sep="\n")


if __name__ == "__main__":
    main()
