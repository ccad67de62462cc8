"""From trials to pictures: gathers what `rendering` draws."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.envs.rendering import Frame, Renderer, Scene
from ndbmi_gym.envs.window import Window
from ndbmi_gym.episodes import BoolArray, Episodes
from ndbmi_gym.fields import Obstacles, obstacles_of

_MOST_RENDERERS = 8  # as many animals as a pool has by default; each keeps some 10 MiB


class View:
    """The paths of B trials and their pictures.

    Drawing tools are made on first use, so that trials which are never drawn need none.

    Parameters
    ----------
    episodes : Episodes
    fps : float
        Frames per second of the window.
    """

    def __init__(self, episodes: Episodes, fps: float) -> None:
        self._episodes = episodes
        self._fps = fps
        self._paths: list[list[npt.NDArray[np.float64]]] = [[] for _ in range(episodes.n_trials)]
        self._renderers: dict[tuple[int, str, Obstacles], Renderer] = {}
        self._window: Window | None = None

    def __getstate__(self) -> dict[str, Any]:
        """All but what draws: a copy makes its own."""
        return self.__dict__ | {"_renderers": {}, "_window": None}

    def restart(self, trials: BoolArray | None = None) -> None:
        """Forget the paths of trials that begin anew."""
        which = range(len(self._paths)) if trials is None else np.flatnonzero(trials)
        for i in which:
            self._paths[i] = [self._episodes.state.position[i].copy()]

    def record(self, trials: BoolArray | None = None) -> None:
        """Extend the paths of trials that moved."""
        which = range(len(self._paths)) if trials is None else np.flatnonzero(trials)
        for i in which:
            if self._episodes.config.session.on and not self._episodes.trial_step[i]:
                self._paths[i].clear()  # the next trial of a session has begun
            self._paths[i].append(self._episodes.state.position[i].copy())

    def draw(self, trial: int, title: str) -> npt.NDArray[np.uint8]:
        """Picture of a trial under a title, (H, W, 3)."""
        episodes = self._episodes
        info = episodes.info(trial)
        path = self._paths[trial] or [episodes.state.position[trial]]
        circle_cm = getattr(episodes.task, "circle_cm", None)  # of a task that demands one
        frame = Frame(
            trajectory=np.array(path),
            target=episodes.target[trial],
            target_radius_cm=episodes.task.radius_cm,
            virtual_point=info["virtual_point"],
            force=info["commanded_force"],
            volition=episodes.action[trial],
            counts=info["evoked_counts"] + info["volitional_counts"],
            max_count=2 * episodes.max_count,
            step=len(path) - 1,
            inside=bool(info["inside"]),
            perturbing_force=info["perturbing_force"],
            sensed=episodes.sensed.position[trial],
            caption=f", {info['distance']:.1f} cm to the target",
            circle_cm=None if circle_cm is None else circle_cm(episodes.target[trial]),
        )
        return self._renderer(int(episodes.animal[trial]), title).draw(frame)

    def show(self, trial: int, title: str) -> None:
        """Show a trial in a window, under a title."""
        if self._window is None:
            self._window = Window(fps=self._fps, title=title)
        self._window.show(self.draw(trial, title))

    def close(self) -> None:
        """Release window and renderers."""
        self._renderers.clear()
        if self._window is not None:
            self._window.close()
            self._window = None

    def _renderer(self, animal: int, title: str) -> Renderer:
        key = animal, title, obstacles_of(self._episodes.task)  # a task can change
        renderer = self._renderers.pop(key, None)
        if renderer is None:
            while len(self._renderers) >= _MOST_RENDERERS:
                del self._renderers[next(iter(self._renderers))]  # the least recently used
            renderer = self._make(*key)
        self._renderers[key] = renderer
        return renderer

    def _make(self, animal: int, title: str, obstacles: Obstacles) -> Renderer:
        loop = self._episodes.loops[animal]
        return Renderer(
            Scene(
                half_side_cm=self._episodes.half_side_cm,
                wall_cm=loop.plant.reach_cm,
                sites=loop.interface.sites,
                field=loop.field,
                grid_side=round(self._episodes.n_electrodes**0.5),
                title=title,
                note=f"{loop.decoder} decoder, {loop.interface.n_stimuli} stimuli",
                obstacles=obstacles_of(loop.field) + obstacles,
                volition_low=self._episodes.low,
            ),
            self._episodes.config.picture.render_size,
        )
