"""State carried from step to step: convergence and wtpe."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy.linalg import expm

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.cortex import SOCCortex
from ndbmi_gym.cortex.soc.transients import TAU_S
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    from_rows,
)
from ndbmi_gym.experiments.circuit.cases import (
    CARRY,
    Case,
    run_loops,
)
from ndbmi_gym.experiments.circuit.study_drawing import (
    draw_lines,
)
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
)
from ndbmi_gym.presets import Preset


def carried_sizes(case: Case, preset: Preset) -> tuple[float, float]:
    """Size of the state that is carried under a lasting stimulus, in units of the prepared one.

    As it is, when one window follows the other; and if the circuit ran on until the end of the
    loop's step. Means over stimuli, of the linear core without volition.
    """
    cortex = Config.of(**{"preset": preset, **case.options()}).make_cortex()
    assert isinstance(cortex, SOCCortex)
    identity = np.eye(cortex.circuit.n_neurons)
    sizes = []
    for time_s in (case.window_s, max(case.window_s, preset.step_s)):
        decay = expm((cortex.circuit.weights - identity) * time_s / TAU_S)
        left = np.linalg.solve(identity - decay, decay @ cortex.prepared.T)
        ratio = np.linalg.norm(left, axis=0) / np.linalg.norm(cortex.prepared, axis=1)
        sizes.append(float(ratio.mean()))
    return sizes[0], sizes[1]


def run_carry(cases: Sequence[Case], preset: Preset, animal: int, seed: int) -> Tables:
    """`run_loops` with the paper's decoders, and the ``sizes`` of what is carried, by case."""
    loops = run_loops(cases, preset, animal, seed, DECODERS)
    sizes = []
    for case in cases:
        if case.carry:
            size, later = carried_sizes(case, preset)
            sizes.append(asdict(case) | {"size": size, "size_at_step": later})
    return {"loops": loops, "sizes": from_rows(sizes)}


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Protocol in one animal."""
    return run_carry(CARRY, preset, animal, seed)


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Convergence and wtpe by recording window, without and with carried state.

    Parameters
    ----------
    tables : Tables
        ``loops``, of one animal or several.
    """
    return draw_lines(tables)


FIGURE = Figure(
    __name__,
    "State carried from step to step",
    data,
    draw,
    pooled=("loops",),
)
