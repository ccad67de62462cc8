"""Fig 2: the two desired fields, as arrows over their potential."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import cumulative_trapezoid

from ndbmi_gym.experiments.conditions import FIELDS
from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.records import Tables, concatenate
from ndbmi_gym.fields import make_field
from ndbmi_gym.presets import HALF_SIDE_CM, Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_POINTS = 81


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Force and potential on a grid; no animal takes part.

    Both fields are gradients, so that the potential is minus the integral of the force along any
    path: here along the lower edge, then upwards. It is 0 at its minimum.
    """
    axis = np.linspace(-HALF_SIDE_CM, HALF_SIDE_CM, _POINTS)
    x, y = np.meshgrid(axis, axis)
    tables = []
    for name in FIELDS:
        force = make_field(preset.field(name))(np.stack((x, y), axis=-1))
        along = cumulative_trapezoid(force[0, :, 0], axis, initial=0)
        potential = -(along + cumulative_trapezoid(force[..., 1], axis, axis=0, initial=0))
        tables.append(
            {
                "field": np.full(x.size, name),
                "x": x.ravel(),
                "y": y.ravel(),
                "fx": force[..., 0].ravel(),
                "fy": force[..., 1].ravel(),
                "potential": (potential - potential.min()).ravel(),
            }
        )
    return {"forces": concatenate(tables)}


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """A panel for each field."""
    from ndbmi_gym.experiments.figures.drawing import draw_fields

    return draw_fields(tables, preset)


FIGURE = Figure("fig2", "The desired fields", data, draw, pooled=())
