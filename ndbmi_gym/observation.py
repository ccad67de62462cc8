"""What an agent sees: the layout of an observation, its units, its bounds, and its values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import choice, flag, settle
from ndbmi_gym.compiled import compiled
from ndbmi_gym.fields import max_force
from ndbmi_gym.loop import ClosedLoop, Signals
from ndbmi_gym.perturbations import Force, Perturbation, speeds_up
from ndbmi_gym.plants import Column, Device

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Seen = npt.NDArray[np.float32]

OBSERVATIONS = ("neural", "state", "full")

_HUGE = float(np.finfo(np.float32).max)
_TINY = 1e-30  # what is as small is no unit
_PARTS = ("counts", "position", "velocity", "action", "target", "curl", "push")
_COUNTS, _POSITION, _VELOCITY, _ACTION, _TARGET, _CURL, _PUSH = range(len(_PARTS))

# plain numbers: members of an enumeration take longer to compile
_X, _VX, _CURL_COLUMN, _PUSH_X = map(int, (Column.X, Column.VX, Force.CURL, Force.PUSH_X))


@dataclass(frozen=True)
class Observation:
    """What the agent sees.

    Attributes
    ----------
    observe : {"neural", "state", "full"}
        What the interface tells the brain, the state of the device, or both.
    observe_perturbation : bool
        Append the trial's curl strength and constant force to the observation.
    """

    observe: str = choice("neural", OBSERVATIONS, "what the interface tells, the state, or both")
    observe_perturbation: bool = flag(False, "whether curl and push are seen, too")

    def __post_init__(self) -> None:
        settle(self)


class Layout(NamedTuple):
    """Where each quantity stands in an observation, and in what unit.

    Attributes
    ----------
    columns : dict
        Slice of each quantity that is observed.
    scales : dict
        Unit of each quantity.
    bounds : ndarray of float32 (2, d)
        Low and high of an observation.
    starts : ndarray of int (7,)
        Where each quantity begins; −1 if it is not observed.
    factors : ndarray (7,)
        1 over its unit.
    width : int
        Entries of an observation.
    most_push : float
        Largest push for which the bounds hold, kg·cm/s².
    """

    columns: dict[str, slice]
    scales: dict[str, float]
    bounds: Seen
    starts: IntArray
    factors: FloatArray
    width: int
    most_push: float

    def observe(
        self, signals: Signals, device: Device, action: FloatArray, target: FloatArray
    ) -> Seen:
        """Observations of B trials, (B, d), freshly made."""
        seen = np.empty((len(action), self.width), np.float32)
        made_of = (self.starts, self.factors, signals.counts, *device, action, target)
        show(seen, *made_of, 0, len(seen))
        return seen

    def without_target(self, seen: Seen) -> Seen:
        """Observations (..., d) less the target, which goal environments tell apart, (..., d − 2).

        Parameters
        ----------
        seen : ndarray (..., d)
        """
        return np.delete(seen, self.columns["target"], axis=-1)

    def with_target(self, seen: Seen, target: FloatArray) -> Seen:
        """Observations (..., d) of what `without_target` left, and of targets.

        Parameters
        ----------
        seen : ndarray (..., d − 2)
        target : ndarray (..., 2)
            cm.
        """
        at = self.columns["target"].start
        shown = (np.asarray(target, float) * self.factors[_TARGET]).astype(np.float32)
        return np.concatenate([seen[..., :at], shown, seen[..., at:]], axis=-1)

    @property
    def _bounds_velocity(self) -> bool:
        """Whether the velocity is observed and has a bound: not without drag, nor under a law."""
        seen = self.columns.get("velocity")
        return seen is not None and bool((self.bounds[1, seen] < _HUGE).all())

    def refuse(self, perturbation: Perturbation, pools: Sequence[FloatArray]) -> None:
        """Raise ValueError if what trials are to have would leave these bounds."""
        if self._bounds_velocity and speeds_up(perturbation):
            raise ValueError(
                "the observed velocity is bounded for curl and pushes, and spring, viscous or "
                "channel know no bound: make the environment with one of them"
            )
        most = np.abs(perturbation.ranges()).max(axis=1)
        push = float(np.hypot(*most[Force.PUSH_X :]))
        if self._bounds_velocity and push > self.most_push:
            raise ValueError(
                f"push of {push:g} kg·cm/s²: the observed velocity is bounded for at most "
                f"{self.most_push:g}; make the environment with the largest push that "
                "is to come"
            )
        if "curl" in self.columns:
            limits = self.scales["curl"], self.scales["push"]
            if most[Force.CURL] > limits[0] or most[Force.PUSH_X :].max() > limits[1]:
                raise ValueError(
                    f"curl {most[Force.CURL]:g}, push {most[Force.PUSH_X :].max():g}: the observed "
                    f"ones are at most {limits[0]:g} and {limits[1]:g}; make the environment with "
                    "the largest that are to come"
                )
        far = max(float(np.abs(pool).max()) for pool in pools) / self.scales["target"]
        if far > self.bounds[1, self.columns["target"]].max() * (1 + 1e-6):
            raise ValueError(
                f"a target lies {far * self.scales['target']:.2f} cm out: the observation reaches "
                f"to {self.bounds[1, self.columns['target']].max() * self.scales['target']:.2f}; "
                "make the environment with the widest targets that are to come"
            )


def lay_out(
    observation: Observation,
    loops: Sequence[ClosedLoop],
    perturbation: Perturbation,
    pools: Sequence[FloatArray],
    max_count: float,
    low: float,
    noise_cm: float = 0.0,
) -> Layout:
    """Fix which quantities are observed, their units and bounds that hold.

    Parameters
    ----------
    observation : Observation
    loops : sequence of ClosedLoop
        Of every animal.
    perturbation : Perturbation
    pools : sequence of ndarray (M, 2)
        Targets with each loop, cm.
    max_count : float
        Volitional spikes per window for an action entry of 1.
    low : float
        Lower end of the action box.
    noise_cm : float
        Bound of the noise in the observed position.
    """
    loop = loops[0]
    n, plant, half_side = loop.cortex.n_electrodes, loop.plant, loop.interface.half_side_cm
    neural, state = observation.observe != "state", observation.observe != "neural"
    perturbed = observation.observe_perturbation
    curl, *push = np.abs(perturbation.ranges()).max(axis=1)
    most_counts = max(each.cortex.count_bound(max_count) for each in loops)

    # The scale of speeds is what the workspace commands; a decoded point may lie beyond it.
    interfaces = [each.interface for each in loops]
    corner = half_side * 2**0.5
    farthest = max(float(np.linalg.norm(each.points, axis=1).max()) for each in interfaces)
    if loop.decoder == "projection":
        per_spike = max(float(np.abs(each.readout).max()) for each in interfaces)
        offset = max(float(np.abs(each.readout_offset).max()) for each in interfaces)
        farthest = 2 * (offset + most_counts * n * per_spike)
    extra = float(np.hypot(*push))
    usual = max(max_force(each.field, corner) for each in loops) + extra
    most = max(max_force(each.field, max(corner, farthest)) for each in loops) + extra
    speed, speed_bound = plant.max_speed(usual), _HUGE
    if np.isfinite(speed) and speed > _TINY:
        if not speeds_up(perturbation):
            speed_bound = most / usual
    else:
        speed = half_side / plant.step_s

    # trials may start beyond a wall within the workspace, and are put on it when they move
    wall = min(max(plant.reach_cm / half_side, 1.0) + noise_cm / half_side, _HUGE)
    far_target = max(1.0, *(float(np.abs(pool).max()) / half_side for pool in pools))
    # observed, entries, scale, low, high; bounds in scaled units
    parts = (
        (neural, n, max_count, 0.0, most_counts / max_count),
        (state, 2, half_side, -wall, wall),
        (state, 2, speed, -speed_bound, speed_bound),
        (True, n, 1.0, low, 1.0),
        (True, 2, half_side, -far_target, far_target),
        (perturbed, 1, curl if curl > _TINY else 1.0, -1.0, 1.0),
        (perturbed, 2, max(push) if max(push) > _TINY else 1.0, -1.0, 1.0),
    )
    columns: dict[str, slice] = {}
    lows, highs, starts, at = [], [], [], 0
    for name, (observed, entries, _, least, top) in zip(_PARTS, parts, strict=True):
        starts.append(at if observed else -1)
        if observed:
            columns[name] = slice(at, at + entries)
            lows += [least] * entries
            highs += [top] * entries
            at += entries
    scales = [part[2] for part in parts]
    return Layout(
        columns=columns,
        scales=dict(zip(_PARTS, scales, strict=True)),
        bounds=np.array([lows, highs], np.float32),
        starts=np.array(starts),
        factors=1 / np.array(scales),
        width=at,
        most_push=extra,
    )


@compiled
def show(seen, starts, factors, counts, device, forces, action, target, first, last):  # type: ignore[no-untyped-def]
    """Write the observations of trials.

    Parameters
    ----------
    seen : ndarray of float32 (B, d)
    starts, factors : ndarray (7,)
        Of the `Layout`.
    counts : ndarray of int64 (B, 2n)
        Evoked and volitional spikes.
    device : ndarray (B, 7 or more)
        The columns of `ndbmi_gym.plants.Column`.
    forces : ndarray (B, 17)
        The columns of `ndbmi_gym.perturbations.Force`.
    action : ndarray (B, n)
    target : ndarray (B, 2)
        cm.
    first, last : int
        Trials from `first` to before `last`.
    """
    n = action.shape[1]
    for b in range(first, last):
        row = seen[b]
        if starts[_COUNTS] >= 0:
            for u in range(n):
                row[starts[_COUNTS] + u] = (counts[b, u] + counts[b, n + u]) * factors[_COUNTS]
        for u in range(n):
            row[starts[_ACTION] + u] = action[b, u]
        for d in range(2):
            if starts[_POSITION] >= 0:
                row[starts[_POSITION] + d] = device[b, _X + d] * factors[_POSITION]
                row[starts[_VELOCITY] + d] = device[b, _VX + d] * factors[_VELOCITY]
            row[starts[_TARGET] + d] = target[b, d] * factors[_TARGET]
            if starts[_PUSH] >= 0:
                row[starts[_PUSH] + d] = forces[b, _PUSH_X + d] * factors[_PUSH]
        if starts[_CURL] >= 0:
            row[starts[_CURL]] = forces[b, _CURL_COLUMN] * factors[_CURL]
