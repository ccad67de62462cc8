"""The paper's descriptive cortex: topographic evoked rates and renewal spikes (Eqs 17 and 19)."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np

from ndbmi_gym.checks import choice, number, settle, whole
from ndbmi_gym.cortex import FloatArray, IntArray, RateCortex, Response
from ndbmi_gym.spikes import (
    Renewal,
    count_bound,
    mean_renewal_count,
    respond_by,
    responses,
    sample,
    window_bins,
)
from ndbmi_gym.stimuli import (
    StimulusSet,
    evoked_counts,
    flatten,
    lose_site,
    misplace_electrode,
    stimulus_set,
)
from ndbmi_gym.streams import Source, Streams

DEGRADED = ("always", "test")


@dataclass(frozen=True)
class Topographic:
    """The paper's cortex under one of its stimulus sets, and what may be wrong with it.

    Attributes
    ----------
    dataset : int
        Stimulus set of Table 1.
    window_s, clock_s : float
        Recording window T and tick of its clock, s.
    spontaneous : float
        Spontaneous spikes per window on every electrode.
    gamma_shape : float
        Shape k of the inter-spike intervals (Eq 19); 1 is Poisson.
    gain : float
        Factor on all evoked counts.
    flatten : float
        Share α of the electrodes' tuning that is lost (Eq 18).
    misplaced_electrode : int or None
        A recording electrode that answers all stimuli alike (Eq 20).
    lost_site : int or None
        A stimulation site whose stimuli all evoke the same everywhere (Eq 21).
    degraded : {"always", "test"}
        When spontaneous firing, Gamma intervals, flattening and broken electrodes are there: in
        calibration and afterwards, or only afterwards ("test", the text's Fig 11).

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    dataset: int = whole(6, "stimulus set of Table 1", least=1, most=7)
    window_s: float = number(0.6, "recording window T", "s", above=0, most=60)
    clock_s: float = number(1e-3, "tick of the recording clock", "s", least=1e-7, most=60)
    spontaneous: float = number(
        0.0, "spontaneous spikes per window on every electrode", least=0, most=1e4
    )
    gamma_shape: float = number(
        1.0, "shape k of the inter-spike intervals (Eq 19); 1: Poisson", least=1e-6, most=1e6
    )
    gain: float = number(1.0, "factor on all evoked counts", least=0, most=1e4)
    flatten: float = number(0.0, "share α of the tuning that is lost (Eq 18)", least=0, most=1)
    misplaced_electrode: int | None = whole(
        None, "recording electrode that answers all stimuli alike (Eq 20)", least=0, optional=True
    )
    lost_site: int | None = whole(
        None, "stimulation site that evokes the same everywhere (Eq 21)", least=0, optional=True
    )
    degraded: str = choice(
        "always", DEGRADED, "whether degradations are there in calibration, or in test only"
    )

    metric_tau_s: ClassVar[float] = 0.1

    def __post_init__(self) -> None:
        settle(self)
        self.for_animal(0)  # the sites and electrodes of this set

    def for_animal(self, animal: int) -> "TopographicCortex":
        """The same in all animals: they differ by the noise of calibration."""
        try:
            return _made(self)
        except TypeError:  # a model of someone's own that cannot be a key
            return _made.__wrapped__(self)

    def calibrated(self) -> "Topographic":
        """Without the degradations that are there in test only."""
        if self.degraded == "always":
            return self
        return Topographic(self.dataset, self.window_s, self.clock_s, gain=self.gain)


@lru_cache(maxsize=8)
def _made(model: Topographic) -> "TopographicCortex":
    stimuli = stimulus_set(model.dataset)
    cortex = topographic_cortex(
        stimuli, model.window_s, model.clock_s, model.spontaneous, model.gamma_shape
    )
    evoked = model.gain * cortex.evoked
    if model.lost_site is not None:
        evoked = lose_site(evoked, stimuli, model.lost_site)
    if model.misplaced_electrode is not None:
        evoked = misplace_electrode(evoked, model.misplaced_electrode)
    return replace(cortex, evoked=flatten(evoked, model.flatten))


@dataclass(frozen=True)
class TopographicCortex(RateCortex):
    """Electrodes with a fixed mean count for every stimulus, to which volition adds (Eq 23).

    Attributes
    ----------
    evoked : ndarray (S, n)
        Mean spikes per window by stimulus and electrode. Degradations are maps on this table
        (`ndbmi_gym.stimuli`): ``dataclasses.replace(cortex, evoked=flatten(cortex.evoked, 0.5))``.
    max_count : float
        Spikes per window added by full volition.
    layout : ndarray (S, 2) or None
        Planar arrangement of the stimuli.
    window_s, clock_s : float
        Recording window T and its clock, s.
    shape : float
        Shape k of the Gamma inter-spike intervals; 1 is Poisson.
    """

    evoked: FloatArray
    max_count: float
    layout: FloatArray | None = None
    window_s: float = 0.6
    clock_s: float = 1e-3
    shape: float = 1.0

    n_states: ClassVar[int] = 0  # nothing is carried from step to step
    one_stream: ClassVar[bool] = True

    def __post_init__(self) -> None:
        window_bins(self.window_s, self.clock_s)
        if not (np.isfinite(self.shape) and self.shape > 0):
            raise ValueError(
                f"shape = {self.shape!r}: Gamma intervals need a shape > 0 (1: Poisson)"
            )
        if self.evoked.ndim != 2 or not (
            np.isfinite(self.evoked).all() and (self.evoked >= 0).all()
        ):
            raise ValueError(
                f"evoked counts of shape {self.evoked.shape}: give an (S, n) table of finite "
                "spike counts >= 0"
            )

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli S."""
        return self.evoked.shape[0]

    @property
    def n_electrodes(self) -> int:
        """Number of recording electrodes n."""
        return self.evoked.shape[1]

    @property
    def volition_adds(self) -> bool:
        """Volition adds its own spikes (Eq 23)."""
        return True

    @cached_property
    def n_bins(self) -> int:
        """Clock ticks per recording window."""
        return window_bins(self.window_s, self.clock_s)

    def mean_counts(self, stimulus: IntArray, volition: FloatArray) -> FloatArray:
        """Expected spikes per window (Eq 23), never below zero, (B, n)."""
        return np.maximum(self.evoked[stimulus] + volition, 0.0)

    @cached_property
    def nodes(self) -> IntArray:
        """Rates are constant over the window."""
        return np.array([0, self.n_bins])

    def profile(self, stimulus: IntArray | None, volition: FloatArray | None) -> FloatArray:
        """Expected spikes per window, (B, n, 1)."""
        evoked = 0.0 if stimulus is None else self.evoked[stimulus]
        added = 0.0 if volition is None else volition
        return np.maximum(evoked + np.asarray(added), 0.0)[..., None]

    @property
    def spikes_per_response(self) -> float:
        """Expected in the mean over stimuli; Gamma intervals have more than the nominal counts."""
        nominal = float(self.evoked.sum(axis=1).mean())
        most = float(self.evoked.max())
        return nominal + self.n_electrodes * max(mean_renewal_count(most, self.shape) - most, 0.0)

    def count_bound(self, volition: float) -> float:
        """Spikes of an electrode and window that are exceeded with probability below 1e-300."""
        return count_bound(float(self.evoked.max()), self.shape, volition)

    @cached_property
    def native(self) -> tuple[Any, Any] | None:
        """How responses are drawn in compiled code; None where a class of one's own does it."""
        if type(self).respond is not TopographicCortex.respond:
            return None
        tables = Renewal(np.array(self.evoked, order="C"), self.n_bins, float(self.shape))
        return responses(self.shape), tables

    def respond(
        self,
        stimulus: IntArray,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
    ) -> Response:
        """Draw the responses to B stimuli.

        Positive volition adds Poisson spikes; negative volition lowers the evoked rate, at most to
        silence.
        """
        if isinstance(rng, Streams) and self.native is not None:
            drawn = respond_by(*self.native, stimulus, volition, rng, self.n_bins)
            return Response(*drawn)
        evoked = self.evoked.take(stimulus, 0)
        sampled = sample(rng, evoked, self.n_bins, volition, self.shape)
        return Response(*sampled, np.empty((len(stimulus), 0)))


def topographic_cortex(
    stimuli: StimulusSet,
    window_s: float = 0.6,
    clock_s: float = 1e-3,
    spontaneous: float = 0.0,
    shape: float = 1.0,
) -> TopographicCortex:
    """The paper's cortex under one of its stimulus sets.

    Parameters
    ----------
    stimuli : StimulusSet
    window_s, clock_s : float
        Recording window T and tick of its clock, s.
    spontaneous : float
        Spontaneous spikes per window on every electrode.
    shape : float
        Shape k of the Gamma inter-spike intervals (Eq 19).
    """
    table = evoked_counts(stimuli, spontaneous)
    return TopographicCortex(table, stimuli.max_height, stimuli.layout(), window_s, clock_s, shape)
