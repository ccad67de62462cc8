"""Pictures of what the trials of a search say."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas, legend
from ndbmi_gym.experiments.bench.tables import Table
from ndbmi_gym.experiments.recovery.search import SEARCHED, SPACE
from ndbmi_gym.experiments.vato2014.claims import CLAIMS

if TYPE_CHECKING:  # what is drawn imports its drawing
    from ndbmi_gym.experiments.recovery.identifiability import Identifiability

_TITLE: dict[str, Any] = {"loc": "left", "fontsize": FONT, "fontweight": "bold"}
_STYLES: dict[str, dict[str, Any]] = {  # Okabe and Ito's colours
    "all": {"color": "0.7", "marker": "|", "ms": 11, "mew": 3, "ls": ""},
    "best": {"color": "#d55e00", "marker": "o", "ms": 6, "ls": ""},
    "search": {"color": "#0072b2", "marker": "D", "ms": 5, "ls": "", "mfc": "none", "mew": 1.3},
}
_GROUPS = {
    "all": "all {} random trials",
    "best": "best {} of the random trials",
    "search": "best {} of the whole search",
}
_WORDS = {
    "tau_s": "metric: time constant τ (s)",
    "repetitions": "calibration responses",
    "scaling": "scaling of the map",
    "amplitude": "field: peak force (kg·cm/s²)",
    "sigma": "field: distance of its peak (cm)",
    "obstacle_cm": "obstacle: distance (cm)",
    "obstacle_angle": "obstacle: direction (rad)",
    "obstacle_ratio": "obstacle: repulsion / peak force",
    "pole_ratio": "obstacle: attraction / peak force",
    "obstacle_sigma": "obstacle: width (cm)",
    "mass": "device: mass (kg)",
    "step_s": "device: time per step (s)",
    "radius_cm": "target: radius (cm)",
    "ideal": "ideal path",
    "misplaced_electrode": "misplaced electrode",
    "lost_site": "ineffective site",
}
_PLACES = {"7": "side, obstacle", "1": "side, opposite", "5": "side, across"} | {
    "8": "corner, obstacle",
    "0": "corner, opposite",
}
_READINGS = {
    "repetitions": {},
    "scaling": {
        "axis": "each axis",
        "isotropic": "the wider axis",
        "sites": "the sites",
        "box": "a centred box",
    },
    "obstacle_angle": {},
    "ideal": {
        "held": "force held over a step",
        "continuous": "force at every moment",
        "held, ends": "held, ends at the target",
        "continuous, ends": "every moment, ends at the target",
    },
    "misplaced_electrode": _PLACES,
    "lost_site": _PLACES,
}
"""Values in words, where they are not numbers."""


def draw_importance(found: "Identifiability") -> Canvas:
    """How much of every claim's margin the parameters explain, together and each."""
    texts = {claim.id: claim.where for claim in CLAIMS}
    columns = [f"{claim}, {texts[claim]}" for claim in SEARCHED] + ["Table 1, f factors"]
    order = np.argsort(-found.importance.clip(0, 1).sum(axis=0), kind="stable")
    names = list(SPACE)
    figure = canvas(NARROW, 6.0)
    shares, chart = figure.subplots(2, 1, sharex=True, height_ratios=(1, 4.2))
    shares.bar(range(len(columns)), found.explained, color="0.45", width=0.7)
    shares.set(ylim=(0, 1), yticks=(0, 0.5, 1))
    shares.set_ylabel("R²", size=SMALL)
    shares.set_title("A  How well all parameters together predict a claim's margin", **_TITLE)
    shares.spines[["top", "right"]].set_visible(False)

    image = chart.imshow(found.importance.T[order], cmap="Blues", aspect="auto", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=chart, location="bottom", shrink=0.6, aspect=35)
    bar.set_label("drop of R² when the parameter's values are shuffled among trials", size=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.ax.set_xticks((0, 0.5, 1), ("0: does not matter", "0.5", "1 or more"))
    chart.set_title("B  Which parameter the prediction rests on", **_TITLE)
    chart.set_yticks(range(len(names)), [_WORDS[names[i]].partition(" (")[0] for i in order])
    chart.set_xticks(range(len(columns)), columns, rotation=90)
    for axes in (shares, chart):
        axes.tick_params(labelsize=SMALL)
    for edge in range(1, max(len(names), len(columns))):  # between the cells
        chart.axvline(edge - 0.5, color="0.92", lw=0.6)
        chart.axhline(edge - 0.5, color="0.92", lw=0.6)
    chart.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(names) - 0.5, -0.5))
    return figure


def draw_best(groups: dict[str, Table], found: "Identifiability") -> Canvas:
    """Where the best trials lie, beside all that were drawn at random.

    Parameters
    ----------
    groups : dict of str to Table
        Trials: "all" that were drawn at random, the "best" of these, and, if there were more, the
        best of the "search".
    found : Identifiability
    """
    intervals = [name for name in SPACE if not SPACE[name].choices]
    readings = [name for name in SPACE if SPACE[name].choices]
    rows = sum(len(SPACE[name].choices) + 0.8 for name in readings)
    figure = canvas(NARROW, 9.6)
    spans, shares = figure.subplots(2, 1, height_ratios=(len(intervals) + 1.5, 0.75 * rows + 1.5))
    spans.set_title("A  Where the middle 80 % of the trials lie", **_TITLE)
    _write_beside(spans, -0.75, "searched", "best : all")
    for row, name in enumerate(intervals):
        _draw_span(spans, row, name, groups)
        ends = f"{SPACE[name].low:g} to {SPACE[name].high:g}"
        _write_beside(spans, row, ends, f"× {found.spans[name][2]:.2f}")
    spans.set_yticks(range(len(intervals)), [_WORDS[name] for name in intervals])
    spans.set(xlim=(0, 1), ylim=(len(intervals) - 0.4, -0.6))
    spans.set_xticks((0.08, 0.92), ("least value searched", "largest"))
    spans.tick_params(axis="x", length=0)

    shares.set_title("B  How often the trials use each reading of the text", **_TITLE)
    ticks, labels, place = [], [], 0.0
    for name in readings:
        for choice in SPACE[name].choices:
            for group, trials in groups.items():
                share = float(_equal(trials[name], choice).mean())
                shares.plot(share, place, zorder=3, **_STYLES[group])
            value = f"{choice:.2g}" if isinstance(choice, float) else f"{choice}"
            ticks.append(place)
            labels.append(f"{_WORDS[name]}: {_READINGS[name].get(value, value)}")
            place += 1
        shares.axhline(place - 0.1, color="0.9", lw=0.8)
        place += 0.8
    shares.set_yticks(ticks, labels)
    shares.set(xlim=(-0.02, 1), ylim=(place - 0.9, -0.7))
    shares.set_xlabel("share of trials", size=SMALL)
    for axes in (spans, shares):
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    handles = [
        Line2D([], [], label=_GROUPS[group].format(len(trials["trial"])), **_STYLES[group])
        for group, trials in groups.items()
    ]
    legend(figure, handles, 3)
    return figure


def _write_beside(axes: Axes, row: float, *texts: str) -> None:
    """Texts in columns to the right of a row."""
    for column, text in enumerate(texts):
        axes.annotate(
            text, (1, row), (7 + 55 * column, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", size=SMALL, annotation_clip=False,
        )  # fmt: skip


def _draw_span(axes: Axes, row: int, name: str, groups: dict[str, Table]) -> None:
    """10th to 90th percentile in every group, between least and largest value searched."""
    values = SPACE[name]
    scaled = np.log if values.log else np.asarray
    low, high = scaled(values.low), scaled(values.high)
    shifts = np.linspace(-0.22, 0.22, len(groups))
    for (group, trials), shift in zip(groups.items(), shifts, strict=True):
        ends = (scaled(np.percentile(trials[name], (10, 90))) - low) / (high - low)
        color = _STYLES[group]["color"]
        axes.plot(ends, [row + shift] * 2, color=color, lw=4, solid_capstyle="butt")


def _equal(values: npt.NDArray[Any], choice: Any) -> npt.NDArray[np.bool_]:
    """Whether values are a reading; numbers from files have six digits."""
    same = np.isclose(values, choice, rtol=1e-5) if isinstance(choice, float) else values == choice
    return np.asarray(same)
