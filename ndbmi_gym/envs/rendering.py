"""The closed loop as a picture: data in, pixels out, and a window that shows them.

The left panel is the workspace: the sensory regions (Eq 1), the desired field, the mass, the
virtual point that was decoded (Eqs 7-12) and the force it commands. The right column is the brain:
its volition and the spikes that were recorded. Matplotlib and pygame are imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import DependencyNotInstalled

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
RGBArray = npt.NDArray[np.uint8]

# After Okabe and Ito, to be told apart with the common colour vision deficiencies; every mark has
# its own shape as well. Decoded things are vermilion, stimulated amber, the agent's own purple.
INK = "#1b2733"
QUIET = "#66727f"
FIELD = "#a3aebb"
DECODED = "#d55e00"
PERTURBING = "#0072b2"
TARGET = "#00795a"
ACTIVE = "#f0b429"
VOLITION = "#8a5a94"
COUNTS = "Blues"

DESIGN_PX = (900, 600)  # the size the layout is made for

_VIEW = 1.25  # half side of the view, in half sides of the workspace
_FIELD_ARROWS = 11  # per side of the view
_FORCE_GAIN = 2.0  # the commanded force is drawn larger than the field it is read from
_INDEX_COLUMNS, _DIGIT_COLUMNS = 5, 3  # electrode grids no wider than this are written in
_DESIGN_DPI = 100  # at DESIGN_PX; other sizes scale it


@dataclass(frozen=True)
class Scene:
    """What stays the same while one animal performs one task.

    Attributes
    ----------
    half_side_cm : float
        Half the side L of the workspace, which is drawn as a square.
    wall_cm : float
        Distance of the walls from the centre. The view ends there, or at 1.25 L if that is nearer;
        a mass beyond the view is marked on its edge.
    sites : ndarray (S, 2)
        Calibration sites in cm; each sensory region is the Voronoi cell of one (Eq 1).
    field : callable (..., 2) -> (..., 2)
        Desired force at a position.
    grid_side : int
        The n electrodes form a square grid of this side, the x index slowest, as in
        `ndbmi_gym.stimuli.electrode_grid`; if n is another number they are drawn in a row.
    title : str
    volition_low : float
        Lower end of the volition axis: -1, or 0 where volition cannot be negative.
    """

    half_side_cm: float
    wall_cm: float
    sites: FloatArray
    field: Callable[[FloatArray], FloatArray]
    grid_side: int
    title: str
    volition_low: float = -1.0


@dataclass(frozen=True)
class Frame:
    """What changes from step to step.

    Attributes
    ----------
    trajectory : ndarray (t, 2)
        Positions since the start in cm, the current one last.
    target : ndarray (2,)
    target_radius_cm : float
    virtual_point : ndarray (2,)
        Where the motor interface decoded the device to be, cm.
    force : ndarray (2,)
        The field at the virtual point, kg·cm/s².
    volition : ndarray (n,)
        The agent's action as signed fractions of the maximal rate, within [-1, 1].
    counts : ndarray (n,)
        Spike counts recorded last.
    max_count : float
        Count at the dark end of the colour scale, > 0; keep it fixed over an episode.
    step : int
    inside : bool
        Whether the mass is in the target.
    caption : str
        One line under the title.
    perturbing_force : ndarray (2,)
        What else acts on the mass, kg·cm/s².
    """

    trajectory: FloatArray
    target: FloatArray
    target_radius_cm: float
    virtual_point: FloatArray
    force: FloatArray
    volition: FloatArray
    counts: FloatArray
    max_count: float
    step: int
    inside: bool
    caption: str
    perturbing_force: FloatArray = field(default_factory=lambda: np.zeros(2))


class Renderer:
    """Draws the frames of one scene.

    The scene is painted once, with the first frame; after that a frame repaints only what moves.
    Equal frames give equal pictures, whatever was drawn before.

    Parameters
    ----------
    scene : Scene
    size_px : (int, int)
        Width and height of the picture; type and lines scale with it.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    """

    def __init__(self, scene: Scene, size_px: tuple[int, int] = DESIGN_PX) -> None:
        _require("matplotlib")
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        width, height = size_px
        dpi = _DESIGN_DPI * min(width / DESIGN_PX[0], height / DESIGN_PX[1])
        # Matplotlib truncates inches times dpi to pixels: half a pixel absorbs the round-off.
        figure = Figure(((width + 0.5) / dpi, (height + 0.5) / dpi), dpi=dpi, facecolor="white")
        self._figure = figure
        self._canvas: Any = FigureCanvasAgg(figure)  # its methods carry no types
        self._scene = scene
        self._panels: list[_Panel] = []
        self._background: Any = None

    def draw(self, frame: Frame) -> RGBArray:
        """Return the picture of a frame, ndarray (height, width, 3)."""
        canvas, figure = self._canvas, self._figure
        if not self._panels:
            self._panels = _paint(figure, self._scene, n=len(frame.counts))
            canvas.draw()
            self._background = canvas.copy_from_bbox(figure.bbox)
        canvas.restore_region(self._background)
        for panel in self._panels:
            panel.update(frame)
            for artist in panel.moving:
                figure.draw_artist(artist)
        return np.array(np.asarray(canvas.buffer_rgba())[..., :3])

    def close(self) -> None:
        """Release the picture's memory; a later `draw` paints the scene anew."""
        self._figure.clear()
        self._panels, self._background = [], None


class Window:
    """A window on the screen that shows pictures at a steady rate.

    Pygame has one window per process: two of these share it.

    Parameters
    ----------
    fps : float
        Frames per second that `show` waits for; 0 does not wait.
    title : str

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If pygame is missing.
    """

    def __init__(self, fps: float, title: str = "ndbmi_gym") -> None:
        _require("pygame")
        import pygame

        pygame.display.init()
        pygame.display.set_caption(title)
        self._fps = fps
        self._clock = pygame.time.Clock()

    def show(self, rgb: RGBArray) -> None:
        """Show a picture, ndarray (height, width, 3), and wait until its time is up."""
        import pygame

        size = (rgb.shape[1], rgb.shape[0])
        screen = pygame.display.get_surface()
        if screen is None or screen.get_size() != size:
            screen = pygame.display.set_mode(size)
        pygame.surfarray.blit_array(screen, rgb.swapaxes(0, 1))
        pygame.event.pump()  # a window whose events nobody takes is reported as hung
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Close the window; harmless if it is closed already."""
        import pygame

        pygame.display.quit()


def voronoi_cells(sites: FloatArray, half_side: float) -> list[FloatArray]:
    """Regions of the plane nearest to each site (Eq 1), cut to a square around 0.

    Parameters
    ----------
    sites : ndarray (S, 2)
    half_side : float

    Returns
    -------
    list of S ndarrays (k, 2)
        Corners of each convex cell in order; (0, 2) where a cell lies outside the square.
    """
    square = half_side * np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
    norms = (sites**2).sum(axis=1)
    cells = []
    for site, norm in zip(sites, norms, strict=True):
        cell = square
        for normal, offset in zip(2 * (sites - site), norms - norm, strict=True):
            cell = _clip(cell, normal, offset)
        cells.append(cell)
    return cells


def _clip(polygon: FloatArray, normal: FloatArray, offset: float) -> FloatArray:
    """The part of a convex polygon where normal·p <= offset (Sutherland and Hodgman)."""
    excess = polygon @ normal - offset
    if (excess <= 0).all():  # most pairs of sites are no neighbours
        return polygon
    kept = []
    for p, q, over_p, over_q in zip(
        polygon, np.roll(polygon, -1, axis=0), excess, np.roll(excess, -1), strict=True
    ):
        if over_p <= 0:
            kept.append(p)
        if over_p * over_q < 0:
            kept.append(p + (q - p) * over_p / (over_p - over_q))
    return np.array(kept).reshape(-1, 2)


class _Panel:
    """Part of the picture: paints its still part when made, then keeps its moving artists."""

    moving: list[Artist]  # in painting order

    def update(self, frame: Frame) -> None:
        raise NotImplementedError


def _paint(figure: Figure, scene: Scene, n: int) -> list[_Panel]:
    """Lay out the panels for n electrodes, in fractions of the figure."""
    workspace = figure.add_axes((0.05, 0.05, 0.572, 0.858), anchor="NW")
    panels = [
        _Heading(figure, scene),
        _Workspace(workspace, scene),
        _Volition(figure.add_axes((0.695, 0.68, 0.28, 0.19)), scene, n),
        _Counts(figure.add_axes((0.695, 0.255, 0.235, 0.315)), scene, n),
    ]
    _legend(figure)
    for panel in panels:
        for artist in panel.moving:
            artist.set_animated(True)  # left out of the background
    return panels


class _Heading(_Panel):
    def __init__(self, figure: Figure, scene: Scene) -> None:
        figure.text(0.05, 0.957, scene.title, size=13, weight="bold", color=INK)
        self._caption = figure.text(0.05, 0.924, "", size=9.5, color=QUIET)
        self._step = figure.text(0.695, 0.957, "", size=13, weight="bold", color=INK)
        self._inside = figure.text(
            0.975, 0.957, "in target", size=11, weight="bold", color=TARGET, ha="right"
        )
        self.moving = [self._caption, self._step, self._inside]

    def update(self, frame: Frame) -> None:
        self._caption.set_text(frame.caption)
        self._step.set_text(f"step {frame.step}")
        self._inside.set_visible(frame.inside)


class _Workspace(_Panel):
    def __init__(self, axes: Axes, scene: Scene) -> None:
        from matplotlib.collections import LineCollection, PolyCollection
        from matplotlib.patches import Circle, Polygon, Rectangle

        half, view = scene.half_side_cm, min(_VIEW * scene.half_side_cm, scene.wall_cm)
        self._sites, self._view = scene.sites, view
        self._reach = 0.97 * view  # further out a mark would not fit
        self._cells = voronoi_cells(scene.sites, view)
        axes.set(xlim=(-view, view), ylim=(-view, view), aspect="equal")
        axes.set_xticks((-half, 0, half), (_signed(-half), "0", f"{half:g} cm"))
        axes.set_yticks((-half, 0, half), (_signed(-half), "0", f"{half:g}"))
        _quiet(axes)

        axes.add_collection(
            PolyCollection(self._cells, facecolors=_tints(scene), edgecolors="white", lw=1.2)
        )
        axes.add_patch(
            Rectangle(
                (-half, -half), 2 * half, 2 * half, fill=False, ec=FIELD, lw=1, ls=(0, (5, 4))
            )
        )
        axes.scatter(scene.sites[:, 0], scene.sites[:, 1], s=9, color=QUIET, linewidths=0)
        cm_per_force = self._paint_field(axes, scene)

        self._region = Polygon(self._cells[0], facecolor=ACTIVE + "59", edgecolor=ACTIVE, lw=2)
        self._target = Circle((0, 0), edgecolor=TARGET, lw=2.5)
        axes.add_patch(self._region)
        axes.add_patch(self._target)
        self._path = LineCollection([], linewidths=2.2, capstyle="round")
        axes.add_collection(self._path, autolim=False)
        (self._start,) = axes.plot([], [], "o", ms=7, mfc="white", mec=INK, mew=1.5)
        (self._link,) = axes.plot([], [], ":", color=DECODED, lw=1.3)
        (self._virtual,) = axes.plot([], [], "X", ms=10, mfc=DECODED, mec="white", mew=1)
        self._force, self._perturbing = (
            axes.quiver(
                [0.0],
                [0.0],
                [0.0],
                [0.0],
                color=color,
                zorder=3,
                width=0.009,
                scale_units="x",
                scale=1 / (_FORCE_GAIN * cm_per_force),
            )
            for color in (DECODED, PERTURBING)
        )
        (self._mass,) = axes.plot([], [], mfc=INK, mec="white", mew=1.5)
        self._beyond = axes.text(
            0.98, 0.02, "", transform=axes.transAxes, size=10, weight="bold", color=INK, ha="right"
        )
        self.moving = [
            self._region,
            self._target,
            self._path,
            self._start,
            self._link,
            self._virtual,
            self._force,
            self._perturbing,
            self._mass,
            self._beyond,
        ]

    def _paint_field(self, axes: Axes, scene: Scene) -> float:
        """Paint the field's arrows and return their scale, cm per unit of force."""
        pitch = 2 * self._view / _FIELD_ARROWS
        line = pitch * (np.arange(_FIELD_ARROWS) - (_FIELD_ARROWS - 1) / 2)
        grid = np.stack(np.meshgrid(line, line), axis=-1)
        force = np.asarray(scene.field(grid), dtype=float)
        strongest = float(np.linalg.norm(force, axis=-1).max())
        cm_per_force = pitch / strongest if strongest > 0 else 1.0
        axes.quiver(
            grid[..., 0],
            grid[..., 1],
            force[..., 0],
            force[..., 1],
            color=FIELD,
            pivot="mid",
            width=0.003,
            scale_units="x",
            scale=1 / cm_per_force,
        )
        return cm_per_force

    def update(self, frame: Frame) -> None:
        position = frame.trajectory[-1]
        active = np.argmin(((self._sites - position) ** 2).sum(axis=1))
        self._region.set_xy(self._cells[active])

        self._target.set_center((frame.target[0], frame.target[1]))
        self._target.set_radius(frame.target_radius_cm)
        self._target.set_facecolor(TARGET + ("66" if frame.inside else "1f"))

        segments = np.stack([frame.trajectory[:-1], frame.trajectory[1:]], axis=1)
        self._path.set_segments(list(segments))
        self._path.set_color([(INK, alpha) for alpha in _fade(len(segments))])
        self._start.set_data(*frame.trajectory[:1].T)

        shown = np.clip(position, -self._reach, self._reach)
        self._link.set_data(*np.stack([shown, frame.virtual_point]).T)
        self._virtual.set_data(*frame.virtual_point[:, None])
        for arrow, force in (
            (self._force, frame.force),
            (self._perturbing, frame.perturbing_force),
        ):
            arrow.set_offsets(shown)
            arrow.set_UVC(*force)
        self._mass.set_data(*shown[:, None])
        if (shown != position).any():
            outward = np.degrees(np.arctan2(*(position - shown)[::-1]))
            self._mass.set(marker=(3, 0, outward - 90), markersize=17)
            self._beyond.set_text("out of view: mass at ({:.1f}, {:.1f}) cm".format(*position))
        else:
            self._mass.set(marker="o", markersize=12)
            self._beyond.set_text("")


class _Volition(_Panel):
    def __init__(self, axes: Axes, scene: Scene, n: int) -> None:
        axes.set_title("Volition per electrode: the action", loc="left", size=11, color=INK)
        low = scene.volition_low
        ticks = (low, 0, 1) if low < 0 else (0, 0.5, 1)
        axes.set(xlim=(-0.6, n - 0.4), ylim=(low, 1))
        axes.set_xticks(range(0, n, 1 + n // 20))
        axes.set_yticks(ticks, [_signed(tick) for tick in ticks])
        _quiet(axes)
        axes.axhline(0, color=QUIET, lw=1)
        self._bars = axes.bar(range(n), np.zeros(n), width=0.75, color=VOLITION)
        self.moving = list(self._bars)

    def update(self, frame: Frame) -> None:
        for bar, height in zip(self._bars, frame.volition, strict=True):
            bar.set_height(height)


class _Counts(_Panel):
    def __init__(self, axes: Axes, scene: Scene, n: int) -> None:
        axes.set_title("Spikes recorded per electrode", loc="left", size=11, color=INK)
        square = scene.grid_side**2 == n
        columns, rows = self._shape = (scene.grid_side, scene.grid_side) if square else (n, 1)
        axes.set(anchor="NW", box_aspect=1 if square else 0.5, yticks=())
        electrodes = range(0, 0 if square else n, 1 + n // 10)
        axes.set_xticks([electrode + 0.5 for electrode in electrodes], map(str, electrodes))
        _quiet(axes)
        self._cells = axes.pcolormesh(
            np.zeros((rows, columns)), cmap=COUNTS, vmin=0, vmax=1, edgecolors="white", lw=2
        )
        self._labels = []
        if columns <= _INDEX_COLUMNS:
            for electrode, (x, y) in enumerate(np.ndindex(columns, rows)):
                index = axes.text(x + 0.1, y + 0.92, f"{electrode}", size=7.5, va="top")
                digits = axes.text(x + 0.5, y + 0.42, "", size=11, ha="center", va="center")
                digits.set_visible(columns <= _DIGIT_COLUMNS)
                self._labels.append((index, digits))

        scale = axes.inset_axes((1.06, 0.01, 0.07, 0.98))
        scale.pcolormesh(np.linspace(0, 1, 64)[:, None], cmap=COUNTS)
        scale.set(xticks=(), yticks=())
        _quiet(scale)
        scale.text(1.4, 0, "0", size=9, color=QUIET)
        self._top = scale.text(1.4, 64, "", size=9, color=QUIET, va="top")
        self.moving = [self._cells, self._top, *chain.from_iterable(self._labels)]

    def update(self, frame: Frame) -> None:
        share = frame.counts / frame.max_count
        self._cells.set_array(share.reshape(self._shape).T)  # the x index is the slowest
        self._top.set_text(f"{frame.max_count:g}")
        for labels, value, dark in zip(self._labels, frame.counts, share > 0.5, strict=False):
            index, digits = labels
            ink = "white" if dark else INK
            index.set_color(ink)
            digits.set(text=f"{value:g}", color=ink)


def _legend(figure: Figure) -> None:
    """Explain the workspace's marks in the bottom right of the picture."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def mark(marker: str, label: str, **style: Any) -> Line2D:
        return Line2D([], [], ls="", marker=marker, label=label, **style)

    figure.legend(
        handles=[
            mark("o", "mass (position x)", ms=10, c=INK),
            mark("o", "start", ms=7, mfc="white", mec=INK, mew=1.5),
            mark("o", "target", ms=11, mfc=TARGET + "1f", mec=TARGET, mew=2),
            Patch(fc=ACTIVE + "59", ec=ACTIVE, lw=1.5, label="active region"),
            mark("X", "decoded point y", ms=9, mfc=DECODED, mec="white"),
            mark(r"$\rightarrow$", "decoded force F(y)", ms=15, c=DECODED),
            mark(r"$\rightarrow$", "desired field F", ms=15, c=FIELD),
            mark(r"$\rightarrow$", "perturbing force", ms=15, c=PERTURBING),
            mark("o", "calibration site", ms=3.5, c=QUIET),
        ],
        ncols=2,
        loc="upper left",
        bbox_to_anchor=(0.652, 0.222),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.2,
        labelspacing=0.75,
    )


def _quiet(axes: Axes) -> None:
    """Leave out all furniture, also what the user's matplotlib style would add."""
    axes.patch.set_visible(False)
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=9, labelcolor=QUIET, pad=3)
    axes.spines[:].set_visible(False)


def _signed(value: float) -> str:
    """A number with a true minus sign, as matplotlib's own labels have it."""
    return f"{value:g}".replace("-", "\u2212")


def _tints(scene: Scene) -> FloatArray:
    """Pale colours of the regions, (S, 3): the hue turns with the angle, the shade with radius."""
    angle = np.arctan2(scene.sites[:, 1], scene.sites[:, 0])
    radius = np.linalg.norm(scene.sites, axis=1) / scene.half_side_cm
    hue = np.cos(angle[:, None] - 2 * np.pi / 3 * np.arange(3))
    tints: FloatArray = np.clip(0.945 - 0.035 * radius[:, None] + 0.025 * hue, 0, 1)
    return tints


def _fade(n: int) -> FloatArray:
    """Opacity of n successive pieces of a path, the oldest palest."""
    return np.linspace(0.9, 0.15, n)[::-1]


def _require(package: str) -> None:
    try:
        import_module(package)
    except ImportError as error:
        raise DependencyNotInstalled(
            f'rendering needs {package}: run `pip install "ndbmi-gym[render]"`'
        ) from error
