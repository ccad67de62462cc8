"""Intervals of means over two samples that are crossed: runs and trials, circuits and animals.

All training runs meet the same trials, all circuits carry the same animals. A mean over both varies
because other rows would have come out otherwise (other runs would have learned something else) and
because other columns would have been easier or harder. Each part has a Student interval of its own,
and the half widths are added as sides of a right angle (Howe 1974, J Am Stat Assoc 69:789). The
variance of the columns' means holds what is of row and column alone once more, so that the interval
errs on the wide side (Owen 2007, Ann Appl Stat 1:386).

A resampling of three runs never sees a worse one than the worst of them. How often the intervals
here hold the truth is simulated by ``docs/interval_coverage.py``.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from ndbmi_gym.experiments.bench.statistics import Interval


def crossed_interval(
    values: npt.ArrayLike,
    estimate: float | None = None,
    *,
    sampled: bool = True,
    outcomes: bool = False,
) -> Interval:
    """95 % interval of the mean of measurements in every row at every column.

    A ratio is linearised: that of the means of y and x has the errors (y − ratio·x)/mean(x), whose
    mean is zero (Cochran 1977, Sampling Techniques, 6.4).

    Parameters
    ----------
    values : array_like (rows, columns) or (rows, strata, columns)
        Measurements, or errors of the estimate. Strata are no sample, and share the columns: the
        animals of a table on the same trials. NaN, with a single stratum, are left out of the
        means; a row or a column of nothing else is left out altogether.
    estimate : float, optional
        An estimate whose errors are the mean of `values`; by default that mean itself, in which
        rows count alike.
    sampled : bool
        Whether rows are a sample (training runs, built circuits). If not there is one row, the same
        for ever.
    outcomes : bool
        Whether values are successes, 1, and failures, 0. Two of each are added where the spread
        over columns is measured, so that trials that all succeed do not leave an interval of no
        width.

    Returns
    -------
    Interval
        Its ends are NaN where there is nothing to tell them by: one row of a sample says nothing
        about others, nor one column.

    Raises
    ------
    ValueError
        If there are several rows that are no sample, or the values are no table of rows and
        columns, or infinite.
    """
    grid = np.asarray(values, float)
    if grid.ndim not in (2, 3):
        raise ValueError(
            f"values of shape {grid.shape}: give (rows, columns), [values] for a single row"
        )
    if np.isinf(grid).any():
        raise ValueError("values hold infinite ones: give finite numbers, NaN where one is missing")
    grid = grid[:, None] if grid.ndim == 2 else grid
    if len(grid) > 1 and not sampled:
        raise ValueError(f"{len(grid)} rows that are no sample: give one, or sampled=True")
    known = np.isfinite(grid)
    grid = grid[known.any(axis=(1, 2))][..., known.any(axis=(0, 1))]
    n_rows, _, n_columns = grid.shape
    if not grid.size:
        return Interval(*(float("nan"),) * 3)
    rows = np.nanmean(grid, axis=(1, 2))
    middle = float(rows.mean()) if estimate is None else estimate
    if n_columns < 2 or (sampled and n_rows < 2):
        return Interval(middle, float("nan"), float("nan"))
    columns = np.nanmean(grid, axis=(0, 1))
    if outcomes:
        columns = np.concatenate((pseudo(grid.shape[1], columns.mean()), columns))
    square = _quantile(n_columns - 1) ** 2 * columns.var(ddof=1) / n_columns
    if sampled:
        square += _quantile(n_rows - 1) ** 2 * rows.var(ddof=1) / n_rows
    half = float(np.sqrt(square))
    return Interval(middle, middle - half, middle + half)


def pseudo(n_strata: int, mean: float) -> npt.NDArray[np.float64]:
    """Two successes and two failures (Agresti and Coull 1998, Am Stat 52:119), as columns.

    Each is one outcome: in one stratum of its column, while the others have their mean.

    Parameters
    ----------
    n_strata : int
    mean : float
        Over all strata.
    """
    return mean + (np.array([0.0, 0.0, 1.0, 1.0]) - mean) / n_strata


@lru_cache(maxsize=1024)
def _quantile(freedom: int) -> float:
    return float(student.ppf(0.975, freedom))


def mean_of(values: npt.NDArray[np.float64], sampled: bool, quantity: str) -> Interval:
    """Mean over runs and trials, with its 95 % interval.

    Parameters
    ----------
    values : ndarray (runs, animals, episodes)
    sampled : bool
        Whether the runs are a sample of what training leads to.
    quantity : str
        ``"success"`` is of outcomes, 0 or 1.
    """
    outcomes = quantity == "success"
    mean, *ends = crossed_interval(values, sampled=sampled, outcomes=outcomes)
    # no mean lies beyond every single trial; a success rate may, if all trials are alike
    limits = (0, 1) if outcomes else (values.min(), values.max())
    return Interval(mean, *np.clip(ends, *limits))
