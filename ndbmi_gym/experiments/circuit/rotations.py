"""Rotations of population activity (jPCA): whether transients turn, or merely grow and fade.

As Churchland et al. describe it. Rates of every neuron are divided by their range plus 5 Hz, the
mean over conditions is taken away at every time, and six principal components are kept. Two linear
laws are fitted to them by least squares: ẋ = M·x with any matrix M, and with a skew-symmetric one,
which can only turn. What they explain of ẋ, R² each, is compared by the ratio of the two: 1 where
all that is linear is rotation, 0 where states fade along straight lines. Derivatives are
differences between successive times and states their means, so that a turn at any speed has the
ratio 1, and pure decay 0, without error.

The ratio alone is not enough: it may be high where neither law explains much, and it does not tell
a turn from a drift that would take seconds to come round. R² and the frequency belong to it.

References
----------
Churchland MM, Cunningham JP, Kaufman MT, Foster JD, Nuyujukian P, Ryu SI, Shenoy KV (2012). Neural
population dynamics during reaching. Nature 487:51-56.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.cortex.soc.cortex import WINDOW_S
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas, title
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    from_rows,
    labelled,
    where,
)
from ndbmi_gym.experiments.circuit.measures import course
from ndbmi_gym.experiments.circuit.reaching import mixtures, preparing
from ndbmi_gym.experiments.circuit.report_drawing import (
    compared_in,
    in_words,
    look,
    name_axes,
    names_of,
)
from ndbmi_gym.experiments.circuit.specimen import STEP_S, Specimen
from ndbmi_gym.experiments.protocol.runs import FloatArray

COMPONENTS = 6
SOFT_HZ = 5.0  # added to a neuron's range, so that silent neurons are not blown up
EXCITATORY, ALL = "excitatory", "all"
"""Neurons that are looked at."""


class Rotation(NamedTuple):
    """Two linear laws of a population's activity.

    Attributes
    ----------
    r2 : float
        Share of the power of ẋ that ẋ = M·x explains.
    r2_skew : float
        The same if M is skew-symmetric.
    frequency_hz : float
        Of the plane that turns fastest.
    share : float
        Of the variance over conditions and times, within the components kept.
    plane : ndarray (K, S, 2)
        States in the plane that turns fastest, counterclockwise; the first axis is that along which
        the states at the first time lie farthest apart.
    """

    r2: float
    r2_skew: float
    frequency_hz: float
    share: float
    plane: FloatArray

    @property
    def ratio(self) -> float:
        """R² of the skew-symmetric law over that of any."""
        return self.r2_skew / self.r2


def soft_normalised(rates: FloatArray) -> FloatArray:
    """Rates (K, S, N) over their range plus 5 Hz, less the mean over conditions at every time."""
    scaled = rates / (np.ptp(rates, axis=(0, 1)) + SOFT_HZ)
    return np.asarray(scaled - scaled.mean(axis=1, keepdims=True))


def fit_law(states: FloatArray, slopes: FloatArray) -> FloatArray:
    """M (n, n) of slopes ≈ M·states by least squares; both are (M, n)."""
    return np.asarray(np.linalg.lstsq(states, slopes)[0].T)


def fit_skew(states: FloatArray, slopes: FloatArray) -> FloatArray:
    """The skew-symmetric M (n, n) of slopes ≈ M·states by least squares; both are (M, n).

    With S = Σ x·xᵀ and C = Σ ẋ·xᵀ the squared error is least where the skew-symmetric part of
    M·S − C vanishes: M·S + S·M = C − Cᵀ, which is solved by entry where S is diagonal.
    """
    values, vectors = np.linalg.eigh(states.T @ states)
    crossed = vectors.T @ (slopes.T @ states) @ vectors
    pairs = values[:, None] + values
    skew = (crossed - crossed.T) / np.where(pairs > 0, pairs, np.inf)
    return np.asarray(vectors @ skew @ vectors.T)


def rotation(activity: FloatArray, step_s: float, components: int = COMPONENTS) -> Rotation:
    """Fit both laws to the principal components of activity.

    Parameters
    ----------
    activity : ndarray (K, S, N)
        Of N neurons under S conditions at K times, as `soft_normalised` returns it.
    step_s : float
        Between successive times, s.
    components : int
    """
    flat = activity.reshape(-1, activity.shape[-1])
    _, sizes, axes = np.linalg.svd(flat, full_matrices=False)
    kept = activity @ axes[:components].T
    states = ((kept[1:] + kept[:-1]) / 2).reshape(-1, components)
    slopes = (np.diff(kept, axis=0) / step_s).reshape(-1, components)
    skew = fit_skew(states, slopes)

    def explained(law: FloatArray) -> float:
        return float(1 - ((slopes - states @ law.T) ** 2).sum() / (slopes**2).sum())

    speeds, vectors = np.linalg.eigh(1j * skew)  # an eigenvalue iω of M is one −ω of i·M
    fastest = vectors[:, 0]
    plane = kept @ (2**0.5 * np.column_stack((fastest.real, -fastest.imag)))
    _, _, turned = np.linalg.svd(plane[0] - plane[0].mean(axis=0))
    first, second = turned[0]
    aligned = plane @ np.array([[first, -second], [second, first]])
    return Rotation(
        explained(fit_law(states, slopes)),
        explained(skew),
        float(-speeds[0] / (2 * np.pi)),
        float((sizes[:components] ** 2).sum() / (sizes**2).sum()),
        np.asarray(aligned),
    )


def measure_rotations(specimen: Specimen) -> Tables:
    """``rotations`` of the rates in the 300 ms after prepared states; ``planes`` of some of them.

    The states are those that prepare movements (`reaching.preparing`). ``conditions`` 8: mean and
    standard deviation over repeats, of eight states each; 40: all of them together.
    """
    steps = round(WINDOW_S / STEP_S)
    mixed = mixtures(specimen)
    rows, planes = [], []
    for name, amplitude in specimen.conditions:
        circuit = specimen.circuits[name]
        own = {"circuit": name, "amplitude": amplitude}
        rates = []
        for coefficients in mixed:
            cortex = preparing(specimen, name, amplitude, coefficients)
            x = course(circuit.weights, cortex.prepared.T, STEP_S, steps).transpose(0, 2, 1)
            rates.append(cortex.gain.rate(x))
        for neurons, number in ((EXCITATORY, circuit.n_excitatory), (ALL, circuit.n_neurons)):
            alone = [rotation(soft_normalised(r[..., :number]), STEP_S) for r in rates]
            whole = np.concatenate(rates, axis=1)[..., :number]
            for conditions, found in (
                (len(mixed[0]), alone),
                (whole.shape[1], [rotation(soft_normalised(whole), STEP_S)]),
            ):
                values = {
                    name: np.array([getattr(one, name) for one in found])
                    for name in ("ratio", "r2_skew", "r2", "frequency_hz", "share")
                }
                spreads = {
                    f"{name}_spread": value.std(ddof=1) if len(value) > 1 else np.nan
                    for name, value in values.items()
                }
                means = {name: value.mean() for name, value in values.items()}
                rows.append(own | {"neurons": neurons, "conditions": conditions} | means | spreads)
            if neurons == EXCITATORY:
                time, state = np.indices(alone[0].plane.shape[:2]).reshape(2, -1)
                x, y = alone[0].plane.reshape(-1, 2).T
                columns = {"state": state, "time_s": time * STEP_S, "x": x, "y": y}
                planes.append(labelled(columns, **own))
    return {"rotations": from_rows(rows), "planes": concatenate(planes)}


def draw_rotations(tables: Tables) -> Canvas:
    """Planes that turn fastest, and how much of the change is rotation, by circuit.

    Parameters
    ----------
    tables : Tables
        ``rotations`` and ``planes``.
    """
    conditions = compared_in(tables["rotations"])
    figure = canvas(NARROW, 8.8)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(5.4, 3.4))[:, 0]
    panels = upper.subplots(2, 4).ravel()
    for axes, (name, amplitude) in zip(panels, conditions, strict=True):
        own = where(tables["planes"], circuit=name, amplitude=amplitude)
        for state in names_of(own, "state"):
            path = where(own, state=state)
            axes.plot(path["x"], path["y"], color=look(name)["color"], lw=1.1)
            axes.plot(path["x"][0], path["y"][0], "o", ms=3.5, mfc="white", mec="black")
        half = 1.1 * max(np.abs(own["x"]).max(), np.abs(own["y"]).max())
        axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", xticks=[], yticks=[])
        row = _row(tables["rotations"], name, amplitude)
        said = in_words(name).replace(", ", ",\n")
        axes.set_title(f"{said}\n{row['frequency_hz'][0]:.1f} Hz", size=SMALL)
    title(upper, "A  The plane that turns fastest, 300 ms from each of eight states (circles)")
    _charts(lower.subplots(1, 3), tables["rotations"], conditions)
    title(lower, "B  How much of the change of activity is rotation")
    return figure


def _row(table: Table, name: str, amplitude: str) -> Table:
    """The row of eight states in excitatory neurons."""
    return where(
        table,
        circuit=name,
        amplitude=amplitude,
        neurons=EXCITATORY,
        conditions=table["conditions"].min(),
    )


def _charts(panels: list[Axes], table: Table, conditions: list[tuple[str, str]]) -> None:
    """Points with standard deviations, a line for every circuit."""
    places = np.arange(len(conditions))
    for axes, column, said in zip(
        panels,
        ("ratio", "r2_skew", "frequency_hz"),
        ("ratio, skew-symmetric\nto any law", "R² of the\nskew-symmetric law", "frequency (Hz)"),
        strict=True,
    ):
        for place, (name, amplitude) in zip(places, conditions, strict=True):
            row = _row(table, name, amplitude)
            axes.errorbar(
                row[column], place, xerr=row[f"{column}_spread"],
                color=look(name)["color"], marker="o", ms=5, capsize=2,
            )  # fmt: skip
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_yticks(places, [])
        name_axes(axes, said, "")
    panels[0].set_yticks(places, [in_words(name) for name, _ in conditions], size=SMALL)
    for axes in panels:
        axes.grid(axis="y", color="#e5e5e5", lw=0.6)
        axes.set_axisbelow(True)
    panels[0].tick_params(axis="y", labelsize=FONT - 1)
