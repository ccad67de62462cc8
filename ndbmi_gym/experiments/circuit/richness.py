"""Dimension of transients."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.cortex.soc.cortex import SOC, WINDOW_S, soc_cortex
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    concatenate,
    from_rows,
    labelled,
    where,
)
from ndbmi_gym.experiments.circuit.measures import (
    component_variances,
    course,
    n_components,
    participation,
    power_outside,
)
from ndbmi_gym.experiments.circuit.report_drawing import (
    in_words,
    letters,
    look,
    name_axes,
    names_of,
)
from ndbmi_gym.experiments.circuit.specimen import (
    MODES,
    SAME,
    STEP_S,
    Specimen,
)


def measure_richness(specimen: Specimen) -> Tables:
    """``dimensions`` of the excitatory neurons' transients, and ``variance`` by component.

    ``all``: of the transients from the ten leading states together; ``single``: mean over those of
    one state alone; ``stimuli``: of the firing rates after the eight stimuli of a ring. ``outside``
    is the share of their power that lies outside the span of the states that they begin with.
    """
    rows, curves = [], []
    steps = round(WINDOW_S / STEP_S)
    for name, circuit in specimen.circuits.items():
        half = circuit.n_excitatory
        states = circuit.modes[1][:, :MODES]
        x = course(circuit.weights, states, STEP_S, steps)[:, :half]
        together = component_variances(x.transpose(0, 2, 1).reshape(-1, half))
        alone = [component_variances(x[..., j]) for j in range(MODES)]
        cortex = soc_cortex(SOC(**specimen.options(name, SAME) | {"electrodes": half}))
        rates = cortex.profile(np.arange(cortex.n_stimuli), None)
        evoked = component_variances(rates.transpose(0, 2, 1).reshape(-1, half))
        for begin, variances, share in (
            ("all", [together], power_outside(x)),
            ("single", alone, float(np.mean([power_outside(x[..., [j]]) for j in range(MODES)]))),
            ("stimuli", [evoked], np.nan),
        ):
            rows.append(
                {
                    "circuit": name,
                    "states": begin,
                    "participation": np.mean([participation(v) for v in variances]),
                    "components": np.mean([n_components(v) for v in variances]),
                    "outside": share,
                }
            )
        cumulative = np.cumsum(together) / together.sum()
        number = np.arange(1, len(cumulative) + 1)
        curves.append(labelled({"component": number, "cumulative": cumulative}, circuit=name))
    return {"dimensions": from_rows(rows), "variance": concatenate(curves)}


def draw_richness(tables: Tables) -> Canvas:
    """Variance by principal component, dimension, and what leaves the prepared states' span.

    Parameters
    ----------
    tables : Tables
        ``variance`` and ``dimensions``.
    """
    figure = canvas(NARROW, 6.4)
    panels = figure.subplot_mosaic("AB;CC")
    curve, outside, chart = (panels[letter] for letter in "ABC")
    names = names_of(tables["variance"])
    for name in names:
        own = where(tables["variance"], circuit=name)
        shown = own["component"] <= 30
        curve.plot(
            own["component"][shown],
            own["cumulative"][shown],
            marker=".",
            label=in_words(name),
            **look(name),
        )
    curve.axhline(0.9, color="black", lw=0.8, ls=":")
    curve.set_ylim(0, 1.02)
    curve.legend(fontsize=SMALL, loc="lower right")
    curve.set_title("Transients from the leading states", size=FONT)
    name_axes(curve, "principal components", "cumulative share of variance")

    table, groups = tables["dimensions"], names_of(tables["dimensions"], "states")
    labels = {"all": "leading states\ntogether", "single": "one of them\n(mean)",
              "stimuli": "rates after\nthe stimuli"}  # fmt: skip
    for i, name in enumerate(names):
        own = where(table, circuit=name)
        width = 0.84 / len(names)
        place = np.arange(len(groups)) + width * (i - (len(names) - 1) / 2)
        bars = chart.bar(place, own["participation"], 0.9 * width, color=look(name)["color"])
        chart.bar_label(bars, fmt="%.1f", fontsize=SMALL - 0.5, padding=1)
        power = where(own, states="all")["outside"][0]
        bar = outside.barh(i, power, 0.7, color=look(name)["color"])
        outside.bar_label(bar, fmt="%.3f", fontsize=SMALL, padding=2)
    chart.set_xticks(np.arange(len(groups)), [labels[group] for group in groups])
    chart.margins(y=0.1)
    chart.set_title("Dimension of transients (participation ratio)", size=FONT)
    name_axes(chart, "", "dimension")
    outside.set_yticks(np.arange(len(names)), [in_words(name) for name in names])
    outside.invert_yaxis()
    outside.set_xlim(0, 1)
    outside.set_title("Power outside the prepared states", size=FONT)
    name_axes(outside, "share of power", "")
    letters((curve, outside, chart))
    return figure
