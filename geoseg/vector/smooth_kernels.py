"""Compiled part of smoothing: new lines within half a pixel of the old ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["smooth_rings"]

WITNESS, CANDIDATE, FIXED = 0, 1, 2
REACH_HALF_PX = 0.98
"""Deviation that a longer line may have; below 1, half a pixel, by more than rounding."""


@compiled_into_callers
def _trail(
    ring: NDArray[np.int32],
    is_node: NDArray[np.bool_],
    points: NDArray[np.int32],
    kind: NDArray[np.uint8],
) -> None:
    """Write corners and middles of edges of a ring in turn, in half pixels (2 n).

    A corner is a step, and may not become a vertex, where one of its edges is one pixel
    long; then the middles of both its edges may.
    """
    n = len(ring)
    for i in range(n):
        after = (i + 1) % n
        points[2 * i] = 2 * ring[i]
        points[2 * i + 1] = ring[i] + ring[after]
        length = abs(ring[after, 0] - ring[i, 0]) + abs(ring[after, 1] - ring[i, 1])
        kind[2 * i + 1] = length == 1  # for now: whether the edge is short
    for i in range(n):
        short = kind[2 * i + 1] or kind[2 * i - 1]
        kind[2 * i] = FIXED if is_node[i] else WITNESS if short else CANDIDATE
    for i in range(n):
        step = kind[2 * i] == WITNESS or kind[(2 * i + 2) % (2 * n)] == WITNESS
        kind[2 * i + 1] = CANDIDATE if step else WITNESS


@compiled_into_callers
def _before(a: NDArray[np.int32], b: NDArray[np.int32]) -> bool:
    """Tell whether a point comes first by row, then column."""
    return bool(a[0] < b[0] or (a[0] == b[0] and a[1] < b[1]))


@compiled_into_callers
def _distance(p: NDArray[np.int32], a: NDArray[np.int32], b: NDArray[np.int32]) -> float:
    """Return the distance of a point from the segment a-b."""
    y, x = float(p[0] - a[0]), float(p[1] - a[1])
    v, u = float(b[0] - a[0]), float(b[1] - a[1])
    square = u * u + v * v
    along = min(1.0, max(0.0, (x * u + y * v) / square)) if square > 0 else 0.0
    return float(np.hypot(x - along * u, y - along * v))


@compiled_into_callers
def _simplify(
    points: NDArray[np.int32],
    kind: NDArray[np.uint8],
    chosen: NDArray[np.bool_],
    stack: NDArray[np.int64],
) -> None:
    """Choose the vertices of one arc (Douglas-Peucker); every point is a witness."""
    chosen[:] = False
    chosen[0] = chosen[-1] = True
    stack[0], stack[1] = 0, len(points) - 1
    depth = 2
    while depth > 0:
        depth -= 2
        first, last = stack[depth], stack[depth + 1]
        worst, farthest, split = 0.0, -1.0, -1
        for i in range(first + 1, last):
            distance = _distance(points[i], points[first], points[last])
            worst = max(worst, distance)
            if kind[i] == CANDIDATE and distance > farthest:
                farthest, split = distance, i
        if worst < REACH_HALF_PX or split < 0:
            continue
        chosen[split] = True
        stack[depth], stack[depth + 1], stack[depth + 2], stack[depth + 3] = (
            first,
            split,
            split,
            last,
        )
        depth += 4


@compiled_into_callers
def _smooth_arc(
    points: NDArray[np.int32],
    kind: NDArray[np.uint8],
    chosen: NDArray[np.bool_],
    stack: NDArray[np.int64],
    out: NDArray[np.int32],
) -> int:
    """Write the new vertices of an arc but its last, and return how many.

    The arc is worked on in the direction that does not depend on who walks it.
    """
    last = len(points) - 1
    turned = _before(points[last], points[0])
    if points[last, 0] == points[0, 0] and points[last, 1] == points[0, 1]:
        turned = _before(points[last - 1], points[1])
    if turned:
        _simplify(points[::-1], kind[::-1], chosen[::-1], stack)
    else:
        _simplify(points, kind, chosen, stack)
    n = 0
    for i in range(last):
        if chosen[i]:
            out[n] = points[i]
            n += 1
    return n


@compiled_into_callers
def _anchor(points: NDArray[np.int32], kind: NDArray[np.uint8]) -> int:
    """Return the first fixed point of a ring, or else its first candidate by place."""
    best = -1
    for i in range(len(points)):
        if kind[i] == FIXED:
            return i
        if kind[i] == CANDIDATE and (best < 0 or _before(points[i], points[best])):
            best = i
    return best


@compiled("Tuple((int64[::1], int32[:, ::1]))(int64[::1], int32[:, ::1], boolean[::1])")
def smooth_rings(
    corners: NDArray[np.int64], places: NDArray[np.int32], is_node: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Smooth rings arc by arc, from node to node.

    Args:
        corners: (k + 1,) first corner of each ring, and the end.
        places: (m, 2) row, col.
        is_node: (m,) corners that must stay.

    Returns:
        The new first points (k + 1,), and the points (p, 2) in *half* pixels.
    """
    begins = np.empty_like(corners)
    longest = 0
    for k in range(len(corners) - 1):
        longest = max(longest, corners[k + 1] - corners[k])
    most = 4 * longest + 2
    points, kind = np.empty((most, 2), np.int32), np.empty(most, np.uint8)
    chosen, stack = np.empty(most, np.bool_), np.empty(2 * most, np.int64)
    out = np.empty((2 * len(places), 2), dtype=np.int32)
    written = 0
    for k in range(len(corners) - 1):
        begins[k] = written
        n = 2 * (corners[k + 1] - corners[k])
        part = slice(corners[k], corners[k + 1])
        _trail(places[part], is_node[part], points[:n], kind[:n])
        points[n : 2 * n], kind[n : 2 * n] = points[:n], kind[:n]
        start = _anchor(points[:n], kind[:n])
        end = start + n
        while start < end:
            stop = start + 1
            while stop < end and kind[stop] != FIXED:
                stop += 1
            arc = slice(start, stop + 1)
            points[end] = points[end - n]
            written += _smooth_arc(points[arc], kind[arc], chosen[arc], stack, out[written:])
            start = stop
    begins[len(corners) - 1] = written
    return begins, out[:written].copy()
