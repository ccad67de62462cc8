import gymnasium
import numpy as np
import pytest

from ndbmi_gym import cli
from ndbmi_gym.cli import watch
from ndbmi_gym.policies.pretrained import shipped

ID = "ndbmi/HoldTarget-v1"
SMALL = ["--option", "render_size=[150, 100]", "--trials", "1"]


@pytest.fixture
def screen(monkeypatch):
    """A screen that nobody sees, at no pace, and all that is shown on it."""
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    from ndbmi_gym.envs.window import Window

    shown, real = [], Window.show

    def show(self, rgb):
        self._fps = 0
        real(self, rgb)
        shown.append(pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1))

    monkeypatch.setattr(Window, "show", show)
    return shown


def asked(capsys, *words):
    """Exit status, and what was said."""
    status = cli.main(["watch", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_window_shows_what_a_film_would(screen, capsys):
    from ndbmi_gym.film import pictures
    from ndbmi_gym.rollout import as_actor

    assert asked(capsys, ID, *SMALL, "--seed", "5") == (0, "", "")
    env = gymnasium.make_vec(ID, num_envs=1, render_mode="rgb_array", render_size=(150, 100))
    wanted = list(pictures(env, as_actor("pretrained", env), 5, trials=1))
    env.close()
    np.testing.assert_array_equal(screen, wanted)


def test_a_window_that_is_closed_ends_it(screen, capsys):
    import pygame

    from ndbmi_gym.envs.window import Window

    show = Window.show

    def close(self, rgb):
        show(self, rgb)
        if len(screen) == 3:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Window, "show", close)
        assert asked(capsys, ID, *SMALL)[0] == 0
    assert len(screen) == 3
    assert not pygame.display.get_init()


@pytest.mark.parametrize("policy", ["pretrained", "eq24", "test_watch:still"])
def test_a_film_is_written(policy, tmp_path, capsys):
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "film.mp4"
    short = ID.removeprefix("ndbmi/")
    asking = [short, "--policy", policy, *SMALL, "--video", str(path)]
    assert asked(capsys, *asking) == (0, f"{path}\n", "")
    assert path.stat().st_size > 1000


def test_a_file_is_a_policy(screen, capsys):
    from ndbmi_gym.policies import pretrained

    path = pretrained._DATA / shipped()[ID]["file"]
    assert asked(capsys, ID, "--policy", str(path), *SMALL)[0] == 0
    by_file = list(screen)
    screen.clear()
    assert asked(capsys, ID, *SMALL)[0] == 0
    np.testing.assert_array_equal(by_file, screen)


def still(observation):
    return np.zeros((len(observation), 9))


def test_without_a_screen_a_film_is_offered(monkeypatch, capsys):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    status, _, error = asked(capsys, ID, *SMALL)
    assert (status, "no screen" in error, "--video FILE" in error) == (2, True, True)
    monkeypatch.setattr(pygame.display, "init", _broken)
    status, _, error = asked(capsys, ID, *SMALL)
    assert (status, "--video FILE (x11 not available)" in error) == (2, True)


def _broken():
    raise RuntimeError("x11 not available")


@pytest.mark.parametrize(
    ("module", "more"), [("pygame", []), ("imageio_ffmpeg", ["--video", "film.mp4"])]
)
def test_what_is_missing_is_named_beside_the_other_way(module, more, monkeypatch, capsys):
    import sys

    pytest.importorskip("matplotlib")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(sys.modules, module, None)
    status, _, error = asked(capsys, ID, *SMALL, *more)
    assert status == 2
    assert 'pip install "ndbmi-gym[render]"' in error
    assert "--video FILE" in error


def test_an_id_without_a_trained_agent_is_said_in_a_line(own_id, capsys):
    status, _, error = asked(capsys, own_id)
    assert status == 2
    assert f"no trained agent for '{own_id}'" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Nowhere-v1"], "ndbmi/Nowhere-v1"),
        ([ID, "--policy", "nobody"], "policy 'nobody' is no baseline"),
        ([ID, "--policy", "none.npz"], "there is no ndbmi_gym agent file none.npz"),
        ([ID, "--option", "gravity=3"], "gravity"),
        ([ID, "--trials", "0"], "trials = 0"),
        ([ID, "--video", "film.txt"], "give one that ends in .mp4"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_line(words, said, capsys):
    status, _, error = asked(capsys, *words)
    assert status == 2
    assert said in error
    assert error.startswith("ndbmi-gym: ")
    assert error.count("\n") == 1


def test_options_are_json_or_words(capsys):
    assert watch.assignment("render_size=[3, 4]") == ("render_size", [3, 4])
    assert watch.assignment("observe=state") == ("observe", "state")
    with pytest.raises(SystemExit):
        cli.main(["watch", ID, "--option", "observe"])
    assert "not of the form name=value" in capsys.readouterr().err
