"""
The circuit by hand
===================

Look at the firing that a stimulus and held input evoke in the circuit, and where it is decoded.
"""

import numpy as np
from matplotlib import pyplot as plt

from ndbmi_gym.config import Config
from ndbmi_gym.inversion import command, expected_projection

loop = Config.of(cortex={"kind": "soc", "stimuli": 32, "units": 1}).make_loop(0)
cortex, interface = loop.rates("this script"), loop.interface
most = cortex.max_count
target = np.array([[4.0, 0.0]])
volition = command(loop, target, -most, most)  # displaces the virtual point by −target
stimulus = interface.sense(target)

# %%
# Four cases: nothing, the stimulus at the target, volition against it, and both.

silence = np.zeros_like(volition)
figure, axes = plt.subplots(1, 4, figsize=(11, 3), sharey=True, layout="constrained")
for ax, (name, which, held) in zip(
    axes,
    (
        ("rest", None, silence),
        ("stimulus", stimulus, silence),
        ("input", None, volition),
        ("both", stimulus, volition),
    ),
    strict=True,
):
    rates = cortex.profile(which, held)[0] / np.diff(cortex.nodes) * 1e3  # Hz, (n, K)
    place = expected_projection(cortex, interface, which, held)[0]
    print(
        f"{name:>9}: first three electrodes after 100 ms at "
        f"{np.array2string(rates[:3, 20], precision=0)} Hz; "
        f"decoded in the mean at ({place[0]:5.2f}, {place[1]:5.2f}) cm"
    )
    ax.plot(cortex.nodes[:-1], rates.T, lw=0.8)
    ax.set(title=f"{name}: ({place[0]:.1f}, {place[1]:.1f}) cm", xlabel="ms")
axes[0].set_ylabel("firing of 25 electrodes (Hz)")
plt.show()
