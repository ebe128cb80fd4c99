"""Names under which files are written before they are whole."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path
from typing import Final

__all__ = ["temporary_name"]

# Process numbers repeat from machine to machine, and machines may share a folder.
_PROCESS: Final = secrets.token_hex(4)


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside ``path`` that no other thread of any machine uses."""
    mark = f"{_PROCESS}-{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f".{path.name}.{mark}.tmp")
