"""An environment of the plugin's own: made with real pip, repaired, cancelled, removed."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from pathlib import Path

import pytest
from geoseg_qgis import environment
from geoseg_qgis.engine import EngineError, find_engine
from geoseg_qgis.environment import Installer, Network, Request


@pytest.fixture
def wheel(tmp_path) -> Path:
    """A package that is called geoseg and holds one command."""
    path = tmp_path / "wheels" / "geoseg-0.1.0-py3-none-any.whl"
    path.parent.mkdir()
    info = "geoseg-0.1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tiny_geoseg.py", "def main():\n    print('geoseg, version 0.1.0')\n")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: geoseg\nVersion: 0.1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngeoseg=tiny_geoseg:main\n")
        file.writestr(f"{info}/RECORD", "")
    return path


def finish(installer, seconds=120):
    lines, end = [], time.monotonic() + seconds
    while not installer.is_over:
        assert time.monotonic() < end
        lines += installer.poll()
        time.sleep(0.05)
    return lines + installer.poll()


def request_of(tmp_path, package, **more) -> Request:
    offline = ("--no-index", "--no-deps")
    return Request(
        folder=tmp_path / "엔진 engine", package=str(package), python=sys.executable,
        extra=offline, **more,
    )  # fmt: skip


def test_made_repaired_and_removed(tmp_path, wheel, environ):
    request = request_of(tmp_path, wheel)
    assert not environment.installed_in(request.folder)
    for _ in ("made", "repaired"):
        installer = Installer(request, environ, Network())
        steps = {installer.progress[0]}
        lines = finish(installer)
        assert installer.done, (installer.failure, lines)
        assert steps == {0}
        assert installer.progress[0] == 2
        assert "geoseg, version 0.1.0" in lines
        assert environment.installed_in(request.folder)
        found = find_engine("", environment.venv_of(request.folder), "")
        assert str(found).startswith(str(request.folder))
    environment.remove(request.folder)
    assert not request.folder.exists()


def test_a_package_that_is_not_there_is_explained(tmp_path, environ):
    installer = Installer(request_of(tmp_path, "geoseg"), environ, Network())
    lines = finish(installer)
    assert "no such geoseg" in str(installer.failure)
    assert any(line.startswith("$ ") for line in lines), "the log shows the commands"
    assert not environment.installed_in(tmp_path / "엔진 engine")


def test_a_program_that_cannot_start_is_told(tmp_path, wheel, environ, monkeypatch):
    installer = Installer(request_of(tmp_path, wheel), environ, Network())

    reason = "It cannot be started"

    def refused(*_words, **_more):
        raise EngineError(reason)

    monkeypatch.setattr(environment.child, "start", refused)
    finish(installer)
    assert not installer.done
    assert str(installer.failure) == reason


def test_cancelled_leaves_nothing(tmp_path, wheel, environ):
    request = request_of(tmp_path, wheel)
    installer = Installer(request, environ, Network())
    installer.cancel()
    finish(installer)
    assert not installer.done
    assert not request.folder.exists()


def test_a_folder_of_somebody_else_is_never_deleted(tmp_path, environ):
    (tmp_path / "엔진 engine").mkdir()
    (tmp_path / "엔진 engine" / "thesis.odt").write_text("years of work")
    with pytest.raises(EngineError, match="was not made by this plugin"):
        Installer(request_of(tmp_path, "geoseg"), environ, Network())
    assert (tmp_path / "엔진 engine" / "thesis.odt").exists()


def test_proxy_and_certificates_reach_pip(tmp_path):
    network = Network(
        proxy="http://me:secret@proxy:8080", no_proxy="localhost", certificates="/ca.pem"
    )
    found = environment.network_environment({"PYTHONHOME": "/q", "PATH": "/bin"}, network)
    assert found["HTTPS_PROXY"] == found["http_proxy"] == "http://me:secret@proxy:8080"
    assert found["NO_PROXY"] == "localhost"
    assert found["PIP_CERT"] == found["SSL_CERT_FILE"] == "/ca.pem"
    assert "PYTHONHOME" not in found


def test_passwords_are_not_in_the_log():
    words = environment._without_password(["--index-url", "https://me:secret@index/simple"])
    assert words == ["--index-url", "https://me:***@index/simple"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("SSLError(CERTIFICATE_VERIFY_FAILED)", "certificate"),
        ("ProxyError('Cannot connect to proxy.')", "proxy"),
        ("NewConnectionError: Temporary failure in name resolution", "cannot be reached"),
        ("something else entirely", "code 1: something else entirely"),
    ],
)
def test_what_pip_says_becomes_a_sentence(text, message):
    step = environment.Step("Installing", ("pip",))
    assert message in environment._explained(step, 1, ["x", text]).message


def test_a_python_that_is_too_old_is_named(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 3 9\n")
    old.chmod(0o755)
    with pytest.raises(EngineError, match=r"3\.11 or newer, found: .*\(3\.9\)"):
        environment.find_python(str(tmp_path))
    with pytest.raises(EngineError, match="found: none"):
        environment.find_python(str(tmp_path / "empty"))


def test_uv_makes_the_same_steps(tmp_path):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    request = Request(folder=tmp_path / "e", tool="uv", index="https://index/simple")
    make, put, check = environment.plan_steps(request, str(tmp_path))
    assert make.command[:4] == (str(uv), "venv", "--python", ">=3.11")
    assert put.command[-3:] == ("--index-url", "https://index/simple", "geoseg")
    assert check.command[-1] == "--version"
    with pytest.raises(EngineError, match="uv is not installed"):
        environment.plan_steps(request, os.devnull)
