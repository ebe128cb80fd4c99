"""Sets of classes as bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.training.label_sets import bits_of, class_counts, exact_class, label_dtype


@given(st.lists(st.sets(st.integers(0, 62)), min_size=1, max_size=30))
def test_a_set_of_one_is_that_class_and_no_other_set_is(sets: list[set[int]]) -> None:
    labels = np.array([bits_of(s) for s in sets], np.uint64)
    expected = [next(iter(s)) if len(s) == 1 else -1 for s in sets]
    assert exact_class(labels).tolist() == expected


@pytest.mark.parametrize(
    ("n", "name"), [(2, "uint8"), (8, "uint8"), (9, "uint16"), (32, "uint32"), (63, "uint64")]
)
def test_the_smallest_type_that_holds_all_classes(n: int, name: str) -> None:
    kind = label_dtype(n)
    assert kind.name == name
    assert int(np.iinfo(kind).max) >= bits_of([n - 1])


def test_more_classes_than_bits_are_refused() -> None:
    with pytest.raises(OptionError, match="64 classes are too many"):
        label_dtype(64)


def test_counts_by_class_alone_and_beside_others() -> None:
    labels = np.array([[1, 1, 2], [4, 6, 0]], np.uint8)
    assert class_counts(labels, 3).tolist() == [2, 1, 1]
    assert class_counts(labels, 3, overlap=True).tolist() == [2, 2, 2]
