"""Sessions: one long episode with several trials in it, over which a memory can last.

When a trial of a session ends, the next step begins the next one: the action is ignored, nothing is
earned, the device is put to the new start, and the stimulus of that place is delivered. The episode
terminates with the last trial. Which forces act in which trial is what the perturbation says
(`ndbmi_gym.schedules.Blocks`): trials are numbered from 0 in every session.
"""

from dataclasses import dataclass

from ndbmi_gym.checks import settle, whole


@dataclass(frozen=True)
class Session:
    """How many trials an episode holds, and how long they may take.

    Attributes
    ----------
    session_trials : int or None
        Trials of an episode. None: no session, an episode is a trial.
    trial_steps : int or None
        Steps after which a trial of a session ends at the latest. None without a session.

    Raises
    ------
    ValueError
        If only one of them is given.
    """

    session_trials: int | None = whole(
        None, "trials of an episode; None: it is a trial", least=1, most=10**6, optional=True
    )
    trial_steps: int | None = whole(
        None, "steps of a session's trial at most", least=1, most=10**6, optional=True
    )

    def __post_init__(self) -> None:
        settle(self)
        if (self.session_trials is None) != (self.trial_steps is None):
            raise ValueError(
                f"session_trials = {self.session_trials!r}, trial_steps = {self.trial_steps!r}: "
                "give both for a session, or neither"
            )

    @property
    def on(self) -> bool:
        """Whether episodes are sessions."""
        return self.session_trials is not None

    @property
    def most_steps(self) -> int | None:
        """Steps of an episode at most, those that begin trials among them; None without."""
        if self.session_trials is None or self.trial_steps is None:
            return None
        return self.session_trials * (self.trial_steps + 1) - 1
