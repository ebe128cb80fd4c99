"""One block of a class raster: read, count, trace, commit."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.tiling import BlockIndex
from geoseg.grid.window import Window
from geoseg.raster.class_raster import stored_confidence
from geoseg.raster.read import SceneReader
from geoseg.raster.scene import Scene
from geoseg.run.class_plan import NO_VALUE, ClassPlan
from geoseg.run.store import RunStore
from geoseg.vector.strip import Strip
from geoseg.vector.trace import slices_of, trace_block

__all__ = [
    "ClassRecord",
    "Labels",
    "as_strip",
    "finished_blocks",
    "read_labels",
    "release",
    "run_class_block",
    "slices",
]

_guard: Final = threading.Lock()
_readers: Final[dict[tuple[object, ...], SceneReader]] = {}


class Labels(NamedTuple):
    """Some pixels of a class raster."""

    classes: NDArray[np.uint8] | NDArray[np.int32]
    """(row, col) class ids, the plan's nodata id where not valid."""
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
    store = RunStore(Path(plan.labels[0]), folder=plan.store_folder)
    window = plan.tiling.block_window(block)
    classes, confidence, problem = read_labels(plan, window)
    found: NDArray[Any] = np.empty(0, np.int32)
    if plan.is_traced and problem is None:
        traces = []
        for place in slices(plan, block):
            own = place.within(window)
            certain = None if confidence is None else confidence[own]
            traces.append(trace_block(classes[own], certain, place, nodata_id=plan.nodata_id))
        store.write_traces(block, traces)
        found = np.unique(np.concatenate([trace.region_class for trace in traces]))
    elif problem is None:
        found = np.unique(classes)
    record = ClassRecord(
        row=block.row,
        col=block.col,
        px=window.size_px,
        values=tuple(int(v) for v in found if v != plan.nodata_id),
        problem=problem,
    )
    if problem is None:
        store.write_record(block, asdict(record))
    return record


def slices(plan: ClassPlan, block: BlockIndex) -> list[Window]:
    """Return the slices of a block that are traced one by one."""
    return slices_of(plan.tiling.block_window(block), plan.tiling.width)


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
    classes = values.astype(plan.dtype)
    if not valid.all():
        classes[~valid] = plan.nodata_id
    if plan.confidence is None:
        return Labels(classes, None, problem)
    box = _reader(plan.confidence.scene, 1).read(window)
    confidence, wrong = stored_confidence(plan.confidence, box)
    return Labels(classes, confidence, problem or wrong)


def as_strip(plan: ClassPlan, window: Window, labels: Labels) -> Strip:
    """Return labels as the sieve takes them: of a type that holds the nodata id too."""
    classes = labels.classes
    if plan.nodata_id == NO_VALUE:
        classes = classes.astype(np.int32, copy=False)
    return Strip(window, classes, labels.confidence)


def _not_a_class(plan: ClassPlan, values: NDArray[Any], valid: NDArray[np.bool_]) -> str | None:
    """Return what is wrong where a value does not fit into four bytes."""
    if values.dtype.itemsize < 4:  # noqa: PLR2004 - bytes
        return None
    outside = valid & ((values <= NO_VALUE) | (values >= -NO_VALUE))
    if not outside.any():
        return None
    label = plan.raster.scene.label
    return f"{label} holds the value {values[outside][0]}, more than a class id of four bytes"


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
