"""
Step by hand
============

Step an environment with random volition, and read what passes through the loop.
"""

import gymnasium
import numpy as np
from matplotlib import pyplot as plt

import ndbmi_gym  # noqa: F401 (registers the ids)

env = gymnasium.make("ndbmi/ShiftTarget-v1", render_mode="rgb_array")
observation, info = env.reset(seed=0)
rng = np.random.default_rng(0)
for _ in range(10):
    volition = 0.3 * rng.random(9, dtype=np.float32)  # share of the largest firing rate, 66.7 Hz
    observation, reward, terminated, truncated, info = env.step(volition)
    x, y = info["position"]
    print(
        f"stimulus {info['stimulus']:2d}  evoked {info['evoked_counts'].sum():3d}  "
        f"volitional {info['volitional_counts'].sum():3d}  device ({x:5.1f}, {y:5.1f}) cm  "
        f"{info['distance']:4.1f} cm to the target  reward {reward:.2f}"
    )
    if terminated or truncated:
        break

# %%
# The last of these steps as the environment draws it. With ``render_mode="human"`` there is a
# window that moves.

picture = np.asarray(env.render())
plt.figure(figsize=(9, 6))
plt.axes((0, 0, 1, 1)).imshow(picture)
plt.axis("off")
plt.show()
