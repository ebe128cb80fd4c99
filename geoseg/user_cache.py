"""Where geoseg keeps what it can make again: compiled code, measurements of a device."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["user_cache_dir"]


def user_cache_dir() -> Path:
    """Return the user's cache folder for geoseg; it may not exist yet.

    ``GEOSEG_CACHE_DIR`` names another one, such as a disk of a cluster's node.
    """
    named = os.environ.get("GEOSEG_CACHE_DIR")
    if named:
        return Path(named).absolute()
    from platformdirs import user_cache_path  # noqa: PLC0415 - not for every command

    return user_cache_path("geoseg", appauthor=False)
