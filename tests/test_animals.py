"""Animals: drawn from a pool, calibrated once, kept as long as they are of use."""

import gc
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from ndbmi_gym import animals
from ndbmi_gym.animals import Animals, Calibration, check_pool, forget, interface_of
from ndbmi_gym.bank import Stack
from ndbmi_gym.config import Config
from ndbmi_gym.cortex.topographic import Topographic
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv

FEW = {"repetitions": 2}


@pytest.fixture
def calibrated(monkeypatch):
    """The animals that are calibrated while a test runs, beginning with none in memory."""
    forget()
    gc.collect()
    monkeypatch.setattr(animals, "_in_use", type(animals._in_use)())
    calibrate, seen = animals._calibrated, []

    def counted(model, calibration, animal):
        seen.append(animal)
        return calibrate(model, calibration, animal)

    monkeypatch.setattr(animals, "_calibrated", counted)
    yield seen
    forget()


def test_more_than_eight_animals_are_calibrated_once_each(calibrated):
    env = BMIVectorEnv(4, animal=None, n_animals=12, **FEW)
    assert calibrated == list(range(12))
    for seed in range(2):
        env.reset(seed=seed)
        env.step(np.zeros((4, 9), np.float32))
    other = BMIEnv(animal=None, n_animals=12, decoder="projection", mass=2.0, **FEW)
    other.reset(seed=0)
    assert calibrated == list(range(12))
    for mine, same in zip(env.episodes.loops, other.episodes.loops, strict=True):
        assert mine.interface is same.interface


def test_what_is_kept_is_bounded_and_what_is_in_use_is_shared(calibrated, monkeypatch):
    monkeypatch.setattr(animals, "_KEPT_BYTES", 1)  # room for one
    env = BMIEnv(animal=None, n_animals=5, **FEW)
    assert len(animals._kept) == 1
    again = BMIEnv(animal=None, n_animals=5, **FEW)
    assert calibrated == list(range(5))
    del env, again
    gc.collect()
    BMIEnv(animal=4, **FEW)  # the last is kept
    assert calibrated == list(range(5))
    BMIEnv(animal=0, **FEW)
    assert calibrated == [*range(5), 0]


def test_what_is_forgotten_is_calibrated_anew(calibrated):
    first = interface_of(Topographic(), Calibration(2), 0).points.copy()
    gc.collect()
    interface_of(Topographic(), Calibration(2), 0)
    assert calibrated == [0]
    forget()
    gc.collect()
    assert not len(animals._in_use)
    np.testing.assert_array_equal(interface_of(Topographic(), Calibration(2), 0).points, first)
    assert calibrated == [0, 0]


def test_every_option_of_a_calibration_counts(calibrated):
    base = {"repetitions": 3}
    for options in ({}, {"tau_s": 0.2}, {"theta": 1.0}, {"half_side_cm": 5.0}, {"scaling": "box"}):
        for _ in range(2):
            interface_of(Topographic(), Calibration(**base, **options), 0)
    assert len(calibrated) == 5
    interface_of(Topographic(dataset=5), Calibration(**base), 0)
    interface_of(Topographic(), Calibration(**base), 1)
    assert len(calibrated) == 7


def test_threads_make_environments_of_new_animals_at_the_same_time(calibrated, monkeypatch):
    pool = {"animal": None, "n_animals": 4, **FEW}
    action, fill = np.full((8, 9), 0.5, np.float32), Stack._fill

    def slowly(self, animal):
        time.sleep(0.05)
        fill(self, animal)

    def play(env):
        seen = env.reset(seed=3)[0], env.step(action)[0]
        assert len(set(env.episodes.animal)) == 4
        return np.concatenate(seen)

    monkeypatch.setattr(Stack, "_fill", slowly)
    with ThreadPoolExecutor(4) as threads:
        played = list(threads.map(lambda _: play(BMIVectorEnv(8, **pool)), range(4)))
        made = [BMIVectorEnv(8, **pool) for _ in range(4)]  # with tables that are shared, and empty
        played += threads.map(play, made)
    forget()
    expected = play(BMIVectorEnv(8, **pool))
    for seen in played:
        np.testing.assert_array_equal(seen, expected)


class Fresh(Topographic):
    """A model that cannot be a key."""

    __hash__ = None


def test_a_model_that_cannot_be_a_key_is_calibrated_each_time(calibrated):
    one, other = (interface_of(Fresh(), Calibration(2), 0) for _ in range(2))
    np.testing.assert_array_equal(one.points, other.points)
    assert calibrated == [0, 0]


@pytest.mark.parametrize(
    ("n_animals", "options", "message"),
    [
        (1024, {}, r"takes about \d+ s and 13.* GiB; lower it to 15\d, or lower rep"),
        (64, {"dataset": 7}, r"takes about 1\d\d s and 9.* GiB; lower it to 1\d, or lower rep"),
        (8, {"repetitions": 10**9}, "calibration with 32 stimuli x 1000"),
        (8, {"repetitions": 10**400}, "repetitions = 1000.*: give a whole number"),
    ],
)
def test_a_pool_that_would_take_minutes_is_refused_before_any_is_calibrated(
    n_animals, options, message, calibrated
):
    with pytest.raises(ValueError, match=message):
        BMIEnv(animal=None, n_animals=n_animals, **options)
    assert not calibrated


@pytest.mark.parametrize(
    ("n_animals", "options"),
    [(64, {}), (8, {"dataset": 7}), (1024, {"repetitions": 2}), (64, {"cortex": "soc"})],
)
def test_a_pool_that_takes_seconds_is_not(n_animals, options):
    config = Config.of(animal=None, n_animals=n_animals, **options)
    check_pool(config.cortex, config.calibration, config.animals)


def test_the_pool():
    assert Animals().pool == (0,)
    assert Animals(animal=np.int8(7)).pool == (7,)
    assert Animals(animal=None, n_animals=3).pool == (0, 1, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repetitions", 3),
        ("tau_s", 0.2),
        ("theta", 1.0),
        ("exponent", -1.0),
        ("half_side_cm", 5.0),
        ("scaling", "box"),
    ],
)
def test_an_interface_brings_its_own_calibration(name, value):
    with pytest.raises(
        ValueError,
        match=f"{name} = {value!r}: the interface a.npz brings its own calibration; drop {name}",
    ):
        Calibration(interface="a.npz", **{name: value})


def test_a_descriptor_is_no_path_and_stays_open(tmp_path):
    descriptor = os.open(tmp_path / "mine", os.O_CREAT | os.O_RDWR)
    try:
        with pytest.raises(ValueError, match=f"interface = {descriptor}: give the path of a file"):
            Config.of(interface=descriptor)
        with pytest.raises(ValueError, match=f"circuit = {descriptor}: give the path of a file"):
            Config.of(cortex="soc", circuit=descriptor)
        assert os.write(descriptor, b"open") == 4
    finally:
        os.close(descriptor)


def test_a_circuit_that_is_rebuilt_at_its_path_is_read_anew(tmp_path, calibrated):
    from ndbmi_gym.cortex.soc.circuit import random_circuit, stabilise

    path = tmp_path / "mine.npz"
    points = []
    circuit = stabilise(random_circuit(np.random.default_rng(0), 20))
    for size in (1.0, 0.9):
        replace(circuit, weights=size * circuit.weights).save(path)
        config = Config.of(
            cortex={"kind": "soc", "stimuli": 3, "electrodes": 5, "circuit": str(path)}, **FEW
        )
        points.append(config.make_loop(0).interface.points)
        assert config.make_loop(0).interface.points is points[-1]
    assert not np.array_equal(*points)
    assert calibrated == [0, 0]


@pytest.mark.parametrize("exponent", [0, 0.0, 101, -1e9, float("nan"), True, "2"])
def test_bad_exponents_are_refused(exponent):
    with pytest.raises(
        ValueError, match=r"exponent = .*: give a number other than 0, at most 100 in magnitude"
    ):
        Calibration(exponent=exponent)
