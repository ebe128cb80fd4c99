"""Stream the table of polygons into a PostGIS table, in one transaction."""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from geoseg.errors import OptionError, OutputError
from geoseg.redact import shown_address, without_secrets
from geoseg.vector.features import GEOMETRY, LayerInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    import pyarrow as pa
    from psycopg.sql import Composable

__all__ = ["Table", "require_free", "write_postgis"]

_SCHEMES = ("postgresql://", "postgres://")
_MADE_BY = "Polygons by geoseg"
_MARK = ", run "
_PATIENCE_S = 15
_LONGEST_NAME_BYTES = 63
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table to make in a PostgreSQL database."""

    url: str = field(repr=False)
    """``postgresql://user@host:port/database``; what is left out, libpq finds."""
    name: str
    """``table`` or ``schema.table``."""
    mark: str = ""
    """Tells whose rows these are: a table with the same mark is ours to replace."""
    overwrite: bool = False
    """Replace a table of another mark too, if geoseg made it."""

    def __post_init__(self) -> None:
        if not self.url.startswith(_SCHEMES):
            msg = f"{shown_address(self.url)!r} is not the address of a PostgreSQL database"
            raise OptionError(msg, hint="write postgresql://user@host:port/database")
        parts = self.name.split(".", 1)
        if not all(parts):
            msg = f"{self.name!r} is not the name of a table"
            raise OptionError(msg, hint="write TABLE or SCHEMA.TABLE")
        if max(len(part.encode()) for part in parts) > _LONGEST_NAME_BYTES:
            msg = f"{self.name!r} is too long for a table: names have {_LONGEST_NAME_BYTES} bytes"
            raise OptionError(msg, hint="choose a shorter one with --table")

    @property
    def label(self) -> str:
        """The place as it may be shown: no user, no password."""
        parts = urlsplit(self.url)
        return f"{self.name} in {parts.hostname or 'local'}{parts.path}"


def require_free(table: Table) -> None:
    """Make sure that the database is there, has PostGIS, and has room under the name.

    Raises:
        OptionError: psycopg is not installed.
        OutputError: No connection, no PostGIS, no such schema, or a table that must stay.
    """
    with _connected(table) as connection:
        connection.execute("SELECT postgis_lib_version()")
        _require_replaceable(connection, table)
        schema = table.name.split(".", 1)[0] if "." in table.name else None
        may = connection.execute(
            "SELECT has_schema_privilege(coalesce(%s, current_schema()), 'CREATE')", (schema,)
        ).fetchone()
        if may != (True,):
            msg = f"{table.label}: the user may not create tables in that schema"
            raise OutputError(msg, hint="choose another schema with --table SCHEMA.TABLE")


def write_postgis(batches: pa.RecordBatchReader, table: Table, info: LayerInfo) -> None:
    """Write all batches to a table with a spatial index, or nothing.

    Readers see an older table of the name until the new one is whole.

    Args:
        batches: Polygons in :func:`geoseg.vector.features.feature_schema`.
        table: Where they go.
        info: CRS and legend of the layer.

    Raises:
        OptionError: psycopg is not installed.
        OutputError: No connection, no PostGIS, a table that must stay, or a failure.
    """
    with _connected(table) as connection:
        from psycopg import sql

        name = sql.Identifier(*table.name.split(".", 1))
        srid = _srid(connection, info.crs_wkt)
        _make_table(connection, table, info, srid)
        _copy_rows(connection, name, batches, srid)
        for statement in ("CREATE INDEX ON {} USING gist ({})", "ANALYZE {} ({})"):
            connection.execute(sql.SQL(statement).format(name, sql.Identifier(GEOMETRY)))


@contextmanager
def _connected(table: Table) -> Iterator[psycopg.Connection]:
    """Yield a connection; what the driver raises becomes OutputError."""
    try:
        import psycopg
    except ImportError as error:
        msg = "writing to PostGIS needs the package psycopg"
        raise OptionError(msg, hint="pip install 'geoseg[postgis]'") from error
    with (
        _database_errors(table),
        psycopg.connect(table.url, connect_timeout=_PATIENCE_S) as connection,
    ):
        yield connection


def _require_replaceable(connection: psycopg.Connection, table: Table) -> None:
    """Refuse a table that is not ours, or is of another run and not to be replaced."""
    from psycopg import sql

    name = sql.Identifier(*table.name.split(".", 1)).as_string(connection)
    found = connection.execute(
        "SELECT coalesce(obj_description(to_regclass(%s), 'pg_class'), '')"
        " WHERE to_regclass(%s) IS NOT NULL",
        (name, name),
    ).fetchone()
    if found is None:
        return
    made_by, _, mark = str(found[0]).partition(_MARK)
    if made_by != _MADE_BY:
        msg = f"the database has a table {name} that geoseg did not make"
        raise OutputError(msg, hint="choose another name with --table, or drop the table")
    if not table.overwrite and mark != table.mark:
        msg = f"the database has a table {name} of other polygons"
        raise OutputError(msg, hint="add --overwrite to replace it, or choose another --table")


def _make_table(connection: psycopg.Connection, table: Table, info: LayerInfo, srid: int) -> None:
    """Create the empty table in place of one that may go."""
    from psycopg import sql

    _require_replaceable(connection, table)
    name = sql.Identifier(*table.name.split(".", 1))
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
    columns = [sql.SQL("fid int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY")]
    columns += [sql.SQL(f"{column} {kind}") for column, kind in _COLUMNS]
    shape = sql.SQL("{} geometry({}, {}) NOT NULL").format(
        sql.Identifier(GEOMETRY), sql.Identifier(info.geometry_type), sql.Literal(srid)
    )
    connection.execute(
        sql.SQL("CREATE TABLE {} ({})").format(name, sql.SQL(", ").join([*columns, shape]))
    )
    made_by = sql.Literal(f"{_MADE_BY}{_MARK}{table.mark}")
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(name, made_by))


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
def _database_errors(table: Table) -> Iterator[None]:
    """Turn the driver's errors into OutputError, without the password."""
    import psycopg

    try:
        yield
    except psycopg.errors.UndefinedFunction as error:
        msg = f"{table.label}: the database has no PostGIS"
        raise OutputError(msg, hint="CREATE EXTENSION postgis") from error
    except psycopg.Error as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        msg = f"{table.label}: the polygons could not be written: {without_secrets(why)}"
        raise OutputError(msg, hint="is the server there, may you create tables?") from error
