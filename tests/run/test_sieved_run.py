"""Minimum area in a run: one sieved map, in the class raster and in the polygons."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize

from geoseg.errors import OptionError, OutputError
from geoseg.raster.strips import written_strips
from geoseg.run.pipeline import RunResult
from geoseg.vector.sieve import sieve
from tests.fakes import IdentityPredictor, card_of
from tests.run.exact_runs import mapped
from tests.scenes import read_back, write_scene
from tests.vector.maps import blobs, strips_of

Model = Callable[..., str]
inline = pytest.mark.usefixtures("inline")


@pytest.fixture
def model(fake_model: Model) -> str:
    return fake_model(IdentityPredictor((1, 2, 3)), card_of(4))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    classes = blobs((90, 110), seed=4)
    specks = np.random.default_rng(1).random(classes.shape) < 0.02
    classes[specks & (classes != 255)] = 3
    return write_scene(
        tmp_path / "a.tif", np.where(classes == 255, 9, classes)[None].astype(np.uint8), nodata=9
    )


def table_of(result: RunResult) -> geopandas.GeoDataFrame:
    return geopandas.read_file(result.files["polygons_gpkg"], layer="polygons")


def drawn(result: RunResult) -> np.ndarray:
    """The polygons as pixels."""
    with rasterio.open(result.files["classes"]) as dataset:
        shape, transform = dataset.shape, dataset.transform
    table = table_of(result)
    pairs = zip(table.geometry, table.class_id, strict=True)
    return rasterize(pairs, shape, fill=255, transform=transform, dtype="uint8")


@inline
def test_the_class_raster_is_the_map_of_the_polygons(
    tmp_path: Path, scene: Path, model: str
) -> None:
    plain = mapped(tmp_path / "plain", scene, model)
    result = mapped(tmp_path, scene, model, min_area="9px", block_px=32)
    raw, found = read_back(plain.files["classes"]), read_back(result.files["classes"])
    strips = sieve(lambda: strips_of(raw, rows=13), min_px=9)
    np.testing.assert_array_equal(found, np.concatenate([s.classes for s in strips]))
    assert (found != raw).any()
    np.testing.assert_array_equal(drawn(result), found)
    table = table_of(result)
    assert table.px_count.min() >= 9
    for name in ("confidence", "style"):
        assert result.files[name].read_bytes() == plain.files[name].read_bytes()


@inline
def test_counts_and_areas_are_those_of_the_written_map(
    tmp_path: Path, scene: Path, model: str
) -> None:
    result = mapped(tmp_path, scene, model, min_area="9px")
    found = read_back(result.files["classes"])
    record = json.loads(result.files["run"].read_text())
    expected = {i: int((found == i).sum()) for i in range(4)}
    assert {c.class_id: c.px_count for c in result.classes} == expected
    assert {c["class_id"]: c["px_count"] for c in record["result"]["classes"]} == expected
    assert record["parameters"]["min_area_px"] == 9
    table = table_of(result)
    for row in result.classes:
        assert row.px_count == table.px_count[table.class_id == row.class_id].sum()
        assert row.area_m2 == pytest.approx(table.area_m2[table.class_id == row.class_id].sum())


@inline
def test_square_metres_are_pixels_of_the_grid(tmp_path: Path, scene: Path, model: str) -> None:
    """Pixels of 0.3 m: 9 of them are 0.81 m2."""
    results = [mapped(tmp_path / a, scene, model, min_area=a) for a in ("9px", "0.8m2")]
    same = [r.files["classes"].read_bytes() for r in results]
    assert same[0] == same[1]


@inline
def test_blocks_do_not_change_a_byte(tmp_path: Path, scene: Path, model: str) -> None:
    results = [
        mapped(tmp_path / str(px), scene, model, min_area="9px", keep_raw=True, block_px=px)
        for px in (16, 48, 500)
    ]
    for name in ("classes", "classes_raw", "confidence", "polygons_gpkg"):
        assert len({r.files[name].read_bytes() for r in results}) == 1, name


@inline
def test_keep_raw_writes_the_map_before(tmp_path: Path, scene: Path, model: str) -> None:
    plain = mapped(tmp_path / "plain", scene, model)
    result = mapped(tmp_path, scene, model, min_area="9px", keep_raw=True)
    assert result.files["classes_raw"].name == "classes_raw.tif"
    assert result.files["classes_raw"].read_bytes() == plain.files["classes"].read_bytes()
    left = {p.name for p in (tmp_path / "out").iterdir()}
    assert left == {
        "classes.tif", "classes.tif.aux.xml", "classes_raw.tif", "classes_raw.tif.aux.xml",
        "classes.qml", "confidence.tif", "polygons.gpkg", "item.json", "run.json",
    }  # fmt: skip
    item = json.loads(result.files["item"].read_text())
    assert item["assets"]["classes_raw"]["classification:classes"]
    again = mapped(tmp_path, scene, model, min_area="9px")
    assert "classes_raw" not in again.files
    assert not (tmp_path / "out" / "classes_raw.tif").exists()


@inline
def test_a_sieved_map_without_polygons(tmp_path: Path, scene: Path, model: str) -> None:
    both = mapped(tmp_path / "both", scene, model, min_area="9px")
    alone = mapped(tmp_path, scene, model, min_area="9px", formats=())
    assert alone.n_polygons is None
    assert alone.files["classes"].read_bytes() == both.files["classes"].read_bytes()
    assert [c.px_count for c in alone.classes] == [c.px_count for c in both.classes]


@inline
def test_smooth_polygons_keep_counts_and_areas(tmp_path: Path, scene: Path, model: str) -> None:
    plain = mapped(tmp_path / "plain", scene, model, min_area="9px", smooth=False)
    smooth = mapped(tmp_path, scene, model, min_area="9px", smooth=True)
    tables = [table_of(r) for r in (plain, smooth)]
    assert tables[0].px_count.tolist() == tables[1].px_count.tolist()
    assert tables[1].is_valid.all()
    assert not tables[0].geometry.geom_equals_exact(tables[1].geometry, 1e-9).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"min_area": "9"}, "number with a unit"),
        ({"min_area": "-3px"}, "number with a unit"),
        ({"keep_raw": True}, "there is no --min-area"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    tmp_path: Path, scene: Path, model: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(OptionError, match=says):
        mapped(tmp_path, scene, model, **options)
    assert not (tmp_path / "out").exists()


def test_square_metres_need_a_crs(tmp_path: Path, model: str) -> None:
    scene = write_scene(tmp_path / "b.tif", np.ones((1, 20, 20), np.uint8), crs=None)
    with pytest.raises(OptionError, match="size of a pixel"):
        mapped(tmp_path, scene, model, min_area="9m2")


def test_the_command_has_the_flags(tmp_path: Path, tiny_model: Path) -> None:
    scene = write_scene(
        tmp_path / "s.tif", np.random.default_rng(0).integers(1, 255, (3, 60, 70)).astype(np.uint8)
    )
    code = "from geoseg.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(scene), "--model", str(tiny_model), "--out", "o",
         "--min-area", "12px", "--keep-raw", "--smooth", "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stages = [
        e["stage"] for e in map(json.loads, done.stdout.splitlines()) if e["event"] == "stage"
    ]
    assert stages == ["polygons", "mosaic", "metadata"]
    assert (tmp_path / "o" / "classes_raw.tif").is_file()


def write_all(path: Path, classes: np.ndarray, rows: int) -> None:
    with written_strips(path, classes.shape, rows) as write:
        for strip in strips_of(classes, rows=rows):
            write(strip.window, strip.classes)


def test_a_file_that_does_not_hold_what_was_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geoseg.raster import strips

    classes = blobs((60, 50))
    calm = strips.read_strips

    def lossy(path: Path, rows: int):
        for window, pixels in calm(path, rows):
            yield window, pixels * (window.row_off == 0)

    monkeypatch.setattr(strips, "read_strips", lossy)
    with pytest.raises(OutputError, match="does not hold"):
        write_all(tmp_path / "a.tif", classes, rows=20)


def test_strips_on_a_full_disk(full_disk: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (2000, 1000)).astype(np.uint8)
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_all(full_disk / "a.tif", noise, rows=512)
    assert caught.value.hint
