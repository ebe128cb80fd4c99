"""Draw the picture of the training tutorial: polygons over the town, and the map they gave.

Example:
    python scripts/make_training_picture.py town_buildings docs/images/training_polygons.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import geopandas
import numpy as np
import rasterio
from PIL import Image, ImageDraw

TILES = Path(__file__).resolve().parents[1] / "sample_tiles"
WINDOW = (200, 200, 560, 560)
"""First row, first column, height and width of what is shown."""
GROW = 2
COLOURS = {"building": (214, 40, 40), "other": (20, 90, 200)}
GAP_PX = 12


def image(path: Path) -> Image.Image:
    """Return the shown part of the scene, grown."""
    row, col, height, width = WINDOW
    with rasterio.open(path) as scene:
        bands = scene.read((1, 2, 3), window=rasterio.windows.Window(col, row, width, height))
    picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(bands, 0, -1)))
    return picture.resize((width * GROW, height * GROW), Image.Resampling.LANCZOS)


def draw_polygons(picture: Image.Image) -> None:
    """Draw the tutorial's polygons."""
    with rasterio.open(TILES / "town.tif") as scene:
        back, crs = ~scene.transform, scene.crs
    frame = geopandas.read_file(TILES / "labels" / "town_buildings.geojson").to_crs(crs)
    pen = ImageDraw.Draw(picture)
    for name, shape in zip(frame["class"], frame.geometry, strict=True):
        corners = [back @ xy for xy in shape.exterior.coords]
        points = [((x - WINDOW[1]) * GROW, (y - WINDOW[0]) * GROW) for x, y in corners]
        pen.line(points, fill=COLOURS[name], width=3)


def draw_map(picture: Image.Image, folder: Path) -> Image.Image:
    """Lay the buildings of a map over the picture."""
    row, col, height, width = WINDOW
    with rasterio.open(folder / "classes.tif") as classes:
        part = classes.read(1, window=rasterio.windows.Window(col, row, width, height))
    inside = Image.fromarray((part == 0) * np.uint8(150)).resize(picture.size)
    return Image.composite(Image.new("RGB", picture.size, COLOURS["building"]), picture, inside)


def main(arguments: list[str]) -> None:
    """Put both side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("map", type=Path, help="folder that 'geoseg run --model' made")
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    left, right = image(TILES / "town.tif"), image(TILES / "town.tif")
    draw_polygons(left)
    right = draw_map(right, given.map)
    both = Image.new("RGB", (left.width * 2 + GAP_PX, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + GAP_PX, 0))
    both.quantize(128, dither=Image.Dither.NONE).save(given.out, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
