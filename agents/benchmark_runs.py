"""One run of a benchmark: trained in segments, played, and kept as one JSON file.

A training run is a chain of segments. Each is a session of `agents.train` of its own, from the
files of the last one to files of its own, in a folder that gets its name once the segment is
complete and tested. So an undisturbed run takes exactly the steps of one that was killed and goes
on: it loses no more than a segment, and comes to the same.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.utils import set_random_seed

from agents.benchmark_suite import Place, Run, Training
from agents.lineup import actor, find
from agents.options import JSON
from agents.runs import LOCK, make_env, read_config, versions
from agents.train import Settings, resumed, train
from ndbmi_gym.files import write_json, write_text
from ndbmi_gym.policies import POLICIES
from ndbmi_gym.rollout import QUANTITIES, batch_size, measured, steps_scored

CURVE = "curve.json"
DIGITS = {"score": 4, "success": 0, "return": 3}
"""What is kept of each trial, and how many decimals of it."""

LOOK_S = 1.0
"""How often a worker looks whether it is still wanted."""

FloatArray = npt.NDArray[np.float64]


class Work(NamedTuple):
    """What one process does in one go: a training run, and all runs that it is played in.

    `asker` is the id of the process that wants it.
    """

    runs: tuple[Run, ...]
    results: Path
    trainings: Path
    revision: str
    trust: bool
    asker: int

    @property
    def name(self) -> str:
        """For messages."""
        run = self.runs[0]
        more = f" and {len(self.runs) - 1} more" if len(self.runs) > 1 else ""
        return f"{run.suite} {run.task} {run.agent} {run.seed}{more}"


def failure(result: Path) -> Path:
    """Where it is told that a run failed, beside its result."""
    return result.with_name(f"failed-{result.name}")


class Outcome(NamedTuple):
    """What came of `Work`: how long it took, and what went wrong, if anything did."""

    work: Work
    seconds: float
    error: str


def do(work: Work) -> Outcome:
    """Train, play and keep; an error ends its own run, or all of a training, and is kept."""
    begun = time.monotonic()
    _end_with(work.asker)
    torch.set_num_threads(1)
    policy, trained = work.runs[0].policy, None
    errors = [""] * len(work.runs)
    if isinstance(policy, Training):
        try:
            trained = trained_by(policy, work.trainings, work.revision)
        except Exception as problem:
            errors = [_said(problem)] * len(work.runs)
    for i, run in enumerate(work.runs):
        if not errors[i]:
            try:
                _keep(run, work, trained)
            except Exception as problem:  # whatever an agent of others does wrong
                errors[i] = _said(problem)
        if errors[i]:
            result = work.results / run.file
            result.unlink(missing_ok=True)  # of something else that was asked once
            write_json(failure(result), {"asked": run.asked, "error": errors[i]})
    error = "; ".join(dict.fromkeys(filter(None, errors)))
    return Outcome(work, time.monotonic() - begun, error)


def _said(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"


def _keep(run: Run, work: Work, trained: tuple[Path, JSON] | None) -> None:
    """Play a run, and write its result."""
    since = time.monotonic()
    named = str(trained[0]) if trained else str(run.policy)
    found = played(run.place, run.agent, named, work.trust or trained is not None)
    kept: JSON = {"asked": run.asked, "versions": versions(), "revision": work.revision}
    if run.apart:
        kept["apart"] = True
    if trained is not None:
        kept["trained"] = trained[1]
    kept |= {"seconds": round(time.monotonic() - since, 1)} | found
    path = work.results / run.file
    for half in path.parent.glob(f".*-{path.name}"):  # by a process that was killed
        half.unlink()
    write_lines(path, kept)
    failure(path).unlink(missing_ok=True)


def check_own(runs: Iterable[Run], trust: bool) -> None:
    """Raise ValueError unless agents that are not trained here are there and fit their tasks.

    Parameters
    ----------
    runs : iterable of Run
    trust : bool
        Whether code in files may run.
    """
    for run in runs:
        if not isinstance(run.policy, str) or run.policy in POLICIES:
            continue
        try:
            _, member = find(run.policy, trust)
            with contextlib.closing(make_env(run.place.env, 1, run.place.options[0])) as env:
                actor(run.agent, member, env)
        except Exception as error:  # whatever an agent of others does wrong
            raise ValueError(
                f"agent {run.agent!r} on {run.task!r}: {type(error).__name__}: {error}"
            ) from error


def is_done(run: Run, results: Path) -> bool:
    """Whether the result of exactly this run is there.

    Parameters
    ----------
    run : Run
    results : Path
        Folder of all results.
    """
    path = results / run.file
    if not path.is_file():
        return False
    try:
        kept: Any = json.loads(path.read_text(encoding="utf-8"))
        return bool(kept["asked"] == run.asked and kept.get("apart", False) == run.apart)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def trained_by(training: Training, trainings: Path, made: str) -> tuple[Path, JSON]:
    """The folder of a finished training run, which is gone on with if it is not there yet.

    Parameters
    ----------
    training : Training
    trainings : Path
        Folder of all training runs.
    made : str
        The revision of this code.

    Returns
    -------
    folder : Path
    about : dict
        Steps, seconds, of clock and processor, versions and revisions of the training, and its
        curve: ``steps``, and means of score and return on `Training.curve`, after each segment.
    """
    home = trainings / training.name
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home), (home / "log.txt").open("a", encoding="utf-8") as log:
        for segment in range(segments_of(home) + 1, training.segments + 1):
            _segment(training, home, segment, made, log)
            print(
                f"  {training.name}: {segment} of {training.segments} segments, "
                f"{time.strftime('%H:%M')}",
                flush=True,
            )
        folder = home / str(training.segments)
    config = read_config(folder)
    about = {name: config[name] for name in ("steps", "seconds", "versions")}
    curve = _curve(folder)
    about |= {"cpu_seconds": round(curve.pop("cpu_seconds"), 1), "training": training.name}
    return folder, about | {"revisions": curve.pop("revisions"), "curve": curve}


def segments_of(home: Path) -> int:
    """How many segments of a training run are complete."""
    return max((int(path.name) for path in home.glob("[0-9]*")), default=0)


def _curve(folder: Path) -> JSON:
    """What a complete segment and those before it came to."""
    found: JSON = json.loads((folder / CURVE).read_text(encoding="utf-8"))
    if "cpu_seconds" not in found:
        raise ValueError(f"{folder} is of an earlier version: take its folder away")
    return {"revisions": []} | found


def _segment(training: Training, home: Path, segment: int, made: str, log: TextIO) -> None:
    """One session, from the folder of the last to one of its own."""
    part, last = home / "part", home / str(segment - 1)
    shutil.rmtree(part, ignore_errors=True)
    if segment == 1:
        write_json(home / "hyperparams.json", {"default": training.hyperparams})
        settings = Settings(
            algo=training.algo,
            env=training.env,
            option=training.option,
            seed=training.seed,
            steps=training.steps,
            hyperparams=str(home / "hyperparams.json"),
            out=str(part),
        )
        curve: JSON = {"cpu_seconds": 0.0, "revisions": []}
        curve |= {"steps": [], "score": [], "return": []}
    else:
        shutil.copytree(last, part, ignore=shutil.ignore_patterns(LOCK))
        settings = resumed({"resume": True, "out": str(part)})
        curve = _curve(last)
    since = time.process_time()
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        complete = train(settings, until=-(-training.steps * segment // training.segments))
    if not complete:
        raise KeyboardInterrupt
    curve["cpu_seconds"] += time.process_time() - since
    curve["revisions"] = list(dict.fromkeys([*curve["revisions"], made]))
    found = played(training.curve, training.algo, str(part), trust=True)["trials"]
    curve["steps"].append(read_config(part)["steps"])
    for name in ("score", "return"):
        curve[name].append(round(float(np.mean(found[name])), 5))
    write_json(part / CURVE, curve)
    os.replace(part, home / str(segment))
    shutil.rmtree(last, ignore_errors=True)


def played(place: Place, label: str, policy: str, trust: bool) -> JSON:
    """What a policy does in the trials of a place.

    Parameters
    ----------
    place : Place
    label : str
        For messages.
    policy : str
        As `agents.lineup.find` takes it.
    trust : bool
        Whether code in files may run.

    Returns
    -------
    dict
        ``measure``, what the score is; ``scored``, whether zero volition is a floor of the task;
        ``effort``, its mean; ``trials``: score, success and return of each (animals, trials),
        rounded.
    """
    _, member = find(policy, trust)
    animals: list[FloatArray] = []
    for option in place.options:
        env = make_env(place.env, batch_size(place.env, dict(option), place.trials), option)
        acting = actor(label, member, env)
        set_random_seed(place.trial_seed)  # for agents that draw, whatever they draw from
        parts = list(measured(env, acting, place.trials, place.trial_seed))
        animals.append(np.concatenate(parts, axis=1))
        task = env.episodes.task
        env.close()
    values = dict(zip(QUANTITIES, np.array(animals).transpose(1, 0, 2), strict=True))
    return {
        "measure": f"share of last {steps_scored(task)} steps" if task.holds else "steps",
        "scored": bool(task.scored),
        "effort": round(float(values["effort"].mean()), 4),
        "trials": {name: _written(values[name], digits) for name, digits in DIGITS.items()},
    }


def _written(values: FloatArray, digits: int) -> list[list[float | int]]:
    """Rounded, whole numbers without a point."""
    return [
        [int(x) if x == int(x) else x for x in row]
        for row in np.round(values.astype(float), digits).tolist()
    ]


def write_lines(path: Path, data: Mapping[str, Any]) -> None:
    """Write a mapping as JSON, each entry on a line of its own.

    Parameters
    ----------
    path : Path
    data : mapping
    """
    rows = [f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in data.items()]
    write_text(path, "{\n" + ",\n".join(rows) + "\n}\n")


def revision() -> str:
    """The commit of the checkout, with "+" if it was changed since; "unknown" of no checkout."""
    root = Path(__file__).parent

    def git(*words: str) -> str:
        asked = ["git", "-C", str(root), *words]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "..")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@cache
def _end_with(asker: int) -> None:
    """End a worker soon after the process that it works for, however that came to its end.

    A worker that is left alone would go on for minutes: it learns of nothing before it asks for
    more work, and some of that is in the queue already.
    """
    if os.getppid() != asker:  # it is the very process, or a child of one that sees to it
        return

    def look() -> None:
        while os.getppid() == asker:
            time.sleep(LOOK_S)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Wait until no other process works in a folder; the claim dies with the process."""
    with (home / LOCK).open("a") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
