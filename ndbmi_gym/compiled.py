"""Compilation of the inner loops, kept on disk from one process to the next where that is possible.

numba keeps machine code beside the source file, in the user's cache folder or in
``NUMBA_CACHE_DIR``. An installation may leave none of them writable: then every process compiles
what it calls, which takes it some seconds, and computes the same at the same speed.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``numba.njit`` with its cache, or without it (and a warning) where nothing can be written.

    Parameters
    ----------
    function : callable
        On numbers and arrays, in the part of Python that numba compiles.
    """
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError as error:  # numba has no type of its own for this
        if "no locator available" not in str(error):
            raise
    warnings.warn(
        "numba can keep no machine code, so every process compiles anew for some seconds: set "
        "NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=1,  # one place, hence one warning for all functions
    )
    return numba.njit(function)
