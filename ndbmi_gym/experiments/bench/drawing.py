"""What all pictures share: sizes of letters, canvases without pyplot, letters, legends."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

FONT, SMALL, LETTER = 9.0, 8.0, 14.0  # pt
DPI = 110
"""Of pictures in files."""

NARROW = 7.6
"""Width, in, of pictures whose letters are legible where a page shows them 700 px wide."""


def canvas(width: float, height: float) -> Figure:
    """An empty picture, in inches; nothing is global."""
    return Figure((width, height), dpi=100, layout="constrained")


def letter_panel(axes: Axes, name: str, left: float = 5) -> None:
    """Letter a panel, at its upper left corner."""
    axes.annotate(
        name,
        (0, 1),
        (-left, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        size=LETTER,
        weight="bold",
        ha="right",
    )


def title(part: Figure | SubFigure, text: str) -> None:
    """What a part shows, above it, from the left."""
    part.suptitle(text, x=0.01, ha="left", size=FONT + 1, weight="bold")


def legend(part: Figure | SubFigure, handles: Sequence[Artist], columns: int) -> None:
    """A legend below everything."""
    part.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=SMALL)
