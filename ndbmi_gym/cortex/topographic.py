"""The paper's descriptive cortex: topographic evoked rates and renewal spikes (Eqs 17 and 19)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ndbmi_gym.cortex import FloatArray, IntArray, Response
from ndbmi_gym.spikes import sample, window_bins
from ndbmi_gym.stimuli import StimulusSet, evoked_counts


@dataclass(frozen=True)
class TopographicCortex:
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

    @property
    def n_states(self) -> int:
        """Nothing is carried from step to step."""
        return 0

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

    def most_counts(self, volition: float) -> float:
        """Largest expected spikes per window under volitional counts of at most `volition`."""
        return float(self.evoked.max()) + volition

    def respond(
        self,
        stimulus: IntArray,
        volition: FloatArray | None,
        rng: np.random.Generator,
        activity: FloatArray | None = None,
    ) -> Response:
        """Draw the responses to B stimuli.

        Positive volition adds Poisson spikes; negative volition lowers the evoked rate, at most to
        silence.
        """
        evoked = self.evoked.take(stimulus, axis=0)
        drawn = sample(rng, evoked, self.n_bins, volition, self.shape)
        return Response(*drawn, np.empty((len(stimulus), 0)))


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
