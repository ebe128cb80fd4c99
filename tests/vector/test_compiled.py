"""Compiled code is kept where no installer looks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = "from geoseg.vector.densify_kernels import cut_long_edges as m; print(m.stats.cache_path)"


def cache_path(folder: Path, **environment: str) -> Path:
    bare = {k: v for k, v in os.environ.items() if k not in {"NUMBA_CACHE_DIR", "GEOSEG_CACHE_DIR"}}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, env={**bare, **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Path(done.stdout.strip())


def test_nothing_is_written_into_the_installation(tmp_path: Path) -> None:
    found = cache_path(tmp_path, GEOSEG_CACHE_DIR=str(tmp_path / "cache"))
    assert found.is_relative_to(tmp_path / "cache" / "compiled")
    assert list(found.glob("*.nbi")), "nothing was kept"


def test_numbas_own_setting_is_respected(tmp_path: Path) -> None:
    found = cache_path(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "mine"))
    assert found.is_relative_to(tmp_path / "mine")


def test_no_cache_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache_path(tmp_path, GEOSEG_CACHE_DIR=str(tmp_path / "file"))
