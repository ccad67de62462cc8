"""``ndbmi-gym watch``: a policy at work, in a window or in a film."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndbmi_gym.cli.options import add_command, assignment

if TYPE_CHECKING:
    from ndbmi_gym.envs.window import Window


def add_to(commands: Any) -> None:
    """Add the command to others."""
    what = "see a policy at work; by default the trained agent of the environment"
    made = add_command(commands, "watch", what, run, extra="render")
    made.add_argument("id", help="environment, such as ndbmi/HoldTarget-v1 or HoldTarget-v1")
    made.add_argument(
        "--policy",
        default="pretrained",
        metavar="NAME|FILE.npz|MODULE:ATTRIBUTE",
        help="a policy of the package, an agent's file, or one of your own",
    )
    made.add_argument(
        "--option",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the environment, e.g. animal=3 (may be repeated)",
    )
    made.add_argument("--seed", type=int, default=1000, help="of the first trial")
    made.add_argument("--trials", type=int, default=6, help="one after another")
    made.add_argument(
        "--video",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="write a film (.mp4 or .gif) in place of a window",
    )


def run(asked: argparse.Namespace) -> int:
    """Show trials, or film them."""
    import gymnasium

    import ndbmi_gym  # noqa: F401  (registers the environments)
    from ndbmi_gym.film import film

    env_id = asked.id if "/" in asked.id else f"ndbmi/{asked.id}"
    options = dict(asked.option)
    try:
        if hasattr(asked, "video"):
            film(env_id, asked.policy, asked.video, asked.trials, asked.seed, **options)
            print(asked.video)
        else:
            show(env_id, asked.policy, asked.trials, asked.seed, **options)
    except gymnasium.error.DependencyNotInstalled as error:
        raise RuntimeError(f"{error}, or choose the other of a window and --video FILE") from error
    except (gymnasium.error.Error, TypeError) as error:  # no such id, no such option
        raise ValueError(f"{env_id}: {error}") from error
    except KeyboardInterrupt:
        return 130
    return 0


def show(env_id: str, policy: Any, trials: int, seed: int, **options: Any) -> None:
    """Play a policy in a window, until the last trial ends or the window is closed.

    Parameters
    ----------
    env_id : str
    policy : str, object, class or function
        See `ndbmi_gym.rollout.as_actor`.
    trials : int
        How many, one after another.
    seed : int
        Of the first trial; the next have seed + 1, seed + 2, ....
    **options
        Of the environment.

    Raises
    ------
    ValueError
        If there is no such policy, or no screen to open a window on.
    gymnasium.error.DependencyNotInstalled
        If pygame is missing.
    """
    from ndbmi_gym.film import pictures
    from ndbmi_gym.rollout import as_actor, batch_of

    env: Any = batch_of(env_id, 1, {"render_mode": "rgb_array", **options})
    try:
        shots = pictures(env, as_actor(policy, env), seed, trials=trials)
        window = _window(env.metadata["render_fps"], env_id)
        try:
            for picture in shots:
                window.show(picture)
                if window.left:
                    break
        finally:
            window.close()
    finally:
        env.close()


def _window(fps: float, title: str) -> "Window":
    """A window that somebody can see."""
    from ndbmi_gym.envs.window import Window

    no_screen = "there is no screen to open a window on: write a film, by --video FILE"
    try:
        window = Window(fps, title)
    except RuntimeError as error:  # of pygame
        raise ValueError(f"{no_screen} ({error})") from error
    import pygame

    # where it finds no screen, SDL draws for nobody
    driver = pygame.display.get_driver()
    if driver == "offscreen" and os.environ.get("SDL_VIDEODRIVER") != driver:
        window.close()
        raise ValueError(no_screen)
    return window
