"""From the drawn scene to the image: light, blur, haze, noise, footprint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from sample_scenes.canvas import LAND, VEGETATION, WATER, value_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sample_scenes.canvas import Bools, Canvas, Floats


def illuminate(canvas: Canvas) -> Floats:
    """Apply the cast shadows, with the blue of the sky in them; (row, col, 3)."""
    light = ndimage.gaussian_filter(canvas.light, 0.35 / canvas.step_m)[..., None]
    sky = np.asarray((0.33, 0.37, 0.44), dtype=np.float32)
    return np.asarray(np.clip(canvas.rgb, 0, 1) * (sky + (1 - sky) * light), dtype=np.float32)


def halve(image: Floats) -> Floats:
    """Average blocks of 2 x 2 pixels; (2 h, 2 w, band) to (h, w, band)."""
    height, width, bands = image.shape
    return np.asarray(
        image.reshape(height // 2, 2, width // 2, 2, bands).mean(axis=(1, 3)), dtype=np.float32
    )


def halve_labels(labels: NDArray[np.uint8], classes: int = 5) -> NDArray[np.uint8]:
    """Take the most frequent class of blocks of 2 x 2 pixels; the lowest id wins a tie."""
    height, width = labels.shape
    blocks = labels.reshape(height // 2, 2, width // 2, 2)
    votes = np.stack([(blocks == label).sum(axis=(1, 3)) for label in range(classes)])
    return np.asarray(votes.argmax(axis=0), dtype=np.uint8)


def near_infrared(rng: np.random.Generator, rgb: Floats, labels: NDArray[np.uint8]) -> Floats:
    """Invent near infrared: bright plants, black water, red elsewhere; (row, col)."""
    brightness = rgb.mean(axis=-1)
    band = 0.10 + 0.95 * rgb[..., 0]
    band = np.where(labels == VEGETATION, 0.20 + 1.7 * brightness, band)
    band = np.where(labels == WATER, 0.03 + 0.12 * brightness, band)
    band = np.where(labels == LAND, 0.12 + 0.95 * rgb[..., 0], band)
    return np.asarray(band + 0.02 * value_noise(rng, labels.shape, 9), dtype=np.float32)


def expose(rng: np.random.Generator, image: Floats) -> NDArray[np.uint8]:
    """Image a scene: optics, haze, cast, gamma and noise.

    Args:
        rng: The source of randomness.
        image: Reflectances, (row, col, band), 0 to 1; red, green, blue first.

    Returns:
        Counts from 1 to 255, (band, row, col); 0 is left for nodata.
    """
    bands = image.shape[-1]
    blurred = ndimage.gaussian_filter(image, (rng.uniform(0.35, 0.65),) * 2 + (0,))
    veil = np.asarray((0.62, 0.68, 0.78, 0.5), dtype=np.float32)[:bands]
    haze = (
        rng.uniform(0.0, 0.16)
        + 0.03 * value_noise(rng, image.shape[:2], max(image.shape) / 2)[..., None]
    )
    hazy = blurred * (1 - haze) + veil * haze
    cast = np.asarray(rng.uniform(0.95, 1.06, bands), dtype=np.float32)
    bright = np.clip(hazy * cast * np.float32(rng.uniform(0.88, 1.12)), 0, 1) ** np.float32(
        rng.uniform(0.85, 1.15)
    )
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(
        rng.uniform(0.004, 0.014)
    )
    counts = np.clip(np.rint((bright + noise) * 255), 1, 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(counts, -1, 0))


def footprint(rng: np.random.Generator, height: int, width: int) -> Bools:
    """Give where a frame turned against the map has data: not in two wedges."""
    rows = np.arange(height)[:, None] / height
    cols = np.arange(width)[None, :] / width
    lean, start = rng.uniform(0.08, 0.22), rng.uniform(0.35, 0.75)
    left = cols > lean * (1 - rows / start)
    top = rows > lean * 0.9 * (1 - (1 - cols) / start)
    return np.asarray(left & top)
