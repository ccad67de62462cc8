"""Parameters that are declared once: what is taken, what it becomes, what is refused."""

import math
from collections import UserList
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ndbmi_gym.checks import (
    RuleError,
    choice,
    declare,
    flag,
    number,
    numbers,
    options_of,
    path,
    settle,
    shown,
    span,
    whole,
)


def odd(value):
    if value % 2 == 0:
        raise RuleError("even")
    return value


@dataclass(frozen=True)
class Part:
    """One parameter of every kind."""

    size: float = number(1.0, "a size", "cm", above=0, most=10)
    share: float | None = number(None, "a share", least=0, most=1, optional=True)
    part: float = number(0.5, "a part", above=0, below=1)
    count: int = whole(3, "a count", least=1, most=9)
    site: int | None = whole(None, "a site", least=0, optional=True)
    seen: bool = flag(False, "whether it is seen")
    word: str = choice("one", ("one", "two"), "a word")
    place: tuple = numbers((0.0, 0.0), (2,), "a place", "cm")
    matrix: tuple = numbers(((1.0, 0.0), (0.0, 1.0)), (2, 2), "a matrix")
    range: tuple = span((0.0, 1.0), "a range", "s")
    file: str | None = path("a file")
    odd: int = declare(1, "an odd number", "give an odd number", odd)
    free: object = None

    def __post_init__(self):
        settle(self)


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("size", 3, 3.0),
        ("size", np.float16(0.5), 0.5),
        ("size", np.longdouble(0.5), 0.5),
        ("size", np.int8(5), 5.0),
        ("size", Fraction(1, 4), 0.25),
        ("size", np.array(2), 2.0),
        ("size", 10, 10.0),
        ("share", 0, 0.0),
        ("share", None, None),
        ("part", 0.999, 0.999),
        ("count", np.uint64(4), 4),
        ("count", np.array(4), 4),
        ("site", None, None),
        ("seen", np.True_, True),
        ("word", np.str_("two"), "two"),
        ("place", [1, np.float32(2)], (1.0, 2.0)),
        ("place", np.array([1, 2], np.int8), (1.0, 2.0)),
        ("place", UserList([1, Fraction(1, 2)]), (1.0, 0.5)),
        ("matrix", np.arange(4).reshape(2, 2), ((0.0, 1.0), (2.0, 3.0))),
        ("range", [0, 0], (0.0, 0.0)),
        ("file", Path("a") / "b.npz", "a/b.npz"),
        ("file", None, None),
        ("odd", 3, 3),
    ],
)
def test_values_become_plain_python_once(name, given, taken):
    made = getattr(Part(**{name: given}), name)
    assert made == taken
    assert type(made) is type(taken)
    assert repr(made) == repr(taken)  # within tuples, too


@pytest.mark.parametrize(
    ("name", "rule", "refused"),
    [
        ("size", "give a finite number > 0 and <= 10 cm", (0, 10.1, -1, "1", None, True, np.True_)),
        ("size", "give a finite number", (math.nan, math.inf, 1j, [1], 10**400, Decimal(1))),
        ("size", "give a finite number", (np.array([1.0]), np.datetime64("2020"), b"1")),
        ("share", "give a finite number >= 0 and <= 1, or None", (-0.1, 1.1, False, "")),
        ("part", "give a finite number > 0 and < 1", (0, 1, math.nan, None)),
        ("count", "give a whole number >= 1 and <= 9", (0, 10, 2.0, "3", None, True, [3])),
        ("site", "give a whole number >= 0, or None", (-1, 0.5, False)),
        ("seen", "give True or False", ("False", "", 0, 1, None, [], np.int8(1))),
        ("word", "choose one of one, two", ("One", "", None, 1, ["one"], b"one")),
        ("place", "give 2 finite numbers in cm", ([1], [1, 2, 3], 5, "ab", None, {0: 1, 1: 2})),
        ("place", "give 2 finite numbers", ([0, math.nan], [[0, 1], 2], [True, 0], ["0", "1"])),
        ("matrix", "give 2 x 2 finite numbers", ([1, 2], [[1, 2]], [[1, 2], [3]], np.eye(3))),
        ("range", "give two numbers, 0 <= low <= high, in s", ([1, 0], [-1, 0], [3], 5, None)),
        ("file", "give the path of a file, or None", (7, True, [], 1.5)),
        ("odd", "give an odd number", (2, "a", None)),
    ],
)
def test_what_breaks_its_rule_is_refused_with_value_and_rule(name, rule, refused):
    for value in refused:
        with pytest.raises(ValueError, match=f"^{name} = .*: {rule}") as caught:
            Part(**{name: value})
        assert shown(value) in str(caught.value)


def test_a_rule_of_ones_own_can_say_why():
    with pytest.raises(ValueError, match=r"^odd = 4 \(even\): give an odd number$"):
        Part(odd=4)


def test_what_is_not_declared_is_left_alone():
    thing = object()
    assert Part(free=thing).free is thing


def test_values_are_shown_on_one_line_however_long():
    assert shown("a") == "'a'"
    assert len(shown(list(range(1000)))) == 80
    assert shown(list(range(1000))).endswith("...")
    assert "\n" not in shown(np.zeros((3, 3)))


# Option tables


def test_a_table_has_name_default_unit_rule_and_meaning():
    table = {option.name: option for option in options_of(Part)}
    assert list(table)[:3] == ["size", "share", "part"]
    assert table["size"] == (
        "size",
        1.0,
        "cm",
        "give a finite number > 0 and <= 10 cm",
        "a size",
    )
    assert table["free"] == ("free", None, "", "", "")


def test_a_variant_has_its_own_defaults():
    table = {option.name: option for option in options_of(partial(Part, size=4.0))}
    assert table["size"].default == 4.0
    assert table["count"].default == 3
    assert table["size"].meaning == "a size"


def test_what_declares_nothing_has_its_constructors_parameters():
    class Plain:
        def __init__(self, needed, size=2.0, *rest, width=3, **others):
            pass

    def function(a, /, b=1, *, c=2):
        pass

    assert [(o.name, o.default) for o in options_of(Plain)] == [
        ("needed", None),
        ("size", 2.0),
        ("width", 3),
    ]
    assert [o.name for o in options_of(function)] == ["b", "c"]


def test_fields_that_are_no_parameters_are_no_options():
    @dataclass(frozen=True)
    class Cached:
        size: float = number(1.0, "a size")
        cache: dict = field(default_factory=dict, init=False)

    assert [option.name for option in options_of(Cached)] == ["size"]
