"""Files that are whole or not there at all, and arrays in them."""

import io
import json
import math
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MAX_BYTES = 2**28
"""Memory that the arrays of one file may take: 256 MiB, a hundred times an interface of set 7."""

_HEADER = "header"
_MAX_HEADER_BYTES = 2**20
_MAX_NPY_HEADER_BYTES = 2**14  # numpy refuses headers of more than 10,000 characters
_NPY_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def as_path(path: Any, name: str = "path") -> Path:
    """A path, given as text or as a path object.

    Raises
    ------
    ValueError
        If it is anything else. A number is a file descriptor to the system, which would be read
        and closed.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise ValueError(f"{name} = {path!r}: give a path, as str or os.PathLike of str")
    return Path(text)


def check_folder(path: str | os.PathLike[str]) -> None:
    """See that a folder can be written to, or be made, before work begins whose results go there.

    Parameters
    ----------
    path : path
        Nothing is there afterwards that was not before.

    Raises
    ------
    OSError
        If it cannot.
    """
    folder = as_path(path)
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        raise type(error)(
            f"{folder} cannot be written to ({error.strerror}): name another folder"
        ) from error


def digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, in hexadecimal: the key of what is made from the file."""
    return sha256(as_path(path).read_bytes()).hexdigest()


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


class Layout(NamedTuple):
    """Shape and type of an array in a file, as told before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n_bytes(self) -> int:
        """Memory that the array takes."""
        return prod(self.shape) * self.dtype.itemsize


def write_arrays(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    kind: Kind | None = None,
) -> None:
    """Write arrays and a header of JSON types to a ``.npz`` file, without pickle.

    Parameters
    ----------
    path : path
    header : mapping
        In JSON types.
    arrays : mapping
        By name.
    kind : Kind, optional
        What the file is, to be written into the header.

    Raises
    ------
    ValueError
        If they are larger than what `read_arrays` reads.
    """
    whole = header if kind is None else kind._asdict() | dict(header)
    content: dict[str, Any] = {_HEADER: np.array(json.dumps(whole)), **arrays}
    _check_bytes(sum(array.nbytes for array in content.values()), MAX_BYTES)
    with whole_file(as_path(path)) as part, part.open("wb") as file:
        np.savez_compressed(file, **content)


def read_arrays(
    path: str | os.PathLike[str],
    kind: Kind | None = None,
    names: Iterable[str] | None = None,
    check: Callable[[Mapping[str, Any], Mapping[str, Layout]], None] | None = None,
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read header and arrays that `write_arrays` wrote; nothing in the file is executed.

    A small file may unpack to a huge array: no array is read before the sizes of all have been
    looked at.

    Parameters
    ----------
    path : str or path
    kind : Kind, optional
        What the file has to be.
    names : iterable of str, optional
        The arrays to read; by default all.
    check : callable, optional
        Is given the header and the layout of every array, and raises ValueError if they do not fit.

    Raises
    ------
    ValueError
        If it is of another kind, if its arrays take more than `MAX_BYTES`, or if `check` does.
        Damage has many errors: see `reading`.
    """
    with zipfile.ZipFile(as_path(path)) as archive:
        _check_bytes(_layout(archive, _HEADER).n_bytes, _MAX_HEADER_BYTES)
        header = json.loads(str(_array(archive, _HEADER)))
        if kind is not None:
            if header["format"] != kind.format:
                raise ValueError(f"its format is {header['format']!r}")
            if header["version"] != kind.version:
                raise ValueError(
                    f"its version is {header['version']}, this program reads {kind.version}"
                )
        stored = [name.removesuffix(".npy") for name in archive.namelist()]
        chosen = [name for name in stored if name != _HEADER] if names is None else names
        layouts = {name: _layout(archive, name) for name in chosen}
        _check_bytes(sum(layout.n_bytes for layout in layouts.values()), MAX_BYTES)
        if check is not None:
            check(header, layouts)
        return header, {name: _array(archive, name) for name in layouts}


def _layout(archive: zipfile.ZipFile, name: str) -> Layout:
    """Layout of an array in an archive, of which no more than the first bytes are unpacked."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # the others are unpacked by the block, however little of it is asked for
        raise ValueError(f"{name} is compressed in another way than numpy does")
    with archive.open(member) as file:
        first = io.BytesIO(file.read(_MAX_NPY_HEADER_BYTES))
    version = np.lib.format.read_magic(first)
    if version not in _NPY_HEADERS:
        raise ValueError(f"{name} is an array in format {version}, this program reads 1.0 and 2.0")
    shape, _, dtype = _NPY_HEADERS[version](first)
    layout = Layout(shape, dtype)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are not read")
    if min(shape, default=0) < 0 or first.tell() + layout.n_bytes != member.file_size:
        raise ValueError(f"{name} has {member.file_size} bytes, not those of shape {shape}")
    return layout


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _check_bytes(n_bytes: int, most: int) -> None:
    if n_bytes > most:
        raise ValueError(
            f"its contents take {n_bytes / 2**20:.1f} MiB, and at most {most / 2**20:g} MiB are "
            "written and read"
        )


@contextmanager
def reading(path: str | os.PathLike[str], kind: Kind, remedy: str) -> Iterator[None]:
    """Turn whatever goes wrong in reading a file into one error that names it.

    Parameters
    ----------
    path : path
    kind : Kind
        What it has to be.
    remedy : str
        What to do if it is not.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        In all other cases.
    """
    path = as_path(path)
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there is no {kind.format} file {path}: name one that exists, or {remedy}"
        ) from error
    except Exception as error:  # zip, zlib, numpy and JSON each have their own for damage
        raise ValueError(
            f"{path} is not an intact {kind.format} file ({error}): {remedy}"
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
