"""Films of policies, as MP4 or as GIF.

::

    from ndbmi_gym.film import film

    film("ndbmi/HoldTarget-v1", my_policy, "mine.mp4", trials=3, observe="state")
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.envs.missing import require
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.files import as_path, whole_file
from ndbmi_gym.rollout import Actor, as_actor, batch_of, check_trials, play

Picture = npt.NDArray[np.uint8]

# H.264 for everyone; for GIF one palette of all pictures, without dithering, which flickers
_WRITERS: dict[str, dict[str, Any]] = {
    ".mp4": {"quality": 8},
    ".gif": {
        "codec": "gif",
        "pix_fmt_out": "pal8",
        "output_params": [
            "-vf",
            "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none",
        ],
    },
}


def film(
    env: str | BMIVectorEnv,
    policy: Any,
    path: str | PathLike[str],
    trials: int = 6,
    seed: int = 1000,
    deterministic: bool = True,
    **options: Any,
) -> None:
    """Play a policy and write what is to be seen to a file.

    Parameters
    ----------
    env : str or BMIVectorEnv
        An id, or a batch with ``render_mode="rgb_array"``, whose first place is filmed.
    policy : str, object, class or function
        See `ndbmi_gym.rollout.as_actor`.
    path : path
        Ends in ``.mp4`` or ``.gif``. A reader finds the old file or the whole new one.
    trials : int
        How many, one after another.
    seed : int
        Of the first trial; the next have seed + 1, seed + 2, ....
    deterministic : bool
        Whether a stochastic policy takes its mean.
    **options
        Of the environment, where an id is given (`ndbmi_gym.config.Config`), such as
        ``render_size=(600, 400)``.

    Raises
    ------
    ValueError
        If there is no such policy, the environment is none that `pictures` takes, or the file is of
        another kind. Nothing has been played then.
    gymnasium.error.DependencyNotInstalled
        If what draws or writes films is missing.
    """
    _writer(path)
    if not isinstance(env, str):
        if options:
            raise ValueError(f"{min(options)!r} is an option of an id, and env is made already")
        _check(env)
        shots = pictures(env, as_actor(policy, env), seed, deterministic, trials)
        write_film(path, shots, env.metadata["render_fps"])
        return
    made: Any = batch_of(env, 1, {"render_mode": "rgb_array", **options})
    try:
        film(made, policy, path, trials, seed, deterministic)
    finally:
        made.close()


def pictures(
    env: BMIVectorEnv, actor: Actor, seed: int, deterministic: bool = True, trials: int = 6
) -> Iterator[Picture]:
    """Picture successive trials of a batch's first place, each of which pauses at its end.

    Parameters
    ----------
    env : BMIVectorEnv
        With ``render_mode="rgb_array"``, ``autoreset_mode="NextStep"`` and a step limit.
    actor : Actor
    seed : int
        Of the first trial; the next have seed + 1, seed + 2, ....
    deterministic : bool
        Whether a stochastic policy takes its mean.
    trials : int
        How many.

    Returns
    -------
    iterator of ndarray of uint8 (H, W, 3)

    Raises
    ------
    ValueError
        If the environment is another one, or no trial is asked for.
    """
    _check(env)
    check_trials(trials)
    return _played(env, actor, seed, deterministic, trials)


def _check(env: Any) -> None:
    """Raise ValueError unless there is a picture of each step and of each end."""
    if not isinstance(env, BMIVectorEnv):
        raise ValueError(
            f"{env!r} cannot be filmed: give an id of this package, or the batch that "
            'make_vec(id, num_envs=1, render_mode="rgb_array") returns, without wrappers'
        )
    if env.render_mode is None:
        raise ValueError('nothing to film: make the environment with render_mode="rgb_array"')
    batch_of(env, env.num_envs, {})


def _played(
    env: BMIVectorEnv, actor: Actor, seed: int, deterministic: bool, trials: int
) -> Iterator[Picture]:
    for trial in range(trials):
        seen, _ = env.reset(seed=seed + trial)
        yield env.picture(0)
        for running, *_ in play(env, actor, seen, deterministic):
            if not running[0]:  # others may take longer
                break
            last = env.picture(0)
            yield last
        yield from [last] * env.metadata["render_fps"]


def write_film(path: str | PathLike[str], pictures: Iterable[Picture], fps: float) -> None:
    """Write pictures as a film.

    A reader finds the old file or the whole new one.

    Parameters
    ----------
    path : path
        Ends in ``.mp4`` or ``.gif``.
    pictures : iterable of ndarray of uint8 (H, W, 3)
        All of the same even height and width.
    fps : float
        Pictures per second.

    Raises
    ------
    ValueError
        If the file is of another kind, there is no picture, or one is not as it must be.
    gymnasium.error.DependencyNotInstalled
        If imageio-ffmpeg is missing.
    """
    how = _writer(path)
    require("imageio_ffmpeg", "imageio-ffmpeg")
    from imageio_ffmpeg import write_frames

    if not (isinstance(fps, Real) and 0 < fps < math.inf):
        raise ValueError(f"fps = {fps!r}: give a number > 0 of pictures per second")
    pictures = iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise ValueError("pictures: there is none to write: give at least one")
    size = _size(first)
    with whole_file(as_path(path)) as part:
        # even sides are all that H.264 needs
        writer = write_frames(
            part, size, fps=float(fps), macro_block_size=2, ffmpeg_log_level="error", **how
        )
        with closing(writer):
            writer.send(None)
            for picture in chain([first], pictures):
                if _size(picture) != size:
                    raise ValueError(
                        f"pictures: one of {_size(picture)} px among those of {size}: give all the "
                        "same size"
                    )
                writer.send(np.ascontiguousarray(picture))


def _size(picture: Any) -> tuple[int, int]:
    """Width and height of a picture that can be written."""
    kind, shape = getattr(picture, "dtype", type(picture).__name__), np.shape(picture)
    if not (kind == np.uint8 and len(shape) == 3 and shape[2] == 3):
        raise ValueError(f"pictures: one of {kind}, shape {shape}: give uint8, (H, W, 3)")
    height, width, _ = shape
    if height % 2 or width % 2 or not height * width:
        raise ValueError(f"pictures: one of {width} x {height} px: give even sides, as H.264 wants")
    return width, height


def _writer(path: str | PathLike[str]) -> dict[str, Any]:
    """How a kind of film is written."""
    suffix = as_path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(f"path = {str(path)!r}: give one that ends in {' or '.join(_WRITERS)}")
    return _WRITERS[suffix]
