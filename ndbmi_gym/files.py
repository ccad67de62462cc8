"""Files that are whole or not there at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
