"""Amplification of prepared states."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    concatenate,
    from_rows,
    labelled,
    where,
)
from ndbmi_gym.experiments.circuit.measures import (
    course,
    energy_share,
)
from ndbmi_gym.experiments.circuit.report_drawing import (
    draw_key,
    in_words,
    letters,
    look,
    name_axes,
    names_of,
)
from ndbmi_gym.experiments.circuit.specimen import (
    MODES,
    STEP_S,
    Specimen,
)

_BESIDE = "scaled 0.99"  # a control whose neurons are drawn
_STATES = ("#003f63", "#56b4e9", "#888888")
_SAID = {"v1": "the state amplified most", f"v{MODES}": f"the {MODES}th of them"} | {
    "random": "a random state"
}


def measure_transients(specimen: Specimen) -> Tables:
    """Energies, the leading states' transients, and numbers on them for every circuit."""
    energies, courses, neurons, numbers = [], [], [], []
    random = specimen.stream(0, "random state").standard_normal(specimen.circuit.n_neurons)
    random /= np.linalg.norm(random)
    times_s = np.arange(round(1.0 / STEP_S) + 1) * STEP_S
    for name, circuit in specimen.circuits.items():
        values, states = circuit.modes
        energies.append(
            labelled({"mode": np.arange(1, len(values) + 1), "energy": values}, circuit=name)
        )
        begins = np.column_stack((states[:, 0], states[:, MODES - 1], random))
        x = course(circuit.weights, begins, STEP_S, len(times_s) - 1)
        for j, state in enumerate(("v1", f"v{MODES}", "random")):
            labels = {"circuit": name, "state": state}
            size = np.linalg.norm(x[:, :, j], axis=1)
            courses.append(labelled({"time_s": times_s, "norm": size}, **labels))
            own = x[:, : circuit.n_excitatory, j]
            for neuron in np.argsort(own.var(axis=0))[::-1][:6]:
                columns = {"time_s": times_s, "x": own[:, neuron]}
                neurons.append(labelled(columns, **labels, neuron=neuron))
        norm = np.linalg.norm(course(circuit.weights, states[:, :1], 1e-3, 1000)[..., 0], axis=1)
        early, late = (
            [energy_share(circuit, states[:, k], after_s) for k in (0, 1)] for after_s in (0.1, 0.3)
        )
        numbers.append(
            {
                "circuit": name,
                "abscissa": circuit.abscissa,
                "E1": values[0],
                "E10": values[MODES - 1],
                "mean_E": values.mean(),
                "median_E": np.median(values),
                "amplifying": int((values > 1).sum()),
                "peak": norm.max(),
                "peak_s": norm.argmax() * 1e-3,
                "spent_100ms": early[0],
                "spent_300ms": late[0],
                # averaged over a ring of stimuli v₁ and v₂, scaled to the same energy, count alike
                "spent_100ms_stimuli": np.mean(early),
                "spent_300ms_stimuli": np.mean(late),
                "selectivity": values[0] / values.mean(),
            }
        )
    return {
        "energies": concatenate(energies),
        "courses": concatenate(courses),
        "neurons": concatenate(neurons),
        "circuits": from_rows(numbers),
    }


def draw_transients(tables: Tables) -> Canvas:
    """Energies, sizes and single neurons of transients.

    Parameters
    ----------
    tables : Tables
        ``energies``, ``courses`` and ``neurons``.
    """
    figure = canvas(NARROW, 10.6)
    panels = figure.subplots(4, 2)
    spectrum, by_state, first, random = panels[:2].flat
    for name in names_of(tables["energies"]):
        own = where(tables["energies"], circuit=name)
        spectrum.semilogy(own["mode"], own["energy"], lw=1.4, **look(name))
    spectrum.axhline(1, color="black", lw=0.8, ls=":")
    spectrum.set_title("How much states are amplified", size=FONT)
    name_axes(spectrum, "state, by rank", "energy (unconnected: 1)")

    states = names_of(tables["courses"], "state")
    for state, color in zip(states, _STATES, strict=True):
        own = where(tables["courses"], circuit="SOC", state=state)
        by_state.plot(
            1e3 * own["time_s"], own["norm"], color=color, lw=1.4, label=f"from {_SAID[state]}"
        )
    by_state.set_title("Activity of the stabilised circuit", size=FONT)
    for axes, state in ((first, states[0]), (random, states[-1])):
        for name in names_of(tables["courses"]):
            own = where(tables["courses"], circuit=name, state=state)
            axes.plot(1e3 * own["time_s"], own["norm"], lw=1.4, **look(name))
        axes.set_title(f"Activity from {_SAID[state]}", size=FONT)
    top = 1.05 * max(1.0, tables["courses"]["norm"].max())
    by_state.legend(fontsize=SMALL)
    for axes in (by_state, first, random):
        axes.set_ylim(0, top)
        name_axes(axes, "time (ms)", "size of activity (start: 1)")

    shown = [("SOC", state) for state in states] + [(_BESIDE, states[0])]
    for axes, (name, state) in zip(panels[2:].flat, shown, strict=True):
        own = where(tables["neurons"], circuit=name, state=state)
        for neuron in names_of(own, "neuron"):
            course = where(own, neuron=neuron)
            axes.plot(1e3 * course["time_s"], course["x"], color=look(name)["color"], lw=1.0)
        axes.axhline(0, color="#bbbbbb", lw=0.6, zorder=0)
        axes.set_title(f"Six neurons, {in_words(name)},\nfrom {_SAID[state]}", size=FONT)
        name_axes(axes, "time (ms)", "activity (size at start: 1)")
    _share_y(panels[2:].flat)
    draw_key(figure, tables["energies"])
    letters(panels.flat)
    return figure


def _share_y(panels: Iterable[Axes]) -> None:
    panels = list(panels)
    half = max(np.abs(axes.get_ylim()).max() for axes in panels)
    for axes in panels:
        axes.set_ylim(-half, half)
