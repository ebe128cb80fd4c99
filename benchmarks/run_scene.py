"""Speed and memory of ``geoseg run``, file to file, beside the bare forward pass.

    python benchmarks/run_scene.py [--source IMAGE.tif] [--mpx 25 400] [--json OUT.json]

A scene of each size is made by repeating SOURCE (default: a sample scene). For each one
the command runs as a user runs it, in a process of its own, while the resident memory of
its process tree is sampled. The limit it is held against is the same model, backend,
precision and window shape, as many threads, on pixels that are already in memory, without
any overlap, over the same number of valid pixels. Both run in one go on one machine.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import rasterio
from rasterio.windows import Window

from geoseg.options import DEFAULT_MODEL, RunOptions
from geoseg.run.engine import load_model
from geoseg.run.plan import make_plan

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_S = 0.05
FORWARD_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One size."""

    mpx: float
    valid_mpx: float
    wall_s: float
    mpx_per_s: float
    limit_mpx_per_s: float
    of_limit: float
    redundancy: float
    peak_gib: float
    first_event_s: float
    first_block_s: float


def repeated(source: Path, target: Path, mpx: float) -> None:
    """Write a square scene of ``mpx`` million pixels out of copies of ``source``."""
    side = round(math.sqrt(mpx * 1e6))
    with rasterio.open(source) as tile:
        pixels, mask = tile.read([1, 2, 3]), tile.dataset_mask()
        profile = {
            "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8",
            "crs": tile.crs, "transform": tile.transform, "tiled": True, "blockxsize": 512,
            "blockysize": 512, "compress": "DEFLATE", "zlevel": 1, "photometric": "RGB",
            "BIGTIFF": "IF_SAFER",
        }  # fmt: skip
    step = 2048
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_NUM_THREADS="ALL_CPUS"),
        rasterio.open(target, "w", **profile) as out,
    ):
        for row in range(0, side, step):
            for col in range(0, side, step):
                height, width = min(step, side - row), min(step, side - col)
                rows = np.arange(row, row + height) % mask.shape[0]
                cols = np.arange(col, col + width) % mask.shape[1]
                window = Window(col, row, width, height)
                out.write(pixels[:, rows[:, None], cols], window=window)
                out.write_mask(mask[rows[:, None], cols], window=window)


def forward_limit(scene: Path, model: str, precision: str) -> float:
    """Return Mpx/s of the model alone, all workers busy, no overlap, nothing else."""
    plan = make_plan(RunOptions(scene=str(scene), model=model, precision=precision))
    predictor = load_model(plan)
    rng = np.random.default_rng(0)
    shape = (plan.batch_size, len(plan.bands), *plan.tiling.window_shape)
    batch = rng.integers(0, 255, shape, dtype=np.uint8)
    with ThreadPoolExecutor(plan.workers) as pool:
        list(pool.map(lambda _: predictor.labels(batch, 0), range(plan.workers)))
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < FORWARD_S:
            list(pool.map(lambda _: predictor.labels(batch, 0), range(plan.workers)))
            count += plan.workers
        spent = time.perf_counter() - start
    return count * batch.size / len(plan.bands) / 1e6 / spent


def tree_rss_bytes(root: psutil.Process) -> int:
    """Return the resident bytes of a process and all its children now."""
    total = 0
    for process in (root, *root.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def timed_run(scene: Path, out: Path, model: str, precision: str) -> tuple[dict, dict]:
    """Run the command; return its run.json and what was seen from outside."""
    command = [
        sys.executable, "-m", "geoseg", "run", str(scene), "--out", str(out), "--json",
        "--model", model, "--precision", precision,
    ]  # fmt: skip
    start = time.perf_counter()
    seen: dict[str, float] = {"peak": 0.0}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        tree = psutil.Process(process.pid)
        with ThreadPoolExecutor(1) as pool:
            watcher = pool.submit(_watch, tree, seen)
            for line in process.stdout or ():
                kind = json.loads(line)["event"]
                seen.setdefault(kind, time.perf_counter() - start)
            process.wait()
            watcher.result()
    if process.returncode:
        sys.exit(f"the run failed with exit code {process.returncode}")
    seen["wall"] = time.perf_counter() - start
    return json.loads((out / "run.json").read_text()), seen


def _watch(tree: psutil.Process, seen: dict[str, float]) -> None:
    while tree.is_running() and tree.status() != psutil.STATUS_ZOMBIE:
        try:
            seen["peak"] = max(seen["peak"], tree_rss_bytes(tree))
        except psutil.NoSuchProcess:
            return
        time.sleep(SAMPLE_S)


def measure(source: Path, mpx: float, model: str, precision: str, folder: Path) -> Row:
    """Make a scene of one size, measure the limit, run, compare."""
    scene = folder / f"scene_{mpx:g}.tif"
    repeated(source, scene, mpx)
    limit = forward_limit_in_child(scene, model, precision)
    record, seen = timed_run(scene, folder / f"out_{mpx:g}", model, precision)
    valid = record["result"]["valid_px"] / 1e6
    windows = record["parameters"]["window_px"]
    forwarded = record["windows"] * windows[0] * windows[1] / 1e6
    return Row(
        mpx=mpx,
        valid_mpx=round(valid, 2),
        wall_s=round(seen["wall"], 2),
        mpx_per_s=round(valid / seen["wall"], 3),
        limit_mpx_per_s=round(limit, 3),
        of_limit=round(valid / seen["wall"] / limit, 3),
        redundancy=round(forwarded / valid, 3),
        peak_gib=round(seen["peak"] / 2**30, 3),
        first_event_s=round(seen["plan"], 2),
        first_block_s=round(seen.get("block", seen["wall"]), 2),
    )


def forward_limit_in_child(scene: Path, model: str, precision: str) -> float:
    """Measure the limit in a fresh process, so that nothing is shared with the run."""
    command = [
        sys.executable, __file__, "--limit-of", str(scene), "--model", model,
        "--precision", precision,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.strip().splitlines()[-1])


def help_seconds() -> float:
    """Return the best of five times of ``geoseg --help``."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "geoseg", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=ROOT / "sample_tiles" / "town.tif")
    parser.add_argument("--mpx", type=float, nargs="+", default=[25, 400])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--limit-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.limit_of:
        print(forward_limit(arguments.limit_of, arguments.model, arguments.precision))
        return
    with tempfile.TemporaryDirectory(prefix="geoseg-bench-") as folder:
        rows = [
            measure(arguments.source, mpx, arguments.model, arguments.precision, Path(folder))
            for mpx in arguments.mpx
        ]
    names = list(asdict(rows[0]))
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(str(v) for v in asdict(row).values()) + " |")
    print(f"geoseg --help: {help_seconds():.3f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))


if __name__ == "__main__":
    main()
