"""Real servers on the loopback address: nginx for ranges, moto for a signed S3."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_NGINX = """
daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
  log_format ranges '$request_method $status $body_bytes_sent $uri "$http_range"';
  access_log {home}/access.log ranges;
  client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
  uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@dataclass(frozen=True)
class FileServer:
    """A running nginx."""

    port: int
    root: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[tuple[str, int, int, str]]:
        """Return (method, status, bytes, range) of every request so far."""
        found = []
        for line in self.log.read_text().splitlines():
            method, status, sent, _, asked = line.split(" ", 4)
            found.append((method, int(status), int(sent), asked.strip('"')))
        return found


def program(name: str) -> str:
    """Return a program's path; skip, or fail where everything is required."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if beside.is_file():
        return str(beside)
    if found is None:
        if os.environ.get("GEOSEG_REQUIRE_ALL") == "1":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(command: list[str], port: int, **options: object) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def file_server(home: Path) -> Iterator[FileServer]:
    """Serve ``home / "files"`` with byte ranges."""
    nginx, port = program("nginx"), free_port()
    root = home / "files"
    root.mkdir()
    config = home / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(_NGINX.format(home=home, user=user, port=port, root=root))
    command = [nginx, "-p", str(home), "-c", str(config), "-e", str(home / "start.log")]
    with _running(command, port):
        yield FileServer(port, root, home / "access.log")


@contextmanager
def object_store() -> Iterator[int]:
    """Run moto's server; yield its port."""
    moto, port = program("moto_server"), free_port()
    with _running([moto, "-H", "127.0.0.1", "-p", str(port)], port):
        yield port


def put(port: int, path: str, body: bytes = b"") -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Content-Length": str(len(body)), "Connection": "close"}
    connection.request("PUT", path, body=body or None, headers=headers)
    assert connection.getresponse().status == 200
    connection.close()
