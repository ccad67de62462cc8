"""Readings of the text as hypotheses: what each does to the claims, all else being equal."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from ndbmi_gym.calibration import SCALINGS
from ndbmi_gym.experiments.bench.parallel import run_tasks
from ndbmi_gym.experiments.bench.tables import load_tables, save_tables
from ndbmi_gym.experiments.recovery.search import SEARCHED
from ndbmi_gym.experiments.vato2014.checks import FAILS, HOLDS, MIN_ANIMALS, UNDECIDED
from ndbmi_gym.experiments.vato2014.claims import judge
from ndbmi_gym.experiments.vato2014.evidence import gather
from ndbmi_gym.files import write_json, write_text
from ndbmi_gym.presets import ERRORS, IDEALS, SET_5, SPONTANEOUS, Preset
from ndbmi_gym.provenance import versions

READINGS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "scaling": ("what the f factor of Eq 5 makes fit the workspace", SCALINGS),
    "ideal": ("how the ideal run of Eq 22 feels the field, and whether it ends", IDEALS),
    "error": ("from which point of the ideal path Eq 22 measures", ERRORS),
    "spontaneous": ("where and when Fig 9's spontaneous spikes are", SPONTANEOUS),
    "misplaced_electrode": ("where Fig 10's misplaced electrode sits", (1, 4, 7, 8)),
    "lost_site": ("which site Fig 10's ineffective electrode stimulates", (1, 7, 8)),
    "repetitions": ("calibration responses K per stimulus", (10, 20, 30, 80)),
    "set_5": ("peak intensities of set 5: 5 and 10, or 10 and 20", SET_5),
    "theta": ("electrodes labelled (π/2), or partly pooled", (np.pi / 2, np.pi / 4)),
    "tau_s": ("time constant of the metric, s", (0.1,)),
}
"""Fields of `Preset`: what each decides, and the values to try."""


class JudgedReading(NamedTuple):
    """A reading, judged.

    Attributes
    ----------
    field : str
    value : object
    verdicts : dict of str to str
        By claim.
    misfit : float
        Of the f factors.
    """

    field: str
    value: Any
    verdicts: dict[str, str]
    misfit: float

    @property
    def holds(self) -> int:
        """Number of claims that hold."""
        return sum(verdict == HOLDS for verdict in self.verdicts.values())


def compare(
    folder: Path, preset: Preset, animals: Sequence[int], seed: int, jobs: int
) -> list[JudgedReading]:
    """Judge a preset, first of the list, and each of its variants by one reading.

    JudgedReadings are kept in the folder as they are ready, and not measured again.

    Raises
    ------
    ValueError
        If there are fewer animals than claims are judged on.
    """
    if len(animals) < MIN_ANIMALS:
        raise ValueError(f"{len(animals)} animals: give at least {MIN_ANIMALS}")
    if min(animals) < 0 or seed < 0:
        raise ValueError(f"first animal {min(animals)}, seed {seed}: give numbers >= 0")
    variants: list[tuple[str, Any]] = [("", None)]
    for field, (_, values) in READINGS.items():
        variants += [(field, value) for value in values if value != getattr(preset, field)]
    tasks = ((folder, preset, field, value, tuple(animals), seed) for field, value in variants)
    judged = run_tasks(_judged, tasks, jobs, ordered=True)
    return list(tqdm(judged, total=len(variants), desc="readings"))


def write(
    folder: Path,
    preset: Preset,
    animals: Sequence[int],
    seed: int,
    outcomes: Sequence[JudgedReading],
) -> None:
    """Write ``readings.json`` and ``readings.md``."""
    settings = {
        "parameters": asdict(preset),
        "animals": list(animals),
        "seed": seed,
        "versions": versions(stage=__name__),
    }
    table = [outcome._asdict() | {"holds": outcome.holds} for outcome in outcomes]
    write_json(folder / "readings.json", settings | {"outcomes": table})
    write_text(folder / "readings.md", markdown(preset, outcomes) + "\n")


def markdown(preset: Preset, outcomes: Sequence[JudgedReading]) -> str:
    """The readings as a table: claims that come to hold, and that no longer do."""
    base = outcomes[0]
    lines = [
        f"| reading | value | claims of {len(SEARCHED)} that hold | gained | lost | misfit of f |",
        "|---|---|---|---|---|---|",
        f"| *the preset itself* | | {base.holds} | | | {base.misfit:.2f} |",
    ]
    for field, (what, _) in READINGS.items():
        own = _shown(getattr(preset, field))
        lines.append(f"| `{field}`: {what} | **{own}** | {base.holds} | | | |")
        for outcome in outcomes:
            if outcome.field != field:
                continue
            changed = [c for c in SEARCHED if outcome.verdicts[c] != base.verdicts[c]]
            gained = [c for c in changed if outcome.verdicts[c] == HOLDS]
            lost = [c for c in changed if base.verdicts[c] == HOLDS]
            lost = [c + ("" if outcome.verdicts[c] == FAILS else "?") for c in lost]
            lines.append(
                f"| | {_shown(outcome.value)} | {outcome.holds} | {' '.join(gained)} | "
                f"{' '.join(lost)} | {outcome.misfit:.2f} |"
            )
    return "\n".join([*lines, "", "? no longer holds, but is undecided."])


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _judged(
    folder: Path, preset: Preset, field: str, value: Any, animals: tuple[int, ...], seed: int
) -> JudgedReading:
    changed = replace(preset, **{field: value}) if field else preset
    header = {
        "preset": asdict(changed),
        "animals": animals,
        "seed": seed,
        "versions": versions(stage=__name__),
    }
    path = folder / "parts" / f"{field or 'preset'}-{value}.npz"
    saved = load_tables(path, header)
    if saved is None:
        try:
            evidence, misfit = gather(changed, animals, seed)
            verdicts = {f.claim.id: f.verdict for f in judge(evidence)}
        except ValueError:  # its responses span no plane, say
            verdicts, misfit = dict.fromkeys(SEARCHED, UNDECIDED), np.nan
        table = {c: np.array([verdicts[c]]) for c in SEARCHED} | {"misfit": np.array([misfit])}
        saved = {"outcome": table}
        save_tables(path, header, saved)
    outcome = saved["outcome"]
    found = {claim: str(outcome[claim][0]) for claim in SEARCHED}
    return JudgedReading(field, value, found, float(outcome["misfit"][0]))
