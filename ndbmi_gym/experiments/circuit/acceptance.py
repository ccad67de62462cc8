"""What an independent build of 200 neurons must show, set against what was measured."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ndbmi_gym.cortex.soc.cortex import WINDOW_S
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    where,
)
from ndbmi_gym.experiments.circuit.reliability import SHORT_S
from ndbmi_gym.experiments.circuit.specimen import (
    SAME,
    STABILISED,
)

_SCALED = "scaled 0.15"
_BALANCED = (STABILISED, _SCALED, "shuffled 0.15")
BAR = "\\|"  # one that ends no cell


class Row(NamedTuple):
    """A quantity, the interval in which it is accepted, and what was measured.

    Attributes
    ----------
    quantity : str
    low, high : float
        Ends of the interval, which belong to it; infinite where there is none.
    measured : float
    """

    quantity: str
    low: float
    high: float
    measured: float

    @property
    def met(self) -> bool:
        """Whether it is accepted; what is not a number is not."""
        return bool(self.low <= self.measured <= self.high)

    @property
    def accepted(self) -> str:
        """The interval in words."""
        if np.isinf(self.low):
            return f"≤ {self.high:g}"
        if np.isinf(self.high):
            return f"≥ {self.low:g}"
        return f"{self.low:g} to {self.high:g}"


def acceptance(tables: Tables) -> list[Row]:
    """Every row of the table of an independent build of 200 neurons, from the tables."""
    inf = np.inf
    trace = tables["construction"]["abscissa"]
    exact = dict(zip(tables["exact"]["quantity"], tables["exact"]["value"], strict=True))
    balanced = [where(tables["balance"], circuit=name) for name in _BALANCED]
    simulated = max(np.abs(own["simulated"] - own["exact"]).max() for own in balanced)

    def of(table: str, column: str, **values: str | float) -> float:
        return float(where(tables[table], **values)[column].mean())

    def soc(column: str) -> float:
        return of("circuits", column, circuit=STABILISED)

    def identified(name: str, stimuli: int, window_s: float, column: str = "identified") -> float:
        setting: dict[str, str | float] = {"circuit": name, "amplitude": SAME}
        return of("identification", column, **setting, stimuli=stimuli, window_s=window_s)

    rows = [
        Row("spectral abscissa, initial", 8.5, 11.5, float(trace[0])),
        Row("spectral abscissa, final", 0.14, 0.15, soc("abscissa")),
        Row("E₁", 9, 16, soc("E1")),
        Row("E₁₀", 6, 9, soc("E10")),
        Row("mean E", 2.1, 2.6, soc("mean_E")),
        Row("median E", 1.4, 1.6, soc("median_E")),
        Row("modes with E > 1", 124, 136, soc("amplifying")),
        Row("peak of |x| from unit v₁", 2.3, 3.4, soc("peak")),
        Row("its time (ms)", 80, 130, 1e3 * soc("peak_s")),
    ]
    for name, bounds in (
        (STABILISED, {"E": (0.43, 0.51), "I": (0.297, 0.337)}),
        *((control, dict.fromkeys("EI", (-0.03, 0.03))) for control in _BALANCED[1:]),
    ):
        for population, (low, high) in bounds.items():
            value = of("balance", "exact", circuit=name, population=population)
            rows.append(Row(f"E–I correlation on {population} cells, {name}", low, high, value))
    return [
        *rows,
        Row("E₁, scaled", -inf, 1.5, of("circuits", "E1", circuit=_SCALED)),
        Row("peak of |x|, scaled", 0.95, 1.05, of("circuits", "peak", circuit=_SCALED)),
        Row("abscissa, inhibition shuffled", 5, inf, float(tables["shuffles"]["abscissa"].min())),
        Row("share of evoked energy by 100 ms, v₁", 0.33, 0.43, soc("spent_100ms")),
        Row("share of evoked energy by 300 ms, v₁", 0.92, 0.96, soc("spent_300ms")),
        Row("the same by 100 ms, all stimuli", 0.33, 0.43, soc("spent_100ms_stimuli")),
        Row("the same by 300 ms, all stimuli", 0.92, 0.96, soc("spent_300ms_stimuli")),
        Row("nearest class mean, S = 8", 0.93, inf, identified(STABILISED, 8, WINDOW_S)),
        Row("layout R², S = 8", 0.95, inf, identified(STABILISED, 8, WINDOW_S, "layout_r2")),
        Row("nearest class mean, S = 8, T = 50 ms", 0.4, 0.75, identified(STABILISED, 8, SHORT_S)),
        Row("nearest class mean, S = 8, scaled", -inf, 0.6, identified(_SCALED, 8, WINDOW_S)),
        Row("nearest class mean, S = 32", 0.9, inf, identified(STABILISED, 32, WINDOW_S)),
        Row("W = 0: largest |E − 1|", -inf, 1e-12, exact["no weights"]),
        Row("symmetric: |E₁ − 1/0.85|", -inf, 1e-10, exact["symmetric"]),
        Row("numerical integral: relative error of E₁", -inf, 0.01, exact["integral"]),
        Row("superposition: relative error", -inf, 1e-10, exact["superposition"]),
        Row("gradient: error against differences", -inf, 1e-8, exact["gradient"]),
        Row("E–I correlation, simulated: largest error", -inf, 0.02, float(simulated)),
    ]


def acceptance_table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| quantity | accepted | measured | |", "|---|---|---|---|"]
    lines += [
        f"| {row.quantity.replace('|', BAR)} | {row.accepted} | {row.measured:.4g} | "
        f"{'met' if row.met else '**not met**'} |"
        for row in rows
    ]
    return "\n".join(lines)
