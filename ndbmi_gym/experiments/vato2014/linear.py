"""The earlier linear interface beside this one: what the Introduction says, without a figure."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, letter_panel
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    where,
)
from ndbmi_gym.experiments.protocol.runs import Runs
from ndbmi_gym.experiments.vato2014.both_interfaces import linear_measures, run_both
from ndbmi_gym.experiments.vato2014.drawing import (
    add_lines,
    blues,
    cells_of,
    mark_obstacle,
    mark_target,
    paint,
    plane,
    polylines,
    reds,
    xy,
)
from ndbmi_gym.presets import Preset

_EVERY = 10  # of the runs of a figure with one panel per interface, one per start is drawn


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Paths of both on their fields and of the linear one on the dipole, and how well they do."""
    found = run_both(preset, animal, seed)
    paths: list[Table] = []
    sites: list[Table] = []
    for name, runs, places in (
        ("linear", found.linear, found.interface.sites),
        ("forced", found.forced, found.forced_interface.sites),
        ("dipole", found.dipole, found.loop.interface.sites),
    ):
        paths.append({"interface": np.full(_size(runs), name), **_positions(runs)})
        sites.append(
            {"interface": np.full(len(places), name), "x": places[:, 0], "y": places[:, 1]}
        )
    shares = {"animal": animal, "refused": int(found.refused), **linear_measures(preset, found)}
    return {
        "paths": concatenate(paths),
        "sites": concatenate(sites),
        "shares": {name: np.array([value]) for name, value in shares.items()},
    }


def _size(runs: Runs) -> int:
    return runs.path.shape[0] * runs.path.shape[1]


def _positions(runs: Runs) -> Table:
    step, run = np.indices(runs.path.shape[:2]).reshape(2, -1)
    x, y = runs.path.reshape(-1, 2).T
    return {"run": run, "step": step, "x": x, "y": y}


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Paths of the linear interface on a linear field and on the dipole, and of the non-linear one.

    Parameters
    ----------
    tables : Tables
        ``paths`` and ``sites`` of one animal; ``shares`` of one animal or several.
    preset : Preset
    """
    shares = tables["shares"]
    figure = canvas(12.0, 4.9)
    for axes, letter, name, title in zip(
        figure.subplots(1, 3, sharey=True),
        "ABC",
        ("linear", "forced", "dipole"),
        ("linear interface, linear field", "linear interface, dipole", "this interface, dipole"),
        strict=True,
    ):
        plane(axes, y_label=name == "linear")
        cells = cells_of(xy(where(tables["sites"], interface=name)))
        paint(axes, cells, blues(len(cells)))
        lines = polylines(where(tables["paths"], interface=name))[::_EVERY]
        add_lines(axes, lines, reds(len(lines)), 0.8)
        mark_target(axes, (0.0, 0.0), preset.radius_cm)
        if name != "linear":
            mark_obstacle(axes, preset)
        told = f"{100 * shares[name].mean():.0f} % of runs arrive"
        off = f"forces off by {100 * shares[f'{name}_error'].mean():.0f} %"
        axes.set_title(f"{title}:\n{told}, {off}", size=SMALL)
        letter_panel(axes, letter)
    refused = f"{shares['refused'].sum()} of {len(shares['refused'])} animals"
    figure.suptitle(
        f"The dipole has no inverse (found so in {refused}): a linear interface calibrated for it "
        "all the same",
        size=FONT,
    )
    return figure


FIGURE = Figure(__name__, "The earlier interface and this one", data, draw, pooled=("shares",))
