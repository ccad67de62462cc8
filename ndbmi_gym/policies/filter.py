"""Look-ahead on a state that is filtered from the recorded spike counts."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.episodes import BoolArray, FloatArray, IntArray
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.perturbations import Force
from ndbmi_gym.plants import POSITION, Device
from ndbmi_gym.policies.baselines import HasEpisodes
from ndbmi_gym.policies.lookahead import LookAhead
from ndbmi_gym.spikes import SpikeTrains, place
from ndbmi_gym.streams import Streams


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
        self._seed = options.get("seed", 0)

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        n_trials = len(observation)
        begun = np.zeros(n_trials, np.bool_)
        if state is None:
            begun[:] = True
            shape = n_trials, self._particles, self.episodes.state.values.shape[1]
            state = np.empty(shape)
        elif episode_start is not None:
            begun[:] = episode_start
        cloud, streams = state.copy(), self._streams(self._seed, "filter")
        if begun.any():
            own = streams.select(begun)
            cloud[begun] = self._prior(begun, own)
            streams.draws[begun] = own.draws

        # the counts were recorded where the device was before its last move, if it has moved
        counts = np.rint(self._see(observation, "counts"))
        volition = self._see(observation, "action") * self.episodes.max_count
        comb = streams.random(n_trials)
        for loop, mine in self._by_loop():
            if not mine.any():
                continue
            likelihood = _log_likelihood(loop, counts[mine], volition[mine])
            cloud[mine] = self._resample(loop, cloud[mine], likelihood, comb[mine])
            moving = np.flatnonzero(mine & ~begun)
            if len(moving):
                own = streams.select(moving)
                cloud[moving] = self._move(
                    loop, cloud[moving], counts[moving], volition[moving], moving, own
                )
                streams.draws[moving] = own.draws
        estimate = Device(cloud.mean(axis=1))
        return self._choose(estimate, self._goal(observation)), cloud

    def _prior(self, begun: BoolArray, streams: Streams) -> FloatArray:
        """Particles at the start of trials, (B, P, columns)."""
        episodes, shape = self.episodes, (int(begun.sum()), self._particles)
        number = np.repeat(episodes.trial[begun], shape[1])
        each = streams.split(shape[1])
        starts = episodes.task.draw_starts(each, number, episodes.half_side_cm)
        if self._knows_force:
            now = episodes.state.select(np.repeat(np.flatnonzero(begun), shape[1]))
            curl, push = now.curl, now.push
        else:
            drawn = episodes.config.perturbation.sample(each, number)
            curl, push = drawn[:, Force.CURL], drawn[:, Force.PUSH_X :]
        placed = episodes.loops[0].plant.place(starts, curl=curl, push=push)
        return placed.values.reshape(*shape, -1)

    def _resample(
        self, loop: ClosedLoop, cloud: FloatArray, likelihood: FloatArray, offset: FloatArray
    ) -> FloatArray:
        """Systematic resampling by the log likelihood of each stimulus (B, S).

        The comb that chooses begins at an offset in [0, 1) for each trial, (B,).
        """
        n_trials, n_particles = cloud.shape[:2]
        stimulus = loop.interface.sense(cloud[..., POSITION].reshape(-1, 2)).reshape(n_trials, -1)
        weight = np.take_along_axis(likelihood, stimulus, axis=1)
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        share = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
        share[:, -1] = 1.0
        comb = (np.arange(n_particles) + offset[:, None]) / n_particles
        chosen = [np.searchsorted(s, c) for s, c in zip(share, comb, strict=True)]
        return np.take_along_axis(cloud, np.array(chosen)[..., None], axis=1)

    def _move(
        self,
        loop: ClosedLoop,
        cloud: FloatArray,
        counts: FloatArray,
        volition: FloatArray,
        trials: IntArray,
        streams: Streams,
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
                streams,
            )
            force = loop.field(loop.interface.decode(trains, loop.decoder))
        moved = loop.plant.advance(Device(cloud.reshape(-1, cloud.shape[-1])), force).values
        noise = streams.normal(0.0, self._jitter_cm, (*cloud.shape[:2], 2))
        moved[:, POSITION] += noise.reshape(-1, 2)
        return moved.reshape(cloud.shape)


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
    streams: Streams,
) -> SpikeTrains:
    """Responses of counts and volition (B, n) under stimuli (B, P), at times drawn anew, B·P."""
    cortex = loop.rates("a filter")
    every = np.arange(cortex.n_stimuli)
    rows, sizes = [], []
    trials = zip(streams.generators(), counts, volition, stimulus, strict=True)
    for rng, own, added, particles in trials:
        profile = cortex.profile(every, np.tile(added, (len(every), 1)))[particles]
        tiled = np.tile(own, (len(particles), 1))
        rows.append(place(rng, tiled, profile, cortex.nodes).rows)
        sizes += [int(own.sum())] * len(particles)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return SpikeTrains(np.concatenate(rows), offsets, cortex.n_electrodes, cortex.n_bins)
