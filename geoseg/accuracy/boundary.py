"""How well the borders between classes are met, a few pixels of tolerance allowed.

The boundary F-score of Csurka et al. 2013, "What is a good evaluation measure for semantic
segmentation?" (BMVC, doi:10.5244/C.27.32), counted over all images together: precision is
the part of the map's border pixels that lie near the reference's, recall the reverse.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    mapped: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    known: NDArray[np.bool_],
    tolerance_px: int,
    margin_px: tuple[int, int],
) -> BoundaryCounts:
    """Count border pixels of one class in the inner rows of a strip.

    A border pixel is of the class, and one of its four neighbours is known and is not. What
    is not known, in the map or the reference, has no border of its own.

    Args:
        mapped: (row, col) True where the map says the class.
        reference: (row, col) the same of the reference.
        known: (row, col) True where both say anything.
        tolerance_px: How far apart two border pixels may be, in a straight line.
        margin_px: Rows above and below that belong to other strips,
            ``boundary_reach_px`` of them unless the map ends there.
    """
    ours, theirs = _border(mapped, known), _border(reference, known)
    near_ours, near_theirs = _grown(ours, tolerance_px), _grown(theirs, tolerance_px)
    inner = slice(margin_px[0], len(mapped) - margin_px[1])
    return BoundaryCounts(
        mapped=int(np.count_nonzero(ours[inner])),
        mapped_near=int(np.count_nonzero((ours & near_theirs)[inner])),
        reference=int(np.count_nonzero(theirs[inner])),
        reference_near=int(np.count_nonzero((theirs & near_ours)[inner])),
    )


def _border(inside: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = inside & known
    other = known & ~inside
    touched = np.zeros_like(inside)
    touched[1:] |= other[:-1]
    touched[:-1] |= other[1:]
    touched[:, 1:] |= other[:, :-1]
    touched[:, :-1] |= other[:, 1:]
    return inside & touched


def _grown(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Return what lies within a radius of a True pixel."""
    found = np.zeros_like(mask)
    height, width = mask.shape
    for row in range(-radius_px, radius_px + 1):
        for col in range(-radius_px, radius_px + 1):
            if row**2 + col**2 > radius_px**2 or abs(row) >= height or abs(col) >= width:
                continue
            found[max(row, 0) : height + min(row, 0), max(col, 0) : width + min(col, 0)] |= mask[
                max(-row, 0) : height + min(-row, 0), max(-col, 0) : width + min(-col, 0)
            ]
    return found
