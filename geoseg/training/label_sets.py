"""What is known of a pixel's class, as a set of classes in the bits of one number.

Bit k is set where class k (in the legend's order) is allowed. Where classes may overlap, the
bit after the last class says that none of them is there. One bit is an ordinary label,
several bits say "one of these" (or, for classes that overlap, "all of these"), no bit says that
nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError

__all__ = [
    "MOST_CLASSES",
    "Labels",
    "bits_of",
    "class_counts",
    "class_mask",
    "exact_class",
    "label_dtype",
]

Labels = NDArray[np.unsignedinteger[Any]]
MOST_CLASSES: Final = 63
"""One bit each in a signed number of eight bytes, which is what torch shifts."""
_LARGEST_UINT8: Final = 8


def label_dtype(n_classes: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Return the smallest type that holds the sets.

    Raises:
        OptionError: There are more classes than bits.
    """
    if n_classes > MOST_CLASSES:
        msg = f"{n_classes} classes are too many to train on, at most {MOST_CLASSES} are taken"
        raise OptionError(msg, hint="Put some together with --match.")
    for kind in (np.uint8, np.uint16, np.uint32):
        if n_classes <= np.dtype(kind).itemsize * _LARGEST_UINT8:
            return np.dtype(kind)
    return np.dtype(np.uint64)


def bits_of(classes: Iterable[int]) -> int:
    """Return the set of some class indices."""
    found = 0
    for index in classes:
        found |= 1 << index
    return found


def exact_class(labels: Labels) -> NDArray[np.int16]:
    """Return the class index where a set holds exactly one class, else -1; any shape."""
    sets = labels.astype(np.uint64)
    one = np.uint64(1)
    single = (sets != 0) & ((sets & (sets - one)) == 0)
    # The logarithm of a power of two below 2**63 is exact in float64.
    place = np.log2(np.where(single, sets, one).astype(np.float64))
    found: NDArray[np.int16] = np.where(single, place, -1).astype(np.int16)
    return found


def class_mask(labels: Labels, index: int, *, overlap: bool) -> NDArray[np.bool_]:
    """Return where a set holds a class: alone, or with ``overlap`` beside others."""
    bit = labels.dtype.type(1 << index)
    found: NDArray[np.bool_] = (labels & bit) != 0 if overlap else labels == bit
    return found


def class_counts(labels: Labels, n_classes: int, *, overlap: bool = False) -> NDArray[np.int64]:
    """Return (n_classes,) how many pixels carry each class; see ``class_mask``."""
    masks = (class_mask(labels, k, overlap=overlap) for k in range(n_classes))
    return np.array([np.count_nonzero(mask) for mask in masks], np.int64)
