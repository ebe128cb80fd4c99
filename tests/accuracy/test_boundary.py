"""Border pixels within a tolerance, whole and in strips."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from geoseg.accuracy.boundary import BoundaryCounts, boundary_counts, boundary_reach_px


def test_a_border_shifted_within_the_tolerance_is_met() -> None:
    reference = np.zeros((40, 40), bool)
    reference[10:30, 10:30] = True
    known = np.ones_like(reference)
    for shift, score in ((0, 1.0), (2, 1.0), (3, None)):
        mapped = np.roll(reference, shift, axis=1)
        found = boundary_counts(mapped * 1, reference * 1, known, 2, (0, 0))[1].f_score
        if score is None:
            # The two sides that run along the shift are met but for their ends.
            assert found is not None
            assert 0.4 < found < 0.6
        else:
            assert found == score


def test_against_a_distance_transform() -> None:
    rng = np.random.default_rng(0)
    smooth = [ndimage.gaussian_filter(rng.random((60, 70)), 3) > 0.5 for _ in range(2)]
    known = rng.random((60, 70)) < 0.98
    found = boundary_counts(*(4 + side for side in smooth), known, 3, (0, 0))[5]

    def border(inside: np.ndarray) -> np.ndarray:
        others = ndimage.binary_dilation(known & ~inside, ndimage.generate_binary_structure(2, 1))
        return inside & known & others

    ours, theirs = (border(inside) for inside in smooth)
    near_ours = ndimage.distance_transform_edt(~ours) <= 3
    near_theirs = ndimage.distance_transform_edt(~theirs) <= 3
    assert found == BoundaryCounts(
        ours.sum(), (ours & near_theirs).sum(), theirs.sum(), (theirs & near_ours).sum()
    )


@pytest.mark.parametrize("height", [1, 7, 19])
def test_strips_add_up_to_the_whole(height: int) -> None:
    rng = np.random.default_rng(1)
    mapped, reference = (ndimage.gaussian_filter(rng.random((60, 50)), 2) > 0.5 for _ in range(2))
    known = np.ones_like(mapped)
    mapped, reference = mapped * 1, reference * 1
    reach, total = boundary_reach_px(2), {0: BoundaryCounts(), 1: BoundaryCounts()}
    for row in range(0, 60, height):
        above, below = min(row, reach), min(max(60 - row - height, 0), reach)
        part = slice(row - above, min(row + height, 60) + below)
        counts = boundary_counts(mapped[part], reference[part], known[part], 2, (above, below))
        total = {i: total[i] + counts.get(i, BoundaryCounts()) for i in total}
    assert total == boundary_counts(mapped, reference, known, 2, (0, 0))


def test_no_border_no_score() -> None:
    assert BoundaryCounts().f_score is None
    assert BoundaryCounts(mapped=5).f_score == 0
    nothing, known = np.zeros((5, 5), int), np.ones((5, 5), bool)
    assert boundary_counts(nothing, nothing, known, 2, (0, 0)) == {}
    half = nothing.copy()
    half[:2] = 1
    assert boundary_counts(half, nothing, known, 2, (0, 0))[1].f_score == 0
