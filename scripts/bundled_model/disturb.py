"""Places as a worse day or a worse camera would show them, to see what a model bears."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundled_model.data import Source

VEIL = 200
"""Counts of full haze."""


def _counts(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def lit(source: Source, *, factor: float) -> Source:
    """Return a place under more or less light."""
    return replace(source, rgb=_counts(source.rgb.astype(np.float32) * factor))


def hazed(source: Source, *, share: float) -> Source:
    """Return a place under an even veil."""
    return replace(source, rgb=_counts(source.rgb * (1 - share) + share * VEIL))


def blurred(source: Source, *, sigma_px: float) -> Source:
    """Return a place out of focus."""
    sharp = source.rgb.astype(np.float32)
    return replace(source, rgb=_counts(ndimage.gaussian_filter(sharp, (0, sigma_px, sigma_px))))


def compressed(source: Source, *, quality: int) -> Source:
    """Return a place with the artefacts of JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(np.moveaxis(source.rgb, 0, -1)).save(buffer, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(buffer))
    return replace(source, rgb=np.ascontiguousarray(np.moveaxis(decoded, -1, 0)))


def coarsened(source: Source, *, times: int) -> Source:
    """Return a place with larger pixels; a label is that of the middle one."""
    _, height, width = source.rgb.shape
    rows, cols = height // times * times, width // times * times
    image = source.rgb[:, :rows, :cols].astype(np.float32)
    blocks = image.reshape(3, rows // times, times, cols // times, times)
    return replace(
        source,
        rgb=_counts(blocks.mean(axis=(2, 4))),
        allowed=source.allowed[times // 2 : rows : times, times // 2 : cols : times],
        gsd_m=source.gsd_m * times,
    )


DISTURBANCES: Mapping[str, Callable[[Source], Source]] = {
    "0.7 of the light": partial(lit, factor=0.7),
    "1.3 times the light": partial(lit, factor=1.3),
    "30 % of haze": partial(hazed, share=0.3),
    "blurred by 1 px": partial(blurred, sigma_px=1.0),
    "JPEG of quality 30": partial(compressed, quality=30),
    "given at 2 m": partial(coarsened, times=2),
}
