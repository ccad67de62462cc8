"""The Houghton-Sen spike-train metric, exact on the recording clock (Eqs 3 and 7).

Two responses X, Y of one or more electrodes lie at the distance

    D(X, Y)² = <X, X> + <Y, Y> − 2 <X, Y>,
    <X, Y> = Σ_pq w_pq Σ_ij exp(−|t_i − t_j| / τ),  w_pp = 1, w_pq = cos θ,

i running over the spikes of electrode p of X and j over those of electrode q of Y. The norm is
such that one extra spike costs 1. θ = π/2 keeps every electrode's label, θ = 0 pools them.

References
----------
Houghton C, Sen K (2008). A new multineuron spike train metric. Neural Computation 20:1495-1511.
"""

from dataclasses import dataclass

import numpy as np

from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.spikes import FloatArray, SpikeTrains


@dataclass(frozen=True)
class Metric:
    """Parameters of the metric.

    Attributes
    ----------
    tau_s : float
        Time constant τ of the exponential kernel, seconds, > 0.
    theta : float
        Angle θ between electrodes, radians in [0, π/2].
    clock_s : float
        Tick of the recording clock, seconds.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    tau_s: float = 0.1
    theta: float = np.pi / 2
    clock_s: float = 1e-3

    def __post_init__(self) -> None:
        if not (np.isfinite(self.tau_s) and self.tau_s > 0):
            raise ValueError(f"tau_s = {self.tau_s!r}: give a time constant > 0 s (default 0.1)")
        if not 0 <= self.theta <= np.pi / 2:
            raise ValueError(
                f"theta = {self.theta!r}: give an angle in [0, pi/2] rad "
                "(pi/2 labels the electrodes, 0 pools them)"
            )
        if not (np.isfinite(self.clock_s) and self.clock_s > 0):
            raise ValueError(f"clock_s = {self.clock_s!r}: give a tick > 0 s (default 0.001)")

    @property
    def decay(self) -> float:
        """Kernel value one tick away from a spike."""
        return float(np.exp(-self.clock_s / self.tau_s))

    @property
    def coupling(self) -> float:
        """Weight w_pq of two different electrodes, cos θ (exactly 0 at θ = π/2)."""
        return 0.0 if self.theta == np.pi / 2 else float(np.cos(self.theta))

    def powers(self, n_bins: int) -> FloatArray:
        """Kernel value at every distance from a spike, in ticks below `n_bins`, (n_bins,)."""
        return np.asarray(self.decay ** np.arange(n_bins))


def influence(metric: Metric, weights: FloatArray) -> FloatArray:
    """Inner product of a single spike with weighted spikes, for every place of that spike.

    Parameters
    ----------
    metric : Metric
    weights : ndarray (n, n_bins, C)
        Spike weight at each electrode and bin, for C independent collections.

    Returns
    -------
    ndarray (n, n_bins, C)
        ``Σ_q w_pq Σ_j weights[q, j] exp(−|i − j| clock / τ)``.
    """
    own = np.empty(weights.shape)
    for electrode, result in zip(weights, own, strict=True):
        smear(electrode, metric.decay, result)
    if metric.coupling == 0.0:
        return own
    return (1 - metric.coupling) * own + metric.coupling * own.sum(axis=0)


def squared_norms(metric: Metric, trains: SpikeTrains) -> FloatArray:
    """``<X, X>`` of every response, (B,)."""
    # copies, as trains are frozen or not: one kind of array, or the loop is compiled twice
    rows, offsets, powers = (
        np.array(trains.rows),
        np.array(trains.offsets),
        metric.powers(trains.n_bins),
    )
    own: FloatArray = _squared_norms(rows, offsets, trains.n_electrodes, powers)
    if metric.coupling == 0.0:
        return own
    ticks = rows % trains.n_bins
    ticks = ticks[np.lexsort((ticks, np.repeat(np.arange(len(trains)), np.diff(offsets))))]
    pooled: FloatArray = _squared_norms(ticks, offsets, 1, powers)
    return (1 - metric.coupling) * own + metric.coupling * pooled


def gram(metric: Metric, trains: SpikeTrains) -> FloatArray:
    """Inner products of all pairs of responses, (M, M), in float64."""
    n_bins, size = trains.n_bins, len(trains)
    result = np.zeros((size, size))
    spikes, table = np.empty((2, n_bins, size))
    pooled = np.zeros((n_bins, size))
    for unit in range(trains.n_electrodes):
        histogram(trains, unit, spikes)
        smear(spikes, metric.decay, table)
        share = 1 - metric.coupling
        _add_rows(result, table, trains.rows, trains.offsets, unit * n_bins, share)
        if metric.coupling != 0.0:
            pooled += spikes
    if metric.coupling != 0.0:
        smear(pooled, metric.decay, table)
        _add_rows(result, table, trains.rows % n_bins, trains.offsets, 0, metric.coupling)
    for b in range(size):
        result[b, b + 1 :] = result[b + 1 :, b]
    return result


def distances(gram_matrix: FloatArray) -> FloatArray:
    """Distances between the responses of a Gram matrix, (M, M)."""
    norms = np.diag(gram_matrix)
    return np.sqrt(np.maximum(norms[:, None] + norms - 2 * gram_matrix, 0.0))


def histogram(trains: SpikeTrains, unit: int, counts: FloatArray, first: int = 0) -> None:
    """Count the spikes of one electrode by bin, of the responses from `first` on.

    Parameters
    ----------
    trains : SpikeTrains
    unit : int
        The electrode.
    counts : ndarray (n_bins, C)
        Is overwritten; column c counts response ``first + c``.
    first : int
    """
    rows, offsets = trains.rows.view(), trains.offsets.view()
    # trains are frozen or not: one kind of array, or the loop is compiled twice
    rows.flags.writeable = offsets.flags.writeable = False
    counts.fill(0.0)
    _count(counts, rows, offsets, first, unit * trains.n_bins)


@compiled
def _count(counts, rows, offsets, first, begin):  # type: ignore[no-untyped-def]
    n_bins, width = counts.shape
    for c in range(width):
        for k in range(offsets[first + c], offsets[first + c + 1]):
            tick = rows[k] - begin
            if 0 <= tick < n_bins:
                counts[tick, c] += 1.0


@compiled
def smear(weights, decay, result):  # type: ignore[no-untyped-def]
    """Convolve (n_bins, C) along its bins with ``decay**|lag|``, by one sweep each way."""
    n_bins, width = weights.shape
    for c in range(width):
        result[0, c] = weights[0, c]
    for i in range(1, n_bins):
        for c in range(width):
            result[i, c] = result[i - 1, c] * decay + weights[i, c]
    trace = np.zeros(width)
    for i in range(n_bins - 2, -1, -1):
        for c in range(width):
            trace[c] = (trace[c] + weights[i + 1, c]) * decay
            result[i, c] += trace[c]


@compiled
def _add_rows(result, table, rows, offsets, begin, share):  # type: ignore[no-untyped-def]
    """Add a share of rows of ``table`` (n_bins, M) to the lower triangle of ``result`` (M, M)."""
    n_bins = table.shape[0]
    for b in range(offsets.size - 1):
        for k in range(offsets[b], offsets[b + 1]):
            tick = rows[k] - begin
            if 0 <= tick < n_bins:
                for m in range(b + 1):
                    result[b, m] += share * table[tick, m]


@compiled
def _squared_norms(rows, offsets, n, powers):  # type: ignore[no-untyped-def]
    norms = np.empty(offsets.size - 1)
    spikes, ends = np.empty(rows.size, np.int64), np.empty(n + 1, np.int64)
    for b in range(norms.size):
        in_order(rows, offsets[b], offsets[b + 1], powers.size, spikes, ends)
        norms[b] = squared_norm(spikes, ends, powers)
    return norms


@inlined
def in_order(rows, start, stop, n_bins, spikes, ends):  # type: ignore[no-untyped-def]
    """Put the spikes of a response into ``spikes`` in order of place.

    Those of electrode p are ``spikes[ends[p]:ends[p + 1]]``. Each is inserted among those of its
    electrode, which most sources give in order of time or nearly so.
    """
    for unit in range(ends.size):
        ends[unit] = 0
    per_bin = 1.0 / n_bins  # of half-way numbers the product is faster than the ratio, and as exact
    for k in range(start, stop):
        spikes[k - start] = 0  # a place that is not taken yet: comes before any spike
        unit = int((rows[k] + 0.5) * per_bin)
        if unit + 2 < ends.size:
            ends[unit + 2] += 1
    for unit in range(2, ends.size):
        ends[unit] += ends[unit - 1]
    for k in range(start, stop):  # ends[unit + 1] goes from the electrode's begin to its end
        spike = np.int64(rows[k])
        unit = int((spike + 0.5) * per_bin)
        at = ends[unit + 1]
        ends[unit + 1] += 1
        while at > 0 and spikes[at - 1] > spike:
            spikes[at] = spikes[at - 1]
            at -= 1
        spikes[at] = spike


@inlined
def squared_norm(spikes, ends, powers):  # type: ignore[no-untyped-def]
    """``<X, X>`` of one response `in_order` on labelled electrodes.

    Each spike leaves an exponential trace that the next ones of its electrode meet.
    """
    norm, trace, end = 0.0, 0.0, 0
    for unit in range(ends.size - 1):
        begin, end = end, ends[unit + 1]
        for k in range(begin, end):
            trace = trace * powers[spikes[k] - spikes[k - 1]] if k > begin else 0.0
            norm += 1.0 + 2.0 * trace
            trace += 1.0
    return norm
