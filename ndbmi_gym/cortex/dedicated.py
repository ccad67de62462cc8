"""The paper's cortex, and electrodes beside it that the decoder does not hear.

Volition alone drives them: no stimulus does. What they record is for fields that take counts
(`ndbmi_gym.steered.ChoiceField`).
"""

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import number, whole
from ndbmi_gym.cortex import FloatArray, IntArray, RateCortex, Response
from ndbmi_gym.cortex.topographic import Topographic, TopographicCortex
from ndbmi_gym.spikes import count_bound
from ndbmi_gym.streams import Source


@dataclass(frozen=True)
class Dedicated(Topographic):
    """The paper's cortex with further electrodes, behind those of the interface.

    Attributes
    ----------
    dedicated : int
        Further electrodes.
    resting : float
        Spikes per window on each of them without volition.
    """

    dedicated: int = whole(2, "electrodes that the decoder does not hear", least=1, most=64)
    resting: float = number(
        5.0, "spikes per window on each of them without volition", least=0, most=1e4
    )

    def for_animal(self, animal: int) -> "DedicatedCortex":  # type: ignore[override]
        """The same in all animals."""
        return DedicatedCortex(self._heard.for_animal(animal), self.dedicated, self.resting)

    def calibrated(self) -> Topographic:
        """What the interface hears, as it was in calibration."""
        return self._heard.calibrated()

    @property
    def _heard(self) -> Topographic:
        return Topographic(**{each.name: getattr(self, each.name) for each in fields(Topographic)})


@dataclass(frozen=True)
class DedicatedCortex(RateCortex):
    """A cortex that the interface hears, and electrodes that volition alone drives.

    Attributes
    ----------
    heard : TopographicCortex
    dedicated : int
        Further electrodes, numbered behind those of the cortex.
    resting : float
        Spikes per window on each of them without volition.
    """

    heard: TopographicCortex
    dedicated: int
    resting: float

    n_states: ClassVar[int] = 0  # nothing is carried from step to step
    one_stream: ClassVar[bool] = True
    native: ClassVar[None] = None  # steps go part by part

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli S."""
        return self.heard.n_stimuli

    @property
    def n_electrodes(self) -> int:
        """All electrodes."""
        return self.n_decoded + self.dedicated

    @property
    def n_decoded(self) -> int:
        """The first of them, which the interface hears."""
        return self.heard.n_electrodes

    @property
    def n_bins(self) -> int:
        """Clock ticks per recording window."""
        return self.heard.n_bins

    @property
    def clock_s(self) -> float:
        """Tick of the recording clock, s."""
        return self.heard.clock_s

    @property
    def max_count(self) -> float:
        """Spikes per window added by full volition."""
        return self.heard.max_count

    @property
    def layout(self) -> FloatArray | None:
        """Planar arrangement of the stimuli."""
        return self.heard.layout

    @property
    def spikes_per_response(self) -> float:
        """Expected in the mean over stimuli, on the electrodes that are decoded."""
        return self.heard.spikes_per_response

    @property
    def volition_adds(self) -> bool:
        """Volition adds its own spikes (Eq 23)."""
        return True

    @property
    def nodes(self) -> IntArray:
        """Rates are constant over the window."""
        return self.heard.nodes

    def mean_counts(self, stimulus: IntArray, volition: FloatArray) -> FloatArray:
        """Expected spikes per window on all electrodes, (B, N)."""
        n = self.n_decoded
        beside = np.maximum(self.resting + volition[:, n:], 0.0)
        return np.concatenate((self.heard.mean_counts(stimulus, volition[:, :n]), beside), axis=1)

    def profile(self, stimulus: IntArray | None, volition: FloatArray | None) -> FloatArray:
        """Expected spikes per window on the electrodes that are decoded, (B, n, 1)."""
        decoded = None if volition is None else volition[:, : self.n_decoded]
        return self.heard.profile(stimulus, decoded)

    def count_bound(self, volition: float) -> float:
        """Spikes of an electrode and window that are never exceeded."""
        return max(self.heard.count_bound(volition), count_bound(self.resting, 1.0, volition))

    def respond(
        self,
        stimulus: IntArray,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
    ) -> Response:
        """Draw the responses to B stimuli; of the further electrodes their counts (Poisson).

        Negative volition lowers their resting rate, at most to silence.
        """
        n, shape = self.n_decoded, (len(stimulus), self.dedicated)
        added = np.zeros((len(stimulus), self.n_electrodes)) if volition is None else volition
        response = self.heard.respond(stimulus, np.ascontiguousarray(added[:, :n]), rng)
        beside = np.ascontiguousarray(added[:, n:])
        drawn: list[npt.NDArray[np.int64]] = [
            np.asarray(rng.poisson(rate), np.int64).reshape(shape)
            for rate in (
                np.maximum(self.resting + np.minimum(beside, 0.0), 0.0),
                np.maximum(beside, 0.0),
            )
        ]
        parts = (response.counts[:, :n], drawn[0], response.counts[:, n:], drawn[1])
        return response._replace(counts=np.concatenate(parts, axis=1))
