"""Mirror padding equals numpy's, wherever it is asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.grid.padding import reflect_index


@given(st.integers(1, 40), st.integers(0, 130), st.integers(0, 130))
def test_it_is_numpys_reflection(length: int, before: int, after: int) -> None:
    found = reflect_index(-before, before + length + after, length)
    assert found.dtype == np.intp
    expected = np.pad(np.arange(length), (before, after), "reflect") if length > 1 else 0 * found
    np.testing.assert_array_equal(found, expected)


@given(st.integers(1, 40), st.integers(-200, 200), st.integers(1, 90), st.integers(0, 89))
def test_a_position_does_not_depend_on_who_asks(
    length: int, first: int, count: int, skip: int
) -> None:
    whole = reflect_index(first, count, length)
    skip = min(skip, count - 1)
    np.testing.assert_array_equal(whole[skip:], reflect_index(first + skip, count - skip, length))
