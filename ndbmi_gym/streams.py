"""Random streams: one for each trial, and in one table those that the package seeds by itself.

What happens in a trial is drawn from the trial's own stream (`Streams`), whose key is drawn from
the generator that Gymnasium gives an environment when the trial begins. So a trial is the same
whatever runs beside it.

Each of the table but the oldest, `circuit_rng`, is spawned from its seed under a key of its own, so
that streams of different uses are independent of each other and of whatever a user seeds with the
same number. What only looks at results (permutations, pictures) seeds its own in place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ndbmi_gym.compiled import compiled
from ndbmi_gym.philox import block, uniforms

Words = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]
Size = int | tuple[int, ...]

DRAWN, ADDED, SPLIT, BRANCH = map(np.uint64, range(4))  # a plain 0 is a type of its own to numba
"""Lanes of a draw: what is drawn, a second process beside it, keys of further streams; and one
whose draws are the uses that streams branch off for."""


@dataclass(slots=True, eq=False)
class Streams:
    """One random stream for each of B trials, used as one `numpy.random.Generator`.

    Whatever is drawn has the trials as its first axis, and row b comes from the stream of trial b:
    ``rng.random((B, 3))``, ``rng.poisson(mean)`` with `mean` (B, n). The methods here are those of
    numpy's generator; for any other there is `generators`.

    Attributes
    ----------
    keys : ndarray of uint64 (B, 2)
        What a stream is made from (`ndbmi_gym.philox`).
    draws : ndarray of int64 (B,)
        How often it has been drawn from; it goes on with every draw.
    """

    keys: Words
    draws: IntArray

    @classmethod
    def of(cls, rng: np.random.Generator, n_trials: int) -> "Streams":
        """New streams, with keys that a generator draws."""
        return cls.keyed(rng.bit_generator.random_raw(2 * n_trials).reshape(n_trials, 2))

    @classmethod
    def keyed(cls, keys: Words) -> "Streams":
        """New streams with keys (B, 2), which are to be random numbers."""
        return cls(keys, np.zeros(len(keys), np.int64))

    def __len__(self) -> int:
        return len(self.keys)

    def select(self, trials: Any) -> "Streams":
        """The streams of some trials, as they stand, in a copy.

        What the copy draws, these will draw again, unless their `draws` are set to the copy's.
        """
        return Streams(self.keys[trials], self.draws[trials].copy())

    def split(self, n: int) -> "Streams":
        """Further streams, n for each trial, those of a trial one after the other, (B·n)."""
        return Streams.keyed(_split(self.keys, self.next(), n))

    def branch(self, use: np.uint64) -> "Streams":
        """Streams of the same trials for another use, which moves neither these nor other uses'."""
        return Streams.keyed(_branch(self.keys, use))

    def branches(self, uses: IntArray) -> "Streams":
        """The same for a use of each trial's own, (B,)."""
        each = zip(self.keys, uses.astype(np.uint64), strict=True)
        return Streams.keyed(np.concatenate([_branch(key[None], use) for key, use in each]))

    def generators(self) -> Iterator[np.random.Generator]:
        """A generator of numpy's for each trial, new ones at every call."""
        for key, draw in zip(self.keys, self.next().tolist(), strict=True):
            counter = np.array([0, draw, DRAWN, 0], np.uint64)
            yield np.random.Generator(np.random.Philox(key=key, counter=counter))

    def random(self, size: Size) -> npt.NDArray[np.float64]:
        """Uniform in [0, 1), of a shape that begins with B."""
        shape = self._shape(size)
        drawn = np.empty(shape)
        _random(drawn.reshape(len(self.keys), -1), self.keys, self.draws)
        return drawn

    def integers(
        self, low: npt.ArrayLike, high: npt.ArrayLike | None = None, size: Size | None = None
    ) -> npt.NDArray[Any]:
        """Whole numbers from low to before high, or from 0 to before low."""
        return self._each("integers", size, *((0, low) if high is None else (low, high)))

    def poisson(self, lam: npt.ArrayLike = 1.0, size: Size | None = None) -> npt.NDArray[Any]:
        """Poisson counts."""
        return self._each("poisson", size, lam)

    def uniform(
        self, low: npt.ArrayLike = 0.0, high: npt.ArrayLike = 1.0, size: Size | None = None
    ) -> npt.NDArray[Any]:
        """Uniform in [low, high)."""
        return self._each("uniform", size, low, high)

    def normal(
        self, loc: npt.ArrayLike = 0.0, scale: npt.ArrayLike = 1.0, size: Size | None = None
    ) -> npt.NDArray[Any]:
        """Normal numbers."""
        return self._each("normal", size, loc, scale)

    def exponential(self, scale: npt.ArrayLike = 1.0, size: Size | None = None) -> npt.NDArray[Any]:
        """Exponential intervals."""
        return self._each("exponential", size, scale)

    def next(self) -> IntArray:
        """The number of the draw that comes now, for each trial (compiled loops draw by it)."""
        now = self.draws.copy()
        self.draws[:] += 1
        return now

    def _shape(self, size: Size) -> tuple[int, ...]:
        shape = size if isinstance(size, tuple) else (size,)
        if not shape or shape[0] != len(self.keys):
            raise ValueError(
                f"size = {size!r}: there is a stream for each of {len(self)} trials; give a shape "
                f"that begins with {len(self)}"
            )
        return shape

    def _each(self, name: str, size: Size | None, *values: npt.ArrayLike) -> npt.NDArray[Any]:
        """What a method of numpy's generator draws for each trial."""
        shape = np.broadcast_shapes(*map(np.shape, values)) if size is None else size
        shape = self._shape(shape)
        given = [np.broadcast_to(value, shape) for value in values]
        rows = [
            getattr(generator, name)(*(value[b] for value in given), size=shape[1:])
            for b, generator in enumerate(self.generators())
        ]
        return np.asarray(rows)


Source = np.random.Generator | Streams
"""What something is drawn from: one generator for all rows, or a stream for each."""

_ANIMAL = 0x5B
_POLICY = 0xB0
_SHUFFLE = 0x50C
_POLICIES = {"random": 1, "lookahead": 2, "filter": 3}


def animal_rng(animal: int) -> np.random.Generator:
    """The noise of an animal's calibration."""
    return _spawned(animal, _ANIMAL)


def policy_rng(seed: int, use: Literal["lookahead"]) -> np.random.Generator:
    """What a policy draws before trials begin."""
    return _spawned(seed, _POLICY, _POLICIES[use])


def policy_streams(trials: Streams, seed: int, use: Literal["random", "filter"]) -> Streams:
    """What a policy draws in trials: of each from a branch of the trial's own stream."""
    sequence = np.random.SeedSequence(seed, spawn_key=(_POLICY, _POLICIES[use]))
    return trials.branch(sequence.generate_state(1, np.uint64)[0])


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


@compiled
def _random(drawn, keys, draws):  # type: ignore[no-untyped-def]
    """Draw rows of numbers, and count the draw."""
    for b in range(drawn.shape[0]):
        uniforms(keys[b, 0], keys[b, 1], draws[b], DRAWN, drawn[b])
        draws[b] += 1


@compiled
def _split(keys, draws, n):  # type: ignore[no-untyped-def]
    made = np.empty((keys.shape[0] * n, 2), np.uint64)
    for b in range(keys.shape[0]):
        for i in range(n):
            first, second, _, _ = block(keys[b, 0], keys[b, 1], draws[b], SPLIT, i + 1)
            made[b * n + i, 0], made[b * n + i, 1] = first, second
    return made


@compiled
def _branch(keys, use):  # type: ignore[no-untyped-def]
    made = np.empty(keys.shape, np.uint64)
    for b in range(keys.shape[0]):
        first, second, _, _ = block(keys[b, 0], keys[b, 1], use, BRANCH, 1)
        made[b, 0], made[b, 1] = first, second
    return made
