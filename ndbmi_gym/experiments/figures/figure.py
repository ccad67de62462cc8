"""What a figure is: data of one animal, and a drawing of the data of several."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ndbmi_gym.experiments.records import Tables
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


@dataclass(frozen=True)
class Figure:
    """A figure of the text, or an experiment that it describes without one.

    Attributes
    ----------
    name : str
    title : str
    data : callable
        ``(preset, animal, seed) -> tables`` of one animal.
    draw : callable
        ``(tables, preset) -> matplotlib figure``.
    pooled : tuple of str
        Tables that are kept of every animal; of the others, the first animal's are drawn.
    """

    name: str
    title: str
    data: Callable[[Preset, int, int], Tables]
    draw: Callable[[Tables, Preset], "Canvas"]
    pooled: tuple[str, ...] = ("runs",)
