"""Fig 5: what happens during one run."""

from typing import TYPE_CHECKING

import numpy as np

from ndbmi_gym.experiments.conditions import (
    DECODERS,
    FIELDS,
    REFERENCE,
    Setting,
    make_loop,
    starts_of,
    stream,
)
from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.records import Tables
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_MAX_STEPS = 50


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Position, velocity, stimulus, counts, virtual point and force of one run, step by step."""
    loop = make_loop(preset, Setting(REFERENCE, FIELDS[0], DECODERS[0]), animal)
    rng = stream(seed, animal, "fig5")
    state = loop.plant.place(starts_of(animal, seed, 1, 1))
    rows, counts, activity = [], [], None
    for step in range(_MAX_STEPS):
        moved, signals = loop.step(state, None, rng, activity)
        activity = signals.activity
        quantities = (state.position, state.velocity, signals.virtual_point, signals.force)
        rows.append([step, signals.stimulus[0], *np.concatenate(quantities, axis=1)[0]])
        counts.append(signals.evoked[0])
        state = moved
        if np.linalg.norm(state.position) <= preset.radius_cm:
            break
    rows.append([len(rows), -1, *state.position[0], *state.velocity[0], *[np.nan] * 4])
    names = ("step", "stimulus", "x", "y", "vx", "vy", "virtual_x", "virtual_y", "fx", "fy")
    table = dict(zip(names, np.array(rows).T, strict=True))
    for whole in ("step", "stimulus"):
        table[whole] = table[whole].astype(int)
    sites = loop.interface.sites
    n_electrodes = loop.cortex.n_electrodes
    return {
        "steps": table,
        "counts": {
            "step": np.repeat(np.arange(len(counts)), n_electrodes),
            "electrode": np.tile(np.arange(n_electrodes), len(counts)),
            "count": np.concatenate(counts),
        },
        "sites": {"stimulus": np.arange(len(sites)), "x": sites[:, 0], "y": sites[:, 1]},
    }


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """Time courses, heat maps of six steps, and the path over the regions."""
    from ndbmi_gym.experiments.figures.drawing import draw_run

    return draw_run(tables, preset)


FIGURE = Figure("fig5", "One run of the closed loop", data, draw, pooled=())
