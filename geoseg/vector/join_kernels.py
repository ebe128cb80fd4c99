"""Compiled part of joining: unite regions across seams, link corners into a graph.

Directions are 0 north, 1 east, 2 south, 3 west; quadrants 0 north-west, 1 north-east,
2 south-east, 3 south-west.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled
from geoseg.vector.trace_kernels import join_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["link_corners", "unite_pairs", "unite_touching"]

EAST, SOUTH, WEST = 1, 2, 3


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
