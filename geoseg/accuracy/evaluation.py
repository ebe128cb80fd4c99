"""Everything that a comparison of maps with a reference found, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.boundary import BoundaryCounts
from geoseg.accuracy.calibration import Calibration, calibration
from geoseg.accuracy.confusion import (
    Scores,
    confusion_matrix,
    occurring,
    places_of,
    require_few,
    scores,
)
from geoseg.accuracy.stratified import (
    Estimate,
    StratifiedAccuracy,
    lacking_points,
    stratified_accuracy,
)
from geoseg.confidence import CONFIDENCE_STEPS
from geoseg.errors import OptionError

__all__ = ["Evaluation", "Tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How right maps are."""

    kind: str
    """``pixels`` where all pixels with a reference were compared, ``points`` for a sample."""
    class_ids: tuple[int, ...]
    """Classes that occur in the maps, the reference, or their legend."""
    class_names: tuple[str, ...]
    """Their names."""
    matrix: NDArray[np.int64]
    """(k, k) pixels or points, map down, reference across."""
    scores: Scores
    """Measures of the matrix as it is."""
    boundary_px: int | None
    """Tolerance of the boundary scores."""
    boundary: tuple[float | None, ...]
    """Boundary F-score of each class; empty for points."""
    calibration: Calibration | None
    """Confidence against truth, where there is a confidence."""
    stratified: StratifiedAccuracy | None
    """Estimates for the whole map, from points."""
    strata_px: tuple[int, ...]
    """Pixels of the maps per class, with points."""
    pixel_m2: float | None
    """Mean ground area of a pixel, with points; None without a CRS."""
    left_out: int
    """Points without label, outside the maps, or on nodata."""

    @property
    def compared(self) -> int:
        """Pixels or points compared."""
        return int(self.matrix.sum())

    @property
    def mean_boundary(self) -> float | None:
        """Mean boundary F-score of the classes that have borders."""
        known = [score for score in self.boundary if score is not None]
        return sum(known) / len(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """Return all numbers as JSON values."""
        return {
            "kind": self.kind,
            "compared": self.compared,
            "left_out": self.left_out,
            "classes": [self._class_json(k) for k in range(len(self.class_ids))],
            "confusion": {
                "rows": "map", "columns": "reference", "counts": self.matrix.tolist(),
            },
            "overall_accuracy": self.scores.overall,
            "mean_iou": self.scores.mean_iou,
            "mean_f1": self.scores.mean_f1,
            "boundary": {"tolerance_px": self.boundary_px, "mean_f_score": self.mean_boundary}
            if self.boundary
            else None,
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "area_adjusted": self._adjusted_json(),
        }  # fmt: skip

    def _class_json(self, k: int) -> dict[str, Any]:
        found = {
            "class_id": self.class_ids[k],
            "class_name": self.class_names[k],
            **asdict(self.scores.classes[k]),
        }
        if self.boundary:
            found["boundary_f_score"] = self.boundary[k]
        return found

    def _adjusted_json(self) -> dict[str, Any] | None:
        found = self.stratified
        if found is None:
            return None
        total_px = sum(self.strata_px)
        return {
            "overall_accuracy": _estimate_json(found.overall),
            "mean_iou": found.mean_iou,
            "classes": [
                {
                    "class_id": self.class_ids[k],
                    "mapped_px": self.strata_px[k],
                    "users_accuracy": _estimate_json(found.users[k]),
                    "producers_accuracy": _estimate_json(found.producers[k]),
                    "iou": _estimate_json(found.iou[k]),
                    "area_share": _estimate_json(found.area_share[k]),
                    "area_m2": None
                    if self.pixel_m2 is None
                    else _estimate_json(found.area_share[k], total_px * self.pixel_m2),
                }
                for k in range(len(self.class_ids))
            ],
        }


def _estimate_json(found: Estimate | None, factor: float = 1.0) -> dict[str, float] | None:
    if found is None:
        return None
    return {
        "value": found.value * factor,
        "standard_error": found.standard_error * factor,
        "margin_95": found.margin * factor,
    }


def _histogram(confidence: NDArray[np.uint8]) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.bincount(confidence, minlength=CONFIDENCE_STEPS + 1)
    return counts


class Tally:
    """Counts that grow as strips of maps and references come by."""

    def __init__(self) -> None:
        """Start from nothing."""
        self._pairs: dict[tuple[int, int], int] = {}
        self._borders: dict[int, BoundaryCounts] = {}
        self._right = np.zeros(CONFIDENCE_STEPS + 1, np.int64)
        self._wrong = np.zeros(CONFIDENCE_STEPS + 1, np.int64)

    def add_pairs(
        self,
        mapped: NDArray[np.int64],
        reference: NDArray[np.int64],
        confidence: NDArray[np.uint8] | None,
    ) -> None:
        """Count pixels or points (n,) by their class ids; confidence 0..250, 255 for none.

        Raises:
            OptionError: There are more classes than a table shows.
        """
        if not mapped.size:
            return
        ids = np.union1d(occurring(mapped), occurring(reference))
        require_few(len(ids))
        counts = confusion_matrix(places_of(mapped, ids), places_of(reference, ids), len(ids))
        for i, j in zip(*np.nonzero(counts), strict=True):
            pair = int(ids[i]), int(ids[j])
            self._pairs[pair] = self._pairs.get(pair, 0) + int(counts[i, j])
        if confidence is not None:
            known = confidence <= CONFIDENCE_STEPS
            agree = mapped == reference
            self._right += _histogram(confidence[known & agree])
            self._wrong += _histogram(confidence[known & ~agree])

    @property
    def is_empty(self) -> bool:
        """True where nothing was compared."""
        return not self._pairs

    def add_borders(self, counts: Mapping[int, BoundaryCounts]) -> None:
        """Add a strip's border pixels by class id."""
        for class_id, found in counts.items():
            self._borders[class_id] = self._borders.get(class_id, BoundaryCounts()) + found

    def evaluation(
        self,
        names: Mapping[int, str],
        *,
        boundary_px: int | None = None,
        strata_px: Mapping[int, int] | None = None,
        pixel_m2: float | None = None,
        left_out: int = 0,
    ) -> Evaluation:
        """Sum up.

        Args:
            names: Class ids and names of the maps' legend.
            boundary_px: Tolerance of the border counts that were added.
            strata_px: Pixels of the maps per class id, if points were drawn from them.
            pixel_m2: Mean ground area of a pixel.
            left_out: Points that could not be used.

        Raises:
            OptionError: A class of the maps has fewer than two points, or there are more
                classes than a table shows.
        """
        seen = {i for pair in self._pairs for i in pair}
        ids = tuple(sorted(seen | set(names) | set(strata_px or ())))
        require_few(len(ids))
        matrix = np.zeros((len(ids), len(ids)), np.int64)
        for (mapped, reference), count in self._pairs.items():
            matrix[ids.index(mapped), ids.index(reference)] = count
        strata: Sequence[int] = [(strata_px or {}).get(i, 0) for i in ids]
        if strata_px is not None:
            lacking = lacking_points(matrix, np.array(strata, np.int64))
            if len(lacking):
                k = lacking[0]
                name, n = names.get(ids[k], str(ids[k])), int(matrix[k].sum())
                msg = f"class {name!r} of the map has {n} labelled points, expected at least 2"
                raise OptionError(msg, hint="Every class that the map shows needs points.")
        return Evaluation(
            kind="pixels" if strata_px is None else "points",
            class_ids=ids,
            class_names=tuple(names.get(i, str(i)) for i in ids),
            matrix=matrix,
            scores=scores(matrix),
            boundary_px=boundary_px,
            boundary=()
            if boundary_px is None
            else tuple(self._borders.get(i, BoundaryCounts()).f_score for i in ids),
            calibration=calibration(self._right, self._wrong),
            stratified=None
            if strata_px is None
            else stratified_accuracy(matrix, np.array(strata, np.int64)),
            strata_px=tuple(strata),
            pixel_m2=pixel_m2,
            left_out=left_out,
        )
