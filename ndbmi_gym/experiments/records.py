"""Results as files: tidy tables with the parameters, seeds and versions that made them.

A table is a dict of columns of equal length. Nothing is pickled, everything is written atomically.
"""

import csv
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.files import read_arrays, whole_file, write_arrays

Table = dict[str, npt.NDArray[Any]]
Tables = dict[str, Table]
JSON = dict[str, Any]

_PACKAGES = ("ndbmi-gym", "numpy", "scipy", "numba")
"""What all results depend on."""


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of the packages that results depend on, and a digest of our source.

    Parameters
    ----------
    *packages : str
        Further packages; one that is not there is said to be "not installed".
    """
    found = {"python": platform.python_version()}
    for package in (*_PACKAGES, *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found | {"source": _source()}


@cache
def _source() -> str:
    digest = sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def from_rows(rows: Sequence[JSON]) -> Table:
    """A table from its rows."""
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def concatenate(tables: Iterable[Table]) -> Table:
    """One table under the other."""
    tables = list(tables)
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def where(table: Table, **values: Any) -> Table:
    """The rows whose columns have the given values."""
    chosen = np.ones(len(next(iter(table.values()))), bool)
    for name, value in values.items():
        chosen &= table[name] == value
    return {name: column[chosen] for name, column in table.items()}


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file; what is not finite becomes null."""
    write_text(path, json.dumps(_finite(data), indent=1, allow_nan=False) + "\n")


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


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
    """Read a table that `write_csv` wrote; columns of numbers become numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = list(csv.reader(file))
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return {
        name: _numbers(np.array(column, dtype=str))
        for name, column in zip(names, columns, strict=True)
    }


def _numbers(column: npt.NDArray[np.str_]) -> npt.NDArray[Any]:
    for kind in (int, float):
        try:
            return column.astype(kind)
        except ValueError:
            continue
    return column


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
