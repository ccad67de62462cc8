"""Search over what the text leaves open, for values under which most of its findings hold at once.

A trial draws a preset, measures it in a few animals, and scores how many claims hold and by what
margin, and how well the f factors agree with Table 1. The first trials are drawn at random, so that
they describe the whole space; the later ones by a tree-structured Parzen estimator (Bergstra et al.
2011, via optuna), which looks where scores were high. Trials are kept in a journal, one JSON line
per event: a search can be stopped and continued, by several processes.

Two parameters cannot be recovered and are not searched: the unit of length (L = 10 cm) and of force
(b = 1 kg/s), which scale everything; and, since spike counts are given per window, the window T and
the clock matter only relative to τ, so that T = 600 ms stands for all.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tqdm import tqdm

from ndbmi_gym.experiments.claims import CLAIMS, judge
from ndbmi_gym.experiments.conditions import DECODERS, FIELDS, REFERENCE, Setting
from ndbmi_gym.experiments.evidence import gather
from ndbmi_gym.experiments.protocol import run_ideal
from ndbmi_gym.experiments.records import Table, versions, write_csv, write_json
from ndbmi_gym.fields import make_field
from ndbmi_gym.plant import Plant
from ndbmi_gym.presets import IDEALS, SCALINGS, SPONTANEOUS, Preset
from ndbmi_gym.tasks import Task

FloatArray = npt.NDArray[np.float64]

SUBJECTS = (1000, 1001)
"""Animals that trials are scored on: apart from those on which claims are judged."""

SEARCHED = tuple(claim.id for claim in CLAIMS if claim.id != "C24")
"""Claims that trials are scored on; C24 is about another interface."""


@dataclass(frozen=True)
class Range:
    """Values of a parameter: an interval, or a list of readings.

    Attributes
    ----------
    low, high : float
    log : bool
        Whether the interval is searched on a logarithmic scale.
    choices : tuple
        Readings; the interval is then not used.
    """

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()


SPACE: dict[str, Range] = {
    "tau_s": Range(0.01, 1.0, log=True),
    "theta": Range(choices=(np.pi / 4, 3 * np.pi / 8, np.pi / 2)),
    "trials": Range(choices=(5, 10, 20, 30)),
    "scaling": Range(choices=SCALINGS),
    "amplitude": Range(0.2, 12.0, log=True),
    "sigma": Range(3.0, 12.0),
    "obstacle_cm": Range(2.0, 8.0),
    "obstacle_angle": Range(choices=(0.0, float(np.pi / 8))),
    "obstacle_ratio": Range(0.2, 3.0, log=True),
    "pole_ratio": Range(0.0, 2.0),
    "obstacle_sigma": Range(1.0, 4.0),
    "mass": Range(0.05, 2.0, log=True),
    "step_s": Range(0.2, 3.0, log=True),
    "radius_cm": Range(0.75, 4.0),
    "ideal": Range(choices=IDEALS),
    "spontaneous": Range(choices=SPONTANEOUS),
    "misplaced_electrode": Range(choices=(4, 7, 1, 5, 8, 0)),
    "lost_site": Range(choices=(7, 1, 5, 8, 0)),
}
"""Fields of `Preset` that are searched.

Electrode 4 of the 3 x 3 grid is its centre; 7 and 1 are the sides towards +x, where the obstacle
is, and −x; 5 a side across; 8 and 0 corners towards it and away.
"""

DESIGN = 120
"""Trials drawn at random before the estimator takes over."""

_STUDY = "recovery"
_FAILED = -10.0
_MISFIT, _CONVERGENT, _AVOIDED = 0.15, 0.95, 0.75
_NEAR_CM = 1.5
_FINE = 10  # steps of an ideal run per step of the loop, to see where it passes


class Trial(NamedTuple):
    """What a preset achieves.

    Attributes
    ----------
    margins : dict of str to float
        Margin of every searched claim; above 0 it holds in the trial's animals.
    misfit : float
        Of the f factors (`ndbmi_gym.experiments.geometry.f_factor_misfit`).
    convergent : float
        Share of convergent runs of the undegraded loop with set 6, the lesser of both fields.
    avoidance : float
        What share of the ideal runs that meet the obstacle in the Gaussian field go around it in
        the dipole (`obstacle_avoidance`).
    """

    margins: dict[str, float]
    misfit: float
    convergent: float
    avoidance: float

    @property
    def score(self) -> float:
        """Claims that hold; then their margins, agreement with Table 1, and two conditions.

        wtpe is of convergent runs: without asking for convergence a loop that bounces about its
        target would look robust, since nothing makes it much worse. And without asking that the
        dipole's obstacle be avoided, one too weak to matter would do.
        """
        values = np.array(list(self.margins.values()))
        return float(
            (values > 0).sum()
            + 0.25 * values.sum()
            + 0.5 * min(0.0, 1 - self.misfit / _MISFIT)
            + 20 * min(0.0, self.convergent - _CONVERGENT)
            + 20 * min(0.0, self.avoidance - _AVOIDED)
        )


def evaluate(preset: Preset, subjects: Sequence[int] = SUBJECTS, seed: int = 0) -> Trial:
    """Measure a preset."""
    evidence, misfit = gather(preset, subjects, seed)
    margins = {f.claim.id: f.margin for f in judge(evidence) if f.claim.id in SEARCHED}
    runs = [evidence.measured[Setting(REFERENCE, field, DECODERS[0])].wtpe for field in FIELDS]
    convergent = min(float(np.isfinite(r).mean()) for r in runs)
    return Trial(margins, misfit, convergent, obstacle_avoidance(preset))


def obstacle_avoidance(preset: Preset) -> float:
    """Share of the ideal runs through the obstacle's place that the dipole leads around it.

    Ideal runs start all along the protocol's square, in the Gaussian field and in the dipole; a run
    meets the obstacle if it comes within 1.5 cm of it before the target region. 0 if no run of the
    Gaussian does.
    """
    plant = Plant(preset.mass, preset.viscosity, preset.step_s / _FINE)
    starts = Task().on_square(np.linspace(0, 1, 400, endpoint=False), 10.0)
    dipole = preset.field("dipole")
    met = []
    for field in (preset.field("gaussian"), dipole):
        runs = run_ideal(
            make_field(field), plant, starts, (0, 0), preset.radius_cm, 50 * _FINE, stop=True
        )
        away = np.linalg.norm(runs.path - np.asarray(dipole["obstacle"]), axis=-1).min(axis=0)
        met.append(float((away < _NEAR_CM).mean()))
    return 1 - met[1] / met[0] if met[0] else 0.0


def search(folder: Path, n_trials: int, jobs: int = 1) -> None:
    """Continue a search until it has a number of trials.

    Parameters
    ----------
    folder : Path
        Holds the journal ``trials.log``; ``trials.csv`` and ``search.json`` are written at the end.
    n_trials : int
        Trials in all.
    jobs : int
        Processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = len(_study(folder, 0).trials)
    tasks = (joblib.delayed(_trial)(folder, index) for index in range(done, n_trials))
    best = -np.inf
    try:
        with tqdm(total=n_trials, initial=done, desc="trials") as bar:
            for value in joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks):
                best = max(best, value)
                bar.set_postfix_str(f"best score of this session {best:.2f}", refresh=False)
                bar.update()
    finally:
        write_csv(folder / "trials.csv", read_trials(folder))
        space = {name: asdict(range_) for name, range_ in SPACE.items()}
        settings = {"subjects": SUBJECTS, "seed": 0, "space": space, "versions": versions()}
        write_json(folder / "search.json", settings)


def read_trials(folder: Path) -> Table:
    """The finished trials: parameters, score, number of claims that hold, misfit, and margins."""
    rows = [t for t in _study(folder, 0).trials if t.value is not None and t.value > _FAILED]
    table: Table = {"trial": np.array([t.number for t in rows])}
    for name in SPACE:
        table[name] = np.array([t.params[name] for t in rows])
    table["score"] = np.array([t.value for t in rows])
    margins = {c: np.array([t.user_attrs["margins"][c] for t in rows]) for c in SEARCHED}
    table["holds"] = np.sum([m > 0 for m in margins.values()], axis=0)
    for name in ("misfit", "convergent", "avoidance"):
        table[name] = np.array([t.user_attrs[name] for t in rows])
    return table | margins


def write_best(folder: Path, trials: Table) -> Preset:
    """Write the preset of the best trial to ``best.json``."""
    row = int(np.argmax(trials["score"]))
    best = preset_of(trials, row)
    result = {name: trials[name][row].item() for name in ("trial", "score", "holds", "misfit")}
    write_json(folder / "best.json", {"parameters": asdict(best)} | result)
    return best


def summary(trials: Table) -> str:
    """How many trials there are, how many claims they satisfy, and which claims are hardest."""
    shares = sorted((float((trials[claim] > 0).mean()), claim) for claim in SEARCHED)
    hardest = ", ".join(f"{claim} {100 * share:.0f} %" for share, claim in shares[:6])
    return (
        f"{len(trials['trial'])} trials; at most {trials['holds'].max()} of {len(SEARCHED)} claims "
        f"hold in one; hardest: {hardest}"
    )


def preset_of(table: Table, row: int) -> Preset:
    """The preset of a trial."""
    default = asdict(Preset())
    return Preset(**{name: type(default[name])(table[name][row]) for name in SPACE})


def _study(folder: Path, index: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # in every process
    storage = JournalStorage(JournalFileBackend(str(folder / "trials.log")))
    sampler: optuna.samplers.BaseSampler
    if index < DESIGN:
        sampler = optuna.samplers.RandomSampler(seed=index)
    else:
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=True, constant_liar=True, seed=index
        )
    return optuna.create_study(
        study_name=_STUDY,
        storage=storage,
        direction="maximize",
        sampler=sampler,
        load_if_exists=True,
    )


def _trial(folder: Path, index: int) -> float:
    study = _study(folder, index)
    trial = study.ask()
    preset = Preset(**{name: _suggest(trial, name, SPACE[name]) for name in SPACE})
    try:
        found = evaluate(preset)
    except ValueError:  # responses that span no plane, for instance
        study.tell(trial, _FAILED)
        return _FAILED
    for name, value in found._asdict().items():
        trial.set_user_attr(name, value)
    study.tell(trial, found.score)
    return found.score


def _suggest(trial: optuna.Trial, name: str, values: Range) -> Any:
    if values.choices:
        return trial.suggest_categorical(name, values.choices)
    return trial.suggest_float(name, values.low, values.high, log=values.log)
