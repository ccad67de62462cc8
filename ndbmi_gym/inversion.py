"""From a target to the volition that leads there (Eq 24), by inverting what volition does.

The paper's command for a target x_T is the mean response of the stimulus at −x_T, which volition
adds to the evoked activity: at the target both together are decoded at the centre, where the field
vanishes. Through a circuit no response can be added. There, the input is sought that displaces the
decoded point by −x_T. The displacement is from where the circuit's response at rest is decoded,
which need not be the centre: that response is not added when stimulus and input come together.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

from ndbmi_gym.cortex import RateCortex, decoded
from ndbmi_gym.interface import Interface
from ndbmi_gym.loop import ClosedLoop

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_RIDGE_CM = 0.3  # displacement that is given up to save a unit of the input's Euclidean norm
_ROUNDS = 4  # of linearisation


def command(loop: ClosedLoop, targets: FloatArray, low: float, high: float) -> FloatArray:
    """Constant volition towards given targets, (P, n), in spikes per window.

    For a cortex to which volition adds: the mean response of the stimulus whose site is nearest to
    −x_T (Eq 24; not limited to the bounds). For a circuit: the input of `displacing`.

    Parameters
    ----------
    loop : ClosedLoop
    targets : ndarray (P, 2)
        x_T, cm.
    low, high : float
        Bounds of volition, spikes per window.
    """
    cortex, interface = loop.rates("the command (Eq 24)"), loop.interface
    if cortex.volition_adds:
        opposite = interface.sense(-targets)
        counts = cortex.mean_counts(opposite, np.zeros((len(targets), cortex.n_electrodes)))
        counts[:, decoded(cortex) :] = 0.0  # what is not decoded leads nowhere
        return counts
    return np.array([displacing(cortex, interface, -target, low, high) for target in targets])


def displacing(
    cortex: RateCortex, interface: Interface, displacement: FloatArray, low: float, high: float
) -> FloatArray:
    """Volition that displaces the expected projected response from that at rest, (n,).

    Ridge regression within bounds on the map from input to the projected response at rest,
    linearised anew a few times: rates saturate.

    Parameters
    ----------
    cortex : RateCortex
    interface : Interface
    displacement : ndarray (2,)
        cm.
    low, high : float
        Bounds of volition, spikes per window.
    """
    every, n_electrodes = 1e-3 * high, cortex.n_electrodes
    volition = np.zeros(n_electrodes)
    rest = expected_projection(cortex, interface, None, volition[None])[0]
    for _ in range(_ROUNDS):
        nudged = np.vstack((volition, volition + every * np.eye(n_electrodes)))
        places = expected_projection(cortex, interface, None, nudged) - rest
        slope = (places[1:] - places[0]).T * (high / every)  # cm for a full action entry
        wanted = displacement - places[0] + slope @ (volition / high)
        stacked = np.vstack((slope, _RIDGE_CM * np.eye(n_electrodes)))
        found = lsq_linear(
            stacked, np.append(wanted, np.zeros(n_electrodes)), (low / high, 1.0), method="bvls"
        )
        volition = found.x * high
    return np.asarray(volition)


def expected_projection(
    cortex: RateCortex, interface: Interface, stimulus: IntArray | None, volition: FloatArray
) -> FloatArray:
    """Where the responses to stimuli, or to volition alone, project to in the mean, (B, 2), cm."""
    per_spike = interface.readout.reshape(cortex.n_electrodes, cortex.n_bins, 2)
    sums = np.add.reduceat(per_spike, cortex.nodes[:-1], axis=1)
    mean = sums / np.diff(cortex.nodes)[:, None]
    spikes = cortex.profile(stimulus, volition)
    return np.asarray(np.tensordot(spikes, mean, 2) + interface.readout_offset)
