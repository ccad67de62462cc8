"""Policies that see several observations in a row."""

from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt

_ENDS = ("low", "high")


class Actor(Protocol):
    """What acts on batched observations, arrays or mappings of arrays.

    A baseline, an agent or a model of SB3.
    """

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], Any]:
        """Actions (B, n) and what to hand in as `state` the next time."""
        ...


class Stacked:
    """A policy that sees its last observations joined, as SB3's `VecFrameStack` joins them.

    Parameters
    ----------
    actor : Actor
        Takes observations (B, frames·d), the oldest first; before a trial began they are zero.
    frames : int
    """

    def __init__(self, actor: Actor, frames: int) -> None:
        self.actor, self.frames = actor, frames

    def predict(
        self,
        observation: npt.NDArray[Any],
        state: Any = None,
        episode_start: npt.NDArray[Any] | bool | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], Any]:
        """Actions for observations (B, d) or (d,); `state` carries frames and what `actor` does."""
        seen = np.atleast_2d(observation)
        n_trials, width = seen.shape
        begun = np.full(n_trials, state is None)
        if episode_start is not None:
            begun[:] = episode_start
        frames, memory = state or (np.zeros((n_trials, self.frames, width), np.float32), None)
        frames = np.where(begun[:, None, None], np.float32(0), frames)
        frames = np.concatenate([frames[:, 1:], seen[:, None]], axis=1)
        stacked = frames.reshape(n_trials, -1)
        action, memory = self.actor.predict(stacked, memory, begun, deterministic)
        return (action[0] if np.ndim(observation) == 1 else action), (frames, memory)


def frames_of(policy: Any, env: Any, wanted: int | None = None) -> int:
    """How many observations in a row a policy takes; 1 if it does not say what it sees.

    Parameters
    ----------
    policy : object
        One with `observation_space` and `action_space` says.
    env : BMIVectorEnv or BMIEnv
    wanted : int, optional
        The number that it has to be.

    Raises
    ------
    ValueError
        If it sees or acts in other spaces than the environment's.
    """
    sees, acts = (getattr(policy, f"{name}_space", None) for name in ("observation", "action"))
    shows, takes = (
        getattr(env, f"single_{name}_space", None) or getattr(env, f"{name}_space")
        for name in ("observation", "action")
    )
    if not (isinstance(sees, gymnasium.Space) and isinstance(acts, gymnasium.Space)):
        return 1
    if keys := getattr(policy, "keys", ()):
        if not isinstance(shows, gymnasium.spaces.Dict) or set(shows) != set(keys):
            raise ValueError(f"sees {' and '.join(keys)}, the environment shows {_words(shows)}")
        low, high = (np.concatenate([getattr(shows[k], end) for k in keys]) for end in _ENDS)
        shows = gymnasium.spaces.Box(low, high, dtype=np.float64)
    if acts != takes:
        raise ValueError(f"acts in {_words(acts)}, the environment takes {_words(takes)}")
    if not (isinstance(sees, gymnasium.spaces.Box) and isinstance(shows, gymnasium.spaces.Box)):
        if sees != shows:
            raise ValueError(f"sees {_words(sees)}, the environment shows {_words(shows)}")
        return 1
    frames, rest = divmod(sees.low.size, shows.low.size)
    if keys:
        wanted = 1  # mappings are not stacked
    if rest or not frames or frames != (wanted or frames):
        raise ValueError(
            f"sees {sees.low.size // (wanted or 1)} numbers, the environment shows {shows.low.size}"
        )
    # SB3 stacks frames one after another, but their bounds entry by entry
    mine = np.column_stack([sees.low, sees.high])
    theirs = np.repeat(np.column_stack([shows.low, shows.high]), frames, axis=0)
    # a model that was read without pickle may have bounds too long to be written down
    same = (np.isclose(mine, theirs) | np.isinf(mine)).all(axis=1)
    if not same.all():
        i = int(same.argmin())
        raise ValueError(
            f"sees entry {i // frames} from {mine[i, 0]:g} to {mine[i, 1]:g}, the environment "
            f"shows it from {theirs[i, 0]:g} to {theirs[i, 1]:g}"
        )
    return frames


def _words(space: Any) -> str:
    if isinstance(space, gymnasium.spaces.Dict):
        return " and ".join(f"{name}, {_words(each)}" for name, each in space.items())
    if not isinstance(space, gymnasium.spaces.Box):
        return str(space)
    return f"{space.low.size} numbers from {space.low.min():g} to {space.high.max():g}"
