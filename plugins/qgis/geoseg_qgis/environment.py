"""An environment of our own for the engine: made, repaired and removed on request.

Steps are decided first, as values, and then run one after the other in child processes;
:meth:`Installer.poll` never waits, so that a panel can follow. Nothing here knows QGIS:
proxy and certificates are handed in as plain values.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import child
from .engine import EngineError, Failure, clean_environment
from .text import tr

__all__ = [
    "Installer",
    "Network",
    "Request",
    "Step",
    "find_python",
    "installed_in",
    "network_environment",
    "plan_steps",
    "remove",
    "venv_of",
]

LEAST_PYTHON = (3, 11)
"""The oldest Python that geoseg runs on."""
NEEDED_BYTES = 8 << 30
"""What torch with CUDA and the other libraries may take."""
_MARKER = "geoseg-environment.json"
_WINDOWS = os.name == "nt"
_NAMES = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python")


@dataclass(frozen=True)
class Network:
    """How the network is reached; empty texts are not set."""

    proxy: str = ""
    """``http://user:password@host:port``."""
    no_proxy: str = ""
    """Hosts that are reached without it, separated by commas."""
    certificates: str = ""
    """File of certificates that are trusted, PEM."""


@dataclass(frozen=True)
class Request:
    """What is to be installed, and where."""

    folder: Path
    """Folder of ours alone; the environment is ``venv`` in it."""
    tool: str = "pip"
    """``pip`` or ``uv``."""
    package: str = "geoseg"
    """Name for pip, an address, or the path of a wheel or checkout."""
    python: str = ""
    """Python to use; empty for one that is found."""
    index: str = ""
    """Address of another package index; empty for the tool's own."""
    extra: tuple[str, ...] = ()
    """More words for pip install."""


@dataclass(frozen=True)
class Step:
    """One program to run."""

    title: str
    """What it does, for people."""
    command: tuple[str, ...]
    """Program and arguments."""


def find_python(search_path: str, *, chosen: str = "") -> Path:
    """Return a Python that geoseg runs on.

    Raises:
        EngineError: There is none.
    """
    names = (chosen,) if chosen else _NAMES
    seen = []
    for name in names:
        found = shutil.which(name, path=search_path)
        version = _python_version(found) if found else None
        if found and version is not None:
            if version >= LEAST_PYTHON:
                return Path(found)
            seen.append(f"{found} ({version[0]}.{version[1]})")
    needed = ".".join(str(n) for n in LEAST_PYTHON)
    what = ", ".join(seen) or chosen or tr("none")
    raise EngineError(
        tr("The engine needs Python {needed} or newer, found: {found}").format(
            needed=needed, found=what
        ),
        tr("Install Python from your system's packages, or choose uv, which brings its own."),
    )


def _python_version(program: str) -> tuple[int, int] | None:
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(  # noqa: S603 - a program that was found on PATH
            [program, "-c", code],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env=clean_environment(os.environ),
        )
        first, second = done.stdout.split()
        return int(first), int(second)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def plan_steps(request: Request, search_path: str) -> list[Step]:
    """Return the steps that make an environment; one that is there already is replaced.

    Raises:
        EngineError: A program that is needed is missing.
    """
    venv = venv_of(request.folder)
    inside = venv / ("Scripts/python.exe" if _WINDOWS else "bin/python")
    index = ("--index-url", request.index) if request.index else ()
    more = (*index, *request.extra, request.package)
    install = tr("Installing geoseg and its libraries")
    if request.tool == "uv":
        uv = shutil.which("uv", path=search_path)
        if uv is None:
            raise EngineError(tr("uv is not installed"), tr("Install uv, or choose pip."))
        python = request.python or f">={'.'.join(map(str, LEAST_PYTHON))}"
        make: tuple[str, ...] = (uv, "venv", "--python", python, str(venv))
        put: tuple[str, ...] = (uv, "pip", "install", "--python", str(inside), *more)
    else:
        python = str(find_python(search_path, chosen=request.python))
        make = (python, "-m", "venv", str(venv))
        put = (str(inside), "-m", "pip", "install", "--no-input", "--progress-bar", "off", *more)
    return [
        Step(tr("Making the environment"), make),
        Step(install, put),
        Step(tr("Trying the engine"), (str(_program_in(request.folder)), "--version")),
    ]


def venv_of(folder: Path) -> Path:
    """Return the environment inside our folder."""
    return folder / "venv"


def _program_in(folder: Path) -> Path:
    return venv_of(folder) / ("Scripts/geoseg.exe" if _WINDOWS else "bin/geoseg")


def network_environment(environ: Mapping[str, str], network: Network) -> dict[str, str]:
    """Return the environment for programs that download."""
    found = clean_environment(environ)
    if network.proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            found[name] = network.proxy
    if network.no_proxy:
        found["NO_PROXY"] = found["no_proxy"] = network.no_proxy
    if network.certificates:
        for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            found[name] = network.certificates
    # A hint about newer versions of pip is no use to anybody here.
    found["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    return found


def installed_in(folder: Path) -> bool:
    """Tell whether a folder holds an environment that was finished."""
    return _marked(folder) and _program_in(folder).is_file()


def _marked(folder: Path) -> bool:
    return (folder / _MARKER).is_file()


def remove(folder: Path) -> None:
    """Delete an environment that this plugin made.

    Raises:
        EngineError: The folder is not ours, or cannot be deleted.
    """
    if not folder.exists():
        return
    if not _marked(folder):
        raise EngineError(
            tr("{folder} was not made by this plugin and is left alone").format(folder=folder),
            tr("Delete it yourself if nobody needs it."),
        )
    # Some gigabytes take a while to delete, and the interface must not wait for them.
    gone = folder.with_name(f".{folder.name}.removed-{time.time_ns()}")
    try:
        folder.rename(gone)
    except OSError as error:
        raise EngineError(
            tr("{folder} cannot be deleted: {text}").format(
                folder=folder, text=error.strerror or error
            ),
            tr("End running jobs first."),
        ) from error
    left = list(folder.parent.glob(f".{folder.name}.removed-*"))
    threading.Thread(target=_delete, args=(left,), name="geoseg-remove", daemon=True).start()


def _delete(folders: list[Path]) -> None:
    """Delete folders, also those that an earlier session did not get to the end of."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


class Installer:
    """Runs the steps one after the other; asked for news again and again."""

    def __init__(self, request: Request, environ: Mapping[str, str], network: Network) -> None:
        """Decide the steps and clear the place.

        Raises:
            EngineError: It cannot begin.
        """
        self.request = request
        self.steps = plan_steps(request, environ.get("PATH", os.defpath))
        self.failure: Failure | None = None
        self.cancelled = False
        self.log = request.folder.with_name(request.folder.name + "-install.log")
        self._environ = network_environment(environ, network)
        self._at = 0
        self._number = -1
        self._running: child.Child | None = None
        self._prepare(request)
        self._next()

    def _prepare(self, request: Request) -> None:
        remove(request.folder)
        try:
            request.folder.mkdir(parents=True)
            record = {"package": request.package, "tool": request.tool, "made": time.time()}
            (request.folder / _MARKER).write_text(json.dumps(record), "utf-8")
            self.log.write_text("", "utf-8")
        except OSError as error:
            raise EngineError(
                tr("Cannot write to {folder}: {text}").format(
                    folder=request.folder, text=error.strerror or error
                ),
                tr("Free space on that disk, or check who may write there."),
            ) from error

    @property
    def is_over(self) -> bool:
        """True once all steps are done, or one failed."""
        return self._running is None

    @property
    def done(self) -> bool:
        """True where all steps succeeded."""
        return self.is_over and self.failure is None and not self.cancelled

    @property
    def progress(self) -> tuple[int, int, str]:
        """Number of the step that runs, how many there are, and its title."""
        number = min(self._number, len(self.steps) - 1)
        return number, len(self.steps), self.steps[number].title

    def poll(self) -> list[str]:
        """Return lines of the log that are new, and go on to the next step where one ended."""
        lines = list(self._fresh_lines())
        if self._running is None:
            return lines
        code = self._running.code()
        if code is None:
            return lines
        self._running = None
        lines += self._fresh_lines()
        if self.cancelled:
            self._clear()
        elif code:
            self.failure = _explained(self.steps[self._number], code, self._tail())
        else:
            try:
                self._next()
            except EngineError as error:
                self.failure = error.failure
            except OSError as error:
                self.failure = Failure(error.strerror or str(error))
        return lines

    def cancel(self) -> None:
        """Stop; what was installed so far is deleted once the program has ended."""
        if self._running is not None:
            self.cancelled = True
            child.stop(self._running.mark, self._running, kill=True)

    def _next(self) -> None:
        self._number += 1
        if self._number == len(self.steps):
            return
        step = self.steps[self._number]
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(_without_password(step.command))}\n")
        self._running = child.start(
            step.command, self._environ, out=self.log, errors=self.log, folder=self.log.parent
        )

    def _clear(self) -> None:
        try:
            remove(self.request.folder)
        except EngineError as error:
            self.failure = error.failure

    def _fresh_lines(self) -> Iterator[str]:
        with self.log.open("rb") as file:
            file.seek(self._at)
            fresh = file.read()
        end = fresh.rfind(b"\n") + 1
        self._at += end
        yield from fresh[:end].decode("utf-8", "replace").splitlines()

    def _tail(self) -> list[str]:
        return self.log.read_text("utf-8", "replace").splitlines()[-200:]


_UNREACHABLE = (
    "Name or service not known|Temporary failure in name resolution|getaddrinfo"
    "|Network is unreachable|Connection refused|dns error|NewConnectionError"
)


def _causes() -> tuple[tuple[str, Failure], ...]:
    """Return what pip and uv print, and what it means."""
    proxy = tr("Check the proxy in QGIS: Settings, Options, Network.")
    return (
        (
            r"No space left on device|Errno 28",
            Failure(tr("The disk is full"), tr("Free some 8 GiB and try again.")),
        ),
        (
            r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|UnknownIssuer",
            Failure(
                tr("The certificate of the server is not trusted"),
                tr("Add your organisation's certificate in QGIS: Settings, Options, "
                   "Authentication."),
            ),
        ),
        (
            r"ProxyError|407 Proxy|Tunnel connection failed",
            Failure(tr("The proxy refused the connection"), proxy),
        ),
        (
            _UNREACHABLE,
            Failure(tr("The package index cannot be reached"), proxy),
        ),
        (
            r"No matching distribution|No solution found|not found in the package registry",
            Failure(
                tr("The package index has no such geoseg for this Python and system"),
                tr("Check the package name, or give the path of a wheel."),
            ),
        ),
    )  # fmt: skip


def _explained(step: Step, code: int, tail: Sequence[str]) -> Failure:
    """Return what a failed step means, from what it printed."""
    text = "\n".join(tail)
    for pattern, failure in _causes():
        if re.search(pattern, text):
            return failure
    last = next((line for line in reversed(tail) if line.strip()), "")
    return Failure(
        tr("{step} failed with code {code}: {text}").format(
            step=step.title, code=code, text=last.strip()[:200]
        ),
        tr("The log tells more."),
    )


def _without_password(words: Sequence[str]) -> list[str]:
    """Return words that may be shown: addresses without the password in them."""
    return [re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", word) for word in words]
