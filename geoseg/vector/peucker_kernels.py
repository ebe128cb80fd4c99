"""Compiled part of simplifying by distance: split where a line misses its corners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled_into_callers
from geoseg.vector.triangle_kernels import distance_px, flip, is_free

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["thin_by_distance"]


@compiled_into_callers
def _farthest(points: NDArray[np.int32], first: int, last: int) -> tuple[float, int]:
    """Return how far inner corners lie from the segment of the ends, and which is that."""
    worst, split = -1.0, -1
    for i in range(first + 1, last):
        distance = distance_px(points[i], points[first], points[last])
        if distance > worst:
            worst, split = distance, i
    return worst, split


@compiled_into_callers
def _clear(
    points: NDArray[np.int32],
    first: int,
    last: int,
    words: NDArray[np.uint64],
    stays: NDArray[np.bool_],
) -> bool:
    """Take all corners between two others out, or none where that is not safe.

    One by one, each with a free triangle; every other one in turn, so that the triangles
    stay short.
    """
    left, moved = last - first - 1, True
    while left > 0 and moved:
        moved = False
        a = first
        while a < last:
            b = a + 1
            while not stays[b]:
                b += 1
            c = min(b + 1, last)
            while not stays[c]:
                c += 1
            if b < last and is_free(points[a], points[b], points[c], words):
                flip(points[b], words)
                stays[b] = False
                left, moved = left - 1, True
            a = c if not stays[b] else b
    if left == 0:
        return True
    for i in range(first + 1, last):
        if not stays[i]:
            flip(points[i], words)
            stays[i] = True
    return False


@compiled_into_callers
def thin_by_distance(
    points: NDArray[np.int32],
    limit: float,
    fewest: int,
    words: NDArray[np.uint64],
    stays: NDArray[np.bool_],
) -> None:
    """Take inner corners out of an arc that lie close to the line that remains.

    Args:
        points: (n, 2) row, col.
        limit: Pixels below which a corner goes.
        fewest: Inner corners that stay in any case.
        words: Bits of the corners; those that go are cleared.
        stays: (n,) which corners stay; written.
    """
    stack = np.empty(2 * len(points) + 2, np.int64)
    stays[:] = True
    stack[0], stack[1] = 0, len(points) - 1
    depth, splits = 2, 0
    while depth > 0:
        depth -= 2
        first, last = stack[depth], stack[depth + 1]
        if last - first < 2:  # noqa: PLR2004 - nothing between
            continue
        worst, split = _farthest(points, first, last)
        if splits >= fewest and worst < limit and _clear(points, first, last, words, stays):
            continue
        splits += 1
        stack[depth], stack[depth + 1] = first, split
        stack[depth + 2], stack[depth + 3] = split, last
        depth += 4
