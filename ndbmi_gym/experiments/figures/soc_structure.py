"""Cortices in the closed loop: convergence, wtpe and decoding."""

from typing import TYPE_CHECKING

from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.records import Tables
from ndbmi_gym.experiments.soc_cases import STRUCTURE, run_cases
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Protocol and decoding in one animal."""
    return run_cases(STRUCTURE, preset, animal, seed)


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """Panels by field and number of stimuli."""
    from ndbmi_gym.experiments.figures.soc_drawing import draw_structure

    return draw_structure(tables)


FIGURE = Figure(
    "soc_structure",
    "Cortices in the closed loop",
    data,
    draw,
    pooled=("loops", "decoding"),
)
