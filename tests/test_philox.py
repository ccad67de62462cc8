"""Random words against numpy's Philox, and intervals against their laws."""

import numpy as np
import pytest
from scipy import stats

from ndbmi_gym.philox import block, gamma_intervals, intervals, uniform, word

CASES = 40
SHAPES = (0.3, 1.0, 1.5, 4.0, 50.0)


def places(seed=0):
    """Keys, draws and lanes of any size."""
    rng = np.random.default_rng(seed)
    for i in range(CASES):
        key = rng.integers(0, 2**64, 2, np.uint64)
        draw = int(rng.integers(0, 2**63)) if i % 2 else i
        yield key, draw, i % 4


def numpys(key, draw, lane, block=0):
    return np.random.Philox(key=key, counter=np.array([block, draw, lane, 0], np.uint64))


@pytest.mark.parametrize("first", [1, 2, 1000, 2**40])
def test_blocks_are_those_of_numpy(first):
    for key, draw, lane in places():
        ours = [block(*key, draw, lane, first + i) for i in range(3)]
        theirs = numpys(key, draw, lane, first - 1).random_raw(12)
        np.testing.assert_array_equal(np.array(ours, np.uint64).ravel(), theirs)


def test_keys_of_extreme_words():
    for key in ([0, 0], [2**64 - 1, 2**64 - 1], [0, 2**63], [1, 0]):
        words = np.array(key, np.uint64)
        ours = np.array(block(*words, 0, 0, 1), np.uint64)
        np.testing.assert_array_equal(ours, numpys(words, 0, 0).random_raw(4))


def test_words_and_uniform_numbers_stand_at_their_places():
    for key, draw, lane in places():
        words = [word(*key, draw, lane, i) for i in range(11)]
        np.testing.assert_array_equal(words, numpys(key, draw, lane).random_raw(11))
        numbers = [uniform(*key, draw, lane, i) for i in range(11)]
        theirs = np.random.Generator(numpys(key, draw, lane)).random(11)
        np.testing.assert_array_equal(numbers, theirs)


def exponential(key, draw, lane, n):
    gaps = np.empty(n + 3)
    filled, place = intervals(*key, draw, lane, gaps, 0, n, 0)
    assert n <= filled <= n + 3
    return gaps[:filled], place


def test_intervals_are_numpys_exponential_numbers():
    """To rounding, and of the same words: numpy tabulates the layers' edges from elsewhere."""
    for key, draw, lane in places():
        ours, place = exponential(key, draw, lane, 5000)
        source = numpys(key, draw, lane)
        theirs = np.random.Generator(source).standard_exponential(len(ours))
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=0)
        assert source.random_raw() == word(*key, draw, lane, place)


def test_long_intervals_are_numpys_too():
    """In 4 million numbers, the tail beyond 7.7 is met 1800 times."""
    key = np.array([3, 14], np.uint64)
    ours, _ = exponential(key, 0, 0, 4_000_000)
    theirs = np.random.Generator(numpys(key, 0, 0)).standard_exponential(len(ours))
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=0)
    assert (ours > 7.6971).sum() > 1500


@pytest.mark.parametrize("shape", [None, *SHAPES])
def test_intervals_go_on_from_any_place(shape):
    key, rng = np.array([5, 9], np.uint64), np.random.default_rng(0)

    def fill(gaps, filled, wanted, place):
        if shape is None:
            return intervals(*key, 2, 0, gaps, filled, wanted, place)
        return gamma_intervals(*key, 2, 0, shape, gaps, filled, wanted, place)

    whole = np.empty(3003)
    fill(whole, 0, 3000, 0)
    for most in (1, 2, 3, 7, 100):
        parts, filled, place = np.full(3003, np.nan), 0, 0
        while filled < 2900:
            wanted = filled + int(rng.integers(1, most + 1))
            filled, place = fill(parts, filled, wanted, place)
            assert wanted <= filled <= wanted + 3
            assert np.isnan(parts[filled:]).all()
        np.testing.assert_array_equal(parts[:filled], whole[:filled])


def test_nothing_wanted_draws_nothing():
    key, gaps = np.array([5, 9], np.uint64), np.full(8, np.nan)
    assert intervals(*key, 0, 0, gaps, 5, 5, 12) == (5, 12)
    assert gamma_intervals(*key, 0, 0, 2.0, gaps, 5, 5, 12) == (5, 12)
    assert np.isnan(gaps).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_gamma_intervals_follow_their_law(shape):
    """Five shapes with five tests at 2e-6 each: false alarm 5e-5 in all, with the keys fixed."""
    n, law = 400_000, stats.gamma(shape, scale=1 / shape)
    gaps = np.empty(n + 3)
    key = np.random.default_rng(int(10 * shape)).integers(0, 2**64, 2, np.uint64)
    filled, place = gamma_intervals(*key, 0, 0, shape, gaps, 0, n, 0)
    drawn = gaps[:filled]
    assert drawn.min() > 0
    # squeezed between no rejection and the method's worst, at shape 1
    assert 4 * filled <= place < 4.3 * filled
    quantile = law.cdf(drawn)
    pair = (quantile[:-1] - 0.5) * (quantile[1:] - 0.5) * 12
    kurtosis = law.stats("k") + 3
    scores = {
        "mean": (drawn.mean() - 1) / np.sqrt(law.var() / n),
        "variance": (drawn.var() / law.var() - 1) / np.sqrt((kurtosis - 1) / n),
        "neighbours": pair.mean() * np.sqrt(n),
    }
    p = {name: 2 * stats.norm.sf(abs(z)) for name, z in scores.items()}
    p["law"] = stats.kstest(quantile, "uniform").pvalue
    counts = np.histogram(quantile, 1000, (0, 1))[0]
    p["cells"] = stats.chisquare(counts).pvalue
    assert min(p.values()) > 2e-6, p
