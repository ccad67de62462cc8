"""The report on a stability-optimised circuit: tables, pictures, and what must come out.

A table sets what was measured against what an independent build of 200 neurons must show; others
compare the circuit with its controls, and several circuits with theirs.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

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
    write_csv,
)
from ndbmi_gym.experiments.circuit import (
    balance,
    construction,
    exact,
    quench,
    reaching,
    reliability,
    richness,
    rotations,
    transients,
)
from ndbmi_gym.experiments.circuit.acceptance import Row, acceptance, acceptance_table
from ndbmi_gym.experiments.circuit.builds import (
    builds_table,
    builds_told,
    compare_builds,
    draw_builds,
    measure_builds,
)
from ndbmi_gym.experiments.circuit.comparison import (
    NOISY,
    comparison,
    comparison_tables,
    remaining,
)
from ndbmi_gym.experiments.circuit.reaching import DRAWN_TRIALS
from ndbmi_gym.experiments.circuit.reliability import ANIMALS, TRIALS
from ndbmi_gym.experiments.circuit.report_drawing import WORDS
from ndbmi_gym.experiments.circuit.specimen import (
    MODES,
    NETWORKS,
    REPEATS,
    SMOOTHING_S,
    STEP_S,
    Specimen,
)
from ndbmi_gym.files import whole_file, write_json, write_text
from ndbmi_gym.provenance import JSON, versions

_RESULTS = (
    "circuits", "shuffles", "balance", "reliability", "dimensions", "reaching", "rotations",
    "quench", "identification", "exact",
)  # fmt: skip
"""Tables that are small enough for the JSON file."""

STAGES: dict[str, Callable[[Specimen], Tables]] = {
    "construction": construction.measure_construction,
    "balance": balance.measure_balance,
    "transients": transients.measure_transients,
    "reliability": reliability.measure_reliability,
    "richness": richness.measure_richness,
    "reaching": reaching.measure_reaching,
    "rotations": rotations.measure_rotations,
    "quench": quench.measure_quench,
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
    "rotations": rotations.draw_rotations,
    "quench": quench.draw_quench,
}
BUILDS = "builds"
"""The picture, and the table, of several circuits."""


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
        "controls": {name: list(own) for name, own in NETWORKS.items()},
        "components": rotations.COMPONENTS,
        "soft_hz": rotations.SOFT_HZ,
        "noise_hz": quench.NOISE_HZ,
        "noisy_trials": quench.TRIALS,
        "before_s": quench.BEFORE_S,
        "prepare_s": quench.PREPARE_S,
        "after_s": quench.AFTER_S,
        "count_s": quench.COUNT_S,
    }


def measure_specimen(specimen: Specimen) -> Tables:
    """All tables."""
    tables: Tables = {}
    with tqdm(STAGES.items()) as bar:
        for name, stage in bar:
            bar.set_description(f"{name:>14}")
            tables |= stage(specimen)
    return tables


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


def summary(specimen: Specimen, rows: Sequence[Row], tables: Tables) -> str:
    """How many rows are met, the acceptance table and comparisons, as Markdown."""
    n = specimen.circuit.n_neurons
    size = "" if n == 200 else f" The intervals are those of 200 neurons; this circuit has {n}."
    failed = ", ".join(row.quantity for row in rows if not row.met)
    parts = (
        f"{sum(row.met for row in rows)} of {len(rows)} rows of the acceptance table are met"
        f"{f'; not met: {failed}' if failed else ''}.{size}",
        acceptance_table(rows),
        comparison_tables(tables["comparison"]),
        remaining(tables["comparison"]),
        quench.quench_table(tables["quench"]),
        doubtful(tables["reaching"]),
        *_several(tables),
    )
    return "\n\n".join(filter(None, parts))


def _several(tables: Tables) -> list[str]:
    """What is said of several circuits, if they were measured."""
    if BUILDS not in tables:
        return []
    picture = f"![Several circuits]({BUILDS}.png)"
    return ["## Several circuits", builds_told(tables["circuits_compared"]), picture]


_DRAWN = [
    f"{units} ({line})" for units, line in zip(DRAWN_TRIALS, ("thin, pale", "bold"), strict=True)
]
_EXPLANATIONS = {
    "construction": (
        "Construction",
        "The spectral abscissa is the largest real part of the eigenvalues of W: above 1 activity "
        "explodes. It is lowered by moving inhibitory weights only. Controls: **scaled**, the "
        "initial random weights scaled to another abscissa; **shuffled**, the tuned inhibitory "
        "weights in random order within either block, then scaled likewise; **symmetric**, the "
        "symmetric part of the initial weights, scaled likewise. At abscissa 0.15, that of the "
        "circuit, a control is close to unconnected neurons; at 0.99 it is as strong as a random "
        "network can be without exploding.",
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
    "rotations": (
        "Rotations",
        "Rates after the states that prepare movements, for 300 ms (linear core, every 5 ms), as "
        "Churchland et al. (2012) treat them: divided by their range plus 5 Hz, less the mean over "
        f"conditions at every time, {rotations.COMPONENTS} principal components. Two laws are "
        "fitted by least squares: ẋ = M·x with any M, and with a skew-symmetric one; R² is the "
        "share of the power of ẋ that a law explains, the ratio that of the two R². The frequency "
        "is that of the plane that turns fastest. Shown are excitatory neurons and eight "
        "conditions; ± is the standard deviation over repeats. `rotations.csv` has all neurons, "
        "and forty conditions at once, too: with these the ratio of the circuit is higher, and "
        "its R² lower, since six components no longer hold its transients. A ratio without its R² "
        "and frequency says little: controls near instability reach ratios of a half, at "
        "frequencies at which a turn takes seconds.",
    ),
    "quench": (
        "Variability over trials",
        "White noise to all neurons, which alone would give the state of an excitatory neuron a "
        f"standard deviation of {quench.NOISE_HZ:g} Hz in the linear core; a tonic input for "
        f"{quench.PREPARE_S:g} s (grey) that holds the circuit at a state preparing a movement, "
        "and the go cue that ends it. Reference at every time: trials of the same noise without "
        "that input. Fano factors are of Poisson counts in windows of 50 ms, which end at the time "
        "shown; *at matched means* over the distribution of mean counts common to all times "
        "(Churchland et al. 2010). In the linear core the variance of states cannot change, so "
        "that what rates show there is the saturation of output alone. Means over eight states and "
        "five repeats.",
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
        "Amplification is of a unit state in the linear core; what is recorded are rates, which "
        "saturate between 0 and 100 Hz. Circuits are compared at the same amplitude of the "
        "prepared states (states × 1), and *matched*: with states resized (× as measured) until "
        "the signal, the variance over stimuli of the expected spikes summed over what is recorded "
        "in the window, is that of the SOC. Differences that remain at matched signal are not of "
        "size. Yet scaled to the same abscissa the initial weights are "
        f"{share:.3f} of what they were: such controls are close to unconnected neurons, whose "
        "transients all fade alike. Those of abscissa 0.8 and 0.99 are the harder comparison.",
        f"Pictures name the networks in words: {_said()}, controls with their abscissa. They show "
        "controls of the circuit's signal.",
        told,
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
        "parameters": parameters() | {"compared_noise": NOISY},
        "versions": versions("matplotlib"),
    }


def write(folder: Path, path: str | None, seed: int, circuits: int = 1) -> str:
    """Measure a circuit and write tables, pictures, ``circuit.json`` and ``report.md``.

    With several circuits, key measures of each, too, beside its controls (`measure_builds`).

    Parameters
    ----------
    folder : Path
    path : str or None
        A file that ``ndbmi-gym circuit build`` wrote; None: the packaged circuit.
    seed : int
        Of all measurements.
    circuits : int
        How many to compare with their controls: the packaged one, and others that are built, in a
        folder ``circuits``, unless they are there.

    Returns
    -------
    str
        A summary in Markdown.

    Raises
    ------
    ValueError
        If the circuit is too small, or unfinished, or there are no circuits.
    """
    if circuits < 1:
        raise ValueError(f"circuits {circuits}: give at least one")
    specimen = Specimen(path, seed)
    tables = measure_specimen(specimen)
    if circuits > 1:
        header = {"seed": seed, "parameters": parameters(), "versions": versions("matplotlib")}
        tables[BUILDS] = measure_builds(folder / "circuits", circuits, seed, header)
        tables["circuits_compared"] = compare_builds(tables[BUILDS])
        tables["circuits_table"] = builds_table(tables["circuits_compared"])
    rows = acceptance(tables)
    accepted = [row._asdict() | {"met": row.met} for row in rows]
    tables["acceptance"] = from_rows([row | {"met": int(row["met"])} for row in accepted])
    tables["comparison"] = comparison(specimen, tables)
    for name, columns in tables.items():
        write_csv(folder / f"{name}.csv", columns)
    draw_pictures(folder)
    results = {name: _records(tables[name]) for name in _RESULTS}
    write_json(
        folder / "circuit.json", settings(specimen) | {"results": results, "acceptance": accepted}
    )
    told = summary(specimen, rows, tables)
    write_text(folder / "report.md", markdown(specimen, tables, told))
    return told


def draw_pictures(folder: Path) -> None:
    """Draw all pictures from the tables in a folder."""
    tables = read_folder(folder)
    for name in pictures_of(tables):
        draw = draw_builds if name == BUILDS else PICTURES[name]
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
    return pictures_of(read_folder(folder))


def pictures_of(tables: Tables) -> list[str]:
    """Names of the pictures that tables allow."""
    return [*PICTURES, *([BUILDS] if BUILDS in tables else [])]


def _records(table: Table) -> list[JSON]:
    """The rows of a table, as plain values."""
    columns = [column.tolist() for column in table.values()]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]
