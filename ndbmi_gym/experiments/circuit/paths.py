"""Fig 6 with a circuit as the cortex: paths over the regions, and wtpe."""

from ndbmi_gym.experiments.protocol.conditions import CIRCUITS
from ndbmi_gym.experiments.vato2014.comparison import comparison

FIGURE = comparison(
    __name__,
    "Performance with a circuit as the cortex",
    tuple(CIRCUITS),
    tuple(name.replace(", ", "\n") for name in CIRCUITS),
    "cortex (shuffled: at matched signal)",
    reference="circuit, 32 stimuli",
)
