"""The reliability diagram of counts that are known."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.accuracy.calibration import calibration


def test_a_confidence_that_is_right_as_often_as_it_says_has_no_error() -> None:
    right, wrong = np.zeros(251, np.int64), np.zeros(251, np.int64)
    right[225], wrong[225] = 90, 10
    right[150], wrong[150] = 60, 40
    found = calibration(right, wrong)
    assert found is not None
    assert found.expected_error == pytest.approx(0)
    assert (found.mean_confidence, found.accuracy) == (pytest.approx(0.75), 0.75)
    assert [(b.px_count, b.confidence) for b in found.bins] == [(100, 0.6), (100, 0.9)]


def test_the_error_is_the_mean_distance_by_bin() -> None:
    right, wrong = np.zeros(251, np.int64), np.zeros(251, np.int64)
    right[250], wrong[250] = 80, 20  # says 1.0, is 0.8
    right[125], wrong[125] = 100, 200  # says 0.5, is 1/3
    found = calibration(right, wrong, n_bins=10)
    assert found is not None
    assert found.expected_error == pytest.approx((100 * 0.2 + 300 * (1 / 2 - 1 / 3)) / 400)


def test_bins_hold_their_upper_end_and_the_first_one_nothing_too() -> None:
    counts = np.ones(11, np.int64)
    found = calibration(counts, np.zeros(11, np.int64), n_bins=5)
    assert found is not None
    assert [b.px_count for b in found.bins] == [3, 2, 2, 2, 2]
    assert (found.bins[0].low, found.bins[0].high) == (0, 0.2)


def test_no_pixel_no_answer() -> None:
    assert calibration(np.zeros(251, np.int64), np.zeros(251, np.int64)) is None
