"""What a stability-optimised circuit does, beside controls of the same size and abscissa.

A control amplifies little. It is therefore compared twice: with prepared states of the *same*
amplitude, and *matched*, with states resized until their signal is that of the stabilised circuit
(`ndbmi_gym.cortex.soc.matched`). The signal is the variance over stimuli of the expected spikes,
summed over what is recorded in the window: what is left of a difference then is one of structure,
not of size. The ring of stimuli is resized for its 25 electrodes, the states that prepare movements
for all excitatory neurons and those of every repeat on their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.integrate import simpson
from scipy.linalg import expm
from scipy.optimize import brentq
from tqdm import tqdm

from ndbmi_gym.circuit import (
    ABSCISSA,
    CONTROLS,
    Circuit,
    abscissa_gradient,
    balance,
    energy_matrix,
    load_circuit,
    noise_covariance,
    shuffle_inhibition,
)
from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc import WINDOW_S, SOCCortex, SOCOptions, matched, soc_cortex
from ndbmi_gym.experiments.conditions import stream
from ndbmi_gym.experiments.readout import FloatArray, explained, fit_readout, movements, smoother
from ndbmi_gym.experiments.records import JSON, Table, Tables, concatenate, from_rows
from ndbmi_gym.experiments.soc_cases import identified
from ndbmi_gym.transients import TAU_S, impulses

SOC = "SOC"
"""Name of the stabilised circuit in tables; controls go by their names in `CONTROLS`."""

SAME, MATCHED = "same", "matched"
"""Amplitudes of the prepared states: as large as the SOC's, or with as much signal."""

BALANCED = (SOC, "scaled", "shuffled")
"""Circuits of which a neuron excites or inhibits: in the symmetric one it does both."""

MODES = 10  # leading states that transients begin from
AMPLITUDE_HZ = 100.0  # of the states that prepare movements
TRIALS = 50  # fresh responses to every stimulus in the plane
ANIMALS = 4  # animals
REPEATS = 5  # independent draws, whose standard deviation is given
SINGLE_TRIALS = 25  # of every stimulus, for reliability
READ_TRIALS = 20  # of every movement, half for training
UNITS = (1, 4, 16, 64)  # recorded of every excitatory neuron
COMPARED_UNITS = 4  # of the comparison in numbers
DRAWN_TRIALS = {COMPARED_UNITS: 5, UNITS[-1]: 1}  # of every movement, by units
NOISE = (0.0, 0.1, 0.2, 0.4)  # in the prepared state, relative to its size
SMOOTHING_S = 0.02  # standard deviation of the Gaussian
PENALTIES = np.logspace(-6, 3, 19)  # of the ridge regression, relative to the mean variance
SHORT_S = 0.05  # a window in which transients are hardly under way

_STEP_S = 0.005  # of courses
_FEWEST = 20  # neurons


def parameters() -> JSON:
    """The constants above that results depend on."""
    return {
        "modes": MODES,
        "amplitude_hz": AMPLITUDE_HZ,
        "window_s": WINDOW_S,
        "short_s": SHORT_S,
        "step_s": _STEP_S,
        "smoothing_s": SMOOTHING_S,
        "animals": ANIMALS,
        "trials": TRIALS,
        "repeats": REPEATS,
        "single_trials": SINGLE_TRIALS,
        "read_trials": READ_TRIALS,
        "units": list(UNITS),
        "compared_units": COMPARED_UNITS,
        "noise": list(NOISE),
        "penalties": PENALTIES.tolist(),
    }


@dataclass(frozen=True)
class Specimen:
    """The circuit in question, its controls and its random streams.

    Attributes
    ----------
    path : str or None
        A file that `Circuit.save` wrote; None: the packaged circuit.
    seed : int

    Raises
    ------
    ValueError
        If the circuit is too small for ten electrodes and ten leading states, or unfinished.
    """

    path: str | None
    seed: int

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}: give a seed >= 0")
        if self.circuit.n_neurons < _FEWEST:
            raise ValueError(
                f"a circuit of {self.circuit.n_neurons} neurons: the report needs {_FEWEST}"
            )

    @property
    def circuit(self) -> Circuit:
        """The stabilised circuit."""
        return load_circuit(self.path)

    @cached_property
    def circuits(self) -> dict[str, Circuit]:
        """The stabilised circuit and its controls by name."""
        controls = {kind: load_circuit(self.path, kind) for kind in CONTROLS[1:]}
        return {SOC: self.circuit, **controls}

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Circuits and amplitudes to compare."""
        return [(SOC, SAME), *((name, how) for name in CONTROLS[1:] for how in (SAME, MATCHED))]

    def options(self, name: str, amplitude: str, stimuli: int = 8) -> JSON:
        """Options of the cortex (`SOCOptions`)."""
        return {
            "stimuli": stimuli,
            "circuit": self.path,
            "control": CONTROLS[0] if name == SOC else name,
            "match_signal": amplitude == MATCHED,
            "electrodes": min(SOCOptions.electrodes, self.circuit.n_excitatory),
        }

    def stream(self, repeat: int, *names: str) -> np.random.Generator:
        """A random stream for one use."""
        return stream(self.seed, repeat, "soc", *names)


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
    `ndbmi_gym.circuit.noise_covariance`.
    """
    covariance = noise_covariance(circuit.weights)
    propagator = expm((circuit.weights - np.eye(circuit.n_neurons)) * step_s / TAU_S)
    added = _root(covariance - propagator @ covariance @ propagator.T)
    x = np.empty((runs, steps, circuit.n_neurons))
    x[:, 0] = rng.standard_normal((runs, circuit.n_neurons)) @ _root(covariance).T
    for k in range(1, steps):
        noise = rng.standard_normal((runs, circuit.n_neurons))
        x[:, k] = x[:, k - 1] @ propagator.T + noise @ added.T
    return x


def _root(covariance: FloatArray) -> FloatArray:
    """L of LLᵀ; rounding may leave a semi-definite matrix without a Cholesky factor."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _correlations(a: FloatArray, b: FloatArray) -> FloatArray:
    """Correlation of every column of (M, N) with its like; NaN where one does not vary."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    power = (a**2).sum(axis=0) * (b**2).sum(axis=0)
    return np.asarray((a * b).sum(axis=0) / np.sqrt(np.where(power > 0, power, np.nan)))


def power_outside(x: FloatArray) -> float:
    """Share of the power of transients (K, N, M) outside the span of those at the first time."""
    basis = np.linalg.qr(x[0])[0]
    inside = np.einsum("nm,kns->kms", basis, x)
    return max(0.0, float(1 - (inside**2).sum() / (x**2).sum()))


def superposition_error(circuit: Circuit, rng: np.random.Generator) -> float:
    """Largest error of the tabulated transient of a state and a held input together.

    Against the solution of the system with the input as further, constant variables, relative to
    the largest state.
    """
    n = circuit.n_neurons
    state, drive = rng.standard_normal((2, n))
    nodes_s = np.linspace(0, WINDOW_S, 7)
    everywhere = np.arange(n)
    table = impulses(circuit.weights, nodes_s, everywhere, everywhere)
    system = np.zeros((2 * n, 2 * n))
    system[:n, :n] = circuit.weights - np.eye(n)
    system[:n, n:] = np.eye(n)
    whole = np.array([expm(system * t / TAU_S)[:n] @ np.append(state, drive) for t in nodes_s])
    parts = table.free @ state + table.held @ drive
    return float(np.abs(whole - parts).max() / np.abs(whole).max())


def gradient_error(circuit: Circuit, rng: np.random.Generator) -> float:
    """Largest error of the gradient of the smoothed abscissa along three random unit directions.

    Against differences of fourth order of the shift at which the trace of Q(W, s) keeps its value.
    """
    weights, identity = circuit.weights, np.eye(circuit.n_neurons)
    shift = max(1.5 * circuit.abscissa, circuit.abscissa + 0.2)

    def trace(moved: FloatArray, s: float) -> float:
        return float(np.trace(energy_matrix(moved - (s - 1) * identity)))

    level = trace(weights, shift)

    def smoothed(moved: FloatArray) -> float:
        def excess(s: float) -> float:
            return trace(moved, s) / level - 1

        return float(brentq(excess, shift - 0.1, shift + 0.1, xtol=1e-15, rtol=1e-14))

    errors = []
    for direction in rng.standard_normal((3, *weights.shape)):
        step = 0.01 * direction / np.linalg.norm(direction)
        near, far = (smoothed(weights + k * step) - smoothed(weights - k * step) for k in (1, 2))
        difference = (8 * near - far) / 12
        errors.append(abs((abscissa_gradient(weights, shift) * step).sum() - difference) / 0.01)
    return float(max(errors))


# --- stages: each measures one topic and returns its tables ---


def measure_construction(specimen: Specimen) -> Tables:
    """``construction``: abscissa by iteration; ``eigenvalues``; ``shuffles`` of the inhibition."""
    circuit = specimen.circuit
    spectra = {"initial": np.linalg.eigvals(circuit.initial)}
    spectra |= {name: np.linalg.eigvals(c.weights) for name, c in specimen.circuits.items()}
    shuffled = [
        np.linalg.eigvals(shuffle_inhibition(circuit, specimen.stream(k, "shuffle"))).real.max()
        for k in range(REPEATS)
    ]
    return {
        "construction": {"iteration": np.arange(len(circuit.trace)), "abscissa": circuit.trace},
        "eigenvalues": concatenate(
            _labelled({"real": v.real, "imaginary": v.imag}, circuit=name)
            for name, v in spectra.items()
        ),
        "shuffles": {"shuffle": np.arange(REPEATS), "abscissa": np.array(shuffled)},
    }


def measure_balance(specimen: Specimen) -> Tables:
    """``balance`` by circuit and population, exact and simulated; ``inputs`` of a neuron in time.

    The neuron is the excitatory one whose correlation is nearest to the mean of all; its inputs are
    in units of their standard deviation.
    """
    rows, inputs = [], []
    for name in BALANCED:
        circuit = specimen.circuits[name]
        half = circuit.n_excitatory
        rng = specimen.stream(0, "white noise", name)
        long = white_noise(circuit, rng, 40, 500, 0.1)
        excitation, inhibition = received(circuit, long.reshape(-1, circuit.n_neurons))
        correlation = _correlations(excitation, inhibition)
        for population, chosen, exact in zip(
            ("E", "I"), (slice(0, half), slice(half, None)), balance(circuit), strict=True
        ):
            simulated = float(np.nanmean(correlation[chosen]))
            own = {"circuit": name, "population": population}
            rows.append(own | {"exact": exact, "simulated": simulated})
        typical = int(np.nanargmin(np.abs(correlation[:half] - np.nanmean(correlation[:half]))))
        short = received(circuit, white_noise(circuit, rng, 1, 401, _STEP_S)[0])
        e, i = (
            own[:, typical] / all_time[:, typical].std()
            for own, all_time in zip(short, (excitation, inhibition), strict=True)
        )
        inputs.append(
            _labelled(
                {"time_s": np.arange(len(e)) * _STEP_S, "excitation": e, "inhibition": i},
                circuit=name,
                correlation=correlation[typical],
            )
        )
    return {"balance": from_rows(rows), "inputs": concatenate(inputs)}


def measure_transients(specimen: Specimen) -> Tables:
    """Energies, the leading states' transients, and numbers on them for every circuit."""
    energies, courses, neurons, numbers = [], [], [], []
    random = specimen.stream(0, "random state").standard_normal(specimen.circuit.n_neurons)
    random /= np.linalg.norm(random)
    times_s = np.arange(round(1.0 / _STEP_S) + 1) * _STEP_S
    for name, circuit in specimen.circuits.items():
        values, states = circuit.modes
        energies.append(
            _labelled({"mode": np.arange(1, len(values) + 1), "energy": values}, circuit=name)
        )
        begins = np.column_stack((states[:, 0], states[:, MODES - 1], random))
        x = course(circuit.weights, begins, _STEP_S, len(times_s) - 1)
        for j, state in enumerate(("v1", f"v{MODES}", "random")):
            labels = {"circuit": name, "state": state}
            size = np.linalg.norm(x[:, :, j], axis=1)
            courses.append(_labelled({"time_s": times_s, "norm": size}, **labels))
            own = x[:, : circuit.n_excitatory, j]
            for neuron in np.argsort(own.var(axis=0))[::-1][:6]:
                columns = {"time_s": times_s, "x": own[:, neuron]}
                neurons.append(_labelled(columns, **labels, neuron=neuron))
        norm = np.linalg.norm(course(circuit.weights, states[:, :1], 1e-3, 1000)[..., 0], axis=1)
        early, late = (
            [energy_share(circuit, states[:, k], after_s) for k in (0, 1)] for after_s in (0.1, 0.3)
        )
        numbers.append(
            {
                "circuit": name,
                "abscissa": circuit.abscissa,
                "E1": values[0],
                "E10": values[MODES - 1],
                "mean_E": values.mean(),
                "median_E": np.median(values),
                "amplifying": int((values > 1).sum()),
                "peak": norm.max(),
                "peak_s": norm.argmax() * 1e-3,
                "spent_100ms": early[0],
                "spent_300ms": late[0],
                # averaged over a ring of stimuli v₁ and v₂, scaled to the same energy, count alike
                "spent_100ms_stimuli": np.mean(early),
                "spent_300ms_stimuli": np.mean(late),
                "selectivity": values[0] / values.mean(),
            }
        )
    return {
        "energies": concatenate(energies),
        "courses": concatenate(courses),
        "neurons": concatenate(neurons),
        "circuits": from_rows(numbers),
    }


def measure_reliability(specimen: Specimen) -> Tables:
    """``reliability``: share of single-trial variance explained by the stimulus.

    With Poisson spikes (``share``) and without (``rates``), by noise in the prepared state. States
    are ``factor`` times as large as at the same amplitude.
    """
    rows = []
    for name, amplitude in specimen.conditions:
        # what a cortex carries is added to the prepared state: this is where its noise enters
        cortex, same = (
            soc_cortex(SOCOptions.of(specimen.options(name, how) | {"carry": True}))
            for how in (amplitude, SAME)
        )
        for noise in NOISE:
            names = ("reliability", name, amplitude, f"{noise}")
            shares = [_shares(cortex, noise, specimen.stream(k, *names)) for k in range(REPEATS)]
            mean, spread = np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1)
            rows.append(
                {
                    "circuit": name,
                    "amplitude": amplitude,
                    "factor": _factor(cortex, same),
                    "noise": noise,
                    "share": mean[0],
                    "share_spread": spread[0],
                    "rates": mean[1],
                    "rates_spread": spread[1],
                }
            )
    return {"reliability": from_rows(rows)}


def _factor(cortex: SOCCortex, same: SOCCortex) -> float:
    """How much larger a cortex's prepared states are than another's."""
    return float(np.linalg.norm(cortex.prepared) / np.linalg.norm(same.prepared))


def _shares(cortex: SOCCortex, noise: float, rng: np.random.Generator) -> tuple[float, float]:
    """`explained_share` of spikes and of expected counts, smoothed, every 10 ms."""
    n = cortex.circuit.n_neurons
    stimulus = np.repeat(np.arange(cortex.n_stimuli), SINGLE_TRIALS)
    size = noise * np.linalg.norm(cortex.prepared, axis=1) / np.sqrt(n)
    added = rng.standard_normal((len(stimulus), n)) * size[stimulus, None]
    expected = cortex.profile(stimulus, None, added)
    smooth = smoother(expected.shape[-1], _STEP_S, SMOOTHING_S)[:, ::2]

    def share(counts: FloatArray) -> float:
        return explained_share((counts @ smooth).reshape(cortex.n_stimuli, SINGLE_TRIALS, -1))

    return share(rng.poisson(expected).astype(float)), share(expected)


def measure_richness(specimen: Specimen) -> Tables:
    """``dimensions`` of the excitatory neurons' transients, and ``variance`` by component.

    ``all``: of the transients from the ten leading states together; ``single``: mean over those of
    one state alone; ``stimuli``: of the firing rates after the eight stimuli of a ring. ``outside``
    is the share of their power that lies outside the span of the states that they begin with.
    """
    rows, curves = [], []
    steps = round(WINDOW_S / _STEP_S)
    for name, circuit in specimen.circuits.items():
        half = circuit.n_excitatory
        states = circuit.modes[1][:, :MODES]
        x = course(circuit.weights, states, _STEP_S, steps)[:, :half]
        together = component_variances(x.transpose(0, 2, 1).reshape(-1, half))
        alone = [component_variances(x[..., j]) for j in range(MODES)]
        cortex = soc_cortex(SOCOptions.of(specimen.options(name, SAME) | {"electrodes": half}))
        rates = cortex.profile(np.arange(cortex.n_stimuli), None)
        evoked = component_variances(rates.transpose(0, 2, 1).reshape(-1, half))
        for begin, variances, share in (
            ("all", [together], power_outside(x)),
            ("single", alone, float(np.mean([power_outside(x[..., [j]]) for j in range(MODES)]))),
            ("stimuli", [evoked], np.nan),
        ):
            rows.append(
                {
                    "circuit": name,
                    "states": begin,
                    "participation": np.mean([participation(v) for v in variances]),
                    "components": np.mean([n_components(v) for v in variances]),
                    "outside": share,
                }
            )
        cumulative = np.cumsum(together) / together.sum()
        number = np.arange(1, len(cumulative) + 1)
        curves.append(_labelled({"component": number, "cumulative": cumulative}, circuit=name))
    return {"dimensions": from_rows(rows), "variance": concatenate(curves)}


def preparing(specimen: Specimen, name: str, amplitude: str, coefficients: FloatArray) -> SOCCortex:
    """A cortex that prepares combinations (S, `MODES`) of the leading states.

    All excitatory neurons are recorded.
    """
    circuit = specimen.circuits[name]
    prepared = AMPLITUDE_HZ * coefficients @ circuit.modes[1][:, :MODES].T
    cortex = SOCCortex(circuit, prepared, coefficients[:, :2], n_electrodes=circuit.n_excitatory)
    if amplitude == SAME:
        return cortex
    return matched(cortex, preparing(specimen, SOC, SAME, coefficients))


def measure_reaching(specimen: Specimen) -> Tables:
    """``reaching``: errors of movements read out of held-out trials; ``paths`` of some of them.

    The paths of circuit "target" are the movements. ``at_end`` counts repeats whose penalty lies at
    an end of its grid: a better one may lie beyond.
    """
    nodes_s = np.linspace(0, WINDOW_S, round(WINDOW_S / (2 * _STEP_S)) + 1)
    gap = nodes_s[1]
    places = movements(nodes_s)
    velocity = np.diff(places, axis=1) / gap
    smooth = smoother(len(nodes_s) - 1, gap, SMOOTHING_S)
    rng = specimen.stream(0, "prepared states")
    mixed = rng.standard_normal((REPEATS, len(places), MODES))
    mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)
    rows = []
    paths = [_paths(places[:, None], nodes_s, "target", "", np.nan)]
    for name, amplitude in specimen.conditions:
        factors, expected = [], []
        for coefficients in mixed:
            cortex, same = (
                preparing(specimen, name, how, coefficients) for how in (amplitude, SAME)
            )
            factors.append(_factor(cortex, same))
            fine = cortex.profile(np.arange(len(places)), None)
            expected.append(fine.reshape(*fine.shape[:2], -1, 2).sum(axis=-1))
        for units in UNITS:
            scores = []
            for repeat in range(REPEATS):
                rng = specimen.stream(repeat, "reaching", name, amplitude, str(units))
                trials = np.repeat(expected[repeat][:, None], READ_TRIALS, axis=1)
                counts = rng.poisson(units * trials) / units
                rates = np.swapaxes(counts @ smooth, -1, -2) / gap
                train, test = np.split(rates, 2, axis=1)
                readout = fit_readout(train, velocity, PENALTIES)
                read = readout(test)
                wanted = np.broadcast_to(velocity[:, None], read.shape)
                run = np.cumsum(read, axis=2) * gap
                off = run - places[:, None, 1:]
                scores.append(
                    (
                        explained(wanted, read),
                        np.sqrt((off**2).sum(axis=-1).mean()),
                        np.linalg.norm(off[:, :, -1], axis=-1).mean(),
                        np.log10(readout.penalty),
                        readout.penalty in PENALTIES[[0, -1]],
                    )
                )
                if repeat == 0 and units in DRAWN_TRIALS:
                    drawn = np.pad(run[:, : DRAWN_TRIALS[units]], ((0, 0), (0, 0), (1, 0), (0, 0)))
                    paths.append(_paths(drawn, nodes_s, name, amplitude, units))
            mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1)
            rows.append(
                {
                    "circuit": name,
                    "amplitude": amplitude,
                    "factor": np.mean(factors),
                    "units": units,
                    "r2": mean[0],
                    "r2_spread": spread[0],
                    "error_cm": mean[1],
                    "error_spread": spread[1],
                    "end_error_cm": mean[2],
                    "log10_penalty": mean[3],
                    "at_end": sum(score[4] for score in scores),
                }
            )
    return {"reaching": from_rows(rows), "paths": concatenate(paths)}


def _paths(
    places: FloatArray, times_s: FloatArray, name: str, amplitude: str, units: float
) -> Table:
    """Rows for places (S, R, K, 2)."""
    movement, trial, time = np.indices(places.shape[:3]).reshape(3, -1)
    x, y = places.reshape(-1, 2).T
    columns = {"movement": movement, "trial": trial, "time_s": times_s[time], "x": x, "y": y}
    return _labelled(columns, circuit=name, amplitude=amplitude, units=float(units))


def measure_recognition(specimen: Specimen) -> Tables:
    """``recognition``: single trials assigned to the nearest class mean in the MDS plane."""
    settings = [(name, amplitude, 8, WINDOW_S) for name, amplitude in specimen.conditions]
    settings += [(SOC, SAME, 8, SHORT_S), (SOC, SAME, 32, WINDOW_S)]
    rows = []
    for name, amplitude, stimuli, window_s in settings:
        config = Config(
            cortex={"kind": "soc"} | specimen.options(name, amplitude, stimuli), window_s=window_s
        )
        for animal in range(ANIMALS):
            loop = config.make_loop(animal)
            rng = specimen.stream(animal, "recognition", name, amplitude, f"{stimuli} {window_s}")
            assert loop.cortex.layout is not None
            rows.append(
                {
                    "circuit": name,
                    "amplitude": amplitude,
                    "stimuli": stimuli,
                    "window_s": window_s,
                    "animal": animal,
                    "recognised": identified(loop, rng, TRIALS),
                    "layout_r2": affine_r2(loop.interface.sites, loop.cortex.layout),
                }
            )
    return {"recognition": from_rows(rows)}


def measure_exact(specimen: Specimen) -> Tables:
    """``exact``: what holds of any circuit, as deviations."""
    circuit, symmetric = specimen.circuit, specimen.circuits["symmetric"]
    free = np.linalg.eigvalsh(energy_matrix(np.zeros_like(circuit.weights)))
    energies, states = circuit.modes
    norm = np.linalg.norm(course(circuit.weights, states[:, :1], 1e-3, 6000)[..., 0], axis=1)
    integral = 2 / TAU_S * simpson(norm**2, dx=1e-3)
    values = {
        "no weights": np.abs(free - 1).max(),
        "symmetric": abs(symmetric.modes[0][0] - 1 / (1 - ABSCISSA)),
        "integral": abs(integral / energies[0] - 1),
        "superposition": superposition_error(circuit, specimen.stream(0, "superposition")),
        "gradient": gradient_error(circuit, specimen.stream(0, "gradient")),
    }
    return {"exact": from_rows([{"quantity": name, "value": v} for name, v in values.items()])}


def _labelled(columns: Table, **labels: str | float) -> Table:
    """Columns, beside others that are the same in every row."""
    size = len(next(iter(columns.values())))
    return {name: np.full(size, value) for name, value in labels.items()} | columns


STAGES: dict[str, Callable[[Specimen], Tables]] = {
    "construction": measure_construction,
    "balance": measure_balance,
    "transients": measure_transients,
    "reliability": measure_reliability,
    "richness": measure_richness,
    "reaching": measure_reaching,
    "recognition": measure_recognition,
    "exact": measure_exact,
}


def measure(specimen: Specimen) -> Tables:
    """All tables."""
    tables: Tables = {}
    with tqdm(STAGES.items()) as bar:
        for name, stage in bar:
            bar.set_description(f"{name:>12}")
            tables |= stage(specimen)
    return tables
