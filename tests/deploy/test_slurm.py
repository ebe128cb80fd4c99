"""The job scripts of deploy/slurm on a real SLURM, with a stand-in for geoseg that ends as told."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "slurm"
_LONG_S = 30
_SMALL = ("--mem=200M", "--cpus-per-task=1")
_STAND_IN = """\
#!/usr/bin/env bash
trap 'echo TERM >> "$GEOSEG_ENVIRONMENT/calls"; exit 4' TERM
printf '%s\\n' "$*" >> "$GEOSEG_ENVIRONMENT/calls"
for _ in $(seq "${STAND_IN_TENTHS:-1}"); do sleep 0.1; done
exit "${STAND_IN_CODE:-0}"
"""


class Jobs:
    """Sends in scripts from a folder of its own and looks after them."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, **environment, "GEOSEG_ENVIRONMENT": str(folder)}
        self.calls = folder / "calls"
        program = folder / "bin" / "geoseg"
        program.parent.mkdir()
        program.write_text(_STAND_IN)
        program.chmod(0o755)

    def ask(self, *command: str | Path, **variables: str) -> str:
        done = subprocess.run(
            command,
            env={**self.environment, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONG_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def send(self, *command: str | Path, **variables: str) -> str:
        return self.ask("sbatch", "--parsable", *_SMALL, *command, **variables).strip()

    def field(self, job: str, name: str) -> str:
        (found,) = re.findall(rf"\b{name}=(\S*)", self.ask("scontrol", "show", "job", "-o", job))
        return found

    def state(self, job: str) -> str:
        return self.field(job, "JobState")

    def log(self, job: str) -> str:
        return (self.folder / f"geoseg-batch-{job}.log").read_text()


@pytest.fixture
def jobs(slurm, tmp_path) -> Iterator[Jobs]:
    found = Jobs(slurm, tmp_path)
    yield found
    found.ask("scancel", "--full", "--user", str(os.getuid()))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONG_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.network
@pytest.mark.parametrize("name", ["geoseg-batch.sbatch", "geoseg-array.sbatch"])
def test_slurm_takes_the_scripts(jobs, name):
    assert "to start at" in jobs.ask("sbatch", "--test-only", *_SMALL, FOLDER / name)


@pytest.mark.network
def test_a_batch_that_was_stopped_goes_back_into_the_queue(jobs):
    job = jobs.send(
        FOLDER / "geoseg-batch.sbatch", "a list.txt", "--out", "maps", STAND_IN_CODE="4"
    )
    until(lambda: jobs.state(job) == "PENDING" and jobs.field(job, "Restarts") == "1")
    (call,) = jobs.calls.read_text().splitlines()
    assert call == (
        "batch a list.txt --out maps --scheduler slurm "
        f"--slurm-config {jobs.folder}/geoseg-slurm.toml"
    )


@pytest.mark.network
@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_every_other_end_is_final(jobs, code):
    job = jobs.send(FOLDER / "geoseg-batch.sbatch", "list.txt", STAND_IN_CODE=str(code))
    until(lambda: jobs.state(job) in {"COMPLETED", "FAILED"})
    assert jobs.field(job, "ExitCode") == f"{code}:0"
    assert jobs.field(job, "Restarts") == "0"


@pytest.mark.network
def test_the_signal_before_the_walltime_reaches_geoseg(jobs):
    job = jobs.send(FOLDER / "geoseg-batch.sbatch", "list.txt", STAND_IN_TENTHS="300")
    until(jobs.calls.exists)
    jobs.ask("scancel", "--signal=TERM", "--batch", job)  # what --signal=B:TERM@120 does
    until(lambda: jobs.state(job) == "PENDING")
    assert jobs.calls.read_text().splitlines()[1:] == ["TERM"]
    assert jobs.field(job, "Restarts") == "1"


@pytest.mark.network
def test_a_cancelled_batch_stays_cancelled(jobs):
    job = jobs.send(FOLDER / "geoseg-batch.sbatch", "list.txt", STAND_IN_TENTHS="300")
    until(jobs.calls.exists)
    jobs.ask("scancel", job)
    until(lambda: "exit code 4" in jobs.log(job))
    until(lambda: jobs.state(job) == "CANCELLED")
    assert jobs.field(job, "Restarts") == "0"


@pytest.mark.network
def test_a_batch_that_gets_nowhere_ends(jobs):
    job = jobs.send(
        FOLDER / "geoseg-batch.sbatch", "list.txt", STAND_IN_CODE="4", GEOSEG_MAX_RESTARTS="0"
    )
    until(lambda: jobs.state(job) == "FAILED")
    assert "not again" in jobs.log(job)


@pytest.mark.network
def test_a_task_of_an_array_goes_back_by_itself(jobs):
    (jobs.folder / "list.txt").write_text("".join(f"{n}.tif\n" for n in range(20)))
    script = FOLDER / "geoseg-array.sbatch"
    job = jobs.send("--array=0-1", script, "2", "list.txt", "maps", STAND_IN_CODE="4")
    until(lambda: all(jobs.field(f"{job}_{n}", "Restarts") == "1" for n in (0, 1)))
    assert sorted(jobs.calls.read_text().splitlines()) == [
        f"batch list.share-{n:03d}.txt --out maps/share-{n:03d}" for n in (0, 1)
    ]
