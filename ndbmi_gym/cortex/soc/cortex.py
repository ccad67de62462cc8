"""A stability-optimised circuit as the motor cortex: stimulus, prepared state, transient, spikes.

A stimulus puts the circuit into a state from which activity is amplified before it fades; the
electrodes record that transient. The state is there at once, or prepared by a tonic input that a go
cue ends. Volition is input that is held during the window: what it adds to the spikes is up to the
circuit, so that no spike is volitional in itself. States superpose, rates do not.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq

from ndbmi_gym.checks import choice, flag, number, path, settle, whole
from ndbmi_gym.cortex import FloatArray, IntArray, RateCortex, Response
from ndbmi_gym.cortex.soc.circuit import ABSCISSA, CONTROLS, Circuit, load_circuit
from ndbmi_gym.cortex.soc.responses import (
    TransientTables,
    integrate_rates,
    time_courses,
    transient_responses,
    transients,
)
from ndbmi_gym.cortex.soc.transients import (
    CORES,
    Gain,
    Impulses,
    impulses,
    integrate,
    propagator,
    tonic,
)
from ndbmi_gym.spikes import count_bound, respond_by, sample_profile, window_bins
from ndbmi_gym.streams import Source, Streams

CODES = ("ring", "grid")

AMPLITUDE_HZ = {"ring": 100.0, "grid": 150.0}
"""Size of the prepared states on each planar code where none is given, Hz."""

WINDOW_S, METRIC_TAU_S = 0.3, 0.05
"""Recording window and time constant of the spike-train metric that suit the circuit, s."""

DRIVE_HZ = 100.0
"""Input that full volition means, unless an environment's `max_rate_hz` says otherwise."""

_UNITS = {"ring": 1, "grid": 4}  # of an electrode
_NODE_S = 0.005  # between two points at which rates are computed; the circuit is far slower
_MOST_STIMULI = 1000  # calibration compares every response with every other
_RATE_STEPS = 200  # tabulated rates per reach of the gain


@dataclass(frozen=True)
class SOC:
    """What ``cortex={"kind": "soc", ...}`` takes.

    Attributes
    ----------
    stimuli : int
        Number of stimuli S.
    code : str or None
        Planar code of the stimuli: ``"ring"`` or ``"grid"``. None: a ring of up to 12, else a grid.
    amplitude_hz : float or None
        Size a of the prepared states. None: 100 on a ring, 150 on a grid.
    units : int or None
        Units recorded by an electrode, all at the rate of its own excitatory neuron. None: 1 on a
        ring, 4 on a grid.
    electrodes : int
        Recording electrodes n.
    core : {"linear", "nonlinear"}
        Whether neurons hear each other's states x or their gains g(x).
    carry : bool
        Whether a trial's next transient starts from what is left at the end of the last window.
        Calibration is at rest. No time passes for the circuit between the end of a window and the
        next preparation.
    prepare_s : float
        Time d for which a stimulus's tonic input is on, that would hold the circuit at the prepared
        state (`ndbmi_gym.cortex.soc.transients.tonic`). The go cue ends it. Activity first leads
        away from that state, and is near it from 0.4 s on. 0: the state is there at once, as in
        calibration, which is of whole preparations.
    window_offset_s : float
        Time from the go cue to the opening of the window, not before the preparation begins.
        Calibration has none: it is an error of timing that comes afterwards.
    circuit : path or None
        A file of ``ndbmi-gym circuit build``. None: the packaged circuit of 200 neurons.
    control : str
        ``"none"``, or a control in the place of the stabilised circuit: ``"scaled"``,
        ``"shuffled"`` or ``"symmetric"`` (`ndbmi_gym.cortex.soc.circuit.control`).
    abscissa : float or None
        Spectral abscissa, below 1, that a control's weights are scaled to. None: 0.15, that of the
        circuit, at which a control is close to unconnected neurons; the harder control is a random
        network just below instability, at 0.8 to 0.99.
    match_signal : bool
        Whether a control's states are enlarged until what is recorded of them differs between
        stimuli as much as with the stabilised circuit (`matched`). Controls amplify little:
        without, a difference may be one of size.
    window_s, clock_s : float
        Recording window T and tick of its clock, s.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    stimuli: int = whole(8, "number of stimuli S", least=2, most=_MOST_STIMULI)
    code: str | None = choice(None, CODES, "planar code; None: ring up to 12, else grid", True)
    amplitude_hz: float | None = number(
        None, "size of the prepared states", "Hz", above=0, most=1e6, optional=True
    )
    units: int | None = whole(
        None,
        "units recorded by an electrode; None: 1, on a grid 4",
        least=1,
        most=64,
        optional=True,
    )
    electrodes: int = whole(25, "recording electrodes n", least=1)
    core: str = choice("linear", CORES, "whether neurons hear states or gains")
    carry: bool = flag(False, "whether a transient starts from what the last one left")
    prepare_s: float = number(
        0.0,
        "time for which tonic input prepares a state; 0: it is there at once",
        "s",
        least=0,
        most=10,
    )
    window_offset_s: float = number(
        0.0, "opening of the window after the go cue, but in calibration", "s", least=-1, most=1
    )
    circuit: str | None = path("file of 'ndbmi-gym circuit build'; None: the packaged circuit")
    control: str = choice("none", CONTROLS, "a control in place of the stabilised circuit")
    abscissa: float | None = number(
        None, f"spectral abscissa of a control; None: {ABSCISSA}", above=0, below=1, optional=True
    )
    match_signal: bool = flag(False, "whether a control's recorded signal is made as large")
    window_s: float = number(WINDOW_S, "recording window T", "s", above=0, most=10)
    clock_s: float = number(1e-3, "tick of the recording clock", "s", least=1e-7, most=60)

    metric_tau_s: ClassVar[float] = METRIC_TAU_S

    def __post_init__(self) -> None:
        settle(self)
        for name, absent in (("abscissa", None), ("match_signal", False)):
            if self.control == "none" and getattr(self, name) != absent:
                raise ValueError(
                    f"{name} = {getattr(self, name)!r} has no meaning without a control: name one "
                    "by control=, or drop it"
                )
        _check_opening(self.prepare_s, self.window_offset_s)

    @property
    def content(self) -> Circuit:
        """The circuit: what a file holds now, whatever it held before."""
        return load_circuit(self.circuit, self.control, self.abscissa)

    @property
    def planar_code(self) -> str:
        """The planar code of the stimuli, also where None is given."""
        return self.code or ("ring" if self.stimuli <= 12 else "grid")

    def for_animal(self, animal: int) -> "SOCCortex":
        """The same in all animals: they differ by the noise of calibration."""
        return soc_cortex(self)

    def calibrated(self) -> "SOC":
        """At rest, prepared and in time: nothing is carried, and windows open on whole states."""
        return replace(self, carry=False, prepare_s=0.0, window_offset_s=0.0)


@dataclass(frozen=True)
class SOCCortex(RateCortex):
    """A recurrent circuit, seen through electrodes on its first n excitatory neurons.

    Attributes
    ----------
    circuit : Circuit
    prepared : ndarray (S, N)
        The state that each stimulus puts the circuit into, Hz.
    layout : ndarray (S, 2)
        Planar code of the stimuli.
    n_electrodes : int
        Recording electrodes n.
    units : int
        Units recorded by each.
    window_s, clock_s : float
        Recording window T and its clock, s.
    gain : Gain
    core : {"linear", "nonlinear"}
    carry : bool
        Whether the state at the end of a window is handed on.
    prepare_s, window_offset_s : float
        Time for which tonic input prepares a state, and from the go cue, its end, to the window, s.

    Raises
    ------
    ValueError
        If there are more electrodes than excitatory neurons, the window opens before the
        preparation begins, or parts do not fit each other.
    """

    circuit: Circuit
    prepared: FloatArray
    layout: FloatArray
    n_electrodes: int = 25
    units: int = 1
    window_s: float = WINDOW_S
    clock_s: float = 1e-3
    gain: Gain = field(default_factory=Gain)
    core: str = "linear"
    carry: bool = False
    prepare_s: float = 0.0
    window_offset_s: float = 0.0

    one_stream: ClassVar[bool] = True

    def __post_init__(self) -> None:
        window_bins(self.window_s, self.clock_s)
        if self.clock_s > _NODE_S:
            raise ValueError(
                f"clock_s = {self.clock_s!r}: rates of the circuit change within a tick that long; "
                f"give at most {_NODE_S} s"
            )
        if not 0 < self.n_electrodes <= self.circuit.n_excitatory:
            raise ValueError(
                f"electrodes = {self.n_electrodes!r}: this circuit has {self.circuit.n_excitatory} "
                "excitatory neurons to record from: give at most as many"
            )
        shape = len(self.layout), self.circuit.n_neurons
        if self.prepared.shape != shape:
            raise ValueError(
                f"prepared states of shape {self.prepared.shape}: give shape {shape}, a value for "
                "each neuron under each stimulus of the layout"
            )
        if self.core not in CORES:
            raise ValueError(f"core = {self.core!r}: choose one of {', '.join(CORES)}")
        if not self.units >= 1:
            raise ValueError(f"units = {self.units!r}: give a whole number >= 1")
        _check_opening(self.prepare_s, self.window_offset_s)
        _ = self.circuit.modes  # an unstable circuit has none
        for array in (self.prepared, self.layout):
            array.setflags(write=False)

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli S."""
        return len(self.prepared)

    @cached_property
    def n_bins(self) -> int:
        """Clock ticks per recording window."""
        return window_bins(self.window_s, self.clock_s)

    @property
    def max_count(self) -> float:
        """Full volition: the input that would hold an isolated neuron at x = 100 Hz, times T.

        A unit of account, in which volition is given: such a neuron approaches x with the time
        constant of the circuit, and its rate saturates.
        """
        return DRIVE_HZ * self.window_s

    @property
    def volition_adds(self) -> bool:
        """Volition acts through the circuit."""
        return False

    @property
    def n_states(self) -> int:
        """Numbers carried from step to step."""
        return self.circuit.n_neurons if self.carry else 0

    @cached_property
    def nodes(self) -> IntArray:
        """Clock ticks at which rates are computed, 0 and the last among them, (K,)."""
        apart = max(1, round(_NODE_S / self.clock_s))
        return np.append(np.arange(0, self.n_bins, apart), self.n_bins)

    @property
    def _nodes_s(self) -> FloatArray:
        return np.asarray(self.nodes * self.clock_s, float)

    @cached_property
    def impulses(self) -> Impulses:
        """The linear core at the nodes."""
        return impulses(self.circuit.weights, self._nodes_s, self._recorded, self._recorded)

    @cached_property
    def _recorded(self) -> IntArray:
        return np.arange(self.n_electrodes)

    @property
    def _before_s(self) -> float:
        """Time from the onset of preparation to the opening of the window, s."""
        return self.prepare_s + self.window_offset_s

    @property
    def _cue_s(self) -> float:
        """Time within the window at which the go cue comes, s; 0: not later than it opens."""
        return max(0.0, -self.window_offset_s)

    @cached_property
    def _opening(self) -> FloatArray:
        """States in which the window opens after every stimulus, (S, N), by the linear core."""
        if self.prepare_s == self.window_offset_s == 0:
            return self.prepared
        return self._tonic(self.prepare_s, np.array([self._before_s]), self.circuit.n_neurons)[0]

    def _tonic(self, held_s: float, times_s: FloatArray, neurons: int) -> FloatArray:
        """What the tonic inputs of all stimuli evoke in the first neurons, (K, S, neurons)."""
        first = np.arange(neurons)
        return tonic(self.circuit.weights, self.prepared, held_s, times_s, first)

    @cached_property
    def _evoked(self) -> FloatArray:
        """State of the recorded neurons after every stimulus, (S, n, K)."""
        evoked = np.einsum("kun,sn->suk", self.impulses.free, self._opening)
        if self._cue_s > 0:
            still = self._tonic(self._cue_s, self._nodes_s, self.n_electrodes)
            evoked += still.transpose(1, 2, 0)
        return np.ascontiguousarray(evoked)

    @cached_property
    def _evoked_left(self) -> FloatArray:
        """State that is carried on after every stimulus, (S, n_states)."""
        left = self._opening @ self.impulses.last_free[: self.n_states].T
        if self._cue_s > 0:
            left += self._tonic(self._cue_s, self._nodes_s[-1:], self.n_states)[0]
        return np.asarray(left)

    def _of_carried(self, responses: FloatArray) -> FloatArray:
        """Responses (..., N) to a unit of state at the opening, as such to what is carried."""
        if self.carry and self._before_s > 0:
            return responses @ propagator(self.circuit.weights, self._before_s)
        return responses[..., : self.n_states]

    @cached_property
    def native(self) -> tuple[Any, Any] | None:
        """How responses are drawn in compiled code, by the linear core."""
        if self.core == "nonlinear" or type(self).respond is not SOCCortex.respond:
            return None
        return transient_responses, self._tables

    @cached_property
    def _tables(self) -> TransientTables:
        """The linear core, for compiled loops."""
        made, n_states = self.impulses, self.n_states
        held = made.held.transpose(2, 1, 0).reshape(self.n_electrodes, -1)
        courses, carried = time_courses(self._of_carried(made.free))
        left = self._of_carried(made.last_free[:n_states])
        return TransientTables(
            evoked=np.pad(self._evoked, ((0, 1), (0, 0), (0, 0))),
            evoked_left=np.pad(self._evoked_left, ((0, 1), (0, 0))),
            held=_side_by_side(held, made.last_held[:n_states].T),
            carried=_side_by_side(carried, left.T),
            courses=courses,
            rates=self._rates,
            low=self._range[0],
            high=self._range[1],
            spikes_per_hz=self._weights,
            nodes=self.nodes,
            window_s=self.window_s,
        )

    def mean_counts(self, stimulus: IntArray, volition: FloatArray) -> FloatArray:
        """Expected spikes per window after rest, (B, n)."""
        return self.profile(stimulus, volition).sum(axis=-1)

    @cached_property
    def spikes_per_response(self) -> float:
        """Expected in the mean over stimuli."""
        every = np.arange(self.n_stimuli)
        return float(self.profile(every, None).sum(axis=(1, 2)).mean())

    def count_bound(self, volition: float) -> float:
        """Spikes of an electrode whose units are at their peak throughout, and then some."""
        return count_bound(self.gain.max_hz * self.units * self.window_s)

    def profile(
        self,
        stimulus: IntArray | None,
        volition: FloatArray | None,
        activity: FloatArray | None = None,
    ) -> FloatArray:
        """Expected spikes between successive nodes, (B, n, K − 1).

        Parameters
        ----------
        stimulus : ndarray of int (B,) or None
            None: no stimulus, the circuit is at rest.
        volition : ndarray (B, n) or None
            Held input in Hz, times T.
        activity : ndarray (B, N), optional
            State that is left of the last transient.
        """
        return self._expected(*self._given(stimulus, volition, activity))[0]

    def respond(
        self,
        stimulus: IntArray,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
    ) -> Response:
        """Draw the responses to B stimuli under volition (B, n), held input in Hz times T.

        No spike is counted as volitional: volition acts through the circuit.
        """
        stimulus, volition, activity = self._given(stimulus, volition, activity)
        if self.native is not None and isinstance(rng, Streams):
            respond, tables = self.native
            return Response(
                *respond_by(
                    respond,
                    tables,
                    stimulus,
                    volition,
                    rng,
                    self.n_bins,
                    activity,
                    self.spikes_per_response,
                )
            )
        expected, left = self._expected(stimulus, volition, activity)
        trains, evoked = sample_profile(rng, expected, self.nodes)
        counts = np.zeros((len(evoked), 2 * self.n_electrodes), np.int64)
        counts[:, : self.n_electrodes] = evoked
        return Response(trains, counts, left)

    def signal(self, size: float = 1.0) -> float:
        """Variance over stimuli of the expected spikes, summed over electrodes and nodes.

        Parameters
        ----------
        size : float
            Factor on all prepared states.
        """
        every = np.arange(self.n_stimuli)
        if self.core == "linear":
            expected = self._profile(size * self._evoked)
        else:
            expected = replace(self, prepared=size * self.prepared).profile(every, None)
        return float(expected.var(axis=0).sum())

    def _profile(self, x: FloatArray) -> FloatArray:
        """Expected spikes between nodes of states x (..., K)."""
        x = np.array(x)
        expected = np.empty((*x.shape[:-1], x.shape[-1] - 1))
        rows = x.reshape(-1, x.shape[-1]), expected.reshape(-1, expected.shape[-1])
        integrate_rates(rows[0], self._rates, *self._range, self._weights, rows[1])
        return expected

    @cached_property
    def _weights(self) -> FloatArray:
        """Spikes between successive nodes per Hz of an electrode's neuron, (K − 1,)."""
        return np.asarray(np.diff(self.nodes) * (self.clock_s * self.units))

    @cached_property
    def _range(self) -> tuple[float, float]:
        """States between which the rate is tabulated: beyond, it is constant to 1e-7."""
        return -10 * self.gain.baseline_hz, 10 * (self.gain.max_hz - self.gain.baseline_hz)

    @cached_property
    def _rates(self) -> FloatArray:
        """Rate by state, for linear interpolation: right to 1e-5 of r₀, and five times faster."""
        low, high = self._range
        reach = min(self.gain.baseline_hz, self.gain.max_hz - self.gain.baseline_hz)
        states = np.linspace(low, high, round((high - low) / reach * _RATE_STEPS) + 1)
        return self.gain.rate(np.append(states, high))

    def _given(
        self,
        stimulus: IntArray | None,
        volition: FloatArray | None,
        activity: FloatArray | None,
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """Stimuli (B,), of which the number S is none, volition (B, n), activity (B, n_states)."""
        given = [a for a in (stimulus, volition, activity) if a is not None]
        if not given:
            raise ValueError("neither stimulus nor volition nor activity: give zero volition, say")
        n_trials = len(given[0])
        if stimulus is None:
            stimulus = np.full(n_trials, self.n_stimuli)
        if volition is None:
            volition = np.zeros((n_trials, self.n_electrodes))
        if activity is None or not self.carry:
            activity = np.zeros((n_trials, self.n_states))
        return (
            np.ascontiguousarray(stimulus, np.int64),
            np.ascontiguousarray(volition, float),
            np.ascontiguousarray(activity, float),
        )

    def _expected(
        self, stimulus: IntArray, volition: FloatArray, activity: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Expected spikes between nodes (B, n, K − 1), and what is carried on (B, n_states)."""
        if self.core == "linear" and not (self.carry or volition.any()):
            # a calibration, say, which need not wait until the loops below are compiled
            return self._profile(self._tables.evoked.take(stimulus, 0)), activity
        if self.core == "linear":
            expected = np.empty((len(stimulus), self.n_electrodes, len(self.nodes) - 1))
            left = np.empty_like(activity)
            given = stimulus, volition, activity, 0, len(stimulus)
            transients(self._tables, *given, expected, left)
            return expected, left
        x, last = self._integrated(stimulus, volition, activity)
        return self._profile(x), last[:, : self.n_states]

    def _integrated(
        self, stimulus: IntArray, volition: FloatArray, activity: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """States of the recorded neurons (B, n, K), of all at the end (B, N): nonlinear core.

        The tonic input is x₀ − W·g(x₀), so that the circuit would rest at x₀ as by the linear core.
        """
        nodes_s, cue_s = self._nodes_s, self._cue_s
        drive = np.zeros((len(stimulus), self.circuit.n_neurons))
        tonic_input = np.pad(self._tonic_input, ((0, 1), (0, 0)))[stimulus]
        at_once = np.pad(self.prepared, ((0, 1), (0, 0)))[stimulus]
        x = drive if self.prepare_s > 0 else at_once
        if self.carry:
            x = x + activity
        _, x = self._run(x, tonic_input, np.array([0.0, self.prepare_s - cue_s]))
        _, x = self._run(x, drive, np.array([0.0, max(0.0, self.window_offset_s)]))
        drive[:, : self.n_electrodes] = volition / self.window_s
        late = nodes_s >= cue_s
        on, x = self._run(
            x, drive + tonic_input, np.append(nodes_s[~late], min(cue_s, nodes_s[-1]))
        )
        off, x = self._run(x, drive, np.append(cue_s, nodes_s[late]) - cue_s)
        return np.concatenate((on[..., :-1], off[..., 1:]), axis=-1), x

    def _run(
        self, x: FloatArray, drive: FloatArray, times_s: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """`integrate`, over times some of which may be the same."""
        times_s, places = np.unique(times_s, return_inverse=True)
        weights, recorded = self.circuit.weights, self._recorded
        seen, last = integrate(weights, self.gain, x, drive, times_s, recorded)
        return seen[..., places], last

    @cached_property
    def _tonic_input(self) -> FloatArray:
        """Input that holds the nonlinear core at the prepared states, (S, N)."""
        return np.asarray(self.prepared - self.gain(self.prepared) @ self.circuit.weights.T)


def soc_cortex(model: SOC) -> SOCCortex:
    """The circuit as a cortex, made once per process and content of the circuit's file.

    Stimulus s prepares the state ``a·Σ_k φ_k(s)·√(E₁/E_k)·v_k``, with the planar code φ and the two
    states v₁, v₂ of largest energy E₁, E₂, so that either axis evokes as much.
    """
    return _made(model, model.content)


@lru_cache(maxsize=8)
def _made(model: SOC, circuit: Circuit) -> SOCCortex:
    code = model.planar_code
    layout = planar_code(code, model.stimuli)
    energies, states = circuit.modes
    axes = states[:, :2] * np.sqrt(energies[0] / energies[:2])
    cortex = SOCCortex(
        circuit=circuit,
        prepared=(model.amplitude_hz or AMPLITUDE_HZ[code]) * layout @ axes.T,
        layout=layout,
        n_electrodes=model.electrodes,
        units=model.units or _UNITS[code],
        window_s=model.window_s,
        clock_s=model.clock_s,
        core=model.core,
        carry=model.carry,
    )
    if model.match_signal:
        like = replace(model.calibrated(), control="none", abscissa=None, match_signal=False)
        cortex = matched(cortex, soc_cortex(like))
    if model.prepare_s == model.window_offset_s == 0:
        return cortex
    return replace(
        cortex, prepare_s=model.prepare_s, window_offset_s=model.window_offset_s
    )  # after the match, which is of what is calibrated


def matched(cortex: SOCCortex, like: SOCCortex) -> SOCCortex:
    """A cortex whose prepared states are resized until its signal is as large as another's.

    Raises
    ------
    ValueError
        If rates saturate before.
    """

    def excess(log_size: float) -> float:
        return cortex.signal(float(np.exp(log_size))) - like.signal()

    low, high = -3.0, 5.0
    if excess(high) < 0:
        raise ValueError(
            f"a signal of {like.signal():.3g} is out of reach: the rates of the control saturate; "
            "lower amplitude_hz"
        )
    size = float(np.exp(brentq(excess, low, high, xtol=1e-6)))
    return replace(cortex, prepared=size * cortex.prepared)


def planar_code(code: str, stimuli: int) -> FloatArray:
    """Places of the stimuli in the plane of the two leading states, (S, 2).

    Parameters
    ----------
    code : {"ring", "grid"}
        On the unit circle; or on ⌈√S⌉ columns, rows filled one after the other, with coordinates in
        [−1, 1]/√2.
    stimuli : int
        S.
    """
    if code == "ring":
        angle = 2 * np.pi * np.arange(stimuli) / stimuli
        return np.column_stack((np.cos(angle), np.sin(angle)))
    columns = int(np.ceil(stimuli**0.5))
    rows = int(np.ceil(stimuli / columns))
    row, column = np.divmod(np.arange(stimuli), columns)
    place = np.column_stack((column / max(columns - 1, 1), row / max(rows - 1, 1)))
    return np.asarray((2 * place - 1) / 2**0.5)


def _check_opening(prepare_s: float, window_offset_s: float) -> None:
    """Raise ValueError if the window opens before the preparation begins."""
    if not (prepare_s >= 0 and prepare_s + window_offset_s >= 0):
        raise ValueError(
            f"window_offset_s = {window_offset_s!r}, prepare_s = {prepare_s!r}: the window opens "
            "before the preparation begins; give an offset >= -prepare_s, or raise prepare_s"
        )


def _side_by_side(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.ascontiguousarray(np.concatenate((left, right), axis=1))
