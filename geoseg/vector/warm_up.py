"""Compile the polygon code while the first windows are being classified."""

from __future__ import annotations

import importlib
import threading
from functools import cache
from typing import Final

__all__ = ["compile_in_background"]

_KERNELS: Final = ("trace_kernels", "join_kernels", "simplify_kernels", "assemble_kernels")


@cache
def compile_in_background() -> threading.Thread:
    """Import the compiled modules in a thread of their own, once per process.

    The first run after an installation compiles for some seconds; later ones load what it
    left. A failure is left to whoever needs the code: it meets the same error.
    """
    thread = threading.Thread(target=_import_kernels, name="geoseg-compile", daemon=True)
    thread.start()
    return thread


def _import_kernels() -> None:
    for name in _KERNELS:
        importlib.import_module(f"geoseg.vector.{name}")
