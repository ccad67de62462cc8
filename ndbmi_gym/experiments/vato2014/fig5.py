"""Fig 5: what happens during one run."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, letter_panel
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    where,
)
from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    FIELDS,
    REFERENCE,
    Setting,
    conditions,
    make_loop,
    starts_of,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)
from ndbmi_gym.experiments.vato2014.drawing import (
    HALF,
    MULTIPLE,
    blues,
    cells_of,
    mark_target,
    paint,
    place_name,
    plane,
    xy,
)
from ndbmi_gym.presets import Preset
from ndbmi_gym.stimuli import StimulusSet, electrode_grid, stimulus_set
from ndbmi_gym.streams import Streams, experiment_rng

_MAX_STEPS = 50
_SNAPSHOTS = 6  # of Fig 5B


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Position, velocity, stimulus, counts, virtual point and force of one run, step by step."""
    loop = make_loop(preset, Setting(REFERENCE, FIELDS[0], DECODERS[0]), animal)
    stream = Streams.of(experiment_rng(seed, animal, "fig5"), 1)
    state = loop.plant.place(starts_of(animal, seed, 1, 1))
    rows, counts, activity = [], [], None
    for step in range(_MAX_STEPS):
        moved, signals = loop.step(state, None, stream, activity)
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


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Time courses of a run, recorded counts at some steps, and its path (Fig 5).

    Parameters
    ----------
    tables : Tables
        ``steps``, ``counts`` and ``sites``.
    preset : Preset
    """
    steps, counts = tables["steps"], tables["counts"]
    stimuli = stimulus_set(conditions(preset)[REFERENCE]["dataset"])
    recorded = np.unique(counts["step"])
    chosen = recorded[np.unique(np.linspace(0, len(recorded) - 1, _SNAPSHOTS).round().astype(int))]

    figure = canvas(14.0, 6.8)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(5, 9))[0]
    courses = left.subplots(5, 1, sharex=True)
    _draw_courses(courses, steps, stimuli, chosen)
    letter_panel(courses[0], "A")

    middle, path = right.subfigures(1, 2, squeeze=False, width_ratios=(3.6, 5))[0]
    _draw_snapshots(middle, counts, stimuli.grid_side, chosen)
    axes = path.subplots()
    plane(axes)
    paint(axes, cells_of(xy(tables["sites"])), blues(len(tables["sites"]["x"])))
    mark_target(axes, (0.0, 0.0), preset.radius_cm)
    x, y = steps["x"], steps["y"]
    axes.plot(x, y, "-o", color=MULTIPLE, ms=3, lw=1.3)
    marked = np.searchsorted(steps["step"], chosen)
    places = _places_beside(xy(steps), marked)
    for number, (at, place) in enumerate(zip(marked, places, strict=True), 1):
        _number(axes, (x[at], y[at]), place, number)
    axes.set_title("path over the sensory regions, target region dotted", size=FONT)
    letter_panel(axes, "C")
    return figure


def _draw_courses(
    panels: Iterable[Axes], steps: Table, stimuli: StimulusSet, chosen: npt.NDArray[Any]
) -> None:
    position, velocity, region, stimulus, force = panels
    step, colors = steps["step"], ("black", "#d55e00")
    for axes, names, label in (
        (position, ("x", "y"), "position (cm)"),
        (velocity, ("vx", "vy"), "velocity (cm/s)"),
        (force, ("fx", "fy"), "force\n(kg·cm/s²)"),
    ):
        for name, color in zip(names, colors, strict=True):
            drawstyle = "steps-post" if axes is force else "default"
            axes.plot(step, steps[name], ".-", color=color, ms=4, lw=1.1, drawstyle=drawstyle)
        pair = [Line2D([], [], color=color) for color in colors]
        axes.legend(pair, names, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=SMALL)
        axes.axhline(0, color="#bbbbbb", lw=0.6, zorder=0)
        axes.set_ylabel(label, size=FONT)
        axes.margins(y=0.25)
    given = steps["stimulus"] >= 0
    index = steps["stimulus"][given]
    region.step(step[given], index + 1, "k.-", where="post", ms=4, lw=1.1)
    region.set_ylabel("sensory\nregion", size=FONT)
    region.set_ylim(0, stimuli.n_stimuli + 1)

    ring = list(dict.fromkeys(sites for sites, _ in stimuli.patterns))
    image = np.full((len(ring), len(index)), np.nan)
    for column, s in enumerate(index):
        sites, height = stimuli.patterns[s]
        image[ring.index(sites), column] = height
    drawn = stimulus.pcolormesh(
        np.append(step[given], step[given][-1] + 1),
        np.arange(len(ring) + 1) + 0.5,
        image,
        cmap="Purples",
        vmin=0,
        vmax=stimuli.max_height,
    )
    stimulus.set_yticks(np.arange(1, len(ring) + 1), [place_name(sites) for sites in ring])
    stimulus.set_ylabel("stimulated\nelectrode", size=FONT)
    bar = stimulus.inset_axes((1.015, 0.0, 0.02, 1.0))
    figure = stimulus.figure
    figure.colorbar(drawn, cax=bar).set_label("intensity\n(spikes)", size=SMALL)
    bar.tick_params(labelsize=SMALL - 1)
    for axes in (position, velocity, region, stimulus, force):
        axes.tick_params(labelsize=SMALL)
        for at in chosen:
            axes.axvline(at, color="#2f6db5", lw=0.6, ls=":", zorder=0)
    for number, at in enumerate(chosen, 1):
        position.annotate(
            str(number),
            (at, 1),
            (0, 1),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            size=SMALL,
            color="#2f6db5",
        )
    force.set_xlabel("step", size=FONT)


def _draw_snapshots(part: SubFigure, counts: Table, side: int, chosen: npt.NDArray[Any]) -> None:
    """Heat maps of the counts of the chosen steps on the electrode grid."""
    panels = part.subplots(-(-_SNAPSHOTS // 2), 2)
    most = float(counts["count"].max())
    image = None
    for number, axes in enumerate(panels.flat, 1):
        if number > len(chosen):
            axes.set_axis_off()
            continue
        own = where(counts, step=chosen[number - 1])
        grid = np.zeros((side, side))
        i, j = electrode_grid(side).astype(int)[own["electrode"]].T
        grid[j, i] = own["count"]
        image = axes.imshow(grid, origin="lower", cmap="hot", vmin=0, vmax=most)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{number}: step {chosen[number - 1]}", size=FONT)
    assert image is not None, "a run has at least one step"
    bar = part.colorbar(image, ax=panels, location="bottom", shrink=0.8, pad=0.02)
    bar.set_label("recorded spikes", size=FONT)
    bar.ax.tick_params(labelsize=SMALL)
    letter_panel(panels.flat[0], "B")


def _places_beside(path: FloatArray, marked: npt.NDArray[Any]) -> list[FloatArray]:
    """Where to number points of a path: near them, off the path and off the other numbers, cm."""
    angles = np.arange(16) * 2 * np.pi / 16
    radii = np.repeat((1.2, 2.0, 3.0, 4.0), len(angles))
    offsets = radii[:, None] * np.tile(np.stack((np.cos(angles), np.sin(angles)), axis=1), (4, 1))
    places: list[FloatArray] = []
    for point in path[marked]:
        candidates = point + offsets
        cost = 0.2 * radii + 10 * (np.abs(candidates).max(axis=1) > 0.95 * HALF)
        for others, room in ((path, 0.8), (np.reshape(places, (-1, 2)), 1.4)):
            away = np.linalg.norm(candidates[:, None] - others, axis=-1).min(axis=1, initial=room)
            cost += 3 * (1 - away / room)
        places.append(candidates[cost.argmin()])
    return places


def _number(axes: Axes, point: tuple[float, float], place: FloatArray, number: int) -> None:
    axes.annotate(
        str(number),
        point,
        (float(place[0]), float(place[1])),
        size=FONT,
        weight="bold",
        ha="center",
        va="center",
        bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": "black", "lw": 0.8},
        arrowprops={"arrowstyle": "-", "lw": 0.8},
        zorder=5,
    )


FIGURE = Figure(__name__, "One run of the closed loop", data, draw, pooled=())
