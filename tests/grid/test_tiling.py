"""Cores partition the grid, windows lie on the stride's grid, blocks are whole cores."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.grid.tiling import BlockIndex, CoreIndex, Tiling, even_core_px, shared_cores_px
from geoseg.grid.window import Window, ceil_div
from tests.strategies import tilings


def count_cover(tiling: Tiling, windows: list[Window]) -> np.ndarray:
    cover = np.zeros((tiling.height, tiling.width), np.int64)
    grid = Window(0, 0, tiling.height, tiling.width)
    for window in windows:
        assert window.intersect(grid) == window, "a window leaves the grid"
        assert window.size_px > 0, "a window holds nothing"
        cover[window.within(grid)] += 1
    return cover


@given(tilings())
def test_cores_of_all_blocks_cover_every_pixel_exactly_once(tiling: Tiling) -> None:
    cores = [c for block in tiling.blocks() for c in tiling.block_cores(block)]
    assert len(cores) == len(set(cores)) == tiling.n_windows
    cover = count_cover(tiling, [tiling.core_window(c) for c in cores])
    assert (cover == 1).all()


@given(tilings())
def test_blocks_cover_every_pixel_exactly_once(tiling: Tiling) -> None:
    blocks = list(tiling.blocks())
    assert len(blocks) == len(set(blocks)) == tiling.n_blocks
    cover = count_cover(tiling, [tiling.block_window(b) for b in blocks])
    assert (cover == 1).all()


@given(tilings())
def test_a_block_is_the_union_of_its_cores(tiling: Tiling) -> None:
    for block in tiling.blocks():
        window = tiling.block_window(block)
        assert (
            sum(tiling.core_window(c).size_px for c in tiling.block_cores(block)) == window.size_px
        )
        for core in tiling.block_cores(block):
            assert tiling.core_window(core).intersect(window) == tiling.core_window(core)


@given(tilings())
def test_windows_have_one_shape_and_origins_on_the_strides_grid(tiling: Tiling) -> None:
    for block in tiling.blocks():
        for core in tiling.block_cores(block):
            window = tiling.model_window(core)
            kept = tiling.core_window(core)
            assert window.shape == tiling.window_shape
            assert window.row_off % tiling.stride_px == window.col_off % tiling.stride_px == 0
            assert window.height % tiling.stride_px == window.width % tiling.stride_px == 0
            inner = window.expand(-tiling.halo_px)
            assert (inner.row_off, inner.col_off) == (kept.row_off, kept.col_off)
            assert inner.intersect(kept) == kept


@given(tilings(), st.integers(1, 9), st.integers(1, 9))
def test_windows_do_not_depend_on_the_blocks(tiling: Tiling, rows: int, cols: int) -> None:
    other = replace(tiling, block_rows=rows, block_cols=cols)

    def pairs(t: Tiling) -> set[tuple[Window, Window]]:
        return {(t.core_window(c), t.model_window(c)) for b in t.blocks() for c in t.block_cores(b)}

    assert pairs(tiling) == pairs(other)


@given(tilings(), st.integers(0, 4))
def test_the_ring_is_every_core_within_reach(tiling: Tiling, ring: int) -> None:
    rows, cols = tiling.core_counts
    for block in tiling.blocks():
        own = list(tiling.block_cores(block))
        top, left = own[0]
        bottom, right = own[-1]
        expected = [
            CoreIndex(r, c)
            for r in range(rows)
            for c in range(cols)
            if top - ring <= r <= bottom + ring and left - ring <= c <= right + ring
        ]
        assert list(tiling.block_cores(block, ring)) == expected


@given(tilings())
def test_redundancy_counts_forwarded_pixels(tiling: Tiling) -> None:
    height, width = tiling.window_shape
    forwarded = sum(height * width for b in tiling.blocks() for _ in tiling.block_cores(b))
    assert tiling.redundancy == pytest.approx(forwarded / (tiling.height * tiling.width))


@given(st.integers(1, 60_000), st.integers(1, 3000), st.sampled_from([1, 8, 16, 32]))
def test_even_cores_need_no_more_cores_and_waste_less_than_a_stride_each(
    length: int, largest: int, stride: int
) -> None:
    core = even_core_px(length, largest, stride)
    limit = max(largest // stride, 1) * stride
    assert core % stride == 0
    assert 0 < core <= limit
    assert ceil_div(length, core) <= ceil_div(length, limit)
    # even: one stride less would need more cores
    assert core == stride or ceil_div(length, core - stride) > ceil_div(length, limit)


@given(
    st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)),
    st.integers(1, 3000),
    st.integers(0, 200),
    st.sampled_from([1, 16, 32]),
)
def test_shared_cores_are_even_ones_of_the_grid_or_of_one_cut_more(
    shape: tuple[int, int], largest: int, halo: int, stride: int
) -> None:
    limit = max(largest // stride, 1) * stride
    cores = shared_cores_px(shape, largest, halo, stride)
    for length, core in zip(shape, cores, strict=True):
        assert core % stride == 0
        assert 0 < core <= limit
        assert ceil_div(length, core) <= ceil_div(length, limit) + 1
    even = tuple(even_core_px(length, largest, stride) for length in shape)

    def forwarded(core: tuple[int, ...]) -> int:
        count = math.prod(ceil_div(length, side) for length, side in zip(shape, core, strict=True))
        return count * math.prod(side + 2 * halo for side in core)

    assert forwarded(cores) <= 1.1 * forwarded(even)


def test_a_few_windows_are_cut_so_that_workers_end_together() -> None:
    """Nine windows leave one of two workers idle for the last; twelve do not."""
    assert shared_cores_px((4099, 4099), 1584, 64, 16) == (1376, 1040)
    # A multiple of workers stays as it is, and so does a grid of many windows.
    assert shared_cores_px((2000, 2000), 1008, 64, 16) == (1008, 1008)
    assert shared_cores_px((10_980, 10_980), 1584, 64, 16) == (1584, 1584)
    # Nor is a small scene, where halos would double what is computed.
    assert shared_cores_px((512, 512), 512, 64, 16) == (512, 512)


@given(tilings())
def test_tilings_survive_pickling(tiling: Tiling) -> None:
    assert pickle.loads(pickle.dumps(tiling)) == tiling


def test_block_names_sort_in_reading_order() -> None:
    blocks = [BlockIndex(r, c) for r in (0, 2, 10, 99_999) for c in (0, 3, 12, 40_000)]
    assert sorted(b.name for b in blocks) == [b.name for b in blocks]


GOOD = {
    "height": 10, "width": 10, "core_height_px": 32, "core_width_px": 32, "halo_px": 32,
    "stride_px": 32, "block_rows": 1, "block_cols": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("height", 0), ("width", 0), ("block_rows", 0), ("block_cols", 0), ("stride_px", 0),
        ("halo_px", -32), ("halo_px", 31), ("core_height_px", 33), ("core_width_px", 0),
        ("core_height_px", 0),
    ],
)  # fmt: skip
def test_a_tiling_off_the_strides_grid_is_refused(name: str, value: int) -> None:
    Tiling(**GOOD)
    with pytest.raises(ValueError, match=r"positive|multiple"):
        Tiling(**{**GOOD, name: value})
