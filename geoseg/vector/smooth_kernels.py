"""Compiled part of smoothing: cut the steps of a staircase from middle to middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cut_steps"]


@compiled_into_callers
def _find_steps(
    ring: NDArray[np.int32], is_node: NDArray[np.bool_], step: NDArray[np.bool_]
) -> None:
    """Tell which corners of a ring end an edge of one pixel and are no node."""
    n = len(ring)
    for i in range(n):
        before, after = (i - 1) % n, (i + 1) % n
        back = abs(ring[i, 0] - ring[before, 0]) + abs(ring[i, 1] - ring[before, 1])
        ahead = abs(ring[after, 0] - ring[i, 0]) + abs(ring[after, 1] - ring[i, 1])
        step[i] = not is_node[i] and (back == 1 or ahead == 1)


@compiled_into_callers
def _drop_straight(
    points: NDArray[np.int32], fixed: NDArray[np.bool_], n: int, out: NDArray[np.int32]
) -> int:
    """Copy the points of a ring that turn or are fixed; return how many."""
    kept = 0
    for i in range(n):
        before, after = points[(i - 1) % n], points[(i + 1) % n]
        row, col = points[i, 0], points[i, 1]
        turn = (row - before[0]) * (after[1] - col) - (col - before[1]) * (after[0] - row)
        if fixed[i] or turn != 0:
            out[kept] = points[i]
            kept += 1
    return kept


@compiled("Tuple((int64[::1], int32[:, ::1]))(int64[::1], int32[:, ::1], boolean[::1])")
def cut_steps(
    corners: NDArray[np.int64], places: NDArray[np.int32], is_node: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Cut every step of the rings between the middles of its two edges.

    Args:
        corners: (k + 1,) first corner of each ring, and the end.
        places: (m, 2) row, col.
        is_node: (m,) corners that must stay.

    Returns:
        The new first points (k + 1,), and the points (p, 2) in *half* pixels.
    """
    begins = np.empty_like(corners)
    out = np.empty((2 * len(places), 2), dtype=np.int32)
    longest = 0
    for k in range(len(corners) - 1):
        longest = max(longest, corners[k + 1] - corners[k])
    points, fixed = np.empty((2 * longest, 2), np.int32), np.empty(2 * longest, np.bool_)
    step = np.empty(longest, dtype=np.bool_)
    written = 0
    for k in range(len(corners) - 1):
        begins[k] = written
        ring = places[corners[k] : corners[k + 1]]
        nodes = is_node[corners[k] : corners[k + 1]]
        _find_steps(ring, nodes, step)
        n = 0
        for i in range(len(ring)):
            after = (i + 1) % len(ring)
            if not step[i]:
                points[n], fixed[n] = 2 * ring[i], nodes[i]
                n += 1
            if step[i] or step[after]:
                points[n], fixed[n] = ring[i] + ring[after], False
                n += 1
        written += _drop_straight(points, fixed, n, out[written:])
    begins[len(corners) - 1] = written
    return begins, out[:written].copy()
