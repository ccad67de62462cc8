"""The window shows what it is given, at its pace."""

import sys

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

from ndbmi_gym.envs.window import Window


def test_missing_pygame_gives_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r'pip install "ndbmi-gym\[render\]"'):
        Window(fps=30)


def test_the_window_shows_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window, rng = Window(fps=0, title="test"), np.random.default_rng(0)
    try:
        for height, width in ((60, 90), (20, 30)):
            picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            window.show(picture)
            surface = pygame.display.get_surface()
            shown = pygame.surfarray.array3d(surface).swapaxes(0, 1)
            np.testing.assert_array_equal(shown, picture)
    finally:
        window.close()
    assert not pygame.display.get_init()
    window.close()


def test_the_window_keeps_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window(fps=50)
    picture = np.zeros((20, 30, 3), dtype=np.uint8)
    window.show(picture)
    start = pygame.time.get_ticks()
    for _ in range(5):
        window.show(picture)
    window.close()
    assert pygame.time.get_ticks() - start >= 80
