"""What somebody knows about the ground: labelled polygons or points, and points to label."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError, OutputError
from geoseg.legend import whole_number
from geoseg.vector.aoi import near_scene, reprojected
from geoseg.vector.layers import layers_with_geometries, several_layers

if TYPE_CHECKING:
    from geoseg.grid.pixel_grid import PixelGrid
    from geoseg.grid.window import Window

__all__ = ["VECTOR_SUFFIXES", "ReferenceShapes", "read_reference_shapes", "write_points"]

VECTOR_SUFFIXES: Final = (".gpkg", ".geojson", ".json", ".shp", ".parquet", ".fgb")
_USUAL_COLUMNS: Final = (
    "reference", "class_id", "class_name", "classname", "class", "label", "landcover", "category",
)  # fmt: skip
_POINTS: Final = {"Point", "MultiPoint"}
_AREAS: Final = {"Polygon", "MultiPolygon"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceShapes:
    """Labelled geometries in the pixel corners (col, row) of a grid."""

    values: tuple[str, ...]
    """Label of each, as text; empty where nobody has labelled it yet."""
    geometries: tuple[dict[str, Any], ...]
    """GeoJSON geometries; empty for points."""
    bounds: NDArray[np.float64]
    """(n, 4) first col, first row, last col, last row."""
    points: NDArray[np.float64] | None
    """(n, 2) col, row where the geometries are points."""
    strata: tuple[int | None, ...]
    """Class of the map that a point was drawn from, where the file tells."""

    def touching(self, first_row: int, end_row: int) -> list[int]:
        """Return the numbers of the geometries that reach into some rows, in file order."""
        found = (self.bounds[:, 3] > first_row) & (self.bounds[:, 1] < end_row)
        return [int(i) for i in np.flatnonzero(found)]

    def touching_window(self, window: Window) -> list[int]:
        """Return the numbers of the geometries that may reach into a window, in file order."""
        b = self.bounds
        cols = (b[:, 2] > window.col_off) & (b[:, 0] < window.col_end)
        rows = (b[:, 3] > window.row_off) & (b[:, 1] < window.row_end)
        return [int(i) for i in np.flatnonzero(rows & cols)]


def read_reference_shapes(
    path: str,
    grid: PixelGrid,
    column: str | None,
    *,
    role: str = "reference",
    takes_points: bool = True,
) -> ReferenceShapes:
    """Read polygons or points with their labels.

    Args:
        path: File that GDAL or geopandas reads.
        grid: Grid of the map; the geometries come in its pixels.
        column: Attribute with the label; may be left out where there is a usual one.
        role: What messages call the file.
        takes_points: Points will do, too.

    Raises:
        OptionError: The file cannot be read, holds neither polygons nor points, or both, or
            points that will not do, or the column is not there, or empty.
    """
    import shapely  # noqa: PLC0415

    frame = _frame(path, role, takes_points=takes_points)
    name = _column(frame, f"the {role} {path}", column)
    shapes = frame.geometry.to_numpy()
    frame = frame[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    frame = frame.set_geometry(shapely.force_2d(frame.geometry.to_numpy()), crs=frame.crs)
    kinds = set(frame.geometry.geom_type)
    if not kinds or not (kinds <= _POINTS or kinds <= _AREAS):
        found = ", ".join(sorted(kinds)) or "nothing"
        wanted = "polygons, or points" if takes_points else "polygons"
        msg = f"found {found} in the {role} {path}, expected {wanted}"
        raise OptionError(msg)
    if kinds <= _POINTS and not takes_points:
        msg = f"found points in the {role} {path}, expected polygons"
        raise OptionError(msg, hint="A point labels one pixel; draw small polygons instead.")
    if kinds <= _POINTS:
        frame = frame.explode(index_parts=False)
    if frame.crs is not None and grid.crs is not None and frame.crs != grid.crs:
        frame = _moved(frame, grid)
    t = ~grid.transform
    shapes = shapely.transform(
        frame.geometry.to_numpy(),
        lambda x, y: (t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f),
        interleaved=False,
    )
    is_points = kinds <= _POINTS
    values = tuple(_text(value) for value in frame[name])
    if values and not any(values):
        msg = f"none of the {len(values)} shapes in the {role} {path} has a label in {name!r}"
        raise OptionError(msg, hint="Write classes into that column, or name one with --column.")
    return ReferenceShapes(
        values=values,
        geometries=() if is_points else tuple(shapely.geometry.mapping(s) for s in shapes),
        bounds=shapely.bounds(shapes),
        points=shapely.get_coordinates(shapes) if is_points else None,
        strata=tuple(whole_number(_text(v)) for v in frame["stratum"])
        if "stratum" in frame
        else (),
    )


def _moved(frame: Any, grid: PixelGrid) -> Any:  # noqa: ANN401
    """Return the geometries in the CRS of a grid; what reaches far beyond it is cut there."""
    import shapely  # noqa: PLC0415

    near = near_scene(frame.crs, grid)
    shapes = frame.geometry.to_numpy()
    far = np.zeros(len(shapes), bool) if near is None else ~shapely.covered_by(shapes, near)
    moved = frame.geometry.to_crs(grid.crs_wkt).to_numpy().copy()
    for i in np.flatnonzero(far):
        moved[i] = reprojected(shapely.make_valid(shapes[i]), frame.crs, grid)
    frame = frame.set_geometry(moved, crs=grid.crs_wkt)
    return frame[~frame.geometry.is_empty]


def _frame(path: str, role: str, *, takes_points: bool) -> Any:  # noqa: ANN401 - geopandas' own
    import geopandas  # noqa: PLC0415 - 0.5 s

    try:
        if path.lower().endswith(".parquet"):
            return geopandas.read_parquet(path)
        names = layers_with_geometries(path)
        if len(names) == 1:
            return geopandas.read_file(path, layer=names[0])
    except Exception as error:
        msg = f"cannot read the {role} {path}: {' '.join(str(error).split())[:200]}"
        kinds = (
            "a class raster, polygons, or points" if takes_points else "a class raster, or polygons"
        )
        raise OptionError(msg, hint=f"Give {kinds}.") from error
    raise several_layers(names, f"the {role} {path}")


def _column(frame: Any, file: str, column: str | None) -> str:  # noqa: ANN401
    names = [str(name) for name in frame.columns if name != frame.geometry.name]
    listing = ", ".join(names) or "none"
    if column is not None:
        if column not in names:
            msg = f"there is no column {column!r} in {file}, but {listing}"
            raise OptionError(msg, hint="Name another with --column.")
        return column
    usual = [name for known in _USUAL_COLUMNS for name in names if name.lower() == known]
    if usual:
        return usual[0]
    if len(names) == 1:
        return names[0]
    msg = f"which column of {file} holds the class? Found {listing}"
    raise OptionError(msg, hint="Name it with --column.")


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a column holds
    """Return a label as text: 3.0 as '3', nothing as ''."""
    import pandas as pd  # noqa: PLC0415 - with geopandas

    if pd.isna(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def write_points(
    path: Path,
    grid: PixelGrid,
    pixels: NDArray[np.int64],
    columns: Mapping[str, NDArray[Any]],
) -> None:
    """Write the centres of pixels as points.

    Args:
        path: File to make; .gpkg, .geojson, .fgb or .parquet.
        grid: Where the pixels lie.
        pixels: (n, 2) row, col.
        columns: Attributes.

    Raises:
        OptionError: The ending is unknown.
        OutputError: The file cannot be written.
    """
    import geopandas  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    drivers = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".fgb": "FlatGeobuf", ".parquet": ""}
    suffix = path.suffix.lower()
    if suffix not in drivers:
        msg = f"{path}: unknown format {suffix!r}"
        raise OptionError(msg, hint=f"Use one of {', '.join(drivers)}.")
    t = grid.transform
    col, row = pixels[:, 1] + 0.5, pixels[:, 0] + 0.5
    points = shapely.points(t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f)
    frame = geopandas.GeoDataFrame(dict(columns), geometry=points, crs=grid.crs_wkt)
    if suffix == ".geojson" and frame.crs is not None:
        frame = frame.to_crs("OGC:CRS84")
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            if suffix == ".parquet":
                frame.to_parquet(part)
            else:
                # FlatGeobuf's index would bring neighbours together again.
                extra = {"SPATIAL_INDEX": "NO"} if suffix == ".fgb" else {}
                frame.to_file(part, driver=drivers[suffix], layer=path.stem, **extra)
        part.replace(path)
    except Exception as error:
        part.unlink(missing_ok=True)
        msg = f"cannot write {path}: {' '.join(str(error).split())[:200]}"
        raise OutputError(msg) from error
