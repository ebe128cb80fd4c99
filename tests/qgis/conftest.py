"""The plugin's modules without QGIS, and engines that play a part."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins" / "qgis"
if str(PLUGINS) not in sys.path:
    sys.path.insert(0, str(PLUGINS))


@pytest.fixture
def fake_engine(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes an executable 'geoseg' from lines of Python."""

    def make(code: str = "", *, version: str = "0.1.0", folder: str = "engine") -> Path:
        program = tmp_path / folder / "geoseg"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"if '--version' in sys.argv:\n    print('geoseg, version {version}'); sys.exit()\n"
            f"{code}\n",
            encoding="utf-8",
        )
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def environ() -> dict[str, str]:
    """An environment as a test may hand it to children."""
    return dict(os.environ)
