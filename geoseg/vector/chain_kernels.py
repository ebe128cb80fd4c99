"""Compiled part of chains: what waits in the graph of corners, with its paths shortened."""

# ruff: noqa: PLR0913, PLR0917 - compiled functions take plain arrays, not objects

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers
from geoseg.vector.walk_kernels import UNKNOWN, append_chain, arrival

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["shorten_paths"]


@compiled_into_callers
def _is_passed(edges: int, links: NDArray[np.int32]) -> bool:
    """Tell whether a corner only joins two edges whose other ends are known."""
    n = 0
    for heading in range(4):
        if edges >> heading & 1:
            n += 1
            if links[heading] == UNKNOWN:
                return False
    return n == 2  # noqa: PLR2004


@compiled_into_callers
def _other_edge(edges: int, heading: int) -> int:
    """Return where a path goes on from a corner of two edges that it reached by heading."""
    came_from = (heading + 2) & 3
    for leaving in range(4):
        if edges >> leaving & 1 and leaving != came_from:
            return leaving
    return came_from


@compiled_into_callers
def _kept_corners(
    edges: NDArray[np.uint8], links: NDArray[np.int32], waiting: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], int]:
    """Return where open walks branch or end, and how many corners they only pass."""
    which, passed = np.empty(len(edges), dtype=np.int32), 0
    kept = 0
    for v in range(len(edges)):
        if not waiting[v]:
            continue
        if _is_passed(edges[v], links[v]):
            passed += 1
        else:
            which[kept] = v
            kept += 1
    return which[:kept].copy(), passed


@compiled_into_callers
def _path_end(
    u: int,
    leaving: int,
    edges: NDArray[np.uint8],
    links: NDArray[np.int32],
    ends: NDArray[np.int32],
) -> tuple[int, int]:
    """Return the corner where a path branches or ends, and the heading on arrival."""
    v, heading = arrival(links[u, leaving], leaving, ends)
    while _is_passed(edges[v], links[v]):
        heading = _other_edge(edges[v], heading)
        v, heading = arrival(links[v, heading], heading, ends)
    return v, heading


@compiled_into_callers
def _copy_path(
    u: int,
    leaving: int,
    places: NDArray[np.int32],
    edges: NDArray[np.uint8],
    links: NDArray[np.int32],
    ends: NDArray[np.int32],
    begins: NDArray[np.int64],
    between: NDArray[np.int32],
    target: NDArray[np.int32],
    n: int,
) -> int:
    """Append all corners between the ends of a path; return the new length."""
    n = append_chain(links[u, leaving], begins, between, target, n)
    v, heading = arrival(links[u, leaving], leaving, ends)
    while _is_passed(edges[v], links[v]):
        target[n] = places[v]
        heading = _other_edge(edges[v], heading)
        n = append_chain(links[v, heading], begins, between, target, n + 1)
        v, heading = arrival(links[v, heading], heading, ends)
    return n


@compiled(
    "Tuple((int32[::1], int32[:, ::1], int32[:, :, ::1], int64[::1], int32[:, ::1]))"
    "(int32[:, ::1], uint8[::1], int32[:, ::1], uint8[::1], int32[:, :, ::1], int64[::1],"
    " int32[:, ::1])"
)
def shorten_paths(
    places: NDArray[np.int32],
    edges: NDArray[np.uint8],
    links: NDArray[np.int32],
    waiting: NDArray[np.uint8],
    ends: NDArray[np.int32],
    begins: NDArray[np.int64],
    between: NDArray[np.int32],
) -> tuple[
    NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]
]:
    """Keep the corners of open walks where paths branch or end; the others become chains.

    Args:
        places: (n, 2) row, col.
        edges: (n,) directions with an edge.
        links: (n, 4) where they lead.
        waiting: (n,) directions of walks that are not closed yet.
        ends: (k, 2, 2) corner and heading at the ends of chains.
        begins: (k + 1,) index of each chain's first corner, and the end.
        between: (m, 2) corners of chains.

    Returns:
        Indices of the kept corners (p,), their links among themselves (p, 4), and the new
        ``ends``, ``begins`` and ``between``. A path without an open walk leads nowhere.
    """
    which, passed = _kept_corners(edges, links, waiting)
    numbers = np.full(len(places), -1, dtype=np.int32)
    for i in range(len(which)):
        numbers[which[i]] = i
    new_links = np.full((len(which), 4), UNKNOWN, dtype=np.int32)
    new_ends = np.empty((2 * len(which), 2, 2), dtype=np.int32)
    new_begins = np.empty(2 * len(which) + 1, dtype=np.int64)
    new_between = np.empty((passed + len(between), 2), dtype=np.int32)
    seen = np.zeros(len(which), dtype=np.uint8)
    n, chains = 0, 0
    for u in which:
        for leaving in range(4):
            to_follow = edges[u] & ~seen[numbers[u]]
            if not to_follow >> leaving & 1 or links[u, leaving] == UNKNOWN:
                continue
            v, heading = _path_end(u, leaving, edges, links, ends)
            back = (heading + 2) & 3
            if numbers[v] < 0 or not (waiting[u] >> leaving | waiting[v] >> back) & 1:
                continue
            new_begins[chains] = n
            n = _copy_path(u, leaving, places, edges, links, ends, begins, between, new_between, n)
            seen[numbers[v]] |= 1 << back
            if n == new_begins[chains]:
                new_links[numbers[u], leaving] = numbers[v]
                new_links[numbers[v], back] = numbers[u]
                continue
            new_links[numbers[u], leaving] = -2 - 2 * chains
            new_links[numbers[v], back] = -3 - 2 * chains
            new_ends[chains, 0, 0], new_ends[chains, 0, 1] = numbers[v], heading
            new_ends[chains, 1, 0], new_ends[chains, 1, 1] = numbers[u], (leaving + 2) & 3
            chains += 1
    new_begins[chains] = n
    return which, new_links, new_ends[:chains], new_begins[: chains + 1], new_between[:n]
