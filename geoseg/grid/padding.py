"""Mirror padding as index arithmetic on absolute positions.

A padded pixel is the mirror image of a scene pixel, whichever block asks for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["reflect_index"]


def reflect_index(first: int, count: int, length: int) -> NDArray[np.intp]:
    """Return positions inside ``[0, length)`` for ``first .. first + count - 1``.

    Positions outside are mirrored about the centres of the first and the last pixel, as
    often as needed; a single pixel is repeated.
    """
    position = np.arange(first, first + count)
    if length == 1:
        return np.zeros(count, np.intp)
    period = 2 * (length - 1)
    folded = np.mod(position, period)
    mirrored: NDArray[np.intp] = np.minimum(folded, period - folded).astype(np.intp)
    return mirrored
