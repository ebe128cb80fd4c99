"""Turn joined regions into rows of the polygon table."""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import OutputError
from geoseg.vector.features import Features
from geoseg.vector.multi import as_multipolygons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geoseg.vector.area import PixelAreas
    from geoseg.vector.drawing import Drawing
    from geoseg.vector.regions import Regions

__all__ = ["assemble"]

_MOST_CORNERS = 1 << 18
_MOST_BYTES = 2**31 - 1
_XY_BYTES = 16
_HEAD_BYTES = 9
_COUNT_BYTES = 4


def assemble(regions: Regions, drawing: Drawing, areas: PixelAreas | None) -> Iterator[Features]:
    """Yield the regions as polygons in world coordinates with their attributes.

    Areas are those of the pixels, however the outlines are drawn.

    There is more than one part only where the polygons of one would not fit the 2 GiB
    of an Arrow column.
    """
    groups = regions.groups
    corners = regions.corners[regions.rings[groups]]
    start, count = 0, len(groups) - 1
    while start < count:
        room = corners[start] + _MOST_CORNERS
        stop = max(start + 1, int(np.searchsorted(corners[1:], room, side="right")))
        part = _features(regions, groups[start], groups[stop], drawing, areas)
        if drawing.multi:
            part = as_multipolygons(part, groups[start : stop + 1] - groups[start])
        yield part
        start = stop


def _features(
    regions: Regions,
    start: int,
    stop: int,
    drawing: Drawing,
    areas: PixelAreas | None,
) -> Features:
    rings = regions.rings[start : stop + 1]
    first_ring, end_ring = rings[0], rings[-1]
    corners = regions.corners[first_ring : end_ring + 1]
    part = slice(corners[0], corners[-1])
    places = regions.places[part]
    rings, corners = rings - first_ring, corners - corners[0]
    lines = drawing.lines(corners, places, regions.is_node[part], regions.traced)
    offsets, data, bounds = _wkb(rings, *lines, mirrored=drawing.mirrored)
    return Features(
        offsets=offsets,
        data=data,
        bounds=bounds,
        class_id=regions.class_id[start:stop],
        area_m2=None if areas is None else _areas(rings, corners, places, areas),
        stats=regions.stats[start:stop],
    )


def _wkb(
    rings: NDArray[np.int64],
    corners: NDArray[np.int64],
    world: NDArray[np.float64],
    *,
    mirrored: bool,
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.float64]]:
    """Return offsets (n + 1,) and bytes of the WKB polygons, and their boxes (n, 4)."""
    from geoseg.vector.assemble_kernels import write_polygons_wkb

    ring_bytes = _COUNT_BYTES + _XY_BYTES * (np.diff(corners) + 1)
    before = np.concatenate([[0], np.cumsum(ring_bytes)])[rings]
    ends = before + _HEAD_BYTES * np.arange(len(rings))
    if ends[-1] > _MOST_BYTES:
        msg = f"a polygon of {len(world)} vertices does not fit the 2 GiB of an Arrow column"
        raise OutputError(msg, hint="split the raster, or remove small regions first")
    offsets = ends.astype(np.int32)
    data = np.empty(offsets[-1], dtype=np.uint8)
    bounds = np.empty((len(rings) - 1, 4))
    write_polygons_wkb(rings, corners, world, mirrored, offsets, data, bounds)
    return offsets, data, bounds


def _areas(
    rings: NDArray[np.int64],
    corners: NDArray[np.int64],
    places: NDArray[np.int32],
    areas: PixelAreas,
) -> NDArray[np.float64]:
    from geoseg.vector.assemble_kernels import region_areas

    out = np.empty(len(rings) - 1)
    region_areas(rings, corners, places, areas.tall_px, areas.wide_px, areas.tables, out)
    return out.round(areas.decimals)
