"""Train an agent: ``python -m agents.train --algo ppo --env ndbmi/ShiftTarget-v1 --minutes 5``.

A run is a folder (see `agents.runs`). Ctrl-C and SIGTERM save it; ``--resume --out FOLDER`` goes on
with it, and with one that is finished if ``--steps`` or ``--minutes`` says how much more.
``--warm-start FOLDER`` begins another run with what that one learned.
"""

import dataclasses
import inspect
import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from agents import curriculum, distill
from agents.models import load_policy
from agents.options import JSON, check_positive, parse, plain_errors, setting
from agents.recorder import Recorder, is_linear
from agents.runs import (
    ALGORITHMS,
    CONFIG,
    DISTILL,
    MODEL,
    OF_THE_SESSION,
    REMEDY,
    REPLAY,
    brought,
    check_trust,
    clear,
    locked,
    make_env,
    make_venv,
    read_config,
    short_name,
    versions,
)
from ndbmi_gym.files import check_folder
from ndbmi_gym.rollout import frames_of

HYPERPARAMS = Path(__file__).parent / "hyperparams"
DEFAULT_STEPS = 1_000_000


@dataclass(frozen=True)
class Settings:
    """What a run is asked for; its fields are the command line."""

    algo: str = setting("ppo", "learning algorithm", choices=(*ALGORITHMS, DISTILL))
    env: str = setting("ndbmi/ShiftTargetCurl-v1", "environment id")
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
    curriculum: Sequence[Mapping[str, Any]] = setting(
        (), "options that change over the run (see agents.curriculum)", read=curriculum.read
    )
    warm_start: str | None = setting(
        None, "folder of a run whose weights to begin with; its settings hold but for those given"
    )
    tensorboard: bool = setting(False, "log for TensorBoard into the folder, too")
    threads: int = setting(1, "threads of torch")
    checkpoint_s: float = setting(60.0, "seconds between checkpoints")
    overwrite: bool = setting(False, "replace a run that the folder holds")
    resume: bool = setting(False, "go on with the run in --out, as it was set")
    trust: bool = setting(False, "let code that the run of --warm-start names or holds run")

    def __post_init__(self) -> None:
        if self.algo not in (*ALGORITHMS, DISTILL):
            known = ", ".join((*ALGORITHMS, DISTILL))
            raise ValueError(f"algo = {self.algo!r}: choose one of {known}")
        if self.steps is not None and self.minutes is not None:
            raise ValueError("give --steps or --minutes, not both")
        check_positive(self, "steps", "minutes", "threads", "checkpoint_s")
        object.__setattr__(self, "curriculum", curriculum.checked(self.curriculum))
        for name in ("curriculum", "warm_start", "tensorboard"):
            if self.algo == DISTILL and getattr(self, name):
                raise ValueError(f"distill knows no {name}: leave it out, or choose another --algo")

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        default = f"runs/{short_name(self.env)}_{self.label or self.algo}_{self.seed}"
        return Path(self.out or default)

    @property
    def budget(self) -> tuple[float, str]:
        """How much there is to spend, and of what: seconds or steps."""
        return (60 * self.minutes, "s") if self.minutes else (self.steps or DEFAULT_STEPS, "steps")


def train(
    settings: Settings, until: int | None = None, callbacks: Sequence[BaseCallback] = ()
) -> bool:
    """Train until the budget is spent, or until Ctrl-C or SIGTERM.

    Whatever the moment of an interrupt, there is a run to go on with afterwards, or no folder.

    Parameters
    ----------
    settings : Settings
    until : int, optional
        Stop once so many steps are done: the end of this session, and not of the run, whose
        schedules go on by its budget.
    callbacks : sequence of BaseCallback
        Of SB3, beside our own; one that returns False ends the session.

    Returns
    -------
    bool
        Whether it was not interrupted: the budget is spent, the steps of `until` are done, or a
        callback had enough.

    Raises
    ------
    FileExistsError
        If the folder holds a run, and neither `resume` nor `overwrite` is set; or if another
        process trains in it.
    FileNotFoundError
        If there is no run to resume.
    """
    torch.set_num_threads(settings.threads)
    folder = settings.folder
    check_folder(folder)
    if settings.resume:
        read_config(folder)
    elif (folder / CONFIG).exists() and not settings.overwrite:
        raise FileExistsError(
            f"{folder} holds a run: go on with it by --resume, replace it by --overwrite, or name "
            "another folder by --out"
        )
    try:
        with _sigterm_as_ctrl_c(), locked(folder):
            if _learn(settings, until, callbacks):
                return True
    except KeyboardInterrupt:
        pass
    if (folder / CONFIG).exists():
        print(f"\ninterrupted; go on with: python -m agents.train --resume --out {folder}")
    else:
        print("\ninterrupted before anything was learned: no run is left")
    return False


def _learn(settings: Settings, until: int | None, callbacks: Sequence[BaseCallback]) -> bool:
    """`train`, in a folder of its own."""
    folder = settings.folder
    total, unit = settings.budget
    if settings.resume:
        config = read_config(folder)
        config["settings"] |= {"steps": settings.steps, "minutes": settings.minutes}
        if config["finished"] and config["steps" if unit == "steps" else "seconds"] >= total:
            print(f"{folder} is finished: to go on, say by --steps or --minutes how much more")
            return True
        config["finished"] = False
    else:
        config = {
            "settings": dataclasses.asdict(settings),
            "hyperparams": read_hyperparams(settings),
            "versions": versions(),
            "planned": [total, unit],
            "steps": 0,
            "seconds": 0.0,
            "finished": False,
        }
    if settings.algo == DISTILL:
        if callbacks:
            raise ValueError("callbacks are those of SB3: distill has none")
        return distill.learn(settings, config, until, settings.resume)
    with ExitStack() as stack:
        model, venv = _model(settings, config)
        stack.callback(venv.close)
        if not settings.resume:
            clear(folder)
        recorder = Recorder(settings, config, model)
        stack.callback(recorder.close)
        recorder.checkpoint()  # from now on there is a run to go on with
        try:
            recorder.follow_curriculum()
            end = int(total) if unit == "steps" else sys.maxsize
            last = end if until is None else min(end, until)
            if (more := last - model.num_timesteps) > 0:
                model.learn(
                    more,
                    [recorder, *callbacks],
                    reset_num_timesteps=False,
                    tb_log_name="tensorboard",
                )
            done = True
            config["finished"] = recorder.spent >= total
        except KeyboardInterrupt:
            done = False
        recorder.checkpoint()
    return done


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let a polite request to end do what Ctrl-C does; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def resumed(given: Mapping[str, Any]) -> Settings:
    """The settings of the run in ``given["out"]``, for its next session.

    Steps or minutes that are given for a finished run are what is to be added.

    Raises
    ------
    ValueError
        If other settings are given as well, and differ from those of the run.
    """
    if "out" not in given:
        raise ValueError("--resume needs --out, the folder of the run")
    config = read_config(Path(given["out"]))
    saved, given = config["settings"], dict(given)
    budget = {name: given.pop(name, None) for name in ("steps", "minutes")}
    if config["finished"] and any(budget.values()):
        Settings(**budget)  # raises if it is none
        if budget["steps"]:
            saved |= {"steps": config["steps"] + budget["steps"], "minutes": None}
        else:
            saved |= {"steps": None, "minutes": config["seconds"] / 60 + budget["minutes"]}
    else:
        given |= {name: value for name, value in budget.items() if value is not None}
    for name in given.keys() - OF_THE_SESSION:
        if given[name] != saved.get(name):
            more = " (once it is finished, they are what is to be added)" if name in budget else ""
            raise ValueError(
                f"--{name} {given[name]} contradicts the run in {given['out']}, which has "
                f"{saved.get(name)}{more}: leave it out, or start a new run"
            )
    session = {name: given[name] for name in given.keys() & OF_THE_SESSION}
    try:
        return Settings(**(saved | session))
    except TypeError as error:
        raise ValueError(
            f"{given['out']}/{CONFIG} has a setting of another version ({error}): start a new run "
            "by --warm-start"
        ) from error


def warmed(given: Mapping[str, Any]) -> Settings:
    """The settings of a new run that begins with what ``given["warm_start"]`` learned.

    Algorithm, environment and options are those of that run, but for what is given.

    Raises
    ------
    ValueError
        If that run names code outside this package, and ``given["trust"]`` is not set; or if it is
        one of distill.
    """
    source = Path(given["warm_start"])
    saved = read_config(source)["settings"]
    if saved["algo"] == DISTILL:
        raise ValueError(
            f"--warm-start {source}: that run was trained by distill, with which none begins: "
            "name one of another --algo, or train anew with more --steps"
        )
    check_trust(saved, source / CONFIG, given.get("trust", False))
    env_id = given.get("env", saved["env"])
    options, _ = brought(saved, env_id)
    options |= given.get("option", {})
    return Settings(**{"algo": saved["algo"], **given, "env": env_id, "option": options})


def read_hyperparams(settings: Settings) -> JSON:
    """Hyper-parameters for an algorithm, environment and kind of observation.

    Later sections change earlier ones: ``default``, the kind of observation (``neural``, ``state``
    or ``full``), the environment's id, the id and the kind (``ndbmi/HoldTarget-v1 state``), and
    last `Settings.hyper`. A run with a warm start has those of the run that it begins with, but
    for the latter.

    Raises
    ------
    ValueError
        If the algorithm has no such hyper-parameter.
    """
    if settings.warm_start and not settings.hyperparams:
        source = read_config(Path(settings.warm_start))
        if source["settings"]["algo"] != settings.algo:
            raise ValueError(
                f"--warm-start: {settings.warm_start} was trained by {source['settings']['algo']}, "
                f"not {settings.algo}: leave out --algo"
            )
        merged: JSON = source["hyperparams"]
    else:
        path = Path(settings.hyperparams or HYPERPARAMS / f"{settings.algo}.json")
        sections: JSON = json.loads(path.read_text())
        observe = settings.option.get("observe", "neural")
        merged = sections["default"]
        for name in (observe, settings.env, f"{settings.env} {observe}"):
            merged = _merge(merged, sections.get(name, {}))
    merged = _merge(merged, settings.hyper)
    known = _hyperparams(settings.algo)
    for name in merged.keys() - known:
        near = get_close_matches(name, known)
        asked = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(known)}"
        raise ValueError(f"{settings.algo} has no hyper-parameter {name!r}: {asked}")
    return merged


def _model(settings: Settings, config: JSON) -> tuple[BaseAlgorithm, VecEnv]:
    """A new model for new settings, or the one that was saved; and what it learns from."""
    chosen = dict(config["hyperparams"])
    venv = make_venv(settings.env, settings.option, chosen.pop("n_envs"), chosen.pop("frame_stack"))
    algorithm, folder = ALGORITHMS[settings.algo], settings.folder
    logs = str(folder) if settings.tensorboard else None
    _try_curriculum(settings)
    if settings.resume:
        model = _saved(algorithm, folder, venv, logs)
        # not the trials and the exploration of the beginning once more
        model.set_random_seed(_hashed(settings.seed, model.num_timesteps))
        return model, venv
    for name, value in chosen.items():
        if is_linear(value):
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
    # places of a batch take successive seeds: not those of the next training, nor of evaluation
    venv.seed(_hashed(settings.seed))
    if settings.warm_start:
        _warm(model, settings)
    return model, venv


def _hashed(*entropy: int) -> int:
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def _saved(
    algorithm: type[BaseAlgorithm], folder: Path, venv: VecEnv, logs: str | None
) -> BaseAlgorithm:
    """The model in a folder, with what it learns from."""
    off_policy = issubclass(algorithm, OffPolicyAlgorithm)
    for path in [folder / MODEL] + [folder / REPLAY] * off_policy:
        if not path.is_file():
            raise FileNotFoundError(f"there is no {path} to go on from: {REMEDY}")
    try:
        model = algorithm.load(folder / MODEL, venv, "cpu", tensorboard_log=logs)
        if isinstance(model, OffPolicyAlgorithm):
            with (folder / REPLAY).open("rb") as file:
                model.load_replay_buffer(file)
    except Exception as error:  # of torch, of pickle, of SB3: damage
        words = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{folder} does not hold a model to go on from ({words}): {REMEDY}") from (
            error
        )
    return model


def _warm(model: BaseAlgorithm, settings: Settings) -> None:
    """Give a new model the weights of an earlier run."""
    source = Path(str(settings.warm_start))
    try:
        learned = load_policy(source / MODEL, settings.trust)
        frames_of(learned, model, 1)
        try:
            model.policy.load_state_dict(learned.state_dict())
        except RuntimeError as error:
            raise ValueError(f"has another network ({str(error).splitlines()[-1].strip()})") from (
                error
            )
    except ValueError as error:
        raise ValueError(
            f"--warm-start: {source} {error}: set observe, volition, policy_kwargs and the like as "
            "in its training"
        ) from error


def _try_curriculum(settings: Settings) -> None:
    """Raise ValueError now, and not in the midst of a run, if a stage cannot be taken."""
    if not settings.curriculum:
        return
    env = make_env(settings.env, 1, settings.option)
    original = curriculum.original(env.episodes.config)
    for options in curriculum.reachable(settings.curriculum):
        try:
            env.change(**(original | options))
        except (TypeError, ValueError) as error:
            raise ValueError(f"curriculum, with {json.dumps(options)}: {error}") from error
    env.close()


def _hyperparams(algo: str) -> list[str]:
    """Names of all hyper-parameters: those of SB3 that are not set otherwise, and our own."""
    if algo == DISTILL:
        return sorted({"frame_stack", *(each.name for each in dataclasses.fields(distill.Recipe))})
    taken = {"self", "env", "seed", "tensorboard_log", "device", "_init_setup_model"}
    return sorted(
        {"n_envs", "frame_stack", *inspect.signature(ALGORITHMS[algo].__init__).parameters} - taken
    )


def _merge(base: JSON, changes: Mapping[str, Any]) -> JSON:
    """`base` with some entries changed, those of mappings within it one by one."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 130 after an interrupt, as shells have it."""
    with plain_errors():
        given = parse(Settings, arguments, __doc__)
        if given.get("resume"):
            settings = resumed(given)
        else:
            settings = warmed(given) if given.get("warm_start") else Settings(**given)
        return 0 if train(settings) else 130


if __name__ == "__main__":
    sys.exit(main())
