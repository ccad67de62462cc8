"""The compiled step: one loop over trials through parts that are native.

Each part has written its mathematics once, for one trial, as small compiled functions. Here they
are composed: sense, respond, decode, move, judge and show, for a range of trials, so that threads
can take a range each. What a trial draws comes from its own stream, so neither ranges nor chunks
make a difference. `ndbmi_gym.loop` maps the same functions over whole batches, part by part; where
a part is written in Python, that is the way (`ndbmi_gym.episodes` decides).
"""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.bank import (
    MAX_RESPONSE_SPIKES,
    Stack,
    nearest,
    nearest_bounded,
    nearest_group,
    stacked,
    too_long,
)
from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.fields import pull, takes_of, terms_of
from ndbmi_gym.interface import project, sense
from ndbmi_gym.loop import ClosedLoop, Signals
from ndbmi_gym.observation import Layout, show
from ndbmi_gym.plants import Column, Device
from ndbmi_gym.streams import Streams
from ndbmi_gym.tasks import KNOWN_AT_START, N_JUDGED, Outcome, Task

Array = npt.NDArray[Any]


class Trials(NamedTuple):
    """Trials as a step finds them.

    Attributes
    ----------
    streams : Streams
    animal : ndarray of int (B,)
        Index into the loops.
    target : ndarray (B, 2)
        cm.
    activity : ndarray (B, n_states)
        What the cortex carried on.
    device : Device
    sensed : Device
        Where the interface takes them to be.
    outcome : Outcome
        Of the last step.
    virtual_point : ndarray (B, 2)
        Of the last step, cm; NaN where there was none.
    """

    streams: Streams
    animal: Array
    target: Array
    activity: Array
    device: Device
    sensed: Device
    outcome: Outcome
    virtual_point: Array


class Stepped(NamedTuple):
    """What a step makes of them.

    Attributes
    ----------
    action : ndarray (B, n)
        Within the box.
    signals : Signals
    device : Device
    outcome : Outcome
    seen : ndarray of float32 (B, d)
        Observations.
    """

    action: Array
    signals: Signals
    device: Device
    outcome: Outcome
    seen: Array


class Lookup(NamedTuple):
    """What the interfaces of A animals look virtual points up by, for compiled loops.

    Attributes
    ----------
    tables : tuple
        `ndbmi_gym.bank.Tables`, or the first three of them where those are enough.
    points, forces : ndarray (A, P, 2)
        Virtual points that can be decoded, cm, and the field's force there, kg·cm/s².
    size : int
        Calibration responses per stimulus.
    exponent : float
        Power of the single-point decoder's mean.
    """

    tables: tuple[Any, ...]
    points: Array
    forces: Array
    size: int
    exponent: float


class Projection(NamedTuple):
    """What they project responses by.

    Attributes
    ----------
    readout : ndarray (A, R, 2)
        Displacement of the projected point per spike, cm.
    offset : ndarray (A, 2)
        Projection of a silent response, cm.
    terms : ndarray (T, 8)
        Of the field (`ndbmi_gym.fields.terms_of`).
    """

    readout: Array
    offset: Array
    terms: Array


class Parts(NamedTuple):
    """What the compiled loop is told of the parts.

    Attributes
    ----------
    cortex : NamedTuple
        What its responses are drawn from (`ndbmi_gym.cortex.Cortex.native`).
    decoding : Lookup or Projection
    sites : ndarray (A, S, 2)
        Calibration sites of A animals, cm.
    motion : NamedTuple
        What the plant moves by.
    rules : NamedTuple
        What the task judges by.
    starts, factors : ndarray (7,)
        Of the observation's layout.
    low : float
        Lower end of the action box.
    max_count : float
        Volitional spikes per window for an action entry of 1.
    chunk : int
        Trials that go through a stage together.
    """

    cortex: Any
    decoding: Lookup | Projection
    sites: Array
    motion: Any
    rules: Any
    starts: Array
    factors: Array
    low: float
    max_count: float
    chunk: int


@inlined
def clip(action, volition, low, max_count, first, last):  # type: ignore[no-untyped-def]
    """Put the actions (B, n) of trials within the box, and write the volitional counts they mean.

    Returns whether those of the trials from `first` to before `last` were all finite.
    """
    for b in range(first, last):
        for u in range(action.shape[1]):
            if not np.isfinite(action[b, u]):
                return False
            action[b, u] = min(max(action[b, u], low), 1.0)
            volition[b, u] = action[b, u] * max_count
    return True


@inlined
def _decode_points(lookup, animal, rows, offsets, first, last, point, force):  # type: ignore[no-untyped-def]
    """The MDS point of the nearest calibration response (Eqs 11 and 12)."""
    found = np.empty(last - first, np.int64)
    entries, quanta, norms = lookup.tables
    nearest(entries, quanta, norms, animal, rows, offsets, first, last, found)
    _look_up(lookup.points, lookup.forces, animal, found, first, last, point, force)


@inlined
def _decode_far_points(lookup, animal, rows, offsets, first, last, point, force):  # type: ignore[no-untyped-def]
    """The same, from tables that no cache holds."""
    found = np.empty(last - first, np.int64)
    nearest_bounded(lookup.tables, animal, rows, offsets, first, last, found)
    _look_up(lookup.points, lookup.forces, animal, found, first, last, point, force)


@inlined
def _decode_sites(lookup, animal, rows, offsets, first, last, point, force):  # type: ignore[no-untyped-def]
    """The site of the stimulus with the smallest power-mean distance (Eqs 8-10)."""
    found = np.empty(last - first, np.int64)
    asked = animal, rows, offsets, first, last, found
    nearest_group(lookup.tables, *asked, lookup.size, lookup.exponent)
    _look_up(lookup.points, lookup.forces, animal, found, first, last, point, force)


@inlined
def _look_up(points, forces, animal, found, first, last, point, force):  # type: ignore[no-untyped-def]
    for b in range(first, last):
        a, m = animal[b], found[b - first]
        for d in range(2):
            point[b, d] = points[a, m, d]
            force[b, d] = forces[a, m, d]


@inlined
def _decode_projections(projection, animal, rows, offsets, first, last, point, force):  # type: ignore[no-untyped-def]
    """The response's own place in the MDS plane, and the field there."""
    project(projection.readout, projection.offset, animal, rows, offsets, point, first, last)
    pull(projection.terms, point, force, first, last)


@inlined
def _hold(device, held, first, last):  # type: ignore[no-untyped-def]
    """Leave devices where they are."""
    for b in range(first, last):
        for c in range(device.shape[1]):
            held[b, c] = device[b, c]


@inlined
def _forget(judgement, first, last):  # type: ignore[no-untyped-def]
    """Clear what is not known before the first step."""
    for b in range(first, last):
        for c in range(N_JUDGED):
            judgement[b, c] *= KNOWN_AT_START[c]


DONE, NOT_FINITE, TOO_LONG = range(3)
"""How a compiled step comes out: an action may not be finite, a response too long to compare."""


@cache
def composed(
    respond: Any,
    tables: Any,
    decode: Any,
    known: Any,
    move: Any,
    motions: Any,
    judge: Any,
    rulings: Any,
) -> Callable[..., Any]:
    """The compiled loop through ways of responding, decoding, moving and judging.

    Parameters
    ----------
    respond : compiled function
        Draws responses, as `ndbmi_gym.spikes.poisson_responses`.
    tables : type of NamedTuple
        What it draws from.
    decode : compiled function
    known : type of NamedTuple
        What it decodes by.
    move : compiled function
        As `ndbmi_gym.plants.point_mass.move`.
    motions : type of NamedTuple
        What it moves by.
    judge : compiled function
        As `ndbmi_gym.tasks.reach.judge`.
    rulings : type of NamedTuple
        What it judges by.
    """

    @compiled
    def step(  # type: ignore[no-untyped-def]
        first,
        last,
        moves,
        parts,
        keys,
        draws,
        animal,
        target,
        activity,
        sensed,
        device,
        forces,
        judged,
        action,
        volition,
        stimulus,
        counts,
        point,
        force,
        left,
        moved,
        judgement,
        seen,
    ):
        """Step the trials from `first` to before `last`; returns one of the outcomes above.

        `keys` to `judged` are read, `action` is put within the box, and `volition` to `seen` are
        written. If nothing `moves`, trials begin: the device is held while the stimulus of its
        place is answered.
        """
        # numba takes microseconds longer to tell the type of a tuple whose entries have names
        parts = Parts(*parts)
        cortex, decoding = tables(*parts.cortex), known(*parts.decoding)
        motion, rules = motions(*parts.motion), rulings(*parts.rules)
        if not clip(action, volition, parts.low, parts.max_count, first, last):
            return NOT_FINITE
        chunk = max(1, min(parts.chunk, last - first))
        rows = np.empty(256 * chunk, np.int32)
        offsets = np.empty(chunk + 1, np.int64)
        for begin in range(first, last, chunk):
            end = min(begin + chunk, last)
            sense(parts.sites, animal, sensed, stimulus, begin, end)
            while not respond(
                cortex,
                stimulus,
                volition,
                activity,
                keys,
                draws,
                begin,
                end,
                rows,
                offsets,
                counts,
                left,
            ):
                rows = np.empty(2 * rows.size, np.int32)
            for i in range(end - begin):
                if offsets[i + 1] - offsets[i] > MAX_RESPONSE_SPIKES:
                    return TOO_LONG
            decode(decoding, animal, rows, offsets, begin, end, point, force)
            if moves:
                move(device, moved, forces, force, motion, begin, end)
            else:
                _hold(device, moved, begin, end)
            judge(judged, judgement, device, moved, target, action, rules, begin, end)
            if not moves:
                _forget(judgement, begin, end)
            show(
                seen,
                parts.starts,
                parts.factors,
                counts,
                moved,
                forces,
                action,
                target,
                begin,
                end,
            )
        return DONE

    return step


class Natives(NamedTuple):
    """What the parts of trials offer to compiled code.

    Attributes
    ----------
    respond, move, judge : compiled function
        See `composed`.
    cortex, motion, rules : NamedTuple
        What these draw from, move and judge by.
    """

    respond: Any
    cortex: Any
    move: Any
    motion: Any
    judge: Any
    rules: Any


def natives_of(loops: Sequence[ClosedLoop], task: Task, general: bool) -> Natives | None:
    """What the parts offer; None if one of them is written in Python.

    Parameters
    ----------
    loops : sequence of ClosedLoop
        Of every animal.
    task : Task
    general : bool
        Whether forces go beyond curl and push.
    """
    loop, half_side_cm = loops[0], loops[0].interface.half_side_cm
    parts: tuple[Any, Any, Any] = loop.cortex, loop.plant, task
    cortex, plant, judging = parts
    # of their classes: an object that wraps a part may hand out the part's own
    offered = all(hasattr(type(part), "native") for part in parts)
    if not offered or any(each.cortex is not cortex for each in loops):
        return None
    if takes_of(loop.field) or (loop.decoder == "projection" and terms_of(loop.field) is None):
        return None
    if loop.plant.place(np.zeros((1, 2))).values.shape[1] != len(Column):
        return None  # it has columns of its own, which have to be taken along
    moving, judged_by = plant.native(general), judging.native(half_side_cm)
    if cortex.native is None or moving is None or judged_by is None:
        return None
    return Natives(*cortex.native, *moving, *judged_by)


class CompiledStep:
    """The compiled step of trials whose parts are native.

    Parameters
    ----------
    natives : Natives
    loops : sequence of ClosedLoop
        Of every animal.
    layout : Layout
    low, max_count : float
        See `Parts`.
    threads : int
        Threads that share the trials.
    """

    def __init__(
        self,
        natives: Natives,
        loops: Sequence[ClosedLoop],
        layout: Layout,
        low: float,
        max_count: float,
        threads: int,
    ) -> None:
        self._stack = stacked([each.interface.bank for each in loops])
        decode, known = _decoding(loops, self._stack)
        kinds: list[Any] = [_original(natives.respond), type(natives.cortex), decode, type(known)]
        kinds += [_original(natives.move), type(natives.motion)]
        kinds += [_original(natives.judge), type(natives.rules)]
        self._kernel = composed(*kinds)
        self._parts = (
            tuple(natives.cortex),
            tuple(known),
            np.array([each.interface.sites for each in loops]),
            tuple(natives.motion),
            tuple(natives.rules),
            layout.starts,
            layout.factors,
            low,
            max_count,
            _CHUNK,
        )
        self._width = layout.width
        self._tabled = isinstance(known, Lookup)
        self._threads = threads
        self._volition = np.empty((0, 0))  # nobody looks at it afterwards

    def run(self, trials: Trials, action: Array, moves: bool) -> Stepped | None:
        """Step trials under actions (B, n), or let them begin, and move their streams on.

        Actions are put within the box, in place. None if one is not finite; nothing else has
        changed then.

        Raises
        ------
        ValueError
            If a response is too long to be compared; nothing else has changed then.
        """
        n_trials, n = action.shape
        if self._tabled:
            self._stack.ensure(trials.animal)
        if len(self._volition) != n_trials:
            self._volition = np.empty((n_trials, n))
        stimulus, counts = np.empty(n_trials, np.int64), np.empty((n_trials, 2 * n), np.int64)
        point, force = np.empty((n_trials, 2)), np.empty((n_trials, 2))
        left = np.empty(trials.activity.shape) if trials.activity.size else trials.activity
        moved, judgement = (
            np.empty(trials.device.values.shape),
            np.empty(trials.outcome.values.shape),
        )
        seen = np.empty((n_trials, self._width), np.float32)
        arrays = (
            self._parts,
            trials.streams.keys,
            trials.streams.draws,
            trials.animal,
            trials.target,
            trials.activity,
            trials.sensed.values,
            trials.device.values,
            trials.device.forces,
            trials.outcome.values,
            action,
            self._volition,
            stimulus,
            counts,
            point,
            force,
            left,
            moved,
            judgement,
            seen,
        )
        if self._threads == 1 or n_trials < 2 * self._threads:
            came_out = self._kernel(0, n_trials, moves, *arrays)
        else:
            came_out = self._in_threads(n_trials, moves, arrays)
        if came_out == NOT_FINITE:
            return None
        if came_out == TOO_LONG:
            raise ValueError(too_long(f"more than {MAX_RESPONSE_SPIKES}"))
        draws = trials.streams.draws
        draws += 1
        signals = Signals(stimulus, counts, point, force, left)
        device = Device(moved, trials.device.forces)
        return Stepped(action, signals, device, Outcome(judgement), seen)

    def _in_threads(self, n_trials: int, moves: bool, arrays: Any) -> int:
        """Run the loop over all trials, each thread over its share."""
        ends = [n_trials * i // self._threads for i in range(self._threads + 1)]
        pool = _pool(self._threads)
        return max(pool.map(lambda ends: self._kernel(*ends, moves, *arrays), pairwise(ends)))


def _original(function: Any) -> Any:
    """A compiled function of a module, of which a pickle brings a copy."""
    return getattr(sys.modules[function.__module__], function.__name__, function)


_CHUNK = 64


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that all environments of a process share."""
    return ThreadPoolExecutor(threads, "ndbmi_gym")


if hasattr(os, "register_at_fork"):  # a process that is forked has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _decoding(loops: Sequence[ClosedLoop], stack: Stack) -> tuple[Any, Lookup | Projection]:
    """How responses are decoded in compiled code, and by what."""
    interfaces, decoder = [loop.interface for loop in loops], loops[0].decoder
    if decoder == "projection":
        return _decode_projections, Projection(
            np.array([each.readout for each in interfaces]),
            np.array([each.readout_offset for each in interfaces]),
            np.array(terms_of(loops[0].field)),
        )
    by_points, tables = decoder == "multiple-points", tuple(stack.tables)
    decode = _decode_far_points if by_points else _decode_sites
    if by_points and not stack.bounded:
        decode, tables = _decode_points, tables[:3]
    return decode, Lookup(
        tables,
        np.array([each.points if by_points else each.sites for each in interfaces]),
        np.array([loop.force_table for loop in loops]),
        interfaces[0].n_repetitions,
        float(interfaces[0].exponent),
    )
