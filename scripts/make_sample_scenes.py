"""Write the sample scenes and their label rasters, all made by `sample_scenes`.

Example:
    python scripts/make_sample_scenes.py sample_tiles
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from sample_scenes import NODATA, Style, make_bands

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("make_sample_scenes")

LEGEND = {
    0: ("building", (200, 69, 45)),
    1: ("land", (217, 201, 163)),
    2: ("road", (110, 110, 115)),
    3: ("vegetation", (78, 143, 58)),
    4: ("water", (47, 111, 181)),
}
BAND_NAMES = ("red", "green", "blue", "nir")
# Not every GDAL that may read these files knows near infrared as a colour.
BAND_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
STORAGE = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": 256,
    "blockysize": 256,
    "compress": "deflate",
    "zlevel": 9,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTile:
    """One sample scene: what is drawn, where it is put on the map, how it is stored."""

    name: str
    """File name without its ending."""

    style: Style
    """What kind of place is drawn."""

    seed: int
    """Seed; below those that the bundled model was trained on."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    gsd_m: float
    """Ground sample distance, in metres of the reference system."""

    crs: str
    """Reference system."""

    left: float
    """Easting of the upper left corner."""

    top: float
    """Northing of the upper left corner."""

    bands: int
    """3, or 4 with near infrared."""

    mask: bool
    """Whether the footprint is an internal mask; otherwise nodata is 0."""


SAMPLE_TILES = (
    SampleTile(
        name="town", style="town", seed=1, height=1024, width=1024, gsd_m=1.0,
        crs="EPSG:32632", left=691_200.0, top=5_334_800.0, bands=3, mask=True,
    ),
    SampleTile(
        name="coast", style="coast", seed=1, height=900, width=1100, gsd_m=0.8,
        crs="EPSG:32629", left=487_360.0, top=4_284_640.0, bands=3, mask=False,
    ),
    SampleTile(
        name="farmland", style="farmland", seed=1, height=700, width=700, gsd_m=1.2,
        crs="EPSG:3035", left=4_180_200.0, top=2_889_600.0, bands=4, mask=False,
    ),
)  # fmt: skip


def write_image(
    path: Path, tile: SampleTile, counts: NDArray[np.uint8], valid: NDArray[np.bool_]
) -> None:
    """Write the image of a sample tile.

    Args:
        path: Where to.
        tile: Georeferencing and storage.
        counts: Bands, (band, row, col).
        valid: True where there is data, (row, col).
    """
    profile = {
        **STORAGE,
        "predictor": 2,
        "interleave": "pixel",
        "photometric": "RGB",
        **_place(tile, bands=tile.bands),
        "nodata": None if tile.mask else 0,
    }
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as sink:
        sink.colorinterp = BAND_COLOURS[: tile.bands]
        sink.write(counts[: tile.bands])
        for band, name in enumerate(BAND_NAMES[: tile.bands], start=1):
            sink.set_band_description(band, name)
        if tile.mask:
            sink.write_mask(valid)


def write_labels(path: Path, tile: SampleTile, labels: NDArray[np.uint8]) -> None:
    """Write the label raster of a sample tile, with its colours."""
    profile = {**STORAGE, **_place(tile, bands=1), "nodata": NODATA}
    with rasterio.open(path, "w", **profile) as sink:
        # The colour table before the pixels: TIFF fixes its photometric tag with the first block.
        sink.write_colormap(1, {value: (*colour, 255) for value, (_, colour) in LEGEND.items()})
        sink.write(labels, 1)
        sink.set_band_description(1, "land cover")
        sink.update_tags(1, **{f"class_{value}": name for value, (name, _) in LEGEND.items()})


def _place(tile: SampleTile, *, bands: int) -> dict[str, object]:
    return {
        "dtype": "uint8",
        "count": bands,
        "height": tile.height,
        "width": tile.width,
        "crs": tile.crs,
        "transform": Affine(tile.gsd_m, 0.0, tile.left, 0.0, -tile.gsd_m, tile.top),
    }


def main(arguments: list[str]) -> None:
    """Write all sample tiles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to write, usually sample_tiles")
    folder: Path = parser.parse_args(arguments).folder
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for tile in SAMPLE_TILES:
        counts, labels, valid = make_bands(
            tile.seed, tile.height, tile.width, tile.gsd_m, tile.style
        )
        write_image(folder / f"{tile.name}.tif", tile, counts, valid)
        write_labels(folder / "labels" / f"{tile.name}.tif", tile, labels)
        logger.info("wrote %s", tile.name)


if __name__ == "__main__":
    main(sys.argv[1:])
