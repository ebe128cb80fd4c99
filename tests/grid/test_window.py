"""Windows: set algebra, checked against sets of pixels."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.grid.window import Window, ceil_div, round_up
from tests.strategies import windows


def pixels_of(window: Window) -> set[tuple[int, int]]:
    return {
        (row, col)
        for row in range(window.row_off, window.row_end)
        for col in range(window.col_off, window.col_end)
    }


@given(windows(reach=9), windows(reach=9))
def test_intersection_is_the_set_intersection(a: Window, b: Window) -> None:
    assert pixels_of(a.intersect(b)) == pixels_of(a) & pixels_of(b)


@given(windows(reach=9), st.integers(0, 5))
def test_expanding_adds_exactly_the_pixels_within_the_margin(window: Window, margin: int) -> None:
    grown = window.expand(margin)
    assert grown.shape == (window.height + 2 * margin, window.width + 2 * margin)
    assert grown.expand(-margin) == window


@given(windows(reach=20).filter(lambda w: w.size_px), st.data())
def test_within_gives_the_slices_of_the_same_pixels(outer: Window, data: st.DataObject) -> None:
    inner = data.draw(windows(reach=20)).intersect(outer)
    rows, cols = np.mgrid[outer.row_off : outer.row_end, outer.col_off : outer.col_end]
    cut = np.stack([rows, cols])[(slice(None), *inner.within(outer))] if inner.size_px else None
    if cut is not None:
        assert set(map(tuple, cut.reshape(2, -1).T.tolist())) == pixels_of(inner)


@given(st.integers(0, 10_000), st.integers(1, 999))
def test_ceil_div_and_round_up_are_the_smallest(value: int, step: int) -> None:
    count = ceil_div(value, step)
    assert (count - 1) * step < value <= count * step
    assert round_up(value, step) == count * step


@given(windows())
def test_windows_survive_pickling(window: Window) -> None:
    assert pickle.loads(pickle.dumps(window)) == window


@pytest.mark.parametrize("shape", [(-1, 3), (3, -1)])
def test_a_negative_size_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Window(0, 0, *shape)
