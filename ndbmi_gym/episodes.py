"""B trials of a task in the closed loop: what an agent sees, does and earns.

Both environment classes are skins over `Episodes`, the scalar one with B = 1. Trials begin and end
apart from each other; all draw from the one generator that is handed in.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ndbmi_gym.config import Config
from ndbmi_gym.fields import max_force, target_of
from ndbmi_gym.loop import ClosedLoop, Signals
from ndbmi_gym.plant import Device
from ndbmi_gym.tasks import Outcome

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Observation = npt.NDArray[np.float32]

_KNOWN_AT_START = np.isin(np.arange(Outcome.COLUMNS), (Outcome.DISTANCE, Outcome.INSIDE)).astype(
    float
)


class Episodes:
    """A batch of trials, stepped together.

    Parameters
    ----------
    config : Config
    n_trials : int
        B.

    Attributes
    ----------
    loops : tuple of ClosedLoop
        One per animal.
    task : Task
    state : Device
        State of the B point masses.
    signals : Signals
        What last passed through the loop.
    outcome : Outcome
        Judgement of the last step.
    draw : Draw
        Distribution of the perturbations over trials.
    target : ndarray (B, 2)
        cm.
    action : ndarray (B, n)
        Last action, within the box.
    animal : ndarray of int (B,)
        Index into `loops`.
    n_electrodes : int
        Recording electrodes n, the length of an action.
    max_rate_hz, max_count : float
        Volitional firing rate, and spikes per window, for an action entry of 1.
    low : float
        Lower end of the action box.
    columns, scales : dict
        Where each quantity stands in an observation, as a slice, and in what unit.
    bounds : ndarray of float32 (2, d)
        Low and high of an observation.

    Raises
    ------
    ValueError
        If the configuration does not make a loop with targets.
    """

    def __init__(self, config: Config, n_trials: int) -> None:
        self.config = config
        self.n_trials = n_trials
        self.task = config.make_task()
        self.loops: tuple[ClosedLoop, ...] = tuple(map(config.make_loop, config.animals()))
        self.draw = config.make_draw()
        self._targets = [self._target_pool(loop) for loop in self.loops]

        loop = self.loops[0]
        cortex = loop.cortex
        self.n_electrodes = cortex.n_electrodes
        window_s = cortex.n_bins * cortex.clock_s
        self.max_rate_hz = config.max_rate_hz or cortex.max_count / window_s
        self.max_count = self.max_rate_hz * window_s
        self.low = -1.0 if config.volition == "signed" else 0.0
        self.half_side_cm = loop.interface.half_side_cm
        self._lay_out()

        self.animal = np.zeros(n_trials, np.int64)
        nothing = np.zeros((n_trials, 2))
        self.state = loop.plant.place(nothing)
        self.target = nothing
        self.action = np.zeros((n_trials, cortex.n_electrodes))
        stimulus = np.zeros(n_trials, np.int64)
        silence = np.zeros((n_trials, 2 * cortex.n_electrodes), np.int64)
        rest = np.zeros((n_trials, cortex.n_states))
        self.signals = Signals(stimulus, silence, nothing, nothing, rest)
        self.outcome = self.task.assess(
            nothing, nothing, self.action, np.zeros(n_trials), self.half_side_cm
        )

    def begin(
        self,
        rng: np.random.Generator,
        trials: BoolArray | None = None,
        start: npt.ArrayLike | None = None,
        target: npt.ArrayLike | None = None,
    ) -> None:
        """Start new trials: animal, start, target and perturbation are drawn.

        One stimulus is then delivered with the device held, so that the first observation already
        carries the response to the start. Arrays that were handed out before stay as they were.

        Parameters
        ----------
        rng : numpy.random.Generator
        trials : ndarray of bool (B,), optional
            Which; all by default.
        start, target : array_like (2,), optional
            Positions in cm to take in place of the drawn ones.

        Raises
        ------
        ValueError
            If `start` or `target` is not a point of the workspace.
        """
        given = self.check_begin(start, target)
        which = np.arange(self.n_trials) if trials is None else np.flatnonzero(trials)
        n = len(which)
        animal = self.animal
        if len(self.loops) > 1:
            animal = _put(animal, which, rng.integers(len(self.loops), size=n))
        starts = self.task.starts(rng, n, self.half_side_cm)
        drawn = self.draw.sample(rng, n)
        placed = self.loops[0].plant.place(
            starts if given["start"] is None else np.broadcast_to(given["start"], starts.shape),
            curl=drawn[:, 0],
            push=drawn[:, 1:],
        )
        state = Device(_put(self.state.values, which, placed.values))
        targets, signals = self.target.copy(), self.signals
        for loop, pool, members in self._by_animal(animal, which):
            chosen = state.select(members)
            if given["target"] is None:
                targets[members] = self.task.draw_targets(rng, chosen.position, pool)
            else:
                targets[members] = given["target"]
            signals = signals.put(members, loop.listen(chosen, None, rng))
        # nothing above has changed this batch: a task without a fitting target leaves it whole
        self.animal, self.state, self.target, self.signals = animal, state, targets, signals
        self.action = _put(self.action, which, 0.0)
        # nothing has been earned yet, and a start inside the disc is no step end inside it
        fresh = self.task.assess(
            placed.position,
            targets[which],
            self.action[which],
            np.full(n, -1.0),
            self.half_side_cm,
        ).values
        fresh *= _KNOWN_AT_START
        self.outcome = Outcome(_put(self.outcome.values, which, fresh))

    def check_begin(
        self, start: npt.ArrayLike | None = None, target: npt.ArrayLike | None = None
    ) -> dict[str, Any]:
        """Start and target as `begin` takes them.

        Raises
        ------
        ValueError
            If either is not a point of the workspace.
        """
        return {"start": self._point("start", start), "target": self._point("target", target)}

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless a shape is that of the batch's actions."""
        if shape != self.action.shape:
            raise ValueError(
                f"action of shape {shape[1:] if len(shape) > 1 else shape}: give one "
                f"entry per recording electrode, shape {self.action.shape[1:]}"
                + (f", for each of {self.n_trials} trials" if self.n_trials > 1 else "")
            )

    def step(self, action: npt.ArrayLike, rng: np.random.Generator) -> None:
        """Run the loop once in each trial.

        Parameters
        ----------
        action : array_like (B, n)
            Volitional firing rates as fractions of the maximum; clipped to the box.
        rng : numpy.random.Generator

        Raises
        ------
        ValueError
            If the action has another shape, or an entry is NaN or infinite.
        """
        given = np.asarray(action)
        if given.dtype != np.float32:
            given = given.astype(float)
        self.check_shape(given.shape)
        clipped, volition, finite = _clip(given, self.low, self.max_count)
        if not finite:
            bad = given[~np.isfinite(given)][0]
            raise ValueError(
                f"action holds {bad}: entries must be finite (and are clipped to the box)"
            )
        if len(self.loops) == 1:
            self.state, self.signals = self.loops[0].step(
                self.state, volition, rng, self.signals.activity
            )
        else:
            self._step_by_animal(volition, rng)
        self.action = clipped
        self.outcome = self.task.assess(
            self.state.position,
            self.target,
            self.action,
            self.outcome.values[:, Outcome.STREAK],
            self.half_side_cm,
        )

    def to_hz(self, action: npt.ArrayLike) -> FloatArray:
        """Volitional firing rates that an action asks for, Hz."""
        return np.asarray(action, dtype=float) * self.max_rate_hz

    def from_hz(self, rates_hz: npt.ArrayLike) -> Observation:
        """The action that asks for given firing rates in Hz (beyond the maximum, it is clipped)."""
        return (np.asarray(rates_hz, dtype=float) / self.max_rate_hz).astype(np.float32)

    def observe(self) -> Observation:
        """Observations of the B trials, (B, d), freshly made."""
        seen = np.empty((self.n_trials, self._width), np.float32)
        _observe(
            seen,
            self._starts,
            self._factors,
            self.signals.counts,
            self.state.values,
            self.action,
            self.target,
        )
        return seen

    def info(self, trial: int | None = None) -> dict[str, Any]:
        """What happened in the last step, by name; the same keys at every step.

        All arrays are copies: what is handed out and the trials cannot change each other.

        Parameters
        ----------
        trial : int, optional
            A single trial; by default every entry has a leading axis of B trials.
        """
        n, signals = self.n_electrodes, self.signals
        if trial is None:
            stimulus, counts, virtual_point, force = (signal.copy() for signal in signals[:4])
            state, judged = self.state.values.T.copy(), self.outcome.values.T.copy()
            position, velocity, perturbing = state[0:2].T, state[2:4].T, state[7:9].T
            evoked, volitional = counts[:, :n], counts[:, n:]
        else:
            stimulus, counts = signals.stimulus[trial], signals.counts[trial].copy()
            virtual_point, force = signals.virtual_point[trial].copy(), signals.force[trial].copy()
            state, judged = self.state.values[trial].copy(), self.outcome.values[trial].tolist()
            position, velocity, perturbing = state[0:2], state[2:4], state[7:9]
            evoked, volitional = counts[:n], counts[n:]
        inside = judged[Outcome.INSIDE] != 0
        return {
            "stimulus": stimulus,
            "evoked_counts": evoked,
            "volitional_counts": volitional,
            "virtual_point": virtual_point,
            "commanded_force": force,
            "perturbing_force": perturbing,
            "position": position,
            "velocity": velocity,
            "distance": judged[Outcome.DISTANCE],
            "effort": judged[Outcome.EFFORT],
            "inside": inside,
            "is_success": judged[Outcome.ARRIVED] != 0 if self.task.dwell else inside,
            "reward_distance": judged[Outcome.REWARD_DISTANCE],
            "reward_effort": judged[Outcome.REWARD_EFFORT],
            "reward_bonus": judged[Outcome.REWARD_BONUS],
            "reward_inside": judged[Outcome.REWARD_INSIDE],
        }

    def _by_animal(
        self, animal: IntArray, which: IntArray
    ) -> list[tuple[ClosedLoop, FloatArray, IntArray]]:
        """Loop, target pool and trials of each animal among the trials `which`."""
        if len(self.loops) == 1:
            return [(self.loops[0], self._targets[0], which)]
        groups = []
        for i, (loop, pool) in enumerate(zip(self.loops, self._targets, strict=True)):
            members = which[animal[which] == i]
            if len(members):
                groups.append((loop, pool, members))
        return groups

    def _step_by_animal(self, volition: FloatArray, rng: np.random.Generator) -> None:
        values = np.empty_like(self.state.values)
        signals = self.signals
        for loop, _, members in self._by_animal(self.animal, np.arange(self.n_trials)):
            moved, heard = loop.step(
                self.state.select(members), volition[members], rng, signals.activity[members]
            )
            values[members] = moved.values
            signals = signals.put(members, heard)
        self.state, self.signals = Device(values), signals

    def _point(self, name: str, value: npt.ArrayLike | None) -> FloatArray | None:
        if value is None:
            return None
        point = np.asarray(value, dtype=float)
        if point.shape != (2,) or not (np.abs(point) <= self.half_side_cm).all():
            raise ValueError(
                f"{name} = {value!r}: give two coordinates within "
                f"[-{self.half_side_cm:g}, {self.half_side_cm:g}] cm"
            )
        return point

    def _target_pool(self, loop: ClosedLoop) -> FloatArray:
        if self.task.target == "calibration":
            return self.task.eligible(loop.interface.points)
        target = target_of(loop.field)
        if target is None:
            raise ValueError(
                "the task aims at the field's own equilibrium, and this field declares none: give "
                "the field a 'target' attribute, or take a task with target='calibration'"
            )
        return target[None]

    def _lay_out(self) -> None:
        """Fix which quantities are observed, their scales and bounds."""
        loop, config, n = self.loops[0], self.config, self.n_electrodes
        plant, half_side = loop.plant, self.half_side_cm
        neural, state = config.observe != "state", config.observe != "neural"
        perturbed = config.observe_perturbation
        curl, *push = np.abs(self.draw.ranges()).max(axis=1)

        # A Poisson count of mean m exceeds this with probability below 1e-300.
        everything = loop.cortex.most_counts(self.max_count)
        most_counts = everything + 40 * everything**0.5 + 200

        # Drag bounds the speed: curl does no work, so d|v|/dt < 0 beyond (force + push)/b. The
        # scale is what the workspace commands; a decoded point may lie beyond it.
        interfaces = [each.interface for each in self.loops]
        corner = half_side * 2**0.5
        farthest = max(float(np.linalg.norm(each.points, axis=1).max()) for each in interfaces)
        if loop.decoder == "projection":
            per_spike = max(float(np.abs(each.readout).max()) for each in interfaces)
            offset = max(float(np.abs(each.readout_offset).max()) for each in interfaces)
            farthest = 2 * (offset + most_counts * n * per_spike)
        drag, extra = plant.viscosity, float(np.hypot(*push))
        usual = max(max_force(each.field, corner) for each in self.loops) + extra
        most = max(max_force(each.field, max(corner, farthest)) for each in self.loops) + extra
        huge = float(np.finfo(np.float32).max)
        if drag > 0 and usual > 0:
            speed, speed_bound = usual / drag, most / usual if plant.law is None else huge
        else:
            speed, speed_bound = half_side / plant.step_s, huge

        # name: (observed, entries, scale, low, high), bounds in scaled units
        wall = plant.wall_cm / half_side
        far_target = max(1.0, *(float(np.abs(pool).max()) / half_side for pool in self._targets))
        parts = {
            "counts": (neural, n, self.max_count, 0.0, most_counts / self.max_count),
            "position": (state, 2, half_side, -wall, wall),
            "velocity": (state, 2, speed, -speed_bound, speed_bound),
            "action": (True, n, 1.0, self.low, 1.0),
            "target": (True, 2, half_side, -far_target, far_target),
            "curl": (perturbed, 1, curl or 1.0, -1.0, 1.0),
            "push": (perturbed, 2, max(push) or 1.0, -1.0, 1.0),
        }
        self.columns: dict[str, slice] = {}
        lows, highs, starts, scales, at = [], [], [], [], 0
        for name, (observed, entries, size, low, high) in parts.items():
            starts.append(at if observed else -1)
            scales.append(size)
            if observed:
                self.columns[name] = slice(at, at + entries)
                lows += [low] * entries
                highs += [high] * entries
                at += entries
        self._width = at
        self._starts = np.array(starts)
        self._factors = 1 / np.array(scales)
        self.scales = dict(zip(parts, scales, strict=True))
        self.bounds = np.array([lows, highs], np.float32)


@numba.njit(cache=True)
def _clip(action, low, max_count):  # type: ignore[no-untyped-def]
    """Action within the box, the volitional counts that it means, and whether it was finite."""
    clipped = np.empty(action.shape)
    volition = np.empty(action.shape)
    finite = True
    for b in range(action.shape[0]):
        for u in range(action.shape[1]):
            finite &= np.isfinite(action[b, u])
            clipped[b, u] = min(max(action[b, u], low), 1.0)
            volition[b, u] = clipped[b, u] * max_count
    return clipped, volition, finite


def _put(array: npt.NDArray[Any], which: IntArray, values: Any) -> npt.NDArray[Any]:
    """A copy with some entries replaced: arrays that were handed out stay as they were."""
    changed = array.copy()
    changed[which] = values
    return changed


@numba.njit(cache=True)
def _observe(seen, starts, factors, counts, device, action, target):  # type: ignore[no-untyped-def]
    n_electrodes = action.shape[1]
    for b in range(seen.shape[0]):
        row = seen[b]
        if starts[0] >= 0:
            for u in range(n_electrodes):
                row[starts[0] + u] = (counts[b, u] + counts[b, n_electrodes + u]) * factors[0]
        for u in range(n_electrodes):
            row[starts[3] + u] = action[b, u]
        for d in range(2):
            if starts[1] >= 0:
                row[starts[1] + d] = device[b, d] * factors[1]
                row[starts[2] + d] = device[b, 2 + d] * factors[2]
            row[starts[4] + d] = target[b, d] * factors[4]
            if starts[6] >= 0:
                row[starts[6] + d] = device[b, 5 + d] * factors[6]
        if starts[5] >= 0:
            row[starts[5]] = device[b, 4] * factors[5]
