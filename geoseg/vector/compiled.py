"""The one way in which this room compiles code.

Modules with compiled functions import numba when they are imported, so they are imported
inside the functions that need them. A function that Python calls has one explicit
signature: it is compiled once per installation, kept in the user's cache folder, and
later processes only load it. What it calls is compiled into it, and costs later processes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from geoseg.user_cache import user_cache_dir

__all__ = ["compiled", "compiled_into_callers"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

# numba would write beside the source. Files that no installer knows stay behind when the
# package is removed, and such a folder then hides an editable installation.
_numba_config: Any = numba.config  # its settings are set at run time, unknown to type checkers
if not _numba_config.CACHE_DIR:
    _numba_config.CACHE_DIR = str(user_cache_dir() / "compiled")


def compiled(signature: str) -> Callable[[_Function], _Function]:
    """Compile a function for one numba signature, without the GIL, kept on disk."""

    def decorate(function: _Function) -> _Function:
        try:
            made = numba.njit(signature, cache=True, nogil=True)(function)
        except RuntimeError:  # no folder may be written: compiled anew in every process
            made = numba.njit(signature, nogil=True)(function)
        return cast("_Function", made)

    return decorate


def compiled_into_callers(function: _Function) -> _Function:
    """Compile a function as a part of the compiled functions that call it."""
    return cast("_Function", numba.njit(nogil=True)(function))
