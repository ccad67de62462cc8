"""The command ``ndbmi-gym``."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
    # each process computes on one core, however many libraries would like more: those to come by
    # their environment, this one, whose numpy is loaded already, by its hand
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    try:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)
        return int(asked.command(asked))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where it stopped", file=sys.stderr)
        return 130
    except ImportError as error:
        wanted = _PACKAGES.get(str(error.name), "-c constraints.txt -e '.[reproduce]'")
        print(f"ndbmi-gym: {error}: pip install {wanted}", file=sys.stderr)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"ndbmi-gym: {error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ndbmi-gym", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(
        name: str, what: str, run: Callable[[argparse.Namespace], int], among: Any = commands
    ) -> _Command:
        made = among.add_parser(
            name,
            help=what,
            description=what,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        made.set_defaults(command=run)
        return made

    def on_files(made: _Command, folder: str) -> None:
        made.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes")
        made.add_argument(
            "--out", type=Path, default=Path("runs") / folder, help="folder of results"
        )

    def on_animals(made: _Command, first: int) -> None:
        made.add_argument(
            "--preset",
            default="paper",
            help="parameters: default, paper, or a JSON file with 'parameters'",
        )
        made.add_argument("--first-animal", type=int, default=first, help="the first animal")
        made.add_argument("--seed", type=int, default=0, help="of the tests")

    reproduce = command("reproduce", "figures and claims of Vato et al. 2014", _reproduce)
    on_files(reproduce, "reproduce")
    reproduce.add_argument(
        "what",
        nargs="+",
        help="fig2, fig4 to fig12, windows, linear; 'all' of these; or 'claims': all of these for "
        "ten animals, and the report",
    )
    on_animals(reproduce, 0)
    reproduce.add_argument(
        "--animals",
        type=int,
        default=argparse.SUPPRESS,
        help="animals (default: 10 for claims, otherwise 1)",
    )
    reproduce.add_argument("--backend", default="loky", help="of joblib: loky, ray or dask")

    recover = command("recover", "search for the parameters that the text does not give", _recover)
    on_files(recover, "recover")
    recover.add_argument("--trials", type=int, default=800, help="in all; a search is continued")
    recover.add_argument(
        "--start",
        nargs="+",
        default=[],
        metavar="PRESET",
        help="presets or JSON files to try next and go on from, after the random trials",
    )

    readings = command("readings", "what readings of the text do to its claims", _readings)
    on_files(readings, "readings")
    on_animals(readings, 2000)  # apart from those that claims are judged on
    readings.add_argument("--animals", type=int, default=10, help="animals")

    about = "the stability-optimised circuit as a motor cortex"
    soc = commands.add_parser("soc", help=about, description=about).add_subparsers(
        required=True, metavar="command"
    )
    build = command("build", "build a circuit; the defaults build the packaged one", _build, soc)
    build.add_argument(
        "--neurons",
        type=int,
        default=200,
        help="half of them inhibitory; below 50, not every seed can be stabilised",
    )
    build.add_argument("--seed", type=int, default=0, help="of the random weights")
    build.add_argument(
        "--out",
        type=Path,
        default=argparse.SUPPRESS,
        help="file (default: runs/soc/NEURONS-SEED.npz)",
    )

    report = command("report", "what the circuit does, beside its controls", _report, soc)
    report.add_argument("--circuit", help="file of 'soc build' (default: the packaged circuit)")
    report.add_argument("--seed", type=int, default=0, help="of noise and movements")
    report.add_argument("--out", type=Path, default=Path("runs/soc/report"), help="folder")

    study = command("study", "the circuit in the closed loop, beside other cortices", _study, soc)
    on_files(study, "soc/study")
    study.add_argument("--animals", type=int, default=10, help="animals")
    study.add_argument("--first-animal", type=int, default=0, help="the first animal")
    study.add_argument("--seed", type=int, default=0, help="of the tests")
    return parser


def _reproduce(asked: argparse.Namespace) -> int:
    from ndbmi_gym.experiments import reproduce

    claims = "claims" in asked.what
    for name in asked.what:
        if name not in ("all", "claims"):
            reproduce.figure(name)
    all_of_them = claims or "all" in asked.what
    names = reproduce.FIGURES if all_of_them else tuple(dict.fromkeys(asked.what))
    count = getattr(asked, "animals", 10 if claims else 1)
    task = reproduce.Reproduction(
        out=asked.out / Path(asked.preset).stem,
        preset=asked.preset,
        animals=range(asked.first_animal, asked.first_animal + count),
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
    animals = range(asked.first_animal, asked.first_animal + asked.animals)
    outcomes = readings.compare(asked.out, preset, animals, asked.seed, asked.jobs)
    readings.write(asked.out, preset, animals, asked.seed, outcomes)
    print(readings.markdown(preset, outcomes))
    return 0


def _build(asked: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ndbmi_gym.circuit import ABSCISSA, Circuit, build

    if asked.neurons < 20 or asked.neurons % 2:
        raise ValueError(f"--neurons {asked.neurons}: give an even number of at least 20")
    if asked.seed < 0:
        raise ValueError(f"--seed {asked.seed}: give a seed >= 0")
    path = getattr(asked, "out", Path("runs/soc") / f"{asked.neurons}-{asked.seed}.npz")
    with tqdm(unit=" iterations", desc="spectral abscissa") as bar:

        def show(circuit: Circuit) -> None:
            bar.update(len(circuit.trace) - 1 - bar.n)
            bar.set_postfix_str(f"{circuit.trace[-1]:.4f} (until {ABSCISSA})")

        circuit = build(path, asked.neurons, asked.seed, show)
        show(circuit)
    energies, _ = circuit.modes
    print(f"largest energies {energies[0]:.2f}, {energies[1]:.2f}; mean {energies.mean():.2f}")
    print(f"the circuit is in {path}; take it with cortex={{'kind': 'soc', 'circuit': '{path}'}}")
    return 0


def _report(asked: argparse.Namespace) -> int:
    from ndbmi_gym.experiments import soc_report

    print(soc_report.write(asked.out, asked.circuit, asked.seed))
    print(f"results are in {asked.out}")
    return 0


def _study(asked: argparse.Namespace) -> int:
    from ndbmi_gym.experiments import soc_study

    if asked.animals < 1:
        raise ValueError(f"--animals {asked.animals}: give at least one animal")
    animals = range(asked.first_animal, asked.first_animal + asked.animals)
    print(soc_study.run(asked.out, animals, asked.seed, asked.jobs))
    print(f"results are in {asked.out}")
    return 0
