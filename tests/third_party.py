"""Parts of somebody else's: a field, a law, a schedule, a task, a cortex and a plant of their own.

No file of the package knows of them. They are chosen as ``"third_party:Name"``.
"""

from dataclasses import dataclass, replace

import numpy as np

from ndbmi_gym.checks import internal, number, numbers, settle, whole
from ndbmi_gym.cortex import Cortex, Response
from ndbmi_gym.perturbations import forces_of
from ndbmi_gym.plants import Device, placed
from ndbmi_gym.spikes import SpikeTrains
from ndbmi_gym.tasks import Judged, Outcome
from ndbmi_gym.tasks.reach import Reach


@dataclass(frozen=True)
class Corridor:
    """A desired field: strong attraction to the horizontal axis, a weak one along it."""

    strength: float = number(3.0, "largest force", "kg·cm/s²", above=0, most=100)

    target = (0.0, 0.0)

    def __post_init__(self):
        settle(self)

    def max_force(self, reach_cm):
        """Bound of the magnitude."""
        return self.strength * 2**0.5

    def __call__(self, position):
        """Force (..., 2) at positions (..., 2)."""
        return -self.strength * np.tanh(position * np.array([0.15, 0.8]))


def gust(position, velocity, time_s):
    """A law: a push along x that swells and fades with the time in the trial."""
    force = np.zeros_like(position)
    force[:, 0] = np.sin(2 * np.pi * time_s / 6.0)
    return force


@dataclass(frozen=True)
class EverySecond:
    """A schedule: a curl field in every second trial."""

    strength_kg_s: float = number(1.0, "curl of odd trials", "kg/s", least=0, most=10)

    law = None

    def __post_init__(self):
        settle(self)

    def ranges(self):
        """Low and high of curl and both components of push."""
        return np.array([[0.0, self.strength_kg_s], [0.0, 0.0], [0.0, 0.0]])

    def sample(self, rng, trials):
        """Forces of trials, by their numbers."""
        return forces_of(self.strength_kg_s * (trials.number % 2))


@dataclass(frozen=True)
class Obstacle(Reach):
    """A task: reach targets in turn, trial by trial, and fail where a step leads through a disc."""

    obstacle_cm: tuple[float, float] = numbers((0.0, 0.0), (2,), "centre of the disc", "cm")
    obstacle_radius_cm: float = number(0.5, "radius of the disc", "cm", above=0)
    fine: float = number(1.0, "what a failure costs", least=0)

    def draw_targets(self, rng, starts, pool, trial):
        """The targets of the pool in turn."""
        return pool[trial % len(pool)]

    def assess(self, before, after, target, action, last, half_side_cm):
        """Judge a step, which ends in failure if its segment enters the disc."""
        values = super().assess(before, after, target, action, last, half_side_cm).values.copy()
        hit = self._nearest(before.position, after.position) < self.obstacle_radius_cm
        hit &= (before.position != after.position).any(axis=1)
        values[hit, Judged.FAILED] = 1.0
        values[hit, Judged.ARRIVED] = values[hit, Judged.SUCCESS] = 0.0
        values[hit, Judged.REWARD_BONUS] = 0.0
        values[hit, Judged.REWARD_PENALTY] = -self.fine
        terms = slice(Judged.REWARD_DISTANCE, Judged.REWARD_PENALTY + 1)
        values[:, Judged.REWARD] = values[:, terms].sum(axis=1)
        return Outcome(values)

    def _nearest(self, start, end):
        """Distance of segments from the disc's centre, (B,)."""
        along, offset = end - start, np.asarray(self.obstacle_cm) - start
        length = np.maximum((along**2).sum(axis=1), 1e-300)
        share = np.clip((along * offset).sum(axis=1) / length, 0, 1)
        return np.hypot(*(offset - share[:, None] * along).T)


@dataclass(frozen=True)
class Latencies(Cortex):
    """A cortex that answers by when electrodes fire, and does not know its rates.

    Every electrode fires a burst at a latency of its own under each stimulus, with jitter; which
    latency is drawn for each animal. Volition lengthens the bursts.
    """

    n_stimuli: int = whole(9, "stimuli, on a square grid", least=4, most=64)
    n_electrodes: int = whole(6, "recording electrodes", least=1, most=64)
    jitter: int = whole(20, "largest jitter of a burst, ticks", least=0, most=100)
    tuned_for: int = internal(0)

    n_bins, clock_s, max_count = 300, 1e-3, 10.0

    def __post_init__(self):
        settle(self)

    @property
    def layout(self):
        """The stimuli's grid."""
        side = int(np.ceil(self.n_stimuli**0.5))
        return np.stack(np.divmod(np.arange(self.n_stimuli), side), axis=1) / side - 0.5

    def for_animal(self, animal):
        """The cortex of an animal."""
        return replace(self, tuned_for=animal)

    def count_bound(self, volition):
        """Spikes of an electrode that are never exceeded: a burst of five, and volition's."""
        return 5 + np.ceil(volition)

    def respond(self, stimulus, volition, rng, activity=None):
        """Bursts after a latency."""
        n, size = self.n_electrodes, len(stimulus)
        angle = np.random.default_rng([7, self.tuned_for]).random((n, 1)) * 2 * np.pi
        preferred = np.hstack((np.cos(angle), np.sin(angle)))
        latency = 120 + 150 * self.layout[stimulus] @ preferred.T  # (B, n)
        latency = latency + rng.integers(-self.jitter, self.jitter + 1, (size, n))
        asked = np.zeros((size, n)) if volition is None else volition
        volitional = np.floor(np.maximum(asked, 0) + rng.random((size, n))).astype(np.int64)
        volitional = np.minimum(volitional, np.ceil(np.maximum(asked, 0)).astype(np.int64))
        evoked = np.full((size, n), 5)
        trial, unit = np.divmod(np.arange(size * n), n)
        total = (evoked + volitional).ravel()
        place = np.arange(total.sum()) - np.repeat(np.cumsum(total) - total, total)
        ticks = np.clip(np.repeat(latency.ravel(), total) + 3 * place, 0, self.n_bins - 1)
        rows = (np.repeat(unit, total) * self.n_bins + ticks).astype(np.int32)
        offsets = np.concatenate(([0], np.cumsum(np.bincount(trial, total, size)))).astype(np.int64)
        trains = SpikeTrains(rows, offsets, n, self.n_bins)
        return Response(trains, np.hstack((evoked, volitional)), np.empty((size, 0)))


@dataclass(frozen=True)
class Cursor:
    """A plant without mass: velocity is proportional to force."""

    mobility: float = number(1.0, "speed per force", "s/kg", above=0, most=100)
    step_s: float = number(0.25, "duration of a step", "s", above=0, most=10)
    reach_cm: float = internal(20.0)

    def __post_init__(self):
        settle(self)

    def max_speed(self, force):
        """Bound of the speed."""
        return self.mobility * force

    def within(self, half_side_cm, law):
        """The cursor in a workspace."""
        if law is not None:
            raise ValueError("law: a cursor feels curl and push only, drop the law")
        return replace(self, reach_cm=1.5 * half_side_cm)

    def place(self, position, velocity=(0.0, 0.0), forces=None):
        """Put cursors at positions."""
        device = placed(position, velocity, forces)
        device.perturbing_force[:] = device.push
        return device

    def advance(self, state, force):
        """Move cursors for one step."""
        moved = Device(state.values.copy(), state.forces)
        moved.velocity[:] = self.mobility * (force + state.push)
        wanted = state.position + self.step_s * moved.velocity
        moved.position[:] = np.clip(wanted, -self.reach_cm, self.reach_cm)
        moved.velocity[:] = np.where(moved.position == wanted, moved.velocity, 0.0)
        moved.time_s[:] += self.step_s
        return moved
