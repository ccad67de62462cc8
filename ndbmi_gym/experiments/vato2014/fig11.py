"""Fig 11: flattened responses in test only, after calibration on sound ones."""

from ndbmi_gym.experiments.protocol.conditions import ALPHAS
from ndbmi_gym.experiments.vato2014.comparison import comparison

FIGURE = comparison(
    __name__,
    "Flattened tuning in test only",
    ("set 6", *(f"test flatten {a}" for a in ALPHAS)),
    ("0", *map(str, ALPHAS)),
    "flattening α in test",
)
