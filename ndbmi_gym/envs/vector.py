"""The native vector environment."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ndbmi_gym.checks import shown
from ndbmi_gym.envs.scalar import (
    METADATA,
    Written,
    action_space,
    checked_seed,
    made,
    observation_space,
)
from ndbmi_gym.envs.view import View
from ndbmi_gym.episodes import BoolArray, Episodes
from ndbmi_gym.streams import Streams

Array = npt.NDArray[np.float32]


_MOST_TRIALS = 2**20  # beyond, a step takes tens of gigabytes
_MOST_THREADS = 1024


class Seeded(NamedTuple):
    """A generator, and what it was seeded with."""

    rng: np.random.Generator
    seed: int

    @classmethod
    def of(cls, seed: int | None) -> Self:
        """As Gymnasium's environments seed theirs."""
        return cls(*np_random(seed))

    def key(self) -> npt.NDArray[np.uint64]:
        """The key of a trial's stream, as `Streams.of` draws it."""
        return np.asarray(self.rng.bit_generator.random_raw(2))


class BMIVectorEnv(Written, VectorEnv[Any, Any, npt.NDArray[Any]]):
    """`BMIEnv`, n trials side by side in one computation.

    Every trial has a random stream of its own, as if it ran alone: with seed s (or a list of seeds)
    trial i is bit for bit that of `BMIEnv` with seed s + i (or the i-th of the list), in any mode,
    at any batch size and with any number of threads. Infos hold arrays with one entry per trial.

    Parameters
    ----------
    num_envs : int
        Number of trials n.
    max_episode_steps : int or None
        Step limit; `gymnasium.make_vec` passes the id's.
    autoreset_mode : AutoresetMode or str
        When an ended trial begins anew: ``"NextStep"`` (the default), ``"SameStep"``, or
        ``"Disabled"``: by ``reset(options={"reset_mask": mask})``.
    render_mode : str or None
        ``"rgb_array"``: `render` returns a picture per trial.
    threads : int
        Threads that share the trials of a step, where all parts are native (docs/speed.md). Results
        are the same for any number.
    **options
        Those of `BMIEnv`: of `ndbmi_gym.config.Config.of`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        threads: int = 1,
        **options: Any,
    ) -> None:
        for name, value in (
            ("num_envs", num_envs),
            ("max_episode_steps", max_episode_steps),
            ("threads", threads),
        ):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not (whole or (value is None and name == "max_episode_steps")):
                raise ValueError(f"{name} = {shown(value)}: give a whole number")
        if not 1 <= num_envs <= _MOST_TRIALS:
            raise ValueError(
                f"num_envs = {num_envs!r}: give a whole number from 1 to {_MOST_TRIALS}"
            )
        if not 1 <= threads <= _MOST_THREADS:
            raise ValueError(
                f"threads = {threads!r}: give a whole number from 1 to {_MOST_THREADS}"
            )
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode = {render_mode!r}: choose 'rgb_array' or None")
        if max_episode_steps == -1:  # in gymnasium.make, too, this is no limit
            max_episode_steps = None
        if max_episode_steps is not None and max_episode_steps < 1:
            raise ValueError(
                f"max_episode_steps = {max_episode_steps!r}: give a number >= 1, or -1 for no limit"
            )
        self.num_envs = int(num_envs)
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError:
            choices = ", ".join(mode.value for mode in AutoresetMode)
            raise ValueError(
                f"autoreset_mode = {autoreset_mode!r}: choose one of {choices}"
            ) from None
        self.metadata = {**METADATA, "autoreset_mode": self.autoreset_mode}
        config = made(type(self).__name__, options)
        most = config.session.most_steps
        if most is not None and max_episode_steps is not None and max_episode_steps < most:
            raise ValueError(
                f"max_episode_steps = {max_episode_steps}: a session of "
                f"{config.session.session_trials} trials takes up to {most} steps; give as many, "
                "or -1 for no limit: a session ends by itself"
            )
        self.episodes = Episodes(config, self.num_envs, int(threads))
        self.single_action_space = action_space(self.episodes)
        self.single_observation_space = observation_space(self.episodes)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._view = View(self.episodes, METADATA["render_fps"])
        self._everywhere = np.ones(self.num_envs, np.bool_)
        self._ended = np.zeros(self.num_envs, np.bool_)
        self._all_begun = False
        self._masks: tuple[str, ...] = ()
        self._elapsed = np.zeros(self.num_envs, np.int64)
        self._sources: list[Seeded | None] = [None] * self.num_envs

    @property  # type: ignore[misc]  # it can be read only, as SyncVectorEnv's
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generators that keys of the trials' streams are drawn from, one for each place."""
        return tuple(self._source(i).rng for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """What they were seeded with."""
        return tuple(self._source(i).seed for i in range(self.num_envs))

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Array, dict[str, Any]]:
        """Start all trials, or those of ``options["reset_mask"]``; see `BMIEnv` for the others."""
        mask = self._everywhere
        if isinstance(options, Mapping) and "reset_mask" in options:
            options = dict(options)
            mask = self._check_mask(options.pop("reset_mask"))
        given = self.episodes.check_begin(options)
        seeds = self._check_seeds(seed)
        before, which = self._sources.copy(), np.flatnonzero(mask).tolist()
        stood = {i: each.rng.bit_generator.state for i in which if (each := before[i])}
        for i in which:
            if seeds[i] is not None:
                self._sources[i] = Seeded.of(seeds[i])
        try:
            anew = np.array([each is not None for each in seeds])
            self.episodes.begin(self._streams(which), mask, given, anew)
        except Exception:
            self._sources = before
            for i, state in stood.items():
                self._source(i).rng.bit_generator.state = state
            raise
        self._all_begun = self._all_begun or self.episodes.all_begun
        self._ended = self._ended & ~mask
        self._elapsed = np.where(mask, 0, self._elapsed)
        if self.render_mode is not None:
            self._view.restart(mask)
        return self.episodes.observe(), self._info(mask)

    def step(
        self, actions: Array
    ) -> tuple[Array, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Run the closed loop once in every trial under actions (num_envs, n)."""
        episodes, fresh = self.episodes, self._ended
        if not self._all_begun:
            raise ResetNeeded(
                f"trial {int(episodes.trial.argmin())} has not begun: call reset() first"
            )
        any_fresh = fresh.any()
        if any_fresh:
            if self.autoreset_mode == AutoresetMode.DISABLED:
                raise ValueError(
                    f"trial {int(fresh.argmax())} has ended: with autoreset disabled, begin it "
                    'anew by reset(options={"reset_mask": mask}) before stepping'
                )
            actions = np.asarray(actions)
            episodes.check_action(actions)
            # a trial that begins anew in this step ignores its action, whatever it holds
            actions = np.where(fresh[:, None], np.float32(0), actions)
        episodes.step(actions)
        if any_fresh:
            episodes.begin(self._streams(np.flatnonzero(fresh).tolist()), fresh)
        self._elapsed = self._elapsed + 1
        if any_fresh:
            self._elapsed[fresh] = 0
        reward, terminated = episodes.outcome.reward.copy(), episodes.terminated
        truncated = np.zeros(self.num_envs, np.bool_)
        if self.max_episode_steps is not None:
            truncated = self._elapsed >= self.max_episode_steps
        ended = terminated | truncated
        if self.render_mode is not None:
            self._view.record(~fresh)
            self._view.restart(fresh)

        if self.autoreset_mode != AutoresetMode.SAME_STEP or not ended.any():
            self._ended = ended & (self.autoreset_mode != AutoresetMode.SAME_STEP)
            return episodes.observe(), reward, terminated, truncated, self._info()
        final_obs, final_info = episodes.observe(), self._info(ended)
        episodes.begin(self._streams(np.flatnonzero(ended).tolist()), ended)
        self._elapsed[ended] = 0
        if self.render_mode is not None:
            self._view.restart(ended)
        info = self._info()
        info["final_obs"], info["_final_obs"] = final_obs, ended
        info["final_info"], info["_final_info"] = final_info, ended
        return episodes.observe(), reward, terminated, truncated, info

    def change(self, **options: Any) -> None:
        """Change task and perturbation for the trials that begin from now on (a curriculum).

        See `ndbmi_gym.episodes.Episodes.change`. Through Stable-Baselines3's adapter:
        ``venv.env_method("change", curl=1.0)``.
        """
        self.episodes.change(**options)

    def render(self) -> tuple[npt.NDArray[np.uint8], ...] | None:
        """Draw every trial."""
        if self.render_mode is None:
            return None
        return tuple(self.picture(i) for i in range(self.num_envs))

    def picture(self, trial: int) -> npt.NDArray[np.uint8]:
        """Draw one of the trials, (H, W, 3)."""
        return self._view.draw(trial, self.title)

    def close_extras(self, **kwargs: Any) -> None:
        """Release the drawing."""
        self._view.close()

    def _info(self, mask: BoolArray | None = None) -> dict[str, Any]:
        """Arrays by name, each with its mask under ``_name`` as Gymnasium's wrappers expect."""
        where = (self._everywhere if mask is None else mask).copy()
        info = self.episodes.info()
        if not self._masks:
            self._masks = tuple(f"_{name}" for name in info)
        return info | dict.fromkeys(self._masks, where)

    def _source(self, trial: int) -> "Seeded":
        """What the keys of a place's trials are drawn from, seeded by the system at first."""
        found = self._sources[trial]
        if found is None:
            found = self._sources[trial] = Seeded.of(None)
        return found

    def _streams(self, trials: Sequence[int]) -> Streams:
        """New streams for the trials of some places."""
        return Streams.keyed(np.array([self._source(i).key() for i in trials]))

    def _check_seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        """The seed of each place's generator; None where it goes on."""
        if seed is None:
            return [None] * self.num_envs
        more = f", or one (or None) for each of {self.num_envs} trials"
        if isinstance(seed, str) or not (isinstance(seed, Sequence) or np.ndim(seed)):
            first = checked_seed(seed, more)
            return range(first, first + self.num_envs)
        several: Any = seed
        if len(several) != self.num_envs:
            raise ValueError(
                f"seed = {shown(seed)}: {len(several)} seeds; give a whole number >= 0{more}"
            )
        return [None if each is None else checked_seed(each, more) for each in several]

    def _check_mask(self, mask: Any) -> BoolArray:
        if not (
            isinstance(mask, np.ndarray)
            and mask.dtype == np.bool_
            and mask.shape == (self.num_envs,)
            and mask.any()
        ):
            raise ValueError(
                f"reset_mask = {shown(mask)}: give a boolean array of shape ({self.num_envs},) "
                "with at least one True"
            )
        return mask
