"""How many reference points each class gets, and which of its pixels they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError

__all__ = ["allocate", "needed_points", "pixel_ranks"]


def needed_points(
    strata_px: NDArray[np.int64], expected_users: float, standard_error: float
) -> int:
    """Return the sample size for a wanted standard error of the overall accuracy.

    Equation 13 of Olofsson et al. 2014 (after Cochran 1977, equation 5.25), with one
    expected user's accuracy for all classes.

    Args:
        strata_px: (k,) pixels of the map per class.
        expected_users: Expected user's accuracy, between 0 and 1.
        standard_error: Wanted standard error of the overall accuracy.
    """
    # All classes spread alike, so their weights, which add up to 1, fall out of the sum.
    spread = np.sqrt(expected_users * (1 - expected_users))
    wanted = (spread / standard_error) ** 2
    return int(min(np.ceil(wanted), strata_px.sum()))


def allocate(strata_px: NDArray[np.int64], n_points: int, least: int) -> NDArray[np.int64]:
    """Return points per class: in proportion to area, but ``least`` for each that occurs.

    The allocation that Olofsson et al. 2014 recommend (section 5.1.1): enough points in rare
    classes for their user's accuracy, the rest by area for the overall accuracy and areas.

    Args:
        strata_px: (k,) pixels of the map per class.
        n_points: All points.
        least: Points of a rare class; fewer where it has fewer pixels.

    Raises:
        OptionError: ``n_points`` is not enough for ``least`` each.
    """
    floor = np.minimum(strata_px, least)
    if floor.sum() > n_points:
        msg = f"{n_points} points are not enough for {least} in each of {(floor > 0).sum()} classes"
        raise OptionError(msg, hint="Give more with --points, or fewer with --least.")
    found: NDArray[np.int64] = floor.astype(np.int64)
    is_free = strata_px > found
    # A class that its share leaves below the least keeps the least; the others share the rest.
    while is_free.any():
        rest = n_points - int(found[~is_free].sum())
        share = strata_px * is_free / (strata_px * is_free).sum() * rest
        too_few = is_free & (share < floor)
        if not too_few.any():
            found[is_free] = _whole(share, is_free, rest)[is_free]
            break
        is_free &= ~too_few
    return np.minimum(found, strata_px)


def _whole(share: NDArray[np.float64], is_free: NDArray[np.bool_], total: int) -> NDArray[np.int64]:
    """Round to whole numbers of the same sum, the largest remainders up."""
    down = np.floor(share).astype(np.int64)
    missing = total - int(down[is_free].sum())
    order = np.argsort(np.where(is_free, down - share, 1.0), kind="stable")
    down[order[:missing]] += 1
    return down


def pixel_ranks(
    strata_px: NDArray[np.int64], points: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], ...]:
    """Draw pixels of every class at random, without drawing one twice.

    Args:
        strata_px: (k,) pixels of the map per class.
        points: (k,) how many to draw of each.
        seed: The same seed gives the same pixels.

    Returns:
        For every class the sorted ranks of its drawn pixels, counted from 0 row by row.
    """
    ranks = []
    for k, (size, count) in enumerate(zip(strata_px.tolist(), points.tolist(), strict=True)):
        rng = np.random.default_rng((seed, k))
        ranks.append(np.sort(rng.choice(size, size=count, replace=False)) if count else
                     np.empty(0, dtype=np.int64))  # fmt: skip
    return tuple(ranks)
