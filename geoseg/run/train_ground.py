"""The ground of a training as the network meets it: blocks, scaling, range of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoseg.model.card import BandScaling
from geoseg.run.train_blocks import SplitCounts
from geoseg.run.train_plan import TrainPlan
from geoseg.training.augment import Variation
from geoseg.training.chips import CropPlan, PreparedBlocks
from geoseg.training.split import TRAIN

__all__ = ["Ground", "crop_plan", "four_digits"]

_SAMPLED_PX: Final = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What is trained on, as the network meets it."""

    blocks: PreparedBlocks
    """Pixels and labels on disk."""
    counts: SplitCounts
    """How much of it is in which part."""
    crops: CropPlan
    """What is cut from it, and how it is scaled and varied."""
    value_range: tuple[float, float]
    """Lowest and highest value that a pixel is expected to have."""


def crop_plan(plan: TrainPlan, blocks: PreparedBlocks) -> tuple[CropPlan, tuple[float, float]]:
    """Return what crops are like: scaling and value range of the training ground."""
    options = plan.options
    sample = _sample(blocks)
    bytes_only = blocks.pixels.dtype == np.uint8
    if plan.start is not None:
        scaling, value_range = plan.start[1].scaling, plan.start[1].value_range
    else:
        scaling = tuple(_scaling(band) for band in sample)
        value_range = (0.0, 255.0) if bytes_only else _range_of(sample)
    offset, divisor = tuple(s.offset for s in scaling), tuple(s.divisor for s in scaling)
    is_photograph = bytes_only and len(plan.band_names) == 3  # noqa: PLR2004 - red, green, blue
    variation = Variation(
        strength=options.strength,
        black=tuple((value_range[0] - o) / d for o, d in zip(offset, divisor, strict=True)),
        counts=(offset, divisor) if is_photograph else None,
    )
    crops = CropPlan(
        side_px=options.chip_px,
        scale=(1 / options.scale, options.scale),
        offset=offset,
        divisor=divisor,
        variation=variation,
    )
    return crops, value_range


def _scaling(band: NDArray[np.float32]) -> BandScaling:
    """Return mean and deviation of a band, in figures that people can read.

    A band of one value tells nothing, and becomes 0 everywhere.
    """
    mean, deviation = float(band.mean(dtype=np.float64)), float(band.std(dtype=np.float64))
    if deviation <= 1e-6 * max(abs(mean), 1e-6):
        return BandScaling(offset=mean, divisor=1.0)
    digits = max(0, 3 - math.floor(math.log10(deviation)))
    return BandScaling(offset=round(mean, digits), divisor=four_digits(deviation))


def _sample(blocks: PreparedBlocks) -> NDArray[np.float32]:
    """Return (band, n) valid pixels from all over the training ground."""
    numbers = np.flatnonzero(blocks.part == TRAIN)
    per_block = max(64, _SAMPLED_PX // len(numbers))
    step = max(1, blocks.side_px**2 // per_block)
    margin = blocks.margin_px
    found = []
    for number in numbers:
        core = np.zeros_like(blocks.valid[number])
        core[margin:-margin, margin:-margin] = True  # the margin may be other ground
        chosen = np.flatnonzero(blocks.valid[number] & core)[::step]
        flat = blocks.pixels[number].reshape(blocks.pixels.shape[1], -1)
        found.append(flat[:, chosen].astype(np.float32))
    return np.concatenate(found, axis=1)


def four_digits(value: float) -> float:
    """Return a number of four digits: a card is read by people."""
    return float(f"{value:.4g}")


def _range_of(sample: NDArray[np.float32]) -> tuple[float, float]:
    """Return the range of values, a twentieth wider than what the middle 99.8 % span."""
    low, high = (float(np.percentile(sample, q)) for q in (0.1, 99.9))
    room = 0.05 * max(high - low, 1e-6)
    low = 0.0 if float(sample.min()) >= 0 else low - room
    return four_digits(low), four_digits(high + room)
