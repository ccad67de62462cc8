"""Responses of the circuit's linear core, trial by trial, in compiled loops.

States superpose: what a stimulus evokes, plus what each *source* adds, in proportion to its size.
Sources are the inputs held at the electrodes, in Hz, and then what the last transient has left.
Sums are taken in the order of the sources, so that a trial is the same whatever runs beside it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.compiled import compiled
from ndbmi_gym.spikes import FEW_ROWS, profile_response

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Tables(NamedTuple):
    """A circuit seen through n electrodes, for compiled loops.

    Attributes
    ----------
    evoked : ndarray (S + 1, n, K)
        States of the recorded neurons at the nodes after every stimulus, and after none, Hz.
    added : ndarray (n + n_states, n·K)
        What a unit of every source adds to them.
    evoked_left, added_left : ndarray (S + 1, n_states), (n + n_states, n_states)
        The same of the states that are left at the end of the window.
    rates : ndarray (R + 1,)
        Firing rates, Hz, of R states evenly from `low` to `high`, and the last again.
    low, high : float
        Beyond these states, the rate is taken as constant.
    spikes_per_hz : ndarray (K − 1,)
        Spikes of an electrode between successive nodes, per Hz.
    nodes : ndarray of int64 (K,)
        Clock ticks.
    window_s : float
        Recording window T: input is volition over T.
    """

    evoked: FloatArray
    added: FloatArray
    evoked_left: FloatArray
    added_left: FloatArray
    rates: FloatArray
    low: float
    high: float
    spikes_per_hz: FloatArray
    nodes: IntArray
    window_s: float


@compiled
def superpose(x, added, sources, sizes, n):  # type: ignore[no-untyped-def]
    """Add to the states x what the first n of the sources add."""
    i = 0
    while i + 4 <= n:  # four in one pass over x, which memory limits; the order is that of one
        a, b, c, d = sizes[i], sizes[i + 1], sizes[i + 2], sizes[i + 3]
        of_a, of_b = added[sources[i]], added[sources[i + 1]]
        of_c, of_d = added[sources[i + 2]], added[sources[i + 3]]
        for k in range(x.size):
            x[k] = (((x[k] + a * of_a[k]) + b * of_b[k]) + c * of_c[k]) + d * of_d[k]
        i += 4
    while i < n:
        a, of_a = sizes[i], added[sources[i]]
        for k in range(x.size):
            x[k] += a * of_a[k]
        i += 1


@compiled
def integrate_rates(x, rates, low, high, spikes_per_hz, expected):  # type: ignore[no-untyped-def]
    """Expected spikes of an electrode between nodes, (n, K − 1), of states x (n, K), by trapezoids.

    The states are overwritten.
    """
    per_hz = (rates.size - 2) / (high - low)
    for u in range(x.shape[0]):
        for k in range(x.shape[1]):  # apart from the look-up, so that the compiler vectorises it
            x[u, k] = (min(max(x[u, k], low), high) - low) * per_hz
        for k in range(x.shape[1]):
            i = np.uint32(x[u, k])
            x[u, k] = rates[i] + (x[u, k] - i) * (rates[i + np.uint32(1)] - rates[i])
        for k in range(expected.shape[1]):
            expected[u, k] = 0.5 * (x[u, k] + x[u, k + 1]) * spikes_per_hz[k]


@compiled
def transient(tables, stimulus, volition, activity, x, sources, sizes, expected, left):  # type: ignore[no-untyped-def]
    """Expected spikes of one trial between nodes, and the state that it leaves.

    Fills `expected` (n, K − 1) and `left` (n_states,); x (n, K), `sources` and `sizes` are scratch.
    """
    n = 0
    for u in range(volition.size):
        if volition[u] != 0.0:
            sources[n], sizes[n] = u, volition[u] / tables.window_s
            n += 1
    for i in range(activity.size):
        if activity[i] != 0.0:
            sources[n], sizes[n] = volition.size + i, activity[i]
            n += 1
    for u in range(x.shape[0]):
        for k in range(x.shape[1]):
            x[u, k] = tables.evoked[stimulus, u, k]
    superpose(x.reshape(x.size), tables.added, sources, sizes, n)
    integrate_rates(x, tables.rates, tables.low, tables.high, tables.spikes_per_hz, expected)
    for i in range(left.size):
        left[i] = tables.evoked_left[stimulus, i]
    superpose(left, tables.added_left, sources, sizes, n)


@compiled
def profiles(tables, stimulus, volition, activity, expected, left):  # type: ignore[no-untyped-def]
    """`transient` of all trials: fills `expected` (B, n, K − 1) and `left` (B, n_states)."""
    x = np.empty(tables.evoked.shape[1:])
    n_sources = tables.added.shape[0]
    sources, sizes = np.empty(n_sources, np.int64), np.empty(n_sources)
    for b in range(stimulus.size):
        transient(
            *(tables, stimulus[b], volition[b], activity[b], x, sources, sizes),
            *(expected[b], left[b]),
        )


@compiled
def transient_responses(  # type: ignore[no-untyped-def]
    tables, stimulus, volition, activity, keys, draws, first, last, rows, offsets, counts, left
):
    """Responses of the trials from `first` to before `last`, as `spikes.poisson_responses`."""
    n_electrodes, n_nodes = tables.evoked.shape[1:]
    x, expected = np.empty((n_electrodes, n_nodes)), np.empty((n_electrodes, n_nodes - 1))
    n_sources = tables.added.shape[0]
    sources, sizes = np.empty(n_sources, np.int64), np.empty(n_sources)
    gaps = np.empty(256)
    offsets[0] = k = 0
    for b in range(first, last):
        transient(
            tables, stimulus[b], volition[b], activity[b], x, sources, sizes, expected, left[b]
        )
        k, gaps = profile_response(
            keys[b, 0], keys[b, 1], draws[b], expected, tables.nodes, gaps, rows, k, counts[b]
        )
        if k == FEW_ROWS:
            return False
        offsets[b - first + 1] = k
    return True
