"""Lengths and areas as people write them, in pixels of a grid."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from geoseg.errors import OptionError

if TYPE_CHECKING:
    from geoseg.grid.pixel_grid import PixelGrid

__all__ = ["length_pixels", "min_pixels"]

_MEASURE = re.compile(r"^\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*(px|m2|m)?\s*$")


def min_pixels(text: str, grid: PixelGrid) -> int:
    """Return the least number of pixels that ``16px`` or ``100m2`` stands for.

    Square metres are counted in pixels of the size at the centre of the grid.

    Raises:
        OptionError: Not a number with a unit, or metres on a grid without a CRS.
    """
    value, unit = _parsed(text, "minimum area", ("px", "m2"), example="16px or 100m2")
    if unit == "px":
        return math.ceil(value)
    return math.ceil(value / _pixel_m2(f"minimum area {text!r}", grid, example="16px"))


def length_pixels(text: str, grid: PixelGrid) -> float:
    """Return the length in pixels that ``0.5px``, ``1.2m`` or ``0`` stands for.

    Metres are counted in the side of a square with the area of the grid's centre pixel.

    Raises:
        OptionError: Not a number with a unit, or metres on a grid without a CRS.
    """
    value, unit = _parsed(text, "tolerance", ("px", "m"), example="0.5px or 1.2m")
    if unit == "px":
        return value
    return value / math.sqrt(_pixel_m2(f"tolerance {text!r}", grid, example="0.5px"))


def _parsed(text: str, what: str, units: tuple[str, ...], *, example: str) -> tuple[float, str]:
    """Return number and unit; a plain 0 is 0 pixels."""
    match = _MEASURE.match(text)
    value = math.inf if match is None else float(match[1])
    unit = "px" if match is None or (match[2] is None and value == 0) else match[2]
    if unit not in units or not math.isfinite(value):
        msg = f"{what} {text!r} is not a number with a unit"
        raise OptionError(msg, hint=f"write {example}")
    return value, unit


def _pixel_m2(what: str, grid: PixelGrid, *, example: str) -> float:
    """Return the ground area of the grid's centre pixel."""
    if grid.gsd_m is None:
        msg = f"{what} needs the size of a pixel in metres, which is not known"
        raise OptionError(msg, hint=f"the raster has no CRS: write it in pixels, as in {example}")
    down_m, across_m = grid.gsd_m
    return down_m * across_m
