"""Every random stream that the package seeds by itself, in one table.

Each but the oldest, `circuit_rng`, is spawned from its seed under a key of its own, so that streams
of different uses are independent of each other and of whatever a user seeds with the same number.
Environments draw from the generator that Gymnasium gives them, or that a list of seeds makes; what
only looks at results (permutations, pictures) seeds its own in place.
"""

from typing import Literal
from zlib import crc32

import numpy as np

_ANIMAL = 0x5B
_POLICY = 0xB0
_SHUFFLE = 0x50C
_POLICIES = {"random": 1, "lookahead": 2, "filter": 3}


def animal_rng(animal: int) -> np.random.Generator:
    """The noise of an animal's calibration."""
    return _spawned(animal, _ANIMAL)


def policy_rng(seed: int, use: Literal["random", "lookahead", "filter"]) -> np.random.Generator:
    """What a policy draws."""
    return _spawned(seed, _POLICY, _POLICIES[use])


def circuit_rng(seed: int) -> np.random.Generator:
    """The random weights that a circuit is built from."""
    return np.random.default_rng(seed)


def shuffle_rng(seed: int) -> np.random.Generator:
    """The order of the inhibitory weights in the shuffled control of a circuit."""
    return _spawned(seed, _SHUFFLE)


def experiment_rng(seed: int, animal: int, *names: str) -> np.random.Generator:
    """An experiment's tests in an animal, apart from those of other names and animals.

    Parameters
    ----------
    seed, animal : int
    *names : str
        Of the use. They are part of the published numbers: a stream keeps its name when what it
        serves is renamed.
    """
    return _spawned((seed, animal), crc32("\n".join(names).encode()))


def _spawned(seed: int | tuple[int, int], *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
