"""Files that appear under their names whole, and stay so when the power goes."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path
from typing import Final

__all__ = ["replace_synced", "sync_file", "sync_folder", "temporary_name"]

# Process numbers repeat from machine to machine, and machines may share a folder.
_PROCESS: Final = secrets.token_hex(4)


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside ``path`` that no other thread of any machine uses."""
    mark = f"{_PROCESS}-{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f".{path.name}.{mark}.tmp")


def replace_synced(source: Path, target: Path) -> None:
    """Move a finished file to a name on the same disk, its content before its name.

    A file system may write the two in any order: after a power cut an unsynced file can be
    empty under its final name.

    Raises:
        OSError: It cannot be written or moved; the errno is EXDEV where the disk is another.
    """
    sync_file(source)
    os.replace(source, target)


def sync_file(path: Path) -> None:
    """Have a file's content written to its disk before this returns."""
    with path.open("rb+") as file:  # Windows flushes only what may be written
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written to its disk before this returns, where that can be."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folder
        return
    try:
        os.fsync(number)
    except OSError:
        pass  # not every network file system takes it
    finally:
        os.close(number)
