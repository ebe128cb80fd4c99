"""Crops for training, drawn from prepared blocks of ground; the same for the same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.resample import AxisTaps, area_taps, linear_taps
from geoseg.training.augment import Floats, Variation, turned, varied
from geoseg.training.label_sets import Labels, class_mask
from geoseg.training.split import TRAIN

__all__ = ["Anchors", "CropPlan", "PreparedBlocks", "draw_batch", "find_anchors", "normalised"]

_MOST_ANCHORS = 256
_CENTRED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedBlocks:
    """Blocks of ground on the model's grid, each with a margin of context around its core."""

    pixels: NDArray[Any]
    """(block, band, side, side) raw pixel values, uint8 or float32."""
    valid: NDArray[np.bool_]
    """(block, side, side) True where there is a pixel."""
    labels: Labels
    """(block, side, side) sets of classes; nothing is known in the margin."""
    part: NDArray[np.int8]
    """(block,) training, validation or test."""
    weight: NDArray[np.float64]
    """(block,) how often the ground is drawn, by the weight of its pair."""
    margin_px: int
    """Width of the margin."""

    @property
    def side_px(self) -> int:
        """Side of a block with its margin."""
        return int(self.labels.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class CropPlan:
    """What a crop is like."""

    side_px: int
    """Side of a crop."""
    scale: tuple[float, float]
    """Smallest and largest size of a crop's pixel, in pixels of the model's grid."""
    offset: tuple[float, ...]
    """Per band; see ``BandScaling``."""
    divisor: tuple[float, ...]
    """Per band."""
    variation: Variation
    """Light, air, camera."""
    balance: float = 0.5
    """Share of crops that are centred on a class drawn evenly among the classes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anchors:
    """Where training crops may lie."""

    blocks: NDArray[np.intp]
    """(n,) numbers of the training blocks with labels."""
    chance: NDArray[np.float64]
    """(n,) odds of each."""
    pixels: tuple[tuple[NDArray[np.int16], ...], ...]
    """Per block and class some (row, col) of the class; at the end, of any label."""
    class_chance: NDArray[np.float64]
    """(class, n) odds of a block for a crop of a class; zeros where the class is not there."""


def find_anchors(
    blocks: PreparedBlocks, n_classes: int, seed: int, *, overlap: bool = False
) -> Anchors:
    """Index the training blocks by class, so that rare ones can be drawn on purpose.

    Args:
        blocks: The ground.
        n_classes: Classes.
        seed: Of which pixels stand for a block.
        overlap: A pixel stands for all classes of its set, not only for one alone.
    """
    rng = np.random.default_rng([seed, 1])
    chosen, pixels, counts = [], [], []
    for number in np.flatnonzero(blocks.part == TRAIN):
        labels = blocks.labels[number]
        if not labels.any():
            continue
        where = [class_mask(labels, k, overlap=overlap) for k in range(n_classes)]
        where.append(labels != 0)
        chosen.append(number)
        pixels.append(tuple(_some(rng, each) for each in where))
        counts.append([np.count_nonzero(each) for each in where])
    table = np.array(counts, np.float64).reshape(len(chosen), n_classes + 1)
    weight = blocks.weight[chosen]
    any_label = table[:, n_classes] * weight
    # The square root lets blocks with a little of a class be seen beside those full of it; by
    # the share of the block, so that pairs keep the part that their weights give them.
    share = table[:, :n_classes] / table[:, n_classes:]
    by_class = (np.sqrt(share) * any_label[:, None]).T
    sums = by_class.sum(axis=1, keepdims=True)
    return Anchors(
        blocks=np.array(chosen, np.intp),
        chance=any_label / max(any_label.sum(), 1e-12),
        pixels=tuple(pixels),
        class_chance=np.divide(by_class, sums, out=np.zeros_like(by_class), where=sums > 0),
    )


def _some(rng: np.random.Generator, where: NDArray[np.bool_]) -> NDArray[np.int16]:
    found = np.flatnonzero(where)
    if len(found) > _MOST_ANCHORS:
        found = rng.choice(found, _MOST_ANCHORS, replace=False)
    return np.stack(np.divmod(found, where.shape[1]), axis=1).astype(np.int16)


def draw_batch(
    blocks: PreparedBlocks, anchors: Anchors, plan: CropPlan, seed: tuple[int, int], count: int
) -> tuple[Floats, Labels]:
    """Draw the crops of one step.

    Args:
        blocks: The ground.
        anchors: Where on it.
        plan: What crops are like.
        seed: Seed of the training and number of the step; they decide everything.
        count: Crops.

    Returns:
        (count, band, side, side) as the network sees them, and (count, side, side) sets.
    """
    crops = [
        _draw(np.random.default_rng([*seed, item]), blocks, anchors, plan) for item in range(count)
    ]
    return np.stack([c[0] for c in crops]), np.stack([c[1] for c in crops])


def _draw(
    rng: np.random.Generator, blocks: PreparedBlocks, anchors: Anchors, plan: CropPlan
) -> tuple[Floats, Labels]:
    scale = float(np.exp(rng.uniform(*np.log(plan.scale))))
    side = max(1, round(plan.side_px * scale))
    place, row, col = _anchor(rng, anchors, plan.balance)
    number = anchors.blocks[place]
    top, left = (_start(rng, at, side, blocks.side_px) for at in (row, col))
    image, valid, labels = _cut(blocks, int(number), top, left, side)
    seen = normalised(image, plan.offset, plan.divisor)
    seen[:, ~valid] = 0  # before anything looks at it: a collar may hold -9999 or NaN
    if side != plan.side_px:
        seen, valid, labels = _resized(seen, valid, labels, plan.side_px)
    seen = varied(rng, seen, plan.variation, valid)
    seen[:, ~valid] = 0
    if plan.variation.turns:
        seen, labels = turned(rng, seen, labels)
    return np.ascontiguousarray(seen), np.ascontiguousarray(labels)


def _anchor(rng: np.random.Generator, anchors: Anchors, balance: float) -> tuple[int, int, int]:
    """Return the place of a block among the anchors, and a labelled pixel of it."""
    present = np.flatnonzero(anchors.class_chance.any(axis=1))
    if len(present) and rng.random() < balance:
        label = int(rng.choice(present))
        chance = anchors.class_chance[label]
    else:
        label, chance = -1, anchors.chance
    place = int(rng.choice(len(anchors.blocks), p=chance))
    pixels = anchors.pixels[place][label]
    row, col = pixels[int(rng.integers(len(pixels)))].tolist()
    return place, row, col


def _start(rng: np.random.Generator, at: int, side: int, length: int) -> int:
    """Return where a crop begins that holds a pixel, inside the block if it fits there."""
    wish = at - int(rng.integers(side))
    return min(max(wish, 0), length - side) if side <= length else (length - side) // 2


def _cut(
    blocks: PreparedBlocks, number: int, top: int, left: int, side: int
) -> tuple[NDArray[Any], NDArray[np.bool_], Labels]:
    """Cut a square out of a block; what lies beyond the block is not valid."""
    rows = slice(max(top, 0), min(top + side, blocks.side_px))
    cols = slice(max(left, 0), min(left + side, blocks.side_px))
    image = blocks.pixels[number, :, rows, cols]
    valid, labels = blocks.valid[number, rows, cols], blocks.labels[number, rows, cols]
    if valid.shape == (side, side):
        return image, valid, labels
    before = rows.start - top, cols.start - left
    pad = [(b, side - b - n) for b, n in zip(before, valid.shape, strict=True)]
    return np.pad(image, [(0, 0), *pad]), np.pad(valid, pad), np.pad(labels, pad)


def normalised(
    image: NDArray[Any], offset: tuple[float, ...], divisor: tuple[float, ...]
) -> Floats:
    """Return (band, row, col) pixels as the network sees them."""
    shape = (-1, 1, 1)
    mean = np.asarray(offset, np.float32).reshape(shape)
    result: Floats = (image.astype(np.float32) - mean) / np.asarray(divisor, np.float32).reshape(
        shape
    )
    return result


def _resized(
    image: Floats, valid: NDArray[np.bool_], labels: Labels, side_px: int
) -> tuple[Floats, NDArray[np.bool_], Labels]:
    """Bring a square to another size: areas averaged or interpolated, labels by the nearest."""
    length = valid.shape[0]
    taps = _taps(side_px, length)
    out = taps.apply(taps.apply(image, -2, 0), -1, 0)
    near = ((np.arange(side_px) + 0.5) * (length / side_px)).astype(np.intp)
    grid = np.ix_(near, near)
    return out, valid[grid], labels[grid]


def _taps(count: int, length: int) -> AxisTaps:
    step = length / count
    return (area_taps if step > 1 else linear_taps)(0, count, step, length)
