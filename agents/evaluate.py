"""Compare policies on the same trials: ``python -m agents.evaluate --policy runs/mine --figure``.

The floor (zero volition), the paper's command (Eq 24) and the reference ceiling are always in the
table, beside runs of `agents.train` and policies of one's own (`agents.lineup.line_up`). Runs of
the same label are pooled: a mean over training seeds. ``--animals 0 1 2`` with several runs of one
label compares over animals, too; `agents.benchmark` does so over tasks.

Run folders and models are read without running code of theirs, unless ``--trust`` is given.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.utils import set_random_seed
from tqdm import tqdm

from agents.lineup import CEILING, DEFAULT_ENV, FLOOR, Lineup, actor, find, line_up, place, trained
from agents.options import JSON, check_positive, parse, plain_errors, setting
from agents.pictures import draw_figure
from agents.runs import Agent, make_env, versions
from ndbmi_gym.experiments.bench.crossed import crossed_interval, mean_of
from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.fields import obstacles_of
from ndbmi_gym.files import check_folder, write_json, write_text
from ndbmi_gym.film import pictures, write_film
from ndbmi_gym.policies import POLICIES
from ndbmi_gym.rollout import (
    BATCH,
    QUANTITIES,
    REACHING,
    batch_size,
    measured,
    play,
    session_of,
    steps_scored,
)
from ndbmi_gym.tasks import Task
from ndbmi_gym.tasks.reach import Reach

DATA, TABLE, FIGURE, VIDEO = "evaluation.json", "table.md", "trajectories.png", "agent.mp4"

_SHOWN_STARTS = 8

_MEANS = ("score", "success", "return", "effort")
_NORMALISED = {"normalised": "score", "normalised_return": "return"}
"""By name of a normalised quantity, which it is made of."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What is to be evaluated, and on what; its fields are the command line."""

    policy: tuple[str, ...] = setting(
        (),
        f"{', '.join(POLICIES)}, the folder of a run, a model.zip of SB3, an agent.npz, or "
        "module:attribute",
    )
    env: str | None = setting(
        None, f"environment id; by default that of the runs, or {DEFAULT_ENV}"
    )
    option: Mapping[str, Any] = setting(
        {}, "option of the environment, in place of that of the runs (may be repeated)"
    )
    episodes: int = setting(1000, "trials of each policy, for each animal")
    seed: int = setting(1000, "of the trials")
    animals: tuple[int, ...] = setting((), "animals to test on; by default that of the options")
    out: str = setting("runs/evaluation", "folder for the results")
    figure: bool = setting(False, "draw trajectories")
    video: bool = setting(False, "film the last policy named")
    stochastic: bool = setting(False, "let agents explore")
    threads: int = setting(1, "threads of torch")
    trust: bool = setting(False, "let code in the folders and models that are named run")
    retabulate: str | None = setting(
        None, "make the table of such a data file anew from its trials, and nothing else"
    )

    def __post_init__(self) -> None:
        check_positive(self, "episodes", "threads")


def score(policies: Mapping[str, Any], **settings: Any) -> list[JSON]:
    """The table of a comparison, for policies of one's own.

    ::

        score({"mine": MyPolicy, "sb3": model}, env="ndbmi/HoldTarget-v1", episodes=200)

    Parameters
    ----------
    policies : mapping
        By label, whatever `ndbmi_gym.rollout.as_actor` takes, or what ``--policy`` does.
    **settings
        Fields of `Settings`.

    Returns
    -------
    list of dict
        See `tabulate`.
    """
    table: list[JSON] = evaluate(Settings(**settings), policies)["table"]
    return table


def evaluate(settings: Settings, own: Mapping[str, Any] | None = None) -> JSON:
    """Results of all policies on the same trials.

    All trials of a batch begin at once and each counts once, however long it takes: none is left
    out for being slow.

    Parameters
    ----------
    settings : Settings
    own : mapping, optional
        Policies by label beside those that the settings name.

    Returns
    -------
    dict
        JSON types throughout. ``table``: a row for each policy (see `tabulate`). ``trials``: for
        each policy and quantity the values of all trials, nested as (run, animal, trial); those of
        reaching where trials end on arrival, null in one that did not. ``scene`` and ``paths``:
        trajectories between starts and targets that all policies share. ``notes``: what of the
        runs' settings was left out.

    Raises
    ------
    FileNotFoundError
        If a policy is none of those that `agents.lineup.line_up` knows.
    ValueError
        If a policy cannot act on what the environment shows or has a baseline's name, runs of one
        label are no repetitions of each other, or runs leave open which environment is meant.
    """
    torch.set_num_threads(settings.threads)
    lineup = line_up(settings.policy, own, settings.trust)
    changes = dict(settings.option)
    if settings.animals:
        changes["animal"] = settings.animals[0]
    env_id, options, notes = place(settings.env, changes, lineup)
    places = [options | {"animal": animal} for animal in settings.animals] or [options]
    trials, task = _measure_all(env_id, places, lineup, settings)
    sampled = {label for label, members in lineup.items() if trained(members)}
    return {
        "env": env_id,
        "options": options,
        "settings": dataclasses.asdict(settings),
        "versions": versions(),
        "runs": {
            label: [str(member.folder) for member in members if isinstance(member, Agent)]
            for label, members in lineup.items()
        },
        "notes": notes,
        "score": (
            f"share of last {steps_scored(task)} steps" if task.holds else "steps to arrival"
        ),
        # where the field leads to the target by itself, zero volition is no floor
        "table": tabulate(trials, sampled, scored=task.scored),
        **_show(env_id, places[0], lineup, settings),
        "trials": {
            label: {
                name: _written(values)
                for name, values in found.items()
                if not (task.holds and name in REACHING)
            }
            for label, found in trials.items()
        },
    }


def _written(values: FloatArray) -> list[Any]:
    """Values for a data file, with nothing in the place of NaN."""
    rounded: npt.NDArray[Any] = np.round(values, 4).astype(object)
    rounded[np.isnan(values)] = None
    return rounded.tolist()


def tabulate(
    trials: Mapping[str, Mapping[str, FloatArray]],
    sampled: set[str] | frozenset[str] = frozenset(),
    scored: bool = True,
) -> list[JSON]:
    """The table of an evaluation from its trials.

    The 95 % intervals (`ndbmi_gym.experiments.bench.crossed`) are over trials, and over training
    runs where the label is `sampled`; low and high are None where there is one run. ``normalised``
    and ``normalised_return`` are score and return on a scale from the floor (0) to the ceiling (1,
    and above where an agent beats it); None if these two are not apart, or the task is not
    `scored`. An agent optimises its return, so that the latter says how well it did what it was
    trained for; where the ceiling's return is below the floor's, it is no ceiling of it, and there
    is None.

    Parameters
    ----------
    trials : mapping
        By policy and quantity (`ndbmi_gym.rollout.QUANTITIES`), arrays (runs, animals, episodes);
        floor and ceiling among them.
    sampled : set of str
        Policies whose runs are a sample of what training leads to.
    scored : bool
        Whether zero volition is a floor of the task.

    Returns
    -------
    list of dict
        A row for each policy: ``policy``, ``runs`` and ``trials`` (their numbers, the latter of
        each run, on all animals), and ``[mean, low, high]`` of score, success, return and effort,
        and ``normalised`` and ``normalised_return``.
    """
    rows = []
    for label, found in trials.items():
        n_runs, n_animals, n_episodes = found["score"].shape
        row: JSON = {"policy": label, "runs": n_runs, "trials": n_animals * n_episodes}
        for name in _MEANS:
            row[name] = _listed(mean_of(found[name], label in sampled, name))
        for name, shown in _NORMALISED.items():
            row[name] = None
            if scored:
                scale = trials[FLOOR][shown], trials[CEILING][shown]
                row[name] = _listed(normalised(found[shown], *scale, label in sampled, shown))
        rows.append(row)
    return rows


def normalised(
    values: FloatArray, floor: FloatArray, ceiling: FloatArray, sampled: bool, quantity: str
) -> Interval | None:
    """Mean on a scale from that of the floor (0) to that of the ceiling (1).

    Parameters
    ----------
    values, floor, ceiling : ndarray (runs, animals, episodes)
        On the same trials.
    sampled : bool
        Whether the runs of `values` are a sample of what training leads to.
    quantity : str
        More of a ``"return"`` is always better, of a score less may be.

    Returns
    -------
    Interval or None
        None if floor and ceiling are not apart.
    """
    span, low, high = crossed_interval(ceiling - floor, sampled=False)
    if not (low > 0 or (high < 0 and quantity != "return")):
        return None
    ratio = float((values.mean() - floor.mean()) / span + 0.0)  # no -0
    errors = (values - floor - ratio * (ceiling - floor)) / span
    return crossed_interval(errors, ratio, sampled=sampled)


def _listed(found: Interval | None) -> list[float | None] | None:
    """For a data file, which has nothing in the place of NaN."""
    return None if found is None else [None if np.isnan(x) else float(x) for x in found]


def retabulate(path: Path) -> JSON:
    """Make the table of a data file anew from the trials in it; its means stay to the last digit.

    Raises
    ------
    ValueError
        If it is no such file, or its means are not those of its trials.
    """
    try:
        text = path.read_text()
        data: JSON = json.loads(text)
        old = {row["policy"]: row for row in data["table"]}
        trials = {
            label: {name: np.array(values, float) for name, values in found.items()}
            for label, found in data["trials"].items()
        }
        sampled = {label for label, folders in data["runs"].items() if folders}
        scored = any(row["normalised"] for row in old.values())
        rows = tabulate(trials, sampled, scored)
        for row in rows:
            for name in (*_MEANS, *_NORMALISED):
                if name not in old[row["policy"]]:
                    continue  # the table is of a version that did not tell it
                before, now = old[row["policy"]][name], row[name]
                if (before is None) != (now is None):
                    raise ValueError(f"{name} of {row['policy']} was {before}, is {now}")
                if before is None:
                    continue
                if not np.isclose(before[0], now[0], rtol=1e-3, atol=1e-3):
                    raise ValueError(
                        f"mean {name} of {row['policy']} is {before[0]:g}, of its trials {now[0]:g}"
                    )
                now[0] = before[0]  # trials are kept to four digits
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is no intact data file of an evaluation ({error}): name an {DATA}"
        ) from error
    data["table"] = rows
    if text.count("\n") > 1:
        write_json(path, data)
    else:  # a single line stays one
        write_text(path, json.dumps(data, separators=(",", ":"), ensure_ascii=False))
    return data


def format_table(data: JSON) -> str:
    """The table of an evaluation in Markdown, columns aligned."""
    digits = {"score": 3 if data["score"].startswith("share") else 1, "success": 3, "effort": 3}
    names = (*_MEANS, *_NORMALISED)
    heads = ("policy", "runs", "trials", data["score"], *names[1:])
    lines = [[head.replace("_", " ") for head in heads]]
    for row in data["table"]:
        cells = [row["policy"], str(row["runs"]), str(row["trials"])]
        for name in names:
            if row[name] is None:
                cells.append("–")
                continue
            places = digits.get(name, 2)
            mean, low, high = (
                # adding zero leaves no −0
                None if x is None else f"{round(x, places) + 0.0:.{places}f}"
                for x in row[name]
            )
            lone = "one trial" if row["trials"] == 1 else "one run"
            cells.append(f"{mean} ({lone})" if low is None else f"{mean} ({low}, {high})")
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = [
        [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)] for cells in lines
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def save(data: JSON, settings: Settings) -> list[Path]:
    """Write what `evaluate` found, and the figure and the video that were asked for.

    Parameters
    ----------
    data : dict
        From `evaluate`.
    settings : Settings
        With which it was made.

    Returns
    -------
    list of Path
        The files.
    """
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
        acting = actor(*find(named, settings.trust), env)
        shots = pictures(env, acting, settings.seed, not settings.stochastic)
        write_film(out / VIDEO, shots, env.metadata["render_fps"])
        env.close()
        files.append(out / VIDEO)
    return files


def _measure_all(
    env_id: str, places: Sequence[JSON], lineup: Lineup, settings: Settings
) -> tuple[dict[str, dict[str, FloatArray]], Task]:
    """By policy and quantity, trials (runs, animals, episodes); and what their task is."""
    n_episodes = settings.episodes
    batch = batch_size(env_id, dict(places[0]), n_episodes)
    found: dict[str, list[list[FloatArray]]] = {label: [] for label in lineup}
    n_actors = sum(map(len, lineup.values()))
    total = len(places) * n_actors * n_episodes
    with tqdm(total=total, desc=env_id, unit="trial", disable=None) as bar:
        for options in places:
            env = make_env(env_id, batch, options)
            for label, members in lineup.items():
                found[label].append([])
                for member in members:
                    acting = actor(label, member, env)
                    set_random_seed(settings.seed)
                    parts = []
                    for part in measured(
                        env, acting, n_episodes, settings.seed, not settings.stochastic
                    ):
                        parts.append(part)
                        bar.update(part.shape[1])
                    found[label][-1].append(np.concatenate(parts, axis=1))
            task = env.episodes.task
            env.close()
    # from (animals, runs, quantities, episodes)
    by_quantity = {label: np.array(nested).transpose(2, 1, 0, 3) for label, nested in found.items()}
    return {
        label: dict(zip(QUANTITIES, values, strict=True)) for label, values in by_quantity.items()
    }, task


def _starts(task: Task, half_side_cm: float) -> FloatArray:
    """Where trials of a task begin: evenly around the start square, or as the task draws them."""
    if isinstance(task, Reach) and task.starts == "square":
        return task.on_square((np.arange(_SHOWN_STARTS) + 0.5) / _SHOWN_STARTS, half_side_cm)
    drawn = task.draw_starts(np.random.default_rng(0), np.arange(_SHOWN_STARTS), half_side_cm)
    return np.unique(drawn, axis=0)


def _show(env_id: str, options: JSON, lineup: Lineup, settings: Settings) -> JSON:
    """Trajectories of each policy between the same starts and targets, and where they take place.

    Starts lie all around, targets on opposite sides where the task has several. Of a session the
    first trial is shown.
    """
    draft = make_env(env_id, BATCH, options)
    draft.reset(seed=settings.seed)
    episodes, task = draft.episodes, draft.episodes.task
    # a target may be drawn beyond the workspace, and is asked for at its edge then
    drawn = np.clip(episodes.target, -episodes.half_side_cm, episodes.half_side_cm)
    distance = np.hypot(*(drawn - drawn[0]).T)
    targets = [drawn[0], drawn[distance.argmax()]] if distance.any() else [drawn[0]]
    trials = [
        {"target": target.tolist(), "start": start.tolist()}
        for target in targets
        for start in _starts(task, episodes.half_side_cm)
        if np.hypot(*(start - target)) >= getattr(task, "min_start_distance_cm", 0.0)
    ]
    env = make_env(env_id, len(trials), options)
    paths: JSON = {}
    for label, (member, *_) in lineup.items():
        acting = actor(label, member, env)
        env.reset(seed=settings.seed)
        for mask, trial in zip(np.eye(len(trials), dtype=bool), trials, strict=True):
            seen, _ = env.reset(options={"reset_mask": mask, **trial})
        walked = [[trial["start"]] for trial in trials]
        arrived = np.zeros(len(trials), bool)
        for running, _, info in play(env, acting, seen, not settings.stochastic):
            shown = running
            if session_of(env).on:
                shown = running & (info["trial"] == 0)
                if not shown.any():
                    break
            arrived[shown] = info["is_success"][shown]
            for i in np.flatnonzero(shown):
                walked[i].append(np.round(info["position"][i], 3).tolist())
        paths[label] = [
            {"path": path, "success": bool(success)}
            for path, success in zip(walked, arrived, strict=True)
        ]
    scene: JSON = {
        "half_side_cm": episodes.half_side_cm,
        "sites": np.round(episodes.loops[0].interface.sites, 3).tolist(),
        "target_radius_cm": task.radius_cm,
        "trials": trials,
    }
    if obstacles := obstacles_of(task):
        scene["obstacles"] = [[list(centre), radius] for centre, radius in obstacles]
    if hasattr(task, "circle_cm"):
        for trial in trials:
            trial["circle_cm"] = task.circle_cm(np.array(trial["target"]))
    draft.close()
    env.close()
    return {"scene": scene, "paths": paths}


def run(settings: Settings) -> None:
    """Evaluate, save, and print the table and where everything is."""
    check_folder(settings.out)
    data = evaluate(settings)
    files = save(data, settings)
    print(format_table(data), "", *data["notes"], *files, sep="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    with plain_errors():
        settings = Settings(**parse(Settings, arguments, __doc__))
        if settings.retabulate:
            print(format_table(retabulate(Path(settings.retabulate))))
        else:
            run(settings)


if __name__ == "__main__":
    main()
