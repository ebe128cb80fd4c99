"""The real command in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_MAIN = "from geoseg.cli.main import main; main()"
COMMAND = (sys.executable, "-c", _MAIN)
LIMIT_S = 240


@pytest.fixture
def geoseg(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs ``geoseg ARGS`` in ``tmp_path``."""

    def call(*args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, args)], cwd=tmp_path, capture_output=True, text=True,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip

    return call


class Started:
    """A command that is still running, in a session of its own."""

    def __init__(self, folder: Path, *args: object, before: str = "") -> None:
        """Start it, in a Python that has done something ``before``."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", before + _MAIN, *map(str, args)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def wait_for(self, event: str, count: int = 1) -> None:
        """Read --json events until one came ``count`` times."""
        assert self.process.stdout
        for line in self.process.stdout:
            count -= f'"event": "{event}"' in line
            if not count:
                return
        pytest.fail(f"ended before {event}: {self.process.stderr.read()}")  # type: ignore[union-attr]

    def send(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def end(self) -> tuple[int, str]:
        """Return exit code and stderr."""
        _, errors = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, errors


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Started]:
    """Return a function that starts ``geoseg ARGS`` in ``tmp_path``."""
    return lambda *args, **more: Started(tmp_path, *args, **more)
