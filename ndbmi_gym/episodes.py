"""B trials of a task in the closed loop: their beginning, their steps, and what is told of them.

Both environment classes are skins over `Episodes`, the scalar one with B = 1. Trials begin and end
apart from each other, and each draws from a stream of its own: it is the same alone and in a batch.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.animals import check_pool
from ndbmi_gym.calibration import MAX_SPIKES
from ndbmi_gym.checks import shown
from ndbmi_gym.config import Config
from ndbmi_gym.loop import ClosedLoop, empty_signals
from ndbmi_gym.observation import lay_out
from ndbmi_gym.perturbations import (
    Force,
    Which,
    beyond_curl_and_push,
    channel_force,
    channelled,
    lateral,
    make_perturbation,
)
from ndbmi_gym.plants import PERTURBING_FORCE, POSITION, VELOCITY, Column, Device
from ndbmi_gym.step import CompiledStep, Stepped, Trials, clip, natives_of
from ndbmi_gym.streams import Streams
from ndbmi_gym.tasks import KNOWN_AT_START, N_JUDGED, Judged, Outcome, Task, memory_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Observation = npt.NDArray[np.float32]

OPTIONS = ("start", "target", "animal", "trial", "perturbation")
"""What a beginning takes in place of what would be drawn."""


MOST_TRIALS = 10**9
"""Largest number of a trial."""


class Given(NamedTuple):
    """What trials begin with in place of what would be drawn; None: it is drawn.

    Attributes
    ----------
    start, target : ndarray (B, 2) or None
        cm.
    animal : ndarray of int (B,) or None
        Index into `Episodes.loops`.
    trial : ndarray of int (B,) or None
        The trials' numbers.
    perturbation : Perturbation or None
        What the trials' forces are drawn from.
    """

    start: FloatArray | None = None
    target: FloatArray | None = None
    animal: IntArray | None = None
    trial: IntArray | None = None
    perturbation: Any = None


class Episodes:
    """A batch of trials, stepped together.

    Parameters
    ----------
    config : Config
    n_trials : int
        B.
    threads : int
        Threads that share the trials of a compiled step.

    Attributes
    ----------
    loops : tuple of ClosedLoop
        One per animal.
    task : Task
        Of trials that begin now.
    state : Device
        State of the B devices.
    sensed : Device
        The same as the interface takes it to be (`ndbmi_gym.senses`).
    start : ndarray (B, 2)
        Where the trials started, cm.
    signals : Signals
        What last passed through the loop.
    outcome : Outcome
        Judgement of the last step.
    target : ndarray (B, 2)
        cm.
    action : ndarray (B, n)
        Last action, within the box.
    animals : ndarray of int
        Number of the animal of each loop.
    animal : ndarray of int (B,)
        Index into `loops`.
    trial : ndarray of int (B,)
        Number of the trial in each place, from 0; −1 before the first.
    trial_step : ndarray of int (B,)
        Steps since the trial began; counted in sessions only (`ndbmi_gym.sessions`).
    trial_end : ndarray of bool (B,)
        Whether the last step ended a trial of a session.
    streams : Streams
        What happens in each trial is drawn from its own.
    compiled : bool
        Whether steps are compiled as a whole: all parts are native (`ndbmi_gym.step`).
    n_electrodes : int
        Recording electrodes n, the length of an action.
    max_rate_hz, max_count : float
        Volitional firing rate, and spikes per window, for an action entry of 1.
    low : float
        Lower end of the action box.
    in_session : bool
        Whether episodes are sessions.
    layout : Layout
        Where each quantity stands in an observation, in what unit, and the bounds.

    Raises
    ------
    ValueError
        If the configuration does not make a loop with targets.
    """

    def __init__(self, config: Config, n_trials: int, threads: int = 1) -> None:
        self.config = config
        self.n_trials = n_trials
        self.task: Task = config.task
        check_pool(config.cortex, config.calibration, config.animals)
        self.loops: tuple[ClosedLoop, ...] = tuple(map(config.make_loop, config.animals.pool))
        for loop in self.loops:  # an interface on file brings a workspace of its own
            self.task.check(loop.field, loop.interface.half_side_cm)
        self._pools = [self.task.pool(loop) for loop in self.loops]
        self.animals = np.array(config.animals.pool)

        loop = self.loops[0]
        cortex = loop.cortex
        for other, animal in zip(self.loops, self.animals, strict=True):
            if other.cortex.n_electrodes != cortex.n_electrodes or (
                other.cortex.n_states != cortex.n_states
            ):
                raise ValueError(
                    f"the cortex of animal {animal} has {other.cortex.n_electrodes} electrodes and "
                    f"carries {other.cortex.n_states} numbers, that of animal {self.animals[0]} "
                    f"{cortex.n_electrodes} and {cortex.n_states}: give all animals the same"
                )
        self.n_electrodes = cortex.n_electrodes
        window_s = cortex.n_bins * cortex.clock_s
        self.max_rate_hz = config.volition.max_rate_hz or cortex.max_count / window_s
        self.max_count = self.max_rate_hz * window_s
        self._check_spikes()
        self.low = config.volition.low
        self.half_side_cm = loop.interface.half_side_cm
        self.layout = lay_out(
            config.observation,
            self.loops,
            config.perturbation,
            self._pools,
            self.max_count,
            self.low,
            config.senses.most_noise_cm,
        )

        self.animal = np.zeros(n_trials, np.int64)
        self.trial = np.full(n_trials, -1)
        self.target = np.zeros((n_trials, 2))
        self.start = np.zeros((n_trials, 2))
        self.state = self.sensed = loop.plant.place(self.target)
        self._past = config.senses.begun(self.state)
        # asked at every step, and the same while an environment lives
        self._senses_differ, self.in_session = config.senses.active, config.session.on
        self._clamps = self._tells_of_channels = _clamps(config)
        self.trial_step = np.zeros(n_trials, np.int64)
        self.trial_end = np.zeros(n_trials, np.bool_)
        self.action = np.zeros((n_trials, cortex.n_electrodes))
        self.signals = empty_signals(n_trials, cortex.n_electrodes, cortex.n_states)
        self.outcome = Outcome(np.zeros((n_trials, N_JUDGED + memory_of(self.task))))
        self.streams = Streams.keyed(np.zeros((n_trials, 2), np.uint64))
        self._sessions = self.streams  # those of the trials that they began with
        self._seen: Observation | None = None
        # trials keep the task that they began with: which of these it is, the last being `task`
        self._tasks: list[Task] = [self.task]
        self._task_of = np.zeros(n_trials, np.int64)
        self._threads = threads
        self._check_forces(config.perturbation)
        self._general = False  # whether a trial's forces have gone beyond curl and push
        self._compiled = self._compile()

    def _check_spikes(self) -> None:
        """Raise ValueError if more spikes are expected of a response than can be decoded."""
        for loop in self.loops:
            added = getattr(loop.cortex, "volition_adds", True)
            volitional = self.n_electrodes * self.max_count if added else 0.0
            expected = loop.cortex.spikes_per_response + volitional
            if expected > MAX_SPIKES:
                raise ValueError(
                    f"{expected:,.0f} spikes are expected of a response at full volition, and "
                    f"{MAX_SPIKES:,} can be decoded: lower max_rate_hz ({self.max_rate_hz:g} Hz "
                    "here) or the evoked rates, or shorten window_s"
                )

    def _check_forces(self, perturbation: Any) -> None:
        """Raise ValueError if the plant cannot follow forces that trials may have.

        Those of the first trials are tried, of as many sessions as there are animals and more.
        """
        n = np.arange(_TRIED)
        streams = Streams.of(np.random.default_rng(0), _TRIED)
        animal = self.animals[n % len(self.animals)]
        for number in np.unique(getattr(perturbation, "seams", np.zeros(1, np.int64))):
            forces = perturbation.sample(streams, Which(np.full(_TRIED, number), animal, streams))
            if beyond_curl_and_push(forces):
                across = np.zeros((_TRIED, 2)), np.tile([1.0, 0.0], (_TRIED, 1))
                self.loops[0].plant.place(across[0], forces=channelled(forces, *across))

    def _compile(self) -> CompiledStep | None:
        natives = natives_of(self.loops, self.task, self._general)
        if natives is None:
            return None
        return CompiledStep(
            natives, self.loops, self.layout, self.low, self.max_count, self._threads
        )

    def __getstate__(self) -> dict[str, Any]:
        # code is not written down: another process finds it on disk, which is far faster
        return self.__dict__ | {"_compiled": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._compiled = self._compile()

    @property
    def compiled(self) -> bool:
        """Whether steps are compiled as a whole."""
        return self._compiled is not None

    @property
    def all_begun(self) -> bool:
        """Whether every place holds a trial."""
        return bool(self.trial.min() >= 0)

    def begin(
        self,
        streams: Streams,
        trials: BoolArray | None = None,
        given: Given | None = None,
        anew: BoolArray | bool = False,
    ) -> None:
        """Start new trials: animal, start, perturbation and target are drawn.

        One stimulus is then delivered with the device held, so that the first observation already
        carries the response to the start. Arrays that were handed out before stay as they were.

        Parameters
        ----------
        streams : Streams
            New ones, of the trials that begin.
        trials : ndarray of bool (B,), optional
            Which; all by default.
        given : Given, optional
            What to take in place of what would be drawn (`check_begin`).
        anew : bool, or ndarray of bool (B,)
            Whether these trials are numbered from 0.

        Raises
        ------
        ValueError
            If a trial has no fitting target.
        """
        which: Any = slice(None)
        if trials is not None and not trials.all():
            which = np.flatnonzero(trials)
        number = self.trial[which] + 1
        if self.in_session:
            number[:] = 0
        if given is not None and given.trial is not None:
            number = given.trial[which].copy()
        elif anew is not False:
            number[anew if anew is True else anew[which]] = 0
        self._begin(streams, streams, which, number, given or Given())
        self._sessions = _put_streams(self._sessions, which, streams)

    def _begin(
        self, streams: Streams, sessions: Streams, which: Any, number: IntArray, given: Given
    ) -> None:
        """Start trials with streams of their own and of their sessions, and with numbers (n,)."""
        n, animal = len(number), self.animal[which].copy()
        same_animal = sessions is not streams  # the trials of a session are one animal's
        if given.animal is not None:
            animal = given.animal[which].copy()
        elif len(self.loops) > 1 and not same_animal:
            animal = (streams.random(n) * len(self.loops)).astype(np.int64)
        starts = self.task.draw_starts(streams, number, self.half_side_cm)
        if given.start is not None:
            starts = given.start[which]
        of = Which(number, self.animals[animal], sessions)
        forces = (given.perturbation or self.config.perturbation).sample(streams, of)
        starts = np.array(starts, float, order="C")
        if given.target is None:
            targets = self._draw_targets(streams, animal, starts, number)
        else:
            targets = given.target[which]
        targets = np.array(targets, float, order="C")
        if self._clamps or given.perturbation is not None:
            forces = channelled(forces, starts, targets)
        if not self._general and beyond_curl_and_push(forces):
            self._general = True
            self._compiled = self._compile()
        placed = self.loops[0].plant.place(starts, forces=forces)
        senses = self.config.senses
        past, sensed = self._past[:0], placed
        if self._senses_differ:
            past = senses.begun(placed)
            sensed = senses.sense(past, placed.forces, streams)
        # nothing has been earned yet, and a start inside the disc is no step end inside it
        judged = np.zeros((n, N_JUDGED + memory_of(self.task)))
        judged[:, _STREAK] = -1.0
        rest, still = (
            np.zeros((n, self.signals.activity.shape[1])),
            np.zeros((n, self.n_electrodes)),
        )
        none = np.full((n, 2), np.nan)
        fresh = Trials(streams, animal, targets, rest, placed, sensed, Outcome(judged), none)
        newest = len(self._tasks) - 1
        begun = self._run(fresh, still, np.full(n, newest) if newest else _ONLY, moves=False)
        # nothing above has changed this batch: a task without a fitting target leaves it whole
        self.action = _put(self.action, which, begun.action)
        self.signals = self.signals.put(which, begun.signals)
        self.state = _put_devices(self.state, which, begun.device)
        if self._senses_differ:
            sensed = senses.sense(past, placed.forces, streams)
            self._past = _put(self._past, which, past)
            self.sensed = _put_devices(self.sensed, which, sensed)
        else:
            self.sensed = self.state
        self.outcome = Outcome(_put(self.outcome.values, which, begun.outcome.values))
        self.target, self.start = _put(self.target, which, targets), _put(self.start, which, starts)
        self.animal, self.trial = _put(self.animal, which, animal), _put(self.trial, which, number)
        self.streams = _put_streams(self.streams, which, streams)
        if self.in_session:
            zero = np.zeros(n, np.int64)
            self.trial_step = _put(self.trial_step, which, zero)
            self.trial_end = _put(self.trial_end, which, zero != 0)
        self._seen = begun.seen if n == self.n_trials and not self._senses_differ else None
        self._task_of[which] = newest
        if len(self._tasks) > 1 and self._task_of.min() == len(self._tasks) - 1:
            self._tasks, self._task_of = [self.task], np.zeros_like(self._task_of)

    def _draw_targets(
        self, streams: Streams, animal: IntArray, starts: FloatArray, number: IntArray
    ) -> FloatArray:
        """Draw the targets of trials that begin, each from its animal's pool."""
        if len(self._pools) == 1:
            return self.task.draw_targets(streams, starts, self._pools[0], number)
        targets = np.empty_like(starts)
        for i, members in _groups(animal):
            own = streams.select(members)
            targets[members] = self.task.draw_targets(
                own, starts[members], self._pools[i], number[members]
            )
            streams.draws[members] = own.draws
        return targets

    def check_begin(self, options: Mapping[str, Any] | None) -> Given:
        """What trials are to begin with, out of the options of a reset.

        Parameters
        ----------
        options : mapping or None
            ``"start"`` and ``"target"`` in cm, (2,) or (B, 2); ``"animal"``, a number or (B,) of
            them, of those that the environment draws from; ``"trial"``, the number of the trial, or
            (B,) of them; ``"perturbation"`` as the environment's option of that name, without law.
            In a session start, target and perturbation are those of its first trial.

        Raises
        ------
        ValueError
            If there is another option, a point lies outside the workspace, there is no such animal,
            or the perturbation would leave the observation's bounds.
        """
        if options is None:
            return Given()
        if not isinstance(options, Mapping):
            raise ValueError(f"options = {shown(options)}: give a dict of {', '.join(OPTIONS)}")
        unknown = [name for name in options if name not in OPTIONS]
        if unknown:
            raise ValueError(
                f"unknown reset option {unknown[0]!r}: the options are {', '.join(OPTIONS)}"
            )
        asked = {name: value for name, value in options.items() if value is not None}
        if not asked:
            return Given()
        given = Given(
            start=self._points("start", asked.get("start")),
            target=self._points("target", asked.get("target")),
            animal=self._indices(asked.get("animal")),
            trial=self._trials(asked.get("trial")),
        )
        if "perturbation" not in asked:
            return given
        perturbation = make_perturbation(asked["perturbation"])
        if perturbation.law is not None:
            raise ValueError(
                "perturbation: a law is part of the environment: give it to make(), and curl and "
                "push to reset()"
            )
        self.layout.refuse(perturbation, self._pools)
        self._check_forces(perturbation)
        return given._replace(perturbation=perturbation)

    def change(self, **options: Any) -> None:
        """Change task and perturbation of the trials that begin from now on.

        Trials that are running end as they began. Spaces stay as they are. An option alone keeps
        all others; a part that is chosen anew, as by ``task="hold"``, begins from its defaults,
        without the options that it was made with.

        Parameters
        ----------
        **options
            ``task`` or any of its options (``radius_cm``, ``effort_weight``, ``targets``, ...);
            ``perturbation``, ``curl``, ``push``.

        Raises
        ------
        TypeError
            If task and perturbation have no such option.
        ValueError
            If an option belongs to another part, a value is out of range, or what is asked for
            would leave the observation's bounds. Nothing has changed then.
        """
        config = self.config.change(**options)
        law, present = config.perturbation.law, self.config.perturbation.law
        if law is not present and law != present:
            raise ValueError(
                "a law is part of the environment: make another one with it; curl and push can "
                "change between trials"
            )
        for loop in self.loops:
            config.task.check(loop.field, loop.interface.half_side_cm)
        pools = [config.task.pool(loop) for loop in self.loops]
        self.layout.refuse(config.perturbation, pools)
        self._check_forces(config.perturbation)
        if memory_of(config.task) != memory_of(self.task):
            raise ValueError(
                "the new task remembers other things of a trial than the old one: make another "
                "environment with it"
            )
        self.config, self._pools = config, pools
        self._clamps = _clamps(config)
        if config.task != self.task:
            self.task = config.task
            self._tasks.append(self.task)
            self._compiled = self._compile()

    def check_action(self, action: npt.NDArray[Any]) -> None:
        """Raise ValueError unless an array is of real numbers, in the shape of the actions."""
        shape = action.shape
        if action.dtype.kind not in "fiub":
            raise ValueError(
                f"action of type {action.dtype}: give real numbers, volitional firing rates as "
                "fractions of the maximum"
            )
        if shape != self.action.shape:
            if self.n_trials > 1:
                raise ValueError(
                    f"action of shape {shape}: give one entry per recording electrode for each of "
                    f"{self.n_trials} trials, shape {self.action.shape}"
                )
            raise ValueError(
                f"action of shape {shape[1:] if len(shape) > 1 else shape}: give one "
                f"entry per recording electrode, shape {self.action.shape[1:]}"
            )

    def step(self, action: npt.ArrayLike) -> None:
        """Run the loop once in each trial.

        Parameters
        ----------
        action : array_like (B, n)
            Volitional firing rates as fractions of the maximum; clipped to the box.

        Raises
        ------
        ValueError
            If the action has another shape, is not made of real numbers, or an entry is NaN or
            infinite.
        """
        given = np.asarray(action)
        self.check_action(given)
        given = np.array(given, float, order="C")
        resting = self._resting() if self.in_session else None
        if resting is not None:
            given[resting] = 0.0
        # the point that a trial begins with has no velocity: the device has not moved
        last = self.signals.virtual_point
        if self._compiled is None:
            last = np.where(self.state.time_s[:, None] > 0, last, np.nan)
        now = Trials(
            self.streams,
            self.animal,
            self.target,
            self.signals.activity,
            self.state,
            self.sensed,
            self.outcome,
            last,
        )
        stepped = self._run(now, given, self._task_of, moves=True)
        self.action, self.signals, self.state, self.outcome, self._seen = stepped
        self.sensed = self.state
        if self._senses_differ:
            senses = self.config.senses
            self._past = senses.after(self._past, self.state)
            self.sensed = senses.sense(self._past, self.state.forces, self.streams)
            self._seen = None
        if self.in_session:
            self.trial_step = self.trial_step + 1
            late = self.trial_step >= (self.config.session.trial_steps or 0)
            self.trial_end = self.outcome.terminated | late
        if resting is not None:
            number = self.trial[resting] + 1
            sessions = self._sessions.select(resting)
            self._begin(sessions.branches(number), sessions, resting, number, Given())

    def _resting(self) -> IntArray | None:
        """Trials of sessions that are over while their sessions are not, if there are any."""
        trials = self.config.session.session_trials
        if trials is None or not self.trial_end.any():
            return None
        resting = np.flatnonzero(self.trial_end & (self.trial + 1 < trials))
        return resting if len(resting) else None

    @property
    def terminated(self) -> BoolArray:
        """Episodes that are over: a trial has arrived or failed, or a session's last has ended."""
        trials = self.config.session.session_trials
        if trials is None:
            return self.outcome.terminated
        return self.trial_end & (self.trial + 1 >= trials)

    def _run(self, trials: Trials, action: FloatArray, task_of: IntArray, moves: bool) -> Stepped:
        """Step trials as a whole, or part by part where one is written in Python.

        The action is put within the box, in place.
        """
        if self._compiled is None or (moves and len(self._tasks) > 1):
            stepped = self._staged(trials, action, task_of, moves)
        else:
            stepped = self._compiled.run(trials, action, moves)
        if stepped is None:
            bad = action[~np.isfinite(action)][0]
            raise ValueError(
                f"action holds {bad}: entries must be finite (and are clipped to the box)"
            )
        return stepped

    def _staged(
        self, trials: Trials, action: FloatArray, task_of: IntArray, moves: bool
    ) -> Stepped | None:
        """Step trials part by part; None if an action is not finite."""
        volition = np.empty(action.shape)
        if not clip(action, volition, self.low, self.max_count, 0, len(action)):
            return None
        streams = trials.streams.select(slice(None))
        signals = empty_signals(len(action), self.n_electrodes, trials.activity.shape[1])
        moved = np.empty_like(trials.device.values)
        for i, members in _groups(trials.animal):
            loop, own = self.loops[i], streams.select(members)
            here, carried = trials.device.select(members), trials.activity[members]
            sensed = here if trials.sensed is trials.device else trials.sensed.select(members)
            heard = loop.listen(
                sensed,
                volition[members] if moves else None,
                own,
                carried if moves else None,
                trials.virtual_point[members],
            )
            moved[members] = (loop.move(here, heard.force) if moves else here).values
            streams.draws[members] = own.draws
            for signal, new in zip(signals, heard, strict=True):
                signal[members] = new
        values = np.empty_like(trials.outcome.values)
        for i, members in _groups(task_of):
            values[members] = (
                self._tasks[i]
                .assess(
                    trials.device.select(members),
                    Device(moved[members], trials.device.forces[members]),
                    trials.target[members],
                    action[members],
                    Outcome(trials.outcome.values[members]),
                    self.half_side_cm,
                )
                .values
            )
        if not moves:
            values[:, :N_JUDGED] *= KNOWN_AT_START
        device = Device(moved, trials.device.forces)
        seen = self.layout.observe(signals, device, action, trials.target)
        trials.streams.draws[:] = streams.draws
        return Stepped(action, signals, device, Outcome(values), seen)

    def to_hz(self, action: npt.ArrayLike) -> FloatArray:
        """Volitional firing rates that an action asks for, Hz."""
        return np.asarray(action, dtype=float) * self.max_rate_hz

    def from_hz(self, rates_hz: npt.ArrayLike) -> Observation:
        """The action that asks for given firing rates in Hz (beyond the maximum, it is clipped)."""
        return (np.asarray(rates_hz, dtype=float) / self.max_rate_hz).astype(np.float32)

    def observe(self) -> Observation:
        """Observations of the B trials, (B, d), freshly made."""
        seen, self._seen = self._seen, None  # it is made along with a step, and handed out once
        if seen is None:
            seen = self.layout.observe(self.signals, self.sensed, self.action, self.target)
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
        judged: Any
        if trial is None:
            stimulus, counts, virtual_point, force = (signal.copy() for signal in signals[:4])
            evoked, volitional = counts[:, :n], counts[:, n:]
            state, judged = self.state.values.T.copy(), self.outcome.values.T.copy()
            position, velocity = state[POSITION].T, state[VELOCITY].T
            forces, perturbing = self.state.forces[:, :_N_KNOWN].T.copy(), state[PERTURBING_FORCE].T
            curl, push, time_s = forces[_CURL], forces[_PUSHES].T, state[_TIME]
            target, number = self.target.copy(), self.trial.copy()
            animal = self.animals.take(self.animal)
            inside, _, failed, success = judged[_FLAGS] != 0  # all in one go
        else:
            stimulus, counts = signals.stimulus[trial], signals.counts[trial].copy()
            virtual_point, force = signals.virtual_point[trial].copy(), signals.force[trial].copy()
            evoked, volitional = counts[:n], counts[n:]
            state, judged = self.state.values[trial].copy(), self.outcome.values[trial].tolist()
            position, velocity = state[POSITION], state[VELOCITY]
            forces, perturbing = self.state.forces[trial], state[PERTURBING_FORCE]
            curl, push, time_s = forces.item(_CURL), forces[_PUSHES].copy(), state.item(_TIME)
            target, number = self.target[trial].copy(), self.trial.item(trial)
            animal = self.animals.item(self.animal.item(trial))
            inside, _, failed, success = judged[_FLAGS]
            inside, failed, success = inside != 0, failed != 0, success != 0
        _, distance, effort = judged[:_FIRST_FLAG]
        by_distance, by_effort, bonus, by_inside, penalty = judged[_FIRST_TERM:N_JUDGED]
        info = {
            "stimulus": stimulus,
            "evoked_counts": evoked,
            "volitional_counts": volitional,
            "virtual_point": virtual_point,
            "commanded_force": force,
            "perturbing_force": perturbing,
            "position": position,
            "velocity": velocity,
            "target": target,
            "animal": animal,
            "curl": curl,
            "push": push,
            "trial": number,
            "time_s": time_s,
            "distance": distance,
            "effort": effort,
            "inside": inside,
            "is_success": success,
            "failed": failed,
            "reward_distance": by_distance,
            "reward_effort": by_effort,
            "reward_bonus": bonus,
            "reward_inside": by_inside,
            "reward_penalty": penalty,
        }
        if self.in_session:
            info |= self._of_session(trial)
        if self._tells_of_channels:
            across = lateral(self.start, self.target)
            here = self.state
            pressed = channel_force(here.forces, here.position, here.velocity, across, here.time_s)
            info["channel_force"] = pressed if trial is None else pressed.item(trial)
        return info

    def _of_session(self, trial: int | None) -> dict[str, Any]:
        """What info tells of a trial's place in its session."""
        block_of = getattr(self.config.perturbation, "block", np.zeros_like)
        told = {
            "block": block_of(self.trial),
            "trial_step": self.trial_step.copy(),
            "trial_end": self.trial_end.copy(),
        }
        if trial is None:
            return told
        return {name: values.item(trial) for name, values in told.items()}

    def _points(self, name: str, value: Any) -> FloatArray | None:
        """Points of the workspace, one for each trial, (B, 2)."""
        if value is None:
            return None
        rule = (
            f"give two coordinates within [-{self.half_side_cm:g}, {self.half_side_cm:g}] cm, or "
            f"an array of them for the {self.n_trials} trials, shape ({self.n_trials}, 2)"
        )
        try:
            points = np.asarray(value)
        except ValueError:
            points = np.empty(0)
        if points.dtype.kind not in "fiu" or points.shape not in ((2,), (self.n_trials, 2)):
            raise ValueError(f"{name} = {shown(value)}: {rule}")
        if not (np.abs(points) <= self.half_side_cm).all():
            raise ValueError(f"{name} = {shown(value)}: {rule}")
        return np.broadcast_to(points.astype(float), (self.n_trials, 2))

    def _trials(self, value: Any) -> IntArray | None:
        """Numbers of trials, (B,)."""
        if value is None:
            return None
        numbers = np.asarray(value)
        whole = numbers.dtype.kind in "iu" and numbers.shape in ((), (self.n_trials,))
        if not whole or numbers.min() < 0 or numbers.max() > MOST_TRIALS:
            raise ValueError(
                f"trial = {shown(value)}: give a whole number from 0 to {MOST_TRIALS}, or "
                f"{self.n_trials} for the trials"
            )
        trials = self.config.session.session_trials
        if trials is not None and numbers.max() >= trials:
            raise ValueError(
                f"trial = {shown(value)}: a session here has {trials} trials, numbered from 0"
            )
        return np.broadcast_to(numbers.astype(np.int64), (self.n_trials,))

    def _indices(self, value: Any) -> IntArray | None:
        """Indices of the loops of animals, one for each trial, (B,)."""
        if value is None:
            return None
        pool = self.animals.tolist()
        numbers = np.asarray(value)
        known = numbers.dtype.kind in "iu" and numbers.shape in ((), (self.n_trials,))
        if not known or not np.isin(numbers, pool).all():
            raise ValueError(
                f"animal = {shown(value)}: this environment has the animals {shown(pool)}; give "
                f"one of them, or {self.n_trials} for the trials (animal=None in make() for more)"
            )
        return np.broadcast_to(np.searchsorted(self.animals, numbers), (self.n_trials,))


# looking a member of an enumeration up takes as long as indexing an array
_CURL, _TIME, _STREAK = int(Force.CURL), int(Column.TIME), int(Judged.STREAK)
_PUSHES, _N_KNOWN = slice(Force.PUSH_X, Force.K_XX), int(Force.K_XX)
_TRIED = 16  # trials of which it is asked whether a plant can follow their forces
_ONLY = np.zeros(1, np.int64)  # the task of all trials
# the order of Judged: reward, distance, effort; inside, arrived, failed, success; streak; terms
_FIRST_FLAG, _FIRST_TERM = int(Judged.INSIDE), int(Judged.REWARD_DISTANCE)
_FLAGS = slice(_FIRST_FLAG, int(Judged.SUCCESS) + 1)


def _clamps(config: Config) -> bool:
    """Whether trials may be clamped to a channel."""
    return bool(getattr(config.perturbation, "channels", False))


def _groups(numbers: IntArray) -> list[tuple[int, Any]]:
    """Each number that there is, with the places where it stands."""
    first = int(numbers[0])
    if len(numbers) == 1 or (numbers == first).all():
        return [(first, slice(None))]
    return [(int(i), np.flatnonzero(numbers == i)) for i in np.unique(numbers)]


def _put(array: npt.NDArray[Any], which: Any, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy with some entries replaced: arrays that were handed out stay as they were."""
    if len(values) == len(array):
        return values  # all of them, in order
    changed = array.copy()
    changed[which] = values
    return changed


def _put_devices(devices: Device, which: Any, others: Device) -> Device:
    return Device(
        _put(devices.values, which, others.values), _put(devices.forces, which, others.forces)
    )


def _put_streams(streams: Streams, which: Any, others: Streams) -> Streams:
    return Streams(_put(streams.keys, which, others.keys), _put(streams.draws, which, others.draws))
