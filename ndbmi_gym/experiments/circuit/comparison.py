"""A circuit beside its controls: the numbers of all measurements in one table."""

import numpy as np

from ndbmi_gym.cortex.soc.cortex import WINDOW_S
from ndbmi_gym.experiments.bench.tables import Table, Tables, from_rows, where
from ndbmi_gym.experiments.circuit.acceptance import BAR
from ndbmi_gym.experiments.circuit.reaching import COMPARED_UNITS, UNITS
from ndbmi_gym.experiments.circuit.rotations import EXCITATORY
from ndbmi_gym.experiments.circuit.specimen import MATCHED, SAME, STABILISED, Specimen
from ndbmi_gym.provenance import JSON

NOISY = 0.2
"""Noise in the prepared state."""
READ_UNITS = (COMPARED_UNITS, UNITS[-1])
SPREAD = " ±"
"""At the end of the name of a column of standard deviations."""


def comparison(specimen: Specimen, tables: Tables) -> Table:
    """A row of numbers for every circuit and amplitude.

    The column "x ±" holds standard deviations of x, over repeats or animals.
    """
    rows = []
    for name, amplitude in specimen.conditions:
        own = {"circuit": name, "amplitude": amplitude}
        balanced = where(tables["balance"], circuit=name, population="E")["exact"]
        quiet = first(tables["reliability"], **own, noise=0.0)
        noisy = first(tables["reliability"], **own, noise=NOISY)
        animals = where(tables["identification"], **own, stimuli=8, window_s=WINDOW_S)
        identified = animals["identified"]
        rows.append(
            own
            | {
                "states ×, stimuli": quiet["factor"],
                "states ×, movements": first(tables["reaching"], **own)["factor"],
                "E–I correlation": balanced[0] if len(balanced) else np.nan,
            }
            | transient_numbers(tables, name)
            | _spread("explained", quiet["share"], quiet["share_spread"])
            | _spread(f"explained, {NOISY:.0%} noise", noisy["share"], noisy["share_spread"])
            | _spread(
                f"explained, {NOISY:.0%} noise, no spikes' noise",
                noisy["rates"],
                noisy["rates_spread"],
            )
            | _spread("identified", identified.mean(), identified.std(ddof=1))
            | movement_numbers(tables, name, amplitude)
        )
    return from_rows(rows)


def transient_numbers(tables: Tables, name: str) -> JSON:
    """Numbers of the transients of a network, whatever the amplitude."""
    circuit = first(tables["circuits"], circuit=name)
    together, alone = (
        first(tables["dimensions"], circuit=name, states=states) for states in ("all", "single")
    )
    return {
        "E₁": circuit["E1"],
        "E₁/mean E": circuit["selectivity"],
        "peak of |x|": circuit["peak"],
        "dimension": together["participation"],
        "dimension of one transient": alone["participation"],
    }


def movement_numbers(tables: Tables, name: str, amplitude: str) -> JSON:
    """What prepared movements show, with standard deviations over repeats."""
    own = {"circuit": name, "amplitude": amplitude}
    row: JSON = {}
    for units in READ_UNITS:
        read = first(tables["reaching"], **own, units=units)
        row |= _spread(f"movement R², {units} units", read["r2"], read["r2_spread"])
        row |= _spread(f"path error (cm), {units} units", read["error_cm"], read["error_spread"])
    rotations = where(tables["rotations"], **own, neurons=EXCITATORY)
    turned = first(rotations, conditions=rotations["conditions"].min())
    for said, column in (
        ("rotation: ratio", "ratio"),
        ("rotation: R², skew-symmetric", "r2_skew"),
        ("rotation: frequency (Hz)", "frequency_hz"),
    ):
        row |= _spread(said, turned[column], turned[f"{column}_spread"])
    return row


def _spread(name: str, mean: float, deviation: float) -> JSON:
    return {name: mean, name + SPREAD: deviation}


def _cells(compared: Table, name: str) -> list[str]:
    """A column in words, with its standard deviations if there are any."""
    values = compared[name]
    if name + SPREAD not in compared:
        return ["–" if np.isnan(value) else f"{value:.3g}" for value in values]
    spreads = compared[name + SPREAD]
    digits = 3 if spreads.max() < 0.01 else 2
    return [
        f"{value:.{digits}f} ± {spread:.{digits}f}"
        for value, spread in zip(values, spreads, strict=True)
    ]


def comparison_table(compared: Table, amplitude: str) -> str:
    """The circuit and its controls of one amplitude as Markdown, a column each."""
    shown = (compared["circuit"] == STABILISED) | (compared["amplitude"] == amplitude)
    compared = {name: column[shown] for name, column in compared.items()}
    lines = [
        f"| {'signal of the SOC' if amplitude == MATCHED else 'same amplitude'} | "
        f"{' | '.join(compared['circuit'])} |",
        "|---|" + "---:|" * len(compared["circuit"]),
    ]
    for name, values in compared.items():
        if values.dtype.kind == "f" and not name.endswith(SPREAD):
            lines.append(f"| {name.replace('|', BAR)} | {' | '.join(_cells(compared, name))} |")
    return "\n".join(lines)


def comparison_tables(compared: Table) -> str:
    """Both amplitudes, and what is told in the tables."""
    return "\n\n".join(
        (
            comparison_table(compared, MATCHED),
            comparison_table(compared, SAME),
            "± is the standard deviation over repeats (prepared states and noise drawn anew in one "
            "and the same circuit), over animals for *identified*: how far single measurements "
            "scatter, not how well a mean is known. The number in a control's name is its spectral "
            "abscissa.",
        )
    )


def remaining(compared: Table) -> str:
    """What is left of the SOC's lead over the best of the controls of matched signal, in words."""
    controls = np.flatnonzero(compared["amplitude"] == MATCHED)
    own = compared["circuit"].tolist().index(STABILISED)
    parts = []
    for name in compared:
        if name + SPREAD not in compared:
            continue
        better = -compared[name] if name.startswith("path error") else compared[name]
        best = controls[better[controls].argmax()]
        cells = _cells(compared, name)
        parts.append(f"{name}: {cells[own]} against {cells[best]} ({compared['circuit'][best]})")
    return (
        "SOC against the best of the controls of matched signal, whichever that is: "
        f"{'; '.join(parts)}. All of this is one circuit and its controls."
    )


def first(table: Table, **values: str | float) -> JSON:
    """The first row with the given values."""
    return {name: column[0] for name, column in where(table, **values).items()}
