"""``ndbmi-gym recover``: search for the parameters that the text does not give."""

import argparse
from typing import Any

from ndbmi_gym.cli.options import add_command, add_files, add_redraw


def add_to(commands: Any) -> None:
    """Add the command to others."""
    what = "search for the parameters that the text does not give"
    made = add_command(commands, "recover", what, run, extra="recover")
    add_files(made, "recover")
    made.add_argument("--trials", type=int, default=800, help="in all; a search is continued")
    made.add_argument(
        "--start",
        nargs="+",
        default=[],
        metavar="PRESET",
        help="presets or JSON files to try next and go on from, after the random trials",
    )
    add_redraw(made)


def run(asked: argparse.Namespace) -> int:
    """Search, analyse the trials, and choose the best of them."""
    from ndbmi_gym.experiments.recovery import identifiability, search
    from ndbmi_gym.experiments.vato2014.baselines import FILE
    from ndbmi_gym.presets import load_preset

    if asked.redraw:
        print(f"drawn anew: {', '.join(identifiability.redraw(asked.out, search.DESIGN))}")
        return 0
    if asked.trials < identifiability.FEWEST:
        raise ValueError(
            f"--trials {asked.trials}: at least {identifiability.FEWEST} tell something"
        )
    search.search(asked.out, asked.trials, asked.jobs, list(map(load_preset, asked.start)))
    trials = search.read_trials(asked.out)
    found = identifiability.write(asked.out, trials, search.DESIGN)
    search.baselines(trials).save(asked.out / FILE)
    print(search.summary(trials))
    print(f"constrained to less than half of their range: {', '.join(found.constrained)}")
    search.choose(asked.out, trials, asked.jobs)
    print(f"results are in {asked.out}; judge the best set on fresh animals by")
    print(f"  ndbmi-gym reproduce claims --preset {asked.out / 'best.json'}")
    return 0
