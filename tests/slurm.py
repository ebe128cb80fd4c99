"""A SLURM of three nodes of our own, for the tests that run jobs."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.slurm_sandbox import missing_program, started


@pytest.fixture(scope="session")
def slurm() -> Iterator[dict[str, str]]:
    """Variables of a SLURM that runs as long as the tests; they are set, too."""
    missing = missing_program()
    if missing is not None:
        pytest.skip(f"no {missing} is installed, which SLURM brings")
    # A short path: munge's socket has room for about a hundred characters.
    with (
        tempfile.TemporaryDirectory(prefix="geoseg-slurm-") as folder,
        started(Path(folder) / "s") as environ,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in environ.items():
            patch.setenv(name, value)
        yield environ


def slurm_says(*command: str) -> str:
    """Return what a command of SLURM prints."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def job_ids(name: str) -> list[str]:
    """Return the jobs of that name that run, wait or are about to end."""
    return slurm_says("squeue", "--noheader", f"--name={name}", "--format=%i").split()


def await_true(condition: Callable[[], object], seconds: float, *, poll_s: float = 0.1) -> None:
    """Wait until something is true; fail where that takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds:g} s"
        time.sleep(poll_s)
