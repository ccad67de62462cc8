"""Calibration: responses to distances to a planar map to a frozen `Interface` (Eqs 3-6)."""

from numbers import Integral

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import eigsh

from ndbmi_gym.bank import MAX_RESPONSE_SPIKES
from ndbmi_gym.cortex import Cortex
from ndbmi_gym.interface import Interface
from ndbmi_gym.metric import Metric, gram, influence
from ndbmi_gym.spikes import SpikeTrains
from ndbmi_gym.streams import Source, Streams

FloatArray = npt.NDArray[np.float64]

SCALINGS = ("axis", "isotropic", "sites", "box")
"""Readings of Eq 5, "a factor to make them fit within a box"; see `build_interface`."""


def calibrate(
    cortex: Cortex,
    rng: np.random.Generator,
    repetitions: int = 20,
    half_side_cm: float = 10.0,
    tau_s: float = 0.1,
    theta: float = np.pi / 2,
    exponent: float = -2.0,
    scaling: str = "axis",
) -> Interface:
    """Record K responses to every stimulus and build the interface from them.

    Parameters
    ----------
    cortex : Cortex
    rng : numpy.random.Generator
        Source of the calibration noise: it fixes the animal.
    repetitions : int
        Responses K per stimulus.
    half_side_cm : float
        Half side L of the workspace.
    tau_s, theta : float
        Parameters of the spike-train metric (`ndbmi_gym.metric.Metric`).
    exponent : float
        Power z of the single-point decoder's mean (Eq 8).
    scaling : str
        Reading of Eq 5 (`build_interface`).

    Raises
    ------
    ValueError
        If a parameter is out of range, if it would cost too much (`check_cost`), or if the
        responses have no planar map.
    """
    whole = isinstance(repetitions, Integral) and not isinstance(repetitions, bool)
    if not (whole and repetitions >= 1):
        raise ValueError(
            f"repetitions = {repetitions!r}: give a whole number K >= 1 of responses per stimulus"
        )
    metric = Metric(tau_s, theta, cortex.clock_s)
    size = (cortex.n_stimuli, int(repetitions), cortex.n_electrodes, cortex.n_bins)
    check_cost(*size, cortex.spikes_per_response)
    stimulus = np.repeat(np.arange(cortex.n_stimuli), repetitions)
    # what the package's own draw from one generator is what the animals of every version are
    source: Source = rng if getattr(cortex, "one_stream", False) else Streams.of(rng, len(stimulus))
    trains = cortex.respond(stimulus, None, source).trains
    return build_interface(
        metric, trains, cortex.n_stimuli, cortex.layout, half_side_cm, exponent, scaling
    )


# Measured on one core, calibration and the bank's table together: set 7 takes 2.4 s with K = 20
# (2,560 responses of 180 spikes), 3.5 s with K = 30, and 14 s if every electrode then has 100 more
# spontaneous spikes, which makes 3.9e10 additions for the Gram matrix and 5.8e7 table entries; set
# 6 on a clock of 33 kHz takes 5.5 s for 1.2e8 entries; 4,800 responses of it 2 s and 0.7 GiB. Set 7
# with K = 80 takes 21 s and 1.8 GiB for the calibration, with K = 100 twice that and 2.6 GiB.
MAX_RESPONSES = 12_800
"""M = S·K that is calibrated at most, K = 100 of set 7: the Gram matrix and what is made of it take
2.6 GiB."""

MAX_TABLE_ENTRIES = 300_000_000
"""Entries n·bins·M of the bank's table, two bytes each: 9 s and 0.6 GiB."""

MAX_ADDITIONS = 50_000_000_000
"""Spikes of all responses times their number, the work of the Gram matrix: 12 s."""

MAX_SPIKES = MAX_RESPONSE_SPIKES // 2
"""Spikes that are expected in a response: half of what the bank adds up, as volition comes on top.
"""


def check_cost(
    n_stimuli: int,
    repetitions: int,
    n_electrodes: int,
    n_bins: int,
    spikes_per_response: float,
) -> None:
    """Refuse a calibration that would take more than a minute or 3 GiB, before it begins.

    Parameters
    ----------
    n_stimuli, repetitions : int
        S and K, for M = S·K responses.
    n_electrodes, n_bins : int
        Size of a response.
    spikes_per_response : float
        Expected in the mean over stimuli, on all electrodes together. For Gamma intervals see
        `ndbmi_gym.spikes.mean_renewal_count`.

    Raises
    ------
    ValueError
        If the responses, the entries of the bank's table, the spikes of a response or the
        additions for the Gram matrix are more than the bounds above.
    """
    size = n_stimuli * repetitions
    entries = n_electrodes * n_bins * size
    what = f"calibration with {n_stimuli} stimuli x {repetitions} repetitions"
    if size > MAX_RESPONSES:
        raise ValueError(
            f"{what} needs inner products of {size:,} responses, {8 * size**2 / 2**30:.1f} GiB: "
            f"lower repetitions or stimuli to {MAX_RESPONSES:,} responses or fewer"
        )
    if entries > MAX_TABLE_ENTRIES:
        raise ValueError(
            f"{what} on {n_electrodes} electrodes x {n_bins} ticks needs a table of {entries:,} "
            f"entries, {2 * entries / 2**30:.1f} GiB: lower repetitions or electrodes, shorten the "
            f"window or lengthen the clock's tick, to {MAX_TABLE_ENTRIES:,} or fewer"
        )
    if not spikes_per_response <= MAX_SPIKES:
        raise ValueError(
            f"{spikes_per_response:.3g} spikes are expected in a response: lower the firing rates "
            f"(gain, spontaneous activity), shorten the window or take more regular intervals, to "
            f"{MAX_SPIKES:,} or fewer"
        )
    additions = spikes_per_response * size**2
    if additions > MAX_ADDITIONS:
        raise ValueError(
            f"{what} of {spikes_per_response:.3g} spikes each needs {additions:.2g} additions: "
            f"lower repetitions, stimuli or firing rates, to {MAX_ADDITIONS:.0e} or fewer"
        )


def build_interface(
    metric: Metric,
    trains: SpikeTrains,
    n_stimuli: int,
    layout: FloatArray | None = None,
    half_side_cm: float = 10.0,
    exponent: float = -2.0,
    scaling: str = "axis",
) -> Interface:
    """Build the interface from calibration responses.

    Parameters
    ----------
    metric : Metric
    trains : SpikeTrains
        M = S·K responses, the K of each stimulus side by side.
    n_stimuli : int
        Number of stimuli S.
    layout : ndarray (S, 2), optional
        Planar arrangement of the stimuli, to which the map is turned or mirrored (MDS leaves that
        open). Without it, each axis points to its entry of largest magnitude, in order of
        eigenvalue.
    half_side_cm : float
        Half side L of the workspace.
    exponent : float
        Power z of the single-point decoder's mean (Eq 8).
    scaling : {"axis", "isotropic", "sites", "box"}
        What Eq 5 makes fit the workspace: the responses, by a factor per axis (Table 1 prints two)
        or by one for both; or the calibration sites, by a factor per axis. These keep the centre
        that MDS gives the map, the mean of all responses. ``"box"`` scales like ``"axis"`` and
        centres the responses' bounding box instead, so that two outlying responses shift every
        region.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the responses have no planar map.
    """
    if not (np.isfinite(half_side_cm) and half_side_cm > 0):
        raise ValueError(f"half_side_cm = {half_side_cm!r}: give a half side > 0 cm (default 10)")
    if not (np.isfinite(exponent) and exponent != 0):
        raise ValueError(f"exponent = {exponent!r}: give a finite power other than 0 (default -2)")
    if scaling not in SCALINGS:
        raise ValueError(f"unknown scaling {scaling!r}: choose one of {', '.join(SCALINGS)}")
    if n_stimuli < 1 or not len(trains) or len(trains) % n_stimuli:
        raise ValueError(
            f"{len(trains)} responses do not divide among {n_stimuli} stimuli: give K of each"
        )
    inner = gram(metric, trains)
    plane, axes, offset = planar_map(inner)
    members = np.arange(len(trains)).reshape(n_stimuli, -1)
    turn = orientation(plane[members].mean(axis=1), layout)

    turned = plane @ turn
    extent = np.ptp(turned[members].mean(axis=1) if scaling == "sites" else turned, axis=0)
    if scaling == "isotropic":
        extent = np.full(2, extent.max())
    f_factors = 2 * half_side_cm / extent  # Eq 5
    shift = np.zeros(2)
    if scaling == "box":
        shift = -(turned.max(axis=0) + turned.min(axis=0)) / 2
    points = (turned + shift) * f_factors

    # The map of a new response is affine in its inner products with the M responses (weights
    # `axes`), hence in its spikes: summing the weighted responses once gives each spike its worth.
    weights = np.zeros((trains.n_electrodes * trains.n_bins, 2))
    np.add.at(weights, trains.rows, np.repeat(axes, np.diff(trains.offsets), axis=0))
    per_spike = influence(metric, weights.reshape(trains.n_electrodes, trains.n_bins, 2))
    return Interface(
        metric=metric,
        trains=trains,
        points=points,
        sites=points[members].mean(axis=1),  # Eq 6
        half_side_cm=float(half_side_cm),
        f_factors=f_factors,
        readout=(per_spike.reshape(-1, 2) @ turn) * f_factors,
        readout_offset=(offset @ turn + shift) * f_factors,
        exponent=exponent,
    )


def planar_map(inner: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Classical (Torgerson) MDS of a Gram matrix in the plane, with its out-of-sample formula.

    Parameters
    ----------
    inner : ndarray (M, M)
        Inner products of the responses.

    Returns
    -------
    points : ndarray (M, 2)
        Coordinates, in order of falling eigenvalue.
    axes : ndarray (M, 2)
        A new response with inner products ``k`` (M,) lies at ``k @ axes + offset``.
    offset : ndarray (2,)

    Raises
    ------
    ValueError
        If the responses span no plane.
    """
    size = len(inner)
    row_means = inner.mean(axis=0)
    centred = inner - row_means
    centred -= row_means[:, None]  # in place: with many responses, memory is what limits them
    centred += row_means.mean()
    spread = float(np.trace(centred))
    # an eigenvalue below this is rounding: nothing but equal responses, or responses on a line
    floor = max(1e-9 * spread, 1e-12 * float(np.trace(inner)), 1e-300)
    if size >= 4 and spread > floor:
        # a fixed start vector: by default ARPACK draws one from numpy's global random state
        start = np.cos(np.arange(size))
        values, vectors = eigsh(centred, k=2, which="LA", v0=start, tol=1e-12)
    else:
        values, vectors = np.linalg.eigh(centred)
    order = np.argsort(values)[::-1][:2]
    values, vectors = values[order], vectors[:, order]
    if len(values) < 2 or values[1] <= floor:
        raise ValueError(
            f"{size} calibration responses span no plane (leading eigenvalues {values}): "
            "give responses that differ in at least two directions - more stimuli, trials or spikes"
        )
    axes = vectors / np.sqrt(values)
    return vectors * np.sqrt(values), axes, -row_means @ axes


def orientation(sites: FloatArray, layout: FloatArray | None) -> FloatArray:
    """Orthogonal matrix (2, 2) that turns or mirrors the sites (S, 2) to the layout, or to a rule.

    The leading eigenvalues are nearly equal, so that the eigenvectors of two animals differ by an
    arbitrary rotation: only the unscaled sites as a whole are comparable (orthogonal Procrustes).
    """
    if layout is not None:
        centred = sites - sites.mean(axis=0)
        left, _, right = np.linalg.svd(centred.T @ (layout - layout.mean(axis=0)))
        return np.asarray(left @ right)
    largest = sites[np.abs(sites).argmax(axis=0), [0, 1]]
    return np.diag(np.where(largest < 0, -1.0, 1.0))
