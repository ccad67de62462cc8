"""Trajectories as a figure, made from the data file of an evaluation alone."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ndbmi_gym.envs.rendering import FIELD, INK, QUIET, TARGET, voronoi_cells

# Okabe and Ito's blue and vermilion; line style and end mark tell the two apart as well
_ARRIVED: dict[str, Any] = {"color": "#0072b2", "ls": "-", "marker": "o"}
_MISSED: dict[str, Any] = {"color": "#d55e00", "ls": (0, (3, 1.5)), "marker": "X"}
_START: dict[str, Any] = {"marker": "o", "ms": 5, "mfc": "white", "mec": INK, "mew": 1.2, "ls": ""}
_TITLES = {"zero": "zero volition", "eq24": "Eq 24", "ceiling": "ceiling (privileged)"}


def draw_figure(data: Path, picture: Path) -> None:
    """Draw the trajectories of an evaluation, a column for each policy, a row for each target.

    Parameters
    ----------
    data : path
        JSON as `agents.evaluate.evaluate` returns it.
    picture : path
        A PNG file, or another format that matplotlib knows by its suffix.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = json.loads(data.read_text())
    scene, paths = found["scene"], found["paths"]
    rows = {row["policy"]: row for row in found["table"]}
    by_target = [
        [i for i, _ in members]
        for _, members in groupby(enumerate(scene["trials"]), lambda item: item[1]["target"])
    ]
    figure = Figure((2.6 * len(paths), 2.6 * len(by_target) + 0.9), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(by_target), len(paths), squeeze=False)
    for column, (label, walked) in enumerate(paths.items()):
        for panel, members in zip(panels[:, column], by_target, strict=True):
            _draw_scene(panel, scene, scene["trials"][members[0]])
            for i in members:
                _draw_path(panel, walked[i])
        mean = rows[label]["score"][0]
        panels[0, column].set_title(
            f"mean {found['score']}: {mean:.{2 if mean < 1 else 1}f}", size=8.5, color=QUIET
        )
        panels[0, column].annotate(
            _TITLES.get(label, label),
            (0.5, 1.0),
            (0, 19),
            xycoords="axes fraction",
            textcoords="offset points",
            size=11,
            color=INK,
            ha="center",
        )
    _add_legend(figure, scene["half_side_cm"])
    figure.savefig(picture, bbox_inches="tight", pad_inches=0.08)


def _draw_scene(panel: Any, scene: dict[str, Any], trial: dict[str, Any]) -> None:
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Annulus, Circle, Rectangle

    half = scene["half_side_cm"]
    view = 1.12 * half
    sites = np.array(scene["sites"])
    panel.set(xlim=(-view, view), ylim=(-view, view), aspect="equal", xticks=(), yticks=())
    panel.spines[:].set_visible(False)
    panel.add_collection(
        PolyCollection(voronoi_cells(sites, view), facecolors="#f7f8f9", edgecolors="#e3e6ea")
    )
    panel.scatter(*sites.T, s=4, color=FIELD, linewidths=0)
    panel.add_patch(
        Rectangle((-half, -half), 2 * half, 2 * half, fill=False, ec=FIELD, lw=0.8, ls=(0, (5, 4)))
    )
    for centre, radius in scene.get("obstacles", ()):
        panel.add_patch(Circle(centre, radius, fc=INK + "30", ec=INK, lw=1.0, hatch="xx"))
    radius, circle = scene["target_radius_cm"], trial.get("circle_cm")
    if circle is None:
        panel.add_patch(Circle(trial["target"], radius, fc=TARGET + "40", ec=TARGET, lw=1.5))
    else:  # to be kept to within the radius
        band = Annulus((0, 0), circle + radius, min(2 * radius, circle + radius), fc=TARGET + "40")
        panel.add_patch(band)
        panel.add_patch(Circle((0, 0), circle, fill=False, ec=TARGET, lw=1.5))


def _draw_path(panel: Any, walked: dict[str, Any]) -> None:
    path = np.array(walked["path"])
    style = _ARRIVED if walked["success"] else _MISSED
    panel.plot(*path.T, color=style["color"], ls=style["ls"], lw=1.3, zorder=3)
    panel.plot(*path[-1], color=style["color"], zorder=4, **_end(style))
    panel.plot(*path[0], zorder=5, **_START)


def _end(style: dict[str, Any]) -> dict[str, Any]:
    return {"marker": style["marker"], "ms": 6, "mec": "white", "mew": 0.6, "ls": ""}


def _add_legend(figure: Any, half_side_cm: float) -> None:
    from matplotlib.lines import Line2D

    def ending(label: str, style: dict[str, Any]) -> Line2D:
        mark = _end(style) | {"ls": style["ls"]}
        return Line2D([], [], color=style["color"], lw=1.3, label=label, **mark)

    figure.legend(
        handles=[
            Line2D([], [], label="start", **_START),
            Line2D([], [], ls="", marker="o", ms=10, mfc=TARGET + "40", mec=TARGET, label="target"),
            ending("trial that ends in the target", _ARRIVED),
            ending("trial that does not", _MISSED),
            Line2D([], [], ls="", marker="o", ms=2.5, c=FIELD, label="stimulus site and region"),
            Line2D(
                [], [], ls=(0, (5, 4)), lw=0.8, c=FIELD, label=f"workspace, {2 * half_side_cm:g} cm"
            ),
        ],
        loc="outside lower center",
        ncols=6,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
    )
