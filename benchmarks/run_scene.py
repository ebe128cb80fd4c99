"""Speed and memory of ``geoseg run``, file to file, beside the bare forward pass.

    python benchmarks/run_scene.py [--source IMAGE.tif] [--mpx 25 400] [--json OUT.json]

A scene of each size is made by repeating SOURCE (default: a sample scene). For each one
the command runs as a user runs it, in a process of its own, while the resident memory of
its process tree is sampled. It is held against two limits, over the same number of valid
pixels, on windows of the run's shape that are already in memory, without any overlap:

- ``bare``: a bare forward pass of the same network in torch as it comes, channels last and
  in the run's precision, the better of one thread for each of as many windows as there are
  workers, and all threads on one window;
- ``own``: geoseg's predictor (batch norms folded, pages kept between layers), labels included.

All run in one go on one machine, one after the other.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import rasterio
import torch
from rasterio.windows import Window

from geoseg.model.network import load_network
from geoseg.options import DEFAULT_MODEL, RunOptions
from geoseg.run.engine import load_model
from geoseg.run.plan import RunPlan, make_plan

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
    bare_mpx_per_s: float
    of_bare: float
    own_mpx_per_s: float
    of_own: float
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


def own_limit(plan: RunPlan) -> float:
    """Return Mpx/s of geoseg's predictor alone, all workers busy, no overlap, nothing else."""
    predictor = load_model(plan)
    rng = np.random.default_rng(0)
    shape = (plan.batch_size, len(plan.bands), *plan.tiling.window_shape)
    batch = rng.integers(0, 255, shape, dtype=np.uint8)
    return speed(lambda: predictor.labels(batch, 0), plan.workers, batch[:, 0].size)


def bare_limit(plan: RunPlan) -> float:
    """Return Mpx/s of the network in torch as it comes, the better of two ways."""
    network = load_network(plan.card, plan.model_folder).to(memory_format=torch.channels_last)
    shape = (plan.batch_size, len(plan.bands), *plan.tiling.window_shape)
    batch = torch.rand(shape).contiguous(memory_format=torch.channels_last)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(plan.device.precision)

    def forward(threads: int) -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode(), torch.autocast("cpu", dtype=half, enabled=half is not None):
            network(batch)

    px = batch[:, 0].numel()
    ways = ((1, plan.workers), (plan.workers, 1))
    return max(speed(partial(forward, threads), beside, px) for threads, beside in ways)


def speed(forward: Callable[[], object], side_by_side: int, px: int) -> float:
    """Return million pixels per second of a call that takes ``px`` pixels."""
    with ThreadPoolExecutor(side_by_side) as pool:

        def round_of_calls() -> None:
            list(pool.map(lambda _: forward(), range(side_by_side)))

        round_of_calls()
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < FORWARD_S:
            round_of_calls()
            count += side_by_side
        return count * px / 1e6 / (time.perf_counter() - start)


LIMITS = {"bare": bare_limit, "own": own_limit}


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
    bare, own = (limit_in_child(name, scene, model, precision) for name in LIMITS)
    record, seen = timed_run(scene, folder / f"out_{mpx:g}", model, precision)
    valid = record["result"]["valid_px"] / 1e6
    forwarded = record["forwarded_px"] / 1e6
    return Row(
        mpx=mpx,
        valid_mpx=round(valid, 2),
        wall_s=round(seen["wall"], 2),
        mpx_per_s=round(valid / seen["wall"], 3),
        bare_mpx_per_s=round(bare, 3),
        of_bare=round(valid / seen["wall"] / bare, 3),
        own_mpx_per_s=round(own, 3),
        of_own=round(valid / seen["wall"] / own, 3),
        redundancy=round(forwarded / valid, 3),
        peak_gib=round(seen["peak"] / 2**30, 3),
        first_event_s=round(seen["plan"], 2),
        first_block_s=round(seen.get("block", seen["wall"]), 2),
    )


def limit_in_child(name: str, scene: Path, model: str, precision: str) -> float:
    """Measure a limit in a fresh process, so that nothing is shared with the run."""
    command = [
        sys.executable, __file__, "--limit", name, "--of", str(scene), "--model", model,
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
    parser.add_argument("--limit", choices=list(LIMITS), help=argparse.SUPPRESS)
    parser.add_argument("--of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.limit:
        options = RunOptions(
            scene=arguments.of, model=arguments.model, precision=arguments.precision
        )
        print(LIMITS[arguments.limit](make_plan(options)))
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
