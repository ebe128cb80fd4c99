"""Whether a confidence of 0.9 is right nine times in ten.

Reliability diagram and expected calibration error of Guo et al. 2017, "On Calibration of
Modern Neural Networks" (arXiv:1706.04599, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration", "ReliabilityBin", "calibration"]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Pixels whose confidence lies in one interval."""

    low: float
    """Lower end, not included but for the first bin."""
    high: float
    """Upper end, included."""
    px_count: int
    """Pixels."""
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """Part of them that is right."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence against truth."""

    expected_error: float
    """Expected calibration error: mean of |accuracy - confidence| over the pixels, by bin."""
    mean_confidence: float
    """Mean confidence of all pixels."""
    accuracy: float
    """Part of all pixels that is right."""
    bins: tuple[ReliabilityBin, ...]
    """Those with pixels, upwards."""


def calibration(
    right: NDArray[np.int64], wrong: NDArray[np.int64], *, n_bins: int = 15
) -> Calibration | None:
    """Compare confidence with truth; None where there is no pixel.

    Args:
        right: (steps + 1,) right pixels per stored confidence, which stands for i / steps.
        wrong: (steps + 1,) wrong ones.
        n_bins: Bins of equal width.
    """
    steps = len(right) - 1
    total = right + wrong
    n = int(total.sum())
    if not n:
        return None
    value = np.arange(steps + 1) / steps
    place = np.clip(np.ceil(value * n_bins).astype(np.intp) - 1, 0, n_bins - 1)
    bins, error = [], 0.0
    for i in range(n_bins):
        inside = place == i
        count = int(total[inside].sum())
        if not count:
            continue
        confidence = float(value[inside] @ total[inside]) / count
        accuracy = int(right[inside].sum()) / count
        bins.append(ReliabilityBin(i / n_bins, (i + 1) / n_bins, count, confidence, accuracy))
        error += count / n * abs(accuracy - confidence)
    return Calibration(error, float(value @ total) / n, int(right.sum()) / n, tuple(bins))
