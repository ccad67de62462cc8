import itertools

import numpy as np
import pytest

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.topographic import TopographicCortex
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.interface import Interface
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.streams import Streams
from ndbmi_gym.tasks import Judged
from ndbmi_gym.tasks.reach import Reach


def make(n=4, seed=0, **options):
    episodes = Episodes(Config.of(**options), n)
    rng = np.random.default_rng(seed)
    begin(episodes, rng)
    return episodes, rng


def begin(episodes, rng, trials=None, anew=False, **options):
    n = episodes.n_trials if trials is None else trials.sum()
    episodes.begin(Streams.of(rng, n), trials, episodes.check_begin(options), anew)


def snapshot(episodes):
    streams = episodes.streams
    parts = (
        *(episodes.state.values, *episodes.signals, episodes.outcome.values),
        *(episodes.target, episodes.action, episodes.animal, episodes.trial),
        *(streams.keys, streams.draws),
    )
    return [part.copy() for part in parts]


def check_same(before, after):
    for was, now in zip(before, after, strict=True):
        np.testing.assert_array_equal(was, now)


def test_the_first_observation_is_a_response_to_the_start():
    # one stimulus is delivered with the device held: no volition, no motion, counts of the start
    episodes, _ = make(n=500)
    loop = episodes.loops[0]
    assert (episodes.state.velocity == 0).all()
    assert (episodes.signals.volitional == 0).all()
    stimulus = loop.interface.sense(episodes.state.position)
    np.testing.assert_array_equal(stimulus, episodes.signals.stimulus)
    excess = episodes.signals.evoked.sum() - loop.cortex.evoked[stimulus].sum()
    # 3.9 standard deviations of a Poisson sum: false alarm 1e-4, with the seed fixed
    assert abs(excess) < 3.9 * np.sqrt(loop.cortex.evoked[stimulus].sum())


def test_volition_adds_spikes_at_the_rate_of_the_action():
    episodes, _ = make(n=4000, max_rate_hz=50.0)
    action = np.tile(np.linspace(0, 1, 9), (4000, 1))
    episodes.step(action)
    mean = episodes.signals.volitional.mean(axis=0)
    # 50 Hz for 0.6 s are 30 spikes; 4.5 standard errors: false alarm 6e-5, with the seed fixed
    np.testing.assert_allclose(mean, 30 * action[0], atol=4.5 * np.sqrt(30 / 4000))


def test_actions_convert_to_and_from_hz():
    episodes, _ = make()
    assert episodes.max_rate_hz == pytest.approx(40 / 0.6)
    action = np.linspace(0, 1, 9, dtype=np.float32)
    rates = episodes.to_hz(action)
    assert rates[-1] == pytest.approx(66.7, abs=0.05)
    np.testing.assert_allclose(episodes.from_hz(rates), action, rtol=1e-6)
    assert episodes.from_hz(rates).dtype == np.float32


def test_signed_volition_suppresses_and_is_priced_alike():
    episodes, _ = make(n=200, volition="signed")
    episodes.step(np.full((200, 9), -1.0))
    assert episodes.low == -1
    assert (episodes.signals.volitional == 0).all()
    # suppression takes h_max off every electrode, and no electrode evokes more
    assert (episodes.signals.evoked == 0).all()
    np.testing.assert_allclose(episodes.outcome.values[:, Judged.EFFORT], 1.0)


def test_a_task_that_cannot_begin_changes_nothing():
    episodes, rng = make(task={"kind": "shift", "target_range_cm": [3, 4]})
    before = snapshot(episodes)
    with pytest.raises(ValueError, match=r"no target lies 5\.0 cm away"):
        begin(episodes, rng, start=(0.0, 0.0))
    check_same(before, snapshot(episodes))


def test_what_is_handed_out_cannot_change_the_trials():
    episodes, _ = make()
    before = snapshot(episodes)
    for value in (*episodes.info().values(), episodes.observe()):
        value[...] = 0
    check_same(before, snapshot(episodes))
    with pytest.raises(ValueError, match="read-only"):
        episodes.loops[0].interface.points[0] = 0


def test_the_fixed_task_has_no_distance_to_keep():
    episodes, rng = make(n=400, task="fixed", field={"kind": "gaussian", "center": [5, 5]})
    assert (episodes.target == 5).all()
    begin(episodes, rng, start=(5.0, 4.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_action_changes_nothing(bad):
    episodes, _ = make()
    before = snapshot(episodes)
    action = np.zeros((4, 9))
    action[2, 3] = bad
    with pytest.raises(ValueError, match=rf"action holds {bad}: entries must be finite"):
        episodes.step(action)
    check_same(before, snapshot(episodes))


@pytest.mark.parametrize("shape", [(4, 8), (9,), (3, 9), (4, 9, 1)])
def test_an_action_of_another_shape_changes_nothing(shape):
    episodes, _ = make()
    before = snapshot(episodes)
    with pytest.raises(ValueError, match=r"one entry per recording electrode .* shape \(4, 9\)"):
        episodes.step(np.zeros(shape))
    check_same(before, snapshot(episodes))


def test_info_says_what_its_keys_mean():
    episodes, rng = make(animal=None, n_animals=2, curl=[-1, 1], push=[[0, 1], 0])
    for step in range(1, 4):
        episodes.step(rng.random((4, 9)))
        info = episodes.info()
        np.testing.assert_array_equal(info["target"], episodes.target)
        np.testing.assert_array_equal(info["animal"], episodes.animal)
        np.testing.assert_array_equal(info["curl"], episodes.state.curl)
        np.testing.assert_array_equal(info["push"], episodes.state.push)
        np.testing.assert_array_equal(info["trial"], 0)
        np.testing.assert_allclose(info["time_s"], 0.5 * step)
        away = np.hypot(*(info["position"] - info["target"]).T)
        np.testing.assert_allclose(info["distance"], away)
        np.testing.assert_array_equal(info["inside"], away <= 1.0)
        np.testing.assert_allclose(info["effort"], np.abs(episodes.action).mean(axis=1))
        turned = info["velocity"] @ [[0, 1], [-1, 0]] * info["curl"][:, None]
        np.testing.assert_allclose(info["perturbing_force"], turned + info["push"], atol=1e-12)
    begin(episodes, rng, np.array([True, False, False, False]))
    info = episodes.info()
    assert info["trial"].tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(info["time_s"], [0, 1.5, 1.5, 1.5])
    begin(episodes, rng, anew=True)
    assert (episodes.info()["trial"] == 0).all()


@pytest.mark.parametrize(
    "junk",
    [
        np.zeros((4, 9), "datetime64[s]"),
        np.full((4, 9), "0.5"),
        np.zeros((4, 9), [("a", float)]),
        np.full((4, 9), 0.5 + 1j),
        np.zeros((4, 9), object),
        np.zeros((4, 9), "timedelta64[s]"),
        np.zeros((4, 9), "S1"),
    ],
    ids=lambda junk: str(junk.dtype),
)
def test_what_is_no_real_number_is_no_action(junk):
    episodes, _ = make()
    before = snapshot(episodes)
    with pytest.raises(
        ValueError, match=r"action of type .*: give real numbers, volitional firing"
    ):
        episodes.step(junk)
    check_same(before, snapshot(episodes))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", "i1", "u8", "?"])
def test_real_numbers_of_any_width_are_actions(dtype):
    action = np.ones((4, 9), dtype)
    episodes, _ = make()
    episodes.step(action)
    other, _ = make()
    other.step(np.ones((4, 9)))
    np.testing.assert_array_equal(episodes.observe(), other.observe())


def test_info_has_the_same_keys_and_shapes_at_every_step():
    episodes, rng = make()
    first = episodes.info()
    for _ in range(3):
        episodes.step(rng.random((4, 9)))
        now = episodes.info()
        assert list(now) == list(first)
        for name, value in now.items():
            assert value.shape == first[name].shape
            assert value.dtype == first[name].dtype
        terms = [now[name] for name in now if name.startswith("reward_")]
        np.testing.assert_allclose(sum(terms), episodes.outcome.values[:, Judged.REWARD])
        single = episodes.info(2)
        for name, value in single.items():
            np.testing.assert_array_equal(value, now[name][2])


def test_arrays_that_were_handed_out_are_never_changed():
    episodes, rng = make(animal=None, n_animals=2, perturbation={"curl": [-1, 1]})
    held = [episodes.observe(), *episodes.info().values()]
    kept = [np.array(array) for array in held]
    for _ in range(2):
        episodes.step(rng.random((4, 9)))
        begin(episodes, rng, np.array([True, False, True, False]))
        for array, was in zip(held, kept, strict=True):
            np.testing.assert_array_equal(array, was)
        held += list(episodes.info().values())
        kept += [np.array(array) for array in episodes.info().values()]


def test_beginning_some_trials_leaves_the_others_alone():
    episodes, rng = make(perturbation={"curl": [-1, 1]})
    episodes.step(rng.random((4, 9)))
    before = snapshot(episodes)
    mask = np.array([False, True, False, False])
    begin(episodes, rng, mask)
    for was, now in zip(before, snapshot(episodes), strict=True):
        np.testing.assert_array_equal(was[~mask], now[~mask])
    assert episodes.state.values[1, 0] != before[0][1, 0]
    assert (episodes.action[1] == 0).all()
    assert episodes.outcome.values[1, Judged.REWARD] == 0


def test_start_and_target_can_be_given_for_all_or_for_each():
    episodes, rng = make()
    begin(episodes, rng, start=(1.0, -2.0), target=[3, 0.5])
    np.testing.assert_array_equal(episodes.state.position, np.tile((1.0, -2.0), (4, 1)))
    np.testing.assert_array_equal(episodes.target, np.tile((3.0, 0.5), (4, 1)))
    each = np.arange(8.0).reshape(4, 2)
    begin(episodes, rng, start=each, target=(-each).tolist())
    np.testing.assert_array_equal(episodes.state.position, each)
    np.testing.assert_array_equal(episodes.target, -each)
    # of some trials, their own
    mask = np.array([False, True, False, True])
    begin(episodes, rng, mask, start=-each, target=None)
    np.testing.assert_array_equal(episodes.state.position[mask], -each[mask])
    np.testing.assert_array_equal(episodes.state.position[~mask], each[~mask])


BAD_POINTS = [
    "ab",
    ("a", "b"),
    (11.0, 0.0),
    (0.0,),
    (np.nan, 0.0),
    (np.inf, 0.0),
    np.zeros((3, 2)),
    np.zeros((4, 3)),
    [[0, 0], [0]],
    (1j, 0),
    (True, False),
    5,
    {"x": 1},
]


@pytest.mark.parametrize("name", ["start", "target"])
@pytest.mark.parametrize("bad", BAD_POINTS, ids=str)
def test_what_is_no_point_of_the_workspace_is_refused(name, bad):
    episodes, _ = make()
    with pytest.raises(
        ValueError,
        match=rf"^{name} = .*: give two coordinates within \[-10, 10\] cm, or an array of them for "
        r"the 4 trials, shape \(4, 2\)",
    ):
        episodes.check_begin({name: bad})


def test_the_animal_can_be_given_for_all_or_for_each():
    episodes, rng = make(animal=None, n_animals=3)
    begin(episodes, rng, animal=2)
    assert episodes.info()["animal"].tolist() == [2, 2, 2, 2]
    begin(episodes, rng, animal=np.array([0, 2, 1, 0]))
    assert episodes.info()["animal"].tolist() == [0, 2, 1, 0]
    alone, rng = make(animal=5)
    begin(alone, rng, animal=5)
    assert alone.info()["animal"].tolist() == [5, 5, 5, 5]
    for bad in (3, -1, 1.0, "1", True, [0, 1], [0, 1, 2, 3], np.nan):
        with pytest.raises(ValueError, match=r"animal = .*: this environment has the animals \["):
            episodes.check_begin({"animal": bad})


def test_the_perturbation_can_be_given():
    episodes, rng = make(curl=[-1, 1], push=[[0, 2], 0])
    begin(episodes, rng, perturbation={"curl": 0.5, "push": [1, 0]})
    assert (episodes.state.curl == 0.5).all()
    assert (episodes.info()["push"] == [1, 0]).all()
    begin(episodes, rng)  # once only
    assert (episodes.state.curl != 0.5).all()
    blocks = {"kind": "blocks", "blocks": [{"trials": 3}, {"curl": 0.7}]}
    begin(episodes, rng, perturbation=blocks)
    np.testing.assert_array_equal(episodes.state.curl, 0.7)  # by the trial's number, 3


def test_a_perturbation_that_does_not_fit_is_refused():
    episodes, rng = make(observe="full", observe_perturbation=True, curl=1.0, push=[1, 0])
    before = snapshot(episodes)
    for bad, message in (
        ({"push": [3, 0]}, r"push of 3 kg·cm/s²: the observed velocity is bounded for at most 1"),
        ({"curl": -2}, "curl 2, push 0: the observed ones are at most 1 and 1"),
        ({"law": np.add}, r"a law is part of the environment: give it to make\(\)"),
        ({"curls": 1}, "no option 'curls'"),
        (3, "perturbation = 3: choose one of"),
    ):
        with pytest.raises(ValueError, match=message):
            begin(episodes, rng, perturbation=bad)
    begin(episodes, rng, perturbation={"curl": -1, "push": [0, 1]})
    assert (before[0] != snapshot(episodes)[0]).any()


@pytest.mark.parametrize("options", [[], "start", 3, {1}], ids=repr)
def test_options_are_a_mapping(options):
    with pytest.raises(ValueError, match="give a dict of start, target, animal, trial, "):
        make()[0].check_begin(options)


def test_an_unknown_option_of_a_reset_is_named_with_the_known():
    with pytest.raises(
        ValueError, match="unknown reset option 'goal': the options are start, target, "
    ):
        make()[0].check_begin({"start": (0, 0), "goal": (0, 0)})
    assert make()[0].check_begin({"start": None}) == make()[0].check_begin(None)


# What is told


def test_an_animal_is_drawn_for_every_trial_and_kept_through_it():
    episodes, _ = make(n=400, animal=None, n_animals=3)
    assert set(episodes.animal) == {0, 1, 2}
    animal = episodes.animal
    for i, loop in enumerate(episodes.loops):
        targets = episodes.target[animal == i]
        assert (targets[:, None] == loop.interface.points).all(axis=-1).any(axis=1).all()
    position = episodes.state.position
    episodes.step(np.zeros((400, 9)))
    np.testing.assert_array_equal(episodes.animal, animal)
    for i, loop in enumerate(episodes.loops):
        mine = animal == i
        np.testing.assert_array_equal(
            loop.interface.sense(position[mine]), episodes.signals.stimulus[mine]
        )
        virtual = episodes.signals.virtual_point[mine]
        assert (virtual[:, None] == loop.interface.points).all(axis=-1).any(axis=1).all()


def test_perturbations_are_drawn_within_their_ranges():
    episodes, _ = make(n=2000, perturbation={"curl": [-0.5, 1.5], "push": [0.3, [0, 1]]})
    curl, push = episodes.state.curl, episodes.state.push
    assert curl.min() < -0.45
    assert curl.max() > 1.45
    assert (np.abs(curl - 0.5) <= 1).all()
    assert (push[:, 0] == 0.3).all()
    assert 0 <= push[:, 1].min() < 0.05


def test_a_callable_perturbation_acts():
    episodes, _ = make(perturbation=lambda x, v: np.full_like(x, 1.0))
    episodes.step(np.zeros((4, 9)))
    np.testing.assert_allclose(episodes.info()["perturbing_force"], 1.0)


def test_a_field_without_equilibrium_has_no_fixed_task():
    with pytest.raises(ValueError, match=r"declares none.*targets='calibration'"):
        make(task="fixed", field="limit_cycle")
    make(task="shift", field="limit_cycle")


def test_a_trial_can_be_given_its_number(noiseless):
    blocks = {"kind": "blocks", "blocks": [{"trials": 2}, {"curl": 1.0}]}
    options = {"cortex": noiseless, "perturbation": blocks, "repetitions": 3}
    env = BMIEnv(**options)
    assert [env.reset(options={"trial": k})[1]["curl"] for k in (0, 2, 1, 7)] == [0, 1, 0, 1]
    assert env.reset()[1]["trial"] == 8  # and goes on from there
    assert env.reset(seed=3)[1]["trial"] == 0
    batch = BMIVectorEnv(3, **options)
    _, info = batch.reset(seed=0, options={"trial": [5, 0, 2]})
    np.testing.assert_array_equal(info["trial"], [5, 0, 2])
    np.testing.assert_array_equal(info["curl"], [1, 0, 1])


@pytest.mark.parametrize("number", [-1, 1.5, True, "2", [1, 2], 10**10])
def test_what_is_no_number_of_a_trial_is_refused(number):
    env = BMIEnv(repetitions=3)
    with pytest.raises(ValueError, match=r"trial = .*: give a whole number from 0 to 1000000000"):
        env.reset(options={"trial": number})


# Every draw of a trial has a number of its own


POOL = {"animal": None, "n_animals": 3, "repetitions": 3, "curl": [-1, 1], "push": [[0, 1], 0]}


@pytest.mark.parametrize("given", [{}, {"animal": [0, 2, 1, 0, 2, 2]}], ids=["drawn", "given"])
@pytest.mark.parametrize("compiled", [True, False])
def test_no_two_draws_of_a_trial_share_a_number(given, compiled, monkeypatch):
    """What each animal's trials draw apart counts, too: the first stimulus comes after it."""
    episodes = Episodes(Config.of(**POOL), 6)
    if not compiled:
        episodes._compiled = None
    streams, drawn = Streams.of(np.random.default_rng(0), 6), []

    def spied(method):
        def drawing(self, *given):
            drawn.extend(zip(map(tuple, self.keys.tolist()), self.draws.tolist(), strict=True))
            return method(self, *given)

        return drawing

    for name in ("random", "next"):
        monkeypatch.setattr(Streams, name, spied(getattr(Streams, name)))
    episodes.begin(streams, None, episodes.check_begin(given))
    assert len(set(episodes.animal)) > 1
    if compiled:  # the stimulus is the last
        drawn += zip(map(tuple, streams.keys.tolist()), (streams.draws - 1).tolist(), strict=True)
    assert len(drawn) == len(set(drawn))
    # and none is left out
    assert set(drawn) == {
        (tuple(key), draw)
        for key, n in zip(streams.keys.tolist(), streams.draws, strict=True)
        for draw in range(n)
    }


@pytest.mark.parametrize("given", [{}, {"animal": 2}], ids=["drawn", "given"])
def test_trials_of_a_pool_draw_as_often_as_those_of_one_animal(given):
    """But for the animal itself."""
    draws = []
    for pool in (POOL, {**POOL, "animal": 0, "n_animals": 8}):
        episodes = Episodes(Config.of(**pool), 6)
        streams = Streams.of(np.random.default_rng(0), 6)
        asked = given if pool is POOL else {}
        episodes.begin(streams, None, episodes.check_begin(asked))
        draws.append(episodes.streams.draws)
    np.testing.assert_array_equal(draws[0] - (not given), draws[1])


# A part that fails in the midst of a step


def failing_once(method, call):
    """A method that raises at one of its calls, counted from 1."""
    calls = itertools.count(1)

    def failing(*args, **options):
        made = method(*args, **options)  # whatever it draws is drawn by then
        if next(calls) == call:
            raise RuntimeError("out of order")
        return made

    return failing


@pytest.mark.parametrize(
    ("part", "method", "call"),
    [
        (TopographicCortex, "respond", 2),  # of the second animal
        (Interface, "project", 1),
        (PointMass, "advance", 2),
        (Reach, "assess", 1),
    ],
)
def test_a_part_that_raises_in_mid_step_leaves_all_unmoved(part, method, call, monkeypatch):
    made = []
    for _ in range(2):
        episodes, _ = make(n=6, decoder="projection", **POOL)
        episodes._compiled = None
        assert len(set(episodes.animal)) > 1
        episodes.step(np.full((6, 9), 0.3))
        made.append(episodes)
    episodes, twin = made
    before = snapshot(episodes)
    with monkeypatch.context() as patch:
        patch.setattr(part, method, failing_once(getattr(part, method), call))
        with pytest.raises(RuntimeError, match="out of order"):
            episodes.step(np.full((6, 9), 0.6))
    check_same(before, snapshot(episodes))
    for each in made:
        each.step(np.full((6, 9), 0.9))
    check_same(snapshot(episodes), snapshot(twin))
    np.testing.assert_array_equal(episodes.observe(), twin.observe())
