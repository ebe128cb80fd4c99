"""Ground area of whole-pixel regions, in square metres on the CRS's ellipsoid.

Strategy: the ground area of one pixel varies smoothly over a scene, so it is sampled at
the nodes of a coarse lattice and taken as bilinear between them. Its double integral from
the scene's first corner, P(row, col), is then a closed formula, and by Green's theorem
the area of a region is the sum of P(row1, col) - P(row0, col) over its vertical edges.
Two neighbours add the same number with opposite signs, so the areas of a partition add
up to the area of the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyproj

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.grid.pixel_grid import PixelGrid

__all__ = ["PixelAreas", "pixel_areas"]

_NODES = 129
_NODES_GEOGRAPHIC = 4097


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelAreas:
    """Ground area of the pixels of one grid, ready to be summed over regions."""

    rows: NDArray[np.float64]
    """(n,) rows of the lattice nodes, pixel corners, ascending from 0."""
    cols: NDArray[np.float64]
    """(m,) columns of the lattice nodes."""
    area_m2: NDArray[np.float64]
    """(n, m) ground area of a pixel at each node, square metres."""

    @property
    def decimals(self) -> int:
        """Digits after the point that resolve a ten-thousandth of a pixel."""
        largest = float(self.area_m2.max())
        return max(2, 4 - math.floor(math.log10(largest))) if largest > 0 else 2

    def integral(self) -> NDArray[np.float64]:
        """Return P at the nodes: (n, m) square metres above and left of each node."""
        mean = (
            self.area_m2[1:, 1:]
            + self.area_m2[1:, :-1]
            + self.area_m2[:-1, 1:]
            + self.area_m2[:-1, :-1]
        ) / 4
        cells = mean * np.diff(self.rows)[:, None] * np.diff(self.cols)
        return np.pad(cells.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))

    def up_to(
        self, rows: NDArray[np.float64], cols: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return P(row, col), the square metres between corner (0, 0) and each corner.

        Args:
            rows: (k,) corner rows, 0 to the height of the grid.
            cols: (k,) corner columns, 0 to the width of the grid.
        """
        i = np.clip(np.searchsorted(self.rows, rows, "right") - 1, 0, len(self.rows) - 2)
        j = np.clip(np.searchsorted(self.cols, cols, "right") - 1, 0, len(self.cols) - 2)
        tall, wide = self.rows[i + 1] - self.rows[i], self.cols[j + 1] - self.cols[j]
        u, v = (rows - self.rows[i]) / tall, (cols - self.cols[j]) / wide
        # The bilinear weights of the four nodes, integrated from the first node to (u, v).
        low_u, high_u, low_v, high_v = u - u * u / 2, u * u / 2, v - v * v / 2, v * v / 2
        a = self.area_m2
        inside = low_u * (low_v * a[i, j] + high_v * a[i, j + 1])
        inside += high_u * (low_v * a[i + 1, j] + high_v * a[i + 1, j + 1])
        above = self._above()
        left = self._left()
        result: NDArray[np.float64] = self.integral()[i, j] + inside * tall * wide
        result += wide * (low_v * above[i, j] + high_v * above[i, j + 1])
        result += tall * (low_u * left[i, j] + high_u * left[i + 1, j])
        return result

    def _above(self) -> NDArray[np.float64]:
        """Return the integral over the rows above each node, at its column."""
        mean = (self.area_m2[1:] + self.area_m2[:-1]) / 2
        return np.pad((mean * np.diff(self.rows)[:, None]).cumsum(axis=0), ((1, 0), (0, 0)))

    def _left(self) -> NDArray[np.float64]:
        """Return the integral over the columns left of each node, at its row."""
        mean = (self.area_m2[:, 1:] + self.area_m2[:, :-1]) / 2
        return np.pad((mean * np.diff(self.cols)).cumsum(axis=1), ((0, 0), (1, 0)))


def pixel_areas(grid: PixelGrid) -> PixelAreas | None:
    """Return the pixel areas of a grid, or None where it has no CRS.

    A grid in a local CRS without an ellipsoid gets plane areas. Pixels off the Earth (the
    corners of a full-disc scene) count no area.
    """
    if grid.crs is None:
        return None
    geographic = grid.is_geographic
    rows = _nodes(grid.height, _NODES_GEOGRAPHIC if geographic else _NODES)
    cols = _nodes(grid.width, _NODES)
    geodetic = grid.crs.geodetic_crs
    if geodetic is None or geodetic.ellipsoid is None:
        unit_m = grid.crs.axis_info[0].unit_conversion_factor if grid.crs.axis_info else 1.0
        plane = np.full((len(rows), len(cols)), abs(grid.transform.determinant) * unit_m**2)
        return PixelAreas(rows=rows, cols=cols, area_m2=plane)
    area = _ground_area(grid, geodetic, rows, cols)
    return PixelAreas(rows=rows, cols=cols, area_m2=area)


def _nodes(size_px: int, most: int) -> NDArray[np.float64]:
    return np.linspace(0, size_px, min(size_px + 1, most))


def _ground_area(
    grid: PixelGrid,
    geodetic: pyproj.CRS,
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the ground area of a pixel centred on each node, (n, m) square metres.

    Longitude and the area between the equator and a latitude are an equal-area pair, so
    the area of a pixel is the determinant of their change across it.
    """
    col, row = np.meshgrid(cols, rows)
    corners = [(col - 0.5, row), (col + 0.5, row), (col, row - 0.5), (col, row + 0.5)]
    ends = [_equal_area(grid, geodetic, *corner) for corner in corners]
    (lon_w, zone_w), (lon_e, zone_e), (lon_n, zone_n), (lon_s, zone_s) = ends
    turn = 2 * math.pi
    lon_across = np.remainder(lon_e - lon_w + math.pi, turn) - math.pi
    lon_down = np.remainder(lon_s - lon_n + math.pi, turn) - math.pi
    area = np.abs(lon_across * (zone_s - zone_n) - lon_down * (zone_e - zone_w))
    return np.where(np.isfinite(area), area, 0.0)


def _equal_area(
    grid: PixelGrid, geodetic: pyproj.CRS, col: NDArray[np.float64], row: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude (radians) and the zone from the equator (square metres per radian)."""
    t = grid.transform
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    to_lonlat = pyproj.Transformer.from_crs(grid.crs, geodetic, always_xy=True)
    lon_deg, lat_deg = to_lonlat.transform(x, y)
    geod = geodetic.get_geod()
    if geod is None:
        msg = "a geodetic CRS has an ellipsoid"
        raise TypeError(msg)
    unit = math.degrees(geodetic.axis_info[0].unit_conversion_factor)
    with np.errstate(invalid="ignore"):
        lon, sine = np.radians(lon_deg * unit), np.sin(np.radians(lat_deg * unit))
        e = math.sqrt(max(0.0, geod.es))
        bulge = np.arctanh(e * sine) / e if e > 0 else sine
        zone = geod.b**2 / 2 * (sine / (1 - e * e * sine * sine) + bulge)
    return lon, zone
