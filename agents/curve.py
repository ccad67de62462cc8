"""The learning curve: means over trials by when they began.

Early arrivals end first. A mean over what ended so far, at the start of a session or ever, would
count more of them than there are; here the trials that began within a span of steps are counted
together, once all of them have ended.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Row = tuple[int, npt.NDArray[Any]]


class Curve:
    """Groups the trials of a session by the span of steps in which they began.

    Parameters
    ----------
    n_envs : int
        Trials side by side, all of which begin now.
    steps : int
        Environment steps so far.
    span : int
        Length of a span in environment steps.
    """

    def __init__(self, n_envs: int, steps: int, span: int) -> None:
        self._span, self._end = span, steps + span
        self._began = np.full(n_envs, steps)
        self._ended: list[tuple[int, Sequence[float]]] = []

    def step(self, steps: int, ended: Mapping[int, Sequence[float]]) -> list[Row]:
        """Go on by a step.

        Parameters
        ----------
        steps : int
            Environment steps so far.
        ended : mapping
            What is to be averaged of the trials that ended in this step, by their place; others
            begin there now.

        Returns
        -------
        list of (int, ndarray)
            For each span that is complete now its last step, and the means of its trials.
        """
        for place, values in ended.items():
            self._ended.append((int(self._began[place]), values))
            self._began[place] = steps
        rows = []
        while self._end <= self._began.min():
            mine = [values for began, values in self._ended if began < self._end]
            self._ended = [each for each in self._ended if each[0] >= self._end]
            if mine:  # a trial may outlast a span
                rows.append((self._end, np.mean(mine, axis=0)))
            self._end += self._span
        return rows
