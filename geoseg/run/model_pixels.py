"""A scene's pixels as a model sees them: on its grid, in its range, nodata filled.

Mapping and training read through this one room, so that a model meets the same pixels in both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.resample import GridScale, resample_masked
from geoseg.grid.window import Window
from geoseg.model.predictor import Pixels
from geoseg.raster.read import PixelBox, SceneReader

__all__ = ["Stretch", "filled", "on_model_grid", "read_model_window", "scene_extent"]


class Stretch(NamedTuple):
    """From the values of a scene to those that a model was made for."""

    own: tuple[float, float]
    """Smallest and largest value of the scene ..."""
    wanted: tuple[float, float]
    """... and what they become."""


def scene_extent(scale: GridScale, inside: Window) -> Window:
    """Return the scene pixels that a window of the model's grid is made from."""
    if scale.is_identity:
        return inside
    rows, cols = scale.to_model_taps(inside)
    return Window(rows.first, cols.first, rows.last + 1 - rows.first, cols.last + 1 - cols.first)


def on_model_grid(
    scale: GridScale,
    inside: Window,
    box: PixelBox,
    stretch: Stretch | None = None,
) -> tuple[Pixels, NDArray[np.bool_]]:
    """Return (band, row, col) pixels and (row, col) validity of a window of the model's grid.

    Args:
        scale: How the grids belong together.
        inside: Window of the model's grid, inside it.
        box: Scene pixels, those of ``scene_extent`` at least.
        stretch: What is done to the values first; None leaves them as they are.
    """
    values: Pixels = box.values if stretch is None else stretched(box.values, stretch)
    if scale.is_identity:
        place = inside.within(box.window)
        return values[(slice(None), *place)], box.valid[place]
    taps = scale.to_model_taps(inside)
    origin = (box.window.row_off, box.window.col_off)
    return resample_masked(values.astype(np.float32, copy=False), box.valid, taps, origin)


def read_model_window(
    reader: SceneReader, scale: GridScale, inside: Window
) -> tuple[Pixels, NDArray[np.bool_]]:
    """Read a window of the model's grid, values as they are; see ``on_model_grid``.

    Raises:
        SceneReadError: The pixels cannot be read.
    """
    return on_model_grid(scale, inside, reader.read(scene_extent(scale, inside)))


def stretched(values: NDArray[Any], stretch: Stretch) -> Pixels:
    """Stretch a value range onto the model's; what lies beyond it is cut off."""
    (low, high), (to_low, to_high) = stretch.own, stretch.wanted
    moved = (values.astype(np.float32) - low) * np.float32((to_high - to_low) / (high - low))
    mapped: Pixels = np.clip(moved + np.float32(to_low), to_low, to_high, dtype=np.float32)
    return mapped


def filled(values: Pixels, valid: NDArray[np.bool_], offsets: NDArray[np.float32]) -> Pixels:
    """Put the value that the network sees as 0 where there is no valid pixel.

    Args:
        values: (band, row, col).
        valid: (row, col).
        offsets: (band,) of the model's scaling.
    """
    if values.dtype == np.uint8:
        offsets = np.clip(np.rint(offsets), 0, 255)
    fill = offsets.astype(values.dtype)[:, None, None]
    result: Pixels = np.where(valid, values, fill)
    return result
