"""Movements read out of single trials."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from ndbmi_gym.cortex.soc.cortex import WINDOW_S, SOCCortex, matched
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas, legend, title
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    from_rows,
    labelled,
    where,
)
from ndbmi_gym.experiments.circuit.readout import explained, fit_readout, movements, smoother
from ndbmi_gym.experiments.circuit.report_drawing import (
    compared_in,
    in_words,
    key,
    look,
    name_axes,
    names_of,
)
from ndbmi_gym.experiments.circuit.specimen import (
    MODES,
    REPEATS,
    SAME,
    SMOOTHING_S,
    STABILISED,
    STEP_S,
    Specimen,
    enlargement,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)

N_MOVEMENTS = 8
AMPLITUDE_HZ = 100.0  # of the states that prepare movements
READ_TRIALS = 20  # of every movement, half for training
UNITS = (1, 4, 16, 64)  # recorded of every excitatory neuron
COMPARED_UNITS = 4  # of the comparison in numbers
DRAWN_TRIALS = {COMPARED_UNITS: 5, UNITS[-1]: 1}  # of every movement, by units
PENALTIES = np.logspace(-6, 3, 19)  # of the ridge regression, relative to the mean variance
_TARGET: dict[str, Any] = {"color": "#c4c4c4", "lw": 4, "solid_capstyle": "round"}
_START: dict[str, Any] = {"marker": "o", "ls": "", "ms": 3.5, "mfc": "white", "mec": "black"}
_LINES: tuple[dict[str, Any], ...] = ({"lw": 0.7, "alpha": 0.6}, {"lw": 1.8})  # few units, many
_SCALE_CM = 5.0
_BARS = "± standard deviation over repeats"


def mixtures(specimen: Specimen) -> FloatArray:
    """Random unit combinations of the leading states for every movement, (REPEATS, 8, `MODES`)."""
    rng = specimen.stream(0, "prepared states")
    mixed = rng.standard_normal((REPEATS, N_MOVEMENTS, MODES))
    return np.asarray(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True))


def preparing(specimen: Specimen, name: str, amplitude: str, coefficients: FloatArray) -> SOCCortex:
    """A cortex that prepares combinations (S, `MODES`) of the leading states.

    All excitatory neurons are recorded.
    """
    circuit = specimen.circuits[name]
    prepared = AMPLITUDE_HZ * coefficients @ circuit.modes[1][:, :MODES].T
    cortex = SOCCortex(circuit, prepared, coefficients[:, :2], n_electrodes=circuit.n_excitatory)
    if amplitude == SAME:
        return cortex
    return matched(cortex, preparing(specimen, STABILISED, SAME, coefficients))


def measure_reaching(specimen: Specimen, units: Sequence[int] | None = None) -> Tables:
    """``reaching``: errors of movements read out of held-out trials; ``paths`` of some of them.

    The paths of circuit "target" are the movements. ``at_end`` counts repeats whose penalty lies at
    an end of its grid: a better one may lie beyond.

    Parameters
    ----------
    specimen : Specimen
    units : sequence of int, optional
        Recorded of every excitatory neuron; by default `UNITS`.
    """
    nodes_s = np.linspace(0, WINDOW_S, round(WINDOW_S / (2 * STEP_S)) + 1)
    gap = nodes_s[1]
    places = movements(nodes_s)
    velocity = np.diff(places, axis=1) / gap
    smooth = smoother(len(nodes_s) - 1, gap, SMOOTHING_S)
    mixed = mixtures(specimen)
    rows = []
    paths = [_paths(places[:, None], nodes_s, "target", "", np.nan)]
    for name, amplitude in specimen.conditions:
        factors, expected = [], []
        for coefficients in mixed:
            cortex, same = (
                preparing(specimen, name, how, coefficients) for how in (amplitude, SAME)
            )
            factors.append(enlargement(cortex, same))
            fine = cortex.profile(np.arange(len(places)), None)
            expected.append(fine.reshape(*fine.shape[:2], -1, 2).sum(axis=-1))
        for number in units or UNITS:
            scores = []
            for repeat in range(REPEATS):
                rng = specimen.stream(repeat, "reaching", name, amplitude, str(number))
                trials = np.repeat(expected[repeat][:, None], READ_TRIALS, axis=1)
                counts = rng.poisson(number * trials) / number
                rates = np.swapaxes(counts @ smooth, -1, -2) / gap
                train, test = np.split(rates, 2, axis=1)
                readout = fit_readout(train, velocity, PENALTIES)
                read = readout(test)
                wanted = np.broadcast_to(velocity[:, None], read.shape)
                run = np.cumsum(read, axis=2) * gap
                off = run - places[:, None, 1:]
                scores.append(
                    (
                        explained(wanted, read),
                        np.sqrt((off**2).sum(axis=-1).mean()),
                        np.linalg.norm(off[:, :, -1], axis=-1).mean(),
                        np.log10(readout.penalty),
                        readout.penalty in PENALTIES[[0, -1]],
                    )
                )
                if repeat == 0 and number in DRAWN_TRIALS:
                    drawn = np.pad(run[:, : DRAWN_TRIALS[number]], ((0, 0), (0, 0), (1, 0), (0, 0)))
                    paths.append(_paths(drawn, nodes_s, name, amplitude, number))
            mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1)
            rows.append(
                {
                    "circuit": name,
                    "amplitude": amplitude,
                    "factor": np.mean(factors),
                    "units": number,
                    "r2": mean[0],
                    "r2_spread": spread[0],
                    "error_cm": mean[1],
                    "error_spread": spread[1],
                    "end_error_cm": mean[2],
                    "log10_penalty": mean[3],
                    "at_end": sum(score[4] for score in scores),
                }
            )
    return {"reaching": from_rows(rows), "paths": concatenate(paths)}


def _paths(
    places: FloatArray, times_s: FloatArray, name: str, amplitude: str, units: float
) -> Table:
    """Rows for places (S, R, K, 2)."""
    movement, trial, time = np.indices(places.shape[:3]).reshape(3, -1)
    x, y = places.reshape(-1, 2).T
    columns = {"movement": movement, "trial": trial, "time_s": times_s[time], "x": x, "y": y}
    return labelled(columns, circuit=name, amplitude=amplitude, units=float(units))


def draw_reaching(tables: Tables) -> Canvas:
    """Movements and what is read out of single trials, and how well by number of units.

    Of every pair of opposite movements one is drawn, of every control the states of equal signal.

    Parameters
    ----------
    tables : Tables
        ``paths`` and ``reaching``.
    """
    conditions = compared_in(tables["reaching"])
    paths = tables["paths"]
    shapes = range((int(paths["movement"].max()) + 1) // 2)
    paths = where(paths, movement=paths["movement"] % len(shapes))
    left, right, low, high = (
        end for axis in "xy" for end in (paths[axis].min() - 1, paths[axis].max() + 1)
    )
    tall = len(conditions) * (1.45 * (high - low) / (right - left) + 0.1) + 0.9  # in
    figure = canvas(NARROW, tall + 3.5)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(tall, 3.5))[:, 0]
    panels = upper.subplots(len(conditions), len(shapes), squeeze=False)
    for row, (name, amplitude) in zip(panels, conditions, strict=True):
        read = where(paths, circuit=name, amplitude=amplitude)
        for movement, axes in zip(shapes, row, strict=True):
            wanted = where(paths, circuit="target", movement=movement)
            axes.plot(wanted["x"], wanted["y"], **_TARGET)
            for units, style in zip(np.unique(read["units"]), _LINES, strict=True):
                lines = where(read, movement=movement, units=units)
                for trial in names_of(lines, "trial"):
                    own = where(lines, trial=trial)
                    axes.plot(own["x"], own["y"], color=look(name)["color"], **style)
            axes.plot(0, 0, **_START)
            axes.set(xlim=(left, right), ylim=(low, high), aspect="equal", xticks=[], yticks=[])
        label = in_words(name).replace(", ", ",\n")
        row[0].set_ylabel(label, size=FONT, rotation=0, ha="right", va="center")
    _mark_scale(panels[0, 0], left + 0.7, low + 0.7)
    title(upper, "A  Movements wanted, and what the spikes of single trials say")
    few, many = DRAWN_TRIALS
    handles = [
        Line2D([], [], label="wanted", **_TARGET),
        Line2D([], [], label="start", **_START),
        *(
            Line2D([], [], label=label, **look(STABILISED) | style)
            for label, style in zip(
                (f"{DRAWN_TRIALS[few]} trials, {few} units per neuron",
                 f"{DRAWN_TRIALS[many]} trial, {many} units per neuron"),
                _LINES, strict=True,
            )
        ),
    ]  # fmt: skip
    legend(upper, handles, 4)
    _charts(lower, tables["reaching"])
    return figure


def _mark_scale(axes: Axes, left: float, low: float) -> None:
    """A length, from a place near a corner."""
    axes.plot([left, left + _SCALE_CM], [low, low], color="black", lw=1.5)
    axes.text(left, low + 0.3, f"{_SCALE_CM:g} cm", size=SMALL, va="bottom")


def _charts(part: SubFigure, table: Table) -> None:
    """R² and path error by number of units."""
    fit, error = part.subplots(1, 2)
    units = np.unique(table["units"])
    for name, amplitude in compared_in(table):
        own = where(table, circuit=name, amplitude=amplitude)
        place = np.searchsorted(units, own["units"])
        style = look(name) | {"lw": 1.4, "marker": "o"}
        fit.errorbar(place, own["r2"], own["r2_spread"], ms=4, capsize=2, **style)
        error.errorbar(place, own["error_cm"], own["error_spread"], ms=4, capsize=2, **style)
    for axes in (fit, error):
        axes.set_xticks(np.arange(len(units)), [f"{count:g}" for count in units])
        axes.axhline(0, color="#bbbbbb", lw=0.6, zorder=0)
    name_axes(fit, "recorded units per neuron", "R² (1: all explained)")
    name_axes(error, "recorded units per neuron", "path error (cm)")
    fit.set_title("Velocity", size=FONT)
    error.set_title("Path", size=FONT)
    title(part, "B  How well velocity and path are read out of trials not trained on")
    bars = Line2D([], [], color="black", marker="|", ms=10, ls="", label=_BARS)
    legend(part, [*key(names_of(table)), bars], 3)
