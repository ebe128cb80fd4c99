"""The form in which a class map reaches the vector room."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geoseg.grid.window import Window

__all__ = ["Strip"]


class Strip(NamedTuple):
    """Full-width rows of a class map."""

    window: Window
    """Place in the scene; strips come top to bottom without gaps."""
    classes: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int32]
    """(row, col) class ids."""
    confidence: NDArray[np.uint8] | None
    """(row, col) 0..250 for 0..1, 255 where there is none; or None for the whole map."""
