"""A privileged ceiling: one step of look-ahead through the model of the loop, on the true state."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.cortex import decoded
from ndbmi_gym.episodes import FloatArray
from ndbmi_gym.fields import obstacles_of
from ndbmi_gym.inversion import displacing
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.plants import Device
from ndbmi_gym.policies.baselines import HasEpisodes, Policy
from ndbmi_gym.policies.waypoint import detour, intrusion
from ndbmi_gym.streams import policy_rng

Tables = list[tuple[FloatArray, FloatArray, FloatArray]]


class LookAhead(Policy):
    """Privileged ceiling: one step of look-ahead on the true state.

    Candidate volitions are judged by where their expected decoded force would bring the device:
    the squared distance to the target from x′ + `lead_s`·v′, plus what the force's variance adds.
    The candidates are the stimuli's mean responses times gains, and fill-ins that turn the evoked
    response into such a multiple; through a circuit, the inputs that displace the decoded point in
    16 directions. Their force is tabulated for every stimulus by simulation. What a cortex carries
    from step to step is not known to it. Where the device is sensed late or with noise, it knows
    both what is and what is sensed. Where a task demands a movement,
    the target runs.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv
    gains : tuple of float
        Multiples of the stimuli's mean responses.
    lead_s : float
        How far ahead the velocity is extrapolated, s.
    samples : int
        Simulated responses per entry of the table.
    seed : int
        Of those responses.
    avoids : bool
        Whether it goes round the obstacles that the task names (`ndbmi_gym.policies.waypoint`).
        Otherwise it is greedy: it goes straight for the target.
    tables : list of tuple, optional
        `LookAhead.tables` of a policy for the same loops, in place of making them, which takes
        seconds.

    Attributes
    ----------
    tables : list of tuple
        For each animal the candidates (S, C, n), in spikes per window, with mean (S, C, 2) and
        variance (S, C) of their force.
    """

    def __init__(
        self,
        env: HasEpisodes,
        gains: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5),
        lead_s: float = 0.25,
        samples: int = 32,
        seed: int = 0,
        avoids: bool = False,
        tables: Tables | None = None,
    ) -> None:
        super().__init__(env)
        self._lead_s = lead_s
        self._avoids = avoids
        for loop in self.episodes.loops:
            loop.rates(type(self).__name__)
        rng = policy_rng(seed, "lookahead")
        low = self.episodes.low * self.episodes.max_count
        self.tables: Tables = tables or [
            _tabulate(
                loop,
                _candidates(loop, gains, low, self.episodes.max_count),
                samples,
                rng,
            )
            for loop in self.episodes.loops
        ]

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        device, sensed = self.episodes.state, self.episodes.sensed.position
        return self._choose(device, sensed, self._goal(observation)), None

    def _goal(self, observation: npt.NDArray[Any]) -> FloatArray:
        """Where the extrapolated position is to be, (B, 2), cm."""
        return self._aim(observation, self.episodes.loops[0].plant.step_s + self._lead_s)

    def _choose(self, device: Device, sensed: FloatArray, target: FloatArray) -> FloatArray:
        """Best candidate for devices (B) and targets (B, 2), as actions (B, n).

        The stimulus that the candidates are added to is that of the sensed positions (B, 2).
        """
        obstacles = obstacles_of(self.episodes.task) if self._avoids else ()
        if obstacles:
            target = detour(device.position, target, obstacles)
        action = np.zeros((len(target), self.episodes.n_electrodes))
        for (loop, mine), (volition, mean, variance) in zip(
            self._by_loop(), self.tables, strict=True
        ):
            if not mine.any():
                continue
            here = device.select(mine)
            stimulus = loop.interface.sense(sensed[mine])
            n_trials, n_candidates = len(stimulus), volition.shape[1]
            moved = loop.plant.advance(here.repeat(n_candidates), mean[stimulus].reshape(-1, 2))
            ahead = (moved.position + self._lead_s * moved.velocity).reshape(n_trials, -1, 2)
            miss = ((ahead - target[mine][:, None]) ** 2).sum(axis=-1)
            if obstacles:
                miss += intrusion(ahead, obstacles)
            best = (miss + self._gain(loop) ** 2 * variance[stimulus]).argmin(axis=1)
            action[mine] = volition[stimulus, best] / self.episodes.max_count
        return action

    def _gain(self, loop: ClosedLoop) -> float:
        """How far a unit of force carries the extrapolated position in a step, cm."""
        two = loop.plant.place(np.zeros((2, 2)))
        moved = loop.plant.advance(two, np.array([[0.0, 0.0], [1.0, 0.0]]))
        ahead = moved.position + self._lead_s * moved.velocity
        return float(ahead[1, 0] - ahead[0, 0])


def _candidates(loop: ClosedLoop, gains: tuple[float, ...], low: float, high: float) -> FloatArray:
    """Volitions that a look-ahead chooses from, by stimulus, (S, C, n)."""
    cortex = loop.rates("a look-ahead")
    n_stimuli, n_electrodes = cortex.n_stimuli, cortex.n_electrodes
    nothing = np.zeros((n_stimuli, 1, n_electrodes))
    if not cortex.volition_adds:
        angle = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
        ring = np.column_stack((np.cos(angle), np.sin(angle)))
        sizes = loop.interface.half_side_cm * np.array(_DISPLACEMENTS)
        wanted = np.array(
            [
                displacing(cortex, loop.interface, displacement, low, high)
                for displacement in (sizes[:, None, None] * ring).reshape(-1, 2)
            ]
        )
        alone = np.broadcast_to(wanted, (n_stimuli, *wanted.shape))
        return np.concatenate([nothing, alone], axis=1)
    evoked = cortex.mean_counts(np.arange(n_stimuli), nothing[:, 0])
    wanted = np.concatenate([gain * evoked for gain in gains])  # (C', n)
    alone = np.broadcast_to(wanted, (n_stimuli, *wanted.shape))
    filled = wanted - evoked[:, None]
    every = np.clip(np.concatenate([nothing, alone, filled], axis=1), low, high)
    n = decoded(cortex)
    if n == n_electrodes:
        return every
    # each of them with every electrode that is not decoded at rest, or one at its most
    every[..., n:] = 0.0
    beside = np.vstack((np.zeros(n_electrodes), high * np.eye(n_electrodes)[n:]))
    return (every[:, :, None] + beside).reshape(n_stimuli, -1, n_electrodes)


_DIRECTIONS = 16
_DISPLACEMENTS = (0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.4)
"""Sizes of the displacements that a look-ahead through a circuit tries, in half sides."""


def _tabulate(
    loop: ClosedLoop, volition: FloatArray, samples: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The volitions (S, C, n), with mean (S, C, 2) and variance of the force of each."""
    # one stimulus at a time: all 4 million responses of set 7 at once would take 20 GB
    forces = [
        loop.expected_force(np.full(len(added), stimulus), added, rng, samples)
        for stimulus, added in enumerate(volition)
    ]
    mean, variance = zip(*forces, strict=True)
    return volition, np.stack(mean), np.stack(variance)
