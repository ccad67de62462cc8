"""What the pictures of the circuit in the closed loop share: means over animals, by cortex."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from ndbmi_gym.cortex.soc.cortex import SOC
from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, legend
from ndbmi_gym.experiments.bench.statistics import (
    Interval,
    mean_interval,
)
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    where,
)
from ndbmi_gym.experiments.circuit.cases import (
    Case,
)
from ndbmi_gym.experiments.circuit.report_drawing import WORDS
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    FIELDS,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)

WIDTH = 11.8  # in, about 1300 px at 110 dpi
DECODER_STYLES = {
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
_WORDS = {name.lower(): words for name, words in WORDS.items()} | {"topographic": "paper's cortex"}
FIELD_NAMES = {"gaussian": "Gaussian field", "dipole": "Dipole field"}
BAR: dict[str, Any] = {"ms": 5, "mew": 1.2, "lw": 1.2, "elinewidth": 1.0, "capsize": 2}
SELECTED = 0.5
"""Share of convergent runs below which their wtpe is that of a selection, and marked as such."""
_BEYOND = 1.4  # times the largest mean, at which intervals are cut off


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


def draw_lines(tables: Tables) -> Canvas:
    """A line for every cortex over the recording window, with the first decoder."""
    cases = cases_of(tables["loops"])
    stimuli = sorted({case.stimuli for case in cases})
    names = list(dict.fromkeys(map(in_words, cases)))
    styles = {in_words(case): style_of(case) for case in cases}
    figure, panels = field_panels(stimuli, 9.8, identified="decoding" in tables)
    columns = []
    for column, number in zip(panels.T, stimuli, strict=True):
        lines: list[Series] = []
        for name, aside in zip(names, beside(len(names), 0.02), strict=True):
            own = [case for case in cases if (in_words(case), case.stimuli) == (name, number)]
            own.sort(key=lambda case: case.window_s)
            windows = [1e3 * case.window_s * (1 + aside) for case in own]
            lines += [Series(styles[name], DECODERS[0], windows, own)] if own else []
        columns.append(lines)
        if "decoding" in tables:
            draw_identified(column[-1], tables["decoding"], lines)
        name_windows(column[-1], cases)
        column[-1].set_xlabel("recording window (ms)", size=FONT)
    draw_loops(panels, tables["loops"], columns)
    handles = [handle(styles[name], name) for name in names]
    explain(figure, handles, tables["loops"])
    return figure


def field_panels(stimuli: Sequence[int], height: float, identified: bool) -> tuple[Canvas, Any]:
    """A column for every number of stimuli; two rows for every field, and one of identification."""
    ratios = (*len(FIELDS) * (1.4, 1.0), *((1.2,) if identified else ()))
    figure = canvas(WIDTH, height * sum(ratios) / 6)
    panels = figure.subplots(
        len(ratios), len(stimuli), squeeze=False, sharex="col", sharey="row", height_ratios=ratios
    )
    for i, field in enumerate(FIELDS):
        name = FIELD_NAMES[field]
        panels[2 * i, 0].set_ylabel(f"{name}:\nmean wtpe (cm)", size=FONT)
        panels[2 * i + 1, 0].set_ylabel(f"{name}:\nshare of runs\nthat converge", size=FONT)
    if identified:
        panels[-1, 0].set_ylabel("Share of single\nresponses\nidentified", size=FONT)
    for axes, number in zip(panels[0], stimuli, strict=True):
        axes.set_title(f"{number} stimuli", size=FONT + 1)
    for axes in panels.flat:
        tidy(axes)
    figure.align_ylabels(panels[:, 0])
    return figure, panels


def draw_loops(panels: Any, loops: Table, columns: Sequence[Sequence[Series]]) -> None:
    """Mean wtpe and share of convergent runs, below each other for every field."""
    for i, field in enumerate(FIELDS):
        drawn = []
        for (error, share), series in zip(panels[2 * i : 2 * i + 2].T, columns, strict=True):
            for one in series:
                own = [case.rows(loops, field=field, decoder=one.decoder) for case in one.cases]
                converged = [over_animals(table, "convergent") for table in own]
                errors = [over_animals(table, "wtpe") for table in own]
                draw_means(error, one, errors, [c.estimate < SELECTED for c in converged])
                draw_means(share, one, converged)
                drawn += errors
            make_share(share)
        panels[2 * i, 0].set_ylim(0, _top(drawn))
        panels[2 * i, 0].yaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))


def draw_identified(axes: Axes, decoding: Table, series: Sequence[Series]) -> None:
    """Share of single responses identified, and chance."""
    for one in series:
        identified = [over_animals(case.rows(decoding), "identified") for case in one.cases]
        draw_means(axes, one, identified)
    cases = [case for one in series for case in one.cases]
    axes.axhline(1 / cases[0].stimuli, color="0.4", ls="--", lw=1, zorder=0)
    axes.text(0.99, 0.12, "dashed: chance", transform=axes.transAxes, size=SMALL, ha="right")
    make_share(axes)


def draw_means(
    axes: Axes,
    series: Series,
    intervals: Sequence[Interval],
    hollow: Sequence[bool] = (),
) -> None:
    """Means, intervals, and a line through the means; a mean that is NaN is left out."""
    mean, low, high = np.array(intervals).T
    style = BAR | series.style
    axes.errorbar(series.places, mean, [mean - low, high - mean], **style)
    places, chosen = np.array(series.places), np.flatnonzero(hollow)
    marked = {name: style[name] for name in ("color", "marker", "ms", "mew")}
    axes.plot(places[chosen], mean[chosen], ls="", mfc="white", zorder=3, **marked)


def _top(intervals: Sequence[Interval]) -> float:
    """End of a scale from 0; the widest intervals of few animals go beyond."""
    mean, _, high = np.array(intervals).T
    if not np.isfinite(mean).any():
        return 1.0
    most = np.nanmax(mean)
    return 1.08 * float(np.clip(np.nanmax([mean, high]), most, _BEYOND * most))


def beside(number: int, apart: float) -> FloatArray:
    """Shifts of as many marks around a common place."""
    return np.asarray(apart * (np.arange(number) - (number - 1) / 2))


def cases_of(table: Table) -> list[Case]:
    """Cases of a table, in their order."""
    columns = [table[field.name].tolist() for field in fields(Case)]
    return [Case(*key) for key in dict.fromkeys(zip(*columns, strict=True))]


def style_of(case: Case) -> dict[str, Any]:
    """How a case is drawn."""
    kind, _, matched = case.cortex.partition(", ")
    whole = bool(matched) or kind in ("topographic", "soc")
    style = _CORTICES[kind] | {"ls": "-" if whole else "--"}
    return style | (_CARRIED if case.carry else {})


def in_words(case: Case) -> str:
    """A case's name for those who do not know the options' values.

    Controls at the circuit's amplitude have less of a signal than the circuit has; of matched ones
    it is the same.
    """
    kind, _, matched = case.cortex.partition(", ")
    name = _WORDS[kind]
    if kind not in ("topographic", "soc"):
        name += ", same signal" if matched else ", weaker signal"
    extra = [case.core] if case.core != "linear" else []
    if case.electrodes != SOC.electrodes:
        extra.append(f"{case.electrodes} electrodes")
    return ", ".join([name, *extra, *(["state carried over"] if case.carry else [])])


def tidy(axes: Axes) -> None:
    """Small ticks, no frame."""
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def separate(axes: Axes, number: int) -> None:
    """Lines between as many places."""
    axes.set_xlim(-0.6, number - 0.4)
    for edge in range(1, number):
        axes.axvline(edge - 0.5, color="0.9", lw=0.8, zorder=0)


def name_places(axes: Axes, names: Sequence[str]) -> None:
    """Names along the horizontal axis."""
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")


def name_windows(axes: Axes, cases: Sequence[Case]) -> None:
    """A horizontal axis of the cases' windows, ms."""
    ticks = sorted({1e3 * case.window_s for case in cases})
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def make_share(axes: Axes) -> None:
    """A vertical axis from 0 to 1."""
    axes.set_ylim(-0.06, 1.06)  # whole markers at 0 and 1
    axes.set_yticks((0, 0.5, 1))


def handle(style: dict[str, Any], label: str) -> Artist:
    """An entry of a legend."""
    usual: dict[str, Any] = {"ms": 6, "lw": 1.4, "ls": ""}
    return Line2D([], [], label=label, **(usual | style))


def interval_handle(table: Table, marker: str = "|") -> list[Artist]:
    """Entry for intervals, if there are several animals."""
    animals = len(np.unique(table["animal"]))
    if animals == 1:
        return []
    label = f"95 % interval over {animals} animals"
    return [Line2D([], [], ls="", marker=marker, ms=10, color="black", label=label)]


def explain(figure: Canvas, handles: Sequence[Artist], loops: Table) -> None:
    """The legend of the loops, below them."""
    hollow = {"color": "0.3", "marker": "o", "mfc": "white"}
    few = f"wtpe of fewer than {100 * SELECTED:.0f} % of the runs"
    legend(figure, [*handles, handle(hollow, few), *interval_handle(loops)], 4)
