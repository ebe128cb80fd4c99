"""``geoseg vectorise``: real files in, polygons out, through the command and through Python."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from geopandas import GeoDataFrame
from rasterio.features import rasterize, shapes
from shapely.geometry import shape as as_shape

import geoseg as library
from geoseg.errors import OutputError
from geoseg.options import RunOptions, VectoriseOptions
from geoseg.run import vectorise as vectorise_module
from geoseg.run.class_estimate import estimate_classes
from geoseg.run.class_plan import make_class_plan
from geoseg.run.events import Event
from geoseg.vector.sieve import sieve
from tests.e2e.conftest import Started
from tests.scenes import NORTH_UP, texture, write_scene
from tests.vector.maps import blobs, strips_of

Geoseg = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., Started]
PIXEL_M2 = 0.3 * 0.3


def write_classes(path: Path, classes: np.ndarray, **profile: object) -> Path:
    return write_scene(path, classes[None], **{"nodata": 255, **profile})


def table_of(path: Path) -> GeoDataFrame:
    if path.suffix == ".parquet":
        return geopandas.read_parquet(path)
    return geopandas.read_file(path, **({"layer": "polygons"} if path.suffix == ".gpkg" else {}))


def drawn(table: GeoDataFrame, shape: tuple[int, int], fill: int = 255) -> np.ndarray:
    pairs = list(zip(table.geometry, table.class_id, strict=True))
    return rasterize(pairs, shape, fill=fill, transform=NORTH_UP, dtype="int32")


def normal_forms(pairs: list[tuple[shapely.Geometry, int]]) -> list[tuple[int, str]]:
    """Polygons without the points on straight edges and without an order."""
    return sorted(
        (int(i), shapely.normalize(shapely.set_precision(shapely.simplify(g, 0), 1e-6)).wkt)
        for g, i in pairs
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_gdals_polygonise(tmp_path: Path, seed: int) -> None:
    classes = blobs((130, 170), seed=seed)
    raster = write_classes(tmp_path / "c.tif", classes)
    result = library.vectorise(raster, out=tmp_path / "map.gpkg", simplify="0", block_px=64)
    table = table_of(tmp_path / "map.gpkg")
    expected = [
        (as_shape(geometry), int(value))
        for geometry, value in shapes(classes, mask=classes != 255, transform=NORTH_UP)
    ]
    found = list(zip(table.geometry, table.class_id, strict=True))
    assert normal_forms(found) == normal_forms(expected)
    assert result.n_polygons == len(expected)
    np.testing.assert_array_equal(drawn(table, classes.shape), classes)


def test_areas_are_pixels_on_the_ground(tmp_path: Path) -> None:
    classes = blobs((60, 80))
    raster = write_classes(tmp_path / "c.tif", classes)
    result = library.vectorise(raster, out=tmp_path / "map.gpkg")
    table = table_of(tmp_path / "map.gpkg")
    for row in result.classes:
        px = int((classes == row.class_id).sum())
        assert row.px_count == px
        assert row.area_m2 == pytest.approx(px * PIXEL_M2, rel=2e-3)
        assert table.px_count[table.class_id == row.class_id].sum() == px
    assert sum(row.share for row in result.classes) == pytest.approx(1)


@pytest.mark.parametrize("name", ["map.gpkg", "map.fgb", "map.parquet", "map.geojson"])
def test_blocks_and_workers_do_not_change_a_byte(tmp_path: Path, name: str) -> None:
    raster = write_classes(
        tmp_path / "c.tif", blobs((100, 140)), tiled=True, blockxsize=16, blockysize=16
    )
    found = set()
    for i, (block_px, workers) in enumerate([(None, 1), (32, 2), (48, 1), (17, 2)]):
        (tmp_path / str(i)).mkdir()
        target = tmp_path / str(i) / name
        library.vectorise(raster, out=target, block_px=block_px, workers=workers)
        found.add(hashlib.sha256(target.read_bytes()).hexdigest())
        assert [p.name for p in target.parent.iterdir()] == [name]
    assert len(found) == 1


def test_thin_slices_do_not_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raster = write_classes(tmp_path / "c.tif", blobs((100, 140)))
    library.vectorise(raster, out=tmp_path / "whole.fgb")
    monkeypatch.setattr("geoseg.vector.trace._LEAST_ROWS", 5)
    monkeypatch.setattr("geoseg.vector.trace._SLICE_ROW_PX", 7 * 140)
    library.vectorise(raster, out=tmp_path / "sliced.fgb", block_px=48)
    assert (tmp_path / "sliced.fgb").read_bytes() == (tmp_path / "whole.fgb").read_bytes()


def test_several_outputs_and_formats_at_once(tmp_path: Path) -> None:
    raster = write_classes(tmp_path / "c.tif", blobs((50, 60)))
    (tmp_path / "other").mkdir()
    out = (tmp_path / "a.gpkg", tmp_path / "other" / "b.parquet")
    result = library.vectorise(raster, out=out, formats=("geojson",))
    assert result.files == (*out, tmp_path / "a.geojson")
    assert {len(table_of(p)) for p in result.files} == {result.n_polygons}


def test_minimum_area_is_the_sieved_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    classes = blobs((80, 90))
    classes[(rng.random(classes.shape) < 0.03) & (classes != 255)] = 4
    raster = write_classes(tmp_path / "c.tif", classes)
    library.vectorise(raster, out=tmp_path / "map.gpkg", simplify="0", min_area="6px", block_px=32)
    expected = np.concatenate([s.classes for s in sieve(lambda: strips_of(classes), min_px=6)])
    table = table_of(tmp_path / "map.gpkg")
    np.testing.assert_array_equal(drawn(table, classes.shape), expected)
    assert table.px_count.min() >= 6
    library.vectorise(raster, out=tmp_path / "b.gpkg", simplify="0", min_area=f"{5.5 * PIXEL_M2}m2")
    assert (tmp_path / "b.gpkg").read_bytes() == (tmp_path / "map.gpkg").read_bytes()


def test_the_map_of_a_run_gives_the_polygons_of_the_run(tmp_path: Path, tiny_model: Path) -> None:
    from geoseg.run.pipeline import run

    pixels = texture((150, 170), low=1)
    pixels[:, :20, :30] = 0
    scene = write_scene(tmp_path / "s.tif", pixels, nodata=0)
    done = run(RunOptions(scene=str(scene), model=str(tiny_model), out=tmp_path / "o", workers=1))
    result = library.vectorise(
        done.files["classes"], out=tmp_path / "map.gpkg", confidence=str(done.files["confidence"])
    )
    assert (tmp_path / "map.gpkg").read_bytes() == done.files["polygons_gpkg"].read_bytes()
    assert [(c.class_id, c.name, c.colour) for c in result.legend] == [
        (1, "지붕", "#c02020"), (2, "road & yard", "#808080"), (7, "green", "#20c020"),
    ]  # fmt: skip


# Names and colours ----------------------------------------------------------------------


def test_colours_come_from_the_table_and_names_from_the_values(tmp_path: Path) -> None:
    classes = np.array([[0, 1, 7], [7, 7, 9]], np.uint8)
    raster = write_classes(tmp_path / "c.tif", classes, nodata=0)
    with rasterio.open(raster, "r+") as dataset:
        dataset.write_colormap(1, {1: (255, 0, 0, 255), 7: (0, 16, 32, 255), 9: (9, 9, 9, 0)})
    legend = library.vectorise(raster, out=tmp_path / "map.gpkg").legend
    assert [(c.class_id, c.name) for c in legend] == [
        (1, "class 1"),
        (7, "class 7"),
        (9, "class 9"),
    ]
    assert [c.colour for c in legend][:2] == ["#ff0000", "#001020"]
    assert legend.nodata_id == 0
    assert len({c.colour for c in legend}) == 3
    assert set(table_of(tmp_path / "map.gpkg").class_name) == {"class 1", "class 7", "class 9"}


def test_category_names_are_the_classes(tmp_path: Path) -> None:
    raster = write_classes(tmp_path / "c.tif", np.array([[1, 2, 3, 4]], np.uint8))
    names = ["", "Wasser", "Wald", "Wald"]
    raster.with_suffix(".tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><CategoryNames>'
        + "".join(f"<Category>{n}</Category>" for n in names)
        + "</CategoryNames></PAMRasterBand></PAMDataset>",
        encoding="utf-8",
    )
    legend = library.vectorise(raster, out=tmp_path / "map.gpkg").legend
    assert [c.name for c in legend] == ["Wasser", "Wald", "Wald (3)", "class 4"]


def test_every_value_of_a_byte_has_a_colour_of_its_own(tmp_path: Path) -> None:
    raster = write_classes(tmp_path / "c.tif", np.arange(255, dtype=np.uint8).reshape(15, 17))
    legend = library.vectorise(raster, out=tmp_path / "map.fgb").legend
    assert len({c.colour for c in legend}) == 255


def test_a_legend_of_the_users(tmp_path: Path, geoseg: Geoseg) -> None:
    write_classes(tmp_path / "c.tif", np.array([[1, 2, 2, 255]], np.uint8))
    done = geoseg(
        "vectorise", "c.tif", "--out", "m.gpkg", "--legend", "1:water:#0000ff,2:wood:#00ff00", "-q"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(table_of(tmp_path / "m.gpkg").class_name) == ["water", "wood"]


# Odd but good input ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "uint32"])
def test_small_numbers_of_any_integer_type(tmp_path: Path, dtype: str) -> None:
    classes = blobs((40, 50))
    wide = classes.astype(dtype)
    wide[classes == 255] = 30_000
    raster = write_scene(tmp_path / "c.tif", wide[None], nodata=30_000)
    library.vectorise(raster, out=tmp_path / "map.gpkg", simplify="0")
    table = table_of(tmp_path / "map.gpkg")
    np.testing.assert_array_equal(drawn(table, classes.shape), classes)


@pytest.mark.parametrize("nodata", [None, 70_000, -5])
@pytest.mark.parametrize("min_area", [None, "3px"])
def test_large_and_negative_class_ids(
    tmp_path: Path, nodata: int | None, min_area: str | None
) -> None:
    values = np.array([-7, 0, 1000, 70_000, 2**31 - 1], np.int32)
    classes = values[np.kron(np.arange(20).reshape(4, 5) % 5, np.ones((4, 4), int))]
    classes[0, 0] = -5
    raster = write_scene(tmp_path / "c.tif", classes[None], nodata=nodata)
    result = library.vectorise(raster, out=tmp_path / "map.gpkg", simplify="0", min_area=min_area)
    known = set(np.unique(classes).tolist()) - {nodata}
    if min_area and nodata != -5:
        classes[0, 0] = classes[0, 1]
    expected = np.where(classes == nodata, 255, classes) if nodata else classes
    table = table_of(tmp_path / "map.gpkg")
    np.testing.assert_array_equal(drawn(table, classes.shape), expected)
    assert {c.class_id for c in result.legend} == known
    assert set(table.class_name) <= {f"class {i}" for i in known}


@pytest.mark.parametrize("min_area", [None, "3px"])
@pytest.mark.parametrize("nodata", [None, 9])
def test_a_byte_may_be_255(tmp_path: Path, nodata: int | None, min_area: str | None) -> None:
    classes = blobs((30, 40))
    raster = write_classes(tmp_path / "c.tif", classes, nodata=nodata)
    result = library.vectorise(raster, out=tmp_path / "map.gpkg", simplify="0", min_area=min_area)
    assert result.classes[-1].class_id == 255
    table = table_of(tmp_path / "map.gpkg")
    strips = sieve(
        lambda: strips_of(classes.astype(np.int32)), min_px=3 if min_area else 1, nodata_id=-1
    )
    np.testing.assert_array_equal(drawn(table, (30, 40), -1), next(iter(strips)).classes)


def test_a_mask_a_nodata_flag_and_a_chosen_band(tmp_path: Path) -> None:
    bands = np.stack([np.zeros((20, 30)), blobs((20, 30), nodata=False)]).astype(np.uint8)
    mask = np.ones((20, 30), bool)
    mask[:5] = False
    raster = write_scene(tmp_path / "c.tif", bands, mask=mask)
    library.vectorise(raster, out=tmp_path / "map.gpkg", simplify="0", band=2, nodata=1)
    expected = np.where(mask & (bands[1] != 1), bands[1], 255)
    np.testing.assert_array_equal(drawn(table_of(tmp_path / "map.gpkg"), (20, 30)), expected)


def test_zero_is_a_class_where_the_file_says_nothing(tmp_path: Path) -> None:
    raster = write_classes(tmp_path / "c.tif", np.zeros((4, 5), np.uint8), nodata=None)
    assert library.vectorise(raster, out=tmp_path / "map.gpkg").classes[0].px_count == 20


def test_all_nodata_is_an_empty_layer(tmp_path: Path) -> None:
    raster = write_classes(tmp_path / "c.tif", np.full((30, 30), 255, np.uint8))
    result = library.vectorise(raster, out=tmp_path / "map.gpkg", block_px=16)
    assert result.n_polygons == 0
    assert len(table_of(tmp_path / "map.gpkg")) == 0


def test_without_a_crs_areas_are_pixels_and_it_is_said(tmp_path: Path, geoseg: Geoseg) -> None:
    write_classes(tmp_path / "c.tif", blobs((20, 20)), crs=None, transform=None)
    done = geoseg("vectorise", "c.tif", "--out", "m.gpkg")
    assert done.returncode == 0
    assert "warning:" in done.stderr
    assert "has no CRS" in done.stderr
    table = table_of(tmp_path / "m.gpkg")
    assert table.area_m2.isna().all()
    assert table.px_count.sum() == (blobs((20, 20)) != 255).sum()


@pytest.mark.parametrize(
    ("stored", "nodata"), [("uint8", 255), ("float32", None), ("uint16", None)]
)
def test_confidence_in_the_forms_that_people_store(
    tmp_path: Path, stored: str, nodata: float | None
) -> None:
    classes = np.array([[1, 1, 2, 2]], np.uint8)
    real = np.array([[0.2, 0.4, 0.8, 1.0]])
    factor = {"uint8": 250, "float32": 1, "uint16": 10_000}[stored]
    pixels = (real * factor).astype(stored)
    raster = write_classes(tmp_path / "c.tif", classes)
    confidence = write_scene(tmp_path / "p.tif", pixels[None], nodata=nodata)
    if stored == "uint16":
        with rasterio.open(confidence, "r+") as dataset:
            dataset.scales = (1 / factor,)
    library.vectorise(raster, out=tmp_path / "m.gpkg", confidence=str(confidence))
    table = table_of(tmp_path / "m.gpkg").set_index("class_id")
    assert table.confidence_mean.to_dict() == pytest.approx({1: 0.3, 2: 0.9}, abs=1e-4)


def test_simplified_dissolved_reprojected(tmp_path: Path) -> None:
    raster = write_classes(tmp_path / "c.tif", blobs((60, 60)))
    exact = library.vectorise(raster, out=tmp_path / "exact.parquet", simplify="0")
    fewer = library.vectorise(raster, out=tmp_path / "fewer.parquet", simplify="1px")
    assert exact.n_polygons == fewer.n_polygons
    few, all_ = (
        shapely.get_num_coordinates(table_of(r.files[0]).geometry.values).sum()
        for r in (fewer, exact)
    )
    assert few < all_
    whole = library.vectorise(raster, out=tmp_path / "d.parquet", dissolve=True, crs="EPSG:4326")
    table = table_of(whole.files[0])
    assert len(table) == whole.n_polygons == len(np.unique(blobs((60, 60)))) - 1
    assert table.crs.to_epsg() == 4326
    assert sum(c.px_count for c in whole.classes) == sum(c.px_count for c in exact.classes)


# A person's work ------------------------------------------------------------------------


def test_events_and_closing_table(tmp_path: Path, geoseg: Geoseg) -> None:
    write_classes(tmp_path / "c.tif", blobs((64, 64)), tiled=True, blockxsize=16, blockysize=16)
    done = geoseg("vectorise", "c.tif", "--out", "m.gpkg", "--block-px", "32", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [e["event"] for e in events]
    assert kinds == ["vectorise", *["block"] * 4, "stage", "finished"]
    assert events[-2]["stage"] == "polygons"
    assert events[-1]["files"] == {"m.gpkg": str(tmp_path / "m.gpkg")}
    again = geoseg("vectorise", "c.tif", "--out", "m.gpkg", "--overwrite")
    assert again.stdout.strip() == str(tmp_path / "m.gpkg")
    assert "class 1" in again.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.tif", "m.gpkg"]


def test_dry_run_writes_nothing_and_is_about_right(tmp_path: Path, geoseg: Geoseg) -> None:
    raster = write_classes(tmp_path / "c.tif", blobs((700, 700)))
    done = geoseg("vectorise", "c.tif", "--out", "m.gpkg", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "blocks" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["c.tif"]
    options = VectoriseOptions(raster=str(raster), out=(tmp_path / "m.gpkg",))
    found = estimate_classes(make_class_plan(options))
    library.vectorise(raster, out=tmp_path / "m.gpkg")
    size = (tmp_path / "m.gpkg").stat().st_size
    assert size <= found.disk_bytes < 3 * size
    told = geoseg("vectorise", "c.tif", "--out", "n.gpkg", "--dry-run", "--json")
    assert json.loads(told.stdout)["event"] == "estimate"


def test_killed_and_resumed_gives_the_same_bytes(
    tmp_path: Path, start: Start, geoseg: Geoseg
) -> None:
    raster = write_classes(tmp_path / "c.tif", np.tile(blobs((256, 256)), (4, 4)),
                           tiled=True, blockxsize=16, blockysize=16)  # fmt: skip
    library.vectorise(raster, out=tmp_path / "calm.gpkg")
    command = (
        "vectorise",
        raster,
        "--out",
        "m.gpkg",
        "--block-px",
        "64",
        "--workers",
        "1",
        "--json",
    )
    for event, count in (("block", 20), ("stage", 1)):
        process = start(*command)
        process.wait_for(event, count)
        process.send(signal.SIGKILL)
        assert process.end()[0] == -signal.SIGKILL
        assert not (tmp_path / "m.gpkg").exists()
    done = geoseg(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["blocks_done"] == 256
    assert (tmp_path / "m.gpkg").read_bytes() == (tmp_path / "calm.gpkg").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.tif", "calm.gpkg", "m.gpkg"]


def test_stopped_politely_and_finished_with_other_polygon_options(
    tmp_path: Path, start: Start, geoseg: Geoseg
) -> None:
    raster = write_classes(tmp_path / "c.tif", np.tile(blobs((256, 256)), (4, 4)),
                           tiled=True, blockxsize=16, blockysize=16)  # fmt: skip
    command = (
        "vectorise",
        raster,
        "--out",
        "m.gpkg",
        "--block-px",
        "64",
        "--workers",
        "1",
        "--json",
    )
    process = start(*command)
    process.wait_for("block", 10)
    process.send(signal.SIGINT)
    code, errors = process.end()
    assert code == 130
    assert errors.splitlines()[0].startswith("geoseg: stopped after ")
    other = geoseg(
        *command, "--smooth", "--legend", "0:a:#000000,1:b:#110000,2:c:#220000,3:d:#330000"
    )
    assert other.returncode == 0, other.stderr
    assert json.loads(other.stdout.splitlines()[0])["blocks_done"] >= 10
    library.vectorise(raster, out=tmp_path / "calm.gpkg", smooth=True)
    assert len(table_of(tmp_path / "calm.gpkg")) == len(table_of(tmp_path / "m.gpkg"))


def test_a_damaged_trace_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raster = write_classes(tmp_path / "c.tif", blobs((50, 60)))
    library.vectorise(raster, out=tmp_path / "calm.gpkg")

    def stop(*_: object) -> None:
        msg = "stop here"
        raise OutputError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(vectorise_module, "_write", stop)
        with pytest.raises(OutputError, match="stop here"):
            library.vectorise(raster, out=tmp_path / "m.gpkg")
    (trace,) = (tmp_path / ".m.gpkg.geoseg" / "pieces").glob("*.npz")
    trace.write_bytes(trace.read_bytes()[:200])
    events: list[Event] = []
    library.vectorise(raster, out=tmp_path / "m.gpkg", progress=events.append)
    assert events[0].as_json()["blocks_done"] == 1
    assert (tmp_path / "m.gpkg").read_bytes() == (tmp_path / "calm.gpkg").read_bytes()


def test_another_raster_does_not_continue_an_unfinished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        msg = "stop here"
        raise OutputError(msg)

    one, two = (write_classes(tmp_path / f"{i}.tif", blobs((20, 20 + i))) for i in (1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(vectorise_module, "_write", stop)
        with pytest.raises(OutputError, match="stop here"):
            library.vectorise(one, out=tmp_path / "m.gpkg")
    with pytest.raises(OutputError, match="unfinished run with other settings"):
        library.vectorise(two, out=tmp_path / "m.gpkg")
    assert library.vectorise(two, out=tmp_path / "m.gpkg", overwrite=True).n_polygons


# Bad input ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What is wrong, and what the one line says about it."""

    says: str
    args: tuple[str, ...] = ()
    prepare: Callable[[Path], object] = lambda _: None
    raster: str = "c.tif"
    out: str = "m.gpkg"
    hint: bool = True


def other_grid(folder: Path) -> None:
    shifted = NORTH_UP @ Affine.translation(0.5, 0)
    write_scene(folder / "p.tif", np.zeros((1, 30, 40), np.uint8), transform=shifted)


CASES = {
    "missing": Case("there is no file", raster="none.tif"),
    "not a raster": Case("cannot open", raster="t.tif", prepare=lambda f: (f / "t.tif").write_text("hi")),
    "float": Case(
        "float32 values, expected whole", raster="f.tif",
        prepare=lambda f: write_scene(f / "f.tif", np.zeros((1, 9, 9), np.float32)),
    ),
    "too many classes": Case(
        "more than a class id", raster="w.tif",
        prepare=lambda f: write_scene(f / "w.tif", np.full((1, 9, 9), 4_000_000_000, np.uint32)),
    ),
    "several bands": Case(
        "has 3 bands", raster="b.tif",
        prepare=lambda f: write_scene(f / "b.tif", np.zeros((3, 9, 9), np.uint8)),
    ),
    "no such band": Case("has no band 2", args=("--band", "2")),
    "missing confidence": Case("there is no file", args=("--confidence", "p.tif")),
    "size of confidence": Case(
        "does not fit", args=("--confidence", "p.tif"),
        prepare=lambda f: write_scene(f / "p.tif", np.zeros((1, 9, 9), np.uint8)),
    ),
    "place of confidence": Case("0.50 pixels off", args=("--confidence", "p.tif"), prepare=other_grid),
    "CRS of confidence": Case(
        "another CRS", args=("--confidence", "p.tif"),
        prepare=lambda f: write_scene(f / "p.tif", np.zeros((1, 30, 40), np.uint8), crs=None),
    ),
    "confidence of 3": Case(
        "the confidence 3", args=("--confidence", "p.tif"),
        prepare=lambda f: write_scene(f / "p.tif", np.full((1, 30, 40), 3, np.float32)),
    ),
    "confidence without scale": Case(
        "without a scale", args=("--confidence", "p.tif"),
        prepare=lambda f: write_scene(f / "p.tif", np.full((1, 30, 40), 3, np.int16)),
    ),
    "format": Case("unknown polygon format '.shp'", out="m.shp"),
    "existing": Case("is there already", prepare=lambda f: (f / "m.gpkg").write_text("mine")),
    "folder": Case("is a folder", prepare=lambda f: (f / "m.gpkg").mkdir()),
    "no folder": Case("there is no folder", out="nowhere/m.gpkg"),
    "legend": Case("--legend", args=("--legend", "nonsense")),
    "class not in legend": Case("does not name", args=("--legend", "1:a:#000000")),
    "area": Case("number with a unit", args=("--min-area", "12")),
    "tolerance": Case("number with a unit", args=("--simplify", "12")),
    "nodata": Case("is no value of uint8", args=("--nodata", "700"), hint=False),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_line_exit_code_1_and_nothing_half_written(
    tmp_path: Path, geoseg: Geoseg, name: str
) -> None:
    case = CASES[name]
    write_classes(tmp_path / "c.tif", blobs((30, 40)))
    case.prepare(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    found = geoseg("vectorise", case.raster, "--out", case.out, *case.args, "--quiet")
    assert found.returncode == 1, found.stderr
    assert found.stdout == ""
    lines = found.stderr.strip().splitlines()
    assert lines[0].startswith("geoseg: ")
    assert case.says in lines[0], found.stderr
    assert len(lines) == 1 + case.hint, found.stderr
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_a_full_disk_leaves_no_output(tmp_path: Path, full_disk: Path, geoseg: Geoseg) -> None:
    noise = np.random.default_rng(0).integers(0, 5, (400, 400)).astype(np.uint8)
    raster = write_classes(tmp_path / "c.tif", noise)
    found = geoseg("vectorise", raster, "--out", full_disk / "m.gpkg", "--quiet")
    assert found.returncode == 1
    lines = found.stderr.strip().splitlines()
    assert len(lines) == 2, found.stderr
    assert lines[0].startswith("geoseg: ")
    assert not (full_disk / "m.gpkg").exists()


def test_a_damaged_raster_is_reported_with_its_blocks(tmp_path: Path, geoseg: Geoseg) -> None:
    raster = write_classes(tmp_path / "c.tif", blobs((64, 64)), compress="deflate", tiled=True,
                           blockxsize=16, blockysize=16)  # fmt: skip
    with rasterio.open(raster) as dataset:
        at = int(dataset.get_tag_item("BLOCK_OFFSET_2_2", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_2_2", "TIFF", bidx=1))
    data = bytearray(raster.read_bytes())
    data[at : at + size] = b"\xff" * size
    raster.write_bytes(data)
    found = geoseg("vectorise", raster, "--out", "m.gpkg", "--block-px", "16", "--quiet")
    assert found.returncode == 1
    lines = found.stderr.strip().splitlines()
    assert "blocks failed" in lines[0]
    assert len(lines) == 2, found.stderr
    assert not (tmp_path / "m.gpkg").exists()
