"""Crops from prepared blocks: labels lie where the pixels lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geoseg.training.augment import Variation
from geoseg.training.chips import CropPlan, PreparedBlocks, draw_batch, find_anchors, normalised
from geoseg.training.label_sets import exact_class
from geoseg.training.split import TRAIN, VALIDATION

SIDE, MARGIN = 96, 16
CALM = Variation(strength=0.0)


def make_blocks(count: int = 3, n_classes: int = 3) -> PreparedBlocks:
    """Blocks whose pixels are ten times their class, in patches of 8 px."""
    rng = np.random.default_rng(0)
    full = SIDE + 2 * MARGIN
    classes = np.kron(
        rng.integers(0, n_classes, (count, full // 8, full // 8)), np.ones((8, 8), int)
    )
    labels = np.zeros(classes.shape, np.uint8)
    inner = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    labels[inner] = 1 << classes[inner]
    return PreparedBlocks(
        pixels=(10 * classes).astype(np.uint8)[:, None],
        valid=np.ones(classes.shape, np.bool_),
        labels=labels,
        part=np.array([TRAIN] * (count - 1) + [VALIDATION], np.int8),
        weight=np.ones(count),
        margin_px=MARGIN,
    )


def plan(side: int = 32, scale: float = 1.0, balance: float = 0.5) -> CropPlan:
    return CropPlan(
        side_px=side, scale=(1 / scale, scale), offset=(0.0,), divisor=(10.0,), variation=CALM,
        balance=balance,
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_labels_lie_on_their_pixels_through_every_crop(scale: float) -> None:
    blocks = make_blocks()
    anchors = find_anchors(blocks, 3, 0)
    wrong = known = 0
    for step in range(40):
        images, labels = draw_batch(blocks, anchors, plan(scale=scale), (1, step), 4)
        exact = exact_class(labels)
        inside = exact >= 0
        known += int(inside.sum())
        wrong += int((np.abs(images[:, 0][inside] - exact[inside]) > 0.5).sum())
    assert known > 10_000
    # Where a crop is resampled, pixels on borders of patches lie between two classes.
    assert wrong / known < (1e-9 if scale == 1.0 else 0.1)


def test_crops_larger_than_a_block_keep_their_scale() -> None:
    blocks = make_blocks()
    side, scale = 2 * blocks.side_px, 1.4
    crops = replace(plan(side=side), scale=(scale, scale))
    _, labels = draw_batch(blocks, find_anchors(blocks, 3, 0), crops, (1, 0), 2)
    known = np.count_nonzero(labels) / labels.size
    assert known == pytest.approx((SIDE / (scale * side)) ** 2, rel=0.02)


def test_the_same_numbers_draw_the_same_crops_and_others_do_not() -> None:
    blocks = make_blocks()
    anchors = find_anchors(blocks, 3, 0)
    one, same, other = (
        draw_batch(blocks, anchors, plan(scale=1.4), seed, 3) for seed in ((1, 5), (1, 5), (1, 6))
    )
    assert np.array_equal(one[0], same[0])
    assert np.array_equal(one[1], same[1])
    assert not np.array_equal(one[0], other[0])


def test_only_training_ground_is_drawn() -> None:
    blocks = make_blocks()
    blocks.pixels[2] = 200  # the validation block
    anchors = find_anchors(blocks, 3, 0)
    for step in range(30):
        images, _ = draw_batch(blocks, anchors, plan(), (0, step), 4)
        assert images.max() < 15


def test_a_rare_class_is_drawn_on_purpose() -> None:
    blocks = make_blocks()
    blocks.labels[blocks.labels == 4] = 1
    blocks.labels[0, 40:44, 40:44] = 4  # 16 pixels of class 2
    anchors = find_anchors(blocks, 3, 0)
    seen = sum(
        bool((draw_batch(blocks, anchors, plan(balance=1.0), (0, s), 1)[1] == 4).any())
        for s in range(90)
    )
    assert 15 < seen < 60  # every third crop is centred on it


def test_what_lies_beyond_a_block_is_not_valid() -> None:
    blocks = make_blocks()
    blocks.pixels[:] += 10  # so that no pixel of the block is 0 to the network
    anchors = find_anchors(blocks, 3, 0)
    images, labels = draw_batch(blocks, anchors, plan(side=160), (0, 0), 2)
    assert images.shape == (2, 1, 160, 160)
    for rim in (np.s_[:, :16], np.s_[:, -16:], np.s_[:, :, :16], np.s_[:, :, -16:]):
        assert not images[:, 0][rim].any()
        assert not labels[rim].any()
    assert images[:, 0, 16:-16, 16:-16].all()
    known = slice(16 + MARGIN, -16 - MARGIN)
    assert labels[:, known, known].all()


def test_pixels_without_data_are_zero_to_the_network() -> None:
    blocks = make_blocks()
    blocks.valid[:, :, 60:] = False
    blocks.pixels[:, :, :, 60:] = 250
    blocks.labels[:, :, 60:] = 0
    anchors = find_anchors(blocks, 3, 0)
    for step in range(10):
        images, _ = draw_batch(blocks, anchors, plan(), (0, step), 4)
        assert images.max() <= 2


def test_normalised() -> None:
    image = np.full((2, 2, 2), 30, np.uint8)
    found = normalised(image, (10.0, 0.0), (10.0, 60.0))
    assert found[:, 0, 0].tolist() == [2.0, 0.5]
