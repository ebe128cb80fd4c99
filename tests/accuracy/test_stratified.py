"""The estimators against the worked example of the paper that they come from."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.accuracy.confusion import scores
from geoseg.accuracy.stratified import stratified_accuracy
from geoseg.errors import OptionError

# Olofsson et al. 2014, tables 8 and 9: deforestation, forest gain, stable forest, stable
# non-forest; map down, reference across; 10 million pixels of 30 m.
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
STRATA_PX = np.array([200_000, 150_000, 3_200_000, 6_450_000])
PIXEL_HA = 0.09


def test_the_papers_example() -> None:
    found = stratified_accuracy(COUNTS, STRATA_PX)
    assert (round(found.overall.value, 3), round(found.overall.margin, 3)) == (0.947, 0.018)
    users = [(round(e.value, 2), round(e.margin, 2)) for e in found.users if e]
    assert users == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    producers = [(round(e.value, 2), round(e.margin, 2)) for e in found.producers if e]
    assert producers[:2] == [(0.75, 0.21), (0.85, 0.25)]
    hectares = [
        (round(e.value * STRATA_PX.sum() * PIXEL_HA), round(e.margin * STRATA_PX.sum() * PIXEL_HA))
        for e in found.area_share
    ]
    assert hectares[0] == (21_158, 6_158)
    assert hectares[1] == (11_686, 3_756)
    assert hectares[2] == (285_770, 15_510)
    assert hectares[3] == (581_386, 16_282)


def test_a_class_without_points_of_its_own_is_refused() -> None:
    with pytest.raises(OptionError, match="stratum 1 has 1 points"):
        stratified_accuracy(np.array([[5, 0], [0, 1]]), np.array([10, 10]))


def test_a_class_that_the_map_lacks_and_the_reference_has() -> None:
    found = stratified_accuracy(np.array([[8, 2], [0, 0]]), np.array([100, 0]))
    assert found.users[1] is None
    assert found.producers[1] is not None
    assert found.producers[1].value == 0
    assert found.area_share[1].value == pytest.approx(0.2)
    assert found.overall.value == pytest.approx(0.8)
    # A simple random sample: p (1 - p) / (n - 1).
    assert found.overall.standard_error == pytest.approx((0.8 * 0.2 / 9) ** 0.5)


def test_a_stratum_whose_every_pixel_is_a_point_is_certain() -> None:
    found = stratified_accuracy(np.array([[3, 1], [2, 8]]), np.array([4, 1000]))
    assert found.users[0] is not None
    assert (found.users[0].value, found.users[0].standard_error) == (0.75, 0)
    other = (1000 / 1004) ** 2 * 0.2 * 0.8 / 9
    assert found.overall.standard_error == pytest.approx(other**0.5)


def test_iou_of_the_papers_example_by_hand() -> None:
    found = stratified_accuracy(COUNTS, STRATA_PX)
    # Deforestation: 200,000 px mapped so, of them 66/75 right; and of the rest 1/165 of
    # 3,200,000 and 2/325 of 6,450,000 px are deforestation as well.
    either = 200_000 + 3_200_000 * 1 / 165 + 6_450_000 * 2 / 325
    assert found.iou[0] is not None
    assert found.iou[0].value == pytest.approx(200_000 * 66 / 75 / either)
    assert found.mean_iou == pytest.approx(np.mean([e.value for e in found.iou if e]))


def test_iou_of_a_census_is_that_of_the_matrix() -> None:
    matrix = np.array([[30, 4, 0], [6, 50, 1], [0, 0, 0]])
    found = stratified_accuracy(matrix, matrix.sum(axis=1))
    for estimate, counted in zip(found.iou, scores(matrix).classes, strict=True):
        assert estimate is not None
        assert (estimate.value, estimate.standard_error) == (pytest.approx(counted.iou), 0)
    assert stratified_accuracy(np.diag([9, 0]), np.array([9, 0])).iou[1] is None


def test_intervals_of_iou_hold_the_truth_as_often_as_they_say() -> None:
    truth = np.array([[900, 100], [3_000, 36_000]])
    size = truth.sum(axis=1)
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(2_000):
        drawn = np.stack([rng.multivariate_hypergeometric(row, 150) for row in truth])
        estimate = stratified_accuracy(drawn, size).iou[0]
        assert estimate is not None
        inside += abs(estimate.value - 900 / 4_000) <= estimate.margin
    # A normal interval about a ratio from 150 points of a rare class; by chance 0.95 +- 0.01.
    assert 0.91 <= inside / 2_000 <= 0.97
