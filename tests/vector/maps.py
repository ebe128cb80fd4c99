"""Small class maps, legends and grids for the tests of the vector room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj
from affine import Affine

from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.legend import Legend, LegendClass
from geoseg.vector.polygons import Strip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

NODATA = 255
LEGEND = Legend(
    classes=tuple(
        LegendClass(class_id=i, name=f"class {i} <&>", colour=f"#10{i:02x}f0") for i in range(5)
    )
)


def grid_of(
    shape: tuple[int, int], *, epsg: int | None = 32633, transform: Affine | None = None
) -> PixelGrid:
    """Return a grid of 10 m pixels, or with the given transform."""
    return PixelGrid(
        crs_wkt=None if epsg is None else pyproj.CRS.from_epsg(epsg).to_wkt(),
        transform=transform or Affine(10, 0, 500_000, 0, -10, 5_400_000),
        height=shape[0],
        width=shape[1],
    )


def strips_of(
    classes: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None, *, rows: int = 1000
) -> Iterator[Strip]:
    """Cut a map into strips of at most ``rows`` rows."""
    height, width = classes.shape
    for start in range(0, height, rows):
        end = min(height, start + rows)
        part = None if confidence is None else confidence[start:end]
        yield Strip(Window(start, 0, end - start, width), classes[start:end], part)


def blobs(shape: tuple[int, int], *, seed: int = 0, nodata: bool = True) -> NDArray[np.uint8]:
    """Return a map with round patches of four classes, and some nodata."""
    rng = np.random.default_rng(seed)
    noise = rng.random((shape[0] + 6, shape[1] + 6))
    smooth = np.lib.stride_tricks.sliding_window_view(noise, (7, 7)).mean(axis=(2, 3))
    classes = np.digitize(smooth, [0.45, 0.5, 0.55]).astype(np.uint8)
    if nodata:
        classes[:, : shape[1] // 10] = NODATA
        classes[shape[0] // 2 : shape[0] // 2 + 3, shape[1] // 2 : shape[1] // 2 + 5] = NODATA
    return classes
