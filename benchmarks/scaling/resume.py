"""How soon the command begins with the one new scene among very many finished ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import rasterio
from rasterio.windows import Window

from geoseg.run.ledger import Ledger
from geoseg.run.place import Root
from geoseg.run.roots import open_root
from geoseg.run.sessions import read_sessions

__all__ = ["Resumed", "finished_batch", "resumed"]

_TINY_PX = 256
_COPIED = ("run.json", "item.json")


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """What the command told, in seconds from its start."""

    case: str
    finished_scenes: int
    ready_s: float
    """It knows what is to be done."""
    ready_cpu_s: float
    """Processor time of that."""
    begun_s: float
    """Workers are there and found fit; the new scene is handed to them."""
    block_begun_s: float
    """The scene is planned, and its first block handed out."""
    block_done_s: float
    """The block is finished; with that, the model was loaded."""
    whole_s: float
    """All files, the ledger and the reports are written, and the process has ended."""


def finished_batch(folder: Path, image: Path, count: int) -> tuple[Path, Path]:
    """Make a batch of so many finished scenes out of one that was really mapped.

    Args:
        folder: Empty folder.
        image: Raster that the scene is a corner of.
        count: How many.

    Returns:
        The folder of scenes and the root of the results.
    """
    scenes, out = folder / "scenes", folder / "out"
    scenes.mkdir()
    first = scenes / "scene_00000.tif"
    _corner(image, first)
    subprocess.run(
        [sys.executable, "-m", "geoseg", "batch", str(first), "--out", str(out)],
        check=True,
        capture_output=True,
    )
    root = open_root(str(out))
    done = Ledger.read(root).get(first.stem)
    if done is None:
        sys.exit("the batch has no ledger")
    ledger = Ledger(root, read_sessions(root)[-1].session)
    for number in range(1, count):
        scene = scenes / f"scene_{number:05d}.tif"
        os.link(first, scene)
        (out / scene.stem).mkdir()
        for name in _COPIED:
            shutil.copyfile(out / first.stem / name, out / scene.stem / name)
        ledger.put(replace(done, scene_id=scene.stem, scene=str(scene)))
    ledger.compact()
    return scenes, out


def _corner(image: Path, target: Path) -> None:
    window = Window(0, 0, _TINY_PX, _TINY_PX)
    with rasterio.open(image) as source:
        profile = source.profile | {
            "driver": "GTiff", "width": _TINY_PX, "height": _TINY_PX, "count": 3,
            "transform": source.window_transform(window), "tiled": False, "photometric": "RGB",
        }  # fmt: skip
        for name in ("blockxsize", "blockysize", "interleave"):
            profile.pop(name, None)
        with rasterio.open(target, "w", **profile) as made:
            made.write(source.read([1, 2, 3], window=window))


def resumed(case: str, scenes: Path, out: Path) -> Resumed:
    """Add a scene, repeat the command, and watch what it tells.

    Args:
        case: ``folder`` names the folder of scenes, ``list`` a text file of their names;
            ``ledger lost`` is a list whose ledger was deleted.
        scenes: Folder of the scenes.
        out: Root of their results.
    """
    finished = sum(1 for _ in scenes.glob("*.tif"))
    os.link(scenes / "scene_00000.tif", scenes / f"scene_{finished:05d}.tif")
    source = scenes if case == "folder" else _list_of(scenes)
    if case == "ledger lost":
        _lose_ledger(open_root(str(out)))
    start_s = time.perf_counter()
    seen: dict[str, float] = {}
    command = [
        sys.executable, "-m", "geoseg", "batch", str(source), "--out", str(out), "--json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            event = json.loads(line)
            for name in _moments(event):
                seen.setdefault(name, time.perf_counter() - start_s)
            if event["event"] == "batch_ready":
                seen["ready_cpu_s"] = sum(psutil.Process(process.pid).cpu_times()[:2])
    if process.returncode:
        sys.exit(f"geoseg batch failed with exit code {process.returncode}")
    seen["whole_s"] = time.perf_counter() - start_s
    rounded = {name: round(value, 2) for name, value in seen.items()}
    return Resumed(case=case, finished_scenes=finished, **rounded)


def _list_of(scenes: Path) -> Path:
    listed = scenes.with_suffix(".txt")
    names = sorted(str(path) for path in scenes.glob("*.tif"))
    listed.write_text("\n".join(names) + "\n", encoding="utf-8")
    return listed


def _lose_ledger(root: Root) -> None:
    for name in root.names(".batch/ledger"):
        root.delete(name)


def _moments(event: dict) -> list[str]:
    """Return what an event is the first sign of."""
    kind = event["event"]
    if kind == "batch_ready":
        return ["ready_s"]
    if kind == "scene" and event["state"] == "running":
        return ["begun_s", "block_begun_s"] if event["blocks"] else ["begun_s"]
    is_done = kind == "scene" and event["state"] == "done"
    return ["block_done_s"] if is_done or event.get("blocks_done") else []
