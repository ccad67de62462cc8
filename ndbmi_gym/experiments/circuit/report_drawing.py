"""What the pictures of a circuit beside its controls share."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, legend, letter_panel
from ndbmi_gym.experiments.bench.tables import (
    Table,
)
from ndbmi_gym.experiments.circuit.specimen import MATCHED, SAME, STABILISED

COLORS = {  # of the study in the closed loop, too
    STABILISED: "#0072b2",
    "scaled": "#009e73",
    "shuffled": "#d55e00",
    "symmetric": "#cc79a7",
    "initial": "#888888",
}
WORDS = {
    STABILISED: "stabilised circuit",
    "scaled": "random weights",
    "shuffled": "shuffled inhibition",
    "symmetric": "symmetric weights",
    "initial": "before stabilisation",
}
"""Circuits as pictures name them, those of the study, too."""
TRAITS = {SAME: "-", MATCHED: "--"}


def names_of(table: Table, column: str = "circuit") -> list[str]:
    """Values of a column in the order in which they come."""
    return list(dict.fromkeys(table[column].tolist()))


def conditions_of(table: Table) -> list[tuple[str, str]]:
    """Circuits and amplitudes of a table, in the order in which they come."""
    return list(
        dict.fromkeys(zip(table["circuit"].tolist(), table["amplitude"].tolist(), strict=True))
    )


def in_words(name: str, amplitude: str) -> str:
    """A circuit, and how strong its signal is beside that of the stabilised one."""
    if name == STABILISED:
        return WORDS[name]
    return f"{WORDS[name]}, {'same' if amplitude == MATCHED else 'weaker'} signal"


def key(table: Table) -> list[Line2D]:
    """Entries of a legend for colours and traits of the conditions."""
    return [
        Line2D([], [], color=COLORS[name], ls=TRAITS[amplitude], label=in_words(name, amplitude))
        for name, amplitude in conditions_of(table)
    ]


def draw_key(part: Canvas | SubFigure, table: Table) -> None:
    """Explain colours and traits of the conditions."""
    legend(part, key(table), 3)


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes."""
    axes.set_xlabel(x, size=FONT)
    axes.set_ylabel(y, size=FONT)
    axes.tick_params(labelsize=SMALL)


def letters(panels: Iterable[Axes], names: str = "ABCDEFGH") -> None:
    """Letter panels, at their upper left corners."""
    for axes, name in zip(panels, names, strict=False):
        letter_panel(axes, name, 8)
