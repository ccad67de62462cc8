import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ndbmi_gym.config import Config
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.tasks import Judged


def make(n=4, seed=0, **options):
    episodes = Episodes(Config.of(**options), n)
    rng = np.random.default_rng(seed)
    episodes.begin(rng)
    return episodes, rng


def snapshot(episodes):
    parts = (episodes.state.values, *episodes.signals, episodes.outcome.values)
    return [part.copy() for part in (*parts, episodes.target, episodes.action, episodes.animal)]


@pytest.mark.parametrize("observe", ["neural", "state", "full"])
@pytest.mark.parametrize("observe_perturbation", [False, True])
def test_observations_hold_what_their_columns_say(observe, observe_perturbation):
    episodes, rng = make(
        observe=observe,
        observe_perturbation=observe_perturbation,
        perturbation={"curl": [-1, 1], "push": [[-0.2, 0.2], 0.1]},
    )
    action = rng.random((4, 9))
    episodes.step(action, rng)
    seen, scales = episodes.observe(), episodes.layout.scales
    truth = {
        "counts": episodes.signals.evoked + episodes.signals.volitional,
        "position": episodes.state.position,
        "velocity": episodes.state.velocity,
        "action": action,
        "target": episodes.target,
        "curl": episodes.state.curl[:, None],
        "push": episodes.state.push,
    }
    expected = {"action", "target"}
    expected |= {"counts"} if observe != "state" else set()
    expected |= {"position", "velocity"} if observe != "neural" else set()
    expected |= {"curl", "push"} if observe_perturbation else set()
    assert set(episodes.layout.columns) == expected
    for name, columns in episodes.layout.columns.items():
        np.testing.assert_allclose(
            seen[:, columns] * scales[name], truth[name], rtol=1e-5, atol=1e-6
        )
    assert sum(c.stop - c.start for c in episodes.layout.columns.values()) == seen.shape[1]


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
    episodes, rng = make(n=4000, max_rate_hz=50.0)
    action = np.tile(np.linspace(0, 1, 9), (4000, 1))
    episodes.step(action, rng)
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
    episodes, rng = make(n=200, volition="signed")
    episodes.step(np.full((200, 9), -1.0), rng)
    assert episodes.low == -1
    assert (episodes.signals.volitional == 0).all()
    # suppression takes h_max off every electrode, and no electrode evokes more
    assert (episodes.signals.evoked == 0).all()
    np.testing.assert_allclose(episodes.outcome.values[:, Judged.EFFORT], 1.0)


@pytest.mark.parametrize(
    "options",
    [
        {"window_s": 0.05},
        {"max_rate_hz": 2000.0},
        {"task": {"kind": "shift", "target_range_cm": [9, 20]}},
        {"task": "fixed", "field": {"kind": "gaussian", "center": [12, 0]}},
        {"decoder": "projection", "field": "linear", "window_s": 0.05},
    ],
)
def test_unusual_options_stay_within_their_bounds(options):
    episodes, rng = make(n=50, observe="full", **options)
    low, high = episodes.layout.bounds
    for _ in range(20):
        seen = episodes.observe()
        assert (low <= seen).all()
        assert (seen <= high).all()
        episodes.step(np.ones((50, 9)), rng)


def test_a_task_that_cannot_begin_changes_nothing():
    episodes, rng = make(task={"kind": "shift", "target_range_cm": [3, 4]})
    before = snapshot(episodes)
    with pytest.raises(ValueError, match=r"no target lies 5\.0 cm away"):
        episodes.begin(rng, start=(0.0, 0.0))
    for was, now in zip(before, snapshot(episodes), strict=True):
        np.testing.assert_array_equal(was, now)


def test_what_is_handed_out_cannot_change_the_trials():
    episodes, _ = make()
    before = snapshot(episodes)
    for value in (*episodes.info().values(), episodes.observe()):
        value[...] = 0
    for was, now in zip(before, snapshot(episodes), strict=True):
        np.testing.assert_array_equal(was, now)
    with pytest.raises(ValueError, match="read-only"):
        episodes.loops[0].interface.points[0] = 0


def test_the_fixed_task_has_no_distance_to_keep():
    episodes, rng = make(n=400, task="fixed", field={"kind": "gaussian", "center": [5, 5]})
    assert (episodes.target == 5).all()
    episodes.begin(rng, start=(5.0, 4.0))


@settings(deadline=None, max_examples=25)
@given(
    actions=st.lists(
        hnp.arrays(float, (3, 9), elements=st.floats(-1e6, 1e6)), min_size=1, max_size=8
    ),
    decoder=st.sampled_from(["multiple-points", "projection"]),
    volition=st.sampled_from(["positive", "signed"]),
)
def test_observations_stay_within_their_bounds(actions, decoder, volition):
    episodes, rng = make(
        n=3,
        observe="full",
        decoder=decoder,
        volition=volition,
        observe_perturbation=True,
        perturbation={"curl": [-2, 2], "push": [3.0, [0, 1]]},
    )
    low, high = episodes.layout.bounds
    for action in actions:
        episodes.step(action, rng)
        seen = episodes.observe()
        assert seen.dtype == np.float32
        assert (low <= seen).all()
        assert (seen <= high).all()
        assert (np.abs(episodes.action) <= 1).all()
        assert (episodes.action >= episodes.low).all()


def test_a_long_push_stays_within_the_bounds():
    # a push of 3 on every step drives the mass against the wall: position and speed bounds hold
    episodes, rng = make(observe="state", perturbation={"push": [3.0, 3.0]}, field="linear")
    low, high = episodes.layout.bounds
    fastest = 0.0
    for _ in range(60):
        episodes.step(np.zeros((4, 9)), rng)
        seen = episodes.observe()
        fastest = max(fastest, float(np.abs(seen[:, episodes.layout.columns["velocity"]]).max()))
        assert (low <= seen).all()
        assert (seen <= high).all()
    assert fastest > 0.2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_action_changes_nothing(bad):
    episodes, rng = make()
    before, stream = snapshot(episodes), rng.bit_generator.state
    action = np.zeros((4, 9))
    action[2, 3] = bad
    with pytest.raises(ValueError, match=rf"action holds {bad}: entries must be finite"):
        episodes.step(action, rng)
    assert rng.bit_generator.state == stream
    for was, now in zip(before, snapshot(episodes), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("shape", [(4, 8), (9,), (3, 9), (4, 9, 1)])
def test_an_action_of_another_shape_changes_nothing(shape):
    episodes, rng = make()
    stream = rng.bit_generator.state
    with pytest.raises(ValueError, match=r"one entry per recording electrode, shape \(9,\)"):
        episodes.step(np.zeros(shape), rng)
    assert rng.bit_generator.state == stream


def test_info_has_the_same_keys_and_shapes_at_every_step():
    episodes, rng = make()
    first = episodes.info()
    for _ in range(3):
        episodes.step(rng.random((4, 9)), rng)
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
        episodes.step(rng.random((4, 9)), rng)
        episodes.begin(rng, np.array([True, False, True, False]))
        for array, was in zip(held, kept, strict=True):
            np.testing.assert_array_equal(array, was)
        held += list(episodes.info().values())
        kept += [np.array(array) for array in episodes.info().values()]


def test_beginning_some_trials_leaves_the_others_alone():
    episodes, rng = make(perturbation={"curl": [-1, 1]})
    episodes.step(rng.random((4, 9)), rng)
    before = snapshot(episodes)
    mask = np.array([False, True, False, False])
    episodes.begin(rng, mask)
    for was, now in zip(before, snapshot(episodes), strict=True):
        np.testing.assert_array_equal(was[~mask], now[~mask])
    assert episodes.state.values[1, 0] != before[0][1, 0]
    assert (episodes.action[1] == 0).all()
    assert episodes.outcome.values[1, Judged.REWARD] == 0


def test_start_and_target_can_be_given():
    episodes, rng = make()
    episodes.begin(rng, start=(1.0, -2.0), target=(3.0, 0.5))
    np.testing.assert_array_equal(episodes.state.position, np.tile((1.0, -2.0), (4, 1)))
    np.testing.assert_array_equal(episodes.target, np.tile((3.0, 0.5), (4, 1)))
    for bad in ((11.0, 0.0), (0.0,), (np.nan, 0.0)):
        with pytest.raises(ValueError, match=r"start = .*within \[-10, 10\] cm"):
            episodes.begin(rng, start=bad)


def test_an_animal_is_drawn_for_every_trial_and_kept_through_it():
    episodes, rng = make(n=400, animal=None, n_animals=3)
    assert set(episodes.animal) == {0, 1, 2}
    animal = episodes.animal
    for i, loop in enumerate(episodes.loops):
        targets = episodes.target[animal == i]
        assert (targets[:, None] == loop.interface.points).all(axis=-1).any(axis=1).all()
    position = episodes.state.position
    episodes.step(np.zeros((400, 9)), rng)
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
    episodes, rng = make(perturbation=lambda x, v: np.full_like(x, 1.0))
    episodes.step(np.zeros((4, 9)), rng)
    np.testing.assert_allclose(episodes.info()["perturbing_force"], 1.0)


def test_a_field_without_equilibrium_has_no_fixed_task():
    with pytest.raises(ValueError, match=r"declares none.*target='calibration'"):
        make(task="fixed", field="limit_cycle")
    make(task="shift", field="limit_cycle")
