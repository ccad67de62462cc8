"""The closed-loop study of the circuit, drawn from pooled tables.

As in `ndbmi_gym.experiments.figures.drawing`, nothing here runs the loop and nothing is global.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator, NullLocator

from ndbmi_gym.experiments.conditions import DECODERS, FIELDS
from ndbmi_gym.experiments.records import Table, Tables, where
from ndbmi_gym.experiments.soc_cases import Case
from ndbmi_gym.experiments.statistics import FloatArray, Interval, mean_interval

_FONT, _SMALL = 9.0, 8.0  # pt
_WIDTH = 11.8  # in, about 1300 px at 110 dpi

_DECODERS = {
    "multiple-points": {"color": "#c8202a", "marker": "o"},
    "single-point": {"color": "#2f6db5", "marker": "s"},
    "projection": {"color": "#e09b00", "marker": "^"},
}
_CORTICES = {  # Okabe and Ito's colours, which the colour-blind tell apart
    "topographic": {"color": "black", "marker": "o"},
    "soc": {"color": "#0072b2", "marker": "s"},
    "shuffled": {"color": "#d55e00", "marker": "^"},
    "scaled": {"color": "#009e73", "marker": "D"},
    "symmetric": {"color": "#cc79a7", "marker": "v"},
}
_CARRIED = {"color": "#e69f00", "marker": "P", "ls": ":"}
_FEWER = {"color": "#56b4e9", "marker": "X", "ls": "-."}  # stimuli than the other cases have
_CURLS = ({"color": "black", "marker": "o"}, {"color": "#c8202a", "marker": "^"})
_POLICIES: dict[str, dict[str, Any]] = {
    "zero": {"color": "#777777", "marker": "v"},
    "eq24": {"color": "#2f6db5", "marker": "s"},
    "ceiling": {"color": "#e09b00", "marker": "*", "ms": 8},
}
_POLICY_NAMES = {"zero": "no volition", "eq24": "Eq 24, or its analogue", "ceiling": "ceiling"}
_FIELD_NAMES = {"gaussian": "Gaussian field", "dipole": "Dipole field"}

_BAR: dict[str, Any] = {"ms": 5, "mew": 1.2, "lw": 1.2, "elinewidth": 1.0, "capsize": 2}
_SELECTED = 0.5
"""Share of convergent runs below which their wtpe is that of a selection, and marked as such."""
_BEYOND = 1.4  # times the largest mean, at which intervals are cut off
_RING_LABELS = 292.5  # degrees, between two directions that are labelled


class Series(NamedTuple):
    """Cases that are drawn with one marker.

    Attributes
    ----------
    style : dict
        Of matplotlib's ``errorbar``.
    decoder : str
    places : list of float
        Where on the horizontal axis.
    cases : list of Case
    """

    style: dict[str, Any]
    decoder: str
    places: list[float]
    cases: list[Case]


def over_animals(table: Table, column: str) -> Interval:
    """Mean over the animals in which there is a value, with its interval if there are several.

    Of an animal's rows, the mean is taken first.
    """
    means = []
    for animal in np.unique(table["animal"]):
        values = where(table, animal=animal)[column].astype(float)
        values = values[np.isfinite(values)]
        means += [float(values.mean())] if len(values) else []
    mean = float(np.mean(means)) if means else np.nan
    return Interval(mean, *mean_interval(means)[1:])


def draw_structure(tables: Tables) -> Figure:
    """Convergence, wtpe and identification by cortex, for each decoder.

    Parameters
    ----------
    tables : Tables
        ``loops`` and ``decoding``, of one animal or several.
    """
    cases = _cases(tables["loops"])
    known = set(tables["loops"]["decoder"].tolist())
    decoders = [decoder for decoder in _DECODERS if decoder in known]
    stimuli = sorted({case.stimuli for case in cases})
    figure, panels = _panels(stimuli, 10.2, identified=True)
    columns = []
    for column, number in zip(panels.T, stimuli, strict=True):
        own = [case for case in cases if case.stimuli == number]
        places = np.arange(len(own), dtype=float)
        shifts = _beside(len(decoders), 0.22)
        columns.append(
            [
                Series({**_DECODERS[decoder], "ls": ""}, decoder, (places + shift).tolist(), own)
                for decoder, shift in zip(decoders, shifts, strict=True)
            ]
        )
        alone = Series({"color": "black", "marker": "D", "ls": ""}, "", places.tolist(), own)
        _draw_identified(column[-1], tables["decoding"], [alone])
        for axes in column:
            _separate(axes, len(own))
        _name_places(column[-1], [case.name for case in own])
        column[-1].set_xlabel("cortex", size=_FONT)
    _draw_loops(panels, tables["loops"], columns)
    _explain(figure, [_handle(_DECODERS[d], f"{d} decoder") for d in decoders], tables["loops"])
    return figure


def draw_windows(tables: Tables) -> Figure:
    """Convergence, wtpe and identification by recording window, for each cortex.

    Parameters
    ----------
    tables : Tables
        ``loops`` and ``decoding``, of one animal or several.
    """
    return _draw_lines(tables)


def draw_carry(tables: Tables) -> Figure:
    """Convergence and wtpe by recording window, without and with carried state.

    Parameters
    ----------
    tables : Tables
        ``loops``, of one animal or several.
    """
    return _draw_lines(tables)


def _draw_lines(tables: Tables) -> Figure:
    """A line for every cortex over the recording window, with the first decoder."""
    cases = _cases(tables["loops"])
    stimuli = sorted({case.stimuli for case in cases})
    names = list(dict.fromkeys(case.name for case in cases))
    styles = {case.name: _style(case) for case in cases}
    figure, panels = _panels(stimuli, 9.8, identified="decoding" in tables)
    columns = []
    for column, number in zip(panels.T, stimuli, strict=True):
        lines: list[Series] = []
        for name, aside in zip(names, _beside(len(names), 0.02), strict=True):
            own = [case for case in cases if (case.name, case.stimuli) == (name, number)]
            own.sort(key=lambda case: case.window_s)
            windows = [1e3 * case.window_s * (1 + aside) for case in own]
            lines += [Series(styles[name], DECODERS[0], windows, own)] if own else []
        columns.append(lines)
        if "decoding" in tables:
            _draw_identified(column[-1], tables["decoding"], lines)
        ticks = sorted({1e3 * case.window_s for case in cases})
        column[-1].set_xscale("log")
        column[-1].xaxis.set_minor_locator(NullLocator())
        column[-1].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        column[-1].set_xlabel("recording window (ms)", size=_FONT)
    _draw_loops(panels, tables["loops"], columns)
    handles = [_handle(styles[name], name) for name in names]
    handles.append(_handle({}, f"decoder: {DECODERS[0]}"))
    _explain(figure, handles, tables["loops"])
    return figure


def _panels(stimuli: Sequence[int], height: float, identified: bool) -> tuple[Figure, Any]:
    """A column for every number of stimuli; two rows for every field, and one of identification."""
    ratios = (*len(FIELDS) * (1.4, 1.0), *((1.2,) if identified else ()))
    figure = _figure(_WIDTH, height * sum(ratios) / 6)
    panels = figure.subplots(
        len(ratios), len(stimuli), squeeze=False, sharex="col", sharey="row", height_ratios=ratios
    )
    for i, field in enumerate(FIELDS):
        name = _FIELD_NAMES[field]
        panels[2 * i, 0].set_ylabel(f"{name}:\nmean wtpe (cm)", size=_FONT)
        panels[2 * i + 1, 0].set_ylabel(f"{name}:\nshare of runs\nthat converge", size=_FONT)
    if identified:
        panels[-1, 0].set_ylabel("Share of single\nresponses\nidentified", size=_FONT)
    for axes, number in zip(panels[0], stimuli, strict=True):
        axes.set_title(f"{number} stimuli", size=_FONT + 1)
    for axes in panels.flat:
        _tidy(axes)
    figure.align_ylabels(panels[:, 0])
    return figure, panels


def _draw_loops(panels: Any, loops: Table, columns: Sequence[Sequence[Series]]) -> None:
    """Mean wtpe and share of convergent runs, below each other for every field."""
    for i, field in enumerate(FIELDS):
        drawn = []
        for (error, share), series in zip(panels[2 * i : 2 * i + 2].T, columns, strict=True):
            for one in series:
                own = [case.rows(loops, field=field, decoder=one.decoder) for case in one.cases]
                converged = [over_animals(table, "convergent") for table in own]
                errors = [over_animals(table, "wtpe") for table in own]
                _draw(error, one, errors, [c.estimate < _SELECTED for c in converged])
                _draw(share, one, converged)
                drawn += errors
            _make_share(share)
        panels[2 * i, 0].set_ylim(0, _top(drawn))
        panels[2 * i, 0].yaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))


def _draw_identified(axes: Axes, decoding: Table, series: Sequence[Series]) -> None:
    for one in series:
        accuracy = [over_animals(case.rows(decoding), "accuracy") for case in one.cases]
        _draw(axes, one, accuracy)
    cases = [case for one in series for case in one.cases]
    axes.axhline(1 / cases[0].stimuli, color="0.4", ls="--", lw=1, zorder=0)
    axes.text(0.99, 0.12, "dashed: chance", transform=axes.transAxes, size=_SMALL, ha="right")
    _make_share(axes)


def _draw(
    axes: Axes,
    series: Series,
    intervals: Sequence[Interval],
    hollow: Sequence[bool] = (),
) -> None:
    """Means, intervals, and a line through the means; a mean that is NaN is left out."""
    mean, low, high = np.array(intervals).T
    style = _BAR | series.style
    axes.errorbar(series.places, mean, [mean - low, high - mean], **style)
    places, chosen = np.array(series.places), np.flatnonzero(hollow)
    marked = {name: style[name] for name in ("color", "marker", "ms", "mew")}
    axes.plot(places[chosen], mean[chosen], ls="", mfc="white", zorder=3, **marked)


def draw_volition(tables: Tables) -> Figure:
    """Reach by direction; runs that enter the target under a command; success of policies.

    Parameters
    ----------
    tables : Tables
        ``reach``, ``commands`` and ``policies``, of one animal or several.
    """
    cases = _cases(tables["reach"])
    most = max(case.stimuli for case in cases)
    names = [f"{case.name} ({case.stimuli})" for case in cases]
    styles = [_style(case) | (_FEWER if case.stimuli < most else {}) for case in cases]
    lows = sorted(set(tables["reach"]["low"].tolist()), reverse=True)

    figure = _figure(_WIDTH, 11.4)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.1, 1.0))[:, 0]
    polar = upper.subplots(1, len(lows), squeeze=False, subplot_kw={"projection": "polar"})[0]
    panels = lower.subplots(2, len(lows), squeeze=False, sharex="col", sharey="row")
    farthest = 0.0
    for low, axes in zip(lows, polar, strict=True):
        for case, style in zip(cases, styles, strict=True):
            reached = case.rows(tables["reach"], low=low)
            if not len(reached["reach"]):
                continue
            farthest = max(farthest, _draw_reach(axes, reached, style))
        axes.set_title("signed volition" if low < 0 else "positive volition", size=_FONT + 1)
    for axes in polar:
        _tidy_polar(axes, 1.05 * farthest)
    lines = [style | {"marker": ""} for style in styles]
    handles = [_handle(style, name) for style, name in zip(lines, names, strict=True)]
    _legend(upper, handles, 4)

    curls = sorted(set(tables["commands"]["curl"].tolist()))
    known = set(tables["policies"]["policy"].tolist())
    policies = [policy for policy in _POLICIES if policy in known]
    for low, (commanded, played) in zip(lows, panels.T, strict=True):
        for i, curl in enumerate(curls):
            own = [case.rows(tables["commands"], low=low, curl=curl) for case in cases]
            _dots(commanded, _CURLS[i], own, "arrived", i, len(curls) + 1)
        own = [case.rows(tables["commands"], low=low, curl=curls[0]) for case in cases]
        _dots(commanded, _POLICIES["zero"], own, "by_itself", len(curls), len(curls) + 1)
        for i, policy in enumerate(policies):
            own = [case.rows(tables["policies"], low=low, policy=policy) for case in cases]
            _dots(played, _POLICIES[policy], own, "success", i, len(policies))
        for axes in (commanded, played):
            _tidy(axes)
            _make_share(axes)
            _separate(axes, len(cases))
        _name_places(played, names)
        played.set_xlabel("cortex (stimuli)", size=_FONT)
    panels[0, 0].set_ylabel("Constant command:\nshare of runs that\nenter the target", size=_FONT)
    panels[1, 0].set_ylabel("Shift task:\nshare of trials\nthat succeed", size=_FONT)
    handles = [
        _handle(_CURLS[i], f"command, curl field of {curl:g} kg/s" if curl else "command, no curl")
        for i, curl in enumerate(curls)
    ]
    handles += [_handle(_POLICIES[policy], _POLICY_NAMES[policy]) for policy in policies]
    _legend(lower, [*handles, *_interval_handle(tables["reach"])], 3)
    return figure


def _draw_reach(axes: Axes, reached: Table, style: dict[str, Any]) -> float:
    """A closed line around the centre; return how far it goes."""
    directions = np.unique(reached["direction"])
    mean = [over_animals(where(reached, direction=d), "reach").estimate for d in directions]
    angle = directions * 2 * np.pi / len(directions)
    color, ls = style["color"], style["ls"]
    axes.plot(np.append(angle, angle[0]), [*mean, mean[0]], lw=1.6, color=color, ls=ls)
    return max(mean)


def _top(intervals: Sequence[Interval]) -> float:
    """End of a scale from 0; the widest intervals of few animals go beyond."""
    mean, _, high = np.array(intervals).T
    if not np.isfinite(mean).any():
        return 1.0
    most = np.nanmax(mean)
    return 1.08 * float(np.clip(np.nanmax([mean, high]), most, _BEYOND * most))


def _dots(
    axes: Axes, style: dict[str, Any], tables: Sequence[Table], column: str, i: int, of: int
) -> None:
    """A marker for every case, beside `of` others."""
    places = np.arange(len(tables)) + _beside(of, 0.22)[i]
    series = Series({**style, "ls": ""}, "", places.tolist(), [])
    _draw(axes, series, [over_animals(table, column) for table in tables])


def _tidy_polar(axes: PolarAxes, farthest: float) -> None:
    ticks = MaxNLocator(4, steps=(1, 2, 5, 10)).tick_values(0, farthest)
    rings = [tick for tick in ticks if 0 < tick < farthest]
    axes.set_ylim(0, farthest)
    axes.set_yticks(rings, [])
    for ring in rings:  # above the lines, which tick labels are not
        axes.text(
            np.radians(_RING_LABELS),
            ring,
            f"{ring:g}",
            size=_SMALL,
            ha="center",
            va="center",
            bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5},
        )
    axes.tick_params(labelsize=_SMALL)
    axes.set_xlabel("mean reach by direction (cm)", size=_FONT)


def _beside(number: int, apart: float) -> FloatArray:
    """Shifts of as many marks around a common place."""
    return np.asarray(apart * (np.arange(number) - (number - 1) / 2))


def _cases(table: Table) -> list[Case]:
    """Cases of a table, in their order."""
    columns = [table[field.name].tolist() for field in fields(Case)]
    return [Case(*key) for key in dict.fromkeys(zip(*columns, strict=True))]


def _style(case: Case) -> dict[str, Any]:
    kind, _, matched = case.cortex.partition(", ")
    whole = bool(matched) or kind in ("topographic", "soc")
    style = _CORTICES[kind] | {"ls": "-" if whole else "--"}
    return style | (_CARRIED if case.carry else {})


def _figure(width: float, height: float) -> Figure:
    return Figure((width, height), dpi=100, layout="constrained")


def _tidy(axes: Axes) -> None:
    axes.tick_params(labelsize=_SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def _separate(axes: Axes, number: int) -> None:
    """Lines between as many places."""
    axes.set_xlim(-0.6, number - 0.4)
    for edge in range(1, number):
        axes.axvline(edge - 0.5, color="0.9", lw=0.8, zorder=0)


def _name_places(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")


def _make_share(axes: Axes) -> None:
    axes.set_ylim(-0.06, 1.06)  # whole markers at 0 and 1
    axes.set_yticks((0, 0.5, 1))


def _handle(style: dict[str, Any], label: str) -> Artist:
    usual: dict[str, Any] = {"ms": 6, "lw": 1.4, "ls": ""}
    return Line2D([], [], label=label, **(usual | style))


def _interval_handle(table: Table) -> list[Artist]:
    animals = len(np.unique(table["animal"]))
    if animals == 1:
        return []
    label = f"95 % interval over {animals} animals"
    return [Line2D([], [], ls="", marker="|", ms=10, color="black", label=label)]


def _explain(figure: Figure, handles: Sequence[Artist], loops: Table) -> None:
    """The legend of the loops, below them."""
    hollow = {"color": "0.3", "marker": "o", "mfc": "white"}
    few = f"wtpe of fewer than {100 * _SELECTED:.0f} % of the runs"
    _legend(figure, [*handles, _handle(hollow, few), *_interval_handle(loops)], 4)


def _legend(figure: Figure | SubFigure, handles: Sequence[Artist], columns: int) -> None:
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=_SMALL)
