"""Random streams: each its own, and those of before."""

import numpy as np
import pytest

from ndbmi_gym.streams import animal_rng, circuit_rng, experiment_rng, policy_rng, shuffle_rng

POLICIES = ("random", "lookahead", "filter")


def firsts(seed):
    """The beginning of every stream of a seed, and of the one a user would make of it."""
    return {
        "user": np.random.default_rng(seed),
        "animal": animal_rng(seed),
        "shuffle": shuffle_rng(seed),
        **{use: policy_rng(seed, use) for use in POLICIES},
        "experiment": experiment_rng(seed, 0, "a"),
        "animal 1": experiment_rng(seed, 1, "a"),
        "name b": experiment_rng(seed, 0, "b"),
        "names": experiment_rng(seed, 0, "a", "b"),
    }


@pytest.mark.parametrize("seed", [0, 1, 2026])
def test_no_stream_is_another(seed):
    drawn = {name: rng.random(1000) for name, rng in firsts(seed).items()}
    names = list(drawn)
    for i, one in enumerate(names):
        for other in names[:i]:
            assert not np.isin(drawn[one], drawn[other]).any(), (one, other)


@pytest.mark.parametrize("name", firsts(0))
def test_a_seed_fixes_its_stream_and_no_other(name):
    first = firsts(4)[name].random(5)
    np.testing.assert_array_equal(first, firsts(4)[name].random(5))
    assert not np.array_equal(first, firsts(5)[name].random(5))


def test_streams_are_spawned_under_their_keys():
    """Published numbers depend on these keys."""

    def spawned(entropy, *key):
        return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=key)).random()

    assert animal_rng(3).random() == spawned(3, 0x5B)
    assert shuffle_rng(3).random() == spawned(3, 0x50C)
    for number, use in enumerate(POLICIES, 1):
        assert policy_rng(3, use).random() == spawned(3, 0xB0, number)
    assert circuit_rng(3).random() == np.random.default_rng(3).random()
