"""The picture of preparation, go cue and window."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas
from ndbmi_gym.experiments.bench.tables import Table, Tables, where
from ndbmi_gym.experiments.circuit.report_drawing import letters, name_axes

_COLORS = ("black", "#56b4e9", "#0072b2", "#d55e00")  # by preparation
_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#d55e00", "marker": "o", "ms": 4, "ls": "-", "lw": 1.4},
    {"color": "#009e73", "marker": "s", "ms": 4, "ls": "--", "lw": 1.4},
)
_AT_ONCE: dict[str, Any] = {"color": "black", "marker": "D", "ms": 4, "ls": ":", "lw": 1.4}


def draw(tables: Tables) -> Canvas:
    """Courses of state and output, and identification by preparation and by offset of the window.

    Parameters
    ----------
    tables : Tables
        ``courses``, ``holds`` and ``offsets``.
    """
    figure = canvas(NARROW, 6.2)
    panels = figure.subplots(2, 2)
    (size, output), (hold, offset) = panels
    _draw_courses(size, tables["courses"], "size")
    size.axhline(1, color="0.7", lw=0.8, zorder=0)
    size.set_title("Activity before and after the go cue", size=FONT)
    name_axes(size, "time from the go cue (ms)", "size of activity (prepared: 1)")
    _draw_courses(output, tables["courses"], "output_hz")
    output.set_title("What the electrodes hear", size=FONT)
    name_axes(output, "time from the go cue (ms)", "distance of rates from rest (Hz)")
    lines, labels = size.get_legend_handles_labels()
    what = {"title": "A, B: preparation", "title_fontsize": SMALL, "fontsize": SMALL}
    figure.legend(lines, labels, loc="outside upper center", ncols=len(lines), **what)

    holds = tables["holds"]
    calibrations = list(dict.fromkeys(holds["calibrated"].tolist()))
    for calibrated, style in zip(calibrations, _STYLES, strict=True):
        own = where(holds, calibrated=calibrated)
        own = where(own, prepare_s=np.where(own["prepare_s"] > 0, own["prepare_s"], np.nan))
        _draw_shares(hold, own, "prepare_s", style, f"calibrated on\n{calibrated}")
    at_once = where(holds, prepare_s=0.0)["identified"].mean()
    hold.axhline(at_once, label="state there at once", **_AT_ONCE | {"marker": ""})
    hold.set_title("How long to prepare", size=FONT)
    name_axes(hold, "preparation (ms)", "responses identified")

    offsets = tables["offsets"]
    longest = offsets["prepare_s"].max()
    own = where(offsets, prepare_s=longest)
    _draw_shares(offset, own, "offset_s", _STYLES[0], f"prepared for {1e3 * longest:g} ms")
    own = where(offsets, prepare_s=0.0)
    _draw_shares(offset, own, "offset_s", _AT_ONCE, "state there at once")
    offset.set_title("When to record", size=FONT)
    name_axes(offset, "opening of the window after the cue (ms)", "responses identified")
    for axes, place in ((hold, "lower right"), (offset, "lower center")):
        axes.set_ylim(0, 1.04)
        axes.legend(loc=place, fontsize=SMALL)
    for axes in (size, output, offset):
        axes.axvline(0, color="0.7", lw=0.8, ls=":", zorder=0)
    for axes in (size, output):
        axes.set_ylim(bottom=0)
    letters(panels.flat)
    return figure


def _draw_courses(axes: Axes, courses: Table, column: str) -> None:
    holds = np.unique(courses["prepare_s"])
    for prepare_s, color in zip(holds, _COLORS, strict=True):
        own = where(courses, prepare_s=prepare_s)
        label = f"{1e3 * prepare_s:g} ms" if prepare_s else "at once"
        axes.plot(1e3 * own["time_s"], own[column], color=color, lw=1.4, label=label)


def _draw_shares(axes: Axes, table: Table, by: str, style: dict[str, Any], label: str) -> None:
    """A line of means over animals, and a dot for each animal."""
    places = np.unique(table[by])
    means = [where(table, **{by: place})["identified"].mean() for place in places]
    axes.plot(1e3 * table[by], table["identified"], ".", color=style["color"], ms=3, alpha=0.5)
    axes.plot(1e3 * places, means, label=label, **style)
