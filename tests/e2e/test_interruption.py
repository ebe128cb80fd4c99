"""Killed, stopped, damaged, repeated: the same command ends with the same bytes."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.run.publish import RESULT_NAMES
from tests.e2e.conftest import Started
from tests.scenes import texture, write_scene

Geoseg = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., Started]
SAME = ("classes.tif", "classes.tif.aux.xml", "confidence.tif", "polygons.gpkg", "classes.qml")
SAMPLES = Path(__file__).resolve().parents[2] / "sample_tiles"
NEVER_PUBLISHES = (
    "import time; from geoseg.run import pipeline; pipeline.publish = lambda *_: time.sleep(600); "
)
"""The last moments of a run made long: who is to kill it then may be slow."""
FINE = ("--window-px", "160", "--block-px", "64", "--workers", "2", "--json")


def final_files(out: Path) -> list[str]:
    return [name for name in RESULT_NAMES if (out / name).exists()]


def digests(out: Path) -> dict[str, str]:
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in SAME}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = texture((512, 640), low=1)
    pixels[:, :100, :80] = 0
    return write_scene(
        tmp_path_factory.mktemp("scene") / "장면 1.tif", pixels, nodata=0,
        tiled=True, blockxsize=64, blockysize=64,
    )  # fmt: skip


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, scene: Path, tiny_model: Path
) -> dict[str, str]:
    """Digests of a run that nothing disturbed."""
    from geoseg.options import RunOptions
    from geoseg.run.pipeline import run

    out = tmp_path_factory.mktemp("calm") / "out"
    run(RunOptions(scene=str(scene), model=str(tiny_model), out=out, window_px=160, workers=1))
    return digests(out)


def test_killed_again_and_again_and_resumed(
    tmp_path: Path, scene: Path, tiny_model: Path, start: Start, geoseg: Geoseg,
    expected: dict[str, str],
) -> None:  # fmt: skip
    """SIGKILL after some blocks, then while the results are being made, then let it end."""
    command = ("run", scene, "--model", tiny_model, "--out", "out", *FINE)
    for event, count in (("block", 5), ("block", 9), ("stage", 2)):
        process = start(*command, before=NEVER_PUBLISHES)
        process.wait_for(event, count)
        process.send(signal.SIGKILL)
        assert process.end()[0] == -signal.SIGKILL
        assert final_files(tmp_path / "out") == []
    done = geoseg(*command)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout.splitlines()[0])
    assert plan["blocks_done"] >= 14, "finished blocks were done again"
    assert digests(tmp_path / "out") == expected
    assert not (tmp_path / "out" / ".geoseg").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_politely(
    tmp_path: Path, scene: Path, tiny_model: Path, start: Start, geoseg: Geoseg,
    expected: dict[str, str], number: signal.Signals,
) -> None:  # fmt: skip
    command = ("run", scene, "--model", tiny_model, "--out", "out", *FINE)
    process = start(*command)
    process.wait_for("block", 4)
    process.send(number)
    code, errors = process.end()
    assert code == 130
    lines = errors.strip().splitlines()
    assert len(lines) == 2, errors
    assert lines[0].startswith("geoseg: stopped after ")
    assert "Repeat the same command" in lines[1]
    assert final_files(tmp_path / "out") == []
    done = geoseg(*command[:-1], "--quiet", "--block-px", "200")  # another block size is no matter
    assert (done.returncode, done.stderr) == (0, "")
    assert digests(tmp_path / "out") == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_keep_coming_are_one_wish(
    scene: Path, tiny_model: Path, start: Start, number: signal.Signals
) -> None:
    """A second one does not cut off what the first began, nor the words that tell of it."""
    process = start("run", scene, "--model", tiny_model, "--out", "out", *FINE)
    process.wait_for("block", 4)
    while process.is_running():
        process.send(number)
        time.sleep(0.005)
    code, errors = process.end()
    assert code == 130
    lines = errors.strip().splitlines()
    assert len(lines) == 2, errors
    assert lines[0].startswith("geoseg: stopped after ")


def test_stops_when_the_program_that_started_it_ends(tmp_path: Path) -> None:
    """Closing standard input is what the death of a parent does, on every system."""
    # Large enough not to be through before a busy machine lets this test close the pipe.
    with rasterio.open(SAMPLES / "town.tif") as town:
        pixels, crs, transform = np.tile(town.read(), (1, 3, 3)), str(town.crs), town.transform
    large = write_scene(tmp_path / "large.tif", pixels, crs=crs, transform=transform, tiled=True)
    command = [sys.executable, "-m", "geoseg", "--stop-at-eof", "run", str(large)]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out"), *FINE], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    events = (json.loads(line) for line in process.stdout)
    block = next(e for e in events if e.get("piece"))
    row, col, height, width = block["window"]
    with rasterio.open(block["piece"]) as piece:
        assert piece.shape == (height, width)
        assert Path(block["piece"]).stem == f"r{row // height:05d}_c{col // width:05d}"
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.startswith("geoseg: stopped after ")


def test_a_second_run_on_one_output_is_refused(
    tmp_path: Path, scene: Path, tiny_model: Path, start: Start, geoseg: Geoseg,
    expected: dict[str, str],
) -> None:  # fmt: skip
    command = ("run", scene, "--model", tiny_model, "--out", "out", *FINE)
    first = start(*command)
    first.wait_for("block")
    first.send(signal.SIGSTOP)  # or it might be done before the second has started
    second = geoseg(*command, "--overwrite")
    first.send(signal.SIGCONT)
    assert second.returncode == 1
    assert second.stderr.splitlines()[0].startswith("geoseg: another geoseg run is writing to")
    code, errors = first.end()
    assert (code, errors) == (0, "")
    assert digests(tmp_path / "out") == expected


def test_results_are_not_overwritten_unasked(
    tmp_path: Path, tiny_model: Path, geoseg: Geoseg
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    out = tmp_path / "a_geoseg"
    out.mkdir()
    (out / "classes.tif").write_text("mine")
    again = geoseg("run", scene, "--model", tiny_model)
    assert again.returncode == 1
    assert "holds results already" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 2
    assert (out / "classes.tif").read_text() == "mine"
    replaced = geoseg("run", scene, "--model", tiny_model, "--overwrite", "--quiet")
    assert (replaced.returncode, replaced.stderr) == (0, "")
    with rasterio.open(out / "classes.tif") as dataset:
        assert dataset.shape == (40, 50)


def test_a_refused_run_leaves_nothing(tmp_path: Path, tiny_model: Path, geoseg: Geoseg) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    out = tmp_path / "a_geoseg"
    out.mkdir()
    (out / "classes.tif").write_text("mine")
    assert geoseg("run", scene, "--model", tiny_model).returncode == 1
    assert [p.name for p in out.iterdir()] == ["classes.tif"]


def test_an_overwriting_run_continues_like_any_other(
    tmp_path: Path, scene: Path, tiny_model: Path, start: Start, geoseg: Geoseg,
    expected: dict[str, str],
) -> None:  # fmt: skip
    """Old results stay until the new ones are there, and finished blocks are kept."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("old")
    command = ("run", scene, "--model", tiny_model, "--out", "out", "--overwrite", *FINE)
    process = start(*command)
    process.wait_for("block", 6)
    process.send(signal.SIGKILL)
    process.end()
    assert (out / "run.json").read_text() == "old"
    done = geoseg(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["blocks_done"] >= 6
    assert digests(out) == expected


def test_killed_while_files_move_to_their_names(
    tmp_path: Path, scene: Path, tiny_model: Path, start: Start, geoseg: Geoseg,
    expected: dict[str, str],
) -> None:  # fmt: skip
    """Some files have moved, the record has not: the same command ends the job."""
    out = tmp_path / "out"
    command = ("run", scene, "--model", tiny_model, "--out", "out", *FINE)
    process = start(*command, before=NEVER_PUBLISHES)
    process.wait_for("stage", 3)
    process.send(signal.SIGKILL)
    process.end()
    assert (out / ".geoseg" / "plan.json").is_file()
    (out / "classes.tif").write_text("moved before the power went")
    done = geoseg(*command)
    assert done.returncode == 0, done.stderr
    assert digests(out) == expected


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"digest": 1, "identity": {}, "layout": []}'])
def test_a_damaged_plan_is_no_plan(
    tmp_path: Path, tiny_model: Path, geoseg: Geoseg, text: str
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    store = tmp_path / "a_geoseg" / ".geoseg"
    store.mkdir(parents=True)
    (store / "plan.json").write_text(text)
    done = geoseg("run", scene, "--model", tiny_model, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert not store.exists()


def test_other_settings_do_not_continue_an_unfinished_run(
    tmp_path: Path, scene: Path, tiny_model: Path, start: Start, geoseg: Geoseg
) -> None:
    command = ("run", scene, "--model", tiny_model, "--out", "out", *FINE)
    process = start(*command)
    process.wait_for("block", 2)
    process.send(signal.SIGKILL)
    process.end()
    other = geoseg(*command, "--halo-px", "16")
    assert other.returncode == 1
    assert "unfinished run with other settings" in other.stderr
    assert "halo_px" in other.stderr
    assert final_files(tmp_path / "out") == []


def test_a_damaged_tile_is_reported_and_a_mended_file_gives_the_map(
    tmp_path: Path, tiny_model: Path, geoseg: Geoseg
) -> None:
    """A read error in the middle: retried, listed, exit 1, nothing under a final name."""
    whole = tmp_path / "whole.tif"
    write_scene(whole, texture((900, 900)), compress="deflate", tiled=True, blockxsize=32,
                blockysize=32)  # fmt: skip
    # Tile (9, 9), rows and columns 288-319, lies between the samples of the first look.
    data = bytearray(whole.read_bytes())
    with rasterio.open(whole) as dataset:
        at, size = (
            int(dataset.get_tag_item(f"BLOCK_{what}_9_9", "TIFF", bidx=1))
            for what in ("OFFSET", "SIZE")
        )
    data[at : at + size] = b"\xff" * size
    bad = tmp_path / "bad.tif"
    bad.write_bytes(data)
    coarse = ("--window-px", "288", "--block-px", "192", "--json")
    command = ("run", bad, "--model", tiny_model, "--out", "out", *coarse)
    failed = geoseg(*command)
    assert failed.returncode == 1
    lines = failed.stderr.strip().splitlines()
    assert len(lines) == 2, failed.stderr
    assert "blocks failed" in lines[0]
    assert "bad.tif" in lines[0]
    assert "rows" in lines[0]
    assert final_files(tmp_path / "out") == []
    assert list((tmp_path / "out" / ".geoseg" / "pieces").glob("*.tif")), "good blocks were lost"
    bad.write_bytes(whole.read_bytes())
    mended = geoseg(*command)
    if mended.returncode:
        assert "--overwrite" in mended.stderr
        mended = geoseg(*command, "--overwrite")
    assert mended.returncode == 0, mended.stderr
    with rasterio.open(tmp_path / "out" / "classes.tif") as dataset:
        found = dataset.read(1)
    clean = geoseg("run", whole, "--model", tiny_model, "--out", "clean", *coarse)
    assert clean.returncode == 0
    with rasterio.open(tmp_path / "clean" / "classes.tif") as dataset:
        np.testing.assert_array_equal(found, dataset.read(1))


def test_a_full_disk(full_disk: Path, scene: Path, tiny_model: Path, geoseg: Geoseg) -> None:
    out = full_disk / "out"
    failed = geoseg("run", scene, "--model", tiny_model, "--out", out, "--quiet", *FINE[:-1])
    assert failed.returncode == 1
    assert len(failed.stderr.strip().splitlines()) == 2, failed.stderr
    assert "cannot write" in failed.stderr
    assert "disk full" in failed.stderr
    assert final_files(out) == []
