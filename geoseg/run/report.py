"""Counts of a finished run as values: classes, stages, memory; and ``run.json``."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from geoseg.memory import peak_memory_bytes
from geoseg.run.device_limits import FoundLimits
from geoseg.run.plan import RunPlan
from geoseg.run.store import Receipt
from geoseg.version import __version__

__all__ = ["ClassShare", "RunTotals", "added", "class_shares", "run_record", "total"]

_LIBRARIES = (
    "openvino", "onnxruntime", "torch", "segmentation-models-pytorch", "rasterio", "numpy",
    "shapely", "geopandas", "pyogrio", "pyproj", "dask", "distributed",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShare:
    """One class of the result."""

    class_id: int
    """Pixel value."""
    class_name: str
    """Name."""
    px_count: int
    """Pixels."""
    area_m2: float | None
    """Square metres on the ground; None without a CRS or without polygons."""
    share: float
    """Part of all valid pixels, 0..1."""

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {**asdict(self), "share": round(self.share, 6)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotals:
    """Sums over all blocks; adding receipts in any order gives the same."""

    class_px: tuple[int, ...]
    """Pixels per class in the legend's order."""
    output_px: int
    """All pixels of the result."""
    windows: int
    """Windows forwarded."""
    forwarded_px: int
    """Their pixels, halos included."""
    empty_blocks: int
    """Blocks without a valid pixel."""
    overlap_px: int
    """Valid pixels seen by several windows (with ``seams``)."""
    disagree_px: int
    """Those whose windows disagree."""
    stage_s: dict[str, float]
    """Seconds of all workers together, by stage."""

    @property
    def valid_px(self) -> int:
        """Classified pixels."""
        return sum(self.class_px)

    @property
    def seam_disagreement(self) -> float | None:
        """Share of overlap pixels with contradicting windows; None where not measured."""
        return self.disagree_px / self.overlap_px if self.overlap_px else None


def total(receipts: Iterable[Receipt], n_classes: int) -> RunTotals:
    """Add up receipts."""
    found = list(receipts)
    return RunTotals(
        class_px=tuple(sum(r.class_px[k] for r in found) for k in range(n_classes)),
        output_px=sum(r.block_px for r in found),
        windows=sum(r.windows for r in found),
        forwarded_px=sum(r.forwarded_px for r in found),
        empty_blocks=sum(r.empty for r in found),
        overlap_px=sum(r.overlap_px for r in found),
        disagree_px=sum(r.disagree_px for r in found),
        stage_s={
            stage: round(sum(getattr(r, f"{stage}_s") for r in found), 3)
            for stage in ("read", "predict", "stitch", "write", "trace")
        },
    )


def added(first: RunTotals, second: RunTotals) -> RunTotals:
    """Return the totals of two sets of blocks that have none in common."""
    px = zip(first.class_px, second.class_px, strict=True)
    return RunTotals(
        class_px=tuple(a + b for a, b in px),
        output_px=first.output_px + second.output_px,
        windows=first.windows + second.windows,
        forwarded_px=first.forwarded_px + second.forwarded_px,
        empty_blocks=first.empty_blocks + second.empty_blocks,
        overlap_px=first.overlap_px + second.overlap_px,
        disagree_px=first.disagree_px + second.disagree_px,
        stage_s={k: round(v + second.stage_s[k], 3) for k, v in first.stage_s.items()},
    )


def class_shares(
    plan: RunPlan, totals: RunTotals, area_m2: dict[int, float] | None
) -> tuple[ClassShare, ...]:
    """Return the table of classes, in the legend's order."""
    valid = max(totals.valid_px, 1)
    return tuple(
        ClassShare(
            class_id=c.class_id,
            class_name=c.name,
            px_count=px,
            area_m2=None if area_m2 is None else area_m2.get(c.class_id, 0.0),
            share=px / valid,
        )
        for c, px in zip(plan.card.legend, totals.class_px, strict=True)
    )


def versions() -> dict[str, str]:
    """Return geoseg's, Python's and the libraries' versions without importing them."""
    found = {"geoseg": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def run_record(
    plan: RunPlan,
    totals: RunTotals,
    shares: Iterable[ClassShare],
    *,
    elapsed_s: float,
    finish_s: dict[str, float],
    files: dict[str, Path],
    n_polygons: int | None,
    device_limits: FoundLimits,
) -> dict[str, Any]:
    """Return what ``run.json`` holds: inputs, parameters, counts, timings."""
    tiling = plan.tiling
    return {
        "geoseg": __version__,
        "scene": {
            "address": plan.scene.label,
            "fingerprint": plan.scene.fingerprint,
            "height": plan.scene.grid.height,
            "width": plan.scene.grid.width,
            "bands": [plan.scene.band_names[b - 1] for b in plan.bands],
            "band_numbers": list(plan.bands),
            "gsd_m": plan.scene.grid.gsd_m,
        },
        "model": {
            "name": plan.card.name,
            "folder": str(plan.model_folder),
            "weights_sha256": plan.card.weights_sha256,
            "license": plan.card.license,
        },
        "parameters": {
            "device": plan.device.name,
            "precision": plan.device.precision,
            "backend": plan.device.backend,
            "stitch": plan.stitch,
            "window_px": list(tiling.window_shape),
            "halo_px": tiling.halo_px,
            "block_cores": [tiling.block_rows, tiling.block_cols],
            "batch_size": plan.batch_size,
            "workers": plan.workers,
            "nodata": plan.scene.blank_value,
            "nodata_rule": plan.nodata_rule,
            "value_range": plan.value_range,
            "resampling": {
                "scene_rows_per_model_row": plan.scale.row_step,
                "scene_cols_per_model_col": plan.scale.col_step,
            },
            "aoi": plan.aoi is not None,
            "min_area_px": plan.outlines.min_px if plan.is_sieved else None,
            "simplify_px": plan.outlines.simplify_px,
            "simplify_method": plan.outlines.method,
            "smooth": plan.outlines.smooth,
            "dissolve": plan.outlines.dissolve,
            "connectivity": plan.outlines.connectivity,
            "polygon_crs": plan.outlines.crs,
            "postgis_table": None if plan.table is None else plan.table.label,
        },
        "digest": plan.digest,
        "files_digest": plan.files_digest,
        "result": {
            "output_px": totals.output_px,
            "valid_px": totals.valid_px,
            "polygons": n_polygons,
            "seam_disagreement": totals.seam_disagreement,
            "classes": [s.as_json() for s in shares],
        },
        "blocks": {"count": len(plan.blocks()), "empty": totals.empty_blocks},
        "windows": totals.windows,
        "forwarded_px": totals.forwarded_px,
        "device_limits": device_limits.as_json(),
        "seconds": {
            "elapsed": round(elapsed_s, 3),
            "blocks_all_workers": totals.stage_s,
            "finish": {k: round(v, 3) for k, v in finish_s.items()},
        },
        "peak_memory_bytes": peak_memory_bytes(),
        "versions": versions(),
        "warnings": list(plan.warnings),
        "files": {name: path.name for name, path in files.items()},
    }
