"""What the pictures of a circuit beside its controls share."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, letter_panel
from ndbmi_gym.experiments.bench.tables import (
    Table,
)

COLORS = {  # of the study in the closed loop, too
    "SOC": "#0072b2",
    "scaled": "#009e73",
    "shuffled": "#d55e00",
    "symmetric": "#cc79a7",
    "initial": "#888888",
}
TRAITS = {"same": "-", "matched": "--"}


def names_of(table: Table, column: str = "circuit") -> list[str]:
    """Values of a column in the order in which they come."""
    return list(dict.fromkeys(table[column].tolist()))


def conditions_of(table: Table) -> list[tuple[str, str]]:
    """Circuits and amplitudes of a table, in the order in which they come."""
    return list(
        dict.fromkeys(zip(table["circuit"].tolist(), table["amplitude"].tolist(), strict=True))
    )


def condition_label(name: str, amplitude: str) -> str:
    """A circuit, and its amplitude where it is not the same."""
    return name if amplitude == "same" else f"{name}, {amplitude}"


def draw_key(part: Canvas | SubFigure, table: Table) -> None:
    """Explain colours and traits of the conditions."""
    handles = [
        Line2D(
            [], [], color=COLORS[name], ls=TRAITS[amplitude], label=condition_label(name, amplitude)
        )
        for name, amplitude in conditions_of(table)
    ]
    part.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=SMALL)


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes."""
    axes.set_xlabel(x, size=FONT)
    axes.set_ylabel(y, size=FONT)
    axes.tick_params(labelsize=SMALL)


def letters(panels: Iterable[Axes], names: str = "ABCDEFGH") -> None:
    """Letter panels, at their upper left corners."""
    for axes, name in zip(panels, names, strict=False):
        letter_panel(axes, name, 8)
