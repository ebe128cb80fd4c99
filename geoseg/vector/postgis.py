"""Stream the table of polygons into a PostGIS table, in one transaction."""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from geoseg.errors import OptionError, OutputError
from geoseg.vector.features import GEOMETRY, LayerInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    import pyarrow as pa
    from psycopg.sql import Composable

__all__ = ["is_database", "write_postgis"]

_SCHEMES = ("postgresql://", "postgres://")
_MADE_BY = "Polygons by geoseg; a new run under this name replaces them."
_HAS_SRID = 0x2000_0000
_FIRST_OWN_SRID = 910_000
_COLUMNS = (
    ("class_id", "int4"),
    ("class_name", "text"),
    ("area_m2", "float8"),
    ("confidence_mean", "float8"),
    ("px_count", "int8"),
    ("confidence_min", "float8"),
)


def is_database(target: object) -> bool:
    """Tell whether a target is the address of a PostgreSQL database."""
    return isinstance(target, str) and target.startswith(_SCHEMES)


def write_postgis(batches: pa.RecordBatchReader, url: str, info: LayerInfo) -> None:
    """Write all batches to the table ``info.name``, with a spatial index, or nothing.

    The name may be ``schema.table``. A table that geoseg made is replaced; readers see the
    old one until the new one is whole.

    Args:
        batches: Polygons in :func:`geoseg.vector.features.feature_schema`.
        url: ``postgresql://user@host:port/database``.
        info: Name and CRS of the layer.

    Raises:
        OptionError: psycopg is not installed.
        OutputError: No connection, no PostGIS, a foreign table of that name, or a failure.
    """
    try:
        import psycopg
        from psycopg import sql
    except ImportError as error:
        msg = "writing to PostGIS needs the package psycopg"
        raise OptionError(msg, hint="pip install 'geoseg[postgis]'") from error

    table = sql.Identifier(*info.name.split(".", 1))
    with _database_errors(url), psycopg.connect(url, connect_timeout=15) as connection:
        srid = _srid(connection, info.crs_wkt)
        _make_table(connection, table, info, srid)
        _copy_rows(connection, table, batches, srid)
        for statement in ("CREATE INDEX ON {} USING gist ({})", "ANALYZE {} ({})"):
            connection.execute(sql.SQL(statement).format(table, sql.Identifier(GEOMETRY)))


def _make_table(
    connection: psycopg.Connection, table: Composable, info: LayerInfo, srid: int
) -> None:
    """Create the empty table in place of one that geoseg made."""
    from psycopg import sql

    name = table.as_string(connection)
    found = connection.execute(
        "SELECT coalesce(obj_description(to_regclass(%s), 'pg_class'), '')"
        " WHERE to_regclass(%s) IS NOT NULL",
        (name, name),
    ).fetchone()
    if found is not None and found[0] != _MADE_BY:
        msg = f"the database has a table {name} that geoseg did not make"
        raise OutputError(msg, hint="choose another layer name, or drop the table")
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    columns = [sql.SQL("fid int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY")]
    columns += [sql.SQL(f"{column} {kind}") for column, kind in _COLUMNS]
    shape = sql.SQL("{} geometry({}, {}) NOT NULL").format(
        sql.Identifier(GEOMETRY), sql.Identifier(info.geometry_type), sql.Literal(srid)
    )
    connection.execute(
        sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join([*columns, shape]))
    )
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(table, sql.Literal(_MADE_BY)))


def _copy_rows(
    connection: psycopg.Connection, table: Composable, batches: pa.RecordBatchReader, srid: int
) -> None:
    """Stream the rows as a binary COPY; geometry goes as WKB with its SRID."""
    from psycopg import sql

    names = [GEOMETRY, *(name for name, _ in _COLUMNS)]
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        table, sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["bytea", *(kind for _, kind in _COLUMNS)])
        for batch in batches:
            shapes, *columns = (batch.column(name).to_pylist() for name in names)
            for shape, *values in zip(shapes, *columns, strict=True):
                copy.write_row((_with_srid(shape, srid), *values))


def _with_srid(wkb: bytes, srid: int) -> bytes:
    """Return WKB, least byte first, with the SRID that PostGIS wants to see in it."""
    (kind,) = struct.unpack_from("<I", wkb, 1)
    return struct.pack("<BII", 1, kind | _HAS_SRID, srid) + wkb[5:]


def _srid(connection: psycopg.Connection, crs_wkt: str | None) -> int:
    """Return the database's number of a CRS, entered there if it has none; 0 without CRS."""
    import pyproj

    connection.execute("SELECT postgis_lib_version()")
    if crs_wkt is None:
        return 0
    crs = pyproj.CRS.from_wkt(crs_wkt)
    authority = crs.to_authority() or ("", "0")
    wkt = crs.to_wkt("WKT1_GDAL")
    found = connection.execute(
        "SELECT srid FROM spatial_ref_sys WHERE (auth_name = %s AND auth_srid::text = %s)"
        " OR srtext = %s ORDER BY srid LIMIT 1",
        (*authority, wkt),
    ).fetchone()
    if found is None:
        found = connection.execute(
            "INSERT INTO spatial_ref_sys (srid, srtext)"
            " SELECT greatest(max(srid) + 1, %s), %s FROM spatial_ref_sys RETURNING srid",
            (_FIRST_OWN_SRID, wkt),
        ).fetchone()
    assert found is not None, "RETURNING gives a row"  # noqa: S101
    return int(found[0])


@contextmanager
def _database_errors(url: str) -> Iterator[None]:
    """Turn the driver's errors into OutputError, without the password."""
    import psycopg

    parts = urlsplit(url)
    place = f"{parts.hostname or 'local'}{parts.path}"
    try:
        yield
    except psycopg.errors.UndefinedFunction as error:
        msg = f"{place}: the database has no PostGIS"
        raise OutputError(msg, hint="CREATE EXTENSION postgis") from error
    except psycopg.Error as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        msg = f"{place}: the polygons could not be written: {why}"
        raise OutputError(msg, hint="is the server there, may you create tables?") from error
