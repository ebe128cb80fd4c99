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

__all__ = ["FittedOffsets", "Samples", "fitted_offsets"]

_STEPS: Final = (0.5, 0.25, 0.1)
_SWEEPS: Final = 4
_LARGEST: Final = 3.0
_FOLDS: Final = 4
_LEAST_GAIN: Final = 1e-9


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
    """(class,); 0 for the most frequent class, and for all where it would bring nothing."""
    before: float
    """Mean IoU of the samples without them."""
    crossed: float
    """Mean IoU with offsets that were fitted without the blocks which they are tried on."""


def fitted_offsets(samples: Samples) -> FittedOffsets:
    """Return the offsets of the highest mean IoU.

    They are tried on ground that did not choose them: in each of four turns on a quarter of the
    blocks, fitted to the rest. Where that brings no gain there is nothing to learn from these
    samples, and all are 0.
    """
    n_classes = samples.logits.shape[1]
    nothing = np.zeros(n_classes, np.float32)
    before = _mean_iou(samples.logits, samples.truth)
    fold = np.searchsorted(np.unique(samples.block), samples.block) % _FOLDS
    if len(np.unique(fold)) < _FOLDS:
        return FittedOffsets(offsets=nothing, before=before, crossed=before)
    moved = np.empty_like(samples.logits)
    for turn in range(_FOLDS):
        own = fold == turn
        moved[own] = samples.logits[own] + _best(samples.logits[~own], samples.truth[~own])
    crossed = _mean_iou(moved, samples.truth)
    offsets = _best(samples.logits, samples.truth) if crossed > before else nothing
    return FittedOffsets(offsets=offsets, before=before, crossed=crossed)


def _best(logits: NDArray[np.float32], truth: NDArray[np.intp]) -> NDArray[np.float32]:
    """Climb, class by class and with ever smaller steps, to a highest mean IoU."""
    counts = np.bincount(truth, minlength=logits.shape[1])
    fixed = int(counts.argmax())
    moving = [k for k in np.flatnonzero(counts) if k != fixed]
    best = np.zeros(logits.shape[1], np.float32)
    highest = _mean_iou(logits, truth)
    for step in _STEPS:
        for _ in range(_SWEEPS):
            start = highest
            for k in moving:
                for change in (-2 * step, -step, step, 2 * step):
                    tried = best.copy()
                    tried[k] = np.float32(np.clip(round(tried[k] + change, 4), -_LARGEST, _LARGEST))
                    found = _mean_iou(logits + tried, truth)
                    if found > highest + _LEAST_GAIN:
                        best, highest = tried, found
            if highest <= start:
                break
    return best


def _mean_iou(logits: NDArray[np.float32], truth: NDArray[np.intp]) -> float:
    n_classes = logits.shape[1]
    found = scores(confusion_matrix(logits.argmax(axis=1), truth, n_classes)).mean_iou
    return found if found is not None else 0.0
