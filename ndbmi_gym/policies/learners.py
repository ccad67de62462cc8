"""Reference learners of a hidden curl field: what each believes, and how it comes to believe it.

All act by the same controller (`ndbmi_gym.policies.feedforward`) and differ in their belief about
the field alone: what is carried from trial to trial within a session, and forgotten with it.
"""

from typing import Any

import numpy as np

from ndbmi_gym.episodes import BoolArray, FloatArray
from ndbmi_gym.policies.baselines import HasEpisodes
from ndbmi_gym.policies.feedforward import Feedforward, Memory, ahead

Belief = tuple[FloatArray, ...]


class Knowing(Feedforward):
    """Privileged: it reads the trial's curl from the environment."""

    def _believed(self, memory: Memory) -> FloatArray:
        return self.episodes.state.curl.copy()


class TrialByTrial(Feedforward):
    """Corrects its belief after each trial by a share of the error that the trial showed.

    The error is the change of the believed curl that explains the velocities of the trial best
    (least squares, linear around the belief).

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    rate : float
        Share of the error that is corrected.
    **options
        Of `Feedforward`.
    """

    def __init__(self, env: HasEpisodes, rate: float = 0.2, **options: Any) -> None:
        super().__init__(env, **options)
        self._rate = rate

    def _prior(self, n_trials: int) -> Belief:
        # the believed curl; of this trial, the sums of error and of what a unit of curl would do
        return (np.zeros((n_trials, 3)),)

    def _believed(self, memory: Memory) -> FloatArray:
        return memory.belief[0][:, 0]

    def _learn(self, memory: Memory, seen: FloatArray, moved: BoolArray) -> Belief:
        known = memory.belief[0].copy()
        curl, force = known[:, 0], memory.forces[:, 0]
        expected, probed = (
            ahead(self._plant, memory.before, force, c)[:, 2:] for c in (curl, curl + _PROBE)
        )
        slope = (probed - expected) / _PROBE
        error = seen[:, 2:] - expected
        known[:, 1] += moved * (slope * error).sum(axis=1)
        known[:, 2] += moved * (slope**2).sum(axis=1)
        return (known,)

    def _between(self, belief: Belief, ended: BoolArray) -> Belief:
        known = belief[0].copy()
        known[:, 0] += ended * self._rate * known[:, 1] / np.maximum(known[:, 2], _PROBE)
        known[:, 1:] *= ~ended[:, None]
        return (known,)


_PROBE = 1e-3  # kg/s
PRIOR_SD, FORGETTING, DRIFT = 1.5, 0.05, 0.1
"""Of a curl that nothing is known of, kg/s; share of it mixed in after a trial; drift, kg/s."""


class Bayes(Feedforward):
    """Holds a probability over the curl, and revises it at every step.

    What a step says of the curl is the velocity that followed, with the scatter of the commanded
    force as its noise. (Senses without noise would tell more: position and velocity together leave
    no doubt.) Between trials `forgetting` of the prior is mixed in, and the curl drifts.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    prior_sd : float
        Standard deviation of the curl before anything is seen, kg/s.
    forgetting : float
        Share of the prior that is mixed in after a trial.
    drift : float
        Standard deviation of the curl's change from trial to trial, kg/s.
    **options
        Of `Feedforward`.
    """

    def __init__(
        self,
        env: HasEpisodes,
        prior_sd: float = PRIOR_SD,
        forgetting: float = FORGETTING,
        drift: float = DRIFT,
        **options: Any,
    ) -> None:
        super().__init__(env, **options)
        self._forgetting, self._drift = forgetting, drift
        self._grid = np.linspace(-3 * prior_sd, 3 * prior_sd, _GRID)
        self._start = _normal(self._grid, prior_sd)
        still = np.zeros((2, 4))
        moved = ahead(self._plant, still, np.array([[0.0, 0.0], [1.0, 0.0]]), np.zeros(2))
        self._per_force = moved[1, 2] - moved[0, 2]  # cm/s for a unit of force

    def _prior(self, n_trials: int) -> Belief:
        return (np.tile(self._start, (n_trials, 1)),)

    def _believed(self, memory: Memory) -> FloatArray:
        return (memory.belief[0] * self._grid).sum(axis=1)

    def _learn(self, memory: Memory, seen: FloatArray, moved: BoolArray) -> Belief:
        if not moved.any():
            return memory.belief
        share = memory.belief[0].copy()
        size = int(moved.sum()), len(self._grid)
        before, force = (
            np.repeat(each[moved], size[1], axis=0) for each in (memory.before, memory.forces[:, 0])
        )
        expected = ahead(self._plant, before, force, np.tile(self._grid, size[0]))[:, 2:]
        off = seen[moved, None, 2:] - expected.reshape(*size, 2)
        noise = self._per_force**2 * np.maximum(memory.variances[moved, 0], _LEAST) / 2
        misfit = (off**2).sum(axis=2) / (2 * noise[:, None])
        revised = share[moved] * np.exp(misfit.min(axis=1, keepdims=True) - misfit)
        share[moved] = revised / revised.sum(axis=1, keepdims=True)
        return (share,)

    def _between(self, belief: Belief, ended: BoolArray) -> Belief:
        share = belief[0].copy()
        apart = self._grid[:, None] - self._grid
        spread = _normal(apart, self._drift)
        for b in np.flatnonzero(ended):
            drifted = (spread * share[b]).sum(axis=1)
            drifted /= drifted.sum()
            share[b] = (1 - self._forgetting) * drifted + self._forgetting * self._start
        return (share,)


_GRID = 61
_LEAST = 1e-2  # variance of a force, (kg·cm/s²)²


def _normal(places: FloatArray, sd: float) -> FloatArray:
    """A normal distribution at places of a grid, along its last axis."""
    density = np.exp(-0.5 * (places / sd) ** 2)
    return np.asarray(density / density.sum(axis=-1, keepdims=True))
