"""Crops for training: a place, a window, a scale, a turn, and the weather and camera of the day."""

# ruff: noqa: PLR2004
# The numbers below are odds and strengths of the variations; names would say no more.

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from scipy import ndimage

from bundled_model.classes import COUNT, EXACT, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bundled_model.data import Source

    Counts = NDArray[np.uint8]
    Floats = NDArray[np.float32]

SCALE = (0.6, 1.7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Places drawn from with one weight."""

    weight: float
    """Share of the crops."""

    sources: tuple[Source, ...]
    """The places; larger ones are drawn more often."""

    anchors: tuple[tuple[NDArray[np.int32], ...], ...]
    """Per place and class, some pixels of the class, (point, 2); perhaps none."""


def make_pool(
    rng: np.random.Generator, weight: float, sources: Sequence[Source], points: int = 20000
) -> Pool:
    """Index places by class, so that rare classes can be drawn on purpose."""
    anchors = []
    for source in sources:
        per_class = []
        for label in range(COUNT):
            stride = 4 if source.allowed.size > 1_000_000 else 1
            found = (
                np.argwhere(source.allowed[::stride, ::stride] == EXACT[label]).astype(np.int32)
                * stride
            )
            per_class.append(
                found[rng.choice(len(found), min(points, len(found)), replace=False)]
                if len(found)
                else found
            )
        anchors.append(tuple(per_class))
    return Pool(weight=weight, sources=tuple(sources), anchors=tuple(anchors))


def draw_crop(
    rng: np.random.Generator,
    pools: Sequence[Pool],
    size_px: int,
    *,
    gsd_m: float,
    fill: tuple[float, float, float],
) -> tuple[Floats, Counts]:
    """Draw one crop.

    Args:
        rng: The source of randomness.
        pools: The places.
        size_px: Side of the crop.
        gsd_m: Ground sample distance that the model is made for; crops vary around it by `SCALE`.
        fill: Counts that stand for nodata in most crops, as they do when a scene is mapped.

    Returns:
        Counts 0 to 255 as floats, (3, row, col), and sets of classes, (row, col).
    """
    for _ in range(50):
        rgb, allowed = _cut(rng, pools, size_px, gsd_m)
        if (allowed != UNKNOWN).mean() > 0.3:
            break
    rgb, allowed = _turn(rng, rgb, allowed)
    # Some crops keep the black: scenes come with collars that nobody declared.
    empty = (rgb == 0).all(axis=0) & (allowed == UNKNOWN)
    counts = _weather(rng, rgb)
    counts[:, empty] = np.asarray(fill if rng.random() < 0.8 else (0, 0, 0), dtype=np.float32)[
        :, None
    ]
    return counts, allowed


def _cut(
    rng: np.random.Generator, pools: Sequence[Pool], size_px: int, gsd_m: float
) -> tuple[Counts, Counts]:
    weights = np.asarray([pool.weight for pool in pools])
    pool = pools[int(rng.choice(len(pools), p=weights / weights.sum()))]
    areas = np.asarray([source.allowed.size for source in pool.sources], dtype=np.float64)
    number = int(rng.choice(len(areas), p=areas / areas.sum()))
    source = pool.sources[number]
    scale = float(np.exp(rng.uniform(*np.log(SCALE)))) * gsd_m / source.gsd_m
    side = round(size_px * scale)
    height, width = source.allowed.shape
    points = pool.anchors[number][int(rng.integers(COUNT))]
    if rng.random() < 0.55 and len(points):
        row, col = points[int(rng.integers(len(points)))] - rng.integers(0, side, 2)
    else:
        row, col = (
            rng.integers(0, max(height - side, 0) + 1),
            rng.integers(0, max(width - side, 0) + 1),
        )
    row, col = (
        min(max(int(row), 0), max(height - side, 0)),
        min(max(int(col), 0), max(width - side, 0)),
    )
    rgb, allowed = (
        source.rgb[:, row : row + side, col : col + side],
        source.allowed[row : row + side, col : col + side],
    )
    if rgb.shape[1:] != (side, side):
        missing = ((0, side - allowed.shape[0]), (0, side - allowed.shape[1]))
        mode: Literal["symmetric", "constant"]
        mode = "symmetric" if min(allowed.shape) >= side // 2 else "constant"
        rgb = np.pad(rgb, ((0, 0), *missing), mode=mode)
        allowed = np.pad(allowed, missing, mode=mode)
    return _resize(rgb, allowed, size_px)


def _resize(rgb: Counts, allowed: Counts, size_px: int) -> tuple[Counts, Counts]:
    """Bring a crop to its size; PIL's filters average over the source pixels when they shrink."""
    if allowed.shape == (size_px, size_px):
        return rgb, allowed
    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1))).resize(
        (size_px, size_px), Image.Resampling.BILINEAR
    )
    sets = Image.fromarray(allowed).resize((size_px, size_px), Image.Resampling.NEAREST)
    return np.moveaxis(np.asarray(image), -1, 0), np.asarray(sets)


def _turn(rng: np.random.Generator, rgb: Counts, allowed: Counts) -> tuple[Counts, Counts]:
    turns = int(rng.integers(4))
    rgb, allowed = np.rot90(rgb, turns, (1, 2)), np.rot90(allowed, turns)
    return (rgb[:, :, ::-1], allowed[:, ::-1]) if rng.random() < 0.5 else (rgb, allowed)


def _weather(rng: np.random.Generator, rgb: Counts) -> Floats:
    """Vary light, colour, haze, sharpness, noise and compression; most crops get a few of them."""
    x: Floats = rgb.astype(np.float32) / np.float32(255)
    if rng.random() < 0.85:
        mean = x.mean()
        x = (x - mean) * np.float32(rng.uniform(0.65, 1.4)) + mean * np.float32(
            rng.uniform(0.7, 1.3)
        )
        x *= rng.uniform(0.86, 1.16, (3, 1, 1)).astype(np.float32)
    if rng.random() < 0.3:
        x *= np.asarray(rng.uniform(0.78, 1.28, (3, 1, 1)), dtype=np.float32)
    if rng.random() < 0.5:
        x = np.clip(x, 0, 1) ** np.float32(rng.uniform(0.65, 1.5))
    if rng.random() < 0.3:
        grey = x.mean(axis=0, keepdims=True)
        x = grey + (x - grey) * np.float32(rng.uniform(0.5, 1.5))
    if rng.random() < 0.25:
        haze = np.float32(rng.uniform(0.05, 0.35))
        x = x * (1 - haze) + haze * np.asarray([0.75, 0.8, 0.88], dtype=np.float32)[:, None, None]
    if rng.random() < 0.25:
        x = ndimage.gaussian_filter(x, (0, *(rng.uniform(0.4, 1.2),) * 2))
    if rng.random() < 0.4:
        x += rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.uniform(0.005, 0.035))
    counts: Floats = np.asarray(np.clip(x * 255, 0, 255), dtype=np.float32)
    if rng.random() < 0.25:
        counts = _compress(counts, int(rng.integers(35, 90)))
    return np.ascontiguousarray(counts, dtype=np.float32)


def _compress(counts: Floats, quality: int) -> Floats:
    """Leave the blocks and ringing of JPEG in a crop."""
    stream = io.BytesIO()
    Image.fromarray(np.moveaxis(counts, 0, -1).astype(np.uint8)).save(
        stream, format="JPEG", quality=quality
    )
    return np.moveaxis(np.asarray(Image.open(stream)), -1, 0).astype(np.float32)
