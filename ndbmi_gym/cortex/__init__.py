"""What answers a stimulus: models of the path from stimulated to recorded cortex.

A cortex is anything that satisfies `Cortex`. The paper's descriptive model is in `topographic`, a
recurrent circuit in `soc`; recorded responses would be a further module beside them, with an entry
in `ndbmi_gym.config.CORTICES`. What a cortex carries from step to step is a state of the trial:
`respond` returns it, and is handed it again at the next step.
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
        Where volition acts through a circuit all spikes are evoked.
    activity : ndarray (B, n_states)
        What is carried to the next step of the trial.
    """

    trains: SpikeTrains
    counts: IntArray
    activity: FloatArray


class Cortex(Protocol):
    """A population that answers stimuli, seen through n electrodes on the recording clock."""

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli S."""

    @property
    def n_electrodes(self) -> int:
        """Number of recording electrodes n."""

    @property
    def n_bins(self) -> int:
        """Clock ticks per recording window."""

    @property
    def clock_s(self) -> float:
        """Tick of the recording clock, s."""

    @property
    def max_count(self) -> float:
        """Full volition (an action entry of 1) by default, in spikes per window."""

    @property
    def volition_adds(self) -> bool:
        """Whether volition adds spikes to the evoked ones (Eq 23), or acts through a circuit."""

    @property
    def n_states(self) -> int:
        """Numbers that a trial carries from step to step; 0 for a cortex without memory."""

    @property
    def layout(self) -> FloatArray | None:
        """Planar arrangement of the stimuli, (S, 2), that orients the map, if there is one."""

    def mean_counts(self, stimulus: IntArray, volition: FloatArray) -> FloatArray:
        """Expected spikes per window, (B, n), for B stimuli and volitional counts (B, n).

        Nothing is carried from an earlier step.
        """

    @property
    def nodes(self) -> IntArray:
        """Clock ticks between which rates are taken as constant, from 0 to `n_bins`, (K,)."""

    def profile(self, stimulus: IntArray | None, volition: FloatArray | None) -> FloatArray:
        """Expected spikes between successive nodes, (B, n, K − 1); without stimulus if it is None.

        Nothing is carried from an earlier step.
        """

    def most_counts(self, volition: float) -> float:
        """Upper bound of `mean_counts` under volitional counts of at most `volition`."""

    def respond(
        self,
        stimulus: IntArray,
        volition: FloatArray | None,
        rng: np.random.Generator,
        activity: FloatArray | None = None,
    ) -> Response:
        """Draw the responses to B stimuli.

        Parameters
        ----------
        stimulus : ndarray of int (B,)
        volition : ndarray (B, n) or None
            Volitional spikes per window.
        rng : numpy.random.Generator
        activity : ndarray (B, n_states), optional
            What the last response carried on; by default the cortex is at rest.
        """
