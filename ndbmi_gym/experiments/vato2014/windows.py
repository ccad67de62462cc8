"""Short recording windows, which the Methods mention without a figure."""

from ndbmi_gym.experiments.protocol.conditions import WINDOWS
from ndbmi_gym.experiments.vato2014.comparison import comparison

_SHORT = tuple(f"{1e3 * t:g}" for t in WINDOWS)

FIGURE = comparison(
    __name__,
    "Recording windows",
    (
        *(f"window {t} ms" for t in _SHORT),
        "set 6",
        *(f"truncated to {t} ms" for t in _SHORT),
    ),
    (*(f"{t} ms" for t in _SHORT), "whole", *(f"{t} ms\ntruncated" for t in _SHORT)),
    "window",
)
