"""Where a scene has corners: one bit for each point of the pixel lattice."""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CornerMap"]

_BITS = 64


class CornerMap:
    """Every corner of the scene that has been traced so far, an eighth of a byte per pixel.

    Rows that nothing was written to take no memory on systems that hand out empty pages.
    """

    def __init__(self, *, height: int, width: int) -> None:
        """Start without corners."""
        self.words: NDArray[np.uint64] = np.zeros((height + 1, width // _BITS + 1), dtype=np.uint64)
        """(row, col / 64) bit col % 64 is set where lattice point (row, col) is a corner."""

    def add(self, places: NDArray[np.int32]) -> None:
        """Remember corners (n, 2), row and col of the scene."""
        from geoseg.vector.simplify_kernels import mark_corners

        mark_corners(places, self.words)
