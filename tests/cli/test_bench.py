"""``geoseg bench``: one run, and the bare network beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.options import RunOptions
from geoseg.run.bench import bench
from tests.cli.conftest import Answer
from tests.scenes import texture, write_scene

Command = Callable[..., Answer]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene.tif", texture((300, 400)))


def test_the_report_adds_up(scene: Path, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = RunOptions(scene=str(scene), model=str(model_folder), out=out, gsd_m=1.0)
    found = bench(made, limit_s=0.2)
    record = json.loads((out / "run.json").read_text())
    assert found.valid_mpx == pytest.approx(0.12)
    assert found.mpx_per_s == pytest.approx(found.valid_mpx / found.elapsed_s, rel=0.02, abs=6e-4)
    # Both speeds are rounded, and low where the machine is busy.
    assert found.of_limit == pytest.approx(found.mpx_per_s / found.limit_mpx_per_s, rel=0.1)
    assert found.redundancy == pytest.approx(record["forwarded_px"] / 120_000, rel=1e-3)
    assert 0 < found.busy_share <= 1
    assert found.stage_s["predict"] == record["seconds"]["blocks_all_workers"]["predict"]
    assert set(found.stage_s) >= {"read", "predict", "stitch", "write", "trace", "polygons"}
    assert found.peak_host_bytes > 50e6
    assert found.peak_device_bytes is None


def test_it_prints_a_table_and_leaves_nothing(
    geoseg: Command, scene: Path, model_folder: Path, tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir())
    done = geoseg("bench", scene, "--model", model_folder, "--limit-seconds", "0.2")
    assert done.code == 0, done.err
    for word in ("file to file", "of the limit", "redundancy", "busy", "memory"):
        assert word in done.out
    assert set(tmp_path.iterdir()) == before


def test_json_is_one_event(geoseg: Command, scene: Path, model_folder: Path) -> None:
    done = geoseg("bench", scene, "--model", model_folder, "--limit-seconds", "0.2", "--json")
    found = json.loads(done.out)
    assert found["event"] == "bench"
    assert found["limit_mpx_per_s"] > 0
    assert found["backend"] in {"openvino", "onnxruntime", "torch"}


def test_what_is_wrong_is_one_line(geoseg: Command, tmp_path: Path) -> None:
    done = geoseg("bench", tmp_path / "nothing.tif")
    assert done.code == 1
    assert len(done.err.splitlines()) <= 2
