"""Labelled rasters of the training and validation data, each read into one `Source` per place.

The data folder and its licences are described in the documentation of the bundled model.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import geopandas
import numpy as np
import rasterio
from PIL import Image
from rasterio.features import rasterize
from sample_scenes import Style, make_scene
from scipy import ndimage

from bundled_model.classes import (
    BUILDING,
    EXACT,
    LAND,
    NOT_BUILDING,
    ROAD,
    UNKNOWN,
    VEGETATION,
    WATER,
    bits,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Counts = NDArray[np.uint8]
    Part = Literal["train", "test"]

logger = logging.getLogger(__name__)

# Bounds of the indices of plants and water, with room on both sides for what is mixed.
GREEN, BARE, WET, DARK_NEAR = 0.25, 0.05, 0.25, 70

DUBAI_COLOURS = {
    (60, 16, 152): BUILDING,
    (132, 41, 246): LAND,
    (110, 193, 228): ROAD,
    (254, 221, 58): VEGETATION,
    (226, 169, 41): WATER,
}
# What training never sees of the temperate places: two of the eight patches, and the east of
# the farmland, beyond a strip that neither part has.
HELD_OUT_PATCHES = ("0", "7")
WEST_COLUMNS, EAST_COLUMNS = slice(0, 590), slice(622, None)
CHESAPEAKE_BITS = (
    UNKNOWN,
    bits(WATER),
    bits(VEGETATION),
    bits(VEGETATION),
    bits(LAND),
    bits(BUILDING, ROAD),
    bits(ROAD),
)
WHITE = 255
YARD_M = 12
MERCATOR_WIDTH_M = 2 * np.pi * 6378137.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One labelled place."""

    name: str
    """Which place."""

    rgb: Counts
    """Red, green, blue, (3, row, col)."""

    allowed: Counts
    """Sets of allowed classes as bits, (row, col); 0 where nothing is known."""

    gsd_m: float
    """Ground sample distance in metres."""

    black_is_nodata: bool = False
    """Whether unlabelled black pixels lack data; in the Dubai tiles they are dark water."""


def read_dubai_tile(folder: Path, number: int) -> Source:
    """Stitch the nine parts of a Dubai tile."""
    parts = [f"image_part_{part:03d}" for part in range(1, 10)]
    images = [
        np.asarray(Image.open(folder / f"tile_{number}" / "images" / f"{part}.jpg").convert("RGB"))
        for part in parts
    ]
    masks = [
        np.asarray(Image.open(folder / f"tile_{number}" / "masks" / f"{part}.png").convert("RGB"))
        for part in parts
    ]
    rgb, colours = _stitch(images), _stitch(masks)
    allowed = np.zeros(rgb.shape[:2], dtype=np.uint8)
    for colour, label in DUBAI_COLOURS.items():
        allowed[(colours == np.asarray(colour, dtype=np.uint8)).all(axis=-1)] = EXACT[label]
    allowed[(rgb == 0).all(axis=-1)] = UNKNOWN
    return Source(name=f"dubai_tile_{number}", rgb=_bands_first(rgb), allowed=allowed, gsd_m=1.0)


def _stitch(parts: list[Counts]) -> Counts:
    """Join nine parts in row-major order, cut to their smallest width and height."""
    rows = []
    for row in range(3):
        height = min(part.shape[0] for part in parts[3 * row : 3 * row + 3])
        rows.append(
            np.concatenate([part[:height] for part in parts[3 * row : 3 * row + 3]], axis=1)
        )
    width = min(row.shape[1] for row in rows)
    return np.concatenate([row[:, :width] for row in rows])


def _bands_first(image: Counts) -> Counts:
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


def read_dubai_mosaic(folder: Path) -> Source:
    """Read tiles 7 and 8, which come as one scene."""
    with (
        rasterio.open(folder / "dubai_tiles_7_8_rgb.tif") as image,
        rasterio.open(folder / "dubai_tiles_7_8_label.tif") as labels,
    ):
        rgb, ids, valid = image.read(), labels.read(1), image.dataset_mask() > 0
    table = np.asarray([UNKNOWN, *EXACT], dtype=np.uint8)
    allowed = np.where(
        valid & (ids < table.size), table[np.minimum(ids, table.size - 1)], UNKNOWN
    ).astype(np.uint8)
    return Source(name="dubai_tiles_7_8", rgb=rgb, allowed=allowed, gsd_m=1.0, black_is_nodata=True)


def read_hot_place(folder: Path, place: int, zoom: int = 19) -> Source:
    """Mosaic the drone tiles of one place at one zoom and burn its building outlines.

    Ground without a tile has no label; inside the tiles all buildings are taken as outlined.
    """
    tiles = {}
    for path in sorted((folder / "data" / str(place)).glob(f"OAM-*-{zoom}.png")):
        x, y, _ = (int(text) for text in re.findall(r"\d+", path.name))
        tiles[x, y] = path
    left, top = min(x for x, _ in tiles), min(y for _, y in tiles)
    width, height = max(x for x, _ in tiles) - left + 1, max(y for _, y in tiles) - top + 1
    rgb = np.zeros((3, height * 256, width * 256), dtype=np.uint8)
    known = np.zeros((height * 256, width * 256), dtype=bool)
    for (x, y), path in tiles.items():
        where = (
            slice((y - top) * 256, (y - top + 1) * 256),
            slice((x - left) * 256, (x - left + 1) * 256),
        )
        pixels = np.asarray(Image.open(path).convert("RGBA"))
        rgb[:, *where] = _bands_first(pixels[..., :3])
        known[where] = (
            (pixels[..., 3] > 0)
            & (pixels[..., :3].max(axis=-1) > 0)
            & (pixels[..., :3].min(axis=-1) < WHITE)
        )
    outlines = json.loads((folder / "data" / str(place) / "labels.geojson").read_text())["features"]
    shapes = [
        _to_pixels(feature["geometry"]["coordinates"], zoom, left, top) for feature in outlines
    ]
    buildings = rasterize([(shape, 1) for shape in shapes], out_shape=known.shape) > 0
    allowed = np.where(buildings, EXACT[BUILDING], NOT_BUILDING) * known
    latitude = float(outlines[0]["geometry"]["coordinates"][0][0][1])
    gsd_m = MERCATOR_WIDTH_M / 2**zoom / 256 * float(np.cos(np.deg2rad(latitude)))
    return Source(
        name=f"hot_place_{place}",
        rgb=rgb,
        allowed=allowed.astype(np.uint8),
        gsd_m=gsd_m,
        black_is_nodata=True,
    )


def _to_pixels(rings: list[list[list[float]]], zoom: int, left: int, top: int) -> dict[str, object]:
    """Turn rings of longitude and latitude into a polygon in mosaic pixels."""
    out = []
    for ring in rings:
        lon, lat = np.asarray(ring)[:, 0], np.deg2rad(np.asarray(ring)[:, 1])
        x = (lon + 180) / 360 * 2**zoom
        y = (1 - np.arcsinh(np.tan(lat)) / np.pi) / 2 * 2**zoom
        out.append(np.stack([(x - left) * 256, (y - top) * 256], axis=1).tolist())
    return {"type": "Polygon", "coordinates": out}


def read_chesapeake(folder: Path, part: Part) -> list[Source]:
    """Read the NAIP patches of a part, both dates, with their labels."""
    sources = []
    for path in sorted(folder.glob("*/*.npz")):
        if (path.stem.rpartition("-")[2] in HELD_OUT_PATCHES) != (part == "test"):
            continue
        with np.load(path) as stored:
            layers = stored["arr_0"][0]
        table = np.asarray(CHESAPEAKE_BITS, dtype=np.uint8)
        allowed = table[np.clip(layers[8], 0, 6).astype(np.int64)]
        for date, first in (("new", 0), ("old", 4)):
            rgb = np.clip(layers[first : first + 3], 0, 255).astype(np.uint8)
            sources.append(Source(name=f"{path.stem}_{date}", rgb=rgb, allowed=allowed, gsd_m=1.0))
    return sources


def read_north_dakota(folder: Path, part: Part) -> list[Source]:
    """Read farmland and ponds, labelled by what near infrared tells; west or east of a line.

    Plants reflect it (normalised difference vegetation index), water swallows it. The pixels are
    of 5 m; fields and ponds look alike at 2 m, which is what they are taken for.
    """
    sources = []
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as image:
            bands = image.read()[..., EAST_COLUMNS if part == "test" else WEST_COLUMNS]
        red, green, near = (bands[k].astype(np.float32) for k in (0, 1, 3))
        greenness = (near - red) / np.maximum(near + red, 1)
        wetness = (green - near) / np.maximum(green + near, 1)
        allowed = np.zeros(red.shape, dtype=np.uint8)
        allowed[greenness > GREEN] = EXACT[VEGETATION]
        allowed[(greenness < BARE) & (wetness < BARE)] = bits(BUILDING, LAND, ROAD)
        allowed[(wetness > WET) & (near < DARK_NEAR)] = EXACT[WATER]
        allowed[(bands == 0).all(axis=0)] = UNKNOWN
        sources.append(Source(name=path.stem, rgb=bands[:3], allowed=allowed, gsd_m=2.0))
    return sources


def valid_pixels(source: Source) -> NDArray[np.bool_]:
    """Return (row, col) where a place has pixels: not in black collars without label."""
    if not source.black_is_nodata:
        return np.ones(source.allowed.shape, np.bool_)
    return ~((source.rgb == 0).all(axis=0) & (source.allowed == UNKNOWN))


def make_synthetic(count: int, size_px: int, first_seed: int) -> list[Source]:
    """Make synthetic scenes of all styles at ground sample distances of 0.6 to 1.5 m.

    Around the houses of deserts the labels leave it open whether yards belong to a building:
    on the real desert blocks were outlined, elsewhere roofs.
    """
    sources = []
    styles: tuple[Style, ...] = (
        "town", "desert", "coast", "desert", "farmland", "desert", "town", "desert",
    )  # fmt: skip
    for seed in range(first_seed, first_seed + count):
        style = styles[seed % len(styles)]
        gsd_m = float(np.random.default_rng(seed).uniform(0.6, 1.5))
        rgb, labels, _ = make_scene(seed, size_px, size_px, gsd_m, style)
        table = np.zeros(256, dtype=np.uint8)
        table[: len(EXACT)] = EXACT
        allowed = table[labels]
        if style == "desert" and (labels == BUILDING).any():
            yards = ndimage.distance_transform_edt(labels != BUILDING) * gsd_m < YARD_M
            soft = yards & np.isin(labels, (LAND, VEGETATION))
            allowed[soft] |= np.uint8(bits(BUILDING))
        sources.append(
            Source(name=f"synthetic_{style}_{seed}", rgb=rgb, allowed=allowed, gsd_m=gsd_m)
        )
        logger.info("made %s at %.2f m", sources[-1].name, gsd_m)
    return sources


def read_massachusetts(folder: Path) -> Source:
    """Read the Massachusetts orthophoto and burn its building outlines."""
    with rasterio.open(folder / "22978945_15.tif") as image:
        rgb, valid = image.read(), image.dataset_mask() > 0
        outlines = (
            geopandas.read_file(folder / "massachusetts_buildings.gpkg").to_crs(image.crs).geometry
        )
        buildings = (
            rasterize(
                [(shape, 1) for shape in outlines], out_shape=image.shape, transform=image.transform
            )
            > 0
        )
        gsd_m = float(image.res[0])
    allowed = np.where(buildings, EXACT[BUILDING], NOT_BUILDING) * valid
    return Source(name="massachusetts", rgb=rgb, allowed=allowed.astype(np.uint8), gsd_m=gsd_m)


def read_labelled_pair(image_path: Path, label_path: Path) -> Source:
    """Read a sample scene and its label raster."""
    with rasterio.open(image_path) as image, rasterio.open(label_path) as labels:
        rgb, ids, gsd_m = image.read((1, 2, 3)), labels.read(1), float(image.res[0])
    table = np.zeros(256, dtype=np.uint8)
    table[: len(EXACT)] = EXACT
    return Source(
        name=image_path.stem, black_is_nodata=True, rgb=rgb, allowed=table[ids], gsd_m=gsd_m
    )
