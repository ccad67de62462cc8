"""Figs 6 to 11: paths over regions for each condition, and bars of wtpe against a reference."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ndbmi_gym.experiments.conditions import (
    DECODERS,
    FIELDS,
    REFERENCE,
    Setting,
    make_loop,
    run_setting,
    starts_of,
)
from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.protocol import FloatArray, Runs, wtpe
from ndbmi_gym.experiments.records import Table, Tables, concatenate
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

N_STARTS, REPETITIONS = 24, 10

Letters = tuple[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Comparison:
    """Conditions side by side.

    Attributes
    ----------
    conditions : tuple of str
        Names of `ndbmi_gym.experiments.conditions.conditions`, in the text's order.
    labels : tuple of str
        Tick labels.
    axis : str
        What varies.
    letters : tuple
        Of the text's panels, for either field: those of the paths, and that of the chart.
    reference : str
        The condition that the others are tested against.
    """

    conditions: tuple[str, ...]
    labels: tuple[str, ...]
    axis: str
    letters: Letters = (("A", "B"), ("C", "D"))
    reference: str = REFERENCE

    def data(self, preset: Preset, animal: int, seed: int) -> Tables:
        """Runs of every condition, field and decoder; paths with the first decoder."""
        starts = starts_of(animal, seed, N_STARTS, REPETITIONS)
        parts: dict[str, list[Table]] = {"runs": [], "paths": [], "ideal": [], "sites": []}
        for condition in self.conditions:
            for field in FIELDS:
                for decoder in DECODERS:
                    setting = Setting(condition, field, decoder)
                    runs, ideal = run_setting(preset, setting, animal, seed, starts)
                    parts["runs"].append(_runs(setting, animal, runs, wtpe(runs, ideal)))
                    if decoder == DECODERS[0]:
                        parts["paths"].append(_paths(setting, runs))
                        if condition == self.conditions[0]:
                            single = slice(None, None, REPETITIONS)
                            chosen = Runs(ideal.path[:, single], ideal.entered[single])
                            parts["ideal"].append(_paths(setting, chosen))
            sites = make_loop(preset, setting, animal).interface.sites
            parts["sites"].append(_sites(condition, sites))
        return {name: concatenate(tables) for name, tables in parts.items()}

    def draw(self, tables: Tables, preset: Preset) -> "Canvas":
        """A row of paths and a bar chart for each field."""
        from ndbmi_gym.experiments.figures.drawing import draw_comparison

        return draw_comparison(self, tables, preset)


def comparison(
    name: str,
    title: str,
    conditions: tuple[str, ...],
    labels: tuple[str, ...],
    axis: str,
    letters: Letters = (("A", "B"), ("C", "D")),
    reference: str = REFERENCE,
) -> Figure:
    """A figure that compares conditions."""
    made = Comparison(conditions, labels, axis, letters, reference)
    return Figure(name, title, made.data, made.draw)


def _runs(setting: Setting, animal: int, runs: Runs, error: FloatArray) -> Table:
    size = len(error)
    return {
        **_labels(setting, size),
        "decoder": np.full(size, setting.decoder),
        "animal": np.full(size, animal),
        "start": np.arange(size) // REPETITIONS,
        "repetition": np.arange(size) % REPETITIONS,
        "steps": runs.entered,
        "wtpe": error,
    }


def _paths(setting: Setting, runs: Runs) -> Table:
    """Positions up to arrival, a row each."""
    last = np.where(runs.convergent, runs.entered, len(runs.path) - 1)
    step, run = np.nonzero(np.arange(len(runs.path))[:, None] <= last)
    order = np.lexsort((step, run))
    step, run = step[order], run[order]
    x, y = runs.path[step, run].T
    return {**_labels(setting, len(step)), "run": run, "step": step, "x": x, "y": y}


def _labels(setting: Setting, size: int) -> Table:
    return {
        "condition": np.full(size, setting.condition),
        "field": np.full(size, setting.field),
    }


def _sites(condition: str, sites: FloatArray) -> Table:
    size = len(sites)
    return {
        "condition": np.full(size, condition),
        "stimulus": np.arange(size),
        "x": sites[:, 0],
        "y": sites[:, 1],
    }
