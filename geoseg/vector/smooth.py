"""Take the staircase out of outlines, by less than half a pixel, without a gap.

Strategy: a corner is a step where one of its two edges is a single pixel long; it may be
cut from the middle of one edge to the middle of the other. Other corners may stay. Out of
these points each arc, from one branching corner to the next, takes as few as keep every
old corner within 0.49 pixels of the new line (Douglas-Peucker); the branching corners
stay.

Why the result stays a coverage: an arc is worked on in one direction whoever asks, so both
neighbours of a boundary get the same line. A single cut with legs 1/2 and b/2 moves the
outline by b / (2 sqrt(1 + b^2)) pixels, always less than one half, and longer lines by at
most 0.49, while boundaries that do not meet are at least one pixel apart; so none can
reach another.
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
    from geoseg.vector.smooth_kernels import smooth_rings

    begins, half_px = smooth_rings(corners, places, is_node)
    return begins, half_px / 2
