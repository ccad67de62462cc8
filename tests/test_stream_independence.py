"""Are the streams of trials, seeds, draws, lanes and uses independent? A battery that says so.

Each family is a way in which streams lie side by side: 256 of them, 1024 numbers of each. What
could go wrong with such streams is that one repeats another, shifted or not, that a number tells
of the next or of the neighbour's, or that all share a lattice. The last test makes streams with
each of these faults.
"""

import numpy as np
import pytest
from scipy import stats

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.philox import intervals, uniform
from ndbmi_gym.streams import ADDED, DRAWN, Streams, policy_streams

STREAMS, NUMBERS = 256, 1024
FALSE_ALARM = 1e-4
"""Of all tests in this file together, with the seeds fixed."""


@pytest.fixture(scope="module")
def env():
    return BMIVectorEnv(STREAMS, autoreset_mode="Disabled", dataset=5, repetitions=2)


def keyed(keys):
    return Streams.keyed(np.array(keys, np.uint64))


def drawn(streams):
    return streams.random((len(streams), NUMBERS))


def begun(env, seeds):
    env.reset(seed=seeds)
    return Streams.keyed(env.episodes.streams.keys)


def one(seed=0):
    """A single stream."""
    return Streams.of(np.random.default_rng(seed), 1)


def lanes():
    """Four lanes of 64 draws."""
    key = one().keys[0]
    return np.array(
        [[uniform(*key, b // 4, b % 4, i) for i in range(NUMBERS)] for b in range(STREAMS)]
    )


def both_kinds():
    """What evoked and added spikes are drawn from, of one draw of each of 128 trials."""
    keys = Streams.of(np.random.default_rng(7), STREAMS // 2).keys
    return np.array(
        [
            [uniform(*key, 3, lane, i) for i in range(NUMBERS)]
            for key in keys
            for lane in (DRAWN, ADDED)
        ]
    )


def gaps():
    """The quantiles of exponential intervals of neighbouring seeds' trials."""
    keys, filled = Streams.of(np.random.default_rng(4), STREAMS).keys, np.empty(NUMBERS + 3)
    rows = []
    for key in keys:
        intervals(*key, 0, 0, filled, 0, NUMBERS, 0)
        rows.append(-np.expm1(-filled[:NUMBERS]))
    return np.array(rows)


def draws():
    """The draws of one stream."""
    streams = one(1)
    return np.concatenate([streams.random((1, NUMBERS)) for _ in range(STREAMS)])


FAMILIES = {
    "trials of a generator": lambda env: drawn(Streams.of(np.random.default_rng(0), STREAMS)),
    "seeds 0, 1, 2, ...": lambda env: drawn(begun(env, 0)),
    "seeds from 2026 on": lambda env: drawn(begun(env, 2026)),
    "seeds 0, 2^32, ...": lambda env: drawn(begun(env, [b << 32 for b in range(STREAMS)])),
    "seeds 0, 256, ...": lambda env: drawn(begun(env, [b << 8 for b in range(STREAMS)])),
    "draws": lambda env: draws(),
    "lanes": lambda env: lanes(),
    "evoked beside added": lambda env: both_kinds(),
    "splits": lambda env: drawn(one(2).split(STREAMS)),
    "splits in two, and again": lambda env: drawn(split_again(one(3))),
    "branches": lambda env: drawn(keyed([one(4).branch(use).keys[0] for use in range(STREAMS)])),
    "policies' seeds": lambda env: drawn(
        keyed([policy_streams(one(5), seed, "random").keys[0] for seed in range(STREAMS)])
    ),
    "a trial and its uses": lambda env: drawn(family_of(Streams.of(np.random.default_rng(6), 64))),
    "intervals": lambda env: gaps(),
}


def split_again(streams):
    while len(streams) < STREAMS:
        streams = streams.split(2)
    return streams


def family_of(trials):
    """Each trial's stream beside its first split, its first branch and a policy's."""
    beside = trials.keys, trials.split(1).keys, trials.branch(1).keys
    uses = (*beside, policy_streams(trials, 0, "filter").keys)
    return keyed(np.stack(uses, axis=1).reshape(-1, 2))


# Statistics: the p-values of streams, rows of numbers in [0, 1)


def of_normal(z):
    return 2 * stats.norm.sf(np.abs(z))


def smallest(p):
    """Of the smallest of several p-values."""
    p = np.minimum(np.ravel(p), 1 - 1e-15)
    return -np.expm1(p.size * np.log1p(-p.min()))


def ks(rows):
    """Of Kolmogorov's statistic of each row against the uniform law."""
    ranked, n = np.sort(rows, axis=1), rows.shape[1]
    above = (np.arange(1, n + 1) / n - ranked).max(axis=1)
    below = (ranked - np.arange(n) / n).max(axis=1)
    return stats.kstwo.sf(np.maximum(above, below), n)


def uniformity(rows):
    p = ks(rows)
    return {"rows": smallest(p), "rows in all": ks(p[None])[0]}


def pairs(one, other, cells=8):
    """Of chi-squared of pairs in a square of cells, summed over the rows."""
    place = np.int64(one * cells) * cells + np.int64(other * cells)
    counts = np.stack([np.bincount(row, minlength=cells**2) for row in place])
    expected = place.shape[1] / cells**2
    each = ((counts - expected) ** 2 / expected).sum(axis=1)
    whole = np.bincount(place.ravel(), minlength=cells**2)
    return smallest(
        [
            stats.chi2.sf(each.sum(), len(each) * (cells**2 - 1)),
            stats.chi2.cdf(each.sum(), len(each) * (cells**2 - 1)),
            stats.chisquare(whole).pvalue,
        ]
    )


def side_by_side(rows):
    """Of pairs of each stream's neighbouring numbers, and of neighbouring streams."""
    found = {f"{lag} numbers on": pairs(rows[:, :-lag], rows[:, lag:]) for lag in (1, 2, 4)}
    found |= {f"{lag} streams on": pairs(rows[:-lag], rows[lag:]) for lag in (1, 2, 16)}
    # the low half of the digits
    low = rows * 2**26 % 1
    return found | {"low digits": pairs(low[:-1], low[1:])}


def correlations(rows):
    """Of the largest correlation of any two streams, and of the sum of squares of all."""
    size = rows.shape[1]
    found = {}
    for shift in (0, 1, 2, 3, 4, 8):
        z = (rows[:, : size - shift] - 0.5) @ (rows[:, shift:] - 0.5).T * 12
        z /= np.sqrt(size - shift)
        z = z[np.triu_indices(len(z), 1)] if shift == 0 else z.ravel()
        # a product of two uniform numbers has kurtosis 81/25, so that z has nearly that of 3
        squares = (z**2 - 1).sum() / np.sqrt(2 * z.size)
        found[f"largest, {shift} on"] = smallest(of_normal(np.abs(z).max()) * np.ones(z.size))
        found[f"all, {shift} on"] = of_normal(squares)
    return found


def bits(rows):
    """Of the bits in which any two streams agree: half of them."""
    words = np.uint64(rows * 2**53)
    agree = [np.bitwise_count(words[:-k] ^ words[k:]).sum(axis=1) for k in range(1, len(words))]
    n = 53 * rows.shape[1]
    z = (np.concatenate(agree) - n / 2) / np.sqrt(n / 4)
    return {"bits": smallest(of_normal(np.abs(z).max()) * np.ones(z.size))}


def collisions(rows):
    """Of numbers that occur twice (4e-6 are expected), and of spacings of birthdays that do."""
    twice = rows.size - len(np.unique(rows))
    n_days, size = 2**32, 4096
    lots = np.sort(np.uint64(rows.T * n_days).reshape(-1, size), axis=1)
    spacings = np.sort(np.diff(lots, axis=1), axis=1)
    equal = int((spacings[:, 1:] == spacings[:, :-1]).sum())
    law = stats.poisson(len(lots) * size**3 / (4 * n_days))
    return {
        "repeated": float(stats.poisson.sf(twice - 1, rows.size**2 / 2**54)),
        "spacings": min(1.0, 2 * min(law.cdf(equal), law.sf(equal - 1))),
    }


def lattice(rows):
    """Of the largest wave over streams and numbers."""
    power = np.abs(np.fft.rfft2(rows - 0.5)) ** 2 * 12 / rows.size
    inner = power[:, 1:-1].ravel()
    return {
        "largest wave": smallest(np.exp(-inner.max()) * np.ones(inner.size)),
        "waves": stats.kstest(np.exp(-inner), "uniform").pvalue,
    }


def battery(rows):
    """P-values of all statistics by name."""
    across = uniformity(rows.T)
    return {
        **uniformity(rows),
        **{f"{name}, across": p for name, p in across.items()},
        **side_by_side(rows),
        **correlations(rows),
        **bits(rows),
        **collisions(rows),
        **lattice(rows),
    }


N_TESTS = 28


@pytest.mark.parametrize("family", FAMILIES)
def test_streams_are_independent(family, env):
    rows = FAMILIES[family](env)
    assert rows.shape == (STREAMS, NUMBERS)
    p = battery(rows)
    assert len(p) == N_TESTS
    suspicious = {name: value for name, value in p.items() if not value > threshold()}
    assert not suspicious


def threshold():
    return FALSE_ALARM / (N_TESTS * len(FAMILIES))


# Faults that are found


def repeated(rows):
    rows[200] = rows[3]


def shifted(rows):
    """A stream is another one, four numbers later."""
    rows[200, :-4] = rows[3, 4:]


def partly(rows):
    """A tenth of a stream is its neighbour's."""
    rows[101, :100] = rows[100, 300:400]


def echoing(rows):
    """A number in fifty is the mirror image of the one before."""
    some = np.random.default_rng(9).random(rows[:, 1:].shape) < 0.02
    rows[:, 1:] = np.where(some, 1 - rows[:, :-1], rows[:, 1:])


def neighbourly(rows):
    rows[1:] = np.where(np.random.default_rng(9).random(rows[1:].shape) < 0.05, rows[:-1], rows[1:])


def slanted(rows):
    rows[50] **= 1.5


def coarse(rows):
    rows[:] = np.floor(rows * 2**18) / 2**18


def latticed(rows):
    i, j = np.indices(rows.shape)
    rows[:] = (rows / 2 + (0.618 * i + 0.414 * j) / 2) % 1


def too_even(rows):
    """Not random enough: strata are filled in turn."""
    rows[:] = (rows + np.argsort(rows, axis=1)) / rows.shape[1]


@pytest.mark.parametrize(
    "spoil",
    [repeated, shifted, partly, echoing, neighbourly, slanted, coarse, latticed, too_even],
)
def test_what_is_not_independent_is_found(spoil):
    rows = drawn(Streams.of(np.random.default_rng(11), STREAMS))
    spoil(rows)
    assert min(battery(rows).values()) < threshold()
