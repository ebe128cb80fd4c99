"""``geoseg train`` as a process: it tells, it is killed, it goes on, it leaves nothing half-done."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Started

ROOT = Path(__file__).parents[2]
SCENE = ROOT / "sample_tiles" / "town.tif"
POLYGONS = ROOT / "sample_tiles" / "labels" / "town_buildings.geojson"
QUICK = (
    "--labels", str(POLYGONS), "--steps", "40", "--batch-size", "2", "--chip-px", "64",
    "--threads", "1", "--precision", "fp32", "--device", "cpu", "--name", "buildings", "--json",
)  # fmt: skip

Geoseg = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., Started]


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_it_goes_on_to_the_same_weights(
    tmp_path: Path, start: Start, geoseg: Geoseg, how: signal.Signals
) -> None:
    whole = geoseg("train", SCENE, "--out", tmp_path / "whole", *QUICK)
    assert whole.returncode == 0, whole.stderr
    told = events(whole.stdout)
    assert told[0]["event"] == "train"
    assert told[-1]["event"] == "trained"
    assert set(told[-1]["accuracy"]) == {"validation", "test"}
    child = start("train", SCENE, "--out", tmp_path / "parts", *QUICK)
    child.wait_for("batch", 25)
    child.send(how)
    code, _ = child.end()
    assert code == (130 if how is signal.SIGTERM else -signal.SIGKILL)
    assert not (tmp_path / "parts").exists()
    again = geoseg("train", SCENE, "--out", tmp_path / "parts", *QUICK)
    assert again.returncode == 0, again.stderr
    split = next(e for e in events(again.stdout) if e["event"] == "split")
    assert 20 <= split["steps_done"] < 40
    one, other = (tmp_path / name / "model.safetensors" for name in ("whole", "parts"))
    assert one.read_bytes() == other.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts", "whole"]


def test_other_settings_do_not_go_on_with_an_unfinished_training(
    tmp_path: Path, start: Start, geoseg: Geoseg
) -> None:
    child = start("train", SCENE, "--out", tmp_path / "m", *QUICK)
    child.wait_for("batch", 3)
    child.send(signal.SIGTERM)
    child.end()
    other = geoseg("train", SCENE, "--out", tmp_path / "m", *QUICK, "--loss", "focal")
    assert other.returncode == 1
    assert "unfinished run with other settings" in other.stderr
    assert "--overwrite" in other.stderr


def test_wrong_words_are_one_line_and_no_traceback(tmp_path: Path, geoseg: Geoseg) -> None:
    for words, says in (
        (["--loss", "mse"], "is no loss"),
        (["--split", "70,30"], "three shares"),
        (["--split", "50,50,50"], "add up to 100"),
        (["--arch", "gpt"], "gpt"),
        (["--column", "kind"], "no column 'kind'"),
    ):
        found = geoseg("train", SCENE, "--labels", POLYGONS, "--out", tmp_path / "m", *words)
        assert found.returncode in {1, 2}
        assert says in found.stderr
        assert "Traceback" not in found.stderr
        assert not list(tmp_path.iterdir())
