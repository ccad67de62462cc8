"""What an agent sees: columns, units and bounds that hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ndbmi_gym.config import Config
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.loop import Signals
from ndbmi_gym.observation import show
from ndbmi_gym.perturbations import make_perturbation
from ndbmi_gym.streams import Streams


def make(n=4, seed=0, **options):
    episodes = Episodes(Config.of(**options), n)
    episodes.begin(Streams.of(np.random.default_rng(seed), n))
    return episodes


@pytest.mark.parametrize("observe", ["neural", "state", "full"])
@pytest.mark.parametrize("observe_perturbation", [False, True])
def test_observations_hold_what_their_columns_say(observe, observe_perturbation):
    episodes = make(
        observe=observe,
        observe_perturbation=observe_perturbation,
        perturbation={"curl": [-1, 1], "push": [[-0.2, 0.2], 0.1]},
    )
    action = np.random.default_rng(1).random((4, 9))
    episodes.step(action)
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


@pytest.mark.parametrize("observe", ["neural", "state", "full"])
def test_a_range_of_trials_is_shown_as_each_is_alone(observe):
    episodes = make(observe=observe, observe_perturbation=True, perturbation={"curl": [-1, 1]})
    action = np.random.default_rng(1).random((4, 9))
    episodes.step(action)
    layout, target = episodes.layout, episodes.target
    signals, state = episodes.signals, episodes.state
    whole = layout.observe(signals, state, action, target)
    for b in range(4):
        one = np.array([b])
        alone = Signals._make(signal[one] for signal in signals)
        seen = layout.observe(alone, state.select(one), action[one], target[one])
        np.testing.assert_array_equal(seen[0], whole[b])
    seen = np.full_like(whole, np.nan)
    made_of = (layout.starts, layout.factors, signals.counts, *state, action, target)
    show(seen, *made_of, 1, 3)
    np.testing.assert_array_equal(seen[1:3], whole[1:3])
    assert np.isnan(seen[[0, 3]]).all()


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
    episodes = make(n=50, observe="full", **options)
    low, high = episodes.layout.bounds
    for _ in range(20):
        seen = episodes.observe()
        assert (low <= seen).all()
        assert (seen <= high).all()
        episodes.step(np.ones((50, 9)))


@settings(deadline=None, max_examples=25)
@given(
    actions=st.lists(
        hnp.arrays(float, (3, 9), elements=st.floats(-1e6, 1e6)), min_size=1, max_size=8
    ),
    decoder=st.sampled_from(["multiple-points", "projection"]),
    volition=st.sampled_from(["positive", "signed"]),
)
def test_observations_stay_within_their_bounds(actions, decoder, volition):
    episodes = make(
        n=3,
        observe="full",
        decoder=decoder,
        volition=volition,
        observe_perturbation=True,
        perturbation={"curl": [-2, 2], "push": [3.0, [0, 1]]},
    )
    low, high = episodes.layout.bounds
    for action in actions:
        episodes.step(action)
        seen = episodes.observe()
        assert seen.dtype == np.float32
        assert (low <= seen).all()
        assert (seen <= high).all()
        assert (np.abs(episodes.action) <= 1).all()
        assert (episodes.action >= episodes.low).all()


def test_a_long_push_stays_within_the_bounds():
    # a push of 3 on every step drives the mass against the wall: position and speed bounds hold
    episodes = make(observe="state", perturbation={"push": [3.0, 3.0]}, field="linear")
    low, high = episodes.layout.bounds
    fastest = 0.0
    for _ in range(60):
        episodes.step(np.zeros((4, 9)))
        seen = episodes.observe()
        fastest = max(fastest, float(np.abs(seen[:, episodes.layout.columns["velocity"]]).max()))
        assert (low <= seen).all()
        assert (seen <= high).all()
    assert fastest > 0.2


@pytest.mark.parametrize("observe", ["neural", "state", "full"])
def test_every_observation_is_new(observe):
    episodes = make(observe=observe)
    first = episodes.observe()
    kept = first.copy()
    episodes.step(np.ones((4, 9)))
    second = episodes.observe()
    np.testing.assert_array_equal(first, kept)
    assert second is not first
    assert second.dtype == np.float32


@pytest.mark.parametrize(
    ("observe", "seen", "spec", "message"),
    [
        ("neural", False, {"curl": 5, "push": [9, 9]}, None),
        ("full", False, {"curl": 5, "push": [1, 0]}, None),
        (
            "full",
            False,
            {"push": [0.9, 0.9]},
            "push of 1.27.*: the observed velocity is bounded for",
        ),
        ("state", False, {"push": [[0, 2], 0]}, r"push of 2 kg·cm/s².* at most 1; make the env"),
        (
            "neural",
            True,
            {"curl": [-2, -1]},
            "curl 2, push 0: the observed ones are at most 1 and 1",
        ),
        (
            "neural",
            True,
            {"push": [2, 0]},
            "curl 0, push 2: .*make the environment with the largest",
        ),
        ("neural", True, {"curl": [-1, 1], "push": [-1, 1]}, None),
    ],
)
def test_what_would_leave_the_bounds_is_refused(observe, seen, spec, message):
    episodes = make(observe=observe, observe_perturbation=seen, curl=1, push=[1, 0])
    perturbation = make_perturbation(spec)
    if message is None:
        episodes.layout.refuse(perturbation, episodes._pools)
        return
    with pytest.raises(ValueError, match=message):
        episodes.layout.refuse(perturbation, episodes._pools)


@pytest.mark.parametrize("options", [{"viscosity": 0.0}, {"perturbation": {"law": np.subtract}}])
def test_where_nothing_bounds_the_velocity_any_push_may_come(options):
    episodes = make(observe="full", **options)
    episodes.change(push=[1.0, 1.0])
    episodes.begin(Streams.of(np.random.default_rng(1), 4))
    assert (episodes.info()["push"] == 1).all()
    bounded = make(observe="full")
    with pytest.raises(ValueError, match=r"push of 1.41.* bounded for at most 0"):
        bounded.change(push=[1.0, 1.0])


def test_targets_beyond_the_bounds_are_refused():
    episodes = make()
    none = make_perturbation(None)
    episodes.layout.refuse(none, [np.array([[10.0, -10.0]])])
    with pytest.raises(ValueError, match=r"a target lies 12.00 cm out: the observation reaches"):
        episodes.layout.refuse(none, [np.array([[1.0, 1.0]]), np.array([[0.0, -12.0]])])


def test_a_wide_target_widens_the_bounds():
    episodes = make(task="fixed", field={"kind": "gaussian", "center": [15, 0]})
    assert episodes.layout.bounds[1, episodes.layout.columns["target"]].max() == 1.5


def test_counts_of_any_interval_shape_stay_within_their_bounds():
    """Bursts of a Gamma process of small shape are far above Poisson counts."""
    episodes = make(n=200, gamma_shape=0.05, repetitions=3)
    low, high = episodes.layout.bounds
    for _ in range(5):
        episodes.step(np.ones((200, 9)))
        seen = episodes.observe()
        assert (low <= seen).all()
        assert (seen <= high).all()
