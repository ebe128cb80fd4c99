"""Resampling against exact means, analytic ramps and a scene's partition."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geoseg.grid.resample import AxisTaps, GridScale, area_taps, linear_taps, resample_masked
from geoseg.grid.window import Window

steps = st.one_of(
    st.floats(0.15, 6.0),
    st.sampled_from([1.0, 2.0, 0.5, 1 / 3, 3.0, 1 / 1.0000001, 0.3 / 0.1, 10 / 3]),
)
scales = st.builds(
    GridScale,
    scene_height=st.integers(1, 90),
    scene_width=st.integers(1, 90),
    row_step=steps,
    col_step=steps,
)


def apply(taps: AxisTaps, line: np.ndarray) -> np.ndarray:
    return taps.apply(line.astype(np.float32)[None, :], -1, 0)[0]


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_whole_factors_give_exact_block_means(factor: int, blocks: int, seed: int) -> None:
    line = np.random.default_rng(seed).integers(0, 255, factor * blocks)
    found = apply(area_taps(0, blocks, float(factor), len(line)), line)
    expected = line.reshape(blocks, factor).mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-4)


@given(st.integers(1, 60), st.floats(1.0, 7.0), st.integers(0, 2**32 - 1))
def test_area_taps_integrate_a_step_function(length: int, step: float, seed: int) -> None:
    """Any factor: the mean over an interval from the antiderivative."""
    line = np.random.default_rng(seed).uniform(0, 1, length)
    count = max(1, int(np.ceil(length / step - 1e-3)))
    found = apply(area_taps(0, count, step, length), line)
    integral = np.concatenate([[0], line.cumsum()])
    low = np.arange(count) * step
    high = np.minimum(low + step, length)
    assume((high - low > 1e-3).all())
    at = lambda x: np.interp(x, np.arange(length + 1), integral)  # noqa: E731
    np.testing.assert_allclose(found, (at(high) - at(low)) / (high - low), atol=2e-3)


@given(st.integers(2, 60), st.floats(0.1, 1.0), st.floats(-3, 3), st.floats(-9, 9))
def test_linear_taps_give_a_ramp_back(length: int, step: float, slope: float, shift: float) -> None:
    count = max(1, int(np.ceil(length / step - 1e-3)))
    found = apply(linear_taps(0, count, step, length), slope * np.arange(length) + shift)
    centre = (np.arange(count) + 0.5) * step - 0.5
    expected = slope * np.clip(centre, 0, length - 1) + shift
    np.testing.assert_allclose(found, expected, atol=2e-3)


@given(scales, st.integers(0, 40), st.integers(1, 40))
def test_taps_depend_on_the_absolute_position_only(
    scale: GridScale, first: int, count: int
) -> None:
    assume(first + count <= scale.model_width)
    whole = scale.to_model_taps(Window(0, 0, 1, scale.model_width))[1]
    part = scale.to_model_taps(Window(0, first, 1, count))[1]
    np.testing.assert_array_equal(part.index, whole.index[first : first + count])
    np.testing.assert_array_equal(part.weight, whole.weight[first : first + count])


@given(scales)
def test_taps_are_means_of_pixels_that_exist(scale: GridScale) -> None:
    model = Window(0, 0, scale.model_height, scale.model_width)
    scene = Window(0, 0, scale.scene_height, scale.scene_width)
    sides = ((scale.to_model_taps(model), scene.shape), (scale.to_scene_taps(scene), model.shape))
    for taps, lengths in sides:
        for axis, length in zip(taps, lengths, strict=True):
            assert axis.first >= 0
            assert axis.last < length
            assert (axis.weight >= 0).all()
            np.testing.assert_allclose(axis.weight.sum(axis=1), 1, atol=1e-5)


@given(scales, st.data())
def test_scene_windows_of_a_partition_are_a_partition(
    scale: GridScale, data: st.DataObject
) -> None:
    rows = cuts(data, scale.model_height)
    cols = cuts(data, scale.model_width)
    cover = np.zeros((scale.scene_height, scale.scene_width), np.int64)
    whole = Window(0, 0, *cover.shape)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(cols):
            scene = scale.scene_window(Window(top, left, bottom - top, right - left))
            assert scene.intersect(whole).shape == scene.shape
            cover[scene.within(whole)] += 1
    assert (cover == 1).all()


def cuts(data: st.DataObject, length: int) -> list[int]:
    return sorted({0, length, *data.draw(st.lists(st.integers(0, length), max_size=5))})


@given(scales)
def test_the_models_grid_covers_the_scene_and_no_pixel_more(scale: GridScale) -> None:
    for model, scene, step in (
        (scale.model_height, scale.scene_height, scale.row_step),
        (scale.model_width, scale.scene_width, scale.col_step),
    ):
        # A sliver of a thousandth is left to the last pixel.
        assert (model + 2e-3) * step >= scene
        assert model == 1 or (model - 1) * step < scene


def test_a_scene_pixel_belongs_to_the_model_pixel_over_its_centre() -> None:
    scale = GridScale(scene_height=10, scene_width=10, row_step=2.5, col_step=2.5)
    owners = [next(k for k in range(4) if row in range(*rows_of(scale, k))) for row in range(10)]
    assert owners == [int((row + 0.5) // 2.5) for row in range(10)]


def rows_of(scale: GridScale, k: int) -> tuple[int, int]:
    window = scale.scene_window(Window(k, 0, 1, scale.model_width))
    return window.row_off, window.row_end


@given(scales, st.integers(0, 2**32 - 1))
def test_invalid_pixels_take_no_part(scale: GridScale, seed: int) -> None:
    """Whatever stands in invalid pixels, NaN included, the result is the same."""
    rng = np.random.default_rng(seed)
    shape = (scale.scene_height, scale.scene_width)
    valid = rng.random(shape) < 0.6
    values = rng.uniform(0, 255, (2, *shape)).astype(np.float32)
    dirty = np.where(valid, values, np.float32(np.nan))
    taps = scale.to_model_taps(Window(0, 0, scale.model_height, scale.model_width))
    clean_out, clean_mask = resample_masked(values, valid, taps, (0, 0))
    dirty_out, dirty_mask = resample_masked(dirty, valid, taps, (0, 0))
    np.testing.assert_array_equal(clean_mask, dirty_mask)
    np.testing.assert_array_equal(clean_out, dirty_out)
    assert np.isfinite(clean_out).all()
    assert (clean_out[:, ~clean_mask] == 0).all()
    if valid.any():
        inside = clean_out[:, clean_mask]
        assert inside.size == 0 or inside.max() <= values[:, valid].max() * (1 + 1e-5)
        assert inside.size == 0 or inside.min() >= values[:, valid].min() * (1 - 1e-5)


@given(scales, st.floats(0.1, 255))
def test_a_constant_stays_constant_whatever_is_invalid(scale: GridScale, value: float) -> None:
    shape = (scale.scene_height, scale.scene_width)
    valid = np.random.default_rng(0).random(shape) < 0.7
    taps = scale.to_model_taps(Window(0, 0, scale.model_height, scale.model_width))
    out, mask = resample_masked(np.full((1, *shape), value, np.float32), valid, taps, (0, 0))
    np.testing.assert_allclose(out[0][mask], np.float32(value), rtol=1e-5)


@given(scales, st.integers(0, 30), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_a_part_of_the_input_gives_the_same_bits(
    scale: GridScale, row: int, col: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 255, (1, scale.scene_height, scale.scene_width)).astype(np.float32)
    valid = rng.random(values.shape[1:]) < 0.8
    assume(row < scale.model_height and col < scale.model_width)
    model = Window(row, col, scale.model_height - row, scale.model_width - col)
    taps = scale.to_model_taps(model)
    rows, cols = taps
    expected = resample_masked(values, valid, taps, (0, 0))
    cut = np.s_[rows.first : rows.last + 1, cols.first : cols.last + 1]
    found = resample_masked(values[(slice(None), *cut)], valid[cut], taps, (rows.first, cols.first))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_any_valid_weight_makes_a_pixel_valid() -> None:
    scale = GridScale(scene_height=1, scene_width=12, row_step=1.0, col_step=4.0)
    valid = np.array([[1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]], bool)
    values, mask = resample_masked(
        np.where(valid, 7, 99).astype(np.float32)[None], valid,
        scale.to_model_taps(Window(0, 0, 1, 3)), (0, 0),
    )  # fmt: skip
    assert mask.tolist() == [[True, True, False]]
    assert values.tolist() == [[[7.0, 7.0, 0.0]]]


@given(st.data(), st.integers(1, 30), st.floats(0.2, 6.0))
def test_the_model_pixel_under_a_valid_pixel_is_valid(
    data: st.DataObject, width: int, step: float
) -> None:
    """Else a pixel that is to be classified might be in a window that nobody forwards."""
    scale = GridScale(scene_height=1, scene_width=width, row_step=1.0, col_step=step)
    valid = np.array([data.draw(st.lists(st.booleans(), min_size=width, max_size=width))])
    whole = Window(0, 0, 1, scale.model_width)
    _, mask = resample_masked(
        np.ones((1, 1, width), np.float32), valid, scale.to_model_taps(whole), (0, 0)
    )
    for col in range(scale.model_width):
        seen = scale.scene_window(Window(0, col, 1, 1))
        if valid[:, seen.col_off : seen.col_end].any():
            assert mask[0, col]


@pytest.mark.parametrize("step", [1 / 1.0000001, 1.0000001])
def test_rounding_in_the_step_asks_for_no_extra_pixel(step: float) -> None:
    scale = GridScale(scene_height=1000, scene_width=1000, row_step=step, col_step=step)
    assert (scale.model_height, scale.model_width) == (1000, 1000)
