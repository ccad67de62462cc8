"""Electrodes beside those of the interface: what they record, and that nothing decodes it."""

import numpy as np
import pytest

from ndbmi_gym.animals import Calibration, interface_of
from ndbmi_gym.config import Config
from ndbmi_gym.cortex import CORTICES, decoded
from ndbmi_gym.cortex.dedicated import Dedicated
from ndbmi_gym.cortex.topographic import Topographic
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.inversion import command
from ndbmi_gym.policies import LookAhead
from ndbmi_gym.streams import Streams

N = 4000


def make(**options):
    return Dedicated(**options).for_animal(0)


def drawn(cortex, volition, seed=0):
    streams = Streams.of(np.random.default_rng(seed), N)
    return cortex.respond(np.zeros(N, np.int64), np.tile(volition, (N, 1)), streams)


def test_it_is_the_paper_s_cortex_with_electrodes_behind():
    cortex, plain = make(dataset=5, gain=2.0), Topographic(5, gain=2.0).for_animal(0)
    assert (cortex.n_electrodes, decoded(cortex), decoded(plain)) == (6, 4, 4)
    assert (cortex.n_stimuli, cortex.n_bins) == (plain.n_stimuli, plain.n_bins)
    assert cortex.max_count == plain.max_count
    stimulus, volition = np.arange(3), np.random.default_rng(0).uniform(-20, 20, (3, 6))
    mean = cortex.mean_counts(stimulus, volition)
    np.testing.assert_array_equal(mean[:, :4], plain.mean_counts(stimulus, volition[:, :4]))
    np.testing.assert_array_equal(mean[:, 4:], np.maximum(5 + volition[:, 4:], 0))
    np.testing.assert_array_equal(
        cortex.profile(stimulus, volition), plain.profile(stimulus, volition[:, :4])
    )
    streams = Streams.of(np.random.default_rng(0), 3)
    ours = cortex.respond(stimulus, volition, streams.select(np.arange(3)))
    theirs = plain.respond(stimulus, np.ascontiguousarray(volition[:, :4]), streams)
    np.testing.assert_array_equal(ours.trains.rows, theirs.trains.rows)
    np.testing.assert_array_equal(ours.counts[:, :4], theirs.counts[:, :4])
    np.testing.assert_array_equal(ours.counts[:, 6:10], theirs.counts[:, 4:])


def test_volition_alone_drives_them_by_poisson_counts():
    cortex = make(dedicated=3, resting=4.0)
    volition = np.zeros(12)
    volition[9:] = 30.0, -1.5, -9.0
    counts = drawn(cortex, volition).counts
    evoked, volitional = counts[:, 9:12], counts[:, 21:]
    for found, mean in zip(evoked.T, (4.0, 2.5, 0.0), strict=True):
        assert found.mean() == pytest.approx(mean, abs=4 * (mean / N) ** 0.5)
        assert found.var() == pytest.approx(mean, abs=0.3 + 0.0 * mean)
    assert volitional[:, 0].mean() == pytest.approx(30, abs=4 * (30 / N) ** 0.5)
    assert not volitional[:, 1:].any()
    assert abs(np.corrcoef(evoked[:, 0], volitional[:, 0])[0, 1]) < 0.08
    assert (counts <= cortex.count_bound(30.0)).all()


def test_without_volition_they_rest():
    cortex = make(resting=7.0)
    streams = Streams.of(np.random.default_rng(0), N)
    counts = cortex.respond(np.zeros(N, np.int64), None, streams).counts
    assert counts[:, 9:11].mean() == pytest.approx(7.0, abs=0.15)
    assert not counts[:, 20:].any()


def test_a_trial_is_the_same_alone_and_in_a_batch():
    cortex, rng = make(), np.random.default_rng(2)
    stimulus, volition = rng.integers(32, size=20), rng.uniform(-10, 40, (20, 11))
    streams = Streams.of(rng, 20)
    together = cortex.respond(stimulus, volition, streams.select(np.arange(20)))
    for b in range(20):
        own = slice(b, b + 1)
        alone = cortex.respond(stimulus[own], volition[own], streams.select(own))
        np.testing.assert_array_equal(alone.trains.rows, together.trains[b])
        np.testing.assert_array_equal(alone.counts, together.counts[own])


def test_calibration_is_that_of_the_decoded_electrodes():
    model = CORTICES.make({"kind": "dedicated", "gain": 1.5, "flatten": 0.3, "degraded": "test"})
    assert model.calibrated() == Topographic(gain=1.5)
    kept = interface_of(Topographic(gain=1.5), Calibration(repetitions=2), 0)
    assert interface_of(model, Calibration(repetitions=2), 0) is kept


def test_they_do_not_move_the_virtual_point():
    options = {"cortex": "dedicated", "repetitions": 3}
    env, quiet = BMIVectorEnv(6, **options), BMIVectorEnv(6, **options)
    for each in (env, quiet):
        seen, _ = each.reset(seed=0)
    assert env.single_action_space.shape == (11,)
    action = np.zeros((6, 11), np.float32)
    action[:, 9:] = 1.0
    for _ in range(5):
        seen, _, _, _, info = env.step(action)
        _, _, _, _, other = quiet.step(0 * action)
        np.testing.assert_array_equal(info["evoked_counts"][:, :9], other["evoked_counts"][:, :9])
        np.testing.assert_array_equal(info["virtual_point"], other["virtual_point"])
        assert (info["volitional_counts"][:, 9:] > 10).all()
        assert not other["volitional_counts"].any()
        assert env.observation_space.contains(seen)


def test_eq_24_leaves_them_alone_and_look_ahead_tries_them():
    loop = Config.of(cortex="dedicated", repetitions=3).make_loop(0)
    target = np.array([[4.0, 1.0]])
    plain = Config.of(repetitions=3).make_loop(0)
    found = command(loop, target, 0.0, 40.0)
    np.testing.assert_array_equal(found[:, :9], command(plain, target, 0.0, 40.0))
    np.testing.assert_array_equal(found[:, 9:], 0)
    env = BMIVectorEnv(2, cortex="dedicated", repetitions=3)
    volition, _, _ = LookAhead(env, samples=2).tables[0]
    beside = np.unique(volition[..., 9:].reshape(-1, 2), axis=0)
    full = env.episodes.max_count
    np.testing.assert_allclose(beside, [[0, 0], [0, full], [full, 0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dedicated": 0}, "dedicated = 0: give a whole number >= 1"),
        ({"resting": -1.0}, "resting = -1.0: give a finite number >= 0"),
        ({"dataset": 9}, "dataset = 9"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        Config.of(cortex={"kind": "dedicated", **options})
