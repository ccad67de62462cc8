"""Policies without a model of the loop: zero volition, Eq 24's command, random volition."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.episodes import BoolArray, Episodes, FloatArray
from ndbmi_gym.inversion import command
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.streams import Streams, policy_streams

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
        self._drawn_from: Streams | None = None

    def predict(
        self,
        observation: npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]],
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[Actions, Any]:
        """Actions for observations (B, d), or for a single one (d,).

        Parameters
        ----------
        observation : ndarray (B, d) or (d,), or dict of such
            A dictionary is that of a goal environment.
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
        if isinstance(observation, Mapping):
            rest, goal = observation["observation"], observation["desired_goal"]
            observation = self.episodes.layout.with_target(rest, goal)
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

    def _aim(self, observation: npt.NDArray[Any], ahead_s: float) -> FloatArray:
        """Where to be so much later, by the target that is observed, (B, 2), cm.

        That is the target, unless the task says otherwise: one may demand a movement rather than a
        place (`place_at`, as `ndbmi_gym.tasks.rhythm.Rhythm` has it).
        """
        episodes, target = self.episodes, self._see(observation, "target")
        place_at = getattr(episodes.task, "place_at", None)
        if place_at is None:
            return target
        when = episodes.state.time_s + ahead_s
        return np.asarray(place_at(target, when, episodes.half_side_cm))

    def _streams(self, seed: int, use: Literal["random", "filter"]) -> Streams:
        """A stream for each trial: as it stands, or from its beginning where the trial is new."""
        fresh = policy_streams(self.episodes.streams, seed, use)
        known = self._drawn_from
        if known is not None:
            going_on = (known.keys == fresh.keys).all(axis=1)
            fresh.draws[going_on] = known.draws[going_on]
        self._drawn_from = fresh
        return fresh

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
    """Volition drawn uniformly from the action box, in each trial from a stream of its own.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    seed : int
    """

    def __init__(self, env: HasEpisodes, seed: int = 0) -> None:
        super().__init__(env)
        self._seed = seed

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        streams = self._streams(self._seed, "random")
        size = (len(observation), self.episodes.n_electrodes)
        return self.episodes.low + (1.0 - self.episodes.low) * streams.random(size), None


class Eq24(Policy):
    """The paper's volitional command (Eq 24), constant in a trial whose target is a place.

    For a target x_T in a field that is radial around 0 it is the mean response of the stimulus
    whose site is nearest to −x_T: alone, it would push from the equilibrium towards the target.
    Through a circuit it is the input that displaces the decoded point by −x_T
    (`ndbmi_gym.inversion`). Where a task demands a movement, x_T runs as is demanded, by the clock.
    """

    def __init__(self, env: HasEpisodes) -> None:
        super().__init__(env)
        self._commands: dict[tuple[int, bytes], FloatArray] = {}

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        episodes = self.episodes
        target = self._aim(observation, episodes.loops[0].plant.step_s)
        counts = np.empty((len(observation), episodes.n_electrodes))
        for b, (animal, wanted) in enumerate(zip(episodes.animal, target, strict=True)):
            key = int(animal), wanted.tobytes()
            if key not in self._commands:
                low = episodes.low * episodes.max_count
                made = command(episodes.loops[animal], wanted[None], low, episodes.max_count)
                self._commands[key] = made[0]
            counts[b] = self._commands[key]
        return counts / episodes.max_count, None
