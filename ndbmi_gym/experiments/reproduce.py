"""Run figures for some animals, in parallel and resumably; leave data, pictures and a report."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from tqdm import tqdm

from ndbmi_gym.experiments import report
from ndbmi_gym.experiments.claims import judge
from ndbmi_gym.experiments.conditions import FIELDS, REFERENCE
from ndbmi_gym.experiments.evidence import f_factors, from_tables
from ndbmi_gym.experiments.figures.figure import Figure
from ndbmi_gym.experiments.geometry import f_factor_misfit, f_factor_residuals
from ndbmi_gym.experiments.records import (
    JSON,
    Tables,
    concatenate,
    load_tables,
    save_tables,
    versions,
    write_csv,
    write_json,
)
from ndbmi_gym.experiments.statistics import ratio_interval
from ndbmi_gym.files import whole_file
from ndbmi_gym.presets import Preset, load_preset

FIGURES = (
    "fig2",
    "fig4",
    "fig5",
    "fig6",
    "fig7",
    "fig8",
    "fig9",
    "fig10",
    "fig11",
    "fig12",
    "windows",
    "linear",
)
"""The text's figures; short windows and the earlier interface, which it describes without one."""

STUDIES = (
    "soc_paths",
    "soc_structure",
    "soc_windows",
    "soc_carry",
    "soc_shift",
    "soc_volition",
)
"""What `ndbmi_gym.experiments.soc_study` measures of the circuit in the closed loop."""

BACKENDS = ("loky", "ray", "dask")

_DPI = 110


def figure(name: str) -> Figure:
    """A figure by name."""
    if name not in FIGURES + STUDIES:
        known = ", ".join((*FIGURES, "all", "claims"))
        raise ValueError(f"unknown figure {name!r}: choose from {known}")
    made = import_module(f"ndbmi_gym.experiments.figures.{name}").FIGURE
    assert isinstance(made, Figure)
    return made


@dataclass(frozen=True)
class Reproduction:
    """What to run.

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
        One of `BACKENDS`.

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

    def settings(self) -> JSON:
        """What the results depend on."""
        return {
            "preset": self.preset,
            "parameters": asdict(self.values),
            "animals": list(map(int, self.animals)),
            "seed": self.seed,
            "versions": versions(),
        }

    def header(self, name: str, animal: int) -> JSON:
        """What one figure's data of one animal depend on."""
        part = {"figure": name, "animal": animal, "drawn": animal == self.animals[0]}
        return self.settings() | {"preset": "", "animals": []} | part

    def part(self, name: str, animal: int) -> Path:
        """File of one figure's data of one animal."""
        return self.out / "parts" / f"{name}-{animal:03d}.npz"

    def load(self, name: str, animal: int) -> Tables | None:
        """One figure's data of one animal, if they are there."""
        return load_tables(self.part(name, animal), self.header(name, animal))


def run(reproduction: Reproduction, names: Sequence[str]) -> dict[str, Tables]:
    """Measure and draw figures.

    Data of one animal are saved as they are ready, and not measured again.

    Returns
    -------
    dict of str to Tables
        Pooled tables of every figure.
    """
    measure_parts(reproduction, names)
    tables = {name: pooled(reproduction, name) for name in names}
    begun = time.monotonic()
    for name in names:
        draw(reproduction, name, tables[name])
    print(f"{'drawing and saving':>20}: {time.monotonic() - begun:6.1f} s")
    return tables


def measure_parts(reproduction: Reproduction, names: Sequence[str]) -> None:
    """Measure what is missing, and print the time of every stage."""
    missing = [
        (name, animal)
        for name in names
        for animal in reproduction.animals
        if reproduction.load(name, animal) is None
    ]
    seconds: dict[str, float] = {}
    begun = time.monotonic()
    with tqdm(total=len(missing), desc="figures x animals", disable=not missing) as bar:
        for name, spent in _run(reproduction, missing):
            seconds[name] = seconds.get(name, 0.0) + spent
            bar.update()
    for name, spent in seconds.items():
        print(f"{name:>20}: {spent:6.1f} s")
    if missing:
        print(f"{'together':>20}: {time.monotonic() - begun:6.1f} s in {reproduction.jobs} job(s)")


def pooled(reproduction: Reproduction, name: str) -> Tables:
    """Tables of a figure: the pooled ones of all animals, the others of the first."""
    parts = []
    for animal in reproduction.animals:
        part = reproduction.load(name, animal)
        assert part is not None, (name, animal)
        parts.append(part)
    first = parts[0]
    return first | {t: concatenate([part[t] for part in parts]) for t in figure(name).pooled}


def draw(reproduction: Reproduction, name: str, tables: Tables) -> None:
    """Write a figure's tables, what made them, and its picture."""
    folder = reproduction.out / name
    for table, columns in tables.items():
        write_csv(folder / f"{table}.csv", columns)
    write_json(folder / "parameters.json", reproduction.settings() | {"figure": name})
    canvas = figure(name).draw(tables, reproduction.values)
    with whole_file(folder / f"{name}.png") as part:
        canvas.savefig(part, dpi=_DPI)


def _run(
    reproduction: Reproduction, missing: Sequence[tuple[str, int]]
) -> Iterator[tuple[str, float]]:
    tasks = (joblib.delayed(_one)(reproduction, name, animal) for name, animal in missing)
    with _parallel(reproduction.backend, reproduction.jobs) as parallel:
        yield from parallel(tasks)


@contextmanager
def _parallel(backend: str, jobs: int) -> Iterator[Any]:
    """Joblib's Parallel on a backend, whose package is imported only if it is asked for."""
    if backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    elif backend == "dask":
        from dask.distributed import Client

        client = Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
        with client, joblib.parallel_config("dask"):
            yield joblib.Parallel(n_jobs=jobs)
        return
    with joblib.parallel_config(backend, n_jobs=jobs):
        unordered = "generator_unordered" if backend == "loky" else "list"
        yield joblib.Parallel(n_jobs=jobs, return_as=unordered)


def _one(reproduction: Reproduction, name: str, animal: int) -> tuple[str, float]:
    begun = time.monotonic()
    tables = figure(name).data(reproduction.values, animal, reproduction.seed)
    if animal != reproduction.animals[0]:  # only the first animal's paths are drawn
        tables = {table: tables[table] for table in figure(name).pooled}
    save_tables(reproduction.part(name, animal), reproduction.header(name, animal), tables)
    return name, time.monotonic() - begun


def judge_claims(reproduction: Reproduction, tables: dict[str, Tables]) -> str:
    """Judge the claims on the tables of all figures, write the report, return its summary."""
    evidence = from_tables(tables)
    findings = judge(evidence)
    factors = f_factors(tables["fig4"]["shares"])
    misfit = f_factor_misfit(factors)
    off = ", ".join(
        f"set {n}: {100 * np.expm1(residual):+.0f} %"
        for n, residual in f_factor_residuals(factors).items()
    )
    cut = [
        f"{ratio_interval(evidence.ratios('truncated to 50 ms', REFERENCE, field))} ({field})"
        for field in FIELDS
    ]
    remarks = (
        "Table 1: within sets 1-4 and within sets 5-7, the f factors are off from the printed ones "
        f"by {100 * misfit:.0f} % (root mean square of logarithmic differences; the unit of length "
        f"is lost); {off}.",
        "C22 keeps the spikes per window, as Eq 17 defines h. If responses are cut to their first "
        f"50 ms at unchanged rates instead, mean wtpe is {', '.join(cut)} times that of 600 ms.",
    )
    pictures = {
        f"{name}: {figure(name).title}": reproduction.out / name / f"{name}.png" for name in tables
    }
    report.write(reproduction.out, findings, reproduction.settings(), remarks, pictures)
    verdicts = "\n".join(f"{f.claim.id:>4} {f.verdict:<14} {f.claim.statement}" for f in findings)
    return f"{verdicts}\n{report.summary(findings)}"
