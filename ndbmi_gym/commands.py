"""Volition that, by itself, evokes what the interface decodes as a given point.

The paper's command for a target x_T (Eq 24) is the mean response of the stimulus at −x_T, which
volition adds to the evoked activity. Through a circuit nothing can be added to the response: there,
the input is sought whose effect on the decoded point is that of being at −x_T.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

from ndbmi_gym.cortex import Cortex
from ndbmi_gym.cortex.soc import SOCCortex
from ndbmi_gym.interface import Interface
from ndbmi_gym.loop import ClosedLoop

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_RIDGE_CM = 0.3  # displacement that is given up to save a unit of the input's Euclidean norm
_ROUNDS = 4  # of linearisation


def evoking(loop: ClosedLoop, points: FloatArray, low: float, high: float) -> FloatArray:
    """Volition that alone evokes given points, (P, n), in spikes per window.

    For a cortex to which volition adds: the mean response of the stimulus whose site is nearest
    (Eq 24; not limited to the bounds). For a circuit: `invert`.

    Parameters
    ----------
    loop : ClosedLoop
    points : ndarray (P, 2)
        cm.
    low, high : float
        Bounds of volition, spikes per window.
    """
    cortex, interface = loop.cortex, loop.interface
    if isinstance(cortex, SOCCortex):
        return np.array([invert(cortex, interface, point, low, high) for point in points])
    nearest = interface.sense(points)
    return cortex.mean_counts(nearest, np.zeros((len(points), cortex.n_units)))


def invert(
    cortex: Cortex, interface: Interface, point: FloatArray, low: float, high: float
) -> FloatArray:
    """Held input that displaces the expected projected response to a point, (n,).

    Ridge regression within bounds on the map from input to the projected response at rest,
    linearised anew a few times: rates saturate. Displacements are from the place of the response at
    rest, which need not be the centre.

    Parameters
    ----------
    cortex : Cortex
    interface : Interface
    point : ndarray (2,)
        Displacement, cm.
    low, high : float
        Bounds of volition, spikes per window.
    """
    every, n_units = 1e-3 * high, cortex.n_units
    volition = np.zeros(n_units)
    rest = expected_projection(cortex, interface, None, volition[None])[0]
    for _ in range(_ROUNDS):
        nudged = np.vstack((volition, volition + every * np.eye(n_units)))
        places = expected_projection(cortex, interface, None, nudged) - rest
        slope = (places[1:] - places[0]).T * (high / every)  # cm for a full action entry
        wanted = point - places[0] + slope @ (volition / high)
        stacked = np.vstack((slope, _RIDGE_CM * np.eye(n_units)))
        found = lsq_linear(
            stacked, np.append(wanted, np.zeros(n_units)), (low / high, 1.0), method="bvls"
        )
        volition = found.x * high
    return np.asarray(volition)


def expected_projection(
    cortex: Cortex, interface: Interface, stimulus: IntArray | None, volition: FloatArray
) -> FloatArray:
    """Where the responses to stimuli, or to volition alone, project to in the mean, (B, 2), cm."""
    per_spike = interface.readout.reshape(cortex.n_units, cortex.n_bins, 2)
    sums = np.add.reduceat(per_spike, cortex.nodes[:-1], axis=1)
    mean = sums / np.diff(cortex.nodes)[:, None]
    spikes = cortex.profile(stimulus, volition)
    return np.asarray(np.tensordot(spikes, mean, 2) + interface.readout_offset)
