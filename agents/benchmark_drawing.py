"""Pictures of a benchmark's tables."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas, legend

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_STYLES = [{"color": colour, "ls": dash} for dash in ("-", "--", "-.", ":") for colour in _COLOURS]
_REFERENCES = {"zero": "zero volition", "eq24": "Eq 24"}
_MEASURES = {
    "score": "normalised score",
    "return": "normalised return",
    "improvement": "better than Eq 24",
}
Rows = Sequence[Mapping[str, Any]]
Styles = Mapping[str, Mapping[str, Any]]


def draw(folder: Path, tables: Mapping[str, Rows]) -> list[Path]:
    """Write the pictures of a report.

    Parameters
    ----------
    folder : Path
    tables : mapping
        Rows of the report's files, by name.

    Returns
    -------
    list of Path
    """
    styles = styles_of(tables["leaderboard"])
    pictures: dict[str, Figure] = {"aggregates.png": aggregates(tables["leaderboard"])}
    if tables["profiles"]:
        pictures["profiles.png"] = profiles(tables["profiles"], styles)
    if tables["efficiency"]:
        pictures["efficiency.png"] = efficiency(tables["efficiency"], tables["tasks"], styles)
    for name, picture in pictures.items():
        picture.savefig(folder / name, dpi=110)
    return [folder / name for name in pictures]


def aggregates(rows: Rows) -> Figure:
    """Interquartile means and probability of improvement, the best agent above."""
    shown = [row for row in rows if row["score"] is not None][::-1]
    figure = canvas(NARROW, 0.9 + 0.28 * len(shown))
    panels = figure.subplots(1, len(_MEASURES), sharey=True)
    for axes, (name, title) in zip(panels, _MEASURES.items(), strict=True):
        for place, row in enumerate(shown):
            if row[name] is None:
                continue
            mean, low, high = row[name]
            if np.isfinite(low):
                axes.plot((low, high), (place, place), lw=5, alpha=0.35, color=_COLOURS[0])
            axes.plot(mean, place, "o", ms=5, color=_COLOURS[0])
        at = 0.5 if name == "improvement" else 1.0
        axes.axvline(at, lw=0.8, color="0.6", zorder=0)
        axes.set_title(title, size=FONT)
        _plain(axes)
    panels[0].set_yticks(range(len(shown)), [_named(row["agent"]) for row in shown], size=FONT)
    panels[0].set_ylim(-0.6, len(shown) - 0.4)
    return figure


def styles_of(rows: Rows) -> Styles:
    """By agent, how its line is drawn in all pictures; those that learn have the first styles."""
    labels = [
        row["agent"] for row in sorted(rows, key=lambda row: (not row["learned"], row["agent"]))
    ]
    return dict(zip(labels, cycle(_STYLES), strict=False))


def profiles(rows: Rows, styles: Styles) -> Figure:
    """The share of runs above each level, a line for each agent.

    Parameters
    ----------
    rows : sequence of mapping
        Of the report's file of that name.
    styles : mapping
        Of lines, by agent.
    """
    labels = list(dict.fromkeys(row["agent"] for row in rows))
    figure = canvas(NARROW, 3.4)
    axes = figure.subplots()
    for label in labels:
        style = styles[label]
        mine = [row for row in rows if row["agent"] == label]
        levels = [row["level"] for row in mine]
        shares, low, high = np.array([row["share"] for row in mine], float).T
        axes.plot(levels, shares, label=_named(label), **style)
        axes.fill_between(levels, low, high, color=style["color"], alpha=0.12, lw=0)
    axes.set_xlabel("normalised score τ", size=FONT)
    axes.set_ylabel("share of runs above τ", size=FONT)
    axes.set_xlim(rows[0]["level"], rows[-1]["level"])
    _plain(axes)
    legend(figure, axes.get_lines(), min(5, len(labels)))
    return figure


def efficiency(rows: Rows, by_task: Rows, styles: Styles) -> Figure:
    """Normalised score after so many steps, a panel for each task, references as lines.

    Parameters
    ----------
    rows : sequence of mapping
        Of the report's file of that name.
    by_task : sequence of mapping
        Of its tasks.
    styles : mapping
        Of lines, by agent.
    """
    rows = [row for row in rows if row["quantity"] == "score"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    labels = sorted({row["agent"] for row in rows})
    columns = min(len(tasks), 2)
    lines = -(-len(tasks) // columns)
    figure = canvas(NARROW, 0.5 + 2.3 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    drawn = {}
    for axes, task in zip(panels, tasks, strict=False):
        for label in labels:
            mine = [row for row in rows if row["task"] == task and row["agent"] == label]
            if not mine:
                continue
            steps = [row["steps"] for row in mine]
            mean, low, high = np.array([row["value"] for row in mine], float).T
            (drawn[label],) = axes.plot(
                steps, mean, marker="o", ms=3, label=_named(label), **styles[label]
            )
            axes.fill_between(steps, low, high, color=styles[label]["color"], alpha=0.12, lw=0)
        for row in by_task:
            name = "normalised score"
            if row["task"] == task and row["agent"] in ("eq24", "filter") and row[name] is not None:
                axes.axhline(row[name].estimate, lw=0.8, color="0.5", zorder=0)
                axes.annotate(
                    _named(row["agent"]),
                    (1, row[name].estimate),
                    (-2, 2),
                    xycoords=axes.get_yaxis_transform(),
                    textcoords="offset points",
                    ha="right",
                    size=SMALL,
                    color="0.35",
                )
        axes.set_xscale("log")
        low, high = axes.dataLim.intervalx
        marks = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)  # that labels have room
        axes.xaxis.set_major_locator(LogLocator(subs=marks))
        axes.xaxis.set_major_formatter(lambda steps, _: f"{steps / 1e6:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(task, size=FONT)
        _plain(axes)
    for axes in panels[len(tasks) :]:
        axes.remove()
    for axes in panels[max(0, len(tasks) - columns) : len(tasks)]:  # the lowest of each column
        axes.set_xlabel("million steps of the environment", size=FONT)
    panels[0].set_ylim(-0.1, 1.1)
    figure.supylabel("normalised score", size=FONT)
    legend(figure, list(drawn.values()), min(5, len(drawn)))
    return figure


def _named(label: str) -> str:
    return _REFERENCES.get(label, label)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
