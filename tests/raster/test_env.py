"""Addresses into GDAL's names; foreign errors into one line without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.errors import RasterioIOError

from geoseg.errors import SceneReadError
from geoseg.raster.env import (
    GDAL_SETTINGS,
    gdal_address,
    gdal_env,
    mapped_read_errors,
    tidy_message,
)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://host:8443/a%20b.tif?x=1&y=2", "/vsicurl/https://host:8443/a%20b.tif?x=1&y=2"),
        ("http://host/a.tif", "/vsicurl/http://host/a.tif"),
        ("HTTPS://host/A.tif", "/vsicurl/https://host/A.tif"),
        ("s3://bucket/key/a b.tif", "/vsis3/bucket/key/a b.tif"),
        ("gs://bucket/a.tif", "/vsigs/bucket/a.tif"),
        ("az://box/a.tif", "/vsiaz/box/a.tif"),
        ("/vsizip//x/a.zip/b.tif", "/vsizip//x/a.zip/b.tif"),
        ("/vsicurl/http://host/a.tif", "/vsicurl/http://host/a.tif"),
        ('NETCDF:"/x/y.nc":var', 'NETCDF:"/x/y.nc":var'),
        ("/data/https:/a.tif", "/data/https:/a.tif"),
        ("s3 scene.tif", "s3 scene.tif"),
    ],
)
def test_the_name_under_which_gdal_opens(address: str, name: str) -> None:
    assert gdal_address(address) == name
    assert gdal_address(name) == name, "translating twice changes nothing"


def test_paths_stay_paths() -> None:
    assert gdal_address(Path("/a b/위성.tif")) == "/a b/위성.tif"


@given(st.text(min_size=1))
def test_what_is_no_url_is_left_alone(text: str) -> None:
    if "://" not in text:
        assert gdal_address(text) == text


def test_an_error_is_one_line_with_its_last_cause_and_no_signature() -> None:
    inner = RasterioIOError("HTTP 403 for\n https://h/a.tif?X-Amz-Signature=secret&y=1 today")
    outer = RasterioIOError("Read failed. See previous exception for details.")
    outer.__cause__ = inner
    assert tidy_message(outer) == "HTTP 403 for https://h/a.tif?... today"
    assert tidy_message(ValueError()) == "ValueError"
    assert len(tidy_message(ValueError("x" * 10_000))) <= 300


@pytest.mark.parametrize("kind", [RasterioIOError, OSError])
def test_foreign_errors_become_ours(kind: type[Exception]) -> None:
    with (
        pytest.raises(SceneReadError, match=r"cannot read rows 1-2 of a\.tif: bad") as caught,
        mapped_read_errors("a.tif", "rows 1-2"),
    ):
        raise kind("bad")
    assert isinstance(caught.value.__cause__, kind)
    assert caught.value.hint


def test_the_users_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    from rasterio.env import getenv

    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "7")
    with gdal_env(GDAL_NUM_THREADS=3):
        inside = getenv()
    assert "GDAL_HTTP_TIMEOUT" not in inside
    assert inside["GDAL_NUM_THREADS"] == 3
    assert {k: inside[k] for k in GDAL_SETTINGS if k in inside} == {
        k: v for k, v in GDAL_SETTINGS.items() if k != "GDAL_HTTP_TIMEOUT"
    }
