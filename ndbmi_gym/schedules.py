"""Perturbations that depend on a trial's number: blocks of trials, each with a law of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ndbmi_gym.checks import RuleError, declare, integer, settle, shown
from ndbmi_gym.perturbations import Draw, FloatArray, ForceLaw, IntArray
from ndbmi_gym.streams import Source

_MOST_TRIALS = 10**9  # of a block; sums over blocks stay whole numbers of 64 bits

Block = tuple[int | None, Draw]


def _blocks(value: Any) -> tuple[Block, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not len(value):
        raise TypeError
    return tuple(_block(given, last=i == len(value) - 1) for i, given in enumerate(value))


def _block(given: Any, last: bool) -> Block:
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Draw):
        return given[0], given[1]
    options = dict(given) if isinstance(given, Mapping) else None
    if options is None or set(options) - {"trials", "curl", "push"}:
        raise RuleError(f"{given!r} is no block")
    trials = options.pop("trials", None)
    if trials is None and not last:
        raise RuleError(f"{given!r} is not the last block and has no number of trials")
    if trials is not None and not 1 <= integer(trials) <= _MOST_TRIALS:
        raise RuleError(f"{shown(trials)} trials are not from 1 to {_MOST_TRIALS:,}")
    return (None if trials is None else integer(trials)), Draw(**options)


@dataclass(frozen=True)
class Blocks:
    """Blocks of trials, each with its own distribution of curl and push.

    ``{"kind": "blocks", "blocks": [{"trials": 40}, {"curl": 1.5}]}`` switches a hidden curl field
    on in trial 40. Trials are numbered from 0 in each place of a batch, anew at a seeded reset.

    Attributes
    ----------
    blocks : tuple
        Mappings with the number of ``"trials"``, ``"curl"`` and ``"push"`` (`Draw`). The last
        block goes on for ever, whatever its number.
    law : None
        Blocks have curl and push only.

    Raises
    ------
    ValueError
        If a block is none.
    """

    blocks: tuple[Block, ...] = declare(
        ((None, Draw()),),
        "trials, curl and push of each block",
        "give a list of mappings with 'trials', 'curl' and 'push'; only the last may leave out "
        "'trials'",
        _blocks,
    )

    def __post_init__(self) -> None:
        settle(self)

    @property
    def law(self) -> ForceLaw | None:
        """No further force."""
        return None

    def ranges(self) -> FloatArray:
        """Low and high over all blocks, (3, 2)."""
        every = np.array([draw.ranges() for _, draw in self.blocks])
        return np.stack((every[..., 0].min(axis=0), every[..., 1].max(axis=0)), axis=1)

    def sample(self, rng: Source, trial: IntArray) -> FloatArray:
        """Forces of trials with these numbers (B,), (B, 3)."""
        ranges = self._ranges[np.searchsorted(self._ends, trial, "right")]
        return np.asarray(
            ranges[..., 0] + (ranges[..., 1] - ranges[..., 0]) * rng.random(ranges.shape[:2])
        )

    @cached_property
    def _ranges(self) -> FloatArray:
        return np.array([draw.ranges() for _, draw in self.blocks])

    @cached_property
    def _ends(self) -> IntArray:
        """Number of the first trial after each block but the last."""
        return np.cumsum([trials or 0 for trials, _ in self.blocks[:-1]], dtype=np.int64)
