"""A picture to draw on, with smooth edges.

It calls the rasteriser that is inside matplotlib (Agg) without figures and artists, which take
ten times as long. No state is shared with the caller's own figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.envs.missing import require

FloatArray = npt.NDArray[np.float64]
RGBArray = npt.NDArray[np.uint8]

DESIGN_PX = (900, 600)
"""Width and height that positions and sizes are given for."""

_FONT = "DejaVu Sans"  # comes with matplotlib: the same letters everywhere
_LEGIBLE_PX = 7.0
_SPACE = 0.318  # between its words, in sizes of type


class Canvas:
    """A white picture and what is drawn on it.

    All lengths are in pixels of a 900 x 600 design, x to the right and y up from its lower left
    corner. The design is scaled to the picture's size, and centred in it. Colours are
    ``"#rrggbb"``, or ``"#rrggbbaa"`` where they let through what is below.

    Parameters
    ----------
    size_px : (int, int)
        Width and height of the picture.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    """

    def __init__(self, size_px: tuple[int, int] = DESIGN_PX) -> None:
        require("matplotlib")
        from matplotlib.transforms import IdentityTransform

        width, height = size_px
        self._scale = min(width / DESIGN_PX[0], height / DESIGN_PX[1])
        self._corner = tuple(
            (side - self._scale * design) / 2
            for side, design in zip(size_px, DESIGN_PX, strict=True)
        )
        self._agg = _raster(width, height)
        self._plain, self._as_is = self._agg.new_gc(), IdentityTransform()
        self._pixels = np.asarray(self._agg.buffer_rgba())  # (height, width, 4), shared with Agg
        self._pixels[:] = 255
        self._rows = height
        self._kept = self._pixels.copy()
        self._clip: Any = None

    def polygon(
        self,
        corners: FloatArray,
        face: str | None = None,
        edge: str | None = None,
        width: float = 0.0,
        dashes: tuple[float, ...] | None = None,
    ) -> None:
        """Draw a polygon, or several that have equally many corners.

        Parameters
        ----------
        corners : ndarray (k, 2) or (m, k, 2)
        face, edge : str, optional
            Colours of the inside and of the outline.
        width : float
            Of the outline.
        dashes : tuple of float, optional
            Lengths of strokes and gaps.
        """
        corners = corners.reshape(-1, *corners.shape[-2:])
        if not corners.size:
            return
        closed = np.concatenate([corners, corners[:, :1]], axis=1)
        codes = np.full(closed.shape[:2], _LINETO, np.uint8)
        codes[:, 0], codes[:, -1] = _MOVETO, _CLOSEPOLY
        self._path(closed.reshape(-1, 2), codes.ravel(), face, edge, width, dashes)

    def line(
        self, points: FloatArray, color: str, width: float, dashes: tuple[float, ...] | None = None
    ) -> None:
        """Join points (k, 2)."""
        self._path(points, None, None, color, width, dashes)

    def disc(
        self,
        centre: FloatArray,
        radius: float,
        face: str | None = None,
        edge: str | None = None,
        width: float = 0.0,
    ) -> None:
        """Draw a disc around a centre (2,)."""
        vertices, codes = _circle()
        self._path(centre + radius * vertices, codes, face, edge, width)

    def rectangle(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """Fill whole pixels, from a lower left corner on; a negative height goes down.

        They replace what is below, whatever the colour lets through and the limits of `within`.
        """
        left, low = self._place(x, min(y, y + height))
        right, high = self._place(x + width, max(y, y + height))
        self._pixels[self._rows - high : self._rows - low, left:right] = _rgba8(color)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        color: str,
        bold: bool = False,
        align: float = 0.0,
    ) -> float:
        """Write on one line, and return how long it is. What nobody could read is left out.

        The limits of `within` are not heeded.

        Parameters
        ----------
        x, y : float
            Where the line begins, and its base line.
        text : str
        size : float
        color : str
        bold : bool
        align : float
            Share of the line that lies to the left of x.
        """
        size *= self._scale
        if size < _LEGIBLE_PX:
            return 0.0
        words = [_written(word, size, color, bold) for word in text.split(" ")]
        lengths = [word.length for word in words]
        whole = sum(lengths) + _SPACE * size * (len(words) - 1)
        left, base = self._scale * x + self._corner[0] - align * whole, self._place(x, y)[1]
        for word in words:
            self._agg.draw_image(self._plain, round(left), base - word.below, word.image)
            left += word.length + _SPACE * size
        return whole / self._scale

    @contextmanager
    def within(self, x: float, y: float, width: float, height: float) -> Iterator[None]:
        """Leave out what reaches beyond a rectangle, of polygons, lines and discs."""
        from matplotlib.transforms import Bbox

        left, low = self._place(x, y)
        right, high = self._place(x + width, y + height)
        self._clip = Bbox.from_extents(left, low, right, high)
        try:
            yield
        finally:
            self._clip = None

    def keep(self) -> None:
        """Remember the picture as it is now."""
        self._kept[:] = self._pixels

    def restore(self) -> None:
        """Go back to the picture that was kept."""
        self._pixels[:] = self._kept

    def picture(self) -> RGBArray:
        """A copy of the picture, ndarray (height, width, 3)."""
        rgb = np.empty((*self._pixels.shape[:2], 3), np.uint8)
        for channel in range(3):  # several times as fast as all at once
            rgb[..., channel] = self._pixels[..., channel]
        return rgb

    def _place(self, x: float, y: float) -> tuple[int, int]:
        """The nearest corner of a pixel."""
        return round(self._scale * x + self._corner[0]), round(self._scale * y + self._corner[1])

    def _path(
        self,
        vertices: FloatArray,
        codes: npt.NDArray[np.uint8] | None,
        face: str | None,
        edge: str | None,
        width: float,
        dashes: tuple[float, ...] | None = None,
    ) -> None:
        from matplotlib.path import Path

        pen = self._agg.new_gc()
        pen.set_snap(False)
        pen.set_linewidth(width * self._scale if edge else 0.0)
        if edge:
            pen.set_foreground(_rgba(edge), isRGBA=True)
            pen.set_capstyle("butt" if dashes else "round")
            pen.set_joinstyle("miter")
        if dashes:
            pen.set_dashes(0, [length * self._scale for length in dashes])
        if self._clip is not None:
            pen.set_clip_rectangle(self._clip)
        path = Path(self._scale * vertices + self._corner, codes)
        self._agg.draw_path(pen, path, self._as_is, _rgba(face) if face else None)


def _raster(width: int, height: int) -> Any:
    """Agg itself, in whose units a point is a pixel; it carries no types."""
    from matplotlib.backends import backend_agg

    make: Any = backend_agg.RendererAgg
    return make(width, height, 72)


_MOVETO, _LINETO, _CLOSEPOLY = 1, 2, 79  # of matplotlib.path.Path


@lru_cache(maxsize=1)
def _circle() -> tuple[FloatArray, npt.NDArray[np.uint8]]:
    from matplotlib.path import Path

    circle = Path.unit_circle()
    return np.array(circle.vertices), np.array(circle.codes)


@lru_cache(maxsize=256)
def _rgba(color: str) -> tuple[float, ...]:
    parts = tuple(int(color[i : i + 2], 16) / 255 for i in range(1, len(color), 2))
    return parts if len(parts) == 4 else (*parts, 1.0)


@lru_cache(maxsize=256)
def _rgba8(color: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in _rgba(color))


class _Word(NamedTuple):
    """A word as an RGBA image, how far it reaches below its base line, and where the next begins.

    Whatever a frame says consists of words that were written before, but for a number or two.
    """

    image: RGBArray
    below: int
    length: float


@lru_cache(maxsize=2048)
def _written(word: str, size_px: float, color: str, bold: bool) -> _Word:
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family=_FONT, size=size_px, weight="bold" if bold else "normal")
    length, height, descent = _raster(1, 1).get_text_width_height_descent(word, font, False)
    rows, below = int(np.ceil(height)) + 2, int(np.ceil(descent)) + 1
    agg = _raster(int(np.ceil(length)) + 1, rows)
    pen = agg.new_gc()
    pen.set_foreground(_rgba(color), isRGBA=True)
    agg.draw_text(pen, 0, rows - below, word, font, 0)
    # Agg takes images upside down
    return _Word(np.array(agg.buffer_rgba())[::-1], below, float(length))
