"""Controls near instability: the comparison that the study's own controls are too weak for.

Run as ``python docs/circuit/near_instability.py``; writes ``near_instability.csv`` beside it
(under a minute for each row of one core).
"""

import csv
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ndbmi_gym.cortex.soc.circuit import control, load_circuit
from ndbmi_gym.cortex.soc.cortex import AMPLITUDE_HZ, SOC, matched, soc_cortex
from ndbmi_gym.experiments.protocol.conditions import loop_with, run_loop, starts_of
from ndbmi_gym.experiments.protocol.runs import wtpe
from ndbmi_gym.presets import load_preset
from ndbmi_gym.streams import experiment_rng

ANIMALS = range(6)
ROWS = (
    ("none", 0.15),
    ("scaled", 0.15),
    ("scaled", 0.8),
    ("scaled", 0.99),
    ("shuffled", 0.15),
    ("shuffled", 0.9),
)
COLUMNS = tuple(product((8, 32), ("gaussian", "dipole"), ("multiple-points", "projection")))


def cortex_of(kind: str, abscissa: float, stimuli: int, folder: Path) -> dict[str, Any]:
    """A control of a spectral abscissa, whose recorded signal is as large as the circuit's."""
    if kind == "none":
        return {"kind": "soc", "stimuli": stimuli}
    own = control(load_circuit(), kind)
    path = folder / f"{kind}-{abscissa}.npz"
    replace(own, weights=own.weights * (abscissa / own.abscissa)).save(path)
    model = SOC(stimuli=stimuli, circuit=str(path))
    plain = soc_cortex(model)
    size = matched(plain, soc_cortex(SOC(stimuli=stimuli))).prepared / plain.prepared
    amplitude = AMPLITUDE_HZ[model.planar_code] * float(np.median(size))
    return {"kind": "soc", "stimuli": stimuli, "circuit": str(path), "amplitude_hz": amplitude}


def errors(kind: str, abscissa: float, folder: Path) -> Iterator[tuple[float, float]]:
    """Mean wtpe over animals, cm, of runs that converge, and their share, for each column."""
    preset = load_preset("default")
    for stimuli, field, decoder in COLUMNS:
        options = {"cortex": cortex_of(kind, abscissa, stimuli, folder)}
        found = []
        for animal in ANIMALS:
            loop = loop_with(preset, options, field, decoder, animal)
            rng = experiment_rng(0, animal, kind, str(abscissa), str(stimuli), field, decoder)
            runs, ideal = run_loop(preset, loop, rng, starts_of(animal, 0, 24, 5))
            error = wtpe(runs, ideal)[runs.convergent]
            found.append((float(error.mean()), float(runs.convergent.mean())))
        error, share = np.mean(found, axis=0).tolist()
        yield error, share


def main() -> None:
    """Measure all rows, and write them."""
    with (
        TemporaryDirectory() as folder,
        open(Path(__file__).with_suffix(".csv"), "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["control", "abscissa", *(f"{s} {f}, {d}" for s, f, d in COLUMNS)])
        for kind, abscissa in ROWS:
            name = "the circuit itself" if kind == "none" else kind
            cells = [
                f"{error:.2f}" + (f" ({share:.2f})" if share < 1 else "")
                for error, share in errors(kind, abscissa, Path(folder))
            ]
            table.writerow([name, abscissa, *cells])
            print(name, abscissa, *cells, flush=True)


if __name__ == "__main__":
    main()
