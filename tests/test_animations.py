"""Every id has an animation that a page can carry, and a command makes them."""

import importlib.util
from pathlib import Path

import pytest

from ndbmi_gym import _GOAL_IDS, _IDS

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def animations():
    spec = importlib.util.spec_from_file_location("animations", DOCS / "animations.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_id_is_shown_in_a_file_that_a_page_can_carry(animations):
    shown = {animation.env for animation in animations.ANIMATIONS.values()}
    assert {f"ndbmi/{name}" for name in (*_IDS, *_GOAL_IDS)} == shown
    files = {f"{name}.gif" for name in animations.ANIMATIONS}
    assert {path.name for path in (DOCS / "animations").iterdir()} == files
    for name in files:
        content = (DOCS / "animations" / name).read_bytes()
        width, height = (int.from_bytes(content[i : i + 2], "little") for i in (6, 8))
        assert content[:6] == b"GIF89a"
        assert (width, height) == animations.SIZE
        assert len(content) < 600_000


def test_the_command_makes_the_one_that_is_named(animations, monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setattr(animations, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["animations.py", "fixed_field"])
    animations.main()
    assert [path.name for path in tmp_path.iterdir()] == ["fixed_field.gif"]
    assert "fixed_field.gif" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["animations.py", "nothing"])
    with pytest.raises(SystemExit):
        animations.main()
    assert "no animation 'nothing': there are fixed_field" in capsys.readouterr().err
