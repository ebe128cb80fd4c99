"""Which ground is trained on, which chooses and which tests: whole blocks, so nothing leaks.

Pixels next to each other are nearly copies. A split of pixels, or of overlapping chips, lets a
model be tested on what it has learnt by heart (Roberts et al. 2017, doi:10.1111/ecog.02881).
So blocks of ground are split, and a strip of training ground beside the others is left out.
Classes are dealt out evenly: iterative stratification, Sechidis et al. 2011
(doi:10.1007/978-3-642-23808-6_10).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.window import Window

__all__ = ["NAMES", "TEST", "TRAIN", "VALIDATION", "gap_windows", "split_blocks"]

TRAIN, VALIDATION, TEST = range(3)
NAMES: Final = ("train", "validation", "test")


def split_blocks(
    counts: NDArray[np.int64],
    shares: tuple[float, float, float],
    *,
    fixed: NDArray[np.int8] | None = None,
    seed: int,
) -> NDArray[np.int8]:
    """Deal blocks out to training, validation and test.

    Args:
        counts: (block, class) labelled pixels.
        shares: Wanted shares of the pixels of each class; they add up to 1.
        fixed: (block,) the part that a block must go to, or -1.
        seed: Decides among equals.

    Returns:
        (block,) 0, 1 or 2.
    """
    part = np.full(len(counts), -1, np.int8) if fixed is None else fixed.copy()
    weight = counts.astype(np.float64)
    wanted = np.outer(shares, weight[part < 0].sum(axis=0))
    total = wanted.sum(axis=1)
    tie = np.random.default_rng(seed).random(len(counts))
    # What is still to be dealt out, per block and class; kept up to date, for there may be
    # tens of thousands of blocks.
    present = (weight > 0) & (part < 0)[:, None]
    n_blocks = present.sum(axis=0)
    while n_blocks.any():
        rarest = int(np.where(n_blocks > 0, n_blocks, len(counts) + 1).argmin())
        own = np.flatnonzero(present[:, rarest])
        fullest = own[weight[own, rarest] == weight[own, rarest].max()]
        block = fullest[tie[fullest].argmin()]
        # What is wanted most of this class; among equals, of all.
        chosen = int(np.lexsort((-total, -wanted[:, rarest]))[0])
        part[block] = chosen
        wanted[chosen] -= weight[block]
        total[chosen] -= weight[block].sum()
        n_blocks -= present[block]
        present[block] = False
    part[part < 0] = TRAIN  # what carries no class alone
    return part


def gap_windows(
    places: NDArray[np.int64], part: NDArray[np.int8], block_px: int, gap_px: int
) -> list[tuple[int, Window]]:
    """Return the strips of training blocks that touch ground of the other parts.

    Args:
        places: (block, 3) scene, block row, block column.
        part: (block,) as ``split_blocks`` gives it.
        block_px: Side of a block.
        gap_px: Width of a strip.

    Returns:
        (block, window within the block) of what must not be trained on.
    """
    other = {
        tuple(place)
        for place, kind in zip(places.tolist(), part.tolist(), strict=True)
        if kind != TRAIN
    }
    # Offset and length of the strip at the side that faces a neighbour.
    side = {-1: (0, gap_px), 0: (0, block_px), 1: (block_px - gap_px, gap_px)}
    found = []
    for block, (scene, row, col) in enumerate(places.tolist()):
        if part[block] != TRAIN:
            continue
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                if (down or across) and (scene, row + down, col + across) in other:
                    (top, height), (left, width) = side[down], side[across]
                    found.append((block, Window(top, left, height, width)))
    return found
