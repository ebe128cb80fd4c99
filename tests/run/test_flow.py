"""How far stages may run ahead of each other: a slow one keeps memory bounded."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import OutputError, RunInterruptedError, SceneError
from geoseg.model.predictor import LabelBatch, Pixels
from geoseg.options import RunOptions
from geoseg.run import block as block_module
from geoseg.run import finish
from geoseg.run.arrivals import Arrivals
from geoseg.run.pipeline import run
from geoseg.run.plan import make_plan
from tests.fakes import IdentityPredictor, card_of
from tests.scenes import read_back, texture, write_scene

WORKERS = 2
SLOW_S = 0.05
N_BLOCKS = 25
PATIENCE_S = 60.0


class Gauge:
    """Counts how many threads are inside at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.now = self.most = 0

    def __enter__(self) -> None:
        with self._guard:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self.now -= 1


class SlowPredictor(IdentityPredictor):
    """Takes its time, and counts the windows that are in it."""

    def __init__(self, seconds: float) -> None:
        super().__init__((64.0, 128.0))
        self.gauge, self._seconds = Gauge(), seconds

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        with self.gauge:
            time.sleep(self._seconds)
            return super().labels(pixels, crop_px)


def options(folder: Path, model: str, **more: Any) -> RunOptions:
    scene = write_scene(folder / "scene.tif", texture((320, 320))[:1])
    chosen = {"window_px": 64, "block_px": 64, "workers": WORKERS, "formats": (), **more}
    return RunOptions(scene=str(scene), model=model, out=folder / "out", **chosen)


@pytest.mark.parametrize("slow", ["read", "predict", "write"])
def test_a_slow_stage_keeps_few_blocks_in_memory(
    tmp_path: Path,
    fake_model: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    slow: str,
) -> None:
    predictor = SlowPredictor(SLOW_S if slow == "predict" else 0)
    made = options(tmp_path, fake_model(predictor, card_of(3)))
    alive = Gauge()
    run_block, read_block = block_module.run_block, block_module.read_block
    write_piece = block_module.write_piece

    def counted(*args: Any, **kwargs: Any) -> Any:
        with alive:
            return run_block(*args, **kwargs)

    def slowly_read(*args: Any) -> Any:
        time.sleep(SLOW_S if slow == "read" else 0)
        return read_block(*args)

    def slowly_written(*args: Any) -> Any:
        time.sleep(SLOW_S if slow == "write" else 0)
        return write_piece(*args)

    monkeypatch.setattr("geoseg.run.pipeline.run_block", counted)
    monkeypatch.setattr(block_module, "read_block", slowly_read)
    monkeypatch.setattr(block_module, "write_piece", slowly_written)
    run(made)
    in_flight = make_plan(replace(made, overwrite=True)).blocks_in_flight
    assert in_flight == WORKERS + 1
    assert 1 < alive.most <= in_flight
    assert predictor.gauge.most <= WORKERS


class WaitingPredictor(IdentityPredictor):
    """Its n-th call returns only when something else has happened."""

    def __init__(self, call: int) -> None:
        super().__init__((64.0, 128.0))
        self.happened = threading.Event()
        self._call, self._count = call, itertools.count()

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        if next(self._count) == self._call:
            self.happened.wait(PATIENCE_S)
        return super().labels(pixels, crop_px)


def test_a_block_is_read_while_another_is_in_the_network(
    tmp_path: Path, fake_model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = WaitingPredictor(0)
    read_block, reads = block_module.read_block, itertools.count()

    def watched(*args: Any) -> Any:
        if next(reads) == 1:
            predictor.happened.set()
        return read_block(*args)

    monkeypatch.setattr(block_module, "read_block", watched)
    started = time.monotonic()
    run(options(tmp_path, fake_model(predictor, card_of(3)), workers=1))
    assert time.monotonic() - started < PATIENCE_S


def test_how_far_stages_run_ahead_does_not_change_the_map(
    tmp_path: Path, fake_model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fake_model(IdentityPredictor((64.0, 128.0)), card_of(3))
    found = []
    for ahead in (1, 3, 7):
        monkeypatch.setattr("geoseg.run.plan.RunPlan.blocks_in_flight", ahead)
        run(options(tmp_path, model, overwrite=True, formats=("gpkg",)))
        classes = read_back(tmp_path / "out" / "classes.tif")
        found.append(classes)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


# Polygons while blocks are computed --------------------------------------------------------


def test_a_block_is_waited_for_until_the_end() -> None:
    arrivals = Arrivals([1])
    arrivals.wait(1)
    came: list[object] = []

    def ask(block: object) -> None:
        try:
            arrivals.wait(block)
            came.append(block)
        except RunInterruptedError as error:
            came.append(str(error))

    threads = [threading.Thread(target=ask, args=(block,)) for block in (2, 3)]
    for thread in threads:
        thread.start()
    arrivals.add(2)
    threads[0].join()
    assert came == [2]
    arrivals.end()
    threads[1].join()
    assert came == [2, "stopped between two blocks"]
    with pytest.raises(RunInterruptedError):
        arrivals.wait(1)


def test_polygons_are_joined_while_blocks_are_computed(
    tmp_path: Path, fake_model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = WaitingPredictor(N_BLOCKS - 1)
    committed = finish._committed_trace

    def watched(*args: Any) -> Any:
        predictor.happened.set()
        return committed(*args)

    monkeypatch.setattr(finish, "_committed_trace", watched)
    started = time.monotonic()
    run(options(tmp_path, fake_model(predictor, card_of(3)), formats=("gpkg",), workers=1))
    assert time.monotonic() - started < PATIENCE_S


def test_polygons_that_fail_end_the_run_soon(
    tmp_path: Path, fake_model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = SlowPredictor(SLOW_S)
    made = options(tmp_path, fake_model(predictor, card_of(3)), formats=("gpkg",), workers=1)
    calm = finish.write_polygons

    def full(*_: Any, **__: Any) -> Any:
        msg = "no space left on the disk"
        raise OutputError(msg)

    monkeypatch.setattr(finish, "write_polygons", full)
    events: list[str] = []
    with pytest.raises(OutputError, match="no space left"):
        run(made, lambda event: events.append(event.kind))
    assert events.count("block") < N_BLOCKS
    monkeypatch.setattr(finish, "write_polygons", calm)
    assert run(made).n_polygons > 1


def test_blocks_that_fail_leave_no_thread_behind(
    tmp_path: Path, fake_model: Callable[..., str]
) -> None:
    class Fails(SlowPredictor):
        def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
            msg = "broken"
            raise OutputError(msg)

    made = options(tmp_path, fake_model(Fails(0), card_of(3)), formats=("gpkg",))
    before = set(threading.enumerate())
    with pytest.raises(OutputError, match="broken"):
        run(made)
    left = [t for t in threading.enumerate() if t not in before and "polygons" in t.name]
    assert left == []


def test_a_scene_of_more_blocks_than_a_list_can_hold_is_refused_at_once(tmp_path: Path) -> None:
    side = 2**31 - 1
    vrt = tmp_path / "endless.vrt"
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{at}"><ColorInterp>{name}</ColorInterp></VRTRasterBand>'
        for at, name in enumerate(("Red", "Green", "Blue"), 1)
    )
    place = "<SRS>EPSG:32632</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform>"
    vrt.write_text(
        f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}">{place}{bands}</VRTDataset>'
    )
    with pytest.raises(SceneError, match="blocks, expected at most"):
        make_plan(RunOptions(scene=str(vrt), out=tmp_path / "out"))
