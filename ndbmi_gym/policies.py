"""Baseline policies: numpy only, with the `predict` of Stable-Baselines3 models.

The floor (zero volition), the paper's own command (Eq 24), random volition, and reference ceilings.
`Zero`, `Random` and `Eq24` act on what an agent sees and on the calibrated interface. The ceilings
are privileged: they look into the environment that they were made for.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.episodes import Episodes
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.plant import Device

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Actions = npt.NDArray[np.float32]


class HasEpisodes(Protocol):
    """An environment of this package, scalar or vector."""

    episodes: Episodes


class Policy:
    """A policy for the trials of one environment.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
        The unwrapped environment.
    """

    def __init__(self, env: HasEpisodes) -> None:
        self.episodes = env.episodes

    def predict(
        self,
        observation: npt.NDArray[Any],
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[Actions, Any]:
        """Actions for observations (B, d), or for a single one (d,).

        Parameters
        ----------
        observation : ndarray (B, d) or (d,)
        state : object
            What the last call returned; None at first.
        episode_start : ndarray of bool (B,), optional
            Trials that have just begun.
        deterministic : bool
            Ignored: a baseline has one way of acting.

        Returns
        -------
        action : ndarray (B, n) or (n,)
        state : object
        """
        single = observation.ndim == 1
        action, state = self._act(np.atleast_2d(observation), state, episode_start)
        clipped: Actions = np.clip(action, self.episodes.low, 1.0).astype(np.float32)
        return (clipped[0] if single else clipped), state

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        raise NotImplementedError

    def _see(self, observation: npt.NDArray[Any], name: str) -> FloatArray:
        """A quantity of the observation, in physical units."""
        episodes = self.episodes
        return np.asarray(observation[:, episodes.columns[name]], float) * episodes.scales[name]

    def _by_loop(self) -> list[tuple[ClosedLoop, BoolArray]]:
        """Each animal's loop and which trials are its."""
        animal = self.episodes.animal
        return [(loop, animal == i) for i, loop in enumerate(self.episodes.loops)]


class Zero(Policy):
    """No volition: the device follows the field to its own target, as in the paper."""

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        return np.zeros((len(observation), self.episodes.n_units)), None


class Random(Policy):
    """Volition drawn uniformly from the action box.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    seed : int
    """

    def __init__(self, env: HasEpisodes, seed: int = 0) -> None:
        super().__init__(env)
        self._rng = np.random.default_rng(seed)

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        size = (len(observation), self.episodes.n_units)
        return self._rng.uniform(self.episodes.low, 1.0, size), None


class Eq24(Policy):
    """The paper's volitional command (Eq 24), constant in a trial.

    For a target x_T in a field that is radial around 0 it is the mean response of the stimulus
    whose site is nearest to −x_T: alone, it would push from the equilibrium towards the target.
    """

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        target = self._see(observation, "target")
        counts = np.zeros((len(observation), self.episodes.n_units))
        for loop, mine in self._by_loop():
            stimulus = loop.interface.sense(-target[mine])
            counts[mine] = loop.cortex.mean_counts(stimulus, np.zeros_like(counts[mine]))
        return counts / self.episodes.max_count, None


class LookAhead(Policy):
    """Privileged ceiling: one step of look-ahead on the true state.

    Candidate volitions are judged by where their expected decoded force would bring the device:
    the squared distance to the target from x′ + `lead_s`·v′, plus what the force's variance adds.
    The candidates are the stimuli's mean responses times gains, and fill-ins that turn the evoked
    response into such a multiple. Their force is tabulated for every stimulus by simulation.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    gains : tuple of float
        Multiples of the stimuli's mean responses.
    lead_s : float
        How far ahead the velocity is extrapolated, s.
    samples : int
        Simulated responses per entry of the table.
    seed : int
        Of those responses.
    """

    def __init__(
        self,
        env: HasEpisodes,
        gains: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5),
        lead_s: float = 0.25,
        samples: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__(env)
        self._lead_s = lead_s
        rng = np.random.default_rng(seed)
        low = self.episodes.low * self.episodes.max_count
        self._tables = [
            _tabulate(loop, gains, low, self.episodes.max_count, samples, rng)
            for loop in self.episodes.loops
        ]

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        device = self.episodes.state
        return self._choose(device, self._see(observation, "target")), None

    def _choose(self, device: Device, target: FloatArray) -> FloatArray:
        """Best candidate for devices (B) and targets (B, 2), as actions (B, n)."""
        action = np.zeros((len(target), self.episodes.n_units))
        for (loop, mine), (volition, mean, variance) in zip(
            self._by_loop(), self._tables, strict=True
        ):
            if not mine.any():
                continue
            here = device.select(mine)
            stimulus = loop.interface.sense(here.position)
            n_trials, n_candidates = len(stimulus), volition.shape[1]
            repeated = Device(np.repeat(here.values, n_candidates, axis=0))
            moved = loop.plant.advance(repeated, mean[stimulus].reshape(-1, 2))
            ahead = (moved.position + self._lead_s * moved.velocity).reshape(n_trials, -1, 2)
            miss = ((ahead - target[mine][:, None]) ** 2).sum(axis=-1)
            reach = loop.plant.advance(loop.plant.place(np.zeros((1, 2))), np.array([[1.0, 0.0]]))
            gain = float((reach.position + self._lead_s * reach.velocity)[0, 0])
            best = (miss + gain**2 * variance[stimulus]).argmin(axis=1)
            action[mine] = volition[stimulus, best] / self.episodes.max_count
        return action


class BayesFilter(LookAhead):
    """Privileged ceiling for neural observation: `LookAhead` on a filtered state.

    The filter knows the interface, the start square, the perturbation and the force that was
    commanded, but neither position nor velocity. A trial's motion is then determined by its start:
    a set of starts all along the square is moved with the commanded forces and weighted by the
    likelihood of the recorded spike counts.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    particles : int
        Starts in the set.
    **options
        Of `LookAhead`.
    """

    def __init__(self, env: HasEpisodes, particles: int = 400, **options: Any) -> None:
        super().__init__(env, **options)
        task, half_side = self.episodes.task, self.episodes.half_side_cm
        self._starts = task.on_square((np.arange(particles) + 0.5) / particles, half_side)

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        episodes, n_trials, n_starts = self.episodes, len(observation), len(self._starts)
        begun = np.ones(n_trials, np.bool_)
        if state is not None:
            begun = np.zeros(n_trials, np.bool_)
            if episode_start is not None:
                begun = np.asarray(episode_start, np.bool_)
        truth = episodes.state.values
        values = np.repeat(truth, n_starts, axis=0)
        values[:, 0:2], values[:, 2:4] = np.tile(self._starts, (n_trials, 1)), 0.0
        log_weight = np.zeros((n_trials, n_starts))
        if state is not None:
            old_values, old_weight = state
            going = np.repeat(~begun, n_starts)
            values[going] = old_values[going]
            log_weight[~begun] = old_weight[~begun]

        # the counts were recorded before the last move, at the first stimulus before any
        counts, volition = self._see(observation, "counts"), self._see(observation, "action")
        for loop, mine in self._by_loop():
            if not mine.any():
                continue
            seen = counts[mine], volition[mine] * episodes.max_count
            likelihood = _log_likelihood(loop, *seen)
            place = values[np.repeat(mine, n_starts), 0:2]
            stimulus = loop.interface.sense(place).reshape(-1, n_starts)
            log_weight[mine] += np.take_along_axis(likelihood, stimulus, axis=1)
        log_weight -= log_weight.max(axis=1, keepdims=True)
        going = np.repeat(~begun, n_starts)
        force = np.repeat(episodes.signals.force, n_starts, axis=0)
        plant = episodes.loops[0].plant
        if going.any():
            values[going] = plant.advance(Device(values[going]), force[going]).values

        weight = np.exp(log_weight)
        weight /= weight.sum(axis=1, keepdims=True)
        estimate = (weight[:, :, None] * values.reshape(n_trials, n_starts, -1)).sum(axis=1)
        action = self._choose(Device(estimate), self._see(observation, "target"))
        return action, (values, log_weight)


def _tabulate(
    loop: ClosedLoop,
    gains: tuple[float, ...],
    low: float,
    high: float,
    samples: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Candidate volitions by stimulus (S, C, n), mean (S, C, 2) and variance of their force."""
    n_stimuli, n_units = loop.cortex.n_stimuli, loop.cortex.n_units
    every = np.arange(n_stimuli)
    evoked = loop.cortex.mean_counts(every, np.zeros((n_stimuli, n_units)))
    wanted = np.concatenate([gain * evoked for gain in gains])  # (C', n)
    alone = np.broadcast_to(wanted, (n_stimuli, *wanted.shape))
    filled = wanted - evoked[:, None]
    nothing = np.zeros((n_stimuli, 1, n_units))
    volition = np.clip(np.concatenate([nothing, alone, filled], axis=1), low, high)
    stimulus = np.repeat(every, volition.shape[1])
    mean, variance = loop.expected_force(stimulus, volition.reshape(-1, n_units), rng, samples)
    return volition, mean.reshape(n_stimuli, -1, 2), variance.reshape(n_stimuli, -1)


def _log_likelihood(loop: ClosedLoop, counts: FloatArray, volition: FloatArray) -> FloatArray:
    """Log likelihood of Poisson counts (B, n) under every stimulus, up to a constant, (B, S)."""
    n_trials, n_stimuli = len(counts), loop.cortex.n_stimuli
    stimulus = np.tile(np.arange(n_stimuli), n_trials)
    mean = loop.cortex.mean_counts(stimulus, np.repeat(volition, n_stimuli, axis=0))
    mean = np.maximum(mean, 1e-3).reshape(n_trials, n_stimuli, -1)
    return np.asarray((counts[:, None] * np.log(mean) - mean).sum(axis=-1))


def _ceiling(env: HasEpisodes) -> Policy:
    neural = env.episodes.config.observe == "neural"
    return BayesFilter(env) if neural else LookAhead(env)


_MAKERS: dict[str, Callable[[HasEpisodes], Policy]] = {
    "zero": Zero,
    "eq24": Eq24,
    "random": Random,
    "ceiling": _ceiling,
}

POLICIES = tuple(_MAKERS)
"""Names of the baseline policies."""


def make_policy(name: str, env: HasEpisodes) -> Policy:
    """Make a baseline policy for an environment.

    Parameters
    ----------
    name : {"zero", "eq24", "random", "ceiling"}
        The ceiling is `BayesFilter` for neural observation, else `LookAhead`.
    env : BMIEnv or BMIVectorEnv
        The unwrapped environment.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in _MAKERS:
        raise ValueError(f"unknown policy {name!r}: choose one of {', '.join(POLICIES)}")
    return _MAKERS[name](env)
