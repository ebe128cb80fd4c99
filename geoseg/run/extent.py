"""The outline of a raster in longitude and latitude, as GeoJSON wants it (RFC 7946)."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pyproj
from pyproj.exceptions import ProjError

from geoseg.grid.pixel_grid import PixelGrid

__all__ = ["extent"]

_PARTS_PER_EDGE: Final = 8
_DATE_LINE: Final = 180.0
_LEAST_POINTS: Final = 3

Point = tuple[float, float]


def extent(grid: PixelGrid) -> tuple[dict[str, Any], list[float]] | None:
    """Return geometry and bbox of a grid; None where it has no place on Earth.

    Across the date line the geometry is cut in two, and west of the bbox is greater than its
    east (RFC 7946, 3.1.9 and 5.2).
    """
    outline = _outline(grid)
    if outline is None:
        return None
    points = _unrolled(outline)
    lons, lats = zip(*points, strict=True)
    west, south, east, north = (round(v, 8) for v in (min(lons), min(lats), max(lons), max(lats)))
    if east <= _DATE_LINE:
        return {"type": "Polygon", "coordinates": [_ring(points)]}, [west, south, east, north]
    halves = _cut(points, 1.0), [(lon - 360.0, lat) for lon, lat in _cut(points, -1.0)]
    parts = [[_ring(half)] for half in halves if len(half) >= _LEAST_POINTS]
    return (
        {"type": "MultiPolygon", "coordinates": parts},
        [west, south, round(east - 360.0, 8), north],
    )


def _unrolled(points: list[Point]) -> list[Point]:
    """Return an outline without leaps by a full turn, beginning between -180 and 180.

    Around a pole it cannot be closed so, and stays as it is.
    """
    lons = [points[0][0]]
    for lon, _ in (*points[1:], points[0]):
        lons.append(lons[-1] + math.remainder(lon - lons[-1], 360.0))
    if abs(lons.pop() - lons[0]) > _DATE_LINE:
        return points
    turn = 360.0 * math.floor((min(lons) + _DATE_LINE) / 360.0)
    return [(lon - turn, lat) for lon, (_, lat) in zip(lons, points, strict=True)]


def _cut(points: list[Point], side: float) -> list[Point]:
    """Return what lies west (1) or east (-1) of the date line (Sutherland and Hodgman, 1974)."""
    kept: list[Point] = []
    for here, there in zip(points, points[1:] + points[:1], strict=True):
        inside = [side * (_DATE_LINE - lon) >= 0 for lon in (here[0], there[0])]
        if inside[0]:
            kept.append(here)
        if inside[0] != inside[1]:
            share = (_DATE_LINE - here[0]) / (there[0] - here[0])
            kept.append((_DATE_LINE, here[1] + share * (there[1] - here[1])))
    return kept


def _outline(grid: PixelGrid) -> list[Point] | None:
    """Return places along the grid's edge; None where it has no place on Earth."""
    if grid.crs is None:
        return None
    steps = np.linspace(0, 1, _PARTS_PER_EDGE, endpoint=False)
    corners = np.array([(0, 0), (0, grid.height), (grid.width, grid.height), (grid.width, 0)])
    edges = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    path = np.concatenate([a + steps[:, None] * (b - a) for a, b in edges])
    xs, ys = zip(*(grid.transform @ (float(c), float(r)) for c, r in path), strict=True)
    try:
        change = pyproj.Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
    except ProjError:  # a local CRS, or one of another planet: no place on Earth to tell
        return None
    lons, lats = change.transform(xs, ys)
    if not (np.isfinite(lons).all() and np.isfinite(lats).all()):
        return None
    return [(float(lon), float(lat)) for lon, lat in zip(lons, lats, strict=True)]


def _ring(points: list[Point]) -> list[list[float]]:
    """Close a line into a ring, counter-clockwise."""
    points = [(round(lon, 8), round(lat, 8)) for lon, lat in points]
    doubled_area = sum(
        a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1], strict=True)
    )
    if doubled_area < 0:  # south-up grids turn the other way
        points.reverse()
    return [list(point) for point in (*points, points[0])]
