"""Measures of a confusion matrix against scikit-learn and a table done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from geoseg.accuracy.confusion import confusion_matrix, occurring, places_of, scores


def test_measures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 5, 5000)
    mapped = np.where(rng.random(5000) < 0.7, reference, rng.integers(0, 5, 5000))
    matrix = confusion_matrix(mapped, reference, 5)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(reference, mapped).T)
    found = scores(matrix)
    assert found.overall == pytest.approx(metrics.accuracy_score(reference, mapped))
    for name, function in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
        ("iou", metrics.jaccard_score),
    ):
        expected = function(reference, mapped, average=None)
        np.testing.assert_allclose([getattr(c, name) for c in found.classes], expected)
    assert found.mean_iou == pytest.approx(
        metrics.jaccard_score(reference, mapped, average="macro")
    )
    assert found.mean_f1 == pytest.approx(metrics.f1_score(reference, mapped, average="macro"))


def test_a_table_by_hand() -> None:
    found = scores(np.array([[3, 1], [2, 4]]))
    assert found.overall == 0.7
    first, second = found.classes
    assert (first.precision, first.recall) == (3 / 4, 3 / 5)
    assert (second.precision, second.recall) == (4 / 6, 4 / 5)
    assert (first.iou, second.iou) == (3 / 6, 4 / 7)
    assert first.f1 == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))


def test_what_does_not_occur_has_no_measure() -> None:
    found = scores(np.array([[3, 0, 0], [1, 0, 0], [0, 0, 0]]))
    never_in_reference, nowhere = found.classes[1:]
    assert (never_in_reference.precision, never_in_reference.recall) == (0, None)
    assert (never_in_reference.iou, never_in_reference.f1) == (0, 0)
    assert nowhere.iou is nowhere.f1 is nowhere.precision is nowhere.recall is None
    assert found.mean_iou == (3 / 4 + 0) / 2
    empty = scores(np.zeros((2, 2), np.int64))
    assert empty.overall is empty.mean_iou is empty.mean_f1 is None


@pytest.mark.parametrize("spread", [10, 10**12])
def test_numbers_are_found_and_placed_like_numpy_does(spread: int) -> None:
    values = np.random.default_rng(0).integers(-spread, spread, 1000)
    ids, place = np.unique(values, return_inverse=True)
    np.testing.assert_array_equal(occurring(values), ids)
    np.testing.assert_array_equal(places_of(values, ids), place)
    assert occurring(values[:0]).size == places_of(values[:0], ids[:0]).size == 0
