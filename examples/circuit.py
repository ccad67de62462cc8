"""The circuit by hand: the firing that a stimulus and held input evoke, and where it is decoded."""

import numpy as np

from ndbmi_gym.config import Config
from ndbmi_gym.inversion import command, expected_projection

loop = Config.of(cortex={"kind": "soc", "stimuli": 32, "units": 1}).make_loop(0)
cortex, interface = loop.rates("this script"), loop.interface
most = cortex.max_count
target = np.array([[4.0, 0.0]])
volition = command(loop, target, -most, most)  # displaces the decoded point by −target
stimulus = interface.sense(target)

silence = np.zeros_like(volition)
for name, which, held in (
    ("rest", None, silence),
    ("stimulus", stimulus, silence),
    ("input", None, volition),
    ("both", stimulus, volition),
):
    rates = cortex.profile(which, held)[0] / np.diff(cortex.nodes) * 1e3  # Hz, (n, K)
    place = expected_projection(cortex, interface, which, held)[0]
    print(
        f"{name:>9}: first three electrodes after 100 ms at "
        f"{np.array2string(rates[:3, 20], precision=0)} Hz; "
        f"decoded in the mean at ({place[0]:5.2f}, {place[1]:5.2f}) cm"
    )
