"""Ask the loop "what if": the field that the device feels with and without volition."""

import numpy as np

from ndbmi_gym.config import Config

config = Config.of()
loop = config.make_loop(0)
rng = np.random.default_rng(0)
axis = np.linspace(-8, 8, 5)
position = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
stimulus = loop.interface.sense(position)
target = np.array([[4.0, 0.0]])
command = loop.rates("Eq 24").mean_counts(loop.interface.sense(-target), np.zeros((1, 9)))  # Eq 24

nothing = np.zeros((len(position), 9))
alone, _ = loop.expected_force(stimulus, nothing, rng, samples=200)
shifted, _ = loop.expected_force(stimulus, nothing + command, rng, samples=200)
print("  position      field's own force   with Eq 24's volition for a target at (4, 0)")
for x, f, g in zip(position, alone, shifted, strict=True):
    print(
        f"({x[0]:5.1f}, {x[1]:5.1f})    ({f[0]:5.2f}, {f[1]:5.2f})       ({g[0]:5.2f}, {g[1]:5.2f})"
    )
