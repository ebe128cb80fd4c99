"""A real network and the real cluster: shapes, places and what the files say."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pyproj
import pystac
import pytest
import rasterio
from affine import Affine

from geoseg.errors import BlocksFailedError, OutputError, RunInterruptedError, SceneReadError
from geoseg.model.card import ModelCard
from geoseg.options import RunOptions
from geoseg.run.events import Event
from geoseg.run.pipeline import RunResult, run
from geoseg.run.publish import RESULT_NAMES
from geoseg.run.store import RunStore
from tests.fakes import IdentityPredictor, card_of
from tests.scenes import NORTH_UP, texture, write_scene


def mapped(scene: Path, model: Path | str, out: Path, **options: Any) -> RunResult:
    return run(RunOptions(scene=str(scene), model=str(model), out=out, **options))


WINDOW = 128  # of the tiny model with its halo of 48 px
SHAPES = [
    (1, 1), (1, 2), (2, 1), (5, 7), (WINDOW - 97, WINDOW - 97), (31, 32), (32, 32), (33, 32),
    (WINDOW - 1, WINDOW), (WINDOW, WINDOW), (WINDOW + 1, WINDOW), (3, 5000), (5000, 3),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape_simply_works(
    tmp_path: Path, tiny_model: Path, tiny_card: ModelCard, shape: tuple[int, int]
) -> None:
    pixels = texture(shape, low=1)
    pixels[:, 0, 0] = 0 if shape != (1, 1) else 7
    scene = write_scene(tmp_path / "이름 with spaces.tif", pixels, nodata=0)
    long = {} if max(shape) < 1000 else {"window_px": 256}
    window_px = long.get("window_px", WINDOW)
    out = tmp_path / "결과 out"
    result = mapped(scene, tiny_model, out, window_px=window_px, simplify="0")
    valid = (pixels != 0).all(axis=0)
    with rasterio.open(result.files["classes"]) as dataset:
        found = dataset.read(1)
        assert dataset.shape == shape
        assert dataset.transform == NORTH_UP
        assert dataset.crs.to_epsg() == 32652
        assert dataset.nodata == 255
    np.testing.assert_array_equal(found == 255, ~valid)
    assert set(np.unique(found[valid])) <= set(tiny_card.legend.ids)
    check_books(result, found)


def check_books(result: RunResult, classes: np.ndarray) -> None:
    """Counts, areas and polygons of a result agree with its class raster."""
    record = json.loads(result.files["run"].read_text())
    found = record["result"]
    assert found["output_px"] == classes.size
    assert found["valid_px"] == int((classes != 255).sum())
    frame = geopandas.read_file(result.files["polygons_gpkg"], layer="polygons")
    assert len(frame) == found["polygons"] == result.n_polygons
    for entry in found["classes"]:
        count = int((classes == entry["class_id"]).sum())
        mine = frame[frame["class_id"] == entry["class_id"]]
        assert entry["px_count"] == count == mine["px_count"].sum()
        assert entry["share"] == pytest.approx(count / max(found["valid_px"], 1), abs=1e-6)
        if entry["area_m2"] is not None:
            assert entry["area_m2"] == pytest.approx(mine["area_m2"].sum(), abs=0.02)
            # 0.3 m pixels of UTM far from its meridian: scale 0.9999 to 1.0001
            assert entry["area_m2"] == pytest.approx(count * 0.09, rel=2e-3)
        if len(mine) and frame.crs is not None:
            assert mine.area.sum() == pytest.approx(count * 0.09, rel=1e-6)
    assert frame.is_valid.all()


def test_a_strip_of_fifty_thousand_pixels(tmp_path: Path, fake_model: Callable[..., str]) -> None:
    pixels = texture((3, 50_000), bands=1)
    scene = write_scene(tmp_path / "a.tif", pixels)
    model = fake_model(IdentityPredictor((100, 160)), card_of(3, halo_px=16))
    result = mapped(scene, model, tmp_path / "out", formats=())
    with rasterio.open(result.files["classes"]) as dataset:
        np.testing.assert_array_equal(dataset.read(1), np.digitize(pixels[0], [100, 160]))


def test_all_nodata_is_an_empty_valid_map_and_layer(tmp_path: Path, tiny_model: Path) -> None:
    scene = write_scene(tmp_path / "a.tif", np.zeros((3, 70, 80), np.uint8), nodata=0)
    every = ("gpkg", "flatgeobuf", "geoparquet", "geojson")
    result = mapped(scene, tiny_model, tmp_path / "out", formats=every)
    with rasterio.open(result.files["classes"]) as dataset:
        assert (dataset.read(1) == 255).all()
    assert len(geopandas.read_file(result.files["polygons_gpkg"], layer="polygons")) == 0
    assert len(geopandas.read_parquet(result.files["polygons_geoparquet"])) == 0
    assert json.loads(result.files["polygons_geojson"].read_text())["features"] == []
    assert result.totals.windows == 0


@pytest.mark.parametrize("transform", [None, Affine(2, 0, 100, 0, -2, 50)])
def test_no_crs_is_allowed_with_a_warning_and_areas_in_pixels(
    tmp_path: Path, tiny_model: Path, transform: Affine | None
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)), crs=None, transform=transform)
    events: list[Event] = []
    options = RunOptions(scene=str(scene), model=str(tiny_model), out=tmp_path / "out")
    result = run(options, events.append)
    told = [e.message for e in events if e.kind == "warning"]
    assert len(told) == 1
    assert "no CRS" in told[0]
    with rasterio.open(result.files["classes"]) as dataset:
        assert dataset.crs is None
        assert dataset.transform == (transform or Affine.identity())
    assert all(s.area_m2 is None for s in result.classes)
    item = json.loads(result.files["item"].read_text())
    assert item["geometry"] is None
    check_item(result)


def check_item(result: RunResult) -> dict[str, Any]:
    """STAC 1.1 core by pystac's own schemas; assets are there and have their digests."""
    data = json.loads(result.files["item"].read_text())
    item = pystac.Item.from_dict(data)
    declared = data["stac_extensions"]
    item.stac_extensions = []  # their schemas are on the network
    item.validate()
    prefixes = {key.split(":")[0] for key in data["properties"] if ":" in key}
    named = {url.split("/")[3] for url in declared}
    assert prefixes - {"geoseg"} <= {"proj"} | named
    assert {"projection", "classification", "processing", "file", "raster"} <= named
    for asset in data["assets"].values():
        path = result.out / asset["href"]
        assert path.stat().st_size == asset["file:size"]
        assert asset["file:checksum"] == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert any(link["href"].endswith("card.json") for link in data["links"]), "no link to the model"
    return data


PLACES = {
    "EPSG:32652": Affine(0.3, 0, 321_000, 0, -0.3, 4_158_000),
    "EPSG:4326": Affine(3e-6, 0, 127.0, 0, -3e-6, 37.5),
    "EPSG:3857": Affine(0.3, 0, 14_137_000, 0, -0.3, 4_509_000),
}


@pytest.mark.parametrize("crs", PLACES)
def test_the_item_says_where_the_map_lies(tmp_path: Path, tiny_model: Path, crs: str) -> None:
    t = PLACES[crs]
    scene = write_scene(tmp_path / "a.tif", texture((60, 90)), crs=crs, transform=t)
    item = check_item(mapped(scene, tiny_model, tmp_path / "out"))
    assert item["properties"]["proj:code"] == crs
    assert item["properties"]["proj:shape"] == [60, 90]
    assert item["properties"]["proj:transform"] == pytest.approx(list(t)[:6])
    to_lonlat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    corners = [t @ p for p in ((0, 0), (90, 0), (90, 60), (0, 60))]
    lons, lats = to_lonlat.transform(*zip(*corners, strict=True))
    box = [min(lons), min(lats), max(lons), max(lats)]
    assert item["bbox"] == pytest.approx(box, abs=1e-7)
    ring = np.array(item["geometry"]["coordinates"][0])
    assert (ring[0] == ring[-1]).all()
    centred = ring - ring[0]
    turn = centred[:-1, 0] @ centred[1:, 1] - centred[1:, 0] @ centred[:-1, 1]
    assert turn > 0, "the outline is not counter-clockwise"


def test_styles_and_layers_agree(tmp_path: Path, tiny_model: Path, tiny_card: ModelCard) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((60, 90)))
    result = mapped(scene, tiny_model, tmp_path / "out", scores=True, seams=True)
    check_item(result)
    palette = {
        int(e.get("value", -1)): (e.get("label"), e.get("color"))
        for e in ET.fromstring(result.files["style"].read_text()).iter("paletteEntry")
    }
    assert palette == {c.class_id: (c.name, c.colour) for c in tiny_card.legend}
    with closing(sqlite3.connect(result.files["polygons_gpkg"])) as database:
        styles = database.execute("SELECT f_table_name, useAsDefault, styleQML FROM layer_styles")
        rows = styles.fetchall()
    assert [(name, default) for name, default, _ in rows] == [("polygons", 1)]
    ET.fromstring(rows[0][2])
    with rasterio.open(result.files["scores"]) as dataset:
        scores = dataset.read().astype(int)
        assert dataset.descriptions == tuple(f"score of {c.name}" for c in tiny_card.legend)
    assert np.abs(scores.sum(axis=0) - 250).max() <= 2
    with rasterio.open(result.files["confidence"]) as dataset:
        np.testing.assert_array_equal(dataset.read(1), scores.max(axis=0))
    with rasterio.open(result.files["classes"]) as dataset:
        agree = dataset.read(1) == np.array(tiny_card.legend.ids)[scores.argmax(axis=0)]
    assert agree.mean() > 0.99  # equal but where two classes tie after rounding
    assert {p.name for p in result.out.iterdir()} == {p.name for p in result.files.values()} | {
        "classes.tif.aux.xml"
    }


def test_workers_and_blocks_of_a_real_network_give_the_same_bytes(
    tmp_path: Path, tiny_model: Path
) -> None:
    pixels = texture((200, 260), low=1)
    pixels[:, 60:90, 100:180] = 0
    scene = write_scene(tmp_path / "a.tif", pixels, nodata=0)
    found = []
    for number, more in enumerate(
        ({"workers": 1}, {"workers": 3, "block_px": 40}, {"workers": 2, "block_px": 90})
    ):
        result = mapped(scene, tiny_model, tmp_path / str(number), window_px=160, **more)
        found.append(
            {n: p.read_bytes() for n, p in result.files.items() if n not in ("item", "run")}
        )
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_a_call_stopped_by_ctrl_c_can_be_repeated_in_the_same_process(
    tmp_path: Path, tiny_model: Path
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((200, 260)))
    options = RunOptions(
        scene=str(scene), model=str(tiny_model), out=tmp_path / "out", window_px=160, block_px=64
    )

    def stop(event: Event) -> None:
        if event.kind == "block":
            raise KeyboardInterrupt

    with pytest.raises(RunInterruptedError) as caught:
        run(options, stop)
    assert caught.value.exit_code == 130
    assert not [n for n in RESULT_NAMES if (tmp_path / "out" / n).exists()]
    assert run(options).out == tmp_path / "out"


LOCAL_CRS = (
    'ENGCRS["site",EDATUM["the tower"],CS[Cartesian,2],'
    'AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
)
MOON_CRS = "+proj=eqc +lat_ts=0 +lat_0=0 +lon_0=0 +x_0=0 +y_0=0 +R=1737400 +units=m +no_defs"


@pytest.mark.parametrize("crs", [LOCAL_CRS, MOON_CRS], ids=["local", "moon"])
def test_a_scene_that_is_nowhere_on_earth(tmp_path: Path, tiny_model: Path, crs: str) -> None:
    """The map keeps the CRS; the item has no place on Earth to tell, as STAC allows."""
    transform = Affine(0.3, 0, 100, 0, -0.3, 200)
    scene = write_scene(tmp_path / "a.tif", texture((90, 70)), crs=crs, transform=transform)
    result = mapped(scene, tiny_model, tmp_path / "out", window_px=WINDOW)
    with rasterio.open(result.files["classes"]) as dataset, rasterio.open(scene) as source:
        assert dataset.crs == source.crs
        assert dataset.transform == transform
    item = json.loads(result.files["item"].read_text())
    assert item["geometry"] is None
    assert "bbox" not in item
    pystac.Item.from_dict({**item, "stac_extensions": []}).validate()  # core schemas, offline
    frame = geopandas.read_file(result.files["polygons_gpkg"], layer="polygons")
    assert frame["area_m2"].sum() == pytest.approx(90 * 70 * 0.09, rel=0.01)


def test_ctrl_c_does_not_wait_for_the_end_of_a_block(
    tmp_path: Path, fake_model: Callable[..., str]
) -> None:
    """One block of many windows: after Ctrl-C in the first, no more than a few follow."""

    class Interrupting(IdentityPredictor):
        windows = 0

        def labels(self, pixels: Any, crop_px: int) -> Any:
            self.windows += 1
            if self.windows == 1:
                signal.raise_signal(signal.SIGINT)  # reaches the main thread, as Ctrl-C does
            time.sleep(0.02)
            return super().labels(pixels, crop_px)

    scene = write_scene(tmp_path / "a.tif", texture((400, 400), bands=1))
    predictor = Interrupting((100,))
    model = fake_model(predictor, card_of(2))
    with pytest.raises(RunInterruptedError):
        mapped(scene, model, tmp_path / "out", window_px=8, block_px=400, workers=1, batch_size=1)
    assert predictor.windows < 600
    again = mapped(scene, model, tmp_path / "out", window_px=8, block_px=400, workers=1)
    assert again.totals.windows == 2500


def test_ctrl_c_after_the_files_have_their_names_comes_too_late(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    remove, calls = RunStore.remove, []

    def interrupted(store: RunStore) -> None:
        calls.append(store)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(store)

    monkeypatch.setattr(RunStore, "remove", interrupted)
    result = mapped(scene, tiny_model, tmp_path / "out")
    assert result.files["classes"].exists()
    assert not RunStore(tmp_path / "out").folder.exists()


def test_what_a_run_left_that_was_killed_at_its_very_end_goes_when_it_is_repeated(
    tmp_path: Path, tiny_model: Path
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    mapped(scene, tiny_model, tmp_path / "out")
    store = RunStore(tmp_path / "out")
    store.pieces.mkdir(parents=True)
    (store.pieces / "r00000_c00000.tif").write_bytes(b"left over")
    with pytest.raises(OutputError, match="holds results already"):
        mapped(scene, tiny_model, tmp_path / "out", min_area="50 m2")
    assert store.pieces.exists(), "not those of another run"
    with pytest.raises(OutputError, match="holds results already"):
        mapped(scene, tiny_model, tmp_path / "out")
    assert not store.folder.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux for names of files")
def test_content_is_on_disk_before_its_name_and_the_record_last(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut may leave a record beside empty files."""
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    fsync, replace, acts = os.fsync, os.replace, []

    def recorded_fsync(number: int) -> None:
        acts.append(("sync", str(Path(f"/proc/self/fd/{number}").readlink())))
        fsync(number)

    def recorded_replace(source: Path, target: Path) -> None:
        acts.append(("name", str(source)))
        replace(source, target)
        acts.append(("named", str(target)))

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    out = tmp_path / "out"
    result = mapped(scene, tiny_model, out)
    for place, (act, path) in enumerate(acts):
        assert act != "name" or ("sync", path) in acts[:place], path
    last = [path for act, path in acts if act == "named" and Path(path).parent == out]
    assert last[-1] == str(result.files["run"])
    assert set(last) >= {str(path) for path in result.files.values()}
    record = acts.index(("named", last[-1]))
    assert acts[acts.index(("named", last[-2])) + 1] == ("sync", str(out))
    assert acts[record + 1] == ("sync", str(out))


def test_a_truncated_piece_is_made_again(tmp_path: Path, tiny_model: Path) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((96, 200)))
    options = RunOptions(
        scene=str(scene), model=str(tiny_model), out=tmp_path / "out",
        window_px=WINDOW, block_px=32, workers=1,
    )  # fmt: skip

    def stop(event: Event) -> None:
        if event.kind == "block" and event.as_json()["blocks_done"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(RunInterruptedError):
        run(options, stop)
    piece = min((tmp_path / "out" / ".geoseg" / "pieces").glob("*.tif"))
    piece.write_bytes(piece.read_bytes()[:-100])
    found = run(options).files["classes"].read_bytes()
    calm = run(replace(options, out=tmp_path / "calm")).files["classes"].read_bytes()
    assert found == calm


def test_a_block_that_fails_once_is_tried_again(
    tmp_path: Path, fake_model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from geoseg.run import cluster, pipeline

    monkeypatch.setattr(cluster, "_BACKOFF_S", 0.01)
    scene = write_scene(tmp_path / "a.tif", texture((60, 80), bands=1))
    model = fake_model(IdentityPredictor((100,)), card_of(2))
    real, guard, tries = pipeline.run_block, threading.Lock(), {}

    def shaky(plan: Any, block: Any, **more: Any) -> Any:
        with guard:
            tries[block] = tries.get(block, 0) + 1
            bad = block == (0, 1) and tries[block] <= limit[0]
        if bad:
            msg = "cannot read rows 0-19: the network is gone"
            raise SceneReadError(msg)
        return real(plan, block, **more)

    monkeypatch.setattr(pipeline, "run_block", shaky)
    more = {"window_px": 20, "block_px": 20, "formats": ()}
    limit = [2]
    assert mapped(scene, model, tmp_path / "once", **more).totals.valid_px == 60 * 80
    assert tries.pop((0, 1)) == 3
    assert set(tries.values()) == {1}
    limit[0] = 99
    tries.clear()
    with pytest.raises(BlocksFailedError, match=r"1 of 12 blocks failed.*network is gone"):
        mapped(scene, model, tmp_path / "never", **more)
    assert tries[(0, 1)] == 3
    limit[0] = 0
    tries.clear()
    mapped(scene, model, tmp_path / "never", **more)
    assert tries == {(0, 1): 1}, "only the failed block is done again"


@pytest.mark.shared_data
def test_a_real_scene_with_an_internal_mask(
    tmp_path: Path, shared_data: Path, tiny_model: Path
) -> None:
    found = sorted(shared_data.rglob("dubai_tiles_7_8_rgb.tif"))
    if not found:
        pytest.skip("dubai_tiles_7_8_rgb.tif is not among the real scenes")
    with rasterio.open(found[0]) as dataset:
        row, col = dataset.height // 2, dataset.width // 2
        left, top = dataset.transform @ (col, row)
        right, bottom = dataset.transform @ (col + 300, row + 250)
        window = rasterio.windows.Window(col, row, 300, 250)
        valid = dataset.dataset_mask(window=window) != 0
        transform = dataset.window_transform(window)
    aoi = f"{left!r},{bottom!r},{right!r},{top!r}"
    result = mapped(found[0], tiny_model, tmp_path / "out", aoi=aoi, bands=("1", "2", "3"))
    with rasterio.open(result.files["classes"]) as dataset:
        assert dataset.transform.almost_equals(transform, 1e-9)
        np.testing.assert_array_equal(dataset.read(1) != 255, valid)
