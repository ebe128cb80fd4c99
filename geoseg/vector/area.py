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
_MANY_NODES = 4097


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelAreas:
    """Ground area of the pixels of one grid, ready to be summed over regions."""

    tall_px: float
    """Rows between two nodes of the lattice; the first node is corner (0, 0)."""
    wide_px: float
    """Columns between two nodes."""
    tables: NDArray[np.float64]
    """(n, m, 4) at each node: ground area of a pixel, its integral over the rows above,
    over the columns to the left, and over both; square metres."""

    @property
    def decimals(self) -> int:
        """Digits after the point that resolve a ten-thousandth of a pixel."""
        largest = float(self.tables[..., 0].max())
        return max(2, 4 - math.floor(math.log10(largest))) if largest > 0 else 2


def pixel_areas(grid: PixelGrid) -> PixelAreas | None:
    """Return the pixel areas of a grid, or None where it has no CRS.

    A grid in a local CRS without an ellipsoid gets plane areas. Pixels off the Earth (the
    corners of a full-disc scene) count no area.
    """
    if grid.crs is None:
        return None
    along_parallels = grid.is_geographic and grid.transform.is_rectilinear
    rows = _nodes(grid.height, _MANY_NODES if along_parallels else _NODES)
    cols = _nodes(grid.width, 2 if along_parallels else _NODES)
    geodetic = grid.crs.geodetic_crs
    if geodetic is None or geodetic.ellipsoid is None:
        unit_m = grid.crs.axis_info[0].unit_conversion_factor if grid.crs.axis_info else 1.0
        area = np.full((len(rows), len(cols)), abs(grid.transform.determinant) * unit_m**2)
    else:
        area = _ground_area(grid, geodetic, rows, cols)
    return _integrated(rows[1], cols[1], area)


def _integrated(tall_px: float, wide_px: float, area: NDArray[np.float64]) -> PixelAreas:
    """Return the tables of pixel areas (n, m) that are bilinear between nodes."""
    by_row, by_col = (area[1:] + area[:-1]) / 2, (area[:, 1:] + area[:, :-1]) / 2
    above = np.pad((by_row * tall_px).cumsum(axis=0), ((1, 0), (0, 0)))
    left = np.pad((by_col * wide_px).cumsum(axis=1), ((0, 0), (1, 0)))
    cells = (by_row[:, 1:] + by_row[:, :-1]) / 2 * (tall_px * wide_px)
    both = np.pad(cells.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    tables = np.stack([area, above, left, both], axis=2)
    return PixelAreas(tall_px=float(tall_px), wide_px=float(wide_px), tables=tables)


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
