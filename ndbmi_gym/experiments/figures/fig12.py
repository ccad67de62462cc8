"""Fig 12: volition towards four targets, without and with a curl field (Eqs 23-25)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.records import Table, Tables, concatenate
from ndbmi_gym.experiments.volition import N_TARGETS, run_volition
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def data(
    preset: Preset,
    animal: int,
    seed: int,
    options: Mapping[str, Any] = MappingProxyType({}),
    low: float = 0.0,
) -> Tables:
    """Paths to every target, and where they settle.

    Parameters
    ----------
    preset : Preset
    animal, seed : int
    options : mapping
        Of `ndbmi_gym.config.Config`, on top of the preset.
    low : float
        Least volition in units of full volition, 0 or −1.
    """
    parts: dict[str, list[Table]] = {"paths": [], "shares": []}
    for curl in (0.0, preset.curl):
        volition = run_volition(preset, animal, seed, curl, options, low)
        parts["shares"].append(
            {
                "animal": np.full(N_TARGETS, animal),
                "curl": np.full(N_TARGETS, curl),
                "target": np.arange(N_TARGETS),
                "target_x": volition.targets[:, 0],
                "target_y": volition.targets[:, 1],
                "arrived": volition.arrived,
                "settled_x": volition.settled[:, 0],
                "settled_y": volition.settled[:, 1],
                "shifted": volition.shifted.astype(int),
                "turn": volition.turns,
            }
        )
        for target, runs in enumerate(volition.runs):
            step, run = np.indices(runs.path.shape[:2]).reshape(2, -1)
            parts["paths"].append(
                {
                    "curl": np.full(run.size, curl),
                    "target": np.full(run.size, target),
                    "run": run,
                    "step": step,
                    "x": runs.path[..., 0].ravel(),
                    "y": runs.path[..., 1].ravel(),
                }
            )
    sites = volition.loop.interface.sites
    tables = {name: concatenate(tables) for name, tables in parts.items()}
    tables["sites"] = {"stimulus": np.arange(len(sites)), "x": sites[:, 0], "y": sites[:, 1]}
    return tables


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """A row without and a row with the curl field, a panel for each target."""
    from ndbmi_gym.experiments.figures.drawing import draw_volition

    return draw_volition(tables, preset)


FIGURE = Figure("fig12", "Volitional shift of the equilibrium", data, draw, pooled=("shares",))
