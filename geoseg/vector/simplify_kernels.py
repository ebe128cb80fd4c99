"""Compiled part of simplifying: rings into arcs, and a map of all corners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers
from geoseg.vector.peucker_kernels import thin_by_distance
from geoseg.vector.triangle_kernels import flip
from geoseg.vector.visvalingam_kernels import thin_by_area

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["mark_corners", "simplify_rings"]

FEWEST_OPEN, FEWEST_CLOSED = 1, 3
"""Corners that an arc keeps between its ends, where these differ and where they do not."""


@compiled("void(int32[:, ::1], uint64[:, ::1])")
def mark_corners(places: NDArray[np.int32], words: NDArray[np.uint64]) -> None:
    """Set the bits of corners (n, 2) in a map of the lattice (row, col / 64)."""
    for i in range(len(places)):
        row, col = places[i, 0], places[i, 1]
        words[row, col >> 6] |= np.uint64(1) << np.uint64(col & 63)


@compiled_into_callers
def _copy_arc(ring: NDArray[np.int32], start: int, stop: int, points: NDArray[np.int32]) -> bool:
    """Write corners start to stop of a ring, turned so that both its sides write the same.

    ``stop`` may lie one round further.

    Returns:
        True where that is backwards.
    """
    n, last = len(ring), stop - start
    one, other = ring[start], ring[stop - n if stop >= n else stop]
    if one[0] == other[0] and one[1] == other[1]:
        one, other = ring[(start + 1) % n], ring[(stop - 1) % n]
    backwards = bool(other[0] < one[0] or (other[0] == one[0] and other[1] < one[1]))
    place, step = (last, -1) if backwards else (0, 1)
    for i in range(start, stop + 1):
        j = i - n if i >= n else i
        points[place, 0], points[place, 1] = ring[j, 0], ring[j, 1]
        place += step
    return backwards


@compiled_into_callers
def _thin_arc(
    points: NDArray[np.int32],
    limit: float,
    by_area: bool,  # noqa: FBT001
    words: NDArray[np.uint64],
    stays: NDArray[np.bool_],
    stack: NDArray[np.int32],
) -> None:
    """Choose the corners of one arc that stay, (n,); the map of corners is left as it was."""
    last = len(points) - 1
    closed = points[0, 0] == points[last, 0] and points[0, 1] == points[last, 1]
    fewest = FEWEST_CLOSED if closed else FEWEST_OPEN
    if by_area:
        thin_by_area(points, limit, fewest, words, stays)
    else:
        thin_by_distance(points, limit, fewest, words, stays, stack)
    for i in range(1, last):
        if not stays[i]:
            flip(points[i], words)


@compiled_into_callers
def _thin_ring(
    ring: NDArray[np.int32],
    is_node: NDArray[np.bool_],
    limit: float,
    by_area: bool,  # noqa: FBT001
    words: NDArray[np.uint64],
    kept: NDArray[np.bool_],
    room: tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int32]],
) -> None:
    """Clear ``kept`` for the corners of a ring that go."""
    n = len(ring)
    points, stays, stack = room
    start = 0
    while start < n - 1 and not is_node[start]:
        start += 1
    start = start if is_node[start] else 0
    end = start + n
    while start < end:
        stop = start + 1
        while stop < end and not is_node[stop - n if stop >= n else stop]:
            stop += 1
        last = stop - start
        if last - 1 > FEWEST_OPEN:
            first = start - n if start >= n else start
            backwards = _copy_arc(ring, first, first + last, points)
            _thin_arc(points[: last + 1], limit, by_area, words, stays[: last + 1], stack)
            for i in range(1, last):
                j = first + i
                kept[j - n if j >= n else j] = stays[last - i if backwards else i]
        start = stop


@compiled(
    "Tuple((boolean[::1], int64[::1]))"
    "(int64[::1], int32[:, ::1], boolean[::1], uint64[:, ::1], float64, boolean)"
)
def simplify_rings(
    corners: NDArray[np.int64],
    places: NDArray[np.int32],
    is_node: NDArray[np.bool_],
    words: NDArray[np.uint64],
    limit: float,
    by_area: bool,  # noqa: FBT001
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Choose the corners of rings that stay, arc by arc, from node to node.

    Args:
        corners: (k + 1,) first corner of each ring, and the end.
        places: (m, 2) row, col.
        is_node: (m,) corners that must stay.
        words: (row, col / 64) bits of all traced corners; the same again at the end.
        limit: Twice an area in square pixels, or a distance in pixels.
        by_area: Weigh corners by their triangle, not by their distance.

    Returns:
        Which corners stay (m,), and the new first corners (k + 1,).
    """
    kept, begins = np.ones(len(places), np.bool_), np.empty_like(corners)
    most = 2
    for k in range(len(corners) - 1):
        most = max(most, corners[k + 1] - corners[k] + 1)
    room = np.empty((most, 2), np.int32), np.empty(most, np.bool_), np.empty(2 * most + 2, np.int32)
    begins[0] = 0
    for k in range(len(corners) - 1):
        part = slice(corners[k], corners[k + 1])
        ring_kept = kept[part]
        _thin_ring(places[part], is_node[part], limit, by_area, words, ring_kept, room)
        begins[k + 1] = begins[k] + np.count_nonzero(ring_kept)
    return kept, begins
