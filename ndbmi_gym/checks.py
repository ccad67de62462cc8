"""Parameters that are declared once: name, default, unit, rule and a line of meaning.

A part of an environment is a frozen dataclass whose fields are made by the functions below and
whose ``__post_init__`` calls `settle`::

    @dataclass(frozen=True)
    class Spring:
        stiffness: float = number(1.0, "force per distance", "kg/s²", above=0)

        def __post_init__(self) -> None:
            settle(self)

Checks, messages, the JSON form, the routing of keyword arguments and the tables of the
documentation all follow from the declaration. Values are converted once, to plain Python: numpy
scalars and fractions to numbers, arrays and sequences to tuples. Booleans are no numbers.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, field, fields, is_dataclass
from functools import partial
from inspect import Parameter, signature
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np


class Declaration(NamedTuple):
    """What a parameter means and may be.

    Attributes
    ----------
    meaning : str
    unit : str
    rule : str
        What to give, in words: the end of the message that refuses anything else.
    take : callable
        The value as plain Python. Raises ValueError or TypeError if it breaks the rule.
    """

    meaning: str
    unit: str
    rule: str
    take: Callable[[Any], Any]


class Option(NamedTuple):
    """A line of an option table."""

    name: str
    default: Any
    unit: str
    rule: str
    meaning: str


def declare(
    default: Any, meaning: str, rule: str, take: Callable[[Any], Any], unit: str = ""
) -> Any:
    """A field of a part, with a rule of its own.

    Parameters
    ----------
    default : object
    meaning : str
        In one line, for tables of options.
    rule : str
        What to give, in words: the end of the message that refuses anything else.
    take : callable
        The value as plain Python; raises ValueError (`RuleError`, if it tells why) or TypeError.
    unit : str
    """
    return field(default=default, metadata={"declared": Declaration(meaning, unit, rule, take)})


def number(
    default: float | None,
    meaning: str,
    unit: str = "",
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
    optional: bool = False,
) -> Any:
    """A finite real number within bounds; `above` and `below` are open, the others are closed.

    Parameters
    ----------
    default : float or None
    meaning : str
        In one line, for tables of options.
    unit : str
    above, least, most, below : float, optional
        Bounds.
    optional : bool
        Whether None may be given, too.
    """

    def take(value: Any) -> float:
        given = real(value)
        low = (above is None or given > above) and (least is None or given >= least)
        high = (most is None or given <= most) and (below is None or given < below)
        if not (low and high):
            raise ValueError
        return given

    bounds = _bounds("a finite number", above, least, most, below)
    rule = f"give {bounds}{' ' + unit if unit else ''}"
    return _declare(default, meaning, unit, rule, take, optional)


def whole(
    default: int | None,
    meaning: str,
    *,
    least: int | None = None,
    most: int | None = None,
    optional: bool = False,
) -> Any:
    """A whole number within bounds.

    Parameters
    ----------
    default : int or None
    meaning : str
        In one line, for tables of options.
    least, most : int, optional
        Bounds, both closed.
    optional : bool
        Whether None may be given, too.
    """

    def take(value: Any) -> int:
        given = integer(value)
        if (least is not None and given < least) or (most is not None and given > most):
            raise ValueError
        return given

    rule = f"give {_bounds('a whole number', None, least, most)}"
    return _declare(default, meaning, "", rule, take, optional)


def flag(default: bool, meaning: str) -> Any:
    """True or False, and nothing that merely counts as one of them.

    Parameters
    ----------
    default : bool
    meaning : str
        In one line, for tables of options.
    """

    def take(value: Any) -> bool:
        if not isinstance(value, bool | np.bool_):
            raise TypeError
        return bool(value)

    return _declare(default, meaning, "", "give True or False", take, False)


def choice(
    default: str | None, choices: Sequence[str], meaning: str, optional: bool = False
) -> Any:
    """One of several words.

    Parameters
    ----------
    default : str or None
    choices : sequence of str
    meaning : str
        In one line, for tables of options.
    optional : bool
        Whether None may be given, too.
    """

    def take(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return str(value)

    return _declare(default, meaning, "", f"choose one of {', '.join(choices)}", take, optional)


def numbers(
    default: Any,
    shape: tuple[int, ...],
    meaning: str,
    unit: str = "",
    optional: bool = False,
    most: float = 1e9,
) -> Any:
    """A nested tuple of numbers in a given shape, none beyond `most` in magnitude.

    Parameters
    ----------
    default : object
    shape : tuple of int
    meaning : str
        In one line, for tables of options.
    unit : str
    optional : bool
        Whether None may be given, too.
    most : float
        Largest magnitude.
    """

    def take(value: Any) -> Any:
        given = nested(value, shape)
        if np.abs(given).max() > most:
            raise RuleError(f"a number beyond {most:g}")
        return given

    what = " x ".join(map(str, shape))
    rule = f"give {what} finite numbers{' in ' + unit if unit else ''}"
    return _declare(default, meaning, unit, rule, take, optional)


def span(default: tuple[float, float], meaning: str, unit: str = "", least: float = 0.0) -> Any:
    """A pair low <= high of finite numbers.

    Parameters
    ----------
    default : (float, float)
    meaning : str
        In one line, for tables of options.
    unit : str
    least : float
        What `low` is at least.
    """

    def take(value: Any) -> tuple[float, float]:
        low, high = nested(value, (2,))
        if not least <= low <= high:
            raise ValueError
        return low, high

    rule = f"give two numbers, {least:g} <= low <= high{', in ' + unit if unit else ''}"
    return _declare(default, meaning, unit, rule, take, False)


def path(meaning: str) -> Any:
    """The path of a file, or None.

    Parameters
    ----------
    meaning : str
        In one line, for tables of options.
    """

    def take(value: Any) -> str:
        if not isinstance(value, str | os.PathLike):
            raise TypeError
        if not os.fspath(value):
            raise ValueError
        return os.fsdecode(value)

    return _declare(None, meaning, "", "give the path of a file", take, True)


def internal(default: Any) -> Any:
    """A field that is no option: other parts set it."""
    return field(default=default, metadata={"internal": True})


def settle(part: Any) -> None:
    """Check every declared field of a frozen dataclass, and convert it to plain Python.

    Raises
    ------
    ValueError
        If a value breaks its rule; the message has the name, the value and the rule.
    """
    for each in fields(part):
        declared = each.metadata.get("declared")
        if declared is not None:
            taken = taking(each.name, getattr(part, each.name), declared)
            object.__setattr__(part, each.name, taken)


def taking(name: str, value: Any, declared: Declaration) -> Any:
    """A value as its declaration has it."""
    try:
        return declared.take(value)
    except (ValueError, TypeError, OverflowError) as error:
        because = f" ({error})" if str(error) and isinstance(error, RuleError) else ""
        raise ValueError(f"{name} = {shown(value)}{because}: {declared.rule}") from None


class RuleError(ValueError):
    """Why a value breaks its rule, for the message of `taking`."""


def real(value: Any) -> float:
    """A finite real number as a Python float; raises TypeError or ValueError."""
    value = _scalar(value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError("not a number")
    given = float(value)
    if not math.isfinite(given):
        raise ValueError("not finite")
    return given


def integer(value: Any) -> int:
    """A whole number as a Python int; raises TypeError."""
    value = _scalar(value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError("not a whole number")
    return int(value)


def _scalar(value: Any) -> Any:
    """What an array without axes holds; anything else as it is."""
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


def nested(value: Any, shape: tuple[int, ...]) -> Any:
    """Finite numbers in a given shape as nested tuples; raises TypeError or ValueError."""
    if not shape:
        return real(value)
    if isinstance(value, str | bytes | Mapping) or not (
        isinstance(value, Sequence | np.ndarray) or hasattr(value, "__array__")
    ):
        raise TypeError("not a sequence")
    items = list(value)
    if len(items) != shape[0]:
        raise ValueError("of another length")
    return tuple(nested(item, shape[1:]) for item in items)


def shown(value: Any) -> str:
    """A value in a message, on one line, however long it is."""
    text = " ".join(line.strip() for line in repr(value).splitlines())
    return text if len(text) <= 80 else f"{text[:77]}..."


def options_of(part: Any) -> list[Option]:
    """The options that a part declares, or else the parameters of its constructor.

    Parameters
    ----------
    part : type or callable
        A dataclass, or what makes a part from keyword arguments.
    """
    if isinstance(part, partial):
        changed = part.keywords
        known = options_of(part.func)
        return [each._replace(default=changed.get(each.name, each.default)) for each in known]
    if is_dataclass(part):
        return list(_fields(part))
    parameters = signature(part).parameters.values()
    named = [
        p for p in parameters if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    ]
    return [Option(p.name, None if p.default is p.empty else p.default, "", "", "") for p in named]


def _fields(part: Any) -> Iterator[Option]:
    for each in fields(part):
        if not each.init or each.metadata.get("internal"):
            continue
        default = each.default if each.default is not MISSING else None
        declared = each.metadata.get("declared", Declaration("", "", "", lambda value: value))
        yield Option(each.name, default, declared.unit, declared.rule, declared.meaning)


def _declare(
    default: Any,
    meaning: str,
    unit: str,
    rule: str,
    take: Callable[[Any], Any],
    optional: bool,
) -> Any:
    if optional:
        return declare(
            default,
            meaning,
            f"{rule}, or None",
            lambda value: None if value is None else take(value),
            unit,
        )
    return declare(default, meaning, rule, take, unit)


def _bounds(
    what: str,
    above: float | None,
    least: float | None,
    most: float | None,
    below: float | None = None,
) -> str:
    ends = [f"> {above:g}"] if above is not None else []
    ends += [f">= {least:g}"] if least is not None else []
    ends += [f"<= {most:g}"] if most is not None else []
    ends += [f"< {below:g}"] if below is not None else []
    return f"{what} {' and '.join(ends)}" if ends else what
