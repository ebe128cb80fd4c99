"""A class raster read on the grid of another one; grids that differ never pass unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
import rasterio
import rasterio.features
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RioWindow

from geoseg.errors import MismatchError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.raster.class_raster import ClassRaster, class_numbers
from geoseg.raster.env import gdal_env, mapped_read_errors
from geoseg.raster.read import SceneReader

__all__ = ["ClassPixels", "aligned_reader", "burnt", "is_inside", "shift_px"]

_SAME_PLACE_PX: Final = 0.05
"""Corners that lie closer than this have one place: coordinates are written in decimals."""
_SAME_STEP: Final = 1e-6


class ClassPixels(NamedTuple):
    """Class numbers of a window."""

    values: NDArray[np.int64]
    """(row, col), anything where not valid."""
    valid: NDArray[np.bool_]
    """(row, col)."""


ReadClasses = Callable[[Window], ClassPixels]


def shift_px(other: PixelGrid, grid: PixelGrid) -> tuple[int, int] | None:
    """Return (row, col) in ``grid`` of the first pixel of ``other``; None for other lattices.

    Two grids have one lattice where each pixel of the one is a pixel of the other, as far
    as they overlap.
    """
    if (other.crs is None) != (grid.crs is None) or (other.crs and other.crs != grid.crs):
        return None
    step = ~grid.transform @ other.transform
    col, row = round(step.c), round(step.f)
    for corner in ((0, 0), (other.width, 0), (0, other.height), (other.width, other.height)):
        found = step @ corner
        expected = col + corner[0], row + corner[1]
        if max(abs(found[0] - expected[0]), abs(found[1] - expected[1])) > _SAME_PLACE_PX:
            return None
    return row, col


def is_inside(other: PixelGrid, grid: PixelGrid) -> bool:
    """Tell whether every pixel of one grid is a pixel of another."""
    shift = shift_px(other, grid)
    if shift is None:
        return False
    place = Window(*shift, other.height, other.width)
    return place.intersect(grid.window) == place


@contextmanager
def aligned_reader(
    raster: ClassRaster, grid: PixelGrid, *, resample: bool, target: str = "the map"
) -> Iterator[ReadClasses]:
    """Yield a function that reads windows of ``grid`` from a raster, whatever its own grid.

    Args:
        raster: What is read.
        grid: The grid of the map that it is compared with, or of the scene that it labels.
        resample: Let the nearest pixel stand where the grids have no common lattice.
        target: What messages call the owner of ``grid``.

    Raises:
        MismatchError: They have none, and ``resample`` is False or a CRS is missing.
    """
    shift = shift_px(raster.scene.grid, grid)
    if shift is not None:
        with SceneReader(raster.scene, (raster.band,), "any", as_stored=True) as reader:
            yield lambda window: _shifted(reader, raster, shift, window)
        return
    if raster.scene.grid.crs is None or grid.crs is None:
        msg = f"{raster.scene.label} or {target} has no CRS, so they cannot be aligned"
        raise MismatchError(msg, hint="Assign one with gdal_edit -a_srs.")
    if not resample:
        why = _difference(raster, grid)
        msg = f"the pixels of {raster.scene.label} are not those of {target}: {why}"
        raise MismatchError(
            msg, hint="Add --align nearest to take the nearest pixel, or warp it yourself first."
        )
    with ExitStack() as stack:
        with gdal_env(raster.scene.gdal_name), mapped_read_errors(raster.scene.label, "its grid"):
            warped = _warper(raster, grid, stack)
        yield lambda window: _warped(warped, raster, window, f"its pixels on the grid of {target}")


def _warper(raster: ClassRaster, grid: PixelGrid, stack: ExitStack) -> WarpedVRT:
    """Open a raster as it looks on another grid, for as long as the stack is open."""
    source = stack.enter_context(rasterio.open(raster.scene.gdal_name))
    # Where its nodata is to be a value like others, the warper must not know of it either.
    k = raster.band - 1
    is_value = source.nodatavals[k] is not None and raster.scene.nodata[k] is None
    warped = WarpedVRT(
        source, crs=grid.crs_wkt, transform=grid.transform, width=grid.width,
        height=grid.height, resampling=Resampling.nearest,
        add_alpha=(source.nodata is None or is_value) and raster.scene.alpha_band is None,
        **({"src_nodata": None, "nodata": None} if is_value else {}),
    )  # fmt: skip
    return stack.enter_context(warped)


def _difference(raster: ClassRaster, grid: PixelGrid) -> str:
    other = raster.scene.grid
    if other.crs != grid.crs:
        return "it has another CRS"
    step = ~grid.transform @ other.transform
    if max(abs(step.b), abs(step.d)) > _SAME_STEP or step.a < 0 or step.e < 0:
        return "they are turned or flipped"
    if max(abs(step.a - 1), abs(step.e - 1)) > _SAME_STEP:
        return f"they are {step.a:g} times as wide and {step.e:g} times as high"
    return "they lie a part of a pixel off"


def _shifted(
    reader: SceneReader, raster: ClassRaster, shift: tuple[int, int], window: Window
) -> ClassPixels:
    place = Window(window.row_off - shift[0], window.col_off - shift[1], *window.shape)
    values = np.zeros(window.shape, np.int64)
    valid = np.zeros(window.shape, np.bool_)
    inside = place.intersect(raster.scene.grid.window)
    if inside.size_px:
        box = reader.read(inside)
        at = inside.within(place)
        values[at], valid[at] = class_numbers(raster, box.values[0], box.valid), box.valid
    return ClassPixels(values, valid)


def _warped(
    warped: Any,  # noqa: ANN401 - rasterio has no types
    raster: ClassRaster,
    window: Window,
    what: str,
) -> ClassPixels:
    part = RioWindow(window.col_off, window.row_off, window.width, window.height)
    with gdal_env(raster.scene.gdal_name), mapped_read_errors(raster.scene.label, what):
        values = warped.read(raster.band, window=part)
        valid = warped.read_masks(raster.band, window=part) != 0
    return ClassPixels(class_numbers(raster, values, valid), valid)


def burnt(shapes: list[tuple[dict[str, Any], int]], window: Window) -> NDArray[np.int32]:
    """Return (row, col) the number of the last shape that holds a pixel's centre, else -1.

    Args:
        shapes: (GeoJSON geometry in corners (col, row) of the grid, number from 0).
        window: Pixels of the grid.
    """
    if not shapes:
        return np.full(window.shape, -1, np.int32)
    found: NDArray[np.int32] = rasterio.features.rasterize(
        shapes,
        out_shape=window.shape,
        transform=Affine.translation(window.col_off, window.row_off),
        fill=-1,
        dtype="int32",
    )
    return found
