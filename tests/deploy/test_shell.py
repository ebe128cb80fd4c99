"""Shell scripts of deploy/: what the shell and shellcheck say, and how they behave."""

from __future__ import annotations

import os
import subprocess
from itertools import chain
from pathlib import Path

import pytest

from tests.raster.servers import program

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*ROOT.glob("deploy/**/*.sh"), *ROOT.glob("deploy/**/*.sbatch")])
ARRAY = ROOT / "deploy" / "slurm" / "geoseg-array.sbatch"


def test_the_scripts_are_found():
    assert {p.name for p in SCRIPTS} == {
        "make-certificates.sh", "geoseg-batch.sbatch", "geoseg-array.sbatch",
    }  # fmt: skip


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_bash_and_shellcheck_have_no_objection(path):
    for command in (["bash", "-n"], [program("shellcheck")]):
        done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def shared_out(tmp_path):
    """Return a function that runs the array's tasks without SLURM: task numbers -> their lists."""
    calls = tmp_path / "calls"
    geoseg = tmp_path / "bin" / "geoseg"
    geoseg.parent.mkdir()
    geoseg.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{calls}"\n')
    geoseg.chmod(0o755)
    scenes = tmp_path / "scenes.txt"

    def run(lines: list[str], shares: int) -> list[list[str]]:
        scenes.write_text("\n".join(lines) + "\n", encoding="utf-8")
        for task in range(shares):
            environment = {
                **os.environ, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_JOB_ID": "1",
                "SLURM_ARRAY_JOB_ID": "1",
                "GEOSEG_ENVIRONMENT": str(tmp_path),
            }  # fmt: skip
            command = ["bash", ARRAY, str(shares), scenes, "maps/", "--format", "geojson"]
            done = subprocess.run(
                command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        parts = sorted(tmp_path.glob("scenes.share-*.txt"))
        run.calls = calls.read_text().splitlines()
        return [part.read_text(encoding="utf-8").splitlines() for part in parts]

    return run


def test_shares_of_an_array_are_the_list_without_doubles(shared_out):
    lines = [f"s3://지도/scene {n}.tif" for n in range(60)]
    parts = shared_out(["# tonight", "", *lines], 4)
    assert sorted(chain.from_iterable(parts)) == sorted(lines)
    assert min(map(len, parts)) > 5
    assert shared_out.calls[2].endswith(
        "scenes.share-002.txt --out maps/share-002 --format geojson"
    )


def test_a_scene_stays_in_its_share_when_the_list_changes(shared_out):
    lines = [f"/imagery/{n}.tif" for n in range(30)]
    before = shared_out(lines, 3)
    after = shared_out(["/imagery/new.tif", *reversed(lines)], 3)
    for old, new in zip(before, after, strict=True):
        assert set(old) <= set(new)


def test_an_empty_share_starts_nothing(shared_out):
    parts = shared_out(["/imagery/only.tif"], 5)
    assert sorted(map(len, parts)) == [0, 0, 0, 0, 1]
    assert len(shared_out.calls) == 1
