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

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from ndbmi_gym.experiments.bench.crossed import pseudo
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
    tasks: Sequence[Normalised], sampled: bool, agents: Sequence[Sequence[Hashable]] | None = None
) -> Interval:
    """Interquartile mean over tasks and runs: of the middle half of all values.

    Tasks count alike, however many runs they have. A value that a quartile goes through counts in
    part, so that repeating every run changes nothing. What an agent contributes is summed over the
    tasks that it plays, before the spread over agents is taken, since its runs are not independent;
    and what a trial contributes, over animals and tasks, since those of one number may begin alike.

    Parameters
    ----------
    tasks : sequence of Normalised
    sampled : bool
        Whether runs are a sample of what training leads to; if not, the interval is over trials
        alone.
    agents : sequence of sequence of hashable, optional
        By task, the agent of each run. None: every run is of an agent of its own.

    Returns
    -------
    Interval
        Its ends are NaN where a task has one run of a sample.
    """
    values = np.concatenate([task.runs for task in tasks])
    masses = np.concatenate([np.full(len(t.runs), 1 / len(tasks) / len(t.runs)) for t in tasks])
    weights, low, high = _middle(values, masses)
    estimate = float(weights @ values)
    per_trial, per_run, begin = [], [], 0
    for task in tasks:
        own = weights[begin : begin + len(task.runs)]
        begin += len(task.runs)
        per_trial.append(np.tensordot(own, task.errors, axes=1).mean(axis=0))
        per_run.append(2 * np.clip(task.runs, low, high) / len(tasks))
    half = np.hypot(_of_trials(per_trial), _of_runs(per_run, agents, 0.5) if sampled else 0.0)
    return Interval(estimate, float(estimate - half), float(estimate + half))


def _of_trials(parts: Sequence[FloatArray]) -> float:
    """Half width of a sum of means over trials, of which the first of all tasks may be alike.

    NaN where there is a single one.

    Parameters
    ----------
    parts : sequence of ndarray (trials,)
        What is summed, for each task.
    """
    if min(map(len, parts)) < 2:
        return float("nan")
    summed = np.zeros(max(map(len, parts)))
    for each in parts:
        summed[: len(each)] += _scaled(each)
    freedom = min(map(len, parts)) - 1
    return float(student.ppf(0.975, freedom) * np.sqrt((summed**2).sum()))


def _of_runs(
    parts: Sequence[FloatArray], agents: Sequence[Sequence[Hashable]] | None, kept: float
) -> float:
    """Half width of a sum of means over runs; NaN where one run of a sample tells none.

    The degrees of freedom of the sum are after Welch (1947, Biometrika 34:28) and Satterthwaite
    (1946, Biometrics Bull 2:110), those of tasks that share agents being the least of theirs. Of a
    trimmed sum that share is left that is not trimmed (Yuen 1974, Biometrika 61:165).

    Parameters
    ----------
    parts : sequence of ndarray (runs,)
        What is summed, for each task.
    agents : sequence of sequence of hashable, optional
        See `iqm`.
    kept : float
        Share of the runs that is not trimmed.
    """
    if min(map(len, parts)) < 2:
        return float("nan")
    variances, freedoms = [], []
    for group in _groups(parts, agents):
        summed: dict[Hashable, float] = defaultdict(float)
        for names, each in group:
            for name, value in zip(names, _scaled(each), strict=True):
                summed[name] += value
        variances.append(sum(value**2 for value in summed.values()))
        freedoms.append(min(len(each) for _, each in group) - 1)
    total = sum(variances)
    if not total:
        return 0.0
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return float(student.ppf(0.975, max(1.0, kept * freedom)) * np.sqrt(total))


def _groups(
    parts: Sequence[FloatArray], agents: Sequence[Sequence[Hashable]] | None
) -> list[list[tuple[Sequence[Hashable], FloatArray]]]:
    """Names of agents and values of their runs, of tasks that have agents in common together."""
    if agents is None:
        agents = [[(task, run) for run in range(len(each))] for task, each in enumerate(parts)]
    groups: list[tuple[set[Hashable], list[tuple[Sequence[Hashable], FloatArray]]]] = []
    for names, each in zip(agents, parts, strict=True):
        joined = [group for group in groups if not group[0].isdisjoint(names)]
        groups = [group for group in groups if group[0].isdisjoint(names)]
        members = [member for _, old in joined for member in old]
        groups.append((set(names).union(*(old for old, _ in joined)), [*members, (names, each)]))
    return [members for _, members in groups]


def _scaled(values: FloatArray) -> FloatArray:
    """Deviations whose squares sum up to the squared standard error of the mean."""
    n = len(values)
    return np.asarray((values - values.mean()) / np.sqrt(n * (n - 1)))


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


def improvement(
    tasks: Sequence[tuple[FloatArray, FloatArray]],
    more_is_better: Sequence[bool],
    sampled: bool,
    agents: Sequence[Sequence[Hashable]] | None = None,
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
    agents : sequence of sequence of hashable, optional
        See `iqm`.

    Returns
    -------
    Interval
        Mean over tasks. Two trials ahead and two behind are added where the spread over trials is
        measured, so that it is never certain; its ends are NaN where a task has one run of a
        sample.
    """
    means, per_trial, per_run = [], [], []
    for (mine, other), more in zip(tasks, more_is_better, strict=True):
        ahead = (np.sign(mine - other) * (1 if more else -1) + 1) / 2
        means.append(float(ahead.mean()))
        of_trials = np.concatenate((pseudo(len(other), means[-1]), ahead.mean(axis=(0, 1))))
        per_trial.append(of_trials / len(tasks))
        per_run.append(ahead.mean(axis=(1, 2)) / len(tasks))
    middle = float(np.mean(means))
    half = np.hypot(_of_trials(per_trial), _of_runs(per_run, agents, 1.0) if sampled else 0.0)
    return Interval(middle, *np.clip((middle - half, middle + half), 0, 1).tolist())


def profile(
    tasks: Sequence[FloatArray],
    levels: FloatArray,
    sampled: bool,
    agents: Sequence[Sequence[Hashable]] | None = None,
) -> FloatArray:
    """Share of runs above each level, tasks counting alike.

    Parameters
    ----------
    tasks : sequence of ndarray (runs,)
        Normalised values.
    levels : ndarray (n,)
    sampled : bool
        Whether runs are a sample.
    agents : sequence of sequence of hashable, optional
        See `iqm`.

    Returns
    -------
    ndarray (n, 3)
        Share, low and high, the latter NaN if runs are no sample. The interval is Clopper and
        Pearson's of as many runs as tell as much: runs of an agent on several tasks count as one,
        and tasks with few runs count for more than these. On tasks of unequal difficulty hits vary
        less than those of a single probability (Hoeffding 1956, Ann Math Stat 27:713), so that it
        is on the wide side.
    """
    groups = _groups(tasks, agents)
    n = len(tasks) ** 2 / sum(len(each) ** 2 / min(len(x) for _, x in each) for each in groups)
    rows = []
    for level in levels:
        share = float(np.mean([(runs > level).mean() for runs in tasks]))
        ends = share_interval(min(share * n, n), n)[1:] if sampled else (np.nan, np.nan)
        rows.append([share, *ends])
    return np.array(rows)
