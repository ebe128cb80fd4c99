"""How much memory this process has held at most, and what it gives back."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

__all__ = [
    "keep_freed_pages",
    "peak_memory_bytes",
    "physical_memory_bytes",
    "return_freed_pages",
    "share_one_arena",
]

_STATUS = Path("/proc/self/status")
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8


def physical_memory_bytes() -> int | None:
    """Return the memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def peak_memory_bytes() -> int | None:
    """Return the largest resident size of this process so far, or None where unknown.

    On Linux from ``VmHWM``: the kernel's ``ru_maxrss`` starts at the size of the process
    that started this one.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def keep_freed_pages() -> bool:
    """Ask glibc to keep freed memory for the next forward pass instead of returning it.

    Every layer allocates and frees tens of megabytes; returning them to the kernel and
    faulting them in again costs a fp32 forward pass a third of its time. Does nothing,
    and says so, where the C library is not glibc.
    """
    libc = _glibc()
    if libc is None:
        return False
    settings = (
        (_M_MMAP_THRESHOLD, 1 << 30),
        (_M_TRIM_THRESHOLD, (1 << 31) - 1),
        (_M_TOP_PAD, 64 << 20),
        # Threads share one arena: others are too small for a layer and would map it anew.
        (_M_ARENA_MAX, 1),
    )
    accepted = [libc.mallopt(option, value) == 1 for option, value in settings]
    return all(accepted)


def share_one_arena() -> bool:
    """Ask glibc to serve threads that start from now on out of one arena.

    Threads that hand arrays to each other would else fill an arena each with the same
    freed memory. Does nothing, and says so, where the C library is not glibc.
    """
    libc = _glibc()
    return libc is not None and libc.mallopt(_M_ARENA_MAX, 1) == 1


def return_freed_pages() -> bool:
    """Give the memory that ``keep_freed_pages`` kept back to the system, once.

    Kept pages are reused by the next pass, but over many blocks the heap would fill with
    holes and the process would grow with the scene.
    """
    libc = _glibc()
    return libc is not None and libc.malloc_trim(0) == 1


def _glibc() -> ctypes.CDLL | None:
    """Return the C library where it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL("libc.so.6")
        _ = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError):
        return None
    return libc
