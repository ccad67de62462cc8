"""Fig 12: constant volition (Eq 24) towards four targets, without and with a curl field."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ndbmi_gym.experiments.protocol.conditions import DECODERS, loop_with
from ndbmi_gym.experiments.protocol.runs import (
    BoolArray,
    FloatArray,
    Runs,
    protocol_starts,
    run_protocol,
)
from ndbmi_gym.inversion import command
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.presets import Preset
from ndbmi_gym.streams import experiment_rng

N_TARGETS, N_STARTS = 4, 16

SHIFTED = ("arrived", "unmoved", "shifted", "turn")
"""What `shift_shares` tells of every target."""

_SETTLED = 10
"""Last steps of a run over which the place where it settles is averaged."""


class Volition(NamedTuple):
    """Runs under constant volition in one animal.

    Attributes
    ----------
    loop : ClosedLoop
    targets : ndarray (4, 2)
        cm.
    runs : list of Runs
        16 runs of 50 steps for each target, without stopping.
    """

    loop: ClosedLoop
    targets: FloatArray
    runs: list[Runs]

    @property
    def arrived(self) -> FloatArray:
        """Share of runs that enter each target's region, (4,)."""
        return np.array([runs.convergent.mean() for runs in self.runs])

    @property
    def settled(self) -> FloatArray:
        """Mean place over the last steps of all runs to each target, (4, 2), cm."""
        return np.array([runs.path[-_SETTLED:].mean(axis=(0, 1)) for runs in self.runs])

    @property
    def shifted(self) -> BoolArray:
        """Whether the runs settle nearer to each target than to the field's own, (4,)."""
        settled = self.settled
        off_target = np.linalg.norm(settled - self.targets, axis=1)
        return np.asarray(off_target < np.linalg.norm(settled, axis=1))

    @property
    def turns(self) -> FloatArray:
        """Mean turn of the first steps of the runs to each target, rad, to the left if > 0."""
        return np.array([_turn(runs.path[:6]).mean() for runs in self.runs])


def run_volition(
    preset: Preset,
    animal: int,
    seed: int,
    curl: float = 0.0,
    options: Mapping[str, Any] = MappingProxyType({}),
    low: float = 0.0,
    moved: bool = True,
) -> Volition:
    """Run Fig 12 in one animal.

    Parameters
    ----------
    preset : Preset
    animal, seed : int
    curl : float
        Strength of the curl field (Eq 25), kg/s.
    options : mapping
        Of `ndbmi_gym.config.Config`, on top of the preset.
    low : float
        Least volition in units of full volition, 0 or −1.
    moved : bool
        Without, volition stays zero, with the same targets, starts and noise.
    """
    loop = loop_with(preset, options, "gaussian", DECODERS[0], animal)
    rng, places = (
        experiment_rng(seed, animal, "volition"),
        experiment_rng(seed, animal, "volition starts"),
    )
    return command_runs(preset, loop, rng, places, curl, low, moved)


def shift_shares(moved: Volition, still: Volition) -> dict[str, FloatArray]:
    """`SHIFTED` by target, (4,), of runs under volition and of the same without.

    Share of runs that arrive, and of those that do without volition; whether the runs settle nearer
    to the target than to the field's own; their mean turn, rad.
    """
    found = (moved.arrived, still.arrived, moved.shifted.astype(float), moved.turns)
    return dict(zip(SHIFTED, found, strict=True))


def command_runs(
    preset: Preset,
    loop: ClosedLoop,
    rng: np.random.Generator,
    places: np.random.Generator,
    curl: float = 0.0,
    low: float = 0.0,
    moved: bool = True,
) -> Volition:
    """Run a loop under the constant command towards each of four targets.

    Targets are the calibration points nearest to the diagonals at half the workspace's half side
    (the text draws them from places "onto which one or more of the calibration trials were
    projected"); the command is that of `ndbmi_gym.inversion.command`.

    Parameters
    ----------
    preset : Preset
    loop : ClosedLoop
    rng, places : numpy.random.Generator
        Of responses, and of starts.
    curl : float
        Strength of the curl field (Eq 25), kg/s.
    low : float
        Least volition in units of full volition, 0 or −1.
    moved : bool
        Without, volition stays zero: how many runs pass a target's region by themselves.
    """
    points, most = loop.interface.points, loop.cortex.max_count
    targets, runs = [], []
    for angle in np.pi / 4 + np.arange(N_TARGETS) * 2 * np.pi / N_TARGETS:
        wanted = loop.interface.half_side_cm / 2 * np.array([np.cos(angle), np.sin(angle)])
        target = points[np.linalg.norm(points - wanted, axis=1).argmin()]
        constant = command(loop, target[None], low * most, most)[0] * float(moved)
        starts = protocol_starts(places, loop.interface.half_side_cm, N_STARTS, 1)
        targets.append(target)
        runs.append(
            run_protocol(loop, rng, starts, target, preset.radius_cm, volition=constant, curl=curl)
        )
    return Volition(loop, np.array(targets), runs)


def _turn(path: FloatArray) -> FloatArray:
    """Sum of the angles between successive movements, (B,), rad."""
    moved = np.diff(path, axis=0)
    before, after = moved[:-1], moved[1:]
    cross = before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]
    return np.asarray(np.arctan2(cross, (before * after).sum(axis=-1)).sum(axis=0))
