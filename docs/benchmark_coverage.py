"""How often the benchmark's intervals hold the truth: ``python docs/benchmark_coverage.py``.

Suites of a few tasks are drawn whose true interquartile mean, probability of improvement and
profile are known; runs are spread as trained agents are, and meet common trials. Writes
``docs/benchmark_coverage.json``; takes five minutes of one core.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from interval_coverage import Case, below, exponential, measured, normal
from scipy.special import ndtr

from agents.benchmark_scores import Normalised, improvement, iqm, normalise, profile
from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.files import write_json
from ndbmi_gym.provenance import versions

OUT = Path(__file__).parent / "benchmark_coverage.json"
REPETITIONS, SEED = 1_000, 0
LEAST = 0.93
"""What the documentation promises."""

RUNS = (3, 5, 10)
MANY = 400_000  # runs that stand for infinitely many
N_TRIALS = 100
TASKS = {
    "alike": ((0.8, 0.03),) * 4,
    "apart": ((0.72, 0.02), (0.8, 0.03), (0.9, 0.02), (0.93, 0.015)),
    "one varies most": ((0.75, 0.1), (0.85, 0.02), (0.86, 0.02), (0.9, 0.01)),
    "seven": tuple((0.6 + 0.05 * i, 0.03) for i in range(7)),
}
"""Mean and standard deviation of a run's true value on each task."""

QUIET, NOISY = 0.05, 0.4
"""Standard deviation of a trial around its run's value: half of its variance is the trial's own.

With quiet trials next to nothing but the spread of runs is left to be told.
"""

Spread = Callable[[np.random.Generator, int], np.ndarray]


@cache
def truth(tasks: tuple[tuple[float, float], ...], spread: Spread) -> float:
    """The interquartile mean of infinitely many runs."""
    rng, n = np.random.default_rng(1), MANY
    runs = [mean + deviation * spread(rng, n) for mean, deviation in tasks]
    none = np.zeros((1, 1, 2))
    return iqm([Normalised(each, np.broadcast_to(none, (n, 1, 2))) for each in runs], False)[0]


def suite(
    rng: np.random.Generator,
    tasks: tuple[tuple[float, float], ...],
    spread: Spread,
    n: int,
    noise: float,
    shared: bool = False,
    n_animals: int = 1,
) -> list[Normalised]:
    """Measured runs of an agent, on a scale whose ends are measured on the same trials.

    `shared` if the same agents play all tasks, and who is good at one is good at each; several
    animals meet the same trials, which are then those of all tasks.
    """
    found = []
    skill = spread(rng, n) if shared else None
    common = noise * np.sqrt(0.5) * rng.normal(size=(1, N_TRIALS))
    for i, (mean, deviation) in enumerate(tasks):
        if i and n_animals == 1:
            common = noise * np.sqrt(0.5) * rng.normal(size=(1, N_TRIALS))
        own = noise * np.sqrt(0.5) * rng.normal(size=(n + 2, n_animals, N_TRIALS))
        floor, ceiling = common + own[0], 1 + common / 2 + own[1] / 2
        own_skill = spread(rng, n) if skill is None else skill
        runs = (mean + deviation * own_skill)[:, None, None]
        found.append(normalise(runs + common + own[2:], floor, ceiling))
    return found


def of_iqm(
    name: str, spread: Spread, noise: float, shared: bool = False, n_animals: int = 1
) -> Case:
    """The interquartile mean of runs and trials."""
    tasks = TASKS[name]

    def draw(rng: np.random.Generator, n: int) -> Interval:
        return iqm(
            suite(rng, tasks, spread, n, noise, shared, n_animals),
            True,
            _agents(len(tasks), n, shared),
        )

    trials = "quiet" if noise == QUIET else "noisy"
    if n_animals > 1:
        trials = f"{trials}, the same for {n_animals} animals and all tasks"
    data = f"tasks: {name}; runs: {_runs(spread, shared)}; trials: {trials}"
    return Case("interquartile mean", data, draw, truth(tasks, spread), RUNS)


def bootstrapped(name: str) -> Case:
    """Percentiles of a bootstrap over runs within tasks: what is not used here."""
    tasks = TASKS[name]

    def draw(rng: np.random.Generator, n: int) -> Interval:
        runs = np.array([task.runs for task in suite(rng, tasks, normal, n, QUIET)])
        chosen = rng.integers(0, n, (400, *runs.shape))
        drawn = np.sort(np.take_along_axis(runs[None], chosen, axis=2).reshape(400, -1), axis=1)
        cut = drawn.shape[1] // 4
        low, high = np.percentile(drawn[:, cut : drawn.shape[1] - cut].mean(axis=1), (2.5, 97.5))
        return Interval(0.0, float(low), float(high))

    data = f"tasks: {name}; runs: {WORDS[normal]}; trials: quiet"
    title = "percentile bootstrap of runs (not used)"
    return Case(title, data, draw, truth(tasks, normal), RUNS, True)


def of_improvement(ahead: float, spread: Spread, shared: bool = False) -> Case:
    """A trial is ahead where run, trial and chance together are above a threshold."""
    skill, ease = 0.3, 0.6
    width = np.sqrt(1 + skill**2 + ease**2)
    level = float(np.linspace(-5, 5, 100_001)[np.argmin(np.abs(_norm() - ahead))]) * width

    def probability() -> float:
        rng = np.random.default_rng(1)
        able = level + skill * spread(rng, MANY)
        return float(ndtr(able / np.sqrt(1 + ease**2)).mean())

    def draw(rng: np.random.Generator, n: int) -> Interval:
        pairs = []
        common = spread(rng, n) if shared else None
        for _ in range(4):
            own = spread(rng, n) if common is None else common
            able = level + skill * own[:, None, None]
            able = able + ease * rng.normal(size=(1, N_TRIALS)) + rng.normal(size=(n, 1, N_TRIALS))
            pairs.append((able, np.zeros((1, N_TRIALS))))
        return improvement(pairs, [True] * 4, True, _agents(4, n, shared))

    data = f"{ahead:.0%} of the trials; runs: {_runs(spread, shared)}"
    return Case("probability of improvement", data, draw, probability(), RUNS)


def of_profile(level: float, shared: bool = False) -> Case:
    """The share of runs above a level, on tasks that are apart; or alike, by the same agents."""
    name = "alike" if shared else "apart"
    tasks = TASKS[name]
    held = float(np.mean([1 - ndtr((level - mean) / deviation) for mean, deviation in tasks]))

    def draw(rng: np.random.Generator, n: int) -> Interval:
        skill = rng.normal(size=n)
        runs = [
            mean + deviation * (skill if shared else rng.normal(size=n))
            for mean, deviation in tasks
        ]
        agents = _agents(len(tasks), n, shared)
        return Interval(*profile(runs, np.array([level]), True, agents)[0].tolist())

    data = f"runs above {level:g}, {_runs(normal, shared)}; tasks: {name}"
    return Case("performance profile", data, draw, held, RUNS)


def _norm() -> np.ndarray:
    return np.asarray(ndtr(np.linspace(-5, 5, 100_001)))


def _agents(n_tasks: int, n: int, shared: bool) -> list[range] | None:
    return [range(n)] * n_tasks if shared else None


def _runs(spread: Spread, shared: bool) -> str:
    return f"{WORDS[spread]}{', the same on all tasks' if shared else ''}"


WORDS = {normal: "normal", below: "some far below", exponential: "exponential"}


def cases() -> list[Case]:
    """All, in the order of the table."""
    spreads = (normal, below, exponential)
    found = [of_iqm(name, spread, QUIET) for name in TASKS for spread in spreads]
    found += [of_iqm("apart", spread, NOISY) for spread in spreads]
    found += [of_iqm(name, normal, QUIET, shared=True) for name in ("alike", "apart")]
    found.append(of_iqm("apart", normal, NOISY, shared=True, n_animals=10))
    found.append(bootstrapped("apart"))
    found += [of_improvement(ahead, spread) for ahead in (0.6, 0.9) for spread in (normal, below)]
    found.append(of_improvement(0.9, normal, shared=True))
    found += [of_profile(level) for level in (0.7, 0.85, 0.92)]
    return [*found, of_profile(0.8, shared=True)]


def main() -> None:
    """Measure all, and write them."""
    rows = measured(cases(), REPETITIONS)
    made = {"repetitions": REPETITIONS, "seed": SEED, "trials": N_TRIALS}
    write_json(OUT, made | {"versions": versions(), "rows": rows})


if __name__ == "__main__":
    main()
