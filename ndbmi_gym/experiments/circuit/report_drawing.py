"""What the pictures of a circuit beside its controls share."""

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from ndbmi_gym.cortex.soc.circuit import ABSCISSA
from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, legend, letter_panel
from ndbmi_gym.experiments.bench.tables import (
    Table,
)
from ndbmi_gym.experiments.circuit.specimen import MATCHED, NETWORKS, STABILISED

COLORS = {
    STABILISED: "#0072b2",
    "scaled": "#009e73",
    "shuffled": "#d55e00",
    "symmetric": "#cc79a7",
    "initial": "#888888",
}
"""Of the circuit, and of controls by kind; those of the study in the closed loop, too."""
WORDS = {
    STABILISED: "stabilised circuit",
    "scaled": "random weights",
    "shuffled": "shuffled inhibition",
    "symmetric": "symmetric weights",
    "initial": "before stabilisation",
}
"""The circuit, and kinds of controls, as pictures name them, those of the study, too."""
_LOOKS = {0.8: (0.3, "--"), ABSCISSA: (0.6, ":")}
"""Share of white in a colour, and trait, of controls far from instability."""


def names_of(table: Table, column: str = "circuit") -> list[str]:
    """Values of a column in the order in which they come."""
    return list(dict.fromkeys(table[column].tolist()))


def conditions_of(table: Table) -> list[tuple[str, str]]:
    """Circuits and amplitudes of a table, in the order in which they come."""
    return list(
        dict.fromkeys(zip(table["circuit"].tolist(), table["amplitude"].tolist(), strict=True))
    )


def compared_in(table: Table) -> list[tuple[str, str]]:
    """The conditions that pictures show: the circuit, and controls of as much signal."""
    return [
        (name, amplitude)
        for name, amplitude in conditions_of(table)
        if name == STABILISED or amplitude == MATCHED
    ]


def in_words(name: str) -> str:
    """A network: a control by its kind and abscissa."""
    kind, *abscissa = name.split()
    return ", ".join([WORDS[kind], *abscissa])


def look(name: str) -> dict[str, Any]:
    """Colour and trait of a network's lines: the nearer to instability, the stronger."""
    kind, abscissa = NETWORKS.get(name, (name, 1.0))
    white, trait = _LOOKS.get(abscissa, (0.0, "-")) if kind != "symmetric" else (0.0, "-")
    color = tuple(white + (1 - white) * part for part in to_rgb(COLORS[kind]))
    return {"color": color, "ls": trait}


def key(names: Iterable[str]) -> list[Line2D]:
    """Entries of a legend for the looks of networks."""
    return [Line2D([], [], label=in_words(name), **look(name)) for name in names]


def draw_key(part: Canvas | SubFigure, table: Table) -> None:
    """Explain the looks of the networks of a table."""
    legend(part, key(names_of(table)), 4)


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes."""
    axes.set_xlabel(x, size=FONT)
    axes.set_ylabel(y, size=FONT)
    axes.tick_params(labelsize=SMALL)


def letters(panels: Iterable[Axes], names: str = "ABCDEFGH") -> None:
    """Letter panels, at their upper left corners."""
    for axes, name in zip(panels, names, strict=False):
        letter_panel(axes, name, 8)
