"""
Ask the loop "what if"
======================

Compute the field that the device feels with and without volition, from the loop itself.

The paper's command for a target (Eq 24) is the mean response of the stimulus opposite to it: added
to every response, it displaces what is decoded, and with it the place where the loop comes to rest.
"""

import numpy as np
from matplotlib import pyplot as plt

from ndbmi_gym.config import Config

loop = Config.of().make_loop(0)
target = np.array([[4.0, 0.0]])
command = loop.rates("Eq 24").mean_counts(loop.interface.sense(-target), np.zeros((1, 9)))

# %%
# Mean forces, over 200 responses to the stimulus at each place.

axis = np.linspace(-8, 8, 9)
position = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
stimulus = loop.interface.sense(position)
rng, nothing = np.random.default_rng(0), np.zeros((len(position), 9))
alone, _ = loop.expected_force(stimulus, nothing, rng, samples=200)
shifted, _ = loop.expected_force(stimulus, nothing + command, rng, samples=200)
print("  position      field's own force   with Eq 24's volition for a target at (4, 0)")
for x, f, g in zip(position[36:45], alone[36:45], shifted[36:45], strict=True):
    print(
        f"({x[0]:5.1f}, {x[1]:5.1f})    ({f[0]:5.2f}, {f[1]:5.2f})       ({g[0]:5.2f}, {g[1]:5.2f})"
    )

# %%
# The arrows meet at the centre, and with volition at the target.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), sharey=True, layout="constrained")
for ax, force, name in zip(axes, (alone, shifted), ("no volition", "Eq 24"), strict=True):
    ax.quiver(*position.T, *force.T, color="#33658a")
    ax.plot(*(target[0] if name == "Eq 24" else (0, 0)), "o", mfc="none", ms=18, color="#c44536")
    ax.set(title=name, xlabel="x (cm)", aspect="equal")
axes[0].set_ylabel("y (cm)")
plt.show()
