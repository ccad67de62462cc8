import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from ndbmi_gym import config
from ndbmi_gym.config import Config
from ndbmi_gym.plants import placed
from ndbmi_gym.tasks import N_JUDGED, TASKS, Judged, Outcome, make_task, memory_of
from ndbmi_gym.tasks.reach import Reach
from ndbmi_gym.tasks.reach import judge as judge_range


def test_starts_lie_uniformly_on_the_square():
    starts = Reach().draw_starts(np.random.default_rng(0), np.arange(20_000), half_side_cm=10.0)
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
    drawn = Reach().draw_targets(rng, np.tile(start, (20_000, 1)), eligible, np.arange(20_000))
    index = (drawn[:, None] == eligible).all(axis=-1).argmax(axis=1)
    counts = np.bincount(index, minlength=40)
    assert (counts[~far] == 0).all()
    # false alarm 1e-3, with the seed fixed
    assert chisquare(counts[far]).pvalue > 1e-3


def test_eligible_points_are_those_in_the_range():
    points = np.array([[2.9, 0.0], [3.0, 0.0], [0.0, -7.0], [0.0, 7.1], [4.0, 4.0]])
    np.testing.assert_array_equal(Reach().eligible(points), points[[1, 2, 4]])


def test_a_task_without_targets_says_so():
    with pytest.raises(ValueError, match=r"no calibration point lies 3.0 to 7.0 cm.*target_range"):
        Reach().eligible(np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"no target lies 5.0 cm away.*min_start_distance_cm"):
        Reach().draw_targets(
            np.random.default_rng(), np.zeros((1, 2)), np.ones((3, 2)), np.zeros(1, int)
        )


def with_streak(streak, memory=0):
    """Last judgements with these consecutive step ends inside."""
    values = np.zeros((len(streak), N_JUDGED + memory))
    values[:, Judged.STREAK] = streak
    return Outcome(values)


def judge(task, position, target=(0.0, 0.0), action=(0.5, -0.5, 0.2), streak=0):
    before = placed([[9.0, 9.0]])
    return task.assess(
        before,
        placed([position]),
        np.array([target]),
        np.array([action]),
        with_streak([float(streak)], memory_of(task)),
        10.0,
    ).values[0]


def test_reward_terms_by_hand():
    judged = judge(TASKS["shift"](), (3.0, 4.0))
    assert judged[Judged.DISTANCE] == pytest.approx(5.0)
    assert judged[Judged.EFFORT] == pytest.approx(0.4)
    assert judged[Judged.REWARD_DISTANCE] == pytest.approx(-0.5)
    assert judged[Judged.REWARD_EFFORT] == pytest.approx(-0.12)
    assert judged[Judged.REWARD] == pytest.approx(-0.62)
    assert judged[Judged.INSIDE] == judged[Judged.ARRIVED] == judged[Judged.STREAK] == 0


def test_arrival_takes_as_many_step_ends_inside_as_the_task_says():
    first = judge(TASKS["shift"](), (0.6, 0.8), streak=0)
    assert first[Judged.INSIDE] == 1
    assert first[Judged.ARRIVED] == 0
    second = judge(TASKS["shift"](), (0.6, 0.0), streak=first[Judged.STREAK])
    assert second[Judged.ARRIVED] == 1
    assert second[Judged.REWARD_BONUS] == 1
    assert judge(TASKS["shift"](), (2.0, 0.0), streak=1)[Judged.STREAK] == 0
    assert judge(TASKS["fixed"](), (1.0, 1.0))[Judged.ARRIVED] == 1
    held = judge(TASKS["hold"](), (0.1, 0.0), streak=40)
    assert held[Judged.ARRIVED] == 0
    assert held[Judged.REWARD_INSIDE] == 0.5


def test_sparse_reward_keeps_bonus_and_inside_only():
    task = make_task({"kind": "shift", "reward": "sparse"})
    assert judge(task, (3.0, 4.0))[Judged.REWARD] == 0
    assert judge(task, (0.0, 0.0), streak=1)[Judged.REWARD] == 1


@given(st.floats(-20, 20), st.floats(-20, 20), st.integers(0, 5))
def test_reward_is_the_sum_of_its_terms(x, y, streak):
    for task in map(make_task, TASKS):
        judged = judge(task, (x, y), streak=streak)
        assert judged[Judged.REWARD] == pytest.approx(
            judged[Judged.REWARD_DISTANCE : N_JUDGED].sum()
        )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("reach", "unknown task 'reach': choose one of fixed, shift, hold"),
        ({"radius_cm": 1.0}, "task = {'radius_cm': 1.0}: choose one of|unknown task {'radius_cm'"),
        ({"kind": "hold", "size": 1.0}, "'hold' has no option 'size': its options are .*radius_cm"),
        (
            {"kind": "hold", "radius_cm": 0.0},
            "radius_cm = 0.0: give a finite number > 0 and <= .* cm",
        ),
        ({"kind": "hold", "radius_cm": float("nan")}, "radius_cm = nan"),
        ({"kind": "shift", "bonus": float("nan")}, "bonus = nan"),
        ({"kind": "shift", "min_start_distance_cm": -1}, "min_start_distance_cm = -1: give"),
        (None, "task = None: choose one of fixed, shift, hold"),
        ([], r"task = \[\]: choose one of fixed, shift, hold"),
        ({"kind": "shift", "dwell": -1}, "dwell = -1: give a whole number >= 0"),
        ({"kind": "shift", "dwell": True}, "dwell = True: give a whole number >= 0"),
        (
            {"kind": "shift", "target_range_cm": [5, 2]},
            r"target_range_cm = \[5, 2\]: .*low <= high",
        ),
        ({"kind": "shift", "target_range_cm": [3]}, r"target_range_cm = \[3\]: give two numbers"),
        ({"kind": "shift", "target_range_cm": [-1, 2]}, "target_range_cm = .*0 <= low <= high, in"),
        ({"kind": "shift", "reward": "shaped"}, "reward = 'shaped': choose one of dense, sparse"),
        ({"kind": "shift", "effort_weight": -1}, "effort_weight = -1: give a finite number >= 0"),
        ({"kind": "shift", "start_side": 1.5}, "start_side = 1.5: give .* > 0 and <= 1"),
    ],
)
def test_bad_tasks_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        make_task(spec)


@pytest.mark.parametrize(
    ("targets", "because"),
    [
        ("anywhere", "no such targets"),
        ([], "there is no point"),
        ([[1, 2, 3]], ""),
        ([1, 2], ""),
        ([[0, float("nan")]], ""),
        ([["a", "b"]], ""),
        (5, ""),
        (None, ""),
        ({"centre_out": 0}, "centre_out = 0 is no whole number from 1 to 1000"),
        ({"centre_out": 2.5}, "centre_out = 2.5 is no whole number"),
        ({"centre_out": 8.0}, "centre_out = 8.0 is no whole number"),
        ({"centre_out": True}, "centre_out = True is no whole number"),
        ({"centre_out": 1001}, "centre_out = 1001 is no whole number from 1 to 1000"),
        ({"centre_out": 10**6}, "centre_out = 1000000 is no whole number"),
        ({"radius_cm": 5.0}, "centre_out = None is no whole number"),
        (range(2**40), "there are more than 10,000 points"),
        (np.zeros((10_001, 2)), "there are more than 10,000 points"),
        ({"centre_out": 8, "radius_cm": 0}, "radius_cm = 0 is no radius > 0 cm"),
        ({"centre_out": 8, "radius_cm": -1}, "radius_cm = -1 is no radius"),
        ({"centre_out": 8, "size": 1}, "unknown 'size'"),
        ({"radius_cm": 5}, ""),
        ({}, ""),
    ],
)
def test_bad_targets_are_refused_with_the_rule(targets, because):
    with pytest.raises(
        ValueError,
        match=rf"^targets = .*{because}.*: choose 'calibration' or 'field', or give "
        r"\{'centre_out': 8, 'radius_cm': 5\} or a list of points \(x, y\) in cm",
    ):
        Reach(targets=targets)


@pytest.mark.parametrize("starts", ["edge", [], [1, 2], [[1, 2, 3]], 5, None, {"centre": 1}])
def test_bad_starts_are_refused_with_the_rule(starts):
    with pytest.raises(ValueError, match=r"^starts = .*: choose 'square' or 'centre', or give"):
        Reach(starts=starts)


def test_a_mapping_changes_a_named_task():
    task = make_task({"kind": "hold", "radius_cm": 1.0, "target_range_cm": [1, 2]})
    assert (task.radius_cm, task.target_range_cm, task.inside_reward) == (1.0, (1, 2), 0.5)
    assert make_task(task) is task
    assert task.holds
    assert task.scored
    assert not make_task("shift").holds
    assert not make_task("fixed").scored


# Places of one's own


def test_centre_out_targets_lie_evenly_on_their_circle():
    loop = Config.of(repetitions=2).make_loop(0)
    pool = Reach(targets={"centre_out": 8, "radius_cm": 5}).pool(loop)
    angle = np.arange(8) * np.pi / 4
    expected = 5 * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    np.testing.assert_allclose(pool, expected, atol=1e-11)
    assert (pool[0] == [5, 0]).all()
    assert len(Reach(targets={"centre_out": 3}).targets) == 3
    assert Reach(targets={"centre_out": np.int8(4), "radius_cm": np.float32(2)}).targets[0] == (
        2,
        0,
    )


def test_a_list_of_targets_is_drawn_from_uniformly_wherever_a_trial_starts():
    points = [[0.0, 4.0], [3.0, 3.0], [-6.0, 1.0]]
    task = Reach(targets=points, starts="centre")
    loop = Config.of(repetitions=2).make_loop(0)
    rng = np.random.default_rng(0)
    starts = np.tile(points[1], (9000, 1))  # no distance is kept
    drawn = task.draw_targets(rng, starts, task.pool(loop), np.arange(9000))
    index = (drawn[:, None] == np.array(points)).all(axis=-1).argmax(axis=1)
    # false alarm 1e-3, with the seed fixed
    assert chisquare(np.bincount(index, minlength=3)).pvalue > 1e-3


def test_starts_may_be_the_centre_or_a_list():
    rng = np.random.default_rng(0)
    assert (Reach(starts="centre").draw_starts(rng, np.arange(5), 10.0) == 0).all()
    points = np.array([[1.0, 2.0], [-3.0, 4.0]])
    drawn = Reach(starts=points).draw_starts(rng, np.arange(4000), 10.0)
    index = (drawn[:, None] == points).all(axis=-1)
    assert (index.sum(axis=1) == 1).all()
    # 4.9 standard deviations: false alarm 1e-6, with the seed fixed
    assert abs(index[:, 0].sum() - 2000) < 4.9 * np.sqrt(1000)


def test_places_draw_as_much_as_the_square_does():
    """So that an option does not shift the random numbers that come after it."""
    after = []
    for starts in ("square", "centre", [[1, 2]]):
        rng = np.random.default_rng(3)
        Reach(starts=starts).draw_starts(rng, np.arange(7), 10.0)
        after.append(rng.random())
    assert len(set(after)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"targets": [[1, 1], [0, 10.5]]},
            r"targets holds \(0.0, 10.5\): give points within \[-10,",
        ),
        ({"targets": {"centre_out": 4, "radius_cm": 12}}, r"targets holds .*within \[-10, 10\] cm"),
        ({"starts": [[-11, 0]]}, r"starts holds \(-11.0, 0.0\): give points within"),
        (
            {"targets": "field", "field": "limit_cycle"},
            r"the field's own equilibrium.*declares none",
        ),
    ],
)
def test_what_does_not_fit_the_workspace_is_refused_before_a_calibration(
    options, message, monkeypatch
):
    monkeypatch.setattr(config, "interface_of", None)
    with pytest.raises(ValueError, match=message):
        Config.of(**options)


def test_every_start_has_a_target():
    """The least distance that leaves one is found by search; here, on a fine grid."""
    loop = Config.of(repetitions=2).make_loop(0)
    eligible = Reach().eligible(loop.interface.points)
    square = Reach().on_square(np.arange(40_000) / 40_000, loop.interface.half_side_cm)
    most = np.hypot(*(square[:, None] - eligible).transpose(2, 0, 1)).max(axis=1).min()
    assert len(Reach(min_start_distance_cm=most - 1e-3).pool(loop)) == len(eligible)
    for distance in (most + 1e-3, 500.0):
        with pytest.raises(ValueError, match=rf"at most {most:.2f}.* leaves one to all"):
            Reach(min_start_distance_cm=distance).pool(loop)
    for starts in ("centre", [[1, 2], [-3, 4]]):
        places = np.zeros((1, 2)) if starts == "centre" else np.array(starts)
        most = np.hypot(*(places[:, None] - eligible).transpose(2, 0, 1)).max(axis=1).min()
        Reach(starts=starts, min_start_distance_cm=most - 1e-9).pool(loop)
        with pytest.raises(ValueError, match=r"no target lies .* away from the start \("):
            Reach(starts=starts, min_start_distance_cm=most + 1e-9).pool(loop)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": [[1, 2]], "target_range_cm": (1, 9)}, r"target_range_cm = \(1.*drop target_r"),
        ({"task": "fixed", "min_start_distance_cm": 2}, "unless targets = 'calibration'"),
        ({"starts": "centre", "start_side": 0.5}, "start_side = 0.5.* unless starts = 'square'"),
        ({"n_animals": 4}, "n_animals = 4.*animal = 0 is one animal; drop n_animals"),
    ],
)
def test_options_of_what_is_not_drawn_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config.of(**options)


def test_defaults_of_what_is_not_drawn_are_not():
    for kind in ("fixed", "shift", "hold"):
        for targets in ("field", [[1, 2]]):
            config = Config.of(task=kind, repetitions=2).change(targets=targets, starts="centre")
            assert Config.of(task=config.task).task == config.task
            assert Config.of(**config.plain()) == config
    Config.of(n_animals=4, animal=None)


# Judgements


def test_outcomes_tell_arrival_and_failure_apart():
    values = np.zeros((4, N_JUDGED))
    values[1, Judged.ARRIVED] = values[2, Judged.FAILED] = 1
    values[:, Judged.REWARD], values[:, Judged.STREAK] = 0.5, np.arange(4)
    outcome = Outcome(values)
    assert outcome.terminated.tolist() == [False, True, True, False]
    assert outcome.terminated.dtype == bool
    assert (outcome.reward == 0.5).all()
    assert outcome.streak.tolist() == [0, 1, 2, 3]


def test_a_reach_never_fails():
    for position in ((0.0, 0.0), (9.0, 9.0)):
        judged = judge(Reach(), position, streak=1)
        assert judged[Judged.FAILED] == judged[Judged.REWARD_PENALTY] == 0


# The judgement of a range of trials


def steps(n=12):
    """Ends of steps, targets, actions and streaks."""
    rng = np.random.default_rng(5)
    after = placed(rng.uniform(-2, 2, (n, 2)))
    return (
        after,
        rng.uniform(-2, 2, (n, 2)),
        rng.uniform(-1, 1, (n, 7)),
        rng.integers(0, 3, n) * 1.0,
    )


def test_a_range_of_trials_is_judged_as_each_is_alone():
    task, (after, target, action, streak) = TASKS["shift"](radius_cm=2.0), steps()
    whole = task.assess(after, after, target, action, with_streak(streak), 10.0).values
    assert 0 < whole[:, Judged.INSIDE].sum() < len(whole)
    for b in range(len(whole)):
        one = slice(b, b + 1)
        alone = after.select(np.array([b]))
        judged = task.assess(alone, alone, target[one], action[one], with_streak(streak[one]), 10.0)
        np.testing.assert_array_equal(judged.values[0], whole[b])
    earlier, judged = np.zeros_like(whole), np.full_like(whole, -9.0)
    earlier[:, Judged.STREAK] = streak
    _, rules = task.native(10.0)
    states = after.values, after.values
    judge_range(earlier, judged, *states, target, action, rules, 3, 9)
    np.testing.assert_array_equal(judged[3:9], whole[3:9])
    assert (judged[[0, 1, 2, 9, 10, 11]] == -9).all()


def test_a_task_that_assesses_in_another_way_is_not_native():
    class Own(Reach):
        def assess(self, before, after, target, action, last, half_side_cm):
            return super().assess(before, after, target, action, last, half_side_cm)

    class Elsewhere(Reach):
        def draw_starts(self, rng, trial, half_side_cm):
            return np.zeros((len(trial), 2))

    assert Own().native(10.0) is None
    assert Elsewhere().native(10.0) == Reach().native(10.0) is not None


def test_a_judgement_without_room_for_what_is_remembered_is_refused():
    task, one = TASKS["straight"](), placed([[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"shape \(1, 13\): the task Straight has 15 columns"):
        task.assess(one, one, np.zeros((1, 2)), np.zeros((1, 9)), with_streak([0.0]), 10.0)
