"""Minimum mapping unit: regions that are too small join their best neighbour.

Strategy: a first pass over the map, strip by strip, finds every region of the scene, its
pixels, and how long the small ones touch each neighbour. Then the small regions are taken
in the order of their pixels (equal ones by their first pixel in reading order), and each
joins the neighbour with the longest common boundary, together with what becomes connected
by it. A second pass writes the new classes. No decision depends on the strips. Memory
holds a few numbers per region, not per pixel.
"""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.measures import min_pixels
from geoseg.vector.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

__all__ = ["min_pixels", "sieve"]


def sieve(
    read: Callable[[], Iterable[Strip]], *, min_px: int, nodata_id: int = 255
) -> Iterator[Strip]:
    """Yield the strips of a map without 4-connected regions smaller than ``min_px``.

    A small region takes the class of the neighbour that it shares the longest boundary
    with (of equals, the one with more pixels, then the one that begins first). Where it
    has no neighbour but nodata it stays. The confidence of a pixel is not changed.

    Args:
        read: Starts reading the map from the top; it is read twice. Strips are as for
            :func:`geoseg.vector.polygons.write_polygons`.
        min_px: Least number of pixels of a region.
        nodata_id: Pixel value that is no region.
    """
    if min_px <= 1:
        yield from read()
        return
    new_class = _survey(read(), nodata_id).without_small(min_px)
    offset = 0
    for window, classes, confidence in read():
        image, region_class, _ = _labelled(classes, nodata_id)
        part = new_class[offset : offset + len(region_class)]
        table = np.append(part, nodata_id).astype(classes.dtype)
        offset += len(region_class)
        yield Strip(window, table[image], confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Neighbours:
    """All regions of a scene, numbered by their first pixel in reading order."""

    numbers: NDArray[np.int32]
    """(m,) region of each piece; a piece is a region of one strip, from the top down."""
    region_class: NDArray[np.int32]
    """(n,) class of each region."""
    px_count: NDArray[np.int64]
    """(n,) pixels of each region."""
    pairs: NDArray[np.int64]
    """(k, 2) regions that touch, each pair once."""
    sides: NDArray[np.int64]
    """(k,) pixel sides that they share."""

    def without_small(self, min_px: int) -> NDArray[np.int32]:
        """Return the new class of each piece (m,)."""
        heap = [(int(self.px_count[i]), int(i)) for i in np.flatnonzero(self.px_count < min_px)]
        heapq.heapify(heap)
        merger = _Merger(self, min_px)
        while heap:
            px, region = heapq.heappop(heap)
            grown = merger.dissolve(region, px)
            if grown is not None:
                heapq.heappush(heap, grown)
        return merger.classes()[self.numbers]


class _Merger:
    """Regions that join each other; each is known by the member that begins first."""

    def __init__(self, scene: _Neighbours, min_px: int) -> None:
        self._min_px = min_px
        self._class = scene.region_class.copy()
        self._px = scene.px_count.copy()
        self._joined: dict[int, int] = {}
        self._around = _around_small(scene, min_px)

    def dissolve(self, region: int, px: int) -> tuple[int, int] | None:
        """Join a region of ``px`` pixels with its best neighbour and what that connects.

        Returns:
            Pixels and number of the new region where it is still too small.
        """
        if region in self._joined or self._px[region] != px:
            return None  # it has grown or joined another since it was queued
        shared: dict[int, int] = {}
        for other, sides in self._around[region]:
            root = self._find(other)
            if root != region:
                shared[root] = shared.get(root, 0) + sides
        if not shared:
            return None
        best = max(shared, key=lambda r: (shared[r], self._px[r], -r))
        class_id = self._class[best]
        group = [region, *(r for r in shared if self._class[r] == class_id)]
        root = min(group)
        total = int(self._px[group].sum())
        self._class[root], self._px[root] = class_id, total
        self._joined.update((member, root) for member in group if member != root)
        if total >= self._min_px:
            return None
        self._around[root] = [pair for member in group for pair in self._around[member]]
        return total, root

    def classes(self) -> NDArray[np.int32]:
        """Return the class of every region now."""
        final = self._class.copy()
        for region in self._joined:
            final[region] = self._class[self._find(region)]
        return final

    def _find(self, region: int) -> int:
        root = region
        while root in self._joined:
            root = self._joined[root]
        while region != root:
            self._joined[region], region = root, self._joined[region]
        return root


def _around_small(scene: _Neighbours, min_px: int) -> dict[int, list[tuple[int, int]]]:
    """Return for each small region its neighbours and the pixel sides shared with them."""
    one, other = np.concatenate([scene.pairs, scene.pairs[:, ::-1]]).T
    sides = np.concatenate([scene.sides, scene.sides])
    small = scene.px_count[one] < min_px
    around: dict[int, list[tuple[int, int]]] = {
        int(i): [] for i in np.flatnonzero(scene.px_count < min_px)
    }
    columns = one[small].tolist(), other[small].tolist(), sides[small].tolist()
    for region, neighbour, count in zip(*columns, strict=True):
        around[region].append((neighbour, count))
    return around


def _survey(strips: Iterable[Strip], nodata_id: int) -> _Neighbours:
    """Find all regions of a scene and how long they touch."""
    from geoseg.vector.sieve_kernels import touching_pairs
    from geoseg.vector.trace_kernels import settle

    parent = np.empty(0, dtype=np.int32)
    piece_class, px_count = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    last_row: NDArray[np.int32] | None = None
    pairs, sides = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for strip in strips:
        image, classes, px = _labelled(strip.classes, nodata_id)
        new = np.arange(len(parent), len(parent) + len(classes), dtype=np.int32)
        parent, piece_class = np.append(parent, new), np.append(piece_class, classes)
        px_count = np.append(px_count, px)
        image = np.append(new, np.int32(-1))[image]
        above = np.full_like(image[0], -1) if last_row is None else last_row
        found = touching_pairs(np.vstack([above, image]), parent, piece_class)
        keys, counts = np.unique(found, return_counts=True)
        pairs.append(keys)
        sides.append(counts)
        last_row = image[-1]
    stats = np.zeros((len(parent), 4), dtype=np.int64)
    stats[:, 0] = px_count
    numbers, n_regions = settle(parent, stats)
    region_class = np.empty(n_regions, dtype=np.int32)
    region_class[numbers] = piece_class
    region_pairs, shared = _added_up(np.concatenate(pairs), np.concatenate(sides), numbers)
    return _Neighbours(
        numbers=numbers,
        region_class=region_class,
        px_count=stats[:n_regions, 0],
        pairs=region_pairs,
        sides=shared,
    )


def _labelled(
    classes: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int32], nodata_id: int
) -> tuple[NDArray[Any], ...]:
    """Return region of each pixel (row, col), class (m,) and pixels (m,) of the regions."""
    from geoseg.vector.sieve_kernels import label_pixels, label_wide_pixels

    if classes.dtype == np.uint8:
        return label_pixels(np.ascontiguousarray(classes, dtype=np.uint8), nodata_id)
    return label_wide_pixels()(np.ascontiguousarray(classes, dtype=np.int32), nodata_id)


def _added_up(
    keys: NDArray[np.int64], sides: NDArray[np.int64], numbers: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs of regions (k, 2) and their sides (k,) from those of pieces."""
    ends = numbers[np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)].astype(np.int64)
    ends.sort(axis=1)
    unique, place = np.unique(ends[:, 0] << 32 | ends[:, 1], return_inverse=True)
    shared = np.zeros(len(unique), dtype=np.int64)
    np.add.at(shared, place, sides)
    return np.stack([unique >> 32, unique & 0xFFFFFFFF], axis=1), shared
