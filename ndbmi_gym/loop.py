"""The closed loop, for B trials side by side: the only place where the parts meet.

One step: position → stimulus → evoked and volitional spikes → virtual point → force → motion.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.cortex import Cortex, RateCortex, Response, decoded, with_rates
from ndbmi_gym.fields import Field, check_field, takes_of
from ndbmi_gym.interface import DECODERS, Interface
from ndbmi_gym.plants import Device, Plant
from ndbmi_gym.streams import Source, Streams

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Signals(NamedTuple):
    """What passed through the loop in one step of B trials.

    Attributes
    ----------
    stimulus : ndarray of int64 (B,)
    counts : ndarray of int64 (B, 2n)
        Evoked spikes on every electrode, then volitional ones.
    virtual_point : ndarray (B, 2)
        Decoded point y, cm.
    force : ndarray (B, 2)
        Commanded force F(y), kg·cm/s².
    activity : ndarray (B, n_states)
        What the cortex carries to the next step.
    """

    stimulus: IntArray
    counts: IntArray
    virtual_point: FloatArray
    force: FloatArray
    activity: FloatArray

    def put(self, trials: Any, others: "Signals") -> "Signals":
        """A copy in which some trials carry other signals."""
        if len(others.stimulus) == len(self.stimulus):
            return others  # all of them, in order
        copied = Signals._make(signal.copy() for signal in self)
        for mine, new in zip(copied, others, strict=True):
            mine[trials] = new
        return copied

    @property
    def evoked(self) -> IntArray:
        """Evoked spikes, (B, n)."""
        return self.counts[:, : self.counts.shape[1] // 2]

    @property
    def volitional(self) -> IntArray:
        """Volitional spikes, (B, n)."""
        return self.counts[:, self.counts.shape[1] // 2 :]


def empty_signals(n_trials: int, n_electrodes: int, n_states: int) -> Signals:
    """Signals of trials in which nothing has happened."""
    return Signals(
        np.zeros(n_trials, np.int64),
        np.zeros((n_trials, 2 * n_electrodes), np.int64),
        np.zeros((n_trials, 2)),
        np.zeros((n_trials, 2)),
        np.zeros((n_trials, n_states)),
    )


@dataclass(frozen=True)
class ClosedLoop:
    """Interface, cortex, desired field and plant, closed.

    Attributes
    ----------
    cortex : Cortex
    interface : Interface
    field : Field
        Desired force field, any callable (..., 2) → (..., 2), and what more it takes
        (`ndbmi_gym.fields.takes_of`).
    plant : Plant
    decoder : str
        One of `ndbmi_gym.interface.DECODERS`.

    Raises
    ------
    ValueError
        If the decoder is unknown, the interface was calibrated on other electrodes, stimuli or
        another window than the cortex has, or the field returns a wrong shape.
    """

    cortex: Cortex
    interface: Interface
    field: Field
    plant: Plant
    decoder: str = "multiple-points"

    def __post_init__(self) -> None:
        if self.decoder not in DECODERS:
            raise ValueError(
                f"unknown decoder {self.decoder!r}: choose one of {', '.join(DECODERS)}"
            )
        cortex, trains = self.cortex, self.interface.trains
        clock_s = self.interface.metric.clock_s
        calibrated = (trains.n_electrodes, trains.n_bins, clock_s, self.interface.n_stimuli)
        present = (decoded(cortex), cortex.n_bins, cortex.clock_s, cortex.n_stimuli)
        if calibrated != present:
            raise ValueError(
                "the interface was calibrated with {} electrodes, {} ticks of {} s and {} stimuli, "
                "the cortex has {}, {} of {} s and {}: load the interface of this set-up, or "
                "calibrate again".format(*calibrated, *present)
            )
        points = self.interface.points
        check_field(self.field, points)
        if takes_of(self.field):
            counts = np.zeros((len(points), cortex.n_electrodes), np.int64)
            check_field(self.field, points, velocity=np.zeros_like(points), counts=counts)

    @cached_property
    def force_table(self) -> FloatArray:
        """Force at every calibration point (multiple-points) or site (single-point)."""
        places = (
            self.interface.points if self.decoder == "multiple-points" else self.interface.sites
        )
        return check_field(self.field, places)

    def rates(self, who: str) -> RateCortex:
        """The cortex, for who needs its expected rates.

        Raises
        ------
        ValueError
            If it tells none.
        """
        return with_rates(self.cortex, who)

    def step(
        self,
        state: Device,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
        last: FloatArray | None = None,
    ) -> tuple[Device, Signals]:
        """Run the loop once in each trial.

        Parameters
        ----------
        state : Device
        volition : ndarray (B, n) or None
            Volitional spikes per window on each electrode.
        rng : numpy.random.Generator or Streams
            Source of the spikes.
        activity : ndarray (B, n_states), optional
            `Signals.activity` of the last step; by default the cortex is at rest.
        last : ndarray (B, 2), optional
            `Signals.virtual_point` of the last step, for fields that take a velocity; NaN, as by
            default, where there was none: the velocity is 0.

        Returns
        -------
        state : Device
        signals : Signals
        """
        signals = self.listen(state, volition, rng, activity, last)
        return self.move(state, signals.force), signals

    def listen(
        self,
        state: Device,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
        last: FloatArray | None = None,
    ) -> Signals:
        """Stimulate, record and decode, with the device held still."""
        stimulus = self.interface.sense(state.position)
        response = self.cortex.respond(stimulus, volition, rng, activity)
        return self.interpret(stimulus, response, last)

    def interpret(
        self, stimulus: IntArray, response: Response, last: FloatArray | None = None
    ) -> Signals:
        """Decode responses into virtual points and forces, after the last virtual points (B, 2)."""
        bank, trains = self.interface.bank, response.trains
        if self.decoder == "multiple-points":
            nearest = bank.nearest(trains)
            point = self.interface.points.take(nearest, 0)
            force = self.force_table.take(nearest, 0)
        elif self.decoder == "single-point":
            nearest = bank.nearest_group(
                trains, self.interface.n_repetitions, self.interface.exponent
            )
            point = self.interface.sites.take(nearest, 0)
            force = self.force_table.take(nearest, 0)
        else:
            point = self.interface.project(trains)
            force = self.field(point)
        if takes_of(self.field):
            n = response.counts.shape[1] // 2
            counts = response.counts[:, :n] + response.counts[:, n:]
            force = self.steer(point, counts, last)
        return Signals(stimulus, response.counts, point, force, response.activity)

    def steer(
        self, point: FloatArray, counts: IntArray, last: FloatArray | None = None
    ) -> FloatArray:
        """Forces (B, 2) of a field that takes more than virtual points (B, 2).

        Parameters
        ----------
        point : ndarray (B, 2)
        counts : ndarray (B, n)
            Spikes on every electrode.
        last : ndarray (B, 2), optional
            Virtual points of the step before; NaN where there was none: the velocity is 0.
        """
        velocity = np.zeros_like(point)
        if last is not None:
            velocity = np.nan_to_num((point - last) / self.plant.step_s)
        return check_field(self.field, point, velocity=velocity, counts=counts)

    def move(self, state: Device, force: FloatArray) -> Device:
        """Move the devices for one step under given forces."""
        return self.plant.advance(state, force)

    def expected_force(
        self, stimulus: IntArray, volition: FloatArray, rng: Source, samples: int = 32
    ) -> tuple[FloatArray, FloatArray]:
        """What if: mean and variance of the force that stimuli and volition command.

        Parameters
        ----------
        stimulus : ndarray of int (B,)
        volition : ndarray (B, n)
            Volitional spikes per window.
        rng : numpy.random.Generator or Streams
        samples : int
            Responses drawn for each pair.

        Returns
        -------
        mean : ndarray (B, 2)
        variance : ndarray (B,)
            Sum over both components.
        """
        stimulus = np.repeat(stimulus, samples)
        many = rng.split(samples) if isinstance(rng, Streams) else rng
        response = self.cortex.respond(stimulus, np.repeat(volition, samples, axis=0), many)
        force = self.interpret(stimulus, response).force.reshape(-1, samples, 2)
        return force.mean(axis=1), force.var(axis=1).sum(axis=-1)
