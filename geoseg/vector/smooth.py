"""Take the staircase out of outlines, by less than half a pixel, without a gap.

Strategy: a corner is a step where one of its two edges is a single pixel long. It is cut
from the middle of one edge to the middle of the other, and points on a straight line are
left out, so that a regular staircase becomes one straight edge. Other corners, and those
where three or more boundaries meet, stay.

Why the result stays a coverage: the rule looks only at an edge and its two ends, so both
neighbours of a boundary get the same line. A cut of legs 1/2 and b/2 moves the outline by
b / (2 sqrt(1 + b^2)) pixels, always less than one half, while boundaries that do not meet
are at least one pixel apart; so none can reach another. All coordinates are half pixels,
and the arithmetic is exact.
"""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["smoothed"]


def smoothed(
    corners: NDArray[np.int64], places: NDArray[np.int32], is_node: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return rings without steps; none moves by half a pixel or more.

    Args:
        corners: (k + 1,) index of each ring's first corner, and the end.
        places: (m, 2) row, col of the corners, whole pixels.
        is_node: (m,) True where three or more boundaries meet.

    Returns:
        The new indices (k + 1,) and the row, col of the points (p, 2) in pixels.
    """
    from geoseg.vector.smooth_kernels import cut_steps

    begins, half_px = cut_steps(corners, places, is_node)
    return begins, half_px / 2
