"""Random streams: one for each trial, drawn from as from numpy's; and those of before."""

import numpy as np
import pytest

from ndbmi_gym.streams import (
    Streams,
    animal_rng,
    circuit_rng,
    experiment_rng,
    policy_rng,
    policy_streams,
    shuffle_rng,
)

METHODS = {
    "random": lambda rng, n: rng.random((n, 5)),
    "integers": lambda rng, n: rng.integers(-20, 21, (n, 5)),
    "integers to": lambda rng, n: rng.integers(1 + np.arange(5 * n).reshape(n, 5)),
    "poisson": lambda rng, n: rng.poisson(np.arange(1.0, 5 * n + 1).reshape(n, 5)),
    "uniform": lambda rng, n: rng.uniform(-1.0, np.arange(1.0, 6.0), (n, 5)),
    "normal": lambda rng, n: rng.normal(np.zeros((n, 1, 1)), 2.0, (n, 3, 2)),
    "exponential": lambda rng, n: rng.exponential(3.0, (n, 5)),
}
USES = ("random", "filter")


def keyed(n, seed=0):
    return Streams.keyed(np.random.default_rng(seed).integers(0, 2**64, (n, 2), np.uint64))


def numpys(key, draw):
    """Numpy's own generator of a stream's draw."""
    counter = np.array([0, draw, 0, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def test_numbers_are_those_of_numpy():
    streams = keyed(20)
    for draw in range(4):
        drawn = streams.random((20, 3, 4))
        for key, row in zip(streams.keys, drawn, strict=True):
            np.testing.assert_array_equal(row, numpys(key, draw).random((3, 4)))
    assert (streams.draws == 4).all()


@pytest.mark.parametrize("name", METHODS)
def test_every_row_comes_from_its_own_stream(name):
    """Row b is what numpy's generator draws under key b, whatever the others draw."""
    draw, n = METHODS[name], 9
    streams = keyed(n)
    streams.draws[:] = np.arange(n) % 4
    before = streams.draws.copy()
    drawn = draw(streams, n)
    np.testing.assert_array_equal(streams.draws, before + 1)
    assert len(drawn) == n
    assert len(np.unique(drawn.reshape(n, -1), axis=0)) == n
    # trials of the same arguments, or all of them with their own
    for b in range(n):
        generator = numpys(streams.keys[b], int(before[b]))
        if name in ("integers to", "poisson"):
            own = np.arange(5 * b + 1, 5 * b + 6)
            method = generator.integers if name == "integers to" else generator.poisson
            expected = method(own, size=5)
        else:
            expected = draw(generator, 1)[0]
        np.testing.assert_array_equal(drawn[b], expected)


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name not in ("poisson", "integers to")]
)
def test_a_row_does_not_depend_on_the_batch(name):
    draw, n = METHODS[name], 12
    whole = draw(keyed(n), n)
    for some in (np.array([7]), np.array([11, 0, 5]), np.arange(n)[::-1], np.arange(n) > 8):
        chosen = keyed(n).select(some)
        np.testing.assert_array_equal(draw(chosen, len(chosen)), whole[some])


def test_a_single_number_for_each_trial():
    np.testing.assert_array_equal(keyed(4).random(4), keyed(4).random((4, 3))[:, 0])
    assert keyed(4).poisson(np.full(4, 3.0)).shape == (4,)


@pytest.mark.parametrize("n", [1, 4])
def test_nothing_can_be_drawn(n):
    assert keyed(n).random((n, 0)).shape == (n, 0)
    assert keyed(n).normal(size=(n, 0, 2)).shape == (n, 0, 2)


def test_shapes_of_other_batches_are_refused_and_nothing_drawn():
    streams = keyed(3)
    for size in (4, (2, 3), (), (1, 3)):
        for method in (streams.random, streams.normal, streams.exponential, streams.uniform):
            with pytest.raises(ValueError, match=r"each of 3 trials; give a shape that begins wi"):
                method(size=size)
    for size in (4, (1, 3)):
        with pytest.raises(ValueError, match=r"size = .*each of 3 trials"):
            streams.integers(5, size=size)
    with pytest.raises(ValueError, match="each of 3 trials"):
        streams.integers(5)
    with pytest.raises(ValueError, match="each of 3 trials"):
        streams.poisson(np.ones((2, 3)))
    assert (streams.draws == 0).all()


def test_keys_are_what_a_generator_draws():
    streams = Streams.of(np.random.default_rng(3), 4)
    raw = np.random.default_rng(3).bit_generator.random_raw(8)
    np.testing.assert_array_equal(streams.keys.ravel(), raw)
    assert (streams.draws == 0).all()
    assert len(streams) == 4
    # one at a time, as separate environments draw theirs
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal([Streams.of(rng, 1).keys[0] for _ in range(4)], streams.keys)


def test_what_is_selected_moves_apart():
    streams = keyed(5)
    some = streams.select(np.array([1, 3]))
    some.random(2)
    assert (streams.draws == 0).all()
    streams.random(5)
    np.testing.assert_array_equal(some.draws, [1, 1])


def test_streams_split_and_branch_into_others():
    """None shares a number with another, and what is drawn from one moves no other."""
    parent = keyed(3)
    made = {"parent": keyed(3), "first": parent.split(4), "second": parent.split(4)}
    made |= {f"use {use}": parent.branch(use) for use in (0, 1, 2, 1 << 40)}
    made["of a branch"] = parent.branch(1).branch(1)
    made["of a part"] = made["first"].select(np.arange(12)).split(2)
    assert (parent.draws == 2).all()
    drawn = {name: streams.random((len(streams), 200)) for name, streams in made.items()}
    everything = np.concatenate([rows.ravel() for rows in drawn.values()])
    assert len(np.unique(everything)) == everything.size
    np.testing.assert_array_equal(parent.random((3, 200)), numbers_after(2, 200))


def numbers_after(draws, n):
    streams = keyed(3)
    streams.draws[:] = draws
    return streams.random((3, n))


def test_splitting_goes_by_trial_and_draw_and_branching_by_trial_and_use():
    one, other = keyed(3), keyed(3)
    other.draws[:] = 1
    first = one.split(4)
    np.testing.assert_array_equal(one.split(2).keys, other.split(2).keys)
    # the first of many are those of few
    np.testing.assert_array_equal(
        first.keys.reshape(3, 4, 2)[:, :2], keyed(3).split(2).keys.reshape(3, 2, 2)
    )
    alone = keyed(3).select(np.array([2])).split(4)
    np.testing.assert_array_equal(alone.keys, first.keys[8:])
    np.testing.assert_array_equal(one.branch(5).keys, keyed(3).branch(5).keys)
    np.testing.assert_array_equal(
        keyed(3).select(np.array([2])).branch(5).keys[0], one.branch(5).keys[2]
    )
    assert (one.branch(5).draws == 0).all()


def test_policies_draw_from_branches_by_seed_and_use():
    trials = keyed(4)
    drawn = [
        policy_streams(trials, seed, use).random((4, 50)) for use in USES for seed in (0, 1, 256)
    ]
    assert len(np.unique(drawn)) == 6 * 4 * 50
    assert (trials.draws == 0).all()
    np.testing.assert_array_equal(policy_streams(trials, 1, "filter").random((4, 50)), drawn[4])


# Streams that are seeded


def firsts(seed):
    """The beginning of every stream of a seed, and of the one a user would make of it."""
    return {
        "user": np.random.default_rng(seed),
        "animal": animal_rng(seed),
        "shuffle": shuffle_rng(seed),
        "lookahead": policy_rng(seed, "lookahead"),
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
    assert policy_rng(3, "lookahead").random() == spawned(3, 0xB0, 2)
    assert circuit_rng(3).random() == np.random.default_rng(3).random()
