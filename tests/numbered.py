"""Trials by their numbers, as schedules are asked for their forces."""

import numpy as np

from ndbmi_gym.perturbations import Which
from ndbmi_gym.streams import Streams


def which(numbers, animal=0, seed=0):
    """Trials with these numbers, each a session of its own."""
    numbers = np.asarray(numbers)
    session = Streams.of(np.random.default_rng(seed), len(numbers))
    return Which(numbers, np.full(len(numbers), animal), session)
