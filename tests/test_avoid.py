"""A target behind an obstacle: its geometry by brute force, failure, and the trials of the id."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from scipy.stats import chisquare, kstest
from test_step import check_steps, staged, twins

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.config import Config
from ndbmi_gym.plants import forces_of, placed
from ndbmi_gym.policies import LookAhead
from ndbmi_gym.rollout import play, score
from ndbmi_gym.tasks import N_JUDGED, Judged, Outcome, make_task
from ndbmi_gym.tasks.avoid import AvoidObstacle
from ndbmi_gym.tasks.avoid import judge as judge_range
from ndbmi_gym.tasks.reach import Reach

ENV = "ndbmi/AvoidObstacle-v0"
OBLIQUE = {"obstacle_cm": (-2.0, 3.0), "obstacle_radius_cm": 2.0, "sector_deg": 40.0}


def devices(positions):
    return placed(positions, forces=forces_of(len(positions)))


def judge(task, start, end, target=(8.0, 0.0), streak=0.0):
    """Judgement of steps (B, 2) to (B, 2)."""
    start, end = np.atleast_2d(start), np.atleast_2d(end)
    last = np.zeros((len(start), N_JUDGED))
    last[:, Judged.STREAK] = streak
    targets, action = np.tile(target, (len(start), 1)), np.full((len(start), 3), 0.5)
    return task.assess(devices(start), devices(end), targets, action, Outcome(last), 10.0).values


# What a step is worth


def test_a_step_enters_the_disc_as_dense_sampling_finds():
    rng = np.random.default_rng(0)
    start, end = rng.uniform((0, -4), (8, 4), (2, 1500, 2))
    end[:20] = start[:20]
    task = AvoidObstacle()
    share = np.linspace(0, 1, 2001)[:, None, None]
    way = start + share * (end - start) - np.array(task.obstacle_cm)
    nearest = np.hypot(way[..., 0], way[..., 1]).min(axis=0)
    clear = np.abs(nearest - task.obstacle_radius_cm) > 1e-4  # sampling could tell
    failed = judge(task, start, end)[:, Judged.FAILED] != 0
    np.testing.assert_array_equal(failed[clear], (nearest < task.obstacle_radius_cm)[clear])
    assert 200 < failed.sum() < 1300


def test_a_step_across_fails_though_both_its_ends_are_outside():
    task = AvoidObstacle()
    crossed = judge(task, (1.0, 0.5), (7.0, 0.5))[0]
    assert (crossed[Judged.FAILED], crossed[Judged.REWARD_PENALTY]) == (1, -10)
    assert not judge(task, (1.0, 1.5), (7.0, 1.5))[0, Judged.FAILED]  # it touches the edge
    assert not judge(task, (1.0, 0.5), (2.0, 0.5))[0, Judged.FAILED]  # it would, if it went on


def test_failure_takes_what_arrival_would_give():
    task = AvoidObstacle(obstacle_radius_cm=1.9, target_range_cm=(6.0, 7.0))
    step = {"start": (3.0, 1.0), "end": (6.0, 0.0), "target": (6.5, 0.0), "streak": 1.0}
    judged = judge(task, **step)[0]
    assert judged[Judged.INSIDE] == judged[Judged.FAILED] == 1
    assert judged[Judged.ARRIVED] == judged[Judged.SUCCESS] == judged[Judged.REWARD_BONUS] == 0
    assert judged[Judged.REWARD] == pytest.approx(-0.05 - 0.15 - 10)
    around = judge(task, **step | {"start": (6.0, 1.0)})[0]
    assert around[Judged.ARRIVED] == around[Judged.SUCCESS] == around[Judged.REWARD_BONUS] == 1
    sparse = judge(replace(task, reward="sparse", penalty=2.0), **step)[0]
    assert sparse[Judged.REWARD] == -2


def test_a_step_that_keeps_clear_is_that_of_a_reach():
    rng = np.random.default_rng(1)
    start = rng.uniform(-9, 9, (300, 2))
    end, task = start + rng.uniform(-1, 1, (300, 2)), AvoidObstacle()
    judged = judge(task, start, end, streak=1.0)
    clear = judged[:, Judged.FAILED] == 0
    reach = judge(Reach(radius_cm=1.0, dwell=2), start, end, streak=1.0)
    np.testing.assert_array_equal(judged[clear], reach[clear])
    terms = slice(Judged.REWARD_DISTANCE, Judged.REWARD_PENALTY + 1)
    np.testing.assert_allclose(judged[:, Judged.REWARD], judged[:, terms].sum(axis=1))
    assert 5 < (~clear).sum() < 100


def test_a_range_of_trials_is_judged_as_each_is_alone():
    rng, task = np.random.default_rng(2), AvoidObstacle()
    start, end = rng.uniform((2, -2), (7, 2), (2, 12, 2))
    whole = judge(task, start, end)
    assert 0 < whole[:, Judged.FAILED].sum() < 12
    for b in range(12):
        np.testing.assert_array_equal(judge(task, start[b], end[b])[0], whole[b])
    function, rules = task.native(10.0)
    assert function is judge_range
    judged, states = np.full_like(whole, -9.0), (devices(start).values, devices(end).values)
    last = np.zeros_like(whole)
    target, action = np.tile((8.0, 0.0), (12, 1)), np.full((12, 3), 0.5)
    judge_range(last, judged, *states, target, action, rules, 3, 9)
    np.testing.assert_array_equal(judged[3:9], whole[3:9])
    assert (judged[[0, 1, 2, 9, 10, 11]] == -9).all()


# Where trials start and lead


@pytest.mark.parametrize("options", [{}, OBLIQUE])
def test_starts_are_uniform_on_the_half_that_is_turned_away(options):
    task = AvoidObstacle(**options)
    starts = task.draw_starts(np.random.default_rng(0), np.arange(20_000), 10.0)
    np.testing.assert_allclose(np.abs(starts).max(axis=1), 8.0)
    assert ((starts * task.obstacle_cm).sum(axis=1) <= 1e-9).all()
    # cut open at the corner (-8, -8) and unrolled, the square is a line of length 64
    x, y = starts.T + 8
    side = np.select([y == 0, x == 16, y == 16], [x, 16 + y, 48 - x], 64 - y)
    along = np.sort(side)
    gaps = np.diff(along)
    far = gaps > 1
    assert far.sum() + (along[0] + 64 - along[-1] > 1) == 1  # one half, in one piece
    first = along[far.argmax() + 1] if far.any() else along[0]
    # false alarm 1e-3, with the seed fixed
    assert kstest((side - first) % 64, "uniform", args=(0, 32)).pvalue > 1e-3


@pytest.mark.parametrize("options", [{}, OBLIQUE, {"target_range_cm": (7, 7)}, {"sector_deg": 0}])
def test_targets_are_uniform_in_the_sector_behind_the_disc(options):
    task = AvoidObstacle(**options)
    rng = np.random.default_rng(3)
    targets = task.draw_targets(rng, np.zeros((20_000, 2)), np.zeros((0, 2)), np.arange(20_000))
    low, high = task.target_range_cm
    distance = np.hypot(*targets.T)
    direction = np.array(task.obstacle_cm) / np.hypot(*task.obstacle_cm)
    along, aside = targets @ direction, targets @ np.array((-direction[1], direction[0]))
    angle = np.degrees(np.arctan2(aside, along))
    assert (np.abs(angle) <= task.sector_deg + 1e-6).all()
    assert (distance >= low - 1e-9).all()
    assert (distance <= high + 1e-9).all()
    assert (np.hypot(*(targets - task.obstacle_cm).T) > task.obstacle_radius_cm).all()
    bound = np.abs(task.pool(None)).max()  # what observations are bounded by
    assert bound * 0.97 < np.abs(targets).max() <= bound + 1e-9
    if low < high and task.sector_deg:
        rings = np.searchsorted(np.sqrt(np.linspace(low**2, high**2, 6)), distance) - 1
        wedges = ((angle / task.sector_deg + 1) * 2.5).astype(int)
        # false alarm 1e-3, with the seed fixed
        assert chisquare(np.bincount(5 * rings + wedges, minlength=25)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"obstacle_cm": (0, 0)}, "obstacle_radius_cm = 1.5: the disc .* covers the centre.*give"),
        ({"obstacle_radius_cm": 4}, "obstacle_radius_cm = 4: .* give less than 4 cm"),
        ({"obstacle_radius_cm": 2.5}, r"target_range_cm = \(6.0, 8.5\): .* ends 6.5 cm from"),
        ({"obstacle_radius_cm": 0}, "obstacle_radius_cm = 0: give a finite number > 0"),
        ({"obstacle_cm": (4, np.nan)}, r"obstacle_cm = \(4, nan\): give 2 finite numbers"),
        ({"obstacle_cm": 4}, "obstacle_cm = 4: give 2 finite numbers"),
        ({"sector_deg": 91}, "sector_deg = 91: give a finite number >= 0 and <= 90"),
        ({"target_range_cm": (8, 6)}, r"target_range_cm = \(8, 6\): give two numbers"),
        ({"target_range_cm": (6, 10.5)}, r"a target may have a coordinate of 10.50 cm; give"),
        ({"dwell": 0}, "dwell = 0: give a whole number >= 1"),
        ({"penalty": -1}, "penalty = -1: give a finite number >= 0"),
        ({"reward": "none"}, "reward = 'none': choose one of dense, sparse"),
    ],
)
def test_what_makes_no_task_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config.of(task={"kind": "avoid", **options})


def test_targets_may_reach_as_far_as_the_workspace_does():
    far = make_task({"kind": "avoid", "target_range_cm": (6, 11), "obstacle_cm": (3, 3)})
    far.check(None, 10.9)  # the farthest lie near the diagonal
    with pytest.raises(ValueError, match="coordinate of 10"):
        far.check(None, 10.3)


# The environment


@pytest.mark.parametrize("options", [{}, OBLIQUE | {"observe": "full", "radius_cm": 3.0}])
def test_the_compiled_step_is_the_staged_one(options):
    check_steps(*twins({"task": "avoid", "repetitions": 3, **options}, 8), steps=12)


def test_a_task_that_assesses_in_another_way_is_not_native():
    class Own(AvoidObstacle):
        def assess(self, *given):
            return super().assess(*given)

    assert Own().native(10.0) is None
    assert AvoidObstacle().native(10.0) is not None


@pytest.mark.parametrize("compiled", [True, False])
def test_a_start_in_the_disc_fails_with_the_first_step_and_not_before(compiled):
    env = gymnasium.make(ENV, repetitions=3)
    episodes = env.unwrapped.episodes
    if not compiled:
        episodes._compiled = staged({"task": "avoid", "repetitions": 3}, 1)._compiled
    assert episodes.compiled == compiled
    _, info = env.reset(seed=0, options={"start": (4.5, 0.5)})
    assert not info["failed"]
    _, reward, terminated, truncated, info = env.step(np.zeros(9, np.float32))
    assert (terminated, truncated, info["failed"], info["is_success"]) == (True, False, True, False)
    assert info["reward_penalty"] == -10
    parts = ("distance", "effort", "bonus", "inside", "penalty")
    assert reward == pytest.approx(sum(info[f"reward_{part}"] for part in parts))


def test_failure_is_told_of_the_step_that_enters():
    """Look-ahead that goes straight for targets, against segments of the path."""
    env = gymnasium.make_vec(ENV, num_envs=60, observe="state", autoreset_mode="NextStep")
    seen, info = env.reset(seed=5)
    before, failed = info["position"], np.zeros(60, bool)
    for running, _, info in play(env, LookAhead(env, samples=8), seen):
        share = np.linspace(0, 1, 1001)[:, None, None]
        way = before + share * (info["position"] - before) - (4.0, 0.0)
        nearest = np.hypot(way[..., 0], way[..., 1]).min(axis=0)
        sure = (np.abs(nearest - 1.5) > 1e-4) & running
        np.testing.assert_array_equal(info["failed"][sure], (nearest < 1.5)[sure])
        assert not (failed & running).any()  # failure has ended it
        failed |= info["failed"] & running
        before = info["position"]
    assert 15 < failed.sum() < 45


def test_only_who_goes_round_the_obstacle_arrives():
    """The references' scores, roughly; the documentation has them from many trials."""
    options = {"observe": "state", "trials": 120}
    found = {name: score(ENV, name, **options) for name in ("zero", "eq24", "greedy", "ceiling")}
    success = {name: values["success"].mean() for name, values in found.items()}
    assert success["zero"] == 0
    # 4 standard errors about 0.23 and 0.51
    assert 0.08 < success["eq24"] < 0.38
    assert 0.33 < success["greedy"] < 0.69
    assert success["ceiling"] > 0.95
    for values in found.values():  # who fails takes all steps there are
        assert (values["score"][values["success"] == 0] == 30).all()
    greedy = found["greedy"]
    crashed = (greedy["success"] == 0) & (greedy["steps"] < 30)
    # what pays: to go round, then to fail, then to keep away
    best, worst = found["ceiling"]["return"], found["zero"]["return"]
    assert (best[crashed] > greedy["return"][crashed]).mean() > 0.95
    assert greedy["return"][crashed].mean() > worst.mean()


def test_the_picture_shows_the_disc():
    pytest.importorskip("matplotlib")
    small = {"render_size": (150, 100)}
    env = gymnasium.make(ENV, render_mode="rgb_array", repetitions=3, **small)
    env.reset(seed=0)
    first = env.render()
    env.unwrapped.change(obstacle_cm=(0.0, 4.0))
    moved = env.render()
    assert (first != moved).any()
    env.unwrapped.change(obstacle_cm=(4.0, 0.0))
    np.testing.assert_array_equal(env.render(), first)
