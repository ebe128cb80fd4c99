"""The last steps of a scene: what describes the result, and the files' move to their names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from geoseg.errors import OutputError
from geoseg.options import POLYGON_SUFFIXES
from geoseg.partial_files import replace_synced, sync_folder
from geoseg.run.device_limits import FoundLimits
from geoseg.run.finish import PolygonResult
from geoseg.run.plan import RunPlan
from geoseg.run.report import ClassShare, RunTotals, class_shares, run_record
from geoseg.run.stac import scene_item
from geoseg.run.store import RunStore, write_atomically
from geoseg.vector.style import raster_qml

__all__ = [
    "RECORD_NAME",
    "RESULT_NAMES",
    "Described",
    "describe",
    "publish",
    "record_digest",
    "refuse_to_replace",
    "write_record",
]

RECORD_NAME: Final = "run.json"
"""The file that tells that a folder's results are complete: first to go, last to come."""
RESULT_NAMES: Final = (
    "classes.tif", "classes.tif.aux.xml", "classes_raw.tif", "classes_raw.tif.aux.xml",
    "classes.qml", "confidence.tif", "scores.tif", "seams.tif",
    *(f"polygons{suffix}" for suffix in POLYGON_SUFFIXES.values()),
    "item.json", RECORD_NAME,
)  # fmt: skip
"""Every file that a run may leave in its folder."""
_STALE_SUFFIXES: Final = (".aux.xml", ".ovr", ".msk", "-wal", "-shm", "-journal")
"""What viewers and databases put beside a file; beside its successor it would lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a finished map holds, and its files."""

    totals: RunTotals
    """Counts; those of the sieved map where it was sieved."""
    shares: tuple[ClassShare, ...]
    """Table of classes."""
    n_polygons: int | None
    """Number of polygons; None where none were asked for."""
    files: dict[str, Path]
    """Layer name to file in the store's ``final`` folder."""
    item: dict[str, Any]
    """The STAC item."""


def describe(
    plan: RunPlan,
    store: RunStore,
    totals: RunTotals,
    made: PolygonResult,
    rasters: dict[str, Path],
) -> Described:
    """Write the QGIS style of the class raster and the STAC item.

    Args:
        plan: The plan.
        store: Its ``final`` folder holds the files.
        totals: Counts of the blocks.
        made: The polygons.
        rasters: The rasters by layer name.
    """
    summary = made.summary
    totals = totals if made.class_px is None else replace(totals, class_px=made.class_px)
    shares = class_shares(plan, totals, summary.area_m2 if summary else None)
    files = rasters | made.files
    style = store.final / "classes.qml"
    write_atomically(style, raster_qml(plan.card.legend))
    item = scene_item(plan, totals, shares, {**files, "style": style})
    path = store.final / "item.json"
    write_atomically(path, _text(item, end=""))
    return Described(
        totals=totals,
        shares=shares,
        n_polygons=summary.n_polygons if summary else None,
        files=files | {"style": style, "item": path},
        item=item,
    )


def write_record(
    plan: RunPlan,
    store: RunStore,
    found: Described,
    *,
    elapsed_s: float,
    finish_s: dict[str, float],
    device_limits: FoundLimits,
) -> tuple[dict[str, Path], dict[str, Any]]:
    """Write ``run.json``; return all files by layer name, and what it holds."""
    record = run_record(
        plan,
        found.totals,
        found.shares,
        elapsed_s=elapsed_s,
        finish_s=finish_s,
        files=found.files,
        n_polygons=found.n_polygons,
        device_limits=device_limits,
    )
    path = store.final / RECORD_NAME
    write_atomically(path, _text(record, end="\n"))
    return found.files | {"run": path}, record


def _text(value: dict[str, Any], *, end: str) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + end


def refuse_to_replace(out: Path, inputs: Iterable[str]) -> None:
    """Refuse a folder in which a result would take the place of what it is made from.

    Args:
        out: Result folder.
        inputs: Files or addresses that the run reads.

    Raises:
        OutputError: One of them bears the name of a result there.
    """
    for name in RESULT_NAMES:
        target = out / name
        for text in inputs:
            try:
                is_same = target.samefile(text)
            except (OSError, ValueError):  # not there, or no path at all
                continue
            if is_same:
                msg = f"{target} is an input of this run, and a result of it would take its place"
                raise OutputError(msg, hint="Choose another folder with --out.")


def record_digest(text: str) -> str | None:
    """Return the ``files_digest`` of a plan that a ``run.json`` tells; None where it tells none."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    return value.get("files_digest") if isinstance(value, dict) else None


def publish(out: Path, store: RunStore) -> None:
    """Move finished files to their names; old results go away.

    The record is removed first and comes back last, so that a folder with a record holds
    the results of one run, whenever the power goes.

    Raises:
        OutputError: A file cannot be moved.
    """
    try:
        (out / RECORD_NAME).unlink(missing_ok=True)
        sync_folder(out)
        for name in RESULT_NAMES:
            if name != RECORD_NAME:
                _move(store.final / name, out / name)
        sync_folder(out)
        _move(store.final / RECORD_NAME, out / RECORD_NAME)
        sync_folder(out)
    except OSError as error:
        msg = f"cannot write to {out}: {error.strerror or error}"
        raise OutputError(msg, hint="Mend the cause and repeat the same command.") from error


def _move(source: Path, target: Path) -> None:
    """Move a file, or remove the old one where there is no new one, and what belongs to it."""
    if source.exists():
        replace_synced(source, target)
    else:
        target.unlink(missing_ok=True)
    for suffix in _STALE_SUFFIXES:
        if f"{target.name}{suffix}" not in RESULT_NAMES:
            target.with_name(f"{target.name}{suffix}").unlink(missing_ok=True)
