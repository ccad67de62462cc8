"""Spike trains on the recording clock, and the renewal processes that draw them.

A *response* is what ``n`` electrodes record in one window of ``n_bins`` clock ticks: a set of
spikes, each an (electrode, bin) pair. A spike is kept as the single integer
``electrode * n_bins + bin``, the row that it selects in every table built on such trains.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndbmi_gym.compiled import compiled

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
    responses: Sequence[Sequence[npt.ArrayLike]], window_s: float, clock_s: float = 1e-3
) -> SpikeTrains:
    """Put spike times on the recording clock.

    Parameters
    ----------
    responses : sequence (B) of sequences (n) of array_like
        Spike times in seconds since stimulation, per response and electrode. An electrode may be
        silent (an empty list); duplicates within a bin are kept.
    window_s : float
        Length of the recording window.
    clock_s : float
        Tick of the recording clock.

    Raises
    ------
    ValueError
        If there is no response or no electrode, if responses differ in their electrodes, or if a
        time is NaN, infinite or outside ``[0, window_s)``.
    """
    n_bins = window_bins(window_s, clock_s)
    if len(responses) == 0 or len(responses[0]) == 0:
        raise ValueError(
            f"spike times {responses!r} are empty: give at least one response of at least one "
            "electrode (a silent electrode is an empty list of times)"
        )
    n_electrodes = len(responses[0])
    rows: list[npt.NDArray[np.int32]] = []
    sizes = []
    for b, response in enumerate(responses):
        if len(response) != n_electrodes:
            raise ValueError(
                f"response {b} has {len(response)} electrodes, response 0 has {n_electrodes}: "
                "every response must list every electrode, silent ones as empty lists"
            )
        trains = [np.asarray(train, dtype=float).ravel() for train in response]
        for unit, times in enumerate(trains):
            bad = times[~((times >= 0) & (times < window_s))]
            if bad.size:
                raise ValueError(
                    f"spike time {bad[0]} s of electrode {unit} in response {b} is outside "
                    f"[0, {window_s}) s: drop it or lengthen the window"
                )
            # the epsilon keeps a time that *is* a tick (0.3 s on a 1 ms clock) in its own bin
            bins = np.minimum((times / clock_s + 1e-9).astype(np.int32), n_bins - 1)
            rows.append((unit * n_bins + bins).astype(np.int32))
        sizes.append(sum(times.size for times in trains))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return SpikeTrains(np.concatenate(rows), offsets, n_electrodes, n_bins)


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


def sample(
    rng: np.random.Generator,
    mean_counts: FloatArray,
    n_bins: int,
    added_counts: FloatArray | None = None,
    shape: float = 1.0,
) -> tuple[SpikeTrains, IntArray]:
    """Draw population responses: renewal spikes, plus independent Poisson spikes.

    Parameters
    ----------
    rng : numpy.random.Generator
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
        by about ``(1 − k) / (2k)`` spikes, as it does in the source.

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
    added = np.zeros((n_trials, n_electrodes)) if added_counts is None else added_counts
    if shape == 1.0:
        total = _expected(mean_counts, added)
        rows, offsets, counts = _drawn(
            rng, total, n_trials, lambda gaps: _poisson(mean_counts, added, gaps, n_bins)
        )
        return SpikeTrains(rows, offsets, n_electrodes, n_bins), counts
    kept = np.maximum(mean_counts + np.minimum(added, 0.0), 0.0)
    rows, offsets = _gamma_renewal(rng, kept, n_bins, shape)
    regular = SpikeTrains(rows, offsets, n_electrodes, n_bins)
    extra, counts = sample(rng, np.maximum(added, 0.0), n_bins)
    return _merge(regular, extra), np.hstack((regular.counts(), counts[:, :n_electrodes]))


def sample_profile(
    rng: np.random.Generator, expected: FloatArray, edges: IntArray
) -> tuple[SpikeTrains, IntArray]:
    """Draw inhomogeneous Poisson responses.

    Parameters
    ----------
    rng : numpy.random.Generator
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
    rows, offsets, counts = _drawn(
        rng, float(expected.sum()), n_trials, lambda gaps: _poisson_profile(expected, edges, gaps)
    )
    return SpikeTrains(rows, offsets, n_electrodes, int(edges[-1])), counts


def _drawn(
    rng: np.random.Generator,
    total: float,
    n_trials: int,
    draw: Callable[[FloatArray], tuple[Rows, IntArray, IntArray]],
) -> tuple[Rows, IntArray, IntArray]:
    """Spikes that are drawn from as many unit-rate intervals as they turn out to need."""
    size = int(total + 5 * total**0.5) + n_trials + 10
    gaps = rng.standard_exponential(size)
    rows, offsets, counts = draw(gaps)
    while offsets[-1] < 0:  # a batch in a million wants more intervals than these
        gaps = np.concatenate((gaps, rng.standard_exponential(size)))
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


@compiled
def _expected(mean_counts, added):  # type: ignore[no-untyped-def]
    """Expected number of spikes in all."""
    total = 0.0
    for b in range(mean_counts.shape[0]):
        for u in range(mean_counts.shape[1]):
            total += max(mean_counts[b, u] + added[b, u], added[b, u], 0.0)
    return total


@compiled
def _poisson(mean_counts, added, gaps, n_bins):  # type: ignore[no-untyped-def]
    """Poisson spikes from unit-rate intervals; the last offset is -1 if those do not suffice.

    A population is drawn as *one* unit-rate process that runs through the evoked and then the added
    processes' windows, laid end to end and each as long as its mean count: an interval that
    outlasts a window reaches into the next, as the lack of memory permits.
    """
    n_trials, n_electrodes = mean_counts.shape
    rows = np.empty(gaps.size, np.int32)
    offsets = np.zeros(n_trials + 1, np.int64)
    counts = np.zeros((n_trials, 2 * n_electrodes), np.int64)
    k = 0
    used = 0
    for b in range(n_trials):
        if used >= gaps.size:
            offsets[-1] = -1
            return rows, offsets, counts
        clock = gaps[used]
        used += 1
        for j in range(2 * n_electrodes):
            unit = j if j < n_electrodes else j - n_electrodes
            extra = added[b, unit]
            if j < n_electrodes:
                mean = max(mean_counts[b, unit] + min(extra, 0.0), 0.0)
            else:
                mean = max(extra, 0.0)
            if clock < mean:
                bins_per_count = n_bins / mean
                first = k
                while clock < mean:
                    if used >= gaps.size:
                        offsets[-1] = -1
                        return rows, offsets, counts
                    rows[k] = unit * n_bins + min(int(clock * bins_per_count), n_bins - 1)
                    k += 1
                    clock += gaps[used]
                    used += 1
                counts[b, j] = k - first
            clock -= mean
        offsets[b + 1] = k
    return rows[:k], offsets, counts


@compiled
def _poisson_profile(expected, edges, gaps):  # type: ignore[no-untyped-def]
    """`_poisson` with windows in pieces: one unit-rate process runs through all of them."""
    n_trials, n_electrodes, n_pieces = expected.shape
    n_bins = edges[-1]
    rows = np.empty(gaps.size, np.int32)
    offsets = np.zeros(n_trials + 1, np.int64)
    counts = np.zeros((n_trials, n_electrodes), np.int64)
    k = 0
    used = 0
    for b in range(n_trials):
        if used >= gaps.size:
            offsets[-1] = -1
            return rows, offsets, counts
        clock = gaps[used]
        used += 1
        for u in range(n_electrodes):
            first = k
            for piece in range(n_pieces):
                mean = expected[b, u, piece]
                while clock < mean:
                    if used >= gaps.size:
                        offsets[-1] = -1
                        return rows, offsets, counts
                    ticks = edges[piece + 1] - edges[piece]
                    within = min(int(clock / mean * ticks), ticks - 1)
                    rows[k] = u * n_bins + edges[piece] + within
                    k += 1
                    clock += gaps[used]
                    used += 1
                clock -= mean
            counts[b, u] = k - first
        offsets[b + 1] = k
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


@compiled
def _gamma_renewal(rng, mean_counts, n_bins, shape):  # type: ignore[no-untyped-def]
    """Ordinary renewal processes with Gamma intervals, in time units of the mean interval."""
    n_trials, n_electrodes = mean_counts.shape
    offsets = np.zeros(n_trials + 1, np.int64)
    rows = np.empty(int(1.5 * mean_counts.sum()) + 64, np.int32)
    k = 0
    for b in range(n_trials):
        for u in range(n_electrodes):
            mean = mean_counts[b, u]
            clock = rng.standard_gamma(shape) / shape
            while clock < mean:
                if k == rows.size:
                    longer = np.empty(2 * rows.size, np.int32)
                    longer[:k] = rows
                    rows = longer
                rows[k] = u * n_bins + min(int(clock / mean * n_bins), n_bins - 1)
                k += 1
                clock += rng.standard_gamma(shape) / shape
        offsets[b + 1] = k
    return rows[:k], offsets
