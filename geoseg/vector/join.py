"""Join traced blocks into regions with closed rings, from the top of the scene down.

Strategy: the corners of a row of blocks, and those on the seams above and between them,
are appended to one graph in the order of rows and columns. Rings that close are walked
and leave the graph; a region is complete, and leaves too, once it does not touch the
last row. What remains is what touches the open edge. Of its outlines the graph keeps only
where they branch or end; what lies between is a chain of places, which nothing walks until
the ring closes. Every decision depends only on the pixels around a corner and on which of
them belong to one region, so the result equals that of tracing the whole scene as one block.
"""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import OutputError
from geoseg.vector.diagonal import EIGHT, DiagonalGroups
from geoseg.vector.regions import Regions, Rings
from geoseg.vector.seams import corners_between_cols, corners_between_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from geoseg.vector.lattice import CornerMap
    from geoseg.vector.trace import BlockTrace

__all__ = ["join"]


def join(
    blocks: Iterable[BlockTrace],
    *,
    height: int,
    width: int,
    traced: CornerMap | None = None,
    connectivity: int = 4,
) -> Iterator[Regions]:
    """Yield the complete regions after each row of blocks, and the rest at the end.

    Regions come by last row, then first row, then first column of the first row,
    whatever the blocks.

    Args:
        blocks: Traces that tile the scene on a grid of any row heights and column
            widths, from left to right, then down.
        height: Rows of the scene.
        width: Columns of the scene.
        connectivity: 8 puts regions of one class that touch diagonally into one group;
            groups then come in the order described, and are complete.
        traced: Gets every corner of the scene; regions come with it as it is then.

    Raises:
        OutputError: The blocks do not tile the scene.
    """
    front = _Front(width, traced, connectivity)
    row = 0
    for row_off, band in itertools.groupby(blocks, key=lambda b: b.window.row_off):
        side_by_side = list(band)
        _check_band(side_by_side, row, width)
        yield front.add(side_by_side)
        row = row_off + side_by_side[0].window.height
    if row != height:
        msg = f"the blocks end at row {row} of {height}"
        raise OutputError(msg)
    yield front.finish(height)


def _check_band(band: Sequence[BlockTrace], row: int, width: int) -> None:
    col = 0
    for block in band:
        window = block.window
        if (window.row_off, window.col_off, window.height) != (row, col, band[0].window.height):
            msg = f"block {window} does not continue the scene at row {row}, column {col}"
            raise OutputError(msg)
        col = window.col_end
    if col != width:
        msg = f"the blocks at row {row} end at column {col} of {width}"
        raise OutputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chains:
    """Paths between two corners of the graph, of which only the places are kept."""

    ends: NDArray[np.int32]
    """(k, 2, 2) corner and heading at the end of each chain, walked on and back."""
    begins: NDArray[np.int64]
    """(k + 1,) index of each chain's first place, and the end."""
    between: NDArray[np.int32]
    """(m, 2) row, col."""

    @classmethod
    def none(cls) -> _Chains:
        """Return no chains."""
        return cls(
            ends=np.empty((0, 2, 2), dtype=np.int32),
            begins=np.zeros(1, dtype=np.int64),
            between=np.empty((0, 2), dtype=np.int32),
        )


class _Front:
    """The graph of corners, the regions and the closed rings that touch the open edge."""

    def __init__(self, width: int, traced: CornerMap | None = None, connectivity: int = 4) -> None:
        self._width = width
        self._groups = DiagonalGroups() if connectivity == EIGHT else None
        self._traced = traced
        self._places = np.empty((0, 2), dtype=np.int32)
        self._sides = np.empty((0, 4), dtype=np.int32)
        self._edges = np.empty(0, dtype=np.uint8)
        self._links = np.empty((0, 4), dtype=np.int32)
        self._done = np.empty(0, dtype=np.uint8)
        self._chains = _Chains.none()
        self._open_below = np.full(width + 1, -1, dtype=np.int32)
        self._class = np.empty(0, dtype=np.int32)
        self._stats = np.empty((0, 4), dtype=np.int64)
        self._last_row = np.full(width, -1, dtype=np.int32)
        none = np.empty(0, dtype=np.int32)
        self._rings = Rings(
            region=none,
            hole=none.astype(np.uint8),
            corners=np.zeros(1, dtype=np.int64),
            places=self._places,
            is_node=none.astype(np.bool_),
        )

    def add(self, band: Sequence[BlockTrace]) -> Regions:
        """Append one row of blocks and return the regions that are complete now."""
        if self._traced is not None:
            self._traced.forget_above(self._first_open_row(band[0].window.row_off))
        band = self._adopt(band)
        first = np.concatenate([block.top for block in band])
        seams = [corners_between_rows(self._last_row, first, band[0].window.row_off)]
        nothing = np.full(band[0].window.height, -1, dtype=np.int32)
        rights = [nothing, *(block.right for block in band)]
        lefts = [*(block.left for block in band), nothing]
        cols = [0, *(block.window.col_end for block in band)]
        for right, left, col in zip(rights, lefts, cols, strict=True):
            seams.append(corners_between_cols(right, left, band[0].window.row_off, col))
        self._append([*seams, *((block.places, block.sides) for block in band)])
        self._last_row = np.concatenate([block.bottom for block in band])
        return self._release()

    def finish(self, height: int) -> Regions:
        """Close the scene below its last row and return the remaining regions."""
        outside = np.full(self._width, -1, dtype=np.int32)
        self._append([corners_between_rows(self._last_row, outside, height)])
        self._last_row = outside
        return self._release()

    def _first_open_row(self, row: int) -> int:
        """Return the first row of what is not complete yet; ``row`` comes next."""
        found = self._places, self._chains.between, self._rings.places
        return min(int(places[:, 0].min(initial=row)) for places in found)

    def _adopt(self, band: Sequence[BlockTrace]) -> list[BlockTrace]:
        """Take over the regions of a band, joined with those they continue."""
        from geoseg.vector.join_kernels import unite_touching
        from geoseg.vector.trace_kernels import settle

        n_before = len(self._class)
        offsets = np.cumsum([n_before, *(len(b.region_class) for b in band)])
        band = [
            _renumbered(block, _shift(len(block.region_class), offset))
            for block, offset in zip(band, offsets[:-1], strict=True)
        ]
        classes = np.concatenate([self._class, *(b.region_class for b in band)])
        stats = np.concatenate([self._stats, *(b.region_stats for b in band)])
        parent = np.arange(len(classes), dtype=np.int32)
        first = np.concatenate([block.top for block in band])
        unite_touching(parent, classes, self._last_row, first)
        for one, other in itertools.pairwise(band):
            unite_touching(parent, classes, one.right, other.left)
        numbers, count = settle(parent, stats)
        self._stats = stats[:count].copy()
        self._class = np.empty(count, dtype=np.int32)
        self._class[numbers] = classes
        if self._groups is not None:
            self._groups.renumber(numbers[:n_before], count)
        numbers = np.append(numbers, np.int32(-1))
        self._sides = numbers[self._sides]
        self._last_row = numbers[self._last_row]
        self._rings = replace(self._rings, region=numbers[self._rings.region])
        return [_renumbered(block, numbers) for block in band]

    def _append(self, parts: Sequence[tuple[NDArray[np.int32], NDArray[np.int32]]]) -> None:
        """Add corners to the graph, in order, and link them."""
        from geoseg.vector.join_kernels import link_corners

        places = np.concatenate([places for places, _ in parts])
        sides = np.concatenate([sides for _, sides in parts])
        key = places[:, 0].astype(np.int64) * (self._width + 1) + places[:, 1]
        order = np.argsort(key, kind="stable")
        n_old, n_new = len(self._places), len(order)
        if self._traced is not None:
            self._traced.add(places)
        self._places = np.concatenate([self._places, places.take(order, axis=0)])
        self._sides = np.concatenate([self._sides, sides.take(order, axis=0)])
        self._edges = np.concatenate([self._edges, np.zeros(n_new, dtype=np.uint8)])
        self._done = np.concatenate([self._done, np.zeros(n_new, dtype=np.uint8)])
        self._links = np.concatenate([self._links, np.empty((n_new, 4), dtype=np.int32)])
        link_corners(self._places, self._sides, self._edges, self._links, self._open_below, n_old)
        if self._groups is not None:
            self._groups.touch(self._sides[n_old:], self._edges[n_old:], self._class)

    def _release(self) -> Regions:
        """Take closed rings out of the graph, and complete regions out of the front."""
        from geoseg.vector.walk_kernels import mark_open_walks, walk_rings

        waiting = np.zeros(len(self._edges), dtype=np.uint8)
        graph, chains = (self._sides, self._edges, self._links), self._chains
        mark_open_walks(*graph, chains.ends, self._open_below, waiting)
        places, is_node, corners, region, hole = walk_rings(
            self._places, *graph, waiting, self._done, chains.ends, chains.begins, chains.between
        )
        closed = Rings(
            region=region,
            hole=hole,
            corners=corners,
            places=places,
            is_node=is_node.view(np.bool_),
        )
        rings = self._rings.plus(closed)
        is_open = np.zeros(len(self._class) + 1, dtype=np.bool_)
        is_open[self._last_row] = True
        is_open = is_open[:-1]
        if self._groups is not None:
            is_open = self._groups.open_together(is_open)
        complete = self._complete(rings, ~is_open)
        self._keep(waiting, rings.take(np.flatnonzero(is_open[rings.region])), is_open)
        return complete

    def _complete(self, rings: Rings, is_complete: NDArray[np.bool_]) -> Regions:
        """Return the complete regions in their order."""
        starts = rings.places[rings.corners[:-1]].astype(np.int64)
        key = starts[:, 0] * (self._width + 1) + starts[:, 1]
        outer = np.flatnonzero((rings.hole == 0) & is_complete[rings.region])
        groups = np.arange(len(outer) + 1)
        if len(outer):
            last = np.maximum.reduceat(rings.places[:, 0], rings.corners[:-1])[outer]
            if self._groups is None:
                order = np.lexsort((key[outer], last))
            else:
                order, groups = self._groups.ordered(rings.region[outer], key[outer], last)
            outer = outer[order]
        rank = np.full(len(is_complete), -1, dtype=np.int64)
        rank[rings.region[outer]] = np.arange(len(outer))
        which = np.flatnonzero(is_complete[rings.region])
        which = which[np.lexsort((key[which], rings.hole[which], rank[rings.region[which]]))]
        chosen = rings.take(which)
        regions = rings.region[outer]
        return Regions(
            class_id=self._class[regions],
            stats=self._stats[regions],
            rings=np.append(np.flatnonzero(chosen.hole == 0), len(which)),
            corners=chosen.corners,
            places=chosen.places,
            is_node=chosen.is_node,
            groups=groups,
            traced=None if self._traced is None else self._traced.snapshot(),
        )

    def _keep(self, waiting: NDArray[np.uint8], rings: Rings, region: NDArray[np.bool_]) -> None:
        """Drop all but what waits, shorten its paths, and renumber what is kept."""
        from geoseg.vector.chain_kernels import shorten_paths

        numbers = _numbering(np.flatnonzero(region), len(region))
        chains = self._chains
        corner, self._links, ends, begins, between = shorten_paths(
            self._places, self._edges, self._links, waiting,
            chains.ends, chains.begins, chains.between,
        )  # fmt: skip
        self._chains = _Chains(ends=ends, begins=begins, between=between)
        corner_numbers = _numbering(corner, len(self._places))
        self._class, self._stats = self._class[region], self._stats[region]
        if self._groups is not None:
            self._groups.keep(region, numbers)
        self._last_row = numbers[self._last_row]
        self._rings = replace(rings, region=numbers[rings.region])
        self._places = self._places.take(corner, axis=0)
        self._edges, self._done = self._edges.take(corner), self._done.take(corner)
        self._sides = numbers[self._sides.take(corner, axis=0)]
        self._open_below = corner_numbers[self._open_below]


def _numbering(kept: NDArray[np.integer[Any]], count: int) -> NDArray[np.int32]:
    """Return new indices of the kept ones, -1 for the others and for index -1."""
    numbers = np.full(count + 1, -1, dtype=np.int32)
    numbers[kept] = np.arange(len(kept), dtype=np.int32)
    return numbers


def _shift(count: int, offset: int) -> NDArray[np.int32]:
    return np.append(np.arange(offset, offset + count), -1).astype(np.int32)


def _renumbered(block: BlockTrace, numbers: NDArray[np.int32]) -> BlockTrace:
    """Return a block whose region i is called ``numbers[i]``; ``numbers[-1]`` is -1."""
    return replace(
        block,
        sides=numbers.take(block.sides),
        top=numbers[block.top],
        right=numbers[block.right],
        bottom=numbers[block.bottom],
        left=numbers[block.left],
    )
