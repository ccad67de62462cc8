"""Files that are whole or not there at all, and arrays in them."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_HEADER = "header"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Lend another name to write a file under, and put it in place in one step at the end.

    After an error the old file, if there was one, is still there and nothing else.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.

    Yields
    ------
    Path
        The name to write under, in the same folder and with the same suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class Kind(NamedTuple):
    """What a file of arrays is: the first entries of its header."""

    format: str
    version: int


def write_arrays(
    path: Path,
    header: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    kind: Kind | None = None,
) -> None:
    """Write arrays and a header of JSON types to a ``.npz`` file, without pickle."""
    whole = header if kind is None else kind._asdict() | dict(header)
    content: dict[str, Any] = {_HEADER: np.array(json.dumps(whole)), **arrays}
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **content)


def read_arrays(
    path: str | os.PathLike[str],
    kind: Kind | None = None,
    names: Iterable[str] | None = None,
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read header and arrays that `write_arrays` wrote; nothing in the file is executed.

    Parameters
    ----------
    path : path
    kind : Kind, optional
        What the file has to be.
    names : iterable of str, optional
        The arrays to read; by default all.

    Raises
    ------
    ValueError
        If it is of another kind. Damage has many errors: see `reading`.
    """
    # opened here, because numpy leaves a damaged archive open
    with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
        header = json.loads(str(file[_HEADER]))
        if kind is not None:
            if header["format"] != kind.format:
                raise ValueError(f"its format is {header['format']!r}")
            if header["version"] != kind.version:
                raise ValueError(
                    f"its version is {header['version']}, this program reads {kind.version}"
                )
        chosen = [name for name in file.files if name != _HEADER] if names is None else names
        return header, {name: file[name] for name in chosen}


@contextmanager
def reading(path: str | os.PathLike[str], kind: Kind, remedy: str) -> Iterator[None]:
    """Turn whatever goes wrong in reading a file, but its absence, into one ValueError.

    Parameters
    ----------
    path : path
    kind : Kind
    remedy : str
        What to do if it is not.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # zip, zlib, numpy and JSON each have their own for damage
        raise ValueError(
            f"{os.fspath(path)} is not an intact {kind.format} file ({error}): {remedy}"
        ) from error


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
