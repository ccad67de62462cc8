"""State carried from step to step: convergence and wtpe."""

from typing import TYPE_CHECKING

from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.records import Tables
from ndbmi_gym.experiments.soc_cases import CARRY, run_carry
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Protocol in one animal."""
    return run_carry(CARRY, preset, animal, seed)


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """Panels by field and number of stimuli."""
    from ndbmi_gym.experiments.figures.soc_drawing import draw_carry

    return draw_carry(tables)


FIGURE = Figure(
    "soc_carry",
    "State carried from step to step",
    data,
    draw,
    pooled=("loops",),
)
