"""
A cortex of one's own
=====================

Answer stimuli with bursts, tuned otherwise in every animal, which volition prolongs.
"""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Circle

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.checks import internal, whole
from ndbmi_gym.cortex import Cortex, FloatArray, IntArray, Response
from ndbmi_gym.spikes import from_times
from ndbmi_gym.streams import Source

# %%
# A cortex says how many stimuli, electrodes and ticks of the clock there are, and how it responds.


@dataclass(frozen=True)
class Bursts(Cortex):
    """Stimuli on a ring; how late each electrode answers is its own tuning, for each animal."""

    n_stimuli: int = whole(8, "number of stimuli", least=3)
    n_electrodes: int = whole(6, "recording electrodes", least=1)
    animal: int = internal(0)
    n_bins, clock_s, max_count = 300, 1e-3, 10.0

    def for_animal(self, animal: int) -> "Bursts":
        """The cortex of an animal."""
        return replace(self, animal=animal)

    def respond(
        self,
        stimulus: IntArray,
        volition: FloatArray | None,
        rng: Source,
        activity: FloatArray | None = None,
    ) -> Response:
        """A burst of five spikes, and volition's, after a latency with 5 ms of jitter."""
        shape = len(stimulus), self.n_electrodes
        preferred = np.random.default_rng(self.animal).random(self.n_electrodes)
        turns = stimulus[:, None] / self.n_stimuli - preferred
        latency_s = 0.1 + 0.05 * np.cos(2 * np.pi * turns) + 0.005 * rng.random(shape)
        added = rng.poisson(np.zeros(shape) if volition is None else np.maximum(volition, 0.0))
        times = [
            [np.minimum(t + 0.003 * np.arange(5 + n), 0.299) for t, n in zip(*both, strict=True)]
            for both in zip(latency_s, added, strict=True)
        ]
        counts = np.hstack((np.full(shape, 5), added))
        return Response(from_times(times, 0.3), counts, np.empty((len(stimulus), 0)))


# %%
# Calibration, decoding and control work as they do with the paper's cortex: without volition the
# device comes to the equilibrium of the field, in either animal.

figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
for animal in range(2):
    env = gymnasium.make(
        "ndbmi/FixedField-v1", cortex=f"{__name__}:Bursts", n_electrodes=9, animal=animal
    )
    observation, info = env.reset(seed=0)
    path_cm, ended = [info["position"]], False
    while not ended:
        observation, _, terminated, truncated, info = env.step(np.zeros(9, np.float32))
        path_cm.append(info["position"])
        ended = terminated or truncated
    x, y = info["position"]
    print(f"animal {animal}: after {info['time_s']:4.1f} s at ({x:5.2f}, {y:5.2f}) cm")
    ax.plot(*np.transpose(path_cm), ".-", label=f"animal {animal}")
ax.add_patch(Circle((0, 0), 1.5, fill=False, ls="--"))
ax.set(title="two animals in the fixed field", xlabel="x (cm)", ylabel="y (cm)")
ax.set(xlim=(-10, 10), ylim=(-10, 10), aspect="equal")
ax.legend()
plt.show()
