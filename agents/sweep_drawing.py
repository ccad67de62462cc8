"""What a sweep found as a figure, made from its data file alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from ndbmi_gym.envs.rendering import INK, QUIET

_DONE, _PRUNED, _CURRENT = "#0072b2", "#9aa3ad", "#d55e00"
_COLUMNS = 5


def draw(data: Path, picture: Path) -> None:
    """Draw the scores of a sweep: trial by trial, then against each hyper-parameter.

    Parameters
    ----------
    data : path
        JSON as `agents.sweep.data_of` returns it.
    picture : path
        A PNG file, or another format that matplotlib knows by its suffix.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = json.loads(data.read_text())
    trials, space = found["trials"], found["made"]["space"]
    pruned = np.array([trial["pruned"] for trial in trials])
    reached = np.array([_reached(trial, len(found["scales"])) for trial in trials])
    n_rows = -(-(len(space) + 1) // _COLUMNS)
    figure = Figure((2.3 * _COLUMNS, 2.1 * n_rows + 0.5), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    panels = figure.subplots(n_rows, _COLUMNS, sharey=True, squeeze=False).ravel()
    numbers = np.array([trial["number"] for trial in trials])
    _scatter(panels[0], numbers, reached, pruned)
    best = np.maximum.accumulate(np.where(pruned, -np.inf, reached))
    panels[0].step(numbers, best, where="post", color=INK, lw=1)
    panels[0].xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_title("trial", size=9, color=INK)
    for panel, (name, distribution) in zip(panels[1:], space.items(), strict=False):
        values = np.array([trial["params"][name] for trial in trials], float)
        _scatter(panel, values, reached, pruned)
        _span(panel, distribution["attributes"])
        panel.set_title(f"{name.replace('_', ' ')}, ρ = {_rank(values, reached, pruned)}", size=9)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=7, colors=QUIET)
    for panel in panels[len(space) + 1 :]:
        panel.set_visible(False)
    for panel in panels[::_COLUMNS]:
        panel.set_ylabel("normalised score", size=8, color=QUIET)
    _add_legend(figure, len(trials))
    figure.savefig(picture, bbox_inches="tight", pad_inches=0.08)


def _reached(trial: dict[str, Any], n_envs: int) -> float:
    """The score of a trial, or what a pruned one had added up to when it was given up."""
    return float(sum(each[-1] for each in trial["curve"].values()) / n_envs)


def _rank(values: npt.NDArray[Any], reached: npt.NDArray[Any], pruned: npt.NDArray[Any]) -> str:
    """Rank correlation with the score, where all that were given up come last and alike."""
    scores = np.where(pruned, -np.inf, reached)
    if len(np.unique(values)) < 2 or len(np.unique(scores)) < 2:
        return "–"
    return f"{spearmanr(values, scores).statistic:.2f}".replace("-", "−")


def _span(panel: Any, searched: dict[str, Any]) -> None:
    """Show all of what was searched: from one end to the other, or each of a few choices."""
    choices = searched.get("choices")
    low, high = (
        (searched["low"], searched["high"]) if choices is None else (choices[0], choices[-1])
    )
    if searched.get("log") or choices:
        panel.set_xscale("log")
        panel.set_xticks(choices or (low, (low * high) ** 0.5, high))
        panel.xaxis.set_major_formatter(
            lambda value, _: f"{value:.2g}" if value < 1 else f"{value:g}"
        )
        panel.minorticks_off()
        margin = (high / low) ** 0.06
        panel.set_xlim(low / margin, high * margin)
    else:
        panel.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _scatter(
    panel: Any, values: npt.NDArray[Any], reached: npt.NDArray[Any], pruned: npt.NDArray[Any]
) -> None:
    panel.plot(values[pruned], reached[pruned], "x", ms=4, color=_PRUNED, zorder=1)
    panel.plot(values[~pruned], reached[~pruned], "o", ms=4, color=_DONE, zorder=2)
    panel.plot(values[:1], reached[:1], "D", ms=6, color=_CURRENT, zorder=3)


def _add_legend(figure: Any, n_trials: int) -> None:
    from matplotlib.lines import Line2D

    chance = f"ρ: rank correlation; by chance within ±{1.96 / max(n_trials - 1, 1) ** 0.5:.2f}"
    figure.legend(
        handles=[
            Line2D([], [], ls="", marker="D", ms=6, color=_CURRENT, label="present values"),
            Line2D([], [], ls="", marker="o", ms=4, color=_DONE, label="whole trial"),
            Line2D([], [], ls="", marker="x", ms=4, color=_PRUNED, label="given up, as it stood"),
            Line2D([], [], ls="-", color=INK, lw=1, label="best so far"),
            Line2D([], [], ls="", label=chance),
        ],
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )
