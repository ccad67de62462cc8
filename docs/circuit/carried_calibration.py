"""Carried state with an interface that was calibrated at rest, and on carried states.

`python docs/circuit/carried_calibration.py FOLDER` measures, with the built circuits in a folder
(`ndbmi-gym circuit study --parts abscissa` builds them), and writes ``carried_calibration.csv``
beside this file. Interfaces are usually calibrated at rest: a network that is carried from step to
step is then decoded by what it does from another state. Here every calibration response follows
`BEFORE` random stimuli, with the state carried; K, the decoder and the runs' starts are the same.
"""

import sys
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ndbmi_gym.animals import animal_rng
from ndbmi_gym.calibration import build_interface
from ndbmi_gym.config import Config
from ndbmi_gym.cortex import metric_tau_s
from ndbmi_gym.experiments.bench.tables import Table, concatenate, from_rows, write_csv
from ndbmi_gym.experiments.circuit import cases
from ndbmi_gym.experiments.circuit.abscissa import (
    DECODERS,
    KINDS,
    REPETITIONS,
    SAME_ABSCISSAE,
    Network,
)
from ndbmi_gym.experiments.protocol.conditions import FIELDS, loop_with, run_loop, starts_of
from ndbmi_gym.interface import Interface
from ndbmi_gym.metric import Metric
from ndbmi_gym.presets import PRESETS, Preset
from ndbmi_gym.streams import Streams, experiment_rng

FILE = Path(__file__).with_suffix(".csv")
CIRCUITS = (0, 1, 2)
ANIMALS = range(3)
BEFORE = 4
"""Random stimuli before each calibration response."""
SEED = 0
NETWORKS = [("none", Network.abscissa), *product(KINDS, SAME_ABSCISSAE)]


def carried_interface(options: dict[str, Any], animal: int) -> Interface:
    """The interface of an animal, calibrated on responses from carried states."""
    config = Config.of(**options)
    cortex, own, rng = config.make_cortex(animal), config.calibration, animal_rng(animal)
    stimulus = np.repeat(np.arange(cortex.n_stimuli), own.repetitions)
    activity = np.zeros((len(stimulus), cortex.n_states))
    for _ in range(BEFORE):
        drawn = rng.integers(cortex.n_stimuli, size=len(stimulus))
        source = Streams.of(rng, len(stimulus))
        activity = cortex.respond(drawn, None, source, activity).activity
    trains = cortex.respond(stimulus, None, Streams.of(rng, len(stimulus)), activity).trains
    tau_s = metric_tau_s(config.cortex) if own.tau_s is None else own.tau_s
    metric = Metric(tau_s, own.theta, cortex.clock_s)
    shape = own.half_side_cm, own.exponent, own.scaling
    return build_interface(metric, trains, cortex.n_stimuli, cortex.layout, *shape)


def measure(network: Network, folder: Path, preset: Preset, animal: int) -> Table:
    """Outcome of the protocol with carried state, by calibration and task."""
    starts = starts_of(animal, SEED, cases.N_STARTS, REPETITIONS)
    rows = []
    for stimuli in cases.STIMULI:
        options = network.options(folder, stimuli, carry=True)
        carried = carried_interface({"preset": preset, **options}, animal)
        for field, decoder in product(FIELDS, DECODERS):
            loop = loop_with(preset, options, field, decoder, animal)
            loops = {"rest": loop, "carried": replace(loop, interface=carried)}
            for calibrated, own in loops.items():
                rng = experiment_rng(SEED, animal, repr(network), field, decoder, "carried")
                task = {"stimuli": stimuli, "field": field, "decoder": decoder, "animal": animal}
                found = cases.outcome(preset, *run_loop(preset, own, rng, starts))
                rows.append(asdict(network) | {"calibrated": calibrated} | task | found)
    return from_rows(rows)


def main(folder: Path) -> None:
    """Measure all, and write the table after each animal."""
    found: list[Table] = []
    for circuit, animal in product(CIRCUITS, ANIMALS):
        for control, abscissa in NETWORKS:
            network = Network(circuit, control, abscissa, control != "none")
            found.append(measure(network, folder, PRESETS["default"], animal))
        write_csv(FILE, concatenate(found))
        print(circuit, animal, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
