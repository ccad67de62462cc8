"""``ndbmi-gym parts``: what an environment is made of, and every option of every part."""

import argparse
from typing import Any

from ndbmi_gym.cli.options import add_command


def add_to(commands: Any) -> None:
    """Add the command to others."""
    made = add_command(commands, "parts", "the parts of an environment and their options", run)
    made.add_argument("part", nargs="*", help="task, cortex, field, ... (default: all)")


def run(asked: argparse.Namespace) -> int:
    """Print the declarations."""
    print(text(asked.part))
    return 0


def text(names: list[str]) -> str:
    """The options of some parts, or of all, as indented lines.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    from ndbmi_gym.config import option_tables

    tables = option_tables()
    unknown = [name for name in names if name not in tables]
    if unknown:
        raise ValueError(f"part {unknown[0]!r}: choose from {', '.join(tables)}")
    lines = []
    for name in names or tables:
        for kind, options in tables[name].items():
            lines.append(name if kind == name else f'{name}="{kind}"')
            for option in options:
                rule = f" ({option.rule})" if option.rule else ""
                lines.append(f"  {option.name} = {option.default!r}: {option.meaning}{rule}")
            lines.append("")
    return "\n".join(lines).rstrip()
