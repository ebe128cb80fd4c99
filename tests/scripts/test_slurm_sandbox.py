"""The SLURM that a person starts by hand: it comes up, takes a job, and goes without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scripts.slurm_sandbox import environment, missing_program

SCRIPT = Path(__file__).parents[2] / "scripts" / "slurm_sandbox.py"


def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.network
def test_it_starts_and_stops():
    if missing_program() is not None:
        pytest.skip(f"no {missing_program()} is installed, which SLURM brings")
    with tempfile.TemporaryDirectory(prefix="geoseg-sandbox-") as parent:
        folder = Path(parent) / "my slurm"
        try:
            started = call("start", folder)
            assert started.returncode == 0, started.stderr
            environ = os.environ | environment(folder)
            assert started.stdout == f"export SLURM_CONF='{environ['SLURM_CONF']}'\n"
            said = subprocess.run(
                ["srun", "--time=1", "--nodes=3", "hostname"],
                env=environ, check=True, capture_output=True, text=True, timeout=30,
            )  # fmt: skip
            assert len(said.stdout.split()) == 3
            again = call("start", folder)
            assert (again.returncode, again.stdout) == (1, "")
            assert "holds a sandbox already" in again.stderr
        finally:
            assert call("stop", folder).returncode == 0
        assert not folder.exists()
        assert of_folder(folder) == []
        assert call("stop", folder).returncode == 0


def of_folder(folder: Path) -> list[str]:
    """Return the command lines of processes that have to do with a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"SLURM_CONF={folder}".encode() in path.read_bytes():
                found.append(path.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_other_words_are_a_usage_error():
    assert call("restart", "x").returncode == 2
