"""Several circuits, built independently, beside controls of their own.

What one circuit shows may be an accident of its random weights. Circuits are therefore the sample:
intervals are Student's over circuits, of means and of the paired differences between a circuit and
a control made from it.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas
from tqdm import tqdm

from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas
from ndbmi_gym.experiments.bench.statistics import mean_interval
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    from_rows,
    labelled,
    load_tables,
    save_tables,
    where,
)
from ndbmi_gym.experiments.circuit.abscissa import build_circuits, circuit_file
from ndbmi_gym.experiments.circuit.acceptance import BAR
from ndbmi_gym.experiments.circuit.comparison import (
    READ_UNITS,
    SPREAD,
    movement_numbers,
    transient_numbers,
)
from ndbmi_gym.experiments.circuit.quench import (
    NONLINEAR,
    PREPARED,
    QUENCHED,
    measure_quench,
)
from ndbmi_gym.experiments.circuit.reaching import measure_reaching
from ndbmi_gym.experiments.circuit.report_drawing import in_words, look, name_axes, names_of
from ndbmi_gym.experiments.circuit.richness import measure_richness
from ndbmi_gym.experiments.circuit.rotations import measure_rotations
from ndbmi_gym.experiments.circuit.specimen import MATCHED, STABILISED, Specimen
from ndbmi_gym.experiments.circuit.transients import measure_transients
from ndbmi_gym.provenance import JSON

_QUENCH = "variance of states, prepared (1: as unprepared)"
_RATIO = "rotation: ratio of R²"
DRAWN = (
    "dimension",
    "dimension of one transient",
    "movement R², 4 units",
    "movement R², 64 units",
    "rotation: ratio",
    "rotation: frequency (Hz)",
)


def measure_build(specimen: Specimen) -> Table:
    """A number for every network and measure: the circuit, and its controls of matched signal.

    The measures are those of `ndbmi_gym.experiments.circuit.comparison`, and the variance of states
    over trials at the end of preparation, in units of that without (NaN where it is not measured).
    """
    tables: Tables = {}
    for stage in (measure_transients, measure_richness, measure_rotations, measure_quench):
        tables |= stage(specimen)
    tables |= measure_reaching(specimen, READ_UNITS)
    rows = []
    for name, amplitude in specimen.conditions:
        row = transient_numbers(tables, name) | movement_numbers(tables, name, amplitude)
        varied = where(tables["quench"], circuit=name, core=NONLINEAR, phase=PREPARED)["state"]
        row[_QUENCH] = varied[0] if name in QUENCHED else np.nan
        rows += [
            {"network": name, "measure": measure, "value": value}
            for measure, value in row.items()
            if not measure.endswith(SPREAD)
        ]
    return from_rows(rows)


def measure_builds(folder: Path, circuits: int, seed: int, header: JSON) -> Table:
    """`measure_build` of the packaged circuit, of seed 0, and of others, of seeds 1 and up.

    Parameters
    ----------
    folder : Path
        Circuits are kept there, and what was measured of each: an interrupted measurement goes on.
    circuits : int
        How many.
    seed : int
        Of all measurements.
    header : dict
        What results depend on; those of others are measured anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    build_circuits(folder, range(circuits))
    tables = []
    for number in tqdm(range(circuits), desc="circuits"):
        kept, made = folder / f"measured-{number}.npz", header | {"circuit": number}
        found = load_tables(kept, made)
        if found is None:
            path = str(circuit_file(folder, number)) if number else None
            found = {"build": measure_build(Specimen(path, seed, (MATCHED,)))}
            save_tables(kept, made, found)
        tables.append(labelled(found["build"], circuit=number))
    return concatenate(tables)


def compare_builds(builds: Table) -> Table:
    """Means over circuits with 95 % intervals, by measure and network.

    ``low`` and ``high`` are the ends of the mean's interval; ``difference``, ``difference_low`` and
    ``difference_high`` are of circuit less control, by pairs (NaN for the circuit itself).
    """
    rows = []
    for measure in names_of(builds, "measure"):
        own = where(builds, measure=measure, network=STABILISED)["value"]
        for network in names_of(builds, "network"):
            values = where(builds, measure=measure, network=network)["value"]
            mean = mean_interval(values)
            apart = mean_interval(own - values if network != STABILISED else own * np.nan)
            rows.append(
                {"measure": measure, "network": network, "circuits": len(values)}
                | {"mean": mean.estimate, "low": mean.low, "high": mean.high}
                | {"difference": apart.estimate}
                | {"difference_low": apart.low, "difference_high": apart.high}
            )
    return from_rows(rows)


def builds_table(compared: Table) -> Table:
    """Means and half widths in words, by measure: a column for each network."""
    return {"measure": np.array(names_of(compared, "measure"))} | {
        network: np.array(
            [
                _cell(mean, high - mean, bool(least * most <= 0))
                for mean, high, least, most in zip(
                    *(own[c] for c in ("mean", "high", "difference_low", "difference_high")),
                    strict=True,
                )
            ]
        )
        for network in names_of(compared, "network")
        for own in [where(compared, network=network)]
    }


def builds_told(compared: Table) -> str:
    """The table as Markdown, and what its numbers are."""
    table = builds_table(compared)
    lines = [f"| {' | '.join(table)} |", "|---|" + "---:|" * (len(table) - 1)]
    lines += [
        f"| {' | '.join(cells)} |".replace("|x|", f"{BAR}x{BAR}")
        for cells in zip(*(column.tolist() for column in table.values()), strict=True)
    ]
    compares = int(np.isfinite(compared["difference_low"]).sum())
    told = (
        f"Means over {compared['circuits'][0]} circuits, each built from its own random weights, "
        "with controls made from it; ± is the half width of Student's 95 % interval over circuits. "
        "*Not told apart*: the interval of the paired difference between circuit and control holds "
        f"zero, which with so few circuits does not show that they are alike; {compares} "
        "comparisons, each by an interval of its own. "
        "Controls have the circuit's signal; the number in a name is the spectral abscissa."
    )
    return "\n".join(lines) + "\n\n" + told


def _cell(mean: float, half: float, together: bool) -> str:
    if np.isnan(mean):
        return "–"
    digits = 2 if abs(mean) < 10 else 1 if abs(mean) < 100 else 0
    return f"{mean:.{digits}f} ± {half:.{digits}f}{' *not told apart*' if together else ''}"


def draw_builds(tables: Tables) -> Canvas:
    """Every circuit beside its controls: points, and means with their intervals.

    Parameters
    ----------
    tables : Tables
        ``builds`` and ``circuits_compared``.
    """
    builds, compared = tables["builds"], tables["circuits_compared"]
    networks = names_of(compared, "network")
    figure = canvas(NARROW, 8.2)
    panels = figure.subplots(3, 2, sharey=True)
    for axes, measure in zip(panels.flat, DRAWN, strict=True):
        for place, network in enumerate(networks):
            color = look(network)["color"]
            values = where(builds, measure=measure, network=network)["value"]
            mean = where(compared, measure=measure, network=network)
            axes.plot(values, np.full(len(values), place), ".", color=color, ms=5)
            axes.errorbar(
                mean["mean"], place + 0.25, xerr=mean["high"] - mean["mean"],
                color="black", marker="|", ms=8, capsize=2, lw=1.1,
            )  # fmt: skip
        axes.set_title(measure.replace("rotation: ratio", _RATIO), size=FONT)
        axes.set_yticks(np.arange(len(networks)), [in_words(n) for n in networks], size=SMALL)
        axes.set_xlim(left=0)
        axes.tick_params(labelsize=SMALL)
        axes.grid(axis="y", color="#e5e5e5", lw=0.6)
        axes.set_axisbelow(True)
        name_axes(axes, "", "")
    panels[0, 0].invert_yaxis()
    return figure
