"""Variations of a crop: how it lies, and the light, air and camera of another day.

All on arrays as the network sees them: (band, row, col) float32, mean 0 and deviation 1 over
the training data. So they mean the same for 8-bit photographs and for reflectances.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.training.label_sets import Labels

__all__ = ["Variation", "blurred", "turned", "varied"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How much crops vary; a strength of 0 leaves them as they are."""

    strength: float = 1.0
    """Scales all of the light, air and camera."""
    turns: bool = True
    """The eight flips and quarter turns."""
    band_drop: float = 0.05
    """Odds that one band is lost, where there are several."""
    black: tuple[float, ...] | None = None
    """Per band what no light at all is to the network; light scales what lies above it."""
    counts: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """Offset and divisor per band where the pixels are 8-bit red, green and blue: some crops
    then go through JPEG."""


def turned(rng: np.random.Generator, image: Floats, labels: Labels) -> tuple[Floats, Labels]:
    """Return one of the eight flips and quarter turns of a square crop."""
    quarter, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, labels = np.rot90(image, quarter, (1, 2)), np.rot90(labels, quarter)
    return (image[:, :, ::-1], labels[:, ::-1]) if flip else (image, labels)


def varied(
    rng: np.random.Generator,
    image: Floats,
    how: Variation,
    valid: NDArray[np.bool_] | None = None,
) -> Floats:
    """Return a crop in another light; every step happens with odds of its own.

    Contrast and brightness, a colour cast per band, gamma, saturation, haze, blur, noise,
    JPEG artefacts, and a lost band.

    Args:
        rng: The source of randomness.
        image: (band, row, col).
        how: How much.
        valid: (row, col) True where a pixel counts for the crop's mean and range.
    """
    s = np.float32(how.strength)
    if not s:
        return image
    x = image.astype(np.float32)
    if rng.random() < 0.85:  # noqa: PLR2004 - odds, as below
        x = _light(rng, x, s, how.black, valid)
    if rng.random() < 0.3:  # noqa: PLR2004
        x = _gamma(rng, x, s, valid)
    if len(x) > 1 and rng.random() < 0.3:  # noqa: PLR2004
        grey = x.mean(axis=0, keepdims=True)
        x = grey + (x - grey) * np.float32(1 + s * rng.uniform(-0.6, 0.5))
    if rng.random() < 0.25:  # noqa: PLR2004
        x = _haze(rng, x, s)
    if rng.random() < 0.25:  # noqa: PLR2004
        x = blurred(x, float(s * rng.uniform(0.4, 1.3)))
    return np.ascontiguousarray(_camera(rng, x, how, s), dtype=np.float32)


def _camera(rng: np.random.Generator, x: Floats, how: Variation, s: np.float32) -> Floats:
    """Add noise and JPEG artefacts, and lose a band."""
    if rng.random() < 0.35:  # noqa: PLR2004
        noise = rng.standard_normal(x.shape, dtype=np.float32)
        x = x + noise * np.float32(s * rng.uniform(0.02, 0.15))
    if how.counts is not None and rng.random() < 0.25 * s:
        x = _compressed(rng, x, *how.counts)
    if len(x) > 1 and rng.random() < how.band_drop * s:
        x[int(rng.integers(len(x)))] = 0
    return x


def _light(
    rng: np.random.Generator,
    x: Floats,
    s: np.float32,
    black: tuple[float, ...] | None,
    valid: NDArray[np.bool_] | None,
) -> Floats:
    """Change brightness and colour of the light, and contrast about the crop's own mean.

    Light multiplies: what is black stays black under any sun. Only the small shifts of a
    sensor's offset add.
    """
    bands = (len(x), 1, 1)
    dark = np.zeros(bands, np.float32)
    if black is not None:
        dark += np.asarray(black, np.float32).reshape(bands)
    light = np.exp(s * rng.uniform(-0.4, 0.4))
    gain = (light * np.exp(s * rng.uniform(-0.2, 0.2, bands))).astype(np.float32)
    x = (x - dark) * gain + dark
    mean = _seen(x, valid).mean()
    contrast = np.float32(np.exp(s * rng.uniform(-0.45, 0.35)))
    shift = (s * rng.uniform(-0.12, 0.12, bands)).astype(np.float32)
    result: Floats = (x - mean) * contrast + mean + shift
    return result


def _seen(x: Floats, valid: NDArray[np.bool_] | None) -> Floats:
    """Return the pixels that count, or all where none does."""
    return x if valid is None or not valid.any() else x[:, valid]


def _gamma(
    rng: np.random.Generator, x: Floats, s: np.float32, valid: NDArray[np.bool_] | None
) -> Floats:
    """Bend the tones between the crop's darkest and brightest."""
    seen = _seen(x, valid)
    low, high = np.float32(seen.min()), np.float32(seen.max())
    span = np.maximum(high - low, np.float32(1e-3))
    power = np.float32(np.exp(s * rng.uniform(-0.45, 0.45)))
    result: Floats = np.clip((x - low) / span, 0, 1) ** power * span + low
    return result


def _haze(rng: np.random.Generator, x: Floats, s: np.float32) -> Floats:
    """Lay an even veil over the crop, a little brighter than the average of all ground."""
    share = np.float32(min(float(s * rng.uniform(0.1, 0.45)), 0.9))
    veil = np.float32(rng.uniform(0.4, 1.4))
    result: Floats = x * (1 - share) + veil * share
    return result


def blurred(x: Floats, sigma_px: float) -> Floats:
    """Return (band, row, col) after a Gaussian; edges are repeated."""
    radius = max(1, round(3 * sigma_px))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma_px, 1e-3)) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (1, 2):
        pad = [(0, 0)] * 3
        pad[axis] = (radius, radius)
        padded, length = np.pad(x, pad, mode="edge"), x.shape[axis]
        total = np.zeros_like(x)
        for tap, weight in enumerate(weights):
            part = [slice(None)] * 3
            part[axis] = slice(tap, tap + length)
            total += weight * padded[tuple(part)]
        x = total
    return x


def _compressed(
    rng: np.random.Generator, x: Floats, offset: tuple[float, ...], divisor: tuple[float, ...]
) -> Floats:
    """Leave the blocks and the ringing of JPEG in a crop."""
    from PIL import Image  # noqa: PLC0415 - for 8-bit photographs only

    mean = np.asarray(offset, np.float32)[:, None, None]
    scale = np.asarray(divisor, np.float32)[:, None, None]
    counts = np.clip(x * scale + mean, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    image = Image.fromarray(np.moveaxis(counts, 0, -1))
    image.save(stream, format="JPEG", quality=int(rng.integers(35, 90)))
    back = np.moveaxis(np.asarray(Image.open(stream)), -1, 0).astype(np.float32)
    result: Floats = (back - mean) / scale
    return result
