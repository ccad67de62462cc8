"""Pictures of a stability-optimised circuit beside its controls, drawn from saved tables."""

from collections.abc import Callable, Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from ndbmi_gym.experiments.records import Table, Tables, where

_FONT, _SMALL, _LETTER = 9.0, 8.0, 14.0  # pt

_COLORS = {  # of the study in the closed loop, too
    "SOC": "#0072b2",
    "scaled": "#009e73",
    "shuffled": "#d55e00",
    "symmetric": "#cc79a7",
    "initial": "#888888",
}
_EXCITATION, _INHIBITION, _TARGET = "black", "#999999", "#c4c4c4"
_STATES = ("#003f63", "#56b4e9", "#888888")
_TRAITS = {"same": "-", "matched": "--"}
_NEAR = 1.5  # real parts that are drawn after construction


def draw_construction(tables: Tables) -> Figure:
    """Abscissa in the course of construction, and the eigenvalues before and after.

    Parameters
    ----------
    tables : Tables
        ``construction`` and ``eigenvalues``.
    """
    figure = _figure(11.0, 3.8)
    course, before, after = figure.subplots(1, 3)
    trace = tables["construction"]
    course.semilogy(trace["iteration"], trace["abscissa"], color=_COLORS["SOC"], lw=1.2)
    course.axhline(1, color="black", lw=0.8, ls=":")
    course.annotate(
        "unstable above", (1, 1), (-2, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", size=_SMALL,
    )  # fmt: skip
    _name(course, "iteration", "spectral abscissa")
    course.set_title("construction", size=_FONT)
    spectra = tables["eigenvalues"]
    for axes, names in ((before, ("initial",)), (after, ("SOC", "scaled", "shuffled"))):
        for name in names:
            own = where(spectra, circuit=name)
            axes.plot(
                own["real"], own["imaginary"], ".", ms=4, color=_COLORS[name], label=name, alpha=0.7
            )
        axes.axvline(1, color="black", lw=0.8, ls=":")
        _name(axes, "real part", "imaginary part")
        axes.set_aspect("equal", adjustable="datalim")
        axes.legend(fontsize=_SMALL, loc="upper left", framealpha=0.9)
    # the spectrum has become a column, beside few real eigenvalues far to the left
    shown = where(spectra, circuit="SOC")["real"] > -_NEAR
    after.set_aspect("auto")
    after.set_xlim(-_NEAR, _NEAR)
    before.set_title("eigenvalues before", size=_FONT)
    after.set_title(f"and after ({np.sum(~shown)} of the SOC's further left)", size=_FONT)
    _letters((course, before, after))
    return figure


def draw_balance(tables: Tables) -> Figure:
    """Correlation of excitation with inhibition, and both inputs of a neuron in time.

    Parameters
    ----------
    tables : Tables
        ``balance`` and ``inputs``.
    """
    figure = _figure(11.0, 5.0)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(4, 7))[0]
    chart = left.subplots()
    table, names = tables["balance"], _names(tables["balance"])
    for i, population in enumerate(("E", "I")):
        own = where(table, population=population)
        place = np.arange(len(names)) + 0.4 * i - 0.2
        colors = [_COLORS[name] for name in own["circuit"]]
        chart.bar(place, own["exact"], 0.36, color=colors, alpha=(1.0, 0.5)[i])
        chart.plot(place, own["simulated"], "ko", ms=4, mfc="white")
        for x, value in zip(place, own["exact"], strict=True):
            chart.annotate(
                f"{population} cells\n{value:.3f}", (x, max(value, 0.0)), (0, 5),
                textcoords="offset points", ha="center", size=_SMALL,
            )  # fmt: skip
    chart.axhline(0, color="black", lw=0.8)
    chart.set_xticks(np.arange(len(names)), names)
    chart.margins(y=0.15)
    _name(chart, "", "correlation of E and I input")
    dot = Line2D([], [], ls="", marker="o", ms=4, mfc="white", mec="black", label="simulated")
    chart.legend(handles=[dot], fontsize=_SMALL, loc="upper right")
    panels = right.subplots(len(names), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        own = where(tables["inputs"], circuit=name)
        for column, color in (("excitation", _EXCITATION), ("inhibition", _INHIBITION)):
            axes.plot(own["time_s"], own[column], color=color, lw=1.1, label=column)
        correlation = round(own["correlation"][0], 2) + 0.0  # no minus before a zero
        axes.set_title(f"{name}: correlation {correlation:.2f}", size=_FONT)
        _name(axes, "", "input (s.d.)")
    panels[-1].set_xlabel("time (s)", size=_FONT)
    panels[0].legend(fontsize=_SMALL, loc="upper right", ncols=2)
    _letters((chart, panels[0]))
    return figure


def draw_transients(tables: Tables) -> Figure:
    """Energies, sizes and single neurons of transients.

    Parameters
    ----------
    tables : Tables
        ``energies``, ``courses`` and ``neurons``.
    """
    figure = _figure(12.5, 6.4)
    panels = figure.subplots(2, 4)
    spectrum, by_state, first, random = panels[0]
    for name in _names(tables["energies"]):
        own = where(tables["energies"], circuit=name)
        spectrum.semilogy(own["mode"], own["energy"], color=_COLORS[name], lw=1.4, label=name)
    spectrum.axhline(1, color="black", lw=0.8, ls=":")
    spectrum.legend(fontsize=_SMALL)
    spectrum.set_title("energy of the preferred states", size=_FONT)
    _name(spectrum, "k", "E_k")

    states = _names(tables["courses"], "state")
    for state, color in zip(states, _STATES, strict=True):
        own = where(tables["courses"], circuit="SOC", state=state)
        by_state.plot(1e3 * own["time_s"], own["norm"], color=color, lw=1.4, label=f"from {state}")
    by_state.set_title("SOC", size=_FONT)
    for axes, state in ((first, states[0]), (random, states[-1])):
        for name in _names(tables["courses"]):
            own = where(tables["courses"], circuit=name, state=state)
            axes.plot(1e3 * own["time_s"], own["norm"], color=_COLORS[name], lw=1.4, label=name)
        axes.set_title(f"from {state}", size=_FONT)
    top = 1.05 * max(1.0, tables["courses"]["norm"].max())
    for axes in (by_state, first, random):
        axes.set_ylim(0, top)
        axes.legend(fontsize=_SMALL)
        _name(axes, "time (ms)", "|x| relative to |x₀|")

    shown = [("SOC", state) for state in states] + [("scaled", states[0])]
    for axes, (name, state) in zip(panels[1], shown, strict=True):
        own = where(tables["neurons"], circuit=name, state=state)
        for neuron in _names(own, "neuron"):
            course = where(own, neuron=neuron)
            axes.plot(1e3 * course["time_s"], course["x"], color=_COLORS[name], lw=1.0)
        axes.axhline(0, color="#bbbbbb", lw=0.6, zorder=0)
        axes.set_title(f"six neurons, {name} from {state}", size=_FONT)
        _name(axes, "time (ms)", "x relative to |x₀|")
    _share_y(panels[1])
    _letters(panels.flat)
    return figure


def draw_reliability(tables: Tables) -> Figure:
    """Explained variance by noise in the prepared state, and recognised stimuli.

    Parameters
    ----------
    tables : Tables
        ``reliability`` and ``recognition``.
    """
    figure = _figure(12.5, 4.6)
    spikes, rates, chart = figure.subplots(1, 3, width_ratios=(4, 4, 5))
    table = tables["reliability"]
    for name, amplitude in _conditions(table):
        own = where(table, circuit=name, amplitude=amplitude)
        style = {"color": _COLORS[name], "ls": _TRAITS[amplitude], "lw": 1.4, "marker": "o"}
        noise = 100 * own["noise"]
        spikes.errorbar(noise, own["share"], own["share_spread"], ms=4, capsize=2, **style)
        rates.errorbar(noise, own["rates"], own["rates_spread"], ms=4, capsize=2, **style)
    spikes.set_ylim(bottom=0)
    spikes.set_title("single trials with spikes' noise", size=_FONT)
    rates.set_title("without spikes' noise", size=_FONT)
    for axes in (spikes, rates):
        _name(axes, "noise in the prepared state (%)", "explained share of variance")

    table = tables["recognition"]
    longest = table["window_s"].max()
    settings = list(
        dict.fromkeys(
            zip(*(table[c] for c in ("circuit", "amplitude", "stimuli", "window_s")), strict=True)
        )
    )
    for i, (name, amplitude, stimuli, window_s) in enumerate(settings):
        own = where(table, circuit=name, amplitude=amplitude, stimuli=stimuli, window_s=window_s)
        chart.barh(
            i, own["recognised"].mean(), color=_COLORS[name], alpha=_strength(amplitude), height=0.7
        )
        chart.plot(own["recognised"], np.full(len(own["animal"]), i), "k.", ms=4)
        chart.plot([1 / stimuli] * 2, [i - 0.4, i + 0.4], color="black", lw=1.2)
    labels = [
        _label(name, amplitude)
        + (f", S = {stimuli}" if stimuli != settings[0][2] else "")
        + (f", {1e3 * window_s:.0f} ms" if window_s != longest else "")
        for name, amplitude, stimuli, window_s in settings
    ]
    chart.set_yticks(np.arange(len(labels)), labels)
    chart.invert_yaxis()
    chart.set_xlim(0, 1.02)
    chart.set_title(f"nearest class mean, S = {settings[0][2]}; lines: chance", size=_FONT)
    _name(chart, "recognised single trials", "")
    _key(figure, tables["reliability"])
    _letters((spikes, rates, chart))
    return figure


def draw_richness(tables: Tables) -> Figure:
    """Variance by principal component, dimension, and what leaves the prepared states' span.

    Parameters
    ----------
    tables : Tables
        ``variance`` and ``dimensions``.
    """
    figure = _figure(12.0, 4.0)
    curve, chart, outside = figure.subplots(1, 3, width_ratios=(4, 5, 3))
    names = _names(tables["variance"])
    for name in names:
        own = where(tables["variance"], circuit=name)
        shown = own["component"] <= 30
        curve.plot(
            own["component"][shown], own["cumulative"][shown], ".-", color=_COLORS[name], label=name
        )
    curve.axhline(0.9, color="black", lw=0.8, ls=":")
    curve.set_ylim(0, 1.02)
    curve.legend(fontsize=_SMALL, loc="lower right")
    curve.set_title("transients from the leading states", size=_FONT)
    _name(curve, "principal components", "cumulative share of variance")

    table, groups = tables["dimensions"], _names(tables["dimensions"], "states")
    labels = {"all": "leading states\ntogether", "single": "one of them\n(mean)",
              "stimuli": "rates after\nthe stimuli"}  # fmt: skip
    for i, name in enumerate(names):
        own = where(table, circuit=name)
        place = np.arange(len(groups)) + 0.2 * (i - 1.5)
        bars = chart.bar(place, own["participation"], 0.18, color=_COLORS[name])
        chart.bar_label(bars, fmt="%.1f", fontsize=_SMALL - 0.5, padding=1)
        power = where(own, states="all")["outside"][0]
        bar = outside.bar(i, power, 0.7, color=_COLORS[name])
        outside.bar_label(bar, fmt="%.3f", fontsize=_SMALL, padding=1)
    chart.set_xticks(np.arange(len(groups)), [labels[group] for group in groups])
    chart.set_title("dimension (participation ratio)", size=_FONT)
    _name(chart, "", "dimension")
    outside.set_xticks(np.arange(len(names)), names)
    outside.set_ylim(0, 1)
    outside.set_title("power outside the prepared span", size=_FONT)
    _name(outside, "", "share of power")
    _letters((curve, chart, outside))
    return figure


def draw_reaching(tables: Tables) -> Figure:
    """Movements and what is read out of single trials, and how well by number of units.

    Parameters
    ----------
    tables : Tables
        ``paths`` and ``reaching``.
    """
    conditions = _conditions(tables["reaching"])
    target = where(tables["paths"], circuit="target")
    n = int(target["movement"].max()) + 1
    half = 1.05 * max(np.abs(tables["paths"][axis]).max() for axis in "xy")
    figure = _figure(1.25 * n + 1.2, 1.25 * len(conditions) + 3.6)
    upper, lower = figure.subfigures(
        2, 1, squeeze=False, height_ratios=(1.25 * len(conditions) + 0.2, 3.4)
    )[:, 0]
    panels = upper.subplots(len(conditions), n, squeeze=False)
    for row, (name, amplitude) in zip(panels, conditions, strict=True):
        read = where(tables["paths"], circuit=name, amplitude=amplitude)
        pale = {"color": _COLORS[name], "lw": 0.7, "alpha": 0.5}
        bold = {"color": _COLORS[name], "lw": 1.6, "ls": _TRAITS[amplitude]}
        for movement, axes in enumerate(row):
            wanted = where(target, movement=movement)
            axes.plot(wanted["x"], wanted["y"], color=_TARGET, lw=4, solid_capstyle="round")
            for units, style in zip(np.unique(read["units"]), (pale, bold), strict=True):
                lines = where(read, movement=movement, units=units)
                for trial in _names(lines, "trial"):
                    own = where(lines, trial=trial)
                    axes.plot(own["x"], own["y"], **style)
            axes.plot(0, 0, "o", ms=3.5, mfc="white", mec="black")
            axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", xticks=[], yticks=[])
        row[0].set_ylabel(_label(name, amplitude).replace(", ", ",\n"), size=_FONT)
    _charts(lower, tables["reaching"])
    _letters((panels[0, 0],))
    return figure


def _charts(part: SubFigure, table: Table) -> None:
    """R² and path error by number of units."""
    fit, error = part.subplots(1, 2)
    units = np.unique(table["units"])
    for name, amplitude in _conditions(table):
        own = where(table, circuit=name, amplitude=amplitude)
        place = np.searchsorted(units, own["units"])
        style = {"color": _COLORS[name], "ls": _TRAITS[amplitude], "lw": 1.4, "marker": "o"}
        fit.errorbar(place, own["r2"], own["r2_spread"], ms=4, capsize=2, **style)
        error.errorbar(place, own["error_cm"], own["error_spread"], ms=4, capsize=2, **style)
    for axes in (fit, error):
        axes.set_xticks(np.arange(len(units)), [f"{count:g}" for count in units])
        axes.axhline(0, color="#bbbbbb", lw=0.6, zorder=0)
    _name(fit, "units per neuron", "R² of velocity, held-out trials")
    _name(error, "units per neuron", "path error (cm)")
    _key(part, table)
    _letters((fit, error), "BC")


PICTURES: dict[str, Callable[[Tables], Figure]] = {
    "construction": draw_construction,
    "balance": draw_balance,
    "transients": draw_transients,
    "reliability": draw_reliability,
    "richness": draw_richness,
    "reaching": draw_reaching,
}
"""Pictures by name."""


def _figure(width: float, height: float) -> Figure:
    return Figure((width, height), dpi=100, layout="constrained")


def _names(table: Table, column: str = "circuit") -> list[str]:
    """Values of a column in the order in which they come."""
    return list(dict.fromkeys(table[column].tolist()))


def _conditions(table: Table) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys(zip(table["circuit"].tolist(), table["amplitude"].tolist(), strict=True))
    )


def _label(name: str, amplitude: str) -> str:
    return name if amplitude == "same" else f"{name}, {amplitude}"


def _strength(amplitude: str) -> float:
    return 1.0 if amplitude == "same" else 0.5


def _key(part: Figure | SubFigure, table: Table) -> None:
    """Explain colours and traits of the conditions."""
    handles = [
        Line2D([], [], color=_COLORS[name], ls=_TRAITS[amplitude], label=_label(name, amplitude))
        for name, amplitude in _conditions(table)
    ]
    part.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=_SMALL)


def _name(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, size=_FONT)
    axes.set_ylabel(y, size=_FONT)
    axes.tick_params(labelsize=_SMALL)


def _share_y(panels: Iterable[Axes]) -> None:
    panels = list(panels)
    half = max(np.abs(axes.get_ylim()).max() for axes in panels)
    for axes in panels:
        axes.set_ylim(-half, half)


def _letters(panels: Iterable[Axes], letters: str = "ABCDEFGH") -> None:
    """Letter panels, at their upper left corners."""
    for axes, letter in zip(panels, letters, strict=False):
        axes.annotate(
            letter, (0, 1), (-8, 6), xycoords="axes fraction", textcoords="offset points",
            size=_LETTER, weight="bold", ha="right",
        )  # fmt: skip
