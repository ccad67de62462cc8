"""What sessions of the adaptation study are: which forces when, towards which targets.

All are variations of the scored id ``Adaptation-v0``: reaches from the centre to eight targets at
5 cm, under a curl field whose sign is the animal's, with senses that are three steps late.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ndbmi_gym.checks import RuleError, declare, integer
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.bench.statistics import FloatArray
from ndbmi_gym.streams import Source
from ndbmi_gym.tasks.reach import IntArray, Reach

N_TARGETS, REACH_CM, RADIUS_CM = 8, 5.0, 1.5
STEP_S, TRIAL_STEPS, DELAY_STEPS = 0.25, 24, 3
CURL = 1.5
"""Strength of the field, kg/s."""

_EIGHT = {"each": 8}


def _order(value: Any) -> tuple[int, ...]:
    order = tuple(map(integer, value))
    if any(place < 0 for place in order):
        raise RuleError("negative")
    return order


@dataclass(frozen=True)
class Ordered(Reach):
    """Reaches whose targets come in an order, or, without one, by chance.

    Attributes
    ----------
    order : tuple of int
        Which of the targets is that of each trial, by the trial's number in its session; from the
        beginning again where it is over.
    """

    order: tuple[int, ...] = declare(
        (), "which target is that of each trial", "give a list of numbers from 0 on", _order
    )

    def draw_targets(
        self, rng: Source, starts: FloatArray, pool: FloatArray, trial: IntArray
    ) -> FloatArray:
        """A target for each start (B, 2), cm."""
        if not self.order:
            return super().draw_targets(rng, starts, pool, trial)
        rng.random(len(starts))  # what is drawn otherwise
        return np.asarray(pool[np.array(self.order)[trial % len(self.order)]])


@dataclass(frozen=True)
class Protocol:
    """A session.

    Attributes
    ----------
    name : str
    blocks : tuple of dict
        See `ndbmi_gym.schedules.Blocks`.
    order : tuple of int
        Of the targets; by chance if there is none.
    """

    name: str
    blocks: tuple[dict[str, Any], ...]
    order: tuple[int, ...] = field(default=(), repr=False)

    @property
    def trials(self) -> int:
        """How many."""
        return sum(block["trials"] for block in self.blocks)

    def options(self) -> dict[str, Any]:
        """Options of an environment whose episodes are such sessions."""
        targets = {"centre_out": N_TARGETS, "radius_cm": REACH_CM}
        task = {"kind": f"{__name__}:Ordered", "order": self.order} if self.order else "shift"
        return {
            "task": task,
            "targets": targets,
            "starts": "centre",
            "radius_cm": RADIUS_CM,
            "dwell": 1,
            "step_s": STEP_S,
            "session_trials": self.trials,
            "trial_steps": TRIAL_STEPS,
            "perturbation": {"kind": "blocks", "blocks": list(self.blocks), "sign": "animal"},
        }


def _block(name: str, trials: int, curl: float = 0.0, **special: Any) -> dict[str, Any]:
    return {"name": name, "trials": trials, "curl": curl} | special


_TRAINED, _TESTS = 0, tuple(range(N_TARGETS)) * 2
_EVERY_OTHER = list(range(1, 2 * len(_TESTS), 2))


def _beside(tests: tuple[int, ...]) -> tuple[int, ...]:
    """Tests, and the trained direction before each."""
    return tuple(place for test in tests for place in (_TRAINED, test))


PROTOCOLS = {
    made.name: made
    for made in (
        Protocol(
            "adaptation",
            (
                _block("baseline", 24),
                _block("adaptation", 64, CURL, catch=_EIGHT | {"from": 8, "until": 60}),
                _block("washout", 24),
            ),
        ),
        Protocol(
            "channels",
            (
                _block("baseline", 24, channels=_EIGHT),
                _block("adaptation", 64, CURL, channels=_EIGHT),
                _block("washout", 24, channels=_EIGHT),
            ),
        ),
        Protocol(
            "savings",
            (
                _block("baseline", 16),
                _block("adaptation", 40, CURL),
                _block("washout", 40),
                _block("again", 40, CURL),
            ),
        ),
        Protocol(
            "interference",
            (
                _block("baseline", 16),
                _block("adaptation", 40, CURL),
                _block("opposite", 40, -CURL),
                _block("again", 40, CURL),
            ),
        ),
        Protocol(
            "generalisation",
            (
                _block("baseline", 32, channels=_EVERY_OTHER),
                _block("adaptation", 40, CURL),
                _block("test", 32, CURL, channels=_EVERY_OTHER),
            ),
            _beside(_TESTS) + (_TRAINED,) * 40 + _beside(_TESTS),
        ),
    )
}
"""The sessions by name."""

DEVICES: dict[str, dict[str, Any]] = {
    "point mass": {},
    "arm": {"plant": "arm"},
    "circuit": {"cortex": {"kind": "soc", "stimuli": 32, "units": 1}, "volition": "signed"},
}
"""What volition moves, and through which cortex: options of an environment."""


def environment(
    protocol: Protocol,
    device: str,
    animals: int,
    sessions: int,
    observe: str,
    delay_steps: int = DELAY_STEPS,
) -> BMIVectorEnv:
    """Sessions of animals 0, 1, ... side by side, `sessions` of each; `begun` resets it.

    Parameters
    ----------
    protocol : Protocol
    device : str
        One of `DEVICES`.
    animals, sessions : int
    observe : {"state", "neural", "full"}
    delay_steps : int
    """
    pool = {"animal": 0} if animals == 1 else {"animal": None, "n_animals": animals}
    return BMIVectorEnv(
        animals * sessions,
        observe=observe,
        delay_steps=delay_steps,
        **pool,
        **protocol.options(),
        **DEVICES[device],
    )
