"""Polygons in PostGIS, on a server of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from affine import Affine

from geoseg.errors import OptionError, OutputError
from geoseg.options import Outlines
from geoseg.vector.polygons import Table, VectorSummary, write_polygons
from tests.postgis import free_port
from tests.vector.maps import LEGEND, blobs, grid_of, strips_of
from tests.vector.test_polygons import FIELDS, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from numpy.typing import NDArray

    from geoseg.grid.pixel_grid import PixelGrid

pytestmark = pytest.mark.network
psycopg = pytest.importorskip("psycopg")


def write(
    classes: NDArray[np.uint8],
    target: str | Path,
    temp_dir: Path,
    *,
    layer: str = "polygons",
    mark: str = "",
    overwrite: bool = False,
    grid: PixelGrid | None = None,
    **options: Any,
) -> VectorSummary:
    confidence = np.where(classes == 1, 255, classes * 40).astype(np.uint8)
    table = isinstance(target, str)
    return write_polygons(
        strips_of(classes, confidence, rows=16),
        grid=grid or grid_of(classes.shape),
        legend=LEGEND,
        targets=[
            Table(url=target, name=layer, mark=mark, overwrite=overwrite) if table else target
        ],
        temp_dir=temp_dir,
        outlines=Outlines(**options),
    )


def rows(database: str, layer: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        columns = f"ST_AsBinary(geometry), {', '.join(FIELDS)}"
        return connection.execute(f"SELECT {columns} FROM {layer} ORDER BY fid").fetchall()


@pytest.mark.parametrize("options", [{}, {"dissolve": True}, {"crs": "EPSG:4326"}])
def test_the_table_is_what_a_file_is(
    database: str, options: dict[str, Any], tmp_path: Path
) -> None:
    classes = blobs((60, 50))
    summary = write(classes, database, tmp_path, **options)
    target = tmp_path / "map.parquet"
    write(classes, target, tmp_path, **options)
    expected = read(target)
    found = rows(database, "polygons")
    assert len(found) == summary.n_polygons == len(expected)
    for row, theirs in zip(found, expected.itertuples(index=False), strict=True):
        assert shapely.from_wkb(row[0]).equals_exact(theirs.geometry)
        for mine, other in zip(row[1:], theirs[1:], strict=True):
            assert mine == other or (mine is None and np.isnan(other))
    with psycopg.connect(database) as connection:
        [kind] = connection.execute(
            "SELECT (type, srid) FROM geometry_columns WHERE f_table_name = 'polygons'"
        ).fetchone()
        valid = connection.execute("SELECT bool_and(ST_IsValid(geometry)) FROM polygons").fetchone()
        indexes = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'polygons'"
        ).fetchall()
    shape = "MULTIPOLYGON" if "dissolve" in options else "POLYGON"
    assert tuple(kind) == (shape, "4326" if "crs" in options else "32633")
    assert valid == (True,)
    assert any("USING gist (geometry)" in text for (text,) in indexes)


def test_a_table_of_another_run_stays_unless_told(database: str, tmp_path: Path) -> None:
    write(blobs((20, 20)), database, tmp_path, layer="marked", mark="a")
    before = rows(database, "marked")
    with pytest.raises(OutputError, match='a table "marked" of other polygons'):
        write(blobs((30, 20)), database, tmp_path, layer="marked", mark="b")
    assert rows(database, "marked") == before
    write(blobs((20, 20)), database, tmp_path, layer="marked", mark="a")
    assert rows(database, "marked") == before
    write(blobs((30, 20)), database, tmp_path, layer="marked", mark="b", overwrite=True)
    assert rows(database, "marked") != before


@pytest.mark.parametrize(
    ("name", "message"),
    [("a." + 64 * "b", "too long"), ("", "not the name"), ("schema.", "not the name")],
)
def test_names_that_no_table_can_have(name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Table(url="postgresql://host/db", name=name)


def test_an_address_of_something_else_is_refused_without_its_password() -> None:
    with pytest.raises(OptionError, match="not the address of a PostgreSQL") as caught:
        Table(url="mysql://me:secret@host/db", name="a")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Table(url="postgresql://me:secret@host/db", name="a"))


def test_a_schema_may_be_named(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database) as connection:
        connection.execute('CREATE SCHEMA "land cover"')
    summary = write(blobs((20, 20)), database, tmp_path, layer='land cover.my "map"')
    assert len(rows(database, '"land cover"."my ""map"""')) == summary.n_polygons


def test_a_table_of_someone_else_stays(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE theirs (a int)")
        connection.execute("INSERT INTO theirs VALUES (7)")
    with pytest.raises(OutputError, match='table "theirs" that geoseg did not make'):
        write(blobs((20, 20)), database, tmp_path, layer="theirs")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT a FROM theirs").fetchone() == (7,)


def test_a_failure_leaves_the_old_table(database: str, tmp_path: Path) -> None:
    write(blobs((20, 20)), database, tmp_path, layer="kept")
    before = rows(database, "kept")

    def broken() -> Iterator[Any]:
        yield next(strips_of(blobs((40, 20)), rows=20))
        msg = "the scene is gone"
        raise OSError(msg)

    with pytest.raises(OSError, match="the scene is gone"):
        write_polygons(
            broken(),
            grid=grid_of((40, 20)),
            legend=LEGEND,
            targets=[Table(url=database, name="kept"), tmp_path / "map.gpkg"],
            temp_dir=tmp_path,
        )
    assert rows(database, "kept") == before
    assert not list(tmp_path.iterdir())


def test_an_own_crs_is_entered_once(database: str, tmp_path: Path) -> None:
    own = "+proj=laea +lat_0=47.5 +lon_0=13.5 +ellps=GRS80 +units=m"
    srids = set()
    for layer in ("one", "two"):
        write(blobs((20, 20)), database, tmp_path, layer=layer, crs=own)
        with psycopg.connect(database) as connection:
            srids |= set(connection.execute(f"SELECT DISTINCT ST_SRID(geometry) FROM {layer}"))
            degrees = f"SELECT min(ST_XMin(ST_Transform(geometry, 4326))) FROM {layer}"
            assert connection.execute(degrees).fetchone()[0] == pytest.approx(15, abs=0.01)
    [(srid,)] = srids
    assert srid >= 910_000


def test_without_crs_the_srid_is_zero(database: str, tmp_path: Path) -> None:
    grid = grid_of((20, 20), epsg=None, transform=Affine.identity())
    write(blobs((20, 20)), database, tmp_path, layer="plain", grid=grid)
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT DISTINCT ST_SRID(geometry), area_m2 FROM plain")
        assert found.fetchall() == [(0, None)]


def test_no_postgis_is_one_line(server: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="has no PostGIS"):
        write(blobs((9, 9)), f"{server}/postgres", tmp_path)


def test_no_server_is_one_line_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/geo"
    with pytest.raises(OutputError, match=r"127\.0\.0\.1/geo") as caught:
        write(blobs((9, 9)), url, tmp_path)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_psycopg_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(OptionError, match="needs the package psycopg"):
        write(blobs((9, 9)), "postgresql://127.0.0.1/geo", tmp_path)
