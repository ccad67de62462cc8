"""The report on a stability-optimised circuit: tables, pictures, and what must come out.

A table sets what was measured against what an independent build of 200 neurons must show; another
compares the circuit with its controls.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas
from tqdm import tqdm

from ndbmi_gym.cortex.soc.circuit import (
    ABSCISSA,
)
from ndbmi_gym.cortex.soc.cortex import WINDOW_S
from ndbmi_gym.experiments.bench.drawing import DPI
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    from_rows,
    read_folder,
    where,
    write_csv,
)
from ndbmi_gym.experiments.circuit import (
    balance,
    construction,
    exact,
    reaching,
    reliability,
    richness,
    transients,
)
from ndbmi_gym.experiments.circuit.acceptance import BAR, Row, acceptance, acceptance_table
from ndbmi_gym.experiments.circuit.reaching import COMPARED_UNITS, DRAWN_TRIALS
from ndbmi_gym.experiments.circuit.reliability import ANIMALS, TRIALS
from ndbmi_gym.experiments.circuit.report_drawing import WORDS
from ndbmi_gym.experiments.circuit.specimen import (
    MATCHED,
    MODES,
    REPEATS,
    SAME,
    SMOOTHING_S,
    STABILISED,
    STEP_S,
    Specimen,
)
from ndbmi_gym.files import whole_file, write_json, write_text
from ndbmi_gym.provenance import JSON, versions

_SPREAD = " ±"  # at the end of the name of a column of standard deviations
_NOISY = 0.2  # noise in the prepared state, of the comparison
_RESULTS = (
    "circuits", "shuffles", "balance", "reliability", "dimensions", "reaching", "identification",
    "exact",
)  # fmt: skip
"""Tables that are small enough for the JSON file."""

STAGES: dict[str, Callable[[Specimen], Tables]] = {
    "construction": construction.measure_construction,
    "balance": balance.measure_balance,
    "transients": transients.measure_transients,
    "reliability": reliability.measure_reliability,
    "richness": richness.measure_richness,
    "reaching": reaching.measure_reaching,
    "identification": reliability.measure_identification,
    "exact": exact.measure_exact,
}

PICTURES: dict[str, Callable[[Tables], Canvas]] = {
    "construction": construction.draw_construction,
    "balance": balance.draw_balance,
    "transients": transients.draw_transients,
    "reliability": reliability.draw_reliability,
    "richness": richness.draw_richness,
    "reaching": reaching.draw_reaching,
}


def parameters() -> JSON:
    """The constants that results depend on."""
    return {
        "modes": MODES,
        "amplitude_hz": reaching.AMPLITUDE_HZ,
        "window_s": WINDOW_S,
        "short_s": reliability.SHORT_S,
        "step_s": STEP_S,
        "smoothing_s": SMOOTHING_S,
        "animals": reliability.ANIMALS,
        "trials": reliability.TRIALS,
        "repeats": REPEATS,
        "single_trials": reliability.SINGLE_TRIALS,
        "read_trials": reaching.READ_TRIALS,
        "units": list(reaching.UNITS),
        "compared_units": reaching.COMPARED_UNITS,
        "noise": list(reliability.NOISE),
        "penalties": reaching.PENALTIES.tolist(),
    }


def measure_specimen(specimen: Specimen) -> Tables:
    """All tables."""
    tables: Tables = {}
    with tqdm(STAGES.items()) as bar:
        for name, stage in bar:
            bar.set_description(f"{name:>14}")
            tables |= stage(specimen)
    return tables


def comparison(specimen: Specimen, tables: Tables) -> Table:
    """A row of numbers for every circuit and amplitude.

    The column "x ±" holds standard deviations of x, over repeats or animals.
    """
    rows = []
    for name, amplitude in specimen.conditions:
        own = {"circuit": name, "amplitude": amplitude}
        circuit = _first(tables["circuits"], circuit=name)
        balanced = where(tables["balance"], circuit=name, population="E")["exact"]
        quiet = _first(tables["reliability"], **own, noise=0.0)
        noisy = _first(tables["reliability"], **own, noise=_NOISY)
        read = _first(tables["reaching"], **own, units=COMPARED_UNITS)
        animals = where(tables["identification"], **own, stimuli=8, window_s=WINDOW_S)
        identified = animals["identified"]
        together, alone = (
            _first(tables["dimensions"], circuit=name, states=states)
            for states in ("all", "single")
        )
        rows.append(
            own
            | {
                "states ×, stimuli": quiet["factor"],
                "states ×, movements": read["factor"],
                "E₁": circuit["E1"],
                "E₁/mean E": circuit["selectivity"],
                "peak of |x|": circuit["peak"],
                "E–I correlation": balanced[0] if len(balanced) else np.nan,
                "dimension": together["participation"],
                "dimension of one transient": alone["participation"],
            }
            | _spread("explained", quiet["share"], quiet["share_spread"])
            | _spread(f"explained, {_NOISY:.0%} noise", noisy["share"], noisy["share_spread"])
            | _spread(
                f"explained, {_NOISY:.0%} noise, no spikes' noise",
                noisy["rates"],
                noisy["rates_spread"],
            )
            | _spread("identified", identified.mean(), identified.std(ddof=1))
            | _spread(f"movement R², {COMPARED_UNITS} units", read["r2"], read["r2_spread"])
            | _spread(
                f"path error (cm), {COMPARED_UNITS} units", read["error_cm"], read["error_spread"]
            )
        )
    return from_rows(rows)


def _spread(name: str, mean: float, deviation: float) -> JSON:
    return {name: mean, name + _SPREAD: deviation}


def _cells(compared: Table, name: str) -> list[str]:
    """A column in words, with its standard deviations if there are any."""
    values = compared[name]
    if name + _SPREAD not in compared:
        return ["–" if np.isnan(value) else f"{value:.3g}" for value in values]
    spreads = compared[name + _SPREAD]
    digits = 2 if spreads.min() >= 0.005 else 3
    return [
        f"{value:.{digits}f} ± {spread:.{digits}f}"
        for value, spread in zip(values, spreads, strict=True)
    ]


def comparison_table(compared: Table) -> str:
    """The comparison as Markdown, a column for every circuit and amplitude."""
    header = [
        name if amplitude == SAME else f"{name}, {amplitude}"
        for name, amplitude in zip(compared["circuit"], compared["amplitude"], strict=True)
    ]
    lines = [f"| | {' | '.join(header)} |", "|---|" + "---:|" * len(header)]
    for name, values in compared.items():
        if values.dtype.kind == "f" and not name.endswith(_SPREAD):
            lines.append(f"| {name.replace('|', BAR)} | {' | '.join(_cells(compared, name))} |")
    return "\n".join(lines)


def remaining(compared: Table) -> str:
    """What is left of the SOC's lead over the best of the controls of matched signal, in words."""
    controls = np.flatnonzero(compared["amplitude"] == MATCHED)
    own = compared["circuit"].tolist().index(STABILISED)
    parts = []
    for name in compared:
        if name + _SPREAD not in compared:
            continue
        better = -compared[name] if name.startswith("path error") else compared[name]
        best = controls[better[controls].argmax()]
        cells = _cells(compared, name)
        parts.append(f"{name}: {cells[own]} against {cells[best]} ({compared['circuit'][best]})")
    return (
        "SOC against the best of the controls of matched signal (± standard deviation over "
        f"repeats, over animals for *identified*): {'; '.join(parts)}. All of it is one circuit "
        "and its controls: measure other builds with `--circuit`."
    )


def doubtful(reaching: Table) -> str:
    """Read-outs whose penalty lies at an end of its grid, in words; empty if there are none."""
    found = [
        f"{name} ({amplitude}), {units:g} units: {count:g} of {REPEATS} repeats"
        for name, amplitude, units, count in zip(
            *(reaching[column] for column in ("circuit", "amplitude", "units", "at_end")),
            strict=True,
        )
        if count
    ]
    if not found:
        return ""
    return (
        "The penalty of the read-out lies at an end of its grid, so that its R² may be too low: "
        f"{'; '.join(found)}."
    )


def _first(table: Table, **values: str | float) -> JSON:
    """The first row with the given values."""
    return {name: column[0] for name, column in where(table, **values).items()}


def summary(specimen: Specimen, rows: Sequence[Row], compared: Table, reaching: Table) -> str:
    """How many rows are met, the acceptance table and the comparison, as Markdown."""
    n = specimen.circuit.n_neurons
    size = "" if n == 200 else f" The intervals are those of 200 neurons; this circuit has {n}."
    failed = ", ".join(row.quantity for row in rows if not row.met)
    parts = (
        f"{sum(row.met for row in rows)} of {len(rows)} rows of the acceptance table are met"
        f"{f'; not met: {failed}' if failed else ''}.{size}",
        acceptance_table(rows),
        comparison_table(compared),
        remaining(compared),
        doubtful(reaching),
    )
    return "\n\n".join(filter(None, parts))


_DRAWN = [
    f"{units} ({line})" for units, line in zip(DRAWN_TRIALS, ("thin, pale", "bold"), strict=True)
]
_EXPLANATIONS = {
    "construction": (
        "Construction",
        "The spectral abscissa is the largest real part of the eigenvalues of W: above 1 activity "
        "explodes. It is lowered by moving inhibitory weights only. Controls: **scaled**, the "
        "initial random weights scaled down to abscissa 0.15; **shuffled**, the tuned inhibitory "
        "weights in random order within either block, then scaled likewise; **symmetric**, the "
        "symmetric part of the initial weights, scaled likewise.",
    ),
    "balance": (
        "Balance of excitation and inhibition",
        "All neurons receive independent white noise. The correlation of a neuron's excitatory "
        "input Σ_E W·x with its inhibitory input −Σ_I W·x, averaged over E cells or I cells, is "
        "exact from the Lyapunov equation; dots: 2,000 s of simulation. Time courses, in standard "
        "deviations, are those of the excitatory neuron nearest to the mean correlation. In the "
        "symmetric control neurons have outgoing weights of both signs: there is nothing to "
        "compare.",
    ),
    "transients": (
        "Amplification of prepared states",
        "The energy of a prepared state x₀ of norm 1 is (2/τ)∫|x|²dt of the linear core; 1 is that "
        "of unconnected neurons. v_k are the orthogonal states of largest energy, v₁ first; the "
        "mean of all E is that of a random state, so that E₁/mean E tells how much more the "
        "circuit amplifies what is prepared than noise. One random state begins the transients of "
        "all circuits. Neurons shown: the six excitatory ones that vary most.",
    ),
    "reliability": (
        "Reliability over trials",
        "Eight stimuli prepare states on a ring in the plane of v₁ and v₂ (100 Hz); 25 electrodes "
        "record Poisson spikes for 300 ms, smoothed by a Gaussian of 20 ms. *Explained* is the "
        "share of the single-trial variance, summed over electrodes and times, that is due to the "
        "stimulus: the intraclass correlation σ²_s/(σ²_s + σ²_e), unbiased by the number of "
        "trials. Without noise in the prepared state, it is nearly alike at matched signal by "
        "construction. Error bars: standard deviation over repeats. Noise in the prepared state "
        "is isotropic over all neurons, its expected norm given relative to the state's; without "
        "spikes' noise (expected counts) it is all that varies. *Identified* is the share of "
        "fresh single trials nearest to the calibration mean of their own stimulus in the plane of "
        f"multidimensional scaling ({ANIMALS} animals, {TRIALS} trials per stimulus). The layout "
        "R² is that of the *affine* map from the class means to the stimuli's code, which for "
        "eight stimuli leaves 10 of 16 degrees of freedom.",
    ),
    "richness": (
        "Dimension of transients",
        "Principal components of the linear states of all excitatory neurons over 300 ms, after "
        f"the {MODES} leading states (norm 1) together, or one at a time (mean); and of their "
        "firing rates after the eight stimuli at the same amplitude. The dimension is the "
        "participation ratio (Σλ)²/Σλ². Ten orthogonal states span up to ten dimensions even in a "
        "circuit that merely lets them fade: what the circuit adds is seen in the dimension of one "
        "transient, and in the share of power outside the span of the prepared states.",
    ),
    "reaching": (
        "Read-out of movements",
        "Eight movements of 300 ms begin and end at rest with a minimum-jerk profile; opposite "
        "directions have opposite movements, so that time alone explains nothing. Each is prepared "
        f"by a random unit combination of the {MODES} leading states times 100 Hz (the same "
        "coefficients in all circuits). The velocity is read out linearly, at each moment, from "
        "the firing of all excitatory neurons: spikes of 1 to 64 Poisson units per neuron in "
        "10 ms bins, smoothed by a Gaussian of 20 ms. Ridge regression on half of the trials, its "
        "penalty chosen by five-fold cross-validation; R² and the root-mean-square distance of the "
        "integrated path are those of the other half. Error bars: standard deviation over repeats, "
        "each of which draws prepared states and spikes. *Matched* states are resized for every "
        "repeat on its own, until the signal of the eight movements in all excitatory neurons is "
        "that of the SOC. Drawn: one of every pair of opposite movements and the controls of "
        f"matched signal, targets in grey, single test trials of {' and '.join(_DRAWN)} units per "
        "neuron.",
    ),
}


def markdown(specimen: Specimen, tables: Tables, told: str) -> str:
    """The report in Markdown, a summary before the pictures, which are linked to."""
    share = ABSCISSA / tables["construction"]["abscissa"][0]
    parts = [
        "# The stability-optimised circuit",
        f"{specimen.circuit.n_neurons} neurons, circuit of seed {specimen.circuit.seed} "
        f"({_name(specimen)}), measurements of seed {specimen.seed}.",
        told,
        "Amplification is of a unit state in the linear core; what is recorded are rates, which "
        "saturate between 0 and 100 Hz. Circuits are compared at the same amplitude of the "
        "prepared states (states × 1), and *matched*: with states resized (× as measured) until "
        "the signal, the variance over stimuli of the expected spikes summed over what is recorded "
        "in the window, is that of the SOC. Differences that remain at matched signal are not of "
        "size. Yet scaled to the same abscissa the initial weights are "
        f"{share:.3f} of what they were: the controls are close to unconnected neurons, whose "
        "transients all fade alike, and a random network nearer to instability would be a harder "
        "comparison.",
        f"Pictures name the circuits in words: {_said()}. States × 1 of a control have a *weaker "
        "signal* than the circuit's, matched ones the *same signal*.",
    ]
    for name, (title, text) in _EXPLANATIONS.items():
        parts += [f"## {title}", text, f"![{title}]({name}.png)"]
    return "\n\n".join(parts) + "\n"


def _said() -> str:
    return ", ".join(f"*{words}* ({name})" for name, words in WORDS.items() if name != "initial")


def _name(specimen: Specimen) -> str:
    """The circuit's file without its folder, which is the machine's own."""
    return Path(specimen.path).name if specimen.path else "packaged"


def settings(specimen: Specimen) -> JSON:
    """What the results depend on."""
    return {
        "circuit": _name(specimen),
        "neurons": specimen.circuit.n_neurons,
        "circuit_seed": specimen.circuit.seed,
        "seed": specimen.seed,
        "parameters": parameters() | {"compared_noise": _NOISY},
        "versions": versions("matplotlib"),
    }


def write(folder: Path, path: str | None, seed: int) -> str:
    """Measure a circuit and write tables, pictures, ``circuit.json`` and ``report.md``.

    Parameters
    ----------
    folder : Path
    path : str or None
        A file that ``ndbmi-gym circuit build`` wrote; None: the packaged circuit.
    seed : int
        Of all measurements.

    Returns
    -------
    str
        A summary in Markdown.

    Raises
    ------
    ValueError
        If the circuit is too small, or unfinished.
    """
    specimen = Specimen(path, seed)
    tables = measure_specimen(specimen)
    rows, compared = acceptance(tables), comparison(specimen, tables)
    accepted = [row._asdict() | {"met": row.met} for row in rows]
    tables["acceptance"] = from_rows([row | {"met": int(row["met"])} for row in accepted])
    tables["comparison"] = compared
    for name, columns in tables.items():
        write_csv(folder / f"{name}.csv", columns)
    draw_pictures(folder)
    results = {name: _records(tables[name]) for name in _RESULTS}
    write_json(
        folder / "circuit.json", settings(specimen) | {"results": results, "acceptance": accepted}
    )
    told = summary(specimen, rows, compared, tables["reaching"])
    write_text(folder / "report.md", markdown(specimen, tables, told))
    return told


def draw_pictures(folder: Path) -> None:
    """Draw all pictures from the tables in a folder."""
    tables = read_folder(folder)
    for name, draw in PICTURES.items():
        with whole_file(folder / f"{name}.png") as part:
            draw(tables).savefig(part, dpi=DPI)


def redraw(folder: Path) -> list[str]:
    """Draw the pictures anew from the tables in a folder; return their names.

    Raises
    ------
    ValueError
        If there are no tables.
    """
    if not (folder / "reaching.csv").is_file():
        raise ValueError(f"{folder} holds no tables to draw: measure first, without --redraw")
    draw_pictures(folder)
    return list(PICTURES)


def _records(table: Table) -> list[JSON]:
    """The rows of a table, as plain values."""
    columns = [column.tolist() for column in table.values()]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]
