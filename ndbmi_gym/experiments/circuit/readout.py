"""Reaching movements, and how they are read out of activity: smoothing and ridge regression."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_FOLDS = 5  # of the cross-validation


def movements(times_s: FloatArray) -> FloatArray:
    """Eight reaching movements, (8, K, 2) in cm: two straight, curved, S-shaped, with a loop.

    They last from the first to the last time, begin at 0, end 10 cm away in eight directions, and
    run along their paths with the minimum-jerk profile 10s³ − 15s⁴ + 6s⁵ of the path's parameter.

    Parameters
    ----------
    times_s : ndarray (K,)
    """
    s = (times_s - times_s[0]) / (times_s[-1] - times_s[0])
    u = s**3 * (10 - 15 * s + 6 * s**2)
    wave = np.sin(2 * np.pi * u)
    shapes = (
        (10 * u, 0 * u),
        (10 * u, 3 * np.sin(np.pi * u)),
        (10 * u, 3 * wave),
        (10 * u + 3 * wave, 3 * (1 - np.cos(2 * np.pi * u))),
    )
    along, aside = np.swapaxes(2 * shapes, 0, 1)
    angle = 2 * np.pi * np.arange(8)[:, None] / 8
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack((cos * along - sin * aside, sin * along + cos * aside), axis=-1)


def smoother(n_pieces: int, piece_s: float, width_s: float) -> FloatArray:
    """Matrix (K, K) of a Gaussian that smooths counts (..., K) from the left; columns sum to 1."""
    place = np.arange(n_pieces) * piece_s
    weights = np.exp(-0.5 * ((place[:, None] - place) / width_s) ** 2)
    return np.asarray(weights / weights.sum(axis=0))


class Readout(NamedTuple):
    """An affine map from F features to D outputs.

    Attributes
    ----------
    weights : ndarray (F, D)
    offset : ndarray (D,)
    penalty : float
        Of the ridge regression, relative to the features' mean variance.
    """

    weights: FloatArray
    offset: FloatArray
    penalty: float

    def __call__(self, features: FloatArray) -> FloatArray:
        """Outputs, (..., F) to (..., D)."""
        return features @ self.weights + self.offset


def ridge(features: FloatArray, outputs: FloatArray, penalties: FloatArray) -> list[Readout]:
    """Ridge regression for every penalty; the offset goes unpunished.

    Parameters
    ----------
    features : ndarray (M, F)
    outputs : ndarray (M, D)
    penalties : ndarray (P,)
        Relative to the mean variance of the features.
    """
    centre, mean = features.mean(axis=0), outputs.mean(axis=0)
    centred = features - centre
    values, vectors = np.linalg.eigh(centred.T @ centred)
    turned = vectors.T @ (centred.T @ (outputs - mean))
    found = []
    for penalty in penalties:
        weights = vectors @ (turned / (values + penalty * values.mean())[:, None])
        found.append(Readout(weights, mean - centre @ weights, float(penalty)))
    return found


def fit_readout(features: FloatArray, outputs: FloatArray, penalties: FloatArray) -> Readout:
    """Ridge regression with the penalty that errs least in five-fold cross-validation over trials.

    Parameters
    ----------
    features : ndarray (S, R, K, F)
        R trials of S movements at K times.
    outputs : ndarray (S, K, D)
        The same in all trials.
    penalties : ndarray (P,)
    """
    everywhere = np.broadcast_to(outputs[:, None], (*features.shape[:3], outputs.shape[-1]))

    def flat(a: FloatArray) -> FloatArray:
        return a.reshape(-1, a.shape[-1])

    errors = np.zeros(len(penalties))
    fold = np.arange(features.shape[1]) % _FOLDS
    for held in np.unique(fold):
        own, rest = fold == held, fold != held
        tried = ridge(flat(features[:, rest]), flat(everywhere[:, rest]), penalties)
        errors += [((r(features[:, own]) - everywhere[:, own]) ** 2).sum() for r in tried]
    best = penalties[[errors.argmin()]]
    return ridge(flat(features), flat(everywhere), best)[0]


def explained(outputs: FloatArray, predicted: FloatArray) -> float:
    """R² of predictions (..., D): 1 less the squared error in units of the outputs' variance."""
    mean = outputs.reshape(-1, outputs.shape[-1]).mean(axis=0)
    return float(1 - ((predicted - outputs) ** 2).sum() / ((outputs - mean) ** 2).sum())
