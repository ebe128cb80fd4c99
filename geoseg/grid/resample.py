"""Change of pixel size along one axis at a time, as a short weighted sum per pixel.

The scene's pixels and the model's pixels share their first corner. One model pixel is
``step`` scene pixels long (``step`` need not be whole). Going to larger pixels averages
by area, going to smaller ones interpolates linearly between centres. Both are tables of
a few (index, weight) pairs per output pixel that depend on the output pixel's absolute
position only, never on the window in which it is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.window import Window

__all__ = ["AxisTaps", "GridScale", "area_taps", "linear_taps", "resample_masked"]

# Parts of a pixel at the end of an axis that are not worth a pixel of their own.
_SLIVER = 1e-3


@dataclass(frozen=True, slots=True)
class AxisTaps:
    """Output pixel k is ``sum(weight[k, t] * input[index[k, t]] for t)``."""

    index: NDArray[np.intp]
    """(output, tap), absolute input positions, clipped to the input's range."""
    weight: NDArray[np.float32]
    """(output, tap); rows sum to 1."""

    @property
    def first(self) -> int:
        """First input position needed."""
        return int(self.index.min())

    @property
    def last(self) -> int:
        """Last input position needed."""
        return int(self.index.max())

    def apply(self, values: NDArray[np.float32], axis: int, offset: int) -> NDArray[np.float32]:
        """Apply along ``axis`` (0 or 1 from the end: -2 rows, -1 columns).

        ``values`` holds the input from absolute position ``offset`` on.
        """
        shape: list[Any] = [1] * values.ndim
        shape[axis] = -1
        index = self.index - offset
        total = np.take(values, index[:, 0], axis=axis) * self.weight[:, 0].reshape(shape)
        for tap in range(1, index.shape[1]):
            total += np.take(values, index[:, tap], axis=axis) * self.weight[:, tap].reshape(shape)
        return total


def area_taps(first: int, count: int, step: float, length: int) -> AxisTaps:
    """Average over ``[k * step, (k + 1) * step)`` for ``step >= 1``; input has ``length``."""
    k = np.arange(first, first + count, dtype=np.float64)
    low, high = k * step, np.minimum((k + 1) * step, length)
    n_taps = math.floor(step) + 2
    index = np.floor(low)[:, None] + np.arange(n_taps)
    overlap = np.minimum(index + 1, high[:, None]) - np.maximum(index, low[:, None])
    weight = np.maximum(overlap, 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    clipped = np.clip(index, 0, length - 1).astype(np.intp)
    return AxisTaps(clipped, weight.astype(np.float32))


def linear_taps(first: int, count: int, step: float, length: int) -> AxisTaps:
    """Interpolate at the centres of output pixels that are ``step`` input pixels long."""
    centre = (np.arange(first, first + count, dtype=np.float64) + 0.5) * step - 0.5
    low = np.floor(centre)
    part = centre - low
    index = np.clip(np.stack([low, low + 1], axis=1), 0, length - 1).astype(np.intp)
    weight = np.stack([1.0 - part, part], axis=1).astype(np.float32)
    return AxisTaps(index, weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridScale:
    """The scene's grid and the model's grid, sharing their first corner."""

    scene_height: int
    """Rows of the scene."""
    scene_width: int
    """Columns of the scene."""
    row_step: float
    """Scene rows per model row."""
    col_step: float
    """Scene columns per model column."""

    @property
    def is_identity(self) -> bool:
        """True where model pixels are scene pixels."""
        return self.row_step == 1.0 and self.col_step == 1.0

    @property
    def model_height(self) -> int:
        """Model rows that cover the scene."""
        return _cover(self.scene_height, self.row_step)

    @property
    def model_width(self) -> int:
        """Model columns that cover the scene."""
        return _cover(self.scene_width, self.col_step)

    def scene_window(self, model: Window) -> Window:
        """Return the scene pixels whose centres lie in a window of the model grid.

        Disjoint model windows that cover the model grid give disjoint scene windows that
        cover the scene.
        """
        if self.is_identity:
            return model
        row, row_end = (
            _first_centre(p, self.row_step, self.scene_height)
            for p in (model.row_off, model.row_end)
        )
        col, col_end = (
            _first_centre(p, self.col_step, self.scene_width)
            for p in (model.col_off, model.col_end)
        )
        return Window(row, col, row_end - row, col_end - col)

    def to_model_taps(self, model: Window) -> tuple[AxisTaps, AxisTaps]:
        """Return (row, column) taps that make a model window from scene pixels.

        The window must lie inside the model grid.
        """
        return (
            _taps(model.row_off, model.height, self.row_step, self.scene_height),
            _taps(model.col_off, model.width, self.col_step, self.scene_width),
        )

    def to_scene_taps(self, scene: Window) -> tuple[AxisTaps, AxisTaps]:
        """Return (row, column) taps that make a scene window from model pixels."""
        return (
            linear_taps(scene.row_off, scene.height, 1 / self.row_step, self.model_height),
            linear_taps(scene.col_off, scene.width, 1 / self.col_step, self.model_width),
        )


def _cover(length: int, step: float) -> int:
    # The small slack keeps 1000 / (1 / 1.0000001) = 1000.0001 from asking for one more
    # pixel that would hold nothing but rounding error.
    return max(1, math.ceil(length / step - _SLIVER))


def _first_centre(edge: int, step: float, length: int) -> int:
    return min(max(math.ceil(edge * step - 0.5), 0), length)


def _taps(first: int, count: int, step: float, length: int) -> AxisTaps:
    return (area_taps if step > 1.0 else linear_taps)(first, count, step, length)


def resample_masked(
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    taps: tuple[AxisTaps, AxisTaps],
    origin: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Resample (band, row, col) values so that invalid pixels take no part.

    Args:
        values: Pixels of the input window, anything where not valid.
        valid: (row, col), True where valid.
        taps: Row and column taps.
        origin: Absolute (row, col) of ``values[:, 0, 0]``.

    Returns:
        The resampled values, 0 where not valid, and the mask: an output pixel is valid
        where any of its weight is, so that every valid input pixel is seen by the model.
    """
    rows, cols = taps
    weight = cols.apply(rows.apply(valid.astype(np.float32), -2, origin[0]), -1, origin[1])
    out = np.empty((values.shape[0], *weight.shape), np.float32)
    safe = np.where(weight > 0, weight, 1)
    for band, plane in enumerate(values):
        masked = np.where(valid, plane, np.float32(0))
        out[band] = cols.apply(rows.apply(masked, -2, origin[0]), -1, origin[1]) / safe
    is_valid = weight > 0
    out[:, ~is_valid] = 0
    return out, is_valid
