"""Fig 7: responses that tell less about the stimulus, in calibration and test (Eq 18)."""

from ndbmi_gym.experiments.protocol.conditions import ALPHAS
from ndbmi_gym.experiments.vato2014.comparison import comparison

FIGURE = comparison(
    __name__,
    "Flattened tuning",
    ("set 6", *(f"flatten {a}" for a in ALPHAS)),
    ("0", *map(str, ALPHAS)),
    "flattening α",
)
