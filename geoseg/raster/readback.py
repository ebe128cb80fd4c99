"""A finished GeoTIFF is read again before it is believed.

GDAL tells of a disk that fills up while the last tiles are flushed by a message only, and
leaves a file with holes in it. Every tile of geoseg's files is a zlib stream, which ends
with a checksum of its pixels: a tile that can be decoded holds what was written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import rasterio
from rasterio.windows import Window as RioWindow

from geoseg.errors import OutputError
from geoseg.raster.env import GDAL_ERRORS, gdal_env, tidy_message

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

__all__ = ["DISK_HINT", "require_whole"]

DISK_HINT: Final = "Is the disk full, or the folder read-only?"
# Pixels that are decoded at a time: a few tiles for each of GDAL's threads.
_PART_PX: Final = (512, 8192)


def require_whole(path: Path, *, threads: int) -> None:
    """Decode every tile of a tiled, deflated GeoTIFF and of its overviews.

    Raises:
        OutputError: A tile is missing or does not decode.
    """
    try:
        with gdal_env(GDAL_NUM_THREADS=threads):
            with rasterio.open(path) as dataset:
                levels = len(dataset.overviews(1))
                _decode(dataset)
            for level in range(levels):
                with rasterio.open(path, overview_level=level) as dataset:
                    _decode(dataset)
    except GDAL_ERRORS as error:
        msg = f"cannot write {path}: it does not hold what was written ({tidy_message(error)})"
        raise OutputError(msg, hint=DISK_HINT) from error


def _decode(dataset: DatasetReader) -> None:
    height, width = dataset.block_shapes[0]
    for row in range(-(-dataset.height // height)):
        for col in range(-(-dataset.width // width)):
            # A tile without a place reads as nodata, silently.
            tag = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)
            if tag is None:
                msg = f"tile ({row}, {col}) is missing"
                raise OSError(msg)
    rows, cols = _PART_PX
    for row in range(0, dataset.height, rows):
        for col in range(0, dataset.width, cols):
            part = RioWindow(col, row, cols, rows)
            dataset.read(window=part.intersection(RioWindow(0, 0, dataset.width, dataset.height)))
