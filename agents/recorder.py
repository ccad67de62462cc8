"""What goes on beside learning: budget, schedules, curriculum, learning curve and checkpoints."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import ConstantSchedule

from agents import curriculum
from agents.convert import about_run, network_of
from agents.curve import Curve
from agents.options import JSON
from agents.progress import Progress
from agents.runs import AGENT, CONFIG, MODEL, REPLAY
from ndbmi_gym.files import whole_file, write_json
from ndbmi_gym.policies.network import save_network

_ROW_STEPS = 5_000  # environment steps per row of the learning curve


class Plan(Protocol):
    """What of a run's settings is followed here."""

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        ...

    @property
    def budget(self) -> tuple[float, str]:
        """How much there is to spend, and of what: seconds or steps."""
        ...

    @property
    def checkpoint_s(self) -> float:
        """Seconds between checkpoints."""
        ...

    @property
    def curriculum(self) -> Sequence[Mapping[str, Any]]:
        """Stages of `agents.curriculum`."""
        ...


class Recorder(BaseCallback):
    """Watches the budget, follows schedules, shows progress, and keeps the run on disk.

    Parameters
    ----------
    settings : Plan
    config : dict
        Content of ``config.json``; `checkpoint` brings its steps and seconds up to date.
    model : BaseAlgorithm
        With what it learned in earlier sessions.
    """

    def __init__(self, settings: Plan, config: JSON, model: BaseAlgorithm) -> None:
        super().__init__()
        self.model = model
        self._folder, self._config = settings.folder, config
        self._checkpoint_s = settings.checkpoint_s
        self._schedules = schedules(config["hyperparams"])
        self._stages, self._changed, self._original = settings.curriculum, JSON(), JSON()
        if self._stages:
            self._original = curriculum.original(self.training_env.get_attr("episodes")[0].config)
        self._begun = time.monotonic() - config["seconds"]
        self._saved = -np.inf
        steps = model.num_timesteps
        self._converts = True
        try:
            network_of(model.policy)
        except ValueError:  # it is more than layers, or sees pictures
            self._converts = False
        self._curve = Curve(model.n_envs, steps, _ROW_STEPS)

        self._total, self._unit = settings.budget
        self._progress = Progress(self._folder, steps, config["seconds"], settings.budget)

    @property
    def seconds(self) -> float:
        """Wall time of the run, over all sessions."""
        return time.monotonic() - self._begun

    @property
    def spent(self) -> float:
        """How much of the budget is used up."""
        return self._so_far(self._unit)

    @property
    def share(self) -> float:
        """How much of the budget that the run began with is used up: at most 1."""
        total, unit = self._config.get("planned", (self._total, self._unit))
        return min(1.0, self._so_far(unit) / total)

    def _so_far(self, unit: str) -> float:
        return self.model.num_timesteps if unit == "steps" else self.seconds

    def follow_curriculum(self) -> None:
        """Let trials that begin from now on have the options of the stages that are reached."""
        wanted = curriculum.options_at(self._stages, self.share, self.model.num_timesteps)
        if wanted != self._changed:
            self.training_env.env_method("change", **(self._original | wanted))
            self._changed = wanted

    def checkpoint(self) -> None:
        """Save the run; whenever it is cut off, a whole one can be found."""
        with whole_file(self._folder / MODEL) as part:
            self.model.save(part)
        if isinstance(self.model, OffPolicyAlgorithm):
            with whole_file(self._folder / REPLAY) as part:
                self.model.save_replay_buffer(part)
        self._config |= {"steps": self.model.num_timesteps, "seconds": round(self.seconds, 3)}
        if self._converts:
            about = about_run(self._config)
            save_network(self._folder / AGENT, network_of(self.model.policy, about))
        write_json(self._folder / CONFIG, self._config)
        self._saved = time.monotonic()

    def close(self) -> None:
        """Leave the learning curve and the progress bar."""
        self._progress.close()

    def _on_rollout_start(self) -> None:
        self.follow_curriculum()
        if time.monotonic() - self._saved >= self._checkpoint_s:
            self.checkpoint()

    def _on_step(self) -> bool:
        ended = {}
        for i in np.flatnonzero(self.locals["dones"]).tolist():
            info = self.locals["infos"][i]
            ended[i] = (info["episode"]["r"], float(info["is_success"]), info["episode"]["l"])
        for steps, means in self._curve.step(self.num_timesteps, ended):
            self._progress.tell(steps, self.seconds, means.tolist())
        self._progress.advance(self.spent)
        return self._unit == "steps" or self.spent < self._total

    def _on_rollout_end(self) -> None:
        for name, (first, last) in self._schedules.items():
            setattr(self.model, name, ConstantSchedule(first + self.share * (last - first)))


def schedules(hyperparams: JSON) -> dict[str, tuple[float, float]]:
    """First and last value of what changes over the run, by its name in SB3's models.

    Raises
    ------
    ValueError
        If SB3 has no schedule for it.
    """
    names = {"learning_rate": "lr_schedule", "clip_range": "clip_range"}
    found = {}
    for name, value in hyperparams.items():
        if is_linear(value):
            if name not in names:
                raise ValueError(f"{name!r} cannot change over a run: only {', '.join(names)} can")
            first, last = value["linear"]
            found[names[name]] = (first, last)
    return found


def is_linear(value: Any) -> bool:
    """Whether a hyper-parameter is given by its first and last value."""
    return isinstance(value, Mapping) and "linear" in value
