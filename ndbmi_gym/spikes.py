"""Spike trains on the recording clock, and the renewal processes that draw them.

A *response* is what ``n`` electrodes record in one window of ``n_bins`` clock ticks: a set of
spikes, each an (electrode, bin) pair. A spike is kept as the single integer
``electrode * n_bins + bin``, the row that it selects in every table built on such trains.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, log, log1p
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import gammainc, gammaln

from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.philox import gamma_intervals, intervals
from ndbmi_gym.streams import ADDED, DRAWN, Source, Streams

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SpikeTrains:
    """A ragged batch of population responses.

    Attributes
    ----------
    rows : ndarray of int32 (total spikes,)
        ``electrode * n_bins + bin`` of every spike; a bin may hold several spikes.
    offsets : ndarray of int64 (B + 1,)
        Response b owns ``rows[offsets[b]:offsets[b + 1]]``.
    n_electrodes : int
        Recording electrodes n.
    n_bins : int
        Clock ticks per window.
    """

    rows: npt.NDArray[np.int32]
    offsets: IntArray
    n_electrodes: int
    n_bins: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, b: int) -> npt.NDArray[np.int32]:
        return self.rows[self.offsets[:-1][b] : self.offsets[1:][b]]

    def counts(self) -> IntArray:
        """Spike count of every electrode in every response, (B, n)."""
        response = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        flat = response * self.n_electrodes + self.rows // self.n_bins
        return np.bincount(flat, minlength=len(self) * self.n_electrodes).reshape(
            -1, self.n_electrodes
        )


def from_times(
    responses: Sequence[Sequence[npt.ArrayLike]],
    window_s: float,
    clock_s: float = 1e-3,
    onsets_s: npt.ArrayLike | None = None,
) -> SpikeTrains:
    """Put spike times in seconds on the recording clock.

    A number of any type is next to the time that was meant: one that lies before a tick by no more
    than its own rounding (that of its type at its size) counts as on the tick. Recordings that have
    integer samples are better put on the clock by `from_samples`, which does not round.

    Parameters
    ----------
    responses : sequence (B) of sequences (n) of array_like
        Spike times in seconds since stimulation, per response and electrode. An electrode may be
        silent (an empty list); duplicates within a bin are kept.
    window_s : float
        Length of the recording window.
    clock_s : float
        Tick of the recording clock.
    onsets_s : array_like (B,), optional
        Times of stimulation. Where they are given, spike times are on the clock of the session that
        they are on, too.

    Raises
    ------
    ValueError
        If there is no response or no electrode, if responses differ in their electrodes, if a time
        is not a number or outside ``[0, window_s)`` after its stimulation, or if times of its type
        and size cannot tell ticks apart.
    """
    n_bins = window_bins(window_s, clock_s)
    n_electrodes = _n_electrodes(responses)
    if onsets_s is None:
        onsets_s = np.zeros(len(responses))
    onsets = _real("onsets_s", onsets_s)
    if onsets.shape != (len(responses),) or not np.isfinite(onsets).all():
        raise ValueError(
            f"onsets_s of shape {onsets.shape} for {len(responses)} responses: give each a finite "
            "time of stimulation"
        )
    rows: list[Rows] = []
    sizes = []
    for b, (response, onset) in enumerate(zip(responses, onsets, strict=True)):
        for unit in range(n_electrodes):
            place = f"electrode {unit} in response {b}"
            times = _real(f"spike times of {place}", response[unit]).ravel()
            late = times.astype(float) - float(onset)
            slack = _rounding(onset)
            bad = times[~((late >= -slack) & (late < window_s - slack))]
            if bad.size:
                raise ValueError(
                    f"spike time {np.float64(bad[0])} s of {place} is outside [0, {window_s}) s"
                    + (f" from {onset} s" if onset else "")
                    + ": drop it or lengthen the window"
                )
            error = np.maximum(_rounding(times), slack) / clock_s
            if error.size and error.max() > 0.25:
                raise ValueError(
                    f"spike times of {place} are {times.dtype} about {times.max()} s, which cannot "
                    f"tell ticks of {clock_s} s apart: give float64, or samples to from_samples"
                )
            ticks = np.floor(late / clock_s + np.maximum(error, 1e-9)).astype(np.int64)
            rows.append((unit * n_bins + ticks.clip(0, n_bins - 1)).astype(np.int32))
            sizes.append(times.size)
    return _gathered(rows, sizes, n_electrodes, n_bins)


def from_samples(
    samples: Sequence[npt.ArrayLike],
    onsets: npt.ArrayLike,
    rate_hz: float | Fraction,
    window_s: float,
    clock_s: float = 1e-3,
) -> SpikeTrains:
    """Cut responses out of a recorded session, without rounding however long it is.

    Parameters
    ----------
    samples : sequence (n) of array_like of int
        Sample numbers of all spikes of the session, per electrode, in any order.
    onsets : array_like of int (B,)
        Sample numbers of the stimuli. Spikes of no stimulus' window are left out, spikes of two
        count in both.
    rate_hz : float or Fraction
        Samples per second.
    window_s : float
        Length of the recording window.
    clock_s : float
        Tick of the recording clock. It and the rate are taken for the simplest fractions that they
        are next to, 1e-3 for 1/1000.

    Raises
    ------
    ValueError
        If samples or onsets are not integers, the rate is not positive, or there are no electrodes
        or no stimuli.
    """
    n_bins = window_bins(window_s, clock_s)
    if isinstance(rate_hz, bool) or not (isinstance(rate_hz, Real) and 0 < rate_hz < np.inf):
        raise ValueError(f"rate_hz = {rate_hz!r}: give a sampling rate > 0 Hz")
    begins = _whole("onsets", onsets).ravel()
    trains = [np.sort(_whole(f"electrode {u}", each).ravel()) for u, each in enumerate(samples)]
    if not (begins.size and trains):
        raise ValueError(
            f"{len(trains)} electrodes and {begins.size} onsets: give at least one of either (a "
            "silent electrode is an empty list of samples)"
        )
    # tick k holds the samples from edges[k] to before edges[k + 1]
    per_tick = _simplest(rate_hz) * _simplest(clock_s)
    edges = np.array([ceil(k * per_tick) for k in range(n_bins + 1)], dtype=np.int64)
    rows = []
    for begin in begins:
        for unit, train in enumerate(trains):
            first, last = np.searchsorted(train, (begin, begin + edges[-1]))
            ticks = np.searchsorted(edges, train[first:last] - begin, side="right") - 1
            rows.append((unit * n_bins + ticks).astype(np.int32))
    return _gathered(rows, [each.size for each in rows], len(trains), n_bins)


def _gathered(
    rows: Sequence[Rows], sizes: Sequence[int], n_electrodes: int, n_bins: int
) -> SpikeTrains:
    """Trains from the spikes of every electrode, response by response."""
    per_response = np.reshape(sizes, (-1, n_electrodes)).sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(per_response)]).astype(np.int64)
    return SpikeTrains(np.concatenate(rows), offsets, n_electrodes, n_bins)


def _n_electrodes(responses: Sequence[Sequence[npt.ArrayLike]]) -> int:
    """Electrodes of every response, which have to be as many."""
    if len(responses) == 0 or len(responses[0]) == 0:
        raise ValueError(
            f"spike times {responses!r} are empty: give at least one response of at least one "
            "electrode (a silent electrode is an empty list of times)"
        )
    n_electrodes = len(responses[0])
    for b, response in enumerate(responses):
        if len(response) != n_electrodes:
            raise ValueError(
                f"response {b} has {len(response)} electrodes, response 0 has {n_electrodes}: "
                "every response must list every electrode, silent ones as empty lists"
            )
    return n_electrodes


def _real(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Numbers as they are, or ValueError."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} are of type {array.dtype}: give real numbers, in seconds")
    return array


def _whole(name: str, values: npt.ArrayLike) -> IntArray:
    """Sample numbers, or ValueError."""
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, np.int64)
    # far from the ends of int64, where differences of two would not fit
    if array.dtype.kind not in "iu" or not -(2**61) < array.min() <= array.max() < 2**61:
        raise ValueError(
            f"samples of {name} are {array.dtype} such as {array.flat[0]}: give whole sample "
            "numbers below 2^61, or times in seconds to from_times"
        )
    return array.astype(np.int64)


def _simplest(value: float | Fraction) -> Fraction:
    """A decimal number or a ratio as it was written, from what a float made of it."""
    exact = Fraction(value)
    simple = exact.limit_denominator(10**7)
    return simple if float(simple) == float(value) else exact


def _rounding(times: npt.NDArray[Any]) -> Any:
    """How far a time may lie from what was meant: a unit of its type's last place, and float64's.

    The former for the time itself, the latter for the tick and for what is computed from both.
    """
    own = float(np.finfo(times.dtype).eps) if times.dtype.kind == "f" else 0.0
    return (own + 4 * float(np.finfo(float).eps)) * np.abs(times.astype(float))


def window_bins(window_s: float, clock_s: float = 1e-3) -> int:
    """Clock ticks in a recording window.

    Raises
    ------
    ValueError
        If window or clock is not positive, or the window is not a whole number of ticks.
    """
    if not (np.isfinite(clock_s) and clock_s > 0):
        raise ValueError(f"clock_s = {clock_s!r}: give a tick > 0 s (default 0.001)")
    if not (np.isfinite(window_s) and window_s >= clock_s):
        raise ValueError(f"window_s = {window_s!r}: give at least one tick, {clock_s} s")
    ticks = round(window_s / clock_s)
    if abs(ticks * clock_s - window_s) > 1e-6 * window_s:
        raise ValueError(
            f"window_s = {window_s!r} is not a whole number of {clock_s} s ticks: "
            f"use {ticks * clock_s}"
        )
    return ticks


class Renewal(NamedTuple):
    """What a population's renewal processes are drawn from, for compiled loops.

    Attributes
    ----------
    means : ndarray (S, n)
        Mean spikes per window by stimulus and electrode.
    n_bins : int
        Clock ticks per window.
    shape : float
        Shape k of the Gamma intervals.
    """

    means: FloatArray
    n_bins: int
    shape: float


def sample(
    rng: Source,
    mean_counts: FloatArray,
    n_bins: int,
    added_counts: FloatArray | None = None,
    shape: float = 1.0,
) -> tuple[SpikeTrains, IntArray]:
    """Draw population responses: renewal spikes, plus independent Poisson spikes.

    Parameters
    ----------
    rng : numpy.random.Generator or Streams
    mean_counts : ndarray (B, n)
        Mean spikes per window of a stationary process: inter-spike intervals of mean
        ``window / mean_count``, the first beginning at stimulation.
    n_bins : int
        Clock ticks per window.
    added_counts : ndarray (B, n), optional
        Mean spikes per window of a Poisson process that is added (volition, Eq 23). A negative
        entry adds none and lowers the first process's mean instead, at most to silence.
    shape : float
        Shape k of the Gamma inter-spike intervals (Eq 19) of the first process; 1 is Poisson. For
        other k the mean count of such an *ordinary* renewal process departs from the nominal one
        by about ``(1 − k) / (2k)`` spikes, as it does in the source (`mean_renewal_count`).

    Returns
    -------
    trains : SpikeTrains
    counts : ndarray of int64 (B, 2n)
        Spikes of the first process on every electrode, then those added.

    Raises
    ------
    ValueError
        If ``shape`` is not positive.
    """
    if not 0 < shape < np.inf:
        raise ValueError(f"shape = {shape!r}: Gamma intervals need a shape > 0 (1 is Poisson)")
    n_trials, n_electrodes = mean_counts.shape
    if isinstance(rng, Streams):
        tables = Renewal(np.ascontiguousarray(mean_counts), n_bins, float(shape))
        trains, counts, _ = respond_by(
            responses(shape), tables, np.arange(n_trials), added_counts, rng, n_bins
        )
        return trains, counts
    added = np.zeros((n_trials, n_electrodes)) if added_counts is None else added_counts
    if shape == 1.0:
        total = float(np.maximum(mean_counts + added, np.maximum(added, 0.0)).sum())
        rows, offsets, counts = _drawn(
            rng.standard_exponential,
            total,
            n_trials,
            lambda gaps: _poisson_all(mean_counts, added, gaps, n_bins),
        )
        return SpikeTrains(rows, offsets, n_electrodes, n_bins), counts
    kept = np.maximum(mean_counts + np.minimum(added, 0.0), 0.0)
    rows, offsets, evoked = _drawn(
        lambda size: rng.standard_gamma(shape, size) / shape,
        float(kept.sum()),
        kept.size,
        lambda gaps: _renewal_all(kept, gaps, n_bins),
    )
    regular = SpikeTrains(rows, offsets, n_electrodes, n_bins)
    extra, counts = sample(rng, np.maximum(added, 0.0), n_bins)
    return _merge(regular, extra), np.hstack((evoked, counts[:, :n_electrodes]))


def sample_profile(
    rng: Source, expected: FloatArray, edges: IntArray
) -> tuple[SpikeTrains, IntArray]:
    """Draw inhomogeneous Poisson responses.

    Parameters
    ----------
    rng : numpy.random.Generator or Streams
    expected : ndarray (B, n, K)
        Expected spikes of every electrode in K successive pieces of the window; within a piece the
        rate is constant.
    edges : ndarray of int (K + 1,)
        Clock ticks at which the pieces begin, and the end of the window.

    Returns
    -------
    trains : SpikeTrains
    counts : ndarray of int64 (B, n)
    """
    n_trials, n_electrodes, _ = expected.shape
    if isinstance(rng, Streams):
        rows, offsets, counts = _profile_streams(
            np.ascontiguousarray(expected), edges, rng.keys, rng.next()
        )
    else:
        rows, offsets, counts = _drawn(
            rng.standard_exponential,
            float(expected.sum()),
            n_trials,
            lambda gaps: _profile_all(expected, edges, gaps),
        )
    return SpikeTrains(rows, offsets, n_electrodes, int(edges[-1])), counts


def responses(shape: float) -> Any:
    """The compiled loop that draws responses of `Renewal` processes with a shape."""
    return poisson_responses if shape == 1.0 else gamma_responses


def respond_by(
    respond: Any,
    tables: Any,
    stimulus: IntArray,
    volition: FloatArray | None,
    streams: Streams,
    n_bins: int,
    activity: FloatArray | None = None,
    spikes: float = 100.0,
) -> tuple[SpikeTrains, IntArray, FloatArray]:
    """Responses of a whole batch by the compiled loop that a cortex draws them with.

    Parameters
    ----------
    respond : compiled function
        ``respond(tables, stimulus, volition, activity, keys, draws, first, last, rows, offsets,
        counts, left)``, as `poisson_responses`.
    tables : NamedTuple
        What it draws from; its first array has the electrodes as its second axis.
    stimulus : ndarray of int (B,)
    volition : ndarray (B, n) or None
    streams : Streams
    n_bins : int
        Clock ticks per window.
    activity : ndarray (B, n_states), optional
        What trials carry from step to step.
    spikes : float
        About how many there are in a response. If room for so many does not suffice, all are drawn
        again.

    Returns
    -------
    trains : SpikeTrains
    counts : ndarray of int64 (B, 2n)
    left : ndarray (B, n_states)
    """
    n_trials, n_electrodes = len(stimulus), tables[0].shape[1]
    added = np.zeros((n_trials, n_electrodes)) if volition is None else volition
    carried = np.zeros((n_trials, 0)) if activity is None else activity
    draws, size = streams.next(), int(1.25 * spikes + 32) * n_trials
    offsets = np.zeros(n_trials + 1, np.int64)
    counts = np.zeros((n_trials, 2 * n_electrodes), np.int64)
    left = np.empty_like(carried)
    while True:
        rows = np.empty(size, np.int32)
        given = stimulus, added, carried, streams.keys, draws, 0, n_trials, rows, offsets
        if respond(tables, *given, counts, left):
            trains = SpikeTrains(rows[: offsets[-1]], offsets, n_electrodes, n_bins)
            return trains, counts, left
        size *= 2


def mean_renewal_count(mean: float, shape: float) -> float:
    """Expected spikes of the ordinary renewal process with Gamma intervals that `sample` draws.

    The m-th spike falls into the window with the probability that m intervals last no longer:
    ``Σ_m P(Gamma(m·k) ≤ k·mean)``. For k = 1 that is `mean`; otherwise, in long windows, about
    ``mean + (1 − k)/(2k)``, which small shapes let explode.

    Parameters
    ----------
    mean : float
        Window over mean interval, the nominal mean count.
    shape : float
        Shape k of the intervals.

    Returns
    -------
    float
        To a relative 1e-4.
    """
    if shape == 1.0 or mean == 0.0:
        return float(mean)
    window = max(shape * mean, _SMALLEST)
    # the probability is 1 and 0 to rounding below and above these sums of shapes
    spread = 9 * window**0.5 + 40
    sure = floor(max((window - spread) / shape, 0.0))
    n_terms = (window + spread) / shape - sure
    if n_terms <= _MOST_TERMS:
        sums = shape * (sure + np.arange(1, ceil(n_terms) + 1))
        return sure + float(gammainc(sums, window).sum())
    # The sum is the trapezoid rule for an integral over the sum of shapes, of steps k: take longer.
    sums = np.linspace(sure * shape, window + spread, _MOST_TERMS)
    area = float(np.trapezoid(gammainc(np.maximum(sums, _SMALLEST), window), sums))
    return sure + area / shape - 0.5


def count_bound(mean: float, shape: float = 1.0, added: float = 0.0) -> float:
    """A spike count that `sample` exceeds with probability below 1e-300.

    Parameters
    ----------
    mean : float
        Nominal mean count of the renewal process.
    shape : float
        Shape k of its Gamma intervals. From 1 on it is at most as variable as a Poisson process.
    added : float
        Mean count of the Poisson process that is added.
    """
    poisson = mean + added
    bound = poisson + 40 * poisson**0.5 + 200
    if shape >= 1 or mean == 0:
        return bound
    window = max(shape * mean, _SMALLEST)

    def log_tail(sums: float) -> float:
        """Bound of log P(Gamma(sums) ≤ window), by its series' first term, if sums are larger."""
        first = sums * log(window) - window - float(gammaln(sums + 1))
        return first - log1p(-window / (sums + 1))

    # more than m spikes: m + 1 intervals of shape k are over before the window is
    sums = float(brentq(lambda a: log_tail(a) + 700.0, window, 2 * window + 40 * window**0.5 + 400))
    return max(bound, sums / shape + (added + 40 * added**0.5 + 200 if added else 0.0))


_MOST_TERMS = 20_000
_SMALLEST = 1e-300


def _poisson_all(
    mean_counts: FloatArray, added: FloatArray, gaps: FloatArray, n_bins: int
) -> tuple[Rows, IntArray, IntArray]:
    """Responses from intervals that one generator drew; the last offset is -1 if they run out."""
    n_trials, n_electrodes = mean_counts.shape
    rows, offsets = np.empty(gaps.size, np.int32), np.zeros(n_trials + 1, np.int64)
    counts, one_each = np.zeros((n_trials, 2 * n_electrodes), np.int64), np.arange(n_trials)
    streams = np.zeros((n_trials, 2), np.uint64), one_each, DRAWN
    means, which = np.array(mean_counts, order="C"), (0, n_trials, rows, 0, offsets, counts)
    end = _poisson(means, one_each, np.array(added), 0, n_bins, gaps, *streams, *which)
    if end == FEW_INTERVALS:
        offsets[-1] = -1
    return rows[: max(end, 0)], offsets, counts


def _drawn(
    intervals_of: Callable[[int], FloatArray],
    total: float,
    n_trains: int,
    draw: Callable[[FloatArray], tuple[Rows, IntArray, IntArray]],
) -> tuple[Rows, IntArray, IntArray]:
    """Spikes that are drawn from as many intervals of mean 1 as they turn out to need."""
    size = int(total + 5 * total**0.5) + n_trains + 10
    gaps = intervals_of(size)
    rows, offsets, counts = draw(gaps)
    while offsets[-1] < 0:  # a batch in a million wants more intervals than these
        gaps = np.concatenate((gaps, intervals_of(size)))
        rows, offsets, counts = draw(gaps)
    return rows, offsets, counts


def place(
    rng: np.random.Generator, counts: IntArray, expected: FloatArray, edges: IntArray
) -> SpikeTrains:
    """Draw the spike times of inhomogeneous Poisson responses whose counts are known.

    Parameters
    ----------
    rng : numpy.random.Generator
    counts : ndarray of int (B, n)
        Spikes of every electrode.
    expected : ndarray (B, n, K)
        Expected spikes in K successive pieces of the window, as in `sample_profile`; where all are
        zero, times are uniform.
    edges : ndarray of int (K + 1,)
        Clock ticks at which the pieces begin, and the end of the window.
    """
    per_response = counts.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(per_response)])
    rows = _place(counts, expected, edges, rng.random((offsets[-1], 2)))
    return SpikeTrains(rows, offsets, counts.shape[1], int(edges[-1]))


def _merge(first: SpikeTrains, second: SpikeTrains) -> SpikeTrains:
    """All spikes of two batches of as many responses."""
    parts = [trains[b] for b in range(len(first)) for trains in (first, second)]
    return SpikeTrains(
        np.concatenate([first.rows[:0], *parts]),
        first.offsets + second.offsets,
        first.n_electrodes,
        first.n_bins,
    )


FEW_INTERVALS, FEW_ROWS = -1, -2
"""What the loops below return in place of a number of spikes when there is no room for more."""

_AT_A_TIME = np.int64(8)  # intervals that are drawn at once
_NONE = np.int64(0)  # a plain 0 is a type of its own to numba


@inlined
def _lowered(mean, added):  # type: ignore[no-untyped-def]
    """Mean of the first process, which less than nothing added lowers, at most to silence."""
    return max(mean + min(added, 0.0), 0.0)


@compiled
def _poisson(  # type: ignore[no-untyped-def]
    means,
    stimulus,
    added,
    process,
    n_bins,
    given,
    keys,
    draws,
    lane,
    first,
    last,
    rows,
    k,
    offsets,
    counts,
):
    """Poisson spikes of the responses from `first` to before `last`, from unit-rate intervals.

    A population is drawn as *one* unit-rate process that runs through the evoked and then the added
    processes' windows, laid end to end and each as long as its mean count: an interval that
    outlasts a window reaches into the next, as the lack of memory permits.

    Parameters
    ----------
    means : ndarray (S, n)
        Evoked spikes per window.
    stimulus : ndarray of int (B,)
    added : ndarray (B, n)
        Further ones, or less.
    process : int
        Number of the process to begin with: 0, or n for the added ones alone.
    n_bins : int
    given : ndarray
        Intervals, of which each response takes the next ones; if there are none, each takes them
        from its own stream.
    keys : ndarray of uint64 (B, 2)
    draws : ndarray of int64 (B,)
    lane : int
        Of the streams.
    first, last : int
    rows : ndarray of int32
        Gets the spikes, from place `k` on.
    offsets : ndarray of int64 (last - first + 1,)
        Gets their ends, from its second entry on.
    counts : ndarray of int64 (B, 2n)
        Gets their numbers.

    Returns
    -------
    int
        The end of all spikes, FEW_INTERVALS or FEW_ROWS.
    """
    n_electrodes = means.shape[1]
    drawn = given.size == 0
    gaps = np.empty(_AT_A_TIME + 3) if drawn else given
    used, filled, place = _NONE, given.size, _NONE
    for b in range(first, last):
        if drawn:  # what was left belongs to the response before
            used, place = filled, _NONE
        s, clock, waiting = stimulus[b], 0.0, True
        for j in range(process, 2 * n_electrodes):
            unit = j if j < n_electrodes else j - n_electrodes
            extra = added[b, unit]
            evoked = _lowered(means[s, unit], extra)
            mean = evoked if j < n_electrodes else max(extra, 0.0)
            bins_per_count = n_bins / mean
            begin = k
            while waiting or clock < mean:
                if not waiting:
                    if k >= rows.size:
                        return FEW_ROWS
                    rows[k] = unit * n_bins + min(int(clock * bins_per_count), n_bins - 1)
                    k += 1
                if used >= filled:
                    if not drawn:
                        return FEW_INTERVALS
                    filled, place = intervals(
                        keys[b, 0], keys[b, 1], draws[b], lane, gaps, _NONE, _AT_A_TIME, place
                    )
                    used = _NONE
                clock += gaps[used]
                used += 1
                waiting = False
            counts[b, j] = k - begin
            clock -= mean
        offsets[b - first + 1] = k
    return k


@compiled
def accumulate(expected, total):  # type: ignore[no-untyped-def]
    """Write the running totals (n, K + 1) of expected spikes (n, K); returns their sum."""
    n_pieces = expected.shape[1]
    every = 0.0
    for u in range(expected.shape[0]):
        total[u, 0] = so_far = 0.0
        p = 0
        while p + 4 <= n_pieces:  # four at once, which need not wait for each other
            one = expected[u, p]
            two = one + expected[u, p + 1]
            three = two + expected[u, p + 2]
            four = three + expected[u, p + 3]
            total[u, p + 1], total[u, p + 2] = so_far + one, so_far + two
            total[u, p + 3], total[u, p + 4] = so_far + three, so_far + four
            so_far += four
            p += 4
        while p < n_pieces:
            so_far += expected[u, p]
            total[u, p + 1] = so_far
            p += 1
        every += so_far
    return every


@compiled
def poisson_profile(total, edges, gaps, used, filled, rows, k, counts):  # type: ignore[no-untyped-def]
    """`_poisson` of one response in pieces: one unit-rate process runs through running totals."""
    n_electrodes, n_edges = total.shape
    n_bins = edges[-1]
    if used >= filled:
        return FEW_INTERVALS
    clock = gaps[used]
    used += 1
    for u in range(n_electrodes):
        begin = k
        while clock < total[u, n_edges - 1]:
            if used >= filled:
                return FEW_INTERVALS
            if k >= rows.size:
                return FEW_ROWS
            piece = 0
            for i in range(1, n_edges):  # faster than a search, which has to guess its way
                piece += total[u, i] <= clock
            before, after = total[u, piece], total[u, piece + 1]
            ticks = edges[piece + 1] - edges[piece]
            within = min(int((clock - before) / (after - before) * ticks), ticks - 1)
            rows[k] = u * n_bins + edges[piece] + within
            k += 1
            clock += gaps[used]
            used += 1
        clock -= total[u, n_edges - 1]
        counts[u] = k - begin
    return k


@compiled
def renewal(means, added, n_bins, gaps, used, filled, rows, k, counts):  # type: ignore[no-untyped-def]
    """Spikes of one response's ordinary renewal processes, from intervals of mean 1."""
    for unit in range(means.size):
        mean = _lowered(means[unit], added[unit])
        begin = k
        if used >= filled:
            return FEW_INTERVALS
        clock = gaps[used]
        used += 1
        while clock < mean:
            if used >= filled:
                return FEW_INTERVALS
            if k >= rows.size:
                return FEW_ROWS
            rows[k] = unit * n_bins + min(int(clock / mean * n_bins), n_bins - 1)
            k += 1
            clock += gaps[used]
            used += 1
        counts[unit] = k - begin
    return k


@compiled
def room_for(gaps, filled, wanted):  # type: ignore[no-untyped-def]
    """The intervals that are there, with room for as many as are wanted."""
    if wanted + 3 <= gaps.size:
        return gaps
    longer = np.empty(2 * wanted + 3)
    for i in range(filled):
        longer[i] = gaps[i]
    return longer


@compiled
def enough(expected):  # type: ignore[no-untyped-def]
    """Intervals that mostly suffice for an expected number of spikes."""
    return int(expected + np.sqrt(expected)) + 8


@inlined
def poisson_responses(  # type: ignore[no-untyped-def]
    tables, stimulus, volition, activity, keys, draws, first, last, rows, offsets, counts, left
):
    """Responses of the trials from `first` to before `last`, each drawn from its own stream.

    Fills ``offsets`` from its beginning on and ``counts[first:last]``. Whether `rows` had room for
    all spikes; if not, one calls again with more.
    """
    offsets[0] = 0
    end = _poisson(
        tables.means,
        stimulus,
        volition,
        _NONE,
        tables.n_bins,
        np.empty(0),
        keys,
        draws,
        DRAWN,
        first,
        last,
        rows,
        _NONE,
        offsets,
        counts,
    )
    return end != FEW_ROWS


@compiled
def gamma_responses(  # type: ignore[no-untyped-def]
    tables, stimulus, volition, activity, keys, draws, first, last, rows, offsets, counts, left
):
    """`poisson_responses` with Gamma intervals in place of the exponential ones of the evoked."""
    gaps, none, ends = np.empty(256), np.empty(0), np.zeros(2, np.int64)
    offsets[0] = k = 0
    for b in range(first, last):
        means, added = tables.means[stimulus[b]], volition[b]
        evoked = 0.0
        for u in range(means.size):
            evoked += _lowered(means[u], added[u])
        wanted, filled, place, end = enough(evoked) + means.size, 0, 0, FEW_INTERVALS
        while end == FEW_INTERVALS:
            gaps = room_for(gaps, filled, wanted)
            filled, place = gamma_intervals(
                keys[b, 0], keys[b, 1], draws[b], DRAWN, tables.shape, gaps, filled, wanted, place
            )
            end = renewal(means, added, tables.n_bins, gaps, 0, filled, rows, k, counts[b])
            wanted = filled + 16 + filled // 2
        if end == FEW_ROWS:
            return False
        k = _poisson(
            tables.means,
            stimulus,
            volition,
            means.size,
            tables.n_bins,
            none,
            keys,
            draws,
            ADDED,
            b,
            b + 1,
            rows,
            end,
            ends,
            counts,
        )
        if k == FEW_ROWS:
            return False
        offsets[b - first + 1] = k
    return True


@compiled
def profile_response(  # type: ignore[no-untyped-def]
    key0, key1, draw, expected, edges, total, gaps, rows, k, counts
):
    """Spikes of one response from its stream, `poisson_profile`, written to ``rows[k:]``.

    Returns their end, or FEW_ROWS, and the room for intervals, which may have become another one;
    `total` (n, K + 1) is room for the running totals.
    """
    none = np.int64(0)  # a plain 0 has a type of its own, and all would be compiled for it, too
    wanted, filled, place, end = enough(accumulate(expected, total)), none, none, FEW_INTERVALS
    while end == FEW_INTERVALS:
        gaps = room_for(gaps, filled, wanted)
        filled, place = intervals(key0, key1, draw, DRAWN, gaps, filled, wanted, place)
        end = poisson_profile(total, edges, gaps, none, filled, rows, k, counts)
        wanted = filled + 16
    return end, gaps


@compiled
def _profile_streams(expected, edges, keys, draws):  # type: ignore[no-untyped-def]
    """Responses to expected spikes, each from its own stream."""
    n_trials, n_electrodes, n_pieces = expected.shape
    rows = np.empty(128 * n_trials, np.int32)
    offsets = np.zeros(n_trials + 1, np.int64)
    counts = np.zeros((n_trials, n_electrodes), np.int64)
    total, gaps = np.empty((n_electrodes, n_pieces + 1)), np.empty(256)
    k: Any = np.int64(0)
    for b in range(n_trials):
        end = FEW_ROWS
        while end == FEW_ROWS:
            end, gaps = profile_response(
                *(keys[b, 0], keys[b, 1], draws[b], expected[b], edges),
                *(total, gaps, rows, k, counts[b]),
            )
            if end == FEW_ROWS:
                longer = np.empty(2 * rows.size, np.int32)
                for i in range(k):
                    longer[i] = rows[i]
                rows = longer
        offsets[b + 1] = k = end
    return rows[:k], offsets, counts


@compiled
def _profile_all(expected, edges, gaps):  # type: ignore[no-untyped-def]
    """`poisson_profile` in one response after the other."""
    n_trials, n_electrodes, n_pieces = expected.shape
    rows = np.empty(gaps.size, np.int32)
    offsets = np.zeros(n_trials + 1, np.int64)
    counts = np.zeros((n_trials, n_electrodes), np.int64)
    total = np.empty((n_electrodes, n_pieces + 1))
    k = used = np.int64(0)
    for b in range(n_trials):
        accumulate(expected[b], total)
        end = poisson_profile(total, edges, gaps, used, gaps.size, rows, k, counts[b])
        if end < 0:
            offsets[-1] = -1
            return rows, offsets, counts
        used += end - k + 1
        offsets[b + 1] = k = end
    return rows[:k], offsets, counts


@compiled
def _renewal_all(means, gaps, n_bins):  # type: ignore[no-untyped-def]
    """`renewal` in one response after the other."""
    n_trials, n_electrodes = means.shape
    rows = np.empty(gaps.size, np.int32)
    offsets = np.zeros(n_trials + 1, np.int64)
    counts = np.zeros((n_trials, n_electrodes), np.int64)
    nothing = np.zeros(n_electrodes)
    k = used = 0
    for b in range(n_trials):
        end = renewal(means[b], nothing, n_bins, gaps, used, gaps.size, rows, k, counts[b])
        if end < 0:
            offsets[-1] = -1
            return rows, offsets, counts
        used += end - k + n_electrodes
        offsets[b + 1] = k = end
    return rows[:k], offsets, counts


@compiled
def _place(counts, expected, edges, uniform):  # type: ignore[no-untyped-def]
    n_trials, n_electrodes, n_pieces = expected.shape
    n_bins = edges[-1]
    rows = np.empty(len(uniform), np.int32)
    k = 0
    for b in range(n_trials):
        for u in range(n_electrodes):
            if counts[b, u] == 0:
                continue
            cumulative = np.cumsum(expected[b, u])
            total = cumulative[-1]
            for _ in range(counts[b, u]):
                if total > 0:
                    piece = np.searchsorted(cumulative, uniform[k, 0] * total, side="right")
                    piece = min(piece, n_pieces - 1)
                    begin, end = edges[piece], edges[piece + 1]
                else:
                    begin, end = 0, n_bins
                rows[k] = u * n_bins + begin + int(uniform[k, 1] * (end - begin))
                k += 1
    return rows
