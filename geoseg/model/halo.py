"""How much context cropped windows need, measured instead of derived.

The theoretical receptive field of a U-Net is several hundred pixels; what changes a
class is far less. The halo of a card is the smallest one at which windows with cores of
512 px get the same classes as the whole image on at least 99.99 % of pixels; and where one
class is all but everywhere, what differs is at most a hundredth of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.window import round_up
from geoseg.model.predictor import Pixels, Predictor

__all__ = [
    "LEAST_SECOND_CLASS",
    "HaloMeasurement",
    "agreement",
    "image_side_px",
    "measure_halo",
    "patchwork_image",
]

_ENOUGH = 1e-4
_ENOUGH_OF_OTHERS = 1e-2
LEAST_SECOND_CLASS = 1e-3
"""Least share of pixels outside the most common class; with less, agreement says nothing."""
_CORE_PX = 512
_LARGEST_HALO_PX = 256
_SIDE_CORES = 2


class HaloMeasurement(NamedTuple):
    """Result of ``measure_halo``."""

    halo_px: int | None
    """Smallest sufficient halo, or None where even the largest one is not enough, or where
    the images do not tell."""
    curve: tuple[tuple[int, float], ...]
    """(halo, share of core pixels whose class differs from the whole image's)."""
    second_class_share: float
    """Share of pixels that are not of the most common class."""

    @property
    def tells(self) -> bool:
        """False where nearly everything is one class: any halo would do, and mean nothing."""
        return self.second_class_share >= LEAST_SECOND_CLASS


def image_side_px(stride_px: int) -> int:
    """Return the side of the square images that ``measure_halo`` takes."""
    core, largest = _sizes(stride_px)
    return _SIDE_CORES * core + 2 * largest


def _sizes(stride_px: int) -> tuple[int, int]:
    return (
        max(_CORE_PX // stride_px, 1) * stride_px,
        max(_LARGEST_HALO_PX // stride_px, 1) * stride_px,
    )


def measure_halo(predictor: Predictor, stride_px: int, images: Sequence[Pixels]) -> HaloMeasurement:
    """Compare cropped windows of growing halo with one forward pass over everything.

    Args:
        predictor: The model, in full precision.
        stride_px: Its total stride; halos tried are its multiples.
        images: (band, row, col) raw pixels, square, ``image_side_px`` on a side.
    """
    core, largest = _sizes(stride_px)
    whole = [predictor.labels(image[None], largest).channel[0] for image in images]
    counts = np.bincount(np.concatenate([image.ravel() for image in whole]))
    others = 1 - float(counts.max() / counts.sum())
    curve: list[tuple[int, float]] = []
    for halo in _candidates(stride_px, largest):
        differing = sum(
            int(np.count_nonzero(_tiled(predictor, image, core, largest, halo) != reference))
            for image, reference in zip(images, whole, strict=True)
        )
        share = differing / sum(reference.size for reference in whole)
        curve.append((halo, share))
        if share <= min(_ENOUGH, _ENOUGH_OF_OTHERS * others):
            found = HaloMeasurement(halo, tuple(curve), others)
            return found if found.tells else found._replace(halo_px=None)
    return HaloMeasurement(None, tuple(curve), others)


def _candidates(stride_px: int, largest: int) -> list[int]:
    """Return halos to try: every stride up to 128 px, then about every 64 px."""
    coarse = (round_up(halo, stride_px) for halo in range(128, largest + 1, 64))
    fine = range(0, min(128, largest) + 1, stride_px)
    return sorted({*fine, *(halo for halo in coarse if halo <= largest), largest})


def _tiled(
    predictor: Predictor, image: Pixels, core: int, margin: int, halo: int
) -> NDArray[np.uint8]:
    """Return the classes of the inner cores, each from its own small window."""
    side = _SIDE_CORES * core
    result = np.empty((side, side), np.uint8)
    for row in range(0, side, core):
        for col in range(0, side, core):
            top, left = margin + row - halo, margin + col - halo
            size = core + 2 * halo
            window = image[None, :, top : top + size, left : left + size]
            result[row : row + core, col : col + core] = predictor.labels(window, halo).channel[0]
    return result


def agreement(first: Predictor, second: Predictor, images: Sequence[Pixels]) -> float:
    """Return the share of pixels to which two predictors give the same class."""
    same = total = 0
    for image in images:
        a, b = (p.labels(image[None], 0).channel for p in (first, second))
        same += int(np.count_nonzero(a == b))
        total += a.size
    return same / total


def patchwork_image(
    seed: int, n_bands: int, side_px: int, value_range: tuple[float, float]
) -> Pixels:
    """Return a patchwork with the statistics of overhead imagery: (band, row, col).

    Patches of all sizes with sharp edges (1/f power), correlated bands, fine texture and
    noise. For models of imagery that is not at hand; a real scene is better.
    """
    rng = np.random.default_rng(seed)
    shared = _patchwork(rng, side_px)
    low, high = value_range
    bands = np.stack(
        [0.8 * shared + 0.2 * _patchwork(rng, side_px) for _ in range(n_bands)]
    ) + 0.02 * rng.standard_normal((n_bands, side_px, side_px))
    scaled = low + (high - low) * np.clip(0.45 + 0.18 * bands, 0, 1)
    if (low, high) == (0.0, 255.0):
        return scaled.astype(np.uint8)
    return scaled.astype(np.float32)


def _patchwork(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    image = np.zeros((side, side))
    for cell in (256, 128, 64, 32, 16, 8):
        count = side // cell + 2
        coarse = rng.standard_normal((count, count))
        row, col = rng.integers(0, cell, 2)
        image += np.kron(coarse, np.ones((cell, cell)))[row : row + side, col : col + side]
    result: NDArray[np.float64] = image / np.sqrt(6)
    return result
