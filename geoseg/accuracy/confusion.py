"""The confusion matrix and what is read from it.

Rows are the classes of the map, columns those of the reference, as in Olofsson et al. 2014
(doi:10.1016/j.rse.2014.02.015, table 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError

__all__ = [
    "ClassScores",
    "Scores",
    "confusion_matrix",
    "occurring",
    "places_of",
    "require_few",
    "scores",
]

_MOST_COUNTED = 1 << 20
_MOST_CLASSES = 1024


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Agreement of one class; None where there is nothing to divide by."""

    precision: float | None
    """Part of what the map calls so that is so; the user's accuracy."""
    recall: float | None
    """Part of what is so that the map calls so; the producer's accuracy."""
    f1: float | None
    """Harmonic mean of the two, 2 TP / (2 TP + FP + FN)."""
    iou: float | None
    """Intersection over union, TP / (TP + FP + FN) (Jaccard 1912)."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Agreement of a map with its reference, every compared pixel counting alike."""

    overall: float | None
    """Overall accuracy: part of the pixels that agree."""
    mean_iou: float | None
    """Mean IoU of the classes that occur in the reference or the map."""
    mean_f1: float | None
    """Mean F1 of the same classes."""
    classes: tuple[ClassScores, ...]
    """In the order of the matrix."""


def confusion_matrix(
    mapped: NDArray[np.intp], reference: NDArray[np.intp], n_classes: int
) -> NDArray[np.int64]:
    """Count pairs of class indices.

    Args:
        mapped: (n,) index of the map's class, 0..n_classes - 1.
        reference: (n,) index of the reference's class.
        n_classes: Number of classes.

    Returns:
        (n_classes, n_classes) counts, map down, reference across.
    """
    pairs = mapped.astype(np.int64) * n_classes + reference
    counts: NDArray[np.int64] = np.bincount(pairs, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def require_few(n_classes: int) -> None:
    """Refuse more classes than a table of pairs can hold: heights, say, instead of classes.

    Raises:
        OptionError: There are too many.
    """
    if n_classes > _MOST_CLASSES:
        msg = f"there are {n_classes:,} different classes, at most {_MOST_CLASSES:,} are taken"
        raise OptionError(msg, hint="Is it a raster of classes? If so, put some together first.")


def occurring(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the different numbers among many, sorted; fast where they are small."""
    if not values.size:
        return np.empty(0, np.int64)
    low, high = int(values.min()), int(values.max())
    if high - low > _MOST_COUNTED:
        return np.unique(values).astype(np.int64)
    present = np.zeros(high - low + 1, np.bool_)
    present[values.ravel() - low] = True
    return np.flatnonzero(present) + low


def places_of(values: NDArray[np.integer[Any]], ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return where each value stands among sorted ids, all of which it is one of."""
    if not len(ids):
        return np.zeros(values.shape, np.intp)
    low, high = int(ids[0]), int(ids[-1])
    if high - low > _MOST_COUNTED:
        return np.searchsorted(ids, values)
    table = np.zeros(high - low + 1, np.intp)
    table[ids - low] = np.arange(len(ids))
    found: NDArray[np.intp] = table[values - low]
    return found


def scores(matrix: NDArray[np.int64]) -> Scores:
    """Return the measures of a matrix (k, k), map down, reference across."""
    agree = np.diagonal(matrix)
    mapped, reference = matrix.sum(axis=1), matrix.sum(axis=0)
    classes = tuple(
        ClassScores(
            precision=_ratio(agree[k], mapped[k]),
            recall=_ratio(agree[k], reference[k]),
            f1=_ratio(2 * agree[k], mapped[k] + reference[k]),
            iou=_ratio(agree[k], mapped[k] + reference[k] - agree[k]),
        )
        for k in range(len(matrix))
    )
    return Scores(
        overall=_ratio(agree.sum(), matrix.sum()),
        mean_iou=_mean([c.iou for c in classes]),
        mean_f1=_mean([c.f1 for c in classes]),
        classes=classes,
    )


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
