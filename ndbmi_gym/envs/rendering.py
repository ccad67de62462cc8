"""The closed loop as a picture: data in, pixels out.

The left panel is the workspace: the sensory regions (Eq 1), the desired field, the mass, the
virtual point that was decoded (Eqs 7-12) and the force it commands. The right column is the brain:
its volition and the spikes that were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ndbmi_gym.envs.canvas import DESIGN_PX, Canvas, FloatArray, RGBArray

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
COUNTS = ("#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b")  # evenly spaced, from no spikes
WHITE = "#ffffff"

_VIEW = 1.25  # half side of the view, in half sides of the workspace
_FIELD_ARROWS = 11  # per side of the view
_FORCE_GAIN = 2.0  # the commanded force is drawn larger than the field it is read from
_FADING = 12  # pieces of a path that fade one by one
_SHADES = 64  # of the counts' colour scale
_LABEL, _SMALL = 12.5, 9.5  # sizes of type
_HEADING = 18.0

# Where the panels are: left, bottom, width and height, in the pixels of the design
_WORKSPACE = (45.0, 30.0, 515.0, 515.0)
_BARS = (626.0, 408.0, 252.0, 114.0)
_GRID = (626.0, 153.0, 189.0, 189.0)
_ROW = (626.0, 248.0, 189.0, 94.0)  # the grid's place, where electrodes form no square
_LEGEND = (607.0, 115.0)  # middle of the first mark
_LEGEND_STEP = (150.0, 23.3)


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
    note : str
        What stands under the title, before the caption.
    obstacles : sequence of ((float, float), float)
        Places that field or task keep away from, and their radii, cm.
    volition_low : float
        Lower end of the volition axis: -1, or 0 where volition cannot be negative.
    """

    half_side_cm: float
    wall_cm: float
    sites: FloatArray
    field: Callable[[FloatArray], FloatArray]
    grid_side: int
    title: str
    note: str = ""
    obstacles: Sequence[tuple[tuple[float, float], float]] = ()
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
        Goes on after the scene's note.
    perturbing_force : ndarray (2,)
        What else acts on the mass, kg·cm/s².
    circle_cm : float, optional
        Radius of the circle around the centre that is to be kept to, within `target_radius_cm`: it
        is drawn in place of the target.
    sensed : ndarray (2,), optional
        Where the interface takes the device to be, cm; by default where it is.
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
    circle_cm: float | None = None
    sensed: FloatArray | None = None


class Renderer:
    """Draws the frames of one scene.

    What stays is painted with the first frame; after that a frame paints only what moves. Equal
    frames give equal pictures, whatever was drawn before.

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
        self._canvas = Canvas(size_px)
        self._scene = scene
        self._panels: list[_Panel] = []

    def draw(self, frame: Frame) -> RGBArray:
        """Return the picture of a frame, ndarray (height, width, 3)."""
        canvas, scene, n = self._canvas, self._scene, len(frame.counts)
        if not self._panels:
            self._panels = [
                _Heading(canvas, scene),
                _Workspace(canvas, scene),
                _Volition(canvas, scene, n),
                _Counts(canvas, scene, n),
            ]
            _legend(canvas, scene)
            canvas.keep()
        canvas.restore()
        for panel in self._panels:
            panel.draw(frame)
        return canvas.picture()


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
    """Part of the picture: paints what stays when made, and what moves with every frame."""

    def draw(self, frame: Frame) -> None:
        raise NotImplementedError


class _Heading(_Panel):
    def __init__(self, canvas: Canvas, scene: Scene) -> None:
        self._canvas = canvas
        canvas.text(45, 574, scene.title, _HEADING, INK, bold=True)
        self._after = 45 + canvas.text(45, 554, scene.note, 13, QUIET)

    def draw(self, frame: Frame) -> None:
        self._canvas.text(self._after, 554, frame.caption, 13, QUIET)
        self._canvas.text(626, 574, f"step {frame.step}", _HEADING, INK, bold=True)
        if frame.inside:
            self._canvas.text(878, 574, "in target", 15, TARGET, bold=True, align=1)


class _Workspace(_Panel):
    def __init__(self, canvas: Canvas, scene: Scene) -> None:
        self._canvas, self._sites = canvas, scene.sites
        self._view = min(_VIEW * scene.half_side_cm, scene.wall_cm)
        left, bottom, width, _ = _WORKSPACE
        self._centre = np.array((left, bottom)) + width / 2
        self._px_per_cm = width / 2 / self._view
        self._reach = 0.97 * self._view  # further out a mark would not fit
        self._cells = [self._at(cell) for cell in voronoi_cells(scene.sites, self._view)]
        self._paint_ticks(scene.half_side_cm)
        self._paint_regions(scene)
        for centre, radius in scene.obstacles:
            _obstacle(canvas, self._at(np.array(centre)), radius * self._px_per_cm)
        self._px_per_force = self._paint_field(scene)

    def _at(self, position_cm: FloatArray) -> FloatArray:
        """Where positions (..., 2) are in the picture."""
        place: FloatArray = self._centre + self._px_per_cm * position_cm
        return place

    def _paint_ticks(self, half: float) -> None:
        left, bottom, *_ = _WORKSPACE
        for tick in (-half, 0.0, half):
            x, y = self._at(np.array((tick, tick)))
            self._canvas.text(x, bottom - 15, _signed(tick), _LABEL, QUIET, align=0.5)
            self._canvas.text(left - 5, y - 4.5, _signed(tick), _LABEL, QUIET, align=1)
        self._canvas.text(x + 13, bottom - 15, "cm", _LABEL, QUIET)

    def _paint_regions(self, scene: Scene) -> None:
        for cell, tint in zip(self._cells, _tints(scene), strict=True):
            self._canvas.polygon(cell, tint, WHITE, 1.7)
        square = scene.half_side_cm * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        self._canvas.polygon(self._at(square), None, FIELD, 1.4, dashes=(7, 5.6))
        for site in self._at(scene.sites):
            self._canvas.disc(site, 2.1, QUIET)

    def _paint_field(self, scene: Scene) -> float:
        """Paint the field's arrows and return their scale, pixels per unit of force."""
        pitch = 2 * self._view / _FIELD_ARROWS
        line = pitch * (np.arange(_FIELD_ARROWS) - (_FIELD_ARROWS - 1) / 2)
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        force = np.asarray(scene.field(grid), dtype=float)
        strongest = float(np.linalg.norm(force, axis=-1).max())
        px_per_force = pitch * self._px_per_cm / strongest if strongest > 0 else 1.0
        vectors = px_per_force * force
        self._canvas.polygon(_arrows(self._at(grid) - vectors / 2, vectors, 1.6), FIELD)
        return px_per_force

    def draw(self, frame: Frame) -> None:
        with self._canvas.within(*_WORKSPACE):
            self._draw_trial(frame)
            self._draw_device(frame)

    def _draw_trial(self, frame: Frame) -> None:
        """Where the mass has been and is to go, and the region that it is sensed in."""
        canvas, path = self._canvas, self._at(frame.trajectory)
        sensed = frame.trajectory[-1] if frame.sensed is None else frame.sensed
        active = np.argmin(((self._sites - sensed) ** 2).sum(axis=1))
        canvas.polygon(self._cells[active], ACTIVE + "59", ACTIVE, 2.8)
        radius = frame.target_radius_cm * self._px_per_cm
        inside = TARGET + ("66" if frame.inside else "1f")
        if frame.circle_cm is None:
            canvas.disc(self._at(frame.target), radius, inside, TARGET, 3.5)
        else:
            round_it = frame.circle_cm * self._px_per_cm
            canvas.disc(self._centre, round_it, None, inside, 2 * radius)
            canvas.disc(self._centre, round_it, None, TARGET, 3.5)
        ends = np.linspace(0, len(path) - 1, min(len(path), _FADING + 1)).astype(int)
        for first, last, opacity in zip(ends[:-1], ends[1:], _fade(len(ends) - 1), strict=True):
            canvas.line(path[first : last + 1], f"{INK}{opacity:02x}", 3)
        canvas.disc(path[0], 4.9, WHITE, INK, 2.1)

    def _draw_device(self, frame: Frame) -> None:
        """The mass, what was decoded, and the forces."""
        canvas, position = self._canvas, frame.trajectory[-1]
        shown = np.clip(position, -self._reach, self._reach)
        mass, decoded = self._at(shown), self._at(frame.virtual_point)
        canvas.line(np.stack([mass, decoded]), DECODED, 1.8, dashes=(1.8, 3))
        _cross(canvas, decoded, 7.0)
        for force, color in ((frame.force, DECODED), (frame.perturbing_force, PERTURBING)):
            if force.any():
                vector = _FORCE_GAIN * self._px_per_force * force
                canvas.polygon(_arrows(mass[None], vector[None], 4.7), color)
        if (shown == position).all():
            canvas.disc(mass, 8.3, INK, WHITE, 2.1)
            return
        ahead = (position - shown) / np.linalg.norm(position - shown)
        aside = np.array((-ahead[1], ahead[0]))
        corners = np.stack([ahead, -0.5 * ahead + 0.87 * aside, -0.5 * ahead - 0.87 * aside])
        canvas.polygon(mass + 11.5 * corners, INK, WHITE, 2.1)
        x, y = position
        where = f"out of view: mass at ({x:.1f}, {y:.1f}) cm"
        left, bottom, width, _ = _WORKSPACE
        canvas.text(left + 0.98 * width, bottom + 10, where, 14, INK, bold=True, align=1)


class _Volition(_Panel):
    def __init__(self, canvas: Canvas, scene: Scene, n: int) -> None:
        self._canvas = canvas
        left, bottom, width, height = _BARS
        canvas.text(left, bottom + height + 8, "Volition per electrode: the action", 15, INK)
        low = scene.volition_low
        self._unit = height / (1 - low)
        self._zero = bottom - low * self._unit
        self._pitch = width / (n + 0.2)
        self._lefts = [left + self._pitch * (i + 0.225) for i in range(n)]
        for tick in (low, 0, 1) if low < 0 else (0, 0.5, 1):
            y = self._zero + tick * self._unit
            canvas.text(left - 5, y - 4.5, _signed(tick), _LABEL, QUIET, align=1)
        for i in range(0, n, 1 + n // 20):
            x = self._lefts[i] + 0.375 * self._pitch
            canvas.text(x, bottom - 14, str(i), _LABEL, QUIET, align=0.5)
        canvas.rectangle(left, self._zero, width, 1.4, QUIET)

    def draw(self, frame: Frame) -> None:
        for left, volition in zip(self._lefts, frame.volition.tolist(), strict=True):
            height = volition * self._unit
            self._canvas.rectangle(left, self._zero, 0.75 * self._pitch, height, VOLITION)


class _Counts(_Panel):
    def __init__(self, canvas: Canvas, scene: Scene, n: int) -> None:
        self._canvas = canvas
        square = scene.grid_side**2 == n
        columns, rows = (scene.grid_side, scene.grid_side) if square else (n, 1)
        left, bottom, width, height = _GRID if square else _ROW
        canvas.text(left, bottom + height + 11, "Spikes recorded per electrode", 15, INK)
        self._side = width / columns, height / rows
        self._corners = [  # the x index is the slowest
            (left + x * self._side[0], bottom + y * self._side[1])
            for x, y in np.ndindex(columns, rows)
        ]
        self._gap = 2.8 if self._side[0] > 12 else 1.0
        self._written = self._side[0] >= _WRITABLE
        if not self._written:
            for i in range(0, 0 if square else n, 1 + n // 10):
                x = left + (i + 0.5) * self._side[0]
                canvas.text(x, bottom - 14, str(i), _LABEL, QUIET, align=0.5)
        self._shades = _shades()
        step = height / _SHADES
        for i, shade in enumerate(self._shades):
            canvas.rectangle(left + width + 11, bottom + i * step, 14, step, shade)
        self._scale = left + width + 30, bottom + height - 9
        canvas.text(self._scale[0], bottom, "0", _LABEL, QUIET)

    def draw(self, frame: Frame) -> None:
        canvas, (width, height), gap = self._canvas, self._side, self._gap
        share = np.clip(frame.counts / frame.max_count, 0, 1)
        shades = np.rint((_SHADES - 1) * share).astype(int).tolist()
        canvas.text(*self._scale, f"{frame.max_count:g}", _LABEL, QUIET)
        size = 15 if width > 45 else 13
        counts = frame.counts.tolist()
        for i, (x, y) in enumerate(self._corners):
            low, shade = (x + gap / 2, y + gap / 2), self._shades[shades[i]]
            canvas.rectangle(*low, width - gap, height - gap, shade)
            if not self._written:
                continue
            ink, count = (WHITE if shades[i] > _SHADES / 2 else INK), f"{counts[i]:g}"
            canvas.text(x + 4, y + height - 12, str(i), _SMALL, ink)
            canvas.text(x + width / 2, y + 0.4 * height - 7, count, size, ink, align=0.5)


def _legend(canvas: Canvas, scene: Scene) -> None:
    """Explain the workspace's marks in the bottom right of the picture."""

    def arrow(color: str) -> Callable[[FloatArray], None]:
        vector = np.array([(20.0, 0.0)])
        return lambda at: canvas.polygon(_arrows(at - vector / 2, vector, 3.2), color)

    def swatch(at: FloatArray) -> None:
        corners = np.array([(-9, -5), (9, -5), (9, 5), (-9, 5)])
        canvas.polygon(at + corners, ACTIVE + "59", ACTIVE, 2)

    marks: list[tuple[str, Callable[[FloatArray], None]]] = [
        ("device", lambda at: canvas.disc(at, 7, INK)),
        ("start", lambda at: canvas.disc(at, 4.9, WHITE, INK, 2.1)),
        ("target", lambda at: canvas.disc(at, 7.6, TARGET + "1f", TARGET, 2.8)),
        ("sensory region", swatch),
        ("virtual point", lambda at: _cross(canvas, at, 6.0)),
        ("commanded force", arrow(DECODED)),
        ("desired field", arrow(FIELD)),
        ("hidden force", arrow(PERTURBING)),
        ("calibration site", lambda at: canvas.disc(at, 2.4, QUIET)),
    ]
    if scene.obstacles:
        marks.append(("obstacle", lambda at: _obstacle(canvas, at, 7.6)))
    for i, (label, mark) in enumerate(marks):
        column, row = divmod(i, 5)
        x, y = _LEGEND[0] + column * _LEGEND_STEP[0], _LEGEND[1] - row * _LEGEND_STEP[1]
        mark(np.array((x, y)))
        canvas.text(x + 15, y - 4.5, label, _LABEL, INK)


def _obstacle(canvas: Canvas, centre: FloatArray, radius: float) -> None:
    canvas.disc(centre, radius, INK + "30", INK, 1.4)
    for slope in (1, -1):
        half = 0.707 * radius * np.array((1, slope))
        canvas.line(np.stack([centre - half, centre + half]), INK, 1.4)


def _cross(canvas: Canvas, centre: FloatArray, size: float) -> None:
    """The mark of a virtual point: an X of a given half size."""
    canvas.polygon(centre + size * _CROSS, DECODED, WHITE, 1.4)


def _arrows(tails: FloatArray, vectors: FloatArray, width: float) -> FloatArray:
    """Outlines (m, 7, 2) of arrows from tails (m, 2); short ones are thin as well."""
    length = np.linalg.norm(vectors, axis=-1)
    seen = length > 0.5
    tails, vectors, length = tails[seen], vectors[seen], length[seen]
    along = vectors / length[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    unit = np.minimum(width, length / 5)  # the head is five widths long
    outline_along = np.stack([0 * length, length - 4.5 * unit, length - 5 * unit, length], axis=-1)[
        :, [0, 1, 2, 3, 2, 1, 0]
    ]
    outline_across = unit[:, None] * np.array([0.5, 0.5, 1.5, 0, -1.5, -0.5, -0.5])
    outline: FloatArray = (
        tails[:, None]
        + outline_along[..., None] * along[:, None]
        + outline_across[..., None] * across[:, None]
    )
    return outline


def _signed(value: float) -> str:
    """A number with a true minus sign."""
    return f"{value:g}".replace("-", "\u2212")


def _tints(scene: Scene) -> list[str]:
    """Pale colours of the S regions: the hue turns with the angle, the shade with radius."""
    angle = np.arctan2(scene.sites[:, 1], scene.sites[:, 0])
    radius = np.linalg.norm(scene.sites, axis=1) / scene.half_side_cm
    hue = np.cos(angle[:, None] - 2 * np.pi / 3 * np.arange(3))
    return _hex(np.clip(0.945 - 0.035 * radius[:, None] + 0.025 * hue, 0, 1))


def _shades() -> list[str]:
    """Colours of counts from none to the most."""
    known = np.array([[int(shade[i : i + 2], 16) for i in (1, 3, 5)] for shade in COUNTS]) / 255
    share, at = np.linspace(0, 1, _SHADES), np.linspace(0, 1, len(COUNTS))
    return _hex(np.stack([np.interp(share, at, channel) for channel in known.T], axis=1))


def _hex(colors: FloatArray) -> list[str]:
    """Colours (k, 3) within 0 and 1 as the canvas takes them."""
    return ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in np.rint(255 * colors).astype(int)]


def _fade(n: int) -> npt.NDArray[np.int64]:
    """Opacity of n successive pieces of a path up to 255, the oldest palest."""
    return np.linspace(230, 38, n).astype(int)[::-1]


_WRITABLE = 28.0  # electrodes that are drawn as wide as this are written in
_CROSS = 0.5 * np.array(  # twelve corners, as those of matplotlib's filled x
    [
        (-1, 2),
        (0, 1),
        (1, 2),
        (2, 1),
        (1, 0),
        (2, -1),
        (1, -2),
        (0, -1),
        (-1, -2),
        (-2, -1),
        (-1, 0),
        (-2, 1),
    ]
)
