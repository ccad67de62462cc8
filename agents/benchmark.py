"""Compare agents over a suite of tasks: ``python -m agents.benchmark --suite quick --jobs 2``.

Trains what is to be trained, plays every agent on the same trials, and keeps one JSON file for each
task, agent and seed (see `agents.benchmark_suite` and `agents.benchmark_runs`). Whenever it is cut
off, the same command goes on with it. ``--agent mine=my_module:MyAgent`` adds one's own;
``--report FOLDER`` makes tables and figures of what was kept.
"""

import os
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.benchmark_report import REPORT, report
from agents.benchmark_runs import Outcome, Work, check_own, do, is_done, revision, segments_of
from agents.benchmark_suite import Run, Suite, Training, read_suite
from agents.options import check_positive, parse, plain_errors, setting
from ndbmi_gym.experiments.bench.parallel import BACKENDS, run_tasks
from ndbmi_gym.files import check_folder


@dataclass(frozen=True)
class Settings:
    """What is compared, and how; its fields are the command line."""

    suite: tuple[str, ...] = setting((), "suites by name (agents/suites/), or their JSON files")
    agent: Mapping[str, str] = setting(
        {},
        "an agent of one's own: label=module:Class, a model.zip of SB3, an agent .npz or the "
        "folder of a run (may be repeated)",
    )
    only: tuple[str, ...] = setting((), "tasks or agents to run, and no others")
    seeds: int | None = setting(None, "number of training seeds; by default those of the suite")
    jobs: int = setting(1, "processes")
    backend: str = setting("loky", "what runs the processes", choices=BACKENDS)
    out: str = setting("runs/benchmark", "folder for the results")
    training: str = setting("runs/training", "folder of the training runs, which suites share")
    trust: bool = setting(False, "let code in the models that are named run")
    report: tuple[str, ...] = setting(
        (), "make tables and figures of these folders of results, and run nothing"
    )
    pictures: str | None = setting(
        None,
        "folder for the pictures of reports, each in one of its name; by default with the "
        "tables, beside the results",
    )

    def __post_init__(self) -> None:
        check_positive(self, "seeds", "jobs")
        if bool(self.suite) == bool(self.report):
            raise ValueError("give either --suite, to run, or --report, to show what was kept")
        if self.pictures is not None and not self.report:
            raise ValueError(f"--pictures {self.pictures} is for --report: give that, too")


def benchmark(settings: Settings) -> list[Outcome]:
    """Run what is not there yet.

    Returns
    -------
    list of Outcome
        Of what was done now.

    Raises
    ------
    FileNotFoundError
        If there is no such suite.
    ValueError
        If a suite is none, or has no such task or agent, one's own cannot be had, or there are
        results of one's own that are not asked for any more.
    """
    suites = [read_suite(name) for name in settings.suite]
    works, n_done = planned(suites, settings)
    check_own((run for work in works for run in work.runs), settings.trust)
    print(f"{n_done} runs are there, {sum(len(work.runs) for work in works)} to do", flush=True)
    outcomes = []
    clock = Clock(works, settings.jobs)
    calls = ((work,) for work in works)
    for outcome in run_tasks(do, calls, settings.jobs, settings.backend):
        outcomes.append(outcome)
        print(clock.tick(outcome), flush=True)
    return outcomes


def planned(suites: Sequence[Suite], settings: Settings) -> tuple[list[Work], int]:
    """What is to be done, a training run once, references first; and how many runs are there.

    Parameters
    ----------
    suites : sequence of Suite
    settings : Settings
    """
    results, training = Path(settings.out), Path(settings.training)
    chosen = [
        run
        for suite in suites
        for run in suite.chosen(settings.only, settings.seeds, settings.agent).runs()
    ]
    _check_leftovers(chosen, results)
    todo = [run for run in chosen if not is_done(run, results)]
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in todo:
        group = run.policy.name if isinstance(run.policy, Training) else str(run.file)
        groups[group].append(run)
    # all agents with one seed before any has two, so that a part of it is of use
    order = sorted(
        groups.values(), key=lambda runs: (isinstance(runs[0].policy, Training), runs[0].seed)
    )
    made = revision()
    asker = os.getpid()
    works = [Work(tuple(runs), results, training, made, settings.trust, asker) for runs in order]
    return works, len(chosen) - len(todo)


def _check_leftovers(runs: Sequence[Run], results: Path) -> None:
    """Raise ValueError if an agent that is not trained here has results that nobody asks for.

    A report would count them among its runs.
    """
    asked = {results / run.file for run in runs}
    for folder in {results / run.file.parent for run in runs if isinstance(run.policy, str)}:
        for path in sorted(folder.glob("*.json")):
            if path.stem.isdecimal() and path not in asked:
                raise ValueError(
                    f"{path} is a result of an agent that is not asked for any more: take it away"
                )


class Clock:
    """When it will be over, from the seconds that work of the same agent took.

    Parameters
    ----------
    works : sequence of Work
        All that is to be done.
    jobs : int
        How many of them at a time.
    """

    def __init__(self, works: Sequence[Work], jobs: int) -> None:
        self._left = {work.name: _piece(work) for work in works}
        self._total, self._jobs = len(works), jobs
        self._taken: dict[tuple[str, bool], list[float]] = defaultdict(list)

    def tick(self, outcome: Outcome) -> str:
        """A line on what is done, and on what is left."""
        kind, size = self._left.pop(outcome.work.name)
        if not outcome.error:
            self._taken[kind].append(outcome.seconds / size)
        expected = [self._expected(*piece) for piece in self._left.values()]
        left = sum(each for each in expected if each is not None) / self._jobs
        end = time.strftime("%H:%M", time.localtime(time.time() + left))
        told = f"about {left / 60:.0f} min left, until {end}"
        if None in expected:  # some agent has not been met yet
            told = f"more than {left / 60:.0f} min left" if left > 60 else "end not known yet"
        problem = f"  FAILED: {outcome.error}" if outcome.error else ""
        done = self._total - len(self._left)
        return (
            f"[{done}/{self._total}] {outcome.work.name}: {outcome.seconds:.0f} s; {told}{problem}"
        )

    def _expected(self, kind: tuple[str, bool], size: float) -> float | None:
        """Seconds that it will take; None if none of its kind was done."""
        taken = self._taken.get(kind)
        return sum(taken) / len(taken) * size if taken else None


def _piece(work: Work) -> tuple[tuple[str, bool], float]:
    """Of what it is a piece, an algorithm's training or an agent's play, and steps or trials."""
    policy = work.runs[0].policy
    if isinstance(policy, Training):
        done = segments_of(work.trainings / policy.name) / policy.segments
        if done < 1:
            return (policy.algo, True), (1 - done) * policy.steps
    trials = sum(run.place.trials * len(run.place.options) for run in work.runs)
    return (work.runs[0].agent, False), trials


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 130 after an interrupt, as shells have it, 1 if a run failed."""
    with plain_errors():
        settings = Settings(**parse(Settings, arguments, __doc__))
        for folder in map(Path, settings.report):
            pictures = Path(settings.pictures) / folder.name if settings.pictures else folder
            files = report(folder, pictures)
            print((folder / REPORT).read_text(encoding="utf-8"), *files, sep="\n")
        if settings.report:
            return 0
        given = sys.argv[1:] if arguments is None else arguments
        check_folder(settings.out)
        check_folder(settings.training)
        try:
            outcomes = benchmark(settings)
        except KeyboardInterrupt:
            again = shlex.join(["python", "-m", "agents.benchmark", *given])
            print(f"\nstopped; what is done is kept. To go on: {again}")
            return 130
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        print(f"failed: {outcome.work.name}: {outcome.error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
