"""One MultiPolygon per class, put aside on disk until the last polygon is known."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING

import numpy as np

from geoseg.errors import OutputError
from geoseg.vector.features import Features
from geoseg.vector.multi import MOST_BYTES, MULTI_HEAD_BYTES, added_bounds, added_stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["dissolved"]


def dissolved(
    parts: Iterable[Features], temp_dir: Path, *, decimals: int = 2
) -> Iterator[Features]:
    """Yield one MultiPolygon for each class, by class id, once all polygons have come.

    The polygons of a class that touch do so at corners only, so they are the parts of a
    valid MultiPolygon as they are. While they come they are kept in nameless files, one
    for each class; memory holds one class at a time in the end.

    Args:
        parts: Polygons of all classes.
        temp_dir: Existing folder with room for all geometries.
        decimals: Digits that areas have after the point; they are added as whole numbers
            of these, so that no sum depends on how the polygons arrive.

    Raises:
        OutputError: A class exceeds the 2 GiB of an Arrow column, or the disk is full.
    """
    with ExitStack() as files:
        classes: dict[int, _Class] = {}
        for part in parts:
            with _disk(temp_dir):
                for class_id in np.unique(part.class_id).tolist():
                    if class_id not in classes:
                        file = files.enter_context(tempfile.TemporaryFile(dir=temp_dir))
                        classes[class_id] = _Class(class_id, file, decimals)
                    classes[class_id].add(part)
        for class_id in sorted(classes):
            with _disk(temp_dir):
                whole = classes[class_id].whole()
            yield whole


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Turn failures of files into OutputError."""
    try:
        yield
    except OSError as error:
        msg = f"{folder}: polygons could not be put aside: {error}"
        raise OutputError(msg, hint="is the disk full, the folder writable?") from error


class _Class:
    """The polygons of one class so far, and their counts."""

    def __init__(self, class_id: int, file: IO[bytes], decimals: int) -> None:
        self._class_id, self._file, self._units = class_id, file, 10.0**decimals
        self._count = 0
        self._size = MULTI_HEAD_BYTES
        self._bounds = np.array([[np.inf, np.inf, -np.inf, -np.inf]])
        self._area: int | None = None
        self._stats = np.zeros((1, 4), dtype=np.int64)

    def add(self, part: Features) -> None:
        """Put the polygons of this class aside."""
        mine = part.class_id == self._class_id
        lengths = np.diff(part.offsets)
        chosen = part.data[np.repeat(mine, lengths)]
        first = np.zeros(1, dtype=np.int64)
        self._file.write(chosen.data)
        self._count += int(np.count_nonzero(mine))
        self._size += len(chosen)
        self._bounds = added_bounds(np.vstack([self._bounds, part.bounds[mine]]), first)
        self._stats = added_stats(np.vstack([self._stats, part.stats[mine]]), first)
        if part.area_m2 is not None:
            whole = np.rint(part.area_m2[mine] * self._units).astype(np.int64)
            self._area = (self._area or 0) + int(whole.sum())

    def whole(self) -> Features:
        """Return the one row of this class."""
        if self._size > MOST_BYTES:
            msg = f"class {self._class_id} has {self._size} bytes of polygons: too many for one"
            raise OutputError(msg, hint="write polygons that are not dissolved")
        data = np.empty(self._size, dtype=np.uint8)
        data[0] = 1  # least byte first
        data[1:MULTI_HEAD_BYTES] = np.array([6, self._count], dtype="<u4").view(np.uint8)
        self._file.seek(0)
        self._file.readinto(data[MULTI_HEAD_BYTES:].data)  # type: ignore[attr-defined]
        return Features(
            offsets=np.array([0, self._size], dtype=np.int32),
            data=data,
            bounds=self._bounds,
            class_id=np.array([self._class_id], dtype=np.int32),
            area_m2=None if self._area is None else np.array([self._area / self._units]),
            stats=self._stats,
        )
