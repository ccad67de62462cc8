"""Which calibration response is nearest to a new one: tables for one animal or many (Eqs 8-11).

Trains live on a clock, so the inner product of a response X with *any* other is a sum of table
rows, one per spike. Row ``electrode * n_bins + bin`` of a table holds the inner products of one
spike at that place with all M calibration responses, as 16-bit integers in units of a *quantum*,
the largest of them divided by 65,535. Their sums are integers: exact, independent of the order of
addition, and half the memory traffic of float32.

Reading all of a table for each spike is what decoding would take its time for. Most columns need
not be read. Let P project responses onto those of slow rates, J cosines of time on each electrode.
For every calibration response c ::

    <X, c> = <PX, Pc> + <X − PX, c − Pc>  ≤  <PX, Pc> + |X − PX| |c − Pc|,

so that its squared distance is at least ``|X|² + |c|² − 2 <PX, Pc> − 2 |X − PX| |c − Pc|``. The
projections are J·n numbers each. With weights w between electrodes and cosines whose responses
u_j(t) are made orthonormal in the metric ::

    <PX, Pc> = Σ_j Σ_pq w_pq x_jp c_jq,   x_jp = Σ_{spikes of X on p} u_j(t).

Columns are read in blocks, from the one with the smallest bound on. Left out are those whose bounds
lie above the smallest distance so far: bounds by the mean rates alone (j = 0), or else by all
cosines. The answer is that of all columns, to the bit.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.metric import (
    Metric,
    histogram,
    in_order,
    influence,
    smear,
    squared_norm,
    squared_norms,
)
from ndbmi_gym.spikes import FloatArray, IntArray, SpikeTrains

MAX_RESPONSE_SPIKES = 65_536
"""Spikes of a response whose table entries, at most 65,535 each, still add up within 32 bits."""

_ONE = np.zeros(1, np.int64)  # animal


def too_long(spikes: str) -> str:
    """What is said of a response of too many spikes."""
    return (
        f"a response of {spikes} spikes: at most {MAX_RESPONSE_SPIKES} can be compared; shorten "
        "the window or lower the firing rates"
    )


_EPSILON = 2.0**-22
"""Four units of float32's last place: a bound of n electrodes errs by less than n + 8 of them,
relative to |X|² + |c|²."""

_COSINES = 4
_PART = 64  # columns of a table that are filled together
_BLOCK = 32  # columns of 16 bits in a line of the processor's cache
_CACHED = 2**23  # entries that caches hold: reading them all is faster than finding bounds


class Tables(NamedTuple):
    """What the compiled decoders read: A animals of n electrodes, M calibration responses each.

    Attributes
    ----------
    entries : ndarray of uint16 (A, n * n_bins, M)
        Inner products of a spike at each place with each calibration response, in quanta.
    quanta : ndarray (A,)
    norms : ndarray (A, M)
        ``|c|²``.
    floors : ndarray of float32 (A, M)
        The same, less what rounding may make of a bound.
    slow : ndarray of float32 (A, J * n, M)
        ``2 Σ_q w_pq c_jq``.
    rest : ndarray of float32 (A, 2, M)
        ``2 |c − Pc|``, of mean rates alone and of all cosines.
    worths : ndarray (J, n_bins)
        What a spike at each bin adds to its electrode's x_jp.
    powers : ndarray (n_bins,)
        `ndbmi_gym.metric.Metric.powers`.
    coupling : float
        w_pq of two different electrodes.
    """

    entries: npt.NDArray[np.uint16]
    quanta: FloatArray
    norms: FloatArray
    floors: npt.NDArray[np.float32]
    slow: npt.NDArray[np.float32]
    rest: npt.NDArray[np.float32]
    worths: FloatArray
    powers: FloatArray
    coupling: float


class Stack:
    """Tables of several animals in one piece, each filled when it is first asked for.

    Memory of animals that are never asked for is never touched.

    Parameters
    ----------
    metric : Metric
    trains : sequence (A) of SpikeTrains
        Calibration responses of each animal: as many, of the same electrodes and window.

    Attributes
    ----------
    tables : Tables
    bounded : bool
        Whether `nearest_bounded` is to be asked, as no cache holds the tables.

    Raises
    ------
    ValueError
        If the animals' responses differ in these.
    """

    def __init__(self, metric: Metric, trains: Sequence[SpikeTrains]) -> None:
        first = trains[0]
        n, n_bins, size = first.n_electrodes, first.n_bins, len(first)
        for other in trains:
            if (other.n_electrodes, other.n_bins, len(other)) != (n, n_bins, size):
                raise ValueError(
                    f"{len(other)} calibration responses of {other.n_electrodes} electrodes and "
                    f"{other.n_bins} ticks beside {size} of {n} and {n_bins}: stack animals that "
                    "were calibrated alike"
                )
        self.metric = metric
        self.trains = tuple(trains)
        self._missing = set(range(len(trains)))
        worths = _slow(metric, n_bins)
        self.tables = Tables(
            entries=_lines((len(trains), n * n_bins, size), np.uint16),
            quanta=np.empty(len(trains)),
            norms=np.empty((len(trains), size)),
            floors=np.empty((len(trains), size), np.float32),
            slow=_lines((len(trains), len(worths) * n, size), np.float32),
            rest=np.empty((len(trains), 2, size), np.float32),
            worths=worths,
            powers=metric.powers(n_bins),
            coupling=metric.coupling,
        )
        self.bounded = self.tables.entries.size > _CACHED

    def ensure(self, animals: IntArray) -> None:
        """Fill the tables of some animals, by their index (any shape), if they are not yet."""
        if not self._missing:
            return
        with _filling:  # other environments may ask for the same
            for animal in self._missing.intersection(np.unique(animals).tolist()):
                self._fill(animal)
                self._missing.remove(animal)

    def _fill(self, animal: int) -> None:
        metric, tables, trains = self.metric, self.tables, self.trains[animal]
        n, n_bins, size = trains.n_electrodes, trains.n_bins, len(trains)
        tables.quanta[animal] = _fill_entries(metric, trains, tables.entries[animal])
        norms = tables.norms[animal] = squared_norms(metric, trains)
        of = np.repeat(np.arange(size), np.diff(trains.offsets)) * n + trains.rows // n_bins
        rest = norms.copy()
        for j, worths in enumerate(tables.worths):
            own = np.bincount(of, worths[trains.rows % n_bins], size * n).reshape(size, n)
            felt = (1 - metric.coupling) * own + metric.coupling * own.sum(axis=1, keepdims=True)
            tables.slow[animal, j * n : (j + 1) * n] = 2 * felt.T
            rest -= (own * felt).sum(axis=1)
            tables.rest[animal, min(j, 1) :] = 2 * np.sqrt(np.maximum(rest, 0.0))
        tables.floors[animal] = norms * (1 - (len(tables.slow[animal]) + 8) * _EPSILON)


_filling = threading.Lock()

_stacks: WeakValueDictionary[tuple[Metric, tuple[int, ...]], Stack] = WeakValueDictionary()


def stacked(banks: Sequence["ResponseBank"]) -> Stack:
    """The tables of the animals of a pool, shared by all who ask for the same ones.

    Those of a single bank are its own.

    Raises
    ------
    ValueError
        If their metrics or the shapes of their calibrations differ.
    """
    if len(banks) == 1:
        return banks[0].stack
    if any(bank.metric != banks[0].metric for bank in banks):
        raise ValueError(
            f"metrics {[bank.metric for bank in banks]} differ: stack animals that were "
            "calibrated alike"
        )
    # a stack keeps its trains, and so their ids
    key = banks[0].metric, tuple(id(bank.trains) for bank in banks)
    found = _stacks.get(key)
    if found is None:
        found = _stacks[key] = Stack(banks[0].metric, [bank.trains for bank in banks])
    return found


@dataclass(frozen=True)
class ResponseBank:
    """The calibration responses, prepared to answer "which of you is nearest to this one".

    `nearest` and `nearest_group` read inner products that are rounded to a quantum, 1/65,535 of the
    largest of a single spike with a response. That moves a squared distance by at most one quantum
    per spike of the response that is asked about: they may prefer one calibration response (or
    group) to another that is closer by less than twice that. `inner_products` and `distances` do
    without the table: they are exact to float64.

    Attributes
    ----------
    metric : Metric
    trains : SpikeTrains
        The M responses.
    """

    metric: Metric
    trains: SpikeTrains

    @cached_property
    def stack(self) -> Stack:
        """The tables, of this one animal; yet to be filled."""
        return Stack(self.metric, (self.trains,))

    def check(self, trains: SpikeTrains) -> None:
        """Raise ValueError unless the responses come from this bank's electrodes and window.

        A response must also be short enough for its sums to fit 32 bits.
        """
        mine, theirs = self.trains, trains
        if mine.n_electrodes != theirs.n_electrodes or mine.n_bins != theirs.n_bins:
            raise ValueError(
                f"responses of {theirs.n_electrodes} electrodes and {theirs.n_bins} ticks cannot "
                f"be compared with calibration responses of {mine.n_electrodes} electrodes and "
                f"{mine.n_bins} ticks: record with the calibrated set-up, or calibrate again"
            )
        most = MAX_RESPONSE_SPIKES
        if theirs.rows.size > most and np.diff(theirs.offsets).max() > most:
            raise ValueError(too_long(str(np.diff(theirs.offsets).max())))

    def inner_products(self, trains: SpikeTrains) -> FloatArray:
        """Inner products of B responses with the bank's, (B, M)."""
        self.check(trains)
        mine = self.trains
        rows = [_products(self.metric, trains, b, mine) for b in range(len(trains))]
        return np.array(rows).reshape(len(trains), len(mine))

    def distances(self, trains: SpikeTrains) -> FloatArray:
        """Distances of B responses to the bank's, (B, M) (Eq 7); 0 to an equal response."""
        self.check(trains)
        own = _own_products(self.metric, trains)
        squared = own[:, None] + self._own_products - 2 * self.inner_products(trains)
        return np.sqrt(np.maximum(squared, 0.0))

    @cached_property
    def _own_products(self) -> FloatArray:
        return _own_products(self.metric, self.trains)

    def nearest(self, trains: SpikeTrains) -> IntArray:
        """Index of the nearest calibration response, (B,) (Eq 11); the first of equals."""
        self.check(trains)
        tables, *asked = self._asked(trains)
        if self.stack.bounded:
            nearest_bounded(tables, *asked)
        else:
            nearest(*tables[:3], *asked)
        answer: IntArray = asked[-1]
        return answer

    def nearest_group(self, trains: SpikeTrains, size: int, exponent: float) -> IntArray:
        """Index of the nearest group of `size` consecutive responses, (B,) (Eqs 8 and 9).

        The distance to a group is the power mean of the distances to its members,
        ``(mean D^z)^(1/z)``; a negative exponent z favours the close ones.

        Parameters
        ----------
        trains : SpikeTrains
            B responses.
        size : int
            Calibration responses in a group.
        exponent : float
            Power z, not 0.

        Raises
        ------
        ValueError
            If the responses are of another size, groups do not divide the calibration, or the
            power is 0 or not finite.
        """
        self.check(trains)
        if size < 1 or len(self.trains) % size:
            raise ValueError(
                f"groups of {size} do not divide {len(self.trains)} calibration responses"
            )
        if not (np.isfinite(exponent) and exponent != 0):
            raise ValueError(f"exponent = {exponent!r}: give a finite power other than 0 (e.g. -2)")
        asked = self._asked(trains)
        nearest_group(*asked, size, float(exponent))
        answer: IntArray = asked[-1]
        return answer

    def _asked(self, trains: SpikeTrains) -> tuple[Any, ...]:
        """What `nearest` is asked; last, room for the answers."""
        animal, found = np.zeros((2, len(trains)), np.int64)
        self.stack.ensure(_ONE)
        tables = tuple(self.stack.tables)
        return tables, animal, trains.rows, trains.offsets, 0, len(trains), found


def _products(metric: Metric, trains: SpikeTrains, b: int, others: SpikeTrains) -> FloatArray:
    """Inner products of response b with every response of another batch, (M,)."""
    n, n_bins = trains.n_electrodes, trains.n_bins
    spikes = np.bincount(trains[b], minlength=n * n_bins).reshape(n, n_bins, 1)
    values = influence(metric, spikes.astype(float)).ravel()
    rows, offsets = np.array(others.rows), np.array(others.offsets)
    sums: FloatArray = _sums_at(values, rows, offsets, n, n_bins)
    return sums


def _own_products(metric: Metric, trains: SpikeTrains) -> FloatArray:
    """``<X, X>`` of every response, added up as `_products` does: equal responses cancel to 0."""
    n, n_bins = trains.n_electrodes, trains.n_bins
    each = (trains[b] for b in range(len(trains)))
    alone = [SpikeTrains(rows, np.array([0, rows.size]), n, n_bins) for rows in each]
    return np.array([_products(metric, one, 0, one)[0] for one in alone])


def _lines(shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    """An array that begins with a line of the processor's cache, of 64 bytes; not touched."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    raw = np.empty(size + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + size].view(kind).reshape(shape)


def _slow(metric: Metric, n_bins: int) -> FloatArray:
    """Orthonormal responses u_j at every bin, (J, n_bins), to cosines of time with j half periods.

    Fewer than `_COSINES` where the metric can hardly tell them apart.
    """
    ticks = np.arange(n_bins) + 0.5
    waves = np.cos(np.pi * np.arange(min(_COSINES, n_bins)) * ticks[:, None] / n_bins)
    felt = influence(metric, waves[None])[0]
    products = waves.T @ felt
    size = len(products)
    while size > 1 and np.linalg.eigvalsh(products[:size, :size])[0] < 1e-5 * products[0, 0]:
        size -= 1
    lower = np.linalg.cholesky(products[:size, :size])
    return np.ascontiguousarray(np.linalg.solve(lower, felt[:, :size].T))


def _fill_entries(metric: Metric, trains: SpikeTrains, entries: npt.NDArray[np.uint16]) -> float:
    """Fill a table (n * n_bins, M) and return its quantum: one for all, or no sum would add up."""
    quantum = float(max(part.max() for _, _, part in _influences(metric, trains)) / 65535 or 1.0)
    for places, columns, part in _influences(metric, trains):
        np.rint(part / quantum, out=entries[places, columns], casting="unsafe")
    return quantum


def _influences(metric: Metric, trains: SpikeTrains) -> Iterator[tuple[slice, slice, FloatArray]]:
    """Inner products of a spike at all places with all responses, part by part.

    A part is of one electrode and some columns, so that it stays in the processor's cache: places,
    columns and values (n_bins, C), which the next overwrites.
    """
    n_bins, coupling = trains.n_bins, metric.coupling
    for first in range(0, len(trains), _PART):
        columns = slice(first, min(first + _PART, len(trains)))
        spikes, part, pooled = np.zeros((3, n_bins, columns.stop - first))
        if coupling != 0.0:
            for unit in range(trains.n_electrodes):
                histogram(trains, unit, spikes, first)
                part += spikes
            smear(part, metric.decay, pooled)
        for unit in range(trains.n_electrodes):
            histogram(trains, unit, spikes, first)
            smear(spikes, metric.decay, part)
            if coupling != 0.0:
                part *= 1 - coupling
                part += coupling * pooled
            yield slice(unit * n_bins, (unit + 1) * n_bins), columns, part


@inlined
def _squared(norm, quantum, total):  # type: ignore[no-untyped-def]
    """Squared distance, less the asking response's own norm, which is common to all."""
    return norm - 2.0 * quantum * total


@compiled
def nearest(entries, quanta, norms, animal, rows, offsets, first, last, found):  # type: ignore[no-untyped-def]
    """Find the calibration response that is nearest to each of the trials [first, last).

    Parameters
    ----------
    entries, quanta, norms : ndarrays
        The first of `Tables`.
    animal : ndarray of int64 (B,)
        Of each trial, an index into the tables.
    rows : ndarray of int32
        Spikes of those trials.
    offsets : ndarray of int64 (last - first + 1,)
        Trial b has ``rows[offsets[b - first]:offsets[b - first + 1]]``.
    first, last : int
    found : ndarray of int64 (last - first,)
        Is written: the first of equals.
    """
    size = norms.shape[1]
    total = np.empty(size, np.uint32)
    for i in range(last - first):
        a = animal[first + i]
        _sum_rows(entries[a], rows, offsets[i], offsets[i + 1], 0, size, total)
        best = np.inf
        for m in range(size):
            squared = _squared(norms[a, m], quanta[a], total[m])
            if squared < best:
                best = squared
                found[i] = m


@compiled
def nearest_bounded(tables, animal, rows, offsets, first, last, found):  # type: ignore[no-untyped-def]
    """Like `nearest`, from all `Tables`; the same to the bit, faster where no cache holds them."""
    entries, quanta, norms, floors, slow, rest, worths, powers, coupling = tables
    size, longest = norms.shape[1], _longest(offsets)
    n_slow = slow.shape[1]
    n = n_slow // worths.shape[0]
    spikes, ends = np.empty(longest, np.int64), np.empty(n + 1, np.int64)
    ticks, beside = np.empty(longest, np.int32), np.empty(2)
    x, bounds, total = np.empty(n_slow), np.empty(size, np.float32), np.empty(size + 1, np.uint32)
    for i in range(last - first):
        a, start, stop = animal[first + i], offsets[i], offsets[i + 1]
        in_order(rows, start, stop, powers.size, spikes, ends)
        own = _own(spikes, ends, powers, coupling, ticks)
        _project(spikes, ends, own, worths, coupling, x, beside)
        error = (stop - start) * quanta[a] + own * (n_slow + 8) * _EPSILON
        _bound(floors[a], slow[a], rest[a, 0], x, n, beside[0], 0, size, bounds)
        best, nearest = np.inf, 0
        promising = _smallest(bounds) // _BLOCK
        for turn in range(-1, (size - 1) // _BLOCK + 1):
            begin = (promising if turn < 0 else turn) * _BLOCK
            end = min(begin + _BLOCK, size)
            if turn == promising or not _any_within(bounds, begin, end, best + error):
                continue
            if turn >= 0:
                _bound(floors[a], slow[a], rest[a, 1], x, n_slow, beside[1], begin, end, bounds)
                if not _any_within(bounds, begin, end, best + error):
                    continue
            total[size] = _fetch(entries[a], spikes, stop - start, begin)
            _sum_rows(entries[a], spikes, 0, stop - start, begin, end, total)
            for m in range(begin, end):
                squared = _squared(norms[a, m], quanta[a], total[m])
                if squared < best or (squared == best and m < nearest):
                    best, nearest = squared, m
        found[i] = nearest


@compiled
def nearest_group(tables, animal, rows, offsets, first, last, found, size, exponent):  # type: ignore[no-untyped-def]
    """Find the group of `size` calibration responses that is nearest to each of the trials.

    Like `nearest`, but for the power mean of the distances to a group's members
    (`ResponseBank.nearest_group`).
    """
    entries, quanta, norms, _, slow, _, worths, powers, coupling = tables
    longest = _longest(offsets)
    n = slow.shape[1] // worths.shape[0]
    spikes, ends = np.empty(longest, np.int64), np.empty(n + 1, np.int64)
    ticks, total = np.empty(longest, np.int32), np.empty(norms.shape[1], np.uint32)
    for i in range(last - first):
        a, start, stop = animal[first + i], offsets[i], offsets[i + 1]
        in_order(rows, start, stop, powers.size, spikes, ends)
        own = _own(spikes, ends, powers, coupling, ticks)
        _sum_rows(entries[a], rows, start, stop, 0, total.size, total)
        found[i] = _closest_group(total, quanta[a], norms[a], own, size, exponent)


@compiled
def _own(spikes, ends, powers, coupling, ticks):  # type: ignore[no-untyped-def]
    """``<X, X>`` of one response `in_order`; ``ticks`` has room for as many spikes."""
    own = squared_norm(spikes, ends, powers)
    if coupling == 0.0:
        return own
    size = ends[ends.size - 1]
    for unit in range(ends.size - 1):
        for k in range(ends[unit], ends[unit + 1]):
            ticks[k] = spikes[k] - unit * powers.size
    # by tick, as if each were an electrode; then they are all one electrode's
    pooled, every = np.empty(size, np.int64), np.empty(powers.size + 1, np.int64)
    in_order(ticks, 0, size, 1, pooled, every)
    every[1] = size
    return (1.0 - coupling) * own + coupling * squared_norm(pooled, every[:2], powers)


@inlined
def _longest(offsets):  # type: ignore[no-untyped-def]
    longest = 0
    for b in range(offsets.size - 1):
        if offsets[b + 1] - offsets[b] > longest:
            longest = offsets[b + 1] - offsets[b]
    return longest


@compiled
def _project(spikes, ends, own, worths, coupling, x, beside):  # type: ignore[no-untyped-def]
    """Write x_jp of a response into ``x`` (J * n,), and |X − PX|: of mean rates, of all cosines."""
    n = ends.size - 1
    rest = own
    for j in range(worths.shape[0]):
        total = 0.0
        for unit in range(n):
            sum_of = 0.0
            for k in range(ends[unit], ends[unit + 1]):
                sum_of += worths[j, spikes[k] - unit * worths.shape[1]]
            x[j * n + unit] = sum_of
            total += sum_of
            rest -= (1.0 - coupling) * sum_of * sum_of
        rest -= coupling * total * total
        beside[min(j, 1)] = max(rest, 0.0) ** 0.5
    if worths.shape[0] == 1:
        beside[1] = beside[0]


@compiled
def _bound(floors, slow, rest, x, n_used, beside, begin, end, bounds):  # type: ignore[no-untyped-def]
    """Write what the squared distance to responses is at least, less |X|², in float32."""
    beside32 = np.float32(beside)
    for m in range(begin, end):
        bounds[m] = floors[m] - beside32 * rest[m]
    i = 0
    while i + 4 <= n_used:
        c0, c1, c2, c3 = slow[i], slow[i + 1], slow[i + 2], slow[i + 3]
        x0, x1 = np.float32(x[i]), np.float32(x[i + 1])
        x2, x3 = np.float32(x[i + 2]), np.float32(x[i + 3])
        for m in range(np.uint64(begin), np.uint64(end)):
            bounds[m] -= (x0 * c0[m] + x1 * c1[m]) + (x2 * c2[m] + x3 * c3[m])
        i += 4
    while i < n_used:
        x0 = np.float32(x[i])
        for m in range(begin, end):
            bounds[m] -= x0 * slow[i, m]
        i += 1


@compiled
def _any_within(bounds, begin, end, limit):  # type: ignore[no-untyped-def]
    """Whether any of some bounds is as small; a loop that only counts is quick."""
    limit32, within = np.float32(limit), 0
    for m in range(begin, end):
        within += bounds[m] <= limit32
    return within > 0


@compiled
def _smallest(values):  # type: ignore[no-untyped-def]
    at = 0
    for m in range(values.size):
        if values[m] < values[at]:
            at = m
    return at


@inlined
def _apart(own, norm, quantum, total):  # type: ignore[no-untyped-def]
    """Squared distance of a response from another, of which the mean takes negative powers."""
    return max(own + norm - 2.0 * quantum * total, 1e-12)


@compiled
def _closest_group(total, quantum, norms, own, size, exponent):  # type: ignore[no-untyped-def]
    best, nearest = np.inf, 0
    for group in range(total.size // size):
        members = range(group * size, (group + 1) * size)
        unit = 1.0
        if exponent != -2.0:  # large powers overflow, unless taken of ratios to the extreme
            unit = np.inf if exponent < 0 else 0.0
            for m in members:
                squared = _apart(own, norms[m], quantum, total[m])
                unit = min(unit, squared) if exponent < 0 else max(unit, squared)
        mean = 0.0
        for m in members:
            squared = _apart(own, norms[m], quantum, total[m])
            mean += 1.0 / squared if exponent == -2.0 else (squared / unit) ** (0.5 * exponent)
        distance = unit**0.5 * (mean / size) ** (1.0 / exponent)
        if distance < best:
            best, nearest = distance, group
    return nearest


@compiled
def _fetch(entries, spikes, length, begin):  # type: ignore[no-untyped-def]
    """Read one entry of each row, whose lines of memory are then on their way all at once.

    The rows lie apart in a table that no cache holds. Their sum is of no use but to be read.
    """
    total = np.uint32(0)
    for k in range(length):
        total += np.uint32(entries[spikes[k], begin])
    return total


@inlined
def _sum_rows(entries, rows, start, stop, begin, end, total):  # type: ignore[no-untyped-def]
    """Sum columns [begin, end) of the rows of one response into ``total``, of uint32.

    Eight rows at a time, so that the running total is read and written an eighth as often.
    """
    for m in range(begin, end):
        total[m] = 0
    k = start
    while k + 8 <= stop:
        r0, r1, r2, r3 = (
            entries[rows[k]],
            entries[rows[k + 1]],
            entries[rows[k + 2]],
            entries[rows[k + 3]],
        )
        r4, r5, r6, r7 = (
            entries[rows[k + 4]],
            entries[rows[k + 5]],
            entries[rows[k + 6]],
            entries[rows[k + 7]],
        )
        for m in range(np.uint64(begin), np.uint64(end)):
            total[m] += (
                np.uint32(r0[m])
                + np.uint32(r1[m])
                + np.uint32(r2[m])
                + np.uint32(r3[m])
                + np.uint32(r4[m])
                + np.uint32(r5[m])
                + np.uint32(r6[m])
                + np.uint32(r7[m])
            )
        k += 8
    while k < stop:
        row = entries[rows[k]]
        for m in range(np.uint64(begin), np.uint64(end)):
            total[m] += np.uint32(row[m])
        k += 1


@compiled
def _sums_at(values, rows, offsets, n, n_bins):  # type: ignore[no-untyped-def]
    """Sum of the values at the spikes of every response, in the order of place."""
    sums = np.zeros(offsets.size - 1)
    spikes, ends = np.empty(rows.size, np.int64), np.empty(n + 1, np.int64)
    for b in range(sums.size):
        in_order(rows, offsets[b], offsets[b + 1], n_bins, spikes, ends)
        for k in range(ends[n]):
            sums[b] += values[spikes[k]]
    return sums
