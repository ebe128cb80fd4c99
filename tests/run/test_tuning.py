"""The fastest setting: measured, kept, used unless something else is asked for."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import OutOfDeviceMemoryError
from geoseg.model.card import ModelCard, read_card
from geoseg.model.device import Device
from geoseg.model.predictor import LabelBatch, Pixels
from geoseg.options import RunOptions
from geoseg.run import plan as plan_module
from geoseg.run import tuning
from geoseg.run.plan import make_plan
from geoseg.run.tuning import (
    Setting,
    automatic_setting,
    forget_setting,
    setting_place,
    stored_setting,
    tune,
)
from tests.scenes import texture, write_scene

FOUND = Setting(
    backend="torch", precision="fp32", core_px=128, workers=3, batch_size=2, mpx_per_s=7.5,
    measured="2026-01-02",
)  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOSEG_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def card(tiny_model: Path) -> ModelCard:
    return read_card(tiny_model)


class Timed:
    """A predictor that takes so many seconds per megapixel."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        if self._seconds < 0:
            msg = "no memory"
            raise OutOfDeviceMemoryError(msg)
        time.sleep(self._seconds * pixels[:, 0].size / 1e6)
        empty = np.zeros(0, np.uint8)
        return LabelBatch(empty, empty)


def timed(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> list[str]:
    """Let backends take so long, and offer those alone."""
    tried = []

    def load(_: Path, __: ModelCard, device: Device, *, threads: int) -> Timed:
        tried.append(device.backend)
        return Timed(seconds[device.backend])

    def choose(name: str, precision: str, card: ModelCard, folder: Path, *, backend: str) -> Device:
        if backend not in seconds:
            raise tuning.OptionError(backend)
        return Device(name=name, precision="fp32", backend=backend)

    monkeypatch.setattr(tuning, "load_predictor", load)
    monkeypatch.setattr(tuning, "choose_device", choose)
    monkeypatch.setattr(tuning, "_MEASURE_S", 0.05)
    return tried


def first(card: ModelCard, backend: str) -> Setting:
    device = Device(name="cpu", precision="fp32", backend=backend)
    return replace(automatic_setting(card, device), workers=1, core_px=256)


def test_the_fastest_backend_is_kept(
    card: ModelCard, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = timed(monkeypatch, {"openvino": 0.08, "torch": 0.02})
    found = tune(card, tiny_model, first(card, "openvino"), "cpu")
    assert set(tried) == {"openvino", "torch"}
    assert found.backend == "torch"
    assert stored_setting(card, "cpu") == found
    assert stored_setting(card, "cuda:0") is None
    assert stored_setting(replace(card, halo_px=8), "cpu") is None


def test_what_is_hardly_faster_does_not_change_the_map(
    card: ModelCard, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, {"openvino": 0.105, "torch": 0.1})
    assert tune(card, tiny_model, first(card, "openvino"), "cpu").backend == "openvino"


def test_what_does_not_fit_the_memory_is_left_out(
    card: ModelCard, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, {"openvino": 0.05, "torch": -1.0})
    assert tune(card, tiny_model, first(card, "openvino"), "cpu").backend == "openvino"


def test_forgetting(card: ModelCard) -> None:
    tuning._store(card, "cpu", FOUND)
    assert stored_setting(card, "cpu") == FOUND
    assert forget_setting(card, "cpu")
    assert stored_setting(card, "cpu") is None
    assert not forget_setting(card, "cpu")


@pytest.mark.parametrize(
    "damage",
    [
        {"backend": "abacus"}, {"precision": "fp8"}, {"core_px": 127}, {"workers": 0},
        {"batch_size": 1.5}, {"more": 1},
    ],
)  # fmt: skip
def test_a_damaged_note_is_no_note(card: ModelCard, damage: dict[str, Any]) -> None:
    tuning._store(card, "cpu", FOUND)
    path = setting_place(card, "cpu")
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    assert stored_setting(card, "cpu") is None
    path.write_text("{")
    assert stored_setting(card, "cpu") is None


def test_a_cache_that_cannot_be_written_is_no_error(card: ModelCard, cache: Path) -> None:
    cache.write_text("a file")
    tuning._store(card, "cpu", FOUND)
    assert stored_setting(card, "cpu") is None


# The plan -------------------------------------------------------------------------------


def options(tmp_path: Path, model: Path, **more: Any) -> RunOptions:
    scene = write_scene(tmp_path / "scene.tif", texture((2100, 2100)))
    return RunOptions(
        scene=str(scene), model=str(model), out=tmp_path / "out", device="cpu", **more
    )


def test_the_plan_uses_what_was_measured(card: ModelCard, tiny_model: Path, tmp_path: Path) -> None:
    before = make_plan(options(tmp_path, tiny_model))
    assert "automatic" in before.setting_text
    tuning._store(card, "cpu", FOUND)
    plan = make_plan(options(tmp_path, tiny_model))
    assert plan.device == Device(name="cpu", precision="fp32", backend="torch")
    assert (plan.workers, plan.batch_size) == (3, 2)
    assert plan.tiling.core_height_px <= 128
    assert "measured here 2026-01-02: 7.50 Mpx/s" in plan.setting_text


def test_flags_win(card: ModelCard, tiny_model: Path, tmp_path: Path) -> None:
    tuning._store(card, "cpu", FOUND)
    plan = make_plan(options(tmp_path, tiny_model, workers=1, batch_size=4, window_px=480))
    assert (plan.workers, plan.batch_size) == (1, 4)
    assert plan.tiling.core_height_px > 128
    other = make_plan(options(tmp_path, tiny_model, precision="fp32"))
    assert other.batch_size == 1
    assert "automatic" in other.setting_text


def test_large_scenes_are_measured_before(
    card: ModelCard, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(plan_module, "_WORTH_TUNING_PX", 1_000_000)
    monkeypatch.setattr(plan_module, "tuned_in_child", lambda *a: asked.append(a[2]) or FOUND)
    assert make_plan(options(tmp_path, tiny_model)).workers == 3
    assert asked == ["cpu"]
    make_plan(options(tmp_path, tiny_model, backend="torch"))
    assert asked == ["cpu"]


def test_the_command_measures_for_real_and_a_child_does_it_too(
    card: ModelCard, tiny_model: Path
) -> None:
    found = tuning.tuned_in_child(card, tiny_model, "cpu")
    assert found == stored_setting(card, "cpu")
    assert found.mpx_per_s > 0


def test_a_child_that_fails_is_no_error(card: ModelCard, tmp_path: Path) -> None:
    assert tuning.tuned_in_child(card, tmp_path / "nothing", "cpu") is None
