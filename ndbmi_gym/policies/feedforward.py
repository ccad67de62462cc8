"""A controller with feed-forward: it asks for the force that a planned reach takes.

Where the device goes is planned before it moves, a minimum-jerk course; the force that this takes
under a *believed* curl field is asked of volition in advance, and errors add little. So what is
believed shows: where a learned field is off for a trial, the device is deflected the other way, the
after-effect. A greedy look-ahead (`ndbmi_gym.policies.lookahead`) has no plan, and shows none.

References
----------
Flash T, Hogan N (1985). The coordination of arm movements. Journal of Neuroscience 5.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.episodes import BoolArray, Episodes, FloatArray, IntArray
from ndbmi_gym.interface import sense
from ndbmi_gym.perturbations import forces_of
from ndbmi_gym.plants import Device, Plant
from ndbmi_gym.policies.baselines import HasEpisodes
from ndbmi_gym.policies.lookahead import LookAhead, Tables


@dataclass(frozen=True)
class Plan:
    """How a reach is planned, and how errors are answered.

    Attributes
    ----------
    duration_s : float
        Of the planned reach.
    stiffness : float
        Force for an error of position, kg/s².
    damping : float
        Force for an error of velocity, kg/s.
    """

    duration_s: float = 5.0
    stiffness: float = 0.5
    damping: float = 0.5

    def force(
        self,
        plant: Plant,
        start: FloatArray,
        target: FloatArray,
        step: IntArray,
        here: FloatArray,
        curl: FloatArray,
    ) -> FloatArray:
        """The force that plan and errors ask for in a step, (B, 2), kg·cm/s².

        Parameters
        ----------
        plant : Plant
        start, target : ndarray (B, 2)
            cm.
        step : ndarray of int (B,)
            Steps since the trial began.
        here : ndarray (B, 4)
            Position and velocity, cm and cm/s.
        curl : ndarray (B,)
            The curl that is believed in, kg/s.
        """
        now, then = (
            self.at(start, target, np.asarray((step + k) * plant.step_s, float)) for k in range(2)
        )
        off = now - here
        errors = self.stiffness * off[:, :2] + self.damping * off[:, 2:]
        return inverse(plant, now, then[:, 2:], curl) + errors

    def at(self, start: FloatArray, target: FloatArray, time_s: FloatArray) -> FloatArray:
        """Where minimum-jerk reaches are, and how fast, at times (B,), (B, 4), cm and cm/s."""
        s = np.clip(time_s / self.duration_s, 0.0, 1.0)[:, None]
        way = target - start
        position = start + way * s**3 * (10 - 15 * s + 6 * s**2)
        velocity = way * 30 * s**2 * (1 - s) ** 2 / self.duration_s
        return np.concatenate([position, velocity], axis=1)


PLAN = Plan()


def inverse(plant: Plant, here: FloatArray, velocity: FloatArray, curl: FloatArray) -> FloatArray:
    """The constant force under which plants have given velocities after a step, (B, 2).

    The plant is probed by unit forces along either axis: exact where it is linear in the force,
    otherwise a step of Newton's method from no force.

    Parameters
    ----------
    plant : Plant
    here : ndarray (B, 4)
        Position and velocity before the step, cm and cm/s.
    velocity : ndarray (B, 2)
        After it, cm/s.
    curl : ndarray (B,)
        kg/s.
    """
    free, along_x, along_y = (
        ahead(plant, here, np.tile(force, (len(here), 1)), curl)[:, 2:]
        for force in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])
    )
    x, y, wanted = (after - free for after in (along_x, along_y, velocity))
    force = np.stack(
        [
            wanted[:, 0] * y[:, 1] - wanted[:, 1] * y[:, 0],
            wanted[:, 1] * x[:, 0] - wanted[:, 0] * x[:, 1],
        ],
        axis=1,
    )
    return force / (x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0])[:, None]


def ahead(plant: Plant, here: FloatArray, force: FloatArray, curl: FloatArray) -> FloatArray:
    """Position and velocity (B, 4) a step later, under forces (B, 2) in curl fields (B,)."""
    device: Device = plant.place(here[:, :2], here[:, 2:], forces=forces_of(curl))
    moved = plant.advance(device, force)
    return np.concatenate([moved.position, moved.velocity], axis=1)


class Chosen(NamedTuple):
    """Volition that was chosen in B trials, and what is expected of it.

    Attributes
    ----------
    action : ndarray (B, n)
    force : ndarray (B, 2)
        Its mean, kg·cm/s².
    variance : ndarray (B,)
        Over both components.
    """

    action: FloatArray
    force: FloatArray
    variance: FloatArray


class Candidates:
    """The volitions that a look-ahead has tabulated, and the forces expected of them.

    Parameters
    ----------
    episodes : Episodes
    tables : list of tuple
        `LookAhead.tables`.
    """

    def __init__(self, episodes: Episodes, tables: Tables) -> None:
        self._episodes = episodes
        self._volition, self._mean, self._variance = map(np.stack, zip(*tables, strict=True))
        self._sites = np.stack([loop.interface.sites for loop in episodes.loops])

    def nearest(self, sensed: FloatArray, wanted: FloatArray) -> Chosen:
        """Those whose expected force is nearest to the wanted one (B, 2).

        Parameters
        ----------
        sensed : ndarray (B, 2)
            Positions that the coming stimuli tell of, cm.
        wanted : ndarray (B, 2)
            kg·cm/s².
        """
        animal, stimulus = self._episodes.animal, np.empty(len(sensed), np.int64)
        sense(self._sites, animal, np.ascontiguousarray(sensed), stimulus, 0, len(sensed))
        off = self._mean[animal, stimulus] - wanted[:, None]
        chosen = animal, stimulus, (off[..., 0] ** 2 + off[..., 1] ** 2).argmin(axis=1)
        action = self._volition[chosen] / self._episodes.max_count
        return Chosen(action, self._mean[chosen], self._variance[chosen])


class Memory(NamedTuple):
    """What a controller carries from step to step of B trials.

    Attributes
    ----------
    start : ndarray (B, 2)
        Where the trial began, cm.
    before : ndarray (B, 4)
        Position and velocity that were seen a step ago, cm and cm/s.
    forces : ndarray (B, d + 1, 2)
        Forces expected of the last volitions, the oldest first; d is the delay of the senses.
    variances : ndarray (B, d + 1)
        Theirs.
    belief : tuple of ndarray
        What a learner knows of the field, each (B, ...).
    """

    start: FloatArray
    before: FloatArray
    forces: FloatArray
    variances: FloatArray
    belief: tuple[FloatArray, ...] = ()


class Feedforward(LookAhead):
    """Reaches as planned, in the belief that there is no curl field: the ignorant controller.

    Of the candidates of `LookAhead` it takes the one whose expected force is nearest to what the
    plan and the errors ask for (`Plan`). Where the senses are late, it predicts the present from
    what it sees, by the forces that it has asked for since and the curl that it believes in. It
    sees the state as an agent does, and knows interface, plant and delay.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
        One that shows the state.
    plan : Plan
    **options
        Of `LookAhead`.

    Raises
    ------
    ValueError
        If the state is not observed.
    """

    def __init__(self, env: HasEpisodes, plan: Plan = PLAN, **options: Any) -> None:
        must_see(env.unwrapped.episodes, "position", "state", type(self).__name__)
        super().__init__(env, **options)
        self._plan, self._candidates = plan, Candidates(self.episodes, self.tables)
        self._delay: int = self.episodes.config.senses.delay_steps
        self._plant: Plant = self.episodes.loops[0].plant

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        seen = np.concatenate(
            [self._see(observation, name) for name in ("position", "velocity")], axis=1
        )
        fresh, first = self._fresh(seen), np.full(len(seen), state is None)
        if episode_start is not None:
            first |= np.asarray(episode_start, np.bool_)
        memory: Memory = fresh if state is None else _where(first, fresh, state)
        step = steps_of(self.episodes)
        begun = step == 0
        moved = (step > self._delay) & ~first  # what is seen, since it was seen last
        memory = memory._replace(belief=self._learn(memory, seen, moved))
        if begun.any():
            carried = self._between(memory.belief, begun & ~first)
            memory = _where(begun, fresh, memory)._replace(belief=carried)
        curl, here = self._believed(memory), seen
        for i in range(1, self._delay + 1):
            later = ahead(self._plant, here, memory.forces[:, i], curl)
            here = np.where((step - self._delay - 1 + i >= 0)[:, None], later, here)
        target = self._see(observation, "target")
        wanted = self._plan.force(self._plant, memory.start, target, step, here, curl)
        action, force, variance = self._candidates.nearest(seen[:, :2], wanted)
        pushed = _pushed(memory.forces, force), _pushed(memory.variances, variance)
        return action, Memory(memory.start, seen, *pushed, memory.belief)

    def _fresh(self, seen: FloatArray) -> Memory:
        """What is carried into the first step of trials."""
        forces = np.zeros((len(seen), self._delay + 1, 2))
        return Memory(seen[:, :2].copy(), seen, forces, forces[..., 0], self._prior(len(seen)))

    def _prior(self, n_trials: int) -> tuple[FloatArray, ...]:
        """What is known of the field before any trial."""
        return ()

    def _learn(self, memory: Memory, seen: FloatArray, moved: BoolArray) -> tuple[FloatArray, ...]:
        """What is known after a further step is seen, of the trials in which one is."""
        return memory.belief

    def _between(self, belief: tuple[FloatArray, ...], ended: BoolArray) -> tuple[FloatArray, ...]:
        """What of it is carried into the next trial, where one has ended."""
        return belief

    def _believed(self, memory: Memory) -> FloatArray:
        """The curl that is believed in, (B,), kg/s."""
        return np.zeros(len(memory.start))


def steps_of(episodes: Episodes) -> IntArray:
    """Steps since each trial began, (B,)."""
    step_s = episodes.loops[0].plant.step_s
    return np.asarray(np.rint(episodes.state.time_s / step_s), np.int64)


def must_see(episodes: Episodes, quantity: str, observe: str, who: str) -> None:
    """Raise ValueError unless a quantity is observed."""
    if quantity not in episodes.layout.columns:
        raise ValueError(
            f"{who} acts on the {quantity}, and observe = "
            f"{episodes.config.observation.observe!r} does not show it: set observe={observe!r} or "
            "'full'"
        )


def _where(which: BoolArray, first: Memory, second: Memory) -> Memory:
    """The first memory in some trials, the second in the others."""

    def pick(new: FloatArray, old: FloatArray) -> FloatArray:
        return np.where(which.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

    return Memory(
        pick(first.start, second.start),
        pick(first.before, second.before),
        pick(first.forces, second.forces),
        pick(first.variances, second.variances),
        tuple(map(pick, first.belief, second.belief)),
    )


def _pushed(line: FloatArray, newest: FloatArray) -> FloatArray:
    """A delay line (B, d + 1, ...) with another entry at its end, and without its first."""
    return np.concatenate([line[:, 1:], newest[:, None]], axis=1)
