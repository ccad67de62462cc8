"""Cortices and recording windows: convergence, wtpe and decoding."""

from typing import TYPE_CHECKING

from ndbmi_gym.experiments.conditions import DECODERS
from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.records import Tables
from ndbmi_gym.experiments.soc_cases import WINDOWS, run_cases
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Protocol and decoding in one animal."""
    return run_cases(WINDOWS, preset, animal, seed, DECODERS)


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """Panels by field and number of stimuli."""
    from ndbmi_gym.experiments.figures.soc_drawing import draw_windows

    return draw_windows(tables)


FIGURE = Figure(
    "soc_windows",
    "Cortices and recording windows",
    data,
    draw,
    pooled=("loops", "decoding"),
)
