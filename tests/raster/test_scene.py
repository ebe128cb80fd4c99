"""Headers against rasterio, and everything that is refused, each in one line."""

from __future__ import annotations

import os
import pickle
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from geoseg.errors import GeosegError, SceneError
from geoseg.raster.scene import Scene, open_scene
from tests.scenes import NORTH_UP, texture, write_scene

PIXELS = texture((40, 60))


def refused(address: str | Path) -> GeosegError:
    with pytest.raises(SceneError) as caught:
        open_scene(address)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert "\n" not in caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "transform",
    [
        NORTH_UP,
        Affine(0.3, 0, 321_000, 0, 0.3, 4_158_000),  # south-up
        Affine.translation(321_000, 4_158_000) @ Affine.rotation(30) @ Affine.scale(0.3, -0.3),
        Affine(0.3, 0, 0, 0, -0.6, 0),
    ],
)
@pytest.mark.parametrize("crs", ["EPSG:32652", "EPSG:4326", "EPSG:3857", "EPSG:2263", None])
def test_the_grid_is_the_files(tmp_path: Path, transform: Affine, crs: str | None) -> None:
    path = write_scene(tmp_path / "a.tif", PIXELS, crs=crs, transform=transform)
    scene = open_scene(path)
    with rasterio.open(path) as dataset:
        assert scene.grid.transform == Affine(*tuple(dataset.transform)[:6])
        assert (scene.grid.height, scene.grid.width) == dataset.shape
        assert scene.grid.crs_wkt == (dataset.crs.to_wkt() if crs else None)
        if dataset.transform.is_rectilinear and dataset.transform.e < 0:
            assert scene.grid.bounds == pytest.approx(tuple(dataset.bounds))
        assert scene.dtypes == dataset.dtypes
        assert scene.nodata == dataset.nodatavals
        assert scene.block_shape == dataset.block_shapes[0]
    assert scene.size_bytes == path.stat().st_size


def test_no_georeference_at_all_is_a_grid_of_pixels(tmp_path: Path) -> None:
    scene = open_scene(write_scene(tmp_path / "a.tif", PIXELS, crs=None, transform=None))
    assert scene.grid.crs_wkt is None
    assert scene.grid.transform == Affine.identity()


@pytest.mark.parametrize(
    "name", ["with spaces.tif", "위성 영상 (서울).tif", "Ünïcödé—'q'.tif", "a#b%20c&d.tif"]
)
def test_any_file_name(tmp_path: Path, name: str) -> None:
    scene = open_scene(write_scene(tmp_path / name, PIXELS))
    assert scene.stem == Path(name).stem
    assert scene.address == str(tmp_path / name)


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scene(tmp_path / "a.tif", PIXELS)
    monkeypatch.chdir(tmp_path)
    assert open_scene("a.tif").address == str(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("address", "stem"),
    [
        ("https://host/dir/scene.tif?sig=a/b.c", "scene"),
        ("s3://bucket/key/S2 scene.jp2", "S2 scene"),
        ("/vsizip/a.zip/b.tif", "b"),
        ("https://host/", "host"),
    ],
)
def test_the_stem_names_results(tmp_path: Path, address: str, stem: str) -> None:
    from dataclasses import replace

    scene = open_scene(write_scene(tmp_path / "a.tif", PIXELS))
    assert replace(scene, address=address).stem == stem


def test_bands_are_named_by_description_then_colour_then_number(tmp_path: Path) -> None:
    path = write_scene(
        tmp_path / "a.tif", texture((9, 9), bands=6),
        descriptions=("Red", "", "", "", "red", ""),
        colours=(ColorInterp.gray, ColorInterp.green, ColorInterp.alpha, ColorInterp.undefined,
                 ColorInterp.undefined, ColorInterp.undefined),
    )  # fmt: skip
    scene = open_scene(path)
    assert scene.band_names == ("red", "green", "alpha", "band_4", "red_5", "band_6")
    assert scene.alpha_band == 3
    assert len(set(scene.band_names)) == scene.n_bands


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_any_number_of_bands(tmp_path: Path, count: int) -> None:
    scene = open_scene(write_scene(tmp_path / "a.tif", texture((5, 6), bands=count)))
    assert scene.n_bands == count == len(scene.nodata) == len(scene.band_names)


def test_scenes_survive_pickling(tmp_path: Path) -> None:
    scene = open_scene(write_scene(tmp_path / "a.tif", PIXELS))
    again = pickle.loads(pickle.dumps(scene))
    assert isinstance(again, Scene)
    assert again == scene


def test_the_fingerprint_follows_the_file(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", PIXELS)
    first = open_scene(path).fingerprint
    assert open_scene(path).fingerprint == first
    stamp = path.stat().st_mtime_ns
    os.utime(path, ns=(stamp + 1_000_000, stamp + 1_000_000))
    touched = open_scene(path).fingerprint
    write_scene(path, PIXELS, transform=NORTH_UP @ Affine.translation(1, 0))
    os.utime(path, ns=(stamp, stamp))
    assert len({first, touched, open_scene(path).fingerprint}) == 3


def test_the_fingerprint_follows_the_files_behind_a_vrt(tmp_path: Path) -> None:
    source = write_scene(tmp_path / "a.tif", PIXELS)
    rasterio.shutil.copy(source, tmp_path / "inner.vrt", driver="VRT")
    rasterio.shutil.copy(tmp_path / "inner.vrt", tmp_path / "outer.vrt", driver="VRT")
    first = open_scene(tmp_path / "outer.vrt").fingerprint
    assert open_scene(tmp_path / "outer.vrt").fingerprint == first
    status = source.stat()
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    assert open_scene(tmp_path / "outer.vrt").fingerprint != first


def test_the_fingerprint_follows_a_mask_beside_the_file(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", PIXELS)
    first = open_scene(path).fingerprint
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(PIXELS[0] > 9)
    assert (tmp_path / "a.tif.msk").is_file()
    second = open_scene(path)
    assert second.has_dataset_mask
    os.utime(tmp_path / "a.tif.msk", ns=(1, 1))
    assert len({first, second.fingerprint, open_scene(path).fingerprint}) == 3


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023-05-17 01:02:03", datetime(2023, 5, 17, 1, 2, 3, tzinfo=UTC)),
        ("2023-05-17T01:02:03+09:00", datetime(2023, 5, 16, 16, 2, 3, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_time_of_acquisition(tmp_path: Path, text: str, moment: datetime | None) -> None:
    path = write_scene(tmp_path / "a.tif", PIXELS)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(TIFFTAG_DATETIME="2024:01:01 00:00:00")  # of the file, not the image
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=text)
    assert open_scene(path).acquired == moment


def test_a_geocentric_crs_is_refused(tmp_path: Path) -> None:
    error = refused(write_scene(tmp_path / "a.tif", PIXELS, crs="EPSG:4978"))
    assert "geocentric" in str(error)
    assert "gdalwarp" in (error.hint or "")


# Refusals -------------------------------------------------------------------------------


def test_a_missing_file() -> None:
    assert "there is no file" in str(refused("/nowhere/at all.tif"))


def test_a_missing_file_with_a_colon_in_its_name(tmp_path: Path) -> None:
    refused(str(tmp_path / "12:30.tif"))


def test_a_pipe_is_refused_before_gdal_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tif")
    assert "is a pipe or device" in str(refused(tmp_path / "a.tif"))


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tif"))
    path.write_bytes(b"II*\0")
    assert "is not UTF-8" in str(refused(path))


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    assert "0 bytes" in str(refused(tmp_path / "a.tif"))


@pytest.mark.parametrize("content", [b"hello\n" * 50, b"II*\x00", os.urandom(4096), b"%PDF-1.4\n"])
def test_not_a_raster(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    refused(tmp_path / "a.tif")


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path)


def test_a_vector_file(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    refused(tmp_path / "a.geojson")


def test_a_tiff_cut_before_its_directory(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", PIXELS, compress="deflate")
    cut = path.read_bytes()[:40]
    path.write_bytes(cut)
    refused(path)


def test_no_bands(tmp_path: Path) -> None:
    (tmp_path / "a.vrt").write_text('<VRTDataset rasterXSize="5" rasterYSize="5"/>')
    assert "bands" in str(refused(tmp_path / "a.vrt"))


def test_a_container_names_one_of_its_subdatasets(tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    for number, name in enumerate(("first", "second")):
        more = {"APPEND_SUBDATASET": "YES"} if number else {}
        write_scene(path, PIXELS, driver="GPKG", RASTER_TABLE=name, **more)
    error = refused(path)
    assert "2 subdatasets" in str(error)
    assert "first" in (error.hint or "")
    name = f"GPKG:{path}:second"
    assert name.split(":")[0] in (error.hint or "")
    assert open_scene(name).n_bands >= 3


def test_complex_numbers(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", np.zeros((1, 4, 4), np.complex64))
    assert "complex" in str(refused(path))


def test_control_points_without_a_geotransform(tmp_path: Path) -> None:
    points = [
        GroundControlPoint(row=r, col=c, x=127 + c / 1e4, y=37 - r / 1e4)
        for r, c in ((0, 0), (0, 60), (40, 0), (40, 60))
    ]
    path = write_scene(tmp_path / "a.tif", PIXELS, transform=None, crs="EPSG:4326", gcps=points)
    error = refused(path)
    assert "ground control points" in str(error)
    assert "gdalwarp" in (error.hint or "")


def test_a_geotransform_without_area(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "b.tif", PIXELS)
    vrt = tmp_path / "a.vrt"
    rasterio.shutil.copy(path, vrt, driver="VRT")
    text = vrt.read_text()
    start, end = text.index("<GeoTransform>"), text.index("</GeoTransform>")
    vrt.write_text(text[:start] + "<GeoTransform>5, 0, 0, 5, 0, 0" + text[end:])
    assert "without area" in str(refused(vrt))


def test_a_vrt_whose_source_is_gone_opens_but_does_not_read(tmp_path: Path) -> None:
    from geoseg.errors import SceneReadError
    from geoseg.grid.window import Window
    from geoseg.raster.read import SceneReader

    folder = tmp_path / "src"
    folder.mkdir()
    path = write_scene(folder / "b.tif", PIXELS)
    rasterio.shutil.copy(path, tmp_path / "a.vrt", driver="VRT")
    scene = open_scene(tmp_path / "a.vrt")
    shutil.rmtree(folder)
    with SceneReader(scene, (1,), "any") as reader, pytest.raises(SceneReadError):
        reader.read(Window(0, 0, 5, 5))
