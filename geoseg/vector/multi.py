"""Polygons that become parts of MultiPolygons."""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import OutputError
from geoseg.vector.features import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MULTI_HEAD_BYTES", "added_stats", "as_multipolygons"]

MULTI_HEAD_BYTES = 9
MOST_BYTES = 2**31 - 1


def as_multipolygons(polygons: Features, groups: NDArray[np.int64]) -> Features:
    """Return one MultiPolygon for each group of consecutive polygons, counts added up.

    Args:
        polygons: n polygons of the same class in each group.
        groups: (g + 1,) first polygon of each group, and the end.

    Raises:
        OutputError: They do not fit an Arrow column.
    """
    from geoseg.vector.assemble_kernels import write_multipolygons_wkb

    first = groups[:-1]
    ends = polygons.offsets[groups].astype(np.int64) + MULTI_HEAD_BYTES * np.arange(len(groups))
    if ends[-1] > MOST_BYTES:
        msg = f"a geometry of {ends[-1]} bytes does not fit the 2 GiB of an Arrow column"
        raise OutputError(msg, hint="split the raster, or remove small regions first")
    offsets = ends.astype(np.int32)
    data = np.empty(offsets[-1], dtype=np.uint8)
    write_multipolygons_wkb(groups, polygons.offsets, polygons.data, offsets, data)
    area = polygons.area_m2
    return Features(
        offsets=offsets,
        data=data,
        bounds=added_bounds(polygons.bounds, first),
        class_id=polygons.class_id[first],
        area_m2=None if area is None else np.add.reduceat(area, first),
        stats=added_stats(polygons.stats, first),
    )


def added_stats(stats: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts (g, 4) of groups of consecutive rows (n, 4) that begin at ``first``."""
    added = np.add.reduceat(stats, first)
    added[:, 3] = np.maximum.reduceat(stats[:, 3], first)
    return added


def added_bounds(bounds: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return boxes (g, 4) around groups of consecutive ones (n, 4)."""
    low = np.minimum.reduceat(bounds[:, :2], first)
    return np.hstack([low, np.maximum.reduceat(bounds[:, 2:], first)])
