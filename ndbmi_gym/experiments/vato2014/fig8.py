"""Fig 8: more and less regular firing (Eq 19)."""

from ndbmi_gym.experiments.protocol.conditions import SHAPES
from ndbmi_gym.experiments.vato2014.comparison import comparison

FIGURE = comparison(
    __name__,
    "Regularity of firing",
    (
        *(f"shape {k}" for k in SHAPES if k < 1),
        "set 6",
        *(f"shape {k}" for k in SHAPES if k > 1),
    ),
    (*(f"{k:g}" for k in SHAPES if k < 1), "1", *(f"{k:g}" for k in SHAPES if k > 1)),
    "shape k of the Gamma intervals",
)
