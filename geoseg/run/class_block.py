"""One block of a class raster: read, count, trace, commit."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.tiling import BlockIndex
from geoseg.grid.window import Window
from geoseg.raster.class_raster import CONFIDENCE_STEPS, ConfidenceRaster
from geoseg.raster.read import SceneReader
from geoseg.raster.scene import Scene
from geoseg.run.class_plan import ClassPlan
from geoseg.run.store import RunStore
from geoseg.vector.trace import trace_block

__all__ = ["ClassRecord", "Labels", "finished_blocks", "read_labels", "release", "run_class_block"]

_NOT_KNOWN: Final = 255
_guard: Final = threading.Lock()
_readers: Final[dict[tuple[object, ...], SceneReader]] = {}


class Labels(NamedTuple):
    """Some pixels of a class raster."""

    classes: NDArray[np.uint8]
    """(row, col) class ids, nodata id where not valid."""
    confidence: NDArray[np.uint8] | None
    """(row, col) 0..250, 255 where there is none."""
    problem: str | None
    """What makes the values no classes or no confidences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRecord:
    """What is known of a finished block."""

    row: int
    col: int
    px: int
    """Pixels of the block."""
    values: tuple[int, ...]
    """Class ids that occur."""
    problem: str | None
    """See :class:`Labels`."""

    @property
    def block(self) -> BlockIndex:
        """The block."""
        return BlockIndex(self.row, self.col)


def run_class_block(plan: ClassPlan, block: BlockIndex) -> ClassRecord:
    """Read a block and commit its trace and record.

    Raises:
        SceneReadError: The pixels cannot be read.
        OutputError: The trace cannot be written.
    """
    store = RunStore(plan.targets[0], folder=plan.store_folder)
    window = plan.tiling.block_window(block)
    classes, confidence, problem = read_labels(plan, window)
    if plan.is_traced and problem is None:
        trace = trace_block(classes, confidence, window, nodata_id=plan.nodata_id)
        store.write_trace(block, trace)
    counts = np.bincount(classes.ravel(), minlength=256)
    counts[plan.nodata_id] = 0
    record = ClassRecord(
        row=block.row,
        col=block.col,
        px=window.size_px,
        values=tuple(int(v) for v in np.flatnonzero(counts)),
        problem=problem,
    )
    if problem is None:
        store.write_record(block, asdict(record))
    return record


def finished_blocks(plan: ClassPlan, store: RunStore) -> dict[BlockIndex, ClassRecord]:
    """Return the records of blocks that need not be run again."""
    found = {}
    for data in store.records():
        try:
            record = ClassRecord(**{**data, "values": tuple(data["values"])})
        except (TypeError, KeyError):
            continue
        if not plan.is_traced or store.trace_path(record.block).is_file():
            found[record.block] = record
    return found


def read_labels(plan: ClassPlan, window: Window) -> Labels:
    """Read a window of the class raster and of its confidence.

    Raises:
        SceneReadError: The pixels cannot be read.
    """
    box = _reader(plan.raster.scene, plan.raster.band).read(window)
    values, valid = box.values[0], box.valid
    if plan.nodata is not None:
        valid &= values != plan.nodata
    problem = _not_a_class(plan, values, valid)
    classes = np.where(valid, values, plan.nodata_id).astype(np.uint8)
    if plan.confidence is None:
        return Labels(classes, None, problem)
    confidence, wrong = _confidence(plan.confidence, window)
    return Labels(classes, confidence, problem or wrong)


def _not_a_class(plan: ClassPlan, values: NDArray[Any], valid: NDArray[np.bool_]) -> str | None:
    label = plan.raster.scene.label
    outside = valid & ((values < 0) | (values > _NOT_KNOWN))
    if outside.any():
        value = values[outside][0]
        return f"{label} holds the value {value}: more classes than the 0 to 254 of a byte"
    if (valid & (values == _NOT_KNOWN)).any():
        return f"{label} holds the value {_NOT_KNOWN}, which is no class but kept for nodata"
    return None


def _confidence(raster: ConfidenceRaster, window: Window) -> tuple[NDArray[np.uint8], str | None]:
    """Return confidences 0..250, 255 where there is none, and what is wrong with them."""
    box = _reader(raster.scene, 1).read(window)
    real = box.values[0].astype(np.float64) * raster.scale + raster.offset
    stored = np.rint(real * CONFIDENCE_STEPS)
    # 255 in bytes of 1/250 is geoseg's own "none", with or without a nodata tag.
    known = box.valid & ~((box.values.dtype == np.uint8) & (stored == _NOT_KNOWN)[None])[0]
    wrong = known & ((stored < 0) | (stored > CONFIDENCE_STEPS))
    problem = None
    if wrong.any():
        found = real[wrong][0]
        problem = f"{raster.scene.label} holds the confidence {found:g}, expected 0 to 1"
    usable = known & ~wrong
    return np.where(usable, stored, _NOT_KNOWN).astype(np.uint8), problem


def _reader(scene: Scene, band: int) -> SceneReader:
    """Return this process's reader of a raster."""
    key = (scene.address, scene.fingerprint, band)
    with _guard:
        if key not in _readers:
            _readers[key] = SceneReader(scene, (band,), "any", as_stored=True)
        return _readers[key]


def release() -> None:
    """Close all rasters of this process."""
    with _guard:
        for reader in _readers.values():
            reader.close()
        _readers.clear()
