"""The pixel grid: CRS, affine transform and size, and its ground sample distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pyproj
from affine import Affine
from pyproj.exceptions import ProjError

from geoseg.grid.window import Window

__all__ = ["Bounds", "PixelGrid"]


class Bounds(NamedTuple):
    """Outer box in world units."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, kw_only=True)
class PixelGrid:
    """Where the pixels of a raster lie.

    Pixel (row, col) covers the unit square from corner (col, row) to (col + 1, row + 1)
    of ``transform``; rotated and south-up transforms are allowed.
    """

    crs_wkt: str | None
    """CRS as WKT, or None for a raster without one."""
    transform: Affine
    """Pixel corner (col, row) to world (x, y)."""
    height: int
    """Rows."""
    width: int
    """Columns."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            msg = f"a grid needs at least one pixel, got {self.height} x {self.width}"
            raise ValueError(msg)
        if self.transform.is_degenerate:
            msg = f"the geotransform has no area: {tuple(self.transform)[:6]}"
            raise ValueError(msg)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the four values only, not the cached PROJ objects."""
        return _make_grid, (self.crs_wkt, tuple(self.transform)[:6], self.height, self.width)

    @property
    def window(self) -> Window:
        """All pixels."""
        return Window(0, 0, self.height, self.width)

    @cached_property
    def crs(self) -> pyproj.CRS | None:
        """The CRS as a pyproj object, or None."""
        return None if self.crs_wkt is None else pyproj.CRS.from_wkt(self.crs_wkt)

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """World (x, y) of the four outer corners, clockwise from the first pixel."""
        pixel = ((0, 0), (self.width, 0), (self.width, self.height), (0, self.height))
        return tuple(self.transform @ corner for corner in pixel)

    @property
    def bounds(self) -> Bounds:
        """Outer box of the (possibly rotated) grid in world units."""
        xs, ys = zip(*self.corners, strict=True)
        return Bounds(min(xs), min(ys), max(xs), max(ys))

    @property
    def is_geographic(self) -> bool:
        """True where the world units are degrees."""
        return self.crs is not None and self.crs.is_geographic

    def subgrid(self, window: Window) -> PixelGrid:
        """Return the grid of a window of this one; ``pixel -> world`` is unchanged."""
        return PixelGrid(
            crs_wkt=self.crs_wkt,
            transform=self.transform @ Affine.translation(window.col_off, window.row_off),
            height=window.height,
            width=window.width,
        )

    @cached_property
    def gsd_m(self) -> tuple[float, float] | None:
        """Ground size of the centre pixel in metres, (along a column, along a row).

        Geodesic on the CRS's ellipsoid for geographic CRS and for projected ones alike
        (so EPSG:3857 gives true metres, not inflated ones); None without a CRS, or where
        the CRS has no way to longitude and latitude.
        """
        if self.crs is None:
            return None
        col, row = self.width / 2, self.height / 2
        here, below, right = (
            self.transform @ p for p in ((col, row), (col, row + 1), (col + 1, row))
        )
        geod = self.crs.get_geod()
        geodetic = self.crs.geodetic_crs
        if geod is None or geodetic is None:
            return self._planar_gsd_m()
        try:
            to_lonlat = pyproj.Transformer.from_crs(self.crs, geodetic, always_xy=True)
        except ProjError:
            return self._planar_gsd_m()
        xs, ys = zip(here, below, right, strict=True)
        lons, lats = to_lonlat.transform(xs, ys)
        if not all(map(math.isfinite, (*lons, *lats))):
            return None
        _, _, down_m = geod.inv(lons[0], lats[0], lons[1], lats[1])
        _, _, across_m = geod.inv(lons[0], lats[0], lons[2], lats[2])
        return (down_m, across_m) if min(down_m, across_m) > 0 else None

    def _planar_gsd_m(self) -> tuple[float, float] | None:
        """GSD of a local (engineering) CRS from its axis unit."""
        if self.crs is None or not self.crs.axis_info:
            return None
        unit_m = self.crs.axis_info[0].unit_conversion_factor
        t = self.transform
        return (math.hypot(t.b, t.e) * unit_m, math.hypot(t.a, t.d) * unit_m)


def _make_grid(crs_wkt: str | None, six: tuple[float, ...], height: int, width: int) -> PixelGrid:
    return PixelGrid(crs_wkt=crs_wkt, transform=Affine(*six), height=height, width=width)
