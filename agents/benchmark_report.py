"""Tables and figures of a benchmark, from the files of its runs alone.

A folder of results has one JSON file a run, by task, agent and seed. Beside them this writes
``leaderboard.csv`` (a row for each agent), ``tasks.csv`` (for each task and agent),
``profiles.csv``, ``efficiency.csv``, all tables in ``report.md``, and pictures.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agents import benchmark_drawing as drawing
from agents.benchmark_scores import Normalised, improvement, iqm, normalise, profile
from agents.evaluate import normalised
from agents.lineup import CEILING, COMMAND, FLOOR
from agents.options import JSON
from ndbmi_gym.experiments.bench.crossed import mean_of
from ndbmi_gym.experiments.bench.statistics import Interval, mean_interval
from ndbmi_gym.experiments.bench.tables import markdown
from ndbmi_gym.files import write_text

REPORT = "report.md"

QUANTITIES = ("score", "return")
_OF_A_RUN = ("trials", "measure", "scored", "versions", "revision")
LEVELS = np.round(np.linspace(-0.2, 1.2, 71), 2)
"""Normalised values at which profiles are told."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """All runs of an agent on a task.

    Attributes
    ----------
    files : tuple of dict
        In the order of their seeds.
    """

    files: tuple[JSON, ...]

    @property
    def learned(self) -> bool:
        """Whether it was trained by the benchmark."""
        return "trained" in self.files[0]

    @property
    def sampled(self) -> bool:
        """Whether its runs are a sample: of what training leads to, or of several of its own."""
        return self.learned or len(self.files) > 1

    @property
    def agents(self) -> tuple[str, ...]:
        """What tells the agent of each run from others: the training, or what it is made of.

        One's own agent that is named several times is several: it may differ from run to run.
        """
        return tuple(
            each["trained"]["training"]
            if "trained" in each
            else f"{each['asked']['policy']} {each['asked']['identity']} {each['asked']['seed']}"
            for each in self.files
        )

    def values(self, quantity: str) -> FloatArray:
        """Of each (runs, animals, trials)."""
        return np.array([each["trials"][quantity] for each in self.files], float)


@dataclass(frozen=True)
class Results:
    """What a folder holds.

    Attributes
    ----------
    folder : Path
    tasks : mapping
        By task and agent, the runs; floor and ceiling among them.
    failed : tuple of str
        What is to be said of runs that came to nothing.
    """

    folder: Path
    tasks: Mapping[str, Mapping[str, Played]]
    failed: tuple[str, ...] = ()

    @property
    def together(self) -> dict[str, Mapping[str, Played]]:
        """The tasks that are summed up: those that their suite does not keep apart."""
        return {
            task: played
            for task, played in self.tasks.items()
            if not played[CEILING].files[0].get("apart", False)
        }

    @property
    def agents(self) -> list[str]:
        """Labels: floor, command, others in order of their names, ceiling."""
        found = {label for played in self.tasks.values() for label in played}
        first = [label for label in (FLOOR, COMMAND) if label in found]
        return [*first, *sorted(found - {FLOOR, COMMAND, CEILING}), CEILING]

    def ends(self, task: str, quantity: str) -> tuple[FloatArray, FloatArray]:
        """Floor and ceiling (animals, trials)."""
        played = self.tasks[task]
        return played[FLOOR].values(quantity)[0], played[CEILING].values(quantity)[0]

    def scale(self, task: str, quantity: str) -> bool:
        """Whether there is one from floor to ceiling: they are apart."""
        ends = [each[None] for each in self.ends(task, quantity)]
        scored = self.tasks[task][CEILING].files[0]["scored"]
        return scored and normalised(ends[1], ends[0], ends[1], False, quantity) is not None

    def complete(self, label: str) -> bool:
        """Whether an agent was played on all tasks that are summed up."""
        return all(label in played for played in self.together.values())

    def sampled(self, label: str) -> bool:
        """Whether an agent's runs are a sample, on any task."""
        return any(each[label].sampled for each in self.tasks.values() if label in each)


def read_results(folder: Path) -> Results:
    """The runs in a folder.

    Raises
    ------
    FileNotFoundError
        If there are none, or a task lacks floor or ceiling.
    ValueError
        If a file is none of a run, or an agent's runs were played on other trials than the
        ceiling's.
    """
    found: dict[str, dict[str, list[JSON]]] = {}
    paths = [path for path in folder.glob("*/*/*.json") if path.stem.isdecimal()]
    for path in sorted(paths, key=lambda each: int(each.stem)):
        kept = _read(path, _OF_A_RUN)
        asked = kept["asked"]
        found.setdefault(asked["task"], {}).setdefault(asked["agent"], []).append(kept)
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no results: name a folder that agents.benchmark wrote, such as "
            "runs/benchmark/quick"
        )
    for task, played in found.items():
        for label in (FLOOR, CEILING):
            if label not in played:
                raise FileNotFoundError(
                    f"{folder} has no {label} of task {task!r}: go on with the benchmark"
                )
        place = played[CEILING][0]["asked"]["place"]
        apart = played[CEILING][0].get("apart", False)
        for label, files in played.items():
            if any(each.get("apart", False) != apart for each in files):
                raise ValueError(
                    f"{folder / task / label} and the ceiling differ in whether the task stands "
                    "apart: go on with the benchmark, which plays them anew, or take the folder "
                    "away"
                )
            if any(each["asked"]["place"] != place for each in files):
                raise ValueError(
                    f"{folder / task / label} was played on other trials than the ceiling: go on "
                    "with the benchmark, which plays it anew, or take the folder away"
                )
            if len({"trained" in each for each in files}) > 1:
                raise ValueError(
                    f"{folder / task / label} holds runs that were trained here and others: take "
                    "away those of the one kind"
                )
            if "trained" in files[0] and len({_repeated(each) for each in files}) > 1:
                raise ValueError(
                    f"{folder / task / label} holds runs of other hyper-parameters or lengths: "
                    "take away the old ones, or go on with the benchmark"
                )
    _check_versions(found, folder)
    tasks = {
        task: {label: Played(tuple(files)) for label, files in found[task].items()}
        for task in sorted(found)
    }
    return Results(folder, tasks, tuple(map(_told, sorted(folder.glob("*/*/failed-*.json")))))


def _read(path: Path, names: Sequence[str]) -> JSON:
    """A file of a run, which has such entries."""
    try:
        kept: JSON = json.loads(path.read_text(encoding="utf-8"))
        for name in (*names, "asked"):
            kept[name]
        for name in ("task", "agent", "seed", "place", "policy", "identity"):
            kept["asked"][name]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no result of a run ({error!r}): take it away") from error
    return kept


def _told(path: Path) -> str:
    """What is said of a run that failed."""
    kept = _read(path, ["error"])
    task, agent, seed = (kept["asked"][name] for name in ("task", "agent", "seed"))
    return f"{task}, {agent}, {seed}: {kept['error']}"


def _check_versions(found: Mapping[str, Mapping[str, Sequence[JSON]]], folder: Path) -> None:
    """Raise ValueError if an agent of one's own is not the same on all tasks."""
    made: dict[tuple[str, int], tuple[Any, str]] = {}
    for task, played in found.items():
        for label, files in played.items():
            for asked in (each["asked"] for each in files if "trained" not in each):
                this = asked["policy"], asked["identity"]
                if made.setdefault((label, asked["seed"]), this) != this:
                    raise ValueError(
                        f"{folder / task / label} is of another version of {label!r} than on "
                        "other tasks: go on with the benchmark on all of them, or take it away"
                    )


def _repeated(kept: JSON) -> str:
    """What the training run of a file has in common with those that repeat it."""
    return json.dumps(kept["asked"]["policy"] | {"seed": None}, sort_keys=True)


def leaderboard(results: Results) -> list[JSON]:
    """A row for each agent: what it amounts to over all tasks but those apart, with intervals.

    Returns
    -------
    list of dict
        ``agent``; ``runs``, the least on any task; ``tasks``, on how many it was played, those
        apart not counted; ``learned``, whether it was trained here, and ``minutes``, the mean of
        the processor's that training took, NaN of others; and ``score`` and ``return``,
        interquartile means of the normalised quantities, and ``improvement``, the probability that
        a trial is better than the command's: each an Interval, of agents that were played on all
        tasks.
    """
    rows, tasks = [], results.together
    for label in results.agents:
        there = {task: each[label] for task, each in tasks.items() if label in each}
        row: JSON = {
            "agent": label,
            "runs": min((len(each.files) for each in there.values()), default=0),
            "tasks": len(there),
            "learned": any(each.learned for each in there.values()),
            "minutes": _minutes(there.values()),
        }
        for quantity in QUANTITIES:
            row[quantity] = None
            scaled = scaled_runs(results, label, quantity)
            if scaled and results.complete(label):
                agents = [there[task].agents for task in scaled]
                row[quantity] = iqm(list(scaled.values()), results.sampled(label), agents)
        row["improvement"] = None
        compared = there and label != COMMAND and results.complete(label)
        if compared and results.complete(COMMAND):
            pairs, more = [], []
            for task, played in there.items():
                command = tasks[task][COMMAND].values("score")[0]
                pairs.append((played.values("score"), command))
                more.append(played.files[0]["measure"].startswith("share"))
            agents = [each.agents for each in there.values()]
            row["improvement"] = improvement(pairs, more, results.sampled(label), agents)
        rows.append(row)
    return sorted(rows, key=lambda row: -row["score"].estimate if row["score"] else np.inf)


def _minutes(played: Iterable[Played]) -> float:
    """Mean over trainings; NaN where there is none."""
    files = [each for mine in played for each in mine.files if "trained" in each]
    by_training = {
        each["trained"]["training"]: each["trained"]["cpu_seconds"] / 60 for each in files
    }
    return float(np.mean([*by_training.values()])) if by_training else float("nan")


def scaled_runs(results: Results, label: str, quantity: str) -> dict[str, Normalised]:
    """An agent's runs on the scale from floor to ceiling, for each task that has one and counts.

    Parameters
    ----------
    results : Results
    label : str
    quantity : {"score", "return"}
    """
    return {
        task: normalise(played[label].values(quantity), *results.ends(task, quantity))
        for task, played in results.together.items()
        if label in played and results.scale(task, quantity)
    }


def by_task(results: Results) -> Iterator[JSON]:
    """A row for each task and agent: score, success and return, and the normalised ones."""
    for task, played in results.tasks.items():
        for label in results.agents:
            if label not in played:
                continue
            mine = played[label]
            row: JSON = {
                "task": task,
                "agent": label,
                "runs": len(mine.files),
                "trials": mine.values("score")[0].size,
                "measure": mine.files[0]["measure"],
            }
            for name in ("score", "success", "return"):
                row[name] = mean_of(mine.values(name), mine.sampled, name)
            for quantity in QUANTITIES:
                row[f"normalised {quantity}"] = None
                if results.scale(task, quantity):
                    floor, ceiling = (each[None] for each in results.ends(task, quantity))
                    row[f"normalised {quantity}"] = normalised(
                        mine.values(quantity), floor, ceiling, mine.sampled, quantity
                    )
            yield row


def profiles(results: Results) -> Iterator[JSON]:
    """For each agent and level, the share of runs whose normalised score is above it."""
    for label in results.agents:
        scaled = scaled_runs(results, label, "score")
        if label in (FLOOR, CEILING) or not scaled or not results.complete(label):
            continue
        runs = [each.runs for each in scaled.values()]
        agents = [results.tasks[task][label].agents for task in scaled]
        found = profile(runs, LEVELS, results.sampled(label), agents)
        for level, (share, low, high) in zip(LEVELS, found, strict=True):
            yield {"agent": label, "level": level, "share": Interval(share, low, high)}


def efficiency(results: Results) -> Iterator[JSON]:
    """For each task, learned agent and segment, the mean over runs after so many steps.

    Normalised by floor and ceiling on the same trials, the first ones of the task; the interval is
    Student's over runs on these trials, and steps are their mean, since runs end with a batch.
    """
    for task, played in results.tasks.items():
        for label, mine in played.items():
            if not mine.learned or not all(each["asked"]["at_home"] for each in mine.files):
                continue
            curves = [each["trained"]["curve"] for each in mine.files]
            n_trials = mine.files[0]["asked"]["policy"]["curve"]["trials"]
            for quantity in QUANTITIES:
                if not results.scale(task, quantity):
                    continue
                floor, ceiling = (
                    float(each[0, :n_trials].mean()) for each in results.ends(task, quantity)
                )
                values = np.array([curve[quantity] for curve in curves])
                for i in range(len(curves[0]["steps"])):
                    shares = (values[:, i] - floor) / (ceiling - floor)
                    found = mean_interval(shares)
                    yield {
                        "task": task,
                        "agent": label,
                        "quantity": quantity,
                        "steps": round(float(np.mean([each["steps"][i] for each in curves]))),
                        "runs": len(shares),
                        "value": Interval(float(shares.mean()), found.low, found.high),
                    }


def report(folder: Path, pictures: Path) -> list[Path]:
    """Write all tables of a folder of results into it, and figures into another or the same.

    Parameters
    ----------
    folder, pictures : Path

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    FileNotFoundError, ValueError
        See `read_results`.
    """
    results = read_results(folder)
    tables = {
        "leaderboard": leaderboard(results),
        "tasks": list(by_task(results)),
        "profiles": list(profiles(results)),
        "efficiency": list(efficiency(results)),
    }
    files = []
    for name, rows in tables.items():
        files.append(folder / f"{name}.csv")
        write_text(files[-1], as_csv(rows))
    write_text(folder / REPORT, in_words(results, tables))
    pictures.mkdir(parents=True, exist_ok=True)
    return [*files, folder / REPORT, *drawing.draw(pictures, tables)]


def as_csv(rows: Sequence[JSON]) -> str:
    """Rows as CSV, to five digits; an interval takes three columns."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for i, row in enumerate(rows):
        names: list[str] = []
        cells: list[str] = []
        for name, value in row.items():
            if isinstance(value, Interval) or value is None:
                names += [name, f"{name} low", f"{name} high"]
                cells += ["" if np.isnan(x) else f"{x:.5g}" for x in value or (np.nan,) * 3]
            elif isinstance(value, float):
                names.append(name)
                cells.append("" if np.isnan(value) else f"{value:.5g}")
            else:
                names.append(name)
                cells.append(str(value))
        if not i:
            writer.writerow(names)
        writer.writerow(cells)
    return text.getvalue()


def in_words(results: Results, tables: Mapping[str, Sequence[JSON]]) -> str:
    """The tables in Markdown, and what made them.

    Parameters
    ----------
    results : Results
    tables : mapping
        Rows by the names of the report's files.
    """
    heads = (
        "agent",
        "runs, at least",
        "minutes a run",
        "score, IQM",
        "return, IQM",
        "better than Eq 24",
    )
    rows = [
        (
            row["agent"],
            str(row["runs"]),
            "–" if np.isnan(row["minutes"]) else f"{row['minutes']:.1f}",
            *(shown(row[name]) for name in ("score", "return", "improvement")),
        )
        for row in tables["leaderboard"]
    ]
    parts = [f"# {results.folder.name}"]
    if results.together:
        parts.append(markdown(heads, rows))
    if apart := results.tasks.keys() - results.together.keys():
        parts.append(f"Not summed up: {', '.join(sorted(apart))}.")
    if results.failed:
        parts.append("\n".join(["Failed:", "", *(f"- {x}" for x in results.failed)]))
    names = ("score", "success", "return", "normalised score", "normalised return")
    for task in results.tasks:
        mine = [row for row in tables["tasks"] if row["task"] == task]
        of_task = [
            [row["agent"], f"{row['runs']} × {row['trials']}", *(shown(row[n]) for n in names)]
            for row in mine
        ]
        measures = ("agent", "runs × trials", mine[0]["measure"], *names[1:])
        parts += [f"## {task}", markdown(measures, of_task)]
    files = [each for played in results.tasks.values() for p in played.values() for each in p.files]
    trained = {
        each["trained"]["training"]: each["trained"]["cpu_seconds"]
        for each in files
        if "trained" in each and each["asked"]["at_home"]
    }
    hours = f", {sum(trained.values()) / 3600:.1f} hours of training on one core" if trained else ""
    made = sorted({each["revision"] for each in files})
    parts.append(
        f"{len(files)} runs{hours}, played at revision {', '.join(made)}. In brackets 95 % "
        "intervals: over runs and trials, or trials alone where nothing was learned."
    )
    return "\n\n".join(parts) + "\n"


def shown(value: Interval | None) -> str:
    """An interval for a table; without ends where one run tells none."""
    if value is None:
        return "–"
    mean, low, high = (f"{round(x, 2) + 0.0:.2f}".replace("-", "−") for x in value)  # no -0
    return mean if np.isnan(value.low) else f"{mean} ({low}, {high})"
