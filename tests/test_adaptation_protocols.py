import gymnasium
import numpy as np
import pytest

from ndbmi_gym.config import Config
from ndbmi_gym.experiments.adaptation.protocols import (
    DEVICES,
    N_TARGETS,
    PROTOCOLS,
    Protocol,
    environment,
)
from ndbmi_gym.perturbations import Force


def played(protocol, n=1):
    """Forces (trials, 17) and directions of a session's trials, for an animal of odd number."""
    env = environment(protocol, "point mass", 2, n, "state")
    _, info = env.reset(seed=0, options={"animal": np.repeat([0, 1], n)})
    idle = np.zeros((2 * n, env.episodes.n_electrodes), np.float32)
    forces, turns = {}, {}
    while True:
        number, target = int(info["trial"][-1]), info["target"][-1]
        forces[number] = env.episodes.state.forces[-1].copy()
        turns[number] = int(np.rint(np.arctan2(target[1], target[0]) * 4 / np.pi)) % N_TARGETS
        if len(forces) == protocol.trials:
            return np.array([forces[i] for i in range(len(forces))]), list(turns.values())
        env.episodes.trial_end[:] = True  # no need to play them
        *_, info = env.step(idle)


def test_the_first_protocol_is_the_scored_id():
    ours = PROTOCOLS["adaptation"].options() | {"delay_steps": 3}
    own, scored = Config.of(**ours), gymnasium.spec("ndbmi/Adaptation-v0").kwargs
    scored = Config.of(**scored)
    for part in ("perturbation", "plant", "session", "senses", "field", "calibration"):
        assert getattr(own, part) == getattr(scored, part), part
    for name in ("targets", "starts", "radius_cm", "dwell"):
        assert getattr(own.task, name) == getattr(scored.task, name)


def test_channels_and_catches_stand_where_they_are_announced():
    forces, _ = played(PROTOCOLS["channels"])
    clamped = forces[:, Force.CHANNEL_K] > 0
    assert clamped.reshape(-1, 8).sum(axis=1).tolist() == [1] * 14
    curl = forces[:, Force.CURL]
    assert (curl[24:88][~clamped[24:88]] == -1.5).all()  # the animal is of odd number
    assert (curl[:24] == 0).all()
    assert (curl[88:] == 0).all()
    forces, _ = played(PROTOCOLS["adaptation"])
    caught = np.flatnonzero(forces[24:88, Force.CURL] == 0)
    assert len(caught) == 7
    assert caught.min() >= 8
    assert caught.max() < 60


def test_one_direction_is_trained_and_all_are_tested():
    protocol = PROTOCOLS["generalisation"]
    forces, turns = played(protocol)
    clamped = forces[:, Force.CHANNEL_K] > 0
    for block in (slice(0, 32), slice(72, 104)):
        tested = np.array(turns[block])[clamped[block]]
        assert sorted(tested) == sorted([*range(8)] * 2)
    assert not clamped[32:72].any()
    assert {turn for turn, held in zip(turns, clamped, strict=True) if not held} == {0}
    assert (forces[72:, Force.CURL][~clamped[72:]] == -1.5).all()


def test_the_opposite_field_is_opposite():
    forces, _ = played(PROTOCOLS["interference"])
    assert forces[[20, 60, 100], Force.CURL].tolist() == [-1.5, 1.5, -1.5]
    assert forces[[20, 60, 100], Force.CHANNEL_K].tolist() == [0, 0, 0]


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_makes_sessions(device):
    protocol = Protocol("short", ({"name": "baseline", "trials": 2},))
    env = environment(protocol, device, 1, 2, "full", delay_steps=1)
    seen, _ = env.reset(seed=0)
    assert seen.shape == (2, env.episodes.layout.width)
    assert env.episodes.config.session.session_trials == 2
    assert env.episodes.config.senses.delay_steps == 1


def test_an_order_without_sense_is_refused():
    with pytest.raises(ValueError, match=r"order = .* give a list of numbers"):
        Config.of(task={"kind": f"{Protocol.__module__}:Ordered", "order": [-1]})
