"""The nearest response against a sum over all spike pairs, whichever tables it is looked up in."""

import gc
import math
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_metric import (
    ANY_METRIC,
    N_BINS,
    PROPERTY,
    THETAS,
    brute_gram,
    brute_kernel,
    brute_squared,
    cortical_trains,
    metrics,
    random_trains,
    spikes,
    trains_of,
)

from ndbmi_gym.bank import (
    ResponseBank,
    Stack,
    _bound,
    _project,
    nearest,
    nearest_bounded,
    nearest_group,
    stacked,
)
from ndbmi_gym.metric import Metric, in_order, squared_norms
from ndbmi_gym.spikes import SpikeTrains


def quantum(metric, bank_trains):
    """Table unit: the largest inner product of one spike with one response, over 65535."""
    n_bins = bank_trains.n_bins
    places = np.arange(bank_trains.n_electrodes * n_bins)
    worth = [brute_kernel(metric, places, y, n_bins).sum(axis=1).max() for y in bank_trains]
    return max(worth) / 65535


@ANY_METRIC
def test_table_errs_by_half_a_quantum_per_spike(metric):
    bank = ResponseBank(metric, random_trains(7, 11))
    bank.stack.ensure(np.array([0]))
    table, scale = bank.stack.tables.entries[0], bank.stack.tables.quanta[0]
    assert scale == pytest.approx(quantum(metric, bank.trains), rel=1e-9)
    single = trains_of([[divmod(place, N_BINS)] for place in range(3 * N_BINS)])
    exact = brute_gram(metric, single, bank.trains)
    assert (np.abs(scale * table - exact) <= scale / 2 * (1 + 1e-6) + 1e-9).all()


@ANY_METRIC
def test_bank_by_brute_force(metric):
    bank = ResponseBank(metric, random_trains(7, 11))
    queries = random_trains(8, 15)
    exact = brute_gram(metric, queries, bank.trains)
    np.testing.assert_allclose(bank.inner_products(queries), exact, rtol=1e-9, atol=1e-9)
    bank.stack.ensure(np.zeros(1, np.int64))
    (norms,) = bank.stack.tables.norms
    np.testing.assert_allclose(norms, squared_norms(metric, bank.trains), rtol=1e-12)
    squared = brute_squared(metric, queries, bank.trains)
    np.testing.assert_allclose(bank.distances(queries) ** 2, squared, atol=1e-8)


@pytest.mark.parametrize("metric", [Metric(t, a) for t in (0.02, 0.1, 1.0) for a in THETAS])
def test_bank_distances_of_cortical_responses(metric):
    bank = ResponseBank(metric, cortical_trains(1, 2))
    queries = cortical_trains(2, 1)
    exact = np.sqrt(brute_squared(metric, queries, bank.trains))
    np.testing.assert_allclose(bank.distances(queries), exact, rtol=1e-7)


@PROPERTY
@given(metric=metrics, responses=st.lists(spikes, min_size=1, max_size=5), seed=st.integers(0, 99))
def test_equal_responses_are_at_distance_zero(metric, responses, seed):
    rng = np.random.default_rng(seed)
    shuffled = [[response[i] for i in rng.permutation(len(response))] for response in responses]
    between = ResponseBank(metric, trains_of(responses)).distances(trains_of(shuffled))
    np.testing.assert_array_equal(np.diag(between), 0.0)


@pytest.mark.parametrize("metric", [Metric(), Metric(10.0), Metric(0.1, 0.0)])
def test_a_calibration_response_is_at_distance_zero_of_itself(metric):
    trains = cortical_trains(3, 2)
    between = ResponseBank(metric, trains).distances(trains)
    np.testing.assert_array_equal(np.diag(between), 0.0)
    np.testing.assert_array_equal(between == 0.0, np.eye(len(trains), dtype=bool))


@pytest.mark.parametrize(
    "metric", [Metric(t, a) for t in (0.02, 0.1) for a in (0.0, 1.0, np.pi / 2)]
)
def test_nearest_by_brute_force(metric):
    bank = ResponseBank(metric, cortical_trains(1, 2))
    queries = cortical_trains(2, 1)
    squared = brute_squared(metric, queries, bank.trains)
    nearest = bank.nearest(queries)
    chosen = np.take_along_axis(squared, nearest[:, None], axis=1)[:, 0]
    # two responses whose squared distances differ by less than the quantisation may swap
    tolerance = 2 * quantum(metric, bank.trains) * np.diff(queries.offsets)
    assert (chosen <= squared.min(axis=1) + tolerance).all()
    assert (nearest == squared.argmin(axis=1)).mean() > 0.9


def test_nearest_of_a_calibration_response_is_itself():
    trains = cortical_trains(3, 5)
    bank = ResponseBank(Metric(), trains)
    np.testing.assert_array_equal(bank.nearest(trains), np.arange(len(trains)))


def test_nearest_is_the_first_of_equals():
    responses = [[(0, 5), (1, 7)], [(2, 3)], [(1, 7), (0, 5)], [(2, 3)]]
    bank = ResponseBank(Metric(0.01, 1.0), trains_of(responses))
    np.testing.assert_array_equal(bank.nearest(bank.trains), [0, 1, 0, 1])


@pytest.mark.parametrize("exponent", [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0, -300.0, 300.0])
@pytest.mark.parametrize("size", [1, 4, 8])
def test_nearest_group_by_brute_force(exponent, size):
    metric = Metric(0.05, 1.1)
    bank = ResponseBank(metric, cortical_trains(4, 4))
    queries = cortical_trains(5, 1)
    between = np.sqrt(brute_squared(metric, queries, bank.trains)).reshape(len(queries), -1, size)
    unit = between.max(axis=-1, keepdims=True)  # (3/20)^-300 would overflow without
    mean = np.mean((between / unit) ** exponent, axis=-1) ** (1 / exponent) * unit[..., 0]
    nearest = bank.nearest_group(queries, size, exponent)
    chosen = np.take_along_axis(mean, nearest[:, None], axis=1)[:, 0]
    assert (chosen <= mean.min(axis=1) * (1 + 1e-4)).all()
    assert (nearest == mean.argmin(axis=1)).mean() > 0.9


@pytest.mark.parametrize(("exponent", "extreme"), [(-5000.0, np.min), (5000.0, np.max)])
def test_extreme_exponents_compare_the_closest_or_the_farthest(exponent, extreme):
    metric = Metric(0.05)
    bank = ResponseBank(metric, cortical_trains(4, 4))
    queries = cortical_trains(5, 1)
    between = np.sqrt(brute_squared(metric, queries, bank.trains)).reshape(len(queries), -1, 4)
    size = extreme(between, axis=-1)
    nearest = bank.nearest_group(queries, 4, exponent)
    chosen = np.take_along_axis(size, nearest[:, None], axis=1)[:, 0]
    # 4^(1/5000) is 1 + 3e-4
    assert (chosen <= size.min(axis=1) * (1 + 1e-3)).all()


def test_group_that_contains_the_response_wins_under_a_negative_exponent():
    trains = cortical_trains(6, 5)
    bank = ResponseBank(Metric(), trains)
    group = np.repeat(np.arange(32), 5)
    np.testing.assert_array_equal(bank.nearest_group(trains, 5, -2.0), group)


def test_silent_bank_and_silent_queries():
    silent = trains_of([[], []])
    bank = ResponseBank(Metric(), silent)
    np.testing.assert_array_equal(bank.distances(silent), np.zeros((2, 2)))
    np.testing.assert_array_equal(bank.nearest(trains_of([[(0, 1)]])), [0])
    np.testing.assert_allclose(bank.distances(trains_of([[(0, 1)]])), 1.0)
    heard = ResponseBank(Metric(), trains_of([[(0, 1)], []]))
    np.testing.assert_array_equal(heard.nearest(silent), [1, 1])


def test_bursts_beyond_16_bits_of_spikes_in_all():
    """Sums run in 32 bits: 60 000 coincident spikes at the largest table entry still fit."""
    bank = ResponseBank(Metric(), trains_of([[(0, 10)] * 300, [(0, 20)]], 1))
    burst = trains_of([[(0, 10)] * 60_000], 1)
    expected = [[60_000 * 300, 60_000 * math.exp(-0.1)]]
    np.testing.assert_allclose(bank.inner_products(burst), expected, rtol=1e-12)
    assert bank.nearest(burst)[0] == 0


def test_more_spikes_than_fit_are_refused():
    bank = ResponseBank(Metric(), trains_of([[(0, 10)], [(0, 20)]], 1))
    with pytest.raises(ValueError, match=r"a response of 65537 spikes: at most 65536"):
        bank.nearest(trains_of([[(0, 10)] * 65_537], 1))


def test_no_queries_no_answers():
    bank = ResponseBank(Metric(), random_trains(0, 6))
    nothing = SpikeTrains(np.zeros(0, np.int32), np.zeros(1, np.int64), 3, N_BINS)
    assert bank.distances(nothing).shape == (0, 6)
    assert bank.nearest(nothing).shape == (0,)
    assert bank.nearest_group(nothing, 2, -2.0).shape == (0,)


# Bounds


def bounds_of(bank, trains):
    """What every squared distance is at least by mean rates and by all cosines, (2, B, M)."""
    bank.stack.ensure(np.array([0]))
    tables = bank.stack.tables
    n_slow, size = tables.slow.shape[1:]
    found = np.empty((2, len(trains), size), np.float32)
    for b, each in enumerate(trains):
        spikes, ends = np.empty(each.size, np.int64), np.empty(trains.n_electrodes + 1, np.int64)
        in_order(each, 0, each.size, trains.n_bins, spikes, ends)
        own = squared_norms(bank.metric, alone(each, trains))[0]
        x, beside = np.empty(n_slow), np.empty(2)
        _project(spikes, ends, own, tables.worths, tables.coupling, x, beside)
        for i, used in enumerate((trains.n_electrodes, n_slow)):
            rest = tables.rest[0, i]
            of = (tables.floors[0], tables.slow[0], rest, x, used, beside[i], 0, size)
            _bound(*of, found[i, b])
        found[:, b] += np.float32(own)
    return found


def alone(rows, trains):
    return SpikeTrains(rows, np.array([0, rows.size]), trains.n_electrodes, trains.n_bins)


@ANY_METRIC
def test_no_distance_is_below_its_bound(metric):
    bank = ResponseBank(metric, random_trains(7, 40))
    queries = random_trains(8, 15)
    squared = brute_squared(metric, queries, bank.trains)
    slack = 1e-5 * squared.max()
    by_means, by_cosines = bounds_of(bank, queries)
    assert (by_means <= by_cosines + slack).all()
    assert (by_cosines <= squared + slack).all()


@ANY_METRIC
def test_bounds_of_steady_responses_are_their_distances(metric):
    """Spikes in every bin, as many on each electrode: nothing is left beside the projection."""
    responses = [
        [(unit, tick) for unit in range(3) for tick in range(N_BINS) for _ in range(counts[unit])]
        for counts in ((1, 0, 0), (1, 2, 0), (0, 1, 3))
    ]
    trains = trains_of(responses)
    squared = brute_squared(metric, trains, trains)
    own = squared_norms(metric, trains).max()
    bounds = bounds_of(ResponseBank(metric, trains), trains)
    for each in bounds:
        np.testing.assert_allclose(each, squared, atol=1e-4 * own)


def answers(bank, trains):
    """Choices of either loop."""
    bank.stack.ensure(np.array([0]))
    tables, found = bank.stack.tables, np.full((2, len(trains)), -1)
    asked = np.zeros(len(trains), np.int64), trains.rows, trains.offsets, 0, len(trains)
    nearest(*tables[:3], *asked, found[0])
    nearest_bounded(tuple(tables), *asked, found[1])
    return found


@PROPERTY
@given(
    metric=metrics,
    size=st.integers(1, 100),
    likeness=st.sampled_from([1, 5, 40]),
    seed=st.integers(0, 10_000),
)
def test_bounds_change_no_choice(metric, size, likeness, seed):
    """Few spikes make equal responses, many make unequal ones; blocks are full or not."""
    bank = ResponseBank(metric, random_trains(seed, size, max_spikes=likeness))
    plain, bounded = answers(bank, random_trains(seed + 1, 20, max_spikes=likeness))
    np.testing.assert_array_equal(bounded, plain)


@pytest.mark.parametrize("theta", THETAS)
def test_bounds_change_no_choice_in_a_cortex(theta):
    bank = ResponseBank(Metric(0.1, theta), cortical_trains(3, 6))
    plain, bounded = answers(bank, cortical_trains(4, 10))
    np.testing.assert_array_equal(bounded, plain)
    assert len(np.unique(plain)) > 100


def late_by_a_bin(n, n_bins, each, places):
    """Steady responses but for one spike that is a bin late; 32 of a kind, a block of them."""
    steady = np.repeat(np.arange(n * n_bins), each)
    late = np.tile(steady, (len(places), 1))
    late[np.arange(len(places)), np.array(places) * each] += 1
    return side_by_side(np.repeat(late, 32, axis=0), n, n_bins)


def side_by_side(rows, n, n_bins):
    offsets = np.arange(len(rows) + 1) * rows.shape[1]
    return SpikeTrains(rows.ravel().astype(np.int32), offsets, n, n_bins)


@pytest.mark.parametrize(("n_bins", "tau_s"), [(8, 0.1), (13, 0.1), (14, 0.1), (12, 0.02)])
def test_near_ties_that_rounding_of_the_table_decides_are_not_left_out(n_bins, tau_s):
    """A steady response is as far from all of these: what the table makes of it decides."""
    late = late_by_a_bin(1, n_bins, 1, range(n_bins - 1))
    bank = ResponseBank(Metric(tau_s, np.pi / 2), late)
    plain, bounded = answers(bank, side_by_side(np.arange(n_bins)[None], 1, n_bins))
    np.testing.assert_array_equal(bounded, plain)


def test_near_ties_that_rounding_of_the_bounds_decides_are_not_left_out():
    """Of 2,000 spikes on an electrode |c|² is 8 million, which float32 tells to half a unit."""
    n_bins, late = 4, late_by_a_bin(2, 4, 500, [1, 5])
    first, second = np.divmod(np.arange(n_bins**2), n_bins)
    asked = np.stack([first, n_bins + second], axis=1)
    bank = ResponseBank(Metric(0.1, np.pi / 2), late)
    plain, bounded = answers(bank, side_by_side(asked, 2, n_bins))
    assert set(plain) == {0, 32}
    np.testing.assert_array_equal(bounded, plain)


def test_large_tables_are_looked_up_by_bounds():
    small, large = (random_trains(0, 4, 3, n_bins) for n_bins in (N_BINS, 1_000_000))
    assert not ResponseBank(Metric(), small).stack.bounded
    bank = ResponseBank(Metric(), large)
    assert bank.stack.bounded
    np.testing.assert_array_equal(bank.nearest(large), range(4))


# Many animals


def test_a_stack_answers_for_each_animal_as_its_bank_does():
    banks = [ResponseBank(Metric(0.05, 1.2), cortical_trains(seed, 4)) for seed in range(3)]
    stack = stacked(banks)
    queries = cortical_trains(9, 1)
    animal = np.arange(len(queries)) % 3
    stack.ensure(animal)
    asked = animal, queries.rows, queries.offsets
    plain, bounded, group = np.full((3, len(queries)), -1)
    # two ranges of trials, the second with spikes and offsets of its own
    for first, last in ((0, 10), (10, len(queries))):
        part = slice(first, last)
        begin = queries.offsets[first]
        asked = animal, queries.rows[begin:], queries.offsets[first : last + 1] - begin, first, last
        nearest(*stack.tables[:3], *asked, plain[part])
        nearest_bounded(tuple(stack.tables), *asked, bounded[part])
        nearest_group(tuple(stack.tables), *asked, group[part], 4, -2.0)
    expected = np.array([bank.nearest(queries) for bank in banks])
    np.testing.assert_array_equal(plain, expected[animal, range(len(queries))])
    np.testing.assert_array_equal(bounded, plain)
    expected = np.array([bank.nearest_group(queries, 4, -2.0) for bank in banks])
    np.testing.assert_array_equal(group, expected[animal, range(len(queries))])


def test_tables_are_filled_when_they_are_asked_for(monkeypatch):
    filled, fill = [], Stack._fill
    monkeypatch.setattr(Stack, "_fill", lambda self, a: (filled.append(a), fill(self, a)))
    stack = stacked([ResponseBank(Metric(), random_trains(seed, 6)) for seed in range(5)])
    assert filled == []
    stack.ensure(np.array([3, 1, 3]))
    assert sorted(filled) == [1, 3]
    stack.ensure(np.array([[1], [4]]))
    assert sorted(filled) == [1, 3, 4]


def test_tables_are_filled_once_though_threads_ask_for_them_at_the_same_time(monkeypatch):
    fill = Stack._fill

    def slowly(self, animal):
        time.sleep(0.05)
        fill(self, animal)

    monkeypatch.setattr(Stack, "_fill", slowly)
    banks = [ResponseBank(Metric(), random_trains(seed, 6)) for seed in range(3)]
    one, other = stacked(banks), Stack(Metric(), [bank.trains for bank in banks])
    everyone = np.arange(3)
    other.ensure(everyone)
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(one.ensure, [everyone] * 4):
            for mine, same in zip(one.tables, other.tables, strict=True):
                np.testing.assert_array_equal(mine, same)


def test_a_stack_is_shared_while_it_is_in_use():
    banks = [ResponseBank(Metric(), random_trains(seed, 6)) for seed in range(3)]
    stack = stacked(banks)
    assert stacked([ResponseBank(Metric(), bank.trains) for bank in banks]) is stack
    assert stacked(banks[:2]) is not stack
    assert stacked(banks[:1]) is banks[0].stack
    of = weakref.ref(stack)
    del stack
    gc.collect()
    assert of() is None


def test_animals_that_differ_are_not_stacked():
    bank = ResponseBank(Metric(), random_trains(0, 6))
    with pytest.raises(ValueError, match=r"metrics .* differ: stack animals that were calibrated"):
        stacked([bank, ResponseBank(Metric(0.2), random_trains(1, 6))])
    for other in (random_trains(1, 7), random_trains(1, 6, 4), random_trains(1, 6, 3, N_BINS + 1)):
        with pytest.raises(ValueError, match="beside 6 of 3 and 30: stack animals that were calib"):
            stacked([bank, ResponseBank(Metric(), other)])


# Errors


@pytest.mark.parametrize(("n_electrodes", "n_bins"), [(4, N_BINS), (2, N_BINS), (3, N_BINS + 1)])
@pytest.mark.parametrize(
    "ask",
    [
        ResponseBank.inner_products,
        ResponseBank.distances,
        ResponseBank.nearest,
        lambda bank, trains: bank.nearest_group(trains, 2, -2.0),
    ],
)
def test_responses_of_another_set_up_are_refused(ask, n_electrodes, n_bins):
    bank = ResponseBank(Metric(), random_trains(0, 4))
    with pytest.raises(
        ValueError, match=rf"{n_electrodes} electrodes and {n_bins} ticks.*calibrate"
    ):
        ask(bank, random_trains(1, 2, n_electrodes, n_bins))


@pytest.mark.parametrize("size", [0, -2, 3, 5])
def test_groups_must_divide_the_bank(size):
    bank = ResponseBank(Metric(), random_trains(0, 4))
    with pytest.raises(ValueError, match=f"groups of {size} do not divide 4"):
        bank.nearest_group(bank.trains, size, -2.0)


@pytest.mark.parametrize("exponent", [0.0, math.nan, math.inf, -math.inf])
def test_bad_exponent_is_refused(exponent):
    bank = ResponseBank(Metric(), random_trains(0, 4))
    with pytest.raises(ValueError, match=r"exponent = .* power other than 0 \(e.g. -2\)"):
        bank.nearest_group(bank.trains, 2, exponent)
