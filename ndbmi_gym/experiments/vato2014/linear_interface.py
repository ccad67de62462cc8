"""The earlier linear interface, for invertible fields only: what the non-linear one is compared to.

Vato et al. 2014 say of it: recorded activity is mapped linearly to a force vector; the domain of
the applicable forces is defined first; then the force that each stimulus produces in calibration is
mapped to the place where that force is to be applied. Force goes back to position there, so the
desired field must be invertible.

Reconstructed from that description:

- Activity is the spike count of every electrode in bins of the recording window.
- Domain of forces: the mean responses to the S stimuli, in the plane of their first two principal
  components, are scaled by axis to just fit the workspace, and sent to forces by the affine map
  nearest to the desired field there (the field itself where it is linear).
- Motor side: linear least squares from the counts of single responses to the forces so assigned to
  their stimuli.
- Sensory side: the site of a stimulus is where the desired field equals the mean of the forces that
  its calibration responses decode to; a position belongs to the nearest site.

References
----------
Vato et al. 2012, PLoS Comput Biol 8(7):e1002578, as described in Vato et al. 2014, Introduction and
Discussion.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares, root

from ndbmi_gym.calibration import orientation, planar_map
from ndbmi_gym.cortex import Cortex, Response
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
    IntArray,
)
from ndbmi_gym.fields import Field, check_field
from ndbmi_gym.plants import Device, Plant
from ndbmi_gym.spikes import SpikeTrains
from ndbmi_gym.streams import Source

_NODES = 201
"""Nodes per side of the grid on which a field is examined."""


@dataclass(frozen=True)
class LinearInterface:
    """A frozen linear map from responses to forces, and the places that its forces belong to.

    Attributes
    ----------
    weights : ndarray (n * n_count_bins, 2)
        Force per spike, kg·cm/s², by electrode and count bin.
    offset : ndarray (2,)
        Force of a silent response, kg·cm/s².
    sites : ndarray (S, 2)
        Where the desired field equals the mean force of each stimulus, cm.
    half_side_cm : float
        Half side L of the workspace.
    n_count_bins : int
        Bins of the recording window in which spikes are counted.
    n_bins : int
        Clock ticks of the recording window.
    """

    weights: FloatArray
    offset: FloatArray
    sites: FloatArray
    half_side_cm: float
    n_count_bins: int
    n_bins: int

    def __post_init__(self) -> None:
        for array in (self.weights, self.offset, self.sites):
            array.setflags(write=False)

    def sense(self, position: FloatArray) -> IntArray:
        """Stimulus whose site is nearest to each position, (B, 2) to (B,)."""
        squared = ((position[:, None] - self.sites) ** 2).sum(axis=-1)
        return np.asarray(squared.argmin(axis=1))

    def force(self, trains: SpikeTrains) -> FloatArray:
        """Force that each response decodes to, (B, 2), kg·cm/s².

        Raises
        ------
        ValueError
            If the responses are of other electrodes or another window than in calibration.
        """
        n_electrodes = len(self.weights) // self.n_count_bins
        if (trains.n_electrodes, trains.n_bins) != (n_electrodes, self.n_bins):
            raise ValueError(
                f"responses of {trains.n_electrodes} electrodes and {trains.n_bins} ticks, "
                f"calibrated with {n_electrodes} and {self.n_bins}: record as in calibration, "
                "or calibrate again"
            )
        return binned_counts(trains, self.n_count_bins) @ self.weights + self.offset


def calibrate_linear(
    cortex: Cortex,
    field: Field,
    rng: np.random.Generator,
    repetitions: int = 20,
    half_side_cm: float = 10.0,
    n_count_bins: int = 6,
    check: bool = True,
) -> LinearInterface:
    """Record K responses to every stimulus and build the linear interface from them.

    Parameters
    ----------
    cortex : Cortex
    field : Field
        Desired force field, invertible on the workspace.
    rng : numpy.random.Generator
        Source of the calibration noise.
    repetitions : int
        Responses K per stimulus.
    half_side_cm : float
        Half side L of the workspace.
    n_count_bins : int
        Bins of the recording window in which spikes are counted.
    check : bool
        Without, a field that has no inverse is not refused: of the places where it has a stimulus'
        force, one is taken that a search from the nearest node of a grid finds.

    Raises
    ------
    ValueError
        If the field is checked and has no inverse on the workspace, a parameter is out of range,
        there are too few responses for a fit, or they span no plane.
    """
    if check:
        check_invertible(field, half_side_cm)
    for name, value in (("repetitions", repetitions), ("n_count_bins", n_count_bins)):
        if not (isinstance(value, int | np.integer) and value >= 1):
            raise ValueError(f"{name} = {value!r}: give a whole number >= 1")
    n_responses, n_weights = cortex.n_stimuli * repetitions, cortex.n_electrodes * n_count_bins + 1
    if n_responses < n_weights:
        raise ValueError(
            f"{n_responses} calibration responses cannot fix {n_weights} weights per axis of "
            "force: raise repetitions or lower n_count_bins"
        )
    stimulus = np.repeat(np.arange(cortex.n_stimuli), repetitions)
    trains = cortex.respond(stimulus, None, rng).trains
    counts = binned_counts(trains, n_count_bins)
    means = counts.reshape(cortex.n_stimuli, repetitions, -1).mean(axis=1)

    # principal components are classical MDS of the means, which leaves the same turn open
    plane, _, _ = planar_map(means @ means.T)
    plane = plane @ orientation(plane, cortex.layout)
    places = plane * (half_side_cm / np.abs(plane).max(axis=0))
    nodes = _grid(half_side_cm).reshape(-1, 2)
    nearest_affine = np.linalg.lstsq(_with_one(nodes), check_field(field, nodes))[0]
    wanted = _with_one(places) @ nearest_affine

    fitted = np.asarray(np.linalg.lstsq(_with_one(counts), wanted[stimulus])[0], dtype=np.float64)
    forces = _with_one(means) @ fitted
    return LinearInterface(
        weights=fitted[:-1],
        offset=fitted[-1],
        sites=invert_field(field, forces, half_side_cm, check=False),
        half_side_cm=float(half_side_cm),
        n_count_bins=int(n_count_bins),
        n_bins=cortex.n_bins,
    )


def binned_counts(trains: SpikeTrains, n_count_bins: int) -> FloatArray:
    """Spikes of every electrode in equal parts of the window, (B, n * n_count_bins).

    Raises
    ------
    ValueError
        If the window has fewer ticks than parts.
    """
    if not 1 <= n_count_bins <= trains.n_bins:
        raise ValueError(
            f"n_count_bins = {n_count_bins!r}: the window has {trains.n_bins} ticks, give a whole "
            "number from 1 to that"
        )
    unit, tick = np.divmod(trains.rows.astype(np.int64), trains.n_bins)
    column = unit * n_count_bins + tick * n_count_bins // trains.n_bins
    response = np.repeat(np.arange(len(trains)), np.diff(trains.offsets))
    width = trains.n_electrodes * n_count_bins
    flat = np.bincount(response * width + column, minlength=len(trains) * width)
    return flat.reshape(-1, width).astype(float)


def check_invertible(field: Field, half_side_cm: float = 10.0) -> None:
    """Check that a field takes no force twice on the workspace [−L, L]².

    The field is examined as a map that is linear on the triangles of a fine grid. If all triangles
    keep their sense of rotation (the Jacobian determinant keeps its sign), a force is taken as
    often as the image of the border winds around it; if that image does not meet itself, that is
    once at most. Folds much smaller than a cell of the grid (1/200 of the workspace's side) go
    unseen.

    Raises
    ------
    ValueError
        If the field has no inverse on the workspace, or returns a wrong shape or values that are
        not finite; or if the half side is out of range.
    """
    if not (np.isfinite(half_side_cm) and half_side_cm > 0):
        raise ValueError(f"half_side_cm = {half_side_cm!r}: give a half side > 0 cm (default 10)")
    nodes = _grid(half_side_cm)
    forces = check_field(field, nodes)
    problem = _fold(nodes, forces) or _self_contact(_border(nodes), _border(forces))
    if problem:
        raise ValueError(
            f"the field has no inverse on the workspace of half side {half_side_cm} cm: {problem}. "
            "The linear interface needs a field that takes every force once: give another (a "
            "LinearField with a regular matrix), a smaller half_side_cm, or use the non-linear "
            "interface"
        )


def invert_field(
    field: Field, forces: npt.ArrayLike, half_side_cm: float = 10.0, check: bool = True
) -> FloatArray:
    """Places of the workspace at which a field has given forces.

    Parameters
    ----------
    field : Field
    forces : array_like (S, 2)
        kg·cm/s².
    half_side_cm : float
        Half side L of the workspace.
    check : bool
        Without, a field that has no inverse is not refused (`calibrate_linear`).

    Returns
    -------
    ndarray (S, 2)
        Places in [−L, L]², cm. A force that the field takes nowhere in the workspace gets the place
        with the force nearest to it.

    Raises
    ------
    ValueError
        If the field is checked and has no inverse on the workspace, or a force is not finite.
    """
    if check:
        check_invertible(field, half_side_cm)
    forces = np.asarray(forces, dtype=float)
    if forces.ndim != 2 or forces.shape[1] != 2 or not np.isfinite(forces).all():
        raise ValueError(f"forces of shape {forces.shape}: give finite forces of shape (S, 2)")
    nodes = _grid(half_side_cm).reshape(-1, 2)
    at_nodes = check_field(field, nodes)
    places = np.empty_like(forces)
    for s, force in enumerate(forces):
        start = nodes[((at_nodes - force) ** 2).sum(axis=1).argmin()]

        def excess(place: FloatArray, force: FloatArray = force) -> FloatArray:
            return check_field(field, place) - force

        found = root(excess, start, tol=1e-13)
        accurate = np.linalg.norm(found.fun) <= 1e-9 * np.abs(at_nodes).max()
        if accurate and np.abs(found.x).max() <= half_side_cm * (1 + 1e-9):
            places[s] = np.clip(found.x, -half_side_cm, half_side_cm)
        else:  # the force lies beyond the workspace's, or the way to it does
            inner = np.clip(start, -half_side_cm * (1 - 1e-6), half_side_cm * (1 - 1e-6))
            bounds = (-half_side_cm, half_side_cm)
            options = {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12}
            places[s] = least_squares(excess, inner, bounds=bounds, **options).x
    return places


@dataclass(frozen=True)
class LinearLoop:
    """The loop that the linear interface closes, as `ndbmi_gym.loop.ClosedLoop` is run.

    Attributes
    ----------
    cortex : Cortex
    interface : LinearInterface
    plant : Plant
    """

    cortex: Cortex
    interface: LinearInterface
    plant: Plant

    def step(
        self,
        state: Device,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
    ) -> tuple[Device, Response]:
        """Run the loop once in each trial; returns the new state and the response."""
        stimulus = self.interface.sense(state.position)
        response = self.cortex.respond(stimulus, volition, rng, activity)
        return self.plant.advance(state, self.interface.force(response.trains)), response


def _with_one(rows: FloatArray) -> FloatArray:
    return np.column_stack((rows, np.ones(len(rows))))


def _grid(half_side_cm: float) -> FloatArray:
    """Nodes of the workspace, (201, 201, 2), cm: x rises along the first axis."""
    axis = np.linspace(-half_side_cm, half_side_cm, _NODES)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)


def _border(values: FloatArray) -> FloatArray:
    """Values (n, n, 2) at the grid's outer nodes in order around it, (4n − 4, 2)."""
    return np.concatenate((values[:-1, 0], values[-1, :-1], values[:0:-1, -1], values[0, :0:-1]))


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _fold(nodes: FloatArray, forces: FloatArray) -> str:
    """Where triangles of the grid are turned over or flattened; empty if none is."""
    corner, right = forces[:-1, :-1], forces[1:, :-1]
    top, across = forces[:-1, 1:], forces[1:, 1:]
    areas = np.stack(
        (_cross(right - corner, across - corner), _cross(across - corner, top - corner))
    )
    longest = max(np.ptp(forces[..., 0]), np.ptp(forces[..., 1])) / (_NODES - 1)
    areas = areas * (1.0 if areas.sum() > 0 else -1.0)
    flat = areas <= 1e-10 * longest**2  # below this an area is rounding
    if not flat.any():
        return ""
    where = nodes[:-1, :-1][flat.any(axis=0)][0]
    return (
        f"its Jacobian determinant vanishes or changes sign near ({where[0]:.1f}, {where[1]:.1f}) "
        "cm, so that places next to each other have the same force"
    )


def _self_contact(places: FloatArray, forces: FloatArray) -> str:
    """Where the image of the border meets itself; empty if it does not.

    Parameters
    ----------
    places, forces : ndarray (N, 2)
        Nodes of the border in order around it, and their images.
    """
    ends = np.roll(forces, -1, axis=0)
    along = ends - forces
    # side[i, j]: on which side of segment i (its whole line) segment j begins; likewise its end
    begins = _cross(along[:, None], forces[None] - forces[:, None])
    finishes = _cross(along[:, None], ends[None] - forces[:, None])
    straddles = begins * finishes <= 0
    crosses = straddles & straddles.T
    size = len(forces)
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    crosses &= (apart > 1) & (apart < size - 1)  # neighbours share a node
    # segments of one straight line straddle it throughout: those meet only if their extents do
    low, high = np.minimum(forces, ends), np.maximum(forces, ends)
    crosses &= ((low[:, None] <= high) & (low <= high[:, None])).all(axis=-1)
    if not crosses.any():
        return ""
    i, j = np.argwhere(crosses)[0]
    (a, b), (c, d) = places[i], places[j]
    return f"the places ({a:.1f}, {b:.1f}) and ({c:.1f}, {d:.1f}) cm have the same force"
