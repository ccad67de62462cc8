"""Responses of the circuit's linear core, trial by trial, in compiled loops.

States superpose: what a stimulus evokes, what is added by the inputs held at the electrodes, and
what is left of the last transient. Sums are taken in one order, so that a trial is the same
whatever runs beside it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.compiled import compiled
from ndbmi_gym.cortex.soc.transients import superpose
from ndbmi_gym.spikes import FEW_ROWS, profile_response

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class TransientTables(NamedTuple):
    """A circuit seen through n electrodes, for compiled loops.

    Attributes
    ----------
    evoked : ndarray (S + 1, n, K)
        States of the recorded neurons at the nodes after every stimulus, and after none, Hz.
    evoked_left : ndarray (S + 1, n_states)
        States that are left at the end of the window.
    held : ndarray (n, n·K + n_states)
        What a unit of held input at every electrode adds to both.
    carried : ndarray (n_states, n·R + n_states)
        What a unit of every state that was left adds to them, the former in units of time courses.
    courses : ndarray (R, K)
        These time courses at the nodes (`time_courses`).
    rates : ndarray (M + 1,)
        Firing rates, Hz, of M states evenly from `low` to `high`, and the last again.
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
    evoked_left: FloatArray
    held: FloatArray
    carried: FloatArray
    courses: FloatArray
    rates: FloatArray
    low: float
    high: float
    spikes_per_hz: FloatArray
    nodes: IntArray
    window_s: float


def time_courses(free: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Write impulse responses as sums of few time courses, to rounding.

    All neurons relax by the same modes of the circuit, of which a window tells few apart.

    Parameters
    ----------
    free : ndarray (K, n, N)
        Responses of n neurons at K nodes to each of N states.

    Returns
    -------
    courses : ndarray (R, K)
        Orthonormal.
    weights : ndarray (N, n·R)
        Of the time courses, in every response.
    """
    n_nodes, n, n_states = free.shape
    courses, sizes, weights = np.linalg.svd(free.reshape(n_nodes, -1), full_matrices=False)
    rank = int((sizes > _NEGLIGIBLE * sizes.max(initial=0.0)).sum())
    scaled = (sizes[:rank, None] * weights[:rank]).reshape(rank, n, n_states)
    return (
        np.ascontiguousarray(courses[:, :rank].T),
        np.ascontiguousarray(scaled.transpose(2, 1, 0).reshape(n_states, n * rank)),
    )


_NEGLIGIBLE = 1e-13  # relative size of a time course that is left out


@compiled
def some_of(values, unit, sources, sizes):  # type: ignore[no-untyped-def]
    """List the values that are not zero, by number and in a unit; returns how many there are."""
    n = 0
    for i in range(values.size):
        if values[i] != 0.0:
            sources[n], sizes[n] = i, values[i] / unit
            n += 1
    return n


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
def transients(tables, stimulus, volition, activity, first, last, expected, left):  # type: ignore[no-untyped-def]
    """Expected spikes between nodes, and the states that are left, from `first` to before `last`.

    Fills `expected` (last − first, n, K − 1) and ``left[first:last]``.
    """
    n_electrodes, n_states = volition.shape[1], left.shape[1]
    n_courses, n_nodes = tables.courses.shape
    states, weights = np.empty(tables.held.shape[1]), np.empty(tables.carried.shape[1])
    end, carried_end = n_electrodes * n_nodes, n_electrodes * n_courses
    x = states[:end].reshape(n_electrodes, n_nodes)
    shares = weights[:carried_end].reshape(n_electrodes, n_courses)
    most = max(n_electrodes, n_states, n_courses)
    sources, sizes, every = np.empty(most, np.int64), np.empty(most), np.arange(n_courses)
    for b in range(first, last):
        s = stimulus[b]
        for u in range(n_electrodes):
            for k in range(n_nodes):
                x[u, k] = tables.evoked[s, u, k]
        for i in range(n_states):
            states[end + i] = tables.evoked_left[s, i]
        n = some_of(volition[b], tables.window_s, sources, sizes)
        superpose(states, tables.held, sources, sizes, n)
        n = some_of(activity[b], 1.0, sources, sizes)
        if n > 0:
            for i in range(weights.size):
                weights[i] = 0.0
            superpose(weights, tables.carried, sources, sizes, n)
            for u in range(n_electrodes):
                superpose(x[u], tables.courses, every, shares[u], n_courses)
            for i in range(n_states):
                states[end + i] += weights[carried_end + i]
        for i in range(n_states):
            left[b, i] = states[end + i]
        integrate_rates(
            x, tables.rates, tables.low, tables.high, tables.spikes_per_hz, expected[b - first]
        )


_BLOCK = 8  # trials whose expected spikes are kept


@compiled
def transient_responses(  # type: ignore[no-untyped-def]
    tables, stimulus, volition, activity, keys, draws, first, last, rows, offsets, counts, left
):
    """Responses of the trials from `first` to before `last`, as `spikes.poisson_responses`."""
    n_electrodes, n_nodes = tables.evoked.shape[1:]
    expected = np.empty((_BLOCK, n_electrodes, n_nodes - 1))
    total, gaps = np.empty((n_electrodes, n_nodes)), np.empty(256)
    k = np.int64(0)
    offsets[0] = k
    for begin in range(first, last, _BLOCK):
        end = min(begin + _BLOCK, last)
        transients(tables, stimulus, volition, activity, begin, end, expected, left)
        for b in range(begin, end):
            k, gaps = profile_response(
                *(keys[b, 0], keys[b, 1], draws[b], expected[b - begin], tables.nodes),
                *(total, gaps, rows, k, counts[b]),
            )
            if k == FEW_ROWS:
                return False
            for u in range(n_electrodes):
                counts[b, n_electrodes + u] = 0  # volition acts through the circuit
            offsets[b - first + 1] = k
    return True
