"""State carried from step to step: convergence and wtpe."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy.linalg import expm

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.cortex import SOCCortex
from ndbmi_gym.cortex.soc.transients import TAU_S
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, canvas, legend
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    from_rows,
    where,
)
from ndbmi_gym.experiments.circuit.cases import (
    CARRY,
    Case,
    run_loops,
)
from ndbmi_gym.experiments.circuit.study_drawing import (
    FIELD_NAMES,
    Series,
    cases_of,
    draw_means,
    handle,
    interval_handle,
    name_windows,
    over_animals,
    tidy,
)
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    FIELDS,
)
from ndbmi_gym.presets import Preset

_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#0072b2", "marker": "s", "ls": "-"},
    {"color": "#e69f00", "marker": "D", "ls": "--"},
)
_NAMES = ("state reset", "state carried over")


def carried_sizes(case: Case, preset: Preset) -> tuple[float, float]:
    """Size of the state that is carried under a lasting stimulus, in units of the prepared one.

    As it is, when one window follows the other; and if the circuit ran on until the end of the
    loop's step. Means over stimuli, of the linear core without volition.
    """
    cortex = Config.of(**{"preset": preset, **case.options()}).make_cortex()
    assert isinstance(cortex, SOCCortex)
    later_s = max(case.window_s, preset.step_s)
    return carried_size(cortex, case.window_s), carried_size(cortex, later_s)


def carried_size(cortex: SOCCortex, time_s: float) -> float:
    """`carried_sizes` if a time passes from one preparation to the next."""
    identity = np.eye(cortex.circuit.n_neurons)
    decay = expm((cortex.circuit.weights - identity) * time_s / TAU_S)
    left = np.linalg.solve(identity - decay, decay @ cortex.prepared.T)
    ratio = np.linalg.norm(left, axis=0) / np.linalg.norm(cortex.prepared, axis=1)
    return float(ratio.mean())


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
    """The path error by recording window, without and with carried state.

    Parameters
    ----------
    tables : Tables
        ``loops``, of one animal or several.
    """
    loops = where(tables["loops"], decoder=DECODERS[0])
    cases = cases_of(loops)
    stimuli = sorted({case.stimuli for case in cases})
    figure = canvas(NARROW, 5.6)
    panels = figure.subplots(len(FIELDS), len(stimuli), squeeze=False, sharex=True, sharey="row")
    for row, field in zip(panels, FIELDS, strict=True):
        row[0].set_ylabel(f"{FIELD_NAMES[field]}:\npath error, wtpe (cm)", size=FONT)
        for axes, number in zip(row, stimuli, strict=True):
            for carried, style in enumerate(_STYLES):
                own = [case for case in cases if (case.stimuli, case.carry) == (number, carried)]
                if not own:
                    continue
                own.sort(key=lambda case: case.window_s)
                windows = [1e3 * case.window_s * (0.985, 1.015)[carried] for case in own]
                errors = [over_animals(case.rows(loops, field=field), "wtpe") for case in own]
                draw_means(axes, Series(style, DECODERS[0], windows, own), errors)
            name_windows(axes, cases)
            tidy(axes)
    for row in panels:
        row[0].set_ylim(bottom=0)
    for axes, number in zip(panels[0], stimuli, strict=True):
        axes.set_title(f"{number} stimuli", size=FONT)
    for axes in panels[-1]:
        axes.set_xlabel("recording window (ms)", size=FONT)
    shares = [
        over_animals(case.rows(loops, field=field), "convergent").estimate
        for case in cases
        for field in FIELDS
    ]
    figure.suptitle(
        "Path error when the circuit's state is reset at every step, and when it is carried over\n"
        f"(of the runs that converge: {math.floor(100 * min(shares))} % or more in every case)",
        size=FONT + 1,
    )
    handles = [handle(style, name) for style, name in zip(_STYLES, _NAMES, strict=True)]
    legend(figure, [*handles, *interval_handle(loops)], 3)
    return figure


FIGURE = Figure(
    __name__,
    "State carried from step to step",
    data,
    draw,
    pooled=("loops",),
)
