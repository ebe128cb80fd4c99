"""What vectorising will take, before it is done, from a sample of the raster itself."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from geoseg.errors import SceneError
from geoseg.grid.window import Window
from geoseg.legend import found_legend
from geoseg.run.class_block import as_strip, read_labels, release
from geoseg.run.class_plan import ClassPlan
from geoseg.vector.polygons import write_polygons
from geoseg.vector.sieve import sieve
from geoseg.vector.trace import trace_block

__all__ = ["ClassEstimate", "estimate_classes"]

_SAMPLE_PX: Final = 1536
_WARM_UP_PX: Final = 64
# Interpreter, GDAL, compiled code and the cluster.
_BASE_BYTES: Final = 450e6
_START_S: Final = 2.0
# Per corner while a row of blocks is joined, and per pixel of a block while it is traced.
_CORNER_BYTES: Final = 160
_TRACE_BYTES: Final = 12
_STORED_CORNER_BYTES: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassEstimate:
    """What the work will take; times hold for this machine as busy as it is now."""

    blocks: int
    output_px: int
    seconds: float
    memory_bytes: int
    disk_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Return the estimate as one ``estimate`` event."""
        return {"event": "estimate", **asdict(self)}

    def lines(self, plan: ClassPlan) -> list[tuple[str, str]]:
        """Return (label, text) pairs for people."""
        grid = plan.raster.scene.grid
        height, width = plan.block_shape
        return [
            ("raster", f"{plan.raster.scene.label}: {grid.width} x {grid.height} px"),
            ("blocks", f"{self.blocks} of {width} x {height} px"),
            ("time", f"about {self.seconds:.0f} s with {plan.workers} worker(s)"),
            ("memory", f"about {self.memory_bytes / 2**30:.1f} GiB"),
            ("disk", f"about {max(self.disk_bytes / 2**20, 1):.0f} MiB"),
            *(("output", label) for label in plan.labels),
            *(("warning", text) for text in plan.warnings),
        ]


def estimate_classes(plan: ClassPlan) -> ClassEstimate:
    """Vectorise a sample into a temporary folder and scale up.

    Raises:
        GeosegError: The raster cannot be read, or holds no classes.
    """
    grid = plan.raster.scene.grid
    _measured(plan, _sample_window(plan, _WARM_UP_PX))  # loads libraries and compiled code
    sample = _sample_window(plan, _SAMPLE_PX)
    spent_s, disk_bytes, corners = _measured(plan, sample)
    share = grid.window.size_px / sample.size_px
    height, width = plan.block_shape
    row_px = min(grid.window.size_px, height * grid.width)
    in_flight = min(plan.workers, plan.tiling.n_blocks) * height * width * _TRACE_BYTES
    return ClassEstimate(
        blocks=plan.tiling.n_blocks,
        output_px=grid.window.size_px,
        seconds=round(_START_S + spent_s * share, 1),
        memory_bytes=int(
            _BASE_BYTES + in_flight + corners * row_px / sample.size_px * _CORNER_BYTES
        ),
        disk_bytes=int(share * (disk_bytes + corners * _STORED_CORNER_BYTES)),
    )


def _sample_window(plan: ClassPlan, side_px: int) -> Window:
    """Return a square in the middle."""
    grid = plan.raster.scene.grid
    height, width = min(side_px, grid.height), min(side_px, grid.width)
    return Window((grid.height - height) // 2, (grid.width - width) // 2, height, width)


def _measured(plan: ClassPlan, window: Window) -> tuple[float, int, int]:
    """Return seconds, bytes of the files, and corners of a sample."""
    start = time.perf_counter()
    try:
        labels = read_labels(plan, window)
    finally:
        release()
    read_s = time.perf_counter() - start
    if labels.problem is not None:
        hint = "Recode the raster first, or name a nodata value with --nodata."
        raise SceneError(labels.problem, hint=hint)
    classes, confidence, _ = labels
    values = (int(v) for v in np.unique(classes) if v != plan.nodata_id)
    legend = plan.legend or found_legend(values, names={}, colours={}, nodata_id=plan.nodata_id)
    here = Window(0, 0, window.height, window.width)
    start = time.perf_counter()
    trace = trace_block(classes, confidence, here, nodata_id=plan.nodata_id)
    strips = sieve(
        lambda: [as_strip(plan, here, labels)],
        min_px=plan.outlines.min_px,
        nodata_id=plan.nodata_id,
    )
    with tempfile.TemporaryDirectory(prefix="geoseg-") as folder:
        targets = [Path(folder) / f"{i}{t.suffix.lower()}" for i, t in enumerate(plan.targets)]
        targets = targets or [Path(folder) / "table.fgb"]  # for its time
        write_polygons(
            strips,
            grid=plan.raster.scene.grid.subgrid(window),
            legend=legend,
            targets=targets,
            outlines=plan.outlines,
            temp_dir=Path(folder),
        )
        size = sum(target.stat().st_size for target in targets)
    return read_s + time.perf_counter() - start, size, len(trace.places)
