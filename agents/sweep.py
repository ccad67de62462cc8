"""Search for hyper-parameters: ``python -m agents.sweep --trials 30 --steps 400000``.

A trial draws hyper-parameters from `SPACES`, trains an agent on each environment, and scores it
without exploration on trials that neither training nor published results draw. The first trial has
the values of ``agents/hyperparams``; after `STARTUP` random ones a tree-structured Parzen estimator
(Bergstra et al. 2011, via optuna) looks where scores were high. At every quarter of a training the
agent so far is scored, and given up if it is below the median of the trials before it.

The best of many noisy trials looks better than it is: ``--confirm N`` trains it (or another, by
``--trial``) and the present values anew, N times each, and compares them on further trials.

A sweep is a folder: ``trials.log`` is optuna's journal, ``sweep.json`` the data (`DATA`) and
``sweep.png`` the picture of them. Ctrl-C loses no finished trial, and the same command goes on;
``--redraw FILE`` draws a data file anew.
"""

import dataclasses
import inspect
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import ttest_ind
from stable_baselines3.common.callbacks import BaseCallback

from agents import evaluate, sweep_drawing
from agents.lineup import CEILING, FLOOR
from agents.options import JSON, check_positive, parse, plain_errors, setting
from agents.runs import ALGORITHMS, CONFIG, Agent, read_config, short_name, versions
from agents.train import Settings as Run
from agents.train import read_hyperparams, train
from ndbmi_gym.files import check_folder, write_text
from ndbmi_gym.rollout import score

SPACES: dict[str, dict[str, BaseDistribution]] = {
    "ppo": {
        "n_envs": CategoricalDistribution((64, 128, 256)),
        "frame_stack": IntDistribution(1, 8),
        "n_steps": CategoricalDistribution((32, 64, 128)),
        "batch_size": CategoricalDistribution((1024, 2048, 4096, 8192)),
        "n_epochs": IntDistribution(3, 10),
        "learning_rate": FloatDistribution(3e-4, 5e-3, log=True),
        "last_learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
        "gamma": FloatDistribution(0.9, 0.99),
        "gae_lambda": FloatDistribution(0.8, 1.0),
        "clip_range": FloatDistribution(0.1, 0.4),
        "ent_coef": FloatDistribution(0.0, 0.01),
        "width": CategoricalDistribution((32, 64, 128)),
        "log_std_init": FloatDistribution(-2.0, 0.0),
    }
}
"""What is searched, by algorithm.

A batch is at most a whole rollout; the learning rate goes linearly to its last value; networks have
two hidden layers of one width.
"""

STARTUP = 6
"""Trials before the estimator chooses: one of the present values, and random ones."""

QUARTERS = 4

SELECTION, CONFIRMATION = 2_000_000, 3_000_000
"""First seeds of the trials that choose, and of those that confirm.

Published results are on trials from seed 1,000 on; trainings draw theirs from hashes.
"""

TRAINING, FRESH = 1_000, 2_000
"""First seeds of the trainings that are chosen from, and of those that confirm."""

DATA, PICTURE = "sweep.json", "sweep.png"
CURRENT, SWEPT = "current", "swept"

_OF_A_TRAINING = ("algo", "env", "option", "seed", "steps")
_EPISODES = 500  # selection trials
_WHOLE = 3  # trials that are done before any is given up
_STUDY = "sweep"


@dataclass(frozen=True)
class Settings:
    """What is searched, and where; its fields are the command line."""

    algo: str = setting("ppo", "learning algorithm", choices=tuple(SPACES))
    env: tuple[str, ...] = setting(
        ("ndbmi/HoldTarget-v1", "ndbmi/ShiftTargetCurl-v1"),
        "environments; a trial's score is its mean over them",
    )
    option: Mapping[str, Any] = setting(
        {}, "option of the environments, e.g. observe=state (may be repeated)"
    )
    trials: int = setting(30, "trials in all, with those that the folder holds")
    steps: int = setting(400_000, "environment steps of a training")
    minutes: float | None = setting(None, "begin no trial after that many minutes of this command")
    seed: int = setting(0, "of the draws")
    out: str = setting("runs/sweep", "folder of the sweep")
    confirm: int | None = setting(
        None, "train the best and the present values so many times each, for --steps, and compare"
    )
    trial: int | None = setting(None, "number of the trial to confirm; the best if not given")
    redraw: str | None = setting(None, "draw the picture of such a data file, and nothing else")

    def __post_init__(self) -> None:
        check_positive(self, "trials", "steps", "minutes", "confirm")
        if self.confirm == 1:
            raise ValueError("confirm = 1: one training shows no spread, give 2 or more")
        if self.trial is not None and self.confirm is None:
            raise ValueError(f"trial = {self.trial} is to be confirmed: say --confirm 3")
        if self.algo not in SPACES:
            raise ValueError(f"algo = {self.algo!r}: choose one of {', '.join(SPACES)}")

    @property
    def folder(self) -> Path:
        """Where the sweep is kept."""
        return Path(self.out)


class InterruptedRunError(Exception):
    """Training was ended by Ctrl-C or SIGTERM."""


class PrunedError(Exception):
    """A trial is not worth going on with."""


def hyperparams(params: Mapping[str, Any]) -> JSON:
    """Hyper-parameters, as `agents.train` takes them, of a point of `SPACES`.

    Parameters
    ----------
    params : mapping
        By the names of the space.
    """
    chosen = dict(params)
    first, last = chosen.pop("learning_rate"), chosen.pop("last_learning_rate")
    width, log_std = chosen.pop("width"), chosen.pop("log_std_init")
    return chosen | {
        "batch_size": min(chosen["batch_size"], chosen["n_envs"] * chosen["n_steps"]),
        "learning_rate": {"linear": [first, last]},
        "policy_kwargs": {"net_arch": [width, width], "log_std_init": log_std},
    }


def params(algo: str, hyper: Mapping[str, Any]) -> JSON:
    """The point of `SPACES` for hyper-parameters: the inverse of `hyperparams`.

    What they do not say is SB3's own default.

    Parameters
    ----------
    algo : str
    hyper : mapping
        As `agents.train.read_hyperparams` returns them.

    Raises
    ------
    ValueError
        If they are not in the space.
    """
    defaults = inspect.signature(ALGORITHMS[algo].__init__).parameters
    rate, networks = hyper["learning_rate"], hyper["policy_kwargs"]
    first, last = rate["linear"] if isinstance(rate, Mapping) else (rate, rate)
    known = dict(hyper) | networks
    known |= {"learning_rate": first, "last_learning_rate": last}
    known["width"] = networks["net_arch"][0]
    found = {
        name: known[name] if name in known else defaults[name].default for name in SPACES[algo]
    }
    for name, value in found.items():
        space = SPACES[algo][name]
        if not space._contains(space.to_internal_repr(value)):
            raise ValueError(f"{name} = {value!r} of the present values is not in {space}")
    return found


def rounded(params: Mapping[str, Any]) -> JSON:
    """A point with no more than two digits of each number that is not whole.

    Parameters
    ----------
    params : mapping
        By the names of the space.
    """
    return {
        name: float(f"{value:.2g}") if isinstance(value, float) else value
        for name, value in params.items()
    }


def sweep(settings: Settings) -> JSON:
    """Do the trials that are missing, and return the data of all (`data_of`).

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    ValueError
        If the folder holds a sweep of other settings or of another version of the code, or the
        present values are not in the space.
    """
    check_folder(settings.folder)
    settings.folder.mkdir(parents=True, exist_ok=True)
    made, end = _made(settings), time.monotonic() + 60 * (settings.minutes or np.inf)
    study = _study(settings.folder)
    if not study.trials:
        current = read_hyperparams(_run(settings, settings.env[0], 0, {}))
        study.enqueue_trial(params(settings.algo, current))
        study.set_user_attr("made", made)
    elif study.user_attrs.get("made") != made:
        raise ValueError(
            f"{settings.out} holds a sweep of other settings or another version: name another "
            "folder by --out"
        )
    for trial in study.get_trials(states=[TrialState.RUNNING]):  # cut off in an earlier session
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    if "scales" not in study.user_attrs:
        study.set_user_attr("scales", {env_id: _scale(settings, env_id) for env_id in settings.env})
    while len(_done(study)) < settings.trials and time.monotonic() < end:
        try:
            _trial(settings, study)
        except InterruptedRunError:
            print("interrupted; the same command goes on")
            break
        _save(settings, data_of(study))
    return data_of(study)


def data_of(study: optuna.Study) -> JSON:
    """All trials of a sweep, with what they depend on.

    Returns
    -------
    dict
        JSON types throughout. ``made``: settings, space, seeds and versions. ``trials``: of each
        its ``number``, ``params``, ``pruned``, ``score`` (None if it was pruned), ``seconds``, and
        ``curve``: by environment the normalised score at each quarter that was reached.
    """
    rows = [
        {
            "number": number,
            "params": trial.params,
            "pruned": trial.state == TrialState.PRUNED,
            "score": None if trial.state == TrialState.PRUNED else trial.value,
            "curve": trial.user_attrs["curve"],
            "seconds": round(trial.duration.total_seconds(), 1),
        }
        for number, trial in enumerate(_done(study))
    ]
    return {"made": study.user_attrs["made"], "scales": study.user_attrs["scales"], "trials": rows}


def best_of(data: JSON) -> JSON:
    """The trial of the highest score."""
    return max(_finished(data), key=lambda trial: trial["score"])


def _finished(data: JSON) -> list[JSON]:
    return [trial for trial in data["trials"] if not trial["pruned"]]


def _candidate(settings: Settings, data: JSON) -> JSON:
    """The trial that is to be confirmed."""
    if settings.trial is None:
        return best_of(data)
    by_number: dict[int, JSON] = {trial["number"]: trial for trial in _finished(data)}
    if settings.trial not in by_number:
        raise ValueError(
            f"trial = {settings.trial}: choose one that came to its end, "
            f"{', '.join(map(str, by_number))}"
        )
    return by_number[settings.trial]


def confirm(settings: Settings, data: JSON) -> JSON:
    """Compare a trial of a sweep with the present values, in fresh trainings and on fresh trials.

    Its values are taken with two digits (`rounded`), as it would be written into a file.
    Runs are kept in the folder of the sweep, and those that are finished are not trained again.

    Parameters
    ----------
    settings : Settings
        ``steps`` are those of each of these trainings.
    data : dict
        From `data_of`.

    Returns
    -------
    dict
        The trial's number, steps, seeds, versions, the ``swept`` values, and ``results``. These
        are by environment: ``table`` as of `agents.evaluate`, ``runs`` and ``gain`` of `gain`, and
        the seconds of each training.

    Raises
    ------
    InterruptedRunError
        By Ctrl-C; the same command goes on.
    ValueError
        If there is no such trial, or the sweep was of another task.
    """
    found: JSON = {}
    for name in ("algo", "env", "option"):
        made, asked = data["made"]["settings"][name], getattr(settings, name)
        if made != json.loads(json.dumps(asked)):
            raise ValueError(f"{name} = {asked!r}: the sweep was of {made!r}, give the same")
    trial = _candidate(settings, data)
    values: dict[str, JSON] = {CURRENT: {}, SWEPT: hyperparams(rounded(trial["params"]))}
    runs = [
        dataclasses.replace(
            _run(settings, env_id, FRESH + number, values[label]),
            out=str(settings.folder / f"{short_name(env_id)}-{label}-{number}"),
            label=label,
        )
        for label in reversed(values)
        for number in range(settings.confirm or 0)
        for env_id in settings.env
    ]
    for run in runs:
        if _is_begun(run):
            run = dataclasses.replace(run, resume=True, overwrite=False)
        if not train(run):
            raise InterruptedRunError
    for env_id in settings.env:
        own = [run for run in runs if run.env == env_id]
        compared = evaluate.evaluate(
            evaluate.Settings(
                policy=tuple(str(run.folder) for run in own), env=env_id, seed=CONFIRMATION
            )
        )
        shown = (FLOOR, *values, CEILING)
        found[env_id] = {
            "table": [row for row in compared["table"] if row["policy"] in shown],
            **gain({label: np.array(compared["trials"][label]["score"]) for label in shown}),
            "seconds": {
                label: [
                    round(read_config(run.folder)["seconds"], 1)
                    for run in own
                    if run.label == label
                ]
                for label in values
            },
        }
    return {
        "trial": trial["number"],
        "steps": settings.steps,
        "training seeds": [FRESH + number for number in range(settings.confirm or 0)],
        "first trial": CONFIRMATION,
        "swept": values[SWEPT],
        "versions": versions(),
        "results": found,
    }


def gain(scores: Mapping[str, npt.NDArray[np.float64]]) -> JSON:
    """How much better the swept values are than the present ones.

    Parameters
    ----------
    scores : mapping of str to ndarray (runs, animals, trials)
        Of floor, ceiling, `CURRENT` and `SWEPT`, on the same trials.

    Returns
    -------
    dict
        ``runs``: normalised score of each run, by label; ``gain``: the difference of their means
        with its 95 % interval over runs (Welch 1947, Biometrika 34:28).
    """
    floor, ceiling = (scores[name].mean() for name in (FLOOR, CEILING))
    current, swept = (
        (scores[label].mean(axis=(1, 2)) - floor) / (ceiling - floor) for label in (CURRENT, SWEPT)
    )
    ends = ttest_ind(swept, current, equal_var=False).confidence_interval(0.95)
    return {
        "runs": {CURRENT: current.round(4).tolist(), SWEPT: swept.round(4).tolist()},
        "gain": [float(swept.mean() - current.mean()), float(ends.low), float(ends.high)],
    }


class _Quarters(BaseCallback):
    """Scores an agent at each quarter of its training, and says when to give up.

    Parameters
    ----------
    steps : int
        Of the whole training.
    judge : callable
        Is given the model, and returns whether to go on.
    """

    def __init__(self, steps: int, judge: Any) -> None:
        super().__init__()
        self._rungs = [steps * quarter // QUARTERS for quarter in range(1, QUARTERS)]
        self._judge = judge
        self.given_up = False

    def _on_step(self) -> bool:
        if self._rungs and self.num_timesteps >= self._rungs[0]:
            self._rungs.pop(0)
            self.given_up = not self._judge(self.model)
        return not self.given_up


def _trial(settings: Settings, study: optuna.Study) -> None:
    """One more trial, told to the study whatever becomes of it."""
    done = len(_done(study))  # whatever was cut off in between
    study.sampler = _sampler(settings, done)
    trial = study.ask(SPACES[settings.algo])
    scales, curve = study.user_attrs["scales"], dict[str, list[float]]()

    def judge(env_id: str, policy: Any) -> bool:
        """Keep the score at this quarter; whether to go on."""
        floor, ceiling = scales[env_id]
        reached = (_mean_score(settings, env_id, policy) - floor) / (ceiling - floor)
        curve.setdefault(env_id, []).append(round(reached, 4))
        trial.set_user_attr("curve", curve)
        # a sum that only grows where agents improve: the pruner compares the best so far
        trial.report(
            sum(each[-1] for each in curve.values()) / len(settings.env),
            sum(map(len, curve.values())),
        )
        return not trial.should_prune()

    try:
        for env_id in settings.env:
            run = _run(settings, env_id, TRAINING + done, hyperparams(trial.params))
            quarters = _Quarters(settings.steps, lambda model, env_id=env_id: judge(env_id, model))
            if not train(run, callbacks=[quarters]):
                raise InterruptedRunError
            last = env_id == settings.env[-1]
            if quarters.given_up or not (judge(env_id, Agent(run.folder)) or last):
                raise PrunedError
        study.tell(trial, float(np.mean([each[-1] for each in curve.values()])))
    except PrunedError:
        study.tell(trial, state=TrialState.PRUNED)
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
        raise


def _run(settings: Settings, env_id: str, seed: int, hyper: JSON) -> Run:
    """A training of a sweep."""
    return Run(
        algo=settings.algo,
        env=env_id,
        option=settings.option,
        seed=seed,
        steps=settings.steps,
        hyper=hyper,
        out=str(settings.folder / "training"),
        overwrite=True,
    )


def _is_begun(run: Run) -> bool:
    """Whether its folder holds a part of this very training."""
    if not (run.folder / CONFIG).exists():
        return False
    config = read_config(run.folder)
    asked = [read_hyperparams(run), *(getattr(run, name) for name in _OF_A_TRAINING)]
    there = [config["hyperparams"], *(config["settings"][name] for name in _OF_A_TRAINING)]
    return bool(there == json.loads(json.dumps(asked)))


def _mean_score(settings: Settings, env_id: str, policy: Any) -> float:
    found = score(env_id, policy, _EPISODES, SELECTION, **settings.option)
    return float(found["score"].mean())


def _scale(settings: Settings, env_id: str) -> list[float]:
    """Scores of floor and ceiling on the trials that choose."""
    return [_mean_score(settings, env_id, policy) for policy in ("zero", "ceiling")]


def _made(settings: Settings) -> JSON:
    """What the trials depend on; more of them may be asked for later."""
    shared = dataclasses.asdict(settings)
    for name in ("trials", "minutes", "out", "confirm", "trial", "redraw"):
        del shared[name]
    space = {
        name: json.loads(distribution_to_json(each)) for name, each in SPACES[settings.algo].items()
    }
    made: JSON = {
        "settings": shared,
        "space": space,
        "startup": STARTUP,
        "selection": [SELECTION, _EPISODES],
        "training": TRAINING,
        "versions": versions() | {"optuna": optuna.__version__},
    }
    return json.loads(json.dumps(made))


def _study(folder: Path) -> optuna.Study:
    """The study in a folder."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=_STUDY,
        storage=JournalStorage(JournalFileBackend(str(folder / "trials.log"))),
        pruner=MedianPruner(n_startup_trials=_WHOLE),
        direction="maximize",
        load_if_exists=True,
    )


def _sampler(settings: Settings, index: int) -> TPESampler:
    """What draws a trial, the same in whichever session."""
    seed = np.random.SeedSequence((settings.seed, index)).generate_state(1)[0]
    return TPESampler(n_startup_trials=STARTUP, seed=int(seed))


def _done(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that were not cut off."""
    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])


def _save(settings: Settings, data: JSON) -> None:
    """Write data and picture, and say where the sweep stands; a confirmation is kept."""
    path = settings.folder / DATA
    if path.is_file() and "confirmation" not in data:
        before = json.loads(path.read_text(encoding="utf-8"))
        data |= {key: before[key] for key in ("confirmation",) if key in before}
    write_text(path, json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n")
    sweep_drawing.draw(path, settings.folder / PICTURE)
    best = best_of(data)
    print(
        f"{len(data['trials'])} of {settings.trials} trials; best is {best['number']} with "
        f"{best['score']:.3f}, the present values have {data['trials'][0]['score']:.3f}",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 130 after an interrupt, as shells have it."""
    with plain_errors():
        settings = Settings(**parse(Settings, arguments, __doc__))
        if settings.redraw:
            path = Path(settings.redraw)
            sweep_drawing.draw(path, path.with_suffix(".png"))
            return 0
        if settings.confirm:
            data = json.loads((settings.folder / DATA).read_text(encoding="utf-8"))
            try:
                data["confirmation"] = confirm(settings, data)
            except InterruptedRunError:
                return 130
            _save(settings, data)
            return 0
        enough = len(sweep(settings)["trials"]) >= settings.trials
        return 0 if enough or settings.minutes else 130


if __name__ == "__main__":
    sys.exit(main())
