"""What a GeoPackage of polygons carries besides its features: style and class names.

Written with the standard library after the features, in one transaction, with fixed
timestamps, so that the same map always gives the same file.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from geoseg.errors import OutputError
from geoseg.vector.style import polygon_qml, polygon_sld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoseg.legend import Legend

__all__ = ["FIXED_TIME", "add_class_domain", "add_layer_style"]

FIXED_TIME = "2000-01-01T00:00:00.000Z"
"""Timestamp in every GeoPackage, so that equal maps are equal files."""

_SCHEMA_EXTENSION = "http://www.geopackage.org/spec121/#extension_schema"

_STYLES = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
  f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
  styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN,
  description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME)
"""
_COLUMNS = """
CREATE TABLE IF NOT EXISTS gpkg_data_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT,
  description TEXT, mime_type TEXT, constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name))
"""
_CONSTRAINTS = """
CREATE TABLE IF NOT EXISTS gpkg_data_column_constraints (
  constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL, value TEXT, min NUMERIC,
  min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value))
"""
_EXTENSIONS = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
  definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))
"""


def add_layer_style(path: Path, *, layer: str, legend: Legend) -> None:
    """Make the legend's colours the default style of ``layer`` in QGIS.

    Raises:
        OutputError: The file cannot be written.
    """
    row = ("", "", layer, "geom", layer, polygon_qml(legend), polygon_sld(legend, layer=layer))
    with _changing(path) as database:
        database.execute(_STYLES)
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name,"
            " f_geometry_column, styleName, styleQML, styleSLD, useAsDefault,"
            " description, owner, update_time) VALUES (?, ?, ?, ?, ?, ?, ?, 1, '', '', ?)",
            (*row, FIXED_TIME),
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description,"
            " last_change) VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
            (FIXED_TIME,),
        )


def add_class_domain(path: Path, *, layer: str, field: str, legend: Legend) -> None:
    """Let programs show class names for the ids of ``field`` (GeoPackage schema extension).

    Raises:
        OutputError: The file cannot be written.
    """
    tables = ("gpkg_data_columns", "gpkg_data_column_constraints")
    with _changing(path) as database:
        for statement in (_EXTENSIONS, _COLUMNS, _CONSTRAINTS):
            database.execute(statement)
        database.executemany(
            "INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_schema', ?, 'read-write')",
            [(table, _SCHEMA_EXTENSION) for table in tables],
        )
        database.execute(
            "INSERT INTO gpkg_data_columns (table_name, column_name, constraint_name)"
            " VALUES (?, ?, 'classes')",
            (layer, field),
        )
        database.executemany(
            "INSERT INTO gpkg_data_column_constraints (constraint_name, constraint_type,"
            " value, description) VALUES ('classes', 'enum', ?, ?)",
            [(str(item.class_id), item.name) for item in legend],
        )


@contextmanager
def _changing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a GeoPackage for one transaction; SQLite's failures become OutputError."""
    try:
        with closing(sqlite3.connect(path)) as database, database:
            yield database
    except sqlite3.Error as error:
        msg = f"{path.name}: style and class names could not be written: {error}"
        raise OutputError(msg, hint="is the disk full?") from error
