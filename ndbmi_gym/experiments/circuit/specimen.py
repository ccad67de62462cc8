"""What a stability-optimised circuit does, beside controls of the same size.

Scaled to the circuit's own spectral abscissa of 0.15 a control is close to unconnected neurons: it
can only show that *some* connections matter. The harder comparison is with random networks near
instability, which amplify, too. Every control is compared twice: with prepared states of the *same*
amplitude, and *matched*, with states resized until their signal is that of the stabilised circuit
(`ndbmi_gym.cortex.soc.matched`). The signal is the variance over stimuli of the expected spikes,
summed over what is recorded in the window: what is left of a difference then is one of structure,
not of size. The ring of stimuli is resized for its 25 electrodes, the states that prepare movements
for all excitatory neurons and those of every repeat on their own.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ndbmi_gym.cortex.soc.circuit import ABSCISSA, CONTROLS, Circuit, load_circuit
from ndbmi_gym.cortex.soc.cortex import SOC, SOCCortex
from ndbmi_gym.provenance import JSON
from ndbmi_gym.streams import experiment_rng

STABILISED = "SOC"
"""Name of the stabilised circuit in tables."""
NETWORKS: dict[str, tuple[str, float]] = {
    f"{kind} {abscissa:g}": (kind, abscissa)
    for kind, abscissae in (
        ("scaled", (ABSCISSA, 0.8, 0.99)),
        ("shuffled", (ABSCISSA, 0.8, 0.99)),
        ("symmetric", (ABSCISSA,)),
    )
    for abscissa in abscissae
}
"""Controls by their names in tables: kind and spectral abscissa."""
SAME, MATCHED = "same", "matched"
"""Amplitudes of the prepared states: as large as the SOC's, or with as much signal."""
BALANCED = (STABILISED, *(name for name, (kind, _) in NETWORKS.items() if kind != "symmetric"))
"""Circuits of which a neuron excites or inhibits: in the symmetric one it does both."""
MODES = 10  # leading states that transients begin from
REPEATS = 5  # independent draws, whose standard deviation is given
SMOOTHING_S = 0.02  # standard deviation of the Gaussian
STEP_S = 0.005  # of courses
_FEWEST = 20  # neurons


@dataclass(frozen=True)
class Specimen:
    """The circuit in question, its controls and its random streams.

    Attributes
    ----------
    path : str or None
        A file that `Circuit.save` wrote; None: the packaged circuit.
    seed : int
    amplitudes : tuple of str
        Of the controls' prepared states: `SAME`, `MATCHED` or both; near instability matched only.

    Raises
    ------
    ValueError
        If the circuit is too small for ten electrodes and ten leading states, or unfinished.
    """

    path: str | None
    seed: int
    amplitudes: tuple[str, ...] = (SAME, MATCHED)

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
        controls = {name: load_circuit(self.path, *own) for name, own in NETWORKS.items()}
        return {STABILISED: self.circuit, **controls}

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Circuits and amplitudes to compare."""
        return [
            (STABILISED, SAME),
            *(
                (name, how)
                for name, (_, abscissa) in NETWORKS.items()
                for how in self.amplitudes
                if how == MATCHED or abscissa == ABSCISSA
            ),
        ]

    def options(self, name: str, amplitude: str, stimuli: int = 8) -> JSON:
        """Options of the cortex (`SOC`)."""
        kind, abscissa = (CONTROLS[0], None) if name == STABILISED else NETWORKS[name]
        return {
            "stimuli": stimuli,
            "circuit": self.path,
            "control": kind,
            "abscissa": abscissa,
            "match_signal": amplitude == MATCHED,
            "electrodes": min(SOC.electrodes, self.circuit.n_excitatory),
        }

    def stream(self, repeat: int, *names: str) -> np.random.Generator:
        """A random stream for one use."""
        return experiment_rng(self.seed, repeat, "soc", *names)


def enlargement(cortex: SOCCortex, same: SOCCortex) -> float:
    """How much larger a cortex's prepared states are than another's."""
    return float(np.linalg.norm(cortex.prepared) / np.linalg.norm(same.prepared))
