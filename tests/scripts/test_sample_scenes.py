"""The sample scenes: made again they are the same, and images, labels and files agree."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from make_sample_scenes import LEGEND, SAMPLE_TILES, SampleTile, write_image, write_labels  # noqa: E402
from sample_scenes import NODATA, STYLES, Style, make_bands, make_scene  # noqa: E402
from sample_scenes.canvas import value_noise  # noqa: E402

FOLDER = ROOT / "sample_tiles"
# The whole set takes half a minute to draw; farmland is the quickest of the three.
QUICKEST = "farmland"


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the bands and the valid mask of a file."""
    with rasterio.open(path) as source:
        return source.read(), source.dataset_mask() > 0


def tile_named(name: str) -> SampleTile:
    """Give the sample tile of a name."""
    return next(tile for tile in SAMPLE_TILES if tile.name == name)


@pytest.mark.parametrize("style", STYLES)
def test_same_seed_gives_same_pixels(style: Style) -> None:
    first, again = (make_scene(3, 96, 128, 1.0, style) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert one.tobytes() == other.tobytes()
    assert (make_scene(4, 96, 128, 1.0, style)[0] != first[0]).any()


@pytest.mark.parametrize("style", STYLES)
def test_shapes_types_and_footprint(style: Style) -> None:
    rgb, labels, valid = make_scene(5, 90, 120, 1.5, style)
    assert (rgb.shape, rgb.dtype) == ((3, 90, 120), np.uint8)
    assert (labels.shape, labels.dtype) == ((90, 120), np.uint8)
    assert (valid.shape, valid.dtype) == ((90, 120), np.bool_)
    assert 0.5 < valid.mean() < 1
    assert rgb[:, valid].min() >= 1
    assert not rgb[:, ~valid].any()
    assert np.array_equal(labels == NODATA, ~valid)
    assert set(np.unique(labels[valid])) <= set(LEGEND)


def test_infrared_tells_plants_from_water() -> None:
    bands, labels, _ = make_bands(6, 160, 160, 1.2, "farmland")
    infrared = bands[3].astype(float)
    others = infrared[labels == 4]
    assert infrared[labels == 3].mean() > 90
    assert others.size == 0 or others.mean() < 60


def test_noise_is_smooth_and_bounded() -> None:
    noise = value_noise(np.random.default_rng(0), (64, 80), 16)
    assert noise.shape == (64, 80)
    assert np.abs(noise).max() <= 1
    assert np.abs(np.diff(noise, axis=0)).max() < 0.25


@pytest.mark.parametrize("tile", SAMPLE_TILES, ids=lambda tile: tile.name)
def test_files_say_what_they_are(tile: SampleTile) -> None:
    with (
        rasterio.open(FOLDER / f"{tile.name}.tif") as image,
        rasterio.open(FOLDER / "labels" / f"{tile.name}.tif") as labels,
    ):
        assert image.descriptions == ("red", "green", "blue", "nir")[: tile.bands]
        assert image.colorinterp[:3] == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert (image.nodata is None) == tile.mask
        assert image.res == pytest.approx((tile.gsd_m, tile.gsd_m))
        assert (labels.crs, labels.transform, labels.shape) == (
            image.crs,
            image.transform,
            image.shape,
        )
        assert labels.nodata == NODATA
        colours = labels.colormap(1)
        assert all(colours[value][:3] == colour for value, (_, colour) in LEGEND.items())


def test_labels_share_the_footprint_and_hold_all_classes() -> None:
    found: set[int] = set()
    for tile in SAMPLE_TILES:
        _, valid = read(FOLDER / f"{tile.name}.tif")
        labels, known = read(FOLDER / "labels" / f"{tile.name}.tif")
        assert np.array_equal(valid, known)
        assert 0 < (~valid).mean() < 0.25
        found |= set(np.unique(labels[0][known]).tolist())
    assert found == set(LEGEND)


def test_labels_align_with_the_image() -> None:
    """The sea is bluer than the rest where the labels say so."""
    bands, _ = read(FOLDER / "coast.tif")
    labels, _ = read(FOLDER / "labels" / "coast.tif")
    water = labels[0] == 4
    # Blue minus red is the sharpest sign of the sea; a shift of the labels would mix the two sides.
    sign = bands[2].astype(int) - bands[0]
    land = np.isin(labels[0], (0, 1, 2, 3))
    assert np.median(sign[water]) > np.median(sign[land]) + 30


def test_files_on_disk_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.tif")) < 6_000_000


def test_files_on_disk_are_what_the_generator_makes(tmp_path: Path) -> None:
    tile = tile_named(QUICKEST)
    counts, labels, valid = make_bands(tile.seed, tile.height, tile.width, tile.gsd_m, tile.style)
    write_image(tmp_path / "image.tif", tile, counts, valid)
    write_labels(tmp_path / "labels.tif", tile, labels)
    for made, kept in (
        (tmp_path / "image.tif", FOLDER / f"{tile.name}.tif"),
        (tmp_path / "labels.tif", FOLDER / "labels" / f"{tile.name}.tif"),
    ):
        for one, other in zip(read(made), read(kept), strict=True):
            assert np.array_equal(one, other)
