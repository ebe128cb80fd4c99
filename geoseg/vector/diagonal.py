"""Groups of regions that touch at a corner only: 8-connectivity on top of 4-connectivity.

A region whose parts meet at single points is no valid polygon, so tracing and joining know
4-connected regions only, and 8-connected ones are groups of them: one MultiPolygon each.
"""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EIGHT", "DiagonalGroups"]

EIGHT = 8
_ALL_FOUR = 15


class DiagonalGroups:
    """Which of the regions on a front belong together."""

    def __init__(self) -> None:
        """Start without regions."""
        self._parent = np.empty(0, dtype=np.int32)

    def renumber(self, numbers: NDArray[np.int32], count: int) -> None:
        """Call old region i ``numbers[i]`` (several may become one) out of ``count`` now."""
        from geoseg.vector.join_kernels import unite_pairs

        parent = np.arange(count, dtype=np.int32)
        unite_pairs(parent, numbers, numbers[self._parent])
        self._parent = parent

    def touch(
        self, sides: NDArray[np.int32], edges: NDArray[np.uint8], region_class: NDArray[np.int32]
    ) -> None:
        """Unite regions of one class across corners with sides (n, 4) and edges (n,)."""
        from geoseg.vector.join_kernels import unite_pairs

        crossings = sides[edges == _ALL_FOUR]
        for one, other in ((crossings[:, 0], crossings[:, 2]), (crossings[:, 1], crossings[:, 3])):
            same = (one >= 0) & (other >= 0) & (region_class[one] == region_class[other])
            unite_pairs(self._parent, one[same], other[same])

    def open_together(self, is_open: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return regions (n,) that are open or grouped with an open one."""
        roots = self._roots()
        is_open_group = np.zeros_like(is_open)
        is_open_group[roots[is_open]] = True
        return is_open_group[roots]

    def ordered(
        self, region: NDArray[np.int32], key: NDArray[np.int64], last: NDArray[np.int32]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Order regions (n,) by last row, then key, of their group, then their own.

        Returns:
            Their order (n,), and where in it each group begins, and the end (g + 1,).
        """
        roots = self._roots()
        group = roots[region]
        group_last = np.full(len(roots), -1, dtype=last.dtype)
        group_key = np.full(len(roots), np.iinfo(key.dtype).max, dtype=key.dtype)
        np.maximum.at(group_last, group, last)
        np.minimum.at(group_key, group, key)
        order = np.lexsort((key, last, group_key[group], group_last[group]))
        begins = np.flatnonzero(np.diff(group[order], prepend=-1))
        return order, np.append(begins, len(order))

    def keep(self, region: NDArray[np.bool_], numbers: NDArray[np.int32]) -> None:
        """Drop all regions but some (n,), which are whole groups, and renumber those."""
        self._parent = numbers[self._parent[region]]

    def _roots(self) -> NDArray[np.int32]:
        parent = self._parent
        while (parent != (up := parent[parent])).any():
            parent = up
        return parent
