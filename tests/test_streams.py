"""Streams keep the numbers that published results were drawn with."""

from itertools import combinations

import numpy as np
import pytest

from ndbmi_gym.streams import animal_rng, circuit_rng, experiment_rng, policy_rng, shuffle_rng


@pytest.mark.parametrize(
    ("stream", "seed", "key"),
    [
        (animal_rng(3), 3, (0x5B,)),
        (policy_rng(3, "random"), 3, (0xB0, 1)),
        (policy_rng(3, "lookahead"), 3, (0xB0, 2)),
        (policy_rng(3, "filter"), 3, (0xB0, 3)),
        (shuffle_rng(3), 3, (0x50C,)),
        (circuit_rng(3), 3, ()),
        (experiment_rng(3, 4, "set 6", "dipole"), (3, 4), (0x4860C869,)),
    ],
)
def test_every_stream_has_its_key(stream, seed, key):
    expected = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
    np.testing.assert_array_equal(stream.random(4), expected.random(4))


def test_streams_of_one_seed_differ():
    made = [
        animal_rng(0),
        shuffle_rng(0),
        circuit_rng(0),
        *(policy_rng(0, use) for use in ("random", "lookahead", "filter")),
        *(experiment_rng(0, animal, name) for animal in (0, 1) for name in ("a", "b")),
        experiment_rng(0, 0, "a", "b"),
    ]
    drawn = [tuple(stream.random(4)) for stream in made]
    assert all(a != b for a, b in combinations(drawn, 2))


def test_an_unknown_use_is_refused():
    with pytest.raises(KeyError, match="dreams"):
        policy_rng(0, "dreams")
