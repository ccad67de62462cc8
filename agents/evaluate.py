"""Compare policies on the same trials: ``python -m agents.evaluate --policy runs/mine --figure``.

The floor (zero volition), the paper's command (Eq 24) and the reference ceiling are always in the
table. Runs of the same label are pooled: a mean over training seeds. A benchmark over animals and
training seeds is ``--animals 0 1 2`` with several runs of one label; one over tasks as well would
be a module beside this one.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from agents.intervals import Bootstrap, interval
from agents.options import JSON, check_positive, parse, plain_errors, setting
from agents.pictures import draw_figure, write_video
from agents.runs import Agent, make_env, versions
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.files import write_json
from ndbmi_gym.policies import POLICIES, make_policy
from ndbmi_gym.tasks import Task

FLOOR, COMMAND, CEILING = "zero", "eq24", "ceiling"
DEFAULT_ENV = "ndbmi/ShiftTargetCurl-v0"
DATA, TABLE, FIGURE, VIDEO = "evaluation.json", "table.md", "trajectories.png", "agent.mp4"

_BATCH = 250  # trials side by side
_LAST_STEPS = 25  # those that count when a target is to be held
_SHOWN_STARTS = 8
_SHOWN_TRIALS = 6

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Settings:
    """What is to be evaluated, and on what; its fields are the command line."""

    policy: tuple[str, ...] = setting((), f"{', '.join(POLICIES)}, or the folder of a run")
    env: str | None = setting(
        None, f"environment id; by default that of the runs, or {DEFAULT_ENV}"
    )
    option: Mapping[str, Any] = setting(
        {}, "option of the environment, in place of that of runs trained on it (may be repeated)"
    )
    episodes: int = setting(1000, "trials of each policy, for each animal")
    seed: int = setting(1000, "of the trials")
    animals: tuple[int, ...] = setting((), "animals to test on; by default that of the options")
    out: str = setting("runs/evaluation", "folder for the results")
    figure: bool = setting(False, "draw trajectories")
    video: bool = setting(False, "film the last policy named")
    stochastic: bool = setting(False, "let agents explore")
    threads: int = setting(1, "threads of torch")

    def __post_init__(self) -> None:
        check_positive(self, "episodes", "threads")


class Actor(Protocol):
    """What acts on batched observations: a baseline, an `Agent` or an SB3 model."""

    def predict(
        self,
        observation: npt.NDArray[Any],
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], Any]:
        """Actions (B, n) and what to hand in as `state` the next time."""
        ...


Lineup = dict[str, list[str | Agent]]
"""What is compared, by label: one baseline's name, or agents from runs of the same label."""

QUANTITIES = ("score", "success", "return", "effort", "steps")
"""What is measured of a trial.

The score is the number of steps to arrival (a miss takes all there are), or in tasks that do not
end on arrival the share of the last 25 steps that ended in the target. The effort is the mean of
|action| over electrodes and steps.
"""


def evaluate(settings: Settings) -> JSON:
    """Results of all policies on the same trials.

    All trials of a batch begin at once and each counts once, however long it takes: none is left
    out for being slow.

    Returns
    -------
    dict
        JSON types throughout. ``table``: a row for each policy, quantities as ``[mean, low,
        high]`` with 95 % intervals (see `tabulate`). ``trials``: for each policy and quantity the
        values of all trials, nested as (run, animal, trial). ``scene`` and ``paths``: trajectories
        between starts and targets that all policies share.

    Raises
    ------
    FileNotFoundError
        If a policy is neither a baseline's name nor the folder of a run.
    ValueError
        If an agent cannot act on what the environment shows or has a baseline's name, runs of one
        label are no repetitions of each other, or runs leave open which environment is meant.
    """
    torch.set_num_threads(settings.threads)
    lineup = line_up(settings.policy)
    env_id, options = _place(settings, lineup)
    places = [options | {"animal": animal} for animal in settings.animals] or [options]
    trials, task = _measure_all(env_id, places, lineup, settings)
    return {
        "env": env_id,
        "options": options,
        "settings": dataclasses.asdict(settings),
        "versions": versions(),
        "runs": {
            label: [str(member.folder) for member in members if isinstance(member, Agent)]
            for label, members in lineup.items()
        },
        "score": f"share of last {_LAST_STEPS} steps" if _holds(task) else "steps to arrival",
        # where the field leads to the target by itself, zero volition is no floor
        "table": tabulate(trials, settings.seed, scored=task.target != "field"),
        **_show(env_id, places[0], lineup, settings),
        "trials": {
            label: {name: np.round(values, 4).tolist() for name, values in measured.items()}
            for label, measured in trials.items()
        },
    }


def line_up(policies: Sequence[str]) -> Lineup:
    """Floor and command first, then what was named in that order, the ceiling last."""
    lineup: Lineup = {FLOOR: [FLOOR], COMMAND: [COMMAND]}
    for policy in dict.fromkeys(policies):
        if policy in POLICIES:
            lineup[policy] = [policy]
            continue
        if not Path(policy).exists():
            raise FileNotFoundError(
                f"policy {policy!r} is neither a baseline ({', '.join(POLICIES)}) nor a folder"
            )
        agent = Agent(policy)
        if agent.label in POLICIES:
            raise ValueError(f"{policy} is labelled {agent.label!r}, the name of a baseline")
        members = lineup.setdefault(agent.label, [])
        members.append(agent)
        _check_repetition(members[0], agent)
    lineup.pop(CEILING, None)
    return lineup | {CEILING: [CEILING]}


def play(
    env: BMIVectorEnv, actor: Actor, seen: npt.NDArray[Any], deterministic: bool
) -> Iterator[tuple[BoolArray, FloatArray, JSON]]:
    """Run every trial of a batch to its end, from the observations of `reset`.

    Yields which trials were still running, the rewards and the infos of each step. Trials that
    ended begin anew in the following step (autoreset), and are not counted again.
    """
    state: Any = None
    running, begun = np.ones((2, env.num_envs), bool)
    ended = np.zeros(env.num_envs, bool)
    while running.any():
        action, state = actor.predict(seen, state, begun, deterministic)
        begun = ended
        seen, reward, terminated, truncated, info = env.step(action)
        yield running, reward, info
        ended = terminated | truncated
        running = running & ~ended


def measure(env: BMIVectorEnv, actor: Actor, seed: int, deterministic: bool = True) -> FloatArray:
    """`QUANTITIES` of one trial in each place of a batch, (5, B)."""
    seen, _ = env.reset(seed=seed)
    success = np.zeros(env.num_envs)
    taken, inside, rewards, efforts = [], [], [], []
    for running, reward, info in play(env, actor, seen, deterministic):
        taken.append(running)
        inside.append(info["inside"])
        rewards.append(reward * running)
        efforts.append(info["effort"] * running)
        success[running] = info["is_success"][running]
    steps = np.sum(taken, axis=0)
    score = np.mean(inside[-_LAST_STEPS:], axis=0) if _holds(env.episodes.task) else steps
    return np.stack(
        [score, success, np.sum(rewards, axis=0), np.sum(efforts, axis=0) / steps, steps]
    )


def tabulate(
    trials: Mapping[str, Mapping[str, FloatArray]], seed: int = 0, scored: bool = True
) -> list[JSON]:
    """Means with 95 % intervals of each policy's trials, (runs, animals, episodes).

    ``normalised`` is the score on a scale from the floor (0) to the ceiling (1, and above where an
    agent beats it); None if these two are not apart, or the task is not `scored`.
    """
    _, n_animals, n_episodes = trials[FLOOR]["score"].shape
    bootstrap = Bootstrap(n_animals, n_episodes, seed=seed)
    rows, scores = [], {}
    for label, measured in trials.items():
        row: JSON = {"policy": label, "runs": len(measured["score"])}
        for name in ("score", "success", "return", "effort"):
            resampled = bootstrap.means(measured[name])
            row[name] = [float(measured[name].mean()), *interval(resampled)]
            if name == "score":
                scores[label] = np.append(row["score"][0], resampled)
        rows.append(row)
    span = scores[CEILING] - scores[FLOOR]
    low, high = interval(span[1:])
    for row in rows:
        row["normalised"] = None
        if scored and (low > 0 or high < 0):
            normalised = (scores[row["policy"]] - scores[FLOOR]) / span + 0.0  # no -0
            row["normalised"] = [float(normalised[0]), *interval(normalised[1:])]
    return rows


def format_table(data: JSON) -> str:
    """The table of an evaluation in Markdown, columns aligned."""
    digits = {"score": 3 if data["score"].startswith("share") else 1, "success": 3, "effort": 3}
    names = ("score", "success", "return", "effort", "normalised")
    lines = [["policy", "runs", data["score"], *names[1:]]]
    for row in data["table"]:
        cells = [row["policy"], str(row["runs"])]
        for name in names:
            mean, low, high = (f"{x:.{digits.get(name, 2)}f}" for x in row[name] or [np.nan] * 3)
            cells.append(f"{mean} ({low}, {high})" if row[name] else "–")
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = [
        [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)] for cells in lines
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def save(data: JSON, settings: Settings) -> list[Path]:
    """Write what `evaluate` found, and the figure and the video that were asked for."""
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / DATA, out / TABLE]
    write_json(out / DATA, data)
    (out / TABLE).write_text(format_table(data) + "\n")
    if settings.figure:
        draw_figure(out / DATA, out / FIGURE)
        files.append(out / FIGURE)
    if settings.video:
        named = settings.policy[-1] if settings.policy else CEILING
        env = make_env(data["env"], 1, data["options"], render_mode="rgb_array")
        actor = _actor(named if named in POLICIES else Agent(named), env)
        frames = film(env, actor, settings.seed, not settings.stochastic)
        write_video(out / VIDEO, frames, env.metadata["render_fps"])
        env.close()
        files.append(out / VIDEO)
    return files


def film(
    env: BMIVectorEnv,
    actor: Actor,
    seed: int,
    deterministic: bool = True,
    n_trials: int = _SHOWN_TRIALS,
) -> Iterator[npt.NDArray[np.uint8]]:
    """Pictures of successive trials, each of which pauses at its end."""
    for trial in range(n_trials):
        seen, _ = env.reset(seed=seed + trial)
        yield _picture(env)
        for _ in play(env, actor, seen, deterministic):
            last = _picture(env)
            yield last
        yield from [last] * env.metadata["render_fps"]


def _place(settings: Settings, lineup: Lineup) -> tuple[str, JSON]:
    """Environment and options: those that are set, else those of the runs trained on it."""
    changes = dict(settings.option)
    if settings.animals:
        changes["animal"] = settings.animals[0]
    agents = [each for each in chain.from_iterable(lineup.values()) if isinstance(each, Agent)]
    homes = {agent.config["settings"]["env"]: agent for agent in reversed(agents)}
    if settings.env is None and len(homes) > 1:
        where = ", ".join(f"{agent.folder} on {env_id}" for env_id, agent in homes.items())
        raise ValueError(f"runs were trained on several environments, {where}: choose one by --env")
    env_id = settings.env or next(iter(homes), DEFAULT_ENV)
    options, first = changes, None
    for agent in agents:
        trained = agent.config["settings"]
        if trained["env"] != env_id:
            continue
        own = trained["option"] | changes
        if first is not None and own != options:
            raise ValueError(
                f"{first.folder} was trained with {_difference(options, own)} in {agent.folder}: "
                "choose by --option, or evaluate them one by one"
            )
        options, first = own, agent
    return env_id, options


def _check_repetition(one: str | Agent, other: Agent) -> None:
    """Raise ValueError unless two runs of the same label differ by chance alone."""
    if isinstance(one, Agent) and one.recipe != other.recipe:
        raise ValueError(
            f"runs of the label {other.label!r} are pooled, but {one.folder} has "
            f"{_difference(one.recipe, other.recipe)} in {other.folder}: name one of them only, or "
            "give one another label in its config.json"
        )


def _difference(one: JSON, other: JSON) -> str:
    """The first entry in which two mappings differ, in words."""
    common = {name for name in one.keys() & other.keys() if one[name] == other[name]}
    name = min((one.keys() | other.keys()) - common)
    mine, theirs = (repr(each[name]) if name in each else "not set" for each in (one, other))
    return f"{name} as {mine}, where it is {theirs}"


def _actor(member: str | Agent, env: BMIVectorEnv) -> Actor:
    if isinstance(member, str):
        return make_policy(member, env)
    member.check(env)
    return member


def _holds(task: Task) -> bool:
    """Whether the task is to stay in the target, rather than to arrive there."""
    return task.dwell == 0


def _measure_all(
    env_id: str, places: Sequence[JSON], lineup: Lineup, settings: Settings
) -> tuple[dict[str, dict[str, FloatArray]], Task]:
    """By policy and quantity, trials (runs, animals, episodes); and what their task is."""
    n_episodes = settings.episodes
    batch = min(_BATCH, n_episodes)
    seeds = [settings.seed + i for i in range(-(-n_episodes // batch))]
    found: dict[str, list[list[FloatArray]]] = {label: [] for label in lineup}
    n_actors = sum(map(len, lineup.values()))
    with tqdm(total=len(places) * n_actors * len(seeds), desc=env_id, disable=None) as bar:
        for options in places:
            env = make_env(env_id, batch, options)
            for label, members in lineup.items():
                found[label].append([])
                for member in members:
                    actor = _actor(member, env)
                    torch.manual_seed(settings.seed)
                    parts = []
                    for seed in seeds:
                        parts.append(measure(env, actor, seed, not settings.stochastic))
                        bar.update()
                    found[label][-1].append(np.concatenate(parts, axis=1)[:, :n_episodes])
            task = env.episodes.task
            env.close()
    # from (animals, runs, quantities, episodes)
    by_quantity = {label: np.array(nested).transpose(2, 1, 0, 3) for label, nested in found.items()}
    return {
        label: dict(zip(QUANTITIES, values, strict=True)) for label, values in by_quantity.items()
    }, task


def _show(env_id: str, options: JSON, lineup: Lineup, settings: Settings) -> JSON:
    """Trajectories of each policy between the same starts and targets, and where they take place.

    Starts lie all around, targets on opposite sides where the task has several.
    """
    draft = make_env(env_id, _BATCH, options)
    draft.reset(seed=settings.seed)
    episodes, task = draft.episodes, draft.episodes.task
    first = episodes.target[0]
    distance = np.hypot(*(episodes.target - first).T)
    targets = [first, episodes.target[distance.argmax()]] if distance.any() else [first]
    along = (np.arange(_SHOWN_STARTS) + 0.5) / _SHOWN_STARTS
    trials = [
        {"target": target.tolist(), "start": start.tolist()}
        for target in targets
        for start in task.on_square(along, episodes.half_side_cm)
        if np.hypot(*(start - target)) >= task.min_start_distance_cm
    ]
    env = make_env(env_id, len(trials), options)
    paths: JSON = {}
    for label, (member, *_) in lineup.items():
        actor = _actor(member, env)
        env.reset(seed=settings.seed)
        for mask, trial in zip(np.eye(len(trials), dtype=bool), trials, strict=True):
            seen, _ = env.reset(options={"reset_mask": mask, **trial})
        walked = [[trial["start"]] for trial in trials]
        arrived = np.zeros(len(trials), bool)
        for running, _, info in play(env, actor, seen, not settings.stochastic):
            arrived[running] = info["is_success"][running]
            for i in np.flatnonzero(running):
                walked[i].append(np.round(info["position"][i], 3).tolist())
        paths[label] = [
            {"path": path, "success": bool(success)}
            for path, success in zip(walked, arrived, strict=True)
        ]
    scene = {
        "half_side_cm": episodes.half_side_cm,
        "sites": np.round(episodes.loops[0].interface.sites, 3).tolist(),
        "target_radius_cm": task.radius_cm,
        "trials": trials,
    }
    draft.close()
    env.close()
    return {"scene": scene, "paths": paths}


def _picture(env: BMIVectorEnv) -> npt.NDArray[np.uint8]:
    pictures = env.render()
    if pictures is None:
        raise ValueError('nothing to film: make the environment with render_mode="rgb_array"')
    return pictures[0]


def run(settings: Settings) -> None:
    """Evaluate, save, and print the table and where everything is."""
    data = evaluate(settings)
    files = save(data, settings)
    print(format_table(data), "", *files, sep="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    with plain_errors():
        run(Settings(**parse(Settings, arguments, __doc__)))


if __name__ == "__main__":
    main()
