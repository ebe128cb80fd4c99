"""A PostgreSQL server with PostGIS of our own, for the tests that write to one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def programs() -> Path:
    """Return the folder of the newest PostgreSQL with PostGIS, or skip."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        version = folder.parent.name
        control = Path(f"/usr/share/postgresql/{version}/extension/postgis.control")
        if (folder / "initdb").exists() and control.exists():
            return folder
    pytest.skip("no PostgreSQL server with PostGIS is installed")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a cluster in a folder of its own, without a database name."""
    bin_dir, port = programs(), free_port()
    as_user = []
    if os.geteuid() == 0:  # which initdb refuses
        if shutil.which("runuser") is None:
            pytest.skip("root cannot become the user postgres here: no runuser")
        as_user = ["runuser", "-u", "postgres", "--"]

    def call(*command: str | Path) -> None:
        done = subprocess.run(
            [*as_user, *command], cwd="/", capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    folder = Path(tempfile.mkdtemp(prefix="geoseg-postgis-"))
    if as_user:
        shutil.chown(folder, "postgres")
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    )
    data = folder / "data"
    try:
        call(bin_dir / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        call(bin_dir / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            call(bin_dir / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def database(server: str) -> str:
    import psycopg

    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE geo")
    with psycopg.connect(f"{server}/geo") as connection:
        connection.execute("CREATE EXTENSION postgis")
    return f"{server}/geo"
