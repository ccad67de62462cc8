"""Fig 6: performance depends on the number of stimulation patterns."""

from ndbmi_gym.experiments.vato2014.comparison import comparison

FIGURE = comparison(
    __name__,
    "Performance and the resolution of the sensory interface",
    ("set 5", "set 6", "set 7"),
    ("8", "32", "128"),
    "stimulation patterns",
    (("B", "C"), ("D", "E")),  # the text's A shows the stimulus set
)
