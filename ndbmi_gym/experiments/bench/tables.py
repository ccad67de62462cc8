"""Tidy tables: dicts of columns of equal length, in memory and in files.

Nothing is pickled, everything is written atomically.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.files import read_arrays, whole_file, write_arrays
from ndbmi_gym.provenance import JSON

Table = dict[str, npt.NDArray[Any]]
Tables = dict[str, Table]


def from_rows(rows: Sequence[JSON]) -> Table:
    """A table from its rows."""
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def concatenate(tables: Iterable[Table]) -> Table:
    """One table under the other."""
    tables = list(tables)
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def labelled(columns: Table, **labels: str | float) -> Table:
    """Columns, beside others that are the same in every row."""
    size = len(next(iter(columns.values())))
    return {name: np.full(size, value) for name, value in labels.items()} | columns


def where(table: Table, **values: Any) -> Table:
    """The rows whose columns have the given values."""
    chosen = np.ones(len(next(iter(table.values()))), bool)
    for name, value in values.items():
        chosen &= table[name] == value
    return {name: column[chosen] for name, column in table.items()}


def write_csv(path: Path, table: Table) -> None:
    """Write a table as CSV, numbers to six digits."""
    columns = [
        [f"{x:.6g}" for x in column] if column.dtype.kind == "f" else column.tolist()
        for column in table.values()
    ]
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*columns, strict=True))


def read_csv(path: Path) -> Table:
    """Read a table that `write_csv` wrote; columns of numbers or truth values become such."""
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = list(csv.reader(file))
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return {
        name: _values(np.array(column, dtype=str))
        for name, column in zip(names, columns, strict=True)
    }


def read_folder(folder: Path) -> Tables:
    """All tables that `write_csv` wrote to a folder, by the names of their files."""
    return {path.stem: read_csv(path) for path in sorted(folder.glob("*.csv"))}


def _values(column: npt.NDArray[np.str_]) -> npt.NDArray[Any]:
    if len(column) and set(column.tolist()) <= {"True", "False"}:
        return np.asarray(column == "True")
    for kind in (int, float):
        try:
            return column.astype(kind)
        except ValueError:
            continue
    return column


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def save_tables(path: Path, header: Mapping[str, Any], tables: Tables) -> None:
    """Write tables to one ``.npz`` file."""
    arrays = {
        f"{name}/{column}": values
        for name, table in tables.items()
        for column, values in table.items()
    }
    write_arrays(path, header, arrays)


def load_tables(path: Path, header: Mapping[str, Any]) -> Tables | None:
    """Read tables that `save_tables` wrote under the same header; None if there are none."""
    try:
        found, arrays = read_arrays(path)
    except Exception:  # absent, cut off or of another program: it is made anew
        return None
    if found != json.loads(json.dumps(header)):
        return None
    tables: Tables = {}
    for name, values in arrays.items():
        table, column = name.split("/")
        tables.setdefault(table, {})[column] = values
    return tables
