"""Quantities of circuits, of their transients, and of responses to them."""

import numpy as np
from scipy.linalg import expm

from ndbmi_gym.cortex.soc.circuit import (
    Circuit,
    energy_matrix,
    noise_covariance,
)
from ndbmi_gym.cortex.soc.transients import TAU_S
from ndbmi_gym.experiments.circuit.readout import explained
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)


def course(weights: FloatArray, states: FloatArray, step_s: float, steps: int) -> FloatArray:
    """Free transients of the linear core, (steps + 1, N, M).

    Parameters
    ----------
    weights : ndarray (N, N)
    states : ndarray (N, M)
        What they begin with.
    step_s : float
        Between successive times, s.
    steps : int
    """
    propagator = expm((weights - np.eye(len(weights))) * step_s / TAU_S)
    x = [states]
    for _ in range(steps):
        x.append(propagator @ x[-1])
    return np.array(x)


def energy_share(circuit: Circuit, state: FloatArray, after_s: float) -> float:
    """Share of the energy evoked by a state (N,) that is spent after a time, exact."""
    matrix = energy_matrix(circuit.weights)
    later = course(circuit.weights, state[:, None], after_s, 1)[1, :, 0]
    return float(1 - (later @ matrix @ later) / (state @ matrix @ state))


def explained_share(responses: FloatArray) -> float:
    """Share of the single-trial variance that is explained by the stimulus.

    The intraclass correlation σ²_s/(σ²_s + σ²_e) of a one-way random-effects analysis, variances
    summed over features: unbiased by the number of trials (slightly negative without any effect).

    Parameters
    ----------
    responses : ndarray (S, R, F)
        R single trials of S stimuli, in F features.
    """
    trials = responses.shape[1]
    within = float(responses.var(axis=1, ddof=1).mean(axis=0).sum())
    between = float(responses.mean(axis=1).var(axis=0, ddof=1).sum()) - within / trials
    return between / (between + within)


def participation(variances: FloatArray) -> float:
    """Participation ratio (Σλ)²/Σλ² of variances: the number of equal ones as spread out."""
    return float(variances.sum() ** 2 / (variances**2).sum())


def n_components(variances: FloatArray) -> int:
    """Number of the largest variances that together make up 90 % of all."""
    cumulative = np.cumsum(np.sort(variances)[::-1])
    return int(np.searchsorted(cumulative, 0.9 * cumulative[-1] * (1 - 1e-12)) + 1)


def component_variances(samples: FloatArray) -> FloatArray:
    """Variances along the principal components of samples (M, N), falling."""
    centred = samples - samples.mean(axis=0)
    return np.asarray(np.linalg.svd(centred, compute_uv=False) ** 2 / len(samples))


def affine_r2(points: FloatArray, layout: FloatArray) -> float:
    """R² of the affine map from points (S, 2) that comes nearest to a layout (S, 2)."""
    design = np.column_stack((points, np.ones(len(points))))
    solution = np.linalg.lstsq(design, layout)[0]
    return explained(layout, design @ solution)


def received(circuit: Circuit, activity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Excitation Σ_E W·x and inhibition −Σ_I W·x of all neurons, (M, N) each."""
    half = circuit.n_excitatory
    excitation = activity[:, :half] @ circuit.weights[:, :half].T
    return excitation, -activity[:, half:] @ circuit.weights[:, half:].T


def white_noise(
    circuit: Circuit, rng: np.random.Generator, runs: int, steps: int, step_s: float
) -> FloatArray:
    """Stationary activity of the linear core under white noise, (runs, steps, N).

    Exact in distribution at every step: no discretisation error. Its unit is that of
    `ndbmi_gym.cortex.soc.circuit.noise_covariance`.
    """
    covariance = noise_covariance(circuit.weights)
    propagator = expm((circuit.weights - np.eye(circuit.n_neurons)) * step_s / TAU_S)
    added = root(covariance - propagator @ covariance @ propagator.T)
    x = np.empty((runs, steps, circuit.n_neurons))
    x[:, 0] = rng.standard_normal((runs, circuit.n_neurons)) @ root(covariance).T
    for k in range(1, steps):
        noise = rng.standard_normal((runs, circuit.n_neurons))
        x[:, k] = x[:, k - 1] @ propagator.T + noise @ added.T
    return x


def root(covariance: FloatArray) -> FloatArray:
    """L of LLᵀ; rounding may leave a semi-definite matrix without a Cholesky factor."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def correlations(a: FloatArray, b: FloatArray) -> FloatArray:
    """Correlation of every column of (M, N) with its like; NaN where one does not vary."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    power = (a**2).sum(axis=0) * (b**2).sum(axis=0)
    return np.asarray((a * b).sum(axis=0) / np.sqrt(np.where(power > 0, power, np.nan)))


def power_outside(x: FloatArray) -> float:
    """Share of the power of transients (K, N, M) outside the span of those at the first time."""
    basis = np.linalg.qr(x[0])[0]
    inside = np.einsum("nm,kns->kms", basis, x)
    return max(0.0, float(1 - (inside**2).sum() / (x**2).sum()))
