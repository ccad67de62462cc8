"""The command ``ndbmi-gym``."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_Command = argparse.ArgumentParser

_PACKAGES = {
    "ray": "ray",
    "dask": "'dask[distributed]'",
    "distributed": "'dask[distributed]'",
    "optuna": "-c constraints.txt -e '.[recover]'",
    "sklearn": "-c constraints.txt -e '.[recover]'",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    # each process computes on one core, however many libraries would like more
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    try:
        return int(asked.command(asked))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where it stopped", file=sys.stderr)
        return 130
    except ImportError as error:
        wanted = _PACKAGES.get(str(error.name), "-c constraints.txt -e '.[reproduce]'")
        print(f"ndbmi-gym: {error}: pip install {wanted}", file=sys.stderr)
    except (ValueError, OSError) as error:
        print(f"ndbmi-gym: {error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ndbmi-gym", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, what: str, run: Callable[[argparse.Namespace], int]) -> _Command:
        made = commands.add_parser(
            name,
            help=what,
            description=what,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        made.set_defaults(command=run)
        made.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes")
        made.add_argument("--out", type=Path, default=Path("runs") / name, help="folder of results")
        return made

    def on_animals(made: _Command, first: int) -> None:
        made.add_argument(
            "--preset",
            default="paper",
            help="parameters: default, paper, or a JSON file with 'parameters'",
        )
        made.add_argument("--first-subject", type=int, default=first, help="the first animal")
        made.add_argument("--seed", type=int, default=0, help="of the tests")

    reproduce = command("reproduce", "figures and claims of Vato et al. 2014", _reproduce)
    reproduce.add_argument(
        "what",
        nargs="+",
        help="fig2, fig4 to fig12, windows, linear; 'all' of these; or 'claims': all of these for "
        "ten animals, and the report",
    )
    on_animals(reproduce, 0)
    reproduce.add_argument(
        "--subjects",
        type=int,
        default=argparse.SUPPRESS,
        help="animals (default: 10 for claims, otherwise 1)",
    )
    reproduce.add_argument("--backend", default="loky", help="of joblib: loky, ray or dask")

    recover = command("recover", "search for the parameters that the text does not give", _recover)
    recover.add_argument("--trials", type=int, default=800, help="in all; a search is continued")
    recover.add_argument(
        "--start",
        nargs="+",
        default=[],
        metavar="PRESET",
        help="presets or JSON files to try next and go on from, after the random trials",
    )

    readings = command("readings", "what readings of the text do to its claims", _readings)
    on_animals(readings, 2000)  # apart from those that claims are judged on
    readings.add_argument("--subjects", type=int, default=10, help="animals")
    return parser


def _reproduce(asked: argparse.Namespace) -> int:
    from ndbmi_gym.experiments import reproduce

    claims = "claims" in asked.what
    for name in asked.what:
        if name not in ("all", "claims"):
            reproduce.figure(name)
    all_of_them = claims or "all" in asked.what
    names = reproduce.FIGURES if all_of_them else tuple(dict.fromkeys(asked.what))
    count = getattr(asked, "subjects", 10 if claims else 1)
    task = reproduce.Reproduction(
        out=asked.out / Path(asked.preset).stem,
        preset=asked.preset,
        subjects=range(asked.first_subject, asked.first_subject + count),
        seed=asked.seed,
        jobs=asked.jobs,
        backend=asked.backend,
    )
    tables = reproduce.run(task, names)
    if claims:
        print(reproduce.judge_claims(task, tables))
    print(f"results are in {task.out}")
    return 0


def _recover(asked: argparse.Namespace) -> int:
    from ndbmi_gym.experiments import identifiability, recovery
    from ndbmi_gym.presets import load_preset

    if asked.trials < identifiability.FEWEST:
        raise ValueError(
            f"--trials {asked.trials}: at least {identifiability.FEWEST} tell something"
        )
    recovery.search(asked.out, asked.trials, asked.jobs, list(map(load_preset, asked.start)))
    trials = recovery.read_trials(asked.out)
    found = identifiability.write(asked.out, trials, recovery.DESIGN)
    print(recovery.summary(trials))
    print(f"constrained to less than half of their range: {', '.join(found.constrained)}")
    recovery.choose(asked.out, trials, asked.jobs)
    print(f"results are in {asked.out}; judge the best set on fresh animals by")
    print(f"  ndbmi-gym reproduce claims --preset {asked.out / 'best.json'}")
    return 0


def _readings(asked: argparse.Namespace) -> int:
    from ndbmi_gym.experiments import readings
    from ndbmi_gym.presets import load_preset

    preset = load_preset(asked.preset)
    subjects = range(asked.first_subject, asked.first_subject + asked.subjects)
    outcomes = readings.compare(asked.out, preset, subjects, asked.seed, asked.jobs)
    readings.write(asked.out, preset, subjects, asked.seed, outcomes)
    print(readings.markdown(preset, outcomes))
    return 0
