"""What a benchmark's runs amount to: scores over a whole suite, with 95 % intervals.

The value of a run on a task is its mean over trials on the scale from the floor (0) to the ceiling
(1) of the same trials. Over a suite these are summed up by their interquartile mean, by the share
of runs above each level (performance profiles), and by how often a trial goes better than the
paper's command does in the same trial (Agarwal et al. 2021, whose probability of improvement
compares whole runs: all of a good agent's are better than the command, and nothing is told).

Intervals are not from a bootstrap, which with three runs never sees a worse one than the worst of
them. Estimates are linearised: each run and each trial has an influence, whose spread has Student's
interval. ``docs/benchmark_coverage.py`` simulates how often they hold the truth.

References
----------
Agarwal R, Schwarzer M, Castro PS, Courville A, Bellemare MG (2021). Deep reinforcement learning at
the edge of the statistical precipice. Advances in Neural Information Processing Systems 34.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from ndbmi_gym.experiments.bench.crossed import PSEUDO
from ndbmi_gym.experiments.bench.statistics import Interval, share_interval

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Normalised:
    """Runs of an agent on a task, on the scale from floor to ceiling.

    Attributes
    ----------
    runs : ndarray (runs,)
        Means over trials.
    errors : ndarray (runs, animals, trials)
        Those of each trial, whose mean over a run is zero.
    """

    runs: FloatArray
    errors: FloatArray


def normalise(values: FloatArray, floor: FloatArray, ceiling: FloatArray) -> Normalised:
    """Put runs on the scale from floor (0) to ceiling (1).

    Parameters
    ----------
    values : ndarray (runs, animals, trials)
    floor, ceiling : ndarray (animals, trials)
        On the same trials.

    Returns
    -------
    Normalised
        A run's value is a ratio of means, and is linearised to have an error in each trial.
    """
    gap = ceiling - floor
    span = gap.mean()
    runs = (values - floor).mean(axis=(1, 2)) / span + 0.0  # no -0
    return Normalised(runs, (values - floor - runs[:, None, None] * gap) / span)


def iqm(
    tasks: Sequence[Normalised], sampled: bool, trainings: Sequence[Hashable] | None = None
) -> Interval:
    """Interquartile mean over tasks and runs: of the middle half of all values.

    Tasks count alike, however many runs they have. A value that a quartile goes through counts in
    part, so that repeating every run changes nothing. What runs contribute is summed over the tasks
    that the same agents play, before its spread is taken: they are no independent runs; and so is
    what trials contribute, over tasks with as many of them.

    Parameters
    ----------
    tasks : sequence of Normalised
    sampled : bool
        Whether runs are a sample of what training leads to; if not, the interval is over trials
        alone.
    trainings : sequence of hashable, optional
        By task, what its runs were trained as: equal where the same agents play, in the same order.
        None: each task has agents of its own.

    Returns
    -------
    Interval
        Its ends are NaN where a task has one run of a sample.
    """
    values = np.concatenate([task.runs for task in tasks])
    masses = np.concatenate([np.full(len(t.runs), 1 / len(tasks) / len(t.runs)) for t in tasks])
    weights, low, high = _middle(values, masses)
    estimate = float(weights @ values)
    per_trial, influences, begin = [], [], 0
    for task in tasks:
        own = weights[begin : begin + len(task.runs)]
        begin += len(task.runs)
        per_trial.append(np.tensordot(own, task.errors, axes=1))
        influences.append(2 * np.clip(task.runs, low, high) / len(tasks))
    half = _half_width(per_trial, influences if sampled else None, trainings, 0.5)
    return Interval(estimate, estimate - half, estimate + half)


def _half_width(
    per_trial: Sequence[FloatArray],
    influences: Sequence[FloatArray] | None,
    trainings: Sequence[Hashable] | None,
    kept: float,
) -> float:
    """Half of an interval of a sum over tasks; NaN where one run of a sample tells none.

    Parameters
    ----------
    per_trial : sequence of ndarray (animals, trials)
        What each trial contributes to it, for each task.
    influences : sequence of ndarray (runs,), optional
        And each run, times the number of runs; None if runs are no sample.
    trainings : sequence of hashable, optional
        See `iqm`.
    kept : float
        Share of the runs that is not trimmed.
    """
    square = 0.0
    met: dict[tuple[int, ...], FloatArray] = {}
    for each in per_trial:  # trials of equal number may have the same starts, targets and noise
        met[each.shape] = met.get(each.shape, 0) + each
    for (n_animals, n_trials), each in met.items():
        of_trials = each.var(axis=1, ddof=1).sum() / n_animals**2 / n_trials
        square += student.ppf(0.975, n_animals * (n_trials - 1)) ** 2 * of_trials
    if influences is not None:
        summed: dict[Hashable, FloatArray] = {}
        for name, each in zip(trainings or range(len(influences)), influences, strict=True):
            summed[name] = summed.get(name, 0) + each
        if any(len(each) < 2 for each in summed.values()):
            return float("nan")
        square += _joined(
            ((float(each.var(ddof=1)) / len(each), len(each) - 1) for each in summed.values()), kept
        )
    return float(np.sqrt(square))


def _middle(values: FloatArray, masses: FloatArray) -> tuple[FloatArray, float, float]:
    """Weights of values in the mean of their middle half, and the quartiles."""
    order = np.argsort(values, kind="stable")
    ends = masses[order].cumsum()
    begins = ends - masses[order]
    inside = (np.minimum(ends, 0.75) - np.maximum(begins, 0.25)).clip(min=0)
    weights = np.empty_like(values)
    weights[order] = inside / inside.sum()
    kept = values[order][inside > 1e-12]
    return weights, float(kept[0]), float(kept[-1])


def _joined(parts: Iterable[tuple[float, int]], kept: float) -> float:
    """Square of the half width of a sum's interval, from variances and degrees of freedom.

    Those of the sum are after Welch (1947, Biometrika 34:28) and Satterthwaite (1946, Biometrics
    Bull 2:110); of a trimmed one that share is left that is not trimmed (Yuen 1974, Biometrika
    61:165).
    """
    given = [(variance, freedom) for variance, freedom in parts if variance > 0]
    if not given:
        return 0.0
    total = sum(variance for variance, _ in given)
    freedom = total**2 / sum(variance**2 / freedom for variance, freedom in given)
    return float(student.ppf(0.975, max(1.0, kept * freedom)) ** 2 * total)


def improvement(
    tasks: Sequence[tuple[FloatArray, FloatArray]],
    more_is_better: Sequence[bool],
    sampled: bool,
    trainings: Sequence[Hashable] | None = None,
) -> Interval:
    """Probability that a trial goes better than the other agent's same trial; ties count half.

    Parameters
    ----------
    tasks : sequence of (ndarray (runs, animals, trials), ndarray (animals, trials))
        Values of the agent and of the other one, for each task.
    more_is_better : sequence of bool
        Of the values, for each task.
    sampled : bool
        See `iqm`.
    trainings : sequence of hashable, optional
        See `iqm`.

    Returns
    -------
    Interval
        Mean over tasks. Two trials ahead and two behind are added where the spread over trials is
        measured, so that it is never certain; its ends are NaN where a task has one run of a
        sample.
    """
    means, per_trial, influences = [], [], []
    for (mine, other), more in zip(tasks, more_is_better, strict=True):
        ahead = (np.sign(mine - other) * (1 if more else -1) + 1) / 2
        of_trials = ahead.mean(axis=0)
        means.append(of_trials.mean())
        of_trials = np.hstack((of_trials, np.tile(PSEUDO, (len(of_trials), 1))))
        per_trial.append(of_trials / len(tasks))
        influences.append(ahead.mean(axis=(1, 2)) / len(tasks))
    middle = float(np.mean(means))
    half = _half_width(per_trial, influences if sampled else None, trainings, 1.0)
    return Interval(middle, *np.clip((middle - half, middle + half), 0, 1).tolist())


def profile(tasks: Sequence[FloatArray], levels: FloatArray, sampled: bool) -> FloatArray:
    """Share of runs above each level, tasks counting alike.

    Parameters
    ----------
    tasks : sequence of ndarray (runs,)
        Normalised values.
    levels : ndarray (n,)
    sampled : bool
        Whether runs are a sample.

    Returns
    -------
    ndarray (n, 3)
        Share, low and high, the latter NaN if runs are no sample. The interval is Clopper and
        Pearson's of all runs together: on tasks of unequal difficulty hits vary less than those of
        a single probability (Hoeffding 1956, Ann Math Stat 27:713), so that it is on the wide side.
    """
    n_runs = sum(map(len, tasks))
    rows = []
    for level in levels:
        share = float(np.mean([(runs > level).mean() for runs in tasks]))
        found = share_interval(round(share * n_runs), n_runs)
        rows.append([share, *(found[1:] if sampled else (np.nan, np.nan))])
    return np.array(rows)
