"""Look-ahead on a state that is filtered from the recorded spike counts."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.cortex import decoded
from ndbmi_gym.episodes import BoolArray, FloatArray, IntArray
from ndbmi_gym.fields import takes_of
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.perturbations import N_FORCES, Which, channelled
from ndbmi_gym.plants import POSITION, Device
from ndbmi_gym.policies.baselines import HasEpisodes
from ndbmi_gym.policies.lookahead import LookAhead
from ndbmi_gym.senses import Senses
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
    filter sees no more than an agent does, but knows interface, cortex, plant, the delay and noise
    of the senses, and the schedule of perturbations: it tells what the observation allows. What a
    cortex carries from step to step is not known to it. In a session every trial begins anew. A
    field of velocity is taken at rest.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    knows_force : bool
        Whether the commanded force and the trial's perturbation are read from the environment.
    particles : int
        Particles per trial.
    jitter_cm : float
        Standard deviation of the noise that keeps resampled particles apart.
    knows_senses : bool
        Whether it knows the delay and noise of the senses, rather than take them for none.
    **options
        Of `LookAhead`.
    """

    def __init__(
        self,
        env: HasEpisodes,
        knows_force: bool = True,
        particles: int = 200,
        jitter_cm: float = 0.05,
        knows_senses: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(env, **options)
        self._knows_force = knows_force
        self._particles = particles
        self._jitter_cm = jitter_cm
        self._seed = options.get("seed", 0)
        self._senses = self.episodes.config.senses if knows_senses else Senses()

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        cloud = self._filtered(observation, state, episode_start)
        mean = cloud.values.mean(axis=1)
        estimate = Device(mean[:, -1], cloud.forces.mean(axis=1))
        return self._choose(estimate, mean[:, 0, POSITION], self._goal(observation)), cloud

    def _filtered(
        self,
        observation: npt.NDArray[Any],
        state: "Cloud | None",
        episode_start: npt.NDArray[Any] | None,
    ) -> "Cloud":
        """The particles by what is observed now, from those of the step before."""
        n_trials = len(observation)
        begun = np.zeros(n_trials, np.bool_)
        if state is None:
            begun[:] = True
            shape = n_trials, self._particles
            past = self._senses.delay_steps + 1
            state = Cloud(
                np.zeros((*shape, past, self.episodes.state.values.shape[1])),
                np.zeros((*shape, N_FORCES)),
            )
        elif episode_start is not None:
            begun[:] = episode_start
        first = begun.copy()  # of a session, or trials by themselves
        if self.episodes.config.session.on:
            begun |= self.episodes.trial_step == 0
        cloud, streams = state.select(slice(None)), self._streams(self._seed, "filter")
        if begun.any():
            own = streams.select(begun)
            target = self._see(observation, "target")
            cloud.put(begun, self._begin(begun, first, cloud, target, own))
            streams.draws[begun] = own.draws

        # the counts were recorded where the device was before its last move, if it has moved
        counts = np.rint(self._see(observation, "counts"))
        volition = self._see(observation, "action") * self.episodes.max_count
        comb = streams.random(n_trials)
        noise_cm = self._senses.noise_cm
        sensed = cloud.values[:, :, 0, POSITION]
        if noise_cm > 0:
            sensed = sensed + streams.normal(0.0, noise_cm, sensed.shape)
        for loop, mine in self._by_loop():
            if not mine.any():
                continue
            likelihood = _log_likelihood(loop, counts[mine], volition[mine])
            stimulus = loop.interface.sense(sensed[mine].reshape(-1, 2))
            stimulus = stimulus.reshape(-1, self._particles)
            chosen = _resampled(likelihood, stimulus, comb[mine])
            cloud.put(mine, cloud.select(mine).resampled(chosen))
            stimulus = np.take_along_axis(stimulus, chosen, axis=1)
            moving = mine & ~begun
            if moving.any():
                own = streams.select(moving)
                moved = self._move(
                    loop,
                    cloud.select(moving),
                    stimulus[moving[mine]],
                    counts[moving],
                    volition[moving],
                    np.flatnonzero(moving),
                    own,
                )
                cloud.put(moving, moved)
                streams.draws[moving] = own.draws
        return cloud

    def _begin(
        self,
        begun: BoolArray,
        first: BoolArray,
        before: "Cloud",
        target: FloatArray,
        streams: Streams,
    ) -> "Cloud":
        """Particles of the trials that begin: the same whether first of a session or not."""
        return self._prior(begun, target, streams)

    def _prior(self, begun: BoolArray, target: FloatArray, streams: Streams) -> "Cloud":
        """Particles at the start of trials."""
        episodes, shape = self.episodes, (int(begun.sum()), self._particles)
        which = np.repeat(np.flatnonzero(begun), shape[1])
        each = streams.split(shape[1])
        number = episodes.trial[which]
        starts = episodes.task.draw_starts(each, number, episodes.half_side_cm)
        if self._knows_force:
            forces = episodes.state.forces[which]
        else:
            of = Which(number, episodes.animals[episodes.animal[which]], each)
            drawn = episodes.config.perturbation.sample(each, of)
            forces = channelled(drawn, starts, target[which])
        placed = episodes.loops[0].plant.place(starts, forces=forces)
        past = self._senses.begun(placed)
        return Cloud(past.reshape(*shape, *past.shape[1:]), forces.reshape(*shape, -1))

    def _move(
        self,
        loop: ClosedLoop,
        cloud: "Cloud",
        stimulus: IntArray,
        counts: FloatArray,
        volition: FloatArray,
        trials: IntArray,
        streams: Streams,
    ) -> "Cloud":
        """Move the particles of some trials by the force commanded or inferred."""
        if self._knows_force:
            force = np.repeat(self.episodes.signals.force[trials], self._particles, axis=0)
        else:
            trains = _retimed(loop, counts.astype(np.int64), volition, stimulus, streams)
            point = loop.interface.decode(trains, loop.decoder)
            if takes_of(loop.field):
                heard = np.repeat(counts.astype(np.int64), self._particles, axis=0)
                force = loop.steer(point, heard)
            else:
                force = loop.field(point)
        n_trials, n_particles, _, n_columns = cloud.values.shape
        now = Device(
            np.ascontiguousarray(cloud.values[:, :, -1].reshape(-1, n_columns)),
            cloud.forces.reshape(-1, N_FORCES),
        )
        moved = loop.plant.advance(now, force).values
        noise = streams.normal(0.0, self._jitter_cm, (n_trials, n_particles, 2))
        moved[:, POSITION] += noise.reshape(-1, 2)
        newest = moved.reshape(n_trials, n_particles, 1, n_columns)
        return Cloud(np.concatenate((cloud.values[:, :, 1:], newest), axis=2), cloud.forces)


class Cloud(NamedTuple):
    """Particles of B trials.

    Attributes
    ----------
    values : ndarray (B, P, d + 1, columns)
        Devices d steps ago to now (`ndbmi_gym.plants.Column`).
    forces : ndarray (B, P, 17)
        What perturbs them (`ndbmi_gym.perturbations.Force`).
    """

    values: FloatArray
    forces: FloatArray

    def select(self, trials: Any) -> "Cloud":
        """Those of some trials, copied."""
        return Cloud(np.array(self.values[trials]), np.array(self.forces[trials]))

    def put(self, trials: Any, others: "Cloud") -> None:
        """Replace those of some trials."""
        self.values[trials], self.forces[trials] = others

    def resampled(self, chosen: IntArray) -> "Cloud":
        """The particles of each trial with these indices, (B, P)."""
        return Cloud(
            np.take_along_axis(self.values, chosen[..., None, None], axis=1),
            np.take_along_axis(self.forces, chosen[..., None], axis=1),
        )


def _resampled(likelihood: FloatArray, stimulus: IntArray, offset: FloatArray) -> IntArray:
    """Indices of systematic resampling by the log likelihood of each stimulus (B, S), (B, P).

    The comb that chooses begins at an offset in [0, 1) for each trial, (B,).
    """
    n_particles = stimulus.shape[1]
    weight = np.take_along_axis(likelihood, stimulus, axis=1)
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    share = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    share[:, -1] = 1.0
    comb = (np.arange(n_particles) + offset[:, None]) / n_particles
    chosen = [np.searchsorted(s, c) for s, c in zip(share, comb, strict=True)]
    return np.array(chosen)


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
    every, n = np.arange(cortex.n_stimuli), decoded(cortex)
    rows, sizes = [], []
    trials = zip(streams.generators(), counts, volition, stimulus, strict=True)
    for rng, own, added, particles in trials:
        profile = cortex.profile(every, np.tile(added, (len(every), 1)))[particles]
        tiled = np.tile(own[:n], (len(particles), 1))
        rows.append(place(rng, tiled, profile, cortex.nodes).rows)
        sizes += [int(own[:n].sum())] * len(particles)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return SpikeTrains(np.concatenate(rows), offsets, n, cortex.n_bins)
