"""A command's parser, and options that several commands have."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_command(
    commands: Any,
    name: str,
    what: str,
    run: Callable[[argparse.Namespace], int],
    extra: str = "reproduce",
) -> argparse.ArgumentParser:
    """The parser of a command among others, which `run` carries out with an extra installed."""
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=what,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.set_defaults(command=run, extra=extra)
    return made


def add_files(command: argparse.ArgumentParser, folder: str) -> None:
    """Number of processes, and where results go."""
    jobs = min(2, os.cpu_count() or 1)
    command.add_argument("--jobs", type=int, default=jobs, help="processes")
    out = Path("runs") / folder
    command.add_argument("--out", type=Path, default=out, help="folder of results")


def add_redraw(command: argparse.ArgumentParser) -> None:
    """Whether only pictures are wanted."""
    command.add_argument(
        "--redraw",
        action="store_true",
        help="measure nothing: draw the pictures anew from the tables in the folder",
    )


def add_preset(command: argparse.ArgumentParser) -> None:
    """The parameters."""
    command.add_argument(
        "--preset",
        default="paper",
        help="parameters: default, paper, or a JSON file with 'parameters'",
    )


def add_animals(command: argparse.ArgumentParser, first: int, count: int | None = 10) -> None:
    """Which animals, and the seed of their tests; without a count the command adds its own."""
    command.add_argument("--first-animal", type=int, default=first, help="the first animal")
    command.add_argument("--seed", type=int, default=0, help="of the tests")
    if count is not None:
        command.add_argument("--animals", type=int, default=count, help="animals")


def assignment(text: str) -> tuple[str, Any]:
    """Name and value, which is JSON or a bare word.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is not of the form name=value.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
