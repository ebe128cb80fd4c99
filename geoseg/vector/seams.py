"""Corners on the seams between blocks, which no block can decide by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["corners_between_cols", "corners_between_rows"]


def corners_between_rows(
    above: NDArray[np.int32], below: NDArray[np.int32], row: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the corners between two full rows of pixels, the scene's sides included."""
    above, below = np.pad(above, 1, constant_values=-1), np.pad(below, 1, constant_values=-1)
    kept, sides = _branching(above[:-1], above[1:], below[1:], below[:-1])
    return np.stack([np.full_like(kept, row), kept], axis=1), sides


def corners_between_cols(
    left: NDArray[np.int32], right: NDArray[np.int32], row_off: int, col: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the corners between two columns of pixels, without the first and last."""
    kept, sides = _branching(left[:-1], right[:-1], right[1:], left[1:])
    return np.stack([kept + np.int32(row_off + 1), np.full_like(kept, col)], axis=1), sides


def _branching(
    nw: NDArray[np.int32], ne: NDArray[np.int32], se: NDArray[np.int32], sw: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return where the boundary turns or branches (k,), and the labels around it (k, 4)."""
    across = (nw != sw) | (ne != se)
    down = (nw != ne) | (sw != se)
    kept = np.flatnonzero(across & down)
    return kept.astype(np.int32), np.stack([nw, ne, se, sw], axis=1)[kept]
