"""Compiled part of joining: link corners into a graph and walk its rings.

Directions are 0 north, 1 east, 2 south, 3 west; quadrants 0 north-west, 1 north-east,
2 south-east, 3 south-west. Whoever leaves a corner in direction d has quadrant d on the
left hand, and the left hand is the inside of the region being walked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers
from geoseg.vector.trace_kernels import join_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["link_corners", "mark_open_walks", "unite_pairs", "unite_touching", "walk_rings"]

EAST, SOUTH, WEST = 1, 2, 3
ALL_FOUR = 15


@compiled("void(int32[::1], int32[::1], int32[::1], int32[::1])")
def unite_touching(
    parent: NDArray[np.int32],
    region_class: NDArray[np.int32],
    a: NDArray[np.int32],
    b: NDArray[np.int32],
) -> None:
    """Join the regions of one class that face each other across a seam, (k,) pixels."""
    for i in range(len(a)):
        if a[i] >= 0 and b[i] >= 0 and region_class[a[i]] == region_class[b[i]]:
            join_labels(parent, a[i], b[i])


@compiled("void(int32[::1], int32[::1], int32[::1])")
def unite_pairs(parent: NDArray[np.int32], a: NDArray[np.int32], b: NDArray[np.int32]) -> None:
    """Join pairs of labels, (k,) each."""
    for i in range(len(a)):
        join_labels(parent, a[i], b[i])


@compiled("void(int32[:, ::1], int32[:, ::1], uint8[::1], int32[:, ::1], int32[::1], int64)")
def link_corners(
    places: NDArray[np.int32],
    sides: NDArray[np.int32],
    edges: NDArray[np.uint8],
    links: NDArray[np.int32],
    open_below: NDArray[np.int32],
    first: int,
) -> None:
    """Find the edges of the corners from ``first`` on, and where they lead.

    Args:
        places: (n, 2) row, col, in that order.
        sides: (n, 4) region in each quadrant.
        edges: (n,) bit d is set where an edge leaves in direction d; written.
        links: (n, 4) corner at the other end of each edge, -1 where unknown; written.
        open_below: (width + 1,) corner whose southern edge is open, per column, or -1.
        first: Index of the first new corner.
    """
    for v in range(first, len(places)):
        col = places[v, 1]
        nw, ne, se, sw = sides[v, 0], sides[v, 1], sides[v, 2], sides[v, 3]
        edges[v] = (nw != ne) | (ne != se) << 1 | (sw != se) << 2 | (nw != sw) << 3
        links[v] = -1
        if nw != sw:
            links[v, WEST] = v - 1
            links[v - 1, EAST] = v
        if nw != ne:
            links[v, 0] = open_below[col]
            links[open_below[col], SOUTH] = v
        open_below[col] = v if sw != se else -1


@compiled_into_callers
def _turn(edges: int, sides: NDArray[np.int32], heading: int) -> int:
    """Return the direction in which a walk leaves a corner that it reached by heading.

    A region that meets itself diagonally is cut there, into a ring and a hole that touch.
    """
    left, right = (heading + 3) & 3, (heading + 1) & 3
    if edges == ALL_FOUR and sides[left] == sides[right]:
        return right
    if edges >> left & 1:
        return left
    if edges >> heading & 1:
        return heading
    return right


@compiled("void(int32[:, ::1], uint8[::1], int32[:, ::1], int32[::1], uint8[::1])")
def mark_open_walks(
    sides: NDArray[np.int32],
    edges: NDArray[np.uint8],
    links: NDArray[np.int32],
    open_below: NDArray[np.int32],
    waiting: NDArray[np.uint8],
) -> None:
    """Set bit d of ``waiting`` where the walk that leaves in direction d is not closed."""
    for v in open_below:
        if v < 0 or sides[v, 3] < 0:
            continue
        heading = 0
        while v >= 0:
            heading = _turn(edges[v], sides[v], heading)
            waiting[v] |= 1 << heading
            v = links[v, heading]  # noqa: PLW2901 - the walk goes on


@compiled(
    "Tuple((int32[::1], int64[::1], int32[::1], uint8[::1]))"
    "(int32[:, ::1], uint8[::1], int32[:, ::1], uint8[::1], uint8[::1])"
)
def walk_rings(
    sides: NDArray[np.int32],
    edges: NDArray[np.uint8],
    links: NDArray[np.int32],
    waiting: NDArray[np.uint8],
    done: NDArray[np.uint8],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]]:
    """Walk every closed ring once, region on the left, from its first corner.

    Args:
        sides: (n, 4) region in each quadrant.
        edges: (n,) directions with an edge.
        links: (n, 4) corner at the other end.
        waiting: (n,) directions of walks that are not closed yet.
        done: (n,) directions already walked; updated.

    Returns:
        Corner indices of all rings one after the other; where each ring begins, and the
        end (k + 1,); the region of each ring (k,); 1 for holes (k,). A ring begins at
        its first corner by row and column and does not repeat it.
    """
    most, rings = 0, 0
    for v in range(len(edges)):
        for heading in range(4):
            most += edges[v] >> heading & 1
        rings += 2 if edges[v] & 6 == 6 else 0  # noqa: PLR2004 - east and south
    corners = np.empty(most, dtype=np.int32)
    begins = np.empty(rings + 1, dtype=np.int64)
    region, hole = np.empty(rings, dtype=np.int32), np.empty(rings, dtype=np.uint8)
    n, k = 0, 0
    for start in range(len(edges)):
        if edges[start] & 6 != 6:  # noqa: PLR2004
            continue
        for first in (SOUTH, EAST):
            if (waiting[start] | done[start]) >> first & 1 or sides[start, first] < 0:
                continue
            begins[k], region[k], hole[k] = n, sides[start, first], first == EAST
            k += 1
            v, heading = int(start), int(first)
            while not done[v] >> heading & 1:
                done[v] |= 1 << heading
                corners[n] = v
                n += 1
                v = int(links[v, heading])
                heading = _turn(edges[v], sides[v], heading)
    begins[k] = n
    return corners[:n], begins[: k + 1], region[:k], hole[:k]
