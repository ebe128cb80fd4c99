"""Real, small GeoTIFFs written by rasterio, and their pixels as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from affine import Affine

if TYPE_CHECKING:
    from numpy.typing import NDArray

UTM = "EPSG:32652"
NORTH_UP = Affine(0.3, 0, 321_000.0, 0, -0.3, 4_158_000.0)


def write_scene(
    path: Path,
    pixels: NDArray[Any],
    *,
    crs: str | None = UTM,
    transform: Affine | None = NORTH_UP,
    mask: NDArray[np.bool_] | None = None,
    descriptions: tuple[str, ...] = (),
    colours: tuple[Any, ...] = (),
    **profile: Any,
) -> Path:
    """Write (band, row, col) pixels; extra keywords go to GDAL's driver."""
    count, height, width = pixels.shape
    placed = {} if transform is None else {"transform": transform}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", **{"driver": "GTiff", "count": count, "height": height, "width": width,
                          "dtype": pixels.dtype, "crs": crs, **placed, **profile},
        ) as dataset,
    ):  # fmt: skip
        if descriptions:
            dataset.descriptions = descriptions
        if colours:
            dataset.colorinterp = colours
        dataset.write(pixels)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def texture(
    shape: tuple[int, int], *, bands: int = 3, seed: int = 0, low: int = 0, high: int = 255
) -> NDArray[np.uint8]:
    """Return smooth blobs with noise, (band, row, col), spread over ``low..high``."""
    rng = np.random.default_rng(seed)
    height, width = shape
    rows, cols = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(bands):
        wave = sum(
            np.sin(rows / rng.uniform(3, 30) + rng.uniform(0, 6))
            * np.cos(cols / rng.uniform(3, 30) + rng.uniform(0, 6))
            for _ in range(4)
        )
        wave = wave + rng.normal(0, 0.3, shape)
        spread = (wave - wave.min()) / max(float(np.ptp(wave)), 1e-9)
        planes.append(np.rint(low + (high - low) * spread).astype(np.uint8))
    return np.stack(planes)


def read_back(path: Path, band: int = 1) -> NDArray[Any]:
    """Return one band as rasterio reads it."""
    with rasterio.open(path) as dataset:
        return dataset.read(band)
