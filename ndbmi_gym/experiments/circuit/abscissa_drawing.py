"""The picture of control quality against spectral abscissa."""

from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ndbmi_gym.experiments.bench.drawing import FONT, canvas, legend, title
from ndbmi_gym.experiments.bench.tables import Table, Tables, where
from ndbmi_gym.experiments.circuit.abscissa_summary import CIRCUIT, mean
from ndbmi_gym.experiments.circuit.report_drawing import COLORS, WORDS
from ndbmi_gym.experiments.circuit.specimen import STABILISED
from ndbmi_gym.experiments.circuit.study_drawing import (
    BAR,
    FIELD_NAMES,
    SELECTED,
    WIDTH,
    beside,
    make_share,
    tidy,
)
from ndbmi_gym.experiments.protocol.conditions import FIELDS
from ndbmi_gym.presets import Preset

_DECODER = "multiple-points"
_MARKERS = {"scaled": "D", "shuffled": "^"}
_PARTS = (
    ("A  State reset at every step; controls of the circuit's signal", True, False),
    ("B  State carried over from step to step; controls of the circuit's signal", True, True),
    ("C  State carried over from step to step; controls of the circuit's amplitude", False, True),
)
_APART = 0.16


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Path error and convergence by abscissa; a row of panels for either, a column for each task.

    Parameters
    ----------
    tables : Tables
        ``loops``, of one animal or several.
    """
    loops = where(tables["loops"], decoder=_DECODER)
    stimuli = np.unique(loops["stimuli"]).tolist()
    columns = list(product(FIELDS, stimuli))
    abscissae = np.unique(loops["abscissa"][loops["control"] != CIRCUIT]).tolist()
    figure = canvas(WIDTH, 11.5)
    parts = figure.subfigures(len(_PARTS), 1, squeeze=False, height_ratios=(1.07, 1, 1.1))[:, 0]
    for part, (text, matched, carry) in zip(parts, _PARTS, strict=True):
        title(part, text)
        panels = part.subplots(
            2, len(columns), squeeze=False, sharex=True, sharey="row", height_ratios=(1.5, 1)
        )
        panels[0, 0].set_ylabel("path error,\nwtpe (cm)", size=FONT)
        panels[1, 0].set_ylabel("share of runs\nthat converge", size=FONT)
        for (error, share), (field, number) in zip(panels.T, columns, strict=True):
            own = where(loops, field=field, stimuli=number, carry=carry)
            _draw_task((error, share), own, matched, abscissae)
            make_share(share)
            if part is parts[0]:
                error.set_title(f"{FIELD_NAMES[field]}, {number} stimuli", size=FONT)
            if part is parts[-1]:
                share.set_xlabel("spectral abscissa of controls", size=FONT)
        panels[0, 0].set_ylim(bottom=0)
        panels[0, 0].yaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
        part.align_ylabels(panels[:, 0])
    _explain(figure, loops)
    return figure


def _draw_task(
    panels: tuple[Axes, Axes], loops: Table, matched: bool, abscissae: list[float]
) -> None:
    """Error and convergence in one field with one number of stimuli."""
    circuit = where(loops, control=CIRCUIT)
    for axes, column in zip(panels, ("wtpe", "convergent"), strict=True):
        found = mean(circuit, column)
        axes.axhline(found.estimate, color=COLORS[STABILISED], lw=1.4)
        axes.axhspan(found.low, found.high, color=COLORS[STABILISED], alpha=0.2, lw=0)
        tidy(axes)
        axes.set_xlim(-0.5, len(abscissae) - 0.5)
        axes.set_xticks(range(len(abscissae)), [f"{a:g}".lstrip("0") for a in abscissae])
    for (kind, marker), shift in zip(_MARKERS.items(), beside(2, _APART), strict=True):
        own = where(loops, control=kind, matched=matched)
        known = [a for a in abscissae if a in own["abscissa"]]
        at = [where(own, abscissa=a) for a in known]
        places = np.array([abscissae.index(a) for a in known]) + shift
        style = BAR | {"color": COLORS[kind], "marker": marker}
        errors, shares = (
            np.array([mean(table, column) for table in at]).reshape(-1, 3).T
            for column in ("wtpe", "convergent")
        )
        few = shares[0] < SELECTED
        for axes, (middle, low, high) in zip(panels, (errors, shares), strict=True):
            axes.errorbar(places, middle, [middle - low, high - middle], **style)
        panels[0].plot(places[few], errors[0][few], ls="", **_hollow(style))


def _hollow(style: dict[str, Any]) -> dict[str, Any]:
    return {name: style[name] for name in ("color", "marker", "ms", "mew")} | {"mfc": "white"}


def _explain(figure: Canvas, loops: Table) -> None:
    """What colours and marks mean."""
    circuits, animals = (len(np.unique(loops[name])) for name in ("circuit", "animal"))
    handles: list[Any] = [
        Line2D([], [], color=COLORS[STABILISED], label=f"{WORDS[STABILISED]} (abscissa .15)"),
        *(
            Line2D([], [], color=COLORS[kind], marker=marker, ms=5, label=WORDS[kind])
            for kind, marker in _MARKERS.items()
        ),
        Line2D(
            [], [], color="0.3", marker="o", mfc="white", ls="",
            label=f"wtpe of fewer than {100 * SELECTED:.0f} % of the runs",
        ),
    ]  # fmt: skip
    if min(circuits, animals) > 1:
        label = f"bars, band: 95 % interval over {circuits} circuits and {animals} animals"
        handles.append(Patch(color="0.8", label=label))
    legend(figure, handles, 3)
