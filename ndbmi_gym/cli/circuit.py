"""``ndbmi-gym circuit``: the stability-optimised circuit as a motor cortex."""

import argparse
from pathlib import Path
from typing import Any

from ndbmi_gym.cli.options import add_animals, add_command, add_files, add_redraw

_FEWEST = 20  # neurons


def add_to(commands: Any) -> None:
    """Add the commands to others."""
    about = "the stability-optimised circuit as a motor cortex"
    made = commands.add_parser("circuit", help=about, description=about)
    own = made.add_subparsers(required=True, metavar="command")
    what = "build a circuit; the defaults build the packaged one"
    build = add_command(own, "build", what, run_build)
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
        help="file (default: runs/circuit/NEURONS-SEED.npz)",
    )

    report = add_command(own, "report", "what the circuit does, beside its controls", run_report)
    report.add_argument("--circuit", help="file of 'circuit build' (default: the packaged circuit)")
    report.add_argument("--seed", type=int, default=0, help="of noise and movements")
    report.add_argument("--out", type=Path, default=Path("runs/circuit/report"), help="folder")
    report.add_argument(
        "--circuits",
        type=int,
        default=1,
        help="circuits to compare with controls; others than the packaged one are built, and each "
        "costs about two minutes",
    )
    add_redraw(report)

    what = "preparation by a tonic input, go cue and window, beside states that are there at once"
    prepared = add_command(own, "preparation", what, run_preparation)
    prepared.add_argument(
        "--out", type=Path, default=Path("runs/circuit/preparation"), help="folder"
    )
    add_animals(prepared, 0, None)
    prepared.add_argument("--animals", type=int, default=4, help="animals")
    add_redraw(prepared)

    what = "the circuit in the closed loop, beside other cortices"
    study = add_command(own, "study", what, run_study)
    add_files(study, "circuit/study")
    add_animals(study, 0)
    study.add_argument(
        "--parts",
        nargs="+",
        metavar="PART",
        help="parts to run, or to draw anew: paths, structure, windows, carry, shift, volition, "
        "abscissa (default: all)",
    )
    add_redraw(study)


def run_build(asked: argparse.Namespace) -> int:
    """Build a circuit and show how far it is."""
    from tqdm import tqdm

    from ndbmi_gym.cortex.soc.circuit import ABSCISSA, Circuit, build

    if asked.neurons < _FEWEST or asked.neurons % 2:
        raise ValueError(f"--neurons {asked.neurons}: give an even number of at least {_FEWEST}")
    if asked.seed < 0:
        raise ValueError(f"--seed {asked.seed}: give a seed >= 0")
    path = getattr(asked, "out", Path("runs/circuit") / f"{asked.neurons}-{asked.seed}.npz")
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


def run_report(asked: argparse.Namespace) -> int:
    """Measure a circuit by itself."""
    from ndbmi_gym.experiments.circuit import report

    if asked.circuit is not None and asked.circuits != 1:
        raise ValueError(
            f"--circuits {asked.circuits} with --circuit {asked.circuit}: the circuits that are "
            "compared are the packaged one and others built like it; drop either"
        )
    if asked.redraw and asked.circuits != 1:
        raise ValueError(
            f"--circuits {asked.circuits} with --redraw: what is drawn are the circuits that were "
            "measured; drop either"
        )
    if asked.redraw:
        print(f"drawn anew: {', '.join(report.redraw(asked.out))}")
        return 0
    print(report.write(asked.out, asked.circuit, asked.seed, asked.circuits))
    print(f"results are in {asked.out}")
    return 0


def run_preparation(asked: argparse.Namespace) -> int:
    """Measure how long to prepare, and when to record."""
    from ndbmi_gym.experiments.circuit import preparation

    if asked.redraw:
        print(f"drawn anew: {', '.join(preparation.redraw(asked.out))}")
        return 0
    print(preparation.write(asked.out, _animals(asked), asked.seed))
    print(f"results are in {asked.out}")
    return 0


def run_study(asked: argparse.Namespace) -> int:
    """Measure the circuit in the closed loop."""
    from ndbmi_gym.experiments.circuit import study

    parts = tuple(dict.fromkeys(asked.parts or study.PARTS))
    if asked.redraw:
        print(f"drawn anew: {', '.join(study.redraw(asked.out, parts))}")
        return 0
    print(study.run(asked.out, _animals(asked), asked.seed, asked.jobs, parts))
    print(f"results are in {asked.out}")
    return 0


def _animals(asked: argparse.Namespace) -> range:
    if asked.animals < 1:
        raise ValueError(f"--animals {asked.animals}: give at least one animal")
    return range(asked.first_animal, asked.first_animal + asked.animals)
