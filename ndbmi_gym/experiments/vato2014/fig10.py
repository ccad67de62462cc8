"""Fig 10: a misplaced recording electrode (Eq 20), an ineffective stimulation site (Eq 21)."""

from ndbmi_gym.experiments.vato2014.comparison import comparison

FIGURE = comparison(
    __name__,
    "Broken electrodes",
    ("set 6", "misplaced electrode", "lost site"),
    ("all work", "misplaced\nrecording", "ineffective\nstimulation"),
    "electrodes",
    (("ABC", "D"), ("EFG", "H")),
)
