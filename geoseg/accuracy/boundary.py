"""How well the borders between classes are met, a few pixels of tolerance allowed.

The boundary F-score of Csurka et al. 2013, "What is a good evaluation measure for semantic
segmentation?" (BMVC, doi:10.5244/C.27.32), counted over all images together: precision is
the part of the map's border pixels that lie near the reference's, recall the reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoundaryCounts", "boundary_counts", "boundary_reach_px"]


@dataclass(frozen=True, slots=True)
class BoundaryCounts:
    """Border pixels of one class; adds up over blocks."""

    mapped: int = 0
    """Of the map."""
    mapped_near: int = 0
    """Of these, near one of the reference."""
    reference: int = 0
    """Of the reference."""
    reference_near: int = 0
    """Of these, near one of the map."""

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        """Return the counts of both."""
        return BoundaryCounts(
            self.mapped + other.mapped,
            self.mapped_near + other.mapped_near,
            self.reference + other.reference,
            self.reference_near + other.reference_near,
        )

    @property
    def f_score(self) -> float | None:
        """Harmonic mean of precision and recall; None without a border on either side."""
        if not self.mapped or not self.reference:
            return None if not self.mapped and not self.reference else 0.0
        precision = self.mapped_near / self.mapped
        recall = self.reference_near / self.reference
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_reach_px(tolerance_px: int) -> int:
    """Return how far around a block its counts look."""
    return tolerance_px + 1


def boundary_counts(
    mapped: NDArray[np.integer[Any]],
    reference: NDArray[np.integer[Any]],
    known: NDArray[np.bool_],
    tolerance_px: int,
    margin_px: tuple[int, int],
) -> dict[int, BoundaryCounts]:
    """Count border pixels of every class in the inner rows of a strip.

    A border pixel has one of its four neighbours in another class. What is not known, in
    the map or the reference, is no neighbour.

    Args:
        mapped: (row, col) class ids of the map.
        reference: (row, col) class ids of the reference.
        known: (row, col) True where both say anything.
        tolerance_px: How far apart two border pixels may be, in a straight line.
        margin_px: Rows above and below that belong to other strips,
            ``boundary_reach_px`` of them unless the map ends there.

    Returns:
        Class id to counts, for classes with a border.
    """
    ours, theirs = _border(mapped, known), _border(reference, known)
    total: dict[int, BoundaryCounts] = {}
    inner = slice(margin_px[0], len(mapped) - margin_px[1])
    for one, its_class, other, other_class, is_map in (
        (ours, mapped, theirs, reference, True),
        (theirs, reference, ours, mapped, False),
    ):
        at = np.flatnonzero(one[inner]) + margin_px[0] * mapped.shape[1]
        classes = its_class.ravel()[at]
        near = _near(at, classes, other, other_class, tolerance_px)
        for class_id in np.unique(classes).tolist():
            mine = classes == class_id
            n, n_near = int(mine.sum()), int(near[mine].sum())
            counts = BoundaryCounts(n, n_near) if is_map else BoundaryCounts(0, 0, n, n_near)
            total[class_id] = total.get(class_id, BoundaryCounts()) + counts
    return total


def _border(classes: NDArray[np.integer[Any]], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (row, col) True where a neighbour is known and of another class."""
    found = np.zeros_like(known)
    for axis in (0, 1):
        first, second = _pairs(axis)
        differ = (classes[first] != classes[second]) & known[first] & known[second]
        found[first] |= differ
        found[second] |= differ
    return found


def _pairs(axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the slices of all pixels that have a next one along an axis, and of those."""
    ahead, behind, whole = slice(None, -1), slice(1, None), slice(None)
    return ((ahead, whole), (behind, whole)) if axis == 0 else ((whole, ahead), (whole, behind))


def _near(
    at: NDArray[np.intp],
    classes: NDArray[np.integer[Any]],
    border: NDArray[np.bool_],
    border_class: NDArray[np.integer[Any]],
    radius_px: int,
) -> NDArray[np.bool_]:
    """Tell which of some pixels (flat indices) have a border of their class within a radius."""
    height, width = border.shape
    row, col = np.divmod(at, width)
    found = np.zeros(len(at), np.bool_)
    for down in range(-radius_px, radius_px + 1):
        for right in range(-radius_px, radius_px + 1):
            if down**2 + right**2 > radius_px**2:
                continue
            inside = (row + down >= 0) & (row + down < height)
            inside &= (col + right >= 0) & (col + right < width)
            there = np.where(inside, at + down * width + right, at)
            hit = border.ravel()[there] & (border_class.ravel()[there] == classes)
            found |= inside & hit
    return found
