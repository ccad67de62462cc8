"""Excitatory-inhibitory circuits whose inhibition is tuned for stability (Hennequin et al. 2014).

The rate model is τ·dx/dt = −x + W·x: columns of W are outgoing weights, excitatory neurons come
first. A random W of strong weights is unstable. `stabilise` moves the inhibitory weights down the
gradient of a smoothed spectral abscissa (Vanbiervliet et al. 2009) until all modes decay. What is
left is strongly non-normal: some initial states are amplified before they fade.

References
----------
Hennequin G, Vogels TP, Gerstner W (2014). Optimal control of transient dynamics in balanced
networks supports generation of complex movements. Neuron 82:1394-1406.
Vanbiervliet J, Vandereycken B, Michiels W, Vandewalle S, Diehl M (2009). The smoothed spectral
abscissa for robust stability optimization. SIAM J Optim 20:156-171.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import schur
from scipy.linalg.lapack import dtrsyl

from ndbmi_gym.files import Kind, Layout, as_path, digest, read_arrays, reading, write_arrays
from ndbmi_gym.streams import circuit_rng, shuffle_rng

FloatArray = npt.NDArray[np.float64]

CONTROLS = ("none", "scaled", "shuffled", "symmetric")
"""Circuits to compare a stabilised one with; see `control`."""

ABSCISSA = 0.15
"""Spectral abscissa of a finished circuit, and of its controls unless they are given another."""

INHIBITION = 3.0
"""Ratio γ of the mean inhibitory to the mean excitatory weight."""

_RATE = 10.0  # of the gradient descent
_KEPT = 0.4  # share of the inhibitory weights that are not zero
_KIND = Kind("ndbmi_gym.Circuit", 1)
_ARRAYS = ("weights", "initial", "trace")


@dataclass(frozen=True, eq=False)
class Circuit:
    """A recurrent network.

    Attributes
    ----------
    weights : ndarray (N, N)
        W[i, j] is the weight from neuron j to neuron i.
    n_excitatory : int
        Neurons 0 to this one are excitatory, the others inhibitory.
    initial : ndarray (N, N)
        The random weights that `stabilise` began with.
    trace : ndarray (iterations + 1,)
        Spectral abscissa in the course of stabilisation, the initial one first.
    seed : int
        Of the initial weights.
    """

    weights: FloatArray
    n_excitatory: int
    initial: FloatArray
    trace: FloatArray
    seed: int = 0

    def __post_init__(self) -> None:
        n = self.weights.shape[0]
        if self.weights.shape != (n, n) or self.initial.shape != (n, n) or n < 2:
            raise ValueError(
                f"weights of shape {self.weights.shape}, initial ones of {self.initial.shape}: "
                "give two square matrices of the same size"
            )
        if not (np.isfinite(self.weights).all() and np.isfinite(self.initial).all()):
            raise ValueError("weights hold values that are not finite")
        if not 0 < self.n_excitatory < n:
            raise ValueError(
                f"n_excitatory = {self.n_excitatory!r}: give a number between 1 and {n - 1}"
            )
        if not len(self.trace):
            raise ValueError("the trace is empty: give at least the initial spectral abscissa")
        for name in _ARRAYS:
            array = np.array(getattr(self, name), dtype=float)
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.weights)

    @cached_property
    def abscissa(self) -> float:
        """Largest real part of the eigenvalues of W; the circuit is stable below 1."""
        return float(np.linalg.eigvals(self.weights).real.max())

    @cached_property
    def modes(self) -> tuple[FloatArray, FloatArray]:
        """Energies (N,), falling, and the unit initial states that evoke them, (N, N) by column.

        The energy of an initial state is (2/τ)·∫|x|²dt (`energy_matrix`). The largest entry of
        every state is positive.

        Raises
        ------
        ValueError
            If the circuit is not stable.
        """
        if self.abscissa >= 1:
            raise ValueError(
                f"spectral abscissa {self.abscissa:.3g}: transients of this circuit never end; "
                "stabilise it, or scale it below 1"
            )
        energies, states = np.linalg.eigh(energy_matrix(self.weights))
        energies, states = energies[::-1], states[:, ::-1]
        largest = states[np.abs(states).argmax(axis=0), np.arange(self.n_neurons)]
        states = states * np.sign(largest)
        for array in (energies, states):
            array.setflags(write=False)
        return energies, states

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the circuit to a ``.npz`` file, atomically and without pickle."""
        path = as_path(path)
        header = {"n_excitatory": self.n_excitatory, "seed": self.seed}
        write_arrays(path, header, {name: getattr(self, name) for name in _ARRAYS}, _KIND)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Circuit":
        """Read a circuit that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged, of another program, or of a version this one cannot read.
        """
        with reading(path, _KIND, "build it again with `ndbmi-gym circuit build`"):
            header, arrays = read_arrays(path, _KIND, _ARRAYS, _check_layouts)
            weights, initial, trace = (
                np.ascontiguousarray(arrays[name], float) for name in _ARRAYS
            )
            return cls(weights, int(header["n_excitatory"]), initial, trace, int(header["seed"]))


def _check_layouts(header: Mapping[str, Any], layouts: Mapping[str, Layout]) -> None:
    """Raise ValueError unless the arrays of a file are two square matrices and a list."""
    shape = layouts["weights"].shape
    if len(shape) != 2 or len(set(shape)) != 1 or layouts["initial"].shape != shape:
        raise ValueError(
            f"weights of shape {shape} and initial ones of {layouts['initial'].shape} are not two "
            "square matrices of the same size"
        )
    if len(layouts["trace"].shape) != 1:
        raise ValueError(f"the trace is of shape {layouts['trace'].shape}, which is no list")
    for name, layout in layouts.items():
        if layout.dtype.kind not in "iuf":
            raise ValueError(f"{name} is of type {layout.dtype}, not real numbers")


def load_circuit(
    path: str | os.PathLike[str] | None = None, kind: str = "none", abscissa: float | None = None
) -> Circuit:
    """A circuit, or a control of it; the same object as long as the file's content is the same.

    Parameters
    ----------
    path : str or path, optional
        A file that `Circuit.save` wrote; by default the packaged circuit of 200 neurons.
    kind : str
        One of `CONTROLS`.
    abscissa : float, optional
        Of a control (`control`).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the circuit in the file is unfinished, or there is no such control.
    """
    if path is None:
        with as_file(files("ndbmi_gym") / "data" / "soc.npz") as packaged:
            return _circuit(packaged, digest(packaged), kind, abscissa)
    path = as_path(path, "circuit")
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no circuit {path}: build one with `ndbmi-gym circuit build --out {path}`"
        )
    return _circuit(path, digest(path), kind, abscissa)


@lru_cache(maxsize=8)
def _circuit(path: Path, content: str, kind: str, abscissa: float | None) -> Circuit:
    """`load_circuit` of a file of a certain content."""
    circuit = Circuit.load(path)
    if circuit.trace[-1] > ABSCISSA:
        raise ValueError(
            f"{path} holds an unfinished circuit of spectral abscissa {circuit.trace[-1]:.3g}: go "
            f"on with `ndbmi-gym circuit build --neurons {circuit.n_neurons} --seed {circuit.seed} "
            f"--out {path}` until {ABSCISSA}"
        )
    return control(circuit, kind, abscissa)


def random_circuit(
    rng: np.random.Generator,
    n_neurons: int = 200,
    density: float = 0.1,
    radius: float = 10.0,
    seed: int = 0,
) -> Circuit:
    """A sparse random network of as many excitatory as inhibitory neurons (Dale's law by column).

    An inhibitory weight is `INHIBITION` times as large as an excitatory one.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_neurons : int
        N, even.
    density : float
        Share p of the N(N − 1) possible connections that exist.
    radius : float
        Radius R of the disc that the eigenvalues of a large network fill.
    seed : int
        The seed of `rng`, to be kept with the circuit.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    if not (n_neurons >= 4 and n_neurons % 2 == 0):
        raise ValueError(f"n_neurons = {n_neurons!r}: give an even number >= 4")
    if not (0 < density < 1 and radius > 0):
        raise ValueError(
            f"density = {density!r}, radius = {radius!r}: give a density within (0, 1) and a "
            "radius > 0"
        )
    spread = density * (1 - density) * (1 + INHIBITION**2)
    excitatory = 2**0.5 * radius / spread**0.5 / n_neurons**0.5
    half = n_neurons // 2
    by_column = np.repeat([excitatory, -INHIBITION * excitatory], half)
    chosen = rng.choice(
        n_neurons * (n_neurons - 1), round(density * n_neurons * (n_neurons - 1)), replace=False
    )
    off_diagonal = np.flatnonzero(~np.eye(n_neurons, dtype=bool))
    weights = np.zeros((n_neurons, n_neurons))
    weights.flat[off_diagonal[chosen]] = by_column[off_diagonal[chosen] % n_neurons]
    abscissa = np.linalg.eigvals(weights).real.max()
    return Circuit(weights, half, weights.copy(), np.array([abscissa]), seed)


def stabilise(
    circuit: Circuit,
    abscissa: float = ABSCISSA,
    max_iterations: int = 20_000,
    progress: Callable[[Circuit], None] | None = None,
    every: int = 25,
) -> Circuit:
    """Tune the inhibitory weights until all modes decay.

    Every iteration follows the gradient of the smoothed spectral abscissa in the inhibitory
    weights; sets those that have become excitatory to zero; rescales the inhibition of either
    population, so that its mean is γ times that of the excitation; and keeps its strongest 40 %.
    It depends on the present weights alone: an unfinished circuit can be taken up again.

    Parameters
    ----------
    circuit : Circuit
        Of `random_circuit`, or one that `progress` was shown.
    abscissa : float
        Spectral abscissa to reach.
    max_iterations : int
    progress : callable, optional
        Is shown the unfinished circuit.
    every : int
        Iterations between two calls of `progress`.

    Raises
    ------
    RuntimeError
        If the abscissa is not reached in time.
    """
    weights, half = circuit.weights.copy(), circuit.n_excitatory
    trace = circuit.trace.tolist()
    for iteration in range(max_iterations + 1):
        triangular, basis = schur(weights, output="real")
        current = float(np.diag(triangular).max())
        if iteration:
            trace.append(current)
        if progress is not None and iteration % every == 0:
            progress(replace(circuit, weights=weights.copy(), trace=np.array(trace)))
        if current <= abscissa:
            return replace(circuit, weights=weights, trace=np.array(trace))
        gradient = _gradient(triangular, basis, max(1.5 * current, current + 0.2))
        weights[:, half:] -= _RATE * gradient[:, half:]
        _constrain(weights, half)
    raise RuntimeError(
        f"spectral abscissa {current:.3g} after {max_iterations} iterations, {abscissa:g} was "
        "asked for: take another seed, or allow more iterations"
    )


def build(
    path: str | os.PathLike[str],
    n_neurons: int,
    seed: int,
    progress: Callable[[Circuit], None] | None = None,
) -> Circuit:
    """Build a stabilised circuit in a file, or go on with the unfinished one that is there.

    Parameters
    ----------
    path : str or path
        The unfinished circuit is kept there, too.
    n_neurons, seed : int
        Of `random_circuit`.
    progress : callable, optional
        Is shown the unfinished circuit every 25 iterations.

    Raises
    ------
    ValueError
        If `path` is no path, or the file holds another circuit.
    """
    path = as_path(path)
    if path.exists():
        circuit = Circuit.load(path)
        if (circuit.n_neurons, circuit.seed) != (n_neurons, seed):
            raise ValueError(
                f"{path} holds a circuit of {circuit.n_neurons} neurons and seed {circuit.seed}, "
                f"not of {n_neurons} and {seed}: name another file"
            )
    else:
        circuit = random_circuit(circuit_rng(seed), n_neurons, seed=seed)

    def keep(unfinished: Circuit) -> None:
        unfinished.save(path)
        if progress is not None:
            progress(unfinished)

    finished = stabilise(circuit, progress=keep)
    finished.save(path)
    return finished


def _constrain(weights: FloatArray, half: int) -> None:
    """Impose sign, mean, sparseness and an empty diagonal on the inhibitory weights, in place."""
    inhibitory = weights[:, half:]
    np.minimum(inhibitory, 0.0, out=inhibitory)
    for rows in (slice(0, half), slice(half, None)):
        excitation = weights[rows, :half].mean()
        inhibitory[rows] *= -INHIBITION * excitation / inhibitory[rows].mean()
    strength = -inhibitory
    inhibitory[strength < np.quantile(strength, 1 - _KEPT)] = 0.0
    np.fill_diagonal(weights, 0.0)


def abscissa_gradient(weights: FloatArray, shift: float) -> FloatArray:
    """Gradient of the smoothed spectral abscissa with respect to W, (N, N).

    The smoothed abscissa is the shift s at which the trace of Q(W, s) has a given value, where
    AᵀQ + QA = −2I and A = W − sI. Its gradient is QP/tr(QP), with AP + PAᵀ = −2I.

    Parameters
    ----------
    weights : ndarray (N, N)
    shift : float
        s, above the spectral abscissa.
    """
    triangular, basis = schur(weights, output="real")
    return _gradient(triangular, basis, shift)


def _gradient(triangular: FloatArray, basis: FloatArray, shift: float) -> FloatArray:
    """`abscissa_gradient` from the real Schur form, which both Lyapunov equations share."""
    stable = triangular - shift * np.eye(len(triangular))
    observed = _lyapunov(stable, transposed=True)
    reached = _lyapunov(stable, transposed=False)
    product = observed @ reached
    return np.asarray(basis @ product @ basis.T / np.trace(product))


def _lyapunov(triangular: FloatArray, transposed: bool) -> FloatArray:
    """Solve TᵀQ + QT = −2I (transposed) or TP + PTᵀ = −2I for a stable quasi-triangular T."""
    largest = float(np.diag(triangular).max())
    if largest >= 0:
        raise ValueError(
            f"an eigenvalue of real part {largest:.3g}: nothing decays, and there is no energy; "
            "give a stable circuit (abscissa < 1), or a shift above its abscissa"
        )
    sides = ("T", "N") if transposed else ("N", "T")
    right = -2 * np.eye(len(triangular))
    solution, scale, _ = dtrsyl(triangular, triangular, right, *sides)
    return np.asarray(scale * solution)


def energy_matrix(weights: FloatArray) -> FloatArray:
    """Q of AᵀQ + QA = −2I with A = W − I: x₀ᵀQx₀ is (2/τ)·∫|x|²dt of the free transient, (N, N)."""
    triangular, basis = schur(weights - np.eye(len(weights)), output="real")
    return _symmetric(basis @ _lyapunov(triangular, transposed=True) @ basis.T)


def noise_covariance(weights: FloatArray) -> FloatArray:
    """Stationary covariance of the circuit under white noise, up to a factor, (N, N)."""
    triangular, basis = schur(weights - np.eye(len(weights)), output="real")
    return _symmetric(basis @ _lyapunov(triangular, transposed=False) @ basis.T)


def _symmetric(matrix: FloatArray) -> FloatArray:
    return np.asarray((matrix + matrix.T) / 2)


def balance(circuit: Circuit) -> tuple[float, float]:
    """Correlation of excitation with inhibition under white noise, on E cells and on I cells.

    Means over neurons of the correlation of Σ_E W·x with −Σ_I W·x: 1 where either input cancels
    the other's every fluctuation. In small sparse networks a neuron may lack either input: it does
    not count.
    """
    covariance = noise_covariance(circuit.weights)
    half, weights = circuit.n_excitatory, circuit.weights
    excitatory, inhibitory = weights[:, :half], -weights[:, half:]
    shared = _row_products(excitatory @ covariance[:half, half:], inhibitory)
    own_e = _row_products(excitatory @ covariance[:half, :half], excitatory)
    own_i = _row_products(inhibitory @ covariance[half:, half:], inhibitory)
    both = (own_e > 0) & (own_i > 0)
    correlation = np.where(both, shared, np.nan) / np.sqrt(np.where(both, own_e * own_i, 1.0))
    return float(np.nanmean(correlation[:half])), float(np.nanmean(correlation[half:]))


def _row_products(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray((left * right).sum(axis=1))


def control(circuit: Circuit, kind: str, abscissa: float | None = None) -> Circuit:
    """A circuit to compare a stabilised one with.

    How strong a control's weights are is a matter of its abscissa: at that of the circuit its
    neurons hardly hear each other, just below 1 it is as strong as a random network can be.

    Parameters
    ----------
    circuit : Circuit
    kind : str
        ``"none"``: the circuit itself. ``"scaled"``: its initial weights, scaled to the abscissa.
        ``"shuffled"``: its inhibitory weights in random order within either
        block (zeros included; none onto the diagonal), then scaled likewise. ``"symmetric"``: the
        symmetric part of its initial weights, scaled likewise.
    abscissa : float, optional
        Spectral abscissa of the control, between 0 and 1; `ABSCISSA` unless given.

    Raises
    ------
    ValueError
        If the kind is unknown, the abscissa is out of range, or one is given without a control.
    """
    if kind not in CONTROLS:
        raise ValueError(f"unknown control {kind!r}: choose one of {', '.join(CONTROLS)}")
    if abscissa is not None and not 0 < abscissa < 1:
        raise ValueError(
            f"abscissa = {abscissa!r}: give a finite number > 0 and < 1; from 1 on transients "
            "never end"
        )
    if kind == "none":
        if abscissa is not None:
            raise ValueError(
                f"abscissa = {abscissa!r} has no meaning without a control: name its kind, or drop "
                "the abscissa"
            )
        return circuit
    weights = circuit.initial
    if kind == "shuffled":
        weights = shuffle_inhibition(circuit, shuffle_rng(circuit.seed))
    elif kind == "symmetric":
        weights = _symmetric(circuit.initial)
    aim = ABSCISSA if abscissa is None else abscissa
    return replace(circuit, weights=weights * (aim / np.linalg.eigvals(weights).real.max()))


def shuffle_inhibition(circuit: Circuit, rng: np.random.Generator) -> FloatArray:
    """The weights with the inhibitory ones onto either population in random order, (N, N)."""
    weights, half = circuit.weights.copy(), circuit.n_excitatory
    for rows in (slice(0, half), slice(half, None)):
        block = weights[rows, half:]
        free = np.ones(block.shape, bool)
        if rows.start == half:
            np.fill_diagonal(free, False)
        block[free] = rng.permutation(block[free])
    return weights
