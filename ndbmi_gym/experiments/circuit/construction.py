"""How the circuit is built: its spectral abscissa by iteration, and spectra beside controls."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.cortex.soc.circuit import (
    shuffle_inhibition,
)
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    concatenate,
    labelled,
    where,
)
from ndbmi_gym.experiments.circuit.report_drawing import (
    COLORS,
    in_words,
    letters,
    look,
    name_axes,
)
from ndbmi_gym.experiments.circuit.specimen import (
    REPEATS,
    Specimen,
)

_NEAR = 1.5  # real parts that are drawn after construction
_SHOWN = ("scaled 0.99", "scaled 0.15")  # controls beside it


def measure_construction(specimen: Specimen) -> Tables:
    """``construction``: abscissa by iteration; ``eigenvalues``; ``shuffles`` of the inhibition."""
    circuit = specimen.circuit
    spectra = {"initial": np.linalg.eigvals(circuit.initial)}
    spectra |= {name: np.linalg.eigvals(c.weights) for name, c in specimen.circuits.items()}
    shuffled = [
        np.linalg.eigvals(shuffle_inhibition(circuit, specimen.stream(k, "shuffle"))).real.max()
        for k in range(REPEATS)
    ]
    return {
        "construction": {"iteration": np.arange(len(circuit.trace)), "abscissa": circuit.trace},
        "eigenvalues": concatenate(
            labelled({"real": v.real, "imaginary": v.imag}, circuit=name)
            for name, v in spectra.items()
        ),
        "shuffles": {"shuffle": np.arange(REPEATS), "abscissa": np.array(shuffled)},
    }


def draw_construction(tables: Tables) -> Canvas:
    """Abscissa in the course of construction, and the eigenvalues before and after.

    Parameters
    ----------
    tables : Tables
        ``construction`` and ``eigenvalues``.
    """
    figure = canvas(NARROW, 6.4)
    panels = figure.subplot_mosaic("AA;BC", height_ratios=(1, 1.3))
    course, before, after = (panels[letter] for letter in "ABC")
    trace = tables["construction"]
    course.semilogy(trace["iteration"], trace["abscissa"], color=COLORS["SOC"], lw=1.2)
    course.axhline(1, color="black", lw=0.8, ls=":")
    course.annotate(
        "unstable above", (1, 1), (-2, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", size=SMALL,
    )  # fmt: skip
    name_axes(course, "iteration", "largest real part\nof the eigenvalues")
    course.set_title("Tuning inhibition until activity is stable", size=FONT)
    spectra = tables["eigenvalues"]
    for axes, names in ((before, ("initial",)), (after, ("SOC", *_SHOWN))):
        for name in names:
            own = where(spectra, circuit=name)
            axes.plot(
                own["real"],
                own["imaginary"],
                ".",
                ms=4,
                color=look(name)["color"],
                label=in_words(name),
                alpha=0.7,
            )
        axes.axvline(1, color="black", lw=0.8, ls=":")
        name_axes(axes, "real part", "imaginary part")
        axes.set_aspect("equal", adjustable="datalim")
        axes.legend(fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    # the spectrum has become a column, beside few real eigenvalues far to the left
    shown = where(spectra, circuit="SOC")["real"] > -_NEAR
    after.set_aspect("auto")
    after.set_xlim(-_NEAR, _NEAR)
    before.set_title("Eigenvalues before", size=FONT)
    after.set_title(f"and after ({np.sum(~shown)} of the circuit's further left)", size=FONT)
    letters((course, before, after))
    return figure
