"""The circuit by hand: the firing that a stimulus and held input evoke, and where it is decoded."""

import numpy as np

from ndbmi_gym.commands import evoking, expected_projection
from ndbmi_gym.config import Config

loop = Config(cortex={"kind": "soc", "stimuli": 32, "units": 1}).make_loop(0)
cortex, interface = loop.cortex, loop.interface
most = cortex.max_count
target = np.array([[4.0, 0.0]])
command = evoking(loop, -target, -most, most)  # the input that displaces the decoded point so
stimulus = interface.sense(target)

silence = np.zeros_like(command)
for name, which, volition in (
    ("rest", None, silence),
    ("stimulus", stimulus, silence),
    ("input", None, command),
    ("both", stimulus, command),
):
    rates = cortex.profile(which, volition)[0] / np.diff(cortex.nodes) * 1e3  # Hz, (n, K)
    place = expected_projection(cortex, interface, which, volition)[0]
    print(
        f"{name:>9}: first three electrodes after 100 ms at "
        f"{np.array2string(rates[:3, 20], precision=0)} Hz; "
        f"decoded in the mean at ({place[0]:5.2f}, {place[1]:5.2f}) cm"
    )
