"""Train an agent: ``python -m agents.train --algo ppo --env ndbmi/ShiftTarget-v0 --minutes 5``.

A run is a folder (see `agents.runs`). Ctrl-C saves it; ``--resume --out FOLDER`` goes on with it.
"""

import csv
import dataclasses
import inspect
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import ConstantSchedule
from stable_baselines3.common.vec_env import VecEnv
from tqdm import tqdm

from agents.options import JSON, check_positive, parse, plain_errors, setting
from agents.runs import (
    ALGORITHMS,
    CONFIG,
    MODEL,
    OF_THE_SESSION,
    PROGRESS,
    REPLAY,
    make_venv,
    read_config,
    short_name,
    versions,
)
from ndbmi_gym.files import whole_file, write_json

HYPERPARAMS = Path(__file__).parent / "hyperparams"
COLUMNS = ("steps", "seconds", "return", "success", "length")
DEFAULT_STEPS = 1_000_000

_ROW_STEPS = 5_000  # environment steps per row of the learning curve


@dataclass(frozen=True)
class Settings:
    """What a run is asked for; its fields are the command line."""

    algo: str = setting("ppo", "learning algorithm", choices=tuple(ALGORITHMS))
    env: str = setting("ndbmi/ShiftTargetCurl-v0", "environment id")
    option: Mapping[str, Any] = setting(
        {}, "option of the environment, e.g. observe=state (may be repeated)"
    )
    seed: int = setting(0, "of networks, trials and exploration")
    steps: int | None = setting(None, f"environment steps; {DEFAULT_STEPS} if no budget is given")
    minutes: float | None = setting(None, "wall-clock budget in place of --steps")
    out: str | None = setting(None, "folder of the run; by default under runs/")
    label: str | None = setting(None, "name in result tables; by default the algorithm's")
    hyperparams: str | None = setting(None, "file in place of agents/hyperparams/ALGO.json")
    hyper: Mapping[str, Any] = setting(
        {}, "hyper-parameter to change, e.g. gamma=0.9 (may be repeated)"
    )
    tensorboard: bool = setting(False, "log for TensorBoard into the folder, too")
    threads: int = setting(1, "threads of torch")
    checkpoint_s: float = setting(60.0, "seconds between checkpoints")
    overwrite: bool = setting(False, "replace a run that the folder holds")
    resume: bool = setting(False, "go on with the run in --out, as it was set")

    def __post_init__(self) -> None:
        if self.algo not in ALGORITHMS:
            raise ValueError(f"algo = {self.algo!r}: choose one of {', '.join(ALGORITHMS)}")
        if self.steps is not None and self.minutes is not None:
            raise ValueError("give --steps or --minutes, not both")
        check_positive(self, "steps", "minutes", "threads", "checkpoint_s")

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        default = f"runs/{short_name(self.env)}_{self.label or self.algo}_{self.seed}"
        return Path(self.out or default)

    @property
    def budget(self) -> tuple[float, str]:
        """How much there is to spend, and of what: seconds or steps."""
        return (60 * self.minutes, "s") if self.minutes else (self.steps or DEFAULT_STEPS, "steps")


def train(settings: Settings) -> bool:
    """Train until the budget is spent, or until Ctrl-C.

    Returns
    -------
    bool
        Whether the budget is spent.

    Raises
    ------
    FileExistsError
        If the folder holds a run, and neither `resume` nor `overwrite` is set.
    FileNotFoundError
        If there is no run to resume.
    """
    torch.set_num_threads(settings.threads)
    folder = settings.folder
    if settings.resume:
        config = read_config(folder)
        if config["finished"]:
            print(f"{folder} is finished: there is nothing to resume")
            return True
    else:
        config = {
            "settings": dataclasses.asdict(settings),
            "hyperparams": read_hyperparams(settings),
            "versions": versions(),
            "steps": 0,
            "seconds": 0.0,
            "finished": False,
        }
    model, venv = _model(settings, config)
    if not settings.resume:
        _clear(folder, settings.overwrite)
    recorder = Recorder(settings, config, model.num_timesteps)
    total, unit = settings.budget
    try:
        model.learn(
            int(total) - model.num_timesteps if unit == "steps" else sys.maxsize,
            recorder,
            reset_num_timesteps=False,
            tb_log_name="tensorboard",
        )
        config["finished"] = True
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with: python -m agents.train --resume --out {folder}")
    finally:
        recorder.close()
        venv.close()
    recorder.checkpoint()
    return bool(config["finished"])


def resumed(given: Mapping[str, Any]) -> Settings:
    """The settings of the run in ``given["out"]``, for its next session.

    Raises
    ------
    ValueError
        If other settings are given as well, and differ from those of the run.
    """
    if "out" not in given:
        raise ValueError("--resume needs --out, the folder of the run")
    saved = read_config(Path(given["out"]))["settings"]
    for name in given.keys() - OF_THE_SESSION:
        if given[name] != saved[name]:
            raise ValueError(
                f"--{name} {given[name]} contradicts the run in {given['out']}, which has "
                f"{saved[name]}: leave it out, or start a new run"
            )
    session = {name: given[name] for name in given.keys() & OF_THE_SESSION}
    return Settings(**(saved | session))


def read_hyperparams(settings: Settings) -> JSON:
    """Hyper-parameters for an algorithm, environment and kind of observation.

    Later sections change earlier ones: ``default``, the kind of observation (``neural``, ``state``
    or ``full``), the environment's id, the id and the kind (``ndbmi/HoldTarget-v0 state``), and
    last `Settings.hyper`.

    Raises
    ------
    ValueError
        If the algorithm has no such hyper-parameter.
    """
    path = Path(settings.hyperparams or HYPERPARAMS / f"{settings.algo}.json")
    sections: JSON = json.loads(path.read_text())
    observe = settings.option.get("observe", "neural")
    merged = sections["default"]
    for name in (observe, settings.env, f"{settings.env} {observe}"):
        merged = _merge(merged, sections.get(name, {}))
    merged = _merge(merged, settings.hyper)
    known = _hyperparams(settings.algo)
    for name in merged.keys() - known:
        near = get_close_matches(name, known) or known
        raise ValueError(
            f"{settings.algo} has no hyper-parameter {name!r}: choose from {', '.join(near)}"
        )
    return merged


class Recorder(BaseCallback):
    """Watches the budget, follows schedules, shows progress, and keeps the run on disk.

    Parameters
    ----------
    settings : Settings
    config : dict
        Content of ``config.json``; `checkpoint` brings its steps and seconds up to date.
    steps : int
        Done in earlier sessions.
    """

    def __init__(self, settings: Settings, config: JSON, steps: int) -> None:
        super().__init__()
        self._folder, self._config = settings.folder, config
        self._checkpoint_s = settings.checkpoint_s
        self._schedules = _schedules(config["hyperparams"])
        self._begun = time.monotonic() - config["seconds"]
        self._saved = -np.inf
        self._next_row = steps + _ROW_STEPS
        self._episodes: list[tuple[float, float, float]] = []

        earlier = _rows_until(steps, self._folder / PROGRESS)
        self._file = (self._folder / PROGRESS).open("w", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerows([COLUMNS, *earlier])
        self._file.flush()

        self._total, self._unit = settings.budget
        self._bar = tqdm(
            total=round(self._total),
            initial=steps if self._unit == "steps" else round(config["seconds"]),
            desc=str(self._folder),
            bar_format="{desc} {percentage:3.0f}%|{bar:30}| {elapsed}<{remaining}{postfix}",
            mininterval=0.5 if sys.stderr.isatty() else 15.0,
        )

    @property
    def seconds(self) -> float:
        """Wall time of the run, over all sessions."""
        return time.monotonic() - self._begun

    @property
    def spent(self) -> float:
        """How much of the budget is used up."""
        return self.num_timesteps if self._unit == "steps" else self.seconds

    def checkpoint(self) -> None:
        """Save the run; whenever it is cut off, a whole one can be found."""
        with whole_file(self._folder / MODEL) as part:
            self.model.save(part)
        if isinstance(self.model, OffPolicyAlgorithm):
            with whole_file(self._folder / REPLAY) as part:
                self.model.save_replay_buffer(part)
        self._config |= {"steps": self.model.num_timesteps, "seconds": round(self.seconds, 3)}
        write_json(self._folder / CONFIG, self._config)
        self._saved = time.monotonic()

    def close(self) -> None:
        """Leave the learning curve and the progress bar."""
        self._file.close()
        self._bar.close()

    def _on_rollout_start(self) -> None:
        if time.monotonic() - self._saved >= self._checkpoint_s:
            self.checkpoint()

    def _on_step(self) -> bool:
        for i in np.flatnonzero(self.locals["dones"]):
            info = self.locals["infos"][i]
            episode = info["episode"]
            self._episodes.append((episode["r"], float(info["is_success"]), episode["l"]))
        if self.num_timesteps >= self._next_row:
            self._write_row()
            self._next_row = self.num_timesteps + _ROW_STEPS
        self._bar.update(min(round(self.spent), self._bar.total) - self._bar.n)
        return self._unit == "steps" or self.spent < self._total

    def _on_rollout_end(self) -> None:
        share = min(1.0, self.spent / self._total)
        for name, (first, last) in self._schedules.items():
            setattr(self.model, name, ConstantSchedule(first + share * (last - first)))

    def _write_row(self) -> None:
        """Average the episodes that ended since the last row."""
        if not self._episodes:
            return
        earned, success, length = np.mean(self._episodes, axis=0)
        self._episodes.clear()
        means = (f"{earned:.4f}", f"{success:.4f}", f"{length:.2f}")
        self._csv.writerow([self.num_timesteps, f"{self.seconds:.1f}", *means])
        self._file.flush()
        self._bar.set_postfix_str(
            f"{self.num_timesteps:,} steps, success {success:.2f}, return {earned:.2f}",
            refresh=False,
        )


def _model(settings: Settings, config: JSON) -> tuple[BaseAlgorithm, VecEnv]:
    """A new model for new settings, or the one that was saved; and what it learns from."""
    chosen = dict(config["hyperparams"])
    venv = make_venv(settings.env, settings.option, chosen.pop("n_envs"), chosen.pop("frame_stack"))
    algorithm, folder = ALGORITHMS[settings.algo], settings.folder
    logs = str(folder) if settings.tensorboard else None
    if settings.resume:
        model = algorithm.load(folder / MODEL, venv, "cpu", tensorboard_log=logs)
        if isinstance(model, OffPolicyAlgorithm):
            model.load_replay_buffer(folder / REPLAY)
        # not the trials and the exploration of the beginning once more
        entropy = np.random.SeedSequence([settings.seed, model.num_timesteps])
        model.set_random_seed(int(entropy.generate_state(1)[0]))
        return model, venv
    for name, value in chosen.items():
        if _is_linear(value):
            chosen[name] = value["linear"][0]
    networks = dict(chosen.pop("policy_kwargs", {}))
    try:
        if "activation_fn" in networks:
            networks["activation_fn"] = getattr(torch.nn, networks["activation_fn"])
        model = algorithm(
            chosen.pop("policy"),
            venv,
            policy_kwargs=networks,
            seed=settings.seed,
            tensorboard_log=logs,
            device="cpu",
            **chosen,
        )
    except (AttributeError, TypeError) as error:
        raise ValueError(f"hyper-parameters of {settings.algo}: {error}") from error
    return model, venv


def _hyperparams(algo: str) -> list[str]:
    """Names of all hyper-parameters: those of SB3 that are not set otherwise, and our own."""
    taken = {"self", "env", "seed", "tensorboard_log", "device", "_init_setup_model"}
    return sorted(
        {"n_envs", "frame_stack", *inspect.signature(ALGORITHMS[algo].__init__).parameters} - taken
    )


def _schedules(hyperparams: JSON) -> dict[str, tuple[float, float]]:
    """First and last value of what changes over the run, by its name in SB3's models.

    Raises
    ------
    ValueError
        If SB3 has no schedule for it.
    """
    names = {"learning_rate": "lr_schedule", "clip_range": "clip_range"}
    found = {}
    for name, value in hyperparams.items():
        if _is_linear(value):
            if name not in names:
                raise ValueError(f"{name!r} cannot change over a run: only {', '.join(names)} can")
            first, last = value["linear"]
            found[names[name]] = (first, last)
    return found


def _is_linear(value: Any) -> bool:
    return isinstance(value, Mapping) and "linear" in value


def _merge(base: JSON, changes: Mapping[str, Any]) -> JSON:
    """`base` with some entries changed, those of mappings within it one by one."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _clear(folder: Path, overwrite: bool) -> None:
    """Make room for a run."""
    if (folder / CONFIG).exists() and not overwrite:
        raise FileExistsError(
            f"{folder} holds a run: go on with it by --resume, replace it by --overwrite, or name "
            "another folder by --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, MODEL, REPLAY, PROGRESS):
        (folder / name).unlink(missing_ok=True)


def _rows_until(steps: int, path: Path) -> list[list[str]]:
    """The learning curve up to a checkpoint; what came after it is lost with the model of then."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in list(csv.reader(file))[1:] if int(row[0]) <= steps]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 130 after Ctrl-C, as shells have it."""
    with plain_errors():
        given = parse(Settings, arguments, __doc__)
        settings = resumed(given) if given.get("resume") else Settings(**given)
        return 0 if train(settings) else 130


if __name__ == "__main__":
    sys.exit(main())
