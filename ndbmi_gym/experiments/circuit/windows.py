"""Cortices and recording windows: convergence, wtpe and decoding."""

from matplotlib.figure import Figure as Canvas

from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Tables,
)
from ndbmi_gym.experiments.circuit.cases import (
    WINDOWS,
    run_cases,
)
from ndbmi_gym.experiments.circuit.study_drawing import (
    draw_lines,
)
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
)
from ndbmi_gym.presets import Preset


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Protocol and decoding in one animal."""
    return run_cases(WINDOWS, preset, animal, seed, DECODERS)


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Convergence, wtpe and identification by recording window, for each cortex.

    Parameters
    ----------
    tables : Tables
        ``loops`` and ``decoding``, of one animal or several.
    """
    return draw_lines(tables)


FIGURE = Figure(
    __name__,
    "Cortices and recording windows",
    data,
    draw,
    pooled=("loops", "decoding"),
)
