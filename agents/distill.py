"""Distillation: ``python -m agents.train --algo distill``, with torch alone.

An agent hears spikes; where the device is, it has to remember. Learning that from rewards alone is
slow, and in a simulation nobody has to. A run goes through three stages, each a share of its
budget:

1. *Teach*. A network that sees the true state learns the task, by PPO or from `LookAhead`.
2. *Copy*. A recurrent network that sees what an agent sees (the student) acts, the teacher says at
   every step what it would do, and the student learns to say the same (as in DAgger, Ross et al.
   2011, but each batch is used and dropped) and, from a head of its own, where the device is: its
   belief.
3. *Tune*. The student goes on by PPO on its own rewards. Its critic sees the true state.

What is privileged is used in training only: the agent that comes out sees its observation, and
nothing else. Batches consist of whole trials or sessions, so that no memory has to be kept between
them, and each draws from a seed of its own: a run that goes on does what it would have done
undisturbed. Of what lasts for more than a hundred steps, as sessions do, the student learns in
windows, each from what it remembered when the window began.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from agents.convert import about_run, linear, recurrent
from agents.options import JSON
from agents.progress import Progress
from agents.recorder import Plan
from agents.runs import AGENT, CONFIG, REMEDY, STATE, clear, make_env
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.files import whole_file, write_json
from ndbmi_gym.policies import LookAhead
from ndbmi_gym.policies.network import Layer, Network, save_network
from ndbmi_gym.rollout import numbers_of
from ndbmi_gym.tasks import N_JUDGED, Judged

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

STAGES = ("teach", "copy", "tune")

_CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}
_MODULES = ("teacher", "critic", "student")
_BELIEF = 4  # entries of the privileged state that the student guesses: position and velocity
_MOST_FORCE = 100.0  # entries of a force law beyond it, such as an end that never comes
_BEYOND = 0.3  # how far beyond the action box a teacher's wish is copied
_IDLE = 0.1  # weight of an error where wish and action both lie beyond the same end of the box
_REWARD = 0.1  # values are learned in tens
_CLIP = 0.2  # of PPO's ratio
_SHARES = ("gamma", "tune_gamma", "gae_lambda")  # from 0 to 1
_LEAST_SCALE = 0.1  # of an input that random volition hardly moves, and skill does
_STEADY = 1e-8
_WINDOW = 100  # steps that gradients go back: more than a trial of any id has


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a distillation, whose values are in ``agents/hyperparams/distill.json``.

    What is said of trials side by side holds of sessions where episodes are such; a minibatch then
    consists of so many of their `windows`.

    Attributes
    ----------
    teacher : {"ppo", "look_ahead"}
        What the teacher learns from.
    shares : tuple of float
        Shares of the budget that the first two stages end at.
    gamma, tune_gamma, gae_lambda : float
        Discount of the teacher's rewards and of the student's, and its factor for advantages.
    units : int
        Units in each of two hidden layers of teacher and critic.
    cell : {"gru", "lstm"}
        What the student remembers in.
    encoder, memory : int
        Units in each of two layers before that, and in it.
    teach_trials, teach_epochs, teach_minibatches : int
        Trials side by side, passes through each batch, and parts of it, in the first stage; from
        `LookAhead` parts are of 256 steps.
    teach_rate, teach_log_std : float
        Learning rate at first, falling to a twentieth, and log standard deviation of exploration.
    trials : int
        Trials side by side in the other stages.
    copy_epochs, copy_part : int
        Passes through each batch, and trials per minibatch.
    copy_rate : float
        Learning rate at first; it falls to a thirtieth.
    copy_noise : float
        Standard deviation of noise on the student's actions in half of the trials.
    action_weight, belief_weight : float
        Of the errors of action and belief.
    tune_epochs, tune_part : int
        Passes through each batch, and trials per minibatch.
    tune_rate : float
        Learning rate at first; it falls to an eighth.
    tune_std : tuple of float
        Standard deviation of exploration, first and last.
    tune_belief_weight : float
        Of the error of the belief beside PPO's loss.
    """

    teacher: str
    shares: tuple[float, float]
    gamma: float
    tune_gamma: float
    gae_lambda: float
    units: int
    cell: str
    encoder: int
    memory: int
    teach_trials: int
    teach_epochs: int
    teach_minibatches: int
    teach_rate: float
    teach_log_std: float
    trials: int
    copy_epochs: int
    copy_part: int
    copy_rate: float
    copy_noise: float
    action_weight: float
    belief_weight: float
    tune_epochs: int
    tune_part: int
    tune_rate: float
    tune_std: tuple[float, float]
    tune_belief_weight: float

    def __post_init__(self) -> None:
        if self.teacher not in ("ppo", "look_ahead"):
            raise ValueError(f"teacher = {self.teacher!r}: choose 'ppo' or 'look_ahead'")
        if self.cell not in _CELLS:
            raise ValueError(f"cell = {self.cell!r}: choose one of {', '.join(_CELLS)}")
        for name in ("shares", "tune_std"):
            pair = getattr(self, name)
            if not (isinstance(pair, list | tuple) and len(pair) == 2):
                raise ValueError(f"{name} = {pair!r}: give two numbers")
            for value in pair:
                _check_number(name, value, 0.0, np.inf)
            object.__setattr__(self, name, tuple(map(float, pair)))
        if not 0 <= self.shares[0] <= self.shares[1] <= 1:
            raise ValueError(f"shares = {self.shares!r}: give two numbers in order from 0 to 1")
        for each in fields(self):
            value = getattr(self, each.name)
            if each.type is int and not (type(value) is int and value >= 1):
                raise ValueError(f"{each.name} = {value!r}: give a whole number >= 1")
            if each.type is float:
                least = -np.inf if each.name == "teach_log_std" else 0.0
                most = 1.0 if each.name in _SHARES else np.inf
                _check_number(each.name, value, least, most)
        if min(self.tune_std) == 0:
            raise ValueError(f"tune_std = {self.tune_std!r}: give two numbers > 0")
        for name in ("copy_part", "tune_part"):
            if self.trials % getattr(self, name):
                raise ValueError(
                    f"trials = {self.trials}: give a multiple of {name}, {getattr(self, name)}"
                )


class Batch(NamedTuple):
    """Whole trials, or whole sessions of them, side by side, of T steps at most, B of them.

    Attributes
    ----------
    seen : Tensor (T, B, d)
        Observations.
    state : Tensor (T, B, s)
        See `privileged`.
    action, wished : Tensor (T, B, n)
        What was done, before it was clipped to the box; and the mean of the policy that acted, or
        the teacher's label.
    reward : ndarray (T, B)
    running : ndarray of bool (T, B)
        Steps that belonged to the trial or session in their place, in which those between two
        trials count; the others are to be ignored.
    success : ndarray of bool (N,)
        Of each trial, in the order in which they ended.
    """

    seen: Tensor
    state: Tensor
    action: Tensor
    wished: Tensor
    reward: FloatArray
    running: BoolArray
    success: BoolArray

    @property
    def steps(self) -> int:
        """Environment steps that count."""
        return int(self.running.sum())


def windows(values: Tensor) -> Tensor:
    """Values of T steps in B places, (T, B, ...), cut into windows that lie side by side.

    Returns
    -------
    Tensor (W, n B, ...)
        In windows of W = min(T, 100) steps: the first one of all B places, then the second, up to
        the n-th, which is filled up with 0.
    """
    n = -(-len(values) // _WINDOW)
    if n == 1:
        return values
    lacks = values.new_zeros(n * _WINDOW - len(values), *values.shape[1:])
    cut = torch.cat((values, lacks)).reshape(n, _WINDOW, *values.shape[1:])
    return cut.transpose(0, 1).flatten(1, 2)


class Standardised(nn.Module):
    """A network whose inputs are centred and scaled.

    Parameters
    ----------
    width : int
        Numbers that it sees.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, inputs: Tensor) -> None:
        """Take centre and scale from inputs (N, width); what hardly varied is not blown up."""
        self.mean.copy_(inputs.mean(0))
        self.scale.copy_(inputs.std(0).clamp(min=_LEAST_SCALE))

    def standard(self, inputs: Tensor) -> Tensor:
        """Inputs (..., width) with a mean of 0 and a spread of 1, or less where it was small."""
        return (inputs - self.mean) / self.scale


class Student(Standardised):
    """The recurrent agent, with the head that tells its belief.

    Parameters
    ----------
    width, n : int
        Entries of an observation and of an action.
    recipe : Recipe
    """

    def __init__(self, width: int, n: int, recipe: Recipe) -> None:
        super().__init__(width)
        encoder, memory = recipe.encoder, recipe.memory
        self.first, self.second = _linear(width, encoder), _linear(encoder, encoder)
        self.memory = _CELLS[recipe.cell](encoder, memory)
        for name, weights in self.memory.named_parameters():
            if "weight" in name:
                for gate in weights.data.split(memory):
                    nn.init.orthogonal_(gate)
            else:
                nn.init.zeros_(weights)
        # at first it keeps what it has, by the update gate of a GRU or the forget gate of an LSTM
        self.memory.get_parameter("bias_hh_l0").data[memory : 2 * memory] = 1.0
        self.head = _linear(memory + encoder, n, 0.01)
        self.belief = _linear(memory, _BELIEF, 1.0)

    def forward(self, seen: Tensor, memory: Any = None) -> tuple[Tensor, Tensor, Any]:
        """Actions (T, B, n) and beliefs (T, B, 4), and the memory after the last observations."""
        encoded = torch.relu(self.first(self.standard(seen)))
        encoded = torch.relu(self.second(encoded))
        recalled, memory = self.memory(encoded, memory)
        return self.head(torch.cat((recalled, encoded), -1)), self.belief(recalled), memory


class Recall:
    """The student at play, and what it remembered when each of the `windows` began.

    Parameters
    ----------
    student : Student
    """

    def __init__(self, student: Student) -> None:
        self._student, self._memory, self._steps = student, None, 0
        self._kept: list[Any] = []

    def __call__(self, seen: Tensor) -> Tensor:
        """Actions (B, n) for the next observations (B, d)."""
        if self._steps and self._steps % _WINDOW == 0:
            self._kept.append(self._memory)
        action, _, self._memory = self._student(seen[None], self._memory)
        self._steps += 1
        return action[0]

    def at(self, places: Tensor) -> Any:
        """What the student begins these places of `windows` with."""
        if not self._kept:
            return None
        if isinstance(self._memory, Tensor):
            return self._begun(self._kept)[:, places]
        return tuple(self._begun(each)[:, places] for each in zip(*self._kept, strict=True))

    @staticmethod
    def _begun(kept: Sequence[Tensor]) -> Tensor:
        return torch.cat((torch.zeros_like(kept[0]), *kept), dim=1)


def network(student: Student, env: BMIVectorEnv, about: JSON) -> Network:
    """The student as it is played without torch; it has no head for the belief any more.

    Parameters
    ----------
    student : Student
    env : BMIVectorEnv
        Whose observations it sees.
    about : dict
        What is to be known of it, in JSON types.
    """
    first, second, head = linear((student.first, student.second, student.head))
    weight = first.weights["weight"] / student.scale.numpy()  # seen as it is, not standardised
    bias = first.weights["bias"] - weight @ student.mean.numpy()
    (memory,) = recurrent(student.memory)
    layers = (
        Layer("linear", {"weight": weight, "bias": bias}, "relu"),
        replace(second, activation="relu"),
        replace(memory, joined=True),
        head,
    )
    return Network(layers, *_boxes(env), about=about)


def privileged(env: BMIVectorEnv) -> FloatArray:
    """What the teacher and the critics see of B trials, (B, s), in units of about 1.

    Position and velocity first, then where the device is sensed, the force law, target and last
    action, the time as a share of what there is, and what the task remembers.
    """
    episodes = env.episodes
    device, half_side = episodes.state, episodes.half_side_cm
    limit_s = (_most_steps(env) or 1) * episodes.loops[0].plant.step_s
    remembered = episodes.outcome.values
    parts = (
        2 * device.position / half_side,
        2 * device.velocity / half_side,
        2 * episodes.sensed.position / half_side,
        np.clip(device.forces, -_MOST_FORCE, _MOST_FORCE),
        2 * episodes.target / half_side,
        episodes.action,
        device.time_s[:, None] / limit_s,
        np.minimum(remembered[:, Judged.STREAK, None], 3),
        remembered[:, N_JUDGED:],
    )
    return np.hstack(parts).astype(np.float32)


Acting = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From observations (B, d) and states (B, s) to actions and what is wished."""


def whole_trials(env: BMIVectorEnv, act: Acting, seed: int, first: int) -> Batch:
    """Trials, or sessions of them, from their beginning to their end.

    Parameters
    ----------
    env : BMIVectorEnv
    act : callable
        From observations (B, d) and states (B, s) to actions and wishes, (B, n) each.
    seed : int
        Of the first trial or session.
    first : int
        Its number.
    """
    seen, _ = env.reset(seed=seed, options=numbers_of(env, first))
    running = np.ones(env.num_envs, np.bool_)
    low, rows, success = env.episodes.low, [], []
    while running.any():
        now = torch.as_tensor(seen), torch.as_tensor(privileged(env))
        with torch.no_grad():
            action, wished = act(*now)
        seen, reward, terminated, truncated, info = env.step(action.clamp(low, 1.0).numpy())
        rows.append((*now, action, wished, reward.astype(np.float32), running))
        ended = terminated | truncated
        success.append(info["is_success"][running & info.get("trial_end", ended)])
        running = running & ~ended
    columns: list[Any] = list(zip(*rows, strict=True))
    a, b, c, d = (torch.stack(each) for each in columns[:4])
    return Batch(a, b, c, d, np.stack(columns[4]), np.stack(columns[5]), np.concatenate(success))


def advantages(
    reward: FloatArray, value: FloatArray, running: BoolArray, gamma: float, gae_lambda: float
) -> FloatArray:
    """Generalised advantage estimates (Schulman et al. 2016), (T, B), until episodes end for good.

    From one trial of a session to the next values run on.

    Parameters
    ----------
    reward, value, running : ndarray (T, B)
    gamma, gae_lambda : float
    """
    found = np.zeros_like(reward)
    ahead = np.zeros((2, reward.shape[1]), np.float32)  # value and advantage of the next step
    for t in reversed(range(len(reward))):
        error = reward[t] + gamma * ahead[0] - value[t]
        found[t] = error + gamma * gae_lambda * ahead[1]
        ahead = np.where(running[t], (value[t], found[t]), 0.0).astype(np.float32)
    return found


class Distillation:
    """A run: networks, optimisers, and how far it came.

    Parameters
    ----------
    recipe : Recipe
    make : callable
        ``(num_envs) -> BMIVectorEnv``.
    seed : int

    Attributes
    ----------
    batches, steps : int
        Batches and environment steps so far.
    student : Student
    env : BMIVectorEnv

    Raises
    ------
    ValueError
        If trials have no step limit, or observations are dictionaries.
    """

    def __init__(self, recipe: Recipe, make: Callable[[int], BMIVectorEnv], seed: int) -> None:
        self.env = make(recipe.trials)
        self._classroom = make(recipe.teach_trials)
        _check_trials(self.env)
        self.recipe, self._seed = recipe, seed
        self.batches = self.steps = 0
        torch.manual_seed(seed)
        width, n = (space.shape[0] for space in _boxes(self.env))
        self.env.reset(seed=0)
        n_state = privileged(self.env).shape[1]
        self.teacher = _Privileged(n_state, recipe.units, n)
        self.log_std = nn.Parameter(torch.full((n,), recipe.teach_log_std))
        self.critic = _Privileged(n_state, recipe.units, 1)
        self.student = Student(width, n, recipe)
        self._optimisers = {
            "teacher": torch.optim.Adam([*self.teacher.parameters(), self.log_std], eps=1e-5),
            "critic": torch.optim.Adam(self.critic.parameters(), eps=1e-5),
            "copy": torch.optim.Adam(self.student.parameters()),
            "tune": torch.optim.Adam(self.student.parameters()),
        }
        learns = recipe.teacher == "ppo"
        self._expert = None if learns else LookAhead(self._classroom, avoids=True)
        self._standardise()

    def _standardise(self) -> None:
        """Centre and scale all inputs, by trials under random volition."""

        def wander(seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            drawn = 0.3 * torch.rand(len(seen), self.student.head.out_features)
            return drawn, drawn

        batch = whole_trials(self._classroom, wander, self._hashed(), 0)
        kept = torch.as_tensor(batch.running)
        self.student.fit(batch.seen[kept])
        self.teacher.fit(batch.state[kept])
        self.critic.fit(batch.state[kept])

    def _hashed(self) -> int:
        """The seed of the next batch's trials."""
        return int(np.random.SeedSequence((self._seed, self.batches)).generate_state(1)[0])

    def stage(self, share: float) -> tuple[str, float]:
        """Which stage it is at a share of the budget, and what share of it is over."""
        ends = (0.0, *self.recipe.shares, 1.0)
        for name, begin, end in zip(STAGES, ends, ends[1:], strict=False):
            if share < end:
                return name, (share - begin) / (end - begin)
        return STAGES[-1], 1.0

    def learn(self, share: float) -> Batch:
        """Play a batch and learn from it, at a share of the budget.

        Returns
        -------
        Batch
        """
        name, within = self.stage(share)
        torch.manual_seed(self._hashed())
        batch: Batch = getattr(self, f"_{name}")(within)
        self.batches += 1
        self.steps += batch.steps
        return batch

    def _teach(self, within: float) -> Batch:
        recipe = self.recipe
        if recipe.teacher == "look_ahead":
            return self._imitate(within)
        std = self.log_std.detach().exp()

        def act(seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            mean = self.teacher(state)
            return mean + std * torch.randn_like(mean), mean

        batch = whole_trials(self._classroom, act, self._hashed(), self._first(recipe.teach_trials))
        kept = torch.as_tensor(batch.running)
        state, action = batch.state[kept], batch.action[kept]
        before = _log_likelihood(batch.wished[kept], self.log_std.detach(), action)
        gained, returns = (each[kept] for each in self._judge(batch, recipe.gamma))
        size = -(-len(state) // recipe.teach_minibatches)
        for part in _parts(len(state), size, recipe.teach_epochs):
            with self._step("teacher", _fall(recipe.teach_rate, 20, within), 0.5) as step:
                now = _log_likelihood(self.teacher(state[part]), self.log_std, action[part])
                step(_surrogate(now - before[part], _normal(gained[part])).mean())
            with self._step("critic", _fall(recipe.teach_rate, 20, within), 0.5) as step:
                step(((self.critic(state[part])[:, 0] - returns[part]) ** 2).mean())
        return batch

    def _imitate(self, within: float) -> Batch:
        """The teacher as a smooth copy of look-ahead on the true state, on trials of its own."""
        recipe, env, expert = self.recipe, self._classroom, self._expert
        assert expert is not None  # this is its stage
        astray = 0.1 * (torch.arange(env.num_envs) % 2)[:, None]

        def act(seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            label = torch.as_tensor(expert.predict(seen.numpy())[0])
            action = label if self.batches == 0 else self.teacher(state)
            return action + astray * torch.randn_like(action), label

        batch = whole_trials(env, act, self._hashed(), self._first(env.num_envs))
        kept = torch.as_tensor(batch.running)
        state, label = batch.state[kept], batch.wished[kept]
        for part in _parts(len(state), 256, recipe.teach_epochs):
            with self._step("teacher", _fall(recipe.teach_rate, 20, within), 0.5) as step:
                step(((self.teacher(state[part]) - label[part]) ** 2).mean())
        return batch

    def _copy(self, within: float) -> Batch:
        recipe, low = self.recipe, self.env.episodes.low
        astray = recipe.copy_noise * (torch.arange(recipe.trials) % 2)[:, None]
        recall = Recall(self.student)

        def act(seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            label = self.teacher(state).clamp(low - _BEYOND, 1.0 + _BEYOND)
            return recall(seen) + astray * torch.randn_like(label), label

        batch = whole_trials(self.env, act, self._hashed(), self._first(recipe.trials))
        self._value(batch)  # so that tuning begins with a critic that knows the student
        seen, wished, state = map(windows, (batch.seen, batch.wished, batch.state))
        running = windows(torch.as_tensor(batch.running)).numpy()
        for part, share in _alike(running, recipe.copy_part, recipe.copy_epochs):
            with self._step("copy", _fall(recipe.copy_rate, 30, within), 1.0) as step:
                action, belief, _ = self.student(seen[part], recall.at(part[1]))
                label = wished[part]
                error = (action - label) ** 2
                idle = ((action < low) & (label < low)) | ((action > 1) & (label > 1))
                error = torch.where(idle, _IDLE * error, error)
                believed = self._belief_error(belief, state[part])
                loss = recipe.action_weight * error.mean(-1) + recipe.belief_weight * believed
                step((loss * share).sum())
        return batch

    def _tune(self, within: float) -> Batch:
        recipe = self.recipe
        first, last = recipe.tune_std
        std = first + (last - first) * within
        recall = Recall(self.student)

        def act(seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            mean = recall(seen)
            return mean + std * torch.randn_like(mean), mean

        batch = whole_trials(self.env, act, self._hashed(), self._first(recipe.trials))
        kept = torch.as_tensor(batch.running)
        log_std = torch.full_like(self.log_std.detach(), float(np.log(std)))
        before = _log_likelihood(batch.wished, log_std, batch.action)
        gained = self._value(batch)
        gained = (gained - gained[kept].mean()) / (gained[kept].std() + _STEADY)
        seen, state, action = map(windows, (batch.seen, batch.state, batch.action))
        before, gained, running = map(windows, (before, gained, kept))
        for part, share in _alike(running.numpy(), recipe.tune_part, recipe.tune_epochs):
            with self._step("tune", _fall(recipe.tune_rate, 8, within), 0.5) as step:
                mean, belief, _ = self.student(seen[part], recall.at(part[1]))
                now = _log_likelihood(mean, log_std, action[part])
                loss = _surrogate(now - before[part], gained[part])
                believed = self._belief_error(belief, state[part])
                step(((loss + recipe.tune_belief_weight * believed) * share).sum())
        return batch

    def _first(self, trials: int) -> int:
        """Number of a batch's first trial, which schedules of perturbations go by."""
        return self.batches * trials

    def _judge(self, batch: Batch, gamma: float) -> tuple[Tensor, Tensor]:
        """Advantages and returns by the critic, (T, B)."""
        with torch.no_grad():
            value = self.critic(batch.state)[..., 0].numpy()
        reward, gae_lambda = _REWARD * batch.reward, self.recipe.gae_lambda
        gained = advantages(reward, value, batch.running, gamma, gae_lambda)
        return torch.as_tensor(gained), torch.as_tensor(gained + value)

    def _value(self, batch: Batch) -> Tensor:
        """Advantages (T, B) of what the student did, from which the critic then learns."""
        kept = torch.as_tensor(batch.running)
        gained, returns = self._judge(batch, self.recipe.tune_gamma)
        state, returns = batch.state[kept], returns[kept]
        for rows in _parts(len(state), -(-len(state) // 8), 4):
            with self._step("critic", 1e-3, 0.5) as step:
                step(((self.critic(state[rows])[:, 0] - returns[rows]) ** 2).mean())
        return gained

    def _belief_error(self, belief: Tensor, state: Tensor) -> Tensor:
        """Mean squared error of position and velocity, in units of their spread."""
        true = self.critic.standard(state)[..., :_BELIEF]
        return ((belief - true) ** 2).mean(-1)

    def believed(self, belief: Tensor) -> FloatArray:
        """Position, cm, and velocity, cm/s, (..., 4) that the student believes in.

        Parameters
        ----------
        belief : Tensor (..., 4)
            What it returns.
        """
        critic = self.critic
        unit_cm = self.env.episodes.half_side_cm / 2
        told = belief * critic.scale[:_BELIEF] + critic.mean[:_BELIEF]
        return (unit_cm * told).detach().numpy()

    @contextmanager
    def _step(self, name: str, rate: float, most: float) -> Iterator[Callable[[Tensor], None]]:
        """Lend what takes a step down a loss, its gradient at most so long."""
        optimiser = self._optimisers[name]
        (group,) = optimiser.param_groups
        group["lr"] = rate

        def step(loss: Tensor) -> None:
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(group["params"], most)
            optimiser.step()

        yield step

    @property
    def tuned(self) -> bool:
        """Whether the last stage has begun."""
        return bool(self._optimisers["tune"].state)

    def close(self) -> None:
        """Leave the environments."""
        self.env.close()
        self._classroom.close()

    def state(self) -> bytes:
        """All that is needed to go on, as `load` takes it."""
        file = BytesIO()
        torch.save(
            {name: getattr(self, name).state_dict() for name in _MODULES}
            | {f"{name} optimiser": each.state_dict() for name, each in self._optimisers.items()}
            | {"log_std": self.log_std.detach(), "batches": self.batches, "steps": self.steps},
            file,
        )
        return file.getvalue()

    def load(self, state: bytes) -> None:
        """Go on from a `state`; nothing in it is executed.

        Raises
        ------
        ValueError
            If it is damaged, or of other networks.
        """
        try:
            saved = torch.load(BytesIO(state), weights_only=True)
            for name in _MODULES:
                getattr(self, name).load_state_dict(saved[name])
            for name, each in self._optimisers.items():
                each.load_state_dict(saved[f"{name} optimiser"])
            self.log_std.data.copy_(saved["log_std"])
            self.batches, self.steps = int(saved["batches"]), int(saved["steps"])
        except Exception as error:  # of torch, of pickle
            words = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"{STATE} does not hold what to go on from ({words}): {REMEDY}") from (
                error
            )


def learn(plan: Plan, config: JSON, until: int | None = None, resume: bool = False) -> bool:
    """Learn until the budget of a run is spent, or so many steps are done, or until Ctrl-C.

    Parameters
    ----------
    plan : Plan
        Its folder is the caller's alone.
    config : dict
        Content of ``config.json``, which is brought up to date.
    until : int, optional
        Steps at which this session ends.
    resume : bool
        Whether to go on with what the folder holds.

    Returns
    -------
    bool
        Whether it was not interrupted.
    """
    folder = plan.folder
    if resume:
        run, before = restored(folder, config), float(config["seconds"])
    else:
        run, before = _fresh(config), 0.0
        clear(folder)
    total, unit = plan.budget
    planned, of = config["planned"]
    begun, saved = time.monotonic() - before, -np.inf
    state = run.state()

    def spent(unit: str) -> float:
        return run.steps if unit == "steps" else time.monotonic() - begun

    def checkpoint() -> None:
        nonlocal saved
        with whole_file(folder / STATE) as part:
            part.write_bytes(state)
        config.update(steps=run.steps, seconds=round(time.monotonic() - begun, 3))
        save_network(folder / AGENT, network(run.student, run.env, about_run(config)))
        write_json(folder / CONFIG, config)
        saved = time.monotonic()

    with closing(run), closing(Progress(folder, run.steps, before, plan.budget)) as progress:
        checkpoint()  # from now on there is a run to go on with
        try:
            while spent(unit) < total and (until is None or run.steps < until):
                share = min(1.0, spent(of) / planned)
                batch = run.learn(share)
                earned = (batch.reward * batch.running).sum(axis=0).mean()
                length = batch.steps / len(batch.reward[0])
                means = float(earned), float(batch.success.mean()), length
                words = f"{run.stage(share)[0]}: "
                progress.tell(run.steps, time.monotonic() - begun, means, words)
                progress.advance(spent(unit))
                state = run.state()
                if time.monotonic() - saved >= plan.checkpoint_s:
                    checkpoint()
            done = True
            config["finished"] = bool(spent(unit) >= total)
            if config["finished"] and run.recipe.shares[1] < 1 and not run.tuned:
                progress.say(
                    f"the budget of {total:,.0f} {unit} ended after {run.steps:,} steps in "
                    f"{run.batches} batches, before the student was tuned: give a larger one, or "
                    "smaller batches (--hyper trials=...)"
                )
        except KeyboardInterrupt:
            run.load(state)  # in the midst of a batch, which is to be played anew
            done = False
        checkpoint()
    return done


def restored(folder: Path, config: JSON) -> Distillation:
    """A run as its last checkpoint left it.

    Parameters
    ----------
    folder : Path
        Of the run.
    config : dict
        Content of its ``config.json``.

    Raises
    ------
    FileNotFoundError
        If the folder holds no state.
    ValueError
        If it is damaged, or of other networks.
    """
    path = folder / STATE
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path} to go on from: {REMEDY}")
    run = _fresh(config)
    run.load(path.read_bytes())
    return run


def check(env: str, option: JSON, hyperparams: JSON) -> None:
    """Raise ValueError unless a distillation can be begun.

    Parameters
    ----------
    env : str
        Its id.
    option : dict
        Its options.
    hyperparams : dict
        In full.
    """
    recipe = _recipe(hyperparams)
    with closing(make_env(env, 1, option)) as made:
        _boxes(made)
        _check_trials(made)
        if recipe.teacher == "look_ahead":
            for loop in made.episodes.loops:  # without the tables, which take seconds
                loop.rates(LookAhead.__name__)


def _recipe(hyperparams: JSON) -> Recipe:
    chosen = dict(hyperparams)
    if (frames := chosen.pop("frame_stack")) != 1:
        raise ValueError(f"frame_stack = {frames}: distill remembers by itself, give 1")
    known = {each.name for each in fields(Recipe)}
    for name in sorted(known ^ chosen.keys()):
        what = "is none" if name in chosen else "is missing"
        raise ValueError(f"hyper-parameter {name!r} {what}: give all of {', '.join(sorted(known))}")
    return Recipe(**chosen)


def _fresh(config: JSON) -> Distillation:
    settings = config["settings"]
    make = partial(make_env, settings["env"], options=settings["option"])
    return Distillation(_recipe(config["hyperparams"]), make, settings["seed"])


class _Privileged(Standardised):
    """Two hidden layers on the privileged state: a teacher's actions, or a critic's value."""

    def __init__(self, n_state: int, units: int, n: int) -> None:
        super().__init__(n_state)
        self.layers = nn.Sequential(
            _linear(n_state, units), nn.Tanh(), _linear(units, units), nn.Tanh(),
            _linear(units, n, 1.0 if n == 1 else 0.01),
        )  # fmt: skip

    def forward(self, state: Tensor) -> Tensor:
        out: Tensor = self.layers(self.standard(state))
        return out


def _linear(inputs: int, units: int, gain: float = 2**0.5) -> nn.Linear:
    layer = nn.Linear(inputs, units)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _boxes(env: BMIVectorEnv) -> tuple[Box, Box]:
    """What an agent sees and does."""
    sees, does = env.single_observation_space, env.single_action_space
    if not (isinstance(sees, Box) and isinstance(does, Box)):
        raise ValueError("distill sees flat observations: choose an id without Goal in its name")
    return sees, does


def _check_number(name: str, value: Any, least: float, most: float) -> None:
    """Raise ValueError unless it is a finite number between two."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    if not (known and least <= value <= most):
        ends = f" from {least:g} to {most:g}" if np.isfinite(most) else f" >= {least:g}"
        raise ValueError(f"{name} = {value!r}: give a number{ends if np.isfinite(least) else ''}")


def _check_trials(env: BMIVectorEnv) -> None:
    """Raise ValueError unless whole trials of it can be played."""
    if _most_steps(env) is None:
        raise ValueError(
            "distill learns from whole trials, and these have no step limit: give "
            "max_episode_steps, or choose --algo recurrent_ppo"
        )


def _most_steps(env: BMIVectorEnv) -> int | None:
    """At which each trial ends."""
    return env.episodes.config.session.trial_steps or env.max_episode_steps


def _fall(first: float, times: float, within: float) -> float:
    """A learning rate that falls linearly to so small a part of the first."""
    return first * (1 + (1 / times - 1) * within)


def _parts(n: int, size: int, epochs: int) -> Iterator[Tensor]:
    """Indices in random order, in parts of a size, as often as there are epochs."""
    for _ in range(epochs):
        yield from torch.split(torch.randperm(n), size)


def _alike(
    running: BoolArray, size: int, epochs: int
) -> Iterator[tuple[tuple[slice, Tensor], Tensor]]:
    """Minibatches of places that last about as long, so that few steps are played for nothing.

    Places that no step belongs to are left out.

    Yields
    ------
    part : (slice, Tensor)
        Steps and places.
    share : Tensor (T', size)
        What each step counts for in a mean; the same in all minibatches, of which the last may have
        fewer places.
    """
    lengths = torch.as_tensor(running.sum(axis=0))
    used = int((lengths > 0).sum())
    weight = torch.as_tensor(running / (running.sum() * size / used), dtype=torch.float32)
    for _ in range(epochs):
        order = torch.argsort(lengths + 4 * torch.rand(len(lengths)))
        order = order[lengths[order] > 0]
        parts = torch.split(order, size)
        for i in torch.randperm(len(parts)):
            part = slice(int(lengths[parts[i]].max())), parts[i]
            yield part, weight[part]


def _normal(values: Tensor) -> Tensor:
    return (values - values.mean()) / (values.std() + _STEADY)


def _log_likelihood(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Of actions under a normal policy, but for a constant."""
    return (-0.5 * ((action - mean) / log_std.exp()) ** 2 - log_std).sum(-1)


def _surrogate(log_ratio: Tensor, gained: Tensor) -> Tensor:
    """PPO's clipped loss (Schulman et al. 2017), of each action."""
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * gained, ratio.clamp(1 - _CLIP, 1 + _CLIP) * gained)
