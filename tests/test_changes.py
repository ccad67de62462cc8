"""Curricula: what changes between trials, and tasks of one's own."""

from dataclasses import dataclass

import numpy as np
import pytest
from test_episodes import begin, make

from ndbmi_gym.config import Config
from ndbmi_gym.tasks import Judged, Outcome
from ndbmi_gym.tasks.reach import Reach


def test_running_trials_keep_their_task_and_later_ones_have_the_new():
    episodes, rng = make(effort_weight=0.5)
    episodes.change(effort_weight=2.0, radius_cm=20.0, curl=0.4, targets=[[1, 2]])
    mask = np.array([True, False, False, True])
    action = np.full((4, 9), 0.25)
    episodes.step(action)
    info = episodes.info()
    np.testing.assert_allclose(info["reward_effort"], -0.125)
    assert not info["inside"].all()
    assert (info["curl"] == 0).all()
    begin(episodes, rng, mask)
    assert (episodes.target[mask] == [1, 2]).all()
    assert (episodes.target[~mask] != [1, 2]).any(axis=1).all()
    streak = episodes.outcome.streak.copy()
    episodes.step(action)
    info = episodes.info()
    np.testing.assert_allclose(info["reward_effort"], np.where(mask, -0.5, -0.125))
    np.testing.assert_array_equal(info["curl"], np.where(mask, 0.4, 0.0))
    assert info["inside"][mask].all()  # within 20 cm
    assert (episodes.outcome.streak[mask] == 1).all()
    assert (episodes.outcome.streak[~mask] <= streak[~mask] + 1).all()
    # a second change, while trials of three tasks run
    episodes.change(effort_weight=1.0)
    begin(episodes, rng, np.array([True, False, False, False]))
    episodes.step(action)
    np.testing.assert_allclose(episodes.info()["reward_effort"], [-0.25, -0.125, -0.125, -0.5])
    begin(episodes, rng)
    assert len(episodes._tasks) == 1
    episodes.step(action)
    np.testing.assert_allclose(episodes.info()["reward_effort"], -0.25)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mass": 1.0}, ValueError, "mass belongs to the plant, which is fixed while an environ"),
        ({"dataset": 5}, ValueError, "dataset belongs to the cortex"),
        ({"field": "linear"}, ValueError, "^the field is fixed while an environment lives"),
        ({"cortex": "soc"}, ValueError, "^the cortex is fixed while an environment lives"),
        ({"preset": "paper"}, ValueError, "^the preset is fixed while an environment lives"),
        (
            {"radius": 1.0},
            TypeError,
            "'radius' .*did you mean 'radius_cm'.*: the options here are task, p",
        ),
        ({"radius_cm": -1.0}, ValueError, "radius_cm = -1.0: give a finite number > 0"),
        ({"targets": [[99, 0]]}, ValueError, r"targets holds \(99.0, 0.0\)"),
        ({"target_range_cm": [40, 50]}, ValueError, "no calibration point lies 40.0 to 50.0 cm"),
        ({"min_start_distance_cm": 500}, ValueError, "no target lies 500.0 cm away from the start"),
        ({"push": [2, 0]}, ValueError, "push of 2 kg.* at most 0.5; make the environment with"),
        ({"curl": 3}, ValueError, "curl 3, push 0"),
        ({"effort_weight": 0, "mass": 1.0}, ValueError, "mass belongs"),
        ({"effort_weight": 0, "curl": 3}, ValueError, "curl 3"),
    ],
)
def test_a_change_that_is_refused_changes_nothing(options, error, message):
    episodes, rng = make(observe="full", observe_perturbation=True, curl=1.0, push=[0.5, 0])
    config, task = episodes.config, episodes.task
    with pytest.raises(error, match=message):
        episodes.change(**options)
    assert episodes.config is config
    assert episodes.task is task
    begin(episodes, rng)
    other, rng = make(observe="full", observe_perturbation=True, curl=1.0, push=[0.5, 0])
    begin(other, rng)
    np.testing.assert_array_equal(episodes.observe(), other.observe())


def test_what_is_changed_to_what_it_was_changes_no_trajectory():
    episodes, rng = make(task="hold")
    other, stream = make(task="hold")
    episodes.change(task="hold", radius_cm=1.5, perturbation=None)
    for _ in range(3):
        for each, source in ((episodes, rng), (other, stream)):
            begin(each, source)
            each.step(np.full((4, 9), 0.1))
        np.testing.assert_array_equal(episodes.observe(), other.observe())


# Tasks of one's own


@dataclass(frozen=True)
class Avoid(Reach):
    """Leaving a disc of 9 cm around the centre fails a trial; moving is paid."""

    def assess(self, before, after, target, action, last, half_side_cm):
        values = super().assess(before, after, target, action, last, half_side_cm).values
        values[:, Judged.FAILED] = np.hypot(*after.position.T) > 6.0
        values[:, Judged.REWARD_PENALTY] = -np.hypot(*(after.position - before.position).T)
        values[:, Judged.REWARD] += values[:, Judged.REWARD_PENALTY]
        return Outcome(values)


def test_a_task_sees_the_step_from_its_beginning():
    episodes, _ = make(task=Avoid())
    at = episodes.state.position.copy()
    assert (episodes.info()["reward_penalty"] == 0).all()
    for _ in range(3):
        episodes.step(np.zeros((4, 9)))
        moved = np.hypot(*(episodes.state.position - at).T)
        info = episodes.info()
        np.testing.assert_allclose(info["reward_penalty"], -moved)
        terms = [info[name] for name in info if name.startswith("reward_")]
        np.testing.assert_allclose(sum(terms), episodes.outcome.reward)
        at = episodes.state.position.copy()


def test_a_task_can_fail_a_trial():
    episodes, rng = make(task=Avoid())
    begin(episodes, rng, start=[[0, 0], [9, 0], [0, -9], [1, 1]], target=(5, 5))
    episodes.step(np.zeros((4, 9)))
    assert episodes.outcome.terminated.tolist() == [False, True, True, False]
    info = episodes.info()
    assert info["failed"].tolist() == [False, True, True, False]
    assert not info["is_success"].any()


def test_a_law_cannot_be_changed():
    episodes, _ = make(perturbation={"law": np.add})
    episodes.change(curl=0.5)
    assert episodes.config.perturbation.law is np.add
    for law in (np.subtract, None):
        with pytest.raises(ValueError, match="a law is part of the environment: make another one"):
            episodes.change(law=law)
    with pytest.raises(ValueError, match="a law is part of the environment"):
        episodes.change(perturbation=None)
    named, _ = make(perturbation="test_changes:Pull")
    named.change(radius_cm=3.0, curl=0.2)
    assert isinstance(named.config.perturbation.law, Pull)


class Pull:
    """A law that is named by its class, or made with options."""

    def __init__(self, strength=0.1, centre=(0, 0)):
        self.strength, self.centre = strength, np.array(centre)

    def __call__(self, position, velocity):
        return -self.strength * (position - self.centre)


@dataclass(frozen=True)
class Drag:
    """A law that equals another of the same options."""

    strength: float = 0.1

    def __call__(self, position, velocity):
        return -self.strength * velocity


def test_a_law_made_with_options_stays_while_all_else_changes():
    given = {"law": {"kind": "test_changes:Pull", "strength": 0.3, "centre": [1, 2]}}
    episodes, _ = make(perturbation=given)
    law = episodes.config.perturbation.law
    episodes.change(radius_cm=2.0)
    episodes.change(curl=0.2, effort_weight=0.1)
    assert episodes.config.perturbation.law is law
    assert (episodes.config.perturbation.curl, episodes.task.radius_cm) == ((0.2, 0.2), 2.0)
    assert Config.of(**episodes.config.plain()).perturbation.law.strength == 0.3
    with pytest.raises(ValueError, match="a law is part of the environment"):
        episodes.change(perturbation={"law": dict(given["law"])})  # of which one cannot tell
    alike, _ = make(perturbation={"law": {"kind": "test_changes:Drag", "strength": 0.3}})
    alike.change(perturbation={"law": Drag(0.3), "curl": 0.1})
    with pytest.raises(ValueError, match="a law is part of the environment"):
        alike.change(law=Drag(0.4))
