"""Stimulus sets (Table 1), evoked spike counts (Eq 17) and their degradations (Eqs 18, 20, 21).

Everything here is a pure map between plain arrays: a stimulus set becomes an ``(S, n)`` table of
mean spike counts, a degradation turns one table into another.
"""

from dataclasses import dataclass
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import shown

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StimulusSet:
    """A set of electrical stimuli delivered to a square grid of electrodes.

    Attributes
    ----------
    number : int
        The set's number in Table 1 of Vato et al. 2014.
    grid_side : int
        Electrodes per side of the square grid, spaced by 1; the recording grid is the same.
    sigma : float
        Spread of the evoked response in inter-electrode distances (Eq 17).
    patterns : tuple of (sites, height)
        For each stimulus the stimulated electrodes, by index into `electrode_grid`, and the
        height of the response in spikes per trial.
    printed_f_factors : (float, float)
        The two f factors (Eq 5) that Table 1 prints for this set.
    """

    number: int
    grid_side: int
    sigma: float
    patterns: tuple[tuple[tuple[int, ...], float], ...]
    printed_f_factors: tuple[float, float]

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli S."""
        return len(self.patterns)

    @property
    def max_height(self) -> float:
        """Largest response height of the set, spikes per trial."""
        return max(height for _, height in self.patterns)

    def layout(self) -> FloatArray:
        """Where each stimulus lies, as electrode offset times height, (S, 2).

        A stimulus on several sites lies at the mean of its sites. This is the orientation that
        the calibrated map is turned to (`ndbmi_gym.calibration`).
        """
        grid = electrode_grid(self.grid_side)
        offset = grid - grid.mean(axis=0)
        return np.array([h * offset[list(sites)].mean(axis=0) for sites, h in self.patterns])


def electrode_grid(side: int) -> FloatArray:
    """Coordinates of a square electrode grid of spacing 1, (side², 2), first axis slowest."""
    return np.array(list(product(range(side), repeat=2)), dtype=float)


def perimeter(side: int) -> tuple[int, ...]:
    """Electrodes on the perimeter of the grid, in order of their angle around its centre."""
    offset = electrode_grid(side) - (side - 1) / 2
    on_edge = np.flatnonzero(np.abs(offset).max(axis=1) == (side - 1) / 2)
    angle = np.arctan2(offset[on_edge, 1], offset[on_edge, 0])
    return tuple(int(e) for e in on_edge[np.argsort(angle)])


def _stimulus_set(
    number: int,
    grid_side: int,
    sigma: float,
    heights: tuple[float, ...],
    printed_f_factors: tuple[float, float],
    pairs: bool = False,
) -> StimulusSet:
    ring = perimeter(grid_side)
    places: list[tuple[int, ...]] = [(site,) for site in ring]
    if pairs:
        places += [(site, ring[(i + 1) % len(ring)]) for i, site in enumerate(ring)]
    patterns = tuple((place, height) for height in heights for place in places)
    return StimulusSet(number, grid_side, sigma, patterns, printed_f_factors)


STIMULUS_SETS: dict[int, StimulusSet] = {
    s.number: s
    for s in (
        _stimulus_set(1, 2, 0.5, (5,), (35.24, 37.85)),
        _stimulus_set(2, 2, 0.5, (2, 5, 8), (21.61, 27.54)),
        _stimulus_set(3, 2, 0.5, (5,), (23.08, 21.66), pairs=True),
        _stimulus_set(4, 2, 0.5, (2, 5, 8), (15.79, 19.70), pairs=True),
        _stimulus_set(5, 2, 0.5, (5, 10), (8.27, 6.85)),
        _stimulus_set(6, 3, 1.0, (10, 20, 30, 40), (2.94, 2.85)),
        _stimulus_set(7, 5, 1.0, tuple(range(10, 81, 10)), (1.25, 1.31)),
    )
}
"""The seven stimulus sets of Table 1, by number."""


def stimulus_set(number: int) -> StimulusSet:
    """Return a stimulus set of Table 1.

    Raises
    ------
    ValueError
        If there is no set of that number.
    """
    if not _is_whole(number) or int(number) not in STIMULUS_SETS:
        raise ValueError(
            f"unknown dataset {number!r}: Table 1 has the stimulus sets "
            f"{', '.join(map(str, STIMULUS_SETS))}; pass one of these integers"
        )
    return STIMULUS_SETS[int(number)]


def _is_whole(number: Any) -> bool:
    """Whether it is a whole number of any integer type; a boolean or a float is none."""
    return isinstance(number, Integral) and not isinstance(number, bool)


def evoked_counts(stimuli: StimulusSet, spontaneous: float = 0.0) -> FloatArray:
    """Mean spike count of every electrode for every stimulus (Eq 17).

    A stimulus on several sites evokes the sum of the sites' responses.

    Parameters
    ----------
    stimuli : StimulusSet
    spontaneous : float
        Spikes per trial that every electrode adds irrespective of the stimulus.

    Returns
    -------
    ndarray (S, n)
        Spikes per trial.
    """
    if not (np.isfinite(spontaneous) and spontaneous >= 0):
        raise ValueError(
            f"spontaneous = {spontaneous!r}: give a finite count >= 0 spikes per trial"
        )
    grid = electrode_grid(stimuli.grid_side)
    squared = ((grid[:, None] - grid[None]) ** 2).sum(axis=-1)
    spread = np.exp(-squared / (2 * stimuli.sigma**2))  # (site, electrode)
    return np.array([h * spread[list(sites)].sum(axis=0) for sites, h in stimuli.patterns]) + (
        spontaneous
    )


def flatten(counts: FloatArray, alpha: float) -> FloatArray:
    """Flatten the tuning of every electrode (Eq 18): (1 − α)·N + α·(mean of N over stimuli).

    Parameters
    ----------
    counts : ndarray (S, n)
    alpha : float
        0 leaves the tuning, 1 removes it.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha = {alpha!r}: flattening takes a share within [0, 1]")
    return (1 - alpha) * counts + alpha * counts.mean(axis=0)


def misplace_electrode(counts: FloatArray, electrode: int) -> FloatArray:
    """Make one recording electrode uninformative (Eq 20): it gets the grand mean throughout."""
    if not (_is_whole(electrode) and 0 <= electrode < counts.shape[1]):
        raise ValueError(
            f"electrode {shown(electrode)}: this table has the electrodes 0 to "
            f"{counts.shape[1] - 1}, give one of them"
        )
    degraded = counts.copy()
    degraded[:, electrode] = counts.mean()
    return degraded


def lose_site(counts: FloatArray, stimuli: StimulusSet, site: int) -> FloatArray:
    """Make one stimulation site ineffective (Eq 21).

    Every stimulus that uses the site gets the grand mean on all electrodes.
    """
    hit = [_is_whole(site) and site in sites for sites, _ in stimuli.patterns]
    if not any(hit):
        used = sorted({e for sites, _ in stimuli.patterns for e in sites})
        raise ValueError(
            f"site {shown(site)} is stimulated by no pattern: the sites in use are {used}, give "
            "one of them"
        )
    degraded = counts.copy()
    degraded[hit] = counts.mean()
    return degraded
