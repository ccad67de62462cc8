"""Balance of excitation and inhibition."""

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ndbmi_gym.cortex.soc.circuit import (
    balance,
)
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    concatenate,
    from_rows,
    labelled,
    where,
)
from ndbmi_gym.experiments.circuit.measures import (
    correlations,
    received,
    white_noise,
)
from ndbmi_gym.experiments.circuit.report_drawing import (
    in_words,
    letters,
    look,
    name_axes,
    names_of,
)
from ndbmi_gym.experiments.circuit.specimen import (
    BALANCED,
    STEP_S,
    Specimen,
)

_POPULATIONS = {"E": "excitatory", "I": "inhibitory"}
_EXCITATION, _INHIBITION = "black", "#999999"


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
        correlation = correlations(excitation, inhibition)
        for population, chosen, exact in zip(
            ("E", "I"), (slice(0, half), slice(half, None)), balance(circuit), strict=True
        ):
            simulated = float(np.nanmean(correlation[chosen]))
            own = {"circuit": name, "population": population}
            rows.append(own | {"exact": exact, "simulated": simulated})
        typical = int(np.nanargmin(np.abs(correlation[:half] - np.nanmean(correlation[:half]))))
        short = received(circuit, white_noise(circuit, rng, 1, 401, STEP_S)[0])
        e, i = (
            own[:, typical] / all_time[:, typical].std()
            for own, all_time in zip(short, (excitation, inhibition), strict=True)
        )
        inputs.append(
            labelled(
                {"time_s": np.arange(len(e)) * STEP_S, "excitation": e, "inhibition": i},
                circuit=name,
                correlation=correlation[typical],
            )
        )
    return {"balance": from_rows(rows), "inputs": concatenate(inputs)}


def draw_balance(tables: Tables) -> Canvas:
    """Correlation of excitation with inhibition, and both inputs of a neuron in time.

    Parameters
    ----------
    tables : Tables
        ``balance`` and ``inputs``.
    """
    figure = canvas(NARROW, 8.4)
    left, right = figure.subfigures(2, 1, squeeze=False, height_ratios=(3, 5))[:, 0]
    chart = left.subplots()
    table, names = tables["balance"], names_of(tables["balance"])
    for i, population in enumerate(("E", "I")):
        own = where(table, population=population)
        place = np.arange(len(names)) + 0.4 * i - 0.2
        colors = [look(name)["color"] for name in own["circuit"]]
        chart.bar(place, own["exact"], 0.36, color=colors, alpha=(1.0, 0.5)[i])
        chart.plot(place, own["simulated"], "ko", ms=4, mfc="white")
        for x, value in zip(place, own["exact"], strict=True):
            chart.annotate(
                f"{population}\n{round(value, 2) + 0.0:.2f}", (x, max(value, 0.0)), (0, 5),
                textcoords="offset points", ha="center", size=SMALL,
            )  # fmt: skip
    chart.axhline(0, color="black", lw=0.8)
    chart.set_xticks(
        np.arange(len(names)), [in_words(name).replace(" ", "\n", 1) for name in names]
    )
    chart.margins(y=0.25)
    name_axes(chart, "", "correlation of excitatory\nand inhibitory input")
    dot = Line2D([], [], ls="", marker="o", ms=4, mfc="white", mec="black", label="simulated")
    chart.legend(handles=[dot], fontsize=SMALL, loc="upper right")
    names = [names[0], *names[len(names) // 2 :: len(names) // 2]]
    panels = right.subplots(len(names), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        own = where(tables["inputs"], circuit=name)
        for column, color in (("excitation", _EXCITATION), ("inhibition", _INHIBITION)):
            axes.plot(own["time_s"], own[column], color=color, lw=1.1, label=column)
        correlation = round(own["correlation"][0], 2) + 0.0  # no minus before a zero
        axes.set_title(f"{in_words(name)}: correlation {correlation:.2f}", size=FONT)
        name_axes(axes, "", "input (standard dev.)")
    panels[-1].set_xlabel("time (s)", size=FONT)
    panels[0].legend(fontsize=SMALL, loc="upper right", ncols=2)
    letters((chart, panels[0]))
    return figure
