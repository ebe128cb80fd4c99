"""What this GDAL can do, and a scene and a look at results for the self-test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from geoseg.errors import OutputError, SceneError
from geoseg.raster.env import gdal_env, tidy_message

__all__ = ["ClassRasterFacts", "GdalFacts", "class_raster_facts", "gdal_facts", "write_test_scene"]

_NEEDED: Final = ("GTiff", "COG", "VRT")
_WELCOME: Final = ("JP2OpenJPEG", "PNG", "JPEG", "HFA", "ENVI", "netCDF")
_BYTE_RANGE: Final = (0, 255)
_TEST_ORIGIN: Final = (500_000.0, 5_500_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GdalFacts:
    """The GDAL behind rasterio."""

    gdal: str
    """Version of GDAL."""
    proj: str
    """Version of the PROJ that it uses."""
    geos: str
    """Version of the GEOS that it uses."""
    present: tuple[str, ...]
    """Drivers that geoseg cares for and that are there."""
    missing: tuple[str, ...]
    """Drivers without which geoseg cannot work and that are not there."""
    absent: tuple[str, ...]
    """Drivers for further input formats that are not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRasterFacts:
    """What can be told of a class raster without its scene."""

    shape: tuple[int, int]
    """(height, width) in pixels."""
    transform: tuple[float, ...]
    """Six numbers of the affine transform."""
    epsg: int | None
    """EPSG code of the CRS."""
    is_cog: bool
    """True where GDAL says that the layout is cloud optimized."""
    nodata: float | None
    """Declared nodata value."""
    px_by_value: dict[int, int]
    """Number of pixels per value."""


def gdal_facts() -> GdalFacts:
    """Return versions and drivers of the GDAL that reads scenes and writes rasters."""
    with gdal_env(), rasterio.Env() as env:
        known = env.drivers()
    return GdalFacts(
        gdal=rasterio.__gdal_version__,
        proj=rasterio.__proj_version__,
        geos=rasterio.__geos_version__,
        present=tuple(d for d in (*_NEEDED, *_WELCOME) if d in known),
        missing=tuple(d for d in _NEEDED if d not in known),
        absent=tuple(d for d in _WELCOME if d not in known),
    )


def write_test_scene(
    path: Path,
    *,
    side_px: int = 300,
    gsd_m: float = 1.0,
    value_range: tuple[float, float] = (0, 255),
    bands: Sequence[str] = ("red", "green", "blue"),
) -> int:
    """Write a small GeoTIFF with a nodata corner for a trial run.

    The scene is uint8 where ``value_range`` is 0..255, else float32; one corner of
    a quarter of the side is masked.

    Returns:
        Number of valid pixels.

    Raises:
        OutputError: The file cannot be written.
    """
    low, high = value_range
    # 0 is kept for nodata; everything else lies well inside the model's range.
    rng = np.random.default_rng(7)
    rows, cols = np.mgrid[0:side_px, 0:side_px] / side_px
    shade = 0.3 + 0.3 * (((rows * 6).astype(int) + (cols * 5).astype(int)) % 3)
    noise = 0.02 * rng.standard_normal((len(bands), side_px, side_px))
    part = np.clip(shade + noise, 0.05, 0.95)
    dtype = "uint8" if (low, high) == _BYTE_RANGE else "float32"
    pixels = (low + part * (high - low)).astype(dtype)
    valid = np.ones((side_px, side_px), np.bool_)
    valid[: side_px // 4, : side_px // 4] = False
    try:
        with (
            gdal_env(),
            rasterio.open(
                path, "w", driver="GTiff", height=side_px, width=side_px, count=len(bands),
                dtype=dtype, crs="EPSG:32632", tiled=True, blockxsize=256, blockysize=256,
                transform=Affine(gsd_m, 0, _TEST_ORIGIN[0], 0, -gsd_m, _TEST_ORIGIN[1]),
                photometric="MINISBLACK",
            ) as dataset,
        ):  # fmt: skip
            dataset.write(pixels)
            dataset.write_mask(valid)
            dataset.descriptions = tuple(bands)
            dataset.colorinterp = [ColorInterp.undefined] * len(bands)
    except (RasterioError, OSError) as error:
        msg = f"cannot write the test scene {path}: {tidy_message(error)}"
        raise OutputError(msg) from error
    return int(np.count_nonzero(valid))


def class_raster_facts(path: Path) -> ClassRasterFacts:
    """Read a small class raster back, whole.

    Raises:
        SceneError: It cannot be read.
    """
    try:
        with gdal_env(), rasterio.open(path) as dataset:
            values, counts = np.unique(dataset.read(1), return_counts=True)
            return ClassRasterFacts(
                shape=(dataset.height, dataset.width),
                transform=tuple(dataset.transform)[:6],
                epsg=dataset.crs.to_epsg() if dataset.crs else None,
                is_cog=dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG",
                nodata=dataset.nodata,
                px_by_value={int(v): int(n) for v, n in zip(values, counts, strict=True)},
            )
    except (RasterioError, OSError) as error:
        msg = f"cannot read {path}: {tidy_message(error)}"
        raise SceneError(msg) from error
