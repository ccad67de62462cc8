"""Fig 4: calibration of the sensory interface with stimulus sets 1 to 4."""

from typing import TYPE_CHECKING

import numpy as np

from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.geometry import make_interface, map_geometry
from ndbmi_gym.experiments.records import Table, Tables, concatenate
from ndbmi_gym.presets import Preset
from ndbmi_gym.stimuli import evoked_counts, stimulus_set

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

SETS = (1, 2, 3, 4)
ALL_SETS = (1, 2, 3, 4, 5, 6, 7)


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Evoked counts, MDS points, sites and geometry of sets 1-4; f factors of all sets."""
    parts: dict[str, list[Table]] = {"evoked": [], "points": [], "sites": [], "shares": []}
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
    return {name: concatenate(tables) for name, tables in parts.items()}


def draw(tables: Tables, preset: Preset) -> "Canvas":
    """A row for each set: responses, MDS points, regions."""
    from ndbmi_gym.experiments.figures.drawing import draw_maps

    return draw_maps(tables, preset)


FIGURE = Figure("fig4", "Calibration of the sensory interface", data, draw, pooled=("shares",))
