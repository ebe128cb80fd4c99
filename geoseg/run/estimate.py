"""What a run will take, before it runs: time, memory, disk.

The time is measured, not guessed: as many threads as the run will use push one window of
the plan's own shape through the model.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from geoseg.raster.read import sample_values, sampled_px
from geoseg.run.engine import load_model
from geoseg.run.plan import RunPlan

__all__ = ["RunEstimate", "estimate"]

# Measured on maps of real scenes: bytes per result pixel of the finished files (class and
# confidence COGs with overviews, polygons), and of the run store beside them.
_RESULT_BYTES_PER_PX: Final = 0.9
_STORE_BYTES_PER_PX: Final = 0.6
_SCORE_BYTES_PER_PX: Final = 0.8
# Interpreter, backend, GDAL and the cluster, before the first window; and their start.
_BASE_BYTES: Final = {"torch": 750e6, "openvino": 450e6, "onnxruntime": 450e6}
_START_S: Final = {"torch": 4.0, "openvino": 1.5, "onnxruntime": 1.5}
# Reading, writing, mosaic and polygons, per million result pixels and core.
_FINISH_S_PER_MPX: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEstimate:
    """What a run will take; times hold for this machine as busy as it is now."""

    blocks: int
    windows: int
    redundancy: float
    output_px: int
    seconds: float
    memory_bytes: int
    disk_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Return the estimate as one ``estimate`` event."""
        return {"event": "estimate", **asdict(self)}

    def lines(self, plan: RunPlan) -> list[tuple[str, str]]:
        """Return (label, text) pairs for people."""
        grid, tiling = plan.scene.grid, plan.tiling
        scale = plan.scale
        step = "" if scale.is_identity else (
            f", resampled to {plan.card.gsd_m:g} m "
            f"({1 / scale.col_step:.3g} x {1 / scale.row_step:.3g})"
        )  # fmt: skip
        height, width = tiling.window_shape
        return [
            ("scene", f"{plan.scene.label}: {grid.width} x {grid.height} px{step}"),
            ("model", f"{plan.card.name}; {plan.device.text}"),
            ("setting", plan.setting_text),
            ("blocks", f"{self.blocks} with {self.windows} windows of {width} x {height} px"),
            ("halo", f"{tiling.halo_px} px, {plan.stitch}; {self.redundancy:.2f} x the pixels"),
            ("time", f"about {_duration(self.seconds)} with {plan.workers} worker(s)"),
            ("memory", f"about {self.memory_bytes / 2**30:.1f} GiB"),
            ("disk", f"about {max(self.disk_bytes / 2**20, 1):.0f} MiB in {plan.out}"),
            *(("warning", text) for text in plan.warnings),
        ]


def _duration(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004 - reads better in seconds
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004


def estimate(plan: RunPlan) -> RunEstimate:
    """Measure one window and scale up.

    Raises:
        GeosegError: The model or the scene cannot be read.
    """
    blocks = plan.blocks()
    part = len(blocks) / plan.tiling.n_blocks
    windows = max(1, round(plan.tiling.n_windows * part * _valid_share(plan)))
    forward_s = windows * _window_seconds(plan)
    finish_s = plan.output.size_px / 1e6 * _FINISH_S_PER_MPX
    per_px = _RESULT_BYTES_PER_PX + _STORE_BYTES_PER_PX
    if plan.scores:
        per_px += 2 * _SCORE_BYTES_PER_PX * len(plan.card.legend)
    return RunEstimate(
        blocks=len(blocks),
        windows=windows,
        redundancy=round(plan.redundancy, 3),
        output_px=plan.output.size_px,
        seconds=round(_START_S[plan.device.backend] + forward_s + finish_s, 1),
        memory_bytes=int(
            _BASE_BYTES[plan.device.backend]
            + plan.workers * _network_bytes(plan)
            + plan.blocks_in_flight * _block_bytes(plan)
        ),
        disk_bytes=int(per_px * plan.output.size_px),
    )


def _valid_share(plan: RunPlan) -> float:
    """Return the valid part of nine windows spread over the scene, never quite nothing."""
    sample = sample_values(plan.scene, plan.bands, plan.nodata_rule)
    return float(np.clip(sample.shape[1] / sampled_px(plan.scene), 0.1, 1.0))


def _window_seconds(plan: RunPlan) -> float:
    """Return seconds per window with all workers busy, after one to warm up."""
    predictor = load_model(plan)
    shape = (plan.batch_size, len(plan.bands), *plan.tiling.window_shape)
    batch = np.zeros(shape, np.float32)
    count = plan.workers if plan.device.is_cpu else 1
    crop_px = plan.tiling.halo_px if plan.stitch == "crop" else 0
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda _: predictor.labels(batch, crop_px), range(count)))
        start = time.perf_counter()
        list(pool.map(lambda _: predictor.labels(batch, crop_px), range(count)))
        spent = time.perf_counter() - start
    return spent / (count * plan.batch_size)


def _network_bytes(plan: RunPlan) -> float:
    """Return what the forward passes of one worker take of the host's memory."""
    if not plan.device.is_cpu:
        return 0.0
    window_px = math.prod(plan.tiling.window_shape)
    return window_px * plan.device.bytes_per_px(plan.card) * plan.batch_size


def _block_bytes(plan: RunPlan) -> float:
    """Return what the pixels and layers of one block in flight take."""
    window_px = math.prod(plan.tiling.window_shape)
    block_px = plan.tiling.block_rows * plan.tiling.block_cols * window_px
    return block_px * (3 * len(plan.bands) + 8)
