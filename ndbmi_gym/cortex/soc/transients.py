"""Transients of a recurrent circuit: what follows a prepared state, and what held input adds.

τ·dx/dt = −x + W·x + u (linear core) or −x + W·g(x) + u (nonlinear core); a neuron fires at the rate
r₀ + g(x). x, u and rates are in Hz. Times are *nodes*: an increasing list that begins with 0.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm

FloatArray = npt.NDArray[np.float64]

TAU_S = 0.2
"""Time constant τ of the circuit, s (Stroud et al. 2018, after Hennequin et al. 2014)."""

CORES = ("linear", "nonlinear")

_LONGEST_S = 0.005  # step of the Runge-Kutta integration


@dataclass(frozen=True)
class Gain:
    """The gain function g of a neuron (Stroud et al. 2018).

    Attributes
    ----------
    baseline_hz : float
        Rate r₀ at x = 0, > 0.
    max_hz : float
        Largest rate, > r₀.

    Raises
    ------
    ValueError
        If a rate is out of range.
    """

    baseline_hz: float = 20.0
    max_hz: float = 100.0

    def __post_init__(self) -> None:
        if not 0 < self.baseline_hz < self.max_hz < np.inf:
            raise ValueError(
                f"baseline_hz = {self.baseline_hz!r}, max_hz = {self.max_hz!r}: give finite rates "
                "0 < baseline_hz < max_hz"
            )

    def __call__(self, x: FloatArray) -> FloatArray:
        """Gain g(x), within (−r₀, r_max − r₀) and of slope 1 at 0."""
        reach = np.where(x < 0, self.baseline_hz, self.max_hz - self.baseline_hz)
        return np.asarray(reach * np.tanh(x / reach))

    def rate(self, x: FloatArray) -> FloatArray:
        """Firing rate r₀ + g(x), Hz."""
        return self.baseline_hz + self(x)


@dataclass(frozen=True)
class Impulses:
    """The linear core, tabulated at K nodes for R recorded neurons and n inputs.

    ``x(t) = free(t)·x₀ + held(t)·u`` for a prepared state x₀ and a held input u.

    Attributes
    ----------
    free : ndarray (K, R, N)
        Response of the recorded neurons to a unit of initial state.
    held : ndarray (K, R, n)
        Their cumulative response to a unit of held input.
    last_free, last_held : ndarray (N, N), (N, n)
        The same of all neurons at the last node.
    """

    free: FloatArray
    held: FloatArray
    last_free: FloatArray
    last_held: FloatArray


def impulses(
    weights: FloatArray,
    nodes_s: FloatArray,
    recorded: npt.NDArray[np.int64],
    inputs: npt.NDArray[np.int64],
    tau_s: float = TAU_S,
) -> Impulses:
    """Tabulate the linear core.

    Parameters
    ----------
    weights : ndarray (N, N)
    nodes_s : ndarray (K,)
    recorded : ndarray of int (R,)
        Neurons that are looked at.
    inputs : ndarray of int (n,)
        Neurons that receive input.
    tau_s : float

    Raises
    ------
    ValueError
        If the nodes do not begin with 0 and increase, or A = W − I has no inverse.
    """
    _check_nodes(nodes_s)
    identity = np.eye(len(weights))
    system = weights - identity
    try:
        inverse = np.linalg.inv(system)
    except np.linalg.LinAlgError:
        raise ValueError("W has the eigenvalue 1: held input has no bounded response") from None
    propagators = {
        gap: expm(system * gap / tau_s) for gap in np.unique(np.round(np.diff(nodes_s), 12))
    }
    whole = identity
    free = [identity[recorded]]
    for gap in np.round(np.diff(nodes_s), 12):
        whole = propagators[gap] @ whole
        free.append(whole[recorded])
    # A⁻¹ and exp(At) commute: the recorded rows of A⁻¹(exp(At) − I) need no further product
    tabulated = np.array(free)
    held = (tabulated - tabulated[0]) @ inverse[:, inputs]
    return Impulses(tabulated, held, whole, (whole - identity) @ inverse[:, inputs])


def integrate(
    weights: FloatArray,
    gain: Gain,
    prepared: FloatArray,
    drive: FloatArray,
    nodes_s: FloatArray,
    recorded: npt.NDArray[np.int64],
    tau_s: float = TAU_S,
) -> tuple[FloatArray, FloatArray]:
    """Run the nonlinear core by fourth-order Runge-Kutta in steps of at most 5 ms.

    Parameters
    ----------
    weights : ndarray (N, N)
    gain : Gain
    prepared : ndarray (B, N)
        Initial states.
    drive : ndarray (B, N)
        Held input.
    nodes_s : ndarray (K,)
    recorded : ndarray of int (R,)
    tau_s : float

    Returns
    -------
    x : ndarray (B, R, K)
        States of the recorded neurons at the nodes.
    last : ndarray (B, N)
        All states at the last node.

    Raises
    ------
    ValueError
        If the nodes do not begin with 0 and increase.
    """
    _check_nodes(nodes_s)
    across = np.ascontiguousarray(weights.T)

    def slope(x: FloatArray) -> FloatArray:
        return np.asarray((gain(x) @ across + drive - x) / tau_s)

    x = prepared.astype(float)
    seen = np.empty((len(prepared), len(recorded), len(nodes_s)))
    seen[..., 0] = x[:, recorded]
    for k, gap in enumerate(np.diff(nodes_s), start=1):
        substeps = int(np.ceil(gap / _LONGEST_S - 1e-9))
        h = gap / substeps
        for _ in range(substeps):
            first = slope(x)
            second = slope(x + h / 2 * first)
            third = slope(x + h / 2 * second)
            fourth = slope(x + h * third)
            x = x + h / 6 * (first + 2 * second + 2 * third + fourth)
        seen[..., k] = x[:, recorded]
    return seen, x


def _check_nodes(nodes_s: FloatArray) -> None:
    if nodes_s[0] != 0 or not (np.diff(nodes_s) > 0).all():
        raise ValueError(f"nodes {nodes_s}: give increasing times that begin with 0 s")
