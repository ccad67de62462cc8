"""Fig 9: spontaneous firing."""

from ndbmi_gym.experiments.protocol.conditions import SPONTANEOUS
from ndbmi_gym.experiments.vato2014.comparison import comparison

FIGURE = comparison(
    __name__,
    "Spontaneous activity",
    ("set 6", *(f"spontaneous {r:g}" for r in SPONTANEOUS)),
    ("0", *(f"{r:g}" for r in SPONTANEOUS)),
    "spontaneous spikes/trial",
)
