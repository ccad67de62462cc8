import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from ndbmi_gym.tasks import TASKS, Outcome, Task, make_task


def test_starts_lie_uniformly_on_the_square():
    starts = Reach().draw_starts(np.random.default_rng(0), 20_000, half_side_cm=10.0)
    np.testing.assert_allclose(np.abs(starts).max(axis=1), 8.0)
    upright = np.abs(starts[:, 0]) == 8.0
    side = np.where(upright, np.sign(starts[:, 0]), 2 * np.sign(starts[:, 1]))
    # false alarm of either test: 1e-3, with the seed fixed
    assert chisquare(np.unique(side, return_counts=True)[1]).pvalue > 1e-3
    along = np.where(upright, starts[:, 1], starts[:, 0])
    assert kstest(along, "uniform", args=(-8, 16)).pvalue > 1e-3


def test_targets_are_uniform_among_the_eligible_that_are_far_enough():
    rng = np.random.default_rng(1)
    eligible = rng.uniform(-7, 7, (40, 2))
    start = np.array([8.0, 3.0])
    far = np.hypot(*(eligible - start).T) >= 5.0
    assert 0 < far.sum() < 40
    drawn = Task().draw_targets(rng, np.tile(start, (20_000, 1)), eligible)
    index = (drawn[:, None] == eligible).all(axis=-1).argmax(axis=1)
    counts = np.bincount(index, minlength=40)
    assert (counts[~far] == 0).all()
    # false alarm 1e-3, with the seed fixed
    assert chisquare(counts[far]).pvalue > 1e-3


def test_eligible_points_are_those_in_the_range():
    points = np.array([[2.9, 0.0], [3.0, 0.0], [0.0, -7.0], [0.0, 7.1], [4.0, 4.0]])
    np.testing.assert_array_equal(Task().eligible(points), points[[1, 2, 4]])


def test_a_task_without_targets_says_so():
    with pytest.raises(ValueError, match=r"no calibration point lies 3.0 to 7.0 cm.*target_range"):
        Task().eligible(np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"no target lies 5.0 cm away.*min_start_distance_cm"):
        Task().draw_targets(np.random.default_rng(), np.zeros((1, 2)), np.ones((3, 2)))


def judge(task, position, target=(0.0, 0.0), action=(0.5, -0.5, 0.2), streak=0):
    return task.assess(
        np.array([position]),
        np.array([target]),
        np.array([action]),
        np.array([float(streak)]),
        10.0,
    ).values[0]


def test_reward_terms_by_hand():
    judged = judge(TASKS["shift"], (3.0, 4.0))
    assert judged[Outcome.DISTANCE] == pytest.approx(5.0)
    assert judged[Outcome.EFFORT] == pytest.approx(0.4)
    assert judged[Outcome.REWARD_DISTANCE] == pytest.approx(-0.5)
    assert judged[Outcome.REWARD_EFFORT] == pytest.approx(-0.12)
    assert judged[Outcome.REWARD] == pytest.approx(-0.62)
    assert judged[Outcome.INSIDE] == judged[Outcome.ARRIVED] == judged[Outcome.STREAK] == 0


def test_arrival_takes_as_many_step_ends_inside_as_the_task_says():
    first = judge(TASKS["shift"], (0.6, 0.8), streak=0)
    assert first[Outcome.INSIDE] == 1
    assert first[Outcome.ARRIVED] == 0
    second = judge(TASKS["shift"], (0.6, 0.0), streak=first[Outcome.STREAK])
    assert second[Outcome.ARRIVED] == 1
    assert second[Outcome.REWARD_BONUS] == 1
    assert judge(TASKS["shift"], (2.0, 0.0), streak=1)[Outcome.STREAK] == 0
    assert judge(TASKS["fixed"], (1.0, 1.0))[Outcome.ARRIVED] == 1
    held = judge(TASKS["hold"], (0.1, 0.0), streak=40)
    assert held[Outcome.ARRIVED] == 0
    assert held[Outcome.REWARD_INSIDE] == 0.5


def test_sparse_reward_keeps_bonus_and_inside_only():
    task = make_task({"kind": "shift", "reward": "sparse"})
    assert judge(task, (3.0, 4.0))[Outcome.REWARD] == 0
    assert judge(task, (0.0, 0.0), streak=1)[Outcome.REWARD] == 1


@given(st.floats(-20, 20), st.floats(-20, 20), st.integers(0, 5))
def test_reward_is_the_sum_of_its_terms(x, y, streak):
    for task in TASKS.values():
        judged = judge(task, (x, y), streak=streak)
        assert judged[Outcome.REWARD] == pytest.approx(judged[Outcome.REWARD_DISTANCE :].sum())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("reach", "unknown task 'reach'.*fixed, shift, hold"),
        ({"radius_cm": 1.0}, "unknown task None"),
        ({"kind": "hold", "size": 1.0}, "unknown task parameter 'size'.*radius_cm"),
        ({"kind": "hold", "radius_cm": 0.0}, "radius_cm = 0.0.*> 0"),
        ({"kind": "hold", "radius_cm": float("nan")}, "radius_cm = nan"),
        ({"kind": "shift", "bonus": float("nan")}, "bonus = nan"),
        ({"kind": "shift", "min_start_distance_cm": -1}, "min_start_distance_cm = -1"),
        (None, "unknown task None"),
        ({"kind": "shift", "dwell": -1}, "dwell = -1.*>= 0"),
        ({"kind": "shift", "target_range_cm": [5, 2]}, "target_range_cm.*low <= high"),
        ({"kind": "shift", "reward": "shaped"}, "reward = 'shaped'.*dense, sparse"),
        ({"kind": "shift", "effort_weight": -1}, "effort_weight = -1.*>= 0"),
        ({"kind": "shift", "start_side": 1.5}, "start_side = 1.5"),
        ({"kind": "shift", "target": "anywhere"}, "target = 'anywhere'"),
    ],
)
def test_bad_tasks_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        make_task(spec)


def test_a_mapping_changes_a_named_task():
    task = make_task({"kind": "hold", "radius_cm": 1.0, "target_range_cm": [1, 2]})
    assert (task.radius_cm, task.target_range_cm, task.inside_reward) == (1.0, (1, 2), 0.5)
    assert make_task(task) is task
