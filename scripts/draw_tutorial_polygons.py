"""Draw the few dozen polygons of the training tutorial over the sample town.

As a person would: a rough outline of some roofs, the yard around some of them, and some patches
of everything else. Each
roof is the smallest rectangle around it, pulled in a little and a little askew; no label raster
is copied. The same polygons every time.

Example:
    python scripts/draw_tutorial_polygons.py sample_tiles
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import rasterio
import rasterio.features
import shapely
import shapely.affinity

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("draw_tutorial_polygons")

BUILDING, NODATA = 0, 255
ROOFS, YARDS, PATCHES = 28, 16, 24
YARD_M = 8.0
LEAST_PX, MOST_PX = 60, 1500
SEED = 4
NAME = "town_buildings.geojson"


def roofs(
    rng: np.random.Generator, classes: NDArray[np.uint8], transform: rasterio.Affine
) -> list[shapely.Polygon]:
    """Return rough outlines of some buildings, from all over the scene."""
    found = [
        shapely.geometry.shape(geometry)
        for geometry, _ in rasterio.features.shapes(
            classes, classes == BUILDING, transform=transform
        )
    ]
    whole = [f for f in found if LEAST_PX < f.area < MOST_PX]
    chosen = rng.choice(len(whole), ROOFS, replace=False)
    boxes = [whole[k].minimum_rotated_rectangle.buffer(-0.6) for k in chosen]
    return [shapely.affinity.rotate(box, float(rng.uniform(-2, 2))) for box in boxes]


def yards(
    drawn: list[shapely.Polygon], classes: NDArray[np.uint8], transform: rasterio.Affine
) -> list[shapely.Geometry]:
    """Return the ground around some of the roofs, without the houses next door."""
    houses = shapely.union_all(
        [
            shapely.geometry.shape(geometry)
            for geometry, _ in rasterio.features.shapes(
                classes, (classes == BUILDING) | (classes == NODATA), transform=transform
            )
        ]
    ).buffer(0.7)
    return [
        box.buffer(YARD_M, join_style="mitre").difference(houses).simplify(0.5)
        for box in drawn[:YARDS]
    ]


def patches(
    rng: np.random.Generator, classes: NDArray[np.uint8], transform: rasterio.Affine
) -> list[shapely.Polygon]:
    """Return patches without buildings, as many of each other class."""
    drawn: list[shapely.Polygon] = []
    others = [k for k in np.unique(classes).tolist() if k not in {BUILDING, NODATA}]
    while len(drawn) < PATCHES:
        wanted = others[len(drawn) % len(others)]
        rows, cols = np.nonzero(classes == wanted)
        at = int(rng.integers(len(rows)))
        side = rng.uniform(10, 40, 2)
        angle = rng.uniform(0, np.pi)
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * side / 2
        corners += rng.uniform(-3, 3, corners.shape)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        ring = corners @ turn + (cols[at] + 0.5, rows[at] + 0.5)
        shape = shapely.Polygon([transform @ tuple(corner) for corner in ring])
        inside = rasterio.features.geometry_mask(
            [shape], classes.shape, transform, invert=True, all_touched=True
        )
        if not (classes[inside] == BUILDING).any() and not (classes[inside] == NODATA).any():
            drawn.append(shape)
    return drawn


def main(arguments: list[str]) -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="sample_tiles")
    folder = parser.parse_args(arguments).folder / "labels"
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rng = np.random.default_rng(SEED)
    with rasterio.open(folder / "town.tif") as labels:
        classes, transform, crs = labels.read(1), labels.transform, labels.crs
    drawn = roofs(rng, classes, transform)
    shapes = [("building", s) for s in drawn]
    shapes += [("other", s) for s in yards(drawn, classes, transform)]
    shapes += [("other", s) for s in patches(rng, classes, transform)]
    frame = geopandas.GeoDataFrame(
        {"class": [name for name, _ in shapes]}, geometry=[s for _, s in shapes], crs=crs
    ).to_crs("OGC:CRS84")
    frame.to_file(folder / NAME, driver="GeoJSON", COORDINATE_PRECISION=7)
    logger.info("%d polygons in %s", len(frame), folder / NAME)


if __name__ == "__main__":
    main(sys.argv[1:])
