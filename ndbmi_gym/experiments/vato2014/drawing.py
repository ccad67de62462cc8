"""What the pictures of the workspace share: regions, paths, targets, and their legends."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from matplotlib.patheffects import withStroke

from ndbmi_gym.envs.rendering import voronoi_cells
from ndbmi_gym.experiments.bench.drawing import FONT, SMALL
from ndbmi_gym.experiments.bench.tables import (
    Table,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)
from ndbmi_gym.presets import HALF_SIDE_CM, Preset

Colors = npt.NDArray[np.float64]
HALF = HALF_SIDE_CM
_BLUES = LinearSegmentedColormap.from_list("regions", ("#b3d0ee", "#4a86c5"))
_REDS = LinearSegmentedColormap.from_list("paths", ("#ff8c7a", "#8f0010"))
RED = _REDS(0.6)
SINGLE, MULTIPLE = "#2f6db5", "#c8202a"
_DOTTED: dict[str, Any] = {
    "color": "white",
    "ls": ":",
    "lw": 1.6,
    # the dots lie on shades from light blue to black lines
    "path_effects": [withStroke(linewidth=2.8, foreground="#1b2733")],
}
_CROSS: dict[str, Any] = {"marker": "X", "ms": 8, "mfc": "#ffb000", "mec": "black"}
YELLOW: dict[str, Any] = {"marker": "o", "ms": 7, "mfc": "#ffe600", "mec": "black", "mew": 0.8}
FIELD_NAMES = {"gaussian": "Gaussian force field", "dipole": "Dipole force field"}


def plane(axes: Axes, half: float = HALF, x_label: bool = True, y_label: bool = True) -> None:
    """Make axes a square of the position space, in cm."""
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    ticks = (-HALF, -HALF / 2, 0.0, HALF / 2, HALF)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelsize=SMALL)
    if x_label:
        axes.set_xlabel("x (cm)", size=FONT)
    if y_label:
        axes.set_ylabel("y (cm)", size=FONT)


def cells_of(sites: FloatArray) -> list[FloatArray]:
    """Sensory regions in the workspace, a polygon for each site."""
    return voronoi_cells(sites, HALF)


def paint(axes: Axes, cells: Sequence[FloatArray], colors: Colors) -> None:
    """Paint regions."""
    axes.add_collection(
        PolyCollection(list(cells), facecolors=colors, edgecolors="white", lw=0.3, zorder=0),
        autolim=False,
    )


def blues(n: int) -> Colors:
    """Shades for regions; those of successive stimuli, which are often neighbours, differ."""
    # in the text's sets 8 or 16 stimuli share an intensity, and neighbours lie 1, 8 or 16 apart
    return np.asarray(_BLUES(np.arange(n) * (np.sqrt(2) - 1) % 1))


def reds(n: int) -> Colors:
    """Shades for paths."""
    return np.asarray(_REDS(np.linspace(0, 1, max(n, 1))))[:n]


def xy(table: Table) -> FloatArray:
    """Positions, (N, 2)."""
    return np.stack((table["x"], table["y"]), axis=-1)


def polylines(paths: Table) -> list[FloatArray]:
    """Positions of every run in the order of its steps."""
    order = np.lexsort((paths["step"], paths["run"]))
    begins = np.flatnonzero(np.diff(paths["run"][order])) + 1
    return np.split(xy(paths)[order], begins) if order.size else []


def add_lines(axes: Axes, lines: Sequence[FloatArray], colors: Colors | str, width: float) -> None:
    """Draw paths."""
    axes.add_collection(
        LineCollection(list(lines), colors=colors, linewidths=width, capstyle="round"),
        autolim=False,
    )


def mark_target(axes: Axes, centre: tuple[float, float], radius_cm: float) -> None:
    """Draw a target region."""
    axes.add_patch(Circle(centre, radius_cm, fill=False, zorder=4, **_DOTTED))


def mark_obstacle(axes: Axes, preset: Preset) -> None:
    """Draw the dipole's obstacle."""
    axes.plot(*preset.field("dipole")["obstacle"], zorder=4, **_CROSS)


def path_handles() -> list[Artist]:
    """Entries for regions, target region and paths."""
    return [
        Patch(color=_BLUES(0.5), label="sensory regions"),
        target_handle(),
        Line2D([], [], color="black", lw=1.2, label="ideal paths"),
        Line2D([], [], color=RED, lw=1.5, label="actual paths (Multiple-points)"),
    ]


def target_handle() -> Artist:
    """Entry for the target region."""
    return Line2D([], [], **_DOTTED, label="target region")


def obstacle_handle() -> Artist:
    """Entry for the obstacle."""
    return Line2D([], [], ls="", label="obstacle", **_CROSS)


def text_handle(text: str) -> Artist:
    """Entry that is text alone."""
    return Line2D([], [], ls="", label=text)


def place_name(sites: tuple[int, ...]) -> str:
    """Electrodes of a stimulus, numbered from 1."""
    return "+".join(str(site + 1) for site in sites)
