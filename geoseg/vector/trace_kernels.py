"""Compiled part of tracing: one sweep over a block, row by row.

A corner of the pixel lattice is kept where the boundary between classes turns or
branches; straight runs carry no vertex. The regions on all four sides of a kept corner
are known in the same sweep, from runs of equal pixels joined with a union-find.
"""

# ruff: noqa: PLR0913, PLR0917 - compiled functions take plain arrays, not objects

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "count_corners",
    "find",
    "find_runs",
    "join_labels",
    "label_runs",
    "settle",
    "spread",
    "trace_rows",
    "trace_wide_rows",
]

NO_CONFIDENCE = 255


@compiled_into_callers
def find(parent: NDArray[np.int32], label: int) -> int:
    """Return the representative of a label, shortening the way to it."""
    while parent[label] != label:
        parent[label] = parent[parent[label]]
        label = parent[label]
    return label


@compiled_into_callers
def join_labels(parent: NDArray[np.int32], a: int, b: int) -> int:
    """Make two labels one; the older one represents both."""
    a, b = find(parent, a), find(parent, b)
    first, second = min(a, b), max(a, b)
    parent[second] = first
    return first


@compiled_into_callers
def _mark_corners(above: NDArray[Any], below: NDArray[Any], flags: NDArray[np.uint8]) -> None:
    """Flag column c where the boundary turns or branches at the corner left of it."""
    nw, ne, sw, se = above[:-1], above[1:], below[:-1], below[1:]
    out = flags[1:]
    for c in range(len(nw)):
        across = (nw[c] != sw[c]) | (ne[c] != se[c])
        down = (nw[c] != ne[c]) | (sw[c] != se[c])
        out[c] = across & down


@compiled_into_callers
def count_corners(classes: NDArray[Any], flags: NDArray[np.uint8]) -> int:
    """Return how many inner corners of a block turn or branch; flags is scratch (width,)."""
    total = 0
    for r in range(1, classes.shape[0]):
        _mark_corners(classes[r - 1], classes[r], flags)
        row = 0
        for c in range(len(flags)):
            row += flags[c]
        total += row
    return total


@compiled_into_callers
def find_runs(row: NDArray[Any], flags: NDArray[np.uint8], starts: NDArray[np.int32]) -> int:
    """Write the first column of every run of equal pixels, then the width."""
    left, right, out = row[:-1], row[1:], flags[1:]
    for c in range(len(left)):
        out[c] = left[c] != right[c]
    words = flags.view(np.uint64)
    starts[0] = 0
    n = 1
    for k in range(len(words)):
        if words[k] != 0:
            for c in range(8 * k, 8 * k + 8):
                starts[n] = c
                n += flags[c]
    starts[n] = len(row)
    return n


@compiled("Tuple((int32[::1], int64))(int32[::1], int64[:, ::1])")
def settle(parent: NDArray[np.int32], stats: NDArray[np.int64]) -> tuple[NDArray[np.int32], int]:
    """Number the joined labels 0, 1, 2 ... by age and add up what belongs together.

    Args:
        parent: (m,) the forest of labels, roots older than what hangs on them.
        stats: (m, 4) sums per label in columns 0 to 2, a maximum in column 3; the first
            rows become those of the new numbers.

    Returns:
        The new number of every label (m,), and how many there are.
    """
    numbers = np.empty_like(parent)
    n = 0
    for label in range(len(parent)):
        root = parent[label]
        if root == label:
            numbers[label] = n
            stats[n] = stats[label]
            n += 1
        else:
            parent[label] = parent[root]
            number = numbers[parent[label]]
            numbers[label] = number
            for k in range(3):
                stats[number, k] += stats[label, k]
            stats[number, 3] = max(stats[number, 3], stats[label, 3])
    return numbers, n


@compiled_into_callers
def _add_pixels(
    confidence: NDArray[np.uint8], start: int, end: int, stats: NDArray[np.int64]
) -> None:
    """Add a run to (pixels, sum of confidence, pixels with one, 255 - least one)."""
    stats[0] += end - start
    if len(confidence) == 0:
        return
    total, known, depth = 0, 0, 0
    for c in range(start, end):
        value = int(confidence[c])
        if value != NO_CONFIDENCE:
            total += value
            known += 1
            depth = max(depth, NO_CONFIDENCE - value)
    stats[1] += total
    stats[2] += known
    stats[3] = max(stats[3], depth)


@compiled_into_callers
def label_runs(
    row: NDArray[Any],
    confidence: NDArray[np.uint8],
    starts: NDArray[np.int32],
    labels: NDArray[np.int32],
    above_starts: NDArray[np.int32],
    above_labels: NDArray[np.int32],
    parent: NDArray[np.int32],
    label_class: NDArray[Any],
    stats: NDArray[np.int64],
    n_runs: int,
    n_labels: int,
    nodata_id: int,
) -> int:
    """Label the runs of a row from the row above, add up their pixels, count labels."""
    j = 0
    for i in range(n_runs):
        start, end = starts[i], starts[i + 1]
        while above_starts[j + 1] <= start:
            j += 1
        labels[i] = -1
        class_id = row[start]
        if class_id == nodata_id:
            continue
        label = -1
        k = j
        while above_starts[k] < end:
            other = above_labels[k]
            if other >= 0 and label_class[other] == class_id:
                label = other if label < 0 else join_labels(parent, label, other)
            k += 1
        if label < 0:
            label = n_labels
            n_labels += 1
            parent[label] = label
            label_class[label] = class_id
        labels[i] = label
        _add_pixels(confidence, start, end, stats[label])
    return n_labels


@compiled_into_callers
def _write_corners(
    flags: NDArray[np.uint8],
    starts: NDArray[np.int32],
    labels: NDArray[np.int32],
    above_starts: NDArray[np.int32],
    above_labels: NDArray[np.int32],
    places: NDArray[np.int32],
    sides: NDArray[np.int32],
    row: int,
    n: int,
) -> int:
    """Write place and surrounding labels of the flagged corners; return the new count."""
    words = flags.view(np.uint64)
    i, j = 0, 0
    for k in range(len(words)):
        if words[k] == 0:
            continue
        for c in range(8 * k, 8 * k + 8):
            if flags[c] == 0:
                continue
            while starts[i + 1] < c:
                i += 1
            while above_starts[j + 1] < c:
                j += 1
            places[n, 0], places[n, 1] = row, c
            sides[n, 0], sides[n, 3] = above_labels[j], labels[i]
            sides[n, 1] = above_labels[j + 1] if above_starts[j + 1] == c else above_labels[j]
            sides[n, 2] = labels[i + 1] if starts[i + 1] == c else labels[i]
            n += 1
    return n


@compiled_into_callers
def spread(
    starts: NDArray[np.int32], labels: NDArray[np.int32], n_runs: int, out: NDArray[np.int32]
) -> None:
    """Write the label of every pixel of a row."""
    for i in range(n_runs):
        out[starts[i] : starts[i + 1]] = labels[i]


def _trace_rows(
    classes: NDArray[Any], confidence: NDArray[np.uint8], nodata_id: int
) -> tuple[
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int64],
    NDArray[np.int32],
]:
    """Trace the inner corners of a block and label its 4-connected regions.

    Args:
        classes: (row, col) class ids, uint8 or int32.
        confidence: (row, col) 0..250 or 255; or (row, 0) where there is none.
        nodata_id: Class id that is no region; may be no value of the type.

    Returns:
        Places (n, 2) of the corners as row, col within the block, in that order; labels
        (n, 4) of the pixels around them, clockwise from the north-west, -1 for nodata;
        the parent (m,) of every label; its class (m,); its pixels, confidence sum, pixels
        with confidence and 255 minus the least confidence (m, 4); the labels of the
        pixels along the top, right, bottom and left side (4, the longer side).
    """
    height, width = classes.shape
    flags = np.zeros(width // 8 * 8 + 8, dtype=np.uint8)
    used = flags[:width]
    n = count_corners(classes, used)
    places, sides = np.empty((n, 2), dtype=np.int32), np.empty((n, 4), dtype=np.int32)
    most = n + height + width  # a label begins at a corner, or at the top or left side
    parent, label_class = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    stats = np.zeros((most, 4), dtype=np.int64)
    border = np.full((4, max(height, width)), -1, dtype=np.int32)
    starts, above_starts = np.empty(width + 9, np.int32), np.empty(width + 9, np.int32)
    labels, above_labels = np.empty(width + 9, np.int32), np.empty(width + 9, np.int32)
    above_starts[0], above_starts[1], above_labels[0] = 0, width, -1
    n, n_labels = 0, 0
    for r in range(height):
        n_runs = find_runs(classes[r], flags, starts)
        n_labels = label_runs(
            classes[r], confidence[r], starts, labels, above_starts, above_labels,
            parent, label_class, stats, n_runs, n_labels, nodata_id,
        )  # fmt: skip
        if r > 0:
            _mark_corners(classes[r - 1], classes[r], used)
            n = _write_corners(
                flags, starts, labels, above_starts, above_labels, places, sides, r, n
            )
        border[1, r], border[3, r] = labels[n_runs - 1], labels[0]
        if r == 0:
            spread(starts, labels, n_runs, border[0])
        if r == height - 1:
            spread(starts, labels, n_runs, border[2])
        starts, above_starts = above_starts, starts
        labels, above_labels = above_labels, labels
    return places, sides, parent[:n_labels], label_class[:n_labels], stats[:n_labels], border


_TRACED = (
    "Tuple((int32[:, ::1], int32[:, ::1], int32[::1], int32[::1], int64[:, ::1],"
    " int32[:, ::1]))({}[:, ::1], uint8[:, ::1], int64)"
)
trace_rows = compiled(_TRACED.format("uint8"))(_trace_rows)
"""The sweep for class ids of one byte."""


@cache
def trace_wide_rows() -> Callable[..., tuple[NDArray[Any], ...]]:
    """Return the sweep for int32 class ids, compiled when it is first asked for."""
    return compiled(_TRACED.format("int32"))(_trace_rows)
