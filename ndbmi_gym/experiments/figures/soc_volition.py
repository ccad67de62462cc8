"""What volition reaches through the circuit, and past it."""

from typing import TYPE_CHECKING

from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.records import Tables
from ndbmi_gym.experiments.soc_cases import VOLITION, run_volition
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Reach, commands and baseline policies in one animal."""
    return run_volition(VOLITION, preset, animal, seed)


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """Reach by direction; runs under commands; policies."""
    from ndbmi_gym.experiments.figures.soc_drawing import draw_volition

    return draw_volition(tables)


FIGURE = Figure(
    "soc_volition",
    "Volition through the circuit",
    data,
    draw,
    pooled=("reach", "commands", "policies"),
)
