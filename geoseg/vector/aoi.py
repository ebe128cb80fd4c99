"""The area of interest: a polygon file or a box, as rings in the scene's pixel corners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import OptionError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.vector.layers import layers_with_geometries, several_layers

if TYPE_CHECKING:
    import pyproj
    from shapely.geometry.base import BaseGeometry

__all__ = ["Polygons", "is_box", "near_scene", "read_aoi", "reprojected"]

Ring = tuple[tuple[float, float], ...]
Polygons = tuple[tuple[Ring, ...], ...]
"""Polygons as rings of (col, row) pixel corners; the first ring of each is the outer one."""

_BOX_NUMBERS = 4
# Edges are densified before they are reprojected, so that a straight edge in one CRS
# stays where it is in the other.
_PARTS_PER_EDGE = 32


def read_aoi(text: str, grid: PixelGrid) -> Polygons:
    """Read ``FILE`` or ``left,bottom,right,top`` (in the scene's CRS).

    Raises:
        OptionError: Unreadable, no polygons in it, or none of it on the scene.
    """
    import shapely  # noqa: PLC0415 - only where an AOI is given
    from shapely.geometry import MultiPolygon, Polygon  # noqa: PLC0415

    numbers = _box(text)
    area = shapely.box(*numbers) if numbers else _from_file(text, grid)
    inverse = ~grid.transform
    in_pixels = shapely.transform(
        area, lambda x, y: (inverse.a * x + inverse.b * y + inverse.c,
                            inverse.d * x + inverse.e * y + inverse.f), interleaved=False
    )  # fmt: skip
    extent = shapely.box(0, 0, grid.width, grid.height)
    clipped = shapely.make_valid(in_pixels).intersection(extent)
    parts = [p for p in getattr(clipped, "geoms", [clipped]) if isinstance(p, Polygon)]
    parts += [
        q for m in getattr(clipped, "geoms", []) if isinstance(m, MultiPolygon) for q in m.geoms
    ]
    if not parts or sum(p.area for p in parts) == 0:
        bounds = ", ".join(f"{v:.8g}" for v in grid.bounds)
        found = "" if area.is_empty else f" ({', '.join(f'{v:.8g}' for v in area.bounds)})"
        msg = f"the area of interest{found} lies outside the scene ({bounds})"
        raise OptionError(
            msg, hint="Numbers are left, bottom, right, top in the scene's CRS; a file has its own."
        )
    return tuple(tuple(tuple(ring.coords) for ring in (p.exterior, *p.interiors)) for p in parts)


def _box(text: str) -> tuple[float, ...] | None:
    parts = text.split(",")
    if len(parts) != _BOX_NUMBERS:
        return None
    try:
        left, bottom, right, top = (float(p) for p in parts)
    except ValueError:
        return None
    if not (left < right and bottom < top):
        msg = f"--aoi {text} is not left,bottom,right,top: left < right and bottom < top"
        raise OptionError(msg)
    return left, bottom, right, top


def is_box(text: str) -> bool:
    """Tell whether a text is four numbers and no file.

    Raises:
        OptionError: They are no box.
    """
    return _box(text) is not None


def _frame(path: str) -> Any:  # noqa: ANN401 - geopandas' own
    """Read the layer with geometries; styles and tables beside it are none.

    Raises:
        OptionError: There are several, so that nobody knows which one is meant.
    """
    import geopandas  # noqa: PLC0415 - 0.5 s

    if path.lower().endswith(".parquet"):
        return geopandas.read_parquet(path)
    names = layers_with_geometries(path)
    if len(names) > 1:
        raise several_layers(names, f"the area of interest {path}")
    return geopandas.read_file(path, layer=names[0]) if names else geopandas.read_file(path)


def _from_file(path: str, grid: PixelGrid) -> BaseGeometry:
    import shapely  # noqa: PLC0415

    try:
        frame: Any = _frame(path)
    except OptionError:
        raise
    except Exception as error:
        msg = f"cannot read the area of interest {path}: {' '.join(str(error).split())[:200]}"
        raise OptionError(
            msg, hint="Give a polygon file that GDAL reads, or left,bottom,right,top."
        ) from error
    if not len(frame) or not hasattr(frame, "geometry"):
        msg = f"the area of interest {path} holds no polygons"
        raise OptionError(msg)
    area = shapely.make_valid(shapely.union_all(shapely.make_valid(frame.geometry.to_numpy())))
    if area.is_empty or area.area == 0:
        msg = f"the area of interest {path} holds no polygons, only points or lines"
        raise OptionError(msg)
    if frame.crs is None or grid.crs is None:
        return area
    return reprojected(area, frame.crs, grid)


def reprojected(area: BaseGeometry, source: pyproj.CRS, grid: PixelGrid) -> BaseGeometry:
    """Return an area in the CRS of a grid, cut to the surroundings of the grid.

    Raises:
        OptionError: It reaches where that CRS has no coordinates.
    """
    import pyproj  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    if source == grid.crs:
        return area
    # A country's outline leaves the zone of a scene's CRS, where vertices have no place, and
    # edges of a continent would be cut into pieces longer than the scene.
    near = near_scene(source, grid)
    area = area if near is None else area.intersection(near)
    if area.is_empty:
        return area
    left, bottom, right, top = area.bounds
    step = max(right - left, top - bottom) / _PARTS_PER_EDGE
    change = pyproj.Transformer.from_crs(source, grid.crs, always_xy=True).transform
    moved = shapely.transform(shapely.segmentize(area, step), change, interleaved=False)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        msg = "the area of interest reaches where the scene's CRS has no coordinates"
        raise OptionError(msg, hint="Cut it to the surroundings of the scene first.")
    return moved


def near_scene(source: pyproj.CRS, grid: PixelGrid) -> BaseGeometry | None:
    """Return the scene's box and a rim around it in another CRS, or None if there is none."""
    import pyproj  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    back = pyproj.Transformer.from_crs(grid.crs, source, always_xy=True)
    left, bottom, right, top = back.transform_bounds(*grid.bounds)
    if not np.isfinite([left, bottom, right, top]).all() or left >= right or bottom >= top:
        return None  # across the 180th meridian, or around a pole
    rim = max(right - left, top - bottom)
    return shapely.box(left - rim, bottom - rim, right + rim, top + rim)
