"""Fig 9: spontaneous firing."""

from ndbmi_gym.experiments.conditions import SPONTANEOUS
from ndbmi_gym.experiments.figures.comparison import comparison

FIGURE = comparison(
    "fig9",
    "Spontaneous activity",
    ("set 6", *(f"spontaneous {r:g}" for r in SPONTANEOUS)),
    ("0", *(f"{r:g}" for r in SPONTANEOUS)),
    "spontaneous spikes/trial",
)
