"""A class raster read on the grid of another one; grids that differ never pass unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from geoseg.raster.class_raster import ClassRaster
from geoseg.raster.env import gdal_env, mapped_read_errors
from geoseg.raster.read import SceneReader

__all__ = ["ClassPixels", "aligned_reader", "burnt", "shift_px"]

_SAME_PLACE_PX: Final = 0.05
"""Corners that lie closer than this have one place: coordinates are written in decimals."""


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
    back = ~grid.transform
    found = [np.array(back @ corner) for corner in other.corners]
    start = np.rint(found[0]).astype(int)
    col, row = start.tolist()
    size = other.width, other.height
    expected = [
        (col + dc * size[0], row + dr * size[1]) for dr, dc in ((0, 0), (0, 1), (1, 1), (1, 0))
    ]
    # Corners come in an order of their own: what counts is that each has its partner.
    for corner in expected:
        if min(float(np.abs(point - corner).max()) for point in found) > _SAME_PLACE_PX:
            return None
    return row, col


@contextmanager
def aligned_reader(
    raster: ClassRaster, grid: PixelGrid, *, resample: bool
) -> Iterator[ReadClasses]:
    """Yield a function that reads windows of ``grid`` from a raster, whatever its own grid.

    Args:
        raster: What is read.
        grid: The grid of the map it is compared with.
        resample: Let the nearest pixel stand where the grids have no common lattice.

    Raises:
        MismatchError: They have none, and ``resample`` is False.
    """
    shift = shift_px(raster.scene.grid, grid)
    if shift is not None:
        with SceneReader(raster.scene, (raster.band,), "any", as_stored=True) as reader:
            yield lambda window: _shifted(reader, raster.scene.grid, shift, window)
        return
    if not resample:
        why = _difference(raster, grid)
        msg = f"the pixels of {raster.scene.label} are not those of the map: {why}"
        raise MismatchError(
            msg, hint="Add --align nearest to take the nearest pixel, or warp it yourself first."
        )
    if raster.scene.grid.crs is None or grid.crs is None:
        msg = f"{raster.scene.label} or the map has no CRS, so they cannot be aligned"
        raise MismatchError(msg, hint="Assign one with gdal_edit -a_srs.")
    with gdal_env(), mapped_read_errors(raster.scene.label, "its grid"):
        source = rasterio.open(raster.scene.gdal_name)
        warped = WarpedVRT(
            source, crs=grid.crs_wkt, transform=grid.transform, width=grid.width,
            height=grid.height, resampling=Resampling.nearest, add_alpha=source.nodata is None,
        )  # fmt: skip
    try:
        yield lambda window: _warped(warped, raster, window)
    finally:
        warped.close()
        source.close()


def _difference(raster: ClassRaster, grid: PixelGrid) -> str:
    other = raster.scene.grid
    if (other.crs is None) != (grid.crs is None) or (other.crs and other.crs != grid.crs):
        return "it has another CRS"
    sizes = [float(np.hypot(g.transform.a, g.transform.d)) for g in (other, grid)]
    if abs(sizes[0] / sizes[1] - 1) > 1e-6:  # noqa: PLR2004 - a pixel in a million
        return f"they are {sizes[0]:g} wide, the map's {sizes[1]:g}"
    return "they lie a part of a pixel off"


def _shifted(
    reader: SceneReader, own: PixelGrid, shift: tuple[int, int], window: Window
) -> ClassPixels:
    place = Window(window.row_off - shift[0], window.col_off - shift[1], *window.shape)
    values = np.zeros(window.shape, np.int64)
    valid = np.zeros(window.shape, np.bool_)
    inside = place.intersect(own.window)
    if inside.size_px:
        box = reader.read(inside)
        at = inside.within(place)
        values[at], valid[at] = box.values[0], box.valid
    return ClassPixels(values, valid)


def _warped(warped: Any, raster: ClassRaster, window: Window) -> ClassPixels:  # noqa: ANN401
    part = RioWindow(window.col_off, window.row_off, window.width, window.height)
    with gdal_env(), mapped_read_errors(raster.scene.label, "its pixels on the map's grid"):
        values = warped.read(raster.band, window=part)
        valid = warped.read_masks(raster.band, window=part) != 0
    return ClassPixels(np.where(valid, values, 0).astype(np.int64), valid)


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
