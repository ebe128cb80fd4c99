"""What the workers of a batch do for one scene: plan it, map a block, make the files.

Module-level functions, so that they travel by name. Their first argument tells of the process
that they run in; what they return is small.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from geoseg.errors import OutputError
from geoseg.grid.tiling import BlockIndex
from geoseg.memory import return_freed_pages
from geoseg.model.registry import find_model
from geoseg.raster.readback import DISK_HINT
from geoseg.raster.sources import source_names
from geoseg.run.allowed import AllowedRoots
from geoseg.run.block import run_block
from geoseg.run.device_limits import FoundLimits
from geoseg.run.documents import Documents
from geoseg.run.engine import block_finished, load_engine, run_limits, taking_part
from geoseg.run.finish import PolygonResult, raster_names, write_polygon_files, write_rasters
from geoseg.run.place import Root, SceneHome, WorkerContext
from geoseg.run.plan import RunPlan, make_plan
from geoseg.run.publish import (
    RESULT_NAMES,
    describe,
    record_digest,
    refuse_to_replace,
    write_record,
)
from geoseg.run.report import RunTotals, total
from geoseg.run.roots import read_object
from geoseg.run.scene_job import SceneJob
from geoseg.run.store import Receipt, RunStore, StoreKey
from geoseg.version import __version__

__all__ = [
    "BlockMade",
    "Part",
    "Planned",
    "SceneMade",
    "WorkerFacts",
    "make_part",
    "make_scene",
    "make_whole",
    "map_block",
    "parts_of",
    "plan_scene",
    "worker_facts",
]

Part = str
"""A share of a scene's files: a raster layer, or ``polygons``."""
_ALL: Final = "all"
_POLYGONS: Final = "polygons"
_SHARED_FROM_PX: Final = 30_000_000
"""Below, one worker makes all files sooner than several are asked."""
_guard: Final = threading.Lock()
_tasks_here: Final[Counter[Path]] = Counter()
"""Tasks of this process by run store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A scene that is ready for its blocks."""

    plan: RunPlan
    """The plan; its ``out`` is that of the process that made it."""
    key: StoreKey
    """What its pieces are made from."""
    done: frozenset[BlockIndex]
    """Blocks of an earlier session."""
    totals: RunTotals
    """What they hold."""
    is_finished: bool
    """True where the very result is there already."""
    has_rest: bool
    """True where pieces are left beside it, by a client that was killed before they went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMade:
    """A block that is committed."""

    receipt: Receipt
    """What it holds."""
    warnings: tuple[str, ...]
    """What the worker has learnt of its device since it was asked last."""
    limits: FoundLimits
    """What it has learnt so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMade:
    """Files in the attempt's ``final`` folder."""

    rasters: tuple[str, ...]
    """Names of the raster layers."""
    polygons: PolygonResult | None
    """What became of the polygons, where they were of this part."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMade:
    """A scene whose files wait for their names."""

    names: tuple[str, ...]
    """The files."""
    valid_px: int
    """Pixels that were classified."""
    class_px: tuple[tuple[str, int], ...]
    """(class name, pixels)."""
    n_polygons: int | None
    """Polygons; None where none were asked for."""
    bbox: tuple[float, float, float, float] | None
    """West, south, east, north in degrees."""
    acquired: str | None
    """When the scene was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """What the client wants to know of a process before it gets work."""

    geoseg: str
    """Version."""
    weights_sha256: str
    """Digest of the model that the name stands for there."""
    seen: tuple[bool, ...]
    """Which of the named files it sees."""
    mark: str | None
    """What it reads where the client has left a mark in the root."""


def worker_facts(model: str, files: tuple[str, ...], root: Root, mark: str) -> WorkerFacts:
    """Return what this process has and sees, and leave a mark of its own in the root.

    Args:
        model: Name or folder of the model.
        files: Local paths.
        root: Where the results go.
        mark: Name of a file there.

    Raises:
        ModelError: There is no such model here.
        OutputError: The root cannot be written from here.
    """
    _, card = find_model(model)
    own = f"{mark}-{os.getpid()}-{time.time_ns()}"
    root.write_text(own, __version__)
    root.delete(own)
    return WorkerFacts(
        geoseg=__version__,
        weights_sha256=card.weights_sha256,
        seen=tuple(Path(name).exists() for name in files),
        mark=root.read_text(mark),
    )


def plan_scene(
    context: WorkerContext,
    job: SceneJob,
    home: SceneHome,
    roots: AllowedRoots,
    *,
    use_measured: bool,
) -> Planned:
    """Open a scene's header, decide, and look at what is there.

    Args:
        context: The process.
        job: The scene.
        home: Its place.
        roots: Where the files behind the scene may lie.
        use_measured: Follow what ``geoseg tune`` has found on this machine.

    Raises:
        GeosegError: The scene cannot be mapped, or its place holds other results.
    """
    if roots:
        # Each name is held against the roots before it is looked at.
        read_text = Documents(roots=roots, read_s3=read_object).text
        source_names(job.address, check=roots.check, read_text=read_text)
    options = replace(
        job.options,
        out=home.folder(context.scratch),
        workers=context.slots,
        table=_table_name(job),
    )
    plan = make_plan(options, use_measured=use_measured)
    refuse_to_replace(plan.out, (options.scene, options.aoi or ""))
    found = home.record()
    finished = found is not None and record_digest(found) == plan.files_digest
    done = dict[BlockIndex, Receipt]()
    if not finished:
        stored = home.stored_digest()
        if not options.overwrite and stored != plan.digest:
            _refuse_to_overwrite(home)
        done = home.receipts() if stored == plan.digest else {}
    return Planned(
        plan=plan,
        key=StoreKey(plan.identity(), plan.digest, plan.layout),
        done=frozenset(done),
        totals=total(done.values(), len(plan.card.legend)),
        is_finished=finished,
        has_rest=finished and home.has_rest(),
    )


def _table_name(job: SceneJob) -> str | None:
    """Return the table of a scene's own; files of one name in two folders would share theirs."""
    if job.options.postgis is None or job.options.table is not None:
        return job.options.table
    return f"{job.scene_id.replace('.', '_')}_polygons"  # a dot would stand for a schema


def _refuse_to_overwrite(home: SceneHome) -> None:
    found = home.result_names()
    if found:
        msg = f"{home.address} holds results of other settings or of another scene ({found[0]})"
        raise OutputError(msg, hint="Add --overwrite to replace them, or choose another --out.")


def map_block(
    context: WorkerContext, plan: RunPlan, home: SceneHome, block: BlockIndex
) -> BlockMade:
    """Map one block and commit it.

    Raises:
        GeosegError: It cannot be read, mapped or written.
    """
    with _here(context, plan, home) as (here, store), taking_part(here):
        receipt = run_block(here, block, load=load_engine)
        home.commit(store, block)
        block_finished(here)
        limits = run_limits(here)
        return BlockMade(receipt=receipt, warnings=limits.news(), limits=limits.found())


def parts_of(plan: RunPlan, home: SceneHome) -> tuple[Part, ...]:
    """Return what the workers can make side by side of a scene's files; nothing for one worker.

    Files that are made in a worker's own folder are described there, too.
    """
    if plan.is_sieved or not home.is_shared or plan.output.size_px < _SHARED_FROM_PX:
        return ()
    return ((_POLYGONS,) if plan.wants_polygons else ()) + raster_names(plan)


def make_part(
    context: WorkerContext, plan: RunPlan, home: SceneHome, attempt: str, part: Part
) -> PartMade:
    """Make a share of a scene's files in the attempt's ``final`` folder.

    Raises:
        GeosegError: A file cannot be made.
    """
    start = time.perf_counter()
    # A worker that was given up may still be at the same part: each try has a folder to itself.
    own_attempt = f"{attempt}-{secrets.token_hex(4)}"
    with _here(context, plan, home, own_attempt) as (here, own):
        store = home.store(context.scratch, attempt)
        return_freed_pages()  # what comes now needs memory of its own
        # Its client may be dead and the scene finished by the next one: make no store anew.
        own.require(plan.digest)
        try:
            _make_folder(own.final)
            home.fetch(own, (".tif", ".npz"))
            made = _files_of(here, own, part)
            names = _bring_together(own, store)
        finally:
            shutil.rmtree(own.final, ignore_errors=True)
    rasters = tuple(name for name in raster_names(plan) if f"{name}.tif" in names)
    if made is not None:
        files = {name: store.final / path.name for name, path in made.files.items()}
        made = replace(made, files=files)
    return PartMade(rasters=rasters, polygons=made, seconds=time.perf_counter() - start)


def _files_of(plan: RunPlan, store: RunStore, part: Part) -> PolygonResult | None:
    """Make the files of a part; return what became of the polygons, where they are of it."""
    if part == _ALL:
        return _all(plan, store)
    if part == _POLYGONS:
        return write_polygon_files(plan, store)
    write_rasters(plan, store, (part,))
    return None


def _bring_together(own: RunStore, store: RunStore) -> list[str]:
    """Move the files of a part beside those of the others, each at once; return their names.

    Raises:
        OutputError: The store is gone, or cannot be written.
    """
    names = [name for name in RESULT_NAMES if (own.final / name).is_file()]
    _make_folder(store.final)
    try:
        for name in names:
            os.replace(own.final / name, store.final / name)
    except OSError as error:
        msg = f"cannot write to {store.final}: {error.strerror or error}"
        raise OutputError(msg, hint=DISK_HINT) from error
    return names


def _make_folder(path: Path) -> None:
    """Make a folder in a run store; not the store, which may have gone with its run."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        msg = f"cannot write to {path}: {error.strerror or error}"
        raise OutputError(msg, hint=DISK_HINT) from error


def _all(plan: RunPlan, store: RunStore) -> PolygonResult:
    """Make all files; polygons beside rasters, but for a sieve, which both come from."""
    if plan.is_sieved:
        made = write_polygon_files(plan, store)
        write_rasters(plan, store)
        return made
    with ThreadPoolExecutor(1, thread_name_prefix="geoseg-mosaic") as pool:
        rasters = pool.submit(write_rasters, plan, store)
        nothing = PolygonResult(files={}, summary=None, class_px=None)
        made = write_polygon_files(plan, store) if plan.wants_polygons else nothing
        rasters.result()
    return made


def make_whole(
    context: WorkerContext,
    plan: RunPlan,
    home: SceneHome,
    attempt: str,
    totals: RunTotals,
    limits: FoundLimits,
    elapsed_s: float,
) -> SceneMade:
    """Make and describe all files of a scene; as ``make_part`` and ``make_scene``.

    Raises:
        GeosegError: A file cannot be made.
    """
    with _here(context, plan, home, attempt):  # between the two, a folder of its own stays
        part = make_part(context, plan, home, attempt, _ALL)
        elapsed_s += part.seconds
        return make_scene(context, plan, home, attempt, totals, limits, (part,), elapsed_s)


def make_scene(
    context: WorkerContext,
    plan: RunPlan,
    home: SceneHome,
    attempt: str,
    totals: RunTotals,
    limits: FoundLimits,
    parts: tuple[PartMade, ...],
    elapsed_s: float,
) -> SceneMade:
    """Write what describes a scene, and leave all files where they can be published.

    Args:
        context: The process.
        plan: The plan.
        home: Its place.
        attempt: Names the ``final`` folder.
        totals: Counts of all blocks.
        limits: What the workers' devices held.
        parts: What was made.
        elapsed_s: Seconds since the first block.

    Raises:
        GeosegError: A file cannot be written.
    """
    start = time.perf_counter()
    made = next((p.polygons for p in parts if p.polygons is not None), None)
    made = made or PolygonResult(files={}, summary=None, class_px=None)
    with _here(context, plan, home, attempt) as (here, store):
        rasters = {name: store.final / f"{name}.tif" for p in parts for name in p.rasters}
        in_order = {name: rasters[name] for name in raster_names(plan) if name in rasters}
        found = describe(here, store, totals, made, in_order)
        write_record(
            here,
            store,
            found,
            elapsed_s=elapsed_s + time.perf_counter() - start,
            finish_s={"files": sum(p.seconds for p in parts)},
            device_limits=limits,
        )
        names = tuple(name for name in RESULT_NAMES if (store.final / name).is_file())
        home.stage(store, attempt)
    bbox = found.item.get("bbox")
    return SceneMade(
        names=names,
        valid_px=found.totals.valid_px,
        class_px=tuple((s.class_name, s.px_count) for s in found.shares),
        n_polygons=found.n_polygons,
        bbox=None if bbox is None else tuple(bbox),
        acquired=found.item["properties"]["datetime"],
    )


@contextmanager
def _here(
    context: WorkerContext, plan: RunPlan, home: SceneHome, attempt: str = ""
) -> Iterator[tuple[RunPlan, RunStore]]:
    """Yield the plan and the run store as this process sees them.

    A store of its own, whose pieces lie elsewhere, goes with the last task of the scene here:
    the disk is the worker's, and a night has ten thousand scenes.
    """
    plan = replace(plan, out=home.folder(context.scratch), workers=context.slots)
    store = home.store(context.scratch, attempt)
    with _guard:  # threads of one process prepare a store once
        home.prepare(store, StoreKey(plan.identity(), plan.digest, plan.layout))
        _tasks_here[store.folder] += 1
    try:
        yield plan, store
    finally:
        with _guard:
            _tasks_here[store.folder] -= 1
            if not _tasks_here[store.folder]:
                del _tasks_here[store.folder]
                home.leave(store)
