"""Step the environment by hand and read what passes through the loop."""

import gymnasium
import numpy as np

import ndbmi_gym  # noqa: F401 (registers the ids)

env = gymnasium.make("ndbmi/ShiftTarget-v0")
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
