"""Cortices in the closed loop: convergence, wtpe and decoding."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.experiments.bench.drawing import FONT
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Tables,
)
from ndbmi_gym.experiments.circuit.cases import (
    STRUCTURE,
    run_cases,
)
from ndbmi_gym.experiments.circuit.study_drawing import (
    DECODER_STYLES,
    Series,
    beside,
    cases_of,
    draw_identified,
    draw_loops,
    explain,
    field_panels,
    handle,
    in_words,
    name_places,
    separate,
)
from ndbmi_gym.presets import Preset


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Protocol and decoding in one animal."""
    return run_cases(STRUCTURE, preset, animal, seed)


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Convergence, wtpe and identification by cortex, for each decoder.

    Parameters
    ----------
    tables : Tables
        ``loops`` and ``decoding``, of one animal or several.
    """
    cases = cases_of(tables["loops"])
    known = set(tables["loops"]["decoder"].tolist())
    decoders = [decoder for decoder in DECODER_STYLES if decoder in known]
    stimuli = sorted({case.stimuli for case in cases})
    figure, panels = field_panels(stimuli, 10.2, identified=True)
    columns = []
    for column, number in zip(panels.T, stimuli, strict=True):
        own = [case for case in cases if case.stimuli == number]
        places = np.arange(len(own), dtype=float)
        shifts = beside(len(decoders), 0.22)
        columns.append(
            [
                Series(
                    {**DECODER_STYLES[decoder], "ls": ""}, decoder, (places + shift).tolist(), own
                )
                for decoder, shift in zip(decoders, shifts, strict=True)
            ]
        )
        alone = Series({"color": "black", "marker": "D", "ls": ""}, "", places.tolist(), own)
        draw_identified(column[-1], tables["decoding"], [alone])
        for axes in column:
            separate(axes, len(own))
        name_places(column[-1], [in_words(case) for case in own])
        column[-1].set_xlabel("cortex", size=FONT)
    draw_loops(panels, tables["loops"], columns)
    explain(figure, [handle(DECODER_STYLES[d], f"{d} decoder") for d in decoders], tables["loops"])
    return figure


FIGURE = Figure(
    __name__,
    "Cortices in the closed loop",
    data,
    draw,
    pooled=("loops", "decoding"),
)
