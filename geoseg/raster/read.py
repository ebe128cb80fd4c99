"""Pixels and validity of a scene, window by window.

Masks follow one rule everywhere: True means valid. numpy's masked arrays and GDAL's
mask bands use the other one or 0/255; they are converted here and nowhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

import numpy as np
import rasterio
import rasterio.features
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window as RioWindow

from geoseg.grid.window import Window
from geoseg.raster.env import gdal_env, mapped_read_errors
from geoseg.raster.scene import Scene

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

__all__ = ["NodataRule", "PixelBox", "SceneReader", "rasterise_mask", "sample_values", "sampled_px"]

NodataRule = Literal["any", "all"]

Polygons = tuple[tuple[tuple[tuple[float, float], ...], ...], ...]
"""Polygons as rings of (col, row) corners; the first ring of each is the outer one."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelBox:
    """Pixels of one window with their validity."""

    window: Window
    """Where they lie in the scene."""
    values: NDArray[Any]
    """(band, row, col), uint8 where every chosen band is, else float32; or as stored."""
    valid: NDArray[np.bool_]
    """(row, col), True where the pixel may be classified."""


@dataclass(slots=True, eq=False)
class _Handle:
    """One thread's open file. GDAL crashes where a file is closed that is being read."""

    dataset: DatasetReader
    busy: bool = True
    retired: bool = False


class SceneReader:
    """Reads windows of chosen bands; one open handle per thread.

    Constructing it touches no file. ``read`` may be called from several threads. The
    reader refuses to travel between processes: send the ``Scene`` instead.
    """

    def __init__(
        self,
        scene: Scene,
        bands: tuple[int, ...],
        nodata_rule: NodataRule,
        *,
        as_stored: bool = False,
    ) -> None:
        """Remember what to read; nothing is opened yet.

        Args:
            scene: The raster.
            bands: 1-based bands.
            nodata_rule: When a pixel is nodata.
            as_stored: Return values in the type of the (first) band, whatever it is.
        """
        self._scene = scene
        self._bands = bands
        self._rule = nodata_rule
        kinds = {scene.dtypes[b - 1] for b in bands}
        self._dtype = np.dtype(np.uint8 if kinds == {"uint8"} else np.float32)
        if as_stored:
            self._dtype = np.dtype(scene.dtypes[bands[0] - 1])
        self._local = threading.local()
        self._open: list[_Handle] = []
        self._guard = threading.Lock()

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle: addresses travel, handles do not."""
        msg = "a SceneReader holds open files; send the Scene and make a reader there"
        raise TypeError(msg)

    def __enter__(self) -> Self:
        """Return the reader; leaving the ``with`` block closes its files."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every handle that any thread opened; one that is being read, after that."""
        with self._guard:
            for handle in self._open:
                handle.retired = True
                if not handle.busy:
                    handle.dataset.close()
            self._open = []
            self._local = threading.local()

    def read(self, window: Window) -> PixelBox:
        """Read a window that lies inside the scene.

        Raises:
            SceneReadError: The file cannot be opened or its pixels not decoded.
        """
        what = (
            f"rows {window.row_off}-{window.row_end - 1}, "
            f"columns {window.col_off}-{window.col_end - 1}"
        )
        # GDAL settings belong to a thread, and every worker thread reads.
        with (
            gdal_env(self._scene.gdal_name),
            mapped_read_errors(self._scene.label, what),
            self._opened() as dataset,
        ):
            rio = RioWindow(window.col_off, window.row_off, window.width, window.height)
            values = self._values(dataset, rio)
            valid = self._mask_bands(dataset, rio)
            own = [
                dataset.read_masks(band, window=rio) == 0
                if band in self._scene.masked_bands
                else np.False_
                for band in self._bands
            ]
        valid &= self._valid_values(values, own)
        if self._scene.blank_value is not None:
            valid &= (values != self._scene.blank_value).any(axis=0)
        with np.errstate(over="ignore"):
            pixels = values.astype(self._dtype, copy=False)
        if pixels.dtype.kind == "f":  # after the cast: 1e300 is finite, its float32 is not
            valid &= np.isfinite(pixels).all(axis=0)
        return PixelBox(window, pixels, valid)

    @contextmanager
    def _opened(self) -> Iterator[DatasetReader]:
        """Yield this thread's handle, which nobody closes until the block is left."""
        handle = self._claimed()
        try:
            yield handle.dataset
        finally:
            with self._guard:
                handle.busy = False
                if handle.retired:
                    handle.dataset.close()

    def _claimed(self) -> _Handle:
        with self._guard:
            handle: _Handle | None = getattr(self._local, "handle", None)
            if handle is not None:
                handle.busy = True
                return handle
        fresh = _Handle(rasterio.open(self._scene.gdal_name))
        with self._guard:
            self._local.handle = fresh
            self._open.append(fresh)
        return fresh

    def _values(self, dataset: DatasetReader, rio: RioWindow) -> NDArray[Any]:
        """Read the chosen bands; of different types as float64, which rasterio refuses."""
        if len({dataset.dtypes[b - 1] for b in self._bands}) == 1:
            values: NDArray[Any] = dataset.read(list(self._bands), window=rio)
            return values
        return np.stack([dataset.read(b, window=rio).astype(np.float64) for b in self._bands])

    def _mask_bands(self, dataset: DatasetReader, rio: RioWindow) -> NDArray[np.bool_]:
        valid: NDArray[np.bool_] = np.ones((int(rio.height), int(rio.width)), np.bool_)
        if self._scene.has_dataset_mask:
            valid &= dataset.read_masks(self._bands[0], window=rio) != 0
        if self._scene.alpha_band is not None:
            valid &= dataset.read(self._scene.alpha_band, window=rio) != 0
        return valid

    def _valid_values(
        self, values: NDArray[Any], masked: Sequence[NDArray[np.bool_] | np.bool_]
    ) -> NDArray[np.bool_]:
        """Return where no band (rule "any") or not every band ("all") is nodata or masked."""
        scene = self._scene
        declared = [
            _is_nodata(plane, scene.nodata[band - 1], np.dtype(scene.dtypes[band - 1])) | hidden
            for band, plane, hidden in zip(self._bands, values, masked, strict=True)
        ]
        combine = np.logical_or if self._rule == "any" else np.logical_and
        valid: NDArray[np.bool_] = ~combine.reduce(declared)
        return valid


def _is_nodata(plane: NDArray[Any], nodata: float | None, kind: np.dtype[Any]) -> NDArray[np.bool_]:
    """Return where a plane, read from a band of type ``kind``, is nodata."""
    if nodata is None or np.isnan(nodata):
        return np.zeros(plane.shape, np.bool_)  # NaN is caught by the finite test
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        if nodata != int(nodata) or not limits.min <= nodata <= limits.max:
            return np.zeros(plane.shape, np.bool_)
    # Compare in the band's own type: -3.4e38 as float64 is not the float32 of that name.
    with np.errstate(over="ignore"):
        stored = np.asarray(nodata).astype(kind).astype(plane.dtype)
    result: NDArray[np.bool_] = plane == stored
    return result


def rasterise_mask(polygons: Polygons, window: Window) -> NDArray[np.bool_]:
    """Return (row, col) True where a pixel's centre lies in one of the polygons.

    ``polygons`` are in pixel corners (col, row) of the scene.
    """
    shapes = [{"type": "Polygon", "coordinates": rings} for rings in polygons]
    mask: NDArray[np.bool_] = rasterio.features.geometry_mask(
        shapes,
        out_shape=window.shape,
        transform=Affine.translation(window.col_off, window.row_off),
        invert=True,
    )
    return mask


def sample_values(
    scene: Scene, bands: tuple[int, ...], nodata_rule: NodataRule, side_px: int = 256
) -> NDArray[np.float32]:
    """Return valid pixels (band, n) of nine small windows spread over the scene."""
    grid = scene.grid
    found: list[NDArray[np.float32]] = []
    with SceneReader(scene, bands, nodata_rule) as reader:
        for row in range(3):
            for col in range(3):
                window = Window(
                    _spread(row, grid.height, side_px),
                    _spread(col, grid.width, side_px),
                    min(side_px, grid.height),
                    min(side_px, grid.width),
                )
                box = reader.read(window)
                found.append(box.values[:, box.valid].astype(np.float32))
                if window.shape == (grid.height, grid.width):
                    return found[0]
    return np.concatenate(found, axis=1)


def sampled_px(scene: Scene, side_px: int = 256) -> int:
    """Return how many pixels ``sample_values`` looks at, overlaps counted twice."""
    height, width = scene.grid.height, scene.grid.width
    window_px = min(side_px, height) * min(side_px, width)
    return window_px if window_px == height * width else 9 * window_px


def _spread(part: int, length: int, side: int) -> int:
    """Offset of the middle of the part-th third of ``length``, kept inside."""
    centre = (2 * part + 1) * length // 6
    return min(max(centre - side // 2, 0), max(length - side, 0))
