"""Baseline policies: numpy only, with the `predict` of Stable-Baselines3 models.

The floor (zero volition), the paper's own command (Eq 24), random volition, a filter that acts on
what an agent sees and on knowledge of interface and plant, and the reference ceilings, which are
privileged: they look into the environment that they were made for.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.episodes import Episodes
from ndbmi_gym.inversion import command, displacing
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.perturbations import Force
from ndbmi_gym.plants import POSITION, Device
from ndbmi_gym.spikes import SpikeTrains, place
from ndbmi_gym.streams import policy_rng

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Actions = npt.NDArray[np.float32]


class HasEpisodes(Protocol):
    """An environment of this package, scalar or vector, wrapped or not."""

    @property
    def unwrapped(self) -> Any:
        """The environment itself, which has `episodes`."""


class Policy:
    """A policy for the trials of one environment.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
        Wrapped or not.
    """

    def __init__(self, env: HasEpisodes) -> None:
        self.episodes: Episodes = env.unwrapped.episodes

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
        layout = self.episodes.layout
        return np.asarray(observation[:, layout.columns[name]], float) * layout.scales[name]

    def _by_loop(self) -> list[tuple[ClosedLoop, BoolArray]]:
        """Each animal's loop and which trials are its."""
        animal = self.episodes.animal
        return [(loop, animal == i) for i, loop in enumerate(self.episodes.loops)]


class Zero(Policy):
    """No volition: the device follows the field to its own target, as in the paper."""

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        return np.zeros((len(observation), self.episodes.n_electrodes)), None


class Random(Policy):
    """Volition drawn uniformly from the action box.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    seed : int
    """

    def __init__(self, env: HasEpisodes, seed: int = 0) -> None:
        super().__init__(env)
        self._rng = policy_rng(seed, "random")

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        size = (len(observation), self.episodes.n_electrodes)
        return self._rng.uniform(self.episodes.low, 1.0, size), None


class Eq24(Policy):
    """The paper's volitional command (Eq 24), constant in a trial.

    For a target x_T in a field that is radial around 0 it is the mean response of the stimulus
    whose site is nearest to −x_T: alone, it would push from the equilibrium towards the target.
    Through a circuit it is the input that displaces the decoded point by −x_T
    (`ndbmi_gym.inversion`).
    """

    def __init__(self, env: HasEpisodes) -> None:
        super().__init__(env)
        self._commands: dict[tuple[int, bytes], FloatArray] = {}

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        episodes = self.episodes
        target = self._see(observation, "target")
        counts = np.empty((len(observation), episodes.n_electrodes))
        for b, (animal, wanted) in enumerate(zip(episodes.animal, target, strict=True)):
            key = int(animal), wanted.tobytes()
            if key not in self._commands:
                low = episodes.low * episodes.max_count
                made = command(episodes.loops[animal], wanted[None], low, episodes.max_count)
                self._commands[key] = made[0]
            counts[b] = self._commands[key]
        return counts / episodes.max_count, None


class LookAhead(Policy):
    """Privileged ceiling: one step of look-ahead on the true state.

    Candidate volitions are judged by where their expected decoded force would bring the device:
    the squared distance to the target from x′ + `lead_s`·v′, plus what the force's variance adds.
    The candidates are the stimuli's mean responses times gains, and fill-ins that turn the evoked
    response into such a multiple; through a circuit, the inputs that displace the decoded point in
    16 directions. Their force is tabulated for every stimulus by simulation. What a cortex carries
    from step to step is not known to it.

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
        for loop in self.episodes.loops:
            loop.rates(type(self).__name__)
        rng = policy_rng(seed, "lookahead")
        low = self.episodes.low * self.episodes.max_count
        self._tables = [
            _tabulate(
                loop,
                _candidates(loop, gains, low, self.episodes.max_count),
                samples,
                rng,
            )
            for loop in self.episodes.loops
        ]

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        device = self.episodes.state
        return self._choose(device, self._see(observation, "target")), None

    def _choose(self, device: Device, target: FloatArray) -> FloatArray:
        """Best candidate for devices (B) and targets (B, 2), as actions (B, n)."""
        action = np.zeros((len(target), self.episodes.n_electrodes))
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
            best = (miss + self._gain(loop) ** 2 * variance[stimulus]).argmin(axis=1)
            action[mine] = volition[stimulus, best] / self.episodes.max_count
        return action

    def _gain(self, loop: ClosedLoop) -> float:
        """How far a unit of force carries the extrapolated position in a step, cm."""
        two = loop.plant.place(np.zeros((2, 2)))
        moved = loop.plant.advance(two, np.array([[0.0, 0.0], [1.0, 0.0]]))
        ahead = moved.position + self._lead_s * moved.velocity
        return float(ahead[1, 0] - ahead[0, 0])


class ParticleFilter(LookAhead):
    """`LookAhead` on a state that is filtered from the recorded spike counts.

    Particles start all along the start square, at rest. At every step they are weighted by the
    likelihood of the counts at their stimulus, resampled, and moved by the commanded force.

    With ``knows_force`` that force is read from the environment: the privileged ceiling for neural
    observation. Without, it is drawn from what the counts leave open. Given its counts, a Poisson
    response has independent spike times, uniform where rates are constant and otherwise as its
    stimulus and volition make them likely, so each particle decodes such times of its own. This
    filter sees no more than an agent does, but knows interface, cortex, plant and the range of
    perturbations: it tells what the observation allows. What a cortex carries from step to step is
    not known to it.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    knows_force : bool
        Whether the commanded force and the trial's perturbation are read from the environment.
    particles : int
        Particles per trial.
    jitter_cm : float
        Standard deviation of the noise that keeps resampled particles apart.
    **options
        Of `LookAhead`.
    """

    def __init__(
        self,
        env: HasEpisodes,
        knows_force: bool = True,
        particles: int = 200,
        jitter_cm: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(env, **options)
        self._knows_force = knows_force
        self._particles = particles
        self._jitter_cm = jitter_cm
        self._rng = policy_rng(options.get("seed", 0), "filter")

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        n_trials = len(observation)
        begun = np.zeros(n_trials, np.bool_)
        if state is None:
            begun[:] = True
            state = np.empty((n_trials, self._particles, self.episodes.state.values.shape[1]))
        elif episode_start is not None:
            begun[:] = episode_start
        cloud = state.copy()
        if begun.any():
            cloud[begun] = self._prior(begun)

        # the counts were recorded where the device was before its last move, if it has moved
        counts = np.rint(self._see(observation, "counts"))
        volition = self._see(observation, "action") * self.episodes.max_count
        for loop, mine in self._by_loop():
            if not mine.any():
                continue
            likelihood = _log_likelihood(loop, counts[mine], volition[mine])
            cloud[mine] = self._resample(loop, cloud[mine], likelihood)
            moving = np.flatnonzero(mine & ~begun)
            if len(moving):
                cloud[moving] = self._move(
                    loop, cloud[moving], counts[moving], volition[moving], moving
                )
        estimate = Device(cloud.mean(axis=1))
        return self._choose(estimate, self._see(observation, "target")), cloud

    def _prior(self, begun: BoolArray) -> FloatArray:
        """Particles at the start of trials, (B, P, 9)."""
        episodes, shape = self.episodes, (int(begun.sum()), self._particles)
        starts = episodes.task.draw_starts(self._rng, shape[0] * shape[1], episodes.half_side_cm)
        if self._knows_force:
            now = episodes.state.select(np.repeat(np.flatnonzero(begun), shape[1]))
            curl, push = now.curl, now.push
        else:
            number = np.repeat(episodes.trial[begun], shape[1])
            drawn = episodes.config.perturbation.sample(self._rng, number)
            curl, push = drawn[:, Force.CURL], drawn[:, Force.PUSH_X :]
        placed = episodes.loops[0].plant.place(starts, curl=curl, push=push)
        return placed.values.reshape(*shape, -1)

    def _resample(self, loop: ClosedLoop, cloud: FloatArray, likelihood: FloatArray) -> FloatArray:
        """Systematic resampling by the log likelihood of each stimulus (B, S)."""
        n_trials, n_particles = cloud.shape[:2]
        stimulus = loop.interface.sense(cloud[..., POSITION].reshape(-1, 2)).reshape(n_trials, -1)
        weight = np.take_along_axis(likelihood, stimulus, axis=1)
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        share = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
        share[:, -1] = 1.0
        comb = (np.arange(n_particles) + self._rng.random((n_trials, 1))) / n_particles
        chosen = [np.searchsorted(s, c) for s, c in zip(share, comb, strict=True)]
        return np.take_along_axis(cloud, np.array(chosen)[..., None], axis=1)

    def _move(
        self,
        loop: ClosedLoop,
        cloud: FloatArray,
        counts: FloatArray,
        volition: FloatArray,
        trials: IntArray,
    ) -> FloatArray:
        """Move the particles of some trials by the force commanded or inferred."""
        if self._knows_force:
            force = np.repeat(self.episodes.signals.force[trials], self._particles, axis=0)
        else:
            stimulus = loop.interface.sense(cloud[..., POSITION].reshape(-1, 2))
            trains = _retimed(
                loop,
                counts.astype(np.int64),
                volition,
                stimulus.reshape(cloud.shape[:2]),
                self._rng,
            )
            force = loop.field(loop.interface.decode(trains, loop.decoder))
        moved = loop.plant.advance(Device(cloud.reshape(-1, cloud.shape[-1])), force).values
        moved[:, POSITION] += self._rng.normal(0.0, self._jitter_cm, (len(moved), 2))
        return moved.reshape(cloud.shape)


def _candidates(loop: ClosedLoop, gains: tuple[float, ...], low: float, high: float) -> FloatArray:
    """Volitions that a look-ahead chooses from, by stimulus, (S, C, n)."""
    cortex = loop.rates("a look-ahead")
    n_stimuli, n_electrodes = cortex.n_stimuli, cortex.n_electrodes
    nothing = np.zeros((n_stimuli, 1, n_electrodes))
    if not cortex.volition_adds:
        angle = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
        ring = np.column_stack((np.cos(angle), np.sin(angle)))
        sizes = loop.interface.half_side_cm * np.array(_DISPLACEMENTS)
        wanted = np.array(
            [
                displacing(cortex, loop.interface, displacement, low, high)
                for displacement in (sizes[:, None, None] * ring).reshape(-1, 2)
            ]
        )
        alone = np.broadcast_to(wanted, (n_stimuli, *wanted.shape))
        return np.concatenate([nothing, alone], axis=1)
    evoked = cortex.mean_counts(np.arange(n_stimuli), nothing[:, 0])
    wanted = np.concatenate([gain * evoked for gain in gains])  # (C', n)
    alone = np.broadcast_to(wanted, (n_stimuli, *wanted.shape))
    filled = wanted - evoked[:, None]
    return np.clip(np.concatenate([nothing, alone, filled], axis=1), low, high)


_DIRECTIONS = 16
_DISPLACEMENTS = (0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.4)
"""Sizes of the displacements that a look-ahead through a circuit tries, in half sides."""


def _tabulate(
    loop: ClosedLoop, volition: FloatArray, samples: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The volitions (S, C, n), with mean (S, C, 2) and variance of the force of each."""
    # one stimulus at a time: all 4 million responses of set 7 at once would take 20 GB
    forces = [
        loop.expected_force(np.full(len(added), stimulus), added, rng, samples)
        for stimulus, added in enumerate(volition)
    ]
    mean, variance = zip(*forces, strict=True)
    return volition, np.stack(mean), np.stack(variance)


def _log_likelihood(loop: ClosedLoop, counts: FloatArray, volition: FloatArray) -> FloatArray:
    """Log likelihood of Poisson counts (B, n) under every stimulus, up to a constant, (B, S)."""
    cortex = loop.rates("a filter")
    n_trials, n_stimuli = len(counts), cortex.n_stimuli
    stimulus = np.tile(np.arange(n_stimuli), n_trials)
    mean = cortex.mean_counts(stimulus, np.repeat(volition, n_stimuli, axis=0))
    mean = np.maximum(mean, 1e-3).reshape(n_trials, n_stimuli, -1)
    return np.asarray((counts[:, None] * np.log(mean) - mean).sum(axis=-1))


def _retimed(
    loop: ClosedLoop,
    counts: IntArray,
    volition: FloatArray,
    stimulus: IntArray,
    rng: np.random.Generator,
) -> SpikeTrains:
    """Responses of counts and volition (B, n) under stimuli (B, P), at times drawn anew, B·P."""
    cortex = loop.rates("a filter")
    every = np.arange(cortex.n_stimuli)
    rows, sizes = [], []
    for own, added, particles in zip(counts, volition, stimulus, strict=True):
        profile = cortex.profile(every, np.tile(added, (len(every), 1)))[particles]
        tiled = np.tile(own, (len(particles), 1))
        rows.append(place(rng, tiled, profile, cortex.nodes).rows)
        sizes += [int(own.sum())] * len(particles)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return SpikeTrains(np.concatenate(rows), offsets, cortex.n_electrodes, cortex.n_bins)


def _ceiling(env: HasEpisodes) -> Policy:
    neural = env.unwrapped.episodes.config.observation.observe == "neural"
    return ParticleFilter(env, particles=600) if neural else LookAhead(env)


def _filter(env: HasEpisodes) -> Policy:
    if "counts" not in env.unwrapped.episodes.layout.columns:
        raise ValueError("the filter listens to spike counts: set observe='neural' or 'full'")
    return ParticleFilter(env, knows_force=False)


_MAKERS: dict[str, Callable[[HasEpisodes], Policy]] = {
    "zero": Zero,
    "eq24": Eq24,
    "random": Random,
    "filter": _filter,
    "ceiling": _ceiling,
}


POLICIES = tuple(_MAKERS)
"""Names of the baseline policies."""


def make_policy(name: str, env: HasEpisodes) -> Policy:
    """Make a baseline policy for an environment.

    Parameters
    ----------
    name : {"zero", "eq24", "random", "filter", "ceiling"}
        The filter is a `ParticleFilter` that sees no more than an agent; the ceiling is one that
        knows the commanded force for neural observation, else `LookAhead`.
    env : BMIEnv or BMIVectorEnv
        Wrapped or not.

    Raises
    ------
    ValueError
        If the name is unknown, or the filter would have no counts to listen to.
    """
    if name not in _MAKERS:
        raise ValueError(f"unknown policy {name!r}: choose one of {', '.join(POLICIES)}")
    return _MAKERS[name](env)
