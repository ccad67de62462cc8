"""What answers a stimulus: models of the path from stimulated to recorded cortex.

A cortex is anything that satisfies `Cortex`. The paper's descriptive model is in `topographic`; a
recurrent circuit or recorded responses are further modules beside it, with an entry in
`ndbmi_gym.config.CORTICES`. A circuit through which volition acts applies ``volition`` inside
`respond`. Tuning that drifts or breaks within a life, or activity carried from step to step, is a
state of the trial: it would be passed to `respond` from `ndbmi_gym.episodes`, which keeps it.
"""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.spikes import SpikeTrains

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Response(NamedTuple):
    """What B trials evoke and what is recorded of it.

    Attributes
    ----------
    trains : SpikeTrains
        All recorded spikes.
    counts : ndarray of int64 (B, 2n)
        Evoked spikes on every electrode, then volitional ones. Their sum is ``trains.counts()``.
    """

    trains: SpikeTrains
    counts: IntArray


class Cortex(Protocol):
    """A population that answers stimuli, seen through n electrodes on the recording clock."""

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli S."""

    @property
    def n_units(self) -> int:
        """Number of recording electrodes n."""

    @property
    def n_bins(self) -> int:
        """Clock ticks per recording window."""

    @property
    def clock_s(self) -> float:
        """Tick of the recording clock, s."""

    @property
    def max_count(self) -> float:
        """Spikes per window that full volition (an action entry of 1) adds by default."""

    @property
    def layout(self) -> FloatArray | None:
        """Planar arrangement of the stimuli, (S, 2), that orients the map, if there is one."""

    def mean_counts(self, stimulus: IntArray, volition: FloatArray) -> FloatArray:
        """Expected spikes per window, (B, n), for B stimuli and volitional counts (B, n)."""

    def respond(
        self, stimulus: IntArray, volition: FloatArray | None, rng: np.random.Generator
    ) -> Response:
        """Draw the responses to B stimuli under volition (B, n), in spikes per window."""
