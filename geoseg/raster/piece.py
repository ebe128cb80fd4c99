"""One block's committed pixels: a small GeoTIFF of byte bands, written then renamed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geoseg.errors import OutputError
from geoseg.partial_files import temporary_name
from geoseg.raster.env import GDAL_ERRORS, gdal_env, mapped_read_errors, tidy_message
from geoseg.raster.readback import DISK_HINT

__all__ = ["read_piece", "write_piece"]


def write_piece(path: Path, bands: Sequence[NDArray[np.uint8]]) -> int:
    """Write byte bands (row, col) as a compressed file under ``path``, all or nothing.

    Returns the size in bytes.

    Raises:
        OutputError: The file cannot be written (disk full, no permission).
    """
    height, width = bands[0].shape
    temporary = temporary_name(path)
    try:
        _write_synced(temporary, _encoded(bands, height, width))
        size = _committed_size(temporary)
        os.replace(temporary, path)
    except GDAL_ERRORS as error:
        temporary.unlink(missing_ok=True)
        msg = f"cannot write {path}: {tidy_message(error)}"
        raise OutputError(msg, hint=DISK_HINT) from error
    return size


def _encoded(bands: Sequence[NDArray[np.uint8]], height: int, width: int) -> bytes:
    """Return the file's bytes, a few megabytes.

    Made in memory, because on a full disk libtiff prints a line for every failed write.
    """
    with gdal_env(), MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=height,
            width=width,
            count=len(bands),
            dtype="uint8",
            tiled=True,
            blockxsize=512,
            blockysize=512,
            compress="DEFLATE",
            zlevel=1,
            interleave="band",
            BIGTIFF="IF_SAFER",
        ) as dataset:
            for index, band in enumerate(bands, 1):
                dataset.write(band, index)
        return bytes(memory.getbuffer())


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_piece(path: Path, bands: Sequence[int]) -> NDArray[np.uint8]:
    """Return some 1-based bands (band, row, col) of a piece.

    Raises:
        SceneReadError: The file cannot be read.
    """
    with gdal_env(), mapped_read_errors(str(path), "a piece"), rasterio.open(path) as dataset:
        pixels: NDArray[np.uint8] = dataset.read(list(bands))
        return pixels


def _committed_size(path: Path) -> int:
    """Check that the file can be opened again."""
    with rasterio.open(path):
        return path.stat().st_size
