"""What this computer has left. Nothing here knows QGIS."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["free_disk_bytes", "free_memory_bytes", "writable"]


def free_memory_bytes() -> int | None:
    """Return the memory that a program can still have; None where that is not known."""
    if sys.platform == "linux":
        return _linux_memory()
    if os.name == "nt":
        return _windows_memory()
    try:
        # macOS gives memory back from its caches: all of it is the nearest simple answer.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _linux_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = (line.split() for line in lines if line.startswith("MemAvailable:"))
    return next((int(words[1]) * 1024 for words in found), None)


def _windows_memory() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *(
                (name, ctypes.c_ulonglong)
                for name in ["total", "free", "file", "file_free", "v", "v_free", "x"]
            ),
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    return int(status.free) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def free_disk_bytes(path: Path) -> int | None:
    """Return the free space where a path is or would be; None where that is not known."""
    for place in (path, *path.parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


def writable(folder: Path) -> bool:
    """Tell whether something can be made in a folder, or in the one that it would be made in."""
    for place in (folder, *folder.parents):
        if place.exists():
            return place.is_dir() and os.access(place, os.W_OK)
    return False
