"""What a process keeps between blocks and runs: models by identity, limits by run."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import ModelError, OutOfDeviceMemoryError
from geoseg.grid.window import Window
from geoseg.model.card import read_card
from geoseg.model.device import Device
from geoseg.model.exporting import with_programs
from geoseg.model.predictor import LabelBatch, Pixels
from geoseg.model.program_predictor import ProgramPredictor
from geoseg.options import RunOptions
from geoseg.run import engine
from geoseg.run.device_limits import DeviceLimits
from geoseg.run.events import Event
from geoseg.run.pipeline import run
from geoseg.run.plan import RunPlan, make_plan
from tests.fakes import IdentityPredictor, Recorder, SmallDevicePredictor, card_of
from tests.scenes import read_back, texture, write_scene

Model = Callable[..., str]


def options(folder: Path, scene: Path, model: str, **more: Any) -> RunOptions:
    chosen = {"formats": (), "workers": 2, "out": folder / "out", "overwrite": True, **more}
    return RunOptions(scene=str(scene), model=model, **chosen)


# Limits ---------------------------------------------------------------------------------


def test_threads_that_fail_at_once_halve_once() -> None:
    limits = DeviceLimits(16)
    together = threading.Barrier(8)

    def fail(_: int) -> None:
        together.wait()
        limits.halve_batch(16)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(8)))
    assert limits.batch_size == 8
    assert limits.news() == ("the device has no memory for 16 windows at a time; going on with 8",)
    assert limits.news() == ()
    limits.halve_batch(8)
    limits.halve_batch(8)
    assert (limits.batch_size, len(limits.news())) == (4, 1)


def test_a_batch_of_one_and_a_window_once_refused_stay() -> None:
    limits = DeviceLimits(1)
    limits.halve_batch(1)
    assert (limits.batch_size, limits.news()) == (1, ())
    assert limits.found().as_json() == {
        "batch_size_planned": 1, "batch_size": 1, "largest_window_px": None,
    }  # fmt: skip
    for _ in range(2):
        limits.refuse_window(Window(0, 0, 40, 30))
    (told,) = limits.news()
    assert "a window of 30 x 40 px" in told
    assert limits.found().as_json()["largest_window_px"] == 1199
    limits.refuse_window(Window(0, 0, 20, 30))
    assert limits.window_px == 599


class OnceSmall(Recorder):
    """A device that has no room for two windows until ``grow`` is called."""

    def __init__(self, n_classes: int) -> None:
        super().__init__(IdentityPredictor(tuple(range(1, n_classes))))
        self.room = 1

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        if len(pixels) > self.room:
            msg = "no memory"
            raise OutOfDeviceMemoryError(msg)
        return super().labels(pixels, crop_px)


def test_what_a_run_learnt_ends_with_it(tmp_path: Path, fake_model: Model) -> None:
    """A neighbour's job may have filled the device; the next run tries again."""
    scene = write_scene(tmp_path / "a.tif", texture((90, 100), bands=1))
    predictor = OnceSmall(3)
    chosen = options(tmp_path, scene, fake_model(predictor, card_of(3)), window_px=30, batch_size=4)
    events: list[Event] = []
    learnt = json.loads(run(chosen, events.append).files["run"].read_text())["device_limits"]
    assert learnt == {"batch_size_planned": 4, "batch_size": 1, "largest_window_px": None}
    assert len([e for e in events if e.kind == "warning"]) == 2
    predictor.room, predictor.batches = 4, []
    again = json.loads(run(chosen).files["run"].read_text())["device_limits"]
    assert {shape[0] for shape in predictor.shapes} == {4}
    assert again["batch_size"] == 4


def test_two_runs_in_one_process_do_not_stop_each_other(plan: RunPlan, tmp_path: Path) -> None:
    other = replace(plan, out=tmp_path / "other")
    assert other.digest == plan.digest
    engine.begin_run(plan)
    engine.begin_run(other)
    reader = engine.load_engine(other).reader
    assert engine.load_engine(plan).reader is not reader
    engine.request_stop(plan)
    engine.end_run(plan)
    assert not engine.stop_requested(other)
    assert engine.load_engine(other).reader is reader
    engine.end_run(other)


def test_a_late_block_of_a_killed_client_lends_its_scene_to_nobody(plan: RunPlan) -> None:
    """It loads the model while the next client begins to map the same scene, of other bands."""
    other = replace(plan, bands=plan.bands * 2)
    assert (other.out, other.digest != plan.digest) == (plan.out, True)
    with engine.taking_part(plan), engine.taking_part(other):
        late = engine.load_engine(plan).reader
        assert engine.load_engine(other).reader is not late
        engine.request_stop(plan)
        assert not engine.stop_requested(other)
    for each in (plan, other):
        engine.end_run(each)


def test_a_window_that_reaches_beyond_the_scene_is_split_like_any_other(
    tmp_path: Path, fake_model: Model
) -> None:
    """Of its halves one may hold no pixel of the scene; it was taken for too small to split."""
    pixels = texture((33, 16), bands=1)
    mask = np.ones((33, 16), bool)
    mask[:24] = False  # only the last window is forwarded: 24 rows from row 24, 9 of them real
    scene = write_scene(tmp_path / "a.tif", pixels, mask=mask)
    device = SmallDevicePredictor(IdentityPredictor((60, 120)), 32 * 32)
    model = fake_model(device, card_of(3, stride_px=8, halo_px=8))
    # With seams, whose windows are never trimmed to the pixels that matter.
    result = run(options(tmp_path, scene, model, window_px=48, batch_size=1, seams=True))
    assert device.refused == 1
    expected = np.searchsorted([60, 120], pixels[0], side="right")
    np.testing.assert_array_equal(read_back(result.files["classes"]), np.where(mask, expected, 255))


# Models ---------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path: Path, fake_model: Model) -> RunPlan:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50), bands=1))
    return make_plan(options(tmp_path, scene, fake_model(IdentityPredictor((9,)), card_of(2))))


CHANGES = {
    "network": lambda c: replace(
        c, network=replace(c.network, arguments=(("decoder_use_norm", {"type": "layernorm"}),))
    ),
    "encoder": lambda c: replace(c, network=replace(c.network, encoder="resnet34")),
    "weights": lambda c: replace(c, weights_sha256="0" * 64),
    "value range": lambda c: replace(c, value_range=(0.0, 10_000.0)),
    "temperature": lambda c: replace(c, temperature=2.0),
}


def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    made: list[object] = []
    monkeypatch.setattr(
        "geoseg.model.torch_predictor.load_predictor", lambda *_: made.append(object()) or made[-1]
    )
    return made


@pytest.mark.parametrize("what", CHANGES)
def test_models_that_differ_are_not_taken_for_each_other(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    made = loads(monkeypatch)
    other = replace(plan, card=CHANGES[what](plan.card))
    found = [engine.load_model(p) for p in (plan, other, plan, other)]
    assert len(made) == 2
    assert found == made * 2


def test_devices_and_precisions_have_a_model_each_and_batches_share_one(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loads(monkeypatch)
    for name, precision in (("cpu", "fp32"), ("cpu", "bf16"), ("cuda:0", "fp32")):
        engine.load_model(replace(plan, device=Device(name=name, precision=precision)))
    assert len(made) == 3
    engine.load_model(replace(plan, batch_size=7, out=plan.out / "other"))
    assert len(made) == 3


# Prepared -------------------------------------------------------------------------------


class PreparedPredictor(IdentityPredictor):
    """Notes what it was prepared for, and fails at it."""

    def __init__(self) -> None:
        super().__init__((90,))
        self.asked: list[int | None] = []
        self.told = threading.Event()

    def prepare(self, crop_px: int | None) -> None:
        self.asked.append(crop_px)
        self.told.set()
        msg = "what goes wrong here, the first block meets again"
        raise MemoryError(msg)


@pytest.mark.parametrize(
    "layer", [{}, {"halo_px": 3}, {"seams": True}, {"scores": True}, {"stitch": "blend"}]
)
def test_a_model_is_prepared_for_what_the_run_asks_of_it(
    tmp_path: Path, fake_model: Model, layer: dict[str, Any]
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50), bands=1))
    predictor = PreparedPredictor()
    model = fake_model(predictor, card_of(2, halo_px=2))
    run(options(tmp_path, scene, model, **layer))
    assert predictor.told.wait(10)
    assert predictor.asked == [layer.get("halo_px", None if layer else 2)]
    assert (tmp_path / "out" / "classes.tif").is_file()


def test_a_program_is_compiled_for_the_crop_that_comes(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "m"))
    card = with_programs(read_card(folder), folder)
    device = Device(name="cpu", precision="fp32", backend="openvino")
    for crop_px, kind in ((card.halo_px, "labels"), (card.halo_px + 8, "scores"), (None, "scores")):
        predictor = ProgramPredictor(folder, card, device, 1)
        predictor.prepare(crop_px)
        assert list(predictor._runs) == [kind]
        if crop_px is not None:
            predictor.labels(texture((160, 160))[None], crop_px)
        assert list(predictor._runs) == [kind]


def test_a_run_can_be_ended_while_its_model_is_loaded(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def load(*_: object) -> object:
        begun.set()
        assert go_on.wait(30)
        msg = "no such weights"
        raise ModelError(msg)

    monkeypatch.setattr("geoseg.model.torch_predictor.load_predictor", load)
    engine._models.clear()
    engine.begin_run(plan)
    engine.prepare_model(plan)
    assert begun.wait(30)
    engine.request_stop(plan)
    engine.end_run(plan)
    go_on.set()
    # What failed beforehand fails again where it counts.
    with pytest.raises(ModelError, match="no such weights"):
        engine.load_model(plan)


def test_nothing_is_prepared_where_all_blocks_are_there(
    tmp_path: Path, fake_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50), bands=1))
    predictor = PreparedPredictor()
    given = options(tmp_path, scene, fake_model(predictor, card_of(2)), overwrite=False)
    with monkeypatch.context() as patch:
        patch.setattr(
            "geoseg.run.pipeline.write_rasters", lambda *_: (_ for _ in ()).throw(OSError)
        )
        with pytest.raises(OSError):  # noqa: PT011 - the one above
            run(given)
    assert predictor.told.wait(10)
    predictor.asked.clear()
    run(given)
    assert predictor.asked == []
