"""The commands write polygons into a database, and leave what is there alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_vectorise import write_classes
from tests.postgis import free_port
from tests.scenes import texture, write_scene
from tests.vector.maps import blobs

psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.network
Geoseg = Callable[..., subprocess.CompletedProcess[str]]


def count(database: str, table: str) -> int:
    with psycopg.connect(database) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_run_fills_a_table_too(
    tmp_path: Path, geoseg: Geoseg, database: str, tiny_model: Path
) -> None:
    scene = write_scene(tmp_path / "town.v2.tif", texture((90, 70)))
    command = ("run", scene, "--model", tiny_model, "--out", "out", "--postgis", database)
    done = geoseg(*command, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert count(database, '"town_v2_polygons"') == record["result"]["polygons"]
    assert record["parameters"]["postgis_table"].startswith("town_v2_polygons in 127.0.0.1")
    # Other outlines are other polygons: the table stays, and nothing was begun.
    other = geoseg(*command[:-4], "--out", "other", "--postgis", database, "--simplify", "0")
    assert other.returncode == 1
    assert "of other polygons" in other.stderr.splitlines()[0]
    assert "--overwrite" in other.stderr.splitlines()[1]
    assert not (tmp_path / "other").exists()


def test_vectorise_needs_no_file_beside_a_table(
    tmp_path: Path, geoseg: Geoseg, database: str
) -> None:
    raster = write_classes(tmp_path / "c.tif", blobs((60, 50)))
    url = database.replace("postgres@", "postgres:hush@")
    command = ("vectorise", raster, "--postgis", url, "--table", "covered", "--connectivity", "8")
    for _ in range(2):  # the same command may be repeated
        done = geoseg(*command, "--json")
        assert done.returncode == 0, done.stderr
    assert "hush" not in done.stdout + done.stderr
    assert count(database, "covered") > 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.tif"]
    with psycopg.connect(database) as connection:
        kind = connection.execute("SELECT DISTINCT GeometryType(geometry) FROM covered").fetchone()
    assert kind == ("MULTIPOLYGON",)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:hush@127.0.0.1:{port}/geo", "could not be written"),
        ("sqlite://me:hush@x/geo", "is not the address of a PostgreSQL database"),
    ],
)
def test_no_server_is_known_before_any_work(
    tmp_path: Path, geoseg: Geoseg, tiny_model: Path, url: str, message: str
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    address = url.format(port=free_port())
    done = geoseg("run", scene, "--model", tiny_model, "--postgis", address)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[0]
    assert "hush" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
