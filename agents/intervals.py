"""Bootstrap intervals of means over training runs, animals and episodes."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Bootstrap:
    """Resampled means of measurements on the same episodes.

    Episodes are resampled with replacement within each animal, and independently of them the
    training runs (the pigeonhole bootstrap for crossed factors: Owen 2007, Ann Appl Stat 1:386).
    Animals are those of the study and stay. All quantities that one `Bootstrap` resamples share
    its episodes, so that differences and ratios of policies are compared on common trials. With a
    single run an interval says nothing about other runs.

    Parameters
    ----------
    n_animals, n_episodes : int
    n_resamples : int
    seed : int
    """

    def __init__(
        self, n_animals: int, n_episodes: int, n_resamples: int = 2000, seed: int = 0
    ) -> None:
        self._rng = np.random.default_rng(seed)
        share = np.full(n_episodes, 1 / n_episodes)
        size = (n_resamples, n_animals)
        times = self._rng.multinomial(n_episodes, share, size).reshape(n_resamples, -1)
        self._weights = times / (n_animals * n_episodes)

    def means(self, values: npt.ArrayLike) -> FloatArray:
        """Means of values (runs, animals, episodes) in each resample, (n_resamples,)."""
        values = np.asarray(values, float)
        of_runs = self._weights @ values.reshape(len(values), -1).T
        drawn = self._rng.integers(len(values), size=of_runs.shape)
        return np.take_along_axis(of_runs, drawn, axis=1).mean(axis=1)


def interval(resampled: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of a resampled quantity."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
