"""The one loop that plays policies on a batch of trials, and scores them.

::

    from ndbmi_gym.rollout import score

    found = score("ndbmi/HoldTarget-v1", my_policy, trials=200, observe="state")
    found["success"].mean()

A policy is whatever chooses actions: see `as_actor`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.parts import attribute
from ndbmi_gym.perturbations import lateral
from ndbmi_gym.policies import POLICIES, make_policy
from ndbmi_gym.policies.network import load_network
from ndbmi_gym.policies.stacked import Actor as Actor
from ndbmi_gym.policies.stacked import Stacked as Stacked
from ndbmi_gym.policies.stacked import frames_of as frames_of
from ndbmi_gym.sessions import Session
from ndbmi_gym.tasks import Task

REACHING = ("time_s", "efficiency", "throughput")
"""What is measured of a trial that arrives; see `reaching`."""

QUANTITIES = ("score", "success", "return", "effort", "steps", *REACHING, "deviation")
"""What is measured of a trial.

The score is the number of steps to arrival (a miss takes all there are), or in tasks that do not
end on arrival the share of the last steps that ended in the target: of 25, or of as many as the
task's `scored_steps`. The effort is the mean of the absolute action over electrodes and steps. Of
`REACHING`, trials that do not arrive have NaN. The deviation is the largest distance of a step's
end from the line between start and target, cm, positive to its left.
"""

LAST_STEPS = 25  # those that count when a target is to be held
BATCH = 250  # trials side by side

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Vector = VectorEnv[Any, Any, Any]


class _Function:
    """A function from observations (B, d) to actions (B, n) as an `Actor`."""

    def __init__(self, act: Callable[[npt.NDArray[Any]], npt.ArrayLike]) -> None:
        self._act = act

    def predict(
        self,
        observation: npt.NDArray[Any],
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], Any]:
        return np.asarray(self._act(observation)), None


def score(
    env: str | Vector | gymnasium.Env[Any, Any],
    policy: Any,
    trials: int = 1000,
    seed: int = 1000,
    deterministic: bool = True,
    **options: Any,
) -> dict[str, FloatArray]:
    """Play a policy on trials, and measure each.

    All trials of a batch begin at once and each counts once, however long it takes: none is left
    out for being slow. The same seed gives every policy the same starts and targets. Trials are
    numbered 0, 1, ... throughout, so that blocks of trials are met as they are set. Of sessions
    every trial counts by itself, in their order.

    Parameters
    ----------
    env : str, BMIVectorEnv or BMIEnv
        An id, of which a batch is made with `options`; a batch that is stepped as it is, also a
        `SyncVectorEnv` of single ones (baselines excepted: they know the model of one); or a single
        environment, with whatever wraps it, whose trials come one by one (slower by far).
    policy : str, object, class or function
        See `as_actor`.
    trials : int
        How many.
    seed : int
        Of the first trial; the next have seed + 1, seed + 2, ....
    deterministic : bool
        Whether a stochastic policy takes its mean.
    **options
        Of the environment, where an id is given (`ndbmi_gym.config.Config`).

    Returns
    -------
    dict of str to ndarray (trials,)
        `QUANTITIES` by name.

    Raises
    ------
    ValueError
        If there is no such policy, it does not fit what the environment shows and takes, a trial
        could last for ever, ended trials do not begin anew in the step that follows, or the
        environment is none of this package.
    """
    check_trials(trials)
    size = batch_size(env, options, trials) if isinstance(env, str) else 0
    batch = batch_of(env, size, options)
    inner = _inner(batch)
    try:
        apart = inner is not batch and batch.num_envs > 1
        if apart and isinstance(policy, str) and policy in POLICIES:
            raise ValueError(
                f"policy {policy!r} knows the model of one environment, and there are "
                f"{batch.num_envs} apart: make the batch without vectorization_mode"
            )
        actor = as_actor(policy, inner)
        parts = list(measured(batch, actor, trials, seed, deterministic))
    finally:
        if isinstance(env, str):
            batch.close()
    return dict(zip(QUANTITIES, np.concatenate(parts, axis=1), strict=True))


def check_trials(trials: Any) -> None:
    """Raise ValueError unless it is a number of trials."""
    whole = isinstance(trials, int | np.integer) and not isinstance(trials, bool)
    if not whole or trials < 1:
        raise ValueError(f"trials = {trials!r}: give a whole number >= 1")


def batch_of(
    env: str | Vector | gymnasium.Env[Any, Any], size: int, options: dict[str, Any]
) -> Vector:
    """A batch that `play` can play on, of what `score` is given.

    Parameters
    ----------
    env : str, BMIVectorEnv or BMIEnv
    size : int
        Trials side by side, where an id is given.
    options : dict
        Of the environment, where an id is given.

    Raises
    ------
    ValueError
        See `score`.
    """
    if isinstance(env, str):
        if "num_envs" in options:
            raise ValueError(
                f"num_envs = {options['num_envs']!r}: leave it out, or give a batch in place of "
                "an id"
            )
        made: Vector = gymnasium.make_vec(env, num_envs=size, **options)
        try:
            _checked(made, env)
        except ValueError:
            made.close()
            raise
        return made
    if options:
        raise ValueError(f"{min(options)!r} is an option of an id, and env is made already")
    if isinstance(env, VectorEnv):
        made = env
    else:
        single: gymnasium.Env[Any, Any] = env
        made = SyncVectorEnv([lambda: single])
    _checked(made, env)
    return made


def as_actor(policy: Any, env: Any) -> Actor:
    """A policy as it acts on an environment's batched observations.

    Parameters
    ----------
    policy : str, object, class or function
        The name of a baseline (`ndbmi_gym.policies.POLICIES`), ``"module:attribute"``, or an
        agent's file (``"agent.npz"``, `ndbmi_gym.policies.network`); an object with the `predict`
        of SB3 models; a class, which is made with the environment; or a function from observations
        (B, d) to actions (B, n). An agent that was trained on stacked frames is given the frames it
        wants. In goal environments all of them see dictionaries.
    env : BMIVectorEnv or BMIEnv

    Raises
    ------
    ValueError
        If it is none of these, or sees or acts in other spaces than the environment's.
    """
    if isinstance(policy, str):
        if policy in POLICIES:
            return make_policy(policy, env)
        policy = load_network(policy) if policy.endswith(".npz") else named(policy)
    if isinstance(policy, type):
        policy = policy(env)
    if not hasattr(policy, "predict"):
        if not callable(policy):
            raise ValueError(
                f"policy {policy!r} does not act: give an object with 'predict', a class of such, "
                "or a function from observations to actions"
            )
        return _Function(policy)
    try:
        frames = frames_of(policy, env)
    except ValueError as error:
        raise ValueError(
            f"the policy {error}: set observe, volition and the like as in its training"
        ) from None
    return policy if frames == 1 else Stacked(policy, frames)


def named(spec: str) -> Any:
    """What ``"module:attribute"`` names; the module is imported.

    Raises
    ------
    ValueError
        If there is no such thing.
    """
    if Path(spec).is_dir():
        raise ValueError(f"policy {spec!r} is a folder: name the agent.npz in it")
    if ":" not in spec:
        raise ValueError(
            f"policy {spec!r} is no baseline ({', '.join(POLICIES)}): give one of them, an "
            "agent.npz, or your own as module:attribute; a model.zip has to be loaded first"
        )
    return attribute(spec)


def play(
    env: Vector, actor: Actor, seen: npt.NDArray[Any], deterministic: bool = True
) -> Iterator[tuple[BoolArray, FloatArray, dict[str, Any]]]:
    """Run every trial of a batch to its end, from the observations of `reset`.

    Trials that ended begin anew in the following step (autoreset), and are not counted again.

    Parameters
    ----------
    env : VectorEnv
        B trials, with ``autoreset_mode="NextStep"``.
    actor : Actor
    seen : ndarray (B, d)
        First observations.
    deterministic : bool
        Whether a stochastic policy takes its mean.

    Yields
    ------
    running : ndarray of bool (B,)
        Trials that this step belonged to.
    reward : ndarray (B,)
    info : dict
        Of the environment.
    """
    state: Any = None
    running, begun = np.ones((2, env.num_envs), bool)
    ended = np.zeros(env.num_envs, bool)
    while running.any():
        action, state = actor.predict(seen, state, begun, deterministic)
        begun = ended
        seen, reward, terminated, truncated, info = env.step(action)
        yield running, reward, info
        ended = terminated | truncated
        running = running & ~ended


def measure(
    env: Vector, actor: Actor, seed: int, deterministic: bool = True, first: int = 0
) -> FloatArray:
    """`QUANTITIES` of one episode in each place of a batch: of a trial, or of a session's trials.

    Parameters
    ----------
    env : VectorEnv
        B episodes, with ``autoreset_mode="NextStep"``.
    actor : Actor
    seed : int
        Of the first episode; the next have seed + 1, seed + 2, ....
    deterministic : bool
        Whether a stochastic policy takes its mean.
    first : int
        Number of the first trial; the others follow. A schedule of perturbations goes by it. A
        batch of several separate environments numbers its trials itself, and so does a session.

    Returns
    -------
    ndarray (9, B·n)
        Of sessions of n trials those of the first, then those of the next; else n is 1.
    """
    session = session_of(env)
    seen, info = env.reset(seed=seed, options=numbers_of(env, first))
    tally, found = _Tally(env, info), np.empty((len(QUANTITIES), env.num_envs, trials_in(env)))
    for running, reward, info in play(env, actor, seen, deterministic):
        if not session.on:
            tally.add(running, reward, info)
            continue
        begins = info["trial_step"] == 0
        tally.begin(running & begins, info)
        tally.add(running & ~begins, reward, info)
        over = np.flatnonzero(running & info["trial_end"])
        found[:, over, info["trial"][over]] = tally.told()[:, over]
    if not session.on:
        found[..., 0] = tally.told()
    return found.reshape(len(QUANTITIES), -1)


class _Tally:
    """What has been measured so far of the trials of a batch.

    Parameters
    ----------
    env : VectorEnv
    info : dict
        Of its reset.
    """

    def __init__(self, env: Vector, info: dict[str, Any]) -> None:
        self._task, self._limit = task_of(env), _trial_limit(env) or 0
        n = env.num_envs
        self._sums = np.zeros((7, n))
        self._inside = np.zeros((steps_scored(self._task), n))
        self._start, self._end, self._target, self._left = np.zeros((4, n, 2))
        self._deviation = np.zeros(n)
        self.begin(np.ones(n, np.bool_), info)

    def begin(self, which: BoolArray, info: dict[str, Any]) -> None:
        """Measure some trials from their beginning on."""
        self._sums[:, which], self._inside[:, which] = 0.0, 0.0
        self._start[which] = self._end[which] = info["position"][which]
        self._target[which] = info["target"][which]
        self._left[which] = lateral(self._start[which], self._target[which])
        self._deviation[which] = 0.0

    def add(self, which: BoolArray, reward: FloatArray, info: dict[str, Any]) -> None:
        """Add a step of some trials."""
        steps, rewards, efforts, path, *last = self._sums
        steps += which
        rewards += reward * which
        efforts += info["effort"] * which
        here = np.where(which[:, None], info["position"], self._end)
        path += np.hypot(*(here - self._end).T)
        self._end = here
        beside = ((here - self._start) * self._left).sum(axis=1)
        farther = which & (np.abs(beside) > np.abs(self._deviation))
        self._deviation[farther] = beside[farther]
        for values, name in zip(last, ("is_success", "failed", "time_s"), strict=True):
            values[which] = info[name][which]
        self._inside[:-1, which] = self._inside[1:, which]
        self._inside[-1, which] = info["inside"][which]

    def told(self) -> FloatArray:
        """`QUANTITIES` of the trials as they stand, (9, B)."""
        steps, rewards, efforts, path, success, failed, time_s = self._sums
        taken = np.maximum(steps, 1)
        reached, score = success, np.where(failed, self._limit, steps)
        if self._task.holds:
            counted = np.minimum(taken, len(self._inside))
            reached, score = 0 * success, self._inside.sum(axis=0) / counted
        reach = self._start, self._end, self._target, self._task.radius_cm, path, time_s
        return np.stack(
            [
                *(score, success, rewards, efforts / taken, steps),
                *np.where(reached, reaching(*reach), np.nan),
                self._deviation,
            ]
        )


def reaching(
    start: FloatArray,
    end: FloatArray,
    target: FloatArray,
    radius_cm: float,
    path_cm: FloatArray,
    time_s: FloatArray,
) -> FloatArray:
    """Statistics of reaches as studies of neural prostheses report them, (3, B).

    The time to the target, s, any dwell there included. Path efficiency: the straight distance
    from start to end over the length of the path, here through the step ends, so that 1 is
    straight. Throughput in bits/s: the index of difficulty in Shannon's formulation, log2(D/W + 1),
    over the time, where D is the distance from the start to the middle of the target and W the
    diameter of the target disc.

    Parameters
    ----------
    start, end, target : ndarray (B, 2)
        cm.
    radius_cm : float
        Radius of the target disc.
    path_cm, time_s : ndarray (B,)
        How long the reaches were and took.

    References
    ----------
    MacKenzie IS (1992). Fitts' law as a research and design tool in human-computer interaction.
    Human-Computer Interaction 7:91-139.
    """
    straight, distance = np.hypot(*(end - start).T), np.hypot(*(target - start).T)
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing has moved
        efficiency = straight / path_cm
        throughput = np.log2(distance / (2 * radius_cm) + 1) / time_s
    return np.stack([time_s, efficiency, throughput])


def numbers_of(env: Vector, first: int) -> dict[str, Any] | None:
    """Options of a reset that number a batch's trials, where it takes them.

    Separate environments share their options: several of them number their trials themselves. So
    does a session.

    Parameters
    ----------
    env : VectorEnv
    first : int
        Number of the first trial; the others follow.

    Returns
    -------
    dict or None
    """
    apart = env.num_envs > 1 and not isinstance(env.unwrapped, BMIVectorEnv)
    if not (apart or session_of(env).on):
        return {"trial": first + np.arange(env.num_envs)}
    return None


def measured(
    env: Vector, actor: Actor, trials: int, seed: int, deterministic: bool = True
) -> Iterator[FloatArray]:
    """`measure` of so many trials, batch after batch.

    Parameters
    ----------
    env : VectorEnv
        As of `measure`.
    actor : Actor
    trials : int
        How many.
    seed : int
        Of the first trial; the next have seed + 1, seed + 2, ....
    deterministic : bool

    Yields
    ------
    ndarray (9, B)
        The last one is cut to size.
    """
    batch = env.num_envs * trials_in(env)
    for done in range(0, trials, batch):
        episodes = done // trials_in(env)
        yield measure(env, actor, seed + episodes, deterministic, done)[:, : trials - done]


def session_of(env: Any) -> Session:
    """Whether and how the episodes of an environment are sessions."""
    session: Session = _inner(env).unwrapped.episodes.config.session
    return session


def trials_in(env: Any) -> int:
    """Number of trials in an episode."""
    return session_of(env).session_trials or 1


def batch_size(env_id: str, options: dict[str, Any], trials: int) -> int:
    """How many episodes to play side by side for so many trials of an id.

    Parameters
    ----------
    env_id : str
    options : dict
        Of the environment, beside those of the id.
    trials : int
    """
    given = dict(gymnasium.spec(env_id).kwargs) | options
    return max(1, min(BATCH, -(-trials // (given.get("session_trials") or 1))))


def task_of(env: Any) -> Task:
    """What the trials of an environment ask for."""
    task: Task = _inner(env).unwrapped.episodes.task
    return task


def holds(env: Any) -> bool:
    """Whether the task is to stay in the target, rather than to arrive there."""
    return task_of(env).holds


def steps_scored(task: Task) -> int:
    """Steps at the end of a trial that count, where the task is to stay in the target."""
    return int(getattr(task, "scored_steps", LAST_STEPS))


def _inner(env: Any) -> Any:
    return env.envs[0] if isinstance(env, SyncVectorEnv) else env


def _checked(made: Vector, env: Any) -> None:
    """Raise ValueError unless what came of `env` can be played on."""
    if not hasattr(_inner(made).unwrapped, "episodes"):
        raise ValueError(
            f"{env!r} is no environment of ndbmi_gym, nor a batch of such in this process: give "
            "an id, or what make() or make_vec() returns for it"
        )
    mode = made.metadata.get("autoreset_mode")
    if mode != AutoresetMode.NEXT_STEP:
        name = getattr(mode, "value", mode)
        raise ValueError(
            f"autoreset_mode = {name!r}: make the batch with 'NextStep', so that a step tells of "
            "the trial that it ends"
        )
    most, limit = session_of(made).most_steps, _step_limit(made)
    if most is not None and limit is not None and limit < most:
        raise ValueError(
            f"a session takes up to {most} steps, and the step limit is {limit}: give "
            "max_episode_steps=-1, a session ends by itself"
        )
    if limit is None and most is None:
        raise ValueError(
            "trials without a step limit could last for ever: give max_episode_steps, or wrap the "
            "environment in gymnasium.wrappers.TimeLimit"
        )


def _trial_limit(env: Vector) -> int | None:
    """Steps of a trial at most."""
    session = session_of(env)
    return session.trial_steps if session.on else _step_limit(env)


def _step_limit(env: Vector) -> int | None:
    inner = _inner(env)
    if inner is env:
        return getattr(env.unwrapped, "max_episode_steps", None)
    name = "_max_episode_steps"
    return inner.get_wrapper_attr(name) if inner.has_wrapper_attr(name) else None
