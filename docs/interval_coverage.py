"""How often the intervals of the tables hold the truth: ``python docs/interval_coverage.py``.

Data are drawn whose true mean is known, the interval is computed as the tables compute it, and the
share of times is counted that it holds the truth, for few and for more runs, circuits or animals.
Writes ``docs/interval_coverage.json``; takes two minutes.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from tqdm import tqdm

from agents.evaluate import normalised
from ndbmi_gym.experiments.bench.crossed import crossed_interval
from ndbmi_gym.experiments.bench.statistics import (
    Interval,
    mean_interval,
    ratio_interval,
    share_interval,
)
from ndbmi_gym.files import write_json
from ndbmi_gym.provenance import versions

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "interval_coverage.json"
RESULTS = ROOT / "agents" / "results" / "shift_curl_neural.json"
REPETITIONS, SEED = 4_000, 0
LEAST = 0.93
"""What the documentation promises."""

N_TRIALS, N_ANIMALS = 100, 6
RUNS, ANIMALS = (3, 5, 10), (3, 5, 10, 30)

Spread = Callable[[np.random.Generator, int], np.ndarray]


class Case(NamedTuple):
    """An interval on data of one kind; ``beyond`` what is promised, where it shows a limit."""

    interval: str
    data: str
    draw: Callable[[np.random.Generator, int], Interval | None]
    truth: float
    sizes: tuple[int, ...]
    beyond: bool = False

    def coverage(self, n: int, repetitions: int, seed: int = SEED) -> float:
        """Share of repetitions whose interval holds the truth."""
        rng, hits = np.random.default_rng((seed, n)), 0
        for _ in range(repetitions):
            found = self.draw(rng, n)
            hits += found is not None and found.low <= self.truth <= found.high
        return hits / repetitions


# spreads of runs or animals around their mean, of unit variance


def normal(rng: np.random.Generator, n: int) -> np.ndarray:
    """As a sum of many small causes."""
    return rng.normal(size=n)


def above(rng: np.random.Generator, n: int) -> np.ndarray:
    """Skewed by 1: some far above."""
    return (rng.gamma(4, size=n) - 4) / 2


def below(rng: np.random.Generator, n: int) -> np.ndarray:
    """Skewed by −1: some far below."""
    return -above(rng, n)


def exponential(rng: np.random.Generator, n: int) -> np.ndarray:
    """Skewed by −2."""
    return 1 - rng.exponential(size=n)


def failing(rng: np.random.Generator, n: int) -> np.ndarray:
    """One in five fails, the others are alike."""
    return (0.2 - (rng.random(n) < 0.2)) / 0.4


def measured_on(spread: Spread, ratio: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Runs on common trials; `ratio` of the spread over runs to that over sets of trials."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        own = spread(rng, n)[:, None] * ratio / N_TRIALS**0.5
        common = rng.exponential(size=N_TRIALS) - 1
        return own + common + rng.normal(size=(n, N_TRIALS))

    return draw


def bootstrap(values: np.ndarray, rng: np.random.Generator) -> Interval:
    """Percentiles of means of resampled runs: what is not used here."""
    means = values.mean(axis=1)
    resampled = means[rng.integers(0, len(means), (400, len(means)))].mean(axis=1)
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Interval(float(means.mean()), float(low), float(high))


@cache
def _trials() -> dict[str, dict[str, np.ndarray]]:
    """Measured trials (runs, trials) of floor, agents and ceiling, by quantity."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["trials"]
    return {
        label: {name: np.array(kept[label][name], float)[:, 0] for name in ("score", "return")}
        for label in ("zero", "ppo", "ceiling")
    }


def as_agents(quantity: str, spread: Spread) -> Case:
    """The normalised quantity of runs that are spread as the agents of the results are.

    Trials are drawn from the measured ones, with floor, ceiling and what a run of the agents does
    in each; runs differ by the measured standard deviation.
    """
    floor, agents, ceiling = (_trials()[label][quantity] for label in ("zero", "ppo", "ceiling"))
    means = agents.mean(axis=1, keepdims=True)
    # more steps are worse, so that the tail of bad runs lies above
    sign = -1 if quantity == "score" else 1

    def draw(rng: np.random.Generator, n: int) -> Interval | None:
        trial = rng.integers(0, floor.shape[1], N_TRIALS)
        whose = rng.integers(0, len(agents), (n, N_TRIALS))
        values = (agents - means)[whose, trial] + means.mean()
        values = values + sign * spread(rng, n)[:, None] * means.std(ddof=1)
        chosen = (each[:, None, trial] for each in (floor, ceiling))
        return normalised(values[:, None], *chosen, sampled=True, quantity=quantity)

    truth = (agents.mean() - floor.mean()) / (ceiling.mean() - floor.mean())
    name = f"normalised {quantity}"
    return Case(name, f"{_words(spread)}, as the agents of ShiftTargetCurl", draw, truth, RUNS)


def success(rate: float) -> Case:
    """Success of runs of unequal skill in trials of unequal difficulty."""
    skill, difficulty = 0.4, 0.8
    threshold = np.sqrt(1 + skill**2 + difficulty**2)
    grid = np.linspace(-5, 5, 2001)
    level = grid[np.argmin(np.abs(ndtr(grid) - rate))]

    def draw(rng: np.random.Generator, n: int) -> Interval:
        able = level * threshold + skill * rng.normal(size=(n, 1))
        able = able + difficulty * rng.normal(size=N_TRIALS) + rng.normal(size=(n, N_TRIALS))
        return crossed_interval(able > 0, outcomes=True)

    return Case("success", f"{rate:.0%} of the trials", draw, float(ndtr(level)), RUNS)


def circuits(spread: Spread) -> Case:
    """Circuits that carry the same animals, with as much of either as of both together."""

    def draw(rng: np.random.Generator, n: int) -> Interval:
        of_both = rng.normal(size=(n, N_ANIMALS))
        return crossed_interval(spread(rng, n)[:, None] + rng.normal(size=N_ANIMALS) + of_both)

    return Case("circuits and animals", f"{_words(spread)}, {N_ANIMALS} animals", draw, 0.0, RUNS)


def shares(rate: float) -> Case:
    """Mean of animals' shares, each of 20 runs, of an animal's own rate."""
    rates = (10 * rate, 10 * (1 - rate))

    def draw(rng: np.random.Generator, n: int) -> Interval:
        return mean_interval(rng.binomial(20, rng.beta(*rates, size=n)) / 20)

    return Case("mean over animals", f"shares of 20 runs, {rate:.0%}", draw, rate, ANIMALS, True)


def hits(rate: float) -> Case:
    """Share of animals."""

    def draw(rng: np.random.Generator, n: int) -> Interval:
        return share_interval(int(rng.binomial(n, rate)), n)

    return Case("share of animals", f"{rate:.0%}", draw, rate, ANIMALS)


def _words(spread: Spread) -> str:
    return {
        normal: "normal",
        above: "some far above",
        below: "some far below",
        exponential: "exponential",
        failing: "one run in five fails",
    }[spread]


def cases() -> list[Case]:
    """All, in the order of the table."""
    found = []
    for spread in (normal, above, below, exponential, failing):
        for ratio in (0.5, 2.0, 8.0):
            drawn, beyond = measured_on(spread, ratio), spread in (exponential, failing)
            name = f"{_words(spread)}, {ratio:g} times as far as trials"
            if not beyond or ratio == 8:

                def draw(rng: np.random.Generator, n: int, drawn: Spread = drawn) -> Interval:
                    return crossed_interval(drawn(rng, n))

                found.append(Case("mean over runs and trials", name, draw, 0.0, RUNS, beyond))
    plain = measured_on(normal, 8)
    found.append(
        Case(
            "percentile bootstrap of runs (not used)",
            "normal, 8 times as far as trials",
            lambda rng, n: bootstrap(plain(rng, n), rng),
            0.0,
            RUNS,
            beyond=True,
        )
    )
    for quantity in ("score", "return"):
        found += [as_agents(quantity, spread) for spread in (normal, below)]
    found += [success(rate) for rate in (0.5, 0.9, 0.99)]
    found += [circuits(spread) for spread in (normal, above)]
    for spread in (normal, above, exponential):
        found.append(
            Case(
                "mean over animals",
                _words(spread),
                lambda rng, n, spread=spread: mean_interval(spread(rng, n)),
                0.0,
                ANIMALS,
                beyond=spread is exponential,
            )
        )
    found += [shares(rate) for rate in (0.9, 0.99)]
    found += [
        Case(
            "ratio over animals",
            f"{_words(spread)} logarithms",
            lambda rng, n, spread=spread: ratio_interval(np.exp(0.4 * spread(rng, n))),
            1.0,
            ANIMALS,
        )
        for spread in (normal, above)
    ]
    return found + [hits(rate) for rate in (0.5, 0.9, 0.97)]


def measured(found: list[Case], repetitions: int) -> list[dict[str, object]]:
    """Coverage of each case at its sizes, which is told as it comes."""
    rows = []
    with tqdm(found, unit="case") as bar:
        for case in bar:
            covered = {n: round(case.coverage(n, repetitions), 4) for n in case.sizes}
            rows.append(
                {
                    "interval": case.interval,
                    "data": case.data,
                    "coverage": covered,
                    "beyond": case.beyond,
                }
            )
            least = min(covered.values())
            bar.write(
                f"{case.interval:40}{case.data:48}"
                + " ".join(f"{n}: {x:.3f}" for n, x in covered.items())
                + ("" if least >= LEAST else "  <")
            )
    return rows


def main() -> None:
    """Measure all, and write them."""
    rows = measured(cases(), REPETITIONS)
    made = {"repetitions": REPETITIONS, "seed": SEED, "trials": N_TRIALS}
    write_json(OUT, made | {"versions": versions(), "rows": rows})


if __name__ == "__main__":
    main()
