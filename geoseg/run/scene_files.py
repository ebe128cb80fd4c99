"""Scenes of folders and globs: rasters, and neither sidecars nor geoseg's own results."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Final

from geoseg.errors import OptionError
from geoseg.run.stac_source import RASTER_SUFFIXES

__all__ = ["changed_of", "is_glob", "matching_files", "rasters_in"]

_WILD: Final = re.compile(r"[*?\[]")
_RECORD: Final = "run.json"
_RESULT: Final = "classes.tif"


def is_glob(text: str) -> bool:
    """Tell whether a path holds ``*``, ``?`` or ``[`` and is not the name of a file itself."""
    return bool(_WILD.search(text)) and not os.path.lexists(text)


def changed_of(path: str) -> datetime | None:
    """Return when a file was last written; None where it is not there or tells no time."""
    try:
        return datetime.fromtimestamp(os.stat(path).st_mtime, UTC)  # noqa: PTH116 - 10,000 of them
    except (OSError, ValueError, OverflowError):
        return None


def rasters_in(folder: Path, *, leave_out: Path | None = None) -> list[str]:
    """Return the rasters below a folder, sorted.

    Hidden files and folders, and what geoseg wrote, are left out; links to folders are not
    followed, so that no link leads in a circle.

    Args:
        folder: Absolute folder.
        leave_out: A folder below it that is not looked into.

    Raises:
        OptionError: A folder cannot be listed.
    """
    return sorted(_files(folder, _is_raster, leave_out))


def matching_files(pattern: str) -> list[str]:
    """Return the files that a glob matches, sorted; ``**`` stands for any number of folders.

    Where the pattern does not tell a file extension, only rasters match.

    Raises:
        OptionError: A folder cannot be listed.
    """
    parts = Path(os.path.abspath(pattern)).parts  # noqa: PTH100 - keeps links
    fixed = next(at for at, part in enumerate(parts) if _WILD.search(part))
    root = Path(*parts[:fixed])
    if not root.is_dir():
        return []
    suffix = PurePath(parts[-1]).suffix
    told = len(suffix) > 1 and not _WILD.search(suffix)
    wild = (*parts[fixed:], "*") if parts[-1] == "**" else parts[fixed:]
    wanted = _anything if told else _is_raster
    return sorted(
        file
        for file in _files(root, wanted)
        if _matches(PurePath(file).relative_to(root).parts, wild)
    )


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Tell whether the parts of a path match those of a glob."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[at:], pattern[1:]) for at in range(len(parts) + 1))
    is_first = bool(parts) and fnmatchcase(parts[0], pattern[0])
    return is_first and _matches(parts[1:], pattern[1:])


def _is_raster(name: str) -> bool:
    return PurePath(name).suffix.lower() in RASTER_SUFFIXES


def _anything(_name: str) -> bool:
    return True


def _files(
    folder: Path, is_wanted: Callable[[str], bool], leave_out: Path | None = None
) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        msg = f"cannot look into {error.filename}: {error.strerror}"
        raise OptionError(msg) from error

    for here, folders, names in os.walk(folder, onerror=refuse):
        if _RECORD in names and _RESULT in names:
            folders.clear()
            continue
        folders[:] = [
            name for name in folders if not name.startswith(".") and Path(here, name) != leave_out
        ]
        yield from (
            os.path.join(here, name)  # noqa: PTH118 - 10,000 of them
            for name in names
            if not name.startswith(".") and is_wanted(name)
        )
