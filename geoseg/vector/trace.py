"""Trace one block of a class map into corners and regions, by itself.

Strategy: only corners *inside* the block are decided here; those on its sides need the
pixels of a neighbour, so the block keeps the region labels of its outermost pixels and
the join decides them. No vertex therefore depends on how the scene was cut.
"""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.grid.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["BlockTrace", "load_trace", "save_traces", "slices_of", "trace_block"]

_NO_VALUE = -(1 << 40)
"""What no class id is equal to."""
_SLICE_ROW_PX = 10_000_000
"""Pixels of a row of slices across the scene, which the join holds at once."""
_LEAST_ROWS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTrace:
    """Corners and regions of one block; plain arrays that travel between processes."""

    window: Window
    """Place of the block in the scene."""
    places: NDArray[np.int32]
    """(n, 2) corners inside the block as row, col of the scene, in that order."""
    sides: NDArray[np.int32]
    """(n, 4) region around each corner: north-west, north-east, south-east, south-west;
    -1 for nodata."""
    region_class: NDArray[np.int32]
    """(m,) class id of each region."""
    region_stats: NDArray[np.int64]
    """(m, 4) pixels, sum of stored confidence (0..250), pixels with a confidence, and
    255 minus the least confidence (0 where there is none)."""
    top: NDArray[np.int32]
    """(width,) region of each pixel of the first row, -1 for nodata."""
    right: NDArray[np.int32]
    """(height,) the same for the last column."""
    bottom: NDArray[np.int32]
    """(width,) the same for the last row."""
    left: NDArray[np.int32]
    """(height,) the same for the first column."""


_ARRAYS = tuple(f.name for f in fields(BlockTrace) if f.name != "window")


def slices_of(window: Window, width: int) -> list[Window]:
    """Cut a block's window into the slices that are traced one by one.

    The join holds the slices of a whole row of blocks, so the wider the scene, the lower
    they are. Blocks side by side are cut at the same rows.

    Args:
        window: Place of the block in the scene.
        width: Columns of the scene.
    """
    rows = max(_LEAST_ROWS, _SLICE_ROW_PX // width)
    ends = range(window.row_off, window.row_end, rows)
    return [
        Window(row, window.col_off, min(rows, window.row_end - row), window.width) for row in ends
    ]


def save_traces(path: Path, traces: Sequence[BlockTrace]) -> None:
    """Write the slices of a block as one npz file; equal traces give equal bytes."""
    arrays: dict[str, Any] = {}
    for number, trace in enumerate(traces):
        w = trace.window
        where = np.array([w.row_off, w.col_off, w.height, w.width], dtype=np.int64)
        arrays |= {f"{number}.{name}": getattr(trace, name) for name in _ARRAYS}
        arrays[f"{number}.window"] = where
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load_trace(path: Path, number: int) -> BlockTrace:
    """Read one slice of what :func:`save_traces` wrote.

    Raises:
        KeyError: There is no such slice.
        OSError, ValueError, zipfile.BadZipFile: The file is damaged.
    """
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: held[f"{number}.{name}"] for name in _ARRAYS}
        return BlockTrace(window=Window(*map(int, held[f"{number}.window"])), **arrays)


def trace_block(
    classes: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int32],
    confidence: NDArray[np.uint8] | None,
    window: Window,
    *,
    nodata_id: int | None = 255,
) -> BlockTrace:
    """Trace the boundaries and 4-connected regions of one block.

    Args:
        classes: (row, col) class ids, at least one pixel.
        confidence: (row, col) 0..250 for 0..1 and 255 where there is none, or None.
        window: Place of the block in the scene.
        nodata_id: Class id that is no region, or None where all are.

    Raises:
        ValueError: The arrays do not have the shape of the window, or class ids are of
            another type.
    """
    from geoseg.vector.trace_kernels import settle, trace_rows, trace_wide_rows

    shapes = {classes.shape, window.shape if confidence is None else confidence.shape}
    if shapes != {window.shape} or window.size_px == 0:
        msg = f"expected arrays of {window.shape} with at least one pixel, got {shapes}"
        raise ValueError(msg)
    if confidence is None:
        confidence = np.empty((window.height, 0), dtype=np.uint8)
    if classes.dtype not in {np.dtype(t) for t in (np.uint8, np.uint16, np.int32)}:
        msg = f"class ids are uint8, uint16 or int32, not {classes.dtype}"
        raise ValueError(msg)
    narrow = classes.dtype == np.uint8
    places, sides, parent, label_class, stats, border = (
        trace_rows if narrow else trace_wide_rows()
    )(
        np.ascontiguousarray(classes, dtype=np.uint8 if narrow else np.int32),
        np.ascontiguousarray(confidence),
        _NO_VALUE if nodata_id is None else nodata_id,
    )
    numbers, n_regions = settle(parent, stats)
    region_class = np.empty(n_regions, dtype=np.int32)
    region_class[numbers] = label_class
    numbers = np.append(numbers, np.int32(-1))  # so that label -1 stays -1
    places += np.array([window.row_off, window.col_off], dtype=np.int32)
    return BlockTrace(
        window=window,
        places=places,
        sides=numbers.take(sides),
        region_class=region_class,
        region_stats=stats[:n_regions].copy(),
        top=numbers[border[0, : window.width]],
        right=numbers[border[1, : window.height]],
        bottom=numbers[border[2, : window.width]],
        left=numbers[border[3, : window.height]],
    )
