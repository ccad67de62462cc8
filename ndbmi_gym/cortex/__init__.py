"""What answers a stimulus: models of the path from stimulated to recorded cortex.

A cortex is anything that satisfies `Cortex`; one that also knows its expected rates satisfies
`RateCortex`, which the paper's command, the look-ahead and the particle filter need. The paper's
descriptive model is in `topographic`, a recurrent circuit in `soc`. What a cortex carries from step
to step is a state of the trial: `Cortex.respond` returns it, and is handed it again at the next
step.

What ``cortex=`` chooses is a `CortexModel`, which makes the cortex of every animal; a `Cortex` that
inherits from the protocol is such a model, too, the same in all animals::

    class Mine(Cortex):
        n_stimuli, n_electrodes, n_bins, clock_s, max_count = 8, 4, 600, 1e-3, 40.0

        def respond(self, stimulus, volition, rng, activity=None): ...
"""

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from ndbmi_gym.parts import Registry
from ndbmi_gym.spikes import SpikeTrains, count_bound
from ndbmi_gym.streams import Source

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
    """A population that answers stimuli, seen through n electrodes on the recording clock.

    What has a value here needs none in a class that inherits from this one.

    Attributes
    ----------
    n_stimuli : int
        Number of stimuli S.
    n_electrodes : int
        Number of recording electrodes n. A cortex that has more than the interface hears tells by
        an attribute ``n_decoded`` how many that are, the first ones; of the others it gives counts,
        and no spikes.
    n_bins : int
        Clock ticks per recording window.
    clock_s : float
        Tick of the recording clock, s.
    max_count : float
        Full volition (an action entry of 1) by default, in spikes per window.
    n_states : int
        Numbers that a trial carries from step to step; 0 for a cortex without memory.
    layout : ndarray (S, 2) or None
        Planar arrangement of the stimuli, that orients the map, if there is one.
    spikes_per_response : float
        Expected in the mean over stimuli, on all electrodes together: what a calibration costs. 0
        where it is not known.
    one_stream : bool
        Whether calibration draws all responses from one generator, rather than each from a stream
        of its own.
    native : (compiled function, NamedTuple) or None
        How `respond` draws a range of trials in compiled code, and from which tables
        (`ndbmi_gym.spikes.respond_by`); None for a cortex written in Python.
    """

    if TYPE_CHECKING:  # to be read only, however a class likes to keep them

        @property
        def n_stimuli(self) -> int: ...  # noqa: D102

        @property
        def n_electrodes(self) -> int: ...  # noqa: D102

        @property
        def n_bins(self) -> int: ...  # noqa: D102

        @property
        def clock_s(self) -> float: ...  # noqa: D102

        @property
        def max_count(self) -> float: ...  # noqa: D102

        @property
        def n_states(self) -> int: ...  # noqa: D102

        @property
        def layout(self) -> FloatArray | None: ...  # noqa: D102

        @property
        def spikes_per_response(self) -> float: ...  # noqa: D102

        @property
        def one_stream(self) -> bool: ...  # noqa: D102

        @property
        def native(self) -> tuple[Any, Any] | None: ...  # noqa: D102

    else:
        n_states = 0
        layout = None
        spikes_per_response = 0.0
        one_stream = False
        native = None

    def count_bound(self, volition: float) -> float:
        """Spikes of an electrode and window that are never exceeded.

        Parameters
        ----------
        volition : float
            Largest volitional spikes per window.
        """
        return count_bound(self.n_bins + volition)

    def respond(
        self,
        stimulus: IntArray,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
    ) -> Response:
        """Draw the responses to B stimuli.

        Parameters
        ----------
        stimulus : ndarray of int (B,)
        volition : ndarray (B, n) or None
            Volitional spikes per window.
        rng : numpy.random.Generator or Streams
            A stream for each row, used like one generator: ``rng.random((B, n))``,
            ``rng.poisson(mean)``. (A cortex with `one_stream` is calibrated by one generator.)
        activity : ndarray (B, n_states), optional
            What the last response carried on; by default the cortex is at rest.
        """
        raise NotImplementedError

    def for_animal(self, animal: int) -> "Cortex":
        """The cortex of an animal: the same in all."""
        return self

    def calibrated(self) -> Self:
        """What was there in calibration: the same."""
        return self


class RateCortex(Cortex, Protocol):
    """A cortex that knows its expected rates.

    Attributes
    ----------
    volition_adds : bool
        Whether volition adds spikes to the evoked ones (Eq 23), or acts through a circuit.
    nodes : ndarray of int (K,)
        Clock ticks between which rates are taken as constant, from 0 to `n_bins`.
    """

    if TYPE_CHECKING:

        @property
        def volition_adds(self) -> bool: ...  # noqa: D102

        @property
        def nodes(self) -> IntArray: ...  # noqa: D102

    def mean_counts(self, stimulus: IntArray, volition: FloatArray) -> FloatArray:
        """Expected spikes per window, (B, n), for B stimuli and volitional counts (B, n).

        Nothing is carried from an earlier step.
        """
        raise NotImplementedError

    def profile(self, stimulus: IntArray | None, volition: FloatArray | None) -> FloatArray:
        """Expected spikes between successive nodes, (B, n, K − 1); without stimulus if it is None.

        Nothing is carried from an earlier step.
        """
        raise NotImplementedError


class CortexModel(Protocol):
    """What makes the cortex of every animal. Hashable, since interfaces are kept by it."""

    def for_animal(self, animal: int) -> Cortex:
        """The cortex of an animal."""

    def calibrated(self) -> "CortexModel":
        """What was there in calibration: without what came afterwards."""


CORTICES: Registry[CortexModel] = Registry(
    "cortex",
    ("for_animal", "calibrated"),
    {
        "topographic": "ndbmi_gym.cortex.topographic:Topographic",
        "soc": "ndbmi_gym.cortex.soc.cortex:SOC",
        "dedicated": "ndbmi_gym.cortex.dedicated:Dedicated",
    },
)
"""Models of the cortex by name."""


def metric_tau_s(model: Any) -> float:
    """Time constant of the spike-train metric that suits a model, s."""
    return float(getattr(model, "metric_tau_s", 0.1))


def decoded(cortex: Any) -> int:
    """How many of a cortex's electrodes the interface hears: its first `n_decoded`, or all."""
    return int(getattr(cortex, "n_decoded", cortex.n_electrodes))


def with_rates(cortex: Any, who: str) -> RateCortex:
    """A cortex, if it knows its rates.

    Raises
    ------
    ValueError
        If it does not.
    """
    if not all(
        hasattr(cortex, name) for name in ("mean_counts", "profile", "nodes", "volition_adds")
    ):
        raise ValueError(
            f"{who} needs expected rates, and the cortex {type(cortex).__name__} tells none: give "
            "it mean_counts, profile, nodes and volition_adds (ndbmi_gym.cortex.RateCortex), or "
            "take a policy that acts on observations"
        )
    known: RateCortex = cortex
    return known
