"""What people try who have just installed it, and what happens behind their backs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.e2e.conftest import COMMAND
from tests.scenes import texture, write_scene

Geoseg = Callable[..., subprocess.CompletedProcess[str]]
TOWN = Path(__file__).resolve().parents[2] / "sample_tiles" / "town.tif"


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_no_library_reports_what_people_do(tmp_path: Path, backend: str) -> None:
    """Those that do so give each home folder a number first."""
    home = tmp_path / "home"
    home.mkdir()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    environ.pop("GEOSEG_CACHE_DIR", None)
    done = subprocess.run(
        [*COMMAND, "run", str(TOWN), "--backend", backend, "--out", str(tmp_path / "out"), "-q"],
        env={**environ, "HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    files = {path.relative_to(home) for path in home.rglob("*") if path.is_file()}
    assert {path.parts[:2] for path in files} <= {(".cache", "geoseg")}


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_a_closed_output_is_no_error(tmp_path: Path, tiny_model: Path) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    words = [*COMMAND, "run", str(scene), "--model", str(tiny_model), "--out", "out"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "internal error" not in done.stderr
    assert (tmp_path / "out" / "run.json").exists()


def test_no_result_takes_the_place_of_its_input(
    tmp_path: Path, tiny_model: Path, geoseg: Geoseg
) -> None:
    (tmp_path / "own").mkdir()
    scene = write_scene(tmp_path / "own" / "classes.tif", texture((40, 50)))
    before = scene.read_bytes()
    done = geoseg("run", scene, "--model", tiny_model, "--out", "own", "--overwrite")
    assert done.returncode == 1
    assert "classes.tif is an input of this run" in done.stderr
    assert scene.read_bytes() == before
    other = write_scene(tmp_path / "a.tif", texture((40, 50)))
    made = geoseg("run", other, "--model", tiny_model, "--out", "own2")
    assert made.returncode == 0, made.stderr
    own = tmp_path / "own2" / "polygons.gpkg"
    done = geoseg("run", other, "--model", tiny_model, "--out", "own2", "--overwrite", "--aoi", own)
    assert "polygons.gpkg is an input of this run" in done.stderr
    # In another folder its own polygons are a fine area: the table of styles is no second layer.
    done = geoseg("run", other, "--model", tiny_model, "--out", "own3", "--aoi", own, "-q")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--out", ""), 2, "the name is empty"),
        (("--model", ""), 1, "--model is empty"),
        (("--aoi", ""), 1, "--aoi is empty"),
        (("--out", "s3://bucket/maps"), 1, "--out s3:// is no folder"),
        (("--value-range", "0,inf"), 1, "must be finite"),
        (("--halo-px", "8192", "--window-px", "32768"), 1, "GiB, this machine has"),
    ],
    ids=str,
)
def test_slips_of_the_keyboard(
    tmp_path: Path, tiny_model: Path, geoseg: Geoseg, words: tuple[str, ...], code: int, told: str
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    model = () if "--model" in words else ("--model", tiny_model)
    done = geoseg("run", scene, *model, *words)
    assert done.returncode == code
    assert told in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_an_empty_scene_is_not_the_current_folder(tmp_path: Path, geoseg: Geoseg) -> None:
    done = geoseg("run", "")
    assert done.returncode == 1
    assert "the name of the scene is empty" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_more_of_everything_than_there_is_to_do(
    tmp_path: Path, tiny_model: Path, geoseg: Geoseg
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    words = ("--workers", "100000", "--batch-size", "100000000", "-q")
    for more in (("--dry-run",), ()):
        done = geoseg("run", scene, "--model", tiny_model, *words, *more)
        assert (done.returncode, done.stderr) == (0, "")


def test_colours_of_a_palette_are_no_bands(tmp_path: Path, geoseg: Geoseg) -> None:
    path = write_scene(tmp_path / "a.tif", texture((40, 50), bands=1) % 8)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {i: (30 * i, 0, 0, 255) for i in range(8)})
    for bands in ((), ("--bands", "1,1,1")):
        done = geoseg("run", path, "--gsd", "1", *bands)
        assert done.returncode == 1
        assert "palette" in done.stderr
        assert "-expand rgb" in done.stderr


def test_geojson_without_a_crs_is_refused_before_any_work(
    tmp_path: Path, tiny_model: Path, geoseg: Geoseg
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)), crs=None)
    done = geoseg("run", scene, "--model", tiny_model, "--format", "geojson")
    assert done.returncode == 1
    assert "the raster has no CRS" in done.stderr
    assert not (tmp_path / "a_geoseg").exists()


def test_a_map_of_nothing_says_so(tmp_path: Path, tiny_model: Path, geoseg: Geoseg) -> None:
    scene = write_scene(tmp_path / "a.tif", np.zeros((3, 40, 50), np.uint8), nodata=0)
    done = geoseg("run", scene, "--model", tiny_model)
    assert done.returncode == 0
    assert "no valid pixel: the map is empty" in done.stdout + done.stderr
