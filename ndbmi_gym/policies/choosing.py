"""A controller that chooses between the two fields that a task's desired force is made of."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.episodes import FloatArray
from ndbmi_gym.policies.baselines import HasEpisodes, Policy
from ndbmi_gym.steered import ChoiceField


class Choosing(Policy):
    """Full volition on the electrodes that favour the field whose centre is nearer to the target.

    None on all others: the loop does the rest, as without volition. It sees the target, which every
    observation shows.

    Parameters
    ----------
    env : BMIEnv or BMIVectorEnv

    Raises
    ------
    ValueError
        If there is nothing to choose: the environment's field is no ``"choice"``.
    """

    def __init__(self, env: HasEpisodes) -> None:
        super().__init__(env)
        field = self.episodes.config.field
        if not isinstance(field, ChoiceField):
            raise ValueError(
                f"the field {type(field).__name__} is none to choose from: make the environment "
                "with field='choice', or take another policy"
            )
        self._field = field

    def _act(
        self, observation: npt.NDArray[Any], state: Any, episode_start: npt.NDArray[Any] | None
    ) -> tuple[FloatArray, Any]:
        field, target = self._field, self._see(observation, "target")
        first, second = (
            np.linalg.norm(target - center, axis=1) for center in (field.first, field.second)
        )
        action = np.zeros((len(target), self.episodes.n_electrodes))
        favour = (first < second) == (field.slope * field.amplitude > 0)
        for chosen, group in ((favour, field.favouring), (~favour, field.opposing)):
            action[np.ix_(chosen, np.array(group))] = 1.0
        return action, None
