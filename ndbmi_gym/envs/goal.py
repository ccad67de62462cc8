"""Goal-conditioned environments, as hindsight experience replay (HER) wants them.

They are `BMIEnv` and `BMIVectorEnv`, trial by trial and bit by bit. Their observations tell the
target apart, and `compute_reward` says what a step would have earned with another one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from ndbmi_gym.checks import shown
from ndbmi_gym.config import Config
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.plants import placed
from ndbmi_gym.tasks import N_JUDGED, Outcome, Task
from ndbmi_gym.tasks.reach import Reach

Goal = npt.NDArray[np.float64]
Observation = dict[str, npt.NDArray[Any]]
Infos = Mapping[str, Any] | Sequence[Mapping[str, Any]] | npt.NDArray[np.object_]

MOST_DWELL = 1000
"""Most step ends inside that arrival may take: infos hold all but the last of them."""


def goal_space(episodes: Episodes) -> spaces.Dict:
    """Bounds of what goal environments show; goals are float64, so that rewards are exact.

    Parameters
    ----------
    episodes : Episodes
    """
    layout, plant = episodes.layout, episodes.loops[0].plant
    low, high = map(layout.without_target, layout.bounds)
    # targets that `change` lets in may lie a rounding error beyond what is shown of them
    targets = float(layout.bounds[1, layout.columns["target"]].max()) * episodes.half_side_cm
    reach = max(plant.reach_cm, 1.00001 * targets)
    goal = spaces.Box(-reach, reach, (2,), np.float64)
    return spaces.Dict(
        observation=spaces.Box(low, high, dtype=np.float32),
        achieved_goal=goal,
        desired_goal=goal,
    )


class _GoalConditioned:
    """What both classes have in common: what they show, and rewards for any goal."""

    episodes: Episodes
    _recent: Goal

    def compute_reward(
        self, achieved_goal: npt.ArrayLike, desired_goal: npt.ArrayLike, info: Infos
    ) -> Any:
        """What steps earn that end at `achieved_goal`, if `desired_goal` is the target.

        With the goals and the info of a step it is the reward of that step, bit for bit. Rewards
        are those of the task that trials which begin now have.

        Parameters
        ----------
        achieved_goal, desired_goal : array_like (2,) or (B, 2)
            Where the steps ended, and the target, cm.
        info : dict, or sequence of B dicts
            Of the steps: that of a single one, one of arrays, or one for each, as SB3 hands them
            over. ``"effort"`` is needed by the dense reward, ``"recent_goals"`` where arrival takes
            several step ends inside; otherwise infos may be empty.

        Returns
        -------
        float or ndarray (B,)

        Raises
        ------
        ValueError
            If a goal has another shape, or infos lack what is needed.
        """
        reward = self._judged(achieved_goal, desired_goal, info).reward
        return reward if np.ndim(achieved_goal) > 1 else float(reward[0])

    def compute_terminated(
        self, achieved_goal: npt.ArrayLike, desired_goal: npt.ArrayLike, info: Infos
    ) -> Any:
        """Whether steps end their trial by arrival; see `compute_reward`.

        Parameters
        ----------
        achieved_goal, desired_goal : array_like (2,) or (B, 2)
            Where the steps ended, and the target, cm.
        info : dict, or sequence of B dicts
            Of the steps.

        Returns
        -------
        bool or ndarray of bool (B,)

        Raises
        ------
        ValueError
            If a goal has another shape, or infos lack what is needed.
        """
        terminated = self._judged(achieved_goal, desired_goal, info).terminated
        return terminated if np.ndim(achieved_goal) > 1 else bool(terminated[0])

    def compute_truncated(
        self, achieved_goal: npt.ArrayLike, desired_goal: npt.ArrayLike, info: Infos
    ) -> Any:
        """Whether steps cut their trial short: none does, the step limit is no matter of goals.

        Parameters
        ----------
        achieved_goal, desired_goal : array_like (2,) or (B, 2)
            Where the steps ended, and the target, cm.
        info : dict, or sequence of B dicts
            Of the steps.

        Returns
        -------
        bool or ndarray of bool (B,)
        """
        n_steps = np.shape(achieved_goal)[:-1]
        return np.zeros(n_steps, np.bool_) if n_steps else False

    def change(self, **options: Any) -> None:
        """Change task and perturbation for the trials that begin from now on (a curriculum).

        See `ndbmi_gym.episodes.Episodes.change`.

        Raises
        ------
        ValueError
            If arrival would take more step ends inside than infos hold, or the task is no `Reach`.
        """
        task = goal_task(self.episodes.config.change(**options))
        held = self._recent.shape[-2] + 1
        if task.dwell > held:
            raise ValueError(
                f"dwell = {task.dwell}: infos hold {held} step ends; make the environment with the "
                "largest dwell that is to come"
            )
        self.episodes.change(**options)

    def _judged(self, achieved: npt.ArrayLike, desired: npt.ArrayLike, info: Infos) -> Outcome:
        """The judgement of steps (B) for goals, by the task's own door."""
        task, half_side = goal_task(self.episodes.config), self.episodes.half_side_cm
        ends, goals = _points("achieved_goal", achieved), _points("desired_goal", desired)
        if ends.shape != goals.shape:
            raise ValueError(
                f"achieved_goal and desired_goal of shapes {ends.shape} and {goals.shape}: give as "
                "many of one as of the other"
            )
        n, earlier = len(goals), max(task.dwell - 1, 0)
        effort = np.zeros((n, 1))  # one electrode, whose mean it is
        if task.reward == "dense" and task.effort_weight > 0:
            effort[:, 0] = _told(info, "effort", (n,))

        def judge(position: Goal, last: Outcome) -> Outcome:
            after = placed(position)
            return task.assess(after, after, goals, effort, last, half_side)

        outcome = Outcome(np.zeros((n, N_JUDGED)))
        if earlier:
            recent = _told(info, "recent_goals", (n, self._recent.shape[-2], 2))
            for step in range(-earlier, 0):
                outcome = judge(recent[:, step], outcome)
        return judge(ends, outcome)

    def _shown(self, seen: npt.NDArray[np.float32], info: dict[str, Any]) -> Observation:
        """What is shown of observations (..., d) and the infos that came with them."""
        return {
            "observation": self.episodes.layout.without_target(seen),
            "achieved_goal": np.array(info["position"], order="C"),
            "desired_goal": np.array(info["target"], order="C"),
        }

    def _remember(self, info: dict[str, Any], begun: Any) -> None:
        """Keep where steps ended; trials that have begun have no step end yet."""
        ends = np.concatenate([self._recent, info["position"][..., None, :]], axis=-2)
        self._recent = np.where(np.asarray(begun)[..., None, None], np.inf, ends[..., 1:, :])


class BMIGoalEnv(_GoalConditioned, BMIEnv):
    """`BMIEnv` whose observation tells the goal apart, for hindsight experience replay.

    Trials, rewards and ends are those of `BMIEnv` with the same seed, options and actions. What
    differs is what is shown, a dictionary: ``"observation"``, that of `BMIEnv` less the target;
    ``"achieved_goal"``, where the device is, and ``"desired_goal"``, where it should be, each (2,)
    in float64, cm, within the wall. The info has one more key, ``"recent_goals"``: where the
    dwell − 1 steps before this one ended, the oldest first, cm; infinite where the trial had no
    such step.

    Whoever reads the achieved goal knows the device's position, without delay and noise. So the
    registered ids have ``observe="state"``, unless told otherwise.

    Parameters
    ----------
    render_mode : str or None
        As of `BMIEnv`.
    **options
        Those of `BMIEnv`. The task has to be a `ndbmi_gym.tasks.reach.Reach` that judges as such.

    Raises
    ------
    ValueError
        If the task judges by more than where steps end or wants `dwell` > `MOST_DWELL`, or
        episodes are sessions.
    """

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(render_mode, **options)
        earlier = max(goal_task(self.episodes.config).dwell - 1, 0)
        self._recent = np.full((earlier, 2), np.inf)
        self.observation_space = goal_space(self.episodes)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; see `BMIEnv`."""
        seen, info = super().reset(seed=seed, options=options)
        self._recent = np.full_like(self._recent, np.inf)
        return self._shown(seen, info), info | {"recent_goals": self._recent.copy()}

    def step(self, action: npt.NDArray[Any]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Run the closed loop once under a volitional firing-rate vector (n,)."""
        seen, reward, terminated, truncated, info = super().step(action)
        told = info | {"recent_goals": self._recent.copy()}
        self._remember(info, False)
        return self._shown(seen, info), reward, terminated, truncated, told


class BMIGoalVectorEnv(_GoalConditioned, BMIVectorEnv):
    """`BMIGoalEnv`, n trials side by side in one computation; see `BMIVectorEnv`.

    Observations and ``info["final_obs"]`` are dictionaries of arrays.

    Parameters
    ----------
    num_envs : int
        Number of trials n.
    **options
        Those of `BMIVectorEnv` and `BMIGoalEnv`.

    Raises
    ------
    ValueError
        If the task judges by more than where steps end or wants `dwell` > `MOST_DWELL`, or
        episodes are sessions.
    """

    def __init__(self, num_envs: int = 1, **options: Any) -> None:
        super().__init__(num_envs, **options)
        earlier = max(goal_task(self.episodes.config).dwell - 1, 0)
        self._recent = np.full((self.num_envs, earlier, 2), np.inf)
        self.single_observation_space = goal_space(self.episodes)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start all trials, or those of ``options["reset_mask"]``; see `BMIVectorEnv`."""
        seen, info = super().reset(seed=seed, options=options)
        self._recent = np.where(self._fresh, np.inf, self._recent)
        return self._shown(seen, info), info | self._told(info)

    def step(
        self, actions: npt.NDArray[Any]
    ) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Run the closed loop once in every trial under actions (num_envs, n)."""
        seen, reward, terminated, truncated, info = super().step(actions)
        if "final_info" in info:
            final = info["final_info"]
            info["final_obs"] = self._shown(info["final_obs"], final)
            info["final_info"] = final | self._told(final)
        self._recent = np.where(self._fresh, np.inf, self._recent)
        told = info | self._told(info)
        self._remember(info, self._elapsed == 0)
        return self._shown(seen, info), reward, terminated, truncated, told

    @property
    def _fresh(self) -> npt.NDArray[np.bool_]:
        """Trials that have just begun, (B, 1, 1)."""
        return (self._elapsed == 0)[:, None, None]

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        """What these environments add to an info."""
        return {"recent_goals": self._recent.copy(), "_recent_goals": info["_position"]}


_JUDGE = ("assess", "_judging")  # what a task overrides to judge in another way


def goal_task(config: Config) -> Reach:
    """The task of a configuration, if it can be judged for any goal.

    Parameters
    ----------
    config : Config

    Raises
    ------
    ValueError
        If it cannot.
    """
    task: Task = config.task
    own = any(getattr(type(task), name, None) is not getattr(Reach, name) for name in _JUDGE)
    if not isinstance(task, Reach) or own:
        raise ValueError(
            f"task = {shown(task)}: a goal environment can judge a step for another target only "
            "where its end says all; choose 'shift', 'hold', 'fixed' or a Reach that leaves "
            "assess() as it is"
        )
    if task.dwell > MOST_DWELL:
        raise ValueError(
            f"dwell = {task.dwell}: a goal environment remembers {MOST_DWELL} step ends; give a "
            f"number up to {MOST_DWELL}"
        )
    if config.session.on:
        raise ValueError(
            f"session_trials = {config.session.session_trials}: hindsight goes to the end of an "
            "episode, which is to be that of a trial in a goal environment; leave it out"
        )
    return task


def _points(name: str, value: npt.ArrayLike) -> Goal:
    """Goals as (B, 2)."""
    points = np.asarray(value, dtype=np.float64)
    if points.ndim not in (1, 2) or points.shape[-1] != 2:
        raise ValueError(f"{name} of shape {points.shape}: give (2,) or (B, 2), in cm")
    return np.ascontiguousarray(np.atleast_2d(points))


def _told(info: Infos, name: str, shape: tuple[int, ...]) -> Goal:
    """A quantity of infos in one of their forms, (B, ...)."""
    if not shape[0]:  # infos of no step at all tell of no quantity
        return np.empty(shape)
    try:
        if isinstance(info, Mapping):
            value = np.asarray(info[name], dtype=np.float64)
        else:
            value = np.array([each[name] for each in info], dtype=np.float64)
        return np.broadcast_to(value, shape)
    except KeyError:
        raise ValueError(
            f"info has no {name!r}, which the reward of this task depends on: hand over the info "
            "of each step; for SB3, HerReplayBuffer(copy_info_dict=True)"
        ) from None
    except ValueError:
        raise ValueError(
            f"info[{name!r}] of shape {np.shape(value)}: give the infos of as many steps as "
            f"there are goals, shape {shape}"
        ) from None
