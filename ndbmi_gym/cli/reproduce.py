"""``ndbmi-gym reproduce``: figures and claims of Vato et al. 2014."""

import argparse
from pathlib import Path
from typing import Any

from ndbmi_gym.cli.options import add_command, add_files, add_preset


def add_to(commands: Any) -> None:
    """Add the command to others."""
    made = add_command(commands, "reproduce", "figures and claims of Vato et al. 2014", run)
    add_files(made, "reproduce")
    made.add_argument(
        "what",
        nargs="+",
        help="fig2 to fig12, windows, linear, region; 'all' of these; or 'claims': all of these "
        "for thirty animals, and the report",
    )
    add_preset(made)
    made.add_argument("--seed", type=int, default=0, help="of the tests")
    made.add_argument(
        "--first-animal",
        type=int,
        default=argparse.SUPPRESS,
        help="the first animal (default: 100 for claims, which no search has seen; otherwise 0)",
    )
    made.add_argument(
        "--animals",
        type=int,
        default=argparse.SUPPRESS,
        help="animals (default: 30 for claims, otherwise 1)",
    )
    made.add_argument("--backend", default="loky", help="of joblib: loky, ray or dask")


def run(asked: argparse.Namespace) -> int:
    """Measure and draw figures; judge the claims if they are asked for."""
    from ndbmi_gym.experiments.bench import batches
    from ndbmi_gym.experiments.vato2014 import reproduce

    claims = "claims" in asked.what
    chosen = [
        reproduce.figure(name)
        for name in dict.fromkeys(asked.what)
        if name not in ("all", "claims")
    ]
    if claims or "all" in asked.what:
        chosen = list(reproduce.FIGURES.values())
    first = getattr(asked, "first_animal", 100 if claims else 0)
    count = getattr(asked, "animals", 30 if claims else 1)
    batch = batches.Batch(
        out=asked.out / Path(asked.preset).stem,
        preset=asked.preset,
        animals=range(first, first + count),
        seed=asked.seed,
        jobs=asked.jobs,
        backend=asked.backend,
    )
    tables = batches.run(batch, chosen)
    if claims:
        print(reproduce.judge_claims(batch, tables))
    print(f"results are in {batch.out}")
    return 0
