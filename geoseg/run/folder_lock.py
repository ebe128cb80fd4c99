"""A lock on a folder: one process at a time, until it ends in whatever way."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geoseg.errors import OutputError

__all__ = ["locked_folder"]

_log = logging.getLogger(__name__)
# What flock, lockf and Windows say of a lock that somebody else holds.
_HELD_ERRNOS = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})


@contextmanager
def locked_folder(folder: Path, out: Path) -> Iterator[None]:
    """Make a folder and hold it for this process.

    Args:
        folder: Where the lock file lies.
        out: What it guards, as messages name it.

    Raises:
        OutputError: Another process holds it, or the folder cannot be written.
    """
    try:
        handle = _opened_lock(folder, out)
    except OutputError:
        raise
    except OSError as error:
        msg = f"cannot write to {folder.parent}: {error.strerror or error}"
        raise OutputError(msg, hint="Choose a writable folder with --out.") from error
    try:
        yield
    finally:
        os.close(handle)


def _opened_lock(folder: Path, out: Path) -> int:
    """Return the descriptor of the lock file, locked."""
    path = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(handle, out)
            # The run before may have removed its folder between the two calls above;
            # a lock on a file without a name would hold nobody off.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int, out: Path) -> None:
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:  # pragma: no cover - Windows
        import msvcrt  # noqa: PLC0415

        lock: Any = lambda: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # noqa: E731
    else:
        lock = lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # noqa: E731
    try:
        lock()
    except OSError as error:
        if error.errno not in _HELD_ERRNOS:
            # Some network file systems have no locks. Runs there work, unguarded.
            _log.warning("%s cannot be locked (%s): start no second run on it", out, error)
            return
        msg = f"another geoseg run is writing to {out}"
        raise OutputError(msg, hint="Wait for it, or choose another --out.") from error
