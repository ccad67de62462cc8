"""Figs 6 to 11: paths over regions for each condition, and bars of wtpe against a reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ndbmi_gym.experiments.bench.drawing import FONT, LETTER, SMALL, canvas, letter_panel
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.statistics import (
    LEVEL,
    Interval,
    mean_interval,
    tukey,
)
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    where,
)
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    FIELDS,
    REFERENCE,
    Setting,
    make_loop,
    path_errors,
    run_setting,
    starts_of,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
    Runs,
)
from ndbmi_gym.experiments.vato2014.drawing import (
    FIELD_NAMES,
    MULTIPLE,
    SINGLE,
    add_lines,
    blues,
    cells_of,
    mark_obstacle,
    mark_target,
    obstacle_handle,
    paint,
    path_handles,
    plane,
    polylines,
    reds,
    text_handle,
    xy,
)
from ndbmi_gym.presets import Preset

N_STARTS, REPETITIONS = 24, 10
Letters = tuple[tuple[str, str], tuple[str, str]]
_BAR_COLORS = {"single-point": SINGLE, "multiple-points": MULTIPLE}
_BAR_NAMES = {"single-point": "Single-point", "multiple-points": "Multiple-points"}
_DRAWN = 2  # repetitions of each start whose paths are drawn: more would hide the regions
_MENTIONED = 0.01  # share of runs without convergence from which on it is written


@dataclass(frozen=True)
class Comparison:
    """Conditions side by side.

    Attributes
    ----------
    conditions : tuple of str
        Names of `ndbmi_gym.experiments.protocol.conditions.conditions`, in the text's order.
    labels : tuple of str
        Tick labels.
    axis : str
        What varies.
    letters : tuple
        Of the text's panels, for either field: those of the paths, and that of the chart.
    reference : str
        The condition that the others are tested against.
    """

    conditions: tuple[str, ...]
    labels: tuple[str, ...]
    axis: str
    letters: Letters = (("A", "B"), ("C", "D"))
    reference: str = REFERENCE

    def data(self, preset: Preset, animal: int, seed: int) -> Tables:
        """Runs of every condition, field and decoder; paths with the first decoder."""
        starts = starts_of(animal, seed, N_STARTS, REPETITIONS)
        parts: dict[str, list[Table]] = {"runs": [], "paths": [], "ideal": [], "sites": []}
        for condition in self.conditions:
            for field in FIELDS:
                for decoder in DECODERS:
                    setting = Setting(condition, field, decoder)
                    runs, ideal = run_setting(preset, setting, animal, seed, starts)
                    error = path_errors(preset, runs, ideal)
                    parts["runs"].append(_runs(setting, animal, runs, error))
                    if decoder == DECODERS[0]:
                        parts["paths"].append(_paths(setting, runs))
                        if condition == self.conditions[0]:
                            single = slice(None, None, REPETITIONS)
                            chosen = Runs(ideal.path[:, single], ideal.entered[single])
                            parts["ideal"].append(_paths(setting, chosen))
            sites = make_loop(preset, setting, animal).interface.sites
            parts["sites"].append(_sites(condition, sites))
        return {name: concatenate(tables) for name, tables in parts.items()}

    def draw(self, tables: Tables, preset: Preset) -> Canvas:
        """A row of paths and a bar chart for each field (`draw_comparison`)."""
        return draw_comparison(self, tables, preset)


def comparison(
    module: str,
    title: str,
    conditions: tuple[str, ...],
    labels: tuple[str, ...],
    axis: str,
    letters: Letters = (("A", "B"), ("C", "D")),
    reference: str = REFERENCE,
) -> Figure:
    """A figure that compares conditions."""
    made = Comparison(conditions, labels, axis, letters, reference)
    return Figure(module, title, made.data, made.draw)


def _runs(setting: Setting, animal: int, runs: Runs, error: FloatArray) -> Table:
    size = len(error)
    return {
        **_labels(setting, size),
        "decoder": np.full(size, setting.decoder),
        "animal": np.full(size, animal),
        "start": np.arange(size) // REPETITIONS,
        "repetition": np.arange(size) % REPETITIONS,
        "steps": runs.entered,
        "wtpe": error,
    }


def _paths(setting: Setting, runs: Runs) -> Table:
    """Positions up to arrival, a row each."""
    last = np.where(runs.convergent, runs.entered, len(runs.path) - 1)
    step, run = np.nonzero(np.arange(len(runs.path))[:, None] <= last)
    order = np.lexsort((step, run))
    step, run = step[order], run[order]
    x, y = runs.path[step, run].T
    return {**_labels(setting, len(step)), "run": run, "step": step, "x": x, "y": y}


def _labels(setting: Setting, size: int) -> Table:
    return {
        "condition": np.full(size, setting.condition),
        "field": np.full(size, setting.field),
    }


def _sites(condition: str, sites: FloatArray) -> Table:
    size = len(sites)
    return {
        "condition": np.full(size, condition),
        "stimulus": np.arange(size),
        "x": sites[:, 0],
        "y": sites[:, 1],
    }


class Bar(NamedTuple):
    """The wtpe of one condition, field and decoder.

    Attributes
    ----------
    mean : float
        cm; NaN where no run converged.
    low, high : float
        Ends of the error bar: standard error over the runs of one animal, or 95 % interval of the
        mean over several; NaN without two values.
    starred : bool
        Whether the text's test finds a difference from the reference, in most animals.
    lost : float
        Share of runs that did not converge.
    """

    mean: float
    low: float
    high: float
    starred: bool
    lost: float


def bars(comparison: Comparison, runs: Table, field: str, decoder: str) -> list[Bar]:
    """Mean wtpe of every condition, with error bars and tests."""
    runs = where(runs, field=field, decoder=decoder)
    animals = np.unique(runs["animal"])
    groups = [
        [where(own, condition=c)["wtpe"].astype(float) for c in comparison.conditions]
        for own in (where(runs, animal=animal) for animal in animals)
    ]
    reference = comparison.conditions.index(comparison.reference)
    made = []
    for i in range(len(comparison.conditions)):
        own = [group[i] for group in groups]
        tests = [tukey(group, i, reference) for group in groups] if i != reference else []
        hits = [t is not None and (t.rises or t.falls) for t in tests]
        lost = float(np.mean(~np.isfinite(np.concatenate(own))))
        made.append(Bar(*_interval(own), sum(hits) > len(animals) / 2, lost))
    return made


def _interval(animals: Sequence[FloatArray]) -> Interval:
    """Mean of the animals' means with its error bar, which is NaN where there is none."""
    finite = [errors[np.isfinite(errors)] for errors in animals]
    means = [errors.mean() for errors in finite if errors.size]
    mean = float(np.mean(means)) if means else np.nan
    if len(animals) > 1:
        return Interval(mean, *mean_interval(means)[1:])
    size = finite[0].size
    half = float(finite[0].std(ddof=1)) / np.sqrt(size) if size > 1 else np.nan
    return Interval(mean, mean - half, mean + half)


def draw_comparison(comparison: Comparison, tables: Tables, preset: Preset) -> Canvas:
    """Paths of every condition over the sensory regions, and bars of wtpe (Figs 6 to 11).

    Parameters
    ----------
    comparison : Comparison
    tables : Tables
        ``runs``, of one animal or several; ``paths``, ``ideal`` and ``sites`` of one.
    preset : Preset
    """
    n = len(comparison.conditions)
    side = min(2.7, 11.0 / n)
    chart = max(3.4, 0.62 * n + 0.6)
    figure = canvas(n * side + 0.7 + chart, 2 * side + 1.6)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(n * side + 0.7, chart))[0]
    left.suptitle(comparison.axis, size=FONT + 1)
    panels = left.subplots(len(FIELDS), n, squeeze=False, sharex=True, sharey=True)
    charts = right.subplots(len(FIELDS), 1, squeeze=False)[:, 0]

    sites = {c: xy(where(tables["sites"], condition=c)) for c in comparison.conditions}
    cells = {c: cells_of(places) for c, places in sites.items()}
    repetitions = int(tables["runs"]["repetition"].max()) + 1
    for row, field in enumerate(FIELDS):
        ideal = polylines(where(tables["ideal"], field=field))
        for column, condition in enumerate(comparison.conditions):
            axes = panels[row, column]
            plane(axes, x_label=row == len(FIELDS) - 1, y_label=column == 0)
            paint(axes, cells[condition], blues(len(cells[condition])))
            paths = where(tables["paths"], field=field, condition=condition)
            paths = {name: v[paths["run"] % repetitions < _DRAWN] for name, v in paths.items()}
            lines = polylines(paths)
            add_lines(axes, ideal, "black", 0.35 * side)
            add_lines(axes, lines, reds(len(lines)), 0.24 * side)
            mark_target(axes, (0.0, 0.0), preset.radius_cm)
            if field == "dipole":
                mark_obstacle(axes, preset)
            if row == 0:
                axes.set_title(comparison.labels[column], size=FONT)
        for axes, letter in zip(panels[row], comparison.letters[row][0], strict=False):
            letter_panel(axes, letter)
        panels[row, 0].set_ylabel(f"{FIELD_NAMES[field]}\ny (cm)", size=FONT)
        letter_panel(charts[row], comparison.letters[row][1])
        _draw_bars(charts[row], comparison, tables["runs"], field, 72 * 0.85 * side)
    _explain(figure, comparison, tables["runs"])
    return figure


def _draw_bars(
    axes: Axes, comparison: Comparison, runs: Table, field: str, height_pt: float
) -> None:
    """Bars side by side, with what stands above them; the axes are about `height_pt` high."""
    width, top = 0.38, 0.1
    for side, decoder in zip((-0.5, 0.5), reversed(DECODERS), strict=True):
        for i, bar in enumerate(bars(comparison, runs, field, decoder)):
            x, mean = i + side * width, np.nan_to_num(bar.mean)
            axes.bar(x, mean, width, color=_BAR_COLORS[decoder], lw=0)
            y, above = mean, 2.0
            if np.isfinite(bar.high):
                axes.vlines(x, bar.low, bar.high, color="black", lw=1)
                y = bar.high
            if bar.lost > _MENTIONED:
                _note(axes, x, y, above, f"{100 * bar.lost:.0f} %", SMALL - 1, rotation=90)
                above += 25
            if bar.starred:
                _note(axes, x, y, above - 4, "*", LETTER)
                above += 10
            top = max(top, y / (1 - above / height_pt))
    axes.set_ylim(0, 1.03 * top)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xticks(range(len(comparison.labels)), comparison.labels)
    axes.set_xlabel(comparison.axis, size=FONT)
    axes.set_ylabel("mean wtpe (cm)", size=FONT)
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def _note(
    axes: Axes, x: float, y: float, above: float, text: str, size: float, rotation: float = 0.0
) -> None:
    axes.annotate(
        text,
        (x, y),
        (0, above),
        textcoords="offset points",
        size=size,
        rotation=rotation,
        ha="center",
        va="bottom",
    )


def _explain(figure: Canvas, comparison: Comparison, runs: Table) -> None:
    """The legend of a comparison, below it."""
    animals = len(np.unique(runs["animal"]))
    error = "standard error over runs"
    if animals > 1:
        error = f"95 % interval over {animals} animals"
    reference = comparison.labels[comparison.conditions.index(comparison.reference)]
    most = " in most animals" if animals > 1 else ""
    handles = [
        *path_handles(),
        obstacle_handle(),
        *(Patch(color=_BAR_COLORS[d], label=_BAR_NAMES[d]) for d in reversed(DECODERS)),
        Line2D([], [], ls="", marker="|", ms=10, color="black", label=error),
        text_handle(f"*  p < {LEVEL:g} against {' '.join(reference.split())} (Tukey){most}"),
        text_handle("n %  of the runs did not converge"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=SMALL)
