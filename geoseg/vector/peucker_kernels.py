"""Compiled part of simplifying by distance: split where a line misses its corners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled_into_callers
from geoseg.vector.triangle_kernels import flip, is_free

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["thin_by_distance"]


@compiled_into_callers
def _farthest(points: NDArray[np.int32], first: int, last: int) -> tuple[float, int]:
    """Return how far inner corners lie from the segment of the ends, and which is that."""
    row, col = points[first, 0], points[first, 1]
    v, u = float(points[last, 0] - row), float(points[last, 1] - col)
    length2 = u * u + v * v
    if length2 == 0.0:
        length2, u, v = 1.0, 0.0, 0.0
    # Squares of distances times that of the segment's length: no root, no division.
    worst, split = -1.0, -1
    for i in range(first + 1, last):
        y, x = float(points[i, 0] - row), float(points[i, 1] - col)
        along = x * u + y * v
        if along <= 0.0:
            far = (x * x + y * y) * length2
        elif along >= length2:
            far = ((x - u) ** 2 + (y - v) ** 2) * length2
        else:
            across = x * v - y * u
            far = across * across
        if far > worst:
            worst, split = far, i
    return np.sqrt(worst / length2), split


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
    stack: NDArray[np.int32],
) -> None:
    """Take inner corners out of an arc that lie close to the line that remains.

    Args:
        points: (n, 2) row, col.
        limit: Pixels below which a corner goes.
        fewest: Inner corners that stay in any case.
        words: Bits of the corners; those that go are cleared.
        stays: (n,) which corners stay; written.
        stack: (2 n + 2,) room to work in.
    """
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
