"""Compiled walks along the graph of corners.

Directions are 0 north, 1 east, 2 south, 3 west; quadrants 0 north-west, 1 north-east,
2 south-east, 3 south-west. Whoever leaves a corner in direction d has quadrant d on the
left hand, and the left hand is the inside of the region being walked.

A link is the index of a corner, -1 where it is unknown, or the code of a chain: -2 - 2 k
from the first corner of chain k to its last, -3 - 2 k back.
"""

# ruff: noqa: PLR0913, PLR0917 - compiled functions take plain arrays, not objects

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["append_chain", "arrival", "mark_open_walks", "walk_rings"]

NORTH, EAST, SOUTH = 0, 1, 2
ALL_FOUR = 15
UNKNOWN = -1


@compiled_into_callers
def _chain_of(link: int) -> tuple[int, int]:
    """Return the chain that a code below UNKNOWN stands for, and 1 where it is walked back."""
    return (-2 - link) >> 1, (-2 - link) & 1


@compiled_into_callers
def arrival(link: int, heading: int, ends: NDArray[np.int32]) -> tuple[int, int]:
    """Return the corner that a link leads to and the heading on arrival there.

    Args:
        link: Where an edge leads.
        heading: Direction in which it leaves.
        ends: (k, 2, 2) corner and heading at the end of each chain, walked on and back.
    """
    if link >= UNKNOWN:
        return link, heading
    chain, back = _chain_of(link)
    return ends[chain, back, 0], ends[chain, back, 1]


@compiled_into_callers
def append_chain(
    link: int,
    begins: NDArray[np.int64],
    between: NDArray[np.int32],
    target: NDArray[np.int32],
    n: int,
) -> int:
    """Append the corners of a link's chain, if it is one, in the order of the walk.

    Args:
        link: Where an edge leads.
        begins: (k + 1,) index of each chain's first corner, and the end.
        between: (m, 2) corners of chains.
        target: (c, 2) receives them.
        n: How many corners ``target`` holds.

    Returns:
        How many it holds then.
    """
    if link >= UNKNOWN:
        return n
    chain, back = _chain_of(link)
    for i in range(begins[chain], begins[chain + 1]):
        target[n] = between[begins[chain + 1] - 1 - (i - begins[chain]) if back else i]
        n += 1
    return n


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


@compiled(
    "void(int32[:, ::1], uint8[::1], int32[:, ::1], int32[:, :, ::1], int32[::1], uint8[::1])"
)
def mark_open_walks(
    sides: NDArray[np.int32],
    edges: NDArray[np.uint8],
    links: NDArray[np.int32],
    ends: NDArray[np.int32],
    open_below: NDArray[np.int32],
    waiting: NDArray[np.uint8],
) -> None:
    """Set bit d of ``waiting`` where the walk that leaves in direction d is not closed."""
    for start in open_below:
        if start < 0 or sides[start, 3] < 0:
            continue
        v, heading = int(start), NORTH
        while v >= 0:
            heading = _turn(edges[v], sides[v], heading)
            waiting[v] |= 1 << heading
            v, heading = arrival(links[v, heading], heading, ends)


@compiled_into_callers
def _rotate_to_first(
    places: NDArray[np.int32], is_node: NDArray[np.uint8], begin: int, end: int
) -> None:
    """Let a ring begin at its first corner by row and column."""
    first = begin
    for i in range(begin + 1, end):
        if places[i, 0] < places[first, 0] or (
            places[i, 0] == places[first, 0] and places[i, 1] < places[first, 1]
        ):
            first = i
    if first == begin:
        return
    before, nodes_before = places[begin:first].copy(), is_node[begin:first].copy()
    rest = end - first
    for i in range(rest):
        places[begin + i], is_node[begin + i] = places[first + i], is_node[first + i]
    places[begin + rest : end], is_node[begin + rest : end] = before, nodes_before


@compiled_into_callers
def _is_to_walk(
    edges: int, waiting: int, done: int, sides: NDArray[np.int32], leaving: int
) -> bool:
    """Tell whether a closed ring of a region leaves here and was not walked yet."""
    return (edges & ~(waiting | done)) >> leaving & 1 == 1 and sides[leaving] >= 0


@compiled_into_callers
def _walks(
    sides: NDArray[np.int32],
    edges: NDArray[np.uint8],
    waiting: NDArray[np.uint8],
    done: NDArray[np.uint8],
) -> int:
    """Return how many steps all closed rings have, chains apart."""
    n = 0
    for v in range(len(edges)):
        for leaving in range(4):
            n += _is_to_walk(edges[v], waiting[v], done[v], sides[v], leaving)
    return n


@compiled(
    "Tuple((int32[:, ::1], uint8[::1], int64[::1], int32[::1], uint8[::1]))"
    "(int32[:, ::1], int32[:, ::1], uint8[::1], int32[:, ::1], uint8[::1], uint8[::1],"
    " int32[:, :, ::1], int64[::1], int32[:, ::1])"
)
def walk_rings(
    places: NDArray[np.int32],
    sides: NDArray[np.int32],
    edges: NDArray[np.uint8],
    links: NDArray[np.int32],
    waiting: NDArray[np.uint8],
    done: NDArray[np.uint8],
    ends: NDArray[np.int32],
    begins: NDArray[np.int64],
    between: NDArray[np.int32],
) -> tuple[
    NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]
]:
    """Walk every closed ring once, region on the left.

    Args:
        places: (n, 2) row, col.
        sides: (n, 4) region in each quadrant.
        edges: (n,) directions with an edge.
        links: (n, 4) where they lead.
        waiting: (n,) directions of walks that are not closed yet.
        done: (n,) directions already walked; updated.
        ends: (k, 2, 2) corner and heading at the ends of chains.
        begins: (k + 1,) index of each chain's first corner, and the end.
        between: (m, 2) corners of chains.

    Returns:
        Places of all rings one after the other (c, 2); 1 where three or four edges meet
        (c,); where each ring begins, and the end (r + 1,); the region of each ring (r,);
        1 for holes (r,). A ring begins at its first corner by row and column and does
        not repeat it.
    """
    rings = _walks(sides, edges, waiting, done)
    # Every ring passes a corner that is not in a chain; pages that are not used cost nothing.
    most = rings + 2 * len(between)
    corners, is_node = np.empty((most, 2), dtype=np.int32), np.empty(most, dtype=np.uint8)
    first = np.empty(rings + 1, dtype=np.int64)
    region, hole = np.empty(rings, dtype=np.int32), np.empty(rings, dtype=np.uint8)
    n, k = 0, 0
    for start in range(len(edges)):
        for leaving in range(4):
            if not _is_to_walk(edges[start], waiting[start], done[start], sides[start], leaving):
                continue
            first[k], region[k] = n, sides[start, leaving]
            v, heading, with_chain = int(start), int(leaving), False
            while not done[v] >> heading & 1:
                done[v] |= 1 << heading
                corners[n] = places[v]
                is_node[n] = edges[v] in (7, 11, 13, 14, 15)
                n += 1
                link = links[v, heading]
                with_chain |= link < UNKNOWN
                before = n
                n = append_chain(link, begins, between, corners, n)
                is_node[before:n] = 0
                v, heading = arrival(link, heading, ends)
                heading = _turn(edges[v], sides[v], heading)
            if with_chain:  # else it began there, as corners are walked from in their order
                _rotate_to_first(corners, is_node, first[k], n)
            hole[k] = corners[first[k] + 1, 0] == corners[first[k], 0]
            k += 1
    first[k] = n
    return corners[:n], is_node[:n], first[: k + 1], region[:k], hole[:k]
