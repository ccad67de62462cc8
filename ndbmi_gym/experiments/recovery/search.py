"""Search over what the text leaves open, for values under which most of its findings hold at once.

A trial draws a preset, measures it in a few animals, and scores how many claims hold and by what
margin, and how well the f factors agree with Table 1. The first trials are drawn at random, so that
they describe the whole space; the later ones by a tree-structured Parzen estimator (Bergstra et al.
2011, via optuna), which looks where scores were high. Trials are kept in a journal, one JSON line
per event: a search can be stopped and continued, by one command at a time.

Two animals can flatter a trial: the best trials are measured again in full, in other animals, and
the best of these is chosen. The animals that claims are judged on take part in neither.

Not searched: the units of length (L = 10 cm) and of force (b = 1 kg/s), which scale everything; the
window T, which matters only relative to τ, since spike counts are given per window; the angle θ,
since Fig 4 alone demands labelled electrodes (π/2); and readings that the text speaks against
(`ndbmi_gym.experiments.recovery.readings` tries those).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from tqdm import tqdm

from ndbmi_gym.calibration import SCALINGS
from ndbmi_gym.experiments.bench.parallel import run_tasks
from ndbmi_gym.experiments.bench.tables import Table, write_csv
from ndbmi_gym.experiments.protocol.conditions import FIELDS, REFERENCE
from ndbmi_gym.experiments.protocol.runs import run_ideal
from ndbmi_gym.experiments.vato2014.baselines import Baselines
from ndbmi_gym.experiments.vato2014.claims import CLAIMS, judge
from ndbmi_gym.experiments.vato2014.evidence import gather
from ndbmi_gym.fields import make_field
from ndbmi_gym.files import write_json
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.presets import HALF_SIDE_CM, IDEALS, PRESETS, Preset
from ndbmi_gym.provenance import JSON, versions
from ndbmi_gym.tasks.reach import Reach

FloatArray = npt.NDArray[np.float64]

ANIMALS = (1000, 1001)
"""Animals that trials are scored on."""

FINAL_ANIMALS = tuple(range(1010, 1018))
"""Animals that the best trials are compared on."""

FINALISTS = 8

SEARCHED = tuple(claim.id for claim in CLAIMS)
"""Claims that trials are scored on."""


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

    def contains(self, value: Any) -> bool:
        """Whether a value may be searched."""
        return value in self.choices if self.choices else bool(self.low <= value <= self.high)


SPACE: dict[str, Range] = {
    "tau_s": Range(0.01, 3.0, log=True),
    "repetitions": Range(choices=(5, 10, 20, 30, 60)),
    "scaling": Range(choices=SCALINGS),
    "amplitude": Range(0.2, 12.0, log=True),
    "sigma": Range(3.0, 12.0),
    "obstacle_cm": Range(2.0, 8.0),
    "obstacle_angle": Range(choices=(0.0, float(np.pi / 8))),
    "obstacle_ratio": Range(0.3, 4.0, log=True),
    "pole_ratio": Range(0.0, 2.0),
    "obstacle_sigma": Range(1.0, 4.0),
    "mass": Range(0.05, 4.0, log=True),
    "step_s": Range(0.2, 3.0, log=True),
    "radius_cm": Range(0.75, 5.0),
    "ideal": Range(choices=IDEALS),
    "misplaced_electrode": Range(choices=(7, 1, 5, 8, 0)),
    "lost_site": Range(choices=(7, 1, 5, 8, 0)),
}
"""Fields of `Preset` that are searched.

Of the electrodes of the 3 x 3 grid, 7 and 1 are the sides towards +x, where the obstacle is, and
−x; 5 a side across; 8 and 0 corners towards it and away. The text's misplaced electrode matches a
stimulated one, which the centre is not.
"""

DESIGN = 100
"""Trials drawn at random before the estimator takes over."""

_STUDY = "recovery"
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
        Of the f factors (`ndbmi_gym.experiments.protocol.geometry.f_factor_misfit`).
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


def evaluate(
    preset: Preset, animals: Sequence[int] = ANIMALS, seed: int = 0, fast: bool = True
) -> Trial:
    """Measure a preset."""
    evidence, misfit = gather(preset, animals, seed, fast)
    margins = {f.claim.id: f.margin for f in judge(evidence) if f.claim.id in SEARCHED}
    convergent = min(float(evidence.convergent(REFERENCE, field).mean()) for field in FIELDS)
    return Trial(margins, misfit, convergent, obstacle_avoidance(preset))


def obstacle_avoidance(preset: Preset) -> float:
    """Share of the ideal runs through the obstacle's place that the dipole leads around it.

    Ideal runs start all along the protocol's square, in the Gaussian field and in the dipole; a run
    meets the obstacle if it comes within 1.5 cm of it before the target region. 0 if no run of the
    Gaussian does, or no fewer of the dipole.
    """
    plant = PointMass(
        preset.mass, preset.viscosity, preset.step_s / _FINE, wall_cm=2 * HALF_SIDE_CM
    )
    starts = Reach().on_square(np.linspace(0, 1, 400, endpoint=False), HALF_SIDE_CM)
    dipole = preset.field("dipole")
    met = []
    for field in (preset.field("gaussian"), dipole):
        runs = run_ideal(
            make_field(field), plant, starts, (0, 0), preset.radius_cm, 50 * _FINE, stop=True
        )
        away = np.linalg.norm(runs.path - np.asarray(dipole["obstacle"]), axis=-1).min(axis=0)
        met.append(float((away < _NEAR_CM).mean()))
    return max(0.0, 1 - met[1] / met[0]) if met[0] else 0.0


def search(folder: Path, n_trials: int, jobs: int = 1, starts: Sequence[Preset] = ()) -> None:
    """Continue a search until it has a number of trials.

    Parameters
    ----------
    folder : Path
        Holds the journal ``trials.log``; ``trials.csv`` is written at the end.
    n_trials : int
        Trials in all, finished or not.
    jobs : int
        Processes.
    starts : sequence of Preset
        Sets to try next, for the estimator to go on from; not before the random trials are drawn.

    Raises
    ------
    ValueError
        If starts come too early, or the folder holds trials of another space, other animals or
        another version of the code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study = _study(folder, 0)
    settings = _settings()
    if not study.trials:
        study.set_user_attr("settings", settings)
    elif study.user_attrs.get("settings") != settings:
        raise ValueError(
            f"{folder} holds trials of another version of the search: choose another folder"
        )
    for trial in study.get_trials(states=[TrialState.RUNNING]):  # cut off in an earlier session
        study.tell(trial.number, state=TrialState.FAIL)
    waiting = study.get_trials(states=[TrialState.WAITING])
    done = len(study.trials) - len(waiting)
    if starts and done < DESIGN:
        raise ValueError(
            f"{done} trials so far: the first {DESIGN} are drawn at random; give starts after them"
        )
    for preset in starts:
        values = {name: getattr(preset, name) for name in SPACE}
        for name, value in values.items():
            if not SPACE[name].contains(value):
                raise ValueError(f"{name} = {value!r} of a start is not in {SPACE[name]}")
        study.enqueue_trial(values, skip_if_exists=True)
    tasks = ((folder, index) for index in range(done, n_trials))
    best = -np.inf
    try:
        with tqdm(total=n_trials, initial=done, desc="trials") as bar:
            for value in run_tasks(_trial, tasks, jobs):
                best = max(best, value)
                bar.set_postfix_str(f"best score of this session {best:.2f}", refresh=False)
                bar.update()
    finally:
        write_csv(folder / "trials.csv", read_trials(folder))


def read_trials(folder: Path) -> Table:
    """The finished trials: parameters, score, number of claims with a margin above 0, margins."""
    rows = [t for t in _study(folder, 0).trials if t.state == TrialState.COMPLETE]
    table: Table = {"trial": np.array([t.number for t in rows])}
    for name in SPACE:
        table[name] = np.array([t.params[name] for t in rows])
    table["score"] = np.array([t.value for t in rows])
    margins = {c: np.array([t.user_attrs["margins"][c] for t in rows]) for c in SEARCHED}
    table["holds"] = np.sum([m > 0 for m in margins.values()], axis=0)
    for name in ("misfit", "convergent", "avoidance"):
        table[name] = np.array([t.user_attrs[name] for t in rows])
    return table | margins


def choose(folder: Path, trials: Table, jobs: int = 1) -> Preset:
    """Measure the best trials in full, in other animals; write the best of them to ``best.json``.

    All of them are kept in ``finalists.csv``.
    """
    rows = np.argsort(trials["score"])[::-1][:FINALISTS]
    tasks = ((preset_of(trials, row), FINAL_ANIMALS, 0, False) for row in rows)
    measured = run_tasks(evaluate, tasks, jobs, ordered=True)
    found = list(tqdm(measured, total=len(rows), desc="finalists"))
    table: Table = {"trial": trials["trial"][rows]}
    table["score"] = np.array([trial.score for trial in found])
    table |= {claim: np.array([trial.margins[claim] for trial in found]) for claim in SEARCHED}
    write_csv(folder / "finalists.csv", table)
    first = int(np.argmax(table["score"]))
    best = preset_of(trials, int(rows[first]))
    held = sum(margin > 0 for margin in found[first].margins.values())
    write_json(
        folder / "best.json",
        {
            "parameters": asdict(best),
            "trial": int(table["trial"][first]),
            "score": found[first].score,
            "claims with a margin above 0": held,
            "settings": _settings(),
        },
    )
    return best


def baselines(trials: Table) -> Baselines:
    """How many claims hold under the random trials, and under the presets in the same animals."""
    random = {name: column[trials["trial"] < DESIGN] for name, column in trials.items()}
    presets = {
        name: sum(margin > 0 for margin in evaluate(preset).margins.values())
        for name, preset in PRESETS.items()
    }
    return Baselines(
        sets=len(random["trial"]),
        animals=ANIMALS,
        convergent=float((random["convergent"] >= 0.9).mean()),
        passed={claim: float((random[claim] > 0).mean()) for claim in SEARCHED},
        median=float(np.median(random["holds"])),
        most=int(random["holds"].max()),
        presets=presets,
        searched=(*ANIMALS, *FINAL_ANIMALS),
    )


def summary(trials: Table) -> str:
    """How many trials there are, how many claims they satisfy, and which claims are hardest."""
    shares = sorted((float((trials[claim] > 0).mean()), claim) for claim in SEARCHED)
    hardest = ", ".join(f"{claim} {100 * share:.0f} %" for share, claim in shares[:6])
    return (
        f"{len(trials['trial'])} trials; at most {trials['holds'].max()} of {len(SEARCHED)} claims "
        f"have a margin above 0 in one; hardest: {hardest}"
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


def _settings() -> JSON:
    """What the score of a trial depends on."""
    space = {name: [v.low, v.high, v.log, list(v.choices)] for name, v in SPACE.items()}
    return {
        "space": space,
        "animals": list(ANIMALS),
        "design": DESIGN,
        "versions": versions(stage=__name__),
    }


def _trial(folder: Path, index: int) -> float:
    study = _study(folder, index)
    trial = study.ask()
    preset = Preset(**{name: _suggest(trial, name, SPACE[name]) for name in SPACE})
    try:
        found = evaluate(preset)
    except ValueError as error:  # responses that span no plane, for instance
        trial.set_user_attr("error", str(error))
        study.tell(trial, state=TrialState.FAIL)
        return -np.inf
    for name, value in found._asdict().items():
        trial.set_user_attr(name, value)
    study.tell(trial, found.score)
    return found.score


def _suggest(trial: optuna.Trial, name: str, values: Range) -> Any:
    if values.choices:
        return trial.suggest_categorical(name, values.choices)
    return trial.suggest_float(name, values.low, values.high, log=values.log)
