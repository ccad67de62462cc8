"""Numbers in prose, from data: pieces of plain pages that are found by their words.

A piece names a page and what is written there, with a slot for every number, and has the values
that belong into the slots. Pages carry no marks; a piece that a page no longer has, or has twice,
is an error.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Any, Protocol

ROOT = Path(__file__).parents[2]

WORDS = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
"""How small numbers are written out, by `word`."""

NUMBER = r"(?<![\d.])(?<!\d,)[−-]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?!\d|[.,]\d)"
NUMBERS = re.compile(f"({NUMBER})")
DECIMAL = re.compile(r"(?<![\w.])\d*\.\d+(?![\w]|\.\d)")
FENCED = re.compile(r"^( *)(`{3,}|:{3,})([^\n]*)\n.*?^\1\2 *$", re.MULTILINE | re.DOTALL)
NOT_PROSE = (r"(?m)^    .*$", r"`[^`\n]*`", r"\]\([^)]*\)")
"""Code and addresses."""


class Piece(Protocol):
    """A part of a page whose numbers come from data."""

    page: str

    def span(self, text: str) -> tuple[int, int]:
        """Where it is in the text of its page; ValueError unless it is there exactly once."""

    def restated(self, text: str) -> str:
        """The text with the numbers of the data."""


def number(value: Any, form: str) -> str:
    """A number as pages write it: a real minus, and no minus before zero.

    Parameters
    ----------
    value : float
    form : str
        ``.3``: three decimals and no zero before the point, as shares are written; ``word``: small
        whole numbers in letters; anything else as Python has it (``.3f``, ``,``).

    Raises
    ------
    ValueError
        If it is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value}: prose has no place for it, say so in words")
    if form == "word":
        return WORDS[int(value)]
    if re.fullmatch(r"\.\d+", form):
        return re.sub(r"^(-?)0\.", r"\1.", f"{value:z{form}f}").replace("-", "−")
    return f"{value:{'z' if form.endswith(('f', '%')) else ''}{form}}".replace("-", "−")


def interval(values: Sequence[float], form: str, between: str = " to ") -> str:
    """An estimate with its interval in brackets."""
    middle, low, high = (number(value, form) for value in values)
    return f"{middle} ({low}{between}{high})"


@dataclass(frozen=True)
class Sentence:
    """A piece of prose, with slots.

    Parameters
    ----------
    page : str
        From the root of the repository.
    words : str
        As in the page, with slots as in `str.format`, whose forms are those of `number`:
        ``"dimension {a:.1f} in the circuit, against {b[0]:.2f}"``. Line breaks count as spaces.
    values : Mapping
        By the names of the slots; a text, such as of `interval`, stands as it is.
    """

    page: str
    words: str
    values: Mapping[str, Any]

    @cached_property
    def parts(self) -> list[tuple[str, str]]:
        """Words, and the number behind them, if any."""
        parts, words = [], ""
        for before, name, form, _ in Formatter().parse(self.words):
            words += before
            if name is None:
                continue
            value = Formatter().get_field(name, (), self.values)[0]
            one = not isinstance(value, str)
            split = ["", number(value, form or ""), ""] if one else NUMBERS.split(value)
            for between, written in zip(split[:-1:2], split[1::2], strict=True):
                parts.append((words + between, written))
                words = ""
            words += split[-1]
        return [*parts, (words, "")]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What finds it, whichever numbers are there."""
        slots = {True: "[a-z]+", False: NUMBER}
        return re.compile(
            "".join(
                f"({_words(words)})({written and slots[written.isalpha()]})"
                for words, written in self.parts
            )
        )

    def span(self, text: str) -> tuple[int, int]:
        """Where it is in the text of its page."""
        return self._match(text).span()

    def restated(self, text: str) -> str:
        """The text with the numbers of the data."""
        found = self._match(text)
        kept = found.groups()[::2]
        new = "".join(words + written for words, (_, written) in zip(kept, self.parts, strict=True))
        return text[: found.start()] + new + text[found.end() :]

    def _match(self, text: str) -> re.Match[str]:
        return _once(self.page, self.words, list(self.pattern.finditer(text)))


def sentence(page: str, words: str, **values: Any) -> Sentence:
    """A `Sentence`."""
    return Sentence(page, words, values)


@dataclass(frozen=True)
class Table:
    """A table whose body comes from data.

    Parameters
    ----------
    page : str
    head : sequence of str
        The heads of its columns, by which it is found.
    rows : sequence of sequence of str
        Its cells.
    """

    page: str
    head: Sequence[str]
    rows: Iterable[Sequence[str]] = field(repr=False)

    def span(self, text: str) -> tuple[int, int]:
        """Where it is in the text of its page."""
        return self._match(text).span()

    def restated(self, text: str) -> str:
        """The text with the rows of the data."""
        found = self._match(text)
        body = "".join(f"| {' | '.join(row)} |\n" for row in self.rows)
        return text[: found.start(1)] + body + text[found.end(1) :]

    def _match(self, text: str) -> re.Match[str]:
        cells = r" *\| *".join(map(_words, self.head))
        pattern = rf"^\| *{cells} *\|\n\|[ :|-]+\|\n((?:\|.*\|\n)*)"
        found = list(re.finditer(pattern, text, re.MULTILINE))
        return _once(self.page, " | ".join(self.head), found)


@dataclass(frozen=True)
class Whole:
    """A page that is nothing but what a function of the package makes of data.

    Parameters
    ----------
    page : str
    text : str
    """

    page: str
    text: str = field(repr=False)

    def span(self, text: str) -> tuple[int, int]:
        """All of it."""
        return 0, len(text)

    def restated(self, text: str) -> str:
        """What it should be."""
        return self.text


def restated(text: str, pieces: Iterable[Piece]) -> tuple[str, list[str]]:
    """The text of a page with the numbers of the data, and which pieces it does not have once."""
    errors = []
    for piece in pieces:
        try:
            text = piece.restated(text)
        except ValueError as error:
            errors.append(str(error))
    return text, errors


def uncovered(text: str, pieces: Iterable[Piece], given: Iterable[str] = ()) -> list[str]:
    """Decimal numbers of a page that come from no piece and are not given, with their lines.

    Parameters
    ----------
    text : str
    pieces : iterable of Piece
        Those of this page.
    given : iterable of str
        Words with numbers that no data have: what was chosen, not found.
    """
    captions = "{figure}"
    prose = _blank(text, (f for f in FENCED.finditer(text) if not f[3].startswith(captions)))
    for pattern in NOT_PROSE:
        prose = _blank(prose, re.finditer(pattern, prose))
    for words in given:
        prose = _blank(prose, found(words, text))
    for piece in pieces:
        try:
            prose = _blank(prose, [piece.span(text)])
        except ValueError:  # told by `restated`
            continue
    lines = text.splitlines()
    return [
        f"{at + 1}: {', '.join(numbers)} in {lines[at].strip()!r}"
        for at, line in enumerate(prose.splitlines())
        if (numbers := DECIMAL.findall(line))
    ]


def found(words: str, text: str) -> list[re.Match[str]]:
    """Where words are in a text, whichever way lines are broken."""
    return list(re.finditer(_words(words), text))


def _words(words: str) -> str:
    """A pattern of words, wherever lines are broken."""
    return r"\s+".join(map(re.escape, re.split(r"\s+", words)))


def _once(page: str, words: str, found: Sequence[re.Match[str]]) -> re.Match[str]:
    if len(found) != 1:
        raise ValueError(
            f"{page} has {words!r} {len(found)} times, not once: change the piece (docs/prose) "
            "with the page, and take enough words to tell it from others"
        )
    return found[0]


def _blank(text: str, spans: Iterable[re.Match[str] | tuple[int, int]]) -> str:
    for each in list(spans):
        start, end = each.span() if isinstance(each, re.Match) else each
        text = text[:start] + re.sub(r"\S", " ", text[start:end]) + text[end:]
    return text
