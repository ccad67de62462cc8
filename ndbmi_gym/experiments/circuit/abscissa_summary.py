"""The circuit beside random networks of any strength: means over circuits and animals."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from ndbmi_gym.experiments.bench.crossed import crossed_interval
from ndbmi_gym.experiments.bench.statistics import (
    FloatArray,
    Interval,
    mean_interval,
)
from ndbmi_gym.experiments.bench.tables import Table, Tables, concatenate, markdown, where

_Key = tuple[str, float]
"""Control and abscissa."""

CIRCUIT = "none"
"""The control that is the circuit itself."""
_SELF: _Key = (CIRCUIT, np.nan)
_CONDITIONS = {
    (False, True): "reset, same signal",
    (False, False): "reset, same amplitude",
    (True, True): "carried, same signal",
    (True, False): "carried, same amplitude",
}
"""By whether the state is carried, and whether the signal is matched."""
_ROUNDED = 0.995
"""Share from which on two digits show 1."""
_COMPARABLE = 0.5
"""Share of convergent runs of every circuit and animal from which on wtpe is not a selection's."""


def grid(table: Table, column: str) -> FloatArray:
    """A column of a table with a row for every pair, by circuit and animal, (C, A)."""
    circuits, animals = (np.unique(table[name]) for name in ("circuit", "animal"))
    values = np.full((len(circuits), len(animals)), np.nan)
    row = np.searchsorted(circuits, table["circuit"])
    values[row, np.searchsorted(animals, table["animal"])] = table[column]
    return values


def mean(table: Table, column: str) -> Interval:
    """Mean over circuits and animals, with its interval; a share stays within 0 and 1."""
    found = crossed_interval(grid(table, column))
    return found if column != "convergent" else Interval(*np.clip(found, 0, 1).tolist())


def comparable(table: Table, circuit: Table) -> bool:
    """Whether half of the runs or more converge in every circuit, animal and task of both."""
    return bool(min(each["convergent"].min() for each in (table, circuit)) >= _COMPARABLE)


def ratio(table: Table, circuit: Table) -> Interval | None:
    """Mean wtpe of a control in units of its own circuit's, in the same animals.

    None where fewer than half of the runs of a circuit and animal converge: what is left then is a
    selection.
    """
    if not comparable(table, circuit):
        return None
    logs = crossed_interval(np.log(grid(table, "wtpe") / grid(circuit, "wtpe")))
    return Interval(*np.exp(logs).tolist())


def blocks(tables: Tables) -> list[str]:
    """Paragraphs and tables: the networks; wtpe and convergence; controls beside the circuit."""
    loops, networks = tables["loops"], tables["networks"]
    circuits, animals = (len(np.unique(loops[name])) for name in ("circuit", "animal"))
    made = [
        "## The circuit beside random networks of any strength",
        "*scaled*: the random weights that a circuit was made of, scaled to a spectral abscissa; "
        "*shuffled*: its own weights, the inhibitory ones in random order, scaled likewise. Every "
        f"built circuit has controls of its own. Means over {circuits} circuits (95 % interval) of "
        "the largest energy E₁; of the size of the prepared states at matched signal, in units of "
        "the circuit's; and of what is carried from step to step under a lasting stimulus, in "
        "units of the prepared state.",
        _networks(where(networks, matched=True), where(networks, control=CIRCUIT)),
        "All tasks in one: wtpe of the runs that converge in units of the circuit's, geometric "
        f"mean over {circuits} circuits and {animals} animals (95 % interval); after a semicolon "
        "the share that converges, where it is not 1. In brackets and without an interval: fewer "
        "than half of the runs of some circuit, animal and task converge, and what is left is a "
        "selection. E₁, and the size of what is carried: means.",
        overall(tables),
    ]
    for carry, matched, what in (
        (False, True, "State reset at every step, signal matched"),
        (False, False, "State reset at every step, controls at the circuit's amplitude"),
        (True, True, "State carried over, signal matched"),
        (True, False, "State carried over, controls at the circuit's amplitude"),
    ):
        own = where(loops, carry=carry)
        keys = _keys(where(own, matched=matched))
        made += [
            f"**{what}**: wtpe in cm of the runs that converge, mean over {circuits} circuits and "
            f"{animals} animals (95 % interval); after a semicolon the share that converges, where "
            "it is not 1.",
            _by_task(own, matched, [_SELF, *keys], _error),
            "The same in units of the circuit's (geometric mean), where half of the runs or more "
            "converge with every circuit and animal.",
            _by_task(own, matched, keys, _in_units),
        ]
    return made


def overall(tables: Tables) -> str:
    """All tasks in one: a control's wtpe in units of its circuit's, and the share that converges.

    The geometric mean over numbers of stimuli, fields and decoders is taken first, in every circuit
    and animal, of the runs that converge. Where these are fewer than half in any of them the ratio
    is a selection's: it stands in brackets, without an interval.
    """
    loops, networks = tables["loops"], tables["networks"]
    rows = []
    for key in [_SELF, *_keys(loops)]:
        own = _of(networks, key)
        row = [_named(key), f"{own['energy'].mean():.1f}", f"{own['carried'].mean():.2f}"]
        for carry, matched in _CONDITIONS:
            own = where(loops, carry=carry)
            chosen = _of(own, key) if key == _SELF else where(_of(own, key), matched=matched)
            row.append(cell_of_all(chosen, _of(own, _SELF)) if len(chosen["wtpe"]) else "")
        rows.append(row)
    return markdown(["", "E₁", "carried", *_CONDITIONS.values()], rows)


def over_tasks(table: Table, circuit: Table) -> Interval:
    """Mean wtpe of a control in units of its circuit's, in all tasks."""
    logs = [
        np.log(grid(own, "wtpe") / grid(where(circuit, **task), "wtpe"))
        for task in _tasks(table)
        for own in [where(table, **task)]
    ]
    return Interval(*np.exp(crossed_interval(np.nanmean(logs, axis=0))).tolist())


def cell_of_all(table: Table, circuit: Table) -> str:
    """What `overall` shows of a control beside its circuit, in all tasks."""
    found, share = over_tasks(table, circuit), float(table["convergent"].mean())
    if table["control"][0] == CIRCUIT:
        shown = "1"
    else:
        shown = _shown(found) if comparable(table, circuit) else f"({found.estimate:.2f})"
    return shown if share >= _ROUNDED else f"{shown}; {share:.2f} converge"


def _keys(table: Table) -> list[_Key]:
    """Controls of a table and their abscissae, in their order."""
    pairs = zip(table["control"].tolist(), table["abscissa"].tolist(), strict=True)
    return [key for key in dict.fromkeys(pairs) if key[0] != CIRCUIT]


def _named(key: _Key) -> str:
    return "circuit" if key[0] == CIRCUIT else f"{key[0]} to {key[1]:g}"


def _networks(matched: Table, circuit: Table) -> str:
    table = concatenate([circuit, matched])
    stimuli = np.unique(table["stimuli"]).tolist()
    head = ["network", "E₁", *(f"enlarged, {n} stimuli" for n in stimuli)]
    head += [f"carried, {n} stimuli" for n in stimuli]
    rows = []
    for key in [_SELF, *_keys(table)]:
        by_number = [where(_of(table, key), stimuli=n) for n in stimuli]
        cells = [(by_number[0], "energy")]
        cells += [(own, name) for name in ("enlargement", "carried") for own in by_number]
        rows.append([_named(key), *(_shown(_over_circuits(own[name])) for own, name in cells)])
    return markdown(head, rows)


def _over_circuits(values: FloatArray) -> Interval:
    return Interval(float(values.mean()), *mean_interval(values)[1:])


def _of(table: Table, key: _Key) -> Table:
    control, abscissa = key
    own = where(table, control=control)
    return own if control == CIRCUIT else where(own, abscissa=abscissa)


def _by_task(
    loops: Table, matched: bool, keys: Sequence[_Key], cell: Callable[[Table, Table], str]
) -> str:
    """A row for every network, a column for every number of stimuli, field and decoder."""
    tasks, rows = _tasks(loops), []
    for key in keys:
        row = [_named(key)]
        for task in tasks:
            own = where(loops, **task)
            circuit = _of(own, _SELF)
            chosen = circuit if key[0] == CIRCUIT else where(_of(own, key), matched=matched)
            row.append(cell(chosen, circuit))
        rows.append(row)
    return markdown(["", *(", ".join(map(str, task.values())) for task in tasks)], rows)


def _tasks(loops: Table) -> list[dict[str, Any]]:
    """Every number of stimuli, field and decoder."""
    names = "stimuli", "field", "decoder"
    values = (dict.fromkeys(loops[name].tolist()) for name in names)
    return [dict(zip(names, task, strict=True)) for task in product(*values)]


def _error(table: Table, circuit: Table) -> str:
    share = mean(table, "convergent").estimate
    shown = _shown(mean(table, "wtpe")) if np.isfinite(table["wtpe"]).any() else "–"
    return shown if share >= _ROUNDED else f"{shown}; {share:.2f}"


def _in_units(table: Table, circuit: Table) -> str:
    found = ratio(table, circuit)
    return "" if found is None else _shown(found)


def _shown(found: Interval) -> str:
    """Without an interval, if there is none."""
    return str(found) if np.isfinite(found.low) else f"{found.estimate:.2f}"
