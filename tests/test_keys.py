"""Gymnasium's play works out of the box: arrow keys push where they point."""

import warnings

import gymnasium
import numpy as np
import pytest

import ndbmi_gym  # noqa: F401

pygame = pytest.importorskip("pygame")

RIGHT, LEFT, DOWN, UP = pygame.K_RIGHT, pygame.K_LEFT, pygame.K_DOWN, pygame.K_UP


@pytest.mark.parametrize("env_id", ["ndbmi/HoldTarget-v1", "ndbmi/ShiftTargetSOC-v1"])
def test_keys_push_where_they_point(env_id):
    env = gymnasium.make(env_id, max_episode_steps=-1)
    actions = env.unwrapped.get_keys_to_action()
    for keys, way in (((RIGHT,), (1, 0)), ((LEFT,), (-1, 0)), ((DOWN,), (0, -1)), ((UP,), (0, 1))):
        assert env.action_space.contains(actions[keys])
        gone = np.zeros(2)
        for seed in range(6):
            env.reset(seed=seed, options={"start": [0, 0], "target": [9, 9]})
            for _ in range(8):
                *_, info = env.step(actions[keys])
            gone += info["position"] / 6
        assert gone @ way > 2
        assert abs(gone @ way[::-1]) < gone @ way


def test_every_combination_is_known_and_opposite_keys_cancel():
    env = gymnasium.make("ndbmi/ShiftTarget-v1")
    actions = env.unwrapped.get_keys_to_action()
    assert len(actions) == 16
    for still in ("", (RIGHT, LEFT), (DOWN, UP), (RIGHT, LEFT, DOWN, UP)):
        assert not actions[still].any()
    np.testing.assert_array_equal(actions[RIGHT, LEFT, UP], actions[UP,])
    corner = actions[RIGHT, UP]
    assert all((corner != actions[keys]).any() for keys in ("", (RIGHT,), (UP,)))


def test_play_runs_with_these_keys_and_none(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for matplotlib's Tk
        from gymnasium.utils.play import play
    env = gymnasium.make("ndbmi/HoldTarget-v1", render_mode="rgb_array", render_size=(150, 100))
    known, acted = env.unwrapped.get_keys_to_action(), []
    presses = {2: (pygame.KEYDOWN, RIGHT), 4: (pygame.KEYDOWN, UP), 6: (pygame.KEYUP, RIGHT)}

    def played(seen, next_seen, action, reward, terminated, truncated, info):
        acted.append(action)
        if len(acted) in presses:
            kind, key = presses[len(acted)]
            pygame.event.post(pygame.event.Event(kind, key=key))
        if len(acted) == 8:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    play(env, fps=1000, seed=0, callback=played)
    held = ["", (RIGHT,), (RIGHT, UP), (UP,)]
    np.testing.assert_array_equal(acted, np.repeat([known[keys] for keys in held], 2, axis=0))
