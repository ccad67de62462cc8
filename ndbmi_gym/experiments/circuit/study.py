"""`ndbmi-gym circuit study`: the circuit in the closed loop, beside other cortices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ndbmi_gym.experiments.bench import batches
from ndbmi_gym.experiments.bench.batches import Batch
from ndbmi_gym.experiments.bench.statistics import ratio_interval
from ndbmi_gym.experiments.bench.tables import Table, Tables, where
from ndbmi_gym.experiments.circuit import carry, paths, shift, structure, volition, windows
from ndbmi_gym.experiments.circuit.cases import (
    CARRY,
    STRUCTURE,
    VOLITION,
    WINDOWS,
    WINDOWS_S,
    Case,
)
from ndbmi_gym.experiments.protocol.conditions import DECODERS as PAPERS_DECODERS
from ndbmi_gym.experiments.protocol.conditions import FIELDS
from ndbmi_gym.files import write_text
from ndbmi_gym.interface import DECODERS

FIGURES = {
    part.FIGURE.name: part.FIGURE for part in (paths, structure, windows, carry, shift, volition)
}


def run(out: Path, animals: Sequence[int], seed: int, jobs: int) -> str:
    """Run all parts; write tables, pictures and ``study.md``.

    What is measured is kept: an interrupted study goes on.

    Returns
    -------
    str
        The summary, in Markdown.
    """
    text = summary(batches.run(Batch(out, "default", animals, seed, jobs), list(FIGURES.values())))
    write_text(out / "study.md", text + "\n")
    return text


def redraw(out: Path) -> list[str]:
    """Draw the pictures anew from the tables in a folder; return the names of those drawn."""
    return batches.redraw(Batch(out), list(FIGURES.values()))


def summary(tables: dict[str, Tables]) -> str:
    """Means over animals as Markdown."""
    structure, decoding = (tables["structure"][name] for name in ("loops", "decoding"))
    head = ["cortex", "stimuli", "electrodes", "spikes", "identified"]
    head += _COLUMNS
    rows = []
    for case in STRUCTURE:
        heard = case.rows(decoding)
        row = [case.name, f"{case.stimuli}", f"{_mean(heard, 'recorded'):.0f}"]
        row += [f"{_mean(heard, 'spikes'):.0f}", f"{_mean(heard, 'identified'):.2f}"]
        own = case.rows(structure)
        row += [
            _cell(where(own, field=field, decoder=decoder))
            for field in FIELDS
            for decoder in DECODERS
        ]
        rows.append(row)
    blocks = [
        "wtpe in cm of the runs that converge (share that does), means over animals; *spikes*: of "
        "a response, in the mean; *identified*: single responses whose projection is nearest to "
        "their own site. *Matched* controls: states enlarged until what is recorded differs "
        "between stimuli as much as with the circuit.",
        _markdown(head, rows),
    ]
    blocks += [
        "Mean wtpe of the first cortex in units of the second's: geometric mean over animals (95 % "
        "interval).",
        _markdown(["", "stimuli", *_COLUMNS], _contrasts(structure)),
    ]
    for part, cases in (("windows", WINDOWS), ("carry", CARRY)):
        loops = tables[part]["loops"]
        for field in FIELDS:
            for decoder in PAPERS_DECODERS:
                head = [f"{field}, {decoder}", "stimuli", *_WINDOWS]
                lines = dict.fromkeys((c.cortex, c.carry, c.stimuli) for c in cases)
                rows = []
                for cortex, carried, stimuli in lines:
                    timed = [Case(cortex, stimuli, t, carried) for t in WINDOWS_S]
                    shown = [_cell(c.rows(loops, field=field, decoder=decoder)) for c in timed]
                    rows.append([timed[0].name, f"{stimuli}", *shown])
                blocks.append(_markdown(head, rows))
    head = ["carried / not", "stimuli", *_WINDOWS]
    blocks += [
        "The same for carried against no state; and the size of what is carried under a lasting "
        "stimulus, in units of the prepared state (in brackets: if the circuit ran on until the "
        "end of the loop's step).",
        _markdown(head, _carried(tables["carry"])),
    ]
    blocks.append(_volition_table(tables["volition"]))
    return "\n\n".join(blocks)


_COLUMNS = [f"{field}, {decoder}" for field in FIELDS for decoder in DECODERS]


def _contrasts(loops: Table) -> list[list[str]]:
    """The circuit against every other cortex."""
    rows = []
    for case in STRUCTURE:
        own = next(c for c in STRUCTURE if c.name == "soc" and c.stimuli == case.stimuli)
        if case == own:
            continue
        ratios = [
            _ratio(loops, own, case, field=field, decoder=decoder)
            for field in FIELDS
            for decoder in DECODERS
        ]
        rows.append([f"{own.name} / {case.name}", f"{case.stimuli}", *ratios])
    return rows


def _carried(tables: Tables) -> list[list[str]]:
    """Carried state against none, and how large it is."""
    rows = []
    stimuli = tuple(dict.fromkeys(case.stimuli for case in CARRY))
    for number in stimuli:
        for field in FIELDS:
            for decoder in PAPERS_DECODERS:
                ratios = [
                    _ratio(
                        tables["loops"],
                        Case("soc", number, window_s, True),
                        Case("soc", number, window_s, False),
                        field=field,
                        decoder=decoder,
                    )
                    for window_s in WINDOWS_S
                ]
                rows.append([f"{field}, {decoder}", f"{number}", *ratios])
        sizes = [Case("soc", number, t, True).rows(tables["sizes"]) for t in WINDOWS_S]
        shown = [f"{size['size'][0]:.2f} ({size['size_at_step'][0]:.2f})" for size in sizes]
        rows.append(["size of what is carried", f"{number}", *shown])
    return rows


_WINDOWS = [f"{1e3 * t:g} ms" for t in WINDOWS_S]


def _ratio(loops: Table, case: Case, other: Case, **values: str) -> str:
    """Ratio of mean wtpe in the same animals; blank where too few runs converge to compare."""
    first, second = (c.rows(loops, **values) for c in (case, other))
    shares = np.append(first["convergent"], second["convergent"])
    if len(first["wtpe"]) < 2 or shares.min() < _COMPARABLE:
        return ""
    order, others = np.argsort(first["animal"]), np.argsort(second["animal"])
    return str(ratio_interval(first["wtpe"][order] / second["wtpe"][others]))


_COMPARABLE = 0.5
"""Share of convergent runs in every animal from which on their wtpe is not that of a selection."""


def _volition_table(tables: Tables) -> str:
    head = ["cortex", "stimuli", "volition", "reach, cm", "enters by itself", "by command"]
    head += ["under curl"]
    head += ["settles off by, cm", "Eq 24 success", "ceiling success", "ceiling steps"]
    rows = []
    for case in VOLITION:
        for low in case.lows:
            own = {name: case.rows(table, low=low) for name, table in tables.items()}
            reached, commands, policies = own["reach"], own["commands"], own["policies"]
            by_direction = reached["reach"].reshape(-1, volition.DIRECTIONS).mean(axis=0)
            free, curled = (
                where(commands, curl=curl) for curl in sorted(set(commands["curl"].tolist()))
            )
            ceiling = where(policies, policy="ceiling")
            rows.append(
                [
                    case.name,
                    f"{case.stimuli}",
                    "signed" if low else "positive",
                    f"{max(by_direction.min(), 0.0):.1f} to {by_direction.max():.1f}",
                    f"{free['by_itself'].mean():.2f}",
                    f"{free['arrived'].mean():.2f}",
                    f"{curled['arrived'].mean():.2f}",
                    f"{free['settled_off'].mean():.1f}",
                    f"{where(policies, policy='eq24')['success'].mean():.2f}",
                    f"{ceiling['success'].mean():.2f}",
                    f"{ceiling['steps'].mean():.1f}",
                ]
            )
    return _markdown(head, rows)


def _mean(table: Table, column: str) -> float:
    """Over the animals in which there is a value."""
    finite = table[column][np.isfinite(table[column])]
    return float(finite.mean()) if len(finite) else float("nan")


def _cell(table: Table) -> str:
    if not len(table["wtpe"]):
        return ""
    error = _mean(table, "wtpe")
    shown = "–" if np.isnan(error) else f"{error:.2f}"
    return f"{shown} ({_mean(table, 'convergent'):.2f})"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
