"""The unit of work: one block from the scene's pixels to a committed piece and its outlines.

``classify_block`` is the arithmetic, on arrays; ``run_block`` reads, calls it, writes.

What a window sees depends on its place in the scene alone: it is cut out of the scene
mirrored at its edges, on one grid of windows. So pixels do not depend on the block that
they are computed in, and a block owns its halo instead of asking its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.padding import reflect_index
from geoseg.grid.tiling import BlockIndex
from geoseg.grid.window import Window
from geoseg.model.predictor import Predictor
from geoseg.raster.piece import write_piece
from geoseg.raster.read import SceneReader, rasterise_mask
from geoseg.run.device_limits import DeviceLimits
from geoseg.run.forward import Forward, ModelPixels, Stopwatch, ring_cores
from geoseg.run.model_pixels import Stretch, filled, on_model_grid, scene_extent
from geoseg.run.plan import RunPlan
from geoseg.run.store import Receipt, RunStore
from geoseg.vector.trace import BlockTrace, slices_of, trace_block

__all__ = [
    "BlockLayers",
    "Engine",
    "classify_block",
    "nodata_trace",
    "read_block",
    "run_block",
    "slices",
    "trace_layers",
]

NODATA_BYTE = 255


class Engine(NamedTuple):
    """What a worker process keeps open between blocks."""

    reader: SceneReader
    predictor: Predictor
    limits: DeviceLimits
    slots: AbstractContextManager[Any]
    """Held while a block is in the network; blocks beyond them read and write meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockLayers:
    """A block's result on the scene's grid, ready to be written."""

    classes: NDArray[np.uint8]
    """(row, col) class ids, nodata where not valid."""
    confidence: NDArray[np.uint8]
    """(row, col) 0..250, 255 where not valid."""
    seams: NDArray[np.uint8] | None
    """(row, col) share of disagreeing windows 0..250, 255 where not valid."""
    scores: NDArray[np.uint8] | None
    """(class, row, col) 0..250, 255 where not valid."""
    windows: int
    """Windows forwarded."""
    forwarded_px: int
    """Their pixels, halos included."""
    overlap_px: int = 0
    """Valid pixels seen by several windows."""
    disagree_px: int = 0
    """Those whose windows disagree."""


def run_block(
    plan: RunPlan,
    block: BlockIndex,
    *,
    load: Callable[[RunPlan], Engine],
    stop: Callable[[], bool] = lambda: False,
) -> Receipt:
    """Classify one block and commit it to the run store.

    Raises:
        SceneReadError: The pixels cannot be read.
        OutputError: The piece cannot be written.
        OutOfDeviceMemoryError: The device is too small for the smallest window.
        RunInterruptedError: ``stop`` said so, or the run store holds another run by now.
    """
    watch = Stopwatch()
    store = RunStore(plan.out)
    engine = load(plan)
    with watch("read"):
        found = read_block(plan, block, engine.reader)
    if found is None:
        receipt = _receipt(plan, block, None, watch)
    else:
        pixels, valid = found
        forward = Forward(plan, block, pixels, engine.predictor, engine.limits, watch, stop)
        with engine.slots:
            layers = classify_block(forward, valid)
        with watch("write"):
            store.require(plan.digest)
            piece_bytes = write_piece(store.piece_path(block), _piece_bands(layers))
        if plan.is_traced:
            with watch("trace"):
                traces = [
                    trace_layers(plan, block, layers.classes, layers.confidence, place)
                    for place in slices(plan, block)
                ]
                store.write_traces(block, traces)
        receipt = replace(_receipt(plan, block, layers, watch), piece_bytes=piece_bytes)
    store.require(plan.digest)  # again: tracing takes its time, and an empty block has no piece
    store.commit(receipt)
    return receipt


def read_block(
    plan: RunPlan, block: BlockIndex, reader: SceneReader
) -> tuple[ModelPixels, NDArray[np.bool_]] | None:
    """Read a block with all the context its windows need.

    Returns:
        The model's view, and the validity (row, col) of the block's scene pixels; None
        where no pixel of the block is to be classified.
    """
    own = plan.scene_window(block)
    wanted = np.ones(own.shape, np.bool_) if plan.aoi is None else rasterise_mask(plan.aoi, own)
    if not wanted.any():
        return None
    region = _region(plan, block)
    inside = _mirrored_extent(plan, region)
    box = reader.read(_extent_with(own, scene_extent(plan.scale, inside)))
    own_valid = box.valid[own.within(box.window)] & wanted
    if not own_valid.any():
        return None
    own_range = plan.value_range
    stretch = None if own_range is None else Stretch(own_range, plan.card.value_range)
    values, valid = on_model_grid(plan.scale, inside, box, stretch)
    offsets = np.array([s.offset for s in plan.card.scaling], np.float32)
    values = filled(values, valid, offsets)
    if inside == region:  # away from the edges, nothing is mirrored, and copying takes time
        return ModelPixels(region, values, valid), own_valid
    rows = reflect_index(region.row_off, region.height, plan.tiling.height) - inside.row_off
    cols = reflect_index(region.col_off, region.width, plan.tiling.width) - inside.col_off
    mirrored = np.take(np.take(values, rows, axis=1), cols, axis=2)
    return ModelPixels(region, mirrored, valid[np.ix_(rows, cols)]), own_valid


def _region(plan: RunPlan, block: BlockIndex) -> Window:
    """Return the union of the model windows of a block (and of its ring, if needed)."""
    cores = list(plan.tiling.block_cores(block, ring_cores(plan)))
    first = plan.tiling.model_window(cores[0])
    last = plan.tiling.model_window(cores[-1])
    return Window(
        first.row_off,
        first.col_off,
        last.row_end - first.row_off,
        last.col_end - first.col_off,
    )


def _mirrored_extent(plan: RunPlan, region: Window) -> Window:
    """Return the smallest window of the model grid that holds the mirrored region."""
    rows = reflect_index(region.row_off, region.height, plan.tiling.height)
    cols = reflect_index(region.col_off, region.width, plan.tiling.width)
    row, col = int(rows.min()), int(cols.min())
    return Window(row, col, int(rows.max()) + 1 - row, int(cols.max()) + 1 - col)


def _extent_with(own: Window, extent: Window) -> Window:
    """Return the smallest window around both."""
    row, col = min(extent.row_off, own.row_off), min(extent.col_off, own.col_off)
    row_end, col_end = max(extent.row_end, own.row_end), max(extent.col_end, own.col_end)
    return Window(row, col, row_end - row, col_end - col)


def classify_block(forward: Forward, valid: NDArray[np.bool_]) -> BlockLayers:
    """Return a block's layers from what its windows see.

    Args:
        forward: The block's windows and the model.
        valid: (row, col) validity of the block's scene pixels.

    Raises:
        OutOfDeviceMemoryError: Not even the smallest window fits the device.
        RunInterruptedError: The run was stopped.
    """
    plan = forward.plan
    result = forward.run(valid)
    with forward.watch("stitch"):
        lookup = np.zeros(256, np.uint8)
        lookup[: len(plan.card.legend)] = plan.card.legend.ids
        nodata = np.uint8(plan.card.legend.nodata_id)
        hidden = ~valid
        classes = lookup[result.channel]
        classes[hidden] = nodata
        for layer in (result.confidence, result.seams):
            if layer is not None:
                layer[hidden] = NODATA_BYTE
        if result.scores is not None:
            result.scores[:, hidden] = NODATA_BYTE
        overlap = valid if result.seams is None else valid & result.overlap
        disagree = None if result.seams is None else overlap & (result.seams > 0)
    return BlockLayers(
        classes=classes,
        confidence=result.confidence,
        seams=result.seams,
        scores=result.scores,
        windows=forward.windows,
        forwarded_px=forward.forwarded_px,
        overlap_px=0 if disagree is None else int(np.count_nonzero(overlap)),
        disagree_px=0 if disagree is None else int(np.count_nonzero(disagree)),
    )


def _piece_bands(layers: BlockLayers) -> list[NDArray[np.uint8]]:
    """Return the bands of the piece in the order of ``RunPlan.layers``."""
    bands = [layers.classes, layers.confidence]
    if layers.seams is not None:
        bands.append(layers.seams)
    return bands if layers.scores is None else [*bands, *layers.scores]


def slices(plan: RunPlan, block: BlockIndex) -> list[Window]:
    """Return the slices of a block that are traced one by one, in pixels of the output."""
    return slices_of(_in_output(plan, plan.output_window(block)), plan.output.width)


def trace_layers(
    plan: RunPlan,
    block: BlockIndex,
    classes: NDArray[np.uint8],
    confidence: NDArray[np.uint8],
    place: Window,
) -> BlockTrace:
    """Trace a slice of the part of a block that lies in the output, in pixels of the output.

    Args:
        plan: The plan.
        block: The block.
        classes: (row, col) class ids of the block.
        confidence: (row, col) the same for the confidence.
        place: One of the block's ``slices``.
    """
    own = place.within(_in_output(plan, plan.scene_window(block)))
    nodata_id = plan.card.legend.nodata_id
    return trace_block(classes[own], confidence[own], place, nodata_id=nodata_id)


def nodata_trace(plan: RunPlan, place: Window) -> BlockTrace:
    """Return the trace of a slice without a valid pixel."""
    nodata_id = plan.card.legend.nodata_id
    return trace_block(np.full(place.shape, nodata_id, np.uint8), None, place, nodata_id=nodata_id)


def _in_output(plan: RunPlan, window: Window) -> Window:
    """Return a window of the scene in pixels of the output."""
    row, col = window.row_off - plan.output.row_off, window.col_off - plan.output.col_off
    return Window(row, col, window.height, window.width)


def _receipt(
    plan: RunPlan, block: BlockIndex, layers: BlockLayers | None, watch: Stopwatch
) -> Receipt:
    """Count what the block contributes to the output; ``layers`` None means nothing."""
    shown = plan.output_window(block)
    counts = np.zeros(256, np.int64)
    if layers is not None:
        own = layers.classes[shown.within(plan.scene_window(block))]
        counts = np.bincount(own.ravel(), minlength=256)
    return Receipt(
        row=block.row,
        col=block.col,
        empty=layers is None,
        class_px=tuple(int(counts[i]) for i in plan.card.legend.ids),
        block_px=shown.size_px,
        windows=layers.windows if layers else 0,
        forwarded_px=layers.forwarded_px if layers else 0,
        overlap_px=layers.overlap_px if layers else 0,
        disagree_px=layers.disagree_px if layers else 0,
        read_s=watch.seconds.get("read", 0.0),
        predict_s=watch.seconds.get("predict", 0.0),
        stitch_s=watch.seconds.get("stitch", 0.0),
        write_s=watch.seconds.get("write", 0.0),
        trace_s=watch.seconds.get("trace", 0.0),
    )
