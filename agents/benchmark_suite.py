"""What a benchmark consists of: a suite, read from one JSON file and checked before anything runs.

::

    {
      "about": "one sentence",
      "seeds": [0, 1, 2],
      "trials": 500,
      "trial_seed": 1000,
      "segments": 10,
      "curve_trials": 100,
      "tasks": {"hold": {"env": "ndbmi/HoldTarget-v1", "option": {}}},
      "agents": {"filter": "filter", "ppo": {"algo": "ppo", "steps": 1000000}}
    }

A task may have trials, a seed of trials and ``animals`` of its own, and a subset of the ``agents``;
``"apart": true`` keeps it out of what is summed up over tasks.
With ``"trained": "hold"`` agents are not trained on it but on that task, which is how
generalisation is tested. ``"like": "core"`` takes agents, seeds and the tasks to train on from
another suite, whose trained agents are then used and not trained once more.

An agent is a text (or a list of texts, several runs of it) as ``--policy`` of `agents.evaluate`
takes it, or what to train: ``algo``, ``steps`` (one number, or by name of the task trained on; on
tasks that it does not name the agent is left out), and ``hyper``, changes of hyper-parameters.
"""

import contextlib
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium

from agents import distill
from agents.lineup import CEILING, FLOOR
from agents.options import JSON
from agents.runs import AGENT, DISTILL, MODEL, make_env
from agents.train import Settings, read_hyperparams
from ndbmi_gym.policies import POLICIES
from ndbmi_gym.policies.pretrained import shipped

SUITES = Path(__file__).parent / "suites"

_DEFAULTS: JSON = {
    "seeds": [0, 1, 2],
    "trials": 500,
    "trial_seed": 1000,
    "segments": 10,
    "curve_trials": 100,
}
_OF_A_SUITE = {"about", "like", "tasks", "agents", *_DEFAULTS}
_OF_A_TASK = {"env", "option", "trials", "trial_seed", "animals", "trained", "agents", "apart"}
_OF_A_LEARNER = {"algo", "steps", "hyper"}


@dataclass(frozen=True)
class Place:
    """An environment and the trials that are played on it.

    Attributes
    ----------
    env : str
        Its id.
    option : dict
        Its options.
    animals : tuple of int
        Whose loops are tested; empty for that of the options.
    trials : int
        Of each animal.
    trial_seed : int
        Of the first trial.
    """

    env: str
    option: JSON = field(default_factory=dict)
    animals: tuple[int, ...] = ()
    trials: int = 500
    trial_seed: int = 1000

    @property
    def options(self) -> list[JSON]:
        """Options for each animal."""
        return [self.option | {"animal": animal} for animal in self.animals] or [self.option]


@dataclass(frozen=True)
class Training:
    """All that decides what a training run learns; equal trainings are one run.

    Attributes
    ----------
    algo, env, option, hyperparams, steps, seed
        As in `agents.train.Settings`, hyper-parameters in full.
    segments : int
        Sessions of equal length that the run is made of, each from the files of the last.
    curve : Place
        What is tested after each segment.
    """

    algo: str
    env: str
    option: JSON
    hyperparams: JSON
    steps: int
    seed: int
    segments: int
    curve: Place

    @property
    def name(self) -> str:
        """A folder's name: what it is in words, and a digest of everything."""
        env = self.env.rpartition("/")[2].partition("-")[0]
        return f"{env}-{self.algo}-{self.seed}-{digest(asdict(self))}"


@dataclass(frozen=True)
class Run:
    """One task, agent and seed.

    Attributes
    ----------
    suite, task, agent : str
        Names.
    seed : int
        Of the training, or the number of an own agent's run.
    place : Place
        What is played.
    policy : str or Training
        What plays.
    identity : str
        Digest of the files that an own agent is made of; empty of others.
    at_home : bool
        Whether what plays was trained on this very task.
    apart : bool
        Whether the task is left out of what is summed up over tasks.
    """

    suite: str
    task: str
    agent: str
    seed: int
    place: Place
    policy: str | Training
    identity: str = ""
    at_home: bool = True
    apart: bool = False

    @property
    def file(self) -> Path:
        """Where its result is, beneath the folder of all results."""
        return Path(self.suite, self.task, self.agent, f"{self.seed}.json")

    @property
    def asked(self) -> JSON:
        """All that decides the result, for the file."""
        kept = {name: getattr(self, name) for name in ("suite", "task", "agent", "seed")}
        policy = self.policy if isinstance(self.policy, str) else asdict(self.policy)
        made: JSON = json.loads(
            json.dumps(
                kept
                | {"place": asdict(self.place), "policy": policy, "identity": self.identity}
                | {"at_home": self.at_home}
            )
        )
        return made


@dataclass(frozen=True)
class Suite:
    """A checked suite.

    Attributes
    ----------
    name : str
    seeds : tuple of int
        Of the training runs.
    tasks : mapping of str to dict
        As in the file, defaults filled in.
    homes : mapping of str to dict
        Tasks to train on: its own, and those of the suite that it is like.
    agents : mapping
        As in the file.
    segments, curve_trials : int
    """

    name: str
    seeds: tuple[int, ...]
    tasks: Mapping[str, JSON]
    homes: Mapping[str, JSON]
    agents: Mapping[str, Any]
    segments: int
    curve_trials: int

    def runs(self) -> list[Run]:
        """All runs; floor and ceiling of each task first."""
        found = []
        for task, each in self.tasks.items():
            of_task = partial(Run, self.name, task, place=_place(each), apart=each["apart"])
            for label, agent in self._agents_on(each).items():
                if isinstance(agent, dict):
                    home = each.get("trained", task)
                    steps = _steps(agent, home)
                    if steps is None:
                        continue
                    for seed in self.seeds:
                        training = self._training(agent, home, steps, seed)
                        found.append(of_task(label, seed, policy=training, at_home=home == task))
                else:
                    for seed, spec in enumerate(_listed(agent)):
                        found.append(of_task(label, seed, policy=spec, identity=identity(spec)))
        return found

    def _agents_on(self, task: JSON) -> dict[str, Any]:
        chosen = {
            label: agent
            for label, agent in self.agents.items()
            if label in task.get("agents", self.agents) and label not in (FLOOR, CEILING)
        }
        return {FLOOR: FLOOR, CEILING: CEILING} | chosen

    def _training(self, agent: JSON, home: str, steps: int, seed: int) -> Training:
        place = _place(self.homes[home])
        env, option = place.env, place.options[0]
        settings = Settings(
            algo=agent["algo"], env=env, option=option, hyper=agent.get("hyper", {}), seed=seed
        )
        curve = Place(env, option, (), self.curve_trials, place.trial_seed)
        return Training(
            agent["algo"],
            env,
            option,
            read_hyperparams(settings),
            steps,
            seed,
            self.segments,
            curve,
        )

    def chosen(
        self, only: Sequence[str] = (), n_seeds: int | None = None, own: Mapping[str, Any] = {}
    ) -> "Suite":
        """A part of the suite, and agents of one's own beside its own.

        Parameters
        ----------
        only : sequence of str
            Tasks, agents or both; none of a kind stands for all of it.
        n_seeds : int, optional
            How many training seeds; beyond those of the suite the following numbers.
        own : mapping
            Agents by label, as in the file.

        Raises
        ------
        ValueError
            If there is no such task or agent, or a label is taken.
        """
        seeds = self.seeds
        if n_seeds is not None:
            if n_seeds < 1:
                raise ValueError(f"seeds = {n_seeds}: give a number >= 1")
            more = range(max(seeds) + 1, max(seeds) + 1 + n_seeds)
            seeds = (*seeds, *more)[:n_seeds]
        for label in own:
            if label in self.agents or label in POLICIES:
                kind = f"in suite {self.name}" if label in self.agents else "a baseline"
                raise ValueError(f"the agent {label!r} is {kind}: choose another label")
        agents, tasks = {**self.agents, **own}, dict(self.tasks)
        for name in only:
            if name not in tasks and name not in agents:
                raise ValueError(
                    f"suite {self.name} has no task or agent {name!r}: choose from "
                    f"{', '.join([*tasks, *agents])} (floor and ceiling are always played)"
                )
        tasks = {name: each for name, each in tasks.items() if name in only} or tasks
        for name, each in tasks.items():
            if "agents" in each:
                tasks[name] = each | {"agents": [*each["agents"], *own]}
        if named := agents.keys() & set(only):
            agents = {label: agents[label] for label in agents if label in named | own.keys()}
        for label, each in own.items():
            _check_agent(label, each, self.homes, self.tasks)
        return replace(self, seeds=seeds, tasks=tasks, agents=agents)


def read_suite(name: str) -> Suite:
    """A suite by its name, or by the path of its file, checked.

    Raises
    ------
    FileNotFoundError
        If there is no such suite.
    ValueError
        If the file is no suite: an entry is unknown or missing, an environment cannot be made, or
        an agent cannot be trained as it is asked for.
    """
    path = Path(name) if name.endswith(".json") else SUITES / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(each.stem for each in SUITES.glob("*.json")))
        raise FileNotFoundError(
            f"there is no suite {name!r}: choose from {there}, or name a JSON file"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return _checked(path.stem, found)
    except ValueError as error:
        raise ValueError(f"suite {path}: {error}") from error


def _checked(name: str, found: Any) -> Suite:
    _check_names("it", found, _OF_A_SUITE, {"tasks"})
    if not isinstance(found.get("like", ""), str):
        raise ValueError(f"like = {found['like']!r}: give the name of a suite")
    base: Suite | None = read_suite(found["like"]) if "like" in found else None
    common = dict(_DEFAULTS)
    if base is not None:
        common |= {
            "seeds": list(base.seeds),
            "segments": base.segments,
            "curve_trials": base.curve_trials,
        }
        for key in ("segments", "curve_trials"):
            if key in found:
                raise ValueError(f"{key} are those of {found['like']}: leave it out")
    common |= {key: found[key] for key in _DEFAULTS.keys() & found.keys()}
    for key in ("trials", "trial_seed", "segments", "curve_trials"):
        _check_whole(key, common[key], 0 if key == "trial_seed" else 1)
    seeds = common["seeds"]
    if not isinstance(seeds, list) or not seeds:
        raise ValueError(f"seeds = {seeds!r}: give a list of different whole numbers")
    for seed in seeds:
        _check_whole("seeds", seed, 0)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds = {seeds!r}: give a list of different whole numbers")
    _check_names("agents", found.get("agents", {}), None, set())
    agents = {**(base.agents if base else {}), **found.get("agents", {})}
    _check_names("tasks", found["tasks"], None, set())
    if not found["tasks"]:
        raise ValueError("tasks is {}: name one or more")
    tasks = {task: _task(task, each, common, agents) for task, each in found["tasks"].items()}
    homes = {**(base.homes if base else {}), **tasks}
    homes = {task: each for task, each in homes.items() if "trained" not in each}
    spaces = {name: _spaces(name, each) for name, each in {**homes, **tasks}.items()}
    learns = any(isinstance(agent, dict) for agent in agents.values())
    for task, each in tasks.items():
        home = each.get("trained", task)
        if home not in homes:
            raise ValueError(
                f"task {task!r} is trained on {home!r}: name one of {', '.join(homes)}"
            )
        if spaces[task] != spaces[home]:
            raise ValueError(
                f"task {task!r} has other observations or actions than {home!r}, which its agents "
                "are trained on: set observe, volition and the like as there"
            )
        if home == task and learns and each["trials"] < common["curve_trials"]:
            raise ValueError(
                f"curve_trials = {common['curve_trials']}: give no more than the {each['trials']} "
                f"trials of task {task!r}, whose first ones they are"
            )
    for label, agent in agents.items():
        _check_agent(label, agent, homes, tasks)
    return Suite(
        name,
        tuple(seeds),
        tasks,
        homes,
        agents,
        common["segments"],
        common["curve_trials"],
    )


def _check_label(kind: str, label: str) -> None:
    """Raise ValueError unless a name can be that of a folder."""
    if not label or label.startswith(".") or set(label) & set("/\\"):
        raise ValueError(
            f"the {kind} {label!r} cannot name a folder: choose a name without slashes that does "
            "not begin with a dot"
        )


def _task(name: str, each: Any, common: JSON, agents: Mapping[str, Any]) -> JSON:
    _check_label("task", name)
    _check_names(f"task {name!r}", each, _OF_A_TASK, {"env"})
    filled: JSON = {key: common[key] for key in ("trials", "trial_seed")}
    filled |= {"option": {}, "apart": False} | each
    for key in ("trials", "trial_seed"):
        _check_whole(f"{key} of task {name!r}", filled[key], 0 if key == "trial_seed" else 1)
    _check_names(f"option of task {name!r}", filled["option"], None, set())
    animals = filled.get("animals", [])
    if not isinstance(animals, list):
        raise ValueError(f"animals of task {name!r} are {animals!r}: give a list of whole numbers")
    for animal in animals:
        _check_whole(f"animals of task {name!r}", animal, 0)
    if not isinstance(filled.get("trained", name), str):
        raise ValueError(f"task {name!r} is trained on {filled['trained']!r}: give a task's name")
    if not isinstance(filled["apart"], bool):
        raise ValueError(f"apart of task {name!r} is {filled['apart']!r}: give true or false")
    of_task = filled.get("agents", [])
    if not (isinstance(of_task, list) and all(isinstance(label, str) for label in of_task)):
        raise ValueError(f"agents of task {name!r} are {of_task!r}: give a list of labels")
    for label in of_task:
        if label not in agents:
            raise ValueError(
                f"task {name!r} names the agent {label!r}: choose from {', '.join(agents)}"
            )
    return filled


def _check_agent(
    label: str, agent: Any, homes: Mapping[str, JSON], tasks: Mapping[str, JSON]
) -> None:
    """Raise ValueError unless an agent can be had, and trained wherever tasks want it."""
    _check_label("agent", label)
    if not isinstance(agent, dict):
        for spec in _listed(agent):
            if not isinstance(spec, str):
                raise ValueError(f"agent {label!r} is {spec!r}: give a text, or what to train")
            if label in POLICIES and spec != label:
                raise ValueError(f"agent {label!r} has the name of a baseline: choose another")
            if not (spec in POLICIES or Path(spec).exists() or _sources(spec)):
                raise ValueError(
                    f"agent {label!r} is {spec!r}: there is no such baseline "
                    f"({', '.join(POLICIES)}), file, folder or module"
                )
        return
    if label in POLICIES:
        raise ValueError(f"agent {label!r} has the name of a baseline: choose another")
    _check_names(f"agent {label!r}", agent, _OF_A_LEARNER, {"algo", "steps"})
    steps = agent["steps"]
    if isinstance(steps, dict):
        _check_names(f"steps of agent {label!r}", steps, set(homes), set())
        if not steps:
            raise ValueError(f"steps of agent {label!r} = {{}}: name a task to train it on")
    _check_names(f"hyper of agent {label!r}", agent.get("hyper", {}), None, set())
    for each in steps.values() if isinstance(steps, dict) else [steps]:
        _check_whole(f"steps of agent {label!r}", each, 1)
    wanted = {
        each.get("trained", task)
        for task, each in tasks.items()
        if label in each.get("agents", [label])
    }
    for home in sorted(wanted):
        if _steps(agent, home) is None:
            continue
        env, option = homes[home]["env"], _place(homes[home]).options[0]
        try:
            settings = Settings(
                algo=agent["algo"], env=env, option=option, hyper=agent.get("hyper", {})
            )
            hyperparams = read_hyperparams(settings)
            if settings.algo == DISTILL:
                distill.check(env, option, hyperparams)
        except (OSError, ValueError) as error:
            raise ValueError(f"agent {label!r} on {home!r}: {error}") from error


def _place(task: JSON) -> Place:
    return Place(
        task["env"],
        task["option"],
        tuple(task.get("animals", ())),
        task["trials"],
        task["trial_seed"],
    )


def _spaces(name: str, task: JSON) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    """Of observations and actions; ValueError if there is no such environment."""
    try:
        with contextlib.closing(make_env(task["env"], 1, _place(task).options[0])) as env:
            return env.single_observation_space, env.single_action_space
    except (gymnasium.error.Error, TypeError, ValueError) as error:
        raise ValueError(f"task {name!r}: {error}") from error


def _steps(agent: JSON, home: str) -> int | None:
    steps: int | None
    steps = agent["steps"].get(home) if isinstance(agent["steps"], dict) else agent["steps"]
    return steps


def _listed(agent: Any) -> list[Any]:
    return agent if isinstance(agent, list) else [agent]


def identity(spec: str) -> str:
    """Digest of the files that an own agent is made of, so that another version is run anew.

    Of a module these are its file, and of one in a package all that lies in the package.
    """
    if spec in POLICIES:
        return digest(shipped()) if spec == "pretrained" else ""
    path = Path(spec)
    if path.exists() or ":" not in spec:
        files = [path] if path.is_file() else [path / name for name in (AGENT, MODEL)]
    else:
        files = _sources(spec)
    together = hashlib.sha256()
    for file in files:
        if file.is_file():
            together.update(file.name.encode() + file.read_bytes())
    return together.hexdigest()[:12]


def _sources(spec: str) -> list[Path]:
    """The file of a module that ``module:attribute`` names, or all that is in its package."""
    name, colon, _ = spec.partition(":")
    try:
        found = importlib.util.find_spec(name.partition(".")[0]) if colon else None
    except (ImportError, ValueError):
        found = None
    if found is None:
        return []
    folders = found.submodule_search_locations
    if folders is not None:
        files = [file for folder in folders for file in sorted(Path(folder).rglob("*"))]
        return [file for file in files if "__pycache__" not in file.parts]
    return [Path(found.origin)] if found.origin else []


def digest(data: Any) -> str:
    """Twelve hexadecimal digits that stand for JSON data."""
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _check_names(whole: str, found: Any, known: set[str] | None, needed: set[str]) -> None:
    """Raise ValueError unless it is a mapping with known entries, and those that are needed."""
    if not isinstance(found, dict):
        raise ValueError(f"{whole} is {found!r:.40}: give a mapping")
    for name in found.keys() - (found.keys() if known is None else known):
        near = get_close_matches(name, known or ()) or sorted(known or ())
        raise ValueError(f"{whole} has an entry {name!r}: choose from {', '.join(near)}")
    for name in sorted(needed - found.keys()):
        raise ValueError(f"{whole} has no {name!r}: add it")


def _check_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} = {value!r}: give a whole number >= {least}")
