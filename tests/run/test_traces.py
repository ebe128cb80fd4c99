"""Outlines traced with their block, committed, and joined at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OutputError
from geoseg.grid.tiling import BlockIndex
from geoseg.options import POLYGON_SUFFIXES, RunOptions
from geoseg.raster.strips import read_strips
from geoseg.run import block as block_module
from geoseg.run import finish, pipeline
from geoseg.run.pipeline import RunResult
from geoseg.run.plan import make_plan
from geoseg.run.store import RunStore
from geoseg.vector.polygons import Strip, write_polygons
from geoseg.vector.trace import BlockTrace
from tests.fakes import IdentityPredictor, Recorder, card_of
from tests.run.exact_runs import mapped
from tests.scenes import read_back, write_scene
from tests.vector.maps import blobs

pytestmark = pytest.mark.usefixtures("inline")
Model = Callable[..., str]
STOP = "stop here"


def patches(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A scene (1, row, col) of values 0 to 2 in patches; 9 is nodata."""
    classes = blobs(shape, seed=seed)
    return np.where(classes == 255, 9, classes)[None].astype(np.uint8)


@pytest.fixture
def model(fake_model: Model) -> str:
    return fake_model(IdentityPredictor((1, 2, 3)), card_of(4))


def by_strips(result: RunResult, scene: Path, model: str, target: Path, **options: Any) -> bytes:
    """The polygons of the finished rasters, read again strip by strip."""
    plan = make_plan(RunOptions(scene=str(scene), model=model, **options))
    classes = read_strips(result.files["classes"], 7)
    confidence = read_strips(result.files["confidence"], 7)
    strips = (
        Strip(window, ids[0], certain[0])
        for (window, ids), (_, certain) in zip(classes, confidence, strict=True)
    )
    write_polygons(
        strips, grid=plan.scene.grid.subgrid(plan.output), legend=plan.card.legend,
        targets=[target], temp_dir=target.parent,
    )  # fmt: skip
    return target.read_bytes()


@pytest.mark.parametrize("name", POLYGON_SUFFIXES)
def test_joined_blocks_equal_strips_byte_for_byte(tmp_path: Path, model: str, name: str) -> None:
    scene = write_scene(tmp_path / "a.tif", patches((70, 90)), nodata=9)
    result = mapped(tmp_path, scene, model, formats=(name,), block_px=32)
    target = tmp_path / f"strips{POLYGON_SUFFIXES[name]}"
    expected = by_strips(result, scene, model, target)
    assert result.files[f"polygons_{name}"].read_bytes() == expected
    assert result.n_polygons
    assert result.n_polygons > 20


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    seed=st.integers(0, 99),
    block_px=st.sampled_from([16, 32, 48, 64]),
)
def test_any_block_size_gives_the_same_file(
    tmp_path_factory: pytest.TempPathFactory, model: str, shape: tuple[int, int], seed: int,
    block_px: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("sizes")
    scene = write_scene(folder / "a.tif", patches(shape, seed), nodata=9)
    result = mapped(folder, scene, model, block_px=block_px)
    expected = by_strips(result, scene, model, folder / "polygons.gpkg")
    assert result.files["polygons_gpkg"].read_bytes() == expected


def test_thin_slices_give_the_same_file(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = write_scene(tmp_path / "a.tif", patches((70, 90)), nodata=9)
    whole = mapped(tmp_path / "whole", scene, model, block_px=32)
    expected = whole.files["polygons_gpkg"].read_bytes()
    monkeypatch.setattr("geoseg.vector.trace._LEAST_ROWS", 5)
    monkeypatch.setattr("geoseg.vector.trace._SLICE_ROW_PX", 7 * 90)
    store = stopped_run(tmp_path, scene, model, monkeypatch, block_px=32)
    second = store.read_trace(BlockIndex(0, 0), 1)
    assert second is not None
    assert (second.window.row_off, second.window.height) == (7, 7)
    store.trace_path(BlockIndex(1, 1)).unlink()
    result = mapped(tmp_path, scene, model, overwrite=False)
    assert result.files["polygons_gpkg"].read_bytes() == expected


def test_an_area_of_interest_is_traced_in_pixels_of_the_output(tmp_path: Path, model: str) -> None:
    scene = write_scene(tmp_path / "a.tif", patches((90, 90)), nodata=9)
    left, top = 321_000.0 + 0.3 * 13, 4_158_000.0 - 0.3 * 21
    aoi = f"{left},{top - 0.3 * 50},{left + 0.3 * 40},{top}"
    result = mapped(tmp_path, scene, model, aoi=aoi, block_px=32)
    assert read_back(result.files["classes"]).shape == (50, 40)
    expected = by_strips(result, scene, model, tmp_path / "s.gpkg", aoi=aoi)
    assert result.files["polygons_gpkg"].read_bytes() == expected


def test_resampled_blocks_are_traced_on_the_scenes_grid(tmp_path: Path, fake_model: Model) -> None:
    card = card_of(4, gsd_m=0.45, gsd_range_m=(0.2, 0.9))
    model = fake_model(IdentityPredictor((1, 2, 3)), card)
    scene = write_scene(tmp_path / "a.tif", patches((80, 100)), nodata=9)
    result = mapped(tmp_path, scene, model, block_px=32)
    expected = by_strips(result, scene, model, tmp_path / "s.gpkg")
    assert result.files["polygons_gpkg"].read_bytes() == expected


def test_blocks_without_a_valid_pixel_leave_no_file_and_no_gap(tmp_path: Path, model: str) -> None:
    pixels = patches((64, 96))
    pixels[:, 16:48, 32:64] = 9
    scene = write_scene(tmp_path / "a.tif", pixels, nodata=9)
    result = mapped(tmp_path, scene, model, block_px=16)
    assert result.totals.empty_blocks == 4
    expected = by_strips(result, scene, model, tmp_path / "s.gpkg")
    assert result.files["polygons_gpkg"].read_bytes() == expected


def test_all_nodata_is_an_empty_layer(tmp_path: Path, model: str) -> None:
    scene = write_scene(tmp_path / "a.tif", np.full((1, 40, 40), 9, np.uint8), nodata=9)
    assert mapped(tmp_path, scene, model, block_px=16).n_polygons == 0


def stopped_run(
    folder: Path, scene: Path, model: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> RunStore:
    """Run all blocks, fail before the results are made; return the store."""
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_finish", lambda *_: (_ for _ in ()).throw(OutputError(STOP)))
        with pytest.raises(OutputError, match=STOP):
            mapped(folder, scene, model, **options)
    return RunStore(folder / "out")


def test_pieces_do_not_depend_on_what_is_asked_of_the_polygons(
    tmp_path: Path, fake_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No polygons at first, then some: nothing is forwarded again, and the file is the same."""
    recorder = Recorder(IdentityPredictor((1, 2, 3)))
    model = fake_model(recorder, card_of(4))
    scene = write_scene(tmp_path / "a.tif", patches((70, 90)), nodata=9)
    calm = mapped(tmp_path / "calm", scene, model, block_px=32)
    store = stopped_run(tmp_path, scene, model, monkeypatch, formats=(), block_px=32)
    assert not list(store.pieces.glob("*.npz"))
    before = recorder.windows
    later = mapped(tmp_path, scene, model, overwrite=False, block_px=32)
    assert recorder.windows == before
    same = [r.files["polygons_gpkg"].read_bytes() for r in (calm, later)]
    assert same[0] == same[1]


@pytest.mark.parametrize("asked", [{"min_area": "9px"}, {"smooth": True}, {"formats": ()}])
def test_an_interrupted_run_is_finished_with_other_polygon_options(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    scene = write_scene(tmp_path / "a.tif", patches((70, 90)), nodata=9)
    calm = mapped(tmp_path / "calm", scene, model, block_px=32, **asked)
    store = stopped_run(tmp_path, scene, model, monkeypatch, block_px=32)
    assert len(list(store.pieces.glob("*.npz"))) == len(list(store.pieces.glob("*.tif")))
    later = mapped(tmp_path, scene, model, overwrite=False, **asked)
    for name, path in later.files.items():
        if name not in ("item", "run"):
            assert path.read_bytes() == calm.files[name].read_bytes(), name


def test_the_trace_is_there_before_the_receipt(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: list[BlockTrace]) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("geoseg.vector.trace.save_traces", full)
    scene = write_scene(tmp_path / "a.tif", patches((40, 40)), nodata=9)
    with pytest.raises(OutputError, match="No space left"):
        mapped(tmp_path, scene, model)
    left = [p.name for p in (tmp_path / "out" / ".geoseg" / "pieces").iterdir()]
    assert [n for n in left if not n.endswith(".tif")] == []


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b[:90] + b"x" + b[91:]])
def test_a_damaged_trace_is_made_again(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    scene = write_scene(tmp_path / "a.tif", patches((40, 40)), nodata=9)
    calm = mapped(tmp_path / "calm", scene, model)
    store = stopped_run(tmp_path, scene, model, monkeypatch)
    for path in store.pieces.glob("*.npz"):
        path.write_bytes(damage(path.read_bytes()))
    again = mapped(tmp_path, scene, model, overwrite=False)
    same = [r.files["polygons_gpkg"].read_bytes() for r in (calm, again)]
    assert same[0] == same[1]


def test_the_finish_reads_no_pixels_for_polygons(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("the finished map was read again")

    for name in ("read_piece", "read_strips", "trace_layers"):
        monkeypatch.setattr(finish, name, never)
    scene = write_scene(tmp_path / "a.tif", patches((40, 70)), nodata=9)
    assert mapped(tmp_path, scene, model, block_px=32).n_polygons


def test_seconds_of_tracing_are_told(tmp_path: Path, model: str) -> None:
    scene = write_scene(tmp_path / "a.tif", patches((40, 70)), nodata=9)
    assert mapped(tmp_path, scene, model).totals.stage_s["trace"] >= 0
    assert block_module.trace_layers is finish.trace_layers
