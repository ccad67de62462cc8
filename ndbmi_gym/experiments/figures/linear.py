"""The earlier linear interface beside this one: what the Introduction says, without a figure."""

from typing import TYPE_CHECKING

import numpy as np

from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.linear import compare
from ndbmi_gym.experiments.protocol import Runs
from ndbmi_gym.experiments.records import Table, Tables, concatenate
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Paths of both, on a linear field and on the dipole, and the shares that converge."""
    found = compare(preset, animal, seed)
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


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """The linear interface on a linear field, the non-linear one on the dipole."""
    from ndbmi_gym.experiments.figures.drawing import draw_interfaces

    return draw_interfaces(tables, preset)


FIGURE = Figure("linear", "The earlier interface and this one", data, draw, pooled=("shares",))


def _size(runs: Runs) -> int:
    return runs.path.shape[0] * runs.path.shape[1]


def _positions(runs: Runs) -> Table:
    step, run = np.indices(runs.path.shape[:2]).reshape(2, -1)
    x, y = runs.path.reshape(-1, 2).T
    return {"run": run, "step": step, "x": x, "y": y}
