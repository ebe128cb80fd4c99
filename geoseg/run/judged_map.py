"""Maps that are judged or sampled: opened, counted, cut into strips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from geoseg.accuracy.confusion import occurring, places_of
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.raster.class_raster import (
    ClassRaster,
    ConfidenceRaster,
    class_numbers,
    open_class_raster,
    open_confidence,
)
from geoseg.raster.read import SceneReader

__all__ = ["JudgedMap", "class_counts", "map_file", "open_judged", "strips"]

_STRIP_PX: Final = 4_000_000
_LEAST_ROWS: Final = 64
_MAP_NAME: Final = "classes.tif"
_CONFIDENCE_NAME: Final = "confidence.tif"


@dataclass(frozen=True, kw_only=True)
class JudgedMap:
    """One map to judge."""

    raster: ClassRaster
    """Its classes."""
    confidence: ConfidenceRaster | None
    """How sure it is of them, where that is known."""

    @cached_property
    def counts(self) -> dict[int, int]:
        """Pixels of every class; all of the map is read for it."""
        return class_counts(self.raster)

    @property
    def grid(self) -> PixelGrid:
        """The pixels of the map."""
        return self.raster.scene.grid


def map_file(address: str) -> str:
    """Return the class raster that is meant: a folder of ``geoseg run`` stands for its map."""
    inside = Path(address) / _MAP_NAME
    return str(inside) if inside.is_file() else address


def open_judged(address: str, band: int | None, confidence: str | None) -> JudgedMap:
    """Open a map; the confidence that ``geoseg run`` put beside it is taken where none is named.

    Raises:
        GeosegError: It cannot be read, or its confidence does not fit it.
    """
    file = map_file(address)
    raster = open_class_raster(file, band)
    beside = Path(file).with_name(_CONFIDENCE_NAME)
    if confidence is None and Path(file).name == _MAP_NAME and beside.is_file():
        confidence = str(beside)
    grid = raster.scene.grid
    return JudgedMap(
        raster=raster,
        confidence=None if confidence is None else open_confidence(confidence, grid),
    )


def class_counts(raster: ClassRaster) -> dict[int, int]:
    """Return the pixels of every class of a map."""
    counts: dict[int, int] = {}
    with SceneReader(raster.scene, (raster.band,), "any", as_stored=True) as reader:
        for window in strips(raster.scene.grid):
            box = reader.read(window)
            values = class_numbers(raster, box.values[0], box.valid)[box.valid]
            ids = occurring(values)
            numbers = np.bincount(places_of(values, ids), minlength=len(ids))
            for i, n in zip(ids.tolist(), numbers.tolist(), strict=True):
                counts[i] = counts.get(i, 0) + n
    return counts


def strips(grid: PixelGrid) -> Iterator[Window]:
    """Yield full-width windows of a grid from the top."""
    rows = max(_STRIP_PX // grid.width, _LEAST_ROWS)
    for row in range(0, grid.height, rows):
        yield Window(row, 0, min(rows, grid.height - row), grid.width)
