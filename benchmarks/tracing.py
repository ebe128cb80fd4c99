"""Tracing alone beside rasterio's shapes on one core, and the blocks on one and two workers.

    python benchmarks/tracing.py classes.tif [more.tif ...]

No file is written in the first part: class ids in memory become closed rings. geoseg reads
them in strips of 1,024 rows; ``trace`` is what a block costs where it is inferred, ``join``
adds closing the rings across the strips. Two noise maps, a region every pixel or two and
every few pixels, come on top. The second part times the blocks of ``geoseg vectorise``, from
the fifth part of them on: before, a thread of its own loads compiled code on the other core.
Rasters of a few blocks tell nothing there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import rasterio.features

from geoseg.grid.window import Window
from geoseg.vector.join import join
from geoseg.vector.trace import BlockTrace, trace_block

if TYPE_CHECKING:
    from collections.abc import Iterator

NODATA = 255
STRIP_ROWS = 1024
NOISE_SIDE = 2400


def traced(classes: np.ndarray) -> Iterator[BlockTrace]:
    """Trace a map strip by strip."""
    height, width = classes.shape
    for row in range(0, height, STRIP_ROWS):
        rows = min(STRIP_ROWS, height - row)
        window = Window(row, 0, rows, width)
        yield trace_block(classes[row : row + rows], None, window, nodata_id=NODATA)


def one_core(name: str, classes: np.ndarray) -> dict[str, object]:
    """Time the three on one map."""
    height, width = classes.shape
    start = time.perf_counter()
    for _ in traced(classes):
        pass
    trace_s = time.perf_counter() - start
    start = time.perf_counter()
    count = sum(len(r.class_id) for r in join(traced(classes), height=height, width=width))
    join_s = time.perf_counter() - start
    start = time.perf_counter()
    found = sum(1 for _ in rasterio.features.shapes(classes, classes != NODATA))
    shapes_s = time.perf_counter() - start
    if found != count:
        sys.exit(f"{name}: {count} regions here, {found} there")
    return {
        "map": name,
        "mpx": round(classes.size / 1e6, 1),
        "regions": count,
        "trace_s": round(trace_s, 2),
        "trace_and_join_s": round(join_s, 2),
        "shapes_s": round(shapes_s, 2),
        "shapes_by_trace": round(shapes_s / trace_s, 1),
        "shapes_by_trace_and_join": round(shapes_s / join_s, 1),
    }


def noise_maps() -> Iterator[tuple[str, np.ndarray]]:
    """Yield maps of regions of a pixel or two, and of a few pixels."""
    rng = np.random.default_rng(1)
    fine = rng.integers(0, 5, (NOISE_SIDE, NOISE_SIDE), dtype=np.uint8)
    yield "noise of 1 px", fine
    coarse = rng.integers(0, 5, (NOISE_SIDE // 3, NOISE_SIDE // 3), dtype=np.uint8)
    yield "noise of 3 px", np.kron(coarse, np.ones((3, 3), dtype=np.uint8))


def blocks_s(source: Path, workers: int) -> float:
    """Return the seconds per block of a command, the first fifth of them left out."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["geoseg", "vectorise", str(source), "--out", f"{folder}/x.gpkg"]
        command += ["--workers", str(workers), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            times = []
            for line in child.stdout or ():
                event = json.loads(line)["event"]
                if event == "block":
                    times.append(time.perf_counter())
                elif event == "stage":
                    child.terminate()
                    break
    first = len(times) // 5
    return (times[-1] - times[first]) / (len(times) - 1 - first)


def main() -> None:
    """Run both parts and print one JSON line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rasters", type=Path, nargs="+", help="class rasters, nodata 255")
    args = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    one_core("warm-up", next(noise_maps())[1][:64, :64])
    for path in args.rasters:
        with rasterio.open(path) as raster:
            print(json.dumps(one_core(path.name, raster.read(1))), flush=True)
    for name, classes in noise_maps():
        print(json.dumps(one_core(name, classes)), flush=True)
    os.sched_setaffinity(0, cores)
    for path in args.rasters:
        one, two = (min(blocks_s(path, workers) for _ in range(3)) for workers in (1, 2))
        figures = {"one_worker_s": one, "two_workers_s": two, "times": one / two}
        print(json.dumps({"map": path.name, **{k: round(v, 3) for k, v in figures.items()}}))


if __name__ == "__main__":
    main()
