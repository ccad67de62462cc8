"""The text's figures, drawn from saved tables and laid out as there, so that the two compare.

Nothing here runs the loop, and nothing is global: figures are made without pyplot.
"""

from collections.abc import Iterable, Sequence
from colorsys import hls_to_rgb
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from ndbmi_gym.envs.rendering import voronoi_cells
from ndbmi_gym.experiments.conditions import DECODERS, FIELDS, REFERENCE, conditions
from ndbmi_gym.experiments.figures.comparison import Comparison
from ndbmi_gym.experiments.records import Table, Tables, where
from ndbmi_gym.experiments.statistics import LEVEL, Interval, mean_interval, tukey
from ndbmi_gym.presets import HALF_SIDE_CM, Preset
from ndbmi_gym.stimuli import StimulusSet, electrode_grid, stimulus_set

FloatArray = npt.NDArray[np.float64]
Colors = npt.NDArray[np.float64]

_HALF = HALF_SIDE_CM
_FONT, _SMALL, _LETTER = 9.0, 8.0, 14.0  # pt

_BLUES = LinearSegmentedColormap.from_list("regions", ("#b3d0ee", "#4a86c5"))
_REDS = LinearSegmentedColormap.from_list("paths", ("#ff8c7a", "#8f0010"))
_SINGLE, _MULTIPLE = "#2f6db5", "#c8202a"
_DOTTED: dict[str, Any] = {
    "color": "white",
    "ls": ":",
    "lw": 1.6,
    # the dots lie on shades from light blue to black lines
    "path_effects": [withStroke(linewidth=2.8, foreground="#1b2733")],
}
_CROSS: dict[str, Any] = {"marker": "X", "ms": 8, "mfc": "#ffb000", "mec": "black"}
_YELLOW: dict[str, Any] = {"marker": "o", "ms": 7, "mfc": "#ffe600", "mec": "black", "mew": 0.8}
_BAR_COLORS = {"single-point": _SINGLE, "multiple-points": _MULTIPLE}
_BAR_NAMES = {"single-point": "Single-point", "multiple-points": "Multiple-points"}
_FIELD_NAMES = {"gaussian": "Gaussian force field", "dipole": "Dipole force field"}

_DRAWN = 2  # repetitions of each start whose paths are drawn: more would hide the regions
_MENTIONED = 0.01  # share of runs without convergence from which on it is written
_SNAPSHOTS = 6  # of Fig 5B


class Bar(NamedTuple):
    """The wtpe of one condition, field and decoder.

    Attributes
    ----------
    mean : float
        cm; NaN where no run converged.
    low, high : float
        Ends of the error bar: standard error over the runs of one animal, or 95 % interval of the
        mean over several; NaN without two values.
    starred : bool
        Whether the text's test finds a difference from the reference, in most animals.
    lost : float
        Share of runs that did not converge.
    """

    mean: float
    low: float
    high: float
    starred: bool
    lost: float


def bars(comparison: Comparison, runs: Table, field: str, decoder: str) -> list[Bar]:
    """Mean wtpe of every condition, with error bars and tests."""
    runs = where(runs, field=field, decoder=decoder)
    animals = np.unique(runs["animal"])
    groups = [
        [where(own, condition=c)["wtpe"].astype(float) for c in comparison.conditions]
        for own in (where(runs, animal=animal) for animal in animals)
    ]
    reference = comparison.conditions.index(comparison.reference)
    made = []
    for i in range(len(comparison.conditions)):
        own = [group[i] for group in groups]
        tests = [tukey(group, i, reference) for group in groups] if i != reference else []
        hits = [t is not None and (t.rises or t.falls) for t in tests]
        lost = float(np.mean(~np.isfinite(np.concatenate(own))))
        made.append(Bar(*_interval(own), sum(hits) > len(animals) / 2, lost))
    return made


def _interval(animals: Sequence[FloatArray]) -> Interval:
    """Mean of the animals' means with its error bar, which is NaN where there is none."""
    finite = [errors[np.isfinite(errors)] for errors in animals]
    means = [errors.mean() for errors in finite if errors.size]
    mean = float(np.mean(means)) if means else np.nan
    if len(animals) > 1:
        return Interval(mean, *mean_interval(means)[1:])
    size = finite[0].size
    half = float(finite[0].std(ddof=1)) / np.sqrt(size) if size > 1 else np.nan
    return Interval(mean, mean - half, mean + half)


def draw_comparison(comparison: Comparison, tables: Tables, preset: Preset) -> Figure:
    """Paths of every condition over the sensory regions, and bars of wtpe (Figs 6 to 11).

    Parameters
    ----------
    comparison : Comparison
    tables : Tables
        ``runs``, of one animal or several; ``paths``, ``ideal`` and ``sites`` of one.
    preset : Preset
    """
    n = len(comparison.conditions)
    side = min(2.7, 11.0 / n)
    chart = max(3.4, 0.62 * n + 0.6)
    figure = _figure(n * side + 0.7 + chart, 2 * side + 1.6)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(n * side + 0.7, chart))[0]
    left.suptitle(comparison.axis, size=_FONT + 1)
    panels = left.subplots(len(FIELDS), n, squeeze=False, sharex=True, sharey=True)
    charts = right.subplots(len(FIELDS), 1, squeeze=False)[:, 0]

    sites = {c: _xy(where(tables["sites"], condition=c)) for c in comparison.conditions}
    cells = {c: voronoi_cells(places, _HALF) for c, places in sites.items()}
    repetitions = int(tables["runs"]["repetition"].max()) + 1
    for row, field in enumerate(FIELDS):
        ideal = _polylines(where(tables["ideal"], field=field))
        for column, condition in enumerate(comparison.conditions):
            axes = panels[row, column]
            _plane(axes, x_label=row == len(FIELDS) - 1, y_label=column == 0)
            _paint(axes, cells[condition], _blues(len(cells[condition])))
            paths = where(tables["paths"], field=field, condition=condition)
            paths = {name: v[paths["run"] % repetitions < _DRAWN] for name, v in paths.items()}
            lines = _polylines(paths)
            _add_lines(axes, ideal, "black", 0.35 * side)
            _add_lines(axes, lines, _reds(len(lines)), 0.24 * side)
            _mark_target(axes, (0.0, 0.0), preset.radius_cm)
            if field == "dipole":
                _mark_obstacle(axes, preset)
            if row == 0:
                axes.set_title(comparison.labels[column], size=_FONT)
        for axes, letter in zip(panels[row], comparison.letters[row][0], strict=False):
            _letter(axes, letter)
        panels[row, 0].set_ylabel(f"{_FIELD_NAMES[field]}\ny (cm)", size=_FONT)
        _letter(charts[row], comparison.letters[row][1])
        _draw_bars(charts[row], comparison, tables["runs"], field, 72 * 0.85 * side)
    _explain(figure, comparison, tables["runs"])
    return figure


def _draw_bars(
    axes: Axes, comparison: Comparison, runs: Table, field: str, height_pt: float
) -> None:
    """Bars side by side, with what stands above them; the axes are about `height_pt` high."""
    width, top = 0.38, 0.1
    for side, decoder in zip((-0.5, 0.5), reversed(DECODERS), strict=True):
        for i, bar in enumerate(bars(comparison, runs, field, decoder)):
            x, mean = i + side * width, np.nan_to_num(bar.mean)
            axes.bar(x, mean, width, color=_BAR_COLORS[decoder], lw=0)
            y, above = mean, 2.0
            if np.isfinite(bar.high):
                axes.vlines(x, bar.low, bar.high, color="black", lw=1)
                y = bar.high
            if bar.lost > _MENTIONED:
                _note(axes, x, y, above, f"{100 * bar.lost:.0f} %", _SMALL - 1, rotation=90)
                above += 25
            if bar.starred:
                _note(axes, x, y, above - 4, "*", _LETTER)
                above += 10
            top = max(top, y / (1 - above / height_pt))
    axes.set_ylim(0, 1.03 * top)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xticks(range(len(comparison.labels)), comparison.labels)
    axes.set_xlabel(comparison.axis, size=_FONT)
    axes.set_ylabel("mean wtpe (cm)", size=_FONT)
    axes.tick_params(labelsize=_SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def _note(
    axes: Axes, x: float, y: float, above: float, text: str, size: float, rotation: float = 0.0
) -> None:
    axes.annotate(
        text,
        (x, y),
        (0, above),
        textcoords="offset points",
        size=size,
        rotation=rotation,
        ha="center",
        va="bottom",
    )


def _explain(figure: Figure, comparison: Comparison, runs: Table) -> None:
    """The legend of a comparison, below it."""
    animals = len(np.unique(runs["animal"]))
    error = "standard error over runs"
    if animals > 1:
        error = f"95 % interval over {animals} animals"
    reference = comparison.labels[comparison.conditions.index(comparison.reference)]
    most = " in most animals" if animals > 1 else ""
    handles = [
        *_path_handles(),
        _obstacle_handle(),
        *(Patch(color=_BAR_COLORS[d], label=_BAR_NAMES[d]) for d in reversed(DECODERS)),
        Line2D([], [], ls="", marker="|", ms=10, color="black", label=error),
        _text_handle(f"*  p < {LEVEL:g} against {' '.join(reference.split())} (Tukey){most}"),
        _text_handle("n %  of the runs did not converge"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=_SMALL)


def _path_handles() -> list[Artist]:
    return [
        Patch(color=_BLUES(0.5), label="sensory regions"),
        _target_handle(),
        Line2D([], [], color="black", lw=1.2, label="ideal paths"),
        Line2D([], [], color=_REDS(0.6), lw=1.5, label="actual paths (Multiple-points)"),
    ]


def _target_handle() -> Artist:
    return Line2D([], [], **_DOTTED, label="target region")


def _obstacle_handle() -> Artist:
    return Line2D([], [], ls="", label="obstacle", **_CROSS)


def _text_handle(text: str) -> Artist:
    return Line2D([], [], ls="", label=text)


def draw_fields(tables: Tables, preset: Preset) -> Figure:
    """Arrows of both desired fields over their potential (Fig 2).

    Parameters
    ----------
    tables : Tables
        ``forces``, on a square grid.
    preset : Preset
    """
    figure = _figure(13.0, 5.6)
    panels = figure.subplots(1, len(FIELDS))
    strongest = float(np.hypot(tables["forces"]["fx"], tables["forces"]["fy"]).max())
    for axes, field, letter in zip(panels, FIELDS, "AB", strict=True):
        grid = where(tables["forces"], field=field)
        side = round(np.sqrt(len(grid["x"])))
        x, y, fx, fy, potential = (
            grid[name].reshape(side, side) for name in ("x", "y", "fx", "fy", "potential")
        )
        _plane(axes)
        image = axes.pcolormesh(x, y, potential, cmap="viridis", shading="gouraud", rasterized=True)
        axes.contour(x, y, potential, 12, colors="white", linewidths=0.4, alpha=0.5)
        bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
        bar.set_label("potential (kg·cm²/s²)", size=_FONT)
        bar.ax.tick_params(labelsize=_SMALL)
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
        _mark_target(axes, (0.0, 0.0), preset.radius_cm)
        if field == "dipole":
            _mark_obstacle(axes, preset)
        axes.set_title(_FIELD_NAMES[field], size=_FONT + 1)
        _letter(axes, letter)
    handles = [_target_handle(), _obstacle_handle()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=_SMALL)
    return figure


def draw_maps(tables: Tables, preset: Preset) -> Figure:
    """Evoked counts, MDS points and sensory regions of stimulus sets (Fig 4).

    Parameters
    ----------
    tables : Tables
        ``evoked``, ``points`` and ``sites``.
    preset : Preset
    """
    numbers = np.unique(tables["evoked"]["set"]).tolist()
    figure = _figure(13.0, 3.1 * len(numbers) + 0.3)
    panels = figure.subplots(len(numbers), 3, squeeze=False, width_ratios=(1.6, 1, 1))
    reach = 1.05 * float(np.abs(_xy(tables["points"])).max())
    for row, (number, letter) in enumerate(zip(numbers, "ABCDEFG", strict=False)):
        stimuli = stimulus_set(number)
        colors = _stimulus_colors(stimuli)
        counts, points, sites = (
            where(tables[name], set=number) for name in ("evoked", "points", "sites")
        )
        evoked, mapped, regions = panels[row]
        _draw_evoked(evoked, stimuli, counts, colors)
        _letter(evoked, letter)
        last = row == len(numbers) - 1
        for axes, half in ((mapped, max(_HALF, reach)), (regions, _HALF)):
            _plane(axes, half, x_label=last)
        square = Rectangle(
            (-_HALF, -_HALF), 2 * _HALF, 2 * _HALF, fill=False, ec="#999999", ls="--"
        )
        mapped.add_patch(square)
        mapped.scatter(*_xy(points).T, s=9, c=colors[points["stimulus"]], lw=0)
        _paint(regions, voronoi_cells(_xy(sites), _HALF), colors[sites["stimulus"]])
        regions.plot(*_xy(sites).T, "o", ms=4, mfc="white", mec="black", mew=0.8)
        if row == 0:
            for axes, title in zip(
                (mapped, regions), ("MDS points", "sensory regions and their sites"), strict=True
            ):
                axes.set_title(title, size=_FONT + 1)
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
    names = [_place_name(sites) for sites in places]
    axes.set_xticks(pitch * np.arange(len(places)) + centre, names, size=_SMALL)
    axes.set_yticks(
        pitch * np.arange(len(heights)) + centre, [f"{h:g}" for h in heights], size=_SMALL
    )
    axes.set(
        xlim=(-0.4, pitch * len(places) - 0.1), ylim=(-0.4, pitch * len(heights) - 0.1), aspect=1
    )
    axes.set_xlabel("stimulated electrode", size=_FONT)
    axes.set_ylabel("peak\nspikes", size=_FONT)
    axes.set_title(
        f"set {stimuli.number}: evoked counts, from 0 (white) to {most:.3g} spikes/trial",
        loc="left",
        size=_FONT + 1,
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _place_name(sites: tuple[int, ...]) -> str:
    return "+".join(str(site + 1) for site in sites)


def draw_run(tables: Tables, preset: Preset) -> Figure:
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

    figure = _figure(14.0, 6.8)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(5, 9))[0]
    courses = left.subplots(5, 1, sharex=True)
    _draw_courses(courses, steps, stimuli, chosen)
    _letter(courses[0], "A")

    middle, path = right.subfigures(1, 2, squeeze=False, width_ratios=(3.6, 5))[0]
    _draw_snapshots(middle, counts, stimuli.grid_side, chosen)
    axes = path.subplots()
    _plane(axes)
    _paint(axes, voronoi_cells(_xy(tables["sites"]), _HALF), _blues(len(tables["sites"]["x"])))
    _mark_target(axes, (0.0, 0.0), preset.radius_cm)
    x, y = steps["x"], steps["y"]
    axes.plot(x, y, "-o", color=_MULTIPLE, ms=3, lw=1.3)
    marked = np.searchsorted(steps["step"], chosen)
    places = _places_beside(_xy(steps), marked)
    for number, (at, place) in enumerate(zip(marked, places, strict=True), 1):
        _number(axes, (x[at], y[at]), place, number)
    axes.set_title("path over the sensory regions, target region dotted", size=_FONT)
    _letter(axes, "C")
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
        axes.legend(pair, names, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=_SMALL)
        axes.axhline(0, color="#bbbbbb", lw=0.6, zorder=0)
        axes.set_ylabel(label, size=_FONT)
        axes.margins(y=0.25)
    given = steps["stimulus"] >= 0
    index = steps["stimulus"][given]
    region.step(step[given], index + 1, "k.-", where="post", ms=4, lw=1.1)
    region.set_ylabel("sensory\nregion", size=_FONT)
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
    stimulus.set_yticks(np.arange(1, len(ring) + 1), [_place_name(sites) for sites in ring])
    stimulus.set_ylabel("stimulated\nelectrode", size=_FONT)
    bar = stimulus.inset_axes((1.015, 0.0, 0.02, 1.0))
    figure = stimulus.figure
    figure.colorbar(drawn, cax=bar).set_label("intensity\n(spikes)", size=_SMALL)
    bar.tick_params(labelsize=_SMALL - 1)
    for axes in (position, velocity, region, stimulus, force):
        axes.tick_params(labelsize=_SMALL)
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
            size=_SMALL,
            color="#2f6db5",
        )
    force.set_xlabel("step", size=_FONT)


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
        axes.set_title(f"{number}: step {chosen[number - 1]}", size=_FONT)
    assert image is not None, "a run has at least one step"
    bar = part.colorbar(image, ax=panels, location="bottom", shrink=0.8, pad=0.02)
    bar.set_label("recorded spikes", size=_FONT)
    bar.ax.tick_params(labelsize=_SMALL)
    _letter(panels.flat[0], "B")


def _places_beside(path: FloatArray, marked: npt.NDArray[Any]) -> list[FloatArray]:
    """Where to number points of a path: near them, off the path and off the other numbers, cm."""
    angles = np.arange(16) * 2 * np.pi / 16
    radii = np.repeat((1.2, 2.0, 3.0, 4.0), len(angles))
    offsets = radii[:, None] * np.tile(np.stack((np.cos(angles), np.sin(angles)), axis=1), (4, 1))
    places: list[FloatArray] = []
    for point in path[marked]:
        candidates = point + offsets
        cost = 0.2 * radii + 10 * (np.abs(candidates).max(axis=1) > 0.95 * _HALF)
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
        size=_FONT,
        weight="bold",
        ha="center",
        va="center",
        bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": "black", "lw": 0.8},
        arrowprops={"arrowstyle": "-", "lw": 0.8},
        zorder=5,
    )


def draw_volition(tables: Tables, preset: Preset) -> Figure:
    """Paths to every target of volition, without and with a curl field (Fig 12).

    Parameters
    ----------
    tables : Tables
        ``paths`` and ``sites`` of one animal; ``shares`` of one animal or several, the first of
        which is drawn.
    preset : Preset
    """
    shares = where(tables["shares"], animal=tables["shares"]["animal"][0])
    curls, targets = np.unique(shares["curl"]), np.unique(shares["target"])
    figure = _figure(3.2 * len(targets) + 0.6, 3.4 * len(curls) + 0.8)
    panels = figure.subplots(len(curls), len(targets), squeeze=False, sharex=True, sharey=True)
    cells = voronoi_cells(_xy(tables["sites"]), _HALF)
    for row, (curl, letter) in enumerate(zip(curls, "AB", strict=False)):
        for column, target in enumerate(targets):
            axes = panels[row, column]
            _plane(axes, x_label=row == len(curls) - 1, y_label=column == 0)
            _paint(axes, cells, _blues(len(cells)))
            lines = _polylines(where(tables["paths"], curl=curl, target=target))
            _add_lines(axes, lines, _reds(len(lines)), 0.8)
            starts = np.array([line[0] for line in lines])
            axes.scatter(*starts.T, s=14, c=_reds(len(lines)), ec="white", lw=0.5, zorder=3)
            own = where(shares, curl=curl, target=target)
            place = (float(own["target_x"][0]), float(own["target_y"][0]))
            _mark_target(axes, place, preset.radius_cm)
            axes.plot(*place, zorder=5, **_YELLOW)
            axes.set_title(f"{100 * own['arrived'][0]:.0f} % of runs arrive", size=_SMALL)
        title = f"curl field of {curl:g} kg/s" if curl else "no perturbation"
        panels[row, 0].set_ylabel(f"{title}\ny (cm)", size=_FONT)
        _letter(panels[row, 0], letter)
    handles = [
        *(h for h in _path_handles() if h.get_label() != "ideal paths"),
        Line2D([], [], ls="", label="target of volition", **_YELLOW),
        Line2D([], [], ls="", marker="o", ms=5, color=_REDS(0.6), label="start"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=_SMALL)
    return figure


def draw_interfaces(tables: Tables, preset: Preset) -> Figure:
    """Paths of the linear interface on a linear field, and of the non-linear one on the dipole.

    Parameters
    ----------
    tables : Tables
        ``paths`` and ``sites`` of one animal; ``shares`` of one animal or several.
    preset : Preset
    """
    shares = tables["shares"]
    figure = _figure(8.0, 4.6)
    for axes, letter, name, title in zip(
        figure.subplots(1, 2, sharey=True),
        "AB",
        ("linear", "dipole"),
        ("linear interface, linear field", "non-linear interface, dipole"),
        strict=True,
    ):
        _plane(axes, y_label=name == "linear")
        cells = voronoi_cells(_xy(where(tables["sites"], interface=name)), _HALF)
        _paint(axes, cells, _blues(len(cells)))
        lines = _polylines(where(tables["paths"], interface=name))[::_EVERY]
        _add_lines(axes, lines, _reds(len(lines)), 0.8)
        _mark_target(axes, (0.0, 0.0), preset.radius_cm)
        if name == "dipole":
            _mark_obstacle(axes, preset)
        axes.set_title(f"{title}: {100 * shares[name].mean():.0f} % of runs arrive", size=_SMALL)
        _letter(axes, letter)
    refused = f"{shares['refused'].sum()} of {len(shares['refused'])} animals"
    figure.suptitle(f"The linear interface refuses the dipole in {refused}", size=_FONT)
    return figure


_EVERY = 10  # of the runs of a figure with one panel per interface, one per start is drawn


def _figure(width: float, height: float) -> Figure:
    return Figure((width, height), dpi=100, layout="constrained")


def _plane(axes: Axes, half: float = _HALF, x_label: bool = True, y_label: bool = True) -> None:
    """Make axes a square of the position space, in cm."""
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    ticks = (-_HALF, -_HALF / 2, 0.0, _HALF / 2, _HALF)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelsize=_SMALL)
    if x_label:
        axes.set_xlabel("x (cm)", size=_FONT)
    if y_label:
        axes.set_ylabel("y (cm)", size=_FONT)


def _letter(axes: Axes, letter: str) -> None:
    """Letter a panel, at its upper left corner."""
    axes.annotate(
        letter,
        (0, 1),
        (-5, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        size=_LETTER,
        weight="bold",
        ha="right",
    )


def _paint(axes: Axes, cells: Sequence[FloatArray], colors: Colors) -> None:
    """Paint regions."""
    axes.add_collection(
        PolyCollection(list(cells), facecolors=colors, edgecolors="white", lw=0.3, zorder=0),
        autolim=False,
    )


def _blues(n: int) -> Colors:
    """Shades for regions; those of successive stimuli, which are often neighbours, differ."""
    # in the text's sets 8 or 16 stimuli share an intensity, and neighbours lie 1, 8 or 16 apart
    return np.asarray(_BLUES(np.arange(n) * (np.sqrt(2) - 1) % 1))


def _reds(n: int) -> Colors:
    return np.asarray(_REDS(np.linspace(0, 1, max(n, 1))))[:n]


def _xy(table: Table) -> FloatArray:
    return np.stack((table["x"], table["y"]), axis=-1)


def _polylines(paths: Table) -> list[FloatArray]:
    """Positions of every run in the order of its steps."""
    order = np.lexsort((paths["step"], paths["run"]))
    begins = np.flatnonzero(np.diff(paths["run"][order])) + 1
    return np.split(_xy(paths)[order], begins) if order.size else []


def _add_lines(axes: Axes, lines: Sequence[FloatArray], colors: Colors | str, width: float) -> None:
    axes.add_collection(
        LineCollection(list(lines), colors=colors, linewidths=width, capstyle="round"),
        autolim=False,
    )


def _mark_target(axes: Axes, centre: tuple[float, float], radius_cm: float) -> None:
    axes.add_patch(Circle(centre, radius_cm, fill=False, zorder=4, **_DOTTED))


def _mark_obstacle(axes: Axes, preset: Preset) -> None:
    axes.plot(*preset.field("dipole")["obstacle"], zorder=4, **_CROSS)
