"""Transients of a recurrent circuit: what follows a prepared state, and what held input adds.

τ·dx/dt = −x + W·x + u (linear core) or −x + W·g(x) + u (nonlinear core); a neuron fires at the rate
r₀ + g(x). x, u and rates are in Hz. Times are *nodes*: an increasing list that begins with 0.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm

from ndbmi_gym.compiled import compiled

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
        gap: propagator(weights, gap, tau_s) for gap in np.unique(np.round(np.diff(nodes_s), 12))
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


def propagator(weights: FloatArray, time_s: float, tau_s: float = TAU_S) -> FloatArray:
    """Matrix exp(At/τ), A = W − I, by which states fade in the linear core, (N, N)."""
    return np.asarray(expm((weights - np.eye(len(weights))) * time_s / tau_s))


def tonic(
    weights: FloatArray,
    states: FloatArray,
    held_s: float,
    times_s: FloatArray,
    recorded: npt.NDArray[np.int64],
    tau_s: float = TAU_S,
) -> FloatArray:
    """What the tonic input (I − W)·x₀ evokes from rest in the linear core.

    The input would hold the circuit at x₀. While it is on, ``x(t) = x₀ − exp(At/τ)·x₀`` with
    A = W − I: a circuit that amplifies x₀ first goes elsewhere. Released after d, the state fades,
    ``x(t) = exp(A(t − d)/τ)·x(d)``.

    Parameters
    ----------
    weights : ndarray (N, N)
    states : ndarray (M, N)
        States x₀.
    held_s : float
        Time d for which the input is on. 0: the states are there at once.
    times_s : ndarray (K,)
        Increasing, from the onset of the input on.
    recorded : ndarray of int (R,)
        Neurons that are looked at.
    tau_s : float

    Returns
    -------
    ndarray (K, M, R)
    """
    if held_s == 0:
        return _fading(weights, states, times_s, recorded, tau_s)
    on = times_s < held_s
    held = states[:, recorded] - _fading(weights, states, times_s[on], recorded, tau_s)
    released = states - states @ propagator(weights, held_s, tau_s).T
    after = _fading(weights, released, times_s[~on] - held_s, recorded, tau_s)
    return np.concatenate((held, after))


def _fading(
    weights: FloatArray,
    states: FloatArray,
    times_s: FloatArray,
    recorded: npt.NDArray[np.int64],
    tau_s: float,
) -> FloatArray:
    """``exp(At/τ)·x`` of the recorded neurons at increasing times, (K, M, R)."""
    gaps = np.round(np.diff(times_s, prepend=0.0), 12)
    steps = {gap: propagator(weights, gap, tau_s).T for gap in np.unique(gaps)}
    x, seen = states, np.empty((len(times_s), len(states), len(recorded)))
    for k, gap in enumerate(gaps):
        x = x @ steps[gap]
        seen[k] = x[:, recorded]
    return seen


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
    gaps = np.diff(nodes_s)
    seen = np.empty((len(prepared), len(recorded), len(nodes_s)))
    seen[..., 0] = prepared[:, recorded]
    x = np.array(prepared, float, order="C")
    _integrate(
        np.array(weights.T, float, order="C"),
        float(gain.baseline_hz),
        float(gain.max_hz - gain.baseline_hz),
        np.ascontiguousarray(drive, float),
        gaps,
        np.maximum(np.ceil(gaps / _LONGEST_S - 1e-9), 1).astype(np.int64),
        np.ascontiguousarray(recorded, np.int64),
        float(tau_s),
        x,
        seen,
    )
    return seen, x


@compiled
def _integrate(  # type: ignore[no-untyped-def]
    across, below, above, drive, gaps, substeps, recorded, tau_s, x, seen
):
    """Move the states x (B, N) from the first node to the last; fill ``seen[..., 1:]``."""
    n_neurons = x.shape[1]
    every = np.arange(n_neurons)
    at, gained, slope = np.empty(n_neurons), np.empty(n_neurons), np.empty(n_neurons)
    total = np.empty(n_neurons)
    for b in range(x.shape[0]):
        for k in range(gaps.size):
            h = gaps[k] / substeps[k]
            for _ in range(substeps[k]):
                for stage in range(4):
                    ahead = 0.0 if stage == 0 else h if stage == 3 else h / 2
                    share = 1.0 if stage == 0 or stage == 3 else 2.0
                    for i in range(n_neurons):
                        at[i] = x[b, i] + ahead * slope[i] if stage > 0 else x[b, i]
                        reach = below if at[i] < 0.0 else above
                        gained[i] = reach * np.tanh(at[i] / reach)
                        slope[i] = 0.0
                    superpose(slope, across, every, gained, n_neurons)
                    for i in range(n_neurons):
                        slope[i] = (slope[i] + drive[b, i] - at[i]) / tau_s
                        total[i] = share * slope[i] + (total[i] if stage > 0 else 0.0)
                for i in range(n_neurons):
                    x[b, i] += h / 6 * total[i]
            for u in range(recorded.size):
                seen[b, u, k + 1] = x[b, recorded[u]]


@compiled
def superpose(x, added, sources, sizes, n):  # type: ignore[no-untyped-def]
    """Add to x the rows of `added` that are listed, by their sizes.

    The sum is taken in the order of the list, so that it is the same whatever else is computed.
    """
    i = 0
    while i + 4 <= n:  # four in one pass, since memory limits it
        a, b, c, d = sizes[i], sizes[i + 1], sizes[i + 2], sizes[i + 3]
        of_a, of_b = added[sources[i]], added[sources[i + 1]]
        of_c, of_d = added[sources[i + 2]], added[sources[i + 3]]
        for k in range(x.size):
            x[k] = (((x[k] + a * of_a[k]) + b * of_b[k]) + c * of_c[k]) + d * of_d[k]
        i += 4
    while i < n:
        a, of_a = sizes[i], added[sources[i]]
        for k in range(x.size):
            x[k] += a * of_a[k]
        i += 1


def _check_nodes(nodes_s: FloatArray) -> None:
    if nodes_s[0] != 0 or not (np.diff(nodes_s) > 0).all():
        raise ValueError(f"nodes {nodes_s}: give increasing times that begin with 0 s")
