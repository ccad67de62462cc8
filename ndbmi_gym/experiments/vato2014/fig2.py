"""Fig 2: the two desired fields, as arrows over their potential."""

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy.integrate import cumulative_trapezoid

from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, letter_panel
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    concatenate,
    where,
)
from ndbmi_gym.experiments.protocol.conditions import (
    FIELDS,
)
from ndbmi_gym.experiments.vato2014.drawing import (
    FIELD_NAMES,
    mark_obstacle,
    mark_target,
    obstacle_handle,
    plane,
    target_handle,
)
from ndbmi_gym.fields import make_field
from ndbmi_gym.presets import HALF_SIDE_CM, Preset

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


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Arrows of both desired fields over their potential (Fig 2).

    Parameters
    ----------
    tables : Tables
        ``forces``, on a square grid.
    preset : Preset
    """
    figure = canvas(13.0, 5.6)
    panels = figure.subplots(1, len(FIELDS))
    strongest = float(np.hypot(tables["forces"]["fx"], tables["forces"]["fy"]).max())
    for axes, field, letter in zip(panels, FIELDS, "AB", strict=True):
        grid = where(tables["forces"], field=field)
        side = round(np.sqrt(len(grid["x"])))
        x, y, fx, fy, potential = (
            grid[name].reshape(side, side) for name in ("x", "y", "fx", "fy", "potential")
        )
        plane(axes)
        image = axes.pcolormesh(x, y, potential, cmap="viridis", shading="gouraud", rasterized=True)
        axes.contour(x, y, potential, 12, colors="white", linewidths=0.4, alpha=0.5)
        bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
        bar.set_label("potential (kg·cm²/s²)", size=FONT)
        bar.ax.tick_params(labelsize=SMALL)
        step = max(1, side // 20)
        thin = (slice(step // 2, None, step),) * 2
        arrows = axes.quiver(
            x[thin],
            y[thin],
            fx[thin],
            fy[thin],
            color="black",
            pivot="tail",
            angles="xy",
            scale_units="xy",
            scale=strongest / 1.6,  # the longest arrow, cm
            width=0.0035,
        )
        unit = float(f"{strongest / 2:.1g}")
        axes.quiverkey(
            arrows, 0.86, 1.03, unit, f"{unit:g} kg·cm/s²", labelpos="E", fontproperties={"size": 8}
        )
        mark_target(axes, (0.0, 0.0), preset.radius_cm)
        if field == "dipole":
            mark_obstacle(axes, preset)
        axes.set_title(FIELD_NAMES[field], size=FONT + 1)
        letter_panel(axes, letter)
    handles = [target_handle(), obstacle_handle()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=SMALL)
    return figure


FIGURE = Figure(__name__, "The desired fields", data, draw, pooled=())
