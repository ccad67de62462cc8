"""How many claims hold by chance: under random sets of parameters, and under the presets.

`ndbmi-gym recover` measures this (`ndbmi_gym.experiments.recovery.search.baselines`); what the
package holds is of ``docs/recovery``.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from ndbmi_gym.files import write_json

FILE = "baselines.json"


@dataclass(frozen=True)
class Baselines:
    """Claims that hold by their estimates in a few animals: of random sets, and of presets.

    Attributes
    ----------
    sets : int
        Number of random sets, drawn from the space of the search.
    animals : tuple of int
        Animals that they were measured in.
    convergent : float
        Share of the sets under which nine tenths of the runs converge or more, without degradation.
    passed : dict of str to float
        Share of the sets under which each claim holds.
    median, most : float
        Of the number of claims that hold under a set.
    presets : dict of str to int
        The same number of the presets, in the same animals.
    searched : tuple of int
        All animals that the search used: nothing about them is out of sample.
    """

    sets: int
    animals: tuple[int, ...]
    convergent: float
    passed: dict[str, float]
    median: float
    most: int
    presets: dict[str, int]
    searched: tuple[int, ...]

    def save(self, path: Path) -> None:
        """Write to a JSON file."""
        write_json(path, asdict(self))


@cache
def load_baselines() -> Baselines:
    """Those that come with the package."""
    text = (files("ndbmi_gym") / "data" / FILE).read_text(encoding="utf-8")
    found = json.loads(text)
    return Baselines(**found | {name: tuple(found[name]) for name in ("animals", "searched")})
