"""What holds of any circuit, as deviations that should be nothing but rounding."""

import numpy as np
from scipy.integrate import simpson
from scipy.linalg import expm
from scipy.optimize import brentq

from ndbmi_gym.cortex.soc.circuit import (
    ABSCISSA,
    Circuit,
    abscissa_gradient,
    energy_matrix,
)
from ndbmi_gym.cortex.soc.cortex import WINDOW_S
from ndbmi_gym.cortex.soc.transients import TAU_S, impulses
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    from_rows,
)
from ndbmi_gym.experiments.circuit.measures import (
    course,
)
from ndbmi_gym.experiments.circuit.specimen import (
    Specimen,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)


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


def measure_exact(specimen: Specimen) -> Tables:
    """``exact``: what holds of any circuit, as deviations."""
    circuit, symmetric = specimen.circuit, specimen.circuits["symmetric 0.15"]
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
