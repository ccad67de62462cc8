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

FIXED = "ndbmi/FixedField-v1"
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


class Unasked(Zero):
    """Refuses to act."""

    def predict(self, *given):
        raise AssertionError("it was played")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"autoreset_mode": "SameStep"}, "autoreset_mode = 'SameStep': make the batch with 'Next"),
        ({"autoreset_mode": "Disabled"}, "autoreset_mode = 'Disabled': make the batch with 'Next"),
        ({"max_episode_steps": -1}, "without a step limit"),
        ({"render_mode": None}, "nothing to film"),
        ({"num_envs": 2}, "num_envs = 2: leave it out"),
        ({"vectorization_mode": "sync"}, "SyncVectorEnv.* cannot be filmed: give an id"),
    ],
)
def test_batches_that_do_not_show_every_end_are_refused(tmp_path, options, why):
    with pytest.raises(ValueError, match=why):
        film(FIXED, Unasked, tmp_path / "a.gif", render_size=SMALL, **options)
    if "num_envs" in options or "vectorization_mode" in options:
        return
    made = gymnasium.make_vec(FIXED, num_envs=2, **{"render_mode": "rgb_array"} | options)
    with pytest.raises(ValueError, match=why):
        pictures(made, Unasked(made), seed=0)


@pytest.mark.parametrize("trials", [0, -1, 2.5, "a", True])
def test_a_number_of_trials_that_cannot_be_is_refused(tmp_path, env, trials):
    with pytest.raises(ValueError, match=rf"^trials = {trials!r}: give a whole number >= 1$"):
        film(env, "zero", tmp_path / "a.gif", trials=trials)


def test_other_environments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'CartPole-v1' is no environment of ndbmi_gym"):
        film("CartPole-v1", "zero", tmp_path / "a.gif")
    scalar = gymnasium.make(FIXED, render_mode="rgb_array")
    batch = gymnasium.make_vec(FIXED, num_envs=1, render_mode="rgb_array")
    for other in (scalar, gymnasium.wrappers.vector.ClipReward(batch, 0.0)):
        with pytest.raises(ValueError, match=r"cannot be filmed: give an id .* without wrappers"):
            film(other, "zero", tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


BLACK = np.zeros((100, 150, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize(
    ("shots", "fps", "why"),
    [
        ([], 8, "there is none to write"),
        ([BLACK, BLACK[:50]], 8, r"one of \(150, 50\) px among those of \(150, 100\)"),
        ([BLACK.astype(float)], 8, r"one of float64, shape \(100, 150, 3\): give uint8"),
        ([BLACK[..., 0]], 8, r"one of uint8, shape \(100, 150\): give uint8"),
        ([BLACK.tolist()], 8, "one of list, shape"),
        ([BLACK[:99]], 8, "one of 150 x 99 px: give even sides"),
        ([BLACK], 0, "fps = 0: give a number > 0"),
        ([BLACK], float("inf"), "fps = inf: give a number > 0"),
        ([BLACK], "8", "fps = '8': give a number > 0"),
    ],
)
def test_pictures_that_do_not_make_a_film_are_refused(tmp_path, suffix, shots, fps, why):
    with pytest.raises(ValueError, match=why):
        write_film(tmp_path / f"a{suffix}", shots, fps)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_picture_that_fails_leaves_the_old_film_and_nothing_else(tmp_path, suffix):
    def failing():
        for _ in range(2):
            yield BLACK
        raise RuntimeError("no more")

    path = tmp_path / f"a{suffix}"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="no more"):
        write_film(path, failing(), 8)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


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
