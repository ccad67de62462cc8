"""The compiled step: one loop over trials through parts that are native.

Each part has written its mathematics once, for one trial, as small compiled functions. Here they
are composed: sense, respond, decode, move, judge and show, for a range of trials, so that threads
can take a range each. What a trial draws comes from its own stream, so neither ranges nor chunks
make a difference. `ndbmi_gym.loop` maps the same functions over whole batches, part by part; where
a part is written in Python, that is the way (`ndbmi_gym.episodes` decides).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.bank import Stack, nearest, nearest_group, stacked
from ndbmi_gym.compiled import compiled
from ndbmi_gym.fields import pull, terms_of
from ndbmi_gym.interface import project, sense
from ndbmi_gym.loop import ClosedLoop, Signals
from ndbmi_gym.observation import Layout, show
from ndbmi_gym.plants import Device
from ndbmi_gym.plants.point_mass import Motion, move
from ndbmi_gym.streams import Streams
from ndbmi_gym.tasks import (
    KNOWN_AT_START,
    N_JUDGED,
    Outcome,
    Rules,
    Task,
    judge,
)

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
    outcome : Outcome
        Of the last step.
    """

    streams: Streams
    animal: Array
    target: Array
    activity: Array
    device: Device
    outcome: Outcome


class Stepped(NamedTuple):
    """What a step makes of them.

    Attributes
    ----------
    streams : Streams
        As they stand afterwards.
    action : ndarray (B, n)
        Within the box.
    signals : Signals
    device : Device
    outcome : Outcome
    seen : ndarray of float32 (B, d)
        Observations.
    """

    streams: Streams
    action: Array
    signals: Signals
    device: Device
    outcome: Outcome
    seen: Array


class Decoding(NamedTuple):
    """What the interfaces of A animals decode responses by, for compiled loops.

    Attributes
    ----------
    sites : ndarray (A, S, 2)
        Calibration sites, cm.
    tables : tuple
        `ndbmi_gym.bank.Tables`.
    points, forces : ndarray (A, P, 2)
        Virtual points that can be decoded, cm, and the field's force there, kg·cm/s².
    readout : ndarray (A, R, 2)
        Displacement of the projected point per spike, cm.
    offset : ndarray (A, 2)
        Projection of a silent response, cm.
    terms : ndarray (T, 8)
        Of the field (`ndbmi_gym.fields.terms_of`), where points are projected.
    size : int
        Calibration responses per stimulus.
    exponent : float
        Power of the single-point decoder's mean.
    """

    sites: Array
    tables: tuple[Any, ...]
    points: Array
    forces: Array
    readout: Array
    offset: Array
    terms: Array
    size: int
    exponent: float


class Parts(NamedTuple):
    """What the compiled loop is told of the parts.

    Attributes
    ----------
    cortex : NamedTuple
        What its responses are drawn from (`ndbmi_gym.cortex.Cortex.native`).
    decoding : Decoding
    motion : Motion
        Of the plant.
    rules : Rules
        Of the task.
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
    decoding: Decoding
    motion: Motion
    rules: Rules
    starts: Array
    factors: Array
    low: float
    max_count: float
    chunk: int


@compiled
def _clip(given, low, max_count, action, volition):  # type: ignore[no-untyped-def]
    """Write a trial's action within the box, and its volitional counts; whether it was finite."""
    for u in range(given.size):
        if not np.isfinite(given[u]):
            return False
        action[u] = min(max(given[u], low), 1.0)
        volition[u] = action[u] * max_count
    return True


@compiled
def clip(given, low, max_count, action, volition):  # type: ignore[no-untyped-def]
    """Write the actions (B, n) of trials within the box, and the volitional counts they mean.

    Returns whether all were finite.
    """
    for b in range(given.shape[0]):
        if not _clip(given[b], low, max_count, action[b], volition[b]):
            return False
    return True


@compiled
def _decode_points(decoding, animal, rows, offsets, first, last, point, force):  # type: ignore[no-untyped-def]
    """The MDS point of the nearest calibration response (Eqs 11 and 12)."""
    found = np.empty(last - first, np.int64)
    nearest(decoding.tables, animal, rows, offsets, first, last, found)
    _look_up(decoding, animal, found, first, last, point, force)


@compiled
def _decode_sites(decoding, animal, rows, offsets, first, last, point, force):  # type: ignore[no-untyped-def]
    """The site of the stimulus with the smallest power-mean distance (Eqs 8-10)."""
    found = np.empty(last - first, np.int64)
    asked = animal, rows, offsets, first, last, found
    nearest_group(decoding.tables, *asked, decoding.size, decoding.exponent)
    _look_up(decoding, animal, found, first, last, point, force)


@compiled
def _look_up(decoding, animal, found, first, last, point, force):  # type: ignore[no-untyped-def]
    for b in range(first, last):
        a, m = animal[b], found[b - first]
        for d in range(2):
            point[b, d] = decoding.points[a, m, d]
            force[b, d] = decoding.forces[a, m, d]


@compiled
def _decode_projections(decoding, animal, rows, offsets, first, last, point, force):  # type: ignore[no-untyped-def]
    """The response's own place in the MDS plane, and the field there."""
    project(decoding.readout, decoding.offset, animal, rows, offsets, point, first, last)
    pull(decoding.terms, point, force, first, last)


DECODE = {
    "multiple-points": _decode_points,
    "single-point": _decode_sites,
    "projection": _decode_projections,
}


@compiled
def _hold(device, held, first, last):  # type: ignore[no-untyped-def]
    """Leave devices where they are."""
    for b in range(first, last):
        for c in range(device.shape[1]):
            held[b, c] = device[b, c]


@compiled
def _forget(judgement, first, last):  # type: ignore[no-untyped-def]
    """Clear what is not known before the first step."""
    for b in range(first, last):
        for c in range(N_JUDGED):
            judgement[b, c] *= KNOWN_AT_START[c]


@cache
def composed(
    respond: Callable[..., Any], tables: type, decode: Callable[..., Any]
) -> Callable[..., Any]:
    """The compiled loop through a cortex's way of responding and a way of decoding.

    Parameters
    ----------
    respond : compiled function
        Draws responses, as `ndbmi_gym.spikes.poisson_responses`.
    tables : type of NamedTuple
        What it draws from.
    decode : compiled function
        One of `DECODE`.
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
        given,
        target,
        activity,
        device,
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
        """Step the trials from `first` to before `last`; whether their actions are finite.

        `keys` to `judged` are read, `action` to `seen` are written. If nothing `moves`, trials
        begin: the device is held while the stimulus of its place is answered.
        """
        # numba takes microseconds longer to tell the type of a tuple whose entries have names
        parts = Parts(*parts)
        cortex, decoding = tables(*parts.cortex), Decoding(*parts.decoding)
        motion, rules = Motion(*parts.motion), Rules(*parts.rules)
        for b in range(first, last):
            if not _clip(given[b], parts.low, parts.max_count, action[b], volition[b]):
                return False
        chunk = max(1, min(parts.chunk, last - first))
        rows = np.empty(128 * chunk, np.int32)
        offsets = np.empty(chunk + 1, np.int64)
        for begin in range(first, last, chunk):
            end = min(begin + chunk, last)
            sense(decoding.sites, animal, device, stimulus, begin, end)
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
            decode(decoding, animal, rows, offsets, begin, end, point, force)
            if moves:
                move(device, moved, force, motion, begin, end)
                judge(judged, judgement, moved, target, action, rules, begin, end)
            else:
                _hold(device, moved, begin, end)
                judge(judged, judgement, moved, target, action, rules, begin, end)
                _forget(judgement, begin, end)
            show(seen, parts.starts, parts.factors, counts, moved, action, target, begin, end)
        return True

    return step


class CompiledStep:
    """The compiled step of trials whose parts are native.

    Parameters
    ----------
    loops : sequence of ClosedLoop
        Of every animal.
    task : Task
    layout : Layout
    low, max_count : float
        See `Parts`.
    threads : int
        Threads that share the trials.
    """

    def __init__(
        self,
        loops: Sequence[ClosedLoop],
        task: Task,
        layout: Layout,
        low: float,
        max_count: float,
        threads: int,
    ) -> None:
        loop = loops[0]
        respond, cortex = loop.cortex.native
        self._stack = stacked([each.interface.bank for each in loops])
        self._kernel = composed(respond, type(cortex), DECODE[loop.decoder])
        self._parts = (
            tuple(cortex),
            tuple(_decoding(loops, self._stack)),
            tuple(loop.plant.native),
            tuple(task.native(loop.interface.half_side_cm)),
            layout.starts,
            layout.factors,
            low,
            max_count,
            _CHUNK,
        )
        self._width = layout.width
        self._tabled = loop.decoder != "projection"
        self._threads = threads

    def run(self, trials: Trials, given: Array, moves: bool) -> Stepped | None:
        """Step trials under actions (B, n), or let them begin; None if an action is not finite."""
        n_trials, n = given.shape
        if self._tabled and not moves:
            self._stack.ensure(trials.animal)
        action = np.empty((n_trials, n))
        stimulus, counts = np.empty(n_trials, np.int64), np.empty((n_trials, 2 * n), np.int64)
        point, force = np.empty((n_trials, 2)), np.empty((n_trials, 2))
        left = np.empty_like(trials.activity)
        moved, judgement = np.empty_like(trials.device.values), np.empty((n_trials, N_JUDGED))
        seen = np.empty((n_trials, self._width), np.float32)
        given_arrays = (
            self._parts,
            trials.streams.keys,
            trials.streams.draws,
            trials.animal,
            given,
            trials.target,
            trials.activity,
            trials.device.values,
            trials.outcome.values,
            action,
            np.empty((n_trials, n)),
            stimulus,
            counts,
            point,
            force,
            left,
            moved,
            judgement,
            seen,
        )
        if not self._over(n_trials, moves, given_arrays):
            return None
        signals = Signals(stimulus, counts, point, force, left)
        streams = Streams(trials.streams.keys, trials.streams.draws + 1)
        return Stepped(streams, action, signals, Device(moved), Outcome(judgement), seen)

    def _over(self, n_trials: int, moves: bool, arrays: tuple[Any, ...]) -> bool:
        """Run the loop over all trials, each thread over its share."""
        if self._threads == 1 or n_trials < 2 * self._threads:
            return bool(self._kernel(0, n_trials, moves, *arrays))
        ends = [n_trials * i // self._threads for i in range(self._threads + 1)]
        pool = _pool(self._threads)
        return all(pool.map(lambda ends: self._kernel(*ends, moves, *arrays), pairwise(ends)))


_CHUNK = 64


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that all environments of a process share."""
    return ThreadPoolExecutor(threads, "ndbmi_gym")


def is_native(loops: Sequence[ClosedLoop], task: Task) -> bool:
    """Whether the compiled step can run trials: all parts offer what it needs to be told."""
    loop = loops[0]
    return (
        all(each.cortex is loop.cortex for each in loops)
        and getattr(loop.cortex, "native", None) is not None
        and getattr(loop.plant, "native", None) is not None
        and hasattr(task, "native")
        and task.native(loop.interface.half_side_cm) is not None
        and (loop.decoder != "projection" or terms_of(loop.field) is not None)
    )


def _decoding(loops: Sequence[ClosedLoop], stack: Stack) -> Decoding:
    interfaces = [loop.interface for loop in loops]
    first, decoder = interfaces[0], loops[0].decoder
    tabled = decoder != "projection"
    none = np.zeros((len(loops), 0, 2))
    places = [i.points if decoder == "multiple-points" else i.sites for i in interfaces]
    return Decoding(
        sites=np.array([i.sites for i in interfaces]),
        tables=tuple(stack.tables),
        points=np.array(places) if tabled else none,
        forces=np.array([loop.force_table for loop in loops]) if tabled else none,
        readout=none if tabled else np.array([i.readout for i in interfaces]),
        offset=np.array([i.readout_offset for i in interfaces]),
        terms=np.zeros((0, 8)) if tabled else np.array(terms_of(loops[0].field)),
        size=first.n_repetitions,
        exponent=float(first.exponent),
    )
