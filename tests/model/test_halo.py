"""The measured halo is the right one, and never too small."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.model.halo import agreement, image_side_px, measure_halo, patchwork_image
from geoseg.model.predictor import Pixels
from tests.fakes import BoxFilterPredictor, GlobalPredictor, IdentityPredictor, one_hot


def images(stride_px: int) -> list[np.ndarray]:
    return [patchwork_image(1, 1, image_side_px(stride_px), (0.0, 255.0))]


@pytest.mark.parametrize("radius", [0, 1, 3, 5])
def test_a_box_filter_needs_exactly_its_radius(radius: int) -> None:
    found = measure_halo(BoxFilterPredictor(radius, 5), 1, images(1))
    assert found.halo_px == radius
    halos, shares = zip(*found.curve, strict=True)
    assert halos == tuple(range(radius + 1))
    assert shares[-1] == 0
    assert all(share > 1e-4 for share in shares[:-1])


@pytest.mark.parametrize(("radius", "halo"), [(1, 8), (8, 8), (9, 16), (20, 24)])
def test_the_halo_is_a_multiple_of_the_stride(radius: int, halo: int) -> None:
    assert measure_halo(BoxFilterPredictor(radius, 5), 8, images(8)).halo_px == halo


def test_global_context_has_no_halo() -> None:
    found = measure_halo(GlobalPredictor(), 32, images(32))
    assert found.halo_px is None
    assert found.curve[-1][0] == 256
    assert all(share > 1e-4 for _, share in found.curve)


@pytest.mark.parametrize(("n_bands", "value_range"), [(1, (0.0, 255.0)), (4, (0.0, 3000.0))])
def test_the_patchwork_is_seeded_and_inside_the_range(
    n_bands: int, value_range: tuple[float, float]
) -> None:
    image = patchwork_image(7, n_bands, 200, value_range)
    assert image.shape == (n_bands, 200, 200)
    assert image.dtype == (np.uint8 if value_range == (0.0, 255.0) else np.float32)
    assert value_range[0] <= image.min() < image.max() <= value_range[1]
    assert image.std() > 0.05 * (value_range[1] - value_range[0])
    np.testing.assert_array_equal(image, patchwork_image(7, n_bands, 200, value_range))
    assert (image != patchwork_image(8, n_bands, 200, value_range)).any()


def test_agreement_counts_equal_classes() -> None:
    image = np.array([[[0, 1, 2, 3]]], np.uint8)
    low, high = IdentityPredictor((1,)), IdentityPredictor((2,))
    assert agreement(low, high, [image]) == 0.75
    assert agreement(low, low, [image]) == 1


def test_images_of_one_class_tell_nothing() -> None:
    """Any halo gives the same map there, and 0 would be no measurement."""
    found = measure_halo(IdentityPredictor((300,)), 8, images(8))
    assert found.halo_px is None
    assert not found.tells
    assert found.second_class_share == 0
    assert measure_halo(IdentityPredictor((100,)), 8, images(8)).tells


@pytest.mark.parametrize("stride_px", [14, 28, 32])
def test_halos_of_any_stride_are_tried_up_to_the_largest(stride_px: int) -> None:
    found = measure_halo(GlobalPredictor(), stride_px, images(stride_px))
    halos = [halo for halo, _ in found.curve]
    assert all(halo % stride_px == 0 for halo in halos)
    assert 128 - stride_px < max(h for h in halos if h <= 128)
    assert 256 - stride_px < halos[-1] <= 256


class RareSpots(BoxFilterPredictor):
    """A class of a few pixels in a thousand, where the box is at its brightest."""

    def scores(self, pixels: Pixels) -> np.ndarray:
        sums = self.sums(np.rint(pixels[:, 0]).astype(np.int64))
        return one_hot((sums > 0.83 * self.full).astype(np.intp), 2)


def test_a_rare_class_is_measured_by_its_own_pixels() -> None:
    found = measure_halo(RareSpots(3), 1, images(1))
    assert found.tells
    assert 1e-3 < found.second_class_share < 5e-3
    shares = [share for _, share in found.curve]
    assert shares[-2] <= 1e-4  # which would have been enough for a common class
    assert shares[-1] <= found.second_class_share / 100 < shares[-2]
