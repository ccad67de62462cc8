"""The way round obstacles: against dense sampling, and by walking it."""

import numpy as np
import pytest

from ndbmi_gym.policies.waypoint import NEAR_CM, WIDE_CM, detour, intrusion, passing

DISC = (((4.0, 0.0), 1.5),)
CENTRE, RADIUS = np.array(DISC[0][0]), DISC[0][1]


def drawn(rng, n, least=RADIUS + WIDE_CM):
    """Points of the workspace at least so far from the disc's centre, (n, 2)."""
    points = rng.uniform(-10, 10, (4 * n, 2))
    return points[np.hypot(*(points - CENTRE).T) > least][:n]


def test_ways_pass_a_point_as_near_as_their_nearest_place():
    rng = np.random.default_rng(0)
    start, end = rng.uniform(-5, 5, (2, 400, 2))
    end[:5] = start[:5]
    share = np.linspace(0, 1, 4001)[:, None, None]
    sampled = np.hypot(*np.moveaxis(start + share * (end - start) - CENTRE, -1, 0)).min(axis=0)
    found = passing(start, end, CENTRE)
    assert (found <= sampled + 1e-12).all()
    np.testing.assert_allclose(found, sampled, atol=1e-5)


def test_a_clear_way_leads_straight_to_the_target():
    rng = np.random.default_rng(1)
    start, target = drawn(rng, 500), drawn(rng, 500)
    clear = passing(start, target, CENTRE) >= RADIUS + NEAR_CM
    assert (~clear).sum() > 50
    aim = detour(start, target, DISC)
    np.testing.assert_array_equal(aim[clear], target[clear])
    assert (aim[~clear] != target[~clear]).any(axis=1).all()
    np.testing.assert_array_equal(detour(start, target, ()), target)


def test_a_blocked_way_leads_along_the_tangent_on_the_side_of_the_target():
    start, target = (
        np.array([[-8.0, 0.0], [-8.0, 0.0], [4.0, -9.0]]),
        np.array([[8.0, 1.0], [8.0, -1.0], [5.0, 8.0]]),
    )
    aim = detour(start, target, DISC)
    way = (aim - start) / np.hypot(*(aim - start).T)[:, None]
    to_centre = CENTRE - start
    across = way[:, 0] * to_centre[:, 1] - way[:, 1] * to_centre[:, 0]
    np.testing.assert_allclose(np.abs(across), RADIUS + WIDE_CM)
    assert np.sign(across).tolist() == [-1, 1, 1]
    # up to where the tangent touches
    np.testing.assert_allclose(np.hypot(*(aim - CENTRE).T), RADIUS + WIDE_CM)


def test_from_near_the_disc_the_way_goes_along_it():
    near = CENTRE + (RADIUS + 0.5) * np.array([[-1.0, 0.0], [0.0, 1.0]])
    aim = detour(near, np.array([[8.0, 0.5], [4.0, -6.0]]), DISC)
    along, outward = aim - near, near - CENTRE
    np.testing.assert_allclose((along * outward).sum(axis=1), 0, atol=1e-12)
    assert (np.hypot(*along.T) > 1).all()


@pytest.mark.parametrize("step", [0.1, 0.7])
def test_who_walks_it_arrives_and_never_touches(step):
    rng = np.random.default_rng(2)
    place, target = drawn(rng, 300), drawn(rng, 300)
    straight, length = np.hypot(*(target - place).T), np.zeros(300)
    for _ in range(int(40 / step)):
        way = detour(place, target, DISC) - place
        far = np.hypot(*way.T)
        gone = np.minimum(far, step)
        new = place + (gone / np.maximum(far, 1e-12))[:, None] * way
        assert (passing(place, new, CENTRE) > RADIUS).all()
        place, length = new, length + gone
    assert np.hypot(*(place - target).T).max() < 1e-9
    # never farther round than half of the widened circle would be
    assert (length < straight + np.pi * (RADIUS + WIDE_CM)).all()


def test_the_nearest_of_several_obstacles_is_gone_round_first():
    two = (*DISC, ((-2.0, 0.0), 1.0))
    start, target = np.array([[-8.0, 0.1]]), np.array([[9.0, 0.1]])
    np.testing.assert_array_equal(detour(start, target, two), detour(start, target, (two[1],)))
    past = np.array([[1.0, 0.1]])
    np.testing.assert_array_equal(detour(past, target, two), detour(past, target, DISC))


def test_nearness_costs_its_square_and_distance_nothing():
    out = np.array([0.0, NEAR_CM / 2, NEAR_CM, 5.0])
    place = CENTRE + (RADIUS + out)[:, None] * np.array([0.6, 0.8])
    cost = intrusion(place, DISC)
    np.testing.assert_allclose(cost, [40 * NEAR_CM**2, 10 * NEAR_CM**2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(intrusion(place, DISC + DISC), 2 * cost)
    assert intrusion(place.reshape(2, 2, 2), DISC).shape == (2, 2)
    assert not intrusion(place, ()).any()
