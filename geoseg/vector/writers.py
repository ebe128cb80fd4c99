"""Stream the table of polygons into a file of one of four formats, or a database.

Each writer pulls Arrow batches and never holds more than a few. Timestamps are fixed, so
that the same polygons give the same bytes.
"""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

import json
import math
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import GeosegError, OptionError, OutputError
from geoseg.vector.features import GEOMETRY, LayerInfo, feature_schema
from geoseg.vector.geopackage import FIXED_TIME, add_class_domain, add_layer_style
from geoseg.vector.postgis import Table, write_postgis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

__all__ = ["FORMATS", "check_format", "check_place", "write_layer"]

_ROWS_PER_BATCH = 32_768
_BYTES_PER_BATCH = 8 * 2**20
_RFC7946_DECIMALS = 7
_METRES_PER_DEGREE = 111_320
_WGS84 = "OGC:CRS84"
_TIME_OPTION = "OGR_CURRENT_DATE"
_time_guard = threading.Lock()
_writers = 0
_time_before: str | None = None


def check_format(target: Path | Table) -> None:
    """Refuse file endings that no format has.

    Raises:
        OptionError: Unknown ending.
    """
    if isinstance(target, Path) and target.suffix.lower() not in FORMATS:
        msg = f"{target.name}: unknown polygon format {target.suffix!r}"
        raise OptionError(msg, hint=f"use one of {', '.join(sorted(FORMATS))}")


def check_place(target: Path | Table, crs_wkt: str | None) -> None:
    """Refuse unknown formats, and GeoJSON of what has no place on the Earth.

    Raises:
        OptionError: Unknown ending, no CRS, or no way from it to longitude and latitude.
    """
    import pyproj

    check_format(target)
    if not isinstance(target, Path) or target.suffix.lower() != ".geojson":
        return
    if crs_wkt is None:
        msg = f"{target.name}: GeoJSON holds longitude and latitude, and the raster has no CRS"
        raise OptionError(msg, hint="choose another format, or assign one with gdal_edit -a_srs")
    try:
        pyproj.Transformer.from_crs(pyproj.CRS.from_wkt(crs_wkt), _WGS84)
    except pyproj.exceptions.ProjError as error:
        name = pyproj.CRS.from_wkt(crs_wkt).name
        msg = f"{target.name}: GeoJSON holds longitude and latitude on the Earth, and no way leads"
        msg += f" there from {name!r}"
        raise OptionError(msg, hint="choose another format") from error


def write_layer(batches: Iterable[pa.RecordBatch], target: Path | Table, info: LayerInfo) -> None:
    """Write all batches to a file, in the format of its ending, or to a database.

    Args:
        batches: Polygons in :func:`geoseg.vector.features.feature_schema`.
        target: File to make, where an existing one is replaced; or a table.
        info: Name, CRS and legend of the layer.

    Raises:
        OptionError: Unknown ending.
        OutputError: The file or table cannot be written.
    """
    import pyarrow as pa

    check_format(target)
    even = pa.RecordBatchReader.from_batches(feature_schema(), _even_batches(batches))
    if isinstance(target, Table):
        write_postgis(even, target, info)
        return
    target.unlink(missing_ok=True)
    try:
        FORMATS[target.suffix.lower()](even, target, info)
    except GeosegError:
        raise
    except (OSError, RuntimeError) as error:
        msg = f"{target.name}: the polygons could not be written: {error}"
        raise OutputError(msg, hint="is the disk full, the folder writable?") from error


def _write_gpkg(batches: pa.RecordBatchReader, path: Path, info: LayerInfo) -> None:
    with _fixed_time():
        _write_with_gdal(batches, path, info, driver="GPKG", dataset_options={"VERSION": "1.4"})
    add_layer_style(path, layer=info.name, legend=info.legend)
    add_class_domain(path, layer=info.name, field="class_id", legend=info.legend)


def _write_fgb(batches: pa.RecordBatchReader, path: Path, info: LayerInfo) -> None:
    _write_with_gdal(
        batches,
        path,
        info,
        driver="FlatGeobuf",
        layer_options={"TEMPORARY_DIR": str(info.temp_dir)},
    )


def _write_geojson(batches: pa.RecordBatchReader, path: Path, info: LayerInfo) -> None:
    digits = _RFC7946_DECIMALS
    if info.crs_wkt is not None:
        pixel_deg = info.pixel_size / _units_per_degree(info.crs_wkt)
        digits = max(digits, 3 - math.floor(math.log10(pixel_deg)))
    options = {"RFC7946": "YES", "COORDINATE_PRECISION": str(min(digits, 15))}
    _write_with_gdal(batches, path, info, driver="GeoJSON", layer_options=options)


def _write_geoparquet(batches: pa.RecordBatchReader, path: Path, info: LayerInfo) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = batches.schema.with_metadata({"geo": json.dumps(_geo_metadata(info))})
    schema = schema.set(0, pa.field(GEOMETRY, pa.binary()))
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))


def _even_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches that no file shows how they arrived, and that stay small.

    A batch ends with the row that makes it full: of rows, or of bytes of geometry.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    held: list[pa.RecordBatch] = []
    rows, size = 0, 0
    for batch in batches:
        lengths = pc.binary_length(batch.column(0)).to_numpy(zero_copy_only=False)
        ends = np.cumsum(lengths, dtype=np.int64)
        first = 0
        while first < len(ends):
            before = ends[first - 1] if first else 0
            last = int(np.searchsorted(ends, before + _BYTES_PER_BATCH - size)) + 1
            last = min(last, first + _ROWS_PER_BATCH - rows, len(ends))
            held.append(batch.slice(first, last - first))
            rows, size = rows + last - first, size + int(ends[last - 1] - before)
            first = last
            if rows == _ROWS_PER_BATCH or size >= _BYTES_PER_BATCH:
                yield from pa.Table.from_batches(held).combine_chunks().to_batches()
                held, rows, size = [], 0, 0
    if rows:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _geo_metadata(info: LayerInfo) -> dict[str, Any]:
    """Return the ``geo`` entry of GeoParquet 1.1."""
    import pyproj

    crs = None if info.crs_wkt is None else pyproj.CRS.from_wkt(info.crs_wkt).to_json_dict()
    column = {
        "encoding": "WKB",
        "geometry_types": [info.geometry_type],
        "crs": crs,
        "orientation": "counterclockwise",
        "edges": "planar",
        "bbox": list(info.bounds),
        "covering": {"bbox": {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}},
    }
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}


def _write_with_gdal(
    batches: pa.RecordBatchReader,
    path: Path,
    info: LayerInfo,
    *,
    driver: str,
    **options: dict[str, str],
) -> None:
    import pyarrow as pa
    import pyogrio

    kept = [name for name in batches.schema.names if name != "bbox"]
    schema = pa.schema([batches.schema.field(name) for name in kept])
    stream = pa.RecordBatchReader.from_batches(schema, (b.select(kept) for b in batches))
    with warnings.catch_warnings():
        if info.crs_wkt is None:  # known, and said elsewhere
            warnings.simplefilter("ignore")
        pyogrio.write_arrow(
            stream,
            path,
            layer=info.name,
            driver=driver,
            geometry_name=GEOMETRY,
            geometry_type=info.geometry_type,
            crs=info.crs_wkt,
            **options,
        )


@contextmanager
def _fixed_time() -> Iterator[None]:
    """Let GDAL write :data:`FIXED_TIME` as the time of change, for as long as anyone writes.

    The option is the whole process's, and several scenes may be written at a time: the first
    one sets it, the last one takes it back.
    """
    import pyogrio

    global _writers, _time_before  # noqa: PLW0603 - it is the process's own option
    with _time_guard:
        if not _writers:
            _time_before = pyogrio.get_gdal_config_option(_TIME_OPTION)
            pyogrio.set_gdal_config_options({_TIME_OPTION: FIXED_TIME})
        _writers += 1
    try:
        yield
    finally:
        with _time_guard:
            _writers -= 1
            if not _writers:
                pyogrio.set_gdal_config_options({_TIME_OPTION: _time_before})


def _units_per_degree(crs_wkt: str) -> float:
    import pyproj

    crs = pyproj.CRS.from_wkt(crs_wkt)
    if crs.is_geographic:
        return 1.0
    return _METRES_PER_DEGREE / (crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1)


FORMATS: dict[str, Callable[[pa.RecordBatchReader, Path, LayerInfo], None]] = {
    ".fgb": _write_fgb,
    ".geojson": _write_geojson,
    ".gpkg": _write_gpkg,
    ".parquet": _write_geoparquet,
}
"""File ending to writer."""
