"""Fig 4: calibration of the sensory interface with stimulus sets 1 to 4."""

from colorsys import hls_to_rgb
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, letter_panel
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    where,
)
from ndbmi_gym.experiments.protocol.geometry import (
    make_interface,
    map_geometry,
)
from ndbmi_gym.experiments.vato2014.drawing import (
    HALF,
    Colors,
    cells_of,
    paint,
    place_name,
    plane,
    xy,
)
from ndbmi_gym.presets import SET_5, Preset
from ndbmi_gym.stimuli import StimulusSet, electrode_grid, evoked_counts, stimulus_set

SETS = (1, 2, 3, 4)
ALL_SETS = (1, 2, 3, 4, 5, 6, 7)


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Evoked counts, MDS points, sites and geometry of sets 1-4; f factors of all sets.

    Those of set 5 in units of set 6's, in either reading of Table 1 (`ndbmi_gym.presets.SET_5`),
    are in the table ``set 5``.
    """
    names = ("evoked", "points", "sites", "shares", "set 5")
    parts: dict[str, list[Table]] = {name: [] for name in names}
    for number in ALL_SETS:
        interface = make_interface(preset, number, animal)
        geometry = map_geometry(interface, number)
        shares = {name: np.array([getattr(geometry, name)]) for name in geometry._fields[:-1]}
        shares |= {f"f_{axis}": geometry.f_factors[i : i + 1] for i, axis in enumerate("xy")}
        shares |= {"set": np.array([number]), "animal": np.array([animal])}
        parts["shares"].append(shares)
        if number not in SETS:
            continue
        evoked = evoked_counts(stimulus_set(number))
        stimulus, electrode = np.indices(evoked.shape).reshape(2, -1)
        parts["evoked"].append(
            {
                "set": np.full(evoked.size, number),
                "stimulus": stimulus,
                "electrode": electrode,
                "count": evoked.ravel(),
            }
        )
        for name, places in (("points", interface.points), ("sites", interface.sites)):
            parts[name].append(
                {
                    "set": np.full(len(places), number),
                    "stimulus": np.arange(len(places)) // (len(places) // interface.n_stimuli),
                    "x": places[:, 0],
                    "y": places[:, 1],
                }
            )
    reference = make_interface(preset, 6, animal).f_factors.mean()
    for reading in SET_5:
        factors = make_interface(replace(preset, set_5=reading), 5, animal).f_factors
        row = {"animal": animal, "reading": reading, "to set 6": factors.mean() / reference}
        parts["set 5"].append({name: np.array([value]) for name, value in row.items()})
    return {name: concatenate(tables) for name, tables in parts.items()}


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Evoked counts, MDS points and sensory regions of stimulus sets (Fig 4).

    Parameters
    ----------
    tables : Tables
        ``evoked``, ``points`` and ``sites``.
    preset : Preset
    """
    numbers = np.unique(tables["evoked"]["set"]).tolist()
    figure = canvas(13.0, 3.1 * len(numbers) + 0.3)
    panels = figure.subplots(len(numbers), 3, squeeze=False, width_ratios=(1.6, 1, 1))
    reach = 1.05 * float(np.abs(xy(tables["points"])).max())
    for row, (number, letter) in enumerate(zip(numbers, "ABCDEFG", strict=False)):
        stimuli = stimulus_set(number)
        colors = _stimulus_colors(stimuli)
        counts, points, sites = (
            where(tables[name], set=number) for name in ("evoked", "points", "sites")
        )
        evoked, mapped, regions = panels[row]
        _draw_evoked(evoked, stimuli, counts, colors)
        letter_panel(evoked, letter)
        last = row == len(numbers) - 1
        for axes, half in ((mapped, max(HALF, reach)), (regions, HALF)):
            plane(axes, half, x_label=last)
        square = Rectangle((-HALF, -HALF), 2 * HALF, 2 * HALF, fill=False, ec="#999999", ls="--")
        mapped.add_patch(square)
        mapped.scatter(*xy(points).T, s=9, c=colors[points["stimulus"]], lw=0)
        paint(regions, cells_of(xy(sites)), colors[sites["stimulus"]])
        regions.plot(*xy(sites).T, "o", ms=4, mfc="white", mec="black", mew=0.8)
        if row == 0:
            for axes, title in zip(
                (mapped, regions), ("MDS points", "sensory regions and their sites"), strict=True
            ):
                axes.set_title(title, size=FONT + 1)
    return figure


def _stimulus_colors(stimuli: StimulusSet) -> Colors:
    """A colour for each stimulus: hue for the place, darker for the stronger, (S, 3)."""
    layout = stimuli.layout()
    hues = np.arctan2(layout[:, 1], layout[:, 0]) / (2 * np.pi) % 1.0
    heights = np.array([height for _, height in stimuli.patterns])
    weakest, span = heights.min(), np.ptp(heights)
    strengths = (heights - weakest) / span if span else np.full(len(heights), 0.6)
    return np.array(
        [hls_to_rgb(h, 0.76 - 0.42 * s, 0.85) for h, s in zip(hues, strengths, strict=True)]
    )


def _draw_evoked(axes: Axes, stimuli: StimulusSet, counts: Table, colors: Colors) -> None:
    """A tile for each stimulus: a column for each place, a row for each intensity."""
    places = list(dict.fromkeys(sites for sites, _ in stimuli.patterns))
    heights = sorted({height for _, height in stimuli.patterns})
    side, pitch = stimuli.grid_side, stimuli.grid_side + 0.5
    most = float(counts["count"].max())
    grid = electrode_grid(side).astype(int)
    for s, (sites, height) in enumerate(stimuli.patterns):
        own = where(counts, stimulus=s)
        image = np.ones((side, side, 3))
        share = (own["count"] / most)[:, None]
        i, j = grid[own["electrode"]].T
        image[j, i] = 1 - share * (1 - colors[s])  # white is silent
        x, y = pitch * places.index(sites), pitch * heights.index(height)
        extent = (x, x + side, y, y + side)
        axes.imshow(image, extent=extent, origin="lower", interpolation="nearest")
        axes.add_patch(Rectangle((x, y), side, side, fill=False, ec="#777777", lw=0.6))
    centre = side / 2
    names = [place_name(sites) for sites in places]
    axes.set_xticks(pitch * np.arange(len(places)) + centre, names, size=SMALL)
    axes.set_yticks(
        pitch * np.arange(len(heights)) + centre, [f"{h:g}" for h in heights], size=SMALL
    )
    axes.set(
        xlim=(-0.4, pitch * len(places) - 0.1), ylim=(-0.4, pitch * len(heights) - 0.1), aspect=1
    )
    axes.set_xlabel("stimulated electrode", size=FONT)
    axes.set_ylabel("peak\nspikes", size=FONT)
    axes.set_title(
        f"set {stimuli.number}: evoked counts, from 0 (white) to {most:.3g} spikes/trial",
        loc="left",
        size=FONT + 1,
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


FIGURE = Figure(
    __name__, "Calibration of the sensory interface", data, draw, pooled=("shares", "set 5")
)
