"""Perturbations that depend on a trial's number: blocks of trials, each with laws of its own.

A schedule is data, and in JSON types::

    {"kind": "blocks", "sign": "animal", "blocks": [
        {"name": "baseline", "trials": 24},
        {"name": "adaptation", "trials": 64, "curl": 1.5, "catch": {"each": 8, "from": 8}},
        {"name": "washout", "trials": 24}]}

Whatever is random in it (the place of a catch trial, a sign, when a law switches) is drawn from the
session's stream, so that it is the same whenever it is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ndbmi_gym.checks import RuleError, choice, declare, integer, real, settle, shown
from ndbmi_gym.compiled import compiled
from ndbmi_gym.perturbations import (
    CHANNEL,
    N_FORCES,
    N_SIMPLE,
    Draw,
    FloatArray,
    Force,
    ForceLaw,
    IntArray,
    Which,
    forces_of,
)
from ndbmi_gym.streams import Source, Streams

_MOST_TRIALS = 10**9  # of a block; sums over blocks stay whole numbers of 64 bits
_MOST_SWITCHING = 10_000  # trials of a block whose law is drawn from the beginning of the block

SIGNS = ("fixed", "animal", "session")
"""Signs of curl and push: as they are set; turned in animals of odd number; drawn by session."""

_BLOCKS = np.uint64(1) << np.uint64(40)  # beyond any number of a trial, which branch off, too
_SIGN, _SWITCH, _CATCH, _CHANNEL = map(np.uint64, range(4))


class Places(NamedTuple):
    """Trials of a block that are special: listed, or one in each so many.

    Attributes
    ----------
    listed : tuple of int
        Numbers within the block.
    each : int
        From trial `first` to before trial `end`, one of every so many in a row, drawn by session;
        0: none.
    first : int
    end : int or None
    """

    listed: tuple[int, ...] = ()
    each: int = 0
    first: int = 0
    end: int | None = None

    @classmethod
    def of(cls, value: Any) -> "Places":
        """From a list of numbers, or ``{"each": 8, "from": 8, "until": 60}``."""
        if isinstance(value, Mapping):
            given = dict(value)
            made = (given.pop("each", 0), given.pop("from", 0), given.pop("until", None))
            if given or not 1 <= integer(made[0]) <= _MOST_TRIALS or integer(made[1]) < 0:
                raise RuleError(f"{value!r} is no {{'each': 8, 'from': 8, 'until': 60}}")
            until = None if made[2] is None else integer(made[2])
            if until is not None and until <= made[1]:
                raise RuleError(f"{value!r} ends before it begins")
            return cls((), integer(made[0]), integer(made[1]), until)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TypeError
        listed = tuple(map(integer, value))
        if any(place < 0 for place in listed):
            raise RuleError(f"{value!r} has a negative number")
        return cls(listed)

    def among(self, within: IntArray, trials: int | None, drawn_from: Streams) -> Any:
        """Which trials of a block are special, by their number in it, (B,)."""
        if not self.each:
            return np.isin(within, self.listed)
        end = min(n for n in (self.end, trials, _MOST_TRIALS) if n is not None)
        group = np.maximum(within - self.first, 0) // self.each
        begin = self.first + group * self.each
        size = np.minimum(begin + self.each, end) - begin
        drawn = drawn_from.draws + group  # every group has a draw of its own
        share = Streams(drawn_from.keys, drawn).random((len(within), 1))[:, 0]
        chosen = begin + (share * size).astype(np.int64)
        return (within >= self.first) & (within < end) & (within == chosen)


class Block(NamedTuple):
    """A block of trials.

    Attributes
    ----------
    name : str
    trials : int or None
        How many; None: it goes on for ever.
    laws : tuple of Draw
        One, or several of which one holds at a time.
    switch : float
        Probability that another of them holds from a trial on.
    ramp : bool
        Whether forces grow evenly from trial to trial, to their full size in the last.
    catch : Places
        Trials without any force.
    channels : Places
        Trials with nothing but a force channel.
    """

    name: str
    trials: int | None
    laws: tuple[Draw, ...]
    switch: float = 0.0
    ramp: bool = False
    catch: Places = Places()
    channels: Places = Places()

    @classmethod
    def of(cls, given: Any, number: int, last: bool) -> "Block":
        """From a mapping."""
        if isinstance(given, Block):
            return given
        options = dict(given) if isinstance(given, Mapping) else None
        known = {"name", "trials", "laws", "switch", "ramp", "catch", "channels"} | _LAW
        if options is None or set(options) - known:
            raise RuleError(f"{given!r} is no block")
        name, trials = options.pop("name", str(number)), options.pop("trials", None)
        several, switch = options.pop("laws", None), real(options.pop("switch", 0.0))
        ramp = options.pop("ramp", False)
        catch = Places.of(options.pop("catch", ()))
        channels = Places.of(options.pop("channels", ()))
        if not isinstance(name, str):
            raise RuleError(f"name {name!r} is no text")
        if trials is None and not last:
            raise RuleError(f"{given!r} is not the last block and has no number of trials")
        if trials is not None and not 1 <= integer(trials) <= _MOST_TRIALS:
            raise RuleError(f"{shown(trials)} trials are not from 1 to {_MOST_TRIALS:,}")
        if several is not None and (options or not isinstance(several, Sequence) or not several):
            raise RuleError(f"{given!r} has laws, and forces beside them or none in them")
        laws = tuple(Draw(**dict(law)) for law in ([options] if several is None else several))
        if any(law.law is not None for law in laws):
            raise RuleError(f"{given!r} holds a law of your own, which blocks do not have")
        if not 0 <= switch <= 1:
            raise RuleError(f"switch = {switch!r} is no probability")
        if switch and len(laws) < 2:
            raise RuleError("switch: give several 'laws' to switch between")
        if len(laws) > 1 and not (trials or _MOST_SWITCHING + 1) <= _MOST_SWITCHING:
            raise RuleError(f"a block of several laws has at most {_MOST_SWITCHING:,} trials")
        for what, places in (("catch", catch), ("channels", channels)):
            beyond = [*places.listed, places.first if places.each else 0]
            if trials is not None and max(beyond) >= integer(trials):
                raise RuleError(f"{what}: the block has no trial {max(beyond)}")
        if not isinstance(ramp, bool) or (ramp and trials is None):
            raise RuleError(f"ramp = {ramp!r}: it is true or false, and wants 'trials'")
        count = None if trials is None else integer(trials)
        return cls(name, count, laws, switch, ramp, catch, channels)

    def law_of(self, within: IntArray, drawn_from: Streams) -> IntArray:
        """Which of the laws holds, by the number of a trial in the block, (B,)."""
        holding = np.zeros(len(within), np.int64)
        if len(self.laws) > 1:
            share = drawn_from.random((len(within), int(within.max()) + 1, 2))
            _switch(share, within, self.switch, len(self.laws), holding)
        return holding


@compiled
def _switch(share, within, probability, n_laws, holding):  # type: ignore[no-untyped-def]
    """Write which law holds in trials, from uniform numbers (B, K, 2) for the block's first K."""
    for b in range(within.size):
        law = int(share[b, 0, 1] * n_laws)
        for k in range(1, within[b] + 1):
            if share[b, k, 0] < probability:  # to another than before
                law = (law + int(share[b, k, 1] * (n_laws - 1)) + 1) % n_laws
        holding[b] = law


_LAW = {each.name for each in fields(Draw)} - {"law"}


def _blocks(value: Any) -> tuple[Block, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not len(value):
        raise TypeError
    return tuple(Block.of(given, i, i == len(value) - 1) for i, given in enumerate(value))


@dataclass(frozen=True)
class Blocks:
    """Blocks of trials, each with its own forces.

    ``{"kind": "blocks", "blocks": [{"trials": 40}, {"curl": 1.5}]}`` switches a hidden curl field
    on in trial 40. Trials are numbered from 0 in each session, and outside of sessions in each
    place of a batch, anew at a seeded reset; there every trial is a session of its own as to what
    is drawn by session.

    Attributes
    ----------
    blocks : tuple of Block
        Given as mappings: ``"name"`` and number of ``"trials"``; options of `Draw`, but for a law,
        or ``"laws"``, a list of such mappings, of which another holds from a trial on with
        probability ``"switch"``; ``"ramp"``, whether forces grow over the block; ``"catch"`` and
        ``"channels"``, trials without force and in a force channel: a list of their numbers in the
        block, or ``{"each": 8, "from": 8, "until": 60}``, one of every eight in a row at a place
        that is drawn by session. The last block goes on for ever, whatever its number.
    sign : {"fixed", "animal", "session"}
        Whether curl and push are as they are set; turned in animals of odd number; or turned in
        sessions at random.

    Raises
    ------
    ValueError
        If a block is none.
    """

    blocks: tuple[Block, ...] = declare(
        (Block("0", None, (Draw(),)),),
        "name, trials, forces and special trials of each block",
        "give a list of mappings with 'trials', forces such as 'curl', and 'name', 'laws', "
        "'switch', 'ramp', 'catch', 'channels'; only the last may leave out 'trials'",
        _blocks,
    )
    sign: str = choice("fixed", SIGNS, "whether curl and push turn by animal, or by session")

    def __post_init__(self) -> None:
        settle(self)

    @property
    def law(self) -> ForceLaw | None:
        """No law beside those of `Draw`."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the blocks."""
        return tuple(block.name for block in self.blocks)

    @property
    def channels(self) -> bool:
        """Whether trials may be clamped to a channel."""
        return any(block.channels != Places() for block in self.blocks) or any(
            law.channels for block in self.blocks for law in block.laws
        )

    @property
    def unbounded(self) -> bool:
        """Whether a force may speed the device up beyond what commands and pushes do."""
        return self.channels or any(law.unbounded for block in self.blocks for law in block.laws)

    @property
    def seams(self) -> IntArray:
        """Numbers of the first and last trials of all blocks, where forces are at their largest."""
        ends = self._begins + [(block.trials or 1) - 1 for block in self.blocks]
        return np.concatenate((self._begins, ends))

    def ranges(self) -> FloatArray:
        """Low and high of curl and both components of push over all blocks, (3, 2)."""
        every = np.array([law.ranges() for block in self.blocks for law in block.laws])
        low, high = every[..., 0].min(axis=0), every[..., 1].max(axis=0)
        if any(block.ramp or block.catch != Places() for block in self.blocks) or self.channels:
            low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
        if self.sign != "fixed":
            high = np.maximum(high, -low)
            low = -high
        return np.stack((low, high), axis=1)

    def block(self, number: IntArray) -> IntArray:
        """Which block trials with these numbers belong to, (B,)."""
        return np.searchsorted(self._ends, number, "right")

    def sample(self, rng: Source, trials: Which) -> FloatArray:
        """Forces of trials (B), (B, 17)."""
        share = rng.random((len(trials.number), N_SIMPLE))
        forces, block = np.empty((len(share), N_FORCES)), self.block(trials.number)
        for i in np.unique(block):
            mine = np.flatnonzero(block == i)
            within = trials.number[mine] - self._begins[i]
            forces[mine] = self._of_block(int(i), within, share[mine], trials.session.select(mine))
        if self.sign != "fixed":
            forces[:, :N_SIMPLE] *= self._signs(trials)[:, None]
        return forces

    def _of_block(
        self, i: int, within: IntArray, share: FloatArray, session: Streams
    ) -> FloatArray:
        """Forces of trials of a block, by their number in it."""
        block, forces = self.blocks[i], np.empty((len(within), N_FORCES))
        of = _BLOCKS * np.uint64(i + 1)
        holding = block.law_of(within, session.branch(of + _SWITCH))
        for j, law in enumerate(block.laws):
            forces[holding == j] = law.drawn(share[holding == j])
        if block.ramp and block.trials:
            size = (np.minimum(within, block.trials - 1) + 1.0) / block.trials
            forces[:, _GROWING] *= size[:, None]
        caught = block.catch.among(within, block.trials, session.branch(of + _CATCH))
        forces[caught] = forces_of()
        clamped = block.channels.among(within, block.trials, session.branch(of + _CHANNEL))
        forces[clamped] = forces_of(channel=CHANNEL)
        return forces

    def _signs(self, trials: Which) -> FloatArray:
        if self.sign == "animal":
            return np.where(trials.animal % 2, -1.0, 1.0)
        share = trials.session.branch(_BLOCKS + _SIGN).random((len(trials.number), 1))[:, 0]
        return np.where(share < 0.5, 1.0, -1.0)

    @cached_property
    def _ends(self) -> IntArray:
        """Number of the first trial after each block but the last."""
        return np.cumsum([block.trials or 0 for block in self.blocks[:-1]], dtype=np.int64)

    @cached_property
    def _begins(self) -> IntArray:
        """Number of the first trial of each block."""
        return np.concatenate(([0], self._ends))


# what is in proportion to the strength of a force: all but places and times
_GROWING = [
    *range(Force.CURL, Force.CENTRE_X),
    *range(Force.B_XX, Force.FROM),
    Force.CHANNEL_K,
    Force.CHANNEL_B,
]
