"""The numbers of the pages on the lost parameters."""

from ndbmi_gym.experiments.recovery.readings import JudgedReading, markdown
from ndbmi_gym.presets import Preset
from prose import Piece, Whole
from prose.data import read


def pieces() -> list[Piece]:
    """All of them."""
    return [Whole("docs/recovery/readings.md", _readings())]


def _readings() -> str:
    found = read("docs/recovery/readings.json")
    outcomes = [
        JudgedReading(each["field"], each["value"], each["verdicts"], each["misfit"])
        for each in found["outcomes"]
    ]
    return markdown(Preset(**found["parameters"]), outcomes) + "\n"
