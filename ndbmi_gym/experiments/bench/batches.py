"""Figures for some animals, in parallel and resumably; their data and pictures in a folder."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from tqdm import tqdm

from ndbmi_gym.experiments.bench.drawing import DPI
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.parallel import BACKENDS, run_tasks
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    concatenate,
    load_tables,
    read_folder,
    save_tables,
    write_csv,
)
from ndbmi_gym.files import whole_file, write_json
from ndbmi_gym.presets import Preset, load_preset
from ndbmi_gym.provenance import JSON, versions


@dataclass(frozen=True)
class Batch:
    """What to run figures with.

    Attributes
    ----------
    out : Path
        Folder of the results.
    preset : str
        Name of a preset, or a JSON file (`ndbmi_gym.presets.load_preset`).
    animals : sequence of int
        Animals.
    seed : int
        Of the tests; the animals' calibrations do not depend on it.
    jobs : int
        Processes.
    backend : str
        One of `ndbmi_gym.experiments.bench.parallel.BACKENDS`.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    out: Path
    preset: str = "default"
    animals: Sequence[int] = (0,)
    seed: int = 0
    jobs: int = 1
    backend: str = "loky"

    def __post_init__(self) -> None:
        if not self.animals or min(self.animals) < 0:
            raise ValueError(f"animals {list(self.animals)}: give at least one, all >= 0")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}: give a seed >= 0")
        if self.jobs < 1:
            raise ValueError(f"jobs {self.jobs}: give at least one")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend {self.backend!r}: choose from {', '.join(BACKENDS)}")

    @cached_property
    def values(self) -> Preset:
        """The preset."""
        return load_preset(self.preset)

    def settings(self, stage: str | None = None) -> JSON:
        """What the results of a stage depend on; by default, of all stages."""
        return {
            "preset": self.preset,
            "parameters": asdict(self.values),
            "animals": list(map(int, self.animals)),
            "seed": self.seed,
            "versions": versions(stage=stage),
        }

    def header(self, figure: Figure, animal: int) -> JSON:
        """What one figure's data of one animal depend on."""
        part = {"figure": figure.name, "animal": animal, "drawn": animal == self.animals[0]}
        return self.settings(figure.module) | {"preset": "", "animals": []} | part

    def part(self, figure: Figure, animal: int) -> Path:
        """File of one figure's data of one animal."""
        return self.out / "parts" / f"{figure.name}-{animal:03d}.npz"

    def load(self, figure: Figure, animal: int) -> Tables | None:
        """One figure's data of one animal, if they are there."""
        return load_tables(self.part(figure, animal), self.header(figure, animal))


def run(batch: Batch, figures: Sequence[Figure]) -> dict[str, Tables]:
    """Measure and draw figures.

    Data of one animal are saved as they are ready, and not measured again.

    Returns
    -------
    dict of str to Tables
        Pooled tables of every figure, by name.
    """
    measure_parts(batch, figures)
    tables = {figure.name: pooled(batch, figure) for figure in figures}
    begun = time.monotonic()
    for figure in figures:
        draw(batch, figure, tables[figure.name])
    print(f"{'drawing and saving':>20}: {time.monotonic() - begun:6.1f} s")
    return tables


def measure_parts(batch: Batch, figures: Sequence[Figure]) -> None:
    """Measure what is missing, and print the time of every stage."""
    missing = {
        animal: [figure for figure in figures if batch.load(figure, animal) is None]
        for animal in batch.animals
    }
    # figures of one animal share its calibrations in one process, if that leaves none idle
    tasks = [(batch, own, animal) for animal, own in missing.items() if own]
    if len(tasks) < batch.jobs:
        tasks = [(batch, [figure], animal) for batch, own, animal in tasks for figure in own]
    seconds: dict[str, float] = {}
    begun = time.monotonic()
    size = sum(map(len, missing.values()))
    with tqdm(total=size, desc="figures x animals", disable=not size) as bar:
        for found in run_tasks(_measure, tasks, batch.jobs, batch.backend):
            for name, spent in found:
                seconds[name] = seconds.get(name, 0.0) + spent
            bar.update(len(found))
    for name, spent in seconds.items():
        print(f"{name:>20}: {spent:6.1f} s")
    if size:
        print(f"{'together':>20}: {time.monotonic() - begun:6.1f} s in {batch.jobs} job(s)")


def pooled(batch: Batch, figure: Figure) -> Tables:
    """Tables of a figure: the pooled ones of all animals, the others of the first."""
    parts = []
    for animal in batch.animals:
        part = batch.load(figure, animal)
        assert part is not None, (figure.name, animal)
        parts.append(part)
    return parts[0] | {t: concatenate([part[t] for part in parts]) for t in figure.pooled}


def draw(batch: Batch, figure: Figure, tables: Tables) -> None:
    """Write a figure's tables, what made them, and its picture."""
    folder = batch.out / figure.name
    for table, columns in tables.items():
        write_csv(folder / f"{table}.csv", columns)
    write_json(folder / "parameters.json", batch.settings(figure.module) | {"figure": figure.name})
    _draw_picture(batch, figure, tables)


def redraw(batch: Batch, figures: Sequence[Figure]) -> list[str]:
    """Draw figures from the tables of an earlier run; nothing is measured.

    Returns
    -------
    list of str
        Names of the figures whose tables are there; the others are left as they are.

    Raises
    ------
    ValueError
        If there are tables of none.
    """
    drawn = []
    for figure in figures:
        tables = read_folder(batch.out / figure.name)
        if set(figure.pooled) <= set(tables):
            _draw_picture(batch, figure, tables)
            drawn.append(figure.name)
    if not drawn:
        names = ", ".join(figure.name for figure in figures)
        raise ValueError(
            f"{batch.out} holds no tables of {names} to draw: measure them first, without --redraw"
        )
    return drawn


def _draw_picture(batch: Batch, figure: Figure, tables: Tables) -> None:
    """Pictures lie side by side, each above the folder of its tables."""
    picture = figure.draw(tables, batch.values)
    with whole_file(batch.out / f"{figure.name}.png") as part:
        picture.savefig(part, dpi=DPI)


def _measure(batch: Batch, figures: Sequence[Figure], animal: int) -> list[tuple[str, float]]:
    return [_one(batch, figure, animal) for figure in figures]


def _one(batch: Batch, figure: Figure, animal: int) -> tuple[str, float]:
    begun = time.monotonic()
    tables = figure.data(batch.values, animal, batch.seed)
    if animal != batch.animals[0]:  # only the first animal's paths are drawn
        tables = {table: tables[table] for table in figure.pooled}
    save_tables(batch.part(figure, animal), batch.header(figure, animal), tables)
    return figure.name, time.monotonic() - begun
