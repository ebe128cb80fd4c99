"""Real Dask schedulers and workers, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.postgis import free_port

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60
_QUIET = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}


class DaskCluster:
    """A scheduler, and workers that come and go."""

    def __init__(self, folder: Path, *flags: str, scheme: str = "tcp") -> None:
        """Start the scheduler; ``flags`` go to it and to each worker."""
        self.folder, self.flags = folder, flags
        folder.mkdir(parents=True, exist_ok=True)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        self.address = f"{scheme}://127.0.0.1:{self.port}"
        self.file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", self.address, "--no-dashboard", "--no-show",
            "--scheduler-file", str(self.file), *flags,
        )  # fmt: skip
        _wait(self.file.is_file, "the scheduler")

    def work(
        self, *, threads: int = 2, env: dict[str, str] | None = None, flags: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self._start(
            "worker", self.address, "--nthreads", str(threads), "--no-nanny", "--no-dashboard",
            "--host", "127.0.0.1", "--memory-limit", "0",
            "--local-directory", str(self.folder), *self.flags, *flags, env=env,
        )  # fmt: skip

    def _start(
        self, what: str, *args: str, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{what}-{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{what}", *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **_QUIET, **(env or {})},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Kill all."""
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def dask_cluster(folder: Path, *flags: str, scheme: str = "tcp") -> Iterator[DaskCluster]:
    """Yield a scheduler that has no worker yet."""
    cluster = DaskCluster(folder, *flags, scheme=scheme)
    try:
        yield cluster
    finally:
        cluster.close()


def _wait(is_there: object, what: str) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_there():  # type: ignore[operator]
        assert time.monotonic() < until_s, f"{what} did not come"
        time.sleep(0.05)


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started, and that those started."""
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def listening(processes: list[psutil.Process]) -> set[str]:
    """Return the addresses that processes listen on, without ports."""
    found = set()
    for process in processes:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                found.add(connection.laddr.ip)
    return found


def worker_pids(pid: int) -> list[int]:
    """Return the worker processes that a client has started."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            is_worker = "spawn_main" in " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if is_worker:
            found.append(process.pid)
    return found


def all_gone(pids: list[int], within_s: float = 20) -> bool:
    """Tell whether all processes have ended by then."""
    until_s = time.monotonic() + within_s
    while any(_lives(pid) for pid in pids):
        if time.monotonic() > until_s:
            return False
        time.sleep(0.05)
    return True


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Return authority, certificate and key for the loopback address, made by openssl."""
    folder.mkdir(parents=True, exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert),
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, cert, key


def unused_address() -> str:
    """Return an address where nothing listens."""
    return f"tcp://127.0.0.1:{free_port()}"


__all__ = [
    "DaskCluster", "all_gone", "certificates", "dask_cluster", "family", "listening",
    "unused_address", "worker_pids",
]  # fmt: skip
