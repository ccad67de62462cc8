"""`ndbmi-gym circuit study`: the circuit in the closed loop, beside other cortices."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ndbmi_gym.experiments.bench import batches
from ndbmi_gym.experiments.bench.batches import Batch
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.statistics import ratio_interval
from ndbmi_gym.experiments.bench.tables import Table, Tables, markdown, read_folder, where
from ndbmi_gym.experiments.circuit import (
    abscissa,
    abscissa_summary,
    carry,
    paths,
    shift,
    structure,
    volition,
    windows,
)
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

PARTS = ("paths", "structure", "windows", "carry", "shift", "volition", "abscissa")


def figures(out: Path, parts: Sequence[str] = PARTS) -> list[Figure]:
    """Parts of the study, whose results are in a folder.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    known = [part.FIGURE for part in (paths, structure, windows, carry, shift, volition)]
    by_name = {figure.name: figure for figure in (*known, abscissa.figure(out / "circuits"))}
    for name in parts:
        if name not in by_name:
            raise ValueError(f"part {name!r}: choose from {', '.join(PARTS)}")
    return [by_name[name] for name in parts]


def run(
    out: Path, animals: Sequence[int], seed: int, jobs: int, parts: Sequence[str] = PARTS
) -> str:
    """Run parts; write tables, pictures and, of all parts whose tables are there, ``study.md``.

    What is measured is kept: an interrupted study goes on. The circuits that are missing are built.

    Returns
    -------
    str
        The summary, in Markdown.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    chosen, batch = figures(out, parts), Batch(out, "default", animals, seed, jobs)
    if "abscissa" in parts:
        abscissa.build_circuits(out / "circuits")
    batches.run(batch, chosen)
    return _summarise(out)


def redraw(out: Path, parts: Sequence[str] = PARTS) -> list[str]:
    """Draw pictures of parts, and write ``study.md`` anew, from the tables in a folder.

    Returns
    -------
    list of str
        Names of the pictures drawn.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    drawn = batches.redraw(Batch(out), figures(out, parts))
    _summarise(out)
    return drawn


def _summarise(out: Path) -> str:
    found = {name: read_folder(out / name) for name in PARTS}
    text = summary({name: tables for name, tables in found.items() if tables})
    write_text(out / "study.md", text + "\n")
    return text


def summary(tables: dict[str, Tables]) -> str:
    """What was measured as Markdown, of the parts whose tables are given."""
    sections: dict[str, Callable[[Tables], list[str]]] = {
        "structure": _structure,
        "windows": lambda own: _timed(own, WINDOWS),
        "carry": lambda own: [*_timed(own, CARRY), *_carried(own)],
        "volition": _volition_table,
        "abscissa": abscissa_summary.blocks,
    }
    known = [name for name in sections if name in tables]
    return "\n\n".join(block for name in known for block in sections[name](tables[name]))


def _structure(tables: Tables) -> list[str]:
    """Means over animals."""
    structure, decoding = (tables[name] for name in ("loops", "decoding"))
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
    return [
        "wtpe in cm of the runs that converge (share that does), means over animals; *spikes*: of "
        "a response, in the mean; *identified*: single responses whose projection is nearest to "
        "their own site. *Matched* controls: states enlarged until what is recorded differs "
        "between stimuli as much as with the circuit.",
        markdown(head, rows),
        "Mean wtpe of the first cortex in units of the second's: geometric mean over animals (95 % "
        "interval).",
        markdown(["", "stimuli", *_COLUMNS], _contrasts(structure)),
    ]


def _timed(tables: Tables, cases: Sequence[Case]) -> list[str]:
    """Means over animals by recording window."""
    blocks = []
    for field in FIELDS:
        for decoder in PAPERS_DECODERS:
            head = [f"{field}, {decoder}", "stimuli", *_WINDOWS]
            lines = dict.fromkeys((c.cortex, c.carry, c.stimuli) for c in cases)
            rows = []
            for cortex, carried, stimuli in lines:
                timed = [Case(cortex, stimuli, t, carried) for t in WINDOWS_S]
                own = [c.rows(tables["loops"], field=field, decoder=decoder) for c in timed]
                rows.append([timed[0].name, f"{stimuli}", *map(_cell, own)])
            blocks.append(markdown(head, rows))
    return blocks


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


def _carried(tables: Tables) -> list[str]:
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
    return [
        "The same for carried against no state; and the size of what is carried under a lasting "
        "stimulus, in units of the prepared state (in brackets: if the circuit ran on until the "
        "end of the loop's step).",
        markdown(["carried / not", "stimuli", *_WINDOWS], rows),
    ]


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


def _volition_table(tables: Tables) -> list[str]:
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
    return [markdown(head, rows)]


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
