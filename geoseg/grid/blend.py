"""Weights for blending overlapping windows: strictly positive, the same for every window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["blend_weights"]

# A pixel at the very border of the scene is covered by one window only, at its border
# (some tools give it the weight 0 and lose it); so no weight may vanish.
_SMALLEST = 1e-3


def blend_weights(height: int, width: int, halo_px: int) -> NDArray[np.float32]:
    """Return blending weights (row, col) of a window with ``halo_px`` of overlap.

    A separable raised cosine: 1 inside the core, falling over the 2 * ``halo_px`` pixels
    that two neighbouring windows share, never below a small positive number.
    """
    return np.outer(_ramp(height, halo_px), _ramp(width, halo_px)).astype(np.float32)


def _ramp(length: int, halo_px: int) -> NDArray[np.float64]:
    shared = min(2 * halo_px, length // 2)
    weights = np.ones(length)
    if shared:
        phase = (np.arange(shared) + 0.5) / shared
        rise = np.sin(0.5 * np.pi * phase) ** 2
        weights[:shared] = rise
        weights[-shared:] = rise[::-1]
    return np.maximum(weights, _SMALLEST)
