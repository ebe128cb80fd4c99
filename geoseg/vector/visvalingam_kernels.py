"""Compiled part of simplifying by area: the smallest triangle goes first, from a heap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled_into_callers
from geoseg.vector.triangle_kernels import double_area, flip, is_free

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["thin_by_area"]


@compiled_into_callers
def _push(heap: NDArray[np.int64], keys: NDArray[np.float64], n: int, item: int, key: float) -> int:
    """Put an item on a heap of n, ordered by key, then item; return the new number."""
    at = n
    while at > 0:
        up = (at - 1) >> 1
        if keys[up] < key or (keys[up] == key and heap[up] <= item):
            break
        heap[at], keys[at] = heap[up], keys[up]
        at = up
    heap[at], keys[at] = item, key
    return n + 1


@compiled_into_callers
def _pop(heap: NDArray[np.int64], keys: NDArray[np.float64], n: int) -> int:
    """Take the first item off a heap of n; it is left in place n - 1; return that number."""
    n -= 1
    item, key = heap[n], keys[n]
    heap[n], keys[n] = heap[0], keys[0]
    at = 0
    while 2 * at + 1 < n:
        down = 2 * at + 1
        if down + 1 < n and (
            keys[down + 1] < keys[down]
            or (keys[down + 1] == keys[down] and heap[down + 1] < heap[down])
        ):
            down += 1
        if key < keys[down] or (key == keys[down] and item <= heap[down]):
            break
        heap[at], keys[at] = heap[down], keys[down]
        at = down
    if n > 0:
        heap[at], keys[at] = item, key
    return n


@compiled_into_callers
def _weigh(
    points: NDArray[np.int32],
    links: NDArray[np.int64],
    i: int,
    limit: float,
    weight: NDArray[np.float64],
    heap: NDArray[np.int64],
    keys: NDArray[np.float64],
    n: int,
) -> int:
    """Weigh corner i by its triangle, put it on the heap if it may go; return its size."""
    if i == 0 or i == len(points) - 1:
        return n
    weight[i] = double_area(points[links[0, i]], points[i], points[links[1, i]])
    return _push(heap, keys, n, i, weight[i]) if weight[i] < limit else n


@compiled_into_callers
def thin_by_area(
    points: NDArray[np.int32],
    limit: float,
    fewest: int,
    words: NDArray[np.uint64],
    stays: NDArray[np.bool_],
) -> None:
    """Take inner corners out of an arc whose triangle is small and free, smallest first.

    Args:
        points: (n, 2) row, col.
        limit: Twice the area below which a corner goes.
        fewest: Inner corners that stay in any case.
        words: Bits of the corners; those that go are cleared.
        stays: (n,) which corners stay; written.
    """
    last = len(points) - 1
    weight, links = np.empty(last + 1), np.empty((2, last + 1), np.int64)
    heap, keys = np.empty(3 * last, np.int64), np.empty(3 * last)
    n = 0
    for i in range(last + 1):
        links[0, i], links[1, i] = i - 1, i + 1
        stays[i] = True
    for i in range(1, last):
        n = _weigh(points, links, i, limit, weight, heap, keys, n)
    spare = last - 1 - fewest
    while n > 0 and spare > 0:
        n = _pop(heap, keys, n)
        i = heap[n]
        a, c = links[0, i], links[1, i]
        if not stays[i] or keys[n] != weight[i]:
            continue  # gone, or weighed anew since
        if not is_free(points[a], points[i], points[c], words):
            continue
        flip(points[i], words)
        stays[i] = False
        spare -= 1
        links[1, a], links[0, c] = c, a
        n = _weigh(points, links, a, limit, weight, heap, keys, n)
        n = _weigh(points, links, c, limit, weight, heap, keys, n)
