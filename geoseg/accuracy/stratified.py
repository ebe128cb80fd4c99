"""Accuracy and areas from a stratified random sample of reference points.

The estimators of Olofsson et al. 2014, "Good practices for estimating area and assessing
accuracy of land change", Remote Sensing of Environment 148, 42-57
(doi:10.1016/j.rse.2014.02.015), with the map's classes as strata. Counts of points alone
would favour the rare classes, of which more points are drawn than there is land; here each
stratum weighs what it covers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError

__all__ = ["Estimate", "StratifiedAccuracy", "lacking_points", "stratified_accuracy"]

_Z_95 = 1.96
_LEAST_POINTS = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its uncertainty."""

    value: float
    """The estimate."""
    standard_error: float
    """Standard error."""

    @property
    def margin(self) -> float:
        """Half the width of the 95 % confidence interval."""
        return _Z_95 * self.standard_error


@dataclass(frozen=True, slots=True)
class StratifiedAccuracy:
    """Estimates for the whole map; None for a class without a point to tell."""

    overall: Estimate
    """Overall accuracy."""
    users: tuple[Estimate | None, ...]
    """User's accuracy (precision) of each class."""
    producers: tuple[Estimate | None, ...]
    """Producer's accuracy (recall) of each class."""
    area_share: tuple[Estimate, ...]
    """Part of the map that is truly of each class."""
    iou: tuple[Estimate | None, ...]
    """Intersection over union of each class."""

    @property
    def mean_iou(self) -> float | None:
        """Mean IoU of the classes that occur in the map or among the points."""
        known = [estimate.value for estimate in self.iou if estimate is not None]
        return sum(known) / len(known) if known else None


def stratified_accuracy(
    counts: NDArray[np.int64], strata_px: NDArray[np.int64]
) -> StratifiedAccuracy:
    """Estimate accuracy and areas from points per pair of classes.

    Args:
        counts: (k, k) sample points, map class (stratum) down, reference class across.
        strata_px: (k,) pixels of the map in each class.

    Raises:
        OptionError: A class of the map has fewer than two points.
    """
    n = counts.sum(axis=1)
    present = strata_px > 0
    too_few = lacking_points(counts, strata_px)
    if len(too_few):
        msg = f"stratum {too_few[0]} has {n[too_few[0]]} points, expected at least 2"
        raise OptionError(msg)
    size = strata_px.astype(np.float64)
    weight = size / size.sum()
    # Strata that the map does not show weigh nothing, whatever was sampled there.
    points = np.where(present, n, 1).astype(np.float64)
    share = np.where(present[:, None], counts / points[:, None], 0.0)
    # Variance of each cell's share within its stratum.
    spread = share * (1 - share) / np.maximum(points - 1, 1)[:, None]
    # Where every pixel was looked at, nothing is left to chance.
    spread[n >= strata_px] = 0
    correct = np.diagonal(share)
    # Equations 1 and 5.
    overall = Estimate(float(weight @ correct), math.sqrt(float(weight**2 @ np.diagonal(spread))))
    # Equations 9 and 10.
    area = weight @ share
    area_error = np.sqrt(weight**2 @ spread)
    return StratifiedAccuracy(
        overall=overall,
        users=tuple(
            # Equations 2 and 6.
            Estimate(float(correct[k]), math.sqrt(float(spread[k, k]))) if present[k] else None
            for k in range(len(n))
        ),
        producers=tuple(_producers(k, size, share, spread) for k in range(len(n))),
        area_share=tuple(
            Estimate(float(a), float(e)) for a, e in zip(area, area_error, strict=True)
        ),
        iou=tuple(_iou(k, size, share, spread) for k in range(len(n))),
    )


def lacking_points(counts: NDArray[np.int64], strata_px: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the strata that have pixels, not all of them sampled, and fewer than two points."""
    n = counts.sum(axis=1)
    return np.flatnonzero((n < _LEAST_POINTS) & (n < strata_px))


def _producers(
    k: int,
    size: NDArray[np.float64],
    share: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> Estimate | None:
    """Return the producer's accuracy of class k, equations 3 and 7."""
    truly = float(size @ share[:, k])
    if truly == 0:
        return None
    found = float(size[k] * share[k, k]) / truly
    others = np.delete(size**2 * spread[:, k], k).sum()
    variance = (
        size[k] ** 2 * (1 - found) ** 2 * spread[k, k] + found**2 * float(others)
    ) / truly**2
    return Estimate(found, math.sqrt(float(variance)))


def _iou(
    k: int,
    size: NDArray[np.float64],
    share: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> Estimate | None:
    """Return the intersection over union of class k.

    A combined ratio of two totals, as any measure of a stratified sample can be written
    (Stehman 2014, International Journal of Remote Sensing 35, 4923-4939,
    doi:10.1080/01431161.2014.930207): pixels mapped k that are k, over
    pixels that are either. In stratum k the second is every pixel, elsewhere the first is none.
    """
    others = np.arange(len(size)) != k
    either = float(size[k] + size[others] @ share[others, k])
    if either == 0:
        return None
    found = float(size[k] * share[k, k]) / either
    variance = (
        size[k] ** 2 * spread[k, k] + found**2 * float(size[others] ** 2 @ spread[others, k])
    ) / either**2
    return Estimate(found, math.sqrt(float(variance)))
