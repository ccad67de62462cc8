"""What the target region's size decides: where runs stop in it, and how near they would come.

The text gives no radius, and a wide region is a weak test: a run may stop far from the centre. So
the runs that stop are followed on.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, letter_panel
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import Table, Tables, concatenate, labelled, where
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    FIELDS,
    REFERENCE,
    Setting,
    make_loop,
    starts_of,
)
from ndbmi_gym.experiments.protocol.runs import Runs, run_protocol
from ndbmi_gym.experiments.vato2014.drawing import FIELD_NAMES, MULTIPLE, SINGLE
from ndbmi_gym.presets import Preset
from ndbmi_gym.streams import experiment_rng

SMALL_CM = 1.0
"""Radius of a region that a run can enter only by coming to the centre."""

_COLORS = {"gaussian": SINGLE, "dipole": MULTIPLE}


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Where the reference's runs stop, and how near they come.

    Returns
    -------
    dict
        ``arrivals``, a row for each run of the protocol with set 6: its distance from the centre
        where it stops, the length of its path up to there (NaN where it does not enter), and the
        least distance within its 50 steps if it does not stop, cm.
    """
    starts = starts_of(animal, seed)
    arrivals = []
    for field in FIELDS:
        setting = Setting(REFERENCE, field, DECODERS[0])
        loop, rng = make_loop(preset, setting, animal), experiment_rng(seed, animal, *setting)
        runs = run_protocol(loop, rng, starts, radius_cm=preset.radius_cm)
        arrivals.append(labelled(_arrivals(runs), animal=animal, field=field))
    return {"arrivals": concatenate(arrivals)}


def _arrivals(runs: Runs) -> Table:
    """Columns by run; runs go on where the text's would stop."""
    each = np.arange(len(runs.entered))
    away = np.linalg.norm(runs.path, axis=-1)
    moved = np.linalg.norm(np.diff(runs.path, axis=0), axis=-1)
    gone = np.concatenate((np.zeros((1, len(each))), np.cumsum(moved, axis=0)))
    return {
        "run": each,
        "stopped_cm": np.where(runs.convergent, away[runs.entered, each], np.nan),
        "length_cm": np.where(runs.convergent, gone[runs.entered, each], np.nan),
        "least_cm": away[1:].min(axis=0),
    }


def remark(arrivals: Table, preset: Preset) -> str:
    """What the table says, in a sentence."""
    stop, path, near = ([] for _ in range(3))
    for field in FIELDS:
        own = where(arrivals, field=field)
        stop.append(f"{np.nanmean(own['stopped_cm']):.2f}")
        path.append(f"{np.nanmean(own['length_cm']):.2f}")
        near.append(f"{100 * np.mean(own['least_cm'] <= SMALL_CM):.1f} %")
    return (
        f"the target region has a radius of {preset.radius_cm:g} cm: in the Gaussian field and in "
        f"the dipole, runs with set 6 stop {' and '.join(stop)} cm from its centre after "
        f"{' and '.join(path)} cm of path (means); going on, {' and '.join(near)} of them come "
        f"within {SMALL_CM:g} cm of it."
    )


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Distances and lengths of path where runs stop, and how near they come.

    Parameters
    ----------
    tables : Tables
        ``arrivals``.
    preset : Preset
    """
    figure = canvas(10.0, 3.8)
    panels = figure.subplots(1, 3)
    columns = ("stopped_cm", "length_cm", "least_cm")
    labels = (
        "distance from the centre\nwhere a run stops (cm)",
        "length of its path\nup to there (cm)",
        "least distance\nif it goes on (cm)",
    )
    for axes, column, label, letter in zip(panels, columns, labels, "ABC", strict=True):
        _draw_shares(axes, tables["arrivals"], column)
        axes.set_xlabel(label, size=FONT)
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=5)
        letter_panel(axes, letter)
        axes.tick_params(labelsize=SMALL)
    panels[0].set_ylabel("share of runs up to here", size=FONT)
    for axes, radius_cm in ((panels[0], preset.radius_cm), (panels[2], SMALL_CM)):
        axes.axvline(radius_cm, color="black", ls=":", lw=1.2)
    panels[0].legend(loc="upper left", fontsize=SMALL)
    return figure


def _draw_shares(axes: Axes, arrivals: Table, column: str) -> None:
    for field in FIELDS:
        values = where(arrivals, field=field)[column]
        found = np.sort(values[np.isfinite(values)])
        share = np.arange(1, len(found) + 1) / len(values)
        axes.step(found, share, where="post", color=_COLORS[field], label=FIELD_NAMES[field])
    axes.set_ylim(0, 1.02)


FIGURE = Figure(__name__, "What the target region decides", data, draw, pooled=("arrivals",))
