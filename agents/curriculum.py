"""Options of the environment that change while an agent trains.

A curriculum is a list of stages, such as this, in JSON::

    [{"from": 0, "option": {"perturbation": {"curl": 0.2}}},
     {"from": 0.3, "option": {"perturbation": {"curl": 0.6}}},
     {"from": 500000, "option": {"effort_weight": 0.1}}]

``from`` is a share of the budget up to 1, or beyond it a number of steps. Trials that begin after
that have the options of all stages that are reached, the later in the list winning, in place of
those that the environment was made with. Which stages were reached first, and whether the run was
interrupted, makes no difference: an environment takes by its method ``change(**options)`` what it
had in the beginning (`original`), and all that has changed since (`options_at`).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.options import JSON
from ndbmi_gym.config import CHANGEABLE, Config

Stages = list[JSON]


def read(path: str) -> Stages:
    """The curriculum in a file.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it holds no curriculum.
    """
    try:
        return checked(json.loads(Path(path).read_text()))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def checked(stages: Any) -> Stages:
    """A curriculum in the order in which it is listed.

    Raises
    ------
    ValueError
        If it is none.
    """
    example = '[{"from": 0.5, "option": {"effort_weight": 0.1}}, ...]'
    if not isinstance(stages, Sequence) or isinstance(stages, str):
        raise ValueError(f"curriculum {stages!r:.40} is no list of stages: give {example}")
    for stage in stages:
        if not isinstance(stage, Mapping) or set(stage) != {"from", "option"}:
            raise ValueError(
                f"stage {stage!r:.80} has not just 'from' and 'option': give {example}"
            )
        begin = stage["from"]
        if isinstance(begin, bool) or not (isinstance(begin, int | float) and begin >= 0):
            raise ValueError(
                f"stage from {begin!r}: give a share of the budget up to 1, or a number of steps"
            )
        if not isinstance(stage["option"], Mapping) or not stage["option"]:
            raise ValueError(
                f"stage with option = {stage['option']!r}: give the options that change, as in "
                f"{example}"
            )
    return [dict(stage) for stage in stages]


def options_at(stages: Sequence[Mapping[str, Any]], share: float, steps: int) -> JSON:
    """All that has changed once a share of the budget and so many steps are spent.

    Parameters
    ----------
    stages : sequence of mappings
    share : float
        From 0 to 1.
    steps : int
        Environment steps.

    Returns
    -------
    dict
        Options by name.
    """
    changed: JSON = {}
    for stage in stages:
        if (share if stage["from"] <= 1 else steps) >= stage["from"]:
            changed |= stage["option"]
    return changed


def reachable(stages: Sequence[Mapping[str, Any]]) -> Stages:
    """All that `options_at` may give over a run, whatever steps a share of its budget means."""
    begins = sorted({0, *(stage["from"] for stage in stages)})
    found: Stages = []
    for share in (begin for begin in begins if begin <= 1):
        for steps in (begin for begin in begins if begin == 0 or begin > 1):
            options = options_at(stages, share, steps)
            if options and options not in found:
                found.append(options)
    return found


def original(config: Config) -> JSON:
    """Of a configuration what may change, as options that lead back to it."""
    written = config.plain()
    return {name: written[name] for name in CHANGEABLE}
