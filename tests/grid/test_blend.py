"""Blending weights: nowhere zero, symmetric, a partition of unity after division."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geoseg.grid.blend import blend_weights
from geoseg.grid.tiling import Tiling
from geoseg.grid.window import Window
from tests.strategies import tilings


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 120))
@example(h=300, w=300, halo=120)
def test_weights_are_positive_symmetric_and_at_most_one(h: int, w: int, halo: int) -> None:
    weights = blend_weights(h, w, halo)
    assert weights.shape == (h, w)
    assert weights.dtype == np.float32
    assert weights.min() >= 0.99e-6  # a thousandth along either axis
    assert weights.max() <= 1
    np.testing.assert_array_equal(weights, weights[::-1])
    np.testing.assert_array_equal(weights, weights[:, ::-1])


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 4))
def test_no_halo_no_blending_and_the_centre_counts_fully(rows: int, cols: int, halo: int) -> None:
    assert (blend_weights(rows, cols, 0) == 1).all()
    height, width = 4 * halo + rows, 4 * halo + cols
    weights = blend_weights(height, width, halo)
    assert (weights[2 * halo : height - 2 * halo, 2 * halo : width - 2 * halo] == 1).all()


@given(st.integers(1, 60), st.integers(0, 30))
def test_two_neighbours_add_up_to_one_over_what_they_share(core: int, halo: int) -> None:
    """Raised cosines of adjacent windows: sin^2 + cos^2 (up to the floor of the weights)."""
    length = max(core, 2 * halo) + 2 * halo
    shared = 2 * halo
    line = blend_weights(length, 1, halo)[:, 0].astype(np.float64)
    if shared:
        total = line[-shared:] + line[:shared]
        np.testing.assert_allclose(total, 1, atol=1.1e-3)


@given(tilings(max_size=150))
def test_a_constant_stays_what_it_is_at_every_pixel(tiling: Tiling) -> None:
    """The weighted mean over all windows, on every pixel of the grid, border included."""
    grid = Window(0, 0, tiling.height, tiling.width)
    weights = blend_weights(*tiling.window_shape, tiling.halo_px)
    constant = np.float32(0.7)
    total, weight_sum = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    for block in tiling.blocks():
        for core in tiling.block_cores(block):
            window = tiling.model_window(core)
            shared = window.intersect(grid)
            total[shared.within(grid)] += constant * weights[shared.within(window)]
            weight_sum[shared.within(grid)] += weights[shared.within(window)]
    assert weight_sum.min() > 0
    np.testing.assert_allclose(total / weight_sum, constant, rtol=1e-6)


def test_the_weight_falls_towards_the_border() -> None:
    line = blend_weights(64, 1, 8)[:, 0]
    assert (np.diff(line[:17]) >= 0).all()
    assert line[0] < 0.02
    assert line[16:48] == pytest.approx(1)
