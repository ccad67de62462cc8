"""The Houghton-Sen spike-train metric, exact on the recording clock (Eqs 3 and 7).

Two responses X, Y of one or more electrodes lie at the distance

    D(X, Y)² = <X, X> + <Y, Y> − 2 <X, Y>,
    <X, Y> = Σ_pq w_pq Σ_ij exp(−|t_i − t_j| / τ),  w_pp = 1, w_pq = cos θ,

i running over the spikes of electrode p of X and j over those of electrode q of Y. The norm is
such that one extra spike costs 1. θ = π/2 keeps every electrode's label, θ = 0 pools them.

Trains live on a clock, so the inner product of a response with *any* other is a sum of table rows,
one per spike. `ResponseBank` holds that table for the calibration responses.

References
----------
Houghton C, Sen K (2008). A new multineuron spike train metric. Neural Computation 20:1495-1511.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ndbmi_gym.compiled import compiled
from ndbmi_gym.spikes import FloatArray, IntArray, SpikeTrains


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
    own = np.stack([_smear(w, metric.decay) for w in weights])
    if metric.coupling == 0.0:
        return own
    return (1 - metric.coupling) * own + metric.coupling * own.sum(axis=0)


def squared_norms(metric: Metric, trains: SpikeTrains) -> FloatArray:
    """``<X, X>`` of every response, (B,)."""
    return _squared_norms(trains.rows, trains.offsets, trains.n_bins, metric.decay, metric.coupling)


def gram(metric: Metric, trains: SpikeTrains) -> FloatArray:
    """Inner products of all pairs of responses, (M, M), in float64."""
    result = np.zeros((len(trains), len(trains)))
    pooled = np.zeros((trains.n_bins, len(trains)))
    for unit in range(trains.n_electrodes):
        histogram = _histogram(trains, unit)
        pooled += histogram
        table = (1 - metric.coupling) * _smear(histogram, metric.decay)
        _add_rows(result, table, trains.rows, trains.offsets, unit, trains.n_bins)
    if metric.coupling != 0.0:
        table = metric.coupling * _smear(pooled, metric.decay)
        bins = trains.rows % trains.n_bins
        _add_rows(result, table, bins, trains.offsets, 0, trains.n_bins)
    return result + np.tril(result, -1).T


def distances(gram_matrix: FloatArray) -> FloatArray:
    """Distances between the responses of a Gram matrix, (M, M)."""
    norms = np.diag(gram_matrix)
    return np.sqrt(np.maximum(norms[:, None] + norms - 2 * gram_matrix, 0.0))


MAX_RESPONSE_SPIKES = 65_536
"""Spikes of a response whose table entries, at most 65,535 each, still add up within 32 bits."""


@dataclass(frozen=True)
class ResponseBank:
    """The calibration responses, prepared to answer "which of you is nearest to this one".

    Row ``electrode * n_bins + bin`` of a table holds the inner products of one spike at that place
    with all M responses, as 16-bit integers in units of a *quantum*, the largest of them divided by
    65,535. Their sums are integers: exact, independent of the order of addition, and half the
    memory traffic of float32. Rounding the entries moves a squared distance by at most one quantum
    per spike of the response that is asked about. So `nearest` may prefer one calibration response
    to another that is closer by less than twice that, and the like holds for `nearest_group`.
    `inner_products` and `distances` do without the table: they are exact to float64.

    Attributes
    ----------
    metric : Metric
    trains : SpikeTrains
        The M responses.
    """

    metric: Metric
    trains: SpikeTrains

    @cached_property
    def norms(self) -> FloatArray:
        """``<c_m, c_m>`` of every calibration response, (M,)."""
        return squared_norms(self.metric, self.trains)

    @cached_property
    def _quantised(self) -> tuple[npt.NDArray[np.uint16], float]:
        trains, metric = self.trains, self.metric
        pooled = sum((_histogram(trains, u) for u in range(trains.n_electrodes)), start=np.zeros(1))
        pooled = _smear(pooled, metric.decay) if metric.coupling else np.zeros((1, 1))

        def rows_of(unit: int) -> FloatArray:
            own = _smear(_histogram(trains, unit), metric.decay)
            return (1 - metric.coupling) * own + metric.coupling * pooled

        # 65535 units at the largest entry; one scale for all, or integer sums would not add up
        scale = max(rows_of(u).max() for u in range(trains.n_electrodes)) / 65535 or 1.0
        table = np.empty((trains.n_electrodes * trains.n_bins, len(trains)), np.uint16)
        for unit in range(trains.n_electrodes):
            block = table[unit * trains.n_bins : (unit + 1) * trains.n_bins]
            np.rint(rows_of(unit) / scale, out=block, casting="unsafe")
        return table, float(scale)

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
            raise ValueError(
                f"a response of {np.diff(theirs.offsets).max()} spikes: at most {most} can "
                "be compared; shorten the window or lower the firing rates"
            )

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
        table, scale = self._quantised
        return _nearest(table, scale, self.norms, trains.rows, trains.offsets)

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
        table, scale = self._quantised
        own = squared_norms(self.metric, trains)
        return _nearest_group(
            table, scale, self.norms, trains.rows, trains.offsets, own, size, float(exponent)
        )


def _products(metric: Metric, trains: SpikeTrains, b: int, others: SpikeTrains) -> FloatArray:
    """Inner products of response b with every response of another batch, (M,)."""
    n, n_bins = trains.n_electrodes, trains.n_bins
    spikes = np.bincount(trains[b], minlength=n * n_bins).reshape(n, n_bins, 1)
    return _sums_at(influence(metric, spikes.astype(float)).ravel(), others.rows, others.offsets)


def _own_products(metric: Metric, trains: SpikeTrains) -> FloatArray:
    """``<X, X>`` of every response, added up as `_products` does: equal responses cancel to 0."""
    n, n_bins = trains.n_electrodes, trains.n_bins
    each = (trains[b] for b in range(len(trains)))
    alone = [SpikeTrains(rows, np.array([0, rows.size]), n, n_bins) for rows in each]
    return np.array([_products(metric, one, 0, one)[0] for one in alone])


def _histogram(trains: SpikeTrains, unit: int) -> FloatArray:
    """Spikes of one electrode by bin and response, (n_bins, B)."""
    counts = np.zeros((trains.n_bins, len(trains)))
    _count(counts, trains.rows, trains.offsets, unit, trains.n_bins)
    return counts


@compiled
def _count(counts, rows, offsets, unit, n_bins):  # type: ignore[no-untyped-def]
    for b in range(offsets.size - 1):
        for k in range(offsets[b], offsets[b + 1]):
            if rows[k] // n_bins == unit:
                counts[rows[k] - unit * n_bins, b] += 1.0


@compiled
def _smear(weights, decay):  # type: ignore[no-untyped-def]
    """Convolve (n_bins, C) along its bins with ``decay**|lag|``, by one sweep each way."""
    n_bins, width = weights.shape
    result = np.empty((n_bins, width))
    trace = np.zeros(width)
    for i in range(n_bins):
        for c in range(width):
            trace[c] = trace[c] * decay + weights[i, c]
            result[i, c] = trace[c]
    trace[:] = 0.0
    for i in range(n_bins - 1, -1, -1):
        for c in range(width):
            result[i, c] += trace[c]
            trace[c] = (trace[c] + weights[i, c]) * decay
    return result


@compiled
def _add_rows(result, table, rows, offsets, unit, n_bins):  # type: ignore[no-untyped-def]
    """Add a unit's rows of ``table`` (n_bins, M) to the lower triangle of ``result`` (M, M)."""
    for b in range(offsets.size - 1):
        out = result[b]
        for k in range(offsets[b], offsets[b + 1]):
            if rows[k] // n_bins == unit:
                row = table[rows[k] - unit * n_bins]
                for m in range(b + 1):
                    out[m] += row[m]


@compiled
def _squared_norms(rows, offsets, n_bins, decay, coupling):  # type: ignore[no-untyped-def]
    """Own inner products: sorted spikes leave an exponential trace that the next ones meet."""
    norms = np.empty(offsets.size - 1)
    power = decay ** np.arange(n_bins)
    for b in range(offsets.size - 1):
        spikes = np.sort(rows[offsets[b] : offsets[b + 1]])
        own = 0.0
        trace = 0.0
        for k in range(spikes.size):
            same_unit = k > 0 and spikes[k] // n_bins == spikes[k - 1] // n_bins
            trace = trace * power[spikes[k] - spikes[k - 1]] if same_unit else 0.0
            own += 1.0 + 2.0 * trace
            trace += 1.0
        pooled = 0.0
        if coupling != 0.0:
            bins = np.sort(spikes % n_bins)
            trace = 0.0
            for k in range(bins.size):
                if k > 0:
                    trace *= power[bins[k] - bins[k - 1]]
                pooled += 1.0 + 2.0 * trace
                trace += 1.0
        norms[b] = (1.0 - coupling) * own + coupling * pooled
    return norms


@compiled
def _sums_at(values, rows, offsets):  # type: ignore[no-untyped-def]
    """Sum of the values at the spikes of every response, in the order of place."""
    sums = np.zeros(offsets.size - 1)
    for b in range(offsets.size - 1):
        for row in np.sort(rows[offsets[b] : offsets[b + 1]]):
            sums[b] += values[row]
    return sums


@compiled
def _sum_rows(table, rows, start, stop, total):  # type: ignore[no-untyped-def]
    """Sum of the table rows of one response, into ``total`` (M,) of uint32.

    Eight rows at a time, so that the running total is read and written an eighth as often.
    """
    total[:] = 0
    k = start
    while k + 8 <= stop:
        r0, r1, r2, r3 = table[rows[k]], table[rows[k + 1]], table[rows[k + 2]], table[rows[k + 3]]
        r4, r5, r6, r7 = (
            table[rows[k + 4]],
            table[rows[k + 5]],
            table[rows[k + 6]],
            table[rows[k + 7]],
        )
        for m in range(total.size):
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
        row = table[rows[k]]
        for m in range(total.size):
            total[m] += np.uint32(row[m])
        k += 1


@compiled
def _nearest(table, scale, norms, rows, offsets):  # type: ignore[no-untyped-def]
    nearest = np.empty(offsets.size - 1, np.int64)
    total = np.empty(table.shape[1], np.uint32)
    for b in range(offsets.size - 1):
        _sum_rows(table, rows, offsets[b], offsets[b + 1], total)
        best = np.inf
        for m in range(total.size):
            # the response's own norm is common to all and drops out
            squared = norms[m] - 2.0 * scale * total[m]
            if squared < best:
                best = squared
                nearest[b] = m
    return nearest


@compiled
def _nearest_group(table, scale, norms, rows, offsets, own, size, exponent):  # type: ignore[no-untyped-def]
    nearest = np.zeros(offsets.size - 1, np.int64)
    total = np.empty(table.shape[1], np.uint32)
    for b in range(offsets.size - 1):
        _sum_rows(table, rows, offsets[b], offsets[b + 1], total)
        best = np.inf
        for group in range(total.size // size):
            members = range(group * size, (group + 1) * size)
            unit = 1.0
            if exponent != -2.0:  # large powers overflow, unless taken of ratios to the extreme
                unit = np.inf if exponent < 0 else 0.0
                for m in members:
                    squared = max(own[b] + norms[m] - 2.0 * scale * total[m], 1e-12)
                    unit = min(unit, squared) if exponent < 0 else max(unit, squared)
            mean = 0.0
            for m in members:
                squared = max(own[b] + norms[m] - 2.0 * scale * total[m], 1e-12)
                mean += 1.0 / squared if exponent == -2.0 else (squared / unit) ** (0.5 * exponent)
            distance = unit**0.5 * (mean / size) ** (1.0 / exponent)
            if distance < best:
                best = distance
                nearest[b] = group
    return nearest
