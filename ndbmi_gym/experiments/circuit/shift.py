"""Fig 12 with a circuit as the cortex: signed volition towards four targets."""

from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import Tables
from ndbmi_gym.experiments.vato2014 import fig12
from ndbmi_gym.presets import Preset

_OPTIONS = {"cortex": {"kind": "soc", "stimuli": 32, "units": 1}}


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Paths to every target, and where they settle."""
    return fig12.data(preset, animal, seed, _OPTIONS, low=-1.0, curls=(0.0, 1.0))


FIGURE = Figure(
    __name__,
    "Volitional shift of the equilibrium through a circuit",
    data,
    fig12.draw,
    pooled=("shares",),
)
