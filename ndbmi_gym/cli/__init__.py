"""The command ``ndbmi-gym``."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from ndbmi_gym import __version__
from ndbmi_gym.cli import circuit, parts, readings, recover, reproduce, study, watch
from ndbmi_gym.files import check_folder

_ENGINES = {"ray": "ray", "dask": "dask[distributed]", "distributed": "dask[distributed]"}
"""What `--backend` wants, by the module that is missing; all else is in the command's extra."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    asked = _parser().parse_args(arguments)
    # each process computes on one core, however many libraries would like more: those to come by
    # their environment, this one, whose numpy is loaded already, by its hand
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with suppress(ImportError):  # the commands that compute bring it
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)
    try:
        if out := getattr(asked, "out", None):
            check_folder(out.parent if out.suffix else out)
        return int(asked.command(asked))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where it stopped", file=sys.stderr)
        return 130
    except ImportError as error:
        wanted = _ENGINES.get(str(error.name), f"ndbmi-gym[{asked.extra}]")
        print(f'ndbmi-gym: {error}: run `pip install "{wanted}"`', file=sys.stderr)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"ndbmi-gym: {error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ndbmi-gym", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (parts, watch, reproduce, recover, readings, circuit, study):
        command.add_to(commands)
    return parser
