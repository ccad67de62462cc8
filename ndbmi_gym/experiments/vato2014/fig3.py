"""Fig 3: mean counts that single electrodes and pairs of them evoke, and one response to each."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke

from ndbmi_gym.cortex.topographic import topographic_cortex
from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, letter_panel
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import Table, Tables, concatenate, labelled, where
from ndbmi_gym.experiments.protocol.runs import FloatArray
from ndbmi_gym.experiments.vato2014.drawing import place_name
from ndbmi_gym.presets import Preset
from ndbmi_gym.stimuli import StimulusSet, electrode_grid, evoked_counts, perimeter, stimulus_set
from ndbmi_gym.streams import Streams, experiment_rng

SET = 6
"""The stimulus set whose grid, spread and intensities the text's figure has."""

KINDS = ("single", "pair")
_NAMES = {"single": "single electrodes", "pair": "pairs of neighbours"}
_MARK: dict[str, Any] = {
    "color": "black",
    "ms": 5,
    "mew": 1.4,
    # counts lie on shades from dark blue to yellow
    "path_effects": [withStroke(linewidth=3.0, foreground="white")],
}


def singles_and_pairs() -> tuple[StimulusSet, StimulusSet]:
    """The electrodes of set 6 one by one, as it has them, and in neighbouring pairs."""
    singles = stimulus_set(SET)
    ring = perimeter(singles.grid_side)
    neighbours: dict[tuple[int, ...], tuple[int, ...]]
    neighbours = {(site,): (site, ring[(i + 1) % len(ring)]) for i, site in enumerate(ring)}
    pairs = tuple((neighbours[places], height) for places, height in singles.patterns)
    return singles, replace(singles, patterns=pairs)


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Mean counts by stimulus (Eq 17), and the spikes of one response to the strongest."""
    evoked: list[Table] = []
    spikes: list[Table] = []
    for kind, stimuli in zip(KINDS, singles_and_pairs(), strict=True):
        counts = evoked_counts(stimuli)
        stimulus, electrode = np.indices(counts.shape).reshape(2, -1)
        columns = {"stimulus": stimulus, "electrode": electrode, "count": counts.ravel()}
        evoked.append(labelled(columns, kind=kind))
        cortex = topographic_cortex(stimuli, preset.window_s)
        source = Streams.of(experiment_rng(seed, animal, "fig3", kind), 1)
        trains = cortex.respond(np.array([_shown(stimuli)]), None, source).trains
        electrode, tick = np.divmod(np.sort(trains.rows), trains.n_bins)
        columns = {"electrode": electrode, "time_s": tick * cortex.clock_s}
        spikes.append(labelled(columns, kind=kind))
    return {"evoked": concatenate(evoked), "spikes": concatenate(spikes)}


def _shown(stimuli: StimulusSet) -> int:
    """The stimulus whose response is shown: the first of those of the highest intensity."""
    heights = [height for _, height in stimuli.patterns]
    return heights.index(stimuli.max_height)


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Mean counts over the recording electrodes, and one response beside (Fig 3).

    Parameters
    ----------
    tables : Tables
        ``evoked`` and ``spikes``.
    preset : Preset
    """
    figure = canvas(13.0, 8.0)
    panels = figure.subplots(2, 2, width_ratios=(2.0, 1.0))
    most = float(tables["evoked"]["count"].max())
    for row, kind, stimuli, letters in zip(
        panels, KINDS, singles_and_pairs(), ("AC", "BD"), strict=True
    ):
        maps, response = row
        counts = where(tables["evoked"], kind=kind)
        image = _draw_maps(maps, stimuli, counts, most)
        maps.set_title(f"{_NAMES[kind]}: mean counts", size=FONT + 1)
        mean = where(counts, stimulus=_shown(stimuli))["count"]
        _draw_response(response, where(tables["spikes"], kind=kind), mean, preset.window_s)
        places, height = stimuli.patterns[_shown(stimuli)]
        response.set_title(
            f"one response to electrode {place_name(places)}, peak {height:g} spikes", size=FONT + 1
        )
        for axes, letter in zip(row, letters, strict=True):
            letter_panel(axes, letter, left=30)
    bar = figure.colorbar(image, ax=panels[:, 0], shrink=0.6, pad=0.02)
    bar.set_label("mean count (spikes/trial)", size=FONT)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def _draw_maps(axes: Axes, stimuli: StimulusSet, counts: Table, most: float) -> AxesImage:
    """A tile for each stimulus: a column for each place, a row for each intensity."""
    places = list(dict.fromkeys(sites for sites, _ in stimuli.patterns))
    heights = sorted({height for _, height in stimuli.patterns})
    side, pitch = stimuli.grid_side, stimuli.grid_side + 0.5
    grid = electrode_grid(side).astype(int)
    for s, (sites, height) in enumerate(stimuli.patterns):
        own = where(counts, stimulus=s)
        tile = np.empty((side, side))
        i, j = grid[own["electrode"]].T
        tile[j, i] = own["count"]
        x, y = pitch * places.index(sites), pitch * heights.index(height)
        image = axes.imshow(
            tile,
            extent=(x, x + side, y, y + side),
            origin="lower",
            interpolation="nearest",
            vmin=0,
            vmax=most,
            cmap="viridis",
        )
        marks = grid[list(sites)] + 0.5
        axes.plot(x + marks[:, 0], y + marks[:, 1], "x", **_MARK)
    axes.set(xlim=(-0.2, pitch * len(places) - 0.3), ylim=(-0.2, pitch * len(heights) - 0.3))
    axes.set_aspect("equal")
    centre = side / 2
    axes.set_xticks(pitch * np.arange(len(places)) + centre, map(place_name, places), size=SMALL)
    axes.set_yticks(
        pitch * np.arange(len(heights)) + centre, [f"{h:g}" for h in heights], size=SMALL
    )
    axes.set_xlabel("stimulated electrodes (x)", size=FONT)
    axes.set_ylabel("peak spikes of each", size=FONT)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _draw_response(axes: Axes, spikes: Table, mean: FloatArray, window_s: float) -> None:
    """Spikes of every electrode, and how many there are beside how many are expected."""
    electrodes = np.arange(len(mean))
    times = [1e3 * where(spikes, electrode=e)["time_s"] for e in electrodes]
    axes.eventplot(
        times, lineoffsets=electrodes.tolist(), linelengths=0.7, linewidths=0.8, colors="black"
    )
    axes.set(xlim=(0, 1e3 * window_s), ylim=(-0.6, len(mean) - 0.4))
    axes.set_xlabel("time after stimulation (ms)", size=FONT)
    axes.set_ylabel("recording electrode", size=FONT)
    axes.set_yticks(electrodes, [f"{e + 1}" for e in electrodes])
    axes.tick_params(labelsize=SMALL)
    beside = axes.secondary_yaxis("right")
    labels = [f"{len(t)} ({m:.1f})" for t, m in zip(times, mean, strict=True)]
    beside.set_yticks(electrodes, labels, size=SMALL)
    beside.set_ylabel("spikes (mean)", size=FONT)


FIGURE = Figure(__name__, "Responses that stimulation evokes", data, draw, pooled=())
