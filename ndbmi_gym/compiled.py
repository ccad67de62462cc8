"""Compilation of the inner loops, kept on disk from one process to the next where that is possible.

numba keeps machine code beside the source file, in the user's cache folder or in
``NUMBA_CACHE_DIR``. An installation may leave none of them writable: then every process compiles
what it calls, which takes it some seconds, and computes the same at the same speed.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from hashlib import sha256
from pickle import UnpicklingError
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.serialize import dumps


class _Files(IndexDataCacheFile):  # type: ignore[misc]
    """Files of machine code, each named by what it was compiled for.

    numba numbers them. Of two processes that compile at once, for other types or compositions, both
    take the next number, and one would find the other's code under its own.
    """

    def save(self, key: Any, data: Any) -> None:
        name = self._index_name.removesuffix(".nbi")
        name = f"{name}.{sha256(dumps(key)).hexdigest()[:20]}.nbc"
        self._save_data(name, data)
        self._save_index(self._load_index() | {key: name})


class _Cache(FunctionCache):  # type: ignore[misc]
    """Machine code by what a function is made of: its constants, and the functions that it calls.

    numba's own cache looks at the function's file only: a change in a file that it calls into, or
    takes a constant from, would go unnoticed. And it tells functions that are composed of others
    (as in `ndbmi_gym.step`) apart by numbers that differ in every process, so that it never finds
    them again.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        base, stamp = self._impl.filename_base, self._impl.locator.get_source_stamp()
        self._cache_file = _Files(self._cache_path, base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except (AttributeError, ImportError, EOFError, UnpicklingError):
            self.flush()  # kept by another version, for a type that is no longer there
            return None

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        own = self._py_func
        parts = {(each.__module__, each.__qualname__, _stamp(each)) for each in _called(own)}
        constants = {name for each in (own, *_called(own)) for name in _constants(each)}
        made_of = tuple(sorted(parts)), tuple(sorted(constants))
        return sig, codegen.magic_tuple(), own.__code__.co_code, *made_of


def _named(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """What a function is composed of, and what it takes from its module, by name."""
    cells = (cell.cell_contents for cell in function.__closure__ or ())
    yield from zip(function.__code__.co_freevars, cells, strict=True)
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _called(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Compiled functions that a function calls, and those that they call."""
    for _, value in _named(function):
        found = getattr(value, "py_func", None) or getattr(value, "_defn", None)
        if found is not None:
            yield found
            yield from _called(found)


def _constants(function: Callable[..., Any]) -> Iterator[str]:
    """Constants and types that a function takes from its module or is composed of, as text."""
    for name, value in _named(function):
        if isinstance(value, np.ndarray):
            yield f"{name} {sha256(value.tobytes()).hexdigest()}"
        elif isinstance(value, type):
            members = [member.value for member in value] if issubclass(value, Enum) else ""
            yield f"{name} {value.__module__}.{value.__qualname__} {members}"
        elif isinstance(value, bool | int | float | str | tuple | np.generic):
            yield f"{name} {value!r}"


def _stamp(function: Callable[..., Any]) -> tuple[int, int]:
    """When the file of a function was last changed, and its size."""
    status = os.stat(sys.modules[function.__module__].__file__ or "")
    return status.st_mtime_ns, status.st_size


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``numba.njit`` with its cache, or without it (and a warning) where nothing can be written.

    Other threads of Python run while the function does.

    Parameters
    ----------
    function : callable
        On numbers and arrays, in the part of Python that numba compiles.
    """
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """`compiled`, as a part of those that call it: no compilation of its own.

    For short functions, and those that only one calls.
    """
    return _compiled(function, inline="always")


def _compiled(function: Callable[..., Any], **options: str) -> Callable[..., Any]:
    # neither checks of divisors nor entries for C, of which none is called: less to compile
    lean = {"error_model": "numpy", "no_cfunc_wrapper": True}
    made: Any = numba.njit(nogil=True, **lean, **options)(function)
    try:
        made._cache = _Cache(function)
        return made
    except RuntimeError as error:  # numba has no type of its own for this
        if "no locator available" not in str(error):
            raise
    _warn()
    return made


@cache
def _warn() -> None:
    """Warn once for all functions (Python's own memory of warnings is cleared by any filter)."""
    warnings.warn(
        "numba can keep no machine code, so every process compiles anew for some seconds: set "
        "NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=1,
    )
