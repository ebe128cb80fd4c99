"""A null model and virtual scenes: all of a batch is real but for what takes the time.

A virtual scene is a VRT without sources, of any size. Workers plan it as any scene; a block is
a sleep that brings a receipt, and no file is made of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from geoseg.grid.tiling import BlockIndex
from geoseg.options import RunOptions
from geoseg.run.device_limits import FoundLimits
from geoseg.run.place import SceneHome, WorkerContext
from geoseg.run.plan import RunPlan
from geoseg.run.report import RunTotals
from geoseg.run.scene_tasks import BlockMade, PartMade, SceneMade
from geoseg.run.scene_work import SceneWork, Task
from geoseg.run.store import Receipt

__all__ = ["BLOCK_PX", "NullWork", "null_options", "write_virtual_scene"]

BLOCK_PX = 1408
"""Side of a block that is one window of the bundled model, whatever the machine."""
_HALO_PX = 64
_COLOURS = ("Red", "Green", "Blue")


def null_options() -> RunOptions:
    """Return how virtual scenes are mapped: a block is a window."""
    return RunOptions(scene="", window_px=BLOCK_PX + 2 * _HALO_PX, block_px=BLOCK_PX)


def write_virtual_scene(path: Path, rows: int, cols: int) -> None:
    """Write the header of a scene of so many blocks, downwards and across."""
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><NoDataValue>0</NoDataValue>'
        f"<ColorInterp>{colour}</ColorInterp></VRTRasterBand>"
        for number, colour in enumerate(_COLOURS, start=1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{cols * BLOCK_PX}" rasterYSize="{rows * BLOCK_PX}">'
        "<SRS>EPSG:32636</SRS><GeoTransform>500000,1,0,4600000,0,-1</GeoTransform>"
        f"{bands}</VRTDataset>",
        encoding="utf-8",
    )


class NullWork(SceneWork):
    """A scene whose plan is real and whose other tasks do nothing."""

    sleep_s: ClassVar[float] = 0.0
    """How long a block takes."""

    def call(self, task: Task) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return a null function with the arguments that the real one gets."""
        function, arguments = super().call(task)
        if task.step == "block":
            return partial(null_block, sleep_s=self.sleep_s), arguments
        return {"part": null_part, "describe": null_scene}.get(task.step, function), arguments


def null_block(
    context: WorkerContext,  # noqa: ARG001 - as map_block
    plan: RunPlan,
    home: SceneHome,  # noqa: ARG001 - the same
    block: BlockIndex,
    *,
    sleep_s: float,
) -> BlockMade:
    """Wait, and say that all pixels are of the first class."""
    time.sleep(sleep_s)
    px = plan.output_window(block).size_px
    others = (0,) * (len(plan.card.legend) - 1)
    receipt = Receipt(
        row=block.row,
        col=block.col,
        empty=False,
        class_px=(px, *others),
        block_px=px,
        windows=1,
        forwarded_px=px,
        predict_s=sleep_s,
    )
    limits = FoundLimits(batch_size_planned=1, batch_size=1, largest_window_px=None)
    return BlockMade(receipt=receipt, warnings=(), limits=limits)


def null_part(*_: object) -> PartMade:
    """Make no files."""
    return PartMade(rasters=(), polygons=None, seconds=0.0)


def null_scene(
    context: WorkerContext,  # noqa: ARG001 - as make_scene
    plan: RunPlan,
    home: SceneHome,  # noqa: ARG001 - the same
    attempt: str,  # noqa: ARG001 - the same
    totals: RunTotals,
    *_: object,
) -> SceneMade:
    """Describe a map without files, in as many bytes as one with files."""
    names = tuple(category.name for category in plan.card.legend)
    return SceneMade(
        names=(),
        valid_px=totals.valid_px,
        class_px=tuple(zip(names, totals.class_px, strict=True)),
        n_polygons=None,
        bbox=(33.0, 41.0, 34.0, 42.0),
        acquired="2026-06-01T10:00:00Z",
    )
