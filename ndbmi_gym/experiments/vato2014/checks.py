"""Checks of quantities against bounds, and what follows from them for a claim.

One scale for the text's adjectives, as factors by which an error differs:

- *nearly the same*, *nearly as well*, *no gain*, *no loss*: below 1.1 (`NEARLY`);
- *small*, *stable*, *robust*, *insensitive*: below 1.25 (`SMALL`);
- *mild*: below 1.5, and *large*, *marked*: above it (`LARGE`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ndbmi_gym.experiments.bench.statistics import (
    Interval,
    ratio_interval,
    share_interval,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)
from ndbmi_gym.experiments.vato2014.evidence import Evidence

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
DEPENDS = "depends on the reading"
NEARLY, SMALL, LARGE = 1.1, 1.25, 1.5
MIN_ANIMALS = 10
"""Fewer decide nothing: one lucky calibration could."""
_RATIO = 0.3  # a margin of 1: 30 % in a ratio
_SHARE = 0.5


class Check(NamedTuple):
    """A quantity and its bound.

    Attributes
    ----------
    what : str
    interval : Interval
    bound : float
    above : bool
        Whether the quantity should lie above the bound, or below.
    scale : float
        What counts as a margin of 1 in a search.
    reading : str
        Of the text, under which alone this is asked; empty: under every one.
    """

    what: str
    interval: Interval
    bound: float
    above: bool
    scale: float
    reading: str = ""

    @property
    def verdict(self) -> str:
        """Holds, does not hold or undecided."""
        low, high = self.interval.low, self.interval.high
        if not (np.isfinite(low) and np.isfinite(high)):
            return UNDECIDED
        if (low > self.bound) if self.above else (high < self.bound):
            return HOLDS
        if (high < self.bound) if self.above else (low > self.bound):
            return FAILS
        return UNDECIDED

    @property
    def margin(self) -> float:
        """Signed distance of the estimate to the bound, within [−2, 1]; −2 without estimate."""
        if not np.isfinite(self.interval.estimate):
            return -2.0
        distance = (self.interval.estimate - self.bound) / self.scale
        return float(np.clip(distance if self.above else -distance, -2.0, 1.0))

    def __str__(self) -> str:
        what = f"{self.reading}: {self.what}" if self.reading else self.what
        return f"{what} {self.interval} {'>' if self.above else '<'} {self.bound:.2f}"


@dataclass(frozen=True)
class Claim:
    """A published finding.

    Attributes
    ----------
    id : str
    where : str
        Figure or section of the text.
    statement : str
        What the text says.
    checks : callable
        Evidence to list of `Check`.
    """

    id: str
    where: str
    statement: str
    checks: Callable[[Evidence], list[Check]]


class Finding(NamedTuple):
    """A claim, judged."""

    claim: Claim
    checks: list[Check]
    animals: int

    @property
    def verdict(self) -> str:
        """Holds, does not hold, undecided; or depends on the reading, of which one fails."""
        if self.animals < MIN_ANIMALS or not self.checks:
            return UNDECIDED
        readings = {check.reading for check in self.checks} - {""} or {""}
        verdicts = {
            _joined(check.verdict for check in self.checks if check.reading in ("", reading))
            for reading in readings
        }
        if verdicts == {HOLDS, FAILS}:
            return DEPENDS
        return _joined(verdicts)

    @property
    def margin(self) -> float:
        """The least margin of the checks."""
        return min((check.margin for check in self.checks), default=-2.0)


def _joined(verdicts: Iterable[str]) -> str:
    found = set(verdicts)
    return next((verdict for verdict in (FAILS, UNDECIDED) if verdict in found), HOLDS)


def ratio_check(what: str, ratios: FloatArray, bound: float, above: bool) -> Check:
    """A geometric mean of ratios against a bound; 30 % of it are a margin of 1."""
    return Check(what, ratio_interval(ratios), bound, above, _RATIO * bound)


def share_check(what: str, hits: Iterable[bool | None]) -> Check:
    """More animals than not; undecided if one could not be tested."""
    hits = list(hits)
    tested = None not in hits
    interval = share_interval(sum(map(bool, hits)), len(hits) if tested else 0)
    return Check(what, interval, 0.5, True, _SHARE)
