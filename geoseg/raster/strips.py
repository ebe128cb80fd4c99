"""A raster from top to bottom in full-width strips: read, or written."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RioWindow

from geoseg.errors import OutputError
from geoseg.grid.window import Window
from geoseg.raster.env import GDAL_ERRORS, gdal_env, mapped_read_errors, tidy_message
from geoseg.raster.readback import DISK_HINT

__all__ = ["read_strips", "written_strips"]

_PROFILE: Final = {
    "driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "blockxsize": 512,
    "blockysize": 512, "compress": "DEFLATE", "zlevel": 1, "BIGTIFF": "IF_SAFER",
}  # fmt: skip


def read_strips(path: Path, rows: int) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
    """Yield (window, pixels (band, row, col)) of a byte raster, ``rows`` rows at a time.

    Raises:
        SceneReadError: The raster cannot be read.
    """
    with gdal_env(), mapped_read_errors(str(path), "strips"):
        dataset = rasterio.open(path)
    try:
        for row in range(0, dataset.height, rows):
            height = min(rows, dataset.height - row)
            window = Window(row, 0, height, dataset.width)
            # The settings must not outlive a yield: strips of two rasters may be read in turn.
            with gdal_env(), mapped_read_errors(str(path), "strips"):
                pixels = dataset.read(window=RioWindow(0, row, dataset.width, height))
            yield window, pixels
    finally:
        dataset.close()


@contextmanager
def written_strips(
    path: Path, shape: tuple[int, int], rows: int = 512
) -> Iterator[Callable[[Window, NDArray[np.uint8]], None]]:
    """Yield a function that writes strips (window, pixels), from the top, to a tiled TIFF.

    The finished file is read again and compared: GDAL tells of a disk that fills up while
    tiles are flushed by a message only.

    Args:
        path: File to make.
        shape: (rows, columns) of the raster.
        rows: Rows of a strip when the file is read again.

    Raises:
        OutputError: The file cannot be written.
    """
    written = found = 0
    with _mapped_write_errors(path):
        dataset = rasterio.open(path, "w", height=shape[0], width=shape[1], **_PROFILE)

    def write(window: Window, pixels: NDArray[np.uint8]) -> None:
        nonlocal written
        written = zlib.crc32(pixels.tobytes(), written)
        place = RioWindow(window.col_off, window.row_off, window.width, window.height)
        with _mapped_write_errors(path):
            dataset.write(pixels, 1, window=place)

    try:
        yield write
    finally:
        with _mapped_write_errors(path):
            dataset.close()
    with _mapped_write_errors(path):
        for _, pixels in read_strips(path, rows):
            found = zlib.crc32(pixels.tobytes(), found)
    if found != written:
        msg = f"cannot write {path}: it does not hold what was written"
        raise OutputError(msg, hint=DISK_HINT)


@contextmanager
def _mapped_write_errors(path: Path) -> Iterator[None]:
    try:
        with gdal_env():
            yield
    except GDAL_ERRORS as error:
        msg = f"cannot write {path}: {tidy_message(error)}"
        raise OutputError(msg, hint=DISK_HINT) from error
