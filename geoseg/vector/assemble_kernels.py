"""Compiled part of assembling: ground areas and the bytes of polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "placed",
    "placed_exactly",
    "region_areas",
    "write_multipolygons_wkb",
    "write_polygons_wkb",
]


def _placed(places: NDArray[Any], transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return world x, y (n, 2) of row, col (n, 2) through an affine transform (2, 3)."""
    world = np.empty((len(places), 2))
    for i in range(len(places)):
        row, col = places[i, 0], places[i, 1]
        for axis in range(2):
            along, down, origin = transform[axis]
            world[i, axis] = along * col + down * row + origin
    return world


placed = compiled("float64[:, ::1](float64[:, ::1], float64[:, ::1])")(_placed)
placed_exactly = compiled("float64[:, ::1](int32[:, ::1], float64[:, ::1])")(_placed)
"""The same for places on the lattice."""


@compiled_into_callers
def _ground_integral(
    row: int, col: int, tall_px: float, wide_px: float, tables: NDArray[np.float64]
) -> float:
    """Return the ground area between corner (0, 0) and corner (row, col)."""
    i = min(int(row / tall_px), tables.shape[0] - 2)
    j = min(int(col / wide_px), tables.shape[1] - 2)
    u, v = row / tall_px - i, col / wide_px - j
    # Weights of the four nodes, integrated from the cell's first node to (u, v).
    high_u, high_v = u * u / 2, v * v / 2
    low_u, low_v = u - high_u, v - high_v
    first, right, below, across = (
        tables[i, j], tables[i, j + 1], tables[i + 1, j], tables[i + 1, j + 1],
    )  # fmt: skip
    inside = low_u * (low_v * first[0] + high_v * right[0])
    inside += high_u * (low_v * below[0] + high_v * across[0])
    result: float = first[3] + inside * tall_px * wide_px
    result += wide_px * (low_v * first[1] + high_v * right[1])
    result += tall_px * (low_u * first[2] + high_u * below[2])
    return result


@compiled(
    "void(int64[::1], int64[::1], int32[:, ::1], float64, float64, float64[:, :, ::1],"
    " float64[::1])"
)
def region_areas(
    rings: NDArray[np.int64],
    corners: NDArray[np.int64],
    places: NDArray[np.int32],
    tall_px: float,
    wide_px: float,
    tables: NDArray[np.float64],
    areas: NDArray[np.float64],
) -> None:
    """Write the square metres of every region, from the vertical edges of its rings."""
    for region in range(len(areas)):
        total = 0.0
        for k in range(rings[region], rings[region + 1]):
            end = corners[k + 1]
            row, col = places[end - 1, 0], places[end - 1, 1]
            for i in range(corners[k], end):
                next_row, next_col = places[i, 0], places[i, 1]
                if next_col == col:
                    total += _ground_integral(row, col, tall_px, wide_px, tables)
                    total -= _ground_integral(next_row, col, tall_px, wide_px, tables)
                row, col = next_row, next_col
        areas[region] = total


@compiled_into_callers
def _put_count(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write an unsigned 32-bit number, least byte first; return the place after it."""
    for byte in range(4):
        out[at + byte] = value >> (8 * byte) & 255
    return at + 4


@compiled_into_callers
def _copy(
    source: NDArray[np.uint8], start: int, out: NDArray[np.uint8], at: int, count: int
) -> None:
    """Copy bytes."""
    out[at : at + count] = source[start : start + count]


@compiled(
    "void(int64[::1], int64[::1], float64[:, ::1], boolean, int32[::1], uint8[::1],"
    " float64[:, ::1])"
)
def write_polygons_wkb(
    rings: NDArray[np.int64],
    corners: NDArray[np.int64],
    world: NDArray[np.float64],
    reverse: bool,  # noqa: FBT001
    offsets: NDArray[np.int32],
    out: NDArray[np.uint8],
    bounds: NDArray[np.float64],
) -> None:
    """Write every region as a WKB polygon, least byte first, and its outer box.

    Args:
        rings: (n + 1,) first ring of each region.
        corners: (k + 1,) first corner of each ring.
        world: (m, 2) x, y of the corners.
        reverse: Walk the rings backwards, from the same first corner.
        offsets: (n + 1,) first byte of each polygon.
        out: Bytes of all polygons; written.
        bounds: (n, 4) left, bottom, right, top; written.
    """
    raw = world.view(np.uint8).ravel()
    for region in range(len(rings) - 1):
        at = int(offsets[region])
        out[at] = 1
        at = _put_count(out, at + 1, 3)
        at = _put_count(out, at, rings[region + 1] - rings[region])
        for k in range(rings[region], rings[region + 1]):
            first, count = corners[k], corners[k + 1] - corners[k]
            at = _put_count(out, at, count + 1)
            if reverse:
                for i in range(count):
                    _copy(raw, 16 * int(first + (count - i) % count), out, at + 16 * i, 16)
            else:
                _copy(raw, 16 * int(first), out, at, 16 * int(count))
            at += 16 * int(count)
            _copy(raw, 16 * int(first), out, at, 16)
            at += 16
        outer = world[corners[rings[region]] : corners[rings[region] + 1]]
        bounds[region, 0], bounds[region, 1] = outer[:, 0].min(), outer[:, 1].min()
        bounds[region, 2], bounds[region, 3] = outer[:, 0].max(), outer[:, 1].max()


@compiled("void(int64[::1], int32[::1], uint8[::1], int32[::1], uint8[::1])")
def write_multipolygons_wkb(
    groups: NDArray[np.int64],
    offsets: NDArray[np.int32],
    data: NDArray[np.uint8],
    new_offsets: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> None:
    """Write groups of WKB polygons as WKB MultiPolygons, least byte first.

    Args:
        groups: (g + 1,) first polygon of each group.
        offsets: (n + 1,) first byte of each polygon.
        data: Bytes of all polygons.
        new_offsets: (g + 1,) first byte of each MultiPolygon.
        out: Bytes of all MultiPolygons; written.
    """
    for g in range(len(groups) - 1):
        at = int(new_offsets[g])
        out[at] = 1
        at = _put_count(out, at + 1, 6)
        at = _put_count(out, at, groups[g + 1] - groups[g])
        first = int(offsets[groups[g]])
        _copy(data, first, out, at, int(offsets[groups[g + 1]]) - first)
