"""http and s3 addresses through real servers on the loopback address."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from geoseg.errors import SceneError
from geoseg.grid.window import Window
from geoseg.raster.env import gdal_env
from geoseg.raster.read import SceneReader
from geoseg.raster.scene import open_scene
from tests.raster.servers import FileServer, file_server, object_store, put
from tests.scenes import write_scene

pytestmark = pytest.mark.network
NAME = "ortho 서울.tif"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    with file_server(tmp_path_factory.mktemp("server")) as found:
        make_cog(found.root / NAME)
        yield found


def make_cog(path: Path) -> None:
    """Noise, so that the file is much larger than what a small window needs."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 1500, 1500)).astype(np.uint8)
    plain = write_scene(path.with_name("plain.tif"), pixels, nodata=0)
    rasterio.shutil.copy(plain, path, driver="COG", COMPRESS="DEFLATE", BLOCKSIZE=256)
    plain.unlink()


def check_reads_like_the_file(address: str, path: Path) -> None:
    remote, local = open_scene(address), open_scene(path)
    assert remote.grid == local.grid
    assert (remote.dtypes, remote.nodata, remote.band_names) == (
        local.dtypes, local.nodata, local.band_names,
    )  # fmt: skip
    assert remote.size_bytes is None
    window = Window(700, 300, 60, 50)
    with gdal_env(), SceneReader(remote, (3, 1), "any") as there:
        found = there.read(window)
    with SceneReader(local, (3, 1), "any") as here:
        expected = here.read(window)
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.valid, expected.valid)


@pytest.mark.parametrize("prefix", ["", "/vsicurl/"])
def test_a_window_over_http_asks_for_ranges_only(server: FileServer, prefix: str) -> None:
    before = len(server.requests())
    query = "" if prefix else "?token=a%2Fb"
    address = f"{prefix}{server.url}/{urllib.parse.quote(NAME)}{query}"
    check_reads_like_the_file(address, server.root / NAME)
    fresh = [r for r in server.requests()[before:] if r[0] == "GET" and r[1] < 400]
    size = (server.root / NAME).stat().st_size
    if not prefix:
        assert fresh
        assert {status for _, status, _, _ in fresh} == {206}, "the whole file was asked for"
        assert sum(sent for _, _, sent, _ in fresh) < size / 4


def test_a_missing_page_is_one_line_without_the_query(server: FileServer) -> None:
    with pytest.raises(SceneError) as caught:
        open_scene(f"{server.url}/nothing.tif?X-Amz-Signature=secret")
    assert caught.value.hint


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(SceneError), gdal_env(GDAL_HTTP_MAX_RETRY=0):
        open_scene("http://127.0.0.1:9/a.tif")


def test_an_open_bucket(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An anonymous S3 store is a web server with byte ranges."""
    bucket = server.root / "bucket" / "some key"
    bucket.mkdir(parents=True, exist_ok=True)
    make_cog(bucket / "a.tif")
    for key, value in {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{server.port}", "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_NO_SIGN_REQUEST": "YES",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    check_reads_like_the_file("s3://bucket/some key/a.tif", bucket / "a.tif")


def test_a_signed_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cog(tmp_path / "a.tif")
    with object_store() as port:
        put(port, "/closed")
        put(port, "/closed/deep/a.tif", (tmp_path / "a.tif").read_bytes())
        for key, value in {
            "AWS_S3_ENDPOINT": f"127.0.0.1:{port}", "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(key, value)
        check_reads_like_the_file("s3://closed/deep/a.tif", tmp_path / "a.tif")
        with pytest.raises(SceneError):
            open_scene("s3://closed/deep/b.tif")


def test_opening_a_remote_geotiff_takes_few_requests(tmp_path: Path) -> None:
    with file_server(tmp_path) as server:
        make_cog(server.root / "scene.tif")
        open_scene(f"{server.url}/scene.tif")
        # The header, and the names that its place, values and mask may have beside it.
        assert len(server.requests()) <= 16


def test_a_mask_and_values_beside_a_remote_geotiff_count(tmp_path: Path) -> None:
    pixels = np.full((1, 64, 64), 9, np.uint8)
    with file_server(tmp_path) as server:
        path = write_scene(server.root / "scene.tif", pixels)
        mask = np.full((64, 64), 255, np.uint8)
        mask[:10] = 0
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
            rasterio.open(path, "r+") as dataset,
        ):
            dataset.write_mask(mask)
            dataset.offsets = (5.0,)
        assert path.with_name("scene.tif.msk").exists()
        remote, local = open_scene(f"{server.url}/scene.tif"), open_scene(path)
        assert (remote.has_dataset_mask, remote.grid) == (True, local.grid)
        with SceneReader(remote, (1,), "any") as reader:
            found = reader.read(Window(0, 0, 64, 64))
        assert not found.valid[:10].any()
        assert found.valid[10:].all()


def test_a_large_window_comes_in_few_large_ranges(tmp_path: Path) -> None:
    with file_server(tmp_path) as server:
        make_cog(server.root / "scene.tif")
        scene = open_scene(f"{server.url}/scene.tif")
        with SceneReader(scene, (1, 2, 3), "any") as reader:
            reader.read(Window(0, 0, 10, 10))  # the handle is open
            before = len(server.requests())
            reader.read(Window(300, 300, 1100, 1100))
        fresh = [r for r in server.requests()[before:] if r[0] == "GET"]
        # Five rows of five tiles, each row in one piece: not one request per tile.
        assert len(fresh) <= 6
        assert min(sent for _, _, sent, _ in fresh) > 100_000
