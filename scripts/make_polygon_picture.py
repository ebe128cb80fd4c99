"""Make the picture of polygon edges: exact, simplified and smoothed, over the image.

    python scripts/make_polygon_picture.py [PICTURE.png] [--scene NAME] [--place ROW,COL]

Traces the reference labels of a sample scene three times and draws the same corner of the
scene three times side by side: every pixel edge, ``simplify`` and ``smooth``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.legend import Legend, LegendClass
from geoseg.options import Outlines
from geoseg.vector.polygons import Strip, write_polygons

ROOT = Path(__file__).resolve().parent.parent
CROP_PX = 48
ZOOM = 10
FINER = 3
GAP_PX = 8
PANELS: tuple[dict[str, float | bool], ...] = ({}, {"simplify_px": 1.0}, {"smooth": True})


def polygons(labels: Path, folder: Path, options: dict[str, float | bool]) -> NDArray[np.object_]:
    """Return the polygons of a class raster, drawn with some options."""
    with rasterio.open(labels) as raster:
        classes = raster.read(1)
        grid = PixelGrid(
            crs_wkt=raster.crs.to_wkt(),
            transform=raster.transform,
            height=raster.height,
            width=raster.width,
        )
    names = tuple(LegendClass(class_id=i, name=str(i), colour="#808080") for i in range(255))
    target = folder / "polygons.parquet"
    write_polygons(
        [Strip(Window(0, 0, *classes.shape), classes, None)],
        grid=grid,
        legend=Legend(classes=names),
        targets=[target],
        temp_dir=folder,
        outlines=Outlines(**options),  # type: ignore[arg-type]
    )
    return geopandas.read_parquet(target).geometry.to_numpy()


def panel(
    scene: Path, shapes: NDArray[np.object_], place: tuple[int, int], crop_px: int
) -> NDArray[np.uint8]:
    """Return a close-up of the image with outlines, (row, col, 3)."""
    row, col = place
    with rasterio.open(scene) as raster:
        window = rasterio.windows.Window(col, row, crop_px, crop_px)
        pixels = np.moveaxis(raster.read([1, 2, 3], window=window), 0, 2)
        to_pixel = ~raster.transform
    zoom = ZOOM * CROP_PX // crop_px
    large = pixels.repeat(zoom * FINER, axis=0).repeat(zoom * FINER, axis=1)
    picture = Image.fromarray(large)
    draw = ImageDraw.Draw(picture)
    for ring in shapely.get_rings(shapes):
        x, y = shapely.get_coordinates(ring).T
        cols, rows = to_pixel @ (x, y)
        line = np.stack([cols - col, rows - row], axis=1) * zoom * FINER
        for width, colour in ((3 * FINER, (20, 20, 20)), (2 * FINER, (255, 230, 60))):
            draw.line(list(map(tuple, line)), fill=colour, width=width, joint="curve")
    side = zoom * crop_px
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def main() -> None:
    """Draw, compose, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "picture", nargs="?", type=Path, default=ROOT / "docs" / "images" / "polygon_edges.png"
    )
    parser.add_argument("--scene", default="town")
    parser.add_argument("--place", default="420,560", help="first row and column")
    parser.add_argument("--crop", type=int, default=CROP_PX, help="side of a crop, pixels")
    arguments = parser.parse_args()
    row, col = (int(v) for v in arguments.place.split(","))
    tiles = ROOT / "sample_tiles"
    name = f"{arguments.scene}.tif"
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for options in PANELS:
            shapes = polygons(tiles / "labels" / name, Path(folder), options)
            parts.append(panel(tiles / name, shapes, (row, col), arguments.crop))
    gap = np.full((parts[0].shape[0], GAP_PX, 3), 255, np.uint8)
    picture = np.concatenate([parts[0], gap, parts[1], gap, parts[2]], axis=1)
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).quantize(255).save(arguments.picture, optimize=True)


if __name__ == "__main__":
    main()
