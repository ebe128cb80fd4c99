"""Numbers added to the scores of the classes, under which a map agrees best with the truth.

A pixel usually gets its likeliest class. Where classes are hard to tell, that leaves out the
rare ones: a pixel that is road with a chance of 0.4 and land with 0.6 is land, every time, and
no road is ever drawn. Adding a number per class to the logits before choosing moves that
balance ("logit adjustment", Menon et al. 2021, arXiv:2007.07314, which derives the numbers
from frequencies; here they are chosen for the mean intersection over union, as the best
threshold for such a measure lies below one half, Lipton et al. 2014, arXiv:1402.1892).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.confusion import confusion_matrix, scores

__all__ = ["FittedOffsets", "Samples", "fitted_offsets", "middle_of_the_best"]

_STEPS: Final = (0.5, 0.25, 0.1)
_SWEEPS: Final = 4
_LARGEST: Final = 3.0
_FOLDS: Final = 4
_LEAST_PX: Final = 100
"""A class with fewer samples in a fold tells nothing there."""
_LEAST_GAIN: Final = 0.002
"""Of the mean IoU on ground left out; chance brings that much where there is nothing to gain."""
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Pixels of known class that were not trained on."""

    logits: NDArray[np.float32]
    """(n, class)."""
    truth: NDArray[np.intp]
    """(n,) class index."""
    block: NDArray[np.intp]
    """(n,) number of the block of ground that each lies in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedOffsets:
    """What to add to the logits, and what it brings."""

    offsets: NDArray[np.float32]
    """(class,); 0 for the most frequent class, for classes that are not on all ground, and for
    all where it would bring nothing."""
    before: float | None
    """Mean IoU of the samples without them; None where there is no sample."""
    crossed: float | None
    """Mean IoU with offsets that were fitted without the blocks which they are tried on; None
    where that cannot be tried."""


def fitted_offsets(samples: Samples) -> FittedOffsets:
    """Return the offsets of the highest mean IoU.

    They are tried on ground that did not choose them: in each of four turns on a quarter of the
    blocks, fitted to the rest. Where that brings no gain there is nothing to learn from these
    samples, and all are 0. A class moves only if all quarters show it, so that each of its
    moves was tried on ground that has it.
    """
    n_classes = samples.logits.shape[1]
    nothing = np.zeros(n_classes, np.float32)
    if not len(samples.truth):
        return FittedOffsets(offsets=nothing, before=None, crossed=None)
    before = _mean_iou(samples.logits, samples.truth)
    fold = np.searchsorted(np.unique(samples.block), samples.block) % _FOLDS
    px = np.stack(
        [np.bincount(samples.truth[fold == f], minlength=n_classes) for f in range(_FOLDS)]
    )
    known = np.flatnonzero((px >= _LEAST_PX).all(axis=0))
    moving = [int(k) for k in known if k != px.sum(axis=0).argmax()]
    if not moving:
        return FittedOffsets(offsets=nothing, before=before, crossed=None)
    moved = np.empty_like(samples.logits)
    for turn in range(_FOLDS):
        own = fold == turn
        offsets = _best(samples.logits[~own], samples.truth[~own], moving)
        moved[own] = samples.logits[own] + offsets
    crossed = _mean_iou(moved, samples.truth)
    gains = crossed >= before + _LEAST_GAIN
    offsets = _best(samples.logits, samples.truth, moving) if gains else nothing
    return FittedOffsets(offsets=offsets, before=before, crossed=crossed)


def middle_of_the_best(logits: NDArray[np.float32]) -> float:
    """Return the number about which the two best logits of a pixel lie, as a rule.

    Taken from all classes it changes no class and no score. But half-precision numbers are
    finest about 0, so that rounding decides for fewer pixels.

    Args:
        logits: (n, class), two classes at least.
    """
    if not len(logits):
        return 0.0
    return round(float(np.median(np.partition(logits, -2, axis=1)[:, -2:].mean(axis=1))), 4)


def _best(
    logits: NDArray[np.float32], truth: NDArray[np.intp], moving: list[int]
) -> NDArray[np.float32]:
    """Climb, class by class and with ever smaller steps, to a highest mean IoU."""
    best = np.zeros(logits.shape[1], np.float32)
    highest = _mean_iou(logits, truth)
    for step in _STEPS:
        for _ in range(_SWEEPS):
            start = highest
            for k in moving:
                rival, rival_logit = _best_but(k, logits, best)
                for change in (-2 * step, -step, step, 2 * step):
                    tried = np.float32(round(float(best[k]) + change, 4))
                    own = logits[:, k] + tried
                    # As argmax: of equals the first.
                    wins = (own > rival_logit) | ((own == rival_logit) & (k < rival))
                    found = _overlap(np.where(wins, k, rival), truth, len(best))
                    if abs(tried) <= _LARGEST and found > highest + _ROUNDING:
                        best[k], highest = tried, found
            if highest <= start:
                break
    return best


def _best_but(
    k: int, logits: NDArray[np.float32], offsets: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the best class of each sample but for class k, and its shifted logit."""
    shifted = logits + offsets
    shifted[:, k] = -np.inf
    rival = shifted.argmax(axis=1)
    return rival, shifted[np.arange(len(shifted)), rival]


def _mean_iou(logits: NDArray[np.float32], truth: NDArray[np.intp]) -> float:
    return _overlap(logits.argmax(axis=1), truth, logits.shape[1])


def _overlap(mapped: NDArray[np.intp], truth: NDArray[np.intp], n_classes: int) -> float:
    """Return the mean IoU of the classes that the truth shows."""
    matrix = confusion_matrix(mapped, truth, n_classes)
    shown = np.flatnonzero(matrix.sum(axis=0))
    found = scores(matrix).classes
    return float(np.mean([found[k].iou or 0.0 for k in shown])) if len(shown) else 0.0
