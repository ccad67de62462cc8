"""Complete trials out of environments: recorded, written to files, handed to Minari.

::

    from ndbmi_gym.recording import VectorRecorder, record, save_trials, to_minari

    trials = record("ndbmi/ShiftTarget-v1", "eq24", trials=100, keys=("position", "is_success"))

    batch = VectorRecorder(gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=64))
    ...  # step it as it is stepped without, in any autoreset mode
    save_trials("trials.npz", batch.trials, batch)

Of the trials that are recorded while a batch goes on, short ones are complete sooner. A fair sample
of what a policy does is that of `record`, in which every trial counts once.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from os import PathLike
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import (
    AsyncVectorEnv,
    AutoresetMode,
    SyncVectorEnv,
    VectorEnv,
    VectorWrapper,
)
from gymnasium.wrappers.vector import RecordEpisodeStatistics, RecordVideo

from ndbmi_gym import __version__
from ndbmi_gym.files import Kind, Layout, read_arrays, reading, write_arrays
from ndbmi_gym.parts import plain
from ndbmi_gym.rollout import BATCH, as_actor, batch_of, check_trials, numbers_of, play

KIND = Kind("trials", 1)
"""What a file of trials says it is."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Reset:
    """What a `reset` was given, of a batch for the one trial.

    A scalar environment with the same options that is reset so begins the same trial.

    Attributes
    ----------
    seed : int or None
    options : dict or None
        Without ``reset_mask``.
    """

    seed: Any = None
    options: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """One trial from its first observation to its end.

    Attributes
    ----------
    observations : ndarray (T + 1, d)
        The last is that at the end, not that of the trial which follows.
    actions : ndarray (T, n)
        As they were given.
    rewards : ndarray (T,)
    terminated, truncated : bool
        How it ended.
    infos : dict of str to ndarray (T + 1, ...)
        What was asked for, from the info of the reset on.
    place, places : int
        Which of so many trials side by side it was; of one, in a scalar environment.
    reset : Reset or None
        Of the whole batch; None if the trial began by itself.
    """

    observations: Array
    actions: Array
    rewards: Array
    terminated: bool
    truncated: bool
    infos: Mapping[str, Array] = field(default_factory=dict)
    place: int = 0
    places: int = 1
    reset: Reset | None = None

    def __len__(self) -> int:
        """Number of steps T."""
        return len(self.rewards)


class _Running:
    """A trial that is being recorded.

    Parameters
    ----------
    seen : ndarray (d,)
        First observation.
    info : dict
        Of the reset, those values that are kept.
    """

    def __init__(self, seen: Array, info: dict[str, Any], reset: Reset | None = None) -> None:
        self.seen, self.infos, self.reset = [seen], [info], reset
        self.acted: list[Any] = []
        self.paid: list[Any] = []

    def step(self, action: Any, seen: Array, reward: Any, info: dict[str, Any]) -> None:
        self.acted.append(action)
        self.seen.append(seen)
        self.paid.append(reward)
        self.infos.append(info)

    def end(self, terminated: Any, truncated: Any, place: int = 0, places: int = 1) -> Trial:
        infos = {key: _column(key, [info[key] for info in self.infos]) for key in self.infos[0]}
        return Trial(
            np.array(self.seen),
            np.array(self.acted),
            np.array(self.paid),
            bool(terminated),
            bool(truncated),
            infos,
            place,
            places,
            self.reset,
        )


class Recorder(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps the complete trials of a scalar environment.

    Parameters
    ----------
    env : gymnasium.Env
        Of observations in a Box.
    keys : sequence of str
        Of infos, what is kept beside; each has to be there at every reset and step.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they ended; clear it as you like.

    Raises
    ------
    ValueError
        If observations are of another kind, or an info lacks a key.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], keys: Sequence[str] = ()) -> None:
        super().__init__(env)
        self.keys = _checked(env.observation_space, keys)
        self.trials: list[Trial] = []
        self._running: _Running | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a trial; one that was going on is left out."""
        given = _given(seed, options)
        seen, info = self.env.reset(seed=seed, options=options)
        self._running = _Running(np.array(seen), _chosen(info, self.keys), given)
        return seen, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the trial."""
        acted = np.array(action)
        seen, reward, terminated, truncated, info = self.env.step(action)
        if self._running is not None:
            self._running.step(acted, np.array(seen), reward, _chosen(info, self.keys))
            if terminated or truncated:
                self.trials.append(self._running.end(terminated, truncated))
                self._running = None
        return seen, reward, terminated, truncated, info


class VectorRecorder(VectorWrapper[Any, Any, Any]):
    """Keeps the complete trials of a vector environment, wherever each of them ends.

    Parameters
    ----------
    env : gymnasium.vector.VectorEnv
        Of observations in a Box; of any autoreset mode.
    keys : sequence of str
        Of infos, what is kept beside; each has to be there at every reset and step.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they ended; clear it as you like.

    Raises
    ------
    ValueError
        If observations are of another kind, the environment does not tell its autoreset mode, or an
        info lacks a key.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], keys: Sequence[str] = ()) -> None:
        super().__init__(env)
        self.keys = _checked(env.single_observation_space, keys)
        mode = env.metadata.get("autoreset_mode")
        if not isinstance(mode, AutoresetMode):
            raise ValueError(
                f"autoreset_mode = {mode!r} in the metadata: give a vector environment that tells "
                "its gymnasium.vector.AutoresetMode"
            )
        self._mode = mode
        self.trials: list[Trial] = []
        self._running: list[_Running | None] = [None] * env.num_envs
        self._fresh = np.zeros(env.num_envs, np.bool_)  # those that begin anew in the next step

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the trials of ``options["reset_mask"]``, by default all; others go on."""
        which = np.ones(self.num_envs, np.bool_)
        if isinstance(options, Mapping) and "reset_mask" in options:
            which = np.array(options["reset_mask"])
        seen, info = self.env.reset(seed=seed, options=options)
        rows, kept = np.array(seen), _chosen(info, self.keys)
        for i in np.flatnonzero(which).tolist():
            given = _of_one(seed, options, i)
            self._running[i] = _Running(rows[i], _row(kept, i), given)
        self._fresh &= ~which
        return seen, info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all trials."""
        acted = np.array(actions)
        seen, reward, terminated, truncated, info = self.env.step(actions)
        rows, paid, kept = np.array(seen), np.array(reward), _chosen(info, self.keys)
        ended = terminated | truncated
        last, final = rows, kept
        if self._mode == AutoresetMode.SAME_STEP and ended.any():
            last, final = info["final_obs"], _chosen(info["final_info"], self.keys)
        for i, trial in enumerate(self._running):
            if self._fresh[i]:
                self._running[i] = _Running(rows[i], _row(kept, i))
            elif trial is not None and not ended[i]:
                trial.step(acted[i], rows[i], paid[i], _row(kept, i))
            elif trial is not None:
                trial.step(acted[i], np.array(last[i]), paid[i], _row(final, i))
                self.trials.append(trial.end(terminated[i], truncated[i], i, self.num_envs))
                again = self._mode == AutoresetMode.SAME_STEP
                self._running[i] = _Running(rows[i], _row(kept, i)) if again else None
        self._fresh = ended & (self._mode == AutoresetMode.NEXT_STEP)
        return seen, reward, terminated, truncated, info


def record(
    env: str,
    policy: Any,
    trials: int = 100,
    seed: int = 0,
    keys: Sequence[str] = (),
    deterministic: bool = True,
    **options: Any,
) -> list[Trial]:
    """Play a policy on trials, and record each: a sample without preference for short ones.

    Parameters
    ----------
    env : str
        An id of this package.
    policy : str, object, class or function
        See `ndbmi_gym.rollout.as_actor`.
    trials : int
        How many; they are numbered 0, 1, ....
    seed : int
        Of the first trial; the next have seed + 1, seed + 2, ....
    keys : sequence of str
        Of infos, what is kept beside.
    deterministic : bool
        Whether a stochastic policy takes its mean.
    **options
        Of the environment.

    Returns
    -------
    list of Trial

    Raises
    ------
    ValueError
        If no trial is asked for, trials could last for ever, the policy does not fit, or ended
        trials do not begin anew in the step that follows.
    """
    check_trials(trials)
    made = batch_of(env, min(BATCH, trials), options)
    try:
        batch = VectorRecorder(made, keys)
        actor = as_actor(policy, made.unwrapped)
        found: list[Trial] = []
        for done in range(0, trials, batch.num_envs):
            seen, _ = batch.reset(seed=seed + done, options=numbers_of(made, done))
            for _ in play(batch, actor, seen, deterministic):
                pass
            first = [trial for trial in batch.trials if trial.reset is not None]
            found += sorted(first, key=lambda trial: trial.place)
            batch.trials.clear()
    finally:
        made.close()
    return found[:trials]


def save_trials(path: str | PathLike[str], trials: Iterable[Trial], env: Any = None) -> None:
    """Write trials to one ``.npz`` file, without pickle.

    Parameters
    ----------
    path : path
    trials : iterable of Trial
        At least one; all of one environment, with the same infos.
    env : Env, VectorEnv, EnvSpec or str, optional
        Where they are from, to be written beside; of this package. As of `scalar_spec`.

    Raises
    ------
    ValueError
        If there is no trial, they do not go together or are not from `env`, a reset option or the
        environment has no JSON form, or they are too large for one file
        (`ndbmi_gym.files.MAX_BYTES`).
    """
    several = _some(trials)
    kinds = {_layout(trial) for trial in several}
    if len(kinds) > 1:
        one, other = list(kinds)[:2]
        raise ValueError(f"trials of {one} and of {other}: write them to files of their own")
    resets = list({id(t.reset): t.reset for t in several if t.reset is not None}.values())
    index = {id(each): i for i, each in enumerate(resets)}
    header = {
        "resets": [{"seed": plain(r.seed), "options": plain(r.options)} for r in resets],
        "env": None if env is None else _ours(_fitting(env, several[0])).to_json(),
    }
    columns = {name: np.array([getattr(t, name) for t in several]) for name in _PER_TRIAL}
    columns["length"] = np.array([len(t) for t in several])
    columns["reset"] = np.array([index.get(id(t.reset), -1) for t in several])
    steps = {name: np.concatenate([getattr(t, name) for t in several]) for name in _PER_STEP}
    infos = {
        f"{_INFO}{key}": np.concatenate([t.infos[key] for t in several]) for key in several[0].infos
    }
    write_arrays(path, header, columns | steps | infos, KIND)


def load_trials(path: str | PathLike[str]) -> tuple[list[Trial], EnvSpec | None]:
    """Read what `save_trials` wrote; nothing in the file is executed.

    Returns
    -------
    trials : list of Trial
    spec : EnvSpec or None
        Of the scalar environment that they are from: ``gymnasium.make(spec)``. It is this package's
        own, in wrappers of Gymnasium's at most. Making it imports the parts that ``spec.kwargs``
        name as ``"module:attribute"``: in a file that you do not trust, look there first.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not such a file, or damaged.

    Warns
    -----
    UserWarning
        If the trials are of an id that this version does not have.
    """
    with reading(path, KIND, "record the trials anew"):
        header, arrays = read_arrays(path, KIND, check=_check)
        resets = [Reset(each["seed"], each["options"]) for each in header["resets"]]
        length = arrays["length"]
        if length.min() < 1 or length.sum() != len(arrays["rewards"]):
            raise ValueError("its trials are not as long as it says")
        after = np.cumsum(length)[:-1]
        per_step = {name: np.split(arrays[name], after) for name in ("actions", "rewards")}
        after = np.cumsum(length + 1)[:-1]
        seen = np.split(arrays["observations"], after)
        infos = {
            name.removeprefix(_INFO): np.split(array, after)
            for name, array in arrays.items()
            if name.startswith(_INFO)
        }
        trials = [
            Trial(
                seen[i],
                per_step["actions"][i],
                per_step["rewards"][i],
                bool(arrays["terminated"][i]),
                bool(arrays["truncated"][i]),
                {key: values[i] for key, values in infos.items()},
                int(arrays["place"][i]),
                int(arrays["places"][i]),
                resets[which] if (which := int(arrays["reset"][i])) >= 0 else None,
            )
            for i in range(len(length))
        ]
        spec = _ours(EnvSpec.from_json(header["env"])) if header["env"] else None
    if spec is not None and spec.id not in gymnasium.registry:
        warnings.warn(
            f"the trials are of {spec.id}, which is of another version of this package: trials of "
            "the environment that gymnasium.make(spec) makes are others",
            stacklevel=2,
        )
    return trials, spec


def scalar_spec(env: Any) -> EnvSpec:
    """How to make the scalar environment that trials are from, in JSON types.

    Parameters
    ----------
    env : Env, VectorEnv, EnvSpec or str
        A batch counts as many of one scalar environment; recorders around it do not count, nor does
        how it draws.

    Raises
    ------
    ValueError
        If it was not made by `gymnasium.make` or `make_vec`, if its spec does not tell of a wrapper
        around a batch or around a recorder, or has no JSON form.
    """
    while isinstance(env, VectorWrapper):
        if not isinstance(env, _ONLOOKERS):
            raise ValueError(
                f"{type(env).__name__} around a batch: no spec tells of it: give a recorder that "
                "has nothing but the batch in it, or wrap the scalar environments, by "
                'make_vec(..., vectorization_mode="sync", wrappers=[...])'
            )
        env = env.env
    spec = gymnasium.spec(env) if isinstance(env, str) else getattr(env, "spec", None)
    if isinstance(env, EnvSpec):
        spec = env
    elif isinstance(env, SyncVectorEnv | AsyncVectorEnv):
        spec, *others = env.get_attr("spec")
        if any(other != spec for other in others):
            raise ValueError("the environments of this batch differ: record each on its own")
    if not isinstance(spec, EnvSpec):
        raise ValueError(
            f"{env!r} does not tell how it was made: give what make() returned, or its id"
        )
    spec = deepcopy(spec)
    limit = spec.kwargs.pop("max_episode_steps", spec.max_episode_steps)
    spec.max_episode_steps = None if limit == -1 else limit
    for name in _OF_BATCHES:
        spec.kwargs.pop(name, None)
    *inner, last = [each.entry_point for each in spec.additional_wrappers] or [""]
    if _RECORDER in inner:
        raise ValueError(
            "a recorder within other wrappers, of which its trials do not tell: give the recorder"
        )
    if last == _RECORDER:
        spec.additional_wrappers = spec.additional_wrappers[:-1]
    try:
        spec.to_json()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{spec.id} has options or wrappers that cannot be written down ({error}): give them "
            "Python's own numbers, texts and lists"
        ) from error
    return spec


def to_minari(dataset_id: str, trials: Iterable[Trial], env: Any, **metadata: Any) -> Any:
    """Write trials to Minari's folder as a data set, from which the environment can be made again.

    Minari is needed, with its HDF5 storage: ``pip install 'ndbmi-gym[minari]'``.

    Parameters
    ----------
    dataset_id : str
        As Minari wants it: ``"ndbmi/shift/eq24-v0"``.
    trials : iterable of Trial
    env : Env, VectorEnv, EnvSpec or str
        Where they are from. ``minari.load_dataset(dataset_id).recover_environment()`` makes the
        same scalar environment.
    **metadata
        Of `minari.create_dataset_from_buffers`: ``algorithm_name``, ``author``, ``author_email``,
        ``code_permalink``, ``description``, ``eval_env`` (Minari warns of each that is missing;
        ``eval_env`` is by default the same environment), ``requirements`` (by default this
        package), ....

    Returns
    -------
    minari.MinariDataset
        Its episodes have the trials' infos and, where a trial began at a reset, its seed and
        options. With a seed they bring the trial back, be it one of a batch.

    Raises
    ------
    ModuleNotFoundError
        If Minari or what it stores with is missing.
    ValueError
        If there is no trial, they are not from `env`, or `scalar_spec` refuses it.
    """
    several = _some(trials)
    spec = _fitting(env, several[0])
    try:
        minari, _ = map(import_module, ("minari", "h5py"))
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'to_minari needs {error.name}: run `pip install "ndbmi-gym[minari]"`', name=error.name
        ) from error
    buffers = []
    for i, trial in enumerate(several):
        given = trial.reset or Reset()
        ends = np.zeros((2, len(trial)), np.bool_)
        ends[:, -1] = trial.terminated, trial.truncated
        buffers.append(
            minari.data_collector.EpisodeBuffer(
                id=i,
                seed=given.seed,
                options=plain(given.options),
                observations=trial.observations,
                actions=trial.actions,
                rewards=trial.rewards,
                terminations=ends[0],
                truncations=ends[1],
                infos=dict(trial.infos) or None,
            )
        )
    return minari.create_dataset_from_buffers(
        dataset_id,
        buffers,
        env=spec,
        **{"eval_env": spec, "requirements": [f"ndbmi-gym>={__version__}"]} | metadata,
    )


_PER_TRIAL = ("terminated", "truncated", "place", "places")
_PER_STEP = ("observations", "actions", "rewards")
_INFO = "info "
_KINDS = dict.fromkeys(_PER_STEP, "fiub") | dict.fromkeys(("terminated", "truncated"), "b")
_KINDS |= dict.fromkeys(("place", "places", "length", "reset"), "iu")
_RECORDER = f"{__name__}:{Recorder.__qualname__}"
_ONLOOKERS = (VectorRecorder, RecordEpisodeStatistics, RecordVideo)  # around a batch
_OURS = ("ndbmi_gym.envs.scalar:BMIEnv", "ndbmi_gym.envs.vector:BMIVectorEnv")
_OF_BATCHES = ("num_envs", "vectorization_mode", "autoreset_mode", "render_mode", "threads")


def _some(trials: Iterable[Trial]) -> list[Trial]:
    several = list(trials)
    if not several:
        raise ValueError("there is no trial to write: give at least one")
    return several


def _fitting(env: Any, trial: Trial) -> EnvSpec:
    """Spec of an environment that a trial can be from."""
    spec = scalar_spec(env)
    made = gymnasium.make(spec)
    shown, taken = made.observation_space.shape, made.action_space.shape
    made.close()
    if (trial.observations.shape[1:], trial.actions.shape[1:]) != (shown, taken):
        raise ValueError(
            f"trials with observations {trial.observations.shape[1:]} and actions "
            f"{trial.actions.shape[1:]}, and env has {shown} and {taken}: give the environment "
            "that they are from, with its options"
        )
    return spec


def _ours(spec: EnvSpec) -> EnvSpec:
    """Raise ValueError unless making an environment calls no code of other packages' ids."""
    wrappers = [each.entry_point for each in spec.additional_wrappers]
    makers = [each for each in wrappers if not str(each).startswith("gymnasium.wrappers.")]
    for maker in (spec.entry_point, spec.vector_entry_point, *makers):
        if maker is not None and maker not in _OURS:
            raise ValueError(
                f"an environment that {maker!r} makes is none of this package's, in Gymnasium's "
                "wrappers at most: write the trials without env"
            )
    return spec


def _checked(space: gymnasium.Space[Any], keys: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(space, gymnasium.spaces.Box):
        raise ValueError(f"observations in {space}: only arrays, of a Box, are recorded")
    if isinstance(keys, str):
        raise ValueError(f"keys = {keys!r}: give a sequence of names, as ({keys!r},)")
    return tuple(keys)


def _given(seed: Any, options: Any) -> Reset:
    kept = {name: deepcopy(each) for name, each in (options or {}).items() if name != "reset_mask"}
    return Reset(deepcopy(seed), kept or None)


def _of_one(seed: Any, options: Any, trial: int) -> Reset:
    """What resets a scalar environment to one trial of a batch that was reset."""
    if seed is not None:
        seed = seed + trial if np.ndim(seed) == 0 else seed[trial]
    own = dict(options or {})
    for name, ndim in (("start", 2), ("target", 2), ("animal", 1), ("trial", 1)):
        if np.ndim(own.get(name, 0)) == ndim:
            own[name] = own[name][trial]
    return _given(seed, own)


def _chosen(info: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The values to be kept."""
    missing = [key for key in keys if key not in info]
    if missing:
        has = ", ".join(key for key in info if not key.startswith("_"))
        raise ValueError(f"keys: no {missing[0]!r} in this info, which has {has or 'nothing'}")
    return {key: np.array(info[key]) for key in keys}


def _row(kept: dict[str, Any], place: int) -> dict[str, Any]:
    return {key: values[place] for key, values in kept.items()}


def _column(key: str, values: list[Any]) -> Array:
    column = np.array(values)
    if column.dtype.hasobject:
        raise ValueError(f"keys: {key!r} is no array, or of other shapes from step to step")
    return column


def _layout(trial: Trial) -> tuple[Any, ...]:
    infos = [(key, values.shape[1:], values.dtype.str) for key, values in trial.infos.items()]
    return (trial.observations.shape[1:], trial.actions.shape[1:], *infos)


def _check(header: Mapping[str, Any], layouts: Mapping[str, Layout]) -> None:
    n_trials = layouts["length"].shape
    n_steps = layouts["rewards"].shape[0]
    for name, layout in layouts.items():
        kinds = _KINDS.get(name, layout.dtype.kind)
        if layout.dtype.kind not in kinds:
            raise ValueError(f"{name} is of type {layout.dtype}, which it cannot be")
        if name in (*_PER_TRIAL, "length", "reset"):
            fits = layout.shape == n_trials
        elif name in ("actions", "rewards"):
            fits = layout.shape[0] == n_steps
        else:
            fits = layout.shape[0] == n_steps + n_trials[0]
        if not fits:
            raise ValueError(f"{name} has shape {layout.shape}, which is not that of its trials")
