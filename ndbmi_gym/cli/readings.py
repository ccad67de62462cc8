"""``ndbmi-gym readings``: what readings of the text do to its claims."""

import argparse
from typing import Any

from ndbmi_gym.cli.options import add_animals, add_command, add_files, add_preset


def add_to(commands: Any) -> None:
    """Add the command to others."""
    made = add_command(
        commands, "readings", "what readings of the text do to its claims", run, extra="recover"
    )
    add_files(made, "readings")
    add_preset(made)
    add_animals(made, 2000)  # apart from those that claims are judged on


def run(asked: argparse.Namespace) -> int:
    """Judge the claims under each reading."""
    from ndbmi_gym.experiments.recovery import readings
    from ndbmi_gym.presets import load_preset

    preset = load_preset(asked.preset)
    animals = range(asked.first_animal, asked.first_animal + asked.animals)
    outcomes = readings.compare(asked.out, preset, animals, asked.seed, asked.jobs)
    readings.write(asked.out, preset, animals, asked.seed, outcomes)
    print(readings.markdown(preset, outcomes))
    return 0
