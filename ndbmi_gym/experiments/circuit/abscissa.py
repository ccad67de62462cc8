"""The circuit in the closed loop, beside random networks of any strength.

How strong a random network's weights are is said by its spectral abscissa: near 0 its neurons
hardly hear each other, from 1 on it explodes. The circuit's own abscissa is that of a weak random
network, so that a comparison at the same abscissa finds any coupling better than nearly none.
Whether the tuned *structure* matters is told by the strongest random networks, just below
instability. All is measured in several circuits that were built independently, each with controls
of its own.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.circuit import ABSCISSA, Circuit, build
from ndbmi_gym.cortex.soc.cortex import WINDOW_S, SOCCortex
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import Table, Tables, concatenate, from_rows
from ndbmi_gym.experiments.circuit import cases
from ndbmi_gym.experiments.circuit.abscissa_drawing import draw
from ndbmi_gym.experiments.circuit.carry import carried_size
from ndbmi_gym.experiments.circuit.specimen import enlargement
from ndbmi_gym.experiments.protocol.conditions import FIELDS, loop_with, run_loop, starts_of
from ndbmi_gym.presets import Preset
from ndbmi_gym.streams import experiment_rng

CIRCUITS = tuple(range(5))
"""Seeds of the built circuits, of 200 neurons each; 0 is the packaged one."""
KINDS = ("scaled", "shuffled")
ABSCISSAE = (0.15, 0.5, 0.8, 0.9, 0.95, 0.99)
SAME_ABSCISSAE = (0.15, 0.5, 0.8, 0.95)
"""Of controls whose prepared states have the circuit's amplitude."""
DECODERS = ("multiple-points", "projection")
REPETITIONS = 1
"""Runs from each start."""
_NEURONS = 200


@dataclass(frozen=True)
class Network:
    """A circuit, or a control of it.

    Attributes
    ----------
    circuit : int
        One of `CIRCUITS`.
    control : str
        ``"none"``, or one of `KINDS`.
    abscissa : float
        Spectral abscissa.
    matched : bool
        Whether a control's states are enlarged until its signal is the circuit's.
    """

    circuit: int = 0
    control: str = "none"
    abscissa: float = ABSCISSA
    matched: bool = False

    def options(self, folder: Path, stimuli: int, carry: bool = False) -> dict[str, Any]:
        """Options of `ndbmi_gym.config.Config`, with built circuits in a folder."""
        own = {} if self.control == "none" else {"abscissa": self.abscissa}
        cortex = {
            "kind": "soc",
            "stimuli": stimuli,
            "circuit": str(circuit_file(folder, self.circuit)) if self.circuit else None,
            "control": self.control,
            "match_signal": self.matched,
            "carry": carry,
        }
        return {"cortex": cortex | own, "window_s": WINDOW_S}


def networks() -> list[Network]:
    """Every circuit, followed by its controls."""
    found = []
    for circuit in CIRCUITS:
        found.append(Network(circuit))
        for matched, abscissae in ((True, ABSCISSAE), (False, SAME_ABSCISSAE)):
            found += [Network(circuit, *own, matched) for own in product(KINDS, abscissae)]
    return found


def circuit_file(folder: Path, seed: int) -> Path:
    """Where a built circuit is kept."""
    return folder / f"{_NEURONS}-{seed}.npz"


def build_circuits(folder: Path, seeds: Iterable[int] | None = None) -> None:
    """Build the circuits that are not there, a minute each; an interrupted one goes on.

    Parameters
    ----------
    folder : Path
    seeds : iterable of int, optional
        By default `CIRCUITS`; 0 is packaged.
    """
    for seed in CIRCUITS if seeds is None else seeds:
        path = circuit_file(folder, seed)
        if not seed or (path.exists() and Circuit.load(path).trace[-1] <= ABSCISSA):
            continue
        with tqdm(unit=" iterations", desc=f"building circuit {seed}") as bar:

            def show(circuit: Circuit, bar: "tqdm[Any]" = bar) -> None:
                bar.update(len(circuit.trace) - 1 - bar.n)
                bar.set_postfix_str(f"abscissa {circuit.trace[-1]:.3f} (until {ABSCISSA})")

            show(build(path, _NEURONS, seed, show))


def run_network(network: Network, folder: Path, preset: Preset, animal: int, seed: int) -> Table:
    """Outcome of the protocol in one animal, with the state reset at every step and carried over.

    Columns are those of `Network`, ``stimuli``, ``carry``, ``field``, ``decoder``, ``animal``, and
    of `ndbmi_gym.experiments.circuit.cases.outcome`.
    """
    starts = starts_of(animal, seed, cases.N_STARTS, REPETITIONS)
    rows = []
    tasks = product(cases.STIMULI, (False, True), FIELDS, DECODERS)
    for stimuli, carry, field, decoder in tasks:
        loop = loop_with(preset, network.options(folder, stimuli, carry), field, decoder, animal)
        own = {"stimuli": stimuli, "carry": carry, "field": field, "decoder": decoder}
        rng = experiment_rng(seed, animal, repr(network), repr(own))
        runs, ideal = run_loop(preset, loop, rng, starts)
        rows.append(asdict(network) | own | {"animal": animal} | cases.outcome(preset, runs, ideal))
    return from_rows(rows)


def data(preset: Preset, animal: int, seed: int, folder: Path) -> Tables:
    """Protocol in one animal, and what the networks are."""
    tables: dict[str, list[Table]] = {"loops": [], "networks": []}
    for network in networks():  # one after the other: they are large, and kept for a while only
        tables["loops"].append(run_network(network, folder, preset, animal, seed))
        tables["networks"].append(describe(network, folder, preset))
    return {name: concatenate(parts) for name, parts in tables.items()}


def describe(network: Network, folder: Path, preset: Preset) -> Table:
    """What a network is, by number of stimuli.

    ``energy``: the largest, E₁. ``enlargement``: of the prepared states, in units of the circuit's.
    ``carried``: size of what is carried under a lasting stimulus, in units of the prepared state
    (`ndbmi_gym.experiments.circuit.carry.carried_size`).
    """
    rows = []
    for stimuli in cases.STIMULI:
        own, circuit = (
            Config.of(**{"preset": preset, **each.options(folder, stimuli)}).make_cortex()
            for each in (network, Network(network.circuit))
        )
        assert isinstance(own, SOCCortex)
        assert isinstance(circuit, SOCCortex)
        rows.append(
            asdict(network)
            | {
                "stimuli": stimuli,
                "energy": float(own.circuit.modes[0][0]),
                "enlargement": enlargement(own, circuit),
                "carried": carried_size(own, WINDOW_S),
            }
        )
    return from_rows(rows)


def figure(folder: Path) -> Figure:
    """The part of the study, with built circuits in a folder."""
    title = "The circuit beside random networks of any strength"
    return Figure(__name__, title, partial(data, folder=folder), draw, pooled=("loops",))
