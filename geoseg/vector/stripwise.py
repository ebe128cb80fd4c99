"""Regions of a class map that arrives strip by strip, as polygons in pixel coordinates.

Each strip is polygonised by itself; pieces that touch a strip's border wait and are
united with their continuation below. A region is complete once a strip below it no
longer holds it, so memory is bounded by what touches the open edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from shapely import Polygon

    from geoseg.grid.window import Window

__all__ = ["Region", "Strip", "regions_of_strips"]

_NO_CONFIDENCE = 255


class Strip(NamedTuple):
    """Full-width rows of a class map."""

    window: Window
    """Place in the scene; strips come top to bottom without gaps."""
    classes: NDArray[np.uint8]
    """(row, col) class ids."""
    confidence: NDArray[np.uint8] | None
    """(row, col) 0..250 for 0..1, 255 where there is none; or None for the whole map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A 4-connected set of pixels of one class."""

    class_id: int
    polygon: Polygon
    """Exact outline, x = column and y = row of the pixel corners."""
    px_count: int
    confidence_sum: int
    """Sum of the stored confidences (0..250)."""
    confidence_px: int
    """Number of pixels with a confidence."""


def regions_of_strips(strips: Iterable[Strip], *, nodata_id: int) -> Iterator[list[Region]]:
    """Yield, after each strip, the regions that it completes, and the rest at the end.

    The order does not depend on the strips: by last row, then first row, then the
    leftmost column of the first row.
    """
    waiting: list[Region] = []
    last_row = np.empty(0, dtype=np.int64)  # for each column, index into waiting or -1
    for strip in strips:
        pieces, labels = _polygonise(strip, nodata_id)
        labels = np.where(labels < 0, -1, labels + len(waiting))
        known = waiting + pieces
        if not known:
            last_row = labels[-1]
            yield []
            continue
        links = _links(last_row, labels[0], known)
        merged, group = _merge(known, links)
        open_ids = np.unique(group[labels[-1][labels[-1] >= 0]])
        is_open = np.zeros(len(merged), dtype=bool)
        is_open[open_ids] = True
        yield _sorted(r for r, wait in zip(merged, is_open, strict=True) if not wait)
        waiting = [merged[i] for i in open_ids]
        place = np.searchsorted(open_ids, np.where(labels[-1] < 0, 0, group[labels[-1]]))
        last_row = np.where(labels[-1] < 0, -1, place)
    yield _sorted(waiting)


def _polygonise(strip: Strip, nodata_id: int) -> tuple[list[Region], NDArray[np.int64]]:
    """Return the regions of one strip and for each pixel the index of its region, or -1."""
    import shapely
    from rasterio.features import rasterize, shapes

    valid = strip.classes != nodata_id
    found = list(shapes(strip.classes, mask=valid, connectivity=4))
    labels = np.full(strip.window.shape, -1, dtype=np.int64)
    if not found:
        return [], labels
    numbered = ((shape, number) for number, (shape, _) in enumerate(found))
    labels = rasterize(numbered, strip.window.shape, fill=-1, dtype="int32").astype(np.int64)
    flat = labels[valid]
    px_count = np.bincount(flat, minlength=len(found))
    confidence = np.zeros_like(flat) if strip.confidence is None else strip.confidence[valid]
    known = (confidence != _NO_CONFIDENCE) & (strip.confidence is not None)
    known_px = np.bincount(flat, weights=known, minlength=len(found))
    total = np.bincount(flat, weights=np.where(known, confidence, 0), minlength=len(found))
    offset = (strip.window.col_off, strip.window.row_off)
    regions = [
        Region(
            class_id=int(class_id),
            polygon=shapely.transform(shapely.geometry.shape(shape), lambda xy: xy + offset),
            px_count=int(px_count[i]),
            confidence_sum=int(total[i]),
            confidence_px=int(known_px[i]),
        )
        for i, (shape, class_id) in enumerate(found)
    ]
    return regions, labels


def _links(
    above: NDArray[np.int64], below: NDArray[np.int64], regions: list[Region]
) -> NDArray[np.int64]:
    """Return the (k, 2) pairs of regions of one class that meet at a strip border."""
    if not len(above):
        return np.empty((0, 2), dtype=np.int64)
    touching = (above >= 0) & (below >= 0)
    pairs = np.unique(np.stack([above[touching], below[touching]], axis=1), axis=0)
    same = [regions[a].class_id == regions[b].class_id for a, b in pairs]
    linked: NDArray[np.int64] = pairs[np.asarray(same, dtype=bool)]
    return linked


def _merge(
    regions: list[Region], links: NDArray[np.int64]
) -> tuple[list[Region], NDArray[np.int64]]:
    """Return united regions and for each old one the index of its new one."""
    root = np.arange(len(regions))
    for a, b in links:
        first, second = _find(root, a), _find(root, b)
        root[max(first, second)] = min(first, second)
    for i in range(len(root)):
        root[i] = root[root[i]]
    _, group = np.unique(root, return_inverse=True)
    members: list[list[Region]] = [[] for _ in range(int(group.max(initial=-1)) + 1)]
    for region, number in zip(regions, group, strict=True):
        members[number].append(region)
    return [_unite(parts) for parts in members], group


def _find(root: NDArray[np.int64], i: int) -> int:
    while root[i] != i:
        i = int(root[i])
    return i


def _unite(parts: list[Region]) -> Region:
    import shapely

    if len(parts) == 1:
        return parts[0]
    return Region(
        class_id=parts[0].class_id,
        polygon=_without_straight_vertices(shapely.union_all([p.polygon for p in parts])),
        px_count=sum(p.px_count for p in parts),
        confidence_sum=sum(p.confidence_sum for p in parts),
        confidence_px=sum(p.confidence_px for p in parts),
    )


def _without_straight_vertices(polygon: Polygon) -> Polygon:
    import shapely

    rings = [_corners(shapely.get_coordinates(ring)) for ring in shapely.get_rings(polygon)]
    return shapely.Polygon(rings[0], rings[1:])


def _corners(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vertices of a closed rectilinear ring where it turns, closed again."""
    horizontal = np.diff(ring[:, 1]) == 0
    turns = horizontal != np.roll(horizontal, 1)
    kept = ring[:-1][turns]
    return np.concatenate([kept, kept[:1]])


def _sorted(regions: Iterable[Region]) -> list[Region]:
    return sorted(regions, key=_place)


def _place(region: Region) -> tuple[float, float, float]:
    import shapely

    corners = shapely.get_coordinates(region.polygon.exterior)
    first_row = corners[:, 1].min()
    return corners[:, 1].max(), first_row, corners[corners[:, 1] == first_row, 0].min()
