"""Certificates that deploy/tls/make-certificates.sh makes, and what Dask makes of them."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "tls" / "make-certificates.sh"
_START_S = 30


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", SCRIPT, folder, *arguments], capture_output=True, text=True, check=False
    )


def flags(folder: Path) -> list[str]:
    names = {"ca-file": "ca.pem", "cert": "dask.pem", "key": "dask.key"}
    return [part for name, file in names.items() for part in (f"--tls-{name}", str(folder / file))]


def security(folder: Path):
    from distributed.security import Security

    return Security(
        tls_ca_file=str(folder / "ca.pem"),
        tls_client_cert=str(folder / "dask.pem"),
        tls_client_key=str(folder / "dask.key"),
        require_encryption=True,
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tls") / "certificates of a cluster"
    done = make(folder)
    assert done.returncode == 0, done.stderr
    return folder


@contextmanager
def running(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_START_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(certificates) -> Iterator[str]:
    """Return the address of a real scheduler that has one worker, both with TLS."""
    from distributed import Client

    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    quiet = ["--no-dashboard"]
    scheduler = [
        *flags(certificates),
        "--protocol",
        "tls",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    worker = [address, *flags(certificates), *quiet, "--no-nanny", "--nthreads", "1"]
    with running("dask_scheduler", *scheduler, *quiet), running("dask_worker", *worker):
        with Client(address, security=security(certificates), timeout=_START_S) as client:
            client.wait_for_workers(1, timeout=_START_S)
        yield address


def test_the_files_are_for_their_owner_only(certificates):
    names = {"ca.pem", "ca.key", "dask.pem", "dask.key"}
    assert {p.name for p in certificates.iterdir()} == names
    assert {stat.S_IMODE((certificates / n).stat().st_mode) for n in names} == {0o600}
    assert stat.S_IMODE(certificates.stat().st_mode) == 0o700


def test_a_second_time_renews_the_certificate_and_keeps_the_authority(tmp_path):
    assert make(tmp_path).returncode == 0
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert make(tmp_path, "30").returncode == 0
    after = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert {name for name in before if before[name] == after[name]} == {"ca.pem", "ca.key"}


def test_an_authority_without_its_key_is_not_replaced(tmp_path):
    assert make(tmp_path).returncode == 0
    (tmp_path / "ca.key").unlink()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    done = make(tmp_path)
    assert done.returncode == 1
    assert "ca.key" in done.stderr
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_failure_leaves_nothing_and_says_why(tmp_path):
    done = make(tmp_path, "tomorrow")
    assert done.returncode == 1
    assert "openssl x509 failed" in done.stderr
    assert not (tmp_path / "dask.pem").exists()
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".new")] == []


def test_wrong_usage_is_told():
    done = subprocess.run(["bash", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.split()[0]) == (2, "usage:")


@pytest.mark.network
def test_a_client_with_the_certificate_computes(cluster, certificates):
    from distributed import Client

    with Client(cluster, security=security(certificates), timeout=_START_S) as client:
        assert client.submit(pow, 7, 2).result(timeout=_START_S) == 49
        assert all(address.startswith("tls://") for address in client.scheduler_info()["workers"])


@pytest.mark.network
def test_a_client_of_another_authority_is_refused(cluster, tmp_path):
    from distributed import Client

    assert make(tmp_path).returncode == 0
    with pytest.raises(OSError, match=r"(?i)certificate"):
        Client(cluster, security=security(tmp_path), timeout=3)


@pytest.mark.network
def test_a_client_without_a_certificate_is_refused(cluster, certificates):
    """TLS alone is no key: whoever knows the authority still has to show a certificate of it."""
    import ssl

    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.check_hostname = False
    port = int(cluster.rsplit(":", 1)[1])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=_START_S) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate"),
        context.wrap_socket(plain) as secure,
    ):
        # TLS 1.3 tells of the missing certificate with the first bytes that are read.
        secure.recv(1)


@pytest.mark.network
def test_an_unencrypted_client_is_refused(cluster):
    from distributed import Client

    with pytest.raises(OSError, match=r"(?i)reset|closed"):
        Client(cluster.replace("tls://", "tcp://"), timeout=3)
