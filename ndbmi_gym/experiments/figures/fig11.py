"""Fig 11: flattened responses in test only, after calibration on sound ones."""

from ndbmi_gym.experiments.conditions import ALPHAS
from ndbmi_gym.experiments.figures.comparison import comparison

FIGURE = comparison(
    "fig11",
    "Flattened tuning in test only",
    ("set 6", *(f"test flatten {a}" for a in ALPHAS)),
    ("0", *map(str, ALPHAS)),
    "flattening α in test",
)
