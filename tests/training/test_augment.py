"""Variations of crops."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.training.augment import Variation, blurred, turned, varied


def test_the_eight_turns_move_image_and_labels_alike() -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    seen = set()
    for seed in range(80):
        a, b = turned(np.random.default_rng(seed), image, labels)
        assert np.array_equal(a[0], b)
        seen.add(b.tobytes())
    assert len(seen) == 8


@pytest.mark.parametrize("n_bands", [1, 3, 5])
def test_variations_keep_shape_and_are_finite_and_repeatable(n_bands: int) -> None:
    image = np.random.default_rng(0).normal(0, 1, (n_bands, 32, 32)).astype(np.float32)
    counts = ((100.0,) * 3, (50.0,) * 3) if n_bands == 3 else None
    how = Variation(counts=counts)
    before = image.copy()
    for seed in range(60):
        one, other = (varied(np.random.default_rng(seed), image, how) for _ in range(2))
        assert one.shape == image.shape
        assert one.dtype == np.float32
        assert np.isfinite(one).all()
        assert np.array_equal(one, other)
    assert np.array_equal(image, before)


def test_no_strength_is_no_change() -> None:
    image = np.ones((3, 8, 8), np.float32)
    assert varied(np.random.default_rng(0), image, Variation(strength=0.0)) is image


def test_bands_are_lost_now_and_then() -> None:
    image = np.random.default_rng(0).normal(3, 1, (3, 16, 16)).astype(np.float32)
    how = Variation(band_drop=1.0)
    lost = [(varied(np.random.default_rng(s), image, how) == 0).all(axis=(1, 2)) for s in range(40)]
    assert all(found.sum() == 1 for found in lost)
    assert {int(found.argmax()) for found in lost} == {0, 1, 2}


def test_a_blur_keeps_the_mean_and_spreads_a_point_as_a_gaussian() -> None:
    image = np.zeros((1, 41, 41), np.float32)
    image[0, 20, 20] = 1
    found = blurred(image, 2.0)[0]
    assert found.sum() == pytest.approx(1, abs=1e-5)
    across = found.sum(axis=0)
    spread = float(((np.arange(41) - 20) ** 2 * across).sum())
    assert spread == pytest.approx(4.0, rel=0.05)
    flat = np.full((2, 9, 9), 7.0, np.float32)
    assert np.allclose(blurred(flat, 1.3), 7.0)
