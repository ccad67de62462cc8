"""The animations of README and documentation: ``python docs/animations.py [NAME ...]``.

Each shows a few trials of an id under a policy that suits it, and is the same whenever it is made.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from ndbmi_gym.film import film

FOLDER = Path(__file__).parent / "animations"
SIZE = (600, 400)


class Animation(NamedTuple):
    """What is shown: of trials with this seed and those after it, all reach the target."""

    env: str
    policy: str
    trials: int
    seed: int
    options: dict[str, Any]


ANIMATIONS = {
    "fixed_field": Animation("ndbmi/FixedField-v1", "zero", 4, 153, {"field": "dipole"}),
    "shift_target": Animation("ndbmi/ShiftTarget-v1", "eq24", 4, 6, {}),
    "shift_target_curl": Animation("ndbmi/ShiftTargetCurl-v1", "filter", 4, 0, {}),
    "hold_target": Animation("ndbmi/HoldTarget-v1", "filter", 2, 0, {}),
    "shift_target_goal": Animation("ndbmi/ShiftTargetGoal-v0", "ceiling", 4, 0, {}),
    "hold_target_goal": Animation("ndbmi/HoldTargetGoal-v0", "ceiling", 2, 0, {}),
    "shift_target_soc": Animation("ndbmi/ShiftTargetSOC-v1", "ceiling", 4, 0, {}),
    "shift_target_arm": Animation("ndbmi/ShiftTargetArm-v0", "eq24", 3, 0, {}),
    "hold_target_delayed": Animation("ndbmi/HoldTargetDelayed-v0", "filter", 2, 1, {}),
    "degraded": Animation("ndbmi/Degraded-v0", "filter", 2, 0, {}),
    "adaptation": Animation(
        "ndbmi/Adaptation-v0",
        "eq24",
        1,
        2,
        {"session_trials": 4, "perturbation": {"curl": 1.5}},
    ),
    "avoid_obstacle": Animation("ndbmi/AvoidObstacle-v0", "filter", 4, 2, {}),
    "choose_field": Animation(
        "ndbmi/ChooseField-v0", "ndbmi_gym.policies.choosing:Choosing", 4, 4, {}
    ),
    "rhythm": Animation("ndbmi/Rhythm-v0", "ceiling", 1, 0, {}),
}


def main() -> None:
    """Make those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ANIMATIONS))
    for name in parser.parse_args().names or ANIMATIONS:
        if name not in ANIMATIONS:
            parser.error(f"no animation {name!r}: there are {', '.join(ANIMATIONS)}")
        shown, path = ANIMATIONS[name], FOLDER / f"{name}.gif"
        film(
            shown.env,
            shown.policy,
            path,
            shown.trials,
            shown.seed,
            render_size=SIZE,
            **shown.options,
        )
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
