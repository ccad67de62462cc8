"""A figure: how its data are measured in one animal, and how they are drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ndbmi_gym.experiments.bench.tables import Tables
from ndbmi_gym.presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


@dataclass(frozen=True)
class Figure:
    """A figure, or an experiment that is shown like one.

    Attributes
    ----------
    module : str
        The module that makes it, ``__name__`` there: what its data depend on.
    title : str
    data : callable
        ``(preset, animal, seed) -> tables`` of one animal.
    draw : callable
        ``(tables, preset) -> matplotlib figure``.
    pooled : tuple of str
        Tables that are kept of every animal; of the others, the first animal's are drawn.
    """

    module: str
    title: str
    data: Callable[[Preset, int, int], Tables]
    draw: Callable[[Tables, Preset], "Canvas"]
    pooled: tuple[str, ...] = ("runs",)

    @property
    def name(self) -> str:
        """The module's last name, of folders and files, too."""
        return self.module.rpartition(".")[2]
