"""Volition at the keyboard: what arrow keys command, for `gymnasium.utils.play.play`."""

from itertools import chain, combinations

import numpy as np
import numpy.typing as npt

from ndbmi_gym.inversion import command
from ndbmi_gym.loop import ClosedLoop

Keys = tuple[int, ...]
Action = npt.NDArray[np.float32]

# SDL's codes of the arrow keys (pygame.K_RIGHT, ...), and where they push
_ARROWS = {
    0x4000004F: (1.0, 0.0),
    0x40000050: (-1.0, 0.0),
    0x40000051: (0.0, -1.0),
    0x40000052: (0.0, 1.0),
}
_REACH = 0.6  # of the target that a key stands for, in half sides of the workspace


def arrow_keys(loop: ClosedLoop, low: float, max_count: float) -> dict[Keys | str, Action]:
    """Actions by the arrow keys that are held down, every combination of them.

    A direction stands for the command towards a target that lies there (Eq 24); opposite keys
    cancel, and without a key there is no volition.

    Parameters
    ----------
    loop : ClosedLoop
        Of the animal that is played.
    low : float
        Lower end of the action box.
    max_count : float
        Spikes per window, or input, that an action entry of 1 means.

    Raises
    ------
    ValueError
        If the cortex does not tell its expected rates, which the command needs.
    """
    held = list(chain.from_iterable(combinations(_ARROWS, n) for n in range(len(_ARROWS) + 1)))
    pushes = np.array(
        [np.sum([_ARROWS[key] for key in keys], axis=0) * np.ones(2) for keys in held]
    )
    length = np.linalg.norm(pushes, axis=1)
    pushing = length > 0
    targets = _REACH * loop.interface.half_side_cm * pushes[pushing] / length[pushing, None]
    counts = np.zeros((len(held), loop.cortex.n_electrodes))
    counts[pushing] = command(loop, targets, low * max_count, max_count)
    actions = np.clip(counts / max_count, low, 1.0).astype(np.float32)
    # `play` looks up the empty combination as well, but takes it from a string only
    return {keys or "": action for keys, action in zip(held, actions, strict=True)}
