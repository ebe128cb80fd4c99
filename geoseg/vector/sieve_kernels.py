"""Compiled part of the sieve: regions as an image, and how long they touch."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers
from geoseg.vector.trace_kernels import (
    count_corners,
    find_runs,
    join_labels,
    label_runs,
    settle,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["label_pixels", "label_wide_pixels", "touching_pairs"]


def _label_pixels(
    classes: NDArray[Any], nodata_id: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Number the 4-connected regions of a strip by their first pixel in reading order.

    Args:
        classes: (row, col) class ids, uint8 or int32.
        nodata_id: Class id that is no region.

    Returns:
        Region of each pixel (row, col), -1 for nodata; class (m,) and pixels (m,) of
        each region.
    """
    height, width = classes.shape
    image = np.empty((height, width), dtype=np.int32)
    flags = np.zeros(width // 8 * 8 + 8, dtype=np.uint8)
    most = count_corners(classes, flags[:width]) + height + width
    parent, label_class = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    stats = np.zeros((most, 4), dtype=np.int64)
    nothing = np.empty(0, dtype=np.uint8)
    starts, above_starts = np.empty(width + 9, np.int32), np.empty(width + 9, np.int32)
    labels, above_labels = np.empty(width + 9, np.int32), np.empty(width + 9, np.int32)
    above_starts[0], above_starts[1], above_labels[0] = 0, width, -1
    n = 0
    for r in range(height):
        n_runs = find_runs(classes[r], flags, starts)
        n = label_runs(
            classes[r], nothing, starts, labels, above_starts, above_labels, parent,
            label_class, stats, n_runs, n, nodata_id,
        )  # fmt: skip
        spread(starts, labels, n_runs, image[r])
        starts, above_starts = above_starts, starts
        labels, above_labels = above_labels, labels
    numbers, n_regions = settle(parent[:n], stats[:n])
    region_class = np.empty(n_regions, dtype=np.int32)
    for label in range(n):
        region_class[numbers[label]] = label_class[label]
    for r in range(height):
        for c in range(width):
            if image[r, c] >= 0:
                image[r, c] = numbers[image[r, c]]
    return image, region_class, stats[:n_regions, 0].copy()


_LABELLED = "Tuple((int32[:, ::1], int32[::1], int64[::1]))({}[:, ::1], int64)"
label_pixels = compiled(_LABELLED.format("uint8"))(_label_pixels)
"""For class ids of one byte."""


@cache
def label_wide_pixels() -> Callable[..., tuple[NDArray[Any], ...]]:
    """Return the same for int32 class ids, compiled when it is first asked for."""
    return compiled(_LABELLED.format("int32"))(_label_pixels)


@compiled_into_callers
def _meet(
    a: int,
    b: int,
    parent: NDArray[np.int32],
    piece_class: NDArray[np.int32],
    pairs: NDArray[np.int64],
    n: int,
) -> int:
    """Join two pieces of one class or write the pair; return the new number of pairs."""
    if a == b or a < 0 or b < 0:
        return n
    if piece_class[a] == piece_class[b]:
        join_labels(parent, a, b)
        return n
    pairs[n] = min(a, b) << 32 | max(a, b)
    return n + 1


@compiled("int64[::1](int32[:, ::1], int32[::1], int32[::1])")
def touching_pairs(
    image: NDArray[np.int32], parent: NDArray[np.int32], piece_class: NDArray[np.int32]
) -> NDArray[np.int64]:
    """List the unequal neighbours in a strip; join equal ones across its upper edge.

    Args:
        image: (1 + row, col) piece of each pixel, -1 for nodata; the first row belongs to
            the strip above.
        parent: (m,) forest of the pieces; updated.
        piece_class: (m,) class of each piece.

    Returns:
        For every pixel side between two classes, the pieces on both sides of it as
        ``smaller << 32 | larger``, in no particular order.
    """
    height, width = image.shape
    pairs = np.empty(4 * width, dtype=np.int64)
    n = 0
    for r in range(1, height):
        if n + 2 * width > len(pairs):
            pairs = np.append(pairs[:n], np.empty(n + 4 * width, dtype=np.int64))
        for c in range(width):
            n = _meet(image[r - 1, c], image[r, c], parent, piece_class, pairs, n)
            if c > 0:
                n = _meet(image[r, c - 1], image[r, c], parent, piece_class, pairs, n)
    return pairs[:n].copy()
