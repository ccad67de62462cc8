"""Fig 4: whether a calibrated map shows electrodes as angles and intensities as radii."""

from typing import NamedTuple

import numpy as np

from ndbmi_gym.config import Config
from ndbmi_gym.experiments.protocol.runs import FloatArray
from ndbmi_gym.interface import Interface
from ndbmi_gym.presets import Preset
from ndbmi_gym.stimuli import perimeter, stimulus_set


class Geometry(NamedTuple):
    """What the map of a stimulus set in one animal looks like.

    Attributes
    ----------
    clustered : float
        Share of calibration responses that lie nearest to the site of their own stimulus.
    angle_kept : float
        Share of the single-electrode sites that lie, in angle, nearest to their own electrode.
    radius_rises : float
        Share of pairs of neighbouring intensities in which the stronger lies farther out; 1 where
        there is one intensity.
    pair_between : float
        Share of electrode pairs whose site lies, in angle, between those of its two electrodes; 1
        where there are no pairs.
    skew : float
        How far the lines through opposite electrodes' sites at the highest intensity are from
        being orthogonal, degrees; of the first two such lines, if there are more.
    f_factors : ndarray (2,)
        Of Eq 5, cm per unit of distance.
    """

    clustered: float
    angle_kept: float
    radius_rises: float
    pair_between: float
    skew: float
    f_factors: FloatArray


def make_interface(preset: Preset, dataset: int, animal: int) -> Interface:
    """The interface of an animal for a stimulus set."""
    options = {**preset.options(), **preset.stimuli(dataset)}
    return Config.of(**options).make_loop(animal).interface


def map_geometry(interface: Interface, dataset: int) -> Geometry:
    """Measure the map of a stimulus set."""
    stimuli = stimulus_set(dataset)
    layout, sites = stimuli.layout(), interface.sites
    own = np.repeat(np.arange(interface.n_stimuli), interface.n_repetitions)
    clustered = float((interface.sense(interface.points) == own).mean())

    index = {pattern: s for s, pattern in enumerate(stimuli.patterns)}
    single = [s for (places, _), s in index.items() if len(places) == 1]
    apart = 2 * np.pi / len(perimeter(stimuli.grid_side))
    angle_kept = float((np.abs(_angle(sites[single], layout[single])) < apart / 2).mean())

    heights = sorted({height for _, height in stimuli.patterns})
    rises, between = [], []
    for (places, height), s in index.items():
        higher = heights[heights.index(height) + 1 :]
        if higher:
            stronger = index[places, higher[0]]
            rises.append(np.linalg.norm(sites[stronger]) > np.linalg.norm(sites[s]))
        if len(places) == 2:
            first, second = (sites[index[(place,), height]] for place in places)
            to_first, to_second = _angle(sites[s], first), _angle(sites[s], second)
            sides = to_first * to_second < 0
            between.append(sides and abs(to_first) + abs(to_second) < np.pi)
    return Geometry(
        clustered,
        angle_kept,
        float(np.mean(rises)) if rises else 1.0,
        float(np.mean(between)) if between else 1.0,
        _skew(sites, index, perimeter(stimuli.grid_side), heights[-1]),
        interface.f_factors,
    )


def _skew(
    sites: FloatArray,
    index: dict[tuple[tuple[int, ...], float], int],
    ring: tuple[int, ...],
    height: float,
) -> float:
    half, quarter = len(ring) // 2, len(ring) // 4
    first, second = (
        sites[index[(ring[i + half],), height]] - sites[index[(ring[i],), height]]
        for i in (0, quarter)
    )
    return abs(90.0 - abs(float(np.degrees(_angle(second, first)))))


def _angle(a: FloatArray, b: FloatArray) -> FloatArray:
    """Signed angle from b to a, (...,), rad."""
    cross = b[..., 0] * a[..., 1] - b[..., 1] * a[..., 0]
    return np.asarray(np.arctan2(cross, (a * b).sum(axis=-1)))


def f_factor_residuals(f_factors: dict[int, FloatArray]) -> dict[int, float]:
    """How far the f factors of every set are from those that Table 1 prints, as log ratios.

    The unit of length is lost, and the text says that sets 1-4 differ slightly from the others, so
    only ratios within sets 1-4 and within sets 5-7 are compared; each set's two factors are
    averaged.

    Parameters
    ----------
    f_factors : dict of int to ndarray (2,)
        By stimulus set.
    """
    off = {
        n: float(np.mean(np.log(f)) - np.mean(np.log(stimulus_set(n).printed_f_factors)))
        for n, f in f_factors.items()
    }
    residuals: dict[int, float] = {}
    for family in ((1, 2, 3, 4), (5, 6, 7)):
        members = {n: off[n] for n in family if n in off}
        residuals |= {n: m - float(np.mean(list(members.values()))) for n, m in members.items()}
    return residuals


def f_factor_misfit(f_factors: dict[int, FloatArray]) -> float:
    """Root mean square of `f_factor_residuals`."""
    return float(np.sqrt(np.mean(np.square(list(f_factor_residuals(f_factors).values())))))
