"""Where a scene has corners: one bit for each point of the pixel lattice."""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CornerMap"]

_BITS = 64


class CornerMap:
    """The corners that have been traced so far, an eighth of a byte for each lattice point.

    Rows come below as the sweep goes down, and go above when nobody needs them any more.
    """

    def __init__(self, *, width: int) -> None:
        """Start without corners on a scene of ``width`` columns."""
        self.guard = threading.Lock()
        """Held by whoever copies or changes ``words``, if only for a while."""
        self.first_row = 0
        """Row of the scene that the first row of ``words`` is."""
        self.words: NDArray[np.uint64] = np.zeros((0, width // _BITS + 1), dtype=np.uint64)
        """(row - first_row, col / 64) bit col % 64 is set where (row, col) is a corner."""

    def add(self, places: NDArray[np.int32]) -> None:
        """Remember corners (n, 2), row and col of the scene, none above ``first_row``."""
        from geoseg.vector.simplify_kernels import mark_corners

        if not len(places):
            return
        missing = int(places[:, 0].max()) + 1 - self.first_row - len(self.words)
        if missing > 0:
            below = np.zeros((missing, self.words.shape[1]), dtype=np.uint64)
            with self.guard:
                self.words = np.concatenate([self.words, below])
        with self.guard:
            mark_corners(places - np.array([self.first_row, 0], np.int32), self.words)

    def snapshot(self) -> CornerMap:
        """Return the map as it is, for another thread.

        What is added later lies in rows below those of the regions that are complete now.
        The rows are shared: simplifying takes bits out of them for a while, under the guard.
        """
        same = CornerMap.__new__(CornerMap)
        same.guard, same.first_row, same.words = self.guard, self.first_row, self.words
        return same

    def forget_above(self, row: int) -> None:
        """Forget the corners of all rows above ``row``."""
        gone = min(max(row - self.first_row, 0), len(self.words))
        if gone:
            with self.guard:
                self.words = self.words[gone:].copy()
            self.first_row += gone
