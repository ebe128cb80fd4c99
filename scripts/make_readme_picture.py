"""Make the picture that README opens with: scene, class map, polygons close up.

    python scripts/make_readme_picture.py [SCENE] [PICTURE.png] [--zoom ROW,COL]

Runs ``geoseg run`` with the bundled model on a sample scene and puts three panels side by
side: the image, the map that it made, and the polygons over the image at four times the
size.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import rasterio.features
from affine import Affine
from numpy.typing import NDArray

import geoseg

ROOT = Path(__file__).resolve().parent.parent
PANEL_PX = 720
ZOOM = 4
GAP_PX = 12
RGB = NDArray[np.uint8]


def resized(pixels: RGB, side_px: int) -> RGB:
    """Return (row, col, 3) pixels, nearest neighbour, ``side_px`` square."""
    rows = np.arange(side_px) * pixels.shape[0] // side_px
    cols = np.arange(side_px) * pixels.shape[1] // side_px
    return pixels[rows[:, None], cols]


def image_panel(scene: Path) -> RGB:
    """Return the scene as (row, col, 3)."""
    with rasterio.open(scene) as dataset:
        return np.moveaxis(dataset.read([1, 2, 3]), 0, 2)


def class_panel(classes: Path) -> RGB:
    """Return the class raster in the colours of its own table; white where nodata."""
    with rasterio.open(classes) as dataset:
        table = dataset.colormap(1)
        lookup = np.full((256, 3), 255, np.uint8)
        for value, colour in table.items():
            if colour[3]:
                lookup[value] = colour[:3]
        return lookup[dataset.read(1)]


def polygon_panel(scene: Path, polygons: Path, place: tuple[int, int]) -> RGB:
    """Return a close-up of the image with polygons tinted and outlined."""
    side = PANEL_PX // ZOOM
    row, col = place
    with rasterio.open(scene) as dataset:
        grid = dataset.transform @ Affine.translation(col, row) @ Affine.scale(1 / ZOOM)
        crop = np.moveaxis(dataset.read([1, 2, 3]), 0, 2)[row : row + side, col : col + side]
    frame = geopandas.read_file(polygons, layer="polygons")
    colours = {0: (200, 69, 45), 1: (217, 201, 163), 2: (60, 60, 70), 3: (60, 140, 50),
               4: (47, 111, 181)}  # fmt: skip
    picture = np.repeat(np.repeat(crop, ZOOM, 0), ZOOM, 1).astype(float)
    shape = picture.shape[:2]
    for class_id, part in frame.groupby("class_id"):
        colour = np.array(colours[int(class_id)])
        inside = rasterio.features.rasterize(part.geometry, out_shape=shape, transform=grid)
        picture[inside > 0] = 0.72 * picture[inside > 0] + 0.28 * colour
    edges = rasterio.features.rasterize(
        frame.geometry.boundary, out_shape=shape, transform=grid, all_touched=True
    )
    picture[edges > 0] = 255
    return picture.astype(np.uint8)


def main() -> None:
    """Run, compose, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", nargs="?", type=Path, default=ROOT / "sample_tiles" / "town.tif")
    parser.add_argument(
        "picture", nargs="?", type=Path, default=ROOT / "docs" / "images" / "town_map.png"
    )
    parser.add_argument("--zoom", default="420,560")
    arguments = parser.parse_args()
    row, col = (int(v) for v in arguments.zoom.split(","))
    with tempfile.TemporaryDirectory() as folder:
        files = geoseg.run(arguments.scene, out=Path(folder) / "map").files
        panels = [
            resized(image_panel(arguments.scene), PANEL_PX),
            resized(class_panel(files["classes"]), PANEL_PX),
            polygon_panel(arguments.scene, files["polygons_gpkg"], (row, col)),
        ]
    gap = np.full((PANEL_PX, GAP_PX, 3), 255, np.uint8)
    picture = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = picture.shape
    with rasterio.open(
        arguments.picture, "w", driver="PNG", height=height, width=width, count=3, dtype="uint8"
    ) as out:
        out.write(np.moveaxis(picture, 2, 0))


if __name__ == "__main__":
    main()
