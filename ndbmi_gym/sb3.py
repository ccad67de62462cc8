"""From Gymnasium's vector environments to the one that Stable-Baselines3 takes.

::

    from ndbmi_gym.sb3 import NativeVecEnv

    batch = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=256, autoreset_mode="SameStep")
    PPO("MlpPolicy", NativeVecEnv(batch)).learn(1_000_000)

Stable-Baselines3 is imported with this module, and not with the package.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array

from ndbmi_gym.parts import plain

try:
    from stable_baselines3.common.env_util import is_wrapped
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import (
        VecEnvIndices,
        VecEnvObs,
        VecEnvStepReturn,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'ndbmi_gym.sb3 needs {error.name}: run `pip install "ndbmi-gym[sb3]"`', name=error.name
    ) from error


class NativeVecEnv(VecEnv):
    """A Gymnasium vector environment as SB3's `VecEnv`, stepped as one batch.

    The info of a trial that goes on is empty, but for what is to be kept. That of an ended one is
    its last info (one entry per key, `is_success` among them) with what SB3 reads:
    ``terminal_observation``, ``TimeLimit.truncated`` and, as from SB3's `Monitor`, ``episode``
    (return ``r``, length ``l``, seconds since the adapter was made ``t``).

    Parameters
    ----------
    env : gymnasium.vector.VectorEnv
        With ``autoreset_mode="SameStep"``; `BMIVectorEnv` as well as any other.
    keep : sequence of str
        Keys of the info that trials which go on have in theirs, too: what the reward of a goal
        environment depends on, for SB3's ``HerReplayBuffer(copy_info_dict=True)``.

    Raises
    ------
    ValueError
        If it is none, or ended trials begin anew in another way.

    Notes
    -----
    Attributes and methods are those of the batch, one for all trials: ``env_method("change",
    effort_weight=0.1)`` alters what begins afterwards in every trial. In a `SyncVectorEnv` they are
    those of each environment, as in SB3's `DummyVecEnv`.

    `seed` gives trial i the seed + i, as everywhere: seeds of two trainings are to lie as far apart
    as there are trials, or they share trials.

    `set_options` takes a list of dictionaries, too, one for each trial. Those for a batch in one
    piece need the same keys, and become one reset with an array for each key.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], keep: Sequence[str] = ()) -> None:
        if not isinstance(env, VectorEnv):
            raise ValueError(
                f"{env!r} is no vector environment: give what gymnasium.make_vec(..., "
                'autoreset_mode="SameStep") returns'
            )
        if env.metadata.get("autoreset_mode") != AutoresetMode.SAME_STEP:
            raise ValueError(
                "SB3 wants ended trials to begin anew within the step: "
                'make_vec(..., autoreset_mode="SameStep")'
            )
        self.env = env
        self.keep = tuple(keep)
        self.spec = env.spec
        self._actions: Any = None
        self._begun = False
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self._made_at = time.monotonic()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin all trials, with what `seed` and `set_options` asked for since the last time.

        Raises
        ------
        ValueError
            If the environment refuses it, or options that differ among the trials of a batch in one
            piece do not go together.
        """
        seed: Any = self._seeds[0]  # an int means seed + i to Gymnasium, as it does to SB3's `seed`
        options: Any = self._options
        if not any(options) or all(each is options[0] for each in options):
            seen, info = self.env.reset(seed=seed, options=options[0] or None)
            self.reset_infos = [_pick(info, i) for i in range(self.num_envs)]
        elif self._apart:
            if not self._begun:  # they show all or nothing
                self.env.reset(seed=seed)
            for i in range(self.num_envs):
                mask = np.arange(self.num_envs) == i
                seeds: Any = [self._seeds[i] if chosen else None for chosen in mask]
                seen, info = self.env.reset(seed=seeds, options={**options[i], "reset_mask": mask})
                self.reset_infos[i] = _pick(info, i)
        else:  # in one go: a reset that is refused has changed nothing
            seen, info = self.env.reset(seed=seed, options=_joined(options))
            self.reset_infos = [_pick(info, i) for i in range(self.num_envs)]
        self._begun = True
        self._reset_seeds()
        self._reset_options()
        self._returns[:], self._lengths[:] = 0.0, 0
        return seen

    def step_async(self, actions: Any) -> None:
        """Keep the actions, (num_envs, n) or a list of one for each trial, for `step_wait`."""
        if isinstance(actions, list):
            empty: Any = create_empty_array(self.action_space, self.num_envs)
            actions = concatenate(self.action_space, actions, empty)
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all trials; those that end begin anew."""
        seen, reward, terminated, truncated, info = self.env.step(self._actions)
        self._returns += reward
        self._lengths += 1
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [
            {key: info[key][i] for key in self.keep} for i in range(self.num_envs)
        ]
        for i in np.flatnonzero(ended).tolist():
            self.reset_infos[i] = _pick(info, i)
            infos[i] = _pick(info["final_info"], i) | {
                "terminal_observation": _row(info["final_obs"], i),
                "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                "episode": {
                    "r": float(self._returns[i]),
                    "l": int(self._lengths[i]),
                    "t": round(time.monotonic() - self._made_at, 6),
                },
            }
        self._returns[ended], self._lengths[ended] = 0.0, 0
        return seen, np.asarray(reward, np.float32), ended, infos

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """A picture of each trial, where ``render_mode="rgb_array"``."""
        pictures: Any = self.env.render()
        return [None] * self.num_envs if pictures is None else list(pictures)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the batch, once for each trial asked for."""
        which = self._which(indices)
        if self._apart:
            values = self._apart.get_attr(attr_name)
            return [values[i] for i in which]
        return [self._get(attr_name)] * len(which)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the batch.

        Raises
        ------
        ValueError
            If it is asked for only some of the trials of a batch that has it in common.
        """
        which = self._which(indices)
        if isinstance(self._apart, SyncVectorEnv):
            for i in which:
                setattr(self._apart.envs[i], attr_name, value)
            return
        if set(which) != set(range(self.num_envs)):
            raise ValueError(f"{attr_name!r} is one for all trials: leave out indices")
        if self._apart:
            self._apart.set_attr(attr_name, value)
        else:
            setattr(self.env.unwrapped, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of the batch once; its result, once for each trial asked for.

        The methods that every single environment has for its wrappers' attributes
        (``"set_wrapper_attr"`` and the like) act on the batch, too.
        """
        which = self._which(indices)
        if isinstance(self._apart, SyncVectorEnv):
            envs = self._apart.envs
            return [
                envs[i].get_wrapper_attr(method_name)(*method_args, **method_kwargs) for i in which
            ]
        if self._apart:
            results = self._apart.call(method_name, *method_args, **method_kwargs)
            return [results[i] for i in which]
        own: dict[str, Any] = {
            "get_wrapper_attr": self._get,
            "has_wrapper_attr": lambda name: hasattr(self.env, name),
            "set_wrapper_attr": self._set,
        }
        method = own.get(method_name) or self._get(method_name)
        return [method(*method_args, **method_kwargs)] * len(which)

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """Whether a trial's environment has a wrapper.

        A batch in one piece counts as in SB3's `Monitor`, since infos hold its ``episode``.
        """
        which = self._which(indices)
        if isinstance(self._apart, SyncVectorEnv):
            envs = self._apart.envs
            return [is_wrapped(envs[i], wrapper_class) for i in which]
        return [issubclass(wrapper_class, Monitor)] * len(which)

    def _which(self, indices: VecEnvIndices) -> list[int]:
        return [range(self.num_envs)[i] for i in self._get_indices(indices)]

    @property
    def _apart(self) -> SyncVectorEnv | AsyncVectorEnv | None:
        """The batch, if it is one of separate environments."""
        inner = self.env.unwrapped
        return inner if isinstance(inner, SyncVectorEnv | AsyncVectorEnv) else None

    def _get(self, name: str) -> Any:
        return getattr(self.env, name)

    def _set(self, name: str, value: Any, force: bool = True) -> bool:
        setattr(self.env.unwrapped, name, value)
        return True


def _joined(options: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Options of the trials as those of their batch."""
    joined: dict[str, Any] = {}
    for name in dict.fromkeys(chain.from_iterable(options)):
        lacking = [i for i, each in enumerate(options) if name not in each]
        if lacking:
            raise ValueError(
                f"options: {name!r} is there for some trials, and not for trial {lacking[0]}: give "
                "it for all, or none"
            )
        values = [each[name] for each in options]
        if isinstance(values[0], Mapping):
            if any(plain(value) != plain(values[0]) for value in values):
                raise ValueError(f"options: {name!r} differs: give the same to all trials")
            joined[name] = values[0]
            continue
        try:
            joined[name] = np.array(values)
        except ValueError:
            raise ValueError(
                f"options: {name!r} has other shapes from trial to trial: give one"
            ) from None
    return joined


def _pick(info: dict[str, Any], trial: int) -> dict[str, Any]:
    """A trial's info out of the batch's, which marks by ``_key`` in which trials `key` holds."""
    picked = {}
    for key, values in info.items():
        if key.startswith("_") or key in ("final_obs", "final_info"):
            continue
        if f"_{key}" not in info or info[f"_{key}"][trial]:
            picked[key] = _pick(values, trial) if isinstance(values, dict) else values[trial]
    return picked


def _row(seen: Any, trial: int) -> Any:
    """One trial's observation."""
    if isinstance(seen, dict):
        return {key: _row(values, trial) for key, values in seen.items()}
    if isinstance(seen, tuple):
        return tuple(_row(values, trial) for values in seen)
    return seen[trial]
