"""A raster from top to bottom in full-width strips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RioWindow

from geoseg.grid.window import Window
from geoseg.raster.env import gdal_env, mapped_read_errors

__all__ = ["read_strips"]


def read_strips(path: Path, rows: int) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
    """Yield (window, pixels (band, row, col)) of a byte raster, ``rows`` rows at a time.

    Raises:
        SceneReadError: The raster cannot be read.
    """
    with gdal_env(), mapped_read_errors(str(path), "strips"), rasterio.open(path) as dataset:
        for row in range(0, dataset.height, rows):
            height = min(rows, dataset.height - row)
            window = Window(row, 0, height, dataset.width)
            yield window, dataset.read(window=RioWindow(0, row, dataset.width, height))
