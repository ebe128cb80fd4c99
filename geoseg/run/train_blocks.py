"""From labelled scenes to prepared blocks of ground on disk: found, read, split."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GeosegError, MismatchError, OptionError, OutputError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.raster.read import SceneReader
from geoseg.run.model_pixels import read_model_window
from geoseg.run.store import write_atomically
from geoseg.run.train_labels import ReadLabels, label_reader
from geoseg.run.train_plan import TrainPlan, TrainScene
from geoseg.training.chips import PreparedBlocks
from geoseg.training.ground import foreign_gaps, same_ground
from geoseg.training.label_sets import class_counts, label_dtype
from geoseg.training.split import NAMES, TEST, TRAIN, VALIDATION, gap_windows, split_blocks

__all__ = ["MARGIN_PX", "SplitCounts", "prepare_blocks"]

CELL_PX: Final = 128
MARGIN_PX: Final = 64
_SIDES: Final = (1024, 512, 256, 128)
_ENOUGH_BLOCKS: Final = 40
_READ_PX: Final = 2048
_GAP_PX: Final = 32
_MOST_BYTES: Final = 12 * 2**30
_SPARE_BYTES: Final = 2**29
_LEAST_BLOCKS: Final = 2
_FACTS: Final = "blocks.json"
_ARRAYS: Final = ("pixels", "valid", "labels")

_Arrays = dict[str, Any]
"""Mapped files by name, block by block; see ``PreparedBlocks``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCounts:
    """How the labelled ground was dealt out."""

    block_px: int
    """Side of a block."""
    blocks: tuple[int, int, int]
    """Blocks for training, validation, test."""
    class_px: tuple[tuple[int, ...], ...]
    """Labelled pixels per part and class."""
    digest: str
    """SHA-256 of all pixels and labels, in order."""


def prepare_blocks(
    plan: TrainPlan, folder: Path, progress: Callable[[int, int], None]
) -> tuple[PreparedBlocks, SplitCounts]:
    """Read the labelled ground once and keep it as arrays on disk; later calls map them.

    Args:
        plan: What is trained on.
        folder: Existing folder for the arrays.
        progress: Called with blocks done and blocks to do.

    Raises:
        MismatchError: Nothing labelled lies on the scenes.
        OptionError: There is too little to split.
        OutputError: The disk is full.
    """
    facts = folder / _FACTS
    try:
        if not facts.exists():
            _write_blocks(plan, folder, progress)
        stored = json.loads(facts.read_text(encoding="utf-8"))
    except OSError as error:
        if isinstance(error, GeosegError):
            raise
        msg = f"cannot write to {folder}: {error.strerror or error}"
        raise OutputError(msg, hint="Is the disk full, the folder writable?") from error
    arrays = {name: np.load(_file(folder, name), mmap_mode="r") for name in _ARRAYS}
    blocks = PreparedBlocks(
        pixels=arrays["pixels"],
        valid=arrays["valid"],
        labels=arrays["labels"],
        part=np.array(stored["part"], np.int8),
        weight=np.array(stored["weight"], np.float64),
        margin_px=MARGIN_PX,
    )
    counts = SplitCounts(
        block_px=stored["block_px"],
        blocks=tuple(stored["blocks"]),
        class_px=tuple(map(tuple, stored["class_px"])),
        digest=stored["digest"],
    )
    return blocks, counts


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _write_blocks(plan: TrainPlan, folder: Path, progress: Callable[[int, int], None]) -> None:
    cells = [_labelled_cells(plan, scene) for scene in plan.scenes]
    side = plan.options.block_px or _block_side(plan, cells)
    places = _places(cells, side)
    arrays = _fresh_arrays(plan, folder, len(places), side + 2 * MARGIN_PX)
    counts = _read_ground(plan, places, side, arrays, progress)
    part = _split(plan, places, counts, side)
    gap = min(_GAP_PX, side // 4)
    gaps = gap_windows(places, part, side, gap)
    gaps += foreign_gaps(*_grids(plan), places, part, side, gap)
    _clear_gaps(plan, gaps, arrays, counts)
    _require_parts(plan, counts, part, side)
    digest = _digest(arrays)
    for array in arrays.values():
        array.flush()
    _write_facts(plan, folder, places, part, counts, side, digest)


def _fresh_arrays(plan: TrainPlan, folder: Path, n_blocks: int, full_px: int) -> _Arrays:
    """Make the files that hold all blocks, margins included."""
    kind = np.dtype(np.uint8 if all(s.is_8bit for s in plan.scenes) else np.float32)
    planes = (n_blocks, full_px, full_px)
    shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
        "pixels": ((n_blocks, len(plan.band_names), full_px, full_px), kind),
        "valid": (planes, np.dtype(np.bool_)),
        "labels": (planes, label_dtype(len(plan.legend) + plan.overlap)),
    }
    for name in shapes:  # of a reading that was stopped: their room is free again
        _file(folder, name).unlink(missing_ok=True)
    _require_room(shapes, folder)
    return {
        name: np.lib.format.open_memmap(_file(folder, name), mode="w+", dtype=dtype, shape=shape)
        for name, (shape, dtype) in shapes.items()
    }


def _read_ground(
    plan: TrainPlan,
    places: NDArray[np.int64],
    side: int,
    arrays: _Arrays,
    progress: Callable[[int, int], None],
) -> NDArray[np.int64]:
    """Fill the arrays; return (block, class) labelled pixels."""
    counts = np.zeros((len(places), len(plan.legend)), np.int64)
    done = 0
    for number, scene in enumerate(plan.scenes):
        with (
            SceneReader(scene.scene, scene.bands, "any") as reader,
            _labels_of(plan, scene) as read_labels,
        ):
            for block in np.flatnonzero(places[:, 0] == number).tolist():
                _, row, col = places[block].tolist()
                core = Window(row * side, col * side, side, side)
                found = _read(scene, reader, read_labels, core, arrays["labels"].dtype)
                for name, part in zip(_ARRAYS, found, strict=True):
                    arrays[name][block] = part
                counts[block] = _class_px(plan, found[2])
                done += 1
                progress(done, len(places))
    return counts


def _labels_of(plan: TrainPlan, scene: TrainScene) -> AbstractContextManager[ReadLabels]:
    return label_reader(scene.labels, plan.legend, plan.options.match, overlap=plan.overlap)


def _class_px(plan: TrainPlan, labels: NDArray[Any]) -> NDArray[np.int64]:
    return class_counts(labels, len(plan.legend), overlap=plan.overlap)


def _clear_gaps(
    plan: TrainPlan,
    gaps: list[tuple[int, Window]],
    arrays: _Arrays,
    counts: NDArray[np.int64],
) -> None:
    """Forget the labels of the gaps between the parts, and count their blocks anew."""
    labels = arrays["labels"]
    whole = Window(-MARGIN_PX, -MARGIN_PX, *labels.shape[1:])
    for number, window in gaps:
        labels[(number, *window.within(whole))] = 0
    for number in {number for number, _ in gaps}:
        counts[number] = _class_px(plan, labels[number])


def _read(
    scene: TrainScene,
    reader: SceneReader,
    read_labels: ReadLabels,
    core: Window,
    dtype: np.dtype[Any],
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]:
    """Return pixels and validity with the margin, and labels of the core alone."""
    whole = core.expand(MARGIN_PX)
    grid = Window(0, 0, scene.scale.model_height, scene.scale.model_width)
    seen, own = whole.intersect(grid), core.intersect(grid)
    values, mask = read_model_window(reader, scene.scale, seen)
    place = seen.within(whole)
    pixels = np.zeros((len(values), *whole.shape), values.dtype)
    valid = np.zeros(whole.shape, np.bool_)
    labels = np.zeros(whole.shape, dtype)
    pixels[(slice(None), *place)], valid[place] = np.where(mask, values, 0), mask
    labels[own.within(whole)] = read_labels(own)
    labels[~valid] = 0
    if pixels.dtype == np.float32 and scene.is_8bit:
        pixels = np.rint(pixels).astype(np.uint8)  # resampled 8-bit pixels
    return pixels, valid, labels


def _labelled_cells(plan: TrainPlan, scene: TrainScene) -> NDArray[np.int64]:
    """Return (n, 2) row and column of the cells of 128 px that hold labels."""
    found = []
    with _labels_of(plan, scene) as read_labels:
        for window in scene.labels.windows(_READ_PX):
            known = read_labels(window) != 0
            pad = [(0, -length % CELL_PX) for length in known.shape]
            table = np.pad(known, pad)
            rows, cols = (length // CELL_PX for length in table.shape)
            hit = table.reshape(rows, CELL_PX, cols, CELL_PX).any(axis=(1, 3))
            at = np.argwhere(hit)
            first = (window.row_off // CELL_PX, window.col_off // CELL_PX)
            found.append(at + np.array(first))
    cells = np.concatenate(found) if found else np.empty((0, 2), np.int64)
    if not len(cells):
        msg = f"no label of {scene.pair.labels} lies on {scene.scene.label}"
        raise MismatchError(
            msg, hint="Do they lie in one place? 'geoseg info' tells where the scene is."
        )
    return cells.astype(np.int64)


def _block_side(plan: TrainPlan, cells: list[NDArray[np.int64]]) -> int:
    """Return the largest side that leaves enough blocks to deal out."""
    free = [c for c, s in zip(cells, plan.scenes, strict=True) if s.pair.part < 0]
    if not free:
        return _SIDES[1]
    for side in _SIDES:
        if sum(len(np.unique(c // (side // CELL_PX), axis=0)) for c in free) >= _ENOUGH_BLOCKS:
            return side
    return _SIDES[-1]


def _places(cells: list[NDArray[np.int64]], side: int) -> NDArray[np.int64]:
    """Return (n, 3) scene, block row, block column of all ground with labels, in order."""
    rows = []
    for number, own in enumerate(cells):
        found = np.unique(own * CELL_PX // side, axis=0)
        rows.append(np.column_stack([np.full(len(found), number), found]))
    places = np.concatenate(rows).astype(np.int64)
    if len(places) < _LEAST_BLOCKS:
        msg = f"the labels lie on {len(places)} block of {side} px, too few to train and to check"
        raise OptionError(msg, hint="Label more ground, some of it elsewhere in the scene.")
    return places


def _require_room(shapes: dict[str, tuple[tuple[int, ...], Any]], folder: Path) -> None:
    """Refuse more ground than the disk holds, or than is sensible to keep twice.

    A mapped file that outgrows the disk would end the process without a word.
    """
    wanted = sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in shapes.values())
    free = shutil.disk_usage(folder).free
    if wanted > min(_MOST_BYTES, free - _SPARE_BYTES):
        gib, has = wanted / 2**30, free / 2**30
        msg = f"the labelled ground would take {gib:.1f} GiB in {folder}, which has {has:.1f} free"
        msg += f" (at most {_MOST_BYTES >> 30} are taken)"
        raise OptionError(msg, hint="Train on fewer scenes, or at a larger --gsd.")


def _grids(plan: TrainPlan) -> tuple[list[PixelGrid], list[str]]:
    """Return the model's grid over each scene, and the scene's file."""
    return [s.labels.grid for s in plan.scenes], [s.scene.label for s in plan.scenes]


def _split(
    plan: TrainPlan, places: NDArray[np.int64], counts: NDArray[np.int64], side: int
) -> NDArray[np.int8]:
    """Deal the blocks out; those of several scenes that lie on the same ground together."""
    fixed = np.array([plan.scenes[n].pair.part for n in places[:, 0]], np.int8)
    groups = same_ground(*_grids(plan), places, side)
    n_groups = int(groups.max()) + 1
    total = np.zeros((n_groups, counts.shape[1]), np.int64)
    np.add.at(total, groups, counts)
    told = np.full(n_groups, -1, np.int8)
    for kind in (TRAIN, VALIDATION, TEST):
        told[groups[fixed == kind]] = kind
    part = split_blocks(total, plan.options.split, fixed=told, seed=plan.options.seed)[groups]
    clash = np.flatnonzero((fixed >= 0) & (fixed != part))
    if len(clash):
        names = [plan.scenes[places[k, 0]].scene.label for k in clash[:1]]
        msg = f"{names[0]} shares ground with a scene of another part of the split"
        raise OptionError(msg, hint="What tests or chooses must not lie on what is trained on.")
    _require_parts(plan, counts, part, side)
    return part


def _require_parts(
    plan: TrainPlan, counts: NDArray[np.int64], part: NDArray[np.int8], side: int
) -> None:
    """See that each part has what it needs.

    Raises:
        OptionError: Nothing to train on or to choose by, or one class only.
    """
    own = [counts[part == k].sum(axis=0) for k in (TRAIN, VALIDATION, TEST)]
    for kind in (TRAIN, VALIDATION):
        if not own[kind].any():
            msg = f"no labelled ground is left for {NAMES[kind]}: {len(part)} blocks of {side} px"
            raise OptionError(
                msg, hint="Label more ground, some of it elsewhere in the scene, or see --split."
            )
    present = counts.sum(axis=0) > 0
    lacking = np.flatnonzero(present & (own[TRAIN] == 0))
    if len(lacking):
        name = plan.legend.classes[int(lacking[0])].name
        msg = f"class {name!r} is labelled in ground for {NAMES[VALIDATION]} or test only"
        raise OptionError(msg, hint="Label it in more places, or see --split.")
    if np.count_nonzero(own[TRAIN]) < 2:  # noqa: PLR2004 - classes
        names = [c.name for c, n in zip(plan.legend, own[TRAIN], strict=True) if n]
        msg = f"the labels hold one class only ({', '.join(names) or 'none alone'})"
        hint = (
            "Label what is not of the class too, or name the class of the rest with --background."
        )
        raise OptionError(msg, hint=hint)


def _digest(arrays: _Arrays) -> str:
    found = hashlib.sha256()
    for name in _ARRAYS:
        for block in arrays[name]:
            found.update(np.ascontiguousarray(block).view(np.uint8).data)
    return found.hexdigest()


def _write_facts(
    plan: TrainPlan,
    folder: Path,
    places: NDArray[np.int64],
    part: NDArray[np.int8],
    counts: NDArray[np.int64],
    side: int,
    digest: str,
) -> None:
    """Put down how the ground was dealt out; its file says that the arrays are whole."""
    facts = {
        "block_px": side,
        "part": part.tolist(),
        "places": places.tolist(),
        "weight": [plan.scenes[number].pair.weight for number in places[:, 0]],
        "blocks": [int(np.count_nonzero(part == k)) for k in (TRAIN, VALIDATION, TEST)],
        "class_px": [counts[part == k].sum(axis=0).tolist() for k in (TRAIN, VALIDATION, TEST)],
        "digest": digest,
    }
    write_atomically(folder / _FACTS, json.dumps(facts))
