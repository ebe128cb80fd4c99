"""Class rasters that others made: which band, which names and colours, which confidence."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geoseg.confidence import CONFIDENCE_STEPS, NO_CONFIDENCE
from geoseg.errors import OptionError, SceneError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.raster.env import gdal_env, tidy_message
from geoseg.raster.read import PixelBox
from geoseg.raster.scene import Scene, open_scene

__all__ = [
    "ClassRaster",
    "ConfidenceRaster",
    "class_numbers",
    "open_class_raster",
    "open_confidence",
    "stored_confidence",
]

_SAME_PLACE_PX: Final = 0.01
_LARGEST: Final = np.iinfo(np.int64).max
_UNKNOWN: Final = 255


@dataclass(frozen=True, kw_only=True)
class ClassRaster:
    """One band of whole class numbers, and what the file says about them."""

    scene: Scene
    """The file."""
    band: int
    """1-based band."""
    names: tuple[tuple[int, str], ...]
    """(value, category name), where there is a name."""
    colours: tuple[tuple[int, str], ...]
    """(value, ``#rrggbb``) of the colour table, transparent entries left out."""

    @property
    def told_values(self) -> frozenset[str]:
        """What the header alone tells of values, as text: names, their numbers, nodata."""
        nodata = self.scene.nodata[self.band - 1]
        numbers = {str(value) for value, _ in self.names}
        if nodata is not None and nodata.is_integer():
            numbers.add(str(int(nodata)))
        return frozenset(numbers | {name for _, name in self.names})

    @property
    def unlabelled_value(self) -> int | None:
        """Its nodata where that may mean "no label": as a rule the 0 of rasterised outlines.

        255 and numbers below 0 say that nobody looked, here as among values that are no nodata.
        """
        nodata = self.scene.nodata[self.band - 1]
        if nodata is None or not nodata.is_integer() or not 0 <= nodata < _UNKNOWN:
            return None
        return int(nodata)

    def with_nodata_as_value(self) -> ClassRaster:
        """Return the same raster, in which the pixels of its nodata are pixels like others."""
        nodata = list(self.scene.nodata)
        nodata[self.band - 1] = None
        return replace(self, scene=replace(self.scene, nodata=tuple(nodata)))


@dataclass(frozen=True, kw_only=True)
class ConfidenceRaster:
    """A raster of confidences on the grid of a class raster."""

    scene: Scene
    """The file; its first band."""
    scale: float
    """Confidence 0..1 is ``scale * stored + offset``."""
    offset: float
    """See ``scale``."""


def open_class_raster(
    address: str, band: int | None, *, flag: str | None = "--band"
) -> ClassRaster:
    """Read the header of a class raster.

    Args:
        address: Path or URL.
        band: 1-based band; may be left out where there is one.
        flag: What messages name to choose another band; None where there is no such flag.

    Raises:
        SceneError: No raster, or a band of other than whole numbers.
        OptionError: Several bands and none chosen, or one that is not there.
    """
    scene = open_scene(address)
    chosen = _choose_band(scene, band, flag)
    kind = np.dtype(scene.dtypes[chosen - 1]).kind
    if kind not in "iu":
        msg = f"{scene.label} holds {scene.dtypes[chosen - 1]} values, expected whole class numbers"
        raise SceneError(msg, hint="Convert it first, e.g. gdal_translate -ot Byte IN OUT.")
    names, colours = _categories(scene, chosen)
    return ClassRaster(scene=scene, band=chosen, names=names, colours=colours)


def _choose_band(scene: Scene, band: int | None, flag: str | None) -> int:
    data = [i for i in range(1, scene.n_bands + 1) if i != scene.alpha_band]
    if band is None and len(data) == 1:
        return data[0]
    if band in data:
        return band
    listing = ", ".join(f"{i} {scene.band_names[i - 1]}" for i in data)
    if band is None:
        msg = f"{scene.label} has {len(data)} bands ({listing}), a class map is one"
        hint = (
            "Save the band that holds the classes as a file of its own, e.g. gdal_translate -b 1."
        )
        if flag is not None:
            hint = f"Say which one holds the classes, e.g. {flag} 1."
        raise OptionError(msg, hint=hint)
    msg = f"{scene.label} has no band {band}; it has {listing}"
    raise OptionError(msg, hint=f"Say which one holds the classes with {flag}.")


def _categories(
    scene: Scene, band: int
) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
    """Return category names and colours, which GDAL tells best through a VRT's text."""
    with tempfile.TemporaryDirectory(prefix="geoseg-") as folder:
        vrt = Path(folder) / "header.vrt"
        try:
            with gdal_env():
                rasterio.shutil.copy(scene.gdal_name, str(vrt), driver="VRT")
        except RasterioError as error:
            msg = f"cannot read the header of {scene.label}: {tidy_message(error)}"
            raise SceneError(msg) from error
        root = ET.fromstring(vrt.read_text(encoding="utf-8"))  # noqa: S314 - GDAL's own text
    element = root.findall("VRTRasterBand")[band - 1]
    names = [(e.text or "").strip() for e in element.iterfind("CategoryNames/Category")]
    colours = [
        (value, "#" + "".join(f"{int(entry.get(c, '0')):02x}" for c in ("c1", "c2", "c3")))
        for value, entry in enumerate(element.iterfind("ColorTable/Entry"))
        if entry.get("c4") != "0"
    ]
    return tuple((v, name) for v, name in enumerate(names) if name), tuple(colours)


def class_numbers(
    raster: ClassRaster, values: NDArray[np.integer[Any]], valid: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return pixels as signed numbers of eight bytes, in which all arithmetic is done.

    Args:
        raster: Whose they are.
        values: Pixels as stored, any shape.
        valid: Where they mean anything, of the same shape.

    Raises:
        SceneError: One of them is 2^63 or more, which only uint64 holds.
    """
    if values.dtype == np.uint64:
        beyond = values[valid & (values > _LARGEST)]
        if beyond.size:
            msg = (
                f"{raster.scene.label} holds the class number {beyond[0]}, expected less than 2^63"
            )
            raise SceneError(msg, hint="Give its classes smaller numbers, or declare it as nodata.")
    return values.astype(np.int64, copy=False)


def open_confidence(address: str, grid: PixelGrid) -> ConfidenceRaster:
    """Read the header of a confidence raster that lies on ``grid``.

    Stored values are scaled as the file says; without that, floats are 0 to 1 and bytes
    0 to 250, as geoseg writes them.

    Raises:
        SceneError: No raster, another grid, or numbers whose scale is unknown.
    """
    scene = open_scene(address)
    _require_same_grid(scene, grid)
    with gdal_env(scene.gdal_name), rasterio.open(scene.gdal_name) as dataset:
        scale, offset = float(dataset.scales[0]), float(dataset.offsets[0])
    dtype = np.dtype(scene.dtypes[0])
    if (scale, offset) == (1.0, 0.0) and dtype.kind != "f":
        if dtype != np.uint8:
            msg = f"{scene.label} holds {dtype} values without a scale"
            hint = "A confidence raster holds 0 to 1 as floats, 0 to 250 as bytes, or has a scale."
            raise SceneError(msg, hint=hint)
        scale = 1 / CONFIDENCE_STEPS
    return ConfidenceRaster(scene=scene, scale=scale, offset=offset)


def stored_confidence(
    raster: ConfidenceRaster, box: PixelBox
) -> tuple[NDArray[np.uint8], str | None]:
    """Return confidences 0..250 (row, col), 255 where there is none, and what is wrong.

    Args:
        raster: Tells the scale.
        box: Its pixels, as stored.
    """
    real = box.values[0].astype(np.float64) * raster.scale + raster.offset
    stored = np.rint(real * CONFIDENCE_STEPS)
    # 255 in bytes of 1/250 is geoseg's own "none", with or without a nodata tag.
    known = box.valid & ~((box.values.dtype == np.uint8) & (stored == NO_CONFIDENCE)[None])[0]
    wrong = known & ((stored < 0) | (stored > CONFIDENCE_STEPS))
    problem = None
    if wrong.any():
        found = real[wrong][0]
        problem = f"{raster.scene.label} holds the confidence {found:g}, expected 0 to 1"
    usable = known & ~wrong
    return np.where(usable, stored, NO_CONFIDENCE).astype(np.uint8), problem


def _require_same_grid(scene: Scene, grid: PixelGrid) -> None:
    other = scene.grid
    if (other.height, other.width) != (grid.height, grid.width):
        found = f"{other.width} x {other.height} pixels, expected {grid.width} x {grid.height}"
    elif (other.crs is None) != (grid.crs is None) or (other.crs and other.crs != grid.crs):
        found = "another CRS"
    elif _shift_px(other, grid) > _SAME_PLACE_PX:
        found = f"pixels that lie {_shift_px(other, grid):.2f} pixels off"
    else:
        return
    msg = f"the confidence raster {scene.label} does not fit the class raster: it has {found}"
    raise SceneError(msg, hint="Both must have one grid; gdalwarp can put it there.")


def _shift_px(other: PixelGrid, grid: PixelGrid) -> float:
    """Return how far corners of one grid lie from those of the other, in pixels."""
    back = ~grid.transform
    pairs = zip(other.corners, grid.corners, strict=True)
    return max(float(np.hypot(*np.subtract(back @ one, back @ two))) for one, two in pairs)
