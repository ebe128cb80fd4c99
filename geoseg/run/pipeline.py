"""One scene from top to bottom: plan, blocks, polygons, rasters, metadata, publish."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from geoseg.errors import OutputError, RunInterruptedError
from geoseg.grid.tiling import BlockIndex
from geoseg.memory import return_freed_pages
from geoseg.options import RunOptions
from geoseg.run.arrivals import Arrivals
from geoseg.run.block import run_block
from geoseg.run.cluster import Failure, failures_error, local_client, map_bounded
from geoseg.run.engine import (
    begin_run,
    block_finished,
    end_run,
    load_engine,
    prepare_model,
    request_stop,
    run_limits,
    stop_requested,
)
from geoseg.run.events import BlockDone, Finished, PlanReady, Progress, StageStarted, Warned
from geoseg.run.finish import PolygonResult, write_polygon_files, write_rasters
from geoseg.run.plan import RunPlan, make_plan
from geoseg.run.publish import (
    RECORD_NAME,
    RESULT_NAMES,
    describe,
    publish,
    record_digest,
    refuse_to_replace,
    write_record,
)
from geoseg.run.report import ClassShare, RunTotals, total
from geoseg.run.store import Receipt, RunStore, StoreKey

__all__ = ["RunResult", "run"]

_PATIENCE_S: Final = 5.0
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What ``geoseg.run`` returns."""

    plan: RunPlan
    """What was decided before."""
    out: Path
    """Folder of the results."""
    files: dict[str, Path]
    """Layer name to file."""
    classes: tuple[ClassShare, ...]
    """Pixels, area and share per class."""
    totals: RunTotals
    """Counts and stage times."""
    n_polygons: int | None
    """Number of polygons; None where none were asked for."""
    finish_s: dict[str, float]
    """Seconds of each stage after the blocks."""
    elapsed_s: float
    """Wall-clock seconds."""


def run(options: RunOptions, progress: Progress = lambda _: None) -> RunResult:
    """Map one scene.

    Args:
        options: What to do.
        progress: Called with events from this thread.

    Raises:
        GeosegError: In one line what is wrong and what to do; nothing is half-written.
    """
    start = time.perf_counter()
    plan = _plan_that_continues(options)
    store = RunStore(plan.out)
    refuse_to_replace(plan.out, (options.scene, options.aoi or ""))
    if plan.out.exists() and not plan.out.is_dir():
        msg = f"{plan.out} is a file, expected a folder for the results"
        raise OutputError(msg, hint="Choose another folder with --out.")
    with store.locked():
        if not options.overwrite:
            _refuse_to_overwrite(plan, store)
        key = StoreKey(plan.identity(), plan.digest, plan.layout)
        plan = plan.with_layout(store.open(key, discard=options.overwrite))
        done = store.receipts()
        _announce(plan, done, progress)
        begin_run(plan)
        try:
            _empty(store.final)
            with _early_polygons(plan, store, done) as early:
                done = _classify(plan, done, early, progress, start)
                totals = total(done.values(), len(plan.card.legend))
                if not totals.valid_px:
                    where = plan.scene.label if plan.aoi is None else "the area of interest"
                    message = f"{where} holds the centre of no valid pixel: the map is empty"
                    progress(Warned(message=message))
                return _finish(plan, store, totals, early.result, progress, start)
        except KeyboardInterrupt as error:
            msg = "stopped while the files were written"
            raise RunInterruptedError(msg, hint="Repeat the same command to continue.") from error
        finally:
            end_run(plan)


def _plan_that_continues(options: RunOptions) -> RunPlan:
    """Return the plan; one that fits an unfinished run from before a measurement, if any."""
    plan = make_plan(options)
    store = RunStore(plan.out)
    if options.overwrite or not plan.is_measured or store.holds(plan.digest):
        return plan
    automatic = make_plan(options, use_measured=False)
    return automatic if store.holds(automatic.digest) else plan


def _empty(folder: Path) -> None:
    """Make a folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot write to {folder}: {error.strerror or error}"
        raise OutputError(msg, hint="Mend the cause and repeat the same command.") from error


class _Polygons:
    """The polygons of a run, made while its blocks are computed where that can be."""

    def __init__(
        self, arrivals: Arrivals, work: Callable[[], PolygonResult], *, is_early: bool
    ) -> None:
        self._arrivals = arrivals
        self._work = work
        self._is_early = is_early
        self._started: Future[PolygonResult] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin in a thread that does not keep the process alive, if it can be while blocks run.

        Not before the blocks: what writes polygons takes half a second to import, and imports
        of several threads only take turns.
        """
        if not self._is_early:
            return
        future = self._started = Future[PolygonResult]()

        def work() -> None:
            try:
                future.set_result(self._work())
            except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
                future.set_exception(error)

        thread = threading.Thread(target=work, name="geoseg-polygons", daemon=True)
        thread.start()
        self._thread = thread

    def end(self) -> None:
        """Let the thread give up at its next slice, and wait a moment for it.

        Where it compiles just now, that takes half a minute; nobody who has pressed Ctrl-C
        shall wait for it.
        """
        self._arrivals.end()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)

    def block_done(self, block: BlockIndex) -> None:
        """Take a block; raise what went wrong with the polygons so far."""
        self._arrivals.add(block)
        if self._started is not None and self._started.done():
            self._started.result()

    def result(self) -> PolygonResult:
        """Return what was made, or make it now."""
        return self._work() if self._started is None else self._started.result()


@contextmanager
def _early_polygons(
    plan: RunPlan, store: RunStore, done: dict[BlockIndex, Receipt]
) -> Iterator[_Polygons]:
    """Yield the run's polygons, which are joined and written as the blocks come.

    Joining takes a core a tenth of the time, which a GPU or a network leaves idle during the
    blocks. A sieve needs the whole map first, and a database would keep a transaction open for
    as long as the run takes.
    """
    arrivals = Arrivals(done)
    polygons = _Polygons(
        arrivals,
        partial(write_polygon_files, plan, store, arrivals.wait),
        is_early=plan.is_traced and plan.table is None,
    )
    try:
        yield polygons
    finally:
        polygons.end()


def _refuse_to_overwrite(plan: RunPlan, store: RunStore) -> None:
    found = [name for name in RESULT_NAMES if (plan.out / name).exists()]
    if not found:
        return
    # A run that was killed while its files moved to their names is continued: see _publish.
    if store.holds(plan.digest) and RECORD_NAME not in found:
        return
    if _is_finished(plan) and store.stored_digest() in {None, plan.digest}:
        store.remove()  # a run that was killed while it tidied up may have left some of it
    msg = f"{plan.out} holds results already ({found[0]})"
    raise OutputError(msg, hint="Add --overwrite to replace them, or choose another --out.")


def _is_finished(plan: RunPlan) -> bool:
    """Tell whether the folder holds the very files that the plan would make."""
    try:
        text = (plan.out / RECORD_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return record_digest(text) == plan.files_digest


def _announce(plan: RunPlan, done: dict[BlockIndex, Receipt], progress: Progress) -> None:
    for message in plan.warnings:
        progress(Warned(message=message))
    progress(
        PlanReady(
            scene=plan.scene.label,
            out=str(plan.out),
            model=plan.card.name,
            device=plan.device.name,
            precision=plan.device.precision,
            backend=plan.device.backend,
            blocks=len(plan.blocks()),
            blocks_done=len(done),
            windows=plan.tiling.n_windows,
            window_px=plan.tiling.window_shape,
            halo_px=plan.tiling.halo_px,
            redundancy=round(plan.redundancy, 3),
            output_px=plan.output.size_px,
        )
    )


def _classify(
    plan: RunPlan,
    done: dict[BlockIndex, Receipt],
    polygons: _Polygons,
    progress: Progress,
    start: float,
) -> dict[BlockIndex, Receipt]:
    """Run every block that is not in the store yet; return all receipts.

    Raises:
        BlocksFailedError: Some blocks failed at every try; the others are kept.
        RunInterruptedError: Ctrl-C or SIGTERM; the same command continues.
    """
    receipts = dict(done)
    blocks = plan.blocks()
    missing = [block for block in blocks if block not in receipts]
    px_done = sum(r.block_px for r in receipts.values())
    failures: list[Failure] = []
    if not missing:
        return receipts
    try:
        threads = plan.blocks_in_flight
        prepare_model(plan)
        with local_client(threads) as client:
            polygons.start()
            results = map_bounded(client, partial(_run_one, plan), missing, workers=threads)
            try:
                for _, result in results:
                    if isinstance(result, Failure):
                        failures.append(result)
                        continue
                    for message in run_limits(plan).news():
                        progress(Warned(message=message))
                    receipts[result.block] = result
                    polygons.block_done(result.block)
                    px_done += result.block_px
                    progress(
                        BlockDone(
                            blocks_done=len(receipts),
                            blocks=len(blocks),
                            px_done=px_done,
                            output_px=plan.output.size_px,
                            elapsed_s=round(time.perf_counter() - start, 3),
                            piece=_piece(plan, result),
                            window=_window(plan, result),
                        )
                    )
            except BaseException:
                # Before the cluster closes, which waits for its threads.
                request_stop(plan)
                raise
    except KeyboardInterrupt as error:
        msg = f"stopped after {len(receipts)} of {len(blocks)} blocks"
        raise RunInterruptedError(msg, hint="Repeat the same command to continue.") from error
    if failures:
        raise failures_error(failures, len(blocks))
    return_freed_pages()  # what comes now needs memory of its own
    return receipts


def _run_one(plan: RunPlan, block: BlockIndex) -> Receipt:
    """Run one block in a worker; a module-level function, so that it travels by name."""
    receipt = run_block(plan, block, load=load_engine, stop=partial(stop_requested, plan))
    block_finished(plan)
    return receipt


def _piece(plan: RunPlan, receipt: Receipt) -> str | None:
    """Return the file that listeners may show before the run is finished."""
    return None if receipt.empty else str(RunStore(plan.out).piece_path(receipt.block))


def _window(plan: RunPlan, receipt: Receipt) -> tuple[int, int, int, int]:
    window = plan.scene_window(receipt.block)
    return window.row_off, window.col_off, window.height, window.width


def _finish(
    plan: RunPlan,
    store: RunStore,
    totals: RunTotals,
    polygons: Callable[[], PolygonResult],
    progress: Progress,
    start: float,
) -> RunResult:
    """Make the files in the store's ``final`` folder, then move them to their names."""
    finish_s: dict[str, float] = {}
    made = PolygonResult(files={}, summary=None, class_px=None)
    # The sieve makes the class raster, so that nothing can run beside it.
    if plan.is_sieved:
        with _stage("polygons" if plan.wants_polygons else "sieve", finish_s, progress):
            made = polygons()
    with _beside(partial(write_rasters, plan, store)) as rasters:
        if plan.wants_polygons and not plan.is_sieved:
            with _stage("polygons", finish_s, progress):
                made = polygons()
        with _stage("mosaic", finish_s, progress):
            files = rasters()
    with _stage("metadata", finish_s, progress):
        found = describe(plan, store, totals, made, files)
        elapsed_s = time.perf_counter() - start
        files, record = write_record(
            plan,
            store,
            found,
            elapsed_s=elapsed_s,
            finish_s=finish_s,
            device_limits=run_limits(plan).found(),
        )
    publish(plan.out, store)
    _tidy(store)
    placed = {name: plan.out / path.name for name, path in files.items()}
    progress(
        Finished(
            out=str(plan.out),
            elapsed_s=round(elapsed_s, 3),
            files={name: str(path) for name, path in placed.items()},
            classes=record["result"]["classes"],
        )
    )
    return RunResult(
        plan=plan,
        out=plan.out,
        files=placed,
        classes=found.shares,
        totals=found.totals,
        n_polygons=found.n_polygons,
        finish_s=finish_s,
        elapsed_s=elapsed_s,
    )


def _tidy(store: RunStore) -> None:
    """Remove the run store; the map is in place, so that Ctrl-C comes too late to stop anything."""
    try:
        store.remove()
    except KeyboardInterrupt:
        store.remove()


@contextmanager
def _beside(work: Callable[[], _Made]) -> Iterator[Callable[[], _Made]]:
    """Run ``work`` in a thread; what is yielded waits for it and returns what it made.

    Writing polygons keeps one core busy, and writing rasters all that are left.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="geoseg-mosaic") as pool:
        yield pool.submit(work).result


@contextmanager
def _stage(name: str, seconds: dict[str, float], progress: Progress) -> Iterator[None]:
    progress(StageStarted(stage=name))
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
