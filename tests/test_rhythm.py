"""A circle at a demanded speed: its judgement against whole paths, and the trials of the id."""

from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from scipy.stats import chisquare
from test_step import check_steps, staged, twins

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym import rollout
from ndbmi_gym.config import Config
from ndbmi_gym.plants import forces_of, placed
from ndbmi_gym.policies import Eq24
from ndbmi_gym.tasks import N_JUDGED, Judged, Outcome
from ndbmi_gym.tasks.rhythm import Rhythm
from ndbmi_gym.tasks.rhythm import judge as judge_range

ENV = "ndbmi/Rhythm-v0"
L, STEP_S = 10.0, 0.5


def devices(path):
    """The states of B devices at the ends of steps, from positions (t, B, 2)."""
    for k, positions in enumerate(path):
        device = placed(positions, forces=forces_of(len(positions)))
        device.time_s[:] = k * STEP_S
        yield device


def judged_path(task, path, target, action=0.5):
    """Judgements of every step of paths (t, B, 2), (t - 1, B, 16)."""
    n = path.shape[1]
    last = Outcome(np.zeros((n, N_JUDGED + task.n_memory)))
    last.values[:, Judged.STREAK] = -1
    targets, actions = np.tile(target, (n, 1)), np.full((n, 3), action)
    found = []
    for before, after in pairwise(devices(path)):
        last = task.assess(before, after, targets, actions, last, L)
        found.append(last.values)
    return np.array(found)


def errors(path, radius, speed):
    """Of radius and angular speed at each step's end, from a path as a whole."""
    angle = np.unwrap(np.arctan2(path[..., 1], path[..., 0]), axis=0)
    angle = np.concatenate([np.repeat(angle[:1], 3, axis=0), angle])  # it stood still before
    turning = (angle[4:] - angle[:-4]) / (4 * STEP_S)
    return np.abs(np.hypot(path[1:, :, 0], path[1:, :, 1]) - radius), np.abs(turning - speed)


def wandering(rng, steps=40, n=50):
    """Paths that turn either way, pass the centre and cross the branch cut."""
    return np.cumsum(rng.normal(0, 1.2, (steps, n, 2)), axis=0) + rng.uniform(-4, 4, (n, 2))


# What a step is worth


def test_the_judgement_of_a_step_is_that_of_the_whole_path():
    path = wandering(np.random.default_rng(0))
    task, speed = Rhythm(radius_cm=2.0, tolerance=0.4), 0.2
    judged = judged_path(task, path, (3.0, L * speed))
    off, too_fast = errors(path, 3.0, speed)
    np.testing.assert_allclose(judged[..., Judged.DISTANCE], off)
    wanted = -off / L - too_fast
    np.testing.assert_allclose(judged[..., Judged.REWARD_DISTANCE], wanted, atol=1e-12)
    inside = (off < 2.0) & (too_fast < 0.4)
    assert 50 < inside.sum() < 1500
    np.testing.assert_array_equal(judged[..., Judged.INSIDE], inside)
    np.testing.assert_array_equal(judged[..., Judged.SUCCESS], inside)
    np.testing.assert_allclose(judged[..., Judged.REWARD], wanted - 0.15 + 0.5 * inside)
    assert not judged[..., [Judged.ARRIVED, Judged.FAILED, Judged.REWARD_PENALTY]].any()


@pytest.mark.parametrize("speed", [0.45, -0.25, 0.0])
def test_a_device_that_circles_as_is_demanded_fulfils_it_once_four_steps_have(speed):
    task, target = Rhythm(), np.array([[3.0, L * speed]])
    time_s = STEP_S * np.arange(20)
    path = np.stack([task.place_at(target, np.array([t]), L) for t in time_s])
    np.testing.assert_allclose(np.hypot(*path.T), 3.0)
    inside = judged_path(task, path, target[0])[:, 0, Judged.INSIDE]
    assert inside[3:].all()
    assert inside[0] == (abs(speed) < 0.1)  # it stood still before
    faster = judged_path(task, path, target[0] + (0, 0.15 * L))[:, 0, Judged.INSIDE]
    assert not faster[3:].any()
    assert not judged_path(task, path, target[0] + (1.01, 0))[:, 0, Judged.INSIDE].any()
    streak = judged_path(task, path, target[0])[:, 0, Judged.STREAK]
    assert np.diff(streak)[4:].tolist() == [1.0] * 14


def test_the_sparse_reward_pays_fulfilled_steps_only():
    path = wandering(np.random.default_rng(1))
    judged = judged_path(Rhythm(reward="sparse", inside_reward=2.0), path, (2.0, 1.0))
    np.testing.assert_array_equal(judged[..., Judged.REWARD], 2 * judged[..., Judged.INSIDE])
    dear = Rhythm(speed_weight=0.0, effort_weight=2.0)
    judged = judged_path(dear, path, (2.0, 1.0), action=-0.25)
    np.testing.assert_allclose(
        judged[..., Judged.REWARD],
        -judged[..., Judged.DISTANCE] / L - 0.5 + 0.5 * judged[..., Judged.INSIDE],
    )


def test_a_range_of_trials_is_judged_as_each_is_alone():
    path, task = wandering(np.random.default_rng(2), n=12), Rhythm(radius_cm=3.0, tolerance=1.0)
    whole = judged_path(task, path, (3.0, 1.0))
    for b in range(12):
        alone = judged_path(task, path[:, b : b + 1], (3.0, 1.0))
        np.testing.assert_array_equal(alone[:, 0], whole[:, b])
    function, rules = task.native(L)
    assert function is judge_range
    before, after = list(devices(path))[-2:]
    judged, action = np.full_like(whole[-1], -9.0), np.full((12, 3), 0.5)
    targets = np.tile((3.0, 1.0), (12, 1))
    states = before.values, after.values
    judge_range(whole[-2], judged, *states, targets, action, rules, 3, 9)
    np.testing.assert_array_equal(judged[3:9], whole[-1][3:9])
    assert (judged[[0, 1, 2, 9, 10, 11]] == -9).all()


# What trials demand


def test_demands_are_drawn_uniformly_and_shown_in_units_of_the_workspace():
    env = gymnasium.make_vec(ENV, num_envs=2000, repetitions=2, observe="full")
    seen, info = env.reset(seed=0)
    assert (np.abs(seen) <= env.observation_space.high).all()
    shown = seen[:, env.unwrapped.episodes.layout.columns["target"]]
    demands = np.array(Rhythm().demands)
    which = (np.abs(shown * (L, 1.0) - demands[:, None]).sum(axis=2) < 1e-5).T
    assert (which.sum(axis=1) == 1).all()
    # false alarm 1e-3, with the seed fixed
    assert chisquare(which.sum(axis=0)).pvalue > 1e-3
    np.testing.assert_allclose(info["target"], which @ (demands * (1.0, L)))
    np.testing.assert_allclose(np.abs(info["position"]).max(axis=1), 8.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"demands": []}, r"demands = \[\] \(there is no demand\): give a list of \(radius"),
        ({"demands": [(3, 0.2), (0, 0.2)]}, r"\(0 is no radius from 0.001 to 1e\+06 cm\): give"),
        ({"demands": [(3, 1.5)]}, r"\(1.5 is no speed from -1 to 1 rad/s\): give a list"),
        ({"demands": [(3, 0.2, 1)]}, "demands = .*: give a list"),
        ({"demands": [(3, np.nan)]}, "demands = .*: give a list"),
        ({"demands": "fast"}, "demands = 'fast': give a list"),
        ({"demands": 3}, "demands = 3: give a list"),
        ({"demands": np.ones((10_001, 2))}, "there are more than 10,000 demands"),
        ({"demands": [(12, 0.2)]}, r"demands holds \(12, 0.2\): the circle leaves the workspace;"),
        ({"tolerance": 0}, "tolerance = 0: give a finite number > 0"),
        ({"scored_steps": 0}, "scored_steps = 0: give a whole number >= 1"),
        ({"start_side": 2}, "start_side = 2: give a finite number > 0 and <= 1"),
    ],
)
def test_what_makes_no_task_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config.of(task={"kind": "rhythm", **options})


# The environment


@pytest.mark.parametrize("options", [{}, {"observe": "full", "tolerance": 0.5}])
def test_the_compiled_step_is_the_staged_one(options):
    given = {"task": "rhythm", "field": "limit_cycle", "repetitions": 3, **options}
    check_steps(*twins(given, 8), steps=12)


def test_a_task_that_assesses_in_another_way_is_not_native():
    class Own(Rhythm):
        def assess(self, *given):
            return super().assess(*given)

    assert Own().native(L) is None
    assert Rhythm().native(L) is not None


@pytest.mark.parametrize("compiled", [True, False])
def test_rewards_can_be_told_from_positions_in_every_trial(compiled):
    """A trial that begins anew remembers nothing of the turns before."""
    env = gymnasium.make_vec(
        ENV, num_envs=6, repetitions=3, max_episode_steps=9, autoreset_mode="NextStep"
    )
    if not compiled:
        options = {"task": "rhythm", "field": "limit_cycle", "repetitions": 3}
        env.episodes._compiled = staged(options, 1)._compiled
    assert env.episodes.compiled == compiled
    rng = np.random.default_rng(3)
    _, info = env.reset(seed=2)
    for _ in range(3):
        path, told = [info["position"]], []
        radius, speed = info["target"].T / [[1], [L]]
        for _ in range(9):
            action = rng.random(env.action_space.shape, np.float32)
            _, reward, terminated, truncated, info = env.step(action)
            path.append(info["position"])
            told.append(reward + 0.3 * np.abs(action).mean(axis=1) - 0.5 * info["inside"])
        assert truncated.all()
        assert not terminated.any()
        off, too_fast = errors(np.array(path), radius, speed)
        np.testing.assert_allclose(np.array(told), -off / L - too_fast, atol=1e-6)
        _, _, _, _, info = env.step(action)  # which begins the next trials


def test_the_last_forty_steps_are_scored():
    env = gymnasium.make_vec(ENV, num_envs=8, repetitions=3, autoreset_mode="NextStep")
    seen = env.reset(seed=0)[0]

    class Still:
        def predict(self, observation, state=None, begun=None, deterministic=False):
            return np.zeros((len(observation), 9), np.float32), None

    inside = np.array([info["inside"] for _, _, info in rollout.play(env, Still(), seen)])
    found = rollout.measure(env, Still(), seed=0)
    assert len(inside) == 80
    np.testing.assert_allclose(found[0], inside[-40:].mean(axis=0))
    assert np.isnan(found[-4:-1]).all()  # nothing is reached
    env.unwrapped.change(scored_steps=7)
    np.testing.assert_allclose(rollout.measure(env, Still(), seed=0)[0], inside[-7:].mean(axis=0))


def test_policies_steer_to_a_place_that_runs_as_is_demanded():
    env = gymnasium.make_vec(ENV, num_envs=5, observe="state")
    seen, info = env.reset(seed=1)
    radius, speed = info["target"].T / [[1], [L]]
    for _ in range(3):
        seen, _, _, _, info = env.step(np.zeros(env.action_space.shape, np.float32))
    angle = speed * (3 * STEP_S + STEP_S)
    aim = radius[:, None] * np.column_stack((np.cos(angle), np.sin(angle)))
    np.testing.assert_allclose(Eq24(env)._aim(seen, STEP_S), aim, atol=1e-5)
    shifted = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=5)
    seen, info = shifted.reset(seed=1)
    np.testing.assert_allclose(Eq24(shifted)._aim(seen, STEP_S), info["target"], atol=1e-5)


def test_who_leaves_the_natural_cycle_scores():
    """The references' scores, roughly; the documentation has them from many trials."""
    found = {
        name: rollout.score(ENV, name, trials=60, observe="state")["score"].mean()
        for name in ("zero", "eq24", "ceiling")
    }
    assert found["zero"] < 0.03
    assert 0.1 < found["eq24"] < 0.45
    assert found["ceiling"] > 0.95


def test_the_picture_shows_the_circle():
    pytest.importorskip("matplotlib")
    env = gymnasium.make(ENV, render_mode="rgb_array", repetitions=3)
    pictures = []
    for radius in (3.0, 6.0):
        env.reset(seed=0, options={"target": (radius, 2.5)})
        pictures.append(env.render())
    changed = np.argwhere((pictures[0] != pictures[1]).any(axis=2))
    left, bottom, width, _ = 45, 30, 515, 515
    centre = np.array([600 - bottom - width / 2, left + width / 2])
    distance = np.hypot(*(changed - centre).T) / (width / 25)  # cm
    drawn = distance[distance < 8]
    for radius in (3.0, 6.0):  # either circle with what it allows
        assert ((drawn > radius - 1) & (drawn < radius + 1)).mean() > 0.25
    assert ((drawn > 1.9) & (drawn < 7.1)).mean() > 0.95
