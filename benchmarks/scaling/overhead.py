"""``geoseg run`` and ``geoseg batch`` on one scene, in turns, file to file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

__all__ = ["Overhead", "overhead"]

_TOLD_APART = frozenset({"run.json", "item.json"})
"""Files that tell when and how long; all others must have the same bytes."""
_MOMENTS = ("start_datetime", "end_datetime", "created", "updated", "processing:datetime")


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """What the cluster path costs on one scene."""

    output_mpx: float
    run_s: tuple[float, ...]
    """Whole processes, by turn."""
    batch_s: tuple[float, ...]
    overhead: float
    """Of the medians; 0.1 is a tenth more."""
    same_files: int
    """Files with the same bytes."""


def overhead(scene: Path, folder: Path, turns: int) -> Overhead:
    """Map a scene so many times in both ways.

    Args:
        scene: The raster.
        folder: Empty folder.
        turns: How often.
    """
    run_s: list[float] = []
    batch_s: list[float] = []
    for turn in range(turns):
        # An item is called after its folder.
        alone, root = folder / f"run_{turn}" / scene.stem, folder / f"batch_{turn}"
        ways = [(run_s, "run", alone), (batch_s, "batch", root)]
        # Each way goes first in every other turn, as the second finds the scene in memory.
        for seconds, command, out in ways if turn % 2 == 0 else reversed(ways):
            seconds.append(_timed(command, scene, out))
        same = _compared(alone, root / scene.stem)
        record = json.loads((alone / "run.json").read_text(encoding="utf-8"))
        shutil.rmtree(alone)
        shutil.rmtree(root)
    return Overhead(
        output_mpx=round(record["result"]["output_px"] / 1e6, 1),
        run_s=tuple(round(s, 2) for s in run_s),
        batch_s=tuple(round(s, 2) for s in batch_s),
        overhead=round(median(batch_s) / median(run_s) - 1, 4),
        same_files=same,
    )


def _timed(command: str, scene: Path, out: Path) -> float:
    start_s = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "geoseg", command, str(scene), "--out", str(out)],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start_s


def _compared(alone: Path, batched: Path) -> int:
    """Return how many files have the same bytes; end where one has not."""
    names = sorted(path.name for path in alone.iterdir() if path.is_file())
    others = sorted(path.name for path in batched.iterdir() if path.is_file())
    if names != others:
        sys.exit(f"other files: {names} and {others}")
    for name in names:
        if name not in _TOLD_APART and not _same_bytes(alone / name, batched / name):
            sys.exit(f"{name} has other bytes")
    if _undated(alone) != _undated(batched):
        sys.exit("the items differ in more than their times")
    return len(set(names) - _TOLD_APART)


def _same_bytes(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _undated(folder: Path) -> dict:
    item = json.loads((folder / "item.json").read_text(encoding="utf-8"))
    for name in _MOMENTS:
        item["properties"].pop(name, None)
    return item
