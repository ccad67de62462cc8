"""Films hold what was to be seen, whatever writes them."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

import ndbmi_gym  # noqa: F401
from ndbmi_gym.film import film, pictures, write_film
from ndbmi_gym.policies import Zero

pytest.importorskip("matplotlib")
imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")

FIXED = "ndbmi/FixedField-v0"
SMALL = (150, 100)


@pytest.fixture
def env():
    made = gymnasium.make_vec(FIXED, num_envs=2, render_mode="rgb_array", render_size=SMALL)
    yield made
    made.close()


def read(path):
    """Pictures of a film, (k, H, W, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, SMALL[1], SMALL[0], 3)


def test_a_trial_is_shown_from_start_to_end_and_pauses_there(env):
    shown = list(pictures(env, Zero(env), seed=3, trials=2))
    env.reset(seed=3)
    first = [env.picture(0)]
    ended = np.zeros(2, bool)
    while not ended[0]:
        _, _, terminated, truncated, _ = env.step(np.zeros(env.action_space.shape, np.float32))
        first.append(env.picture(0))
        ended |= terminated | truncated
    pause = env.metadata["render_fps"]
    np.testing.assert_array_equal(shown[: len(first)], first)
    assert len(shown) > len(first) + 2 * pause
    last = shown[len(first) - 1]
    assert all((each == last).all() for each in shown[len(first) : len(first) + pause])


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_film_holds_the_pictures(env, tmp_path, suffix):
    shown = np.array(list(pictures(env, Zero(env), seed=0, trials=1)))
    write_film(tmp_path / f"a{suffix}", shown, fps=8)
    found = read(tmp_path / f"a{suffix}")
    assert found.shape == shown.shape
    assert np.abs(found.astype(int) - shown).mean() < 4
    assert [each.name for each in tmp_path.iterdir()] == [f"a{suffix}"]


def test_one_call_films_a_policy(tmp_path, env):
    def still(seen):
        return np.zeros((len(seen), 9))

    for which, options in ((FIXED, {"render_size": SMALL}), (env, {})):
        film(which, still, str(tmp_path / "a.gif"), trials=1, seed=4, **options)
        assert len(read(tmp_path / "a.gif")) > 10


def test_equal_films_are_equal_to_the_byte(tmp_path):
    for name in "ab":
        film(FIXED, "zero", tmp_path / f"{name}.gif", trials=1, render_size=SMALL)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_what_cannot_be_filmed_is_refused_before_anything_is_played(tmp_path, monkeypatch, env):
    with pytest.raises(ValueError, match=r"path = 'a\.webm': give one that ends in \.mp4 or \.gif"):
        film(FIXED, "zero", "a.webm")
    with pytest.raises(ValueError, match="'observe' is an option of an id"):
        film(env, "zero", tmp_path / "a.gif", observe="full")
    with pytest.raises(ValueError, match="nothing to film"):
        film(gymnasium.make_vec(FIXED, num_envs=1), "zero", tmp_path / "a.gif")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(DependencyNotInstalled, match="needs imageio-ffmpeg: run `pip install"):
        film(env, "zero", tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_gymnasiums_own_recorders_write_films(tmp_path, env):
    pytest.importorskip("moviepy")
    from gymnasium.wrappers import RecordVideo
    from gymnasium.wrappers.vector import RecordVideo as RecordBatch

    single = gymnasium.make(FIXED, render_mode="rgb_array", render_size=SMALL)
    for recorded, folder in (
        (RecordVideo(single, str(tmp_path / "single")), "single"),
        (RecordBatch(env, str(tmp_path / "batch"), video_length=5), "batch"),
    ):
        recorded.reset(seed=0)
        action = np.zeros(recorded.action_space.shape, np.float32)
        for _ in range(8):
            recorded.step(action)
        recorded.close()
        written = sorted((tmp_path / folder).glob("*.mp4"))
        assert len(read(written[0])) >= 5
