"""A class raster into polygons, from top to bottom: plan, blocks, polygons, publish."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from geoseg.errors import OutputError, RunInterruptedError, SceneError, SceneReadError
from geoseg.grid.tiling import BlockIndex, slice_order
from geoseg.grid.window import Window
from geoseg.legend import Legend, found_legend
from geoseg.memory import return_freed_pages, share_one_arena
from geoseg.options import VectoriseOptions
from geoseg.raster.readback import DISK_HINT
from geoseg.run.class_block import (
    ClassRecord,
    as_strip,
    finished_blocks,
    read_labels,
    release,
    run_class_block,
    slices,
)
from geoseg.run.class_plan import ClassPlan, make_class_plan
from geoseg.run.cluster import Failure, failures_error, local_client, map_bounded
from geoseg.run.events import BlockDone, Finished, Progress, StageStarted, VectoriseReady, Warned
from geoseg.run.report import ClassShare
from geoseg.run.store import RunStore, StoreKey, place
from geoseg.vector.polygons import Strip, VectorSummary, write_polygons
from geoseg.vector.sieve import sieve
from geoseg.vector.trace import BlockTrace
from geoseg.vector.warm_up import compile_in_background

__all__ = ["VectoriseResult", "legend_of", "map_strips", "vectorise"]

_STRIP_ROWS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class VectoriseResult:
    """What ``geoseg.vectorise`` returns."""

    files: tuple[Path, ...]
    """The files, in the order in which they were asked for."""
    legend: Legend
    """Names and colours of the classes."""
    classes: tuple[ClassShare, ...]
    """Pixels, area and share per class."""
    n_polygons: int
    """Number of features in each file."""
    elapsed_s: float
    """Wall-clock seconds."""


def vectorise(options: VectoriseOptions, progress: Progress = lambda _: None) -> VectoriseResult:
    """Write the polygons of one class raster.

    Args:
        options: What to do.
        progress: Called with events from this thread.

    Raises:
        GeosegError: In one line what is wrong and what to do; nothing is half-written.
    """
    start = time.perf_counter()
    share_one_arena()
    plan = make_class_plan(options)
    for message in plan.warnings:
        progress(Warned(message=message))
    store = RunStore(Path(plan.labels[0]), folder=plan.store_folder)
    with store.locked():
        key = StoreKey(plan.identity(), plan.digest, plan.block_shape)
        plan = plan.with_blocks(store.open(key, discard=options.overwrite))
        try:
            records = _run_blocks(plan, store, progress, start)
            legend = legend_of(plan, records.values())
            summary = _write(plan, store, legend, progress)
        except SceneReadError:
            raise  # what is done is kept, as after any interruption
        except SceneError:
            store.remove()  # this input can never become polygons
            raise
        _publish(plan, store)
        store.remove()
    return _result(plan, legend, summary, progress, start)


def _run_blocks(
    plan: ClassPlan, store: RunStore, progress: Progress, start: float
) -> dict[BlockIndex, ClassRecord]:
    """Run every block that is not in the store yet; return all records.

    Raises:
        SceneError: The raster holds no classes, or the confidences are none.
        BlocksFailedError: Some blocks failed at every try; the others are kept.
        RunInterruptedError: Ctrl-C or SIGTERM; the same command continues.
    """
    records = finished_blocks(plan, store)
    progress(_ready(plan, len(records)))
    missing = [block for block in plan.tiling.blocks() if block not in records]
    failures: list[Failure] = []
    if not missing:
        return records
    compile_in_background()
    try:
        with local_client(plan.workers) as client:
            run = partial(run_class_block, plan)
            for _, result in map_bounded(client, run, missing, workers=plan.workers):
                if isinstance(result, Failure):
                    failures.append(result)
                    continue
                _require_classes(result)
                records[result.block] = result
                progress(_block_done(plan, records, start))
    except KeyboardInterrupt as error:
        msg = f"stopped after {len(records)} of {plan.tiling.n_blocks} blocks"
        raise RunInterruptedError(msg, hint="Repeat the same command to continue.") from error
    finally:
        release()
        return_freed_pages()
    if failures:
        raise failures_error(failures, plan.tiling.n_blocks)
    return records


def _ready(plan: ClassPlan, done: int) -> VectoriseReady:
    return VectoriseReady(
        raster=plan.raster.scene.label,
        out=list(plan.labels),
        blocks=plan.tiling.n_blocks,
        blocks_done=done,
        block_px=plan.block_shape,
        output_px=plan.raster.scene.grid.window.size_px,
    )


def _require_classes(record: ClassRecord) -> None:
    if record.problem is not None:
        hint = "Recode the raster first, or name a nodata value with --nodata."
        raise SceneError(record.problem, hint=hint)


def _block_done(plan: ClassPlan, records: dict[BlockIndex, ClassRecord], start: float) -> BlockDone:
    return BlockDone(
        blocks_done=len(records),
        blocks=plan.tiling.n_blocks,
        px_done=sum(record.px for record in records.values()),
        output_px=plan.raster.scene.grid.window.size_px,
        elapsed_s=round(time.perf_counter() - start, 3),
    )


def legend_of(plan: ClassPlan, records: Iterable[ClassRecord]) -> Legend:
    """Return the user's legend, or the raster's own with names for all that occurs.

    Raises:
        SceneError: A value is not in the user's legend.
    """
    values = sorted({value for record in records for value in record.values})
    if plan.legend is None:
        return found_legend(
            values,
            names=dict(plan.raster.names),
            colours=dict(plan.raster.colours),
            nodata_id=plan.nodata_id,
        )
    strangers = [value for value in values if value not in plan.legend.ids]
    if strangers:
        msg = f"{plan.raster.scene.label} holds class {strangers[0]}, which --legend does not name"
        raise SceneError(msg, hint=f"It names {', '.join(map(str, plan.legend.ids))}.")
    return plan.legend


def _write(plan: ClassPlan, store: RunStore, legend: Legend, progress: Progress) -> VectorSummary:
    """Write every file into the store's ``final`` folder."""
    progress(StageStarted(stage="polygons"))
    shutil.rmtree(store.final, ignore_errors=True)
    store.final.mkdir(parents=True)
    outlines = plan.outlines
    blocks: Iterator[Strip | BlockTrace] = _traces(plan, store)
    if not plan.is_traced:
        read = partial(map_strips, plan)
        blocks = sieve(read, min_px=outlines.min_px, nodata_id=plan.nodata_id)
    try:
        return write_polygons(
            blocks,
            grid=plan.raster.scene.grid,
            legend=legend,
            targets=plan.polygon_targets(_finals(plan, store)),
            outlines=outlines,
            temp_dir=store.final,
        )
    finally:
        release()


def _traces(plan: ClassPlan, store: RunStore) -> Iterator[BlockTrace]:
    """Yield the committed traces, a row of slices across the map after the other."""
    for block, number in slice_order(plan.tiling.blocks(), lambda block: len(slices(plan, block))):
        yield _trace(plan, store, block, number)


def _trace(plan: ClassPlan, store: RunStore, block: BlockIndex, number: int) -> BlockTrace:
    """Return a slice of a block's trace; a damaged one is made again."""
    trace = store.read_trace(block, number)
    if trace is None:
        run_class_block(plan, block)
        trace = store.read_trace(block, number)
    if trace is None:
        msg = f"cannot read {store.trace_path(block)} after writing it"
        raise OutputError(msg, hint="Is the disk sound?")
    return trace


def map_strips(plan: ClassPlan) -> Iterator[Strip]:
    """Yield the class map from top to bottom."""
    grid = plan.raster.scene.grid
    for row in range(0, grid.height, _STRIP_ROWS):
        window = Window(row, 0, min(_STRIP_ROWS, grid.height - row), grid.width)
        yield as_strip(plan, window, read_labels(plan, window))


def _finals(plan: ClassPlan, store: RunStore) -> list[Path]:
    return [store.final / f"{i}{t.suffix.lower()}" for i, t in enumerate(plan.targets)]


def _publish(plan: ClassPlan, store: RunStore) -> None:
    for source, target in zip(_finals(plan, store), plan.targets, strict=True):
        try:
            place(source, target)
        except OSError as error:
            msg = f"cannot write {target}: {error.strerror or error}"
            raise OutputError(msg, hint=DISK_HINT) from error


def _result(
    plan: ClassPlan, legend: Legend, summary: VectorSummary, progress: Progress, start: float
) -> VectoriseResult:
    valid = max(sum(summary.px_count.values()), 1)
    shares = tuple(
        ClassShare(
            class_id=c.class_id,
            class_name=c.name,
            px_count=summary.px_count[c.class_id],
            area_m2=None if summary.area_m2 is None else summary.area_m2[c.class_id],
            share=summary.px_count[c.class_id] / valid,
        )
        for c in legend
    )
    elapsed_s = time.perf_counter() - start
    progress(
        Finished(
            out=plan.labels[0],
            elapsed_s=round(elapsed_s, 3),
            files={target.name: str(target) for target in plan.targets},
            classes=[share.as_json() for share in shares],
        )
    )
    return VectoriseResult(
        files=plan.targets,
        legend=legend,
        classes=shares,
        n_polygons=summary.n_polygons,
        elapsed_s=elapsed_s,
    )
