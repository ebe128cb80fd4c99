"""The fastest setting: measured, kept, used unless something else is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import OptionError, OutOfDeviceMemoryError, OutputError, RunInterruptedError
from geoseg.model.card import ModelCard, read_card
from geoseg.model.device import Device
from geoseg.options import RunOptions
from geoseg.run import tuning
from geoseg.run.events import Event
from geoseg.run.pipeline import run
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


def measured(monkeypatch: pytest.MonkeyPatch, mpx_per_s: dict[str, float]) -> list[str]:
    """Let backends be so fast, 0 for one without the memory, and offer those alone."""
    tried = []

    def measure(_: ModelCard, __: Path, setting: Setting, ___: str) -> Setting:
        tried.append(setting.backend)
        if not mpx_per_s[setting.backend]:
            msg = "no memory"
            raise OutOfDeviceMemoryError(msg)
        return replace(setting, mpx_per_s=mpx_per_s[setting.backend], measured="2026-01-02")

    def choose(name: str, precision: str, card: ModelCard, folder: Path, *, backend: str) -> Device:
        if name != "cpu" or backend not in mpx_per_s:
            raise OptionError(backend)
        return Device(name=name, precision="fp32", backend=backend)

    monkeypatch.setattr(tuning, "_measured", measure)
    monkeypatch.setattr(tuning, "choose_device", choose)
    return tried


def first(card: ModelCard, backend: str) -> Setting:
    device = Device(name="cpu", precision="fp32", backend=backend)
    return replace(automatic_setting(card, device), workers=1, core_px=256)


def test_the_fastest_backend_is_kept(
    card: ModelCard, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = measured(monkeypatch, {"openvino": 2.0, "torch": 8.0})
    found = tune(card, tiny_model, first(card, "openvino"), "cpu")
    assert set(tried) == {"openvino", "torch"}
    assert found.backend == "torch"
    assert stored_setting(card, tiny_model, "cpu") == found
    assert stored_setting(card, tiny_model, "cuda:0") is None
    assert stored_setting(replace(card, halo_px=8), tiny_model, "cpu") is None


def test_what_is_hardly_faster_does_not_change_the_map(
    card: ModelCard, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, {"openvino": 2.0, "torch": 2.1})
    assert tune(card, tiny_model, first(card, "openvino"), "cpu").backend == "openvino"


def test_what_does_not_fit_the_memory_is_left_out(
    card: ModelCard, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, {"openvino": 2.0, "torch": 0.0})
    assert tune(card, tiny_model, first(card, "openvino"), "cpu").backend == "openvino"


def test_forgetting(card: ModelCard, tiny_model: Path) -> None:
    tuning._store(card, "cpu", FOUND)
    assert stored_setting(card, tiny_model, "cpu") == FOUND
    assert forget_setting(card, "cpu")
    assert stored_setting(card, tiny_model, "cpu") is None
    assert not forget_setting(card, "cpu")


@pytest.mark.parametrize(
    "damage",
    [
        {"backend": "abacus"}, {"precision": "fp8"}, {"core_px": 127}, {"workers": 0},
        {"batch_size": 1.5}, {"more": 1}, {"mpx_per_s": "fast"}, {"precision": "fp16"},
        {"batch_size": True}, {"workers": 100_000}, {"backend": "onnxruntime"}, {"measured": 7},
    ],
)  # fmt: skip
def test_a_damaged_note_is_no_note(
    card: ModelCard, tiny_model: Path, damage: dict[str, Any]
) -> None:
    tuning._store(card, "cpu", FOUND)
    path = setting_place(card, "cpu")
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    assert stored_setting(card, tiny_model, "cpu") is None
    path.write_text("{")
    assert stored_setting(card, tiny_model, "cpu") is None


def test_a_cache_that_cannot_be_written_is_one_line(
    card: ModelCard, tiny_model: Path, cache: Path
) -> None:
    cache.write_text("a file")
    with pytest.raises(OutputError, match="cannot keep the setting"):
        tuning._store(card, "cpu", FOUND)
    assert stored_setting(card, tiny_model, "cpu") is None
    assert not forget_setting(card, "cpu")


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


def test_a_run_that_was_stopped_goes_on_after_a_measurement(
    card: ModelCard, tiny_model: Path, tmp_path: Path
) -> None:
    made = options(tmp_path, tiny_model, formats=(), window_px=None)

    def stop(event: Event) -> None:
        if event.kind == "block":
            raise KeyboardInterrupt

    with pytest.raises(RunInterruptedError):
        run(made, stop)
    tuning._store(card, "cpu", FOUND)
    assert make_plan(made).is_measured
    events: list[Event] = []
    run(made, events.append)
    plans = [event for event in events if event.kind == "plan"]
    assert plans[0].blocks_done >= 1


def test_a_setting_whose_backend_has_gone_is_no_setting(card: ModelCard, tiny_model: Path) -> None:
    tuning._store(card, "cpu", replace(FOUND, backend="openvino"))  # there are no programs
    assert stored_setting(card, tiny_model, "cpu") is None
    tuning._store(card, "cpu", replace(FOUND, precision="bf16"))  # the card does not allow it
    assert stored_setting(card, tiny_model, "cpu") is None


def test_the_command_measures_for_real(card: ModelCard, tiny_model: Path) -> None:
    command = [sys.executable, "-P", "-m", "geoseg", "tune", "--model", tiny_model]
    done = subprocess.run(
        [*command, "--device", "cpu", "--json"], capture_output=True, text=True, check=True
    )
    found = stored_setting(card, tiny_model, "cpu")
    assert json.loads(done.stdout)["setting"] == asdict(found)
    assert found.mpx_per_s > 0
    subprocess.run([*command, "--device", "cpu", "--forget"], check=True)
    assert stored_setting(card, tiny_model, "cpu") is None


def test_a_model_that_does_not_run_is_told(
    card: ModelCard, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, {"openvino": 0.0})
    with pytest.raises(OutOfDeviceMemoryError, match="no memory"):
        tune(card, tiny_model, first(card, "openvino"), "cpu")
