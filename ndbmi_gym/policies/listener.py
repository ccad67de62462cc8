"""A reference learner that hears spikes alone: a filter with a posterior over the field."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.episodes import BoolArray, FloatArray, IntArray
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.perturbations import Force, forces_of
from ndbmi_gym.plants import POSITION, VELOCITY
from ndbmi_gym.policies.baselines import HasEpisodes
from ndbmi_gym.policies.feedforward import PLAN, Candidates, Plan, must_see, steps_of
from ndbmi_gym.policies.filter import Cloud, ParticleFilter
from ndbmi_gym.policies.learners import DRIFT, FORGETTING, PRIOR_SD
from ndbmi_gym.streams import Streams


class Listener(ParticleFilter):
    """Hears the counts of spikes, and believes in a cloud of states and curls.

    Each particle of the filter has a curl of its own. A reach is planned and controlled as by
    `Feedforward`, on the particles' means. Between the trials of a session the curls are carried
    over: they drift, and some are drawn anew from the prior. It sees no more than an agent does,
    and knows interface, plant and delay, but no schedule.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
        One that shows the counts.
    carries : bool
        Whether curls are carried from trial to trial; otherwise each begins from the prior.
    particles : int
        Per trial.
    prior_sd, forgetting, drift : float
        As of `Bayes`.
    jitter : float
        Standard deviation of the noise that keeps resampled curls apart, kg/s.
    plan : Plan
    **options
        Of `ParticleFilter` and `LookAhead`.

    Raises
    ------
    ValueError
        If the counts are not observed.
    """

    def __init__(
        self,
        env: HasEpisodes,
        carries: bool = True,
        particles: int = 200,
        prior_sd: float = PRIOR_SD,
        forgetting: float = FORGETTING,
        drift: float = DRIFT,
        jitter: float = 0.02,
        plan: Plan = PLAN,
        **options: Any,
    ) -> None:
        must_see(env.unwrapped.episodes, "counts", "neural", type(self).__name__)
        super().__init__(env, knows_force=False, particles=particles, **options)
        self._carries, self._prior_sd, self._jitter = carries, prior_sd, jitter
        self._forgetting, self._drift, self._plan = forgetting, drift, plan
        self._candidates = Candidates(self.episodes, self.tables)

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        known, start = (None, None) if state is None else state
        cloud = self._filtered(observation, known, episode_start)
        step, mean = steps_of(self.episodes), cloud.values.mean(axis=1)
        now = mean[:, -1]
        start = (
            now[:, POSITION]
            if start is None
            else np.where((step == 0)[:, None], now[:, POSITION], start)
        )
        wanted = self._plan.force(
            self.episodes.loops[0].plant,
            start,
            self._see(observation, "target"),
            step,
            np.concatenate([now[:, POSITION], now[:, VELOCITY]], axis=1),
            cloud.forces[..., Force.CURL].mean(axis=1),
        )
        return self._candidates.nearest(mean[:, 0, POSITION], wanted).action, (cloud, start)

    def _begin(
        self,
        begun: BoolArray,
        first: BoolArray,
        before: Cloud,
        target: FloatArray,
        streams: Streams,
    ) -> Cloud:
        """Particles of the trials that begin: at their starts, with the curls of the trials before.

        In the first trials of sessions, the curls are the prior's.
        """
        shape = int(begun.sum()), self._particles
        anew = self._prior_sd * streams.normal(size=shape)
        drifted = before.forces[begun, :, Force.CURL] + self._drift * streams.normal(size=shape)
        forgotten = streams.random(shape) < self._forgetting
        curl = np.where(forgotten | first[begun, None] | (not self._carries), anew, drifted)
        episodes, each = self.episodes, streams.split(shape[1])
        number = np.repeat(episodes.trial[begun], shape[1])
        starts = episodes.task.draw_starts(each, number, episodes.half_side_cm)
        placed = episodes.loops[0].plant.place(starts, forces=forces_of(curl.reshape(-1)))
        past = episodes.config.senses.begun(placed)
        return Cloud(past.reshape(*shape, *past.shape[1:]), placed.forces.reshape(*shape, -1))

    def _move(
        self,
        loop: ClosedLoop,
        cloud: Cloud,
        stimulus: IntArray,
        counts: FloatArray,
        volition: FloatArray,
        trials: IntArray,
        streams: Streams,
    ) -> Cloud:
        cloud.forces[..., Force.CURL] += self._jitter * streams.normal(size=stimulus.shape)
        return super()._move(loop, cloud, stimulus, counts, volition, trials, streams)
