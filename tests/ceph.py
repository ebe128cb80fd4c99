"""Ceph's RADOS gateway of our own, in memory: a real S3 that checks signatures."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_KEY, _SECRET = "geosegtestkey", "geosegtestsecret"
_START_S = 90.0
_RESTARTS = 5

# One monitor, one disk in memory, no passwords between them, nothing beyond the loopback address.
_CONFIG = """
[global]
fsid = {fsid}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
mon_host = v1:127.0.0.1:{mon}
ms_bind_msgr2 = false
public_addr = 127.0.0.1
mon_data_avail_crit = 1
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 2147483648
mon_data = {home}/mon-$id
osd_data = {home}/osd-$id
run_dir = {home}
log_file = {home}/$name.log
pid_file = {home}/$name.pid
admin_socket = {home}/$name.asok
rgw_frontends = beast endpoint=127.0.0.1:{port}
"""


@dataclass(frozen=True)
class ObjectStore:
    """A running S3 server and the key to it."""

    port: int
    key: str = _KEY
    secret: str = _SECRET

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return what a process must know; ``port`` that of a proxy in front of it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


@pytest.fixture(scope="session")
def ceph() -> Iterator[ObjectStore]:
    """Ceph's gateway, about 15 s to start, or a skip that says what is missing."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"Ceph is not installed: no {', '.join(missing)}")
    home = Path(tempfile.mkdtemp(prefix="geoseg-ceph-"))
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield _started(home, started)
    finally:
        for process in reversed(started):
            process.kill()  # all is in memory: there is nothing to save
            process.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def _free_ports() -> tuple[int, int]:
    """Return two ports; the gateway's own clients take others while it starts."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _started(home: Path, started: list[subprocess.Popen[bytes]]) -> ObjectStore:
    mon, port = _free_ports()
    config, fsid = home / "ceph.conf", str(uuid.uuid4())
    config.write_text(_CONFIG.format(fsid=fsid, mon=mon, port=port, home=home))

    def call(program: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def start(program: str, *arguments: str) -> None:
        command = [program, "-c", str(config), "--foreground", *arguments]
        with (home / f"{program}.out").open("wb") as out:
            started.append(subprocess.Popen(command, stdout=out, stderr=out))

    monmap = home / "monmap"
    address = f"[v1:127.0.0.1:{mon}]"
    call("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, monmap)
    call("ceph-mon", "-c", config, "--mkfs", "-i", "a", "--monmap", monmap)
    start("ceph-mon", "-i", "a")
    number = call("ceph", "-c", config, "--connect-timeout", "30", "osd", "create")
    (home / f"osd-{number}").mkdir()
    call("ceph-osd", "-c", config, "-i", number, "--mkfs")
    start("ceph-osd", "-i", number)
    start("radosgw", "-n", "client.rgw")
    _wait_for(port, started, home)
    call(
        "radosgw-admin", "-c", config, "-n", "client.rgw", "user", "create", "--uid=geo",
        "--display-name=geo", f"--access-key={_KEY}", f"--secret-key={_SECRET}",
    )  # fmt: skip
    return ObjectStore(port)


def _wait_for(port: int, started: list[subprocess.Popen[bytes]], home: Path) -> None:
    """Wait until the port is open; start again what has ended meanwhile.

    A disk that is quicker than its monitor hears "wrong fsid", and gives up.
    """
    end, restarts = time.monotonic() + _START_S, 0
    while time.monotonic() < end:
        for place, process in enumerate(started):
            if process.poll() is None:
                continue
            said = "".join(path.read_text(errors="replace")[-2000:] for path in home.glob("*.out"))
            assert restarts < _RESTARTS, f"{process.args} ended with {process.returncode}: {said}"
            restarts += 1
            time.sleep(0.5)
            started[place] = subprocess.Popen(
                process.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"Ceph's gateway did not open its port within {_START_S:g} s")
