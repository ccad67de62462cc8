"""Fig 12: volition towards four targets, without and with a curl field (Eqs 23-25)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, letter_panel
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    where,
)
from ndbmi_gym.experiments.protocol.volition import N_TARGETS, run_volition, shift_shares
from ndbmi_gym.experiments.vato2014.drawing import (
    RED,
    YELLOW,
    add_lines,
    blues,
    cells_of,
    mark_target,
    paint,
    path_handles,
    plane,
    polylines,
    reds,
    xy,
)
from ndbmi_gym.presets import Preset

CURLS = (0.0, 1.0, 2.0, 4.0)
"""In units of the preset's, whose number is lost; paths are drawn of the first two."""
_DRAWN = 2


def data(
    preset: Preset,
    animal: int,
    seed: int,
    options: Mapping[str, Any] = MappingProxyType({}),
    low: float = 0.0,
    curls: Sequence[float] = CURLS,
) -> Tables:
    """Paths to every target, where they settle, and how many arrive, also without volition.

    Parameters
    ----------
    preset : Preset
    animal, seed : int
    options : mapping
        Of `ndbmi_gym.config.Config`, on top of the preset.
    low : float
        Least volition in units of full volition, 0 or −1.
    curls : sequence of float
        Strengths of the curl field, in units of the preset's.
    """
    parts: dict[str, list[Table]] = {"paths": [], "shares": []}
    for number, curl in enumerate(preset.curl * np.array(curls)):
        volition, still = (
            run_volition(preset, animal, seed, float(curl), options, low, moved)
            for moved in (True, False)
        )
        parts["shares"].append(
            {
                "animal": np.full(N_TARGETS, animal),
                "curl": np.full(N_TARGETS, curl),
                "target": np.arange(N_TARGETS),
                "target_x": volition.targets[:, 0],
                "target_y": volition.targets[:, 1],
                "settled_x": volition.settled[:, 0],
                "settled_y": volition.settled[:, 1],
            }
            | shift_shares(volition, still)
        )
        if number >= _DRAWN:
            continue
        for target, runs in enumerate(volition.runs):
            step, run = np.indices(runs.path.shape[:2]).reshape(2, -1)
            parts["paths"].append(
                {
                    "curl": np.full(run.size, curl),
                    "target": np.full(run.size, target),
                    "run": run,
                    "step": step,
                    "x": runs.path[..., 0].ravel(),
                    "y": runs.path[..., 1].ravel(),
                }
            )
    sites = volition.loop.interface.sites
    tables = {name: concatenate(tables) for name, tables in parts.items()}
    tables["sites"] = {"stimulus": np.arange(len(sites)), "x": sites[:, 0], "y": sites[:, 1]}
    return tables


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Paths to every target of volition, without and with a curl field (Fig 12).

    Parameters
    ----------
    tables : Tables
        ``paths`` and ``sites`` of one animal; ``shares`` of one animal or several, the first of
        which is drawn.
    preset : Preset
    """
    shares = where(tables["shares"], animal=tables["shares"]["animal"][0])
    curls, targets = np.unique(tables["paths"]["curl"]), np.unique(shares["target"])
    figure = canvas(3.2 * len(targets) + 0.6, 3.4 * len(curls) + 0.8)
    panels = figure.subplots(len(curls), len(targets), squeeze=False, sharex=True, sharey=True)
    cells = cells_of(xy(tables["sites"]))
    for row, (curl, letter) in enumerate(zip(curls, "AB", strict=False)):
        for column, target in enumerate(targets):
            axes = panels[row, column]
            plane(axes, x_label=row == len(curls) - 1, y_label=column == 0)
            paint(axes, cells, blues(len(cells)))
            lines = polylines(where(tables["paths"], curl=curl, target=target))
            add_lines(axes, lines, reds(len(lines)), 0.8)
            starts = np.array([line[0] for line in lines])
            axes.scatter(*starts.T, s=14, c=reds(len(lines)), ec="white", lw=0.5, zorder=3)
            own = where(shares, curl=curl, target=target)
            place = (float(own["target_x"][0]), float(own["target_y"][0]))
            mark_target(axes, place, preset.radius_cm)
            axes.plot(*place, zorder=5, **YELLOW)
            axes.set_title(f"{100 * own['arrived'][0]:.0f} % of runs arrive", size=SMALL)
        title = f"curl field of {curl:g} kg/s" if curl else "no perturbation"
        panels[row, 0].set_ylabel(f"{title}\ny (cm)", size=FONT)
        letter_panel(panels[row, 0], letter)
    handles = [
        *(h for h in path_handles() if h.get_label() != "ideal paths"),
        Line2D([], [], ls="", label="target of volition", **YELLOW),
        Line2D([], [], ls="", marker="o", ms=5, color=RED, label="start"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=SMALL)
    return figure


FIGURE = Figure(__name__, "Volitional shift of the equilibrium", data, draw, pooled=("shares",))
