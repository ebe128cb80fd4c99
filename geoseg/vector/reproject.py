"""Vertices in another CRS, so that shared lines stay shared.

Strategy: a vertex is the same numbers whichever ring it comes from, and PROJ answers the
same for the same numbers, so shared vertices stay shared. A straight edge would be a curve
in the other CRS; edges longer than 64 pixels get vertices in between, at places that do not
depend on the direction of the walk, so that no chord leaves its curve by a tenth of a pixel.
"""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj

from geoseg.errors import OptionError, OutputError
from geoseg.grid.pixel_grid import Bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.grid.pixel_grid import PixelGrid

__all__ = ["Reprojection"]

_LONGEST_PX = 64.0
_LONGEST_M = 64_000.0
_HALF_TURN_DEG = 180


class Reprojection:
    """The way of one grid's vertices into another CRS."""

    def __init__(self, grid: PixelGrid, crs: str) -> None:
        """Find the transformation; ``crs`` is anything that PROJ knows, like EPSG:4326.

        Raises:
            OptionError: An unknown CRS, or a grid without one.
        """
        if grid.crs is None:
            msg = f"polygons cannot go to {crs}: the raster has no CRS"
            raise OptionError(msg, hint="give the raster a CRS first, or leave the polygons in its")
        try:
            self._crs = pyproj.CRS.from_user_input(crs)
            change = pyproj.Transformer.from_crs(grid.crs, self._crs, always_xy=True)
        except pyproj.exceptions.ProjError as error:
            msg = f"the CRS {crs!r} of the polygons is unknown, or no way leads there"
            raise OptionError(
                msg, hint="write it as EPSG:4326, as WKT or as a PROJ string"
            ) from error
        self._name, self._change, self._grid = crs, change, grid
        size_m = max(grid.gsd_m) if grid.gsd_m is not None else 1.0
        self._longest_px = max(1.0, min(_LONGEST_PX, _LONGEST_M / size_m))

    @property
    def crs_wkt(self) -> str:
        """The CRS as WKT."""
        return str(self._crs.to_wkt())

    @property
    def bounds(self) -> Bounds:
        """Box of the whole grid in the other CRS."""
        return Bounds(*self._change.transform_bounds(*self._grid.bounds))

    @property
    def centre_pixel(self) -> tuple[float, float, float, float]:
        """How x, y change along a row's pixel, then along a column's, at the centre."""
        col, row = self._grid.width / 2, self._grid.height / 2
        ends = [self._grid.transform @ p for p in ((col, row), (col + 1, row), (col, row + 1))]
        xs, ys = zip(*ends, strict=True)
        x, y = self._change.transform(xs, ys)
        return x[1] - x[0], y[1] - y[0], x[2] - x[0], y[2] - y[0]

    def with_long_edges_cut(
        self, corners: NDArray[np.int64], places: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return rings with vertices added; places (m, 2) are row, col."""
        from geoseg.vector.densify_kernels import cut_long_edges

        return cut_long_edges(corners, places, self._longest_px)

    def moved(self, corners: NDArray[np.int64], world: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return x, y (m, 2) of the vertices in the other CRS.

        Raises:
            OutputError: A vertex has no place there, or a ring goes around the Earth's edge.
        """
        x, y = self._change.transform(world[:, 0], world[:, 1])
        moved = np.stack([x, y], axis=1)
        if not np.isfinite(moved).all():
            msg = f"a part of the map has no place in {self._name}"
            raise OutputError(msg, hint="choose a CRS that covers the scene")
        if self._crs.is_geographic:
            jump = np.abs(np.diff(moved[:, 0], append=moved[-1:, 0])) > _HALF_TURN_DEG
            jump[corners[1:] - 1] = False  # from one ring to the next
            if jump.any():
                msg = f"the map crosses the 180th meridian, where {self._name} is cut"
                raise OutputError(msg, hint="choose a projected CRS that covers the scene")
        return moved
