"""Compiled geometry on the lattice: triangles, distances, and the bits of a corner map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled_into_callers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["double_area", "flip", "is_free"]


@compiled_into_callers
def flip(place: NDArray[np.int32], words: NDArray[np.uint64]) -> None:
    """Change the bit of one corner."""
    words[place[0], place[1] >> 6] ^= np.uint64(1) << np.uint64(place[1] & 63)


@compiled_into_callers
def _any_between(words: NDArray[np.uint64], low: int, high: int) -> bool:
    """Tell whether a row of the map has a corner in columns low to high, both included."""
    first, last = low >> 6, high >> 6
    for k in range(first, last + 1):
        word = words[k]
        if k == first:
            word = (word >> np.uint64(low & 63)) << np.uint64(low & 63)
        if k == last:
            word <<= np.uint64(63 - (high & 63))
        if word != 0:
            return True
    return False


@compiled_into_callers
def _span(
    p: NDArray[np.int32], q: NDArray[np.int32], row: int, low: int, high: int
) -> tuple[int, int]:
    """Widen a range of columns to the whole ones within it and edge p-q at one row."""
    top, bottom = (p, q) if p[0] <= q[0] else (q, p)
    if row < top[0] or row > bottom[0]:
        return low, high
    if top[0] == bottom[0]:
        return min(low, p[1], q[1]), max(high, p[1], q[1])
    across = (int(bottom[1]) - int(top[1])) * (row - int(top[0]))
    down = int(bottom[0]) - int(top[0])
    return min(low, top[1] - (-across // down)), max(high, top[1] + across // down)


@compiled_into_callers
def is_free(
    a: NDArray[np.int32], b: NDArray[np.int32], c: NDArray[np.int32], words: NDArray[np.uint64]
) -> bool:
    """Tell whether the closed triangle of three corners holds no fourth one."""
    top, bottom = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
    if bottom - top <= 1 and max(a[1], b[1], c[1]) - min(a[1], b[1], c[1]) <= 1:
        return True  # half a pixel: a step of a staircase
    flip(a, words)
    flip(b, words)
    flip(c, words)
    free = True
    for row in range(top, bottom + 1):
        low, high = _span(a, b, row, 2**31, -1)
        low, high = _span(b, c, row, low, high)
        low, high = _span(c, a, row, low, high)
        if low <= high and _any_between(words[row], low, high):
            free = False
            break
    flip(a, words)
    flip(b, words)
    flip(c, words)
    return free


@compiled_into_callers
def double_area(a: NDArray[np.int32], b: NDArray[np.int32], c: NDArray[np.int32]) -> float:
    """Return twice the area of a triangle."""
    y, x = int(b[0]) - int(a[0]), int(b[1]) - int(a[1])
    v, u = int(c[0]) - int(a[0]), int(c[1]) - int(a[1])
    return float(abs(x * v - y * u))
