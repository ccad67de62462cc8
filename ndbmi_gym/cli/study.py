"""``ndbmi-gym study``: studies of what volition can do."""

import argparse
from typing import Any

from ndbmi_gym.cli.options import add_command, add_files, add_redraw


def add_to(commands: Any) -> None:
    """Add the commands to others."""
    about = "studies of what volition can do"
    made = commands.add_parser("study", help=about, description=about)
    own = made.add_subparsers(required=True, metavar="study")
    what = "does volition adapt to a hidden force, and does it show when the force goes?"
    adaptation = add_command(own, "adaptation", what, run_adaptation)
    add_files(adaptation, "study/adaptation")
    adaptation.add_argument("--animals", type=int, default=10, help="animals 0, 1, ...")
    adaptation.add_argument("--seed", type=int, default=0, help="of the sessions")
    adaptation.add_argument(
        "--quick", action="store_true", help="the scored session with the point mass alone"
    )
    adaptation.add_argument(
        "--policy",
        nargs="+",
        default=[],
        metavar="MODULE:ATTRIBUTE",
        help="policies of one's own to play beside the references",
    )
    adaptation.add_argument("--observe", default="state", help="what those see: state or neural")
    add_redraw(adaptation)


def run_adaptation(asked: argparse.Namespace) -> int:
    """Play the references, and write tables and pictures."""
    from ndbmi_gym.experiments.adaptation import study

    if asked.redraw:
        print(study.redraw(asked.out))
        return 0
    plan = study.Plan(
        out=asked.out,
        animals=asked.animals,
        seed=asked.seed,
        jobs=asked.jobs,
        quick=asked.quick,
        policies=tuple(asked.policy),
        observe=asked.observe,
    )
    print(study.run(plan))
    print(f"results are in {asked.out}")
    return 0
