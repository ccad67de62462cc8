"""The text's tests (one-way ANOVA, Tukey's HSD) and intervals over animals."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]

LEVEL = 0.01
"""Significance level of the text."""


class Tukey(NamedTuple):
    """Comparison of one group of runs with a reference group, among several.

    Attributes
    ----------
    anova_p : float
        p value of the one-way ANOVA over all groups.
    difference : float
        Mean of the group minus mean of the reference.
    critical : float
        The honestly significant difference at `LEVEL`.
    """

    anova_p: float
    difference: float
    critical: float

    @property
    def score(self) -> float:
        """Difference in units of the critical one; beyond ±1 it is significant."""
        if self.critical == 0:
            return float(np.copysign(np.inf, self.difference)) if self.difference else 0.0
        return self.difference / self.critical

    @property
    def rises(self) -> bool:
        """Whether the group is significantly above the reference."""
        return self.anova_p < LEVEL and self.score > 1

    @property
    def falls(self) -> bool:
        """Whether the group is significantly below the reference."""
        return self.anova_p < LEVEL and self.score < -1


def tukey(groups: list[FloatArray], group: int, reference: int) -> Tukey | None:
    """One-way ANOVA over groups, then Tukey's HSD (Tukey-Kramer) of one against another.

    Parameters
    ----------
    groups : list of ndarray
        wtpe of the runs of each group; NaN are left out.
    group, reference : int
        The two to compare.

    Returns
    -------
    Tukey or None
        None where a group has fewer than two runs left.
    """
    kept = [g[np.isfinite(g)] for g in groups]
    if min(len(kept[group]), len(kept[reference])) < 2:
        return None
    kept = [g for g in kept if len(g) >= 2]
    present = [np.isfinite(g).sum() >= 2 for g in groups]
    i, j = int(np.sum(present[:group])), int(np.sum(present[:reference]))
    freedom = sum(len(g) for g in kept) - len(kept)
    within = sum(float(((g - g.mean()) ** 2).sum()) for g in kept) / freedom
    error = np.sqrt(within / 2 * (1 / len(kept[i]) + 1 / len(kept[j])))
    return Tukey(
        float(stats.f_oneway(*kept).pvalue),
        float(kept[i].mean() - kept[j].mean()),
        _quantile(len(kept), freedom if freedom < 500 else 50 * (freedom // 50)) * float(error),
    )


@lru_cache(maxsize=4096)
def _quantile(groups: int, freedom: int) -> float:
    # slow, and flat in many degrees of freedom: rounding these changes it by less than 1e-3
    return float(stats.studentized_range.ppf(1 - LEVEL, groups, freedom))


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.2f} ({self.low:.2f} to {self.high:.2f})"


def mean_interval(values: npt.ArrayLike) -> Interval:
    """Mean over animals, with Student's interval.

    NaN unless there are two values and all are finite.
    """
    finite = np.asarray(values, dtype=float)
    if len(finite) < 2 or not np.isfinite(finite).all():
        return Interval(*(float("nan"),) * 3)
    mean = float(finite.mean())
    error = float(finite.std(ddof=1)) / np.sqrt(len(finite))
    half = float(stats.t.ppf(0.975, len(finite) - 1)) * error
    return Interval(mean, mean - half, mean + half)


def ratio_interval(ratios: npt.ArrayLike) -> Interval:
    """Geometric mean of ratios over animals, with Student's interval on their logarithms."""
    logs = mean_interval(np.log(np.asarray(ratios, dtype=float)))
    return Interval(*(float(np.exp(x)) for x in logs))


def shares_interval(shares: npt.ArrayLike, of: int) -> Interval:
    """Mean over animals of shares, each of so many runs: Student's interval, or a wider binomial.

    Shares of 1 in all animals leave Student's interval no width, as if no other could ever come;
    Clopper-Pearson's, of all runs together, knows how few there were. Simulated with 3 to 30
    animals that are nearly alike (correlation of runs within an animal up to .02, shares up to .95)
    it covers .92 or more; where one animal in a hundred fails altogether no interval of so few
    animals can know. NaN as in `mean_interval`.
    """
    found = mean_interval(shares)
    if np.isnan(found.estimate):
        return found
    all_runs = of * len(np.asarray(shares))
    together = share_interval(round(found.estimate * all_runs), all_runs)
    return Interval(
        found.estimate,
        max(0.0, min(found.low, together.low)),
        min(1.0, max(found.high, together.high)),
    )


def share_interval(hits: float, of: float) -> Interval:
    """A share of animals, with its Clopper-Pearson interval; NaN of none."""
    if not of:
        return Interval(*(float("nan"),) * 3)
    low = float(stats.beta.ppf(0.025, hits, of - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0
    return Interval(hits / of, low, high)
