"""Pieces and the COGs made of them, read back by rasterio."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp

from geoseg.errors import OutputError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.legend import Legend, LegendClass
from geoseg.raster.cog import LayerBand, MosaicPiece, mosaic_vrt, write_cog
from geoseg.raster.piece import write_piece
from geoseg.raster.strips import read_strips
from tests.fakes import legend_of
from tests.scenes import NORTH_UP, UTM, read_back

LEGEND = Legend(
    classes=(
        LegendClass(class_id=1, name="지붕 & <walls>", colour="#c02020"),
        LegendClass(class_id=0, name="water", colour="#2020c0"),
        LegendClass(class_id=7, name="green", colour="#20c020"),
    ),
    nodata_id=200,
)
WKT = rasterio.crs.CRS.from_string(UTM).to_wkt()


def grid_of(
    height: int, width: int, transform: Affine = NORTH_UP, crs: str | None = WKT
) -> PixelGrid:
    return PixelGrid(crs_wkt=crs, transform=transform, height=height, width=width)


def labels_of(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, 1, 7, 200], (height // 8 + 1, width // 8 + 1))
    return np.kron(coarse, np.ones((8, 8), int))[:height, :width].astype(np.uint8)


def write(
    folder: Path,
    labels: np.ndarray,
    rows: list[int],
    cols: list[int],
    *,
    threads: int = 1,
    grid: PixelGrid | None = None,
    output: Window | None = None,
    skip: tuple[int, ...] = (),
    band: LayerBand | None = None,
) -> Path:
    """Cut (row, col) labels into pieces at ``rows`` and ``cols`` and write one COG."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = labels.shape
    pieces = []
    for r0, r1 in zip(rows, [*rows[1:], height], strict=True):
        for c0, c1 in zip(cols, [*cols[1:], width], strict=True):
            if len(pieces) in skip:
                skip = tuple(s for s in skip if s != len(pieces))
                continue
            path = folder / f"piece {r0} {c0}.tif"
            write_piece(path, [labels[r0:r1, c0:c1]])
            pieces.append(MosaicPiece(path=path, window=Window(r0, c0, r1 - r0, c1 - c0)))
    text = mosaic_vrt(
        pieces,
        grid=grid or grid_of(height, width),
        output=output or Window(0, 0, height, width),
        bands=[band or LayerBand(piece_band=1, description="class", nodata=200, legend=LEGEND)],
        metadata={"GEOSEG_MODEL": "tiny <&> 모델"},
    )
    target = folder / "classes.tif"
    write_cog(text, target, overviews="MODE", threads=threads)
    return target


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_class_raster_carries_everything_a_viewer_needs(tmp_path: Path) -> None:
    labels = labels_of(700, 1100)
    path = write(tmp_path, labels, [0, 300], [0, 512, 1024])
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), labels)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.profile["compress"] in ("deflate", "zstd")
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.dtypes == ("uint8",)
        assert dataset.nodata == 200
        assert dataset.descriptions == ("class",)
        assert dataset.crs == rasterio.crs.CRS.from_string(UTM)
        assert dataset.transform == NORTH_UP
        assert dataset.colorinterp == (ColorInterp.palette,)
        table = dataset.colormap(1)
        assert {i: table[i][:3] for i in LEGEND.ids} == {c.class_id: c.rgb for c in LEGEND}
        assert all(table[i][3] == 255 for i in LEGEND.ids)
        assert table[200][3] == 0
        assert dataset.tags()["GEOSEG_MODEL"] == "tiny <&> 모델"
        assert dataset.overviews(1)
    names = [e.text or "" for e in ET.parse(f"{path}.aux.xml").iter("Category")]
    assert [names[c.class_id] for c in LEGEND] == [c.name for c in LEGEND]
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("piece")) == [
        "classes.tif", "classes.tif.aux.xml",
    ]  # fmt: skip


def test_overviews_hold_the_most_frequent_class_and_no_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice([0, 1, 7], (1024, 1024), p=[0.2, 0.3, 0.5]).astype(np.uint8)
    path = write(tmp_path, labels, [0], [0])
    with rasterio.open(path) as dataset:
        assert dataset.overviews(1)[0] == 2
    with rasterio.open(path, overview_level=0) as dataset:
        small = dataset.read(1)
    cells = labels.reshape(512, 2, 512, 2).transpose(0, 2, 1, 3).reshape(512, 512, 4)
    counts = np.stack([(cells == value).sum(axis=2) for value in (0, 1, 7)])
    clear = (counts == counts.max(axis=0)).sum(axis=0) == 1
    mode = np.array([0, 1, 7])[counts.argmax(axis=0)]
    np.testing.assert_array_equal(small[clear], mode[clear])
    assert set(np.unique(small)) <= {0, 1, 7}


@settings(max_examples=12)
@given(
    st.lists(st.integers(1, 139), max_size=4, unique=True),
    st.lists(st.integers(1, 169), max_size=4, unique=True),
    st.sampled_from([1, 2, 5]),
)
def test_any_partition_and_thread_count_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], cols: list[int], threads: int
) -> None:
    labels = labels_of(140, 170)
    folder = tmp_path_factory.mktemp("cogs")
    one = write(folder / "one", labels, [0], [0])
    many = write(folder / "many", labels, [0, *sorted(rows)], [0, *sorted(cols)], threads=threads)
    assert digest(one) == digest(many)
    assert digest(one.with_name("classes.tif.aux.xml")) == digest(
        many.with_name("classes.tif.aux.xml")
    )


def test_a_large_map_gives_the_same_bytes_for_any_thread_count(tmp_path: Path) -> None:
    labels = labels_of(1300, 1500)
    digests = {
        digest(write(tmp_path / str(i), labels, rows, [0, 700], threads=threads))
        for i, (rows, threads) in enumerate([([0], 1), ([0, 512, 1024], 2), ([0, 99], 4)])
    }
    assert len(digests) == 1


def test_a_missing_piece_is_nodata(tmp_path: Path) -> None:
    labels = labels_of(60, 80)
    labels[labels == 200] = 1
    path = write(tmp_path, labels, [0, 30], [0, 40], skip=(0,))
    found = read_back(path)
    assert (found[:30, :40] == 200).all()
    np.testing.assert_array_equal(found[30:], labels[30:])


def test_a_part_of_the_scene_lies_in_its_place(tmp_path: Path) -> None:
    labels = labels_of(90, 120)
    rotated = Affine.translation(5e5, 4e6) @ Affine.rotation(20) @ Affine.scale(0.5, -0.5)
    for number, transform in enumerate((NORTH_UP, rotated, Affine(1, 0, 0, 0, 1, 0))):
        output = Window(17, 33, 40, 51)
        grid = grid_of(90, 120, transform)
        path = write(tmp_path / str(number), labels, [0, 20], [0, 64], grid=grid, output=output)
        with rasterio.open(path) as dataset:
            np.testing.assert_array_equal(dataset.read(1), labels[17:57, 33:84])
            assert dataset.transform.almost_equals(grid.subgrid(output).transform, 1e-9)


def test_no_crs_and_no_geotransform_stay_absent(tmp_path: Path) -> None:
    path = write(
        tmp_path, labels_of(20, 30), [0], [0], grid=grid_of(20, 30, Affine.identity(), None)
    )
    with rasterio.open(path) as dataset:
        assert dataset.crs is None
        assert dataset.transform == Affine.identity()


def test_a_confidence_band_has_its_scale(tmp_path: Path) -> None:
    band = LayerBand(piece_band=1, description="confidence", nodata=255, scale=1 / 250)
    path = write(tmp_path, labels_of(20, 30), [0], [0], band=band)
    with rasterio.open(path) as dataset:
        assert dataset.scales == pytest.approx((1 / 250,))
        assert dataset.nodata == 255
        assert dataset.colorinterp == (ColorInterp.gray,)


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    text = mosaic_vrt([], grid=grid_of(5, 5), output=Window(0, 0, 5, 5), bands=[
        LayerBand(piece_band=1, description="x", nodata=255, legend=legend_of(2))
    ], metadata={})  # fmt: skip
    with pytest.raises(OutputError) as caught:
        write_cog(text, tmp_path / "nowhere" / "a.tif", overviews="MODE", threads=1)
    assert caught.value.hint


@pytest.mark.parametrize("threads", [1, 2])
def test_a_disk_that_fills_up_at_any_moment_is_one_error(
    tmp_path: Path, disk_of: Callable[[int], Path], capfd: pytest.CaptureFixture[str], threads: int
) -> None:
    """The file is whole or refused, whichever write fails, and nothing is printed."""
    many = Legend(
        classes=tuple(
            LegendClass(class_id=i, name=f"class {i} " * 9, colour=f"#{i:02x}80ff")
            for i in range(255)
        )
    )
    noise = np.random.default_rng(0).integers(0, 255, (1300, 1300), np.uint8)
    write_piece(tmp_path / "piece.tif", [noise])
    whole = Window(0, 0, *noise.shape)
    text = mosaic_vrt(
        [MosaicPiece(path=tmp_path / "piece.tif", window=whole)],
        grid=grid_of(*noise.shape),
        output=whole,
        bands=[LayerBand(piece_band=1, description="noise", nodata=255, legend=many)],
        metadata={},
    )
    write_cog(text, tmp_path / "noise.tif", overviews="AVERAGE", threads=threads)
    expected = (tmp_path / "noise.tif").read_bytes()
    names = (tmp_path / "noise.tif.aux.xml").read_bytes()
    capfd.readouterr()
    refused, made = [], b""
    for kib in range(40, 2 * len(expected) // 1024, 201):
        target = disk_of(kib) / "noise.tif"
        try:
            write_cog(text, target, overviews="AVERAGE", threads=threads)
        except OutputError as error:
            refused.append(f"{error} {error.hint}")
        else:
            made = target.read_bytes()
            assert made == expected, f"damaged on a disk of {kib} KiB"
            assert target.with_name("noise.tif.aux.xml").read_bytes() == names
    assert len(refused) > 8
    assert all("cannot write" in line and "disk full" in line for line in refused)
    assert made, "refused even where there is room"
    assert capfd.readouterr().err == ""


# Pieces ---------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_piece_gives_its_bands_back(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, count: int, seed: int
) -> None:
    bands = list(
        np.random.default_rng(seed).integers(0, 256, (count, height, width)).astype(np.uint8)
    )
    path = tmp_path_factory.mktemp("piece") / "조각 a.tif"
    size = write_piece(path, bands)
    assert size == path.stat().st_size
    for number, band in enumerate(bands, 1):
        np.testing.assert_array_equal(read_back(path, number), band)
    assert list(path.parent.iterdir()) == [path], "a temporary file is left"


def test_a_piece_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.tif"
    write_piece(path, [np.full((5, 5), 3, np.uint8)])
    before = path.read_bytes()
    with pytest.raises(OutputError):
        write_piece(tmp_path / "missing folder" / "a.tif", [np.zeros((5, 5), np.uint8)])
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(OutputError):
        write_piece(tmp_path / "folder.tif", [np.zeros((5, 5), np.uint8)])
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "folder.tif"]


def test_a_piece_on_a_full_disk_is_an_error_and_leaves_nothing(full_disk: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700)).astype(np.uint8)
    with pytest.raises(OutputError) as caught:
        write_piece(full_disk / "a.tif", [noise])
    assert "disk full" in (caught.value.hint or "")
    assert not list(full_disk.glob("*.tif"))
    assert not list(full_disk.glob(".*tmp"))


@pytest.mark.parametrize("rows", [1, 7, 40, 1000])
def test_strips_put_together_are_the_raster(tmp_path: Path, rows: int) -> None:
    labels = labels_of(40, 30)
    write_piece(tmp_path / "a.tif", [labels, 255 - labels])
    parts = list(read_strips(tmp_path / "a.tif", rows))
    assert [w.row_off for w, _ in parts] == list(range(0, 40, rows))
    whole = np.concatenate([values for _, values in parts], axis=1)
    np.testing.assert_array_equal(whole, np.stack([labels, 255 - labels]))
