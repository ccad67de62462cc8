"""A command line from a frozen dataclass, whose fields are the one description of a program.

::

    @dataclass(frozen=True)
    class Settings:
        seed: int = setting(0, "of everything that is random")

    settings = Settings(**parse(Settings))
"""

import argparse
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

import gymnasium

from ndbmi_gym.cli.options import assignment

JSON = dict[str, Any]


def setting(
    default: Any,
    text: str,
    choices: Sequence[str] | None = None,
    read: Callable[[str], Any] | None = None,
) -> Any:
    """A field of a settings class: its default, what it is for, what it may be, or its file.

    Parameters
    ----------
    default : object
    text : str
        What ``--help`` says.
    choices : sequence of str, optional
        What it may be.
    read : callable, optional
        The command line names a file, and the field holds what this makes of its path.
    """
    metadata = {"help": text, "choices": choices, "read": read}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def parse(
    settings: type, arguments: Sequence[str] | None = None, description: str = ""
) -> dict[str, Any]:
    """Those fields of a settings class that a command line gives.

    A ``bool`` field becomes a flag, a tuple takes one or more values (and may be repeated), a
    mapping takes ``key=value`` with a JSON value (a bare word is a string).

    Parameters
    ----------
    settings : type
        A dataclass whose fields are made by `setting`.
    arguments : sequence of str, optional
        The command line; that of the process by default.
    description : str
        What ``--help`` says first.
    """
    parser = argparse.ArgumentParser(description=description, argument_default=argparse.SUPPRESS)
    hints = get_type_hints(settings)
    for each in fields(settings):
        kind, plural = _kind(hints[each.name])
        more: dict[str, Any] = {"help": each.metadata["help"]}
        if each.metadata["read"]:
            more |= {"type": _reader(each.metadata["read"]), "metavar": "FILE"}
        elif kind is bool:
            more["action"] = "store_true"
        elif kind is Mapping:
            more |= {"type": assignment, "action": "append", "metavar": "KEY=VALUE"}
        else:
            more |= {"type": kind, "choices": each.metadata["choices"]}
            if plural:
                more |= {"nargs": "+", "action": "extend"}
            if each.default is not None and each.default != ():
                more["help"] += f" (default: {each.default})"
        parser.add_argument("--" + each.name.replace("_", "-"), **more)
    given = vars(parser.parse_args(arguments))
    for name, value in given.items():
        kind, plural = _kind(hints[name])
        if kind is Mapping:
            given[name] = dict(value)
        elif plural:
            given[name] = tuple(value)
    return given


def check_positive(settings: Any, *names: str) -> None:
    """Raise ValueError unless fields are numbers > 0, or None.

    Parameters
    ----------
    settings : object
    *names : str
        Of the fields.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name} = {value!r}: give a number > 0")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let a program end with ``error: ...`` where what it was asked for cannot be done."""
    try:
        yield
    except (gymnasium.error.Error, OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error


def _kind(hint: Any) -> tuple[type, bool]:
    """Type of one value of a field, and whether the field takes several."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = set(get_args(hint)) - {type(None)}
    origin = get_origin(hint)
    if origin is tuple:
        return get_args(hint)[0], True
    return origin or hint, False


def _reader(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def content(path: str) -> Any:
        try:
            return read(path)
        except (OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return content
