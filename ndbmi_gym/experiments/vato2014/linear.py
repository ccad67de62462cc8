"""The earlier linear interface beside this one: what the Introduction says, without a figure."""

from typing import NamedTuple

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
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    REFERENCE,
    Setting,
    make_loop,
    run_setting,
    starts_of,
)
from ndbmi_gym.experiments.protocol.runs import (
    Runs,
    run_protocol,
)
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
from ndbmi_gym.experiments.vato2014.linear_interface import (
    LinearInterface,
    LinearLoop,
    calibrate_linear,
    check_invertible,
)
from ndbmi_gym.fields import LinearField
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.presets import Preset
from ndbmi_gym.streams import animal_rng, experiment_rng

_EVERY = 10  # of the runs of a figure with one panel per interface, one per start is drawn


class BothInterfaces(NamedTuple):
    """The linear interface set against the non-linear one in one animal.

    Attributes
    ----------
    refused : bool
        Whether the linear interface refuses the preset's dipole.
    interface : LinearInterface
        Calibrated for a linear field.
    linear : Runs
        Of the linear interface on that field.
    loop : ClosedLoop
        The non-linear interface with the dipole.
    dipole : Runs
        Of the non-linear interface on the dipole.
    """

    refused: bool
    interface: LinearInterface
    linear: Runs
    loop: ClosedLoop
    dipole: Runs


def run_both(preset: Preset, animal: int, seed: int) -> BothInterfaces:
    """Set the linear interface against the non-linear one in one animal, on stimulus set 6.

    The linear field pulls, at the middle of the workspace's edges, with the preset's amplitude.
    """
    setting = Setting(REFERENCE, "dipole", DECODERS[0])
    loop = make_loop(preset, setting, animal)
    half_side_cm = loop.interface.half_side_cm
    try:
        check_invertible(loop.field, half_side_cm)
        refused = False
    except ValueError:
        refused = True
    stiffness = preset.amplitude / half_side_cm
    field = LinearField(((-stiffness, 0.0), (0.0, -stiffness)))
    interface = calibrate_linear(
        loop.cortex, field, animal_rng(animal), preset.repetitions, half_side_cm
    )
    starts = starts_of(animal, seed)
    linear = run_protocol(
        LinearLoop(loop.cortex, interface, loop.plant),
        experiment_rng(seed, animal, "linear"),
        starts,
        radius_cm=preset.radius_cm,
        stop=True,
    )
    dipole, _ = run_setting(preset, setting, animal, seed, starts)
    return BothInterfaces(refused, interface, linear, loop, dipole)


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Paths of both, on a linear field and on the dipole, and the shares that converge."""
    found = run_both(preset, animal, seed)
    paths: list[Table] = []
    sites: list[Table] = []
    for name, runs, places in (
        ("linear", found.linear, found.interface.sites),
        ("dipole", found.dipole, found.loop.interface.sites),
    ):
        paths.append({"interface": np.full(_size(runs), name), **_positions(runs)})
        sites.append(
            {"interface": np.full(len(places), name), "x": places[:, 0], "y": places[:, 1]}
        )
    shares = {
        "animal": animal,
        "refused": int(found.refused),
        "linear": found.linear.convergent.mean(),
        "dipole": found.dipole.convergent.mean(),
    }
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
    """Paths of the linear interface on a linear field, and of the non-linear one on the dipole.

    Parameters
    ----------
    tables : Tables
        ``paths`` and ``sites`` of one animal; ``shares`` of one animal or several.
    preset : Preset
    """
    shares = tables["shares"]
    figure = canvas(8.0, 4.6)
    for axes, letter, name, title in zip(
        figure.subplots(1, 2, sharey=True),
        "AB",
        ("linear", "dipole"),
        ("linear interface, linear field", "non-linear interface, dipole"),
        strict=True,
    ):
        plane(axes, y_label=name == "linear")
        cells = cells_of(xy(where(tables["sites"], interface=name)))
        paint(axes, cells, blues(len(cells)))
        lines = polylines(where(tables["paths"], interface=name))[::_EVERY]
        add_lines(axes, lines, reds(len(lines)), 0.8)
        mark_target(axes, (0.0, 0.0), preset.radius_cm)
        if name == "dipole":
            mark_obstacle(axes, preset)
        axes.set_title(f"{title}: {100 * shares[name].mean():.0f} % of runs arrive", size=SMALL)
        letter_panel(axes, letter)
    refused = f"{shares['refused'].sum()} of {len(shares['refused'])} animals"
    figure.suptitle(f"The linear interface refuses the dipole in {refused}", size=FONT)
    return figure


FIGURE = Figure(__name__, "The earlier interface and this one", data, draw, pooled=("shares",))
